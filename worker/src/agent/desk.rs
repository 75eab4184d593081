//! What each slot is at: loading, running, or ended and still uploading. Turns slot events into the session's inputs.

mod again;

use std::collections::VecDeque;

use bonfire_domain::checkpoint::Checkpoint;
use bonfire_domain::fault::{AttemptEnd, Failure};
use bonfire_domain::order::{Preparing, StartOrder};
use bonfire_domain::session::{ExecutorEvent as Said, SessionInput};
use bonfire_domain::{Attempt, Digest, Slot, TrialId};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

use crate::cache::Pin;
use crate::depot::DepotError;
use crate::executor::frame::{Begin, ExecutorEvent, PrepareFailure};
use crate::executor::{Limits, SlotEvent, SlotOrder};
use crate::link::SharedReports;
use crate::load::{Loaded, Loader, LoaderRequest, remove};
use crate::publish;

use super::specs::Specs;
use super::work::{Key, NOTHING_KEPT, Work, limits, say};

/// What a task of the agent's finished.
pub(super) enum Done {
    Loaded {
        slot: Slot,
        key: Key,
        loaded: Result<Loaded, AttemptEnd>,
    },
    Uploaded {
        slot: Slot,
        key: Key,
        uploaded: Result<Checkpoint, DepotError>,
    },
    UploadedAgain {
        slot: Slot,
        key: Key,
        checkpoints: Vec<Checkpoint>,
    },
}

/// All slots of this worker.
pub(super) struct Desks {
    desks: Vec<Desk>,
    loader: Loader,
    reports: SharedReports,
    finish: mpsc::Sender<Done>,
    specs: Specs,
}

struct Desk {
    orders: mpsc::Sender<SlotOrder>,
    work: Option<Work>,
    preparing: Option<(Digest, oneshot::Sender<Result<String, PrepareFailure>>)>,
}

impl Desks {
    pub(super) fn new(
        orders: Vec<mpsc::Sender<SlotOrder>>,
        loader: Loader,
        reports: SharedReports,
        finish: mpsc::Sender<Done>,
    ) -> Desks {
        let desk = |orders| Desk {
            orders,
            work: None,
            preparing: None,
        };
        Desks {
            desks: orders.into_iter().map(desk).collect(),
            loader,
            reports,
            finish,
            specs: Specs::default(),
        }
    }

    /// Starts an attempt: at once if it needs nothing, else when all is here.
    pub(super) fn begin(&mut self, slot: Slot, order: Box<StartOrder>) -> Vec<SessionInput> {
        let key = (order.trial, order.attempt);
        let from = order.from.as_ref();
        self.reports
            .with(|reports| reports.begin(key.0, key.1, from.map_or(0, |from| from.step)));
        let spec = self.specs.read(&order);
        let Some(desk) = self.desks.get_mut(usize::from(slot.0)) else {
            return vec![];
        };
        let keep = spec
            .as_ref()
            .ok()
            .map(|spec| (spec.checkpoint, spec.objective.goal));
        let work = desk.work.insert(Work {
            key,
            limits: Limits::default(),
            spool: self.loader.spool_of(&order),
            loading: None,
            preparing: None,
            pins: Vec::new(),
            uploads: VecDeque::new(),
            uploading: None,
            published: Vec::new(),
            end: None,
            keep: keep.unwrap_or(NOTHING_KEPT),
        });
        let spec = match spec {
            Ok(spec) => spec,
            Err(detail) => {
                work.end = Some(AttemptEnd::Failed {
                    failure: Failure::Unusable,
                    detail,
                });
                return self.settle(slot);
            }
        };
        work.limits = limits(&spec);
        let stored = order
            .from
            .as_ref()
            .is_some_and(|from| from.manifest.is_some());
        if order.dataset.is_none() && !stored {
            let begin = self.loader.bare(order);
            return self.hand_over(slot, begin, Vec::new());
        }
        let (loader, finish) = (self.loader.clone(), self.finish.clone());
        let task = tokio::spawn(async move {
            let loaded = loader.load(order, &spec).await;
            // The agent is gone if nobody takes it.
            let _ = finish.send(Done::Loaded { slot, key, loaded }).await;
        });
        work.loading = Some(AbortOnDropHandle::new(task));
        vec![]
    }

    fn hand_over(&mut self, slot: Slot, begin: Box<Begin>, pins: Vec<Pin>) -> Vec<SessionInput> {
        let Some((orders, work)) = self.desks.get_mut(usize::from(slot.0)).and_then(|desk| {
            let work = desk.work.as_mut()?;
            Some((&desk.orders, work))
        }) else {
            return vec![];
        };
        work.loading = None;
        work.pins = pins;
        let limits = work.limits;
        if orders.try_send(SlotOrder::Begin { begin, limits }).is_err() {
            let detail = "the slot takes no orders".to_owned();
            work.end = Some(AttemptEnd::Failed {
                failure: Failure::Io,
                detail,
            });
        }
        self.settle(slot)
    }

