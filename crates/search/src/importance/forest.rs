//! A forest of regression trees over the unit cube and categories, as the boxes of its leaves.
//!
//! Sources: Breiman 2001, Random forests; for categories the best split is one of those in the order of their means
//! (Breiman et al. 1984, Classification and regression trees, section 4.2.2).

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::space::unit;

pub(super) const TREES: u64 = 64;
/// The fewest trials in a leaf.
const LEAF_MIN: usize = 3;
const DEPTH_MAX: u32 = 40;

/// What a parameter's places are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// A place in [0, 1].
    Line,
    /// An index below `count`.
    Category { count: usize },
}

impl Side {
    /// A place drawn evenly.
    pub(super) fn anywhere(self, stream: &mut ChaCha8Rng) -> f64 {
        let drawn = unit(stream.next_u64());
        match self {
            Side::Line => drawn,
            Side::Category { count } => libm::floor(drawn * count as f64),
        }
    }
}

/// One side of a box; `None` for the whole.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Span {
    Part {
        from: f64,
        to: f64,
    },
    /// Whether a category is inside.
    Among(Vec<bool>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Leaf {
    pub(super) spans: Vec<Option<Span>>,
    pub(super) value: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Forest {
    pub(super) sides: Vec<Side>,
    /// Of all trees.
    pub(super) leaves: Vec<Leaf>,
    /// By parameter, by how much splits lessened the squares.
    gains: Vec<f64>,
}

/// The trials that one tree is grown from.
struct Sample<'a> {
    sides: &'a [Side],
    /// By trial of the sample, a place for each parameter.
    places: Vec<Vec<f64>>,
    losses: Vec<f64>,
}

/// How a node is parted.
struct Split {
    parameter: usize,
    gain: f64,
    at: Cut,
}

enum Cut {
    Below(f64),
    Among(Vec<bool>),
}

impl Forest {
    /// `rows`: a place for each parameter, `None` where it is not active. At least one row. `evenly`: rows that stand for the
    /// whole space, of which each tree takes every second one.
    pub(super) fn grow(
        sides: &[Side],
        rows: &[Vec<Option<f64>>],
        losses: &[f64],
        evenly: &[usize],
    ) -> Forest {
        let mut forest = Forest {
            sides: sides.to_vec(),
            leaves: Vec::new(),
            gains: vec![0.0; sides.len()],
        };
        for tree in 0..TREES {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&tree.to_le_bytes());
            key[16..].copy_from_slice(b"bonfire:anova:01");
            let stream = &mut ChaCha8Rng::from_seed(key);
            let sample = Sample::draw(sides, rows, losses, evenly, stream);
            let all = (0..losses.len()).collect();
            forest.part(&sample, all, vec![None; sides.len()], 0);
        }
        forest
    }

    pub(super) fn gain(&self, parameter: usize) -> f64 {
        self.gains[parameter]
    }

    fn part(
        &mut self,
        sample: &Sample<'_>,
        members: Vec<usize>,
        spans: Vec<Option<Span>>,
        depth: u32,
    ) {
        let split = (depth < DEPTH_MAX)
            .then(|| sample.best_split(&members))
            .flatten();
        let Some(split) = split else {
            let value = sample.mean(&members);
            self.leaves.push(Leaf { spans, value });
            return;
        };
        let d = split.parameter;
        self.gains[d] += split.gain;
        let (left, right): (Vec<usize>, Vec<usize>) = members
            .iter()
            .partition(|i| split.at.is_left(sample.places[**i][d]));
        let (left_span, right_span) = split.at.spans(spans[d].as_ref());
        let mut left_spans = spans.clone();
        left_spans[d] = Some(left_span);
        let mut right_spans = spans;
        right_spans[d] = Some(right_span);
        self.part(sample, left, left_spans, depth + 1);
        self.part(sample, right, right_spans, depth + 1);
    }
}

/// Drawn evenly among the first `count` numbers.
fn below(count: usize, stream: &mut ChaCha8Rng) -> usize {
    ((u128::from(stream.next_u64()) * count as u128) >> 64) as usize
}

