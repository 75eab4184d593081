//! Whether the coordinator can do its work, and if not, why: what `/readyz` says.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Parts that can keep the coordinator from its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Log,
    Leadership,
    Tracker,
    Shutdown,
}

/// Shared by everything that can fail for a while. Ready means: nobody complains.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health(Arc<RwLock<BTreeMap<Part, String>>>);

impl Health {
    /// True if the part had no complaint before: that is worth a line in the log, its repetition is not.
    pub(crate) fn complain(&self, part: Part, reason: impl Into<String>) -> bool {
        self.write().insert(part, reason.into()).is_none()
    }

    /// True if the part had a complaint.
    pub(crate) fn recover(&self, part: Part) -> bool {
        // Mostly there is none: that takes no exclusive lock.
        self.read().contains_key(&part) && self.write().remove(&part).is_some()
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.read().is_empty()
    }

    /// The reasons, one a line; `None` if ready.
    pub(crate) fn reasons(&self) -> Option<String> {
        let reasons = self.read();
        if reasons.is_empty() {
            return None;
        }
        Some(
            reasons
                .values()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join("\n"),
        )
    }

    // A panic elsewhere leaves the map whole: each change is one call.
    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Part, String>> {
        self.0.read().unwrap_or_else(|e| e.into_inner())
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<Part, String>> {
        self.0.write().unwrap_or_else(|e| e.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_when_nobody_complains() {
        let health = Health::default();
        assert_eq!(health.reasons(), None);
        assert!(health.complain(Part::Log, "no space"));
        assert!(!health.complain(Part::Log, "no space"), "said before");
        health.complain(Part::Tracker, "no space either");
        assert_eq!(
            health.reasons().as_deref(),
            Some("no space\nno space either")
        );
        health.recover(Part::Log);
        health.recover(Part::Tracker);
        assert_eq!(health.reasons(), None);
    }
}
