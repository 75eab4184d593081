//! Where a trial may run: pure, with the reason when it may not.

use std::collections::BTreeMap;
use std::fmt;

use crate::cluster::{Cluster, QUEUE_PER_SLOT, WorkerState};
use crate::command::Admission;
use crate::id::{Place, Slot};
use crate::spec::{DeviceSpec, Spec};

/// Why a trial has no place now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skip {
    NoWorkers,
    /// Every slot that would do is taken.
    AllBusy {
        slots: u32,
    },
    NoSlotWithDevice {
        device: String,
    },
    NoSlotWithLabel {
        label: String,
        value: String,
    },
    NoWorkerWithMemory {
        bytes: u64,
    },
    AllDraining,
    AllQuarantined {
        reason: String,
    },
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Skip::NoWorkers => f.write_str("no worker is connected"),
            Skip::AllBusy { slots: 1 } => f.write_str("the one slot that would do is taken"),
            Skip::AllBusy { slots } => write!(f, "all {slots} slots that would do are taken"),
            Skip::NoSlotWithDevice { device } => write!(f, "no slot has device {device}"),
            Skip::NoSlotWithLabel { label, value } => {
                write!(f, "no worker has label {label}: {value}")
            }
            Skip::NoWorkerWithMemory { bytes } => {
                write!(f, "no worker has {bytes} bytes of memory")
            }
            Skip::AllDraining => f.write_str("every worker that would do is draining"),
            Skip::AllQuarantined { reason } => {
                write!(f, "every worker that would do is quarantined: {reason}")
            }
        }
    }
}

/// Attempts a slot holds or will hold, as the leader sees it with its own proposals.
pub type Load = BTreeMap<Place, usize>;

/// The places that may take an attempt of this spec now, least loaded first.
///
/// `deep` allows a second attempt behind a running one; `load` counts what each slot holds. Workers for which `reachable` is
/// false are passed over.
///
/// # Errors
/// The most telling [`Skip`] when there is none.
pub fn decide_places(
    cluster: &Cluster,
    spec: &Spec,
    load: &Load,
    deep: bool,
    reachable: impl Fn(&WorkerState) -> bool,
) -> Result<Vec<Place>, Skip> {
    let depth = if deep { QUEUE_PER_SLOT } else { 1 };
    let mut skip = Skip::NoWorkers;
    let mut busy = 0;
    let mut found: Vec<(usize, Place)> = Vec::new();
    for worker in cluster.workers() {
        if let Err(why) = check_worker(worker, spec) {
            skip = skip.max(why);
            continue;
        }
        if !reachable(worker) {
            continue;
        }
        for (at, slot) in worker.facts.slots.iter().enumerate() {
            if !device_fits(&spec.train.device, spec.resources.gpu, &slot.device) {
                let device = wanted_device(spec);
                skip = skip.max(Skip::NoSlotWithDevice { device });
                continue;
            }
            let place = Place {
                worker: worker.id(),
                slot: Slot(at as u16),
            };
            let held = load.get(&place).copied().unwrap_or(0);
            if held < depth {
                found.push((held, place));
            } else {
                busy += 1;
            }
        }
    }
    if !found.is_empty() {
        found.sort();
        return Ok(found.into_iter().map(|(_, place)| place).collect());
    }
    Err(if busy > 0 {
        Skip::AllBusy { slots: busy }
    } else {
        skip
    })
}

/// Whether a worker with these labels, this memory (bytes) and these slots' devices could ever take an attempt of this spec.
///
/// # Errors
/// What it lacks.
pub fn check_fit<'a>(
    spec: &Spec,
    labels: &BTreeMap<String, String>,
    memory: u64,
    mut devices: impl Iterator<Item = &'a str>,
) -> Result<(), Skip> {
    check_worker_fit(spec, labels, memory)?;
    if devices.any(|device| device_fits(&spec.train.device, spec.resources.gpu, device)) {
        return Ok(());
    }
    let device = wanted_device(spec);
    Err(Skip::NoSlotWithDevice { device })
}

fn check_worker_fit(
    spec: &Spec,
    labels: &BTreeMap<String, String>,
    memory: u64,
) -> Result<(), Skip> {
    for (label, value) in &spec.resources.labels {
        if labels.get(label) != Some(value) {
            let (label, value) = (label.clone(), value.clone());
            return Err(Skip::NoSlotWithLabel { label, value });
        }
    }
    match spec.resources.memory {
        Some(bytes) if bytes > memory => Err(Skip::NoWorkerWithMemory { bytes }),
        _ => Ok(()),
    }
}

fn check_worker(worker: &WorkerState, spec: &Spec) -> Result<(), Skip> {
    check_worker_fit(spec, &worker.facts.labels, worker.facts.memory)?;
    match &worker.admission {
        Admission::Open => Ok(()),
        Admission::Draining => Err(Skip::AllDraining),
        Admission::Quarantined { reason } => Err(Skip::AllQuarantined {
            reason: reason.clone(),
        }),
    }
}

fn wanted_device(spec: &Spec) -> String {
    match &spec.train.device {
        DeviceSpec::Cuda(n) => format!("cuda:{n}"),
        DeviceSpec::Cpu => "cpu".to_owned(),
        DeviceSpec::Auto if spec.resources.gpu > 0.0 => "cuda".to_owned(),
        DeviceSpec::Auto => "cpu".to_owned(),
    }
}

fn device_fits(wanted: &DeviceSpec, gpu: f64, device: &str) -> bool {
    match wanted {
        DeviceSpec::Cuda(n) => device == format!("cuda:{n}"),
        DeviceSpec::Cpu => device == "cpu" && gpu == 0.0,
        DeviceSpec::Auto if gpu > 0.0 => device.starts_with("cuda"),
        DeviceSpec::Auto => true,
    }
}
