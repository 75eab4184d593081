//! A set of point numbers, kept as runs: a search that fills its space costs less the fuller it is.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Start of each run -> its end, excluded. Runs neither touch nor overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Taken {
    runs: BTreeMap<u128, u128>,
    count: u128,
}

impl Taken {
    /// `rank` is below `u128::MAX`.
    pub(super) fn insert(&mut self, rank: u128) {
        if self.has(rank) {
            return;
        }
        self.count += 1;
        let end = self.runs.remove(&(rank + 1)).unwrap_or(rank + 1);
        match self.runs.range_mut(..rank).next_back() {
            Some((_, before)) if *before == rank => *before = end,
            _ => {
                self.runs.insert(rank, end);
            }
        }
    }

    pub(super) fn has(&self, rank: u128) -> bool {
        self.next_free(rank) != rank
    }

    /// The smallest number from `rank` on that is not in the set.
    pub(super) fn next_free(&self, rank: u128) -> u128 {
        match self.runs.range(..=rank).next_back() {
            Some((_, end)) if *end > rank => *end,
            _ => rank,
        }
    }
}

/// A set with some numbers more, which it does not keep.
#[derive(Clone, Debug)]
pub(super) struct Ahead<'a> {
    base: &'a Taken,
    /// None of them is in `base`.
    added: BTreeSet<u128>,
}

impl<'a> Ahead<'a> {
    pub(super) fn of(base: &'a Taken) -> Ahead<'a> {
        Ahead {
            base,
            added: BTreeSet::new(),
        }
    }

    pub(super) fn insert(&mut self, rank: u128) {
        if !self.base.has(rank) {
            self.added.insert(rank);
        }
    }

    pub(super) fn has(&self, rank: u128) -> bool {
        self.base.has(rank) || self.added.contains(&rank)
    }

    /// The smallest number from `rank` on that is in neither.
    pub(super) fn next_free(&self, rank: u128) -> u128 {
        let mut free = self.base.next_free(rank);
        while self.added.contains(&free) {
            free = self.base.next_free(free + 1);
        }
        free
    }

    pub(super) fn count(&self) -> u128 {
        self.base.count + self.added.len() as u128
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(ranks: &[u128], runs: &[(u128, u128)]) {
        let mut taken = Taken::default();
        for rank in ranks {
            taken.insert(*rank);
        }
        assert_eq!(taken.runs, runs.iter().copied().collect(), "{ranks:?}");
        assert_eq!(
            taken.count,
            runs.iter().map(|(start, end)| end - start).sum()
        );
        for rank in 0..20 {
            assert_eq!(taken.has(rank), ranks.contains(&rank), "{ranks:?} {rank}");
            let free = (rank..).find(|r| !ranks.contains(r));
            assert_eq!(Some(taken.next_free(rank)), free, "{ranks:?} {rank}");
        }
    }

    #[test]
    fn a_set_with_some_more_is_the_set_of_all() {
        for (kept, more) in [
            (&[][..], &[][..]),
            (&[1, 2, 5], &[3, 5, 6, 0]),
            (&[], &[4, 5, 5]),
        ] {
            let (mut base, mut all) = (Taken::default(), Taken::default());
            kept.iter().for_each(|rank| base.insert(*rank));
            kept.iter().chain(more).for_each(|rank| all.insert(*rank));
            let mut ahead = Ahead::of(&base);
            more.iter().for_each(|rank| ahead.insert(*rank));
            assert_eq!(ahead.count(), all.count);
            for rank in 0..10 {
                assert_eq!(ahead.has(rank), all.has(rank), "{rank}");
                assert_eq!(ahead.next_free(rank), all.next_free(rank), "{rank}");
            }
        }
    }

    #[test]
    fn runs_grow_and_join() {
        check(&[], &[]);
        check(&[5, 5], &[(5, 6)]);
        check(&[5, 6, 4], &[(4, 7)]);
        check(&[1, 3, 2], &[(1, 4)]);
        check(&[9, 0, 2, 8, 1], &[(0, 3), (8, 10)]);
    }
}
