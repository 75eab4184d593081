//! Ids and quantities as types, so that a slot is never passed where a trial is meant. Plain newtypes, no macro.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A sweep, numbered by the replicated state in the order of creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SweepId(pub u32);

/// A trial: its sweep and its number in it, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TrialId {
    pub sweep: SweepId,
    pub number: u32,
}

/// Incremented each time a trial is (re)started. Anything stamped with an older attempt is refused.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct Attempt(pub u32);

impl Attempt {
    /// What a trial that never started has.
    pub const NONE: Attempt = Attempt(0);

    /// The attempt after this one; saturates, since 2^32 restarts are refused long before by `retry.lost`.
    #[must_use]
    pub fn next(self) -> Attempt {
        Attempt(self.0.saturating_add(1))
    }
}

/// A worker process. Drawn at random when the agent starts, so a restarted agent is another worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkerId(pub u64);

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The index of a slot on its worker, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slot(pub u16);

/// One slot of one worker: where a member of an attempt runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    pub worker: WorkerId,
    pub slot: Slot,
}

/// An index in the replicated log.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct LogIndex(pub u64);

/// Milliseconds since the Unix epoch, as a recorded fact; never read inside a pure machine.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct WallMs(pub u64);

/// Milliseconds of a monotonic clock, handed into `step`. Only differences mean anything.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct Now(pub u64);

impl Now {
    /// Milliseconds from `earlier` to this one, 0 if the clock went back.
    pub fn since(self, earlier: Now) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A BLAKE3 digest: the name of everything that is content-addressed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of some bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(*blake3::hash(bytes).as_bytes())
    }

    /// 64 hexadecimal digits, lower case.
    pub fn hex(&self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }

    /// Reads what [`Digest::hex`] writes.
    pub fn parse(text: &str) -> Option<Digest> {
        (text.len() == 64).then_some(())?;
        blake3::Hash::from_hex(text.as_bytes())
            .ok()
            .map(|h| Digest(*h.as_bytes()))
    }

    /// The first 12 digits, for people.
    pub fn short(&self) -> String {
        self.hex()[..12].to_owned()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() {
            s.serialize_str(&self.hex())
        } else {
            self.0.serialize(s)
        }
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Digest, D::Error> {
        if d.is_human_readable() {
            let text = String::deserialize(d)?;
            Digest::parse(&text).ok_or_else(|| {
                serde::de::Error::custom(format!("not a digest of 64 hexadecimal digits: {text:?}"))
            })
        } else {
            <[u8; 32]>::deserialize(d).map(Digest)
        }
    }
}
