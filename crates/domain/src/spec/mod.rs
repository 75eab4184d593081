//! A sweep's spec as a value that cannot be wrong: every default filled in, every range checked.
//!
//! [`Spec`] is made by `check` from the text a user wrote, or read back from its own canonical JSON (which is what the log
//! keeps). It never holds a path that only the client could read: `data.dataset` names a dataset version once submitted.

mod alike;
mod assign;
mod check;
mod clash;
mod datum;
mod defaults;
mod demands;
mod external;
mod field;
mod fields;
mod names;
mod objectives;
mod overrides;
mod probe;
mod problem;
mod resolved;
mod schema;
mod shape;
mod space;
mod suggest;
mod tree;
mod units;

use std::collections::{BTreeMap, BTreeSet};

use bonfire_search::{
    Assignment, Goal, Requirements, Sampler, SamplerKind, Scheduler, SchedulerKind, Space,
};
use serde::{Deserialize, Serialize};

pub use check::check;
pub(crate) use clash::is_kept_by_forks;
pub use defaults::{MODEL_PARAMETERS, metrics};
pub(crate) use probe::{candidates, meet_conditions};
pub use problem::{Pos, Problem, render_problems};
pub use schema::json_schema;
pub(crate) use space::shown;
pub use suggest::nearest;
pub use tree::{DEPTH_MAX, NODES_MAX, TEXT_BYTES_MAX};

/// What a user wrote, checked, with every default filled in. `search: None` is a sweep of one trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    pub name: String,
    /// Where they are external, the fields that say how to train hold defaults that nobody reads.
    #[serde(default, skip_serializing_if = "Trials::is_fleet")]
    pub trials: Trials,
    /// `None` only where the model needs none (`noop`).
    pub data: Option<DataSpec>,
    /// `None` only where the model needs none (`noop`).
    pub task: Option<Task>,
    pub model: ModelSpec,
    pub loss: LossSpec,
    pub optimizer: OptimizerSpec,
    pub schedule: ScheduleSpec,
    pub train: TrainSpec,
    /// Filled for a sweep of one trial too.
    pub objective: Objective,
    pub search: Option<SearchSpec>,
    pub resources: Resources,
    pub limits: AttemptLimits,
    pub checkpoint: CheckpointSpec,
    pub retry: RetrySpec,
    pub tracking: TrackingSpec,
}

/// Who trains the trials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trials {
    #[default]
    Fleet,
    /// A program of the user's: it asks for parameters and tells values. Parameter names are free.
    External,
}

