//! The margin: every ordered discrete parameter keeps a chance of leaving the value that the mean stands for.
//!
//! Without it a distribution that has become narrower than one value's part of the range repeats that value for ever.
//!
//! Source: Hamano, Saito, Nomura and Shirakawa 2022, CMA-ES with margin, section 4.2 and 4.3,
//! <https://arxiv.org/abs/2205.13482>.

use crate::sampler::gp::quantile;

/// The part of [0, 1] that belongs to the value at the mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Part {
    /// Its lower end; `None` for the first value.
    pub(super) low: Option<f64>,
    pub(super) high: Option<f64>,
}

/// The mean and the standard deviation that leave the value with probability `alpha` at least, as near as may be to those
/// given. `deviation` is positive.
pub(super) fn correct(mean: f64, deviation: f64, part: Part, alpha: f64) -> (f64, f64) {
    match (part.low, part.high) {
        (None, None) => (mean, deviation),
        (Some(edge), None) | (None, Some(edge)) => {
            let most = deviation * -quantile(alpha);
            let away = (mean - edge).clamp(-most, most);
            (edge + away, deviation)
        }
        (Some(low), Some(high)) => {
            let mean = mean.clamp(low, high);
            let below = mass_below((low - mean) / deviation);
            let above = mass_below((mean - high) / deviation);
            let least = alpha / 2.0;
            if below >= least && above >= least {
                return (mean, deviation);
            }
            let within = 1.0 - below - above;
            let (below, above) = (below.max(least), above.max(least));
            let excess = 1.0 - below - above - within;
            let room = below + above + within - 3.0 * least;
            let share = |p: f64| (p + excess / room * (p - least)).clamp(least, 0.5);
            let (left, right) = (-quantile(share(below)), -quantile(share(above)));
            let deviation = (high - low) / (left + right);
            (low + deviation * left, deviation)
        }
    }
}

/// The probability that a standard normal number is below `x`.
fn mass_below(x: f64) -> f64 {
    0.5 * libm::erfc(-x / std::f64::consts::SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALPHA: f64 = 0.02;

    /// Checks the probabilities of ending below and above the value after the correction.
    #[track_caller]
    fn check(mean: f64, deviation: f64, low: Option<f64>, high: Option<f64>, expected: [f64; 2]) {
        let (mean, deviation) = correct(mean, deviation, Part { low, high }, ALPHA);
        let below = low.map_or(0.0, |low| mass_below((low - mean) / deviation));
        let above = high.map_or(0.0, |high| mass_below((mean - high) / deviation));
        for (found, expected) in [below, above].iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    #[test]
    fn a_value_is_always_left_with_some_probability() {
        let (low, high) = (Some(0.25), Some(0.5));
        check(0.3, 1e-9, low, high, [0.01, 0.01]);
        check(0.26, 0.01, low, high, [0.157_138, 0.01]);
        check(0.49, 0.01, low, high, [0.01, 0.157_138]);
        check(0.1, 1e-6, None, Some(0.25), [0.0, ALPHA]);
        check(0.9, 1e-6, Some(0.75), None, [ALPHA, 0.0]);
    }

    #[test]
    fn what_leaves_often_enough_stays() {
        let part = Part {
            low: Some(0.25),
            high: Some(0.5),
        };
        assert_eq!(correct(0.4, 0.1, part, ALPHA), (0.4, 0.1));
        let part = Part {
            low: None,
            high: Some(0.5),
        };
        assert_eq!(correct(0.4, 0.1, part, ALPHA), (0.4, 0.1));
        let part = Part {
            low: None,
            high: None,
        };
        assert_eq!(correct(0.4, 1e-9, part, ALPHA), (0.4, 1e-9));
    }
}
