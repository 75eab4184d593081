//! The ranking of trials on one rung beside that on the rung below, and how far apart the two are.
//!
//! A trial that comes shifts the trials between its two places against each other and leaves all pairs outside of them as they
//! were, so only those are looked at.

/// The longest piece of an ordered list. One more costs a move of half of it, and a look at each piece.
const PIECE_MAX: usize = 512;

/// Follows from what a scheduler keeps beside it: it is not saved but made again, and says nothing about equality.
#[derive(Clone, Debug, Default)]
pub(super) struct Rankings {
    /// The best on the upper rung first.
    here: Ordered<Place>,
    /// The scores on the rung below, the best first.
    below: Ordered<f64>,
    /// No pair at the same place is further apart; it may be that none is so far apart any more.
    apart: f64,
    /// Pairs looked at so far.
    #[cfg(test)]
    pub(super) looks: usize,
}

/// A trial and its scores, the smaller the better; no NaN.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) number: u32,
    pub(super) here: f64,
    pub(super) below: f64,
}

impl PartialEq for Rankings {
    fn eq(&self, _: &Rankings) -> bool {
        true
    }
}

impl Rankings {
    pub(super) fn len(&self) -> usize {
        self.here.len()
    }

    /// Adds a trial that is not there, in as many steps as its two places are apart.
    pub(super) fn insert(&mut self, place: Place) {
        let i = self.here.insert(place, |other| {
            let by_score = other.here.total_cmp(&place.here);
            by_score.then(other.number.cmp(&place.number)).is_lt()
        });
        let comes_before = |other: &f64| other.total_cmp(&place.below).is_lt();
        let j = self.below.insert(place.below, comes_before);
        let shifted = self.furthest(i.min(j), i.max(j) + 1);
        self.apart = self.apart.max(shifted);
    }

    /// Whether at each place the trial of one ranking may stand in for that of the other: on the rung below they are no further
    /// apart than this.
    pub(super) fn agree_within(&mut self, epsilon: f64) -> bool {
        if self.apart > epsilon {
            self.apart = self.furthest(0, self.len());
        }
        self.apart <= epsilon
    }

    fn furthest(&mut self, from: usize, to: usize) -> f64 {
        #[cfg(test)]
        {
            self.looks += to - from;
        }
        let pairs = self.here.from(from).zip(self.below.from(from));
        let distances = pairs.map(|(place, below)| distance(place.below, *below));
        distances.take(to - from).fold(0.0, f64::max)
    }
}

/// An ordered list in pieces, none of which is empty.
#[derive(Clone, Debug)]
struct Ordered<T> {
    pieces: Vec<Vec<T>>,
}

impl<T> Default for Ordered<T> {
    fn default() -> Ordered<T> {
        Ordered { pieces: Vec::new() }
    }
}

impl<T> Ordered<T> {
    fn len(&self) -> usize {
        self.pieces.iter().map(Vec::len).sum()
    }

    /// Adds an item behind those that come before it, and gives its place.
    fn insert(&mut self, item: T, comes_before: impl Fn(&T) -> bool) -> usize {
        if self.pieces.is_empty() {
            self.pieces.push(Vec::new());
        }
        let is_before = |piece: &Vec<T>| piece.last().is_some_and(&comes_before);
        let at = self.pieces.partition_point(is_before);
        let at = at.min(self.pieces.len() - 1);
        let before: usize = self.pieces[..at].iter().map(Vec::len).sum();
        let piece = &mut self.pieces[at];
        let i = piece.partition_point(comes_before);
        piece.insert(i, item);
        if piece.len() > PIECE_MAX {
            let rest = piece.split_off(PIECE_MAX / 2);
            self.pieces.insert(at + 1, rest);
        }
        before + i
    }

    /// The items from a place on.
    fn from(&self, place: usize) -> impl Iterator<Item = &T> {
        let (mut at, mut first) = (0, place);
        while let Some(piece) = self.pieces.get(at)
            && first >= piece.len()
        {
            first -= piece.len();
            at += 1;
        }
        self.pieces[at..].iter().flatten().skip(first)
    }
}

