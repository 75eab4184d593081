//! What the two kinds of trials share: who they are, when things are due, and how they speak.

use std::time::Duration;

use bonfire_domain::fault::AttemptEnd;
use bonfire_domain::metric::Point;
use bonfire_domain::spec::{Period, Spec};
use bonfire_domain::{Attempt, TrialId};

use super::frame::{Begin, ExecutorEvent};
use super::inbox::Inbox;
use super::outbox::Outbox;

/// One attempt at a trial in this process.
pub(super) struct Trial<'a> {
    /// The trial's own: with its parameters put in.
    pub(super) spec: Spec,
    pub(super) begin: Begin,
    pub(super) inbox: &'a Inbox,
    pub(super) outbox: &'a Outbox,
}

/// A step boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Boundary {
    pub(super) step: u64,
    /// Whole epochs done.
    pub(super) epoch: u64,
    /// The last step of an epoch.
    pub(super) epoch_ends: bool,
    /// The last step of this attempt.
    pub(super) last: bool,
}

impl Boundary {
    /// Whether something that happens every `period` falls on it.
    pub(super) fn hits(self, period: Period) -> bool {
        match period {
            Period::Epochs(every) => {
                self.epoch_ends && self.epoch.is_multiple_of(u64::from(every.max(1)))
            }
            Period::Steps(every) => self.step.is_multiple_of(every.max(1)),
            Period::Never => false,
        }
    }
}

impl Trial<'_> {
    pub(super) fn id(&self) -> (TrialId, Attempt) {
        (self.begin.order.trial, self.begin.order.attempt)
    }

    /// Whether it will not have trained its whole budget when this attempt ends.
    pub(super) fn ends_at_rung(&self) -> bool {
        self.begin.order.until < self.spec.budget()
    }

    /// Evaluations: as `train.evaluate` says, and at every end of an attempt.
    pub(super) fn evaluates_at(&self, at: Boundary) -> bool {
        at.last || at.hits(self.spec.train.evaluate)
    }

    /// Whether this attempt has been told to end, and whether with a checkpoint.
    pub(super) fn end_asked(&self) -> Option<bool> {
        let (trial, attempt) = self.id();
        self.inbox.end_asked(trial, attempt)
    }

    pub(super) fn started(&self, step: u64) {
        let (trial, attempt) = self.id();
        self.outbox.keep(&ExecutorEvent::Started {
            trial,
            attempt,
            step,
        });
    }

    pub(super) fn points(&self, points: Vec<Point>) {
        let (trial, attempt) = self.id();
        self.outbox.keep(&ExecutorEvent::Points {
            trial,
            attempt,
            points,
        });
    }

    pub(super) fn observed(&self, at: Boundary, value: f64, metrics: Vec<(String, f64)>) {
        let (trial, attempt) = self.id();
        let (step, epoch) = (at.step, at.epoch);
        self.outbox.keep(&ExecutorEvent::Observed {
            trial,
            attempt,
            step,
            epoch,
            value,
            metrics,
        });
    }
}

/// How long a checkpoint waits before it is tried again on a full disk.
const SPACE_PAUSE: Duration = Duration::from_millis(500);

impl Trial<'_> {
    /// Waits while the disk is full, for the thread that writes the checkpoint of `step`: says so once, shows that the attempt is
    /// not stuck, and gives up (`false`) only when the attempt is to end without a checkpoint.
    pub(super) fn space_waiter(&self, step: u64) -> impl FnMut(&std::io::Error) -> bool + use<> {
        let (inbox, outbox) = (self.inbox.clone(), self.outbox.clone());
        let (trial, attempt) = self.id();
        let spool = self.begin.spool.clone();
        let mut said = false;
        move |error| {
            if !std::mem::replace(&mut said, true) {
                let spool = spool.display();
                eprintln!("the checkpoint of step {step} waits for space at {spool}: {error}");
            }
            outbox.send(&ExecutorEvent::Progress { trial, attempt });
            inbox.wait_dropped(trial, attempt, SPACE_PAUSE)
        }
    }
}

/// How an attempt ends that was told to.
pub(super) fn end_on_order(save: bool) -> AttemptEnd {
    if save {
        AttemptEnd::Yielded
    } else {
        AttemptEnd::Stopped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(step: u64, epoch: u64, epoch_ends: bool, period: Period, expected: bool) {
        let boundary = Boundary {
            step,
            epoch,
            epoch_ends,
            last: false,
        };
        assert_eq!(boundary.hits(period), expected, "{boundary:?} {period:?}");
    }

    #[test]
    fn periods_fall_on_boundaries() {
        check(20, 2, true, Period::Epochs(2), true);
        check(21, 2, false, Period::Epochs(2), false);
        check(30, 3, true, Period::Epochs(2), false);
        check(30, 3, false, Period::Steps(15), true);
        check(31, 3, false, Period::Steps(15), false);
        check(30, 3, true, Period::Never, false);
    }
}
