//! Points of a metric series and which of them stand.

use serde::{Deserialize, Serialize};

use crate::id::{Attempt, TrialId, WallMs};

/// One value of one metric. Its identity is (trial, key, step): a repeated point changes nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Such as `train.loss` or `valid.accuracy`.
    pub key: String,
    pub step: u64,
    /// Epochs done when it was taken, with the fraction of the running one.
    pub epoch: f64,
    pub value: f64,
    pub time: WallMs,
}

/// A line an executor wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    pub time: WallMs,
    pub text: String,
}

/// What an attempt says of itself on the report stream, in the order of its `sequence`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportBatch {
    pub trial: TrialId,
    pub attempt: Attempt,
    /// The step this attempt started from: it supersedes every point after it of the attempts before.
    pub from_step: u64,
    /// Rises by one with each batch of an attempt, from 1.
    pub sequence: u64,
    pub points: Vec<Point>,
    pub logs: Vec<LogLine>,
}

/// Longest metric name, in bytes.
pub const METRIC_NAME_BYTES_MAX: usize = 128;
/// Points a report batch may carry.
pub const REPORT_POINTS_MAX: usize = 10_000;
/// Longest log line kept, in bytes.
pub const LOG_LINE_BYTES_MAX: usize = 4_096;

/// Metrics that measure time or memory: the only ones that may differ between an interrupted run and one that was not.
pub fn measures_time(key: &str) -> bool {
    matches!(
        key.rsplit('.').next(),
        Some("samples_per_second" | "seconds" | "memory_bytes")
    )
}

/// Whether a point of attempt `attempt` at `step` stands, given where each attempt started (`starts`, ascending by attempt).
pub fn stands(attempt: Attempt, step: u64, starts: &[(Attempt, u64)]) -> bool {
    starts
        .iter()
        .all(|(later, from)| *later <= attempt || step <= *from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_attempt_supersedes_what_follows_its_start() {
        let starts = [(Attempt(1), 0), (Attempt(2), 50), (Attempt(3), 40)];
        assert!(stands(Attempt(1), 40, &starts));
        assert!(!stands(Attempt(1), 41, &starts));
        assert!(!stands(Attempt(2), 45, &starts));
        assert!(stands(Attempt(3), 45, &starts));
    }
}
