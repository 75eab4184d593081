//! One rung: the values reported there, best first, and which of the trials may be promoted.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// A trial's place on a rung. Ordered best first, ties to the lower trial number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Entry {
    /// [`crate::Goal::rank`] of the value; `u64::MAX` is no number.
    pub(super) rank: u64,
    pub(super) number: u32,
}

/// The entries in two halves at the promotion line, so that recording and looking cost O(log n).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rung {
    /// The best floor(n / eta).
    top: BTreeSet<Entry>,
    rest: BTreeSet<Entry>,
    /// Those of `top` that may be promoted.
    candidates: BTreeSet<Entry>,
    /// Those of `rest` that may not, however far they rise: ended while they waited, or fallen from the top after they went on.
    closed: BTreeSet<Entry>,
}

impl Rung {
    /// Adds a trial that has not been here before.
    pub(super) fn record(&mut self, entry: Entry, eta: u32) {
        self.rest.insert(entry);
        self.trade_last();
        let line = (self.top.len() + self.rest.len()) / eta as usize;
        while self.top.len() < line {
            let Some(best) = self.rest.pop_first() else {
                break;
            };
            self.raise(best);
        }
    }

    pub(super) fn best_candidate(&self) -> Option<Entry> {
        self.candidates.first().copied()
    }

    /// Takes a trial off the candidates; whether it was one.
    pub(super) fn promote(&mut self, entry: Entry) -> bool {
        self.candidates.remove(&entry)
    }

    /// Whether a trial may be promoted.
    pub(super) fn is_candidate(&self, entry: Entry) -> bool {
        self.candidates.contains(&entry)
    }

    /// How many trials may be promoted.
    pub(super) fn candidates(&self) -> usize {
        self.candidates.len()
    }

    /// How many places the promotion line moves down when so many more trials come here.
    pub(super) fn rises(&self, more: usize, eta: u32) -> usize {
        let line = (self.top.len() + self.rest.len() + more) / eta as usize;
        line.saturating_sub(self.top.len())
    }

    /// Those of the first so many below the promotion line that would be candidates above it, best first.
    pub(super) fn below(&self, places: usize) -> impl Iterator<Item = Entry> {
        let first = self.rest.iter().take(places);
        let open = first.filter(|entry| entry.rank != u64::MAX && !self.closed.contains(entry));
        open.copied()
    }

    /// The trials above the promotion line, but those whose value is no number.
    pub(super) fn above(&self) -> impl Iterator<Item = Entry> {
        let numbers = self.top.iter().filter(|entry| entry.rank != u64::MAX);
        numbers.copied()
    }

    /// The trial has ended: its value still counts, but it is never promoted.
    pub(super) fn close(&mut self, entry: Entry) {
        self.candidates.remove(&entry);
        if self.rest.contains(&entry) {
            self.closed.insert(entry);
        }
    }

    /// Keeps every entry of `top` better than every entry of `rest`, after one insertion into `rest`.
    fn trade_last(&mut self) {
        let (Some(worst), Some(best)) = (self.top.last().copied(), self.rest.first().copied())
        else {
            return;
        };
        if best < worst {
            self.rest.remove(&best);
            self.raise(best);
            self.top.remove(&worst);
            self.rest.insert(worst);
            // One that fell out of the top and was no candidate must not become one when it rises again.
            if !self.candidates.remove(&worst) {
                self.closed.insert(worst);
            }
        }
    }

    fn raise(&mut self, entry: Entry) {
        self.top.insert(entry);
        if !self.closed.remove(&entry) && entry.rank != u64::MAX {
            self.candidates.insert(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(rank: u64, number: u32) -> Entry {
        Entry { rank, number }
    }

    /// Records ranks for trials 0, 1, ... and lists the candidates, best first.
    #[track_caller]
    fn check(ranks: &[u64], eta: u32, expected: &[u32]) {
        let mut rung = Rung::default();
        for (number, rank) in ranks.iter().enumerate() {
            rung.record(entry(*rank, number as u32), eta);
        }
        let candidates: Vec<u32> = rung.candidates.iter().map(|e| e.number).collect();
        assert_eq!(candidates, expected, "{ranks:?} eta {eta}");
    }

    #[test]
    fn candidates_are_the_best_share_rounded_down() {
        check(&[5, 4], 3, &[]);
        check(&[5, 4, 6], 3, &[1]);
        check(&[5, 4, 6, 1, 2], 3, &[3]);
        check(&[5, 4, 6, 1, 2, 9], 3, &[3, 4]);
        check(&[9, 8, 7, 6, 5, 4, 3, 2, 1], 3, &[8, 7, 6]);
    }

    #[test]
    fn ties_go_to_the_lower_number() {
        check(&[7; 6], 3, &[0, 1]);
    }

    #[test]
    fn no_number_is_no_candidate() {
        check(&[u64::MAX; 4], 2, &[]);
        check(&[u64::MAX, 3, u64::MAX, u64::MAX], 2, &[1]);
    }

    #[test]
    fn a_promoted_trial_that_fell_out_of_the_top_is_not_promoted_again() {
        let mut rung = Rung::default();
        rung.record(entry(5, 0), 2);
        rung.record(entry(6, 1), 2);
        assert!(rung.promote(entry(5, 0)));
        rung.record(entry(1, 2), 2); // takes the only place
        assert_eq!(rung.best_candidate(), Some(entry(1, 2)));
        assert!(rung.promote(entry(1, 2)));
        rung.record(entry(7, 3), 2); // two places: trial 0 is back in the top
        assert_eq!(rung.best_candidate(), None);
    }

    #[test]
    fn below_the_line_are_those_who_may_still_rise() {
        let mut rung = Rung::default();
        for (number, rank) in [(0, 5), (1, 6), (2, 7), (3, u64::MAX), (4, 8)] {
            rung.record(entry(rank, number), 3);
        }
        // One of five is above; four more make three of nine.
        for (more, places) in [(0, 0), (1, 1), (3, 1), (4, 2), (7, 3)] {
            assert_eq!(rung.rises(more, 3), places, "{more} more");
        }
        let below = |rung: &Rung, places| -> Vec<u32> {
            rung.below(places).map(|entry| entry.number).collect()
        };
        assert_eq!(below(&rung, 0), [0; 0]);
        assert_eq!(below(&rung, 2), [1, 2]);
        rung.close(entry(6, 1));
        assert_eq!(below(&rung, 2), [2], "an ended one keeps its place");
        assert_eq!(below(&rung, 9), [2, 4], "no number never goes on");
        assert!(rung.is_candidate(entry(5, 0)) && !rung.is_candidate(entry(7, 2)));
    }

    #[test]
    fn an_ended_trial_counts_but_does_not_rise() {
        let mut rung = Rung::default();
        rung.record(entry(5, 0), 2);
        rung.close(entry(5, 0));
        rung.record(entry(6, 1), 2);
        assert_eq!(rung.best_candidate(), None);
        rung.record(entry(7, 2), 2);
        rung.record(entry(8, 3), 2);
        assert_eq!(rung.best_candidate(), Some(entry(6, 1)));
    }
}