    pub(super) fn end(
        &mut self,
        slot: Slot,
        trial: TrialId,
        attempt: Attempt,
        save: bool,
    ) -> Vec<SessionInput> {
        let Some(desk) = self.desks.get_mut(usize::from(slot.0)) else {
            return vec![];
        };
        if let Some(work) = desk
            .work
            .as_mut()
            .filter(|work| work.key == (trial, attempt))
        {
            if work.loading.take().is_some() {
                work.end = Some(if save {
                    AttemptEnd::Yielded
                } else {
                    AttemptEnd::Stopped
                });
            } else if desk
                .orders
                .try_send(SlotOrder::End {
                    trial,
                    attempt,
                    save,
                })
                .is_err()
            {
                tracing::error!(slot = slot.0, "the slot takes no orders");
            }
        }
        self.settle(slot)
    }

    /// Ends it whatever it is at; a checkpoint that is still on its way is left behind.
    pub(super) fn kill(
        &mut self,
        slot: Slot,
        trial: TrialId,
        attempt: Attempt,
    ) -> Vec<SessionInput> {
        let Some(desk) = self.desks.get_mut(usize::from(slot.0)) else {
            return vec![];
        };
        if let Some(work) = desk
            .work
            .as_mut()
            .filter(|work| work.key == (trial, attempt))
        {
            work.uploads.clear();
            work.uploading = None;
            if work.end.is_none()
                && desk
                    .orders
                    .try_send(SlotOrder::Kill { trial, attempt })
                    .is_err()
            {
                tracing::error!(slot = slot.0, "the slot takes no orders");
            }
        }
        self.settle(slot)
    }

    /// Attempts whose data is being prepared, and how far that is.
    pub(super) fn preparing(&self) -> Vec<Preparing> {
        let work = self.desks.iter().filter_map(|desk| desk.work.as_ref());
        work.filter_map(Work::preparing).collect()
    }

    pub(super) fn take_event(&mut self, slot: Slot, event: SlotEvent) -> Vec<SessionInput> {
        match event {
            SlotEvent::Log {
                trial,
                attempt,
                line,
            } => {
                self.reports
                    .with(|reports| reports.add_log(trial, attempt, line));
                vec![]
            }
            SlotEvent::Died {
                trial,
                attempt,
                end,
            } => {
                if let Some(work) = self.work(slot, (trial, attempt)) {
                    work.end = Some(end);
                }
                self.settle(slot)
            }
            SlotEvent::Executor(event) => self.take_executor(slot, event),
        }
    }

    fn take_executor(&mut self, slot: Slot, event: ExecutorEvent) -> Vec<SessionInput> {
        match event {
            ExecutorEvent::Ready { .. } => return vec![say(slot, Said::Ready)],
            ExecutorEvent::Started {
                trial,
                attempt,
                step,
            } => {
                self.reports
                    .with(|reports| reports.begin(trial, attempt, step));
            }
            ExecutorEvent::Progress { .. } => {}
            ExecutorEvent::Points {
                trial,
                attempt,
                points,
            } => {
                self.reports
                    .with(|reports| reports.add_points(trial, attempt, points));
            }
            ExecutorEvent::Observed {
                trial,
                attempt,
                step,
                epoch,
                value,
                metrics,
            } => {
                return vec![say(
                    slot,
                    Said::Observed {
                        trial,
                        attempt,
                        step,
                        epoch,
                        value,
                        metrics: metrics.into_iter().collect(),
                    },
                )];
            }
            ExecutorEvent::Checkpoint(written) => {
                if let Some(work) = self.work(slot, (written.trial, written.attempt)) {
                    for folder in work.queue(*written) {
                        tokio::spawn(async move { remove(&folder).await });
                    }
                }
                return self.settle(slot);
            }
            ExecutorEvent::Ended {
                trial,
                attempt,
                end,
            } => {
                self.make_room(&end);
                if let Some(work) = self.work(slot, (trial, attempt)) {
                    work.end = Some(end);
                }
                return self.settle(slot);
            }
            ExecutorEvent::Preparing { rows, total } => {
                let desk = self.desks.get_mut(usize::from(slot.0));
                if let Some(work) = desk.and_then(|desk| desk.work.as_mut()) {
                    work.preparing = Some((rows, total));
                }
            }
            ExecutorEvent::Prepared { key, manifest } => {
                let desk = self.desks.get_mut(usize::from(slot.0));
                let waiting =
                    desk.and_then(|desk| desk.preparing.take_if(|(wanted, _)| *wanted == key));
                if let Some((_, answer)) = waiting {
                    // Whoever asked may have been ended meanwhile.
                    let _ = answer.send(manifest);
                }
                let desk = self.desks.get_mut(usize::from(slot.0));
                if let Some(work) = desk.and_then(|desk| desk.work.as_mut()) {
                    work.preparing = None;
                }
            }
        }
        vec![]
    }

