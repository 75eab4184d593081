//! Those who wait for a trial of an external sweep.

use std::collections::BTreeMap;

use bonfire_domain::SweepId;
use bonfire_domain::cluster::Cluster;
use bonfire_domain::leader::Answer;
use bonfire_domain::view::{self, AskDocument};
use tokio::sync::oneshot;

use super::App;
use super::input::{AskError, Input};

pub(super) type Reply = oneshot::Sender<Result<AskDocument, AskError>>;

/// The loop's end: replies by sweep and request. Bounded by the leader, which answers those beyond its limit at once.
#[derive(Debug, Default)]
pub(super) struct Asking {
    /// With a number of its own: who asks again with the same request takes the place of the one before.
    waiting: BTreeMap<(SweepId, u64), (u64, Reply)>,
}

impl Asking {
    pub(super) fn wait(&mut self, asked: (SweepId, u64), waiter: u64, reply: Reply) {
        self.waiting.insert(asked, (waiter, reply));
    }

    /// Forgets a waiter; false if the request is another one's by now, or was answered.
    pub(super) fn leave(&mut self, asked: (SweepId, u64), waiter: u64) -> bool {
        let mine = self.waiting.get(&asked).is_some_and(|(w, _)| *w == waiter);
        mine && self.waiting.remove(&asked).is_some()
    }

    pub(super) fn answer(&mut self, cluster: &Cluster, asked: (SweepId, u64), answer: Answer) {
        let Some((_, reply)) = self.waiting.remove(&asked) else {
            return;
        };
        let document = match answer {
            // Told or given on in the same turn: whoever asks again gets another one.
            Answer::Given { trial, attempt } => {
                view::asked(cluster, trial, attempt).ok_or(AskError::Busy)
            }
            Answer::Nothing { state, reason } => Ok(AskDocument::Nothing {
                trial: (),
                state: state.to_owned(),
                reason,
            }),
            Answer::Refused(refusal) => Err(AskError::Refused(refusal)),
            Answer::Busy => Err(AskError::Busy),
        };
        // Whoever asked may be gone: the trial is given out again when its time is over.
        let _ = reply.send(document);
    }

    /// This node does not lead any more: whoever does is asked again with the same requests.
    pub(super) fn end(&mut self) {
        for (_, reply) in std::mem::take(&mut self.waiting).into_values() {
            let _ = reply.send(Err(AskError::NotLeader));
        }
    }
}

/// A waiter's end: tells the loop when it waits no longer, so that no trial goes to nobody.
struct Waiter<'a> {
    app: &'a App,
    asked: (SweepId, u64),
    waiter: u64,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let (asked, waiter) = (self.asked, self.waiter);
        // A loop that has too much to do gives the trial out again later.
        let _ = self.app.offer(Input::LeaveTrial { asked, waiter });
    }
}

impl App {
    /// A trial of an external sweep, or why there is none now. Waits while the sampler is at work.
    pub(crate) async fn ask_trial(
        &self,
        sweep: SweepId,
        request: u64,
    ) -> Result<AskDocument, AskError> {
        let (reply, answer) = oneshot::channel();
        let waiter = self.next_waiter();
        let asked = (sweep, request);
        self.offer(Input::AskTrial {
            asked,
            waiter,
            reply,
        })?;
        let leaves = Waiter {
            app: self,
            asked,
            waiter,
        };
        let answer = answer.await.map_err(|_| AskError::Stopping)?;
        std::mem::forget(leaves); // answered: nobody waits
        answer
    }
}
