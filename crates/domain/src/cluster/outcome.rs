//! What trials' metrics come to: under `search.require`, which evaluations hold to it and by how much others break it, and
//! under `search.objectives`, the values of the objectives after the first.
//!
//! A metric keeps its last value until it is told again. What was told before any metric was known goes by the first
//! metrics that are told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bonfire_search::{Event, Outcome, Requirements};
use serde::{Deserialize, Serialize};

use super::sweep::Sweep;
use super::trial::Observation;
use crate::effect::Refusal;

/// Metrics by name.
pub type Metrics = BTreeMap<String, f64>;

/// What is known of one trial's metrics.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The last value of each that requirements or objectives name.
    metrics: Metrics,
    /// The evaluations that break requirements, by step, and by how much.
    violations: BTreeMap<u64, f64>,
    /// The first step whose evaluation was judged.
    since: Option<u64>,
    /// Whether an evaluation holds to the requirements.
    holds: bool,
    /// The values of the objectives after the first at each evaluation, by step.
    others: BTreeMap<u64, Vec<f64>>,
}

/// [`Measured`] as it was before there were several objectives.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct OldMeasured {
    metrics: Metrics,
    violations: BTreeMap<u64, f64>,
    since: Option<u64>,
    holds: bool,
}

impl From<OldMeasured> for Measured {
    fn from(old: OldMeasured) -> Measured {
        Measured {
            metrics: old.metrics,
            violations: old.violations,
            since: old.since,
            holds: old.holds,
            others: BTreeMap::new(),
        }
    }
}

/// What an evaluation comes to.
enum Judgement {
    /// Nothing is required of metrics, or not all of them are known.
    Open,
    /// `first`: and so do those before it, of which nothing was known.
    Holds {
        first: bool,
    },
    Breaks,
}

impl Measured {
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Whether an evaluation has been judged: from then on each is when it is told.
    pub(super) fn is_known(&self) -> bool {
        self.since.is_some() || !self.others.is_empty()
    }

    /// Whether the trial is feasible; `None` while nobody knows.
    pub fn is_feasible(&self) -> Option<bool> {
        self.since.map(|_| self.holds)
    }

    /// The least violation of a trial of which no evaluation holds.
    pub fn violation(&self) -> Option<f64> {
        let least = self.violations.values().copied().reduce(f64::min);
        least.filter(|_| !self.holds)
    }

    /// The values of the objectives after the first at an evaluation.
    pub(super) fn others_at(&self, step: u64) -> Option<&[f64]> {
        self.others.get(&step).map(Vec::as_slice)
    }

    /// Whether an evaluation breaks no requirement, as far as that is known.
    pub(crate) fn holds_at(&self, step: u64) -> bool {
        // What the first judged one breaks, those before it do.
        let before = |since: &u64| step < *since && self.violations.contains_key(since);
        !self.violations.contains_key(&step) && !self.since.as_ref().is_some_and(before)
    }

    /// What schedulers and samplers hear of an evaluation.
    fn event(&self, number: u32, seen: &Observation) -> Event {
        let (at, value) = (seen.epoch, seen.value);
        match (self.violations.get(&seen.step), self.others.get(&seen.step)) {
            (None, None) => Event::Observed { number, at, value },
            (None, Some(others)) => {
                let values = [&[value], &others[..]].concat();
                Event::Several { number, at, values }
            }
            (Some(violation), _) => Event::Violated {
                number,
                at,
                value,
                violation: *violation,
                before: self.since == Some(seen.step),
            },
        }
    }
}

impl Sweep {
    /// What the trial's metrics say of an evaluation, the new ones taken in.
    fn judge(&mut self, number: u32, step: u64, metrics: &Metrics) -> Judgement {
        let (spec, require) = (Arc::clone(&self.spec), self.metric_requirements());
        let Some(trial) = self.live.get(&number) else {
            return Judgement::Open;
        };
        let names = spec.judged_metrics();
        if names.is_empty() {
            return Judgement::Open;
        }
        let measured = self.measured.entry(number).or_default();
        take(&mut measured.metrics, metrics, &names);
        let others = spec.others().iter();
        let others = others.map(|other| measured.metrics.get(&other.metric).copied());
        if let Some(values) = others.collect::<Option<Vec<f64>>>()
            && !values.is_empty()
        {
            measured.others.insert(step, values);
        }
        let Some(require) = require else {
            return Judgement::Open;
        };
        let first = measured.since.is_none();
        match require.outcome(&trial.parameters, &measured.metrics) {
            Outcome::Untold(_) => Judgement::Open,
            Outcome::Met => {
                measured.since.get_or_insert(step);
                measured.violations.remove(&step);
                measured.holds = true;
                Judgement::Holds { first }
            }
            Outcome::Broken(violation) => {
                measured.since.get_or_insert(step);
                measured.violations.insert(step, violation);
                Judgement::Breaks
            }
        }
    }

