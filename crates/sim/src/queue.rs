//! What happens next: events by virtual time, ties in the order they were scheduled.

use std::collections::BTreeMap;

/// A queue of events by virtual millisecond.
#[derive(Debug)]
pub struct Queue<E> {
    events: BTreeMap<(u64, u64), E>,
    scheduled: u64,
    now: u64,
}

impl<E> Queue<E> {
    pub fn new() -> Queue<E> {
        Queue {
            events: BTreeMap::new(),
            scheduled: 0,
            now: 0,
        }
    }

    /// Milliseconds since the start of the run.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Schedules an event `after_ms` from now.
    pub fn after(&mut self, after_ms: u64, event: E) {
        self.scheduled += 1;
        self.events
            .insert((self.now.saturating_add(after_ms), self.scheduled), event);
    }

    /// Schedules an event at a time, now if that has passed.
    pub fn at(&mut self, at_ms: u64, event: E) {
        self.after(at_ms.saturating_sub(self.now), event);
    }

    /// Takes the next event and moves the clock to it.
    pub fn pop(&mut self) -> Option<E> {
        let ((at, _), event) = self.events.pop_first()?;
        self.now = at;
        Some(event)
    }
}
