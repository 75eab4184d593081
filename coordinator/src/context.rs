//! What every handler is given.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bonfire_domain::cluster::{SweepState, TrialState};
use bonfire_store::LocalBlobs;
use tokio::sync::{RwLock, RwLockReadGuard};
use tokio_util::sync::CancellationToken;

use crate::app::{App, AskError};
use crate::clock::Clock;
use crate::config::Limits;
use crate::health::Health;
use crate::metrics::{Levels, Metrics};
use crate::tracker::Tracker;

/// Keeps a deletion from slipping between the look whether blobs are here and the command that names them.
///
/// Whoever looks holds [`Publishing::look`] until what it saw is in the loop's queue; whoever has deleted waits for
/// [`Publishing::settled`] before the loop hears of it. So a command that rests on an older look is applied while its blobs are
/// still condemned, and is refused.
#[derive(Clone, Default)]
pub(crate) struct Publishing(Arc<RwLock<()>>);

impl Publishing {
    pub(crate) async fn look(&self) -> RwLockReadGuard<'_, ()> {
        self.0.read().await
    }

    pub(crate) async fn settled(&self) {
        drop(self.0.write().await);
    }
}

/// Handles to everything a call may need. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) app: App,
    pub(crate) tracker: Tracker,
    pub(crate) blobs: LocalBlobs,
    pub(crate) publishing: Publishing,
    /// The last blob that came could not be stored for lack of space.
    pub(crate) is_full: Arc<AtomicBool>,
    pub(crate) health: Health,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) clock: Clock,
    pub(crate) address: SocketAddr,
    /// Cancelled when the coordinator is to stop: every stream ends then.
    pub(crate) stop: CancellationToken,
}

impl Context {
    /// Why work does not go on although it could: a full disk, mostly.
    pub(crate) fn unwell(&self) -> Option<String> {
        let full = || {
            let text = "the coordinator's disk is full: free some space, it goes on by itself";
            let is_full = self.is_full.load(Ordering::Relaxed);
            is_full.then(|| text.to_owned())
        };
        self.health.reasons().or_else(full)
    }

    /// The text of a scrape.
    pub(crate) async fn scrape(&self) -> Result<String, AskError> {
        let ready = self.health.reasons().is_none();
        let uptime_seconds = self.clock.now().now.0 as f64 / 1e3;
        let levels = self.app.read(move |view| {
            let cluster = view.cluster;
            let connected = |w| {
                view.leader
                    .and_then(|l| l.contact(w))
                    .is_some_and(|c| c.connected)
            };
            let by_state = |state: SweepState| {
                let name = state.name();
                (
                    name,
                    cluster.sweeps().filter(|s| s.state.name() == name).count() as u64,
                )
            };
            let states = [
                SweepState::Running,
                SweepState::Paused,
                SweepState::Completed,
                SweepState::Cancelled,
                SweepState::Failed,
            ];
            let in_state = |state: TrialState| {
                (
                    state.name(),
                    cluster.sweeps().map(|s| u64::from(s.count(state))).sum(),
                )
            };
            Levels {
                applied_index: cluster.applied().0,
                workers: cluster.workers().count(),
                workers_connected: cluster.workers().filter(|w| connected(w.id())).count(),
                sweeps: states.map(by_state).to_vec(),
                trials: TrialState::ALL.map(in_state).to_vec(),
                ready,
                uptime_seconds,
            }
        });
        Ok(self.metrics.render(&levels.await?))
    }
}
