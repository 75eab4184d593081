//! The worker's half: orders in, actions out.
//!
//! It knows slots, attempts and facts that the log has not taken yet; it does not know processes, sockets or files. A slot runs
//! one assignment and may hold the next one. Facts are kept until acknowledged and sent again after a reconnect or a silence.

mod input;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use input::{ExecutorEvent, SessionAction, SessionConfig, SessionInput};

use crate::checkpoint::Checkpoint;
use crate::fault::AttemptEnd;
use crate::id::{Attempt, Now, Slot, TrialId};
use crate::order::{Fact, Order, Running, StartOrder};
use crate::spec::Spec;

#[derive(Clone, Debug)]
struct Busy {
    trial: TrialId,
    attempt: Attempt,
    /// Since when it was asked to end, and whether to save.
    stopping: Option<(Now, bool)>,
    killed: bool,
    /// Metrics that the search requires something of.
    required: BTreeSet<String>,
}

#[derive(Clone, Debug, Default)]
struct SlotState {
    warm: bool,
    busy: Option<Busy>,
    next: VecDeque<Box<StartOrder>>,
}

#[derive(Clone, Debug)]
struct Unacknowledged {
    fact: Fact,
    sent: Now,
}

/// Assignments a slot may hold ahead; a leader that sends more is refused by the session.
const QUEUE_MAX: usize = 4;

/// See the module.
#[derive(Clone, Debug)]
pub struct Session {
    config: SessionConfig,
    slots: Vec<SlotState>,
    outbox: BTreeMap<u64, Unacknowledged>,
    next_sequence: u64,
    connected: bool,
    leaving: Option<Now>,
    beat: Option<Now>,
}

impl Session {
    pub fn new(config: SessionConfig) -> Session {
        Session {
            config,
            slots: (0..config.slots).map(|_| SlotState::default()).collect(),
            outbox: BTreeMap::new(),
            next_sequence: 1,
            connected: false,
            leaving: None,
            beat: None,
        }
    }

    /// Advances the session by one input. Never blocks, never reads a clock.
    pub fn step(&mut self, now: Now, input: SessionInput) -> Vec<SessionAction> {
        match input {
            SessionInput::Connected => {
                self.connected = true;
                self.beat = Some(now);
                let mut actions = vec![SessionAction::Heartbeat(self.running())];
                actions.extend(self.send_again(now, 0));
                actions
            }
            SessionInput::Disconnected => {
                self.connected = false;
                vec![]
            }
            SessionInput::Order(order) => self.order(now, order),
            SessionInput::Executor { slot, event } => self.executor(now, slot, event),
            SessionInput::Shutdown => self.leave(now),
            SessionInput::Tick => self.tick(now),
        }
    }

    /// What the worker holds: running, next, or ended and not yet acknowledged.
    pub fn running(&self) -> Running {
        let mut attempts: Vec<(TrialId, Attempt)> = Vec::new();
        for slot in &self.slots {
            attempts.extend(slot.busy.iter().map(|b| (b.trial, b.attempt)));
            attempts.extend(slot.next.iter().map(|o| (o.trial, o.attempt)));
        }
        for held in self.outbox.values() {
            if let Fact::Ended { trial, attempt, .. } = &held.fact {
                attempts.push((*trial, *attempt));
            }
        }
        Running {
            attempts,
            leaving: self.leaving.is_some(),
            facts_from: self
                .outbox
                .keys()
                .next()
                .copied()
                .unwrap_or(self.next_sequence),
            replaces: self.config.replaces,
            // The agent knows.
            preparing: Vec::new(),
        }
    }

    /// Checkpoints of an attempt that are uploaded and not yet in the log.
    pub fn unpublished(&self, trial: TrialId, attempt: Attempt) -> Vec<&Checkpoint> {
        self.outbox
            .values()
            .filter_map(|held| match &held.fact {
                Fact::Checkpointed {
                    trial: t,
                    attempt: a,
                    checkpoint,
                } if *t == trial && *a == attempt => Some(checkpoint.as_ref()),
                _ => None,
            })
            .collect()
    }

    /// Facts the log has not taken yet.
    pub fn unacknowledged(&self) -> usize {
        self.outbox.len()
    }

