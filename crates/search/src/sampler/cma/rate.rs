//! Learning rates that follow the ratio of signal to noise: where a generation says little, because the objective is
//! noisy or has many optima, its change is taken only in part.
//!
//! Source: Nomura, Akimoto and Ono 2023, CMA-ES with learning rate adaptation, algorithm 1 and section 4.3,
//! <https://arxiv.org/abs/2304.03473>.

use serde::{Deserialize, Serialize};

const ALPHA: f64 = 1.4;
const BETA_MEAN: f64 = 0.1;
const BETA_COVARIANCE: f64 = 0.03;
const GAMMA: f64 = 0.1;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Rates {
    mean: Rate,
    covariance: Rate,
}

/// How much of a change to take, and by what to multiply the step size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Slow {
    pub(super) mean: f64,
    pub(super) covariance: f64,
    pub(super) sigma: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Rate {
    rate: f64,
    /// The moving average of changes, and of their squared lengths.
    average: Vec<f64>,
    squares: f64,
}

impl Rates {
    /// For a mean and a covariance of so many entries.
    pub(super) fn new(mean: usize, covariance: usize) -> Rates {
        Rates {
            mean: Rate::new(mean),
            covariance: Rate::new(covariance),
        }
    }

    /// Takes in a change in units of the distribution.
    pub(super) fn learn(&mut self, mean: &[f64], covariance: &[f64]) -> Slow {
        let before = self.mean.rate;
        self.mean.learn(mean, 1.0, BETA_MEAN);
        let half = std::f64::consts::FRAC_1_SQRT_2;
        self.covariance.learn(covariance, half, BETA_COVARIANCE);
        Slow {
            mean: self.mean.rate,
            covariance: self.covariance.rate,
            sigma: before / self.mean.rate,
        }
    }
}

impl Rate {
    fn new(entries: usize) -> Rate {
        Rate {
            rate: 1.0,
            average: vec![0.0; entries],
            squares: 0.0,
        }
    }

    fn learn(&mut self, change: &[f64], factor: f64, beta: f64) {
        let mut length = 0.0;
        let mut signal = 0.0;
        for (average, part) in self.average.iter_mut().zip(change) {
            let part = factor * part;
            *average = (1.0 - beta) * *average + beta * part;
            length += part * part;
            signal += *average * *average;
        }
        self.squares = (1.0 - beta) * self.squares + beta * length;
        let noise = self.squares - signal;
        let ratio = (signal - beta / (2.0 - beta) * self.squares) / noise;
        let towards = (ratio / (ALPHA * self.rate) - 1.0).clamp(-1.0, 1.0);
        if towards.is_finite() {
            let step = (GAMMA * self.rate).min(beta) * towards;
            self.rate = (self.rate * libm::exp(step)).min(1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rate after 400 changes of length 1.
    #[track_caller]
    fn check(change: impl Fn(u32) -> f64, least: f64, most: f64) {
        let mut rates = Rates::new(1, 1);
        for i in 0..400 {
            let change = change(i);
            let slow = rates.learn(&[change], &[change]);
            assert!(slow.mean > 0.0 && slow.mean <= 1.0);
        }
        let rate = rates.mean.rate;
        assert!((least..=most).contains(&rate), "{rate}");
    }

    #[test]
    fn noise_is_learned_slowly_and_a_trend_at_once() {
        check(|_| 1.0, 1.0, 1.0);
        check(|i| if i % 2 == 0 { 1.0 } else { -1.0 }, 0.0, 0.2);
        check(|_| 0.0, 1.0, 1.0);
    }
}
