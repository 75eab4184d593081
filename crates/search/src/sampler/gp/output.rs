//! Losses as a Gaussian process likes them: outliers drawn in, the good end stretched, mean 0, variance 1.
//!
//! Source: Song et al. 2024, The Vizier Gaussian process bandit algorithm, appendix B (half-rank and logarithmic
//! warping), <https://arxiv.org/abs/2408.11527>.

use super::normal::quantile;

/// How much the good end is stretched.
const STRETCH: f64 = 1.5;

/// Values for losses, `None` for a failed trial: it counts as the worst. Smaller is better, before and after.
///
/// - Those worse than the median, and than `fair`, become the upper half of a Gaussian that has the others' spread: how bad a
///   bad trial was does not matter, only its rank. Equal losses stay equal.
/// - Then ln(1 + (s - 1) u) / ln s of the place u between best (0) and worst (1).
pub(super) fn warp(losses: &[Option<f64>], fair: f64) -> Vec<f64> {
    let known = || losses.iter().flatten();
    let largest = known().fold(0.0, |a, b| f64::max(a, b.abs()));
    let worst = known().fold(f64::NEG_INFINITY, |a, b| a.max(*b));
    // Losses near the largest float must not overflow below.
    let scale = if largest > 0.0 { largest } else { 1.0 };
    let value =
        |loss: &Option<f64>| loss.unwrap_or(if worst.is_finite() { worst } else { 0.0 }) / scale;
    let mut values: Vec<f64> = losses.iter().map(value).collect();
    draw_in_the_bad(&mut values, fair / scale);
    stretch_the_good(&mut values);
    standardise(&mut values);
    values
}

fn draw_in_the_bad(values: &mut [f64], fair: f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let count = sorted.len() as f64;
    let Some(&median) = sorted.get(sorted.len() / 2) else {
        return;
    };
    let pivot = median.max(fair);
    let under = match pivot > median {
        true => sorted.partition_point(|v| *v <= pivot) as f64 / count,
        false => 0.5,
    };
    let better = sorted.iter().filter(|v| **v < pivot);
    let squares: Vec<f64> = better.map(|v| (v - pivot) * (v - pivot)).collect();
    let spread = if squares.is_empty() {
        1.0
    } else {
        libm::sqrt(squares.iter().sum::<f64>() / squares.len() as f64)
    };
    for value in values.iter_mut().filter(|v| **v > pivot) {
        let below = sorted.partition_point(|v| v < value);
        let upto = sorted.partition_point(|v| v <= value);
        let share = (below + upto) as f64 / 2.0 / count; // the middle of its equals
        let share = 0.5 + 0.5 * (share - under) / (1.0 - under);
        *value = pivot + spread * quantile(share.clamp(0.5, 1.0 - 0.25 / count));
    }
}

fn stretch_the_good(values: &mut [f64]) {
    let best = values.iter().fold(f64::INFINITY, |a, b| a.min(*b));
    let worst = values.iter().fold(f64::NEG_INFINITY, |a, b| a.max(*b));
    if worst > best {
        for value in values.iter_mut() {
            let place = (*value - best) / (worst - best);
            *value = libm::log1p(place * (STRETCH - 1.0)) / libm::log(STRETCH);
        }
    }
}

fn standardise(values: &mut [f64]) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / count;
    let deviation = if variance > 1e-300 {
        libm::sqrt(variance)
    } else {
        1.0
    };
    for value in values.iter_mut() {
        *value = (*value - mean) / deviation;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The warped values keep the order of `losses`, have mean 0 and, unless all are equal, variance 1.
    #[track_caller]
    fn check_fair(losses: &[Option<f64>], fair: f64) -> Vec<f64> {
        let values = warp(losses, fair);
        let loss = |i: usize| losses[i].unwrap_or(f64::INFINITY);
        let worst = losses
            .iter()
            .flatten()
            .fold(f64::NEG_INFINITY, |a, b| a.max(*b));
        for i in 0..losses.len() {
            assert!(values[i].is_finite(), "{losses:?} {values:?}");
            for j in 0..losses.len() {
                let (a, b) = (loss(i).min(worst), loss(j).min(worst));
                if a < b {
                    assert!(values[i] <= values[j], "{losses:?} {values:?}");
                } else if a == b {
                    assert_eq!(values[i], values[j]);
                }
            }
        }
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        assert!(mean.abs() < 1e-9, "{mean}");
        values
    }

    fn check(losses: &[Option<f64>]) -> Vec<f64> {
        check_fair(losses, f64::NEG_INFINITY)
    }

    #[test]
    fn what_is_fair_is_not_drawn_in() {
        let losses = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 100.0].map(Some);
        let apart = |values: &[f64]| (values[6] - values[4]) / (values[2] - values[0]);
        assert!(apart(&check(&losses)) < 0.4);
        let values = check_fair(&losses, 6.0);
        assert!((0.7..1.0).contains(&apart(&values)), "{values:?}");
        assert!(values[7] - values[6] < values[6] - values[0], "{values:?}");
        assert_eq!(check_fair(&losses, -3.0), check(&losses));
        check_fair(&losses, 1e300);
    }

    #[test]
    fn order_is_kept_and_outliers_are_drawn_in() {
        let values = check(&[Some(1.0), Some(2.0), Some(3.0), Some(4.0), Some(1e6), None]);
        assert!(values[5] - values[3] < 2.5, "{values:?}");
        check(&[Some(1e308), Some(-1e308), Some(0.0), None]);
        check(&[Some(5e-324), Some(0.0)]);
        check(&[None, None]);
        check(&[Some(0.0)]);
        assert_eq!(check(&[Some(2.0); 5]), [0.0; 5]);
        check(&[Some(1.0), Some(1.0), Some(1.0), Some(2.0), Some(7.0)]);
    }
}
