//! The documents that scripts rely on, made from the replicated state. Field names are stable once released.

mod artifacts;
mod datasets;
mod row;
mod suggestions;
mod told;

use std::collections::BTreeMap;

use bonfire_search::{Assignment, Goal, RungPlan, Value};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::cluster::{Cluster, Source, Sweep, Trial, WorkerState};
use crate::command::Admission;
use crate::id::{Attempt, Digest, SweepId, TrialId, WallMs, WorkerId};
use crate::leader::deadline;
use crate::origin::Origin;
use crate::spec::Objective;

pub use artifacts::ArtifactDocument;
pub use datasets::{DatasetDocument, dataset, datasets};
use row::trial_rows;
pub use row::{TrialRow, trial_row};
pub use suggestions::{
    NeighbourDocument, SUGGESTIONS_MAX, SuggestionDocument, SuggestionsDocument, suggestions,
};
pub use told::told;

/// Running trials in the row of a sweep.
pub const RUNNING_MAX: usize = 12;

/// Times are RFC 3339 UTC strings.
pub fn time_text(at: WallMs) -> String {
    let nanos = i128::from(at.0) * 1_000_000;
    time::OffsetDateTime::from_unix_timestamp_nanos(nanos)
        .ok()
        .and_then(|t| {
            t.format(&time::format_description::well_known::Rfc3339)
                .ok()
        })
        .unwrap_or_default()
}

/// A parameter value as JSON.
pub fn value_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Bool(b) => json!(b),
        Value::Int(i) => json!(i),
        Value::Real(r) => json!(r),
        Value::Text(t) => json!(t),
    }
}

pub fn parameters_json(parameters: &Assignment) -> BTreeMap<String, serde_json::Value> {
    parameters
        .iter()
        .map(|(name, value)| (name.clone(), value_json(value)))
        .collect()
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectiveDocument {
    pub metric: String,
    pub goal: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BestDocument {
    pub trial: String,
    pub value: f64,
    pub parameters: BTreeMap<String, serde_json::Value>,
}

/// `run SPEC -o json` and `sweep show NAME -o json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepDocument {
    pub sweep: String,
    pub state: String,
    pub reason: Option<String>,
    pub objective: ObjectiveDocument,
    /// Where there are several: all of them, the first one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objectives: Vec<ObjectiveDocument>,
    pub best: Option<BestDocument>,
    pub trials: Vec<TrialRow>,
    pub started: String,
    pub seconds: f64,
    /// The digest of the spec after overrides: what `run --resume` looks for.
    pub spec_digest: String,
    /// `tracking.experiment`
    #[serde(default)]
    pub experiment: String,
    /// `tracking.tags`
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// The checkout and the program it was submitted from.
    pub origin: Option<Origin>,
    /// How far trials train, ascending: rungs, or the budget alone.
    #[serde(default)]
    pub rungs: Vec<RungDocument>,
    /// The sweeps whose trials it began with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<SourceDocument>,
}

/// What a sweep took over from another one when it was created.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceDocument {
    pub sweep: String,
    /// Trials taken over.
    pub trials: u32,
}

/// How far some trials train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RungDocument {
    /// In the sweep's unit.
    pub at: u64,
    /// Trials that got there.
    pub trials: u32,
    /// Trials that are expected to, where the number of trials is known.
    pub planned: Option<u32>,
}

/// One row of `sweep list`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepRow {
    pub sweep: String,
    pub state: String,
    pub reason: Option<String>,
    pub objective: ObjectiveDocument,
    pub best: Option<BestDocument>,
    /// Trials by state, and all that were created.
    pub counts: BTreeMap<String, u32>,
    pub trials: u32,
    /// `limit.trials`, where there is one.
    pub limit: Option<u32>,
    /// Whether its trials are asked for and told.
    #[serde(default)]
    pub external: bool,
    pub started: String,
    pub seconds: f64,
    pub spec_digest: String,
    #[serde(default)]
    pub experiment: String,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Some of the trials that run.
    #[serde(default)]
    pub running: Vec<TrialRow>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptDocument {
    pub attempt: u32,
    pub worker: String,
    pub numerics: String,
    pub from_step: u64,
    pub started: String,
    pub ended: Option<String>,
    pub end: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckpointDocument {
    pub checkpoint: String,
    pub trial: String,
    pub step: u64,
    pub epoch: u64,
    pub value: Option<f64>,
    pub bytes: u64,
    pub written: String,
    pub manifest: Option<String>,
    pub chunks: Vec<String>,
}

/// `trial show ID -o json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialDocument {
    #[serde(flatten)]
    pub row: TrialRow,
    pub exact: bool,
    pub attempt_history: Vec<AttemptDocument>,
    pub checkpoints: Vec<CheckpointDocument>,
    /// The resolved spec with the trial's values filled in.
    pub spec: serde_json::Value,
    pub dataset: Option<String>,
    /// Files attached to it, by name.
    #[serde(default)]
    pub artifacts: Vec<ArtifactDocument>,
}

