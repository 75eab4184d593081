//! A slot with a real executor, driven by hand.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use bonfire_domain::checkpoint::Checkpoint;
use bonfire_domain::fault::AttemptEnd;
use bonfire_domain::metric::Point;
use bonfire_domain::order::StartOrder;
use bonfire_domain::spec;
use bonfire_domain::{Attempt, Slot, SweepId, TrialId};
use bonfire_worker::executor::frame::{Begin, ExecutorEvent, Written};
use bonfire_worker::executor::{
    Launch, Limits, SlotConfig, SlotEvent, SlotEvents, SlotOrder, Spawner, run_slot,
};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Nothing here takes longer unless it is broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// Says something that no executor says.
pub fn write_junk() -> ExitCode {
    let mut out = std::io::stdout();
    // The reader kills us for it.
    let _ = out.write_all(&[0xff; 64]).and_then(|()| out.flush());
    let _ = std::io::read_to_string(std::io::stdin());
    ExitCode::SUCCESS
}

/// What one attempt said, in order.
#[derive(Debug, Default)]
pub struct Story {
    pub points: Vec<Point>,
    /// Epochs and values.
    pub observed: Vec<(u64, f64)>,
    pub written: Vec<Written>,
    pub end: Option<AttemptEnd>,
    /// The process went with it.
    pub died: bool,
}

pub struct Rig {
    runtime: Runtime,
    orders: mpsc::Sender<SlotOrder>,
    events: mpsc::Receiver<SlotEvents>,
    pending: std::collections::VecDeque<SlotEvent>,
    task: JoinHandle<()>,
    pub dir: tempfile::TempDir,
}

impl Rig {
    pub fn new() -> Rig {
        Rig::with("executor", 1_000)
    }

    /// A slot whose processes are this binary, told `arg`.
    pub fn with(arg: &str, trials_max: u32) -> Rig {
        Rig::configured(arg, |config| config.trials_max = trials_max)
    }

    pub fn configured(arg: &str, change: impl FnOnce(&mut SlotConfig)) -> Rig {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let spawner = Spawner::start(runtime.handle().clone()).unwrap();
        let launch = Launch {
            program: std::env::current_exe().unwrap(),
            args: vec![arg.into()],
            envs: vec![],
            threads: 1,
        };
        let mut config = SlotConfig {
            launch,
            nice: 0,
            trials_max: 1_000,
            resident_max: u64::MAX,
        };
        change(&mut config);
        let (orders, ordered) = mpsc::channel(16);
        let (say, events) = mpsc::channel(16);
        let task = runtime.spawn(run_slot(Slot(0), config, spawner, ordered, say));
        let dir = tempfile::tempdir().unwrap();
        Rig {
            runtime,
            orders,
            events,
            pending: Default::default(),
            task,
            dir,
        }
    }

    pub fn order(&self, order: SlotOrder) {
        self.orders.try_send(order).unwrap();
    }

    pub fn begin(&self, order: StartOrder) {
        self.order(self.begin_of(order, Limits::default()));
    }

    pub fn begin_of(&self, order: StartOrder, limits: Limits) -> SlotOrder {
        let spool = self.spool();
        SlotOrder::Begin {
            begin: Box::new(Begin {
                order,
                data: None,
                resume: None,
                spool,
            }),
            limits,
        }
    }

    pub fn spool(&self) -> PathBuf {
        self.dir.path().join("spool")
    }

    pub fn end(&self, number: u32, save: bool) {
        self.order(SlotOrder::End {
            trial: trial(number),
            attempt: Attempt(1),
            save,
        });
    }

    /// The next event.
    #[track_caller]
    pub fn next(&mut self) -> SlotEvent {
        while self.pending.is_empty() {
            let events = &mut self.events;
            let next = self
                .runtime
                .block_on(async { tokio::time::timeout(PATIENCE, events.recv()).await });
            self.pending.extend(
                next.expect("an event in time")
                    .expect("a slot that lives")
                    .1,
            );
        }
        self.pending.pop_front().unwrap()
    }

    /// Waits for a process that reads orders; its id.
    #[track_caller]
    pub fn ready(&mut self) -> u32 {
        match self.next() {
            SlotEvent::Executor(ExecutorEvent::Ready { pid }) => pid,
            other => panic!("{other:?} instead of ready"),
        }
    }

    /// Waits until an attempt has started.
    #[track_caller]
    pub fn started(&mut self) {
        loop {
            match self.next() {
                SlotEvent::Executor(ExecutorEvent::Started { .. }) => return,
                SlotEvent::Log { line, .. } => eprintln!("executor: {}", line.text),
                other => panic!("{other:?} instead of started"),
            }
        }
    }

    /// Everything an attempt says until its end.
    #[track_caller]
    pub fn story(&mut self, number: u32) -> Story {
        let mut story = Story::default();
        while story.end.is_none() {
            match self.next() {
                SlotEvent::Executor(event) => story.take(number, event),
                SlotEvent::Died { trial: of, end, .. } => {
                    assert_eq!(of, trial(number));
                    (story.died, story.end) = (true, Some(end));
                }
                SlotEvent::Log { line, .. } => eprintln!("executor: {}", line.text),
            }
        }
        story
    }
}

impl Story {
    fn take(&mut self, number: u32, event: ExecutorEvent) {
        match event {
            ExecutorEvent::Points {
                trial: of, points, ..
            } => {
                assert_eq!(of, trial(number));
                self.points.extend(points);
            }
            ExecutorEvent::Observed { epoch, value, .. } => self.observed.push((epoch, value)),
            ExecutorEvent::Checkpoint(written) => self.written.push(*written),
            ExecutorEvent::Ended { trial: of, end, .. } => {
                assert_eq!(of, trial(number));
                self.end = Some(end);
            }
            ExecutorEvent::Started { .. } | ExecutorEvent::Progress { .. } => {}
            other => panic!("{other:?} in a trial's story"),
        }
    }

    /// The end as people read it.
    pub fn ending(&self) -> String {
        self.end
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let (gone, _) = mpsc::channel(1);
        self.orders = gone;
        let task = &mut self.task;
        // The slot ends its process before it ends itself.
        let _ = self
            .runtime
            .block_on(async { tokio::time::timeout(PATIENCE, task).await });
    }
}

pub fn trial(number: u32) -> TrialId {
    TrialId {
        sweep: SweepId(1),
        number,
    }
}

/// Starts a trial of a spec given as YAML without its head.
pub fn start(number: u32, yaml: &str, until: u64, from: Option<Checkpoint>) -> StartOrder {
    let text = format!("kind: sweep\nversion: 1\n{yaml}");
    let spec = spec::check(text.as_bytes(), &[]);
    let spec = spec.unwrap_or_else(|problems| panic!("{problems:?}"));
    StartOrder {
        trial: trial(number),
        label: format!("test/{number}"),
        attempt: Attempt(1),
        slot: Slot(0),
        spec: spec.canonical(),
        parameters: Default::default(),
        until,
        from,
        dataset: None,
    }
}

/// What was written, as published.
pub fn published(written: &Written) -> Checkpoint {
    Checkpoint {
        step: written.step,
        epoch: written.epoch,
        attempt: written.attempt,
        manifest: written.manifest,
        chunks: written.chunks.clone(),
        value: written.value,
        written: bonfire_domain::WallMs(0),
    }
}

/// Whether a process is there and not a zombie.
pub fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}
