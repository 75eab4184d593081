//! What a coordinator is started with: every limit has a name and a unit.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

/// The port when none is said.
pub const PORT: u16 = 7400;

/// Everything a coordinator must be told. [`CoordinatorConfig::new`] sets the limits; override fields after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoordinatorConfig {
    /// The data directory; made if it is missing.
    pub data: PathBuf,
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Allows listening beyond loopback, where the token travels in the clear.
    pub insecure: bool,
    /// The workers of the directory's last coordinator ran in its process, which has ended: nobody waits for them.
    pub workers_gone: bool,
    pub limits: Limits,
}

/// What a peer may cost, and how long things may take.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Open connections; one more is closed at once.
    pub connections_max: usize,
    /// Open streams on one connection.
    pub streams_max: u32,
    /// Size of one blob.
    pub blob_bytes_max: u64,
    /// Blobs that nothing names are deleted when they are older than this.
    pub blob_orphan_seconds: u64,
    /// A journal of metrics beyond this size becomes a segment.
    pub journal_bytes_max: u64,
    /// A connection must say what it is within this time.
    pub first_bytes_ms: u64,
    /// A connection that is silent for this long is probed, and lost when the next such time passes without an answer.
    pub ping_ms: u64,
    /// A call is ended after this time whatever its caller asked for.
    pub call_seconds_max: u64,
    /// At the end, open calls have this long to finish.
    pub drain_ms: u64,
    /// Orders waiting for one worker; more are dropped and mended by its next heartbeat.
    pub orders_max: usize,
    /// A snapshot is taken when this much was applied since the last one.
    pub snapshot_log_bytes: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections_max: 1_024,
            streams_max: 512,
            blob_bytes_max: 64 << 30,
            blob_orphan_seconds: 3_600,
            journal_bytes_max: 8 << 20,
            first_bytes_ms: 5_000,
            ping_ms: 5_000,
            call_seconds_max: 60,
            drain_ms: 1_000,
            orders_max: 1_024,
            snapshot_log_bytes: 16 << 20,
        }
    }
}

impl Limits {
    pub(crate) fn first_bytes(&self) -> Duration {
        Duration::from_millis(self.first_bytes_ms)
    }

    pub(crate) fn ping(&self) -> Duration {
        Duration::from_millis(self.ping_ms)
    }

    pub(crate) fn drain(&self) -> Duration {
        Duration::from_millis(self.drain_ms)
    }

    pub(crate) fn call(&self) -> Duration {
        Duration::from_secs(self.call_seconds_max)
    }

    pub(crate) fn orphan_age(&self) -> Duration {
        Duration::from_secs(self.blob_orphan_seconds)
    }
}

/// A configuration file that cannot be used; the text names the line.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("configuration: {0}")]
    Toml(#[from] toml::de::Error),
    #[error("configuration: limits.{field} must be at least {least}, not {found}")]
    TooSmall {
        field: &'static str,
        least: u64,
        found: u64,
    },
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    data: PathBuf,
    listen: SocketAddr,
    insecure: bool,
    limits: Limits,
}

impl Default for Raw {
    fn default() -> Raw {
        Raw {
            data: PathBuf::from("bonfire-data"),
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), PORT),
            insecure: false,
            limits: Limits::default(),
        }
    }
}

impl CoordinatorConfig {
    /// The defaults on a data directory: loopback, port 7400.
    pub fn new(data: impl Into<PathBuf>) -> CoordinatorConfig {
        let raw = Raw::default();
        CoordinatorConfig {
            data: data.into(),
            listen: raw.listen,
            insecure: raw.insecure,
            workers_gone: false,
            limits: raw.limits,
        }
    }

    /// Reads a configuration file's text; what it leaves out has its default.
    ///
    /// # Errors
    /// [`ConfigError`] for unknown keys, wrong types (with the line) and limits nothing could work under.
    pub fn from_toml(text: &str) -> Result<CoordinatorConfig, ConfigError> {
        let raw: Raw = toml::from_str(text)?;
        let l = &raw.limits;
        let least = [
            ("connections_max", l.connections_max as u64, 1),
            ("streams_max", u64::from(l.streams_max), 8),
            ("blob_bytes_max", l.blob_bytes_max, 1 << 20),
            ("journal_bytes_max", l.journal_bytes_max, 4 << 10),
            ("first_bytes_ms", l.first_bytes_ms, 1),
            ("ping_ms", l.ping_ms, 10),
            ("call_seconds_max", l.call_seconds_max, 1),
            ("orders_max", l.orders_max as u64, 1),
            ("snapshot_log_bytes", l.snapshot_log_bytes, 4 << 10),
        ];
        for (field, found, least) in least {
            if found < least {
                return Err(ConfigError::TooSmall {
                    field,
                    least,
                    found,
                });
            }
        }
        Ok(CoordinatorConfig {
            data: raw.data,
            listen: raw.listen,
            insecure: raw.insecure,
            workers_gone: false,
            limits: raw.limits,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_shipped_file_says_the_defaults() {
        let path = "../configs/coordinator.toml";
        let text = std::fs::read_to_string(path).unwrap();
        let expected = CoordinatorConfig::new("bonfire-data");
        assert_eq!(CoordinatorConfig::from_toml(&text).unwrap(), expected);
        for key in text.lines().filter(|l| l.contains(" = ")) {
            assert!(
                !key.starts_with('#'),
                "{key} is commented out: the file shows what is in force"
            );
        }
    }

    #[track_caller]
    fn check_refused(text: &str, word: &str) {
        let error = CoordinatorConfig::from_toml(text).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }

    #[test]
    fn mistakes_are_named() {
        check_refused("prot = 1", "prot");
        check_refused("[limits]\nping = 3", "ping");
        check_refused("listen = \"nowhere\"", "listen");
        check_refused(
            "[limits]\nping_ms = 1",
            "limits.ping_ms must be at least 10",
        );
    }
}