/// `trial ask SWEEP -o json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AskDocument {
    Given {
        trial: String,
        number: u32,
        attempt: u32,
        parameters: BTreeMap<String, serde_json::Value>,
        /// Told later than this, another asker may have it; `null`: never.
        deadline: Option<String>,
    },
    /// There is none now; `trial` is `null`.
    Nothing {
        trial: (),
        state: String,
        reason: String,
    },
}

/// `trial tell ID -o json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TellDocument {
    pub trial: String,
    pub attempt: u32,
    /// Of the trial, after what was told.
    pub state: String,
    /// Whether it was told before; then nothing changed.
    pub repeated: bool,
    /// Whether the trial has what was told: not where another value stands there, or where it was stopped before.
    pub kept: bool,
    /// Whether to go on with the trial: false once it has ended or waits at a rung.
    #[serde(rename = "continue")]
    pub proceed: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerDocument {
    pub worker: String,
    pub id: String,
    pub state: String,
    pub reason: Option<String>,
    pub slots: u32,
    pub running: Vec<String>,
    pub labels: BTreeMap<String, String>,
    pub memory: u64,
    pub version: String,
    pub numerics: String,
    pub devices: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeDocument {
    pub node: u64,
    pub address: String,
    pub role: String,
}

/// `fleet status -o json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FleetDocument {
    pub leader: Option<u64>,
    pub term: u64,
    pub nodes: Vec<NodeDocument>,
    pub workers: Vec<WorkerDocument>,
}

fn objective(objective: &Objective) -> ObjectiveDocument {
    ObjectiveDocument {
        metric: objective.metric.clone(),
        goal: match objective.goal {
            Goal::Minimize => "minimize".to_owned(),
            Goal::Maximize => "maximize".to_owned(),
        },
    }
}

fn best(sweep: &Sweep) -> Option<BestDocument> {
    let (value, number) = sweep.best?;
    let trial = sweep.trial(number)?;
    Some(BestDocument {
        trial: sweep.label_of(number),
        value,
        parameters: parameters_json(&trial.parameters),
    })
}

fn seconds(sweep: &Sweep, wall: WallMs) -> f64 {
    sweep.running_ms(wall) as f64 / 1e3
}

fn spec_digest(sweep: &Sweep) -> String {
    Digest::of(sweep.spec_text.as_bytes()).hex()
}

fn rungs(sweep: &Sweep) -> Vec<RungDocument> {
    // An external trial has a length only where there are rungs.
    if sweep.spec.is_external() && sweep.scheduler().rungs().is_empty() {
        return Vec::new();
    }
    let limit = match &sweep.spec.search {
        None => Some(1),
        Some(search) => search.limit.trials,
    };
    // Of a population each member, or a fork in its place, trains to the end.
    let limit = match sweep.scheduler().kind().population() {
        None => limit.map(|limit| limit.max(sweep.sampled)),
        population => population,
    };
    let far: Vec<u64> = sweep.trials().iter().map(|trial| trial.epochs()).collect();
    let plan = sweep.scheduler().plan(limit.unwrap_or(0));
    let rung = |rung: &RungPlan| RungDocument {
        at: rung.until,
        trials: far.iter().filter(|epochs| **epochs >= rung.until).count() as u32,
        planned: limit.map(|_| rung.trials),
    };
    plan.iter().map(rung).collect()
}

/// A sweep with all its trials.
pub fn sweep(cluster: &Cluster, id: SweepId, wall: WallMs) -> Option<SweepDocument> {
    let sweep = cluster.sweep(id)?;
    Some(SweepDocument {
        sweep: sweep.name.clone(),
        state: sweep.state.name().to_owned(),
        reason: sweep.reason.clone(),
        objective: objective(&sweep.spec.objective),
        objectives: match sweep.spec.others() {
            [] => Vec::new(),
            _ => sweep.spec.objectives().map(objective).collect(),
        },
        best: best(sweep),
        trials: trial_rows(sweep),
        started: time_text(sweep.started),
        seconds: seconds(sweep, wall),
        spec_digest: spec_digest(sweep),
        experiment: sweep.spec.tracking.experiment.clone(),
        tags: sweep.spec.tracking.tags.clone(),
        origin: cluster.origin(id).cloned(),
        rungs: rungs(sweep),
        from: sweep.sources().iter().map(source).collect(),
    })
}

fn source(source: &Source) -> SourceDocument {
    SourceDocument {
        sweep: source.sweep.clone(),
        trials: source.trials.len() as u32,
    }
}