    /// Records the objective at an evaluation of a live trial. Gives what schedulers and samplers hear of it, and the value
    /// that may be the sweep's best.
    pub(super) fn record(
        &mut self,
        number: u32,
        seen: Observation,
        metrics: &Metrics,
    ) -> (Event, Option<f64>) {
        let held = self.measured.get(&number).is_some_and(|m| m.holds);
        let judgement = self.judge(number, seen.step, metrics);
        let requires = self.metric_requirements().is_some();
        let (goal, averages) = (self.spec.objective.goal, self.spec.averages());
        let measured = self.measured.get(&number);
        let event = measured.map(|measured| measured.event(number, &seen));
        let (at, value) = (seen.epoch, seen.value);
        let event = event.unwrap_or(Event::Observed { number, at, value });
        let Some(trial) = self.live.get_mut(&number).map(std::sync::Arc::make_mut) else {
            return (event, None);
        };
        match judgement {
            // Its value is of evaluations that hold.
            Judgement::Breaks if held => {
                trial.observations.push(seen);
                return (event, None);
            }
            // The values so far are of evaluations that do not.
            Judgement::Holds { first: false } if !held => trial.value = None,
            _ => {}
        }
        trial.observe(goal, averages, seen);
        let counts = match judgement {
            Judgement::Open if requires => None,
            Judgement::Open => Some(seen.value),
            Judgement::Holds { .. } => trial.value,
            Judgement::Breaks => None,
        };
        (event, counts)
    }

    /// As [`Sweep::record`], where the evaluation is recorded and only metrics are new: at the end of an external trial.
    pub(super) fn record_metrics(
        &mut self,
        number: u32,
        metrics: &Metrics,
    ) -> Option<(Event, Option<f64>)> {
        self.metric_requirements()?;
        let last = *self.live.get(&number)?.observations.last()?;
        let held = self.measured.get(&number).is_some_and(|m| m.holds);
        let judgement = self.judge(number, last.step, metrics);
        let event = self.measured.get(&number)?.event(number, &last);
        let trial = self.live.get_mut(&number).map(std::sync::Arc::make_mut)?;
        match judgement {
            Judgement::Open => None,
            Judgement::Holds { first } => {
                if !first && !held {
                    trial.value = Some(last.value);
                }
                Some((event, trial.value))
            }
            Judgement::Breaks => Some((event, None)),
        }
    }

    /// What is required of metrics; `None` where nothing is.
    fn metric_requirements(&self) -> Option<Requirements> {
        let search = self.spec.search.as_ref()?;
        let requires = !search.require.metrics().is_empty();
        requires.then(|| search.require.clone())
    }

    /// # Errors
    /// A metric that neither requirements nor objectives name, and one that is missing: of an objective, and of a requirement
    /// where the trial ends with these, or was judged before.
    pub(super) fn check_metrics(
        &self,
        number: u32,
        metrics: &Metrics,
        ends: bool,
    ) -> Result<(), Refusal> {
        let require = self.spec.search.as_ref().map(|search| &search.require);
        let known = self.spec.judged_metrics();
        if let Some(name) = metrics.keys().find(|name| !known.contains(name.as_str())) {
            let known: Vec<&str> = known.iter().copied().collect();
            return Err(Refusal::NoSuchMetric {
                name: name.clone(),
                known: known.join(", "),
            });
        }
        if metrics.values().any(|value| !value.is_finite()) {
            return Err(Refusal::NotFinite);
        }
        let (Some(require), Some(trial)) = (require, self.trial(number)) else {
            return Ok(());
        };
        let measured = self.measured.get(&number);
        let mut all = measured.map(|m| m.metrics.clone()).unwrap_or_default();
        take(&mut all, metrics, &known);
        let others = self.spec.others().iter().map(|other| &other.metric);
        if let Some(name) = others.into_iter().find(|name| !all.contains_key(*name)) {
            return Err(Refusal::MetricMissing { name: name.clone() });
        }
        match require.outcome(&trial.parameters, &all) {
            Outcome::Untold(name) if ends || measured.is_some_and(Measured::is_known) => {
                Err(Refusal::MetricMissing { name })
            }
            _ => Ok(()),
        }
    }

    /// Whether a trial has each of these metrics with that value.
    pub(super) fn has_metrics(&self, number: u32, metrics: &Metrics) -> bool {
        let known = self.measured.get(&number).map(|measured| &measured.metrics);
        let has = |(name, value): (&String, &f64)| {
            let known = known.and_then(|known| known.get(name));
            known.is_some_and(|known| known.to_bits() == value.to_bits())
        };
        metrics.iter().all(has)
    }

    /// What is known of a trial's metrics, where something is required of them.
    pub fn measured(&self, number: u32) -> Option<&Measured> {
        self.measured.get(&number)
    }

    /// What samplers heard of an evaluation.
    pub(crate) fn event_of(&self, number: u32, seen: &Observation) -> Event {
        let unmeasured = Measured::default();
        let measured = self.measured(number).unwrap_or(&unmeasured);
        measured.event(number, seen)
    }
}

fn take(known: &mut Metrics, metrics: &Metrics, names: &BTreeSet<&str>) {
    for name in names {
        if let Some(value) = metrics.get(*name) {
            known.insert((*name).to_owned(), *value);
        }
    }
}
