//! A sweep: its spec, its trials, and what the search has come to.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bonfire_search::{Scheduler, SchedulerKind};
use serde::{Deserialize, Serialize};

use super::history::{History, SEGMENT_TRIALS, Segment};
use super::outcome::Measured;
use super::source::Source;
use super::trial::{Trial, TrialState};
use super::{Cluster, Outcome};
use crate::effect::{Effect, Refusal};
use crate::id::{Digest, LogIndex, SweepId, TrialId, WallMs};
use crate::origin::Origin;
use crate::spec::Spec;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SweepState {
    Running,
    /// Nothing new starts; what ran saves itself and yields.
    Paused,
    /// Nothing new starts; what runs is ended.
    Stopping {
        cancelled: bool,
        failed: bool,
        reason: String,
    },
    Completed,
    Cancelled,
    Failed,
}

impl SweepState {
    /// The word of the documented shapes.
    pub fn name(&self) -> &'static str {
        match self {
            SweepState::Running | SweepState::Stopping { .. } => "running",
            SweepState::Paused => "paused",
            SweepState::Completed => "completed",
            SweepState::Cancelled => "cancelled",
            SweepState::Failed => "failed",
        }
    }

    pub fn is_terminal(&self) -> bool {
        matches!(
            self,
            SweepState::Completed | SweepState::Cancelled | SweepState::Failed
        )
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    pub id: SweepId,
    pub name: String,
    pub request: u64,
    /// Written to disk as its canonical text.
    #[serde(with = "canonical")]
    pub spec: Arc<Spec>,
    pub spec_text: Arc<str>,
    pub dataset: Option<Digest>,
    pub state: SweepState,
    pub reason: Option<String>,
    pub started: WallMs,
    pub ended: Option<WallMs>,
    /// When it last began to run, and the milliseconds it ran before that: `limit.time` counts running time.
    pub running_since: Option<WallMs>,
    pub ran_ms: u64,
    /// The next trial's number.
    pub next: u32,
    /// Trials the search created: the sampler's, and in a population the forks that took a place. Forks of users do not count
    /// against `limit.trials`.
    pub sampled: u32,
    /// Why the sampler will give no more.
    pub exhausted: Option<String>,
    pub best: Option<(f64, u32)>,
    pub(crate) scheduler: Scheduler,
    /// Shared with copies of the state, so that a copy of it costs little; a trial is copied when it changes under one.
    pub(crate) live: BTreeMap<u32, Arc<Trial>>,
    pub(crate) sealed: History,
    /// Trials by state, sealed ones included.
    pub(crate) counts: BTreeMap<TrialState, u32>,
    /// Numbers of the trials that wait for a slot, and of those that have one.
    pub(crate) waiting: BTreeSet<u32>,
    pub(crate) running: BTreeSet<u32>,
    /// The trial that each request got, so that a repeated one gets no second: of a fork for good, of an asker while it has
    /// the trial.
    pub(crate) requests: BTreeMap<u64, u32>,
    /// Where the last event of this sweep stands in the log.
    pub(crate) seen: LogIndex,
    /// Finished trials among the live ones.
    pub(crate) finished_live: u32,
    /// What is known of metrics that the search requires something of; beside the sweeps in a snapshot.
    #[serde(skip)]
    pub(crate) measured: BTreeMap<u32, Measured>,
    /// What it took over from other sweeps; likewise.
    #[serde(skip)]
    pub(crate) sources: Arc<[Source]>,
    /// Trials that trained ahead of their turn, which has not come; likewise.
    #[serde(skip)]
    pub(crate) early: BTreeSet<u32>,
    /// The units of external trials' intermediate values, and when those were told; likewise. Copies of the state share them.
    #[serde(skip)]
    pub(crate) told_at: BTreeMap<u32, Arc<Vec<(u64, WallMs)>>>,
}

impl Sweep {
    /// How many trials are in a state.
    pub fn count(&self, state: TrialState) -> u32 {
        self.counts.get(&state).copied().unwrap_or(0)
    }

    pub fn counts(&self) -> &BTreeMap<TrialState, u32> {
        &self.counts
    }

