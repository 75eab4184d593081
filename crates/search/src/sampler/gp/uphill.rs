//! Steps uphill by the signs of slopes, each coordinate with a length of its own.
//!
//! Source: Igel and Huesken 2003, Empirical evaluation of the improved Rprop learning algorithms (iRprop-).

/// What a step grows by while the slope keeps its sign, and shrinks by where that turns.
const GROWTH: f64 = 1.2;
const SHRINK: f64 = 0.5;

/// The lengths of the next steps.
#[derive(Clone, Debug)]
pub(super) struct Steps {
    lengths: Vec<f64>,
    before: Vec<f64>,
    min: f64,
    max: f64,
}

impl Steps {
    pub(super) fn new(count: usize, first: f64, min: f64, max: f64) -> Steps {
        Steps {
            lengths: vec![first; count],
            before: vec![0.0; count],
            min,
            max,
        }
    }

    /// How far each coordinate goes from a place with these slopes; 0 where the slope is, turned, or is no number.
    pub(super) fn next(&mut self, mut slopes: Vec<f64>) -> Vec<f64> {
        let mut moves = Vec::with_capacity(slopes.len());
        for (i, slope) in slopes.iter_mut().enumerate() {
            let turn = *slope * self.before[i];
            if turn > 0.0 {
                self.lengths[i] = f64::min(self.lengths[i] * GROWTH, self.max);
            } else if turn < 0.0 {
                self.lengths[i] = f64::max(self.lengths[i] * SHRINK, self.min);
                *slope = 0.0; // stay, and go on from here
            }
            let sign = f64::from(i8::from(*slope > 0.0) - i8::from(*slope < 0.0));
            moves.push(sign * self.lengths[i]);
        }
        self.before = slopes;
        moves
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_grow_until_the_slope_turns() {
        let mut steps = Steps::new(2, 0.5, 0.1, 0.65);
        assert_eq!(steps.next(vec![3.0, 0.0]), [0.5, 0.0]);
        assert_eq!(steps.next(vec![1.0, -2.0]), [0.6, -0.5]);
        assert_eq!(steps.next(vec![9.0, -1.0]), [0.65, -0.6]);
        // A turn: it stays once, then goes back with half the step.
        assert_eq!(steps.next(vec![-1.0, f64::NAN]), [0.0, 0.0]);
        assert_eq!(steps.next(vec![-1.0, -1.0]), [-0.325, -0.6]);
    }

    #[test]
    fn a_hill_is_climbed() {
        let mut steps = Steps::new(1, 0.5, 1e-6, 2.0);
        let mut x = -7.0;
        for _ in 0..60 {
            x += steps.next(vec![3.0 - x])[0];
        }
        assert!((x - 3.0).abs() < 1e-4, "{x}");
    }
}
