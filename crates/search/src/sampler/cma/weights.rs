//! How much each trial of a generation counts, and how fast a distribution learns.
//!
//! Source: Hansen 2016, The CMA evolution strategy: a tutorial, table 1 and equations 49 to 58,
//! <https://arxiv.org/abs/1604.00772>; without correlations, Ros and Hansen 2008 (sep-CMA-ES), whose rates are
//! (n + 2) / 3 times as high.

/// The size of a generation in `n` dimensions, where nothing asks for more.
pub(super) fn default_size(n: usize) -> usize {
    4 + libm::floor(3.0 * libm::log(n.max(1) as f64)) as usize
}

/// What a generation's size and the number of dimensions determine.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Weights {
    /// By rank, best first; the worse half is negative.
    pub(super) weights: Vec<f64>,
    /// The variance effective number of the better half.
    pub(super) mu_eff: f64,
    pub(super) c_sigma: f64,
    pub(super) d_sigma: f64,
    pub(super) c_c: f64,
    pub(super) c_1: f64,
    pub(super) c_mu: f64,
    /// The expected length of a standard normal vector.
    pub(super) chi: f64,
}

impl Weights {
    /// `n` is at least 1, `size` at least 2.
    pub(super) fn new(n: usize, size: usize, diagonal: bool) -> Weights {
        let d = n.max(1) as f64;
        let middle = libm::log((size as f64 + 1.0) / 2.0);
        let raw = (1..=size).map(|rank| middle - libm::log(rank as f64));
        let mut weights: Vec<f64> = raw.collect();
        let better = size / 2;
        let sum = |part: &[f64]| part.iter().map(|w| w.abs()).sum::<f64>();
        let effective = |part: &[f64]| {
            let squares: f64 = part.iter().map(|w| w * w).sum();
            if squares > 0.0 {
                sum(part) * sum(part) / squares
            } else {
                1.0
            }
        };
        let mu_eff = effective(&weights[..better]);
        let mu_eff_worse = effective(&weights[better..]);

        let faster = if diagonal { (d + 2.0) / 3.0 } else { 1.0 };
        let c_1 = 2.0 / ((d + 1.3) * (d + 1.3) + mu_eff);
        let c_mu = 2.0 * (0.25 + mu_eff + 1.0 / mu_eff - 2.0) / ((d + 2.0) * (d + 2.0) + mu_eff);
        let c_1 = (c_1 * faster).min(0.5);
        let c_mu = (c_mu * faster).min(1.0 - c_1);

        let positive = sum(&weights[..better]);
        let negative: f64 = weights.iter().filter(|w| **w < 0.0).map(|w| -w).sum();
        let bound = (1.0 + c_1 / c_mu)
            .min(1.0 + 2.0 * mu_eff_worse / (mu_eff + 2.0))
            .min((1.0 - c_1 - c_mu) / (d * c_mu));
        for weight in &mut weights {
            if *weight >= 0.0 {
                *weight /= positive;
            } else {
                *weight *= bound / negative;
            }
        }
        let c_sigma = (mu_eff + 2.0) / (d + mu_eff + 5.0);
        let excess = ((mu_eff - 1.0) / (d + 1.0)).sqrt() - 1.0;
        Weights {
            weights,
            mu_eff,
            c_sigma,
            d_sigma: 1.0 + 2.0 * excess.max(0.0) + c_sigma,
            c_c: (4.0 + mu_eff / d) / (d + 4.0 + 2.0 * mu_eff / d),
            c_1,
            c_mu,
            chi: d.sqrt() * (1.0 - 1.0 / (4.0 * d) + 1.0 / (21.0 * d * d)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against values worked out from the tutorial's formulas in Python.
    #[track_caller]
    fn check(n: usize, expected_size: usize, expected: [f64; 6]) {
        let size = default_size(n);
        assert_eq!(size, expected_size);
        let w = Weights::new(n, size, false);
        let found = [w.mu_eff, w.c_sigma, w.d_sigma, w.c_c, w.c_1, w.c_mu];
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found / expected - 1.0).abs() < 1e-5, "{found} {expected}");
        }
        let better: f64 = w.weights[..size / 2].iter().sum();
        assert!((better - 1.0).abs() < 1e-12);
        assert!(w.weights.windows(2).all(|pair| pair[0] > pair[1]));
        // What is left of the old covariance stays positive.
        let all: f64 = w.weights.iter().sum();
        assert!(1.0 - w.c_1 - w.c_mu * all > 0.0);
    }

    #[test]
    fn the_tutorial_s_settings() {
        check(10, 10, KNOWN_10);
        check(2, 6, KNOWN_2);
    }

    const KNOWN_10: [f64; 6] = [
        3.167_299,
        0.284_429,
        1.284_429,
        0.294_990,
        0.015_283_8,
        0.023_551_8,
    ];
    const KNOWN_2: [f64; 6] = [
        2.028_611,
        0.446_205,
        1.446_205,
        0.624_555,
        0.154_815,
        0.085_592_8,
    ];
}