    pub fn trial(&self, number: u32) -> Option<Cow<'_, Trial>> {
        self.live
            .get(&number)
            .map(|trial| Cow::Borrowed(&**trial))
            .or_else(|| self.sealed.get(number).map(Cow::Owned))
    }

    /// Trials that are not sealed yet, ascending by number.
    pub fn live(&self) -> impl Iterator<Item = &Trial> {
        self.live.values().map(Arc::as_ref)
    }

    /// Numbers of the trials that wait for a slot, ascending.
    pub fn waiting(&self) -> &BTreeSet<u32> {
        &self.waiting
    }

    /// Numbers of the trials that went on ahead of their turn because a slot was idle. For the scheduler they wait at the rung
    /// that they left.
    pub fn early(&self) -> &BTreeSet<u32> {
        &self.early
    }

    /// Numbers of the trials that have a slot, ascending.
    pub fn running(&self) -> &BTreeSet<u32> {
        &self.running
    }

    /// A trial that is not sealed, without copying it.
    pub fn live_trial(&self, number: u32) -> Option<&Trial> {
        self.live.get(&number).map(Arc::as_ref)
    }

    /// Every trial, ascending by number.
    pub fn trials(&self) -> Vec<Cow<'_, Trial>> {
        let mut all: BTreeMap<u32, Cow<'_, Trial>> = self
            .sealed
            .trials()
            .map(|t| (t.number, Cow::Owned(t)))
            .collect();
        all.extend(self.live.iter().map(|(n, t)| (*n, Cow::Borrowed(&**t))));
        all.into_values().collect()
    }

    pub fn id_of(&self, number: u32) -> TrialId {
        TrialId {
            sweep: self.id,
            number,
        }
    }

    /// `digits-k2f/17`
    pub fn label_of(&self, number: u32) -> String {
        format!("{}/{}", self.name, number)
    }

    /// What it took over from other sweeps when it was created.
    pub fn sources(&self) -> &Arc<[Source]> {
        &self.sources
    }

    pub fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// Trials the sampler may still create.
    pub fn room(&self) -> u32 {
        if self.exhausted.is_some() || self.state != SweepState::Running {
            return 0;
        }
        let limit = match &self.spec.search {
            None => 1,
            Some(search) => {
                let limit = search.limit.trials.unwrap_or(u32::MAX);
                limit.min(search.scheduler.population().unwrap_or(u32::MAX))
            }
        };
        limit.saturating_sub(self.sampled)
    }

    /// The log index up to which its sampler has something to see.
    pub fn seen(&self) -> LogIndex {
        self.seen
    }

    /// Milliseconds the sweep has run.
    pub fn running_ms(&self, wall: WallMs) -> u64 {
        let now = self
            .running_since
            .map_or(0, |since| wall.0.saturating_sub(since.0));
        self.ran_ms.saturating_add(now)
    }

    /// The trial that an asker's request got and that it still has.
    pub fn given_to(&self, request: u64) -> Option<&Trial> {
        self.live_trial(*self.requests.get(&request)?)
    }

    pub(crate) fn live_mut(&mut self, number: u32) -> Result<&mut Trial, Refusal> {
        if !self.live.contains_key(&number) {
            // A finished trial is touched again (resume, a deleted checkpoint): it becomes live, the sealed form is stale.
            let trial = self.sealed.get(number).ok_or(Refusal::NoSuchTrial)?;
            self.finished_live += u32::from(trial.state.is_terminal());
            self.live.insert(number, Arc::new(trial));
        }
        let trial = self.live.get_mut(&number);
        trial.map(Arc::make_mut).ok_or(Refusal::NoSuchTrial)
    }

    /// Moves a live trial along an edge of the table and keeps the counts.
    pub(crate) fn set_state(&mut self, number: u32, next: TrialState) {
        let Some(trial) = self.live.get_mut(&number).map(Arc::make_mut) else {
            return;
        };
        let from = trial.state;
        if from == next {
            return;
        }
        debug_assert!(from.may_become(next), "{from:?} -> {next:?}");
        trial.state = next;
        self.index(number, next);
        if next.is_terminal() {
            self.early.remove(&number);
        }
        let down = self.counts.entry(from).or_insert(0);
        *down = down.saturating_sub(1);
        *self.counts.entry(next).or_insert(0) += 1;
        match (from.is_terminal(), next.is_terminal()) {
            (false, true) => self.finished_live += 1,
            (true, false) => self.finished_live = self.finished_live.saturating_sub(1),
            _ => {}
        }
    }

    fn index(&mut self, number: u32, state: TrialState) {
        self.waiting.remove(&number);
        self.running.remove(&number);
        match state {
            TrialState::Pending => self.waiting.insert(number),
            TrialState::Running => self.running.insert(number),
            _ => false,
        };
    }

    pub(crate) fn add_trial(&mut self, trial: Trial) {
        self.index(trial.number, trial.state);
        *self.counts.entry(trial.state).or_insert(0) += 1;
        self.next = self.next.max(trial.number + 1);
        self.live.insert(trial.number, Arc::new(trial));
    }

    /// Takes a value of a trial into the sweep's best; ties go to the earlier trial.
    pub(crate) fn consider(&mut self, number: u32, value: f64) {
        let goal = self.spec.objective.goal;
        let leads = |(best, holder): (f64, u32)| {
            goal.better(value, best) || (value == best && number < holder)
        };
        if !value.is_nan() && self.best.is_none_or(leads) {
            self.best = Some((value, number));
        }
    }

    /// What a trial whose values are of instances comes to at its end: the sampler learns its value then, and one that was
    /// told to its end may be the best.
    pub(crate) fn learn_mean(&mut self, number: u32, next: TrialState) -> Option<(Effect, f64)> {
        if !self.spec.averages() || !matches!(next, TrialState::Completed | TrialState::Pruned) {
            return None;
        }
        let (event, value) = self.live_trial(number)?.mean_event()?;
        if next == TrialState::Completed {
            self.consider(number, value);
        }
        let sweep = self.id;
        Some((Effect::Learned { sweep, event }, value))
    }

    /// Seals the lowest finished trials once a whole segment of them has gathered, and all of them when the sweep has ended.
    pub(crate) fn seal(&mut self) {
        let gathered = self.finished_live as usize;
        let is_due = gathered >= 2 * SEGMENT_TRIALS || (self.state.is_terminal() && gathered > 0);
        if !is_due {
            return;
        }
        let numbers: Vec<u32> = self
            .live
            .values()
            .filter(|t| t.state.is_terminal())
            .map(|t| t.number)
            .take(SEGMENT_TRIALS)
            .collect();
        let sealed: Vec<Arc<Trial>> = numbers.iter().filter_map(|n| self.live.remove(n)).collect();
        self.finished_live = self.finished_live.saturating_sub(sealed.len() as u32);
        self.sealed
            .push(Segment::seal(sealed.iter().map(Arc::as_ref)));
    }
}

