//! A slot's executor process over time: kept warm, reused after a clean end, replaced after any other.
//!
//! One task a slot. It holds the limits of the running attempt and says why a process died; it knows no coordinator.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use bonfire_domain::fault::{AttemptEnd, Failure};
use bonfire_domain::metric::LogLine;
use bonfire_domain::{Attempt, Digest, Slot, TrialId};
use tokio::sync::mpsc;

use super::cause::{Evidence, Verdict, decide_end};
use super::frame::{Begin, ExecutorEvent, ExecutorOrder, PrepareFailure, PrepareJob};
use super::memory;
use super::process::{Heard, Process};
use super::spawn::{Launch, Spawner};
use crate::clock;

/// How often memory and time limits are looked at.
const WATCH: Duration = Duration::from_millis(250);
/// Pauses between attempts to start a process that does not start.
const RESPAWN: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(5)];

/// Bounds of every process of a slot.
#[derive(Clone, Debug)]
pub struct SlotConfig {
    pub launch: Launch,
    /// Added to an executor's niceness.
    pub nice: i32,
    /// Attempts after which a process is replaced.
    pub trials_max: u32,
    /// Resident bytes between two attempts above which a process is replaced.
    pub resident_max: u64,
}

/// Bounds of one attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub time: Option<Duration>,
    pub no_progress: Option<Duration>,
    /// Resident bytes.
    pub memory: Option<u64>,
}

/// What a slot is told.
#[derive(Debug)]
pub enum SlotOrder {
    Begin {
        begin: Box<Begin>,
        limits: Limits,
    },
    Prepare(Box<PrepareJob>),
    End {
        trial: TrialId,
        attempt: Attempt,
        save: bool,
    },
    Kill {
        trial: TrialId,
        attempt: Attempt,
    },
}

/// What a slot says.
#[derive(Debug)]
pub enum SlotEvent {
    Executor(ExecutorEvent),
    /// A line of the log of the attempt that ran.
    Log {
        trial: TrialId,
        attempt: Attempt,
        line: LogLine,
    },
    /// The process is gone; what ran in it ended so. Another process takes its place.
    Died {
        trial: TrialId,
        attempt: Attempt,
        end: AttemptEnd,
    },
}

/// Events of one wakeup of a slot.
pub type SlotEvents = (Slot, Vec<SlotEvent>);

struct Current {
    trial: TrialId,
    attempt: Attempt,
    limits: Limits,
    started: Instant,
    progress: Instant,
    end_asked: Option<bool>,
}

struct State {
    slot: Slot,
    config: SlotConfig,
    process: Option<Process>,
    current: Option<Current>,
    preparing: Option<Digest>,
    /// Orders for a process that is still to come.
    held: Vec<ExecutorOrder>,
    verdict: Option<Verdict>,
    resident: u64,
    /// Said, and not yet taken by the agent: nothing more is read from the process meanwhile.
    said: Vec<SlotEvent>,
    retire: bool,
}

/// Runs a slot until its orders end; no process of it is left then.
pub async fn run_slot(
    slot: Slot,
    config: SlotConfig,
    spawner: Spawner,
    mut orders: mpsc::Receiver<SlotOrder>,
    events: mpsc::Sender<SlotEvents>,
) {
    let mut state = State::new(slot, config);
    let mut watch = tokio::time::interval(WATCH);
    watch.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut pause = RESPAWN[0];
    let mut start_at = tokio::time::Instant::now();
    loop {
        if !state.said.is_empty() {
            state.offer(&events);
        }
        let blocked = !state.said.is_empty();
        let State { process, said, .. } = &mut state;
        let absent = process.is_none();
        let heard = tokio::select! {
            biased;
            order = orders.recv() => match order {
                Some(order) => { state.take(order); None }
                None => break,
            },
            permit = events.reserve(), if blocked => match permit {
                Ok(permit) => { permit.send((slot, std::mem::take(said))); None }
                Err(_) => break,
            },
            heard = listen(process), if !absent && !blocked => Some(heard),
            () = tokio::time::sleep_until(start_at), if absent => {
                let started = Process::start(&spawner, &state.config.launch, state.config.nice).await;
                match started {
                    Ok(process) => {
                        state.adopt(process);
                        pause = RESPAWN[0];
                    }
                    Err(error) => {
                        tracing::error!(slot = slot.0, %error, "cannot start an executor");
                        state.refuse(&error);
                        pause = (pause * 2).min(RESPAWN[1]);
                    }
                }
                // A process that dies at once is not started in a tight loop.
                start_at = tokio::time::Instant::now() + pause;
                None
            }
            _ = watch.tick(), if !absent => { state.watch(blocked); None }
        };
        if let Some(heard) = heard {
            state.hear(heard);
        }
        if state.retire {
            state.retire = false;
            state.process.take().into_iter().for_each(Process::retire);
            start_at = tokio::time::Instant::now();
        }
    }
    if let Some(process) = state.process {
        process.end().await;
    }
}

