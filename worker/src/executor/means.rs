//! Means of the train metrics over the running epoch, kept across a resume.

use std::collections::BTreeMap;

/// How the sums are named in a checkpoint's manifest, before the metric's own name.
const SUM: &str = "epoch_sum.";
const WEIGHT: &str = "epoch_weight.";

/// Sums over the steps that were read back in this epoch, weighted by their samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Means {
    sums: BTreeMap<String, (f64, f64)>,
}

impl Means {
    pub(super) fn add(&mut self, key: &str, value: f64, samples: u64) {
        let (sum, weight) = self.sums.entry(key.to_owned()).or_default();
        *sum += value * samples as f64;
        *weight += samples as f64;
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
        pairs.collect()
    }

    /// Reads what [`Means::write`] wrote among other metrics.
    pub(super) fn read(metrics: &[(String, f64)]) -> Means {
        let mut means = Means::default();
        for (key, value) in metrics {
            if let Some(key) = key.strip_prefix(SUM) {
                means.sums.entry(key.to_owned()).or_default().0 = *value;
            } else if let Some(key) = key.strip_prefix(WEIGHT) {
                means.sums.entry(key.to_owned()).or_default().1 = *value;
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
        let mut metrics = vec![("valid.loss".to_owned(), 9.0)];
        metrics.extend(means.write());
        assert_eq!(Means::read(&metrics), means);
    }
}
