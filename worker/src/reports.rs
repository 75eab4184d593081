//! Metrics and log lines on their way to the coordinator: numbered, kept until durable there, bounded.

use std::collections::{BTreeMap, VecDeque};

use bonfire_domain::metric::{LogLine, Point, REPORT_POINTS_MAX, ReportBatch};
use bonfire_domain::{Attempt, TrialId};

type Key = (TrialId, Attempt);

/// Bytes after which a batch is closed.
const BATCH_BYTES: u64 = 1 << 20;
/// What a point or a line costs in memory besides its text.
const ENTRY_BYTES: u64 = 64;

/// Batches not yet durable, oldest first, and the one of each attempt that is still open.
#[derive(Debug)]
pub struct Reports {
    attempts: BTreeMap<Key, Numbering>,
    open: BTreeMap<Key, Open>,
    closed: VecDeque<Closed>,
    /// How many closed batches have gone from the front.
    gone: u64,
    bytes: u64,
    bytes_max: u64,
}

#[derive(Debug)]
struct Numbering {
    from_step: u64,
    /// Of the last batch, open or closed; 0 before the first.
    last: u64,
    durable: u64,
    ended: bool,
}

#[derive(Debug, Default)]
struct Open {
    points: Vec<Point>,
    logs: Vec<LogLine>,
    bytes: u64,
}

#[derive(Debug)]
struct Closed {
    batch: ReportBatch,
    bytes: u64,
    durable: bool,
}

impl Reports {
    pub fn new(bytes_max: u64) -> Reports {
        Reports {
            attempts: BTreeMap::new(),
            open: BTreeMap::new(),
            closed: VecDeque::new(),
            gone: 0,
            bytes: 0,
            bytes_max,
        }
    }

    /// An attempt will report; `from_step` is where it goes on from. Said again, it corrects the step.
    pub fn begin(&mut self, trial: TrialId, attempt: Attempt, from_step: u64) {
        let fresh = Numbering {
            from_step,
            last: 0,
            durable: 0,
            ended: false,
        };
        self.attempts
            .entry((trial, attempt))
            .or_insert(fresh)
            .from_step = from_step;
    }

    /// Points of an attempt that never began are dropped.
    pub fn add_points(&mut self, trial: TrialId, attempt: Attempt, points: Vec<Point>) {
        for point in points {
            let bytes = ENTRY_BYTES + point.key.len() as u64;
            if let Some(open) = self.room((trial, attempt), bytes) {
                open.points.push(point);
            }
        }
    }

    pub fn add_log(&mut self, trial: TrialId, attempt: Attempt, line: LogLine) {
        let bytes = ENTRY_BYTES + line.text.len() as u64;
        if let Some(open) = self.room((trial, attempt), bytes) {
            open.logs.push(line);
        }
    }

    /// The attempt's open batch, begun or closed and begun again as need be.
    fn room(&mut self, key: Key, bytes: u64) -> Option<&mut Open> {
        let full = |open: &Open| {
            open.bytes >= BATCH_BYTES || open.points.len().max(open.logs.len()) >= REPORT_POINTS_MAX
        };
        if self.open.get(&key).is_some_and(full) {
            self.close_one(key);
        }
        let numbering = self.attempts.get_mut(&key)?;
        let open = self.open.entry(key).or_insert_with(|| {
            numbering.last += 1;
            Open::default()
        });
        open.bytes += bytes;
        self.bytes += bytes;
        Some(open)
    }

    /// Closes every open batch: they may be sent.
    pub fn close(&mut self) {
        while let Some(key) = self.open.keys().next().copied() {
            self.close_one(key);
        }
    }

    fn close_one(&mut self, key: Key) {
        let (Some(open), Some(numbering)) = (self.open.remove(&key), self.attempts.get(&key))
        else {
            return;
        };
        let batch = ReportBatch {
            trial: key.0,
            attempt: key.1,
            from_step: numbering.from_step,
            sequence: numbering.last,
            points: open.points,
            logs: open.logs,
        };
        self.closed.push_back(Closed {
            batch,
            bytes: open.bytes,
            durable: false,
        });
    }

    /// The first batch at or after position `from` that is not durable, and the position after it.
    pub fn next_from(&self, from: u64) -> Option<(u64, ReportBatch)> {
        let skip = usize::try_from(from.saturating_sub(self.gone)).ok()?;
        let mut rest = self.closed.iter().enumerate().skip(skip);
        let (index, closed) = rest.find(|(_, closed)| !closed.durable)?;
        Some((self.gone + index as u64 + 1, closed.batch.clone()))
    }

