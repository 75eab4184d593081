//! Workers: their sessions, their executors, and how both end.

use bonfire_domain::fault::{AttemptEnd, LostCause};
use bonfire_domain::leader::Input;
use bonfire_domain::session::{ExecutorEvent, SessionAction, SessionInput};
use bonfire_domain::{Attempt, Slot, TrialId};

use super::{Event, FromWorker, World};
use crate::executor::Run;

impl World<'_> {
    pub(super) fn executor(
        &mut self,
        at: usize,
        slot: Slot,
        event: ExecutorEvent,
    ) -> Result<(), String> {
        self.session(at, SessionInput::Executor { slot, event })
    }

    pub(super) fn session(&mut self, at: usize, input: SessionInput) -> Result<(), String> {
        let now = self.time().now;
        let actions = self.workers[at].session.step(now, input);
        for action in actions {
            match action {
                SessionAction::Send(facts) => self.send(at, FromWorker::Facts(facts)),
                SessionAction::Heartbeat(running) => {
                    self.send(at, FromWorker::Heartbeat(running));
                }
                SessionAction::Begin { slot, order } => {
                    let run = Run::begin(&order);
                    self.begin(at, slot, run)?;
                }
                SessionAction::End { slot, save, .. } => {
                    if let Some(run) = self.workers[at].slot(slot).and_then(|e| e.run.as_mut()) {
                        run.stopping = Some(save);
                    }
                }
                SessionAction::Kill { slot, .. } => self.kill_executor(at, slot)?,
                SessionAction::UploadAgain { trial, attempt, .. } => {
                    self.upload_again(at, trial, attempt);
                }
                SessionAction::Exit => {}
            }
        }
        Ok(())
    }

    pub(super) fn send(&mut self, at: usize, message: FromWorker) {
        let Some(connection) = self.workers[at].connection else {
            return;
        };
        self.transmit(
            |message| Event::ToNode {
                at,
                connection,
                message,
            },
            message,
        );
    }

    pub(super) fn begin(&mut self, at: usize, slot: Slot, run: Option<Run>) -> Result<(), String> {
        self.next_life += 1;
        let life = self.next_life;
        let Some(executor) = self.workers[at].slot(slot) else {
            return Ok(());
        };
        if executor.run.is_some() {
            return Err(format!(
                "I4: slot {} of worker {at} runs two members",
                slot.0
            ));
        }
        let after = run.as_ref().map_or(0, |r| r.sleep_ms);
        executor.run = run;
        executor.life = life;
        self.report.attempts += 1;
        self.queue.after(after, Event::Epoch { at, slot, life });
        Ok(())
    }

    pub(super) fn epoch(&mut self, at: usize, slot: Slot, life: u64) -> Result<(), String> {
        let wall = self.time().wall;
        let Some(executor) = self.workers[at].slot(slot).filter(|e| e.life == life) else {
            return Ok(());
        };
        let Some(run) = executor.run.as_mut() else {
            return Ok(());
        };
        let (events, over) = run.step(wall);
        let sleep = run.sleep_ms;
        if over {
            executor.run = None;
        } else {
            self.queue.after(sleep, Event::Epoch { at, slot, life });
        }
        let worker = self.workers[at].id;
        for event in events {
            // What follows a checkpoint waits until it is uploaded, so that the order of facts is the order of events.
            let event = Box::new(event);
            let after = 1;
            self.queue.after(
                after,
                Event::Upload {
                    at,
                    worker,
                    slot,
                    event,
                },
            );
        }
        Ok(())
    }

    /// Uploads a checkpoint's blobs; one that is being deleted is refused and tried again later.
    pub(super) fn upload(
        &mut self,
        at: usize,
        slot: Slot,
        event: ExecutorEvent,
    ) -> Result<(), String> {
        if let ExecutorEvent::Checkpointed { checkpoint, .. } = &event
            && let Some(node) = &self.node
        {
            let cluster = node.cluster();
            for chunk in &checkpoint.chunks {
                if !cluster.blobs().is_condemned(&chunk.digest) {
                    self.store.insert(chunk.digest);
                }
            }
        }
        self.executor(at, slot, event)
    }

    pub(super) fn upload_again(&mut self, at: usize, trial: TrialId, attempt: Attempt) {
        // The fact stays unacknowledged, so the session sends it again; here only the blobs come back.
        let Some(node) = &self.node else {
            return;
        };
        let cluster = node.shared();
        for checkpoint in self.workers[at].session.unpublished(trial, attempt) {
            for chunk in &checkpoint.chunks {
                if !cluster.blobs().is_condemned(&chunk.digest) {
                    self.store.insert(chunk.digest);
                }
            }
        }
    }

    pub(super) fn kill_executor(&mut self, at: usize, slot: Slot) -> Result<(), String> {
        self.next_life += 1;
        let life = self.next_life;
        if let Some(executor) = self.workers[at].slot(slot) {
            executor.run = None;
            executor.life = life;
        }
        let worker = self.workers[at].id;
        self.queue.after(30, Event::Ready { at, worker, slot });
        let end = AttemptEnd::Lost(LostCause::Killed);
        self.executor(at, slot, ExecutorEvent::Died { end })
    }

    pub(super) fn crash_worker(&mut self, at: usize) -> Result<(), String> {
        self.report.worker_crashes += 1;
        let old = self.workers[at].connection.take();
        let gone = self.workers[at].id;
        self.workers[at] = self.new_worker();
        if let Some(connection) = old {
            self.connections.remove(&connection);
            self.lead(Input::Disconnected { worker: gone })?;
        }
        let after = 100 + self.draw(2_000);
        self.queue.after(after, Event::StartWorker { at });
        Ok(())
    }
}
