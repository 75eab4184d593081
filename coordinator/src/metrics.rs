//! Counters and gauges of the coordinator, in base units, as Prometheus reads them. No label is unbounded.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What is counted. Shared by everything that counts.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) connections: Counter,
    pub(crate) connections_refused: Counter,
    pub(crate) applied: Counter,
    pub(crate) refused: Counter,
    pub(crate) orders: Counter,
    pub(crate) orders_dropped: Counter,
    pub(crate) report_batches: Counter,
    pub(crate) report_batches_fenced: Counter,
    pub(crate) report_points: Counter,
    pub(crate) blob_received: Counter,
    pub(crate) blob_sent: Counter,
    pub(crate) blobs_deleted: Counter,
    applied_index: Gauge<i64>,
    workers: Gauge<i64>,
    workers_connected: Gauge<i64>,
    sweeps: Family<State, Gauge<i64>>,
    trials: Family<State, Gauge<i64>>,
    ready: Gauge<i64>,
    uptime: Gauge<f64, AtomicU64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

/// What a scrape reads from the state.
#[derive(Debug, Default)]
pub(crate) struct Levels {
    pub(crate) applied_index: u64,
    pub(crate) workers: usize,
    pub(crate) workers_connected: usize,
    pub(crate) sweeps: Vec<(&'static str, u64)>,
    pub(crate) trials: Vec<(&'static str, u64)>,
    pub(crate) ready: bool,
    pub(crate) uptime_seconds: f64,
}

impl Metrics {
    pub(crate) fn new() -> Metrics {
        let mut registry = Registry::with_prefix("bonfire");
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let connections = counter("connections", "Connections taken");
        let connections_refused = counter("connections_refused", "Connections closed at the cap");
        let applied = counter(
            "log_entries_applied",
            "Entries of the replicated log applied",
        );
        let refused = counter("commands_refused", "Commands that changed nothing");
        let orders = counter("orders", "Orders given to workers");
        let orders_dropped = counter(
            "orders_dropped",
            "Orders dropped because a worker's queue was full",
        );
        let report_batches = counter("report_batches", "Report batches made durable");
        let report_batches_fenced = counter(
            "report_batches_fenced",
            "Report batches of attempts that may not speak",
        );
        let report_points = counter("report_points", "Metric points made durable");
        let blob_received = counter("blob_received_bytes", "Bytes of blobs stored");
        let blob_sent = counter("blob_sent_bytes", "Bytes of blobs served");
        let blobs_deleted = counter("blobs_deleted", "Blobs deleted");
        let mut gauge = |name: &str, help: &str| {
            let gauge: Gauge<i64> = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let applied_index = gauge(
            "log_applied_index",
            "Last index of the replicated log applied",
        );
        let workers = gauge("workers", "Workers that joined");
        let workers_connected = gauge("workers_connected", "Workers with an open control stream");
        let ready = gauge("ready", "1 if the coordinator can do its work");
        let (sweeps, trials) = (Family::default(), Family::default());
        registry.register("sweeps", "Sweeps by state", Family::clone(&sweeps));
        registry.register("trials", "Trials by state", Family::clone(&trials));
        let uptime = Gauge::default();
        registry.register(
            "uptime_seconds",
            "Time since the coordinator started",
            Gauge::clone(&uptime),
        );
        Metrics {
            registry,
            connections,
            connections_refused,
            applied,
            refused,
            orders,
            orders_dropped,
            report_batches,
            report_batches_fenced,
            report_points,
            blob_received,
            blob_sent,
            blobs_deleted,
            applied_index,
            workers,
            workers_connected,
            sweeps,
            trials,
            ready,
            uptime,
        }
    }

    /// The text of a scrape.
    pub(crate) fn render(&self, levels: &Levels) -> String {
        let whole = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.applied_index.set(levels.applied_index.cast_signed());
        self.workers.set(whole(levels.workers));
        self.workers_connected.set(whole(levels.workers_connected));
        for (state, n) in &levels.sweeps {
            self.sweeps
                .get_or_create(&State { state })
                .set(n.cast_signed());
        }
        for (state, n) in &levels.trials {
            self.trials
                .get_or_create(&State { state })
                .set(n.cast_signed());
        }
        self.ready.set(i64::from(levels.ready));
        self.uptime.set(levels.uptime_seconds);
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_units_and_counters_end_in_total() {
        let metrics = Metrics::new();
        metrics.blob_sent.inc_by(3);
        let trials = vec![("running", 2)];
        let text = metrics.render(&Levels {
            trials,
            ..Levels::default()
        });
        assert!(text.contains("bonfire_blob_sent_bytes_total 3"), "{text}");
        assert!(
            text.contains("bonfire_trials{state=\"running\"} 2"),
            "{text}"
        );
        for line in text
            .lines()
            .filter(|l| l.starts_with("# TYPE") && l.ends_with("counter"))
        {
            let name = line.split(' ').nth(2).unwrap_or_default();
            assert!(text.contains(&format!("{name}_total ")), "{name}");
        }
    }
}
