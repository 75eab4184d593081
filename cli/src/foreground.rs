//! Training in the foreground: a fleet in this process where none is named, a sweep followed to its end, Ctrl-C.

use std::time::Duration;

use bonfire_domain::command::SweepAction;
use bonfire_domain::placement::check_fit;
use bonfire_domain::spec::{DeviceSpec, Spec};
use bonfire_domain::view::{FleetDocument, SweepDocument, SweepRow};
use bonfire_proto::client::{ClientError, Watch};
use bonfire_proto::wire::ControlSweep;
use tokio::time::{Instant, MissedTickBehavior};

use crate::args::{Global, LocalArgs};
use crate::connect::{Link, Need, is_gone};
use crate::documents;
use crate::local::{LOOK_AGAIN, Workers};
use crate::output::errors::{Exit, Failure};
use crate::output::progress::{Glance, Live};
use crate::output::{Output, say};
use crate::signals::Signals;

/// How long running trials may take to save after Ctrl-C.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// How long a fleet may be gone before a follower gives up.
const GONE_MAX: Duration = Duration::from_secs(120);
/// How long the workers of this process may take to join.
const JOIN_MAX: Duration = Duration::from_secs(10);
const GONE_PAUSE: Duration = Duration::from_millis(500);
/// Between two looks at a sweep that does not change.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Sweeps with more trials are followed by their counts alone.
const TRIALS_MAX: u32 = 256;

/// A fleet, the workers that this process adds to it, and the user's signals.
pub struct Foreground {
    pub link: Link,
    pub output: Output,
    pub signals: Signals,
    local: LocalArgs,
    workers: Option<Workers>,
}

/// What Ctrl-C does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// Pauses the sweep, which saves what runs.
    Pause,
    /// Stops looking; the sweep goes on.
    Detach,
}

/// Why following came to its end, with the sweep as it then was.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// It ended by itself.
    Ended(SweepDocument),
    /// It is paused and nothing of it runs, or nothing was waited for any longer.
    Paused(SweepDocument),
    /// The user looks no longer.
    Detached(SweepDocument),
}

impl Ending {
    pub fn document(&self) -> &SweepDocument {
        match self {
            Ending::Ended(document) | Ending::Paused(document) | Ending::Detached(document) => {
                document
            }
        }
    }

    /// 0 for a sweep that completed, or goes on without us; else 1.
    pub fn exit(&self) -> Exit {
        match self {
            Ending::Ended(document) if document.state == "completed" => Exit::Done,
            Ending::Detached(_) => Exit::Done,
            Ending::Ended(_) | Ending::Paused(_) => Exit::Failed,
        }
    }
}

/// How to get a trial of an external sweep.
pub fn ask_hint(sweep: &str, flags: &str) -> String {
    format!("its trials are asked for: bonfire trial ask {sweep}{flags}")
}

impl Foreground {
    /// Reaches a fleet; from here on the signals are ours.
    ///
    /// # Errors
    /// As [`Link::open`]; workers asked for beside a fleet that lives elsewhere.
    pub async fn open(
        global: &Global,
        need: Need,
        local: LocalArgs,
    ) -> Result<Foreground, Failure> {
        let mut signals = Signals::watch()?;
        let link = signals.unless(Link::open(global, need)).await?;
        if link.local().is_none() && (local.workers.is_some() || local.slots.is_some()) {
            let text = format!(
                "{} runs already: --workers and --slots are for one that is started here",
                link.place()
            );
            let next = "leave them out, or add machines to it (bonfire worker)";
            return Err(Failure::wrong(text).next(next));
        }
        Ok(Foreground {
            link,
            output: Output::of(global),
            signals,
            local,
            workers: None,
        })
    }

    /// Whether this process is the fleet, so that it must train by itself.
    pub fn is_local(&self) -> bool {
        self.link.local().is_some()
    }

    /// Lets others ask for trials of the fleet that this process is.
    pub fn serve_askers(&self, sweep: &str) {
        if let Some(local) = self.link.local() {
            local.stay();
        }
        self.output.note(&ask_hint(sweep, &self.link.flags()));
    }

