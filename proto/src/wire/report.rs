//! Metrics and log lines on the report stream.

use bonfire_domain::metric::{
    LOG_LINE_BYTES_MAX, LogLine, METRIC_NAME_BYTES_MAX, Point, REPORT_POINTS_MAX, ReportBatch,
};
use bonfire_domain::{Attempt, TrialId, WallMs};

use super::{WireError, count, speaker, text, trial_attempt};
use crate::pb;

/// Encoded size of one report batch, in bytes.
pub const REPORT_BYTES_MAX: usize = 4 << 20;
/// Log lines a batch may carry.
const REPORT_LINES_MAX: usize = 10_000;

/// Everything of this attempt up to this sequence is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    pub trial: TrialId,
    pub attempt: Attempt,
    pub sequence: u64,
}

impl From<ReportBatch> for pb::ReportBatch {
    fn from(batch: ReportBatch) -> pb::ReportBatch {
        let points = batch.points.into_iter().map(|p| pb::Point {
            key: p.key,
            step: p.step,
            epoch: p.epoch,
            value: p.value,
            time_ms: p.time.0,
        });
        let logs = batch.logs.into_iter().map(|l| pb::LogLine {
            time_ms: l.time.0,
            text: l.text,
        });
        pb::ReportBatch {
            of: trial_attempt(batch.trial, batch.attempt),
            from_step: batch.from_step,
            sequence: batch.sequence,
            points: points.collect(),
            logs: logs.collect(),
        }
    }
}

impl TryFrom<pb::ReportBatch> for ReportBatch {
    type Error = WireError;
    fn try_from(m: pb::ReportBatch) -> Result<ReportBatch, WireError> {
        let (trial, attempt) = speaker("report.of", m.of)?;
        if m.sequence == 0 {
            return Err(WireError::new("report.sequence", "starts at 1"));
        }
        count("report.points", m.points.len(), REPORT_POINTS_MAX)?;
        count("report.logs", m.logs.len(), REPORT_LINES_MAX)?;
        let points = m.points.into_iter().map(|p| {
            Ok(Point {
                key: text("report.points.key", p.key, METRIC_NAME_BYTES_MAX)?,
                step: p.step,
                epoch: p.epoch,
                value: p.value,
                time: WallMs(p.time_ms),
            })
        });
        let logs = m.logs.into_iter().map(|l| {
            Ok(LogLine {
                time: WallMs(l.time_ms),
                text: text("report.logs.text", l.text, LOG_LINE_BYTES_MAX)?,
            })
        });
        Ok(ReportBatch {
            trial,
            attempt,
            from_step: m.from_step,
            sequence: m.sequence,
            points: points.collect::<Result<_, WireError>>()?,
            logs: logs.collect::<Result<_, WireError>>()?,
        })
    }
}

impl From<Ack> for pb::ReportAck {
    fn from(ack: Ack) -> pb::ReportAck {
        pb::ReportAck {
            of: trial_attempt(ack.trial, ack.attempt),
            sequence: ack.sequence,
        }
    }
}

impl TryFrom<pb::ReportAck> for Ack {
    type Error = WireError;
    fn try_from(m: pb::ReportAck) -> Result<Ack, WireError> {
        let (trial, attempt) = speaker("ack.of", m.of)?;
        Ok(Ack {
            trial,
            attempt,
            sequence: m.sequence,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use bonfire_domain::SweepId;

    fn batch() -> ReportBatch {
        ReportBatch {
            trial: TrialId {
                sweep: SweepId(1),
                number: 2,
            },
            attempt: Attempt(1),
            from_step: 10,
            sequence: 1,
            points: vec![Point {
                key: "train.loss".into(),
                step: 11,
                epoch: 0.5,
                value: 1.5,
                time: WallMs(3),
            }],
            logs: vec![LogLine {
                time: WallMs(4),
                text: "hello".into(),
            }],
        }
    }

    #[test]
    fn a_batch_survives_the_wire() {
        assert_eq!(
            ReportBatch::try_from(pb::ReportBatch::from(batch())).unwrap(),
            batch()
        );
    }

    #[track_caller]
    fn check_refused(change: impl FnOnce(&mut pb::ReportBatch), field: &str) {
        let mut message = pb::ReportBatch::from(batch());
        change(&mut message);
        assert_eq!(ReportBatch::try_from(message).unwrap_err().field, field);
    }

    // I14: what a peer sends is capped before anything is kept of it.
    #[test]
    fn oversized_batches_are_refused() {
        check_refused(|m| m.sequence = 0, "report.sequence");
        check_refused(|m| m.of = None, "report.of");
        check_refused(
            |m| m.points = vec![pb::Point::default(); REPORT_POINTS_MAX + 1],
            "report.points",
        );
        check_refused(
            |m| m.points[0].key = "k".repeat(METRIC_NAME_BYTES_MAX + 1),
            "report.points.key",
        );
        check_refused(
            |m| m.logs[0].text = "k".repeat(LOG_LINE_BYTES_MAX + 1),
            "report.logs.text",
        );
    }
}