    fn order(&mut self, now: Now, order: Order) -> Vec<SessionAction> {
        match order {
            Order::Start(order) => self.start(now, order),
            Order::Stop {
                trial,
                attempt,
                save,
            } => self.stop(now, trial, attempt, save),
            Order::Acknowledge { sequence } => {
                self.outbox.remove(&sequence);
                vec![]
            }
            Order::UploadAgain {
                trial,
                attempt,
                chunks,
            } => vec![SessionAction::UploadAgain {
                trial,
                attempt,
                chunks,
            }],
            Order::Leave if self.leaving.is_some() && self.is_idle() => vec![SessionAction::Exit],
            Order::Leave => vec![],
            Order::TakeBack { trial, attempt } => match self.drop_next((trial, attempt)) {
                true => self.fact(now, ended((trial, attempt), AttemptEnd::Yielded)),
                false => vec![],
            },
        }
    }

    /// Whether an attempt was waiting behind another one; it no longer is.
    fn drop_next(&mut self, key: (TrialId, Attempt)) -> bool {
        let mut dropped = false;
        for slot in &mut self.slots {
            let before = slot.next.len();
            slot.next.retain(|o| (o.trial, o.attempt) != key);
            dropped |= slot.next.len() < before;
        }
        dropped
    }

    fn start(&mut self, now: Now, order: Box<StartOrder>) -> Vec<SessionAction> {
        let key = (order.trial, order.attempt);
        let at = order.slot;
        let known = self.running().attempts.contains(&key);
        let Some(slot) = self.slots.get_mut(usize::from(at.0)) else {
            return vec![];
        };
        if known || slot.next.len() >= QUEUE_MAX {
            return vec![];
        }
        if self.leaving.is_some() {
            return self.fact(now, ended(key, AttemptEnd::Yielded));
        }
        slot.next.push_back(order);
        self.begin(at)
    }

    /// Starts the next assignment of a slot that is free and warm.
    fn begin(&mut self, at: Slot) -> Vec<SessionAction> {
        let Some(slot) = self.slots.get_mut(usize::from(at.0)) else {
            return vec![];
        };
        if !slot.warm || slot.busy.is_some() {
            return vec![];
        }
        let Some(order) = slot.next.pop_front() else {
            return vec![];
        };
        slot.busy = Some(Busy {
            trial: order.trial,
            attempt: order.attempt,
            stopping: None,
            killed: false,
            required: required_metrics(&order.spec),
        });
        vec![SessionAction::Begin { slot: at, order }]
    }

    fn stop(
        &mut self,
        now: Now,
        trial: TrialId,
        attempt: Attempt,
        save: bool,
    ) -> Vec<SessionAction> {
        if self.drop_next((trial, attempt)) {
            return self.fact(now, ended((trial, attempt), stopped(save)));
        }
        for (at, slot) in self.slots.iter_mut().enumerate() {
            let Some(busy) = slot
                .busy
                .as_mut()
                .filter(|b| b.trial == trial && b.attempt == attempt)
            else {
                continue;
            };
            // Asked again, or asked to hurry: only the second says something new.
            let hurry = matches!(busy.stopping, Some((_, true))) && !save;
            if busy.stopping.is_some() && !hurry {
                return vec![];
            }
            busy.stopping = Some((now, save));
            return vec![SessionAction::End {
                slot: Slot(at as u16),
                trial,
                attempt,
                save,
            }];
        }
        vec![]
    }

    fn executor(&mut self, now: Now, at: Slot, event: ExecutorEvent) -> Vec<SessionAction> {
        let Some(slot) = self.slots.get_mut(usize::from(at.0)) else {
            return vec![];
        };
        let current = |trial: TrialId, attempt: Attempt| {
            slot.busy
                .as_ref()
                .is_some_and(|b| b.trial == trial && b.attempt == attempt)
        };
        match event {
            ExecutorEvent::Ready => {
                slot.warm = true;
                self.begin(at)
            }
            ExecutorEvent::Observed {
                trial,
                attempt,
                step,
                epoch,
                value,
                mut metrics,
            } if current(trial, attempt) => {
                let required = slot.busy.as_ref().map(|busy| &busy.required);
                metrics.retain(|name, _| required.is_some_and(|names| names.contains(name)));
                let fact = Fact::evaluation((trial, attempt), (step, epoch), value, metrics);
                self.fact(now, fact)
            }
            ExecutorEvent::Checkpointed {
                trial,
                attempt,
                checkpoint,
            } if current(trial, attempt) => self.fact(
                now,
                Fact::Checkpointed {
                    trial,
                    attempt,
                    checkpoint,
                },
            ),
            ExecutorEvent::Ended {
                trial,
                attempt,
                end,
            } if current(trial, attempt) => {
                slot.busy = None;
                let mut actions = self.fact(now, ended((trial, attempt), end));
                actions.extend(self.begin(at));
                actions
            }
            ExecutorEvent::Died { end } => {
                slot.warm = false;
                let Some(busy) = slot.busy.take() else {
                    return vec![];
                };
                let end = match busy.stopping {
                    Some((_, save)) if busy.killed => stopped(save),
                    _ => end,
                };
                self.fact(now, ended((busy.trial, busy.attempt), end))
            }
            ExecutorEvent::Prepared { key, manifest } => {
                self.fact(now, Fact::Prepared { key, manifest })
            }
            // Of an attempt that is not this slot's any more.
            ExecutorEvent::Observed { .. }
            | ExecutorEvent::Checkpointed { .. }
            | ExecutorEvent::Ended { .. } => vec![],
        }
    }

