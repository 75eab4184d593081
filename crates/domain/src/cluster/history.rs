//! Finished trials, sealed 4,096 at a time into immutable segments that snapshots share by reference.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::trial::Trial;

/// Trials in a segment.
pub const SEGMENT_TRIALS: usize = 4_096;

/// An immutable run of finished trials, postcard-encoded, with what listings need in plain form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// Trial numbers, ascending.
    numbers: Vec<u32>,
    /// Where each trial's encoding starts; one more entry for the end.
    offsets: Vec<u32>,
    bytes: Vec<u8>,
}

impl Segment {
    /// Seals trials, which come in ascending order of their numbers.
    pub fn seal<'a>(trials: impl IntoIterator<Item = &'a Trial>) -> Segment {
        let mut segment = Segment {
            numbers: Vec::new(),
            offsets: vec![0],
            bytes: Vec::new(),
        };
        for trial in trials {
            if let Ok(encoded) = postcard::to_stdvec(trial) {
                segment.numbers.push(trial.number);
                segment.bytes.extend_from_slice(&encoded);
                segment.offsets.push(segment.bytes.len() as u32);
            }
        }
        segment
    }

    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// The trial with this number, if it was sealed here.
    pub fn get(&self, number: u32) -> Option<Trial> {
        let at = self.numbers.binary_search(&number).ok()?;
        self.decode(at)
    }

    /// All trials, ascending by number.
    pub fn trials(&self) -> impl Iterator<Item = Trial> + '_ {
        (0..self.numbers.len()).filter_map(|at| self.decode(at))
    }

    fn decode(&self, at: usize) -> Option<Trial> {
        let (from, to) = (*self.offsets.get(at)?, *self.offsets.get(at + 1)?);
        postcard::from_bytes(self.bytes.get(from as usize..to as usize)?).ok()
    }
}

/// The sealed part of a sweep's trials.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    segments: Vec<Arc<Segment>>,
}

impl History {
    pub fn push(&mut self, segment: Segment) {
        self.segments.push(Arc::new(segment));
    }

    pub fn len(&self) -> usize {
        self.segments.iter().map(|s| s.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// The newest sealed form of a trial.
    pub fn get(&self, number: u32) -> Option<Trial> {
        self.segments.iter().rev().find_map(|s| s.get(number))
    }

    pub fn trials(&self) -> impl Iterator<Item = Trial> + '_ {
        self.segments.iter().flat_map(|s| s.trials())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::id::LogIndex;

    #[test]
    fn sealed_trials_come_back_whole() {
        let trials: Vec<Trial> = [3u32, 5, 9]
            .iter()
            .map(|n| Trial::new(*n, Default::default(), 27, LogIndex(u64::from(*n))))
            .collect();
        let segment = Segment::seal(&trials);
        assert_eq!(segment.get(5).unwrap(), trials[1]);
        assert_eq!(segment.get(4), None);
        assert_eq!(segment.trials().collect::<Vec<_>>(), trials);
    }
}
