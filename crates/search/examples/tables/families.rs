//! Families of tables; an instance is drawn from its number.

use std::ops::Range;

use super::{SplitMix, Task, table};

/// The instance of that number.
pub type Family = fn(&mut SplitMix) -> Task;

pub const TUNED: [Family; 6] = [network, plateau, mixed, cell, hills, many];
pub const UNSEEN: [Family; 6] = [forest, ridge, field, epistasis, boosting, rough];

pub fn tasks(families: &[Family], instances: Range<u64>) -> Vec<Task> {
    let drawn = families.iter().enumerate().flat_map(|(i, family)| {
        let seed = move |instance| 1_000 * instance + i as u64;
        instances
            .clone()
            .map(move |instance| family(&mut SplitMix(seed(instance))))
    });
    drawn.collect()
}

pub type Axes = Vec<(usize, bool)>;

/// Ordered parameters and categories with as many values, of 2^10 to 10^5 points.
pub fn axes(
    random: &mut SplitMix,
    ordered: (usize, Range<usize>),
    categories: (usize, Range<usize>),
) -> Axes {
    loop {
        let mut axes = Axes::new();
        for (is_ordered, (count, sizes)) in [(true, &ordered), (false, &categories)] {
            for _ in 0..*count {
                axes.push((random.count(sizes.start, sizes.end), is_ordered));
            }
        }
        let size: usize = axes.iter().map(|(count, _)| count).product();
        if (1 << 10..100_000).contains(&size) {
            return axes;
        }
    }
}

/// The place of a value in [0, 1].
pub fn place(axes: &Axes, at: &[usize], d: usize) -> f64 {
    at[d] as f64 / (axes[d].0 - 1) as f64
}

/// How much each of so many parameters matters: most of them little.
pub fn weights(random: &mut SplitMix, count: usize) -> Vec<f64> {
    (0..count)
        .map(|_| libm::exp(1.2 * random.normal()))
        .collect()
}

pub fn square(x: f64) -> f64 {
    x * x
}

/// An accuracy's loss: a valley of learning rates that moves with batch size, width and optimiser, a cliff above it.
fn network(random: &mut SplitMix) -> Task {
    let axes = axes(random, (5, 4..11), (2, 2..3));
    let middle = random.between(0.3, 0.6);
    let [by_batch, by_width] = [0.3, 0.3].map(|most| random.between(0.0, most));
    let cliff = (random.between(0.12, 0.3), random.between(0.3, 1.5));
    let w = weights(random, 5);
    let [reg, depth] = [0.7, 0.6].map(|most| random.between(0.1, most));
    let kinds: Vec<[f64; 3]> = (0..16)
        .map(|_| [random.unit() * 0.1, random.unit() * 0.2, random.unit()])
        .collect();
    let noise = (random.between(0.02, 0.1), 0.0);
    let form = axes.clone();
    let value = move |at: &[usize]| {
        let [lr, batch, width, decay, deep] = [0, 1, 2, 3, 4].map(|d| place(&form, at, d));
        let [floor, shift, likes] = kinds[at[5] * 4 + at[6]];
        let off = lr - middle - shift - by_batch * (batch - 0.5) + by_width * (width - 0.5);
        let fallen = if off > cliff.0 { cliff.1 } else { 0.0 };
        floor
            + fallen
            + 2.0 * (1.0 + w[0]) * square(off)
            + 0.1 * w[1] * square(1.0 - width)
            + 0.1 * w[2] * square(decay - reg * (0.5 + width))
            + 0.1 * w[3] * square(deep - depth) * (0.5 + likes * width)
            + 0.03 * w[4] * batch
    };
    table("network", &axes, value, noise, random)
}

