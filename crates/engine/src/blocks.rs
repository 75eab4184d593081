//! Values that a snapshot may hold while they change.
//!
//! What holds them reads on: values that are held when they change are written to other memory, where they stay from then on. So
//! they take memory a second time at most, as long as one snapshot is read before the next is taken.

use std::mem;
use std::sync::Arc;

use crate::flat::CHUNK;

/// Values as they were when they were held.
pub(crate) type Held = Arc<Vec<f32>>;

/// Values that change together.
#[derive(Debug)]
pub(crate) struct Block {
    now: Held,
    /// Where the values go if somebody holds `now` when they change; what is held there was held before.
    other: Held,
}

impl Block {
    pub fn new(values: Vec<f32>) -> Block {
        Block {
            now: Arc::new(values),
            other: Held::default(),
        }
    }

    /// The values as they are now, for as long as it is wanted.
    pub fn hold(&self) -> Held {
        Arc::clone(&self.now)
    }

    /// Whether somebody holds the values as they are now.
    pub fn is_held(&self) -> bool {
        Arc::strong_count(&self.now) > 1
    }

    /// The values, to be changed where they are; of values that are held a copy.
    pub fn here(&mut self) -> &mut [f32] {
        let values: &mut Vec<f32> = Arc::make_mut(&mut self.now);
        values
    }

    /// The values as they are, and where the caller writes the new ones, each of them, for they are the values from now on.
    pub fn elsewhere(&mut self) -> (&[f32], &mut [f32]) {
        mem::swap(&mut self.now, &mut self.other);
        let fits = |there: &mut Vec<f32>| there.len() == self.other.len();
        if !Arc::get_mut(&mut self.now).is_some_and(fits) {
            self.now = Arc::new(vec![0.0; self.other.len()]);
        }
        // Nobody else holds it, so nothing is copied.
        let there: &mut Vec<f32> = Arc::make_mut(&mut self.now);
        (&self.other, there)
    }

    /// The values, to be changed where they are if nobody holds them, else elsewhere.
    pub fn change(&mut self) -> Change<'_> {
        if self.is_held() {
            let (from, to) = self.elsewhere();
            Change::There { from, to }
        } else {
            Change::Here(self.here())
        }
    }
}

/// Values that are about to change.
#[derive(Debug)]
pub(crate) enum Change<'a> {
    Here(&'a mut [f32]),
    /// Every new value is written to `to`.
    There {
        from: &'a [f32],
        to: &'a mut [f32],
    },
}

impl<'a> Change<'a> {
    pub fn len(&self) -> usize {
        match self {
            Change::Here(values) => values.len(),
            Change::There { from, .. } => from.len(),
        }
    }

    /// In parts of [`CHUNK`], the last one of what is left.
    pub fn parts(self) -> Vec<Change<'a>> {
        match self {
            Change::Here(values) => values.chunks_mut(CHUNK).map(Change::Here).collect(),
            Change::There { from, to } => {
                let parts = from.chunks(CHUNK).zip(to.chunks_mut(CHUNK));
                parts.map(|(from, to)| Change::There { from, to }).collect()
            }
        }
    }
}

#[cfg(test)]
impl Change<'_> {
    /// Adds one to each value.
    pub fn count(self) {
        match self {
            Change::Here(values) => values.iter_mut().for_each(|value| *value += 1.0),
            Change::There { from, to } => {
                let pairs = to.iter_mut().zip(from);
                pairs.for_each(|(to, from)| *to = from + 1.0);
            }
        }
    }
}

/// Cuts a parameter's values into blocks of [`CHUNK`].
pub(crate) fn blocks(values: &[f32]) -> Vec<Block> {
    let parts = values.chunks(CHUNK);
    parts.map(|part| Block::new(part.to_vec())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_stays_and_memory_is_used_again() {
        let mut block = Block::new(vec![1.0, 2.0]);
        let home = block.now.as_ptr();
        block.change().count();
        assert_eq!(block.now.as_ptr(), home, "nobody held it");
        let first = block.hold();
        block.change().count();
        assert_eq!(
            (&**first, &**block.hold()),
            (&[2.0, 3.0][..], &[3.0, 4.0][..])
        );
        // A second one while the first is still there.
        let second = block.hold();
        block.change().count();
        assert_eq!((&**first, &**second), (&[2.0, 3.0][..], &[3.0, 4.0][..]));
        assert_eq!(**block.hold(), [4.0, 5.0]);
        drop(first);
        drop(second);
        for _ in 0..4 {
            let held = block.hold();
            let other = block.other.as_ptr();
            block.change().count();
            assert_eq!(block.now.as_ptr(), other, "turns between two places");
            assert_ne!(held.as_ptr(), other);
        }
        assert_eq!(**block.hold(), [8.0, 9.0]);
    }

    #[test]
    fn parts_are_the_whole() {
        for length in [0, 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let values: Vec<f32> = (0..length).map(|i| i as f32).collect();
            let mut block = Block::new(values.clone());
            let held = block.hold();
            let lengths = |parts: &[Change<'_>]| parts.iter().map(Change::len).sum::<usize>();
            let parts = block.change().parts();
            assert_eq!(lengths(&parts), length);
            for part in parts {
                match part {
                    Change::There { from, to } => to.copy_from_slice(from),
                    Change::Here(_) => panic!("it is held"),
                }
            }
            drop(held);
            assert_eq!(**block.hold(), values);
            let parts = block.change().parts();
            assert_eq!(lengths(&parts), length);
            assert!(parts.iter().all(|part| matches!(part, Change::Here(_))));
        }
    }
}
