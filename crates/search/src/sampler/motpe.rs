//! TPE for several objectives: which trials are good, and how much each counts. The rest is `tpe`.
//!
//! Good are the first fronts; of the one that does not fit whole, those that together dominate most. Each counts by what it alone
//! dominates.
//!
//! Source: Ozaki et al. 2022, Multiobjective tree-structured Parzen estimator, sections 4.2 and 4.3,
//! <https://doi.org/10.1613/jair.1.13188>; the subset greedily, Bader and Zitzler 2011, HypE, section 3.1.

use super::Known;
use super::history::Told;
use super::several::{Member, Several, most_apart};
use crate::OBJECTIVES_MAX;
use crate::volume::{Losses, volume};

/// The share of the trials that are good, as in the paper.
pub(super) const GOOD_SHARE: f64 = 0.1;
/// The most trials of a front that are looked at for those that dominate most, the least crowded.
const CANDIDATES_MAX: usize = 100;
/// The reference stands so far beyond the worst good trial, as a share of their range.
const MARGIN: f64 = 0.1;
/// No good trial counts less than this beside a mean of 1: what is dominated by equals is good all the same.
const WEIGHT_MIN: f64 = 0.1;

/// At most `count` good trials, and how much each counts, with a mean of 1.
pub(super) fn good<'a>(known: &Known<'a>, count: usize) -> (Vec<Told<'a>>, Vec<f64>) {
    let sorted = Several::sorted(known, count);
    let mut good: Vec<Member<'a>> = Vec::new();
    for front in sorted.fronts {
        let room = count - good.len();
        if front.len() <= room {
            good.extend(front);
        } else {
            let front = least_crowded(front);
            let losses: Vec<Losses> = front.iter().map(|member| member.losses).collect();
            let chosen = most_dominating(&scaled(&losses), room);
            good.extend(chosen.into_iter().map(|i| front[i]));
        }
    }
    let losses: Vec<Losses> = good.iter().map(|member| member.losses).collect();
    let mut weights = weights(&scaled(&losses));
    let mut told: Vec<Told<'a>> = good.into_iter().map(|member| member.told).collect();
    told.extend(sorted.broken);
    weights.resize(told.len(), 1.0);
    (told, weights)
}