impl<'a> Sample<'a> {
    /// As many trials as there are, drawn with repetition.
    fn draw(
        sides: &'a [Side],
        rows: &[Vec<Option<f64>>],
        losses: &[f64],
        evenly: &[usize],
        stream: &mut ChaCha8Rng,
    ) -> Sample<'a> {
        let mut sample = Sample {
            sides,
            places: Vec::with_capacity(rows.len()),
            losses: Vec::with_capacity(rows.len()),
        };
        for turn in 0..rows.len() {
            let drawn = match turn % 2 == 0 && !evenly.is_empty() {
                true => evenly[below(evenly.len(), stream)],
                false => below(rows.len(), stream),
            };
            let row = rows[drawn].iter().zip(sides);
            let places = row.map(|(place, side)| place.unwrap_or_else(|| side.anywhere(stream)));
            sample.places.push(places.collect());
            sample.losses.push(losses[drawn]);
        }
        sample
    }

    fn sum(&self, members: &[usize]) -> f64 {
        members.iter().map(|i| self.losses[*i]).sum()
    }

    fn mean(&self, members: &[usize]) -> f64 {
        self.sum(members) / members.len().max(1) as f64
    }

    fn best_split(&self, members: &[usize]) -> Option<Split> {
        if members.len() < 2 * LEAF_MIN {
            return None;
        }
        let mut best: Option<Split> = None;
        for (parameter, side) in self.sides.iter().enumerate() {
            let found = match side {
                Side::Line => self.best_cut(members, parameter),
                Side::Category { count } => self.best_group(members, parameter, *count),
            };
            if let Some((gain, at)) = found
                && gain > best.as_ref().map_or(1e-12, |best| best.gain)
            {
                best = Some(Split {
                    parameter,
                    gain,
                    at,
                });
            }
        }
        best
    }

    fn best_cut(&self, members: &[usize], d: usize) -> Option<(f64, Cut)> {
        let mut sorted: Vec<(f64, f64)> = members
            .iter()
            .map(|i| (self.places[*i][d], self.losses[*i]))
            .collect();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let total: f64 = sorted.iter().map(|(_, loss)| loss).sum();
        let count = sorted.len();
        let mut best: Option<(f64, Cut)> = None;
        let mut sum = 0.0;
        for at in 1..count {
            sum += sorted[at - 1].1;
            let (before, after) = (sorted[at - 1].0, sorted[at].0);
            if at < LEAF_MIN || count - at < LEAF_MIN || before >= after {
                continue;
            }
            let gain = gain(sum, at, total, count);
            if best.as_ref().is_none_or(|best| gain > best.0) {
                best = Some((gain, Cut::Below((before + after) / 2.0)));
            }
        }
        best
    }

    fn best_group(&self, members: &[usize], d: usize, count: usize) -> Option<(f64, Cut)> {
        let mut sums = vec![(0.0, 0usize); count];
        for i in members {
            let (sum, seen) = &mut sums[self.places[*i][d] as usize];
            *sum += self.losses[*i];
            *seen += 1;
        }
        let mut order: Vec<usize> = (0..count).filter(|c| sums[*c].1 > 0).collect();
        let mean = |c: usize| sums[c].0 / sums[c].1 as f64;
        order.sort_by(|a, b| mean(*a).total_cmp(&mean(*b)).then(a.cmp(b)));
        let total: f64 = order.iter().map(|c| sums[*c].0).sum();
        let (mut sum, mut left) = (0.0, 0);
        let mut best: Option<(f64, usize)> = None;
        for (at, category) in order.iter().enumerate() {
            sum += sums[*category].0;
            left += sums[*category].1;
            if left < LEAF_MIN || members.len() - left < LEAF_MIN {
                continue;
            }
            let gain = gain(sum, left, total, members.len());
            if best.is_none_or(|best| gain > best.0) {
                best = Some((gain, at));
            }
        }
        let (gain, last) = best?;
        let mut among = vec![false; count];
        order[..=last].iter().for_each(|c| among[*c] = true);
        // Categories that nobody here has are told apart by nothing: they go to the larger side.
        let seen: Vec<bool> = sums.iter().map(|(_, seen)| *seen > 0).collect();
        let left_count: usize = order[..=last].iter().map(|c| sums[*c].1).sum();
        if left_count > members.len() - left_count {
            for (inside, seen) in among.iter_mut().zip(seen) {
                *inside |= !seen;
            }
        }
        Some((gain, Cut::Among(among)))
    }
}

/// How much less the squares around two means are than around one: `left` of `count` values sum to `sum` of `total`.
fn gain(sum: f64, left: usize, total: f64, count: usize) -> f64 {
    let right = (count - left) as f64;
    let rest = total - sum;
    sum * sum / left as f64 + rest * rest / right - total * total / count as f64
}

impl Cut {
    fn is_left(&self, place: f64) -> bool {
        match self {
            Cut::Below(cut) => place < *cut,
            Cut::Among(inside) => inside.get(place as usize).copied().unwrap_or(false),
        }
    }

    /// The parts of a side.
    fn spans(&self, whole: Option<&Span>) -> (Span, Span) {
        match self {
            Cut::Below(cut) => {
                let (from, to) = match whole {
                    Some(Span::Part { from, to }) => (*from, *to),
                    _ => (0.0, 1.0),
                };
                (Span::Part { from, to: *cut }, Span::Part { from: *cut, to })
            }
            Cut::Among(left) => {
                let within = |i: usize| match whole {
                    Some(Span::Among(inside)) => inside[i],
                    _ => true,
                };
                let parts = |of: bool| {
                    left.iter()
                        .enumerate()
                        .map(move |(i, l)| *l == of && within(i))
                };
                (
                    Span::Among(parts(true).collect()),
                    Span::Among(parts(false).collect()),
                )
            }
        }
    }
}