/// Bowls with an interaction, cut off near the bottom: many are as good as the best, or nearly.
fn plateau(random: &mut SplitMix) -> Task {
    let axes = axes(random, (5, 3..11), (0, 2..3));
    let w = weights(random, 5);
    let centre: Vec<f64> = (0..5).map(|_| random.unit()).collect();
    let lean: Vec<f64> = (0..5).map(|_| random.between(-0.5, 0.5)).collect();
    let floor = random.between(0.0, 0.02) * w.iter().sum::<f64>();
    let noise = (random.between(0.02, 0.1), random.between(0.01, 0.05));
    let form = axes.clone();
    let value = move |at: &[usize]| {
        let off = |d: usize| place(&form, at, d) - centre[d];
        let bowl = |d: usize| w[d] * square(off(d) - lean[d] * off((d + 1) % 5));
        (0..5).map(bowl).sum::<f64>().max(floor)
    };
    table("plateau", &axes, value, noise, random)
}

/// Two parameters, how much they matter together, and a curve of each.
type Pair = (usize, usize, f64, Vec<f64>, Vec<f64>);

/// Each parameter by itself, and pairs: waves along ordered ones, values at random for categories.
fn mixed(random: &mut SplitMix) -> Task {
    let axes = axes(random, (4, 4..9), (3, 2..4));
    let count = axes.len();
    let w = weights(random, count);
    let curve = |random: &mut SplitMix, (count, ordered): (usize, bool)| -> Vec<f64> {
        let (pace, phase) = (random.between(0.5, 4.0), random.between(0.0, 6.3));
        let wave = |i: usize| libm::cos(pace * i as f64 / (count - 1) as f64 + phase);
        (0..count)
            .map(|i| if ordered { wave(i) } else { random.normal() })
            .collect()
    };
    let alone: Vec<Vec<f64>> = axes.iter().map(|axis| curve(random, *axis)).collect();
    let pairs: Vec<Pair> = (0..6)
        .map(|_| {
            let a = random.count(0, count - 2);
            let b = random.count(a + 1, count - 1);
            let share = 0.7 * libm::sqrt(w[a] * w[b]) * random.normal();
            (a, b, share, curve(random, axes[a]), curve(random, axes[b]))
        })
        .collect();
    let noise = (random.between(0.01, 0.06), 0.0);
    let value = move |at: &[usize]| {
        let alone = (0..count).map(|d| w[d] * alone[d][at[d]]).sum::<f64>();
        let together = pairs
            .iter()
            .map(|(a, b, share, x, y)| share * x[at[*a]] * y[at[*b]]);
        alone + together.sum::<f64>()
    };
    table("mixed", &axes, value, noise, random)
}

/// Operations on the edges of a cell: categories alone, values that spoil all, a heavy tail.
fn cell(random: &mut SplitMix) -> Task {
    let axes = axes(random, (0, 2..3), (6, 3..6));
    let w: Vec<f64> = (0..6).map(|_| random.between(0.3, 1.0)).collect();
    let alone: Vec<f64> = (0..36).map(|_| random.normal()).collect();
    let pairs: Vec<f64> = (0..36 * 36).map(|_| random.normal()).collect();
    let spoils = [random.count(0, 2), random.count(3, 5)];
    let noise = (random.between(0.01, 0.05), 0.0);
    let value = move |at: &[usize]| {
        let mut sum = 0.0;
        for a in 0..6 {
            sum += w[a] * alone[a * 6 + at[a]];
            for b in 0..a {
                let place = (a * 6 + at[a]) * 36 + b * 6 + at[b];
                sum += 0.25 * (w[a] * w[b]) * pairs[place];
            }
        }
        let spoilt = spoils.iter().filter(|d| at[**d] == 0).count() as f64;
        libm::exp(0.7 * sum) + 2.0 * spoilt
    };
    table("cell", &axes, value, noise, random)
}

/// Wells of different depths.
fn hills(random: &mut SplitMix) -> Task {
    let axes = axes(random, (4, 7..13), (1, 2..3));
    let wells: Vec<(f64, Vec<f64>, Vec<f64>)> = (0..5)
        .map(|_| {
            let centre = (0..4).map(|_| random.unit()).collect();
            (random.between(0.0, 0.5), centre, weights(random, 5))
        })
        .collect();
    let noise = (random.between(0.01, 0.05), 0.0);
    let form = axes.clone();
    let value = move |at: &[usize]| {
        let well = |(i, (depth, centre, w)): (usize, &(f64, Vec<f64>, Vec<f64>))| {
            let off = |d: usize| 2.0 * w[d] * square(place(&form, at, d) - centre[d]);
            let kind = if at[4] == i % 2 { 0.0 } else { 0.1 * w[4] };
            depth + (0..4).map(off).sum::<f64>() + kind
        };
        let all = wells.iter().enumerate().map(well);
        libm::log1p(all.fold(f64::INFINITY, f64::min))
    };
    table("hills", &axes, value, noise, random)
}

