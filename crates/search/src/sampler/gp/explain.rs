//! What the process expects of one point, in the objective's own unit, and the trials that it takes to be most like it.

use super::posterior::Posterior;
use super::{Model, quantile};
use crate::sampler::Known;
use crate::{Expected, Neighbour};

/// Values that stand for the distribution at a point.
const QUANTILES: u32 = 200;
/// The deviations from the middle between which 90 % lie.
const NINETY: f64 = 1.644_853_626_951_472_7;
/// Trials that are named.
const NEIGHBOURS: usize = 3;

/// `None` if the covariance is degenerate, or all values are the same, of which a process says nothing.
pub(in crate::sampler) fn explain(
    known: &Known<'_>,
    model: &Model<'_>,
    point: &[f64],
) -> Option<(Expected, Vec<Neighbour>)> {
    let output = model.outputs.first()?;
    let posterior = Posterior::new(known.axes, &model.points, output, &[], &[])?;
    let (mean, variance) = posterior.predict(point);
    let deviation = libm::sqrt(variance);
    let told = &model.told;
    let losses = told.iter().map(|told| told.loss);
    let scale = Scale::new(output.values.iter().copied().zip(losses));
    let best = scale.best().filter(|_| scale.differs())?;

    let share = |i: u32| (f64::from(i) + 0.5) / f64::from(QUANTILES);
    let losses = (0..QUANTILES).map(|i| scale.loss(mean + deviation * quantile(share(i))));
    let gains: Vec<f64> = losses.map(|loss| (best - loss).max(0.0)).collect();
    let success = model.success.as_ref();
    let chance = success.map_or(1.0, |success| libm::exp(success.log_chance(point)));
    let better = gains.iter().filter(|gain| **gain > 0.0).count();
    // Turning the sign of a loss gives the value, and of a value the loss.
    let value = |at: f64| known.goal.loss(scale.loss(at));
    let ends = [-NINETY, NINETY].map(|by| value(mean + deviation * by));
    let expected = Expected {
        value: value(mean),
        low: ends[0].min(ends[1]),
        high: ends[0].max(ends[1]),
        chance: chance * better as f64 / f64::from(QUANTILES),
        improvement: chance * gains.iter().sum::<f64>() / f64::from(QUANTILES),
    };

    let mut alike: Vec<Neighbour> = told
        .iter()
        .filter_map(|told| {
            Some(Neighbour {
                number: told.number,
                likeness: posterior.correlation(told.point, point),
                value: known.goal.loss(told.loss?),
            })
        })
        .collect();
    alike.sort_by(|a, b| {
        let by_likeness = b.likeness.total_cmp(&a.likeness);
        by_likeness.then(a.number.cmp(&b.number))
    });
    alike.truncate(NEIGHBOURS);
    Some((expected, alike))
}

/// From the process's values back to losses: what both are at the trials, and between them straight lines.
struct Scale {
    /// Ascending.
    pairs: Vec<(f64, f64)>,
}

impl Scale {
    fn new(pairs: impl Iterator<Item = (f64, Option<f64>)>) -> Scale {
        let known = pairs.filter_map(|(value, loss)| Some((value, loss?)));
        let mut pairs: Vec<(f64, f64)> = known.collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        Scale { pairs }
    }

    fn best(&self) -> Option<f64> {
        let losses = self.pairs.iter().map(|(_, loss)| *loss);
        losses.reduce(f64::min)
    }

    fn differs(&self) -> bool {
        let mut losses = self.pairs.iter().map(|(_, loss)| *loss);
        let first = losses.next();
        losses.any(|loss| Some(loss) != first)
    }

    /// Beyond the best trial the line from the middle one to it goes on; beyond the worst nothing is worse.
    fn loss(&self, value: f64) -> f64 {
        let above = self.pairs.partition_point(|(at, _)| *at <= value);
        let line = |from: (f64, f64), to: (f64, f64)| {
            let apart = to.0 - from.0;
            let share = if apart > 0.0 {
                (value - from.0) / apart
            } else {
                0.0
            };
            from.1 + (to.1 - from.1) * share
        };
        match (above.checked_sub(1), self.pairs.get(above)) {
            (None, None) => f64::NAN,
            (None, Some(best)) => line(*best, self.pairs[self.pairs.len() / 2]),
            (Some(below), None) => self.pairs[below].1,
            (Some(below), Some(next)) => line(self.pairs[below], *next),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pairs: &[(f64, Option<f64>)], expected: &[(f64, f64)]) {
        let scale = Scale::new(pairs.iter().copied());
        for (value, loss) in expected {
            let found = scale.loss(*value);
            assert!((found - loss).abs() < 1e-12, "{value}: {found} {loss}");
        }
    }

    #[test]
    fn losses_are_found_again() {
        let pairs = [
            (0.0, Some(10.0)),
            (-1.0, Some(4.0)),
            (2.0, Some(90.0)),
            (3.0, None),
        ];
        check(
            &pairs,
            &[
                (-1.0, 4.0),
                (-0.5, 7.0),
                (0.0, 10.0),
                (1.0, 50.0),
                (2.0, 90.0),
                (9.0, 90.0),
                (-2.0, -2.0),
            ],
        );
        check(&[(0.5, Some(3.0))], &[(0.5, 3.0), (-7.0, 3.0), (7.0, 3.0)]);
        assert_eq!(Scale::new(std::iter::empty()).best(), None);
        assert!(
            !Scale::new([(0.5, Some(3.0)), (0.1, Some(3.0)), (0.0, None)].into_iter()).differs()
        );
        assert!(Scale::new([(0.5, Some(3.0)), (0.1, Some(2.0))].into_iter()).differs());
    }
}
