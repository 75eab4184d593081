//! Election timeouts from a seed, in place of the thread-local generator that the raft crate draws from.

use raft::{RawNode, StateRole, Storage};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// The timeout that holds for the current term and role.
///
/// The crate draws a new one in `RawNode::new`, `step`, `tick` and `campaign`; [`Timeouts::fix`] after each of them puts
/// ours back. A new value is drawn only when term or role changed: drawn every tick, timeouts would come earlier and
/// closer together, and votes would split more often.
pub(crate) struct Timeouts {
    rng: ChaCha8Rng,
    ticks: u32,
    held: Option<(u64, StateRole, usize)>,
}

impl Timeouts {
    /// Timeouts in `[ticks, 2 * ticks)`; nodes with the same seed draw different ones.
    pub(crate) fn new(seed: u64, node: u64, ticks: u32) -> Self {
        let seed = seed ^ node.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Timeouts {
            rng: ChaCha8Rng::seed_from_u64(seed),
            ticks,
            held: None,
        }
    }

    pub(crate) fn fix<S: Storage>(&mut self, raw: &mut RawNode<S>) {
        let (term, role) = (raw.raft.term, raw.raft.state);
        let timeout = match self.held {
            Some((held_term, held_role, timeout)) if (held_term, held_role) == (term, role) => {
                timeout
            }
            _ => (u64::from(self.ticks) + self.rng.next_u64() % u64::from(self.ticks)) as usize,
        };
        self.held = Some((term, role, timeout));
        raw.raft.set_randomized_election_timeout(timeout);
    }
}