async fn listen(process: &mut Option<Process>) -> Heard {
    match process {
        Some(process) => process.listen(clock::wall).await,
        None => std::future::pending().await,
    }
}

impl State {
    fn new(slot: Slot, config: SlotConfig) -> State {
        State {
            slot,
            config,
            process: None,
            current: None,
            preparing: None,
            held: Vec::new(),
            verdict: None,
            resident: 0,
            said: Vec::new(),
            retire: false,
        }
    }

    /// Hands over what was said if the agent has room.
    fn offer(&mut self, events: &mpsc::Sender<SlotEvents>) {
        if let Ok(permit) = events.try_reserve() {
            permit.send((self.slot, std::mem::take(&mut self.said)));
        }
    }

    fn adopt(&mut self, mut process: Process) {
        for order in self.held.drain(..) {
            process.order(&order);
        }
        self.verdict = None;
        self.resident = 0;
        self.process = Some(process);
    }

    /// No process can be started: what waits for one is tried again later, here or elsewhere.
    fn refuse(&mut self, error: &std::io::Error) {
        if self.current.is_none() && self.preparing.is_none() {
            return;
        }
        let detail = format!("cannot start an executor: {error}");
        self.bury(AttemptEnd::Failed {
            failure: Failure::Io,
            detail,
        });
    }

    fn order(&mut self, order: ExecutorOrder) {
        match &mut self.process {
            Some(process) => process.order(&order),
            None => self.held.push(order),
        }
    }

    fn take(&mut self, order: SlotOrder) {
        match order {
            SlotOrder::Begin { begin, limits } => {
                let (trial, attempt) = (begin.order.trial, begin.order.attempt);
                let now = Instant::now();
                let (started, progress) = (now, now);
                self.current = Some(Current {
                    trial,
                    attempt,
                    limits,
                    started,
                    progress,
                    end_asked: None,
                });
                if let Some(process) = &mut self.process {
                    process.lines.forget();
                }
                self.order(ExecutorOrder::Begin(begin));
            }
            SlotOrder::Prepare(job) => {
                self.preparing = Some(job.key);
                self.order(ExecutorOrder::Prepare(job));
            }
            SlotOrder::End {
                trial,
                attempt,
                save,
            } => {
                if let Some(current) = self.running(trial, attempt) {
                    current.end_asked = Some(current.end_asked.unwrap_or(true) && save);
                    self.order(ExecutorOrder::End {
                        trial,
                        attempt,
                        save,
                    });
                }
            }
            SlotOrder::Kill { trial, attempt } => {
                if let Some(current) = self.running(trial, attempt) {
                    let save = current.end_asked.unwrap_or(false);
                    self.condemn(Verdict::Disobeyed { save });
                }
            }
        }
    }

    fn running(&mut self, trial: TrialId, attempt: Attempt) -> Option<&mut Current> {
        let current = self.current.as_mut()?;
        ((current.trial, current.attempt) == (trial, attempt)).then_some(current)
    }