/// A sweep without its trials.
pub fn sweep_row(sweep: &Sweep, wall: WallMs) -> SweepRow {
    SweepRow {
        sweep: sweep.name.clone(),
        state: sweep.state.name().to_owned(),
        reason: sweep.reason.clone(),
        objective: objective(&sweep.spec.objective),
        best: best(sweep),
        counts: sweep
            .counts()
            .iter()
            .map(|(state, n)| (state.name().to_owned(), *n))
            .collect(),
        trials: sweep.next,
        limit: match &sweep.spec.search {
            None => Some(1),
            Some(search) => search.limit.trials,
        },
        external: sweep.spec.is_external(),
        started: time_text(sweep.started),
        seconds: seconds(sweep, wall),
        spec_digest: spec_digest(sweep),
        experiment: sweep.spec.tracking.experiment.clone(),
        tags: sweep.spec.tracking.tags.clone(),
        running: running(sweep),
    }
}

/// The rows of the running trials with the lowest numbers.
fn running(sweep: &Sweep) -> Vec<TrialRow> {
    let trials = sweep.running().iter().take(RUNNING_MAX);
    let trials = trials.filter_map(|number| sweep.live_trial(*number));
    trials.map(|trial| trial_row(sweep, trial)).collect()
}

/// All sweeps, oldest first.
pub fn sweeps(cluster: &Cluster, wall: WallMs) -> Vec<SweepRow> {
    cluster.sweeps().map(|s| sweep_row(s, wall)).collect()
}

/// A trial's checkpoints, oldest first.
pub fn checkpoints(sweep: &Sweep, trial: &Trial) -> Vec<CheckpointDocument> {
    let label = sweep.label_of(trial.number);
    trial
        .checkpoints
        .iter()
        .map(|c| CheckpointDocument {
            checkpoint: format!("{label}@{}", c.step),
            trial: label.clone(),
            step: c.step,
            epoch: c.epoch,
            value: c.value,
            bytes: c.chunks.iter().chain(&c.manifest).map(|b| b.bytes).sum(),
            written: time_text(c.written),
            manifest: c.manifest.map(|m| m.digest.hex()),
            chunks: c.chunks.iter().map(|b| b.digest.hex()).collect(),
        })
        .collect()
}

pub fn trial(cluster: &Cluster, id: TrialId) -> Option<TrialDocument> {
    let sweep = cluster.sweep(id.sweep)?;
    let trial = sweep.trial(id.number)?;
    let spec = sweep.spec.with(&trial.parameters).ok();
    Some(TrialDocument {
        row: trial_row(sweep, &trial),
        exact: trial.exact,
        attempt_history: trial
            .history
            .iter()
            .map(|r| AttemptDocument {
                attempt: r.attempt.0,
                worker: r.worker.clone(),
                numerics: r.numerics.clone(),
                from_step: r.from_step,
                started: time_text(r.started),
                ended: r.ended.as_ref().map(|(at, _)| time_text(*at)),
                end: r.ended.as_ref().map(|(_, end)| end.to_string()),
            })
            .collect(),
        checkpoints: checkpoints(sweep, &trial),
        spec: spec.map_or(serde_json::Value::Null, |spec| spec.resolved()),
        dataset: sweep.dataset.map(|d| d.hex()),
        artifacts: artifacts::of_trial(cluster, id),
    })
}

/// A trial as its asker gets it; `None` once another attempt is current.
pub fn asked(cluster: &Cluster, id: TrialId, attempt: Attempt) -> Option<AskDocument> {
    let sweep = cluster.sweep(id.sweep)?;
    let trial = sweep.live_trial(id.number)?;
    let current = trial.is_current(attempt);
    current.then(|| AskDocument::Given {
        trial: sweep.label_of(id.number),
        number: id.number,
        attempt: attempt.0,
        parameters: parameters_json(&trial.parameters),
        deadline: deadline(sweep, trial).map(time_text),
    })
}

/// The workers; `connected` says whose stream is open.
pub fn workers(cluster: &Cluster, connected: impl Fn(WorkerId) -> bool) -> Vec<WorkerDocument> {
    let row = |w: &WorkerState| {
        let (state, reason) = match &w.admission {
            Admission::Quarantined { reason } => ("quarantined", Some(reason.clone())),
            Admission::Draining => ("draining", None),
            Admission::Open if connected(w.id()) => ("ready", None),
            Admission::Open => ("unreachable", None),
        };
        let running = w.occupants().filter_map(|(_, o)| {
            let sweep = cluster.sweep(o.trial.sweep)?;
            Some(sweep.label_of(o.trial.number))
        });
        WorkerDocument {
            worker: w.facts.name.clone(),
            id: w.id().to_string(),
            state: state.to_owned(),
            reason,
            slots: w.facts.slots.len() as u32,
            running: running.collect(),
            labels: w.facts.labels.clone(),
            memory: w.facts.memory,
            version: w.facts.version.clone(),
            numerics: w.facts.numerics.clone(),
            devices: w.facts.slots.iter().map(|s| s.device.clone()).collect(),
        }
    };
    cluster.workers().map(row).collect()
}
