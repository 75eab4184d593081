//! Flat vectors of all trained values: where each parameter lies in them, and their norm.

use std::ops::Range;

use rayon::prelude::*;

/// Values that one thread takes at a time.
pub(crate) const CHUNK: usize = 16_384;

/// A float tensor of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Field names from the model down, joined by dots.
    pub path: String,
    pub shape: Vec<usize>,
    /// Where its values lie among all values of its kind (trained or running).
    pub range: Range<usize>,
}

/// Every float tensor of a model, in the order in which the model visits them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Those with a gradient.
    pub trained: Vec<Entry>,
    /// Running statistics of normalisation layers.
    pub running: Vec<Entry>,
}

impl Layout {
    /// Length of the flat gradient.
    pub fn parameters(&self) -> usize {
        self.trained.last().map_or(0, |entry| entry.range.end)
    }

    /// How many values each trained parameter has.
    pub fn lengths(&self) -> impl Iterator<Item = usize> + Clone {
        self.trained.iter().map(|entry| entry.range.len())
    }

    /// Length of the flat running statistics.
    pub fn statistics(&self) -> usize {
        self.running.last().map_or(0, |entry| entry.range.end)
    }
}

/// Whether a loop over `values` is worth handing to other threads.
pub(crate) fn is_parallel(values: usize) -> bool {
    values >= 4 * CHUNK && rayon::current_num_threads() > 1
}

/// Sum of squares in f64, over fixed chunks and in a fixed order: the same bits for any number of threads.
pub(crate) fn sum_of_squares(values: &[f32]) -> f64 {
    if is_parallel(values.len()) {
        let parts: Vec<f64> = values.par_chunks(CHUNK).map(chunk_squares).collect();
        parts.iter().sum()
    } else {
        values.chunks(CHUNK).map(chunk_squares).sum()
    }
}

fn chunk_squares(chunk: &[f32]) -> f64 {
    const LANES: usize = 16;
    let mut lanes = [0f64; LANES];
    let (whole, rest) = chunk.as_chunks::<LANES>();
    for values in whole {
        for (lane, value) in lanes.iter_mut().zip(values) {
            *lane += f64::from(*value) * f64::from(*value);
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane += f64::from(*value) * f64::from(*value);
    }
    lanes.iter().sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn check(values: &[f32], expected: f64) {
        let found = sum_of_squares(values);
        assert!((found - expected).abs() <= 1e-12 * expected, "{found}");
    }

    #[test]
    fn squares_are_summed() {
        check(&[], 0.0);
        check(&[3.0, 4.0], 25.0);
        check(&[0.5; 100_000], 25_000.0);
        assert!(sum_of_squares(&[1.0, f32::NAN]).is_nan());
    }

    #[test]
    fn threads_do_not_change_bits() {
        let values: Vec<f32> = (0..300_001).map(|i| (i as f32 * 0.37).sin()).collect();
        let sums: Vec<u64> = [1, 2, 3]
            .map(|threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
                let pool = pool.build().unwrap();
                pool.install(|| sum_of_squares(&values)).to_bits()
            })
            .to_vec();
        assert_eq!(sums, vec![sums[0]; 3]);
    }
}
