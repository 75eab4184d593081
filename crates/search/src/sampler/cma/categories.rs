//! The distributions that parameters without an order are drawn from: one probability a value, independent of the rest.
//!
//! An order of the values would be made up, and a one-hot code puts as many dimensions into the covariance as there are
//! values, so they are learned beside the Gaussian, from the same ranks. No probability falls below the margin.
//!
//! Source: Hamano et al. 2024, CatCMA, sections 4.1 and 4.4, <https://arxiv.org/abs/2405.09962>, with a fixed rate that
//! follows from the number of values as the covariance's does from the dimension.

use serde::{Deserialize, Serialize};

/// Probabilities by parameter and value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Categories {
    shares: Vec<Vec<f64>>,
}

impl Categories {
    pub(super) fn uniform(counts: impl Iterator<Item = usize>) -> Categories {
        let even = |count: usize| vec![1.0 / count.max(1) as f64; count];
        Categories {
            shares: counts.map(even).collect(),
        }
    }

    /// The value of parameter `i` at a place in [0, 1).
    pub(super) fn value(&self, i: usize, place: f64) -> usize {
        let mut below = 0.0;
        let shares = &self.shares[i];
        let over = shares.iter().position(|share| {
            below += share;
            place < below
        });
        over.unwrap_or(shares.len() - 1)
    }

    /// Moves towards the values of the better trials. `ranked`: the values of a generation, best first; `alpha`: the least
    /// probability of another value than the likeliest.
    pub(super) fn update(
        &mut self,
        ranked: &[Vec<usize>],
        weights: &[f64],
        mu_eff: f64,
        alpha: f64,
    ) {
        let free: usize = self.shares.iter().map(|shares| shares.len() - 1).sum();
        let rate = mu_eff / (mu_eff + free as f64 + 2.0);
        for (i, shares) in self.shares.iter_mut().enumerate() {
            for share in shares.iter_mut() {
                *share *= 1.0 - rate;
            }
            for (values, weight) in ranked.iter().zip(weights) {
                if *weight > 0.0 {
                    shares[values[i]] += rate * weight;
                }
            }
            keep_margin(shares, alpha);
        }
    }
}

/// Lifts each share to its part of `alpha`, at the cost of those above.
fn keep_margin(shares: &mut [f64], alpha: f64) {
    let others = shares.len().saturating_sub(1).max(1) as f64;
    let least = (alpha / others).min(1.0 / shares.len().max(1) as f64);
    for share in shares.iter_mut() {
        *share = share.max(least);
    }
    let total: f64 = shares.iter().sum();
    let above: f64 = shares.iter().map(|share| share - least).sum();
    if above > 0.0 {
        let excess = (total - 1.0) / above;
        for share in shares.iter_mut() {
            *share -= excess * (*share - least);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One parameter of three values whose generations always rank them so; expected: its shares in the end.
    #[track_caller]
    fn check(ranked: &[usize], expected: [f64; 3]) {
        let mut categories = Categories::uniform([3].into_iter());
        let ranked: Vec<Vec<usize>> = ranked.iter().map(|value| vec![*value]).collect();
        for _ in 0..200 {
            categories.update(&ranked, &[0.75, 0.25, -0.5], 1.6, 0.1);
        }
        for (found, expected) in categories.shares[0].iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-6, "{:?}", categories.shares);
        }
        let total: f64 = categories.shares[0].iter().sum();
        assert!((total - 1.0).abs() < 1e-12);
    }

    #[test]
    fn good_values_become_likely_and_none_impossible() {
        check(&[1, 1, 0], [0.05, 0.9, 0.05]);
        check(&[1, 2, 0], [0.05, 32.0 / 45.0, 10.75 / 45.0]);
    }

    #[test]
    fn values_are_drawn_by_their_shares() {
        let mut categories = Categories::uniform([2].into_iter());
        categories.shares[0] = vec![0.25, 0.75];
        let drawn = [0.0, 0.24, 0.25, 0.999_999].map(|place| categories.value(0, place));
        assert_eq!(drawn, [0, 0, 1, 1]);
    }
}