    fn leave(&mut self, now: Now) -> Vec<SessionAction> {
        if self.leaving.is_some() {
            return vec![];
        }
        self.leaving = Some(now);
        let mut actions = Vec::new();
        let mut yielded = Vec::new();
        for (at, slot) in self.slots.iter_mut().enumerate() {
            yielded.extend(slot.next.drain(..).map(|o| (o.trial, o.attempt)));
            if let Some(busy) = slot.busy.as_mut().filter(|b| b.stopping.is_none()) {
                busy.stopping = Some((now, true));
                actions.push(SessionAction::End {
                    slot: Slot(at as u16),
                    trial: busy.trial,
                    attempt: busy.attempt,
                    save: true,
                });
            }
        }
        for key in yielded {
            actions.extend(self.fact(now, ended(key, AttemptEnd::Yielded)));
        }
        if self.connected {
            actions.push(SessionAction::Heartbeat(self.running()));
        }
        actions
    }

    fn tick(&mut self, now: Now) -> Vec<SessionAction> {
        let mut actions = Vec::new();
        for (at, slot) in self.slots.iter_mut().enumerate() {
            let Some(busy) = slot.busy.as_mut() else {
                continue;
            };
            let Some((since, save)) = busy.stopping else {
                continue;
            };
            let grace = if save {
                self.config.save_grace_ms
            } else {
                self.config.stop_grace_ms
            };
            if !busy.killed && now.since(since) >= grace {
                busy.killed = true;
                actions.push(SessionAction::Kill {
                    slot: Slot(at as u16),
                    trial: busy.trial,
                    attempt: busy.attempt,
                });
            }
        }
        if self.connected {
            actions.extend(self.send_again(now, self.config.resend_ms));
            let due = self
                .beat
                .is_none_or(|b| now.since(b) >= self.config.heartbeat_ms);
            if due || (self.leaving.is_some() && self.is_idle()) {
                self.beat = Some(now);
                actions.push(SessionAction::Heartbeat(self.running()));
            }
        }
        actions
    }

    /// Nothing runs, nothing waits, nothing is unacknowledged.
    pub fn is_idle(&self) -> bool {
        let free = |s: &SlotState| s.busy.is_none() && s.next.is_empty();
        self.outbox.is_empty() && self.slots.iter().all(free)
    }

    fn fact(&mut self, now: Now, fact: Fact) -> Vec<SessionAction> {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let held = Unacknowledged {
            fact: fact.clone(),
            sent: now,
        };
        self.outbox.insert(sequence, held);
        if self.connected {
            vec![SessionAction::Send(vec![(sequence, fact)])]
        } else {
            vec![]
        }
    }

    fn send_again(&mut self, now: Now, older_than_ms: u64) -> Vec<SessionAction> {
        let mut again = Vec::new();
        for (sequence, held) in &mut self.outbox {
            if now.since(held.sent) >= older_than_ms {
                held.sent = now;
                again.push((*sequence, held.fact.clone()));
            }
        }
        if again.is_empty() {
            vec![]
        } else {
            vec![SessionAction::Send(again)]
        }
    }
}

fn ended((trial, attempt): (TrialId, Attempt), end: AttemptEnd) -> Fact {
    Fact::Ended {
        trial,
        attempt,
        end,
    }
}

/// What the log wants to know of a trial's metrics.
fn required_metrics(spec: &str) -> BTreeSet<String> {
    if !spec.contains("metrics.") && !spec.contains("\"others\"") {
        return BTreeSet::new(); // most specs are not worth reading
    }
    let spec = Spec::from_canonical(spec);
    let names = spec.as_ref().map(Spec::judged_metrics);
    names.into_iter().flatten().map(str::to_owned).collect()
}

fn stopped(save: bool) -> AttemptEnd {
    if save {
        AttemptEnd::Yielded
    } else {
        AttemptEnd::Stopped
    }
}
