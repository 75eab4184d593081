//! Wilcoxon's signed-rank test.
//!
//! Source: Wilcoxon 1945, Individual comparisons by ranking methods, <https://doi.org/10.2307/3001968>; differences of zero
//! as in Pratt 1959: they are ranked and then left out.

/// Differences for which the distribution is counted and not approximated.
const COUNTED_MAX: usize = 50;

/// The probability that signs tossed by fair coins give a sum of positive ranks at least as large as the one seen: small
/// where the differences are positive too often to be chance. 1 where all are zero or there are none.
///
/// Equal sizes share the mean of their ranks. Up to 50 differences it is exact, given the ranks; beyond that the sum is taken
/// as normal with its own mean and variance, without a correction for continuity. `differences` are numbers.
pub(super) fn p_greater(differences: &[f64]) -> f64 {
    let mut sorted: Vec<f64> = differences.to_vec();
    sorted.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    let size = |i: usize| sorted[i].abs();
    // Twice the ranks, so that shared ones are whole.
    let mut ranks: Vec<usize> = Vec::with_capacity(sorted.len());
    let mut positive = 0;
    let mut first = 0;
    while first < sorted.len() {
        let mut end = first + 1;
        while end < sorted.len() && size(end) == size(first) {
            end += 1;
        }
        if size(first) > 0.0 {
            let rank = first + 1 + end;
            ranks.resize(ranks.len() + end - first, rank);
            positive += rank * sorted[first..end].iter().filter(|d| **d > 0.0).count();
        }
        first = end;
    }
    if ranks.is_empty() {
        return 1.0;
    }
    if ranks.len() <= COUNTED_MAX {
        share_at_least(&ranks, positive)
    } else {
        normal_tail(&ranks, positive)
    }
}

/// The share of the subsets of `ranks` whose sum is at least `least`.
fn share_at_least(ranks: &[usize], least: usize) -> f64 {
    let all: usize = ranks.iter().sum();
    // shares[s]: of the subsets with the sum s.
    let mut shares = vec![0.0; all + 1];
    shares[0] = 1.0;
    let mut reached = 0;
    for &rank in ranks {
        reached += rank;
        for sum in (0..=reached).rev() {
            let with = if sum >= rank { shares[sum - rank] } else { 0.0 };
            shares[sum] = 0.5 * (shares[sum] + with);
        }
    }
    let tail: f64 = shares[least.min(all)..].iter().rev().sum();
    tail.min(1.0)
}

fn normal_tail(ranks: &[usize], positive: usize) -> f64 {
    let mean: f64 = ranks.iter().map(|r| *r as f64).sum::<f64>() / 2.0;
    let variance: f64 = ranks.iter().map(|r| (*r as f64) * (*r as f64)).sum::<f64>() / 4.0;
    let z = (positive as f64 - mean) / libm::sqrt(variance);
    0.5 * libm::erfc(z / std::f64::consts::SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(differences: &[f64], expected: f64) {
        let p = p_greater(differences);
        assert!((p - expected).abs() < 1e-12, "{p} {expected}");
    }

    /// Darwin's maize, the example of scipy's `wilcoxon`: W = 24, p = 0.041259765625 for both sides.
    #[test]
    fn darwins_maize() {
        let differences = [
            6.0, 8.0, 14.0, 16.0, 23.0, 24.0, 28.0, 29.0, 41.0, -48.0, 49.0, 56.0, 60.0, -67.0,
            75.0,
        ];
        check(&differences, 0.041_259_765_625 / 2.0);
    }

    /// The largest sums of the rarer sign that are significant on one side at 5 % (McCornack 1965), and one more.
    #[test]
    fn critical_values_at_five_percent() {
        for (n, critical) in [
            (5, 0),
            (6, 2),
            (7, 3),
            (8, 5),
            (9, 8),
            (10, 10),
            (12, 17),
            (15, 30),
            (20, 60),
            (25, 100),
        ] {
            let ranks: Vec<usize> = (1..=n).map(|rank| 2 * rank).collect();
            let all: usize = ranks.iter().sum();
            let p = |rarer: usize| share_at_least(&ranks, all - 2 * rarer);
            assert!(p(critical) <= 0.05 && p(critical + 1) > 0.05, "n {n}");
        }
    }

    #[test]
    fn ties_share_their_ranks_and_zeros_are_left_out() {
        check(&[1.0, 1.0, 1.0], 0.125);
        check(&[1.0, 1.0, -1.0], 0.5); // three of eight, and the one with all positive
        check(&[0.0, 1.0, -2.0], 0.75); // ranks 2 and 3
        check(&[0.0, 0.0], 1.0);
        check(&[], 1.0);
        check(&[-1.0], 1.0);
    }

    #[test]
    fn the_approximation_meets_the_count() {
        for least in [1_300, 1_500, 1_700, 1_900] {
            let ranks: Vec<usize> = (1..=50).map(|rank| 2 * rank).collect();
            let (counted, normal) = (share_at_least(&ranks, least), normal_tail(&ranks, least));
            assert!(
                (counted - normal).abs() < 0.004,
                "{least}: {counted} {normal}"
            );
        }
        let many: Vec<f64> = (1..=200).map(f64::from).collect();
        assert!(p_greater(&many) < 1e-30);
    }
}
