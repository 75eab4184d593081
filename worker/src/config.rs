//! What a worker is told: where its coordinators are, what it offers, and its bounds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bonfire_proto::{Token, TokenError};
use serde::Deserialize;

use crate::executor::Launch;

/// Everything a worker needs to run.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// `host:port`, tried in this order.
    pub coordinators: Vec<String>,
    pub token: Token,
    /// For people; `None`: the host's name and four random digits.
    pub name: Option<String>,
    /// `None`: one for each core.
    pub slots: Option<u16>,
    pub labels: BTreeMap<String, String>,
    /// Cache and spool; one worker a folder.
    pub data_dir: PathBuf,
    /// Bytes of cached blobs kept.
    pub cache_bytes_max: u64,
    /// Bytes of metrics and log lines kept until the coordinator has them; executors are not listened to beyond that.
    pub report_bytes_max: u64,
    pub heartbeat: Duration,
    /// How long a worker that was told to end may take to save and report.
    pub drain_max: Duration,
    pub executor: ExecutorConfig,
}

/// Bounds of the executor processes.
#[derive(Clone, Debug)]
pub struct ExecutorConfig {
    /// How one is started; `None`: the hidden subcommand of the running binary.
    pub launch: Option<Launch>,
    /// Added to an executor's niceness.
    pub nice: i32,
    /// Attempts after which a process is replaced.
    pub trials_max: u32,
    /// Resident bytes after an attempt above which a process is replaced.
    pub resident_bytes_max: u64,
    /// Cores that this worker's slots share; `None`: all of the machine's.
    pub cores: Option<usize>,
}

/// Longest time between two heartbeats: three of them fit into the silence after which a worker counts as lost.
const HEARTBEAT_MAX: Duration = Duration::from_secs(3);

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("worker configuration: {0}")]
    Toml(#[from] toml::de::Error),
    #[error("worker configuration: {key}: {problem}")]
    Value { key: &'static str, problem: String },
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// The file as it is written; every key is optional.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawConfig {
    coordinators: Vec<String>,
    token_file: Option<PathBuf>,
    name: Option<String>,
    slots: Option<RawSlots>,
    labels: BTreeMap<String, String>,
    data_dir: Option<PathBuf>,
    cache_bytes_max: Option<u64>,
    report_bytes_max: Option<u64>,
    heartbeat_ms: Option<u64>,
    drain_ms_max: Option<u64>,
    executor: RawExecutor,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum RawSlots {
    Count(u16),
    Word(String),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawExecutor {
    nice: Option<i32>,
    trials_max: Option<u32>,
    resident_bytes_max: Option<u64>,
}

impl WorkerConfig {
    /// A worker with every default.
    pub fn new(coordinators: Vec<String>, token: Token, data_dir: PathBuf) -> WorkerConfig {
        WorkerConfig {
            coordinators,
            token,
            name: None,
            slots: None,
            labels: BTreeMap::new(),
            data_dir,
            cache_bytes_max: 20 << 30,
            report_bytes_max: 64 << 20,
            heartbeat: Duration::from_secs(2),
            drain_max: Duration::from_secs(120),
            executor: ExecutorConfig {
                launch: None,
                nice: 10,
                trials_max: 1_000,
                resident_bytes_max: 2 << 30,
                cores: None,
            },
        }
    }

    /// Reads a configuration file's text. Relative paths are relative to `base`, the file's own folder.
    ///
    /// # Errors
    /// [`ConfigError`] with the key, or the place in the text.
    pub fn from_toml(text: &str, base: &Path) -> Result<WorkerConfig, ConfigError> {
        let raw: RawConfig = toml::from_str(text)?;
        let token = raw
            .token_file
            .ok_or_else(|| value("token_file", "is missing"))?;
        let token = Token::read(&base.join(token))?;
        let data_dir = raw
            .data_dir
            .ok_or_else(|| value("data_dir", "is missing"))?;
        if raw.coordinators.is_empty() {
            return Err(value("coordinators", "names nobody"));
        }
        let mut config = WorkerConfig::new(raw.coordinators, token, base.join(data_dir));
        config.name = raw.name;
        config.labels = raw.labels;
        config.slots = match raw.slots {
            None => None,
            Some(RawSlots::Word(word)) if word == "auto" => None,
            Some(RawSlots::Count(count)) if count > 0 => Some(count),
            Some(_) => return Err(value("slots", "must be \"auto\" or at least 1")),
        };
        put(&mut config.cache_bytes_max, raw.cache_bytes_max);
        put(&mut config.report_bytes_max, raw.report_bytes_max);
        put(
            &mut config.heartbeat,
            raw.heartbeat_ms.map(Duration::from_millis),
        );
        put(
            &mut config.drain_max,
            raw.drain_ms_max.map(Duration::from_millis),
        );
        put(&mut config.executor.nice, raw.executor.nice);
        put(&mut config.executor.trials_max, raw.executor.trials_max);
        put(
            &mut config.executor.resident_bytes_max,
            raw.executor.resident_bytes_max,
        );
        if config.heartbeat < Duration::from_millis(100) {
            return Err(value("heartbeat_ms", "must be at least 100"));
        }
        // The coordinator takes a worker for lost after ten seconds without a word.
        if config.heartbeat > HEARTBEAT_MAX {
            return Err(value("heartbeat_ms", "must be at most 3000"));
        }
        if !(0..=19).contains(&config.executor.nice) {
            return Err(value("executor.nice", "must be from 0 to 19"));
        }
        if config.executor.trials_max == 0 {
            return Err(value("executor.trials_max", "must be at least 1"));
        }
        Ok(config)
    }
}

fn put<T>(place: &mut T, written: Option<T>) {
    if let Some(written) = written {
        *place = written;
    }
}

fn value(key: &'static str, problem: &str) -> ConfigError {
    ConfigError::Value {
        key,
        problem: problem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn check(extra: &str, expected: Result<Option<u16>, &str>) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), "ab".repeat(32)).unwrap();
        let text =
            format!("token_file = \"token\"\ndata_dir = \"d\"\ncoordinators = [\"a:1\"]\n{extra}");
        match (WorkerConfig::from_toml(&text, dir.path()), expected) {
            (Ok(config), Ok(slots)) => {
                assert_eq!(config.slots, slots);
                assert_eq!(config.data_dir, dir.path().join("d"));
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, expected) => panic!("{found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn files_are_checked() {
        check("", Ok(None));
        check("slots = \"auto\"", Ok(None));
        check("slots = 4", Ok(Some(4)));
        check("slots = 0", Err("slots"));
        check("slots = \"many\"", Err("slots"));
        check("slotz = 4", Err("slotz"));
        check("heartbeat_ms = 5", Err("heartbeat_ms"));
        check("heartbeat_ms = 20000", Err("heartbeat_ms"));
        check("[executor]\nnice = -5", Err("executor.nice"));
        check("[executor]\ntrials_max = 0", Err("executor.trials_max"));
    }

    #[test]
    fn the_shipped_example_names_every_key() {
        let text = include_str!("../../configs/worker.toml");
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), "ab".repeat(32)).unwrap();
        WorkerConfig::from_toml(text, dir.path()).unwrap();
        for key in [
            "name",
            "slots",
            "labels",
            "cache_bytes_max",
            "report_bytes_max",
            "heartbeat_ms",
            "drain_ms_max",
        ] {
            assert!(text.contains(key), "{key} is not explained");
        }
    }
}
