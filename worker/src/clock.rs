//! The two clocks, read at the edge and handed inwards.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bonfire_domain::{Now, WallMs};

/// The wall clock: a fact to record.
pub fn wall() -> WallMs {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    WallMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A monotonic clock that starts at 0 when it is made.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    pub fn start() -> Clock {
        Clock(Instant::now())
    }

    pub fn now(self) -> Now {
        Now(u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}