impl Cluster {
    /// Keeps the origin that came with the first submission of a sweep.
    pub(super) fn note_origin(&mut self, made: Outcome, origin: Origin) -> Outcome {
        let effects = made?;
        for effect in &effects {
            if let Effect::SweepCreated { sweep } = effect {
                self.origins.entry(*sweep).or_insert_with(|| origin.clone());
            }
        }
        Ok(effects)
    }

    pub(super) fn create_sweep(
        &mut self,
        request: u64,
        name: String,
        spec_text: &str,
        dataset: Option<Digest>,
        at: WallMs,
    ) -> Outcome {
        if let Some(sweep) = self.sweep_requested(request) {
            return Ok(vec![Effect::SweepCreated { sweep: sweep.id }]);
        }
        if self.names.contains_key(&name) {
            return Err(Refusal::NameTaken { name });
        }
        if let Some(version) = dataset
            && !self.versions.contains_key(&version)
        {
            return Err(Refusal::NoSuchDataset {
                version: version.short(),
            });
        }
        let unreadable = |problem: String| Refusal::SpecUnreadable { problem };
        let spec = Spec::from_canonical(spec_text).map_err(|e| unreadable(e.to_string()))?;
        let kind = spec
            .search
            .as_ref()
            .map_or(SchedulerKind::None, |s| s.scheduler);
        let scheduler = Scheduler::new(kind, spec.objective.goal, spec.budget())
            .map_err(|e| unreadable(e.to_string()))?;
        let sources = self.sources(&spec)?;
        let id = SweepId(self.next_sweep);
        self.next_sweep += 1;
        let sweep = Sweep {
            id,
            name: name.clone(),
            request,
            spec: Arc::new(spec),
            spec_text: spec_text.into(),
            dataset,
            state: SweepState::Running,
            reason: None,
            started: at,
            ended: None,
            running_since: Some(at),
            ran_ms: 0,
            next: 0,
            sampled: 0,
            exhausted: None,
            best: None,
            scheduler,
            live: BTreeMap::new(),
            sealed: History::default(),
            counts: BTreeMap::new(),
            waiting: BTreeSet::new(),
            running: BTreeSet::new(),
            requests: BTreeMap::new(),
            seen: LogIndex::default(),
            finished_live: 0,
            measured: BTreeMap::new(),
            sources: sources.into(),
            early: BTreeSet::new(),
            told_at: BTreeMap::new(),
        };
        self.names.insert(name, id);
        self.sweeps.insert(id, sweep);
        Ok(vec![Effect::SweepCreated { sweep: id }])
    }

