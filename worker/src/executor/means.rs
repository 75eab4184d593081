//! The train metrics over the running epoch, from the steps that were read back; kept across a resume.
//!
//! The loss is a mean; the others come from counts that add up, since the mean of a score over batches is not the score.

use std::collections::BTreeMap;

/// How the sums are named in a checkpoint's manifest, before the metric's own name.
const SUM: &str = "epoch_sum.";
const WEIGHT: &str = "epoch_weight.";
/// How counts are named, before their place.
const TALLY: &str = "epoch_tally.";

/// Sums over the steps that were read back in this epoch, weighted by their samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Means {
    sums: BTreeMap<String, (f64, f64)>,
    /// Counts behind the metrics.
    tally: Vec<f64>,
}

impl Means {
    pub(super) fn add(&mut self, key: &str, value: f64, samples: u64) {
        let (sum, weight) = self.sums.entry(key.to_owned()).or_default();
        *sum += value * samples as f64;
        *weight += samples as f64;
    }

    /// Adds the counts of a step; all steps of a trial have as many.
    pub(super) fn count(&mut self, tally: &[f64]) {
        self.tally.resize(tally.len().max(self.tally.len()), 0.0);
        self.tally
            .iter_mut()
            .zip(tally)
            .for_each(|(sum, count)| *sum += count);
    }

    pub(super) fn tally(&self) -> &[f64] {
        &self.tally
    }

    pub(super) fn of(&self, key: &str) -> Option<f64> {
        self.sums
            .get(key)
            .filter(|(_, weight)| *weight > 0.0)
            .map(|(sum, weight)| sum / weight)
    }

    /// As entries of a manifest's metrics.
    pub(super) fn write(&self) -> Vec<(String, f64)> {
        let pairs = self.sums.iter().flat_map(|(key, (sum, weight))| {
            [
                (format!("{SUM}{key}"), *sum),
                (format!("{WEIGHT}{key}"), *weight),
            ]
        });
        let counts = self.tally.iter().enumerate();
        let counts = counts.map(|(place, count)| (format!("{TALLY}{place}"), *count));
        pairs.chain(counts).collect()
    }

    /// Reads what [`Means::write`] wrote among other metrics.
    pub(super) fn read(metrics: &[(String, f64)]) -> Means {
        let mut means = Means::default();
        for (key, value) in metrics {
            if let Some(key) = key.strip_prefix(SUM) {
                means.sums.entry(key.to_owned()).or_default().0 = *value;
            } else if let Some(key) = key.strip_prefix(WEIGHT) {
                means.sums.entry(key.to_owned()).or_default().1 = *value;
            } else if let Some(place) = key.strip_prefix(TALLY).and_then(|at| at.parse().ok()) {
                let place: usize = place;
                means.tally.resize(means.tally.len().max(place + 1), 0.0);
                means.tally[place] = *value;
            }
        }
        means
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_weighted_and_survive_a_checkpoint() {
        let mut means = Means::default();
        means.add("train.loss", 1.0, 30);
        means.add("train.loss", 4.0, 10);
        means.add("train.accuracy", 0.5, 40);
        assert_eq!(means.of("train.loss"), Some(1.75));
        assert_eq!(means.of("valid.loss"), None);
        means.count(&[1.0, 0.0]);
        means.count(&[0.5, 2.0]);
        assert_eq!(means.tally(), [1.5, 2.0]);
        let mut metrics = vec![("valid.loss".to_owned(), 9.0)];
        metrics.extend(means.write());
        assert_eq!(Means::read(&metrics), means);
    }
}
