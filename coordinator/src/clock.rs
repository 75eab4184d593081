//! The only clock of the coordinator, read once a turn.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bonfire_domain::leader::Time;
use bonfire_domain::{Now, WallMs};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: Instant,
}

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock {
            started: Instant::now(),
        }
    }

    pub(crate) fn now(&self) -> Time {
        let ms = self.started.elapsed().as_millis();
        Time {
            now: Now(u64::try_from(ms).unwrap_or(u64::MAX)),
            wall: wall(),
        }
    }
}

/// Milliseconds since the Unix epoch; 0 for a clock before it.
pub(crate) fn wall() -> WallMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    WallMs(since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)))
}
