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
    /// Those of `rest` that may not, however far they rise: ended while they waited, or gone on already.
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

    /// The best trial that waits below the promotion line.
    pub(super) fn best_waiting(&self) -> Option<Entry> {
        let waits = |entry: &&Entry| entry.rank != u64::MAX && !self.closed.contains(entry);
        self.rest.iter().find(waits).copied()
    }

    /// Lets a trial go on from below the line; whether it waited there.
    pub(super) fn promote_early(&mut self, entry: Entry) -> bool {
        self.rest.contains(&entry) && self.closed.insert(entry)
    }

    /// Whether a trial is above the line.
    pub(super) fn is_above(&self, number: u32) -> bool {
        self.top.iter().any(|entry| entry.number == number)
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
    fn a_trial_that_went_on_early_may_rise_and_goes_on_once() {
        let mut rung = Rung::default();
        for (number, rank) in [(0, 5), (1, 6), (2, 7), (3, u64::MAX)] {
            rung.record(entry(rank, number), 4);
        }
        assert_eq!(rung.best_candidate(), Some(entry(5, 0)));
        assert!(!rung.promote_early(entry(5, 0)), "its turn has come");
        assert_eq!(rung.best_waiting(), Some(entry(6, 1)));
        assert!(rung.promote_early(entry(6, 1)));
        assert!(!rung.promote_early(entry(6, 1)));
        assert_eq!(rung.best_waiting(), Some(entry(7, 2)));
        assert!(!rung.is_above(1));
        for number in 4..8 {
            rung.record(entry(9, number), 4);
        }
        assert!(rung.is_above(1));
        assert!(rung.promote(entry(5, 0)));
        assert_eq!(rung.best_candidate(), None);
        rung.close(entry(7, 2));
        assert_eq!(
            rung.best_waiting(),
            Some(entry(9, 4)),
            "no number never goes on"
        );
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