impl Trials {
    fn is_fleet(&self) -> bool {
        *self == Trials::Fleet
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataSpec {
    /// As written: a file, a directory, a glob or a registered `name[@version]`. After submission `name@version`.
    pub dataset: String,
    pub label: Option<String>,
    pub split: Split,
    /// Samples in a global batch.
    pub batch: u32,
    pub shuffle: Shuffle,
    pub image: Option<ImageColumn>,
    pub text: Option<TextColumn>,
    pub types: BTreeMap<String, ColumnKind>,
    /// Column names or globs; empty means all but the label and `drop`.
    pub features: Vec<String>,
    pub drop: Vec<String>,
    pub missing: Missing,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// Share of the rows, in (0, 1); `train + valid` is at most 1.
    pub train: f64,
    pub valid: f64,
    pub seed: u64,
}

/// The window in which rows are shuffled, in blocks of 4,096 rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shuffle {
    /// All blocks when prepared train is under 1 GiB, else 64.
    Auto,
    Blocks(u32),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageColumn {
    pub column: String,
    /// Channels, height, width.
    pub shape: [u32; 3],
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextColumn {
    pub column: String,
    /// Bytes a window shows the model.
    pub context: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    Numeric,
    Categorical,
    Text,
    /// A fixed-size list of numbers, or bytes with a shape given in the spec.
    Image,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    Error,
    /// A number becomes train's mean, a category none of the categories (all its inputs are zero), a text an empty one.
    Mean,
    Drop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    Classification,
    Regression,
    /// Over bytes.
    LanguageModel,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ModelSpec {
    Linear,
    Mlp {
        hidden: Vec<u32>,
        activation: Activation,
        dropout: f64,
        norm: Norm,
    },
    Cnn {
        /// Output channels of each block: convolution, normalisation, activation, 2x2 max pooling where it fits.
        channels: Vec<u32>,
        /// Side of the square kernel, odd.
        kernel: u32,
        /// Width of the dense layer before the output.
        hidden: u32,
        activation: Activation,
        dropout: f64,
        norm: Norm,
    },
    Transformer {
        layers: u32,
        heads: u32,
        width: u32,
        dropout: f64,
    },
    /// At epoch e reports `valid.loss` = (x - 0.3)^2 + 1/e after `sleep_ms`; for tests and benchmarks.
    Noop {
        x: f64,
        /// Written `sleep` in a spec, a duration.
        #[serde(rename = "sleep")]
        sleep_ms: Millis,
    },
}

/// Milliseconds; written in a spec as `500ms`, `2s`, `30m`, `2h`, `1d`; canonical form is the number with `ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub u64);

impl Serialize for Millis {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&format!("{}ms", self.0))
    }
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Millis, D::Error> {
        let text = String::deserialize(d)?;
        text.strip_suffix("ms")
            .and_then(|n| n.parse().ok())
            .map(Millis)
            .ok_or_else(|| serde::de::Error::custom(format!("not a duration in ms: {text:?}")))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    Relu,
    Gelu,
    Tanh,
    Silu,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Norm {
    None,
    Batch,
    Layer,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossSpec {
    /// In [0, 1).
    pub label_smoothing: f64,
    pub class_weights: ClassWeights,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassWeights {
    None,
    /// rows / (classes * rows of the class), on train.
    Balanced,
    Given(BTreeMap<String, f64>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerKind {
    Sgd,
    Adam,
    Adamw,
}

/// Every optimiser's fields; the ones that do not belong to `kind` hold their defaults and are refused when written.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct OptimizerSpec {
    pub kind: OptimizerKind,
    /// In (0, 1].
    pub lr: f64,
    pub weight_decay: f64,
    /// Bound on the global gradient norm.
    pub clip_norm: Option<f64>,
    /// sgd only.
    pub momentum: f64,
    /// sgd only.
    pub nesterov: bool,
    /// adam and adamw only.
    pub betas: [f64; 2],
    /// adam and adamw only.
    pub eps: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleKind {
    Constant,
    Linear,
    Cosine,
    Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScheduleSpec {
    pub kind: ScheduleKind,
    /// Share of all steps in [0, 1) over which the rate rises linearly from 0 to `optimizer.lr`.
    pub warmup: f64,
    /// `step` only: epochs between two falls.
    pub every: u32,
    /// `step` only: what the rate is multiplied by.
    pub factor: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainSpec {
    pub epochs: u32,
    pub seed: u64,
    pub device: DeviceSpec,
    /// 0 in the canonical form means auto: 1 for a single worker.
    pub virtual_shards: u32,
    pub evaluate: Period,
    /// Steps between two read-backs of loss and gradient norm.
    pub log_every: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceSpec {
    Auto,
    Cpu,
    Cuda(u16),
}

/// How often something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    Epochs(u32),
    Steps(u64),
    /// Only where the flow itself asks for it (rungs and ends).
    Never,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// Such as `valid.accuracy`.
    pub metric: String,
    pub goal: Goal,
    /// The sweep completes when a trial reaches this value.
    pub stop_at: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchSpec {
    pub sampler: SamplerKind,
    pub seed: u64,
    pub scheduler: SchedulerKind,
    pub limit: SearchLimit,
    pub space: Space,
    /// What a trial must hold to.
    #[serde(default, skip_serializing_if = "Requirements::is_empty")]
    pub require: Requirements,
    /// Points that are tried first: whole ones of the space, which hold to `require`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub start: Vec<Assignment>,
    /// The objectives after the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Objective>,
    /// Sweeps of whose trials the sampler learns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<String>,
}

/// At least one bound is set (a grid bounds itself, and so does a population).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchLimit {
    /// Counts configurations, in a population its forks too; those of users never.
    pub trials: Option<u32>,
    pub time: Option<Millis>,
    pub failed_trials: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resources {
    /// Slots a member takes; only 1 in this version.
    pub slots: u16,
    /// GPUs a member needs; 0 trains on the CPU.
    pub gpu: f64,
    /// -100 to 100, higher first.
    pub priority: i16,
    /// Bytes of memory an attempt may use.
    pub memory: Option<u64>,
    pub labels: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptLimits {
    pub time: Option<Millis>,
    pub no_progress: Option<Millis>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointSpec {
    pub every: Period,
    /// Retention after the end of a trial and while it runs.
    pub keep_last: u32,
    pub keep_best: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetrySpec {
    pub attempts: u32,
    pub lost: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackingSpec {
    pub experiment: String,
    pub tags: BTreeMap<String, String>,
}

impl Spec {
    /// Whether values are results on instances (folds, seeds), and a trial's value is their mean.
    pub fn averages(&self) -> bool {
        self.search
            .as_ref()
            .is_some_and(|search| search.scheduler.averages())
    }

    /// The canonical text: JSON with every default filled in. Equal specs give equal bytes.
    pub fn canonical(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads what [`Spec::canonical`] wrote.
    ///
    /// # Errors
    /// The position in the JSON and what is wrong there.
    pub fn from_canonical(text: &str) -> Result<Spec, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// Whether trials are asked for and told by somebody outside the fleet.
    pub fn is_external(&self) -> bool {
        self.trials == Trials::External
    }

    /// Units of the scheduler (epochs) that a trial trains when nobody stops it. An external trial ends when it is told so:
    /// `u32::MAX`, or the last rung.
    pub fn budget(&self) -> u64 {
        u64::from(self.train.epochs)
    }

    /// What trials are compared by: one objective, or several, the first one first.
    pub fn objectives(&self) -> impl Iterator<Item = &Objective> {
        std::iter::once(&self.objective).chain(self.others())
    }

    /// The objectives after the first.
    pub fn others(&self) -> &[Objective] {
        self.search.as_ref().map_or(&[], |search| &search.others)
    }

    pub fn goals(&self) -> Vec<Goal> {
        self.objectives().map(|objective| objective.goal).collect()
    }

    /// The metrics beside the objective that decide how a trial stands: those that something is required of, and the other
    /// objectives.
    pub fn judged_metrics(&self) -> BTreeSet<&str> {
        let search = self.search.iter();
        let required = search.flat_map(|search| search.require.metrics());
        let others = self.others().iter().map(|other| other.metric.as_str());
        required.chain(others).collect()
    }

    /// The sampler of the search, under its scheduler; `None` for a sweep of one trial.
    pub fn sampler(&self) -> Option<Sampler> {
        let search = self.search.as_ref()?;
        let goal = self.objective.goal;
        let scheduler = Scheduler::new(search.scheduler, goal, self.budget()).ok()?;
        let sampler = Sampler::new(search.sampler, search.space.clone(), goal, search.seed).ok()?;
        let sampler = sampler.toward(&self.goals()).ok()?;
        let sampler = sampler.under(&scheduler).ok()?;
        let sampler = sampler.requiring(search.require.clone()).ok()?;
        Some(sampler.starting(search.start.clone()))
    }

    /// V: in how many virtual shards a global batch is reduced.
    pub fn virtual_shards(&self) -> u32 {
        self.train.virtual_shards.max(1)
    }

    /// The parameters of the only trial of a spec without `search:`.
    pub fn single() -> Assignment {
        Assignment::new()
    }
}
