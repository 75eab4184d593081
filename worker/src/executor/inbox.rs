//! What the agent asked of this executor, read by a thread that does nothing else.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bonfire_domain::{Attempt, TrialId};

use super::frame::{Decoder, ExecutorOrder};

/// Bytes read from the pipe at once.
const READ_BYTES: usize = 64 << 10;

/// The queue between the reading thread and the training one.
#[derive(Clone, Default)]
pub struct Inbox {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<ExecutorOrder>,
    running: Option<(TrialId, Attempt)>,
    /// Attempts that are running or queued and must end; the flag asks for a checkpoint first.
    ends: Vec<(TrialId, Attempt, bool)>,
}

impl State {
    /// Keeps only the ends of attempts that are running or queued.
    fn forget_ends(&mut self) {
        let State {
            queue,
            running,
            ends,
        } = self;
        let queued = |id: (TrialId, Attempt)| {
            queue.iter().any(|order| match order {
                ExecutorOrder::Begin(begin) => (begin.order.trial, begin.order.attempt) == id,
                _ => false,
            })
        };
        ends.retain(|(trial, attempt, _)| {
            *running == Some((*trial, *attempt)) || queued((*trial, *attempt))
        });
    }
}

impl Inbox {
    /// Reads orders until the pipe ends or breaks.
    pub fn fill(&self, mut pipe: impl Read) {
        let mut decoder = Decoder::default();
        let mut bytes = vec![0; READ_BYTES];
        loop {
            match pipe.read(&mut bytes) {
                Ok(0) => return,
                Ok(count) => decoder.push(&bytes[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(_) => return,
            }
            loop {
                match decoder.frame() {
                    Ok(Some(order)) => self.push(order),
                    Ok(None) => break,
                    Err(_) => return,
                }
            }
        }
    }

    /// Takes one order in. An end for an attempt that is not here any more is forgotten.
    pub fn push(&self, order: ExecutorOrder) {
        let mut state = self.lock();
        match order {
            ExecutorOrder::End {
                trial,
                attempt,
                save,
            } => {
                state.ends.push((trial, attempt, save));
                state.forget_ends();
            }
            order => state.queue.push_back(order),
        }
        self.shared.changed.notify_all();
    }

    /// Waits for the next order; a begun attempt counts as running until the next call.
    pub fn next(&self) -> ExecutorOrder {
        let mut state = self.lock();
        state.running = None;
        loop {
            if let Some(order) = state.queue.pop_front() {
                if let ExecutorOrder::Begin(begin) = &order {
                    state.running = Some((begin.order.trial, begin.order.attempt));
                }
                state.forget_ends();
                return order;
            }
            state = wait(&self.shared.changed, state);
        }
    }

    /// Whether the running attempt must end, and whether with a checkpoint.
    pub fn end_asked(&self, trial: TrialId, attempt: Attempt) -> Option<bool> {
        end_of(&self.lock(), trial, attempt)
    }

    /// Waits at most `time` for the running attempt to be ended.
    pub fn wait_end(&self, trial: TrialId, attempt: Attempt, time: Duration) -> Option<bool> {
        self.wait_until(trial, attempt, time, |asked| asked.is_some())
    }

    /// Waits `time`, or until the running attempt must end without a checkpoint; `false` then.
    pub fn wait_dropped(&self, trial: TrialId, attempt: Attempt, time: Duration) -> bool {
        let asked = self.wait_until(trial, attempt, time, |asked| asked == Some(false));
        asked != Some(false)
    }

    fn wait_until(
        &self,
        trial: TrialId,
        attempt: Attempt,
        time: Duration,
        is_it: impl Fn(Option<bool>) -> bool,
    ) -> Option<bool> {
        let until = Instant::now() + time;
        let mut state = self.lock();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let asked = end_of(&state, trial, attempt);
            if is_it(asked) || left.is_zero() {
                return asked;
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn wait<'a>(changed: &Condvar, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    changed.wait(state).unwrap_or_else(PoisonError::into_inner)
}

/// A later order to end without saving overrides an earlier one that saves.
fn end_of(state: &State, trial: TrialId, attempt: Attempt) -> Option<bool> {
    let asked = state
        .ends
        .iter()
        .filter(|(t, a, _)| (*t, *a) == (trial, attempt));
    asked.map(|(_, _, save)| *save).reduce(|a, b| a && b)
}
