//! Facts on their way to the coordinator, each held back until the metrics it follows are durable.
//!
//! An end or a checkpoint that the log has taken is final: no metric before it may still be on a machine that can be lost.

use std::collections::VecDeque;

use bonfire_domain::order::Fact;
use bonfire_domain::{Attempt, TrialId};

use crate::reports::Reports;

/// Facts a message carries.
const FACTS_MAX: usize = 1_024;

/// In the order of their sequence numbers.
#[derive(Debug, Default)]
pub struct Gate {
    waiting: VecDeque<Held>,
}

#[derive(Debug)]
struct Held {
    sequence: u64,
    fact: Fact,
    /// The report that must be durable first.
    after: Option<(TrialId, Attempt, u64)>,
}

impl Gate {
    /// Takes facts in; one that waits already is not taken twice.
    pub fn push(&mut self, facts: Vec<(u64, Fact)>, reports: &Reports) {
        for (sequence, fact) in facts {
            let at = self
                .waiting
                .partition_point(|held| held.sequence < sequence);
            if self
                .waiting
                .get(at)
                .is_some_and(|held| held.sequence == sequence)
            {
                continue;
            }
            let after = match &fact {
                Fact::Checkpointed { trial, attempt, .. } | Fact::Ended { trial, attempt, .. } => {
                    let last = reports.last_sequence(*trial, *attempt);
                    last.map(|last| (*trial, *attempt, last))
                }
                Fact::Observed { .. } | Fact::Measured { .. } | Fact::Prepared { .. } => None,
            };
            self.waiting.insert(
                at,
                Held {
                    sequence,
                    fact,
                    after,
                },
            );
        }
    }

    /// The facts that may go now; they are forgotten here (the session sends them again where need be).
    pub fn release(&mut self, reports: &Reports) -> Vec<(u64, Fact)> {
        let ready = self.waiting.iter().take_while(|held| {
            held.after
                .is_none_or(|(trial, attempt, last)| reports.is_durable(trial, attempt, last))
        });
        let count = ready.take(FACTS_MAX).count();
        self.waiting
            .drain(..count)
            .map(|held| (held.sequence, held.fact))
            .collect()
    }

    /// The stream is gone: the session says everything again on the next one.
    pub fn clear(&mut self) {
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use bonfire_domain::fault::AttemptEnd;
    use bonfire_domain::metric::Point;
    use bonfire_domain::{SweepId, WallMs};

    use super::*;

    fn id(number: u32) -> TrialId {
        TrialId {
            sweep: SweepId(0),
            number,
        }
    }

    fn ended(number: u32) -> Fact {
        Fact::Ended {
            trial: id(number),
            attempt: Attempt(1),
            end: AttemptEnd::Reached,
        }
    }

    fn observed(number: u32) -> Fact {
        Fact::Observed {
            trial: id(number),
            attempt: Attempt(1),
            step: 1,
            epoch: 1,
            value: 0.5,
        }
    }

    #[track_caller]
    fn check(gate: &mut Gate, reports: &Reports, expected: &[u64]) {
        let found: Vec<u64> = gate
            .release(reports)
            .into_iter()
            .map(|(sequence, _)| sequence)
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn an_end_waits_for_its_metrics_and_what_follows_waits_for_it() {
        let mut reports = Reports::new(1 << 20);
        let point = Point {
            key: "k".into(),
            step: 1,
            epoch: 1.0,
            value: 0.5,
            time: WallMs(1),
        };
        reports.begin(id(1), Attempt(1), 0);
        reports.add_points(id(1), Attempt(1), vec![point]);
        let mut gate = Gate::default();
        gate.push(
            vec![(1, observed(1)), (2, ended(1)), (3, ended(2))],
            &reports,
        );
        gate.push(vec![(2, ended(1))], &reports);
        check(&mut gate, &reports, &[1]);
        reports.close();
        check(&mut gate, &reports, &[]);
        reports.acknowledge(id(1), Attempt(1), 1);
        check(&mut gate, &reports, &[2, 3]);
        check(&mut gate, &reports, &[]);
    }
}
