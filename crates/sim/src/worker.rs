//! A simulated worker: the real session, executors that live on the virtual clock.

use bonfire_domain::order::{SlotFacts, WorkerFacts};
use bonfire_domain::session::{Session, SessionConfig};
use bonfire_domain::{Slot, WorkerId};

use crate::executor::Run;

/// One agent process and its executors.
pub struct Worker {
    pub id: WorkerId,
    pub session: Session,
    pub slots: Vec<Executor>,
    /// The open connection to the coordinator.
    pub connection: Option<u64>,
}

/// The executor of a slot; `life` changes with each new process or attempt, so that late events find nobody.
#[derive(Clone, Debug, Default)]
pub struct Executor {
    pub run: Option<Run>,
    pub life: u64,
}

impl Worker {
    pub fn start(id: WorkerId, slots: u16) -> Worker {
        let mut config = SessionConfig::new(id, slots);
        config.heartbeat_ms = 500;
        config.resend_ms = 1_500;
        Worker {
            id,
            session: Session::new(config),
            slots: (0..slots).map(|_| Executor::default()).collect(),
            connection: None,
        }
    }

    pub fn facts(&self) -> WorkerFacts {
        WorkerFacts {
            worker: self.id,
            name: format!("worker-{}", self.id.0),
            slots: self
                .slots
                .iter()
                .map(|_| SlotFacts {
                    device: "cpu".to_owned(),
                })
                .collect(),
            labels: Default::default(),
            memory: 1 << 30,
            version: "simulated".to_owned(),
            numerics: "simulated".to_owned(),
        }
    }

    pub fn slot(&mut self, slot: Slot) -> Option<&mut Executor> {
        self.slots.get_mut(usize::from(slot.0))
    }
}
