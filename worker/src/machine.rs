//! What the worker says of the machine it runs on.

use bonfire_domain::WorkerId;
use bonfire_domain::order::{SlotFacts, WorkerFacts};
use bonfire_domain::spec::DeviceSpec;

use crate::config::WorkerConfig;

/// Cores this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Slots to offer.
pub fn slots(config: &WorkerConfig) -> u16 {
    config
        .slots
        .unwrap_or_else(|| u16::try_from(cores()).unwrap_or(u16::MAX))
        .max(1)
}

/// 64 random bits.
///
/// # Errors
/// The system has no randomness to give.
pub fn random() -> std::io::Result<u64> {
    getrandom::u64().map_err(|e| std::io::Error::other(e.to_string()))
}

/// What the worker registers with. It reads the running binary; call it once.
pub fn facts(config: &WorkerConfig, worker: WorkerId) -> WorkerFacts {
    let name = config.name.clone();
    let name = name.unwrap_or_else(|| {
        let host = host_name().unwrap_or_else(|| "worker".to_owned());
        format!("{host}-{:04}", worker.0 % 10_000)
    });
    let devices = bonfire_engine::devices();
    let device = |index: usize| match devices.get(index % devices.len().max(1)).map(|d| &d.device) {
        Some(DeviceSpec::Cuda(index)) => format!("cuda:{index}"),
        _ => "cpu".to_owned(),
    };
    let slots = 0..usize::from(slots(config));
    WorkerFacts {
        worker,
        name,
        slots: slots
            .map(|index| SlotFacts {
                device: device(index),
            })
            .collect(),
        labels: config.labels.clone(),
        memory: memory(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        numerics: bonfire_engine::numerics_class(),
    }
}

/// What this machine is called; `None` where it has no name.
pub fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// Bytes of memory the machine has; 0 where the system does not say.
fn memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() * 1_024
}