/// Many parameters of few values, each of which matters less than the one before; losses over decades.
fn many(random: &mut SplitMix) -> Task {
    let axes = axes(random, (6, 3..6), (4, 2..2));
    let decay = random.between(0.6, 0.85);
    let centre: Vec<f64> = (0..10).map(|_| random.unit()).collect();
    let mut order: Vec<usize> = (0..10).collect();
    order.sort_by_key(|_| random.count(0, 1_000_000));
    let lean: Vec<f64> = (0..10).map(|_| 0.5 * random.normal()).collect();
    let noise = (random.between(0.005, 0.02), 0.0);
    let form = axes.clone();
    let value = move |at: &[usize]| {
        let off = |d: usize| place(&form, at, d) - centre[d];
        let mut sum = 0.0;
        for (i, &d) in order.iter().enumerate() {
            let other = off(order[(i + 1) % 10]);
            sum += libm::pow(decay, i as f64) * square(2.0 * off(d) - lean[d] * other);
        }
        libm::exp(1.5 * sum)
    };
    table("many", &axes, value, noise, random)
}

/// A sum of trees: constant in boxes.
fn forest(random: &mut SplitMix) -> Task {
    let axes = axes(random, (4, 5..10), (2, 2..5));
    let (trees, levels) = (25, 4);
    let mut splits = Vec::new();
    for tree in 0..trees {
        for _ in 0..1 << levels {
            let d = random.count(0, 5);
            let at = random.count(0, axes[d].0 - 1);
            let scale = libm::pow(0.93, f64::from(tree));
            splits.push((d, at, scale * random.normal()));
        }
    }
    let noise = (random.between(0.01, 0.06), random.between(0.0, 0.02));
    let form = axes.clone();
    let value = move |at: &[usize]| {
        let tree = |tree: usize| {
            let all = &splits[tree << levels..(tree + 1) << levels];
            let mut node = 1;
            for _ in 0..levels {
                let (d, cut, _) = all[node];
                let right = if form[d].1 { at[d] > cut } else { at[d] == cut };
                node = 2 * node + usize::from(right);
            }
            all[node - (1 << levels)].2
        };
        (0..trees as usize).map(tree).sum()
    };
    table("forest", &axes, value, noise, random)
}

/// A narrow valley across two parameters, a cliff at one side of it, two more that matter less.
fn ridge(random: &mut SplitMix) -> Task {
    let axes = axes(random, (4, 9..18), (0, 2..3));
    let (slope, start) = (random.between(-1.2, -0.5), random.between(0.8, 1.2));
    let (steep, along) = (random.between(5.0, 30.0), random.between(0.2, 0.8));
    let w = weights(random, 3);
    let centre: Vec<f64> = (0..4).map(|_| random.unit()).collect();
    let noise = (random.between(0.01, 0.06), 0.0);
    let form = axes.clone();
    let value = move |at: &[usize]| {
        let [x, y, u, v] = [0, 1, 2, 3].map(|d| place(&form, at, d));
        let off = y - start - slope * x;
        let fallen = if off > 0.15 { 3.0 } else { 0.0 };
        let others = w[1] * square(u - centre[2]) + w[2] * square(v - centre[3]);
        libm::log1p(steep * square(off) + fallen + w[0] * square(x - along) + 0.3 * others)
    };
    table("ridge", &axes, value, noise, random)
}

