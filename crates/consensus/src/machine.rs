//! What is replicated: the caller's state machine. It knows nothing of Raft.

/// The snapshot cannot be read by this state machine; the text says what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot restore the snapshot: {0}")]
pub struct RestoreError(pub String);

/// A deterministic state machine. Every node applies the same commands in the same order and must end up equal.
pub trait StateMachine {
    /// What an applied command asks of the leader; followers drop it.
    type Effect;

    /// Applies one committed entry. Total: any bytes give an outcome, never a panic.
    ///
    /// - `index`: position in the log, from 1. It rises from call to call but has gaps: entries that Raft makes for itself
    ///   are not handed out.
    /// - `command`: at least one byte, as proposed.
    fn apply(&mut self, index: u64, command: &[u8]) -> Vec<Self::Effect>;

    /// Captures the state cheaply (reference counts, no copies). The closure encodes it on another thread.
    fn capture(&self) -> Box<dyn FnOnce() -> Vec<u8> + Send>;

    /// Replaces the state by the one in `snapshot`, which holds everything up to and including `index`.
    ///
    /// # Errors
    /// [`RestoreError`] if the bytes are not a snapshot of this state machine; the node then stops.
    fn restore(&mut self, index: u64, snapshot: &[u8]) -> Result<(), RestoreError>;
}
