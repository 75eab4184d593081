//! Values in blocks of [`CHUNK`], of which a snapshot may hold those of an earlier step.
//!
//! What holds them reads on while they change: a block that is held when it changes goes on in other memory, which it keeps
//! from then on. So a block takes memory a second time at most, as long as one snapshot is read before the next is taken.

use std::mem;
use std::sync::Arc;

use rayon::prelude::*;

use crate::flat::{CHUNK, is_parallel};

/// A block as it was when it was held.
pub(crate) type Held = Arc<Vec<f32>>;

/// At most [`CHUNK`] values.
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

    /// The values, to be changed.
    pub fn change(&mut self) -> &mut [f32] {
        if Arc::get_mut(&mut self.now).is_none() {
            mem::swap(&mut self.now, &mut self.other);
            set(&mut self.now, &self.other);
        }
        // Nobody else holds it, so nothing is copied.
        let values: &mut Vec<f32> = Arc::make_mut(&mut self.now);
        values
    }
}

/// Puts `values` there, in new memory if somebody holds the old.
fn set(block: &mut Held, values: &[f32]) {
    match Arc::get_mut(block) {
        Some(old) => {
            old.clear();
            old.extend_from_slice(values);
        }
        None => *block = Arc::new(values.to_vec()),
    }
}

/// Cuts a parameter's values into blocks.
pub(crate) fn blocks(values: &[f32]) -> Vec<Block> {
    let parts = values.chunks(CHUNK);
    parts.map(|part| Block::new(part.to_vec())).collect()
}

/// Copies `values` into `blocks`, using their memory again where nobody holds it.
pub(crate) fn copy(values: &[f32], blocks: &mut Vec<Held>) {
    blocks.resize_with(values.len().div_ceil(CHUNK), Held::default);
    if is_parallel(values.len()) {
        let parts = values.par_chunks(CHUNK).zip(blocks.par_iter_mut());
        parts.for_each(|(part, block)| set(block, part));
    } else {
        let parts = values.chunks(CHUNK).zip(blocks);
        parts.for_each(|(part, block)| set(block, part));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_stays_and_memory_is_used_again() {
        let mut block = Block::new(vec![1.0, 2.0]);
        block.change()[0] = 3.0;
        let (first, home) = (block.hold(), block.now.as_ptr());
        block.change()[1] = 4.0;
        assert_eq!(
            (&**first, &**block.hold()),
            (&[3.0, 2.0][..], &[3.0, 4.0][..])
        );
        // A second one while the first is still there.
        let second = block.hold();
        block.change()[0] = 5.0;
        assert_eq!((&**first, &**second), (&[3.0, 2.0][..], &[3.0, 4.0][..]));
        assert_eq!(**block.hold(), [5.0, 4.0]);
        drop(first);
        drop(second);
        let away = block.now.as_ptr();
        for n in 0..4 {
            let held = block.hold();
            let other = block.other.as_ptr();
            block.change()[0] = n as f32;
            assert_eq!(block.now.as_ptr(), other, "turns between two places");
            assert_ne!(held.as_ptr(), other);
        }
        assert_ne!(home, away);
    }

    #[test]
    fn a_copy_takes_the_place_of_one_that_nobody_holds() {
        for length in [0, 1, CHUNK, CHUNK + 1, 5 * CHUNK] {
            let values: Vec<f32> = (0..length).map(|i| i as f32).collect();
            let mut copies = Vec::new();
            copy(&values, &mut copies);
            let places = |copies: &[Held]| -> Vec<*const f32> {
                copies.iter().map(|block| block.as_ptr()).collect()
            };
            let before = places(&copies);
            copy(&values, &mut copies);
            assert_eq!(places(&copies), before);
            let held = copies.clone();
            copy(&vec![-1.0; length], &mut copies);
            assert_eq!(
                held.iter()
                    .flat_map(|b| b.iter())
                    .copied()
                    .collect::<Vec<_>>(),
                values
            );
            assert!(copies.iter().flat_map(|b| b.iter()).all(|v| *v == -1.0));
        }
    }
}