    /// Kills the process for a reason of our own; the first one counts.
    fn condemn(&mut self, verdict: Verdict) {
        self.verdict.get_or_insert(verdict);
        match &mut self.process {
            Some(process) => process.kill(),
            // It never started: what waits for it ends as if it had.
            None => {
                let end = self.decide_end(None, false, &[]);
                self.bury(end);
            }
        }
    }

    fn watch(&mut self, blocked: bool) {
        let Some(resident) = self.process.as_ref().and_then(|p| memory::resident(p.pid)) else {
            return;
        };
        self.resident = resident;
        let now = Instant::now();
        let Some(current) = &mut self.current else {
            return;
        };
        if blocked {
            current.progress = now; // it is us who do not listen
        }
        let past = |limit: Option<Duration>, since: Instant| limit.is_some_and(|l| now - since > l);
        let verdict = if current.limits.memory.is_some_and(|limit| resident > limit) {
            Verdict::Memory
        } else if past(current.limits.time, current.started) {
            Verdict::TimeLimit
        } else if past(current.limits.no_progress, current.progress) {
            Verdict::NoProgress
        } else {
            return;
        };
        self.condemn(verdict);
    }

    fn hear(&mut self, heard: Heard) {
        if let Some(current) = &mut self.current {
            let (trial, attempt) = (current.trial, current.attempt);
            if !heard.events.is_empty() {
                current.progress = Instant::now();
            }
            let logs = heard.logs.into_iter();
            self.said.extend(logs.map(|line| SlotEvent::Log {
                trial,
                attempt,
                line,
            }));
        } else {
            for line in heard.logs {
                tracing::info!(slot = self.slot.0, "executor: {}", line.text);
            }
        }
        for event in heard.events {
            self.take_event(event);
        }
        if let Some(error) = heard.broken {
            tracing::error!(slot = self.slot.0, %error, "an executor wrote what none writes");
            self.condemn(Verdict::Garbled);
        }
        if let Some(status) = heard.exited
            && let Some(process) = self.process.take()
        {
            let end = self.decide_end(status, process.kernel_oom(), &process.lines.last());
            tracing::warn!(slot = self.slot.0, ?status, %end, "executor gone");
            self.bury(end);
        }
    }

    fn take_event(&mut self, event: ExecutorEvent) {
        match &event {
            ExecutorEvent::Ended {
                trial,
                attempt,
                end,
            } => {
                if self.running(*trial, *attempt).is_none() {
                    return;
                }
                self.current = None;
                let clean = matches!(
                    end,
                    AttemptEnd::Reached | AttemptEnd::Yielded | AttemptEnd::Stopped
                );
                if let Some(process) = &mut self.process {
                    process.trials += 1;
                    let worn = process.trials >= self.config.trials_max
                        || self.resident > self.config.resident_max;
                    self.retire |= !clean || worn;
                }
            }
            ExecutorEvent::Prepared { .. } => self.preparing = None,
            ExecutorEvent::Progress { .. } => return,
            _ => {}
        }
        self.said.push(SlotEvent::Executor(event));
    }

    fn decide_end(
        &mut self,
        status: Option<ExitStatus>,
        kernel_oom: bool,
        lines: &[String],
    ) -> AttemptEnd {
        let current = self.current.as_ref();
        decide_end(Evidence {
            verdict: self.verdict.take(),
            status,
            resident: self.resident,
            memory_max: current.and_then(|c| c.limits.memory),
            kernel_oom,
            lines,
        })
    }

    /// Says how what ran in a process that is gone ended.
    fn bury(&mut self, end: AttemptEnd) {
        self.held.clear();
        if let Some(key) = self.preparing.take() {
            let manifest = Err(PrepareFailure {
                unusable: false,
                detail: end.to_string(),
            });
            self.said.push(SlotEvent::Executor(ExecutorEvent::Prepared {
                key,
                manifest,
            }));
        }
        if let Some(Current { trial, attempt, .. }) = self.current.take() {
            self.said.push(SlotEvent::Died {
                trial,
                attempt,
                end,
            });
        }
    }
}
