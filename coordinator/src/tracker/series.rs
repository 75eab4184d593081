//! A trial's series from what its attempts reported: which points stand, in which order.

use std::collections::BTreeMap;

use bonfire_domain::metric::{LogLine, Point, stands};
use bonfire_domain::{Attempt, TrialId};
use bonfire_store::segment::Watermark;
use bonfire_store::{SegmentReader, StoreError, TrialReports};

/// What is known of a trial: reports in memory, and the segments that hold the rest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    pub(crate) trial: Option<TrialId>,
    /// Where each attempt started, ascending by attempt.
    pub(crate) starts: Vec<Watermark>,
    /// Older than what is in memory.
    pub(crate) segments: Vec<SegmentReader>,
    pub(crate) unsealed: Vec<TrialReports>,
}

/// A log line and the attempt that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogEntry {
    pub(crate) attempt: Attempt,
    pub(crate) line: LogLine,
}

impl Series {
    /// Reads what is in segments; blocks on the disk.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] with the file's name: a damaged segment is never read as if it were empty.
    pub(crate) fn load(self) -> Result<Loaded, StoreError> {
        let mut parts = Vec::new();
        if let Some(trial) = self.trial {
            for segment in &self.segments {
                parts.extend(segment.trial(trial)?);
            }
        }
        parts.extend(self.unsealed);
        Ok(Loaded {
            starts: self.starts,
            parts,
        })
    }
}

/// Everything a trial reported, oldest first.
pub(crate) struct Loaded {
    starts: Vec<Watermark>,
    parts: Vec<TrialReports>,
}

impl Loaded {
    /// The points that stand, ascending by key and step. A point's identity is (key, step); a repeated one changes nothing.
    pub(crate) fn points(&self) -> Vec<Point> {
        let starts: Vec<(Attempt, u64)> = self
            .starts
            .iter()
            .map(|w| (w.attempt, w.from_step))
            .collect();
        let mut standing: BTreeMap<(&str, u64), (Attempt, &Point)> = BTreeMap::new();
        for (attempt, reports) in self.parts.iter().flatten() {
            for point in reports
                .points
                .iter()
                .filter(|p| stands(*attempt, p.step, &starts))
            {
                let held = standing
                    .entry((&point.key, point.step))
                    .or_insert((*attempt, point));
                // Parts come in the order of their journals, in which an older attempt's spool may follow a newer one.
                if *attempt < held.0 {
                    *held = (*attempt, point);
                }
            }
        }
        standing
            .into_values()
            .map(|(_, point)| point.clone())
            .collect()
    }

    /// Every line of every attempt, attempts ascending, lines as they were written.
    pub(crate) fn logs(&self) -> Vec<LogEntry> {
        let mut by_attempt: BTreeMap<Attempt, Vec<&LogLine>> = BTreeMap::new();
        for (attempt, reports) in self.parts.iter().flatten() {
            by_attempt
                .entry(*attempt)
                .or_default()
                .extend(&reports.logs);
        }
        let lines = by_attempt.into_iter().flat_map(|(attempt, lines)| {
            lines.into_iter().map(move |line| LogEntry {
                attempt,
                line: line.clone(),
            })
        });
        lines.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bonfire_domain::WallMs;
    use bonfire_store::segment::AttemptReports;

    fn reports(attempt: u32, steps: &[u64]) -> TrialReports {
        let point = |step: &u64| Point {
            key: "loss".into(),
            step: *step,
            epoch: 0.0,
            value: f64::from(attempt),
            time: WallMs(0),
        };
        let line = LogLine {
            time: WallMs(0),
            text: format!("attempt {attempt}"),
        };
        let reports = AttemptReports {
            points: steps.iter().map(point).collect(),
            logs: vec![line],
            ..Default::default()
        };
        [(Attempt(attempt), reports)].into()
    }

    #[track_caller]
    fn check(starts: &[(u32, u64)], parts: Vec<TrialReports>, expected: &[(u64, f64)]) {
        let starts = starts.iter().map(|(attempt, from_step)| Watermark {
            attempt: Attempt(*attempt),
            from_step: *from_step,
            sequence: 1,
        });
        let loaded = Loaded {
            starts: starts.collect(),
            parts,
        };
        let found: Vec<(u64, f64)> = loaded.points().iter().map(|p| (p.step, p.value)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_later_attempt_supersedes_what_follows_its_start() {
        let two = || vec![reports(1, &[10, 20, 30]), reports(2, &[30, 40])];
        check(
            &[(1, 0), (2, 20)],
            two(),
            &[(10, 1.0), (20, 1.0), (30, 2.0), (40, 2.0)],
        );
        check(&[(1, 0), (2, 0)], two(), &[(30, 2.0), (40, 2.0)]);
        check(
            &[(1, 0)],
            vec![reports(1, &[10]), reports(1, &[10, 20])],
            &[(10, 1.0), (20, 1.0)],
        );
    }

    #[test]
    fn logs_of_every_attempt_stay() {
        let loaded = Loaded {
            starts: vec![],
            parts: vec![reports(2, &[]), reports(1, &[])],
        };
        let attempts: Vec<u32> = loaded.logs().iter().map(|l| l.attempt.0).collect();
        assert_eq!(attempts, [1, 2]);
    }
}
