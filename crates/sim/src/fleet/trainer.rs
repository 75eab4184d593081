//! How a trial trains: it takes the time its row says, and reports the values its row says.

use std::collections::BTreeMap;

use bonfire_domain::checkpoint::Checkpoint;
use bonfire_domain::fault::{AttemptEnd, Failure};
use bonfire_domain::order::StartOrder;
use bonfire_domain::session::ExecutorEvent;
use bonfire_domain::spec::{Period, Spec, Trials};
use bonfire_domain::{Attempt, TrialId, WallMs};
use bonfire_search::{Goal, Scheduler, SchedulerKind};

use crate::table::curve::exponent;
use crate::table::{Row, Table};

/// Units of a trial whose length nobody says, where a scheduler looks at each.
const UNITS: u32 = 100;

/// Turns orders into runs and runs into what an executor says.
pub(super) struct Trainer {
    spec: Spec,
    table: Table,
    /// Units of the whole budget.
    units: u64,
    /// Somebody looks at values before the end.
    is_watched: bool,
    /// A verdict may come after every unit, not at rungs alone.
    every_unit: bool,
    /// Units between two checkpoints; 0 where none is needed but at rungs.
    saved_every: u64,
}

/// One attempt under way.
pub(super) struct Run {
    pub life: u64,
    /// When training began.
    pub began_ms: u64,
    trial: TrialId,
    attempt: Attempt,
    row: Row,
    exponent: f64,
    units: u64,
    from: u64,
    /// Units done and told.
    at: u64,
    /// The unit that is told next.
    next: u64,
    until: u64,
    /// When it is ended or its worker fails, if before it gets there: what is told and saved until then counts.
    ends_ms: Option<u64>,
}

impl Run {
    /// What its executor says where it failed.
    pub fn ended(&self, failure: Failure) -> ExecutorEvent {
        ExecutorEvent::Ended {
            trial: self.trial,
            attempt: self.attempt,
            end: AttemptEnd::Failed {
                failure,
                detail: String::new(),
            },
        }
    }

    /// When it reaches the unit that is told next.
    pub fn next_ms(&self) -> u64 {
        self.reached_ms(self.next)
    }

    fn reached_ms(&self, unit: u64) -> u64 {
        self.began_ms + self.cost_ms(unit).saturating_sub(self.cost_ms(self.from))
    }

    /// Milliseconds of the first `unit` units.
    fn cost_ms(&self, unit: u64) -> u64 {
        let share = u128::from(self.row.cost_ms) * u128::from(unit);
        (share / u128::from(self.units.max(1))) as u64
    }
}

impl Trainer {
    /// `faults`: workers fail, so that checkpoints on the way count; they do, too, where attempts have a limit of time.
    pub fn new(spec: &Spec, table: Table, faults: bool) -> Trainer {
        let spec = trained_by_the_fleet(spec, table.curve_units);
        let kind = spec
            .search
            .as_ref()
            .map_or(SchedulerKind::None, |s| s.scheduler);
        let units = spec.budget();
        let is_watched = kind != SchedulerKind::None;
        let rungs = Scheduler::new(kind, Goal::Minimize, units).map(|s| s.rungs());
        let saved_every = match spec.checkpoint.every {
            Period::Epochs(n) if faults || spec.limits.time.is_some() => u64::from(n),
            _ => 0,
        };
        Trainer {
            spec,
            table,
            units,
            is_watched,
            every_unit: is_watched && rungs.is_ok_and(|rungs| rungs.is_empty()),
            saved_every,
        }
    }

    /// The spec as the fleet has it: one that it trains.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Whether what is seen before the end is made up from the row's digest.
    pub fn is_synthetic(&self) -> bool {
        self.is_watched && self.table.curve_units == 0
    }

    /// # Errors
    /// What the executor says of a configuration without a row.
    pub fn begin(
        &self,
        order: &StartOrder,
        life: u64,
        began_ms: u64,
        ends_ms: Option<u64>,
    ) -> Result<Run, ExecutorEvent> {
        let Some(row) = self.table.row(&order.parameters) else {
            let detail = "the table has no such row".to_owned();
            let failure = Failure::Unusable;
            return Err(ExecutorEvent::Ended {
                trial: order.trial,
                attempt: order.attempt,
                end: AttemptEnd::Failed { failure, detail },
            });
        };
        let from = order.from.as_ref().map_or(0, |c| c.epoch);
        let mut run = Run {
            life,
            began_ms,
            trial: order.trial,
            attempt: order.attempt,
            row: row.clone(),
            exponent: exponent(&order.parameters),
            units: self.units,
            from,
            at: from,
            next: from,
            until: order.until,
            ends_ms,
        };
        run.next = self.next_unit(&run);
        Ok(run)
    }

