//! Pairs of runs: medians, and how far the median of their ratios can be trusted.

use std::fmt::Debug;

/// Ours beside a peer's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// Median of our runs.
    pub ours: f64,
    /// Median of theirs.
    pub theirs: f64,
    /// Median of the pairs' ratios, above 1 is better.
    pub ratio: f64,
    /// The lower end of the 95 % interval of that median.
    pub ratio_low: f64,
    pub pairs: usize,
}

/// Runs ours and theirs in turn, the other one first in every second pair, so that a drift of the machine hits both.
///
/// # Errors
/// The first error of either.
pub fn interleave<T: Debug>(
    pairs: u32,
    mut ours: impl FnMut() -> anyhow::Result<T>,
    mut theirs: impl FnMut() -> anyhow::Result<f64>,
) -> anyhow::Result<Vec<(T, f64)>> {
    let mut found = Vec::new();
    for pair in 0..pairs {
        let values = if pair % 2 == 0 {
            let first = ours()?;
            (first, theirs()?)
        } else {
            let first = theirs()?;
            (ours()?, first)
        };
        eprintln!(
            "  pair {}: {:.2?} beside {:.2}",
            pair + 1,
            values.0,
            values.1
        );
        found.push(values);
    }
    Ok(found)
}

/// Compares pairs of (ours, theirs) of which more is better.
pub fn compare(pairs: &[(f64, f64)]) -> Comparison {
    let ours: Vec<f64> = pairs.iter().map(|p| p.0).collect();
    let theirs: Vec<f64> = pairs.iter().map(|p| p.1).collect();
    let ratios: Vec<f64> = pairs.iter().map(|(a, b)| a / b).collect();
    Comparison {
        ours: median(&ours),
        theirs: median(&theirs),
        ratio: median(&ratios),
        ratio_low: low_end(&ratios),
        pairs: pairs.len(),
    }
}

/// Compares pairs of (ours, theirs) of which less is better.
pub fn compare_less(pairs: &[(f64, f64)]) -> Comparison {
    let inverse: Vec<(f64, f64)> = pairs.iter().map(|(a, b)| (1.0 / a, 1.0 / b)).collect();
    let found = compare(&inverse);
    Comparison {
        ours: 1.0 / found.ours,
        theirs: 1.0 / found.theirs,
        ..found
    }
}

/// The middle value, the mean of the middle two where there is none; 0 of nothing.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The value below which a share `q` of the values lies, between two of them in proportion; 0 of nothing.
pub fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    let at = q * last as f64;
    let below = at as usize;
    let above = (below + 1).min(last);
    let (low, high, share) = (sorted[below], sorted[above], at - below as f64);
    // Infinite ones have no distance.
    if share == 0.0 || low == high {
        return low;
    }
    low + (high - low) * share
}

/// The lower end of the 95 % interval of the median, by order statistics; the least value where there are too few.
///
/// The rank is the largest r for which at most r - 1 of n fair coins show heads with probability 0.025 or less.
fn low_end(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let mut rank = 0;
    let mut coefficient = 1.0;
    let mut tail = 0.0;
    for k in 0..sorted.len() {
        tail += coefficient * 0.5f64.powf(n);
        if tail > 0.025 {
            break;
        }
        rank = k;
        coefficient *= (n - k as f64) / (k as f64 + 1.0);
    }
    sorted.get(rank).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_quantiles() {
        #[track_caller]
        fn check(values: &[f64], q: f64, expected: f64) {
            assert_eq!(quantile(values, q), expected, "{values:?} {q}");
        }
        check(&[], 0.5, 0.0);
        check(&[4.0], 0.99, 4.0);
        check(&[3.0, 1.0, 2.0], 0.5, 2.0);
        check(&[4.0, 1.0, 2.0, 3.0], 0.5, 2.5);
        check(&[0.0, 10.0], 0.9, 9.0);
        let never = f64::INFINITY;
        check(&[1.0, 2.0, never], 0.5, 2.0);
        check(&[1.0, never, never], 0.75, never);
        check(&[1.0, never], 0.5, never);
    }

    #[test]
    fn the_interval_is_that_of_order_statistics() {
        #[track_caller]
        fn check(n: usize, rank: usize) {
            let values: Vec<f64> = (1..=n).rev().map(|v| v as f64).collect();
            assert_eq!(low_end(&values), rank as f64, "of {n}");
        }
        // Too few for 95 %: the least. Else the ranks of published tables.
        check(1, 1);
        check(5, 1);
        check(6, 1);
        check(9, 2);
        check(10, 2);
        check(15, 4);
        check(20, 6);
    }

    #[test]
    fn ratios_say_how_many_times_better() {
        let pairs = [(20.0, 10.0), (30.0, 10.0), (40.0, 10.0)];
        let more = compare(&pairs);
        assert_eq!(
            (more.ours, more.theirs, more.ratio, more.ratio_low),
            (30.0, 10.0, 3.0, 2.0)
        );
        assert_eq!(more.pairs, 3);
        let less = compare_less(&[(1.0, 2.0), (1.0, 4.0), (1.0, 8.0)]);
        assert_eq!((less.ours, less.theirs), (1.0, 4.0));
        assert_eq!((less.ratio, less.ratio_low), (4.0, 2.0));
    }

    #[test]
    fn the_first_of_a_pair_changes() {
        let order = std::cell::RefCell::new(String::new());
        let run = |name: char, value: f64| {
            order.borrow_mut().push(name);
            Ok(value)
        };
        let pairs = interleave(3, || run('a', 1.0), || run('b', 2.0));
        assert!(pairs.is_ok_and(|p| p == vec![(1.0, 2.0); 3]));
        assert_eq!(order.into_inner(), "abbaab");
    }
}
