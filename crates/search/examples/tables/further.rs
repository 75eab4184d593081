//! Families to check choices on that were made on the others.

use super::families::{Family, axes, place, square, weights};
use super::{SplitMix, Task, table};

pub const FURTHER: [Family; 3] = [averaged, ladder, kinds];

/// Mean accuracy of few folds on a small set: many ties at the top, a smooth function below; parameters interact in a product.
fn averaged(random: &mut SplitMix) -> Task {
    let axes = axes(random, (5, 4..11), (0, 2..3));
    let w = weights(random, 5);
    let centre: Vec<f64> = (0..5).map(|_| random.between(-0.2, 1.2)).collect();
    let tilt: Vec<f64> = (0..5).map(|_| random.between(-0.8, 0.8)).collect();
    let steep = random.between(1.0, 6.0);
    let noise = (random.between(0.01, 0.05), random.between(0.002, 0.02));
    let form = axes.clone();
    let value = move |at: &[usize]| {
        let off = |d: usize| {
            place(&form, at, d) - centre[d] - tilt[d] * (place(&form, at, (d + 2) % 5) - 0.5)
        };
        let sum: f64 = (0..5).map(|d| w[d] * square(off(d))).sum();
        1.0 - libm::exp(-steep * sum / w.iter().sum::<f64>())
    };
    table("averaged", &axes, value, noise, random)
}

/// Layers' widths and kinds as in a search of architectures: log-like returns, a budget beyond which it gets worse, kinds that agree or not.
fn ladder(random: &mut SplitMix) -> Task {
    let axes = axes(random, (4, 4..8), (3, 2..4));
    let returns: Vec<f64> = (0..4).map(|_| random.between(0.2, 2.0)).collect();
    let budget = random.between(0.3, 0.7);
    let over = random.between(0.5, 4.0);
    let fits: Vec<f64> = (0..3 * 4 * 4).map(|_| random.normal()).collect();
    let shift: Vec<f64> = (0..12).map(|_| random.between(-0.15, 0.15)).collect();
    let strength = random.between(0.05, 0.3);
    let noise = (random.between(0.01, 0.08), 0.0);
    let form = axes.clone();
    let value = move |at: &[usize]| {
        let x = |d: usize| place(&form, at, d);
        let gain: f64 = (0..4).map(|d| returns[d] * libm::log1p(4.0 * x(d))).sum();
        let cost: f64 = (0..4).map(&x).sum::<f64>() / 4.0
            + (4..7).map(|d| shift[(d - 4) * 4 + at[d]]).sum::<f64>();
        let kinds: f64 = (0..3)
            .map(|i| fits[i * 16 + at[4 + i] * 4 + at[4 + (i + 1) % 3]])
            .sum();
        over * (cost - budget).max(0.0) * 4.0 - gain - strength * kinds
            + 0.1 * strength * x(0) * fits[at[4]]
    };
    table("ladder", &axes, value, noise, random)
}

/// Categories of which some are alike, times a smooth bowl whose place differs by category.
fn kinds(random: &mut SplitMix) -> Task {
    let axes = axes(random, (3, 6..12), (2, 3..6));
    let centre: Vec<f64> = (0..3 * 7).map(|_| random.unit()).collect();
    let own: Vec<f64> = (0..14).map(|_| 0.3 * random.normal()).collect();
    let group: Vec<usize> = (0..7).map(|_| random.count(0, 1)).collect();
    let w = weights(random, 3);
    let noise = (random.between(0.02, 0.1), 0.0);
    let form = axes.clone();
    let value = move |at: &[usize]| {
        let g = group[at[3]];
        let off = |d: usize| {
            w[d] * square(
                place(&form, at, d) - 0.7 * centre[d * 7 + g] - 0.3 * centre[d * 7 + at[3]],
            )
        };
        libm::log1p(
            (0..3).map(off).sum::<f64>() * (1.0 + g as f64)
                + square(own[at[3]])
                + own[7 + at[4]].abs() * (0.5 + place(&form, at, 0)),
        )
    };
    table("kinds", &axes, value, noise, random)
}
