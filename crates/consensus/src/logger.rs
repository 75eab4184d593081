//! The raft crate logs through slog; here its records become tracing events under the target `raft`.

use std::fmt::Arguments;

use slog::{Drain, KV, Key, Level, Logger, Never, OwnedKVList, Record, Serializer, o};

struct ToTracing;

/// A record as one line: the message, then `key=value` pairs.
struct Line(String);

impl Serializer for Line {
    fn emit_arguments(&mut self, key: Key, value: &Arguments<'_>) -> slog::Result {
        self.0 += &format!(" {key}={value}");
        Ok(())
    }
}

impl Drain for ToTracing {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        let mut line = Line(record.msg().to_string());
        // Line never fails, and a record that cannot be formatted is not worth an error.
        let _ = record
            .kv()
            .serialize(record, &mut line)
            .and_then(|()| values.serialize(record, &mut line));
        match record.level() {
            Level::Critical | Level::Error => tracing::error!(target: "raft", "{}", line.0),
            Level::Warning => tracing::warn!(target: "raft", "{}", line.0),
            // What the crate calls information is the course of an election.
            _ => tracing::debug!(target: "raft", "{}", line.0),
        }
        Ok(())
    }

    fn is_enabled(&self, level: Level) -> bool {
        match level {
            Level::Critical | Level::Error => {
                tracing::enabled!(target: "raft", tracing::Level::ERROR)
            }
            Level::Warning => tracing::enabled!(target: "raft", tracing::Level::WARN),
            _ => tracing::enabled!(target: "raft", tracing::Level::DEBUG),
        }
    }
}

pub(crate) fn to_tracing(node: u64) -> Logger {
    Logger::root(ToTracing, o!("node" => node))
}
