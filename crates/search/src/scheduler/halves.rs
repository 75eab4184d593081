//! The middle of a collection that grows.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Ranks in two halves, so that the two in the middle are at hand and one more costs O(log n).
#[derive(Clone, Debug, Default)]
pub(super) struct Halves {
    /// The floor(n / 2) smallest.
    lower: BinaryHeap<u64>,
    upper: BinaryHeap<Reverse<u64>>,
}

impl Halves {
    pub(super) fn of(ranks: impl Iterator<Item = u64>) -> Halves {
        let mut halves = Halves::default();
        ranks.for_each(|rank| halves.insert(rank));
        halves
    }

    pub(super) fn insert(&mut self, rank: u64) {
        match self.lower.peek() {
            Some(most) if rank < *most => self.lower.push(rank),
            _ => self.upper.push(Reverse(rank)),
        }
        if self.lower.len() > self.len() / 2 {
            self.upper.extend(self.lower.pop().map(Reverse));
        } else if self.lower.len() < self.len() / 2 {
            self.lower
                .extend(self.upper.pop().map(|Reverse(rank)| rank));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.lower.len() + self.upper.len()
    }

    /// The largest of the lower half and the smallest of the upper one; of an odd number the middle one is the latter.
    pub(super) fn middle(&self) -> (Option<u64>, Option<u64>) {
        let upper = self.upper.peek().map(|Reverse(rank)| *rank);
        (self.lower.peek().copied(), upper)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn the_middle_is_what_sorting_says(ranks in vec(0u64..20, 0..60)) {
            let mut halves = Halves::default();
            let mut sorted = Vec::new();
            for rank in ranks {
                halves.insert(rank);
                sorted.push(rank);
                sorted.sort_unstable();
                let half = sorted.len() / 2;
                let lower = half.checked_sub(1).map(|i| sorted[i]);
                prop_assert_eq!(halves.middle(), (lower, Some(sorted[half])));
            }
        }
    }
}