/// 0 for the same, even where both are infinite.
fn distance(a: f64, b: f64) -> f64 {
    if a == b { 0.0 } else { (a - b).abs() }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// The definition: both rankings sorted, and each pair compared.
    fn agree(places: &[Place], epsilon: f64) -> bool {
        let ranked = |score: fn(&Place) -> f64| {
            let mut places = places.to_vec();
            places.sort_by(|a, b| {
                let by_score = score(a).total_cmp(&score(b));
                by_score.then(a.number.cmp(&b.number))
            });
            places
        };
        let pairs = ranked(|p| p.here).into_iter().zip(ranked(|p| p.below));
        pairs.into_iter().all(|(here, there)| {
            let (a, b) = (here.below, there.below);
            here.number == there.number || a == b || (a - b).abs() <= epsilon
        })
    }

    /// Scores with ties, both zeros, infinity, and such that their differences overflow.
    fn score() -> impl Strategy<Value = f64> {
        prop_oneof![
            8 => (-6i32..6).prop_map(|x| f64::from(x) / 4.0),
            4 => -1.0..1.0,
            1 => prop_oneof![Just(-0.0), Just(f64::INFINITY), Just(f64::MAX), Just(f64::MIN)],
        ]
    }

    /// Four trials by hand: a, b, c, d below, with c and d and then b and d changing places above.
    #[test]
    fn trials_that_are_close_below_may_stand_in_for_each_other() {
        let check = |here: [f64; 4], epsilon: f64, expected: bool| {
            let mut rankings = Rankings::default();
            let below = [1.0, 2.0, 4.0, 4.5];
            for (number, (here, below)) in (0..).zip(here.into_iter().zip(below)) {
                let place = Place {
                    number,
                    here,
                    below,
                };
                rankings.insert(place);
            }
            assert_eq!(
                rankings.agree_within(epsilon),
                expected,
                "{here:?} {epsilon}"
            );
        };
        check([0.1, 0.2, 0.3, 0.4], 0.0, true);
        check([0.1, 0.2, 0.4, 0.3], 0.4, false);
        check([0.1, 0.2, 0.4, 0.3], 0.5, true);
        check([0.1, 0.4, 0.3, 0.2], 2.4, false);
        check([0.1, 0.4, 0.3, 0.2], 2.5, true);
    }

    #[test]
    fn a_list_in_pieces_is_a_list() {
        let mut list = Ordered::default();
        let mut plain: Vec<u32> = Vec::new();
        for i in 0..4_000u32 {
            let item = i.wrapping_mul(0x9e37_79b9) >> 20;
            let place = list.insert(item, |other| *other < item);
            assert_eq!(place, plain.partition_point(|other| *other < item));
            plain.insert(place, item);
        }
        assert_eq!(list.len(), plain.len());
        for from in [0, 1, 255, 256, 257, 1_000, 3_999, 4_000] {
            assert!(list.from(from).eq(&plain[from..]), "{from}");
        }
        assert!(list.pieces.len() > 4);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..Default::default() })]

        #[test]
        fn they_agree_when_sorting_says_so(
            trials in vec((any::<u32>(), score(), score(), any::<bool>(), 0.0f64..3.0), 0..60),
        ) {
            let mut rankings = Rankings::default();
            let mut places: Vec<Place> = Vec::new();
            for (number, here, below, alike, epsilon) in trials {
                if places.iter().any(|place| place.number == number) {
                    continue;
                }
                let below = if alike { here } else { below };
                let place = Place { number, here, below };
                rankings.insert(place);
                places.push(place);
                for epsilon in [epsilon, 0.0, epsilon * 0.3] {
                    prop_assert_eq!(rankings.agree_within(epsilon), agree(&places, epsilon));
                }
            }
        }
    }
}
