//! The variance of a forest's mean over all parameters but one or two, on a grid of equal parts.

use super::forest::{Forest, Leaf, Side, Span, TREES};

/// Parts of a line.
const PARTS: usize = 16;
/// Parts that categories are put into at most.
const CATEGORIES_MAX: usize = 64;

/// What one parameter explains.
pub(super) fn of_one(forest: &Forest, i: usize) -> f64 {
    let mut means = vec![0.0; parts(forest.sides[i])];
    for leaf in &forest.leaves {
        let others = volume(leaf, &[i]) * leaf.value;
        let share = shares(forest, leaf, i);
        for (mean, share) in means.iter_mut().zip(share) {
            *mean += share * others;
        }
    }
    variance(&means)
}

/// What two parameters explain together, each by itself included.
pub(super) fn of_two(forest: &Forest, i: usize, j: usize) -> f64 {
    let columns = parts(forest.sides[j]);
    let mut means = vec![0.0; parts(forest.sides[i]) * columns];
    for leaf in &forest.leaves {
        let others = volume(leaf, &[i, j]) * leaf.value;
        let across = shares(forest, leaf, j);
        for (row, share) in means.chunks_mut(columns).zip(shares(forest, leaf, i)) {
            if share > 0.0 {
                for (mean, across) in row.iter_mut().zip(&across) {
                    *mean += share * across * others;
                }
            }
        }
    }
    variance(&means)
}

fn parts(side: Side) -> usize {
    match side {
        Side::Line => PARTS,
        Side::Category { count } => count.min(CATEGORIES_MAX),
    }
}

/// Of parts of the same size, each a sum over trees.
fn variance(sums: &[f64]) -> f64 {
    let count = sums.len() as f64;
    let mean = sums.iter().sum::<f64>() / count;
    let squares: f64 = sums.iter().map(|x| (x - mean) * (x - mean)).sum();
    squares / count / (TREES * TREES) as f64
}

/// The share of the space that a leaf takes, over all parameters but some.
fn volume(leaf: &Leaf, without: &[usize]) -> f64 {
    let spans = leaf.spans.iter().enumerate();
    let spans = spans.filter(|(i, _)| !without.contains(i));
    spans
        .map(|(_, span)| match span {
            None => 1.0,
            Some(Span::Part { from, to }) => to - from,
            Some(Span::Among(inside)) => {
                inside.iter().filter(|x| **x).count() as f64 / inside.len() as f64
            }
        })
        .product()
}

/// By part of a parameter, the share of the part that a leaf takes.
fn shares(forest: &Forest, leaf: &Leaf, i: usize) -> Vec<f64> {
    let parts = parts(forest.sides[i]);
    match &leaf.spans[i] {
        None => vec![1.0; parts],
        Some(Span::Part { from, to }) => {
            let overlap = |part: usize| {
                let (low, high) = (from * parts as f64, to * parts as f64);
                (high.min(part as f64 + 1.0) - low.max(part as f64)).clamp(0.0, 1.0)
            };
            (0..parts).map(overlap).collect()
        }
        Some(Span::Among(inside)) => {
            let mut taken = vec![(0.0, 0.0); parts];
            for (category, is_inside) in inside.iter().enumerate() {
                let (sum, count) = &mut taken[category * parts / inside.len()];
                *sum += f64::from(u8::from(*is_inside));
                *count += 1.0;
            }
            taken.iter().map(|(sum, count)| sum / count).collect()
        }
    }
}