    /// Starts workers where this process is the fleet. Sweeps that an earlier process left running are paused first, all
    /// but `keep`, so that they do not take the slots.
    ///
    /// # Errors
    /// A coordinator that does not answer.
    pub async fn start_workers(&mut self, keep: Option<&str>) -> Result<(), Failure> {
        let Some(local) = self.link.local().filter(|_| self.workers.is_none()) else {
            return Ok(());
        };
        for row in documents::sweeps(&self.link.fleet).await? {
            let waits = row.state == "running" && !row.external;
            if waits && Some(row.sweep.as_str()) != keep {
                let control = ControlSweep {
                    sweep: row.sweep.clone(),
                    action: SweepAction::SetAside,
                };
                self.link.fleet.control_sweep(control).await?;
                let flags = self.link.flags();
                self.output.note(&format!("{0} was left unfinished and is paused; go on with it later: bonfire sweep resume {0}{flags}", row.sweep));
            }
        }
        self.workers = Some(local.start_workers(self.local));
        Ok(())
    }

    /// Refuses a spec that the workers of this process could never run; a fleet may still get the ones it needs.
    ///
    /// # Errors
    /// What they lack.
    pub async fn check_fit(&self, spec: &Spec) -> Result<(), Failure> {
        let resources = &spec.resources;
        let is_plain = resources.gpu == 0.0
            && resources.memory.is_none()
            && resources.labels.is_empty()
            && !matches!(spec.train.device, DeviceSpec::Cuda(_));
        if is_plain || self.workers.is_none() {
            return Ok(());
        }
        let began = Instant::now();
        loop {
            let fleet: FleetDocument = documents::get(&self.link.fleet, documents::FLEET).await?;
            let ready: Vec<_> = fleet
                .workers
                .iter()
                .filter(|w| w.state == "ready")
                .collect();
            let lacks = ready.iter().map(|w| {
                let devices = w.devices.iter().map(String::as_str);
                check_fit(spec, &w.labels, w.memory, devices)
            });
            let lacks: Vec<_> = lacks.collect();
            if lacks.iter().any(Result::is_ok) {
                return Ok(());
            }
            // The workers of one machine are alike.
            if let Some(Err(skip)) = lacks.first() {
                return Err(Failure::wrong(format!("nothing here can run it: {skip}"))
                    .next("change resources or train.device, or name a fleet that has it (--coordinator ADDR)"));
            }
            if began.elapsed() > JOIN_MAX {
                return Ok(());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Shows a sweep until it ends, is paused, or the user wants no more.
    ///
    /// # Errors
    /// The fleet or a worker of this process is gone for good; the sweep was deleted.
    pub async fn follow(
        &mut self,
        sweep: &str,
        limit: Option<u32>,
        interrupt: Interrupt,
    ) -> Result<Ending, Failure> {
        let mut live = Live::new(self.output);
        let mut follower = Follower {
            sweep,
            limit,
            interrupt,
            deadline: None,
        };
        loop {
            match self.link.fleet.watch(&follower.path()).await {
                Ok(watch) => {
                    if let Some(why) = self.watch(watch, &mut follower, &mut live).await? {
                        let document = documents::sweep(&self.link.fleet, sweep).await?;
                        return Ok(why(document));
                    }
                }
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(error.into()),
            }
            live.note("the coordinator is gone; looking for it");
            self.regain(sweep, interrupt).await?;
        }
    }

    /// Follows one stream; `None` when it broke off.
    async fn watch(
        &mut self,
        mut watch: Watch,
        follower: &mut Follower<'_>,
        live: &mut Live,
    ) -> Result<Option<Why>, Failure> {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.signals.next() => {
                    if follower.deadline.is_some() {
                        stop_now();
                    }
                    if follower.interrupt == Interrupt::Detach {
                        return Ok(Some(Ending::Detached));
                    }
                    self.pause(follower, live).await?;
                }
                failure = worker_failure(&mut self.workers) => return Err(failure),
                () = sleep_until(follower.deadline) => {
                    live.note("not everything was saved in time: it goes on from its last checkpoint");
                    return Ok(Some(Ending::Paused));
                }
                // Why nothing changes is not a change: it is asked for, and said again.
                _ = look.tick() => {
                    match self.link.fleet.get(&follower.path()).await {
                        Ok(document) => live.show(&follower.read(&document.json)?),
                        Err(error) if is_gone(&error) => return Ok(None),
                        Err(error) => return Err(error.into()),
                    }
                    self.check_workers().await?;
                }
                next = watch.next() => {
                    let json = match next {
                        Ok(Some(document)) => document.json,
                        Ok(None) | Err(ClientError::Unreachable { .. }) => return Ok(None),
                        Err(error) => return Err(error.into()),
                    };
                    let glance = follower.read(&json)?;
                    live.show(&glance);
                    match (glance.state.as_str(), glance.count("running")) {
                        ("running", _) | ("paused", 1..) => {}
                        ("paused", 0) => return Ok(Some(Ending::Paused)),
                        _ => return Ok(Some(Ending::Ended)),
                    }
                }
            }
        }
    }

    /// Ends a command whose own workers are all kept from new work: nobody else will come.
    ///
    /// # Errors
    /// Why they are.
    async fn check_workers(&self) -> Result<(), Failure> {
        if self.workers.is_none() || !self.is_local() {
            return Ok(());
        }
        let fleet: FleetDocument = documents::get(&self.link.fleet, documents::FLEET).await?;
        let kept_out = fleet.workers.iter().map(|worker| {
            let is_kept_out = worker.state == "quarantined";
            worker.reason.as_ref().filter(|_| is_kept_out)
        });
        let Some(reason) = kept_out
            .collect::<Option<Vec<_>>>()
            .and_then(|all| all.first().copied())
        else {
            return Ok(());
        };
        let text = format!("every worker here is quarantined: {reason}");
        Err(Failure::failed(text).next(format!(
            "see bonfire trial list last{0} and bonfire trial why TRIAL{0}; bonfire sweep resume last{0} tries again",
            self.link.flags()
        )))
    }

    /// The first Ctrl-C.
    async fn pause(&mut self, follower: &mut Follower<'_>, live: &Live) -> Result<(), Failure> {
        live.note("pausing: what runs is saved; once more to stop at once");
        follower.deadline = Some(Instant::now() + PAUSE_MAX);
        let control = ControlSweep {
            sweep: follower.sweep.to_owned(),
            action: SweepAction::Pause,
        };
        match self.link.fleet.control_sweep(control).await {
            // It ended just now, which the next document says.
            Ok(_) | Err(ClientError::Fenced(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for the fleet to come back. Who runs the sweep becomes the fleet itself, in a data directory whose fleet was another
    /// command's like this; who only looks never does.
    async fn regain(&mut self, sweep: &str, interrupt: Interrupt) -> Result<(), Failure> {
        let runs = interrupt == Interrupt::Pause;
        let began = Instant::now();
        loop {
            tokio::select! {
                () = self.signals.next() => stop_now(),
                found = self.link.again(runs) => match found {
                    Ok(()) => return self.start_workers(Some(sweep)).await,
                    Err(failure) if failure.exit == Exit::Unreachable && began.elapsed() < GONE_MAX => {}
                    Err(failure) => return Err(failure),
                },
            }
            tokio::time::sleep(GONE_PAUSE).await;
        }
    }

    /// Ends what this process started: workers save and report, then the coordinator closes. A second signal ends all at
    /// once.
    pub async fn close(self) {
        let Foreground {
            link,
            mut signals,
            workers,
            ..
        } = self;
        let end = async {
            if let Some(workers) = workers {
                workers.stop().await;
            }
            link.close().await;
        };
        tokio::select! {
            () = end => {}
            () = signals.next() => stop_now(),
        }
    }
}

/// Ends this process. Executors end with the pipes they hold to it.
fn stop_now() -> ! {
    say("stopped");
    std::process::exit(i32::from(Exit::Failed as u8))
}

async fn worker_failure(workers: &mut Option<Workers>) -> Failure {
    match workers {
        Some(workers) => workers.failed().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// How a sweep that is no longer followed is reported.
type Why = fn(SweepDocument) -> Ending;

/// What is followed.
struct Follower<'a> {
    sweep: &'a str,
    /// `limit.trials`.
    limit: Option<u32>,
    interrupt: Interrupt,
    /// When a pause that the user asked for is no longer waited for.
    deadline: Option<Instant>,
}

impl Follower<'_> {
    /// Whether every trial is looked at; a sweep that is large, or may become so, is followed by its counts.
    fn is_small(&self) -> bool {
        self.limit.is_some_and(|limit| limit <= TRIALS_MAX)
    }

    fn path(&self) -> String {
        if self.is_small() {
            documents::sweep_path(self.sweep)
        } else {
            documents::summary_path(self.sweep)
        }
    }

    fn read(&self, json: &[u8]) -> Result<Glance, Failure> {
        if self.is_small() {
            Ok(Glance::of(
                &documents::read::<SweepDocument>(json)?,
                self.limit,
            ))
        } else {
            Ok(Glance::of_row(&documents::read::<SweepRow>(json)?))
        }
    }
}