    pub(super) fn take_request(&mut self, request: LoaderRequest) -> Vec<SessionInput> {
        match request {
            LoaderRequest::Prepare { slot, job, answer } => {
                if let Some(desk) = self.desks.get_mut(usize::from(slot.0)) {
                    let key = job.key;
                    // An answer that is dropped tells the asker.
                    if desk.orders.try_send(SlotOrder::Prepare(job)).is_ok() {
                        desk.preparing = Some((key, answer));
                    }
                }
                vec![]
            }
            LoaderRequest::Prepared {
                slot,
                key,
                manifest,
            } => {
                vec![say(slot, Said::Prepared { key, manifest })]
            }
        }
    }

    pub(super) fn done(&mut self, done: Done) -> Vec<SessionInput> {
        match done {
            Done::Loaded { slot, key, loaded } => {
                let Some(work) = self.work(slot, key).filter(|work| work.loading.is_some()) else {
                    return vec![];
                };
                match loaded {
                    Ok(Loaded { begin, pins }) => return self.hand_over(slot, begin, pins),
                    Err(end) => {
                        work.loading = None;
                        work.end = Some(end);
                    }
                }
                self.settle(slot)
            }
            Done::Uploaded {
                slot,
                key,
                uploaded,
            } => {
                let mut said = Vec::new();
                if let Some(work) = self.work(slot, key).filter(|work| work.uploading.is_some()) {
                    work.uploading = None;
                    match uploaded {
                        Ok(checkpoint) => said.push(work.publish(slot, checkpoint)),
                        Err(error) => work.fail_upload(error),
                    }
                }
                said.extend(self.settle(slot));
                said
            }
            Done::UploadedAgain {
                slot,
                key: (trial, attempt),
                checkpoints,
            } => checkpoints
                .into_iter()
                .map(|checkpoint| Said::Checkpointed {
                    trial,
                    attempt,
                    checkpoint: Box::new(checkpoint),
                })
                .map(|event| say(slot, event))
                .collect(),
        }
    }

    /// Where storing something failed, the disk may be full of what is only a copy.
    fn make_room(&self, end: &AttemptEnd) {
        if let AttemptEnd::Failed {
            failure: Failure::Io,
            ..
        } = end
        {
            self.loader.depot.cache.clear();
        }
    }

    fn work(&mut self, slot: Slot, key: Key) -> Option<&mut Work> {
        let work = self.desks.get_mut(usize::from(slot.0))?.work.as_mut()?;
        (work.key == key).then_some(work)
    }

    /// Goes on with the slot's uploads; an end is told when they are through.
    fn settle(&mut self, slot: Slot) -> Vec<SessionInput> {
        let mut said = Vec::new();
        let Some(desk) = self.desks.get_mut(usize::from(slot.0)) else {
            return said;
        };
        let Some(work) = &mut desk.work else {
            return said;
        };
        while work.uploading.is_none()
            && let Some(written) = work.uploads.pop_front()
        {
            if written.manifest.is_none() {
                let checkpoint = publish::checkpoint(&written);
                said.push(work.publish(slot, checkpoint));
                continue;
            }
            let (depot, finish, key) = (self.loader.depot.clone(), self.finish.clone(), work.key);
            let task = tokio::spawn(async move {
                let uploaded = publish::upload(&depot, written).await;
                // The agent is gone if nobody takes it.
                let _ = finish
                    .send(Done::Uploaded {
                        slot,
                        key,
                        uploaded,
                    })
                    .await;
            });
            work.uploading = Some(AbortOnDropHandle::new(task));
        }
        if work.uploading.is_none()
            && work.loading.is_none()
            && let Some(end) = work.end.take()
        {
            let (trial, attempt) = work.key;
            said.push(say(
                slot,
                Said::Ended {
                    trial,
                    attempt,
                    end,
                },
            ));
            // Only an attempt that needed something from here can have written something.
            if !work.pins.is_empty() {
                let spool = std::mem::take(&mut work.spool);
                tokio::spawn(async move { remove(&spool).await });
            }
            desk.work = None;
        }
        said
    }
}
