//! What a simulated run is made of.

/// Mistakes that the simulation must find; planted in the shells around the machines, for tests of the tests only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlantedBug {
    /// The log says "on disk" before it is.
    AcknowledgesUnsynced,
    /// Facts are acknowledged when they arrive, not when they are applied.
    AcknowledgesFactsEarly,
    /// Blobs are deleted as soon as they are garbage, without `Condemn`.
    DeletesWithoutCondemning,
    /// A checkpoint is published without looking whether its blobs are there.
    PublishesUnseen,
    /// The sampler is seeded anew at each restart.
    ReseedsSampler,
    /// After a restart the node forgets the entries behind its snapshot.
    ForgetsTail,
}

impl PlantedBug {
    pub const ALL: [PlantedBug; 6] = [
        PlantedBug::AcknowledgesUnsynced,
        PlantedBug::AcknowledgesFactsEarly,
        PlantedBug::DeletesWithoutCondemning,
        PlantedBug::PublishesUnseen,
        PlantedBug::ReseedsSampler,
        PlantedBug::ForgetsTail,
    ];
}

/// How rough the run is. Rates are per thousand, of each message or each virtual second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    pub lost_permille: u32,
    pub doubled_permille: u32,
    pub delay_ms_max: u64,
    pub node_crash_permille: u32,
    pub worker_crash_permille: u32,
    pub executor_kill_permille: u32,
    pub break_permille: u32,
    /// Faults stop at this virtual millisecond; then everything must come to its end.
    pub until_ms: u64,
}

impl Faults {
    pub const NONE: Faults = Faults {
        lost_permille: 0,
        doubled_permille: 0,
        delay_ms_max: 2,
        node_crash_permille: 0,
        worker_crash_permille: 0,
        executor_kill_permille: 0,
        break_permille: 0,
        until_ms: 0,
    };

    pub const ROUGH: Faults = Faults {
        lost_permille: 30,
        doubled_permille: 30,
        delay_ms_max: 40,
        node_crash_permille: 120,
        worker_crash_permille: 100,
        executor_kill_permille: 150,
        break_permille: 100,
        until_ms: 30_000,
    };
}

/// One run.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub seed: u64,
    pub workers: u32,
    pub slots: u16,
    /// Specs submitted at the start, as users write them.
    pub specs: Vec<String>,
    pub faults: Faults,
    /// A user pauses and resumes the first sweep.
    pub pause: bool,
    pub bug: Option<PlantedBug>,
    /// Bytes of log after which a snapshot is made.
    pub snapshot_log_bytes: u64,
    /// The run fails if it has not ended by then.
    pub horizon_ms: u64,
}

impl Scenario {
    /// A fleet of three workers with two slots each, an ASHA sweep and a plain one, and rough weather.
    pub fn rough(seed: u64) -> Scenario {
        Scenario {
            seed,
            workers: 3,
            slots: 2,
            specs: vec![asha_spec(18), plain_spec(12)],
            faults: Faults::ROUGH,
            pause: seed.is_multiple_of(3),
            bug: None,
            snapshot_log_bytes: 4_096,
            horizon_ms: 1_200_000,
        }
    }
}

/// An ASHA sweep of no-op trials with a checkpoint an epoch.
pub fn asha_spec(trials: u32) -> String {
    format!(
        "kind: sweep\nversion: 1\nname: asha\nmodel: {{ kind: noop, x: 0.5, sleep: 120ms }}\ntrain: {{ epochs: 9 }}\n\
         checkpoint: {{ every: 1 epoch, keep: {{ last: 1, best: 1 }} }}\nretry: {{ attempts: 3, lost: 10000 }}\n\
         search:\n  sampler: {{ kind: sobol, seed: 3 }}\n  scheduler: {{ kind: asha, min: 1, max: 9, eta: 3 }}\n  \
         limit: {{ trials: {trials} }}\n  parameters:\n    model.x: {{ min: 0.0, max: 1.0 }}\n"
    )
}

/// No-op trials under another scheduler, such as `hyperband, min: 1, max: 9`. BOHB's sampler is its own; a population's forks
/// count as trials.
pub fn scheduled_spec(scheduler: &str, trials: u32) -> String {
    let spec = asha_spec(trials).replace("asha, min: 1, max: 9, eta: 3", scheduler);
    match scheduler.starts_with("bohb") {
        true => spec.replace("kind: sobol", "kind: auto"),
        false => spec,
    }
}

/// A sweep without a scheduler, whose slots hold trials ahead.
pub fn plain_spec(trials: u32) -> String {
    format!(
        "kind: sweep\nversion: 1\nname: plain\nmodel: {{ kind: noop, x: 0.5, sleep: 40ms }}\ntrain: {{ epochs: 3 }}\n\
         checkpoint: {{ every: 1 epoch }}\nretry: {{ attempts: 3, lost: 10000 }}\n\
         search:\n  sampler: {{ kind: random, seed: 5 }}\n  limit: {{ trials: {trials} }}\n  parameters:\n    \
         model.x: {{ min: 0.0, max: 1.0 }}\n"
    )
}