/// A draw from a Gaussian field (random Fourier features); categories lie at random places of a line each.
fn field(random: &mut SplitMix) -> Task {
    let axes = axes(random, (4, 5..9), (2, 2..5));
    let places: Vec<f64> = (0..36).map(|_| random.unit()).collect();
    let pace: Vec<f64> = weights(random, 6)
        .iter()
        .map(|w| 2.0 * w.min(2.0))
        .collect();
    let waves: Vec<(Vec<f64>, f64)> = (0..120)
        .map(|_| {
            let paces = pace.iter().map(|p| p * random.normal()).collect();
            (paces, random.between(0.0, 6.3))
        })
        .collect();
    let noise = (random.between(0.01, 0.08), 0.0);
    let form = axes.clone();
    let value = move |at: &[usize]| {
        let x = |d: usize| match form[d].1 {
            true => place(&form, at, d),
            false => places[d * 6 + at[d]],
        };
        let wave = |(paces, phase): &(Vec<f64>, f64)| {
            let along: f64 = paces.iter().enumerate().map(|(d, p)| p * x(d)).sum();
            libm::cos(along + phase)
        };
        waves.iter().map(wave).sum()
    };
    table("field", &axes, value, noise, random)
}

/// What each category does depends on the values of two others (Kauffman's NK landscapes), and a little on itself.
fn epistasis(random: &mut SplitMix) -> Task {
    let axes = axes(random, (0, 2..3), (7, 3..4));
    let all: Vec<f64> = (0..7 * 64).map(|_| random.normal()).collect();
    let own: Vec<f64> = (0..7 * 4).map(|_| random.normal()).collect();
    let noise = (random.between(0.01, 0.05), 0.0);
    let value = move |at: &[usize]| {
        let part = |d: usize| {
            let near = at[d] * 16 + at[(d + 1) % 7] * 4 + at[(d + 3) % 7];
            0.5 * all[d * 64 + near] + own[d * 4 + at[d]]
        };
        (0..7).map(part).sum()
    };
    table("epistasis", &axes, value, noise, random)
}

/// Boosted trees: rate and rounds make up for each other, beyond enough of both it overfits with the depth; the rest hardly
/// matters; accuracies on a small set.
fn boosting(random: &mut SplitMix) -> Task {
    let axes = axes(random, (6, 4..8), (1, 2..2));
    let enough = random.between(0.8, 1.2);
    let over = random.between(0.2, 1.5);
    let w = weights(random, 5);
    let centre: Vec<f64> = (0..6).map(|_| random.unit()).collect();
    let noise = (random.between(0.03, 0.1), random.between(0.01, 0.06));
    let form = axes.clone();
    let value = move |at: &[usize]| {
        let [rate, rounds, depth, rows, columns, leaf] =
            [0, 1, 2, 3, 4, 5].map(|d| place(&form, at, d));
        let learned = rate + rounds - enough;
        let fit = libm::exp(-4.0 * learned);
        let overfit = over * learned.max(0.0) * (0.3 + depth) * (1.0 - 0.5 * leaf);
        let kind = if at[6] == 1 { 0.05 * w[4] } else { 0.0 };
        fit + overfit
            + 0.3 * w[0] * square(depth - centre[2])
            + 0.1 * w[1] * square(rows - centre[3])
            + 0.1 * w[2] * square(columns - centre[4])
            + 0.05 * w[3] * rate
            + kind
    };
    table("boosting", &axes, value, noise, random)
}

/// A bowl under much noise.
fn rough(random: &mut SplitMix) -> Task {
    let axes = axes(random, (5, 4..9), (1, 2..4));
    let w = weights(random, 6);
    let centre: Vec<f64> = (0..6).map(|_| random.unit()).collect();
    let kinds: Vec<f64> = (0..4).map(|_| random.unit()).collect();
    let noise = (random.between(0.1, 0.2), 0.0);
    let form = axes.clone();
    let value = move |at: &[usize]| {
        let off = |d: usize| w[d] * square(place(&form, at, d) - centre[d]);
        libm::sqrt((0..5).map(off).sum::<f64>() + 0.2 * w[5] * kinds[at[5]])
    };
    table("rough", &axes, value, noise, random)
}