    pub(super) fn create_trials(
        &mut self,
        index: LogIndex,
        id: SweepId,
        first: u32,
        parameters: Vec<bonfire_search::Assignment>,
        exhausted: Option<String>,
    ) -> Outcome {
        let sweep = self.sweep_mut(id)?;
        if first != sweep.next {
            return Err(Refusal::NotNext { next: sweep.next });
        }
        let count = parameters.len() as u32;
        if count > sweep.room() {
            return Err(Refusal::LimitReached {
                limit: sweep.room(),
            });
        }
        let mut effects = Vec::with_capacity(parameters.len() * 2);
        for (number, parameters) in (first..).zip(parameters) {
            let event = bonfire_search::Event::Created {
                number,
                parameters: parameters.clone(),
            };
            sweep.scheduler.observe(&event);
            let until = sweep.scheduler.first_until(number);
            sweep.add_trial(Trial::new(number, parameters, until, index));
            effects.push(Effect::Learned { sweep: id, event });
            effects.push(Effect::TrialCreated {
                trial: sweep.id_of(number),
            });
        }
        sweep.sampled += count;
        if exhausted.is_some() {
            sweep.exhausted = exhausted;
        }
        effects.push(Effect::SweepChanged { sweep: id });
        Ok(effects)
    }

    /// Lets a trial go on whose turn it is.
    pub(super) fn promote(&mut self, trial: TrialId) -> Outcome {
        let sweep = self.sweep_mut(trial.sweep)?;
        let state = sweep.live_mut(trial.number)?.state;
        let not_from = || Refusal::NotFrom {
            state: state.name().to_owned(),
            action: "promote".to_owned(),
        };
        if state != TrialState::Paused || sweep.state != SweepState::Running {
            return Err(not_from());
        }
        let until = sweep.scheduler.promoted(trial.number);
        let until = until.ok_or_else(not_from)?;
        match sweep.early.contains(&trial.number) {
            true => sweep.its_turn(trial.number, Some(until)),
            false => sweep.live_mut(trial.number)?.until = until,
        }
        sweep.set_state(trial.number, TrialState::Pending);
        sweep.take_turns(); // of others, which what it has seen may bring
        let tries = sweep.live_mut(trial.number)?.tries();
        Ok(vec![Effect::TrialReady { trial, tries }])
    }

    pub(super) fn seal_history(&mut self) {
        for sweep in self.sweeps.values_mut() {
            sweep.seal();
        }
    }
}

/// A spec inside a snapshot: its canonical text.
mod canonical {
    use super::{Arc, Spec};
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(spec: &Arc<Spec>, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&spec.canonical())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Arc<Spec>, D::Error> {
        let text = String::deserialize(d)?;
        Spec::from_canonical(&text)
            .map(Arc::new)
            .map_err(serde::de::Error::custom)
    }
}
