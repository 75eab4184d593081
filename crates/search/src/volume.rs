//! Hypervolume: how much of the space of objectives a set of points dominates.

use std::cmp::Ordering;

use crate::{Goal, OBJECTIVES_MAX};

/// A point in losses, smaller is better; 0 for objectives that there are not.
pub(crate) type Losses = [f64; OBJECTIVES_MAX];

/// The volume that points dominate up to a reference, in the units of the objectives' product; exact but for rounding.
///
/// - `values[i]`: point i, a value a goal; 1 to [`OBJECTIVES_MAX`] goals. Points that are not better than the reference in
///   every objective add nothing, and those with a value that is not finite, or of another length, neither.
/// - 0 where the reference is of another length.
///
/// Source: Beume et al. 2009, On the complexity of computing the hypervolume indicator, section 3 (a sweep over a staircase),
/// <https://doi.org/10.1109/TEVC.2009.2015575>.
pub fn hypervolume(goals: &[Goal], values: &[&[f64]], reference: &[f64]) -> f64 {
    if goals.is_empty() {
        return 0.0;
    }
    let Some(reference) = losses(goals, reference, 1.0) else {
        return 0.0;
    };
    let points = values
        .iter()
        .filter_map(|values| losses(goals, values, 0.0));
    let points: Vec<Losses> = points
        .filter(|point| point.iter().all(|x| x.is_finite()))
        .collect();
    volume(&points, &reference)
}

/// `None` for values of another number.
pub(crate) fn losses(goals: &[Goal], values: &[f64], others: f64) -> Option<Losses> {
    if values.len() != goals.len() || goals.len() > OBJECTIVES_MAX {
        return None;
    }
    let mut losses = [others; OBJECTIVES_MAX];
    for ((loss, goal), value) in losses.iter_mut().zip(goals).zip(values) {
        *loss = goal.loss(*value) + 0.0; // -0.0 + 0.0 is 0.0
    }
    Some(losses)
}

/// The volume that finite points dominate up to a reference, which is 1 in objectives that there are not.
pub(crate) fn volume(points: &[Losses], reference: &Losses) -> f64 {
    let is_inside = |point: &&Losses| point.iter().zip(reference).all(|(x, end)| x < end);
    let mut inside: Vec<Losses> = points.iter().filter(is_inside).copied().collect();
    inside.sort_unstable_by(by_last);
    let mut stairs = Stairs::up_to(reference[0], reference[1]);
    let (mut sum, mut area, mut from) = (0.0, 0.0, reference[2]);
    for [x, y, z] in inside {
        if area > 0.0 {
            sum += area * (z - from);
        }
        area += stairs.insert(x, y);
        from = z;
    }
    if area > 0.0 {
        sum += area * (reference[2] - from);
    }
    sum
}

/// By the last objective, then by the others: an order of all finite points.
pub(crate) fn by_last(a: &Losses, b: &Losses) -> Ordering {
    let pairs = a.iter().zip(b).rev();
    pairs.fold(Ordering::Equal, |order, (a, b)| order.then(a.total_cmp(b)))
}

/// The area that points in the plane dominate, as a staircase down to the right.
#[derive(Clone, Debug)]
struct Stairs {
    /// `x` ascends, `y` descends.
    steps: Vec<(f64, f64)>,
    right: f64,
    top: f64,
}

impl Stairs {
    fn up_to(right: f64, top: f64) -> Stairs {
        Stairs {
            steps: Vec::new(),
            right,
            top,
        }
    }

    /// What a point left of `right` and below `top` adds to the area.
    fn insert(&mut self, x: f64, y: f64) -> f64 {
        let next = self.steps.partition_point(|step| step.0 <= x);
        let mut top = match next.checked_sub(1) {
            Some(before) => self.steps[before].1,
            None => self.top,
        };
        if top <= y {
            return 0.0;
        }
        let first = match next.checked_sub(1) {
            Some(before) if self.steps[before].0 == x => before,
            _ => next,
        };
        let (mut gain, mut left, mut end) = (0.0, x, next);
        loop {
            let step = self.steps.get(end).copied();
            let right = step.map_or(self.right, |step| step.0);
            gain += (right - left) * (top - y);
            match step {
                Some(step) if step.1 >= y => (left, top) = step,
                _ => break,
            }
            end += 1;
        }
        self.steps.splice(first..end, [(x, y)]);
        gain
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Goal::{Maximize, Minimize};

    #[track_caller]
    fn check(goals: &[Goal], points: &[&[f64]], reference: &[f64], expected: f64) {
        let found = hypervolume(goals, points, reference);
        let error = (found - expected).abs() / expected.abs().max(1.0);
        assert!(error < 1e-12, "{points:?}: {found} {expected}");
        let backwards: Vec<&[f64]> = points.iter().rev().copied().collect();
        let again = hypervolume(goals, &backwards, reference);
        assert_eq!(found, again, "in another order");
    }

    #[test]
    fn by_hand() {
        check(&[Minimize], &[&[2.0], &[1.0], &[9.0]], &[5.0], 4.0);
        let both = [Minimize, Minimize];
        check(&both, &[], &[1.0, 1.0], 0.0);
        check(&both, &[&[1.0, 2.0]], &[3.0, 3.0], 2.0);
        check(
            &both,
            &[&[1.0, 2.0], &[2.0, 1.0], &[2.5, 2.5], &[2.0, 2.0]],
            &[3.0, 3.0],
            3.0,
        );
        check(
            &[Maximize, Minimize],
            &[&[2.0, 2.0], &[1.0, 1.0]],
            &[0.0, 3.0],
            3.0,
        );
        let all = [Minimize; 3];
        check(&all, &[&[0.0, 0.0, 0.0]], &[2.0, 3.0, 4.0], 24.0);
        // Two unit cubes' worth each, one shared.
        check(
            &all,
            &[&[0.0, 1.0, 1.0], &[1.0, 0.0, 1.0], &[1.0, 1.0, 0.0]],
            &[2.0, 2.0, 2.0],
            4.0,
        );
        check(
            &all,
            &[
                &[1.0, 2.0, 3.0],
                &[3.0, 2.0, 1.0],
                &[2.0, 1.0, 2.0],
                &[2.0, 2.0, 2.0],
            ],
            &[4.0, 4.0, 4.0],
            16.0,
        );
    }

    #[test]
    fn points_that_are_not_better_add_nothing() {
        let both = [Minimize, Minimize];
        check(
            &both,
            &[&[0.0, 3.0], &[3.0, 0.0], &[5.0, -5.0]],
            &[3.0, 3.0],
            0.0,
        );
        let strange: [&[f64]; 4] = [
            &[f64::NAN, 0.0],
            &[f64::NEG_INFINITY, 0.0],
            &[0.0],
            &[2.0, 2.0],
        ];
        check(&both, &strange, &[3.0, 3.0], 1.0);
        assert_eq!(hypervolume(&both, &[&[0.0, 0.0]], &[1.0]), 0.0);
        assert_eq!(hypervolume(&both, &[&[0.0, 0.0]], &[1.0, f64::NAN]), 0.0);
        assert_eq!(hypervolume(&[], &[&[]], &[]), 0.0);
    }
}