    /// What is told next: the next unit where a verdict may follow it; else the last one, or the last one that is saved before
    /// the run is ended.
    fn next_unit(&self, run: &Run) -> u64 {
        let first = (run.at + 1).min(run.until);
        if self.every_unit {
            return first;
        }
        let diverges = |unit: &u64| self.value(run, *unit).is_some_and(|v| !v.is_finite());
        let end = (first..=run.until).find(diverges).unwrap_or(run.until);
        let saved = run
            .ends_ms
            .filter(|ends| run.reached_ms(end) > *ends)
            .and_then(|ends| {
                let is_saved = |unit: &u64| self.is_saved(*unit) && run.reached_ms(*unit) <= ends;
                (first..end).rev().find(is_saved)
            });
        saved.unwrap_or(end)
    }

    fn is_saved(&self, unit: u64) -> bool {
        self.saved_every > 0 && unit.is_multiple_of(self.saved_every)
    }

    /// The objective after a unit, where it is evaluated: after each if somebody looks, else at the end.
    fn value(&self, run: &Run, unit: u64) -> Option<f64> {
        if !self.is_watched {
            return (unit >= self.units).then_some(run.row.metric);
        }
        Some(self.table.value(&run.row, run.exponent, unit, self.units))
    }

    /// What the search may require something of: the row says it for the whole of training.
    fn metrics(&self, run: &Run, value: f64) -> BTreeMap<String, f64> {
        let mut metrics = run.row.metrics.clone();
        metrics.insert(self.spec.objective.metric.clone(), value);
        metrics
    }

    /// A run reached the unit it went to: what its executor says, and whether it goes on.
    pub fn reach(&self, run: &mut Run, wall: WallMs) -> (Vec<ExecutorEvent>, bool) {
        let (trial, attempt) = (run.trial, run.attempt);
        let end = |end| ExecutorEvent::Ended {
            trial,
            attempt,
            end,
        };
        let mut events = Vec::new();
        let mut last = None;
        for unit in run.at + 1..=run.next {
            let Some(value) = self.value(run, unit) else {
                continue;
            };
            if !value.is_finite() {
                events.push(run.ended(Failure::NonFinite { step: unit }));
                return (events, false);
            }
            last = Some(value);
            events.push(ExecutorEvent::Observed {
                trial,
                attempt,
                step: unit,
                epoch: unit,
                value,
                metrics: self.metrics(run, value),
            });
        }
        run.at = run.next;
        let is_over = run.at >= run.until;
        let is_rung = is_over && run.until < self.units;
        if is_rung || (!is_over && self.is_saved(run.at)) {
            let checkpoint = Box::new(Checkpoint {
                step: run.at,
                epoch: run.at,
                attempt,
                manifest: None,
                chunks: Vec::new(),
                value: last,
                written: wall,
            });
            events.push(ExecutorEvent::Checkpointed {
                trial,
                attempt,
                checkpoint,
            });
        }
        if is_over {
            events.push(end(AttemptEnd::Reached));
        } else {
            run.next = self.next_unit(run);
        }
        (events, !is_over)
    }
}

/// Workers answer for external trials, and nobody else gets one whose worker takes long. A trial without a length of its own is as long
/// as the longest curve; one unit where nobody looks before its end.
fn trained_by_the_fleet(spec: &Spec, curve_units: usize) -> Spec {
    let mut spec = spec.clone();
    if spec.is_external() {
        spec.limits.time = None;
    }
    let has_no_length = spec.is_external() && spec.train.epochs == u32::MAX;
    spec.trials = Trials::Fleet;
    if has_no_length {
        let scheduler = spec.search.as_ref().map(|search| search.scheduler);
        spec.train.epochs = match (scheduler, u32::try_from(curve_units)) {
            (None | Some(SchedulerKind::None), _) => 1,
            (_, Ok(units)) if units > 0 => units,
            _ => UNITS,
        };
    }
    spec
}
