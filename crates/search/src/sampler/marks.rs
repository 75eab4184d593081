//! Which points trials have, where points have no numbers: eight bytes each.
//!
//! Points have one mark if no result would tell them apart, or by a chance of 2^-64 a pair. Then the later one counts as
//! tried, too.

use std::collections::BTreeSet;

use super::axes::Axes;
use super::history::History;
use crate::{Assignment, Space};

/// On a line, places that differ by less are the same but for a few at a border: from a value to its place and back rounds.
const APART: f64 = 1.0 / (1u64 << 40) as f64;

/// A point's coordinates in one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark(u64);

impl Mark {
    /// `None` where points have numbers, or for what is no point of the space.
    pub(super) fn of(axes: &Axes, space: &Space, point: &Assignment) -> Option<Mark> {
        if space.is_numbered() {
            return None;
        }
        axes.encode(space, point).map(|point| Mark::at(&point))
    }

    /// `coordinates`: as [`Axes::encode`] gives them.
    ///
    /// Source: Steele, Lea and Flood 2014, Fast splittable pseudorandom number generators (the mixing function).
    pub(super) fn at(coordinates: &[f64]) -> Mark {
        let mut mark = 0;
        for x in coordinates {
            let cell = libm::round(x / APART) as i64;
            let mut z = (mark ^ cell as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mark = z ^ (z >> 31);
        }
        Mark(mark)
    }
}

/// Follows from the history, so it is not written down.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Marks(BTreeSet<Mark>);

impl Marks {
    pub(super) fn of(space: &Space, history: &History) -> Marks {
        if space.is_numbered() {
            return Marks::default();
        }
        Marks(history.points().map(Mark::at).collect())
    }

    pub(super) fn insert(&mut self, mark: Mark) {
        self.0.insert(mark);
    }

    pub(super) fn has(&self, mark: Mark) -> bool {
        self.0.contains(&mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_tells_coordinates_and_their_places_apart() {
        let next = 0.5 + 2.0 * APART;
        let points = [[0.0, 0.5], [0.5, 0.0], [0.0, next], [-1.0, 0.5], [0.0, 0.0]];
        let marks: BTreeSet<Mark> = points.iter().map(|point| Mark::at(point)).collect();
        assert_eq!(marks.len(), points.len());
        assert_eq!(Mark::at(&[-0.0, 0.5 + f64::EPSILON]), Mark::at(&points[0]));
    }
}
