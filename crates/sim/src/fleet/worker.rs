//! A simulated worker of one slot: the real session, a run on the virtual clock, and when it fails.

use bonfire_domain::WorkerId;
use bonfire_domain::order::{SlotFacts, WorkerFacts};
use bonfire_domain::session::{Session, SessionConfig};
use bonfire_domain::spec::{DeviceSpec, Spec};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::trainer::Run;

pub(super) struct Worker {
    pub id: WorkerId,
    pub session: Session,
    pub run: Option<Run>,
    /// When this process fails.
    pub fails_ms: Option<u64>,
    number: usize,
    /// A stream of its own, so that failures do not depend on what is run.
    rng: ChaCha8Rng,
}

impl Worker {
    pub fn new(seed: u64, number: usize) -> Worker {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(number as u64);
        Worker {
            id: WorkerId(0),
            session: Session::new(SessionConfig::new(WorkerId(0), 1)),
            run: None,
            fails_ms: None,
            number,
            rng,
        }
    }

    /// Starts another process: it knows nothing of the one before. It is what the spec asks for.
    pub fn start(&mut self, id: WorkerId, spec: &Spec) -> WorkerFacts {
        self.id = id;
        self.session = Session::new(SessionConfig::new(id, 1));
        let device = match &spec.train.device {
            DeviceSpec::Cuda(n) => format!("cuda:{n}"),
            DeviceSpec::Auto if spec.resources.gpu > 0.0 => "cuda:0".to_owned(),
            DeviceSpec::Auto | DeviceSpec::Cpu => "cpu".to_owned(),
        };
        WorkerFacts {
            worker: id,
            name: format!("worker-{}", self.number + 1),
            slots: vec![SlotFacts { device }],
            labels: spec.resources.labels.clone(),
            memory: u64::MAX,
            version: "simulated".to_owned(),
            numerics: "simulated".to_owned(),
        }
    }

    /// Milliseconds until it fails, at least 1: exponential, by inversion of its distribution.
    pub fn draw_failure(&mut self, mean_ms: u64) -> u64 {
        let above_zero = (self.rng.next_u64() >> 11) + 1;
        let share = above_zero as f64 / (1_u64 << 53) as f64;
        ((-libm::log(share) * mean_ms as f64) as u64).max(1)
    }
}
