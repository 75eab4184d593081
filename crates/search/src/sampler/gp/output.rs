//! Losses as a Gaussian process likes them: outliers drawn in, the good end stretched, mean 0, variance 1.
//!
//! Source: Song et al. 2024, The Vizier Gaussian process bandit algorithm, appendix B (half-rank and logarithmic
//! warping), <https://arxiv.org/abs/2408.11527>.

use super::normal::quantile;

/// How much the good end is stretched.
const STRETCH: f64 = 1.5;

/// Values for losses, `None` for a failed trial: it counts as the worst. Smaller is better, before and after.
///
/// - The half worse than the median becomes the upper half of a Gaussian that has the other half's spread: how bad a
///   bad trial was does not matter, only its rank. Equal losses stay equal.
/// - Then ln(1 + (s - 1) u) / ln s of the place u between best (0) and worst (1).
pub(super) fn warp(losses: &[Option<f64>]) -> Vec<f64> {
    let (mut values, _) = scaled(losses);
    let median = median(&values);
    draw_in_the_bad(&mut values, median);
    stretch_the_good(&mut values);
    standardise(&mut values);
    values
}

/// As [`warp`], for one of several objectives: losses stay as they are, since the front is about how much of one is worth how
/// much of another. Only where one is worse than the median, and than `fair`, and further off than it would be by its rank, that
/// counts.
pub(super) fn tame(losses: &[Option<f64>], fair: f64) -> Vec<f64> {
    let (mut values, scale) = scaled(losses);
    let pivot = median(&values).max(fair / scale);
    let mut drawn = values.clone();
    draw_in_the_bad(&mut drawn, pivot);
    for (value, drawn) in values.iter_mut().zip(drawn) {
        *value = value.min(drawn);
    }
    standardise(&mut values);
    values
}

/// Losses over their largest size, and that: near the largest float they must not overflow. A failed trial has the worst.
fn scaled(losses: &[Option<f64>]) -> (Vec<f64>, f64) {
    let known = || losses.iter().flatten();
    let largest = known().fold(0.0, |a, b| f64::max(a, b.abs()));
    let worst = known().fold(f64::NEG_INFINITY, |a, b| a.max(*b));
    let scale = if largest > 0.0 { largest } else { 1.0 };
    let value =
        |loss: &Option<f64>| loss.unwrap_or(if worst.is_finite() { worst } else { 0.0 }) / scale;
    (losses.iter().map(value).collect(), scale)
}

/// 0 of nothing.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

/// Those worse than `pivot`, which is the median or worse, become the upper half of a Gaussian with the spread of the others.
fn draw_in_the_bad(values: &mut [f64], pivot: f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let count = sorted.len() as f64;
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

/// To mean 0 and variance 1. Gives the mean and the deviation of before.
pub(super) fn standardise(values: &mut [f64]) -> (f64, f64) {
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
    (mean, deviation)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The warped values keep the order of `losses`, have mean 0 and, unless all are equal, variance 1.
    #[track_caller]
    fn check(losses: &[Option<f64>]) -> Vec<f64> {
        let values = warp(losses);
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

    #[track_caller]
    fn check_tame(losses: &[f64], fair: f64) -> Vec<f64> {
        let told: Vec<Option<f64>> = losses.iter().copied().map(Some).collect();
        let values = tame(&told, fair);
        for (i, a) in losses.iter().enumerate() {
            assert!(values[i].is_finite(), "{losses:?} {values:?}");
            for (j, b) in losses.iter().enumerate() {
                assert!(a > b || values[i] <= values[j], "{losses:?} {values:?}");
            }
        }
        values
    }

    #[test]
    fn of_several_objectives_outliers_alone_are_drawn_in() {
        let losses = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 1e9];
        let values = check_tame(&losses, 3.0);
        let step = values[1] - values[0];
        let even = values[..7]
            .windows(2)
            .all(|pair| (pair[1] - pair[0] - step).abs() < 1e-6);
        assert!(even && values[7] - values[6] < 4.0 * step, "{values:?}");
        let straight = check_tame(&losses[..7], 3.0);
        let step = straight[1] - straight[0];
        let near = |pair: &[f64]| (0.7..1.4).contains(&((pair[1] - pair[0]) / step));
        assert!(straight.windows(2).all(near), "{straight:?}");
        check_tame(&losses, 1e300);
        check_tame(&losses, f64::NEG_INFINITY);
        check_tame(&[1e308, -1e308, 0.0, 1e-300], 0.0);
        check_tame(&[2.0; 5], 2.0);
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