fn least_crowded(front: Vec<Member<'_>>) -> Vec<Member<'_>> {
    if front.len() <= CANDIDATES_MAX {
        return front;
    }
    let losses: Vec<Losses> = front.iter().map(|member| member.losses).collect();
    let apart = most_apart(&losses).into_iter().take(CANDIDATES_MAX);
    apart.map(|i| front[i]).collect()
}

/// The same with each objective from 0 to 1, where it has a range.
fn scaled(losses: &[Losses]) -> Vec<Losses> {
    let mut scaled = losses.to_vec();
    for objective in 0..OBJECTIVES_MAX {
        // Halves, so that no difference overflows.
        let half = |losses: &Losses| losses[objective] / 2.0;
        let low = losses.iter().map(half).fold(f64::INFINITY, f64::min);
        let high = losses.iter().map(half).fold(f64::NEG_INFINITY, f64::max);
        for point in &mut scaled {
            point[objective] = match high - low {
                range if range > 0.0 => (half(point) - low) / range,
                _ => 0.0,
            };
        }
    }
    scaled
}

const REFERENCE: Losses = [1.0 + MARGIN; OBJECTIVES_MAX];

/// The places of so many points: each time the one that adds most to what is dominated, the first of equals. What a
/// point adds only falls as others are taken, so most need not be looked at again.
fn most_dominating(points: &[Losses], count: usize) -> Vec<usize> {
    let mut chosen: Vec<usize> = Vec::new();
    let mut taken: Vec<Losses> = Vec::new();
    let mut dominated = 0.0;
    // What each added when last looked at, and after how many were taken.
    let alone = points
        .iter()
        .map(|point| (volume(&[*point], &REFERENCE), 0));
    let mut gains: Vec<(f64, usize)> = alone.collect();
    while chosen.len() < count.min(points.len()) {
        let others = (0..points.len()).filter(|i| !chosen.contains(i));
        let best = others.reduce(|best, i| if gains[i].0 > gains[best].0 { i } else { best });
        let Some(best) = best else { break };
        if gains[best].1 < taken.len() {
            taken.push(points[best]);
            let gain = volume(&taken, &REFERENCE) - dominated;
            taken.pop();
            gains[best] = (gain.min(gains[best].0), taken.len());
        } else {
            chosen.push(best);
            taken.push(points[best]);
            dominated = volume(&taken, &REFERENCE);
        }
    }
    chosen
}

/// By what each point alone dominates.
fn weights(points: &[Losses]) -> Vec<f64> {
    let all = volume(points, &REFERENCE);
    let alone = (0..points.len()).map(|i| {
        let others = [&points[..i], &points[i + 1..]].concat();
        (all - volume(&others, &REFERENCE)).max(0.0)
    });
    let alone: Vec<f64> = alone.collect();
    let mean = alone.iter().sum::<f64>() / alone.len() as f64;
    if mean <= 0.0 {
        return vec![1.0; points.len()];
    }
    let weights = alone.iter().map(|alone| (alone / mean).max(WEIGHT_MIN));
    weights.collect()
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::RngCore;

    use super::*;
    use crate::sampler::random::stream;
    use crate::space::unit;

    #[track_caller]
    fn check(points: &[Losses], count: usize, expected: &[usize]) {
        assert_eq!(most_dominating(points, count), expected, "{points:?}");
    }

    #[test]
    fn points_that_dominate_most_together() {
        let points = [
            [0.0, 1.0, 0.0],
            [0.1, 0.9, 0.0],
            [0.4, 0.4, 0.0],
            [1.0, 0.0, 0.0],
        ];
        check(&points, 0, &[]);
        check(&points, 1, &[2]);
        check(&points, 9, &[2, 1, 3, 0]);
        check(&[[0.5; 3]; 3], 2, &[0, 1]);
    }

    /// Looking only where the bound says so changes nothing.
    #[test]
    fn it_is_the_greedy_choice() {
        let mut stream = stream(b"test:test:test:1", 3, 0);
        for case in 0..40 {
            let mut point = |_| {
                let mut point = [0.0; OBJECTIVES_MAX];
                point[..1 + case % 2].fill_with(|| unit(stream.next_u64()));
                // None dominates another.
                point[1 + case % 2] = 1.0 - point.iter().sum::<f64>() / 2.0;
                point
            };
            let points: Vec<Losses> = (0..20).map(&mut point).collect();
            let (mut chosen, mut taken): (Vec<usize>, Vec<Losses>) = (vec![], vec![]);
            for _ in 0..8 {
                let with = |i: usize| volume(&[&taken[..], &[points[i]]].concat(), &REFERENCE);
                let others = (0..points.len()).filter(|i| !chosen.contains(i));
                let best = others.reduce(|a, b| if with(b) > with(a) + 1e-12 { b } else { a });
                chosen.extend(best);
                taken = chosen.iter().map(|i| points[*i]).collect();
            }
            check(&points, 8, &chosen);
        }
    }

    #[test]
    fn each_counts_by_what_it_alone_dominates() {
        // Alone: 0.1 x 0.6, 0.6 x 0.6 and 0.6 x 0.1.
        let points = [[0.0, 1.0, 0.0], [0.4, 0.4, 0.0], [1.0, 0.0, 0.0]];
        let found = weights(&points);
        let sum = 0.1 * 0.4 + 0.6 * 0.6 + 0.4 * 0.1;
        let expected = [0.04 * 3.0 / sum, 0.36 * 3.0 / sum, 0.04 * 3.0 / sum];
        let near = found.iter().zip(expected);
        assert!(
            near.clone().all(|(a, b)| (a - b).abs() < 1e-9),
            "{found:?} {expected:?}"
        );
        assert_eq!(weights(&[[0.5; 3], [0.5; 3]]), [1.0, 1.0]);
        assert_eq!(weights(&[]), [0.0; 0]);
    }

    #[test]
    fn objectives_are_scaled_by_their_range() {
        let huge = [[-1e308, 5.0, 0.0], [1e308, 5.0, 0.0], [0.0, 5.0, 0.0]];
        assert_eq!(
            scaled(&huge),
            [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.5, 0.0, 0.0]]
        );
    }
}
