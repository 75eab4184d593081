//! What a simulation has to say: the document of `sweep show`, and what only a simulation knows.

use bonfire_domain::view::{self, SweepDocument};
use serde::{Deserialize, Serialize};

use super::TableFleet;

/// `sim SPEC --table FILE -o json`. Times start at the Unix epoch and are virtual.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SimDocument {
    #[serde(flatten)]
    pub sweep: SweepDocument,
    /// The best value after 1, 2, 3, ... finished trials; null until one has a value.
    pub best_over_trials: Vec<Option<f64>>,
    /// Each value that was the best so far of all trials, finished or not, and when it came.
    pub best_over_time: Vec<BestAt>,
    /// From the submission to the end.
    pub virtual_seconds: f64,
    /// The share of all workers' time in which they trained, work that was lost later included.
    pub utilisation: f64,
    pub workers: u32,
    /// How often a worker failed.
    pub workers_lost: u32,
    /// `synthetic`: what a scheduler saw before the end was not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub curve: Option<String>,
}

/// A value that was the best so far, from `seconds` after the submission on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BestAt {
    pub seconds: f64,
    pub value: f64,
}

impl TableFleet {
    /// The document as things stand; `None` before a sweep is there.
    pub fn document(&self) -> Option<SimDocument> {
        let wall = self.time().wall;
        let mut sweep = view::sweep(&self.cluster, self.sweep?, wall)?;
        sweep.spec_digest = self.spec_digest.hex();
        let workers = self.workers.len() as u32;
        let lasted_ms = self.queue.now();
        let all_ms = lasted_ms as f64 * f64::from(workers);
        Some(SimDocument {
            sweep,
            best_over_trials: self.best_over_trials.clone(),
            best_over_time: self.best_over_time.clone(),
            virtual_seconds: lasted_ms as f64 / 1e3,
            utilisation: if lasted_ms == 0 {
                0.0
            } else {
                self.busy_ms as f64 / all_ms
            },
            workers,
            workers_lost: self.workers_lost,
            curve: self.trainer.is_synthetic().then(|| "synthetic".to_owned()),
        })
    }
}