    /// Everything of an attempt up to `sequence` is durable.
    pub fn acknowledge(&mut self, trial: TrialId, attempt: Attempt, sequence: u64) {
        let key = (trial, attempt);
        let Some(numbering) = self.attempts.get_mut(&key) else {
            return;
        };
        numbering.durable = numbering.durable.max(sequence.min(numbering.last));
        // An attempt's batches ascend, so the search ends at the last one meant; mostly that is the first of all.
        for closed in &mut self.closed {
            let of = (closed.batch.trial, closed.batch.attempt) == key;
            closed.durable |= of && closed.batch.sequence <= sequence;
            if of && closed.batch.sequence >= sequence {
                break;
            }
        }
        while self.closed.front().is_some_and(|closed| closed.durable) {
            self.gone += 1;
            let freed = self.closed.pop_front().map_or(0, |closed| closed.bytes);
            self.bytes = self.bytes.saturating_sub(freed);
        }
        self.forget(key);
    }

    /// The attempt reports no more.
    pub fn end(&mut self, trial: TrialId, attempt: Attempt) {
        if let Some(numbering) = self.attempts.get_mut(&(trial, attempt)) {
            numbering.ended = true;
        }
        self.forget((trial, attempt));
    }

    fn forget(&mut self, key: Key) {
        let over = |n: &Numbering| n.ended && n.durable == n.last;
        if self.attempts.get(&key).is_some_and(over) {
            self.attempts.remove(&key);
        }
    }

    /// The sequence of the attempt's last batch; `None` if it has none that is not durable.
    pub fn last_sequence(&self, trial: TrialId, attempt: Attempt) -> Option<u64> {
        let numbering = self.attempts.get(&(trial, attempt))?;
        (numbering.last > numbering.durable).then_some(numbering.last)
    }

    pub fn is_durable(&self, trial: TrialId, attempt: Attempt, sequence: u64) -> bool {
        self.attempts
            .get(&(trial, attempt))
            .is_none_or(|numbering| numbering.durable >= sequence)
    }

    /// No more may be taken in until some of it is durable.
    pub fn is_full(&self) -> bool {
        self.bytes >= self.bytes_max
    }
}

#[cfg(test)]
mod tests {
    use bonfire_domain::{SweepId, WallMs};

    use super::*;

    fn id(number: u32) -> TrialId {
        TrialId {
            sweep: SweepId(0),
            number,
        }
    }

    fn points(count: usize) -> Vec<Point> {
        let point = Point {
            key: "train.loss".into(),
            step: 1,
            epoch: 1.0,
            value: 0.5,
            time: WallMs(1),
        };
        vec![point; count]
    }

    /// Trial and sequence of what would be sent from the start.
    fn pending(reports: &Reports) -> Vec<(u32, u64)> {
        let mut at = 0;
        let mut found = Vec::new();
        while let Some((next, batch)) = reports.next_from(at) {
            found.push((batch.trial.number, batch.sequence));
            at = next;
        }
        found
    }

    #[test]
    fn batches_stay_until_they_are_durable_whatever_the_order_of_acknowledgements() {
        let mut reports = Reports::new(1 << 20);
        for number in [1, 2] {
            reports.begin(id(number), Attempt(1), 0);
        }
        for _ in 0..2 {
            reports.add_points(id(1), Attempt(1), points(1));
            reports.add_points(id(2), Attempt(1), points(1));
            reports.close();
        }
        assert_eq!(pending(&reports), [(1, 1), (2, 1), (1, 2), (2, 2)]);
        reports.acknowledge(id(2), Attempt(1), 2);
        assert_eq!(pending(&reports), [(1, 1), (1, 2)]);
        reports.acknowledge(id(1), Attempt(1), 1);
        assert_eq!(pending(&reports), [(1, 2)]);
        assert!(reports.is_durable(id(1), Attempt(1), 1));
        assert!(!reports.is_durable(id(1), Attempt(1), 2));
        reports.end(id(1), Attempt(1));
        reports.acknowledge(id(1), Attempt(1), 2);
        assert_eq!(pending(&reports), []);
        assert_eq!(reports.last_sequence(id(1), Attempt(1)), None);
        assert_eq!(reports.bytes, 0);
    }

    #[test]
    fn large_batches_are_split_and_fill_the_bound() {
        let mut reports = Reports::new(1 << 20);
        reports.begin(id(1), Attempt(1), 0);
        reports.add_points(id(1), Attempt(1), points(REPORT_POINTS_MAX + 1));
        reports.close();
        assert_eq!(pending(&reports), [(1, 1), (1, 2)]);
        assert!(!reports.is_full());
        reports.add_points(id(1), Attempt(1), points(REPORT_POINTS_MAX));
        assert!(reports.is_full());
    }

    #[test]
    fn nobody_reports_without_beginning() {
        let mut reports = Reports::new(1 << 20);
        reports.add_points(id(1), Attempt(1), points(3));
        reports.close();
        assert_eq!(pending(&reports), []);
    }
}
