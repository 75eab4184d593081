//! The order in which a trial sees its rows: a pure function of (seed, epoch, position), in constant memory.
//!
//! Blocks of 4,096 rows are permuted, cut into windows of `window_blocks`, and the rows inside a window are permuted. Reading
//! a window touches only its blocks, and any step can be addressed without replaying those before it.

use std::ops::Range;

use bonfire_domain::dataset::BLOCK_ROWS;
use bonfire_domain::spec::Shuffle;

use crate::permute::{Permutation, key};

/// Bytes of prepared train below which `auto` shuffles all of it.
const AUTO_BYTES: u64 = 1 << 30;
/// Blocks in a window of `auto` above that.
const AUTO_BLOCKS: u64 = 64;

/// Blocks in a shuffle window, at least 1 and at most `blocks`.
///
/// `train_bytes` and `blocks` are those of prepared train, so the answer belongs to the trial and not to the machine.
pub fn window_blocks(shuffle: Shuffle, train_bytes: u64, blocks: u64) -> u64 {
    let wanted = match shuffle {
        Shuffle::Auto if train_bytes < AUTO_BYTES => blocks,
        Shuffle::Auto => AUTO_BLOCKS,
        Shuffle::Blocks(n) => n.into(),
    };
    wanted.min(blocks).max(1)
}

/// Positions of virtual shard `shard` of `v` in a batch of `b` samples that begins at `batch_start`.
pub fn shard_positions(batch_start: u64, b: u64, shard: u32, v: u32) -> Range<u64> {
    let v = u128::from(v.max(1));
    // At most b, which is a u64.
    let cut = |s: u32| (u128::from(s) * u128::from(b) / v).min(b.into()) as u64;
    batch_start + cut(shard)..batch_start + cut(shard.saturating_add(1))
}

/// The order of all epochs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Order {
    rows: u64,
    blocks: u64,
    window: u64,
    seed: u64,
}

impl Order {
    /// - `rows`: of prepared train.
    /// - `window_blocks`: see [`window_blocks`].
    pub fn new(rows: u64, window_blocks: u64, seed: u64) -> Order {
        let blocks = rows.div_ceil(BLOCK_ROWS);
        Order {
            rows,
            blocks,
            window: window_blocks.clamp(1, blocks.max(1)),
            seed,
        }
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The row at a position of an epoch; a bijection of `0..rows` for each epoch. Positions past the end wrap.
    pub fn row(&self, epoch: u32, position: u64) -> u64 {
        self.epoch(epoch).row(position)
    }

    /// One epoch's order, for many positions of it.
    pub fn epoch(&self, epoch: u32) -> EpochOrder {
        let key = key(&[self.seed, epoch.into()]);
        let blocks = Permutation::new(self.blocks, key);
        let last = self.blocks.saturating_sub(1);
        EpochOrder {
            order: *self,
            key,
            blocks,
            short: blocks.invert(last),
            lack: self.blocks * BLOCK_ROWS - self.rows,
        }
    }
}

/// The order of one epoch.
#[derive(Clone, Copy, Debug)]
pub struct EpochOrder {
    order: Order,
    key: u64,
    blocks: Permutation,
    /// Where the last block, which may be short, stands among the permuted ones.
    short: u64,
    /// Rows that the last block lacks.
    lack: u64,
}

impl EpochOrder {
    /// The row at a position.
    pub fn row(&self, position: u64) -> u64 {
        let order = &self.order;
        if order.rows == 0 {
            return 0;
        }
        let position = position % order.rows;
        // The short block moves everything behind it forward by less than one block, so by at most one window.
        let full = order.window * BLOCK_ROWS;
        let mut window = position / full;
        if position >= self.before((window + 1) * order.window) {
            window += 1;
        }
        let first = window * order.window;
        let last = (first + order.window).min(order.blocks);
        let start = self.before(first);
        let rows = self.before(last) - start;
        let inside = Permutation::new(rows, key(&[self.key, window])).apply(position - start);
        // From rows of the window to its slots of whole blocks: skip what the short one lacks.
        let behind = self.short >= first
            && self.short < last
            && inside >= (self.short - first + 1) * BLOCK_ROWS - self.lack;
        let slot = if behind { inside + self.lack } else { inside };
        self.blocks.apply(first + slot / BLOCK_ROWS) * BLOCK_ROWS + slot % BLOCK_ROWS
    }

    /// Rows in the first `slots` permuted blocks.
    fn before(&self, slots: u64) -> u64 {
        let slots = slots.min(self.order.blocks);
        slots * BLOCK_ROWS - if self.short < slots { self.lack } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check_bijection(rows: u64, window: u64, seed: u64, epoch: u32) {
        let order = Order::new(rows, window, seed).epoch(epoch);
        let mut seen = vec![false; usize::try_from(rows).unwrap()];
        for position in 0..rows {
            let row = usize::try_from(order.row(position)).unwrap();
            assert!(
                !std::mem::replace(&mut seen[row], true),
                "rows={rows} window={window} row {row} twice"
            );
        }
    }

    // I8: the order gives each sample index once an epoch.
    #[test]
    fn each_row_once_an_epoch_for_many_sizes() {
        let edges = [
            1, 2, 3, 100, 4_095, 4_096, 4_097, 8_191, 8_192, 8_193, 12_289, 20_479, 40_960, 50_001,
        ];
        for rows in edges {
            for window in [1, 2, 3, 5, 1_000] {
                check_bijection(rows, window, rows, 2);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn each_row_once_an_epoch(rows in 1_u64..30_000, window in 1_u64..9, seed: u64, epoch: u32) {
            check_bijection(rows, window, seed, epoch);
        }
    }

    #[test]
    fn a_window_touches_its_blocks_only() {
        let (rows, window) = (10 * BLOCK_ROWS + 17, 3);
        let order = Order::new(rows, window, 5).epoch(0);
        let blocks: std::collections::BTreeSet<u64> = (0..2 * BLOCK_ROWS)
            .map(|p| order.row(p) / BLOCK_ROWS)
            .collect();
        assert!(blocks.len() <= 4, "{blocks:?}");
    }

    #[test]
    fn epochs_and_seeds_differ_and_repeat() {
        let take = |seed, epoch| {
            (0..50)
                .map(|p| Order::new(1_437, 1, seed).row(epoch, p))
                .collect::<Vec<_>>()
        };
        assert_eq!(take(1, 0), take(1, 0));
        assert_ne!(take(1, 0), take(1, 1));
        assert_ne!(take(1, 0), take(2, 0));
    }

    #[test]
    fn rows_at_known_places() {
        // These numbers are part of every trial's result: a change here breaks exact resume.
        let order = Order::new(1_437, 1, 7);
        let rows: Vec<u64> = (0..6).map(|p| order.row(3, p)).collect();
        assert_eq!(rows, KNOWN);
    }
    const KNOWN: [u64; 6] = [1124, 217, 1391, 897, 1032, 254];

    #[test]
    fn shards_cover_a_batch() {
        for (b, v) in [(64, 1), (64, 4), (37, 4), (3, 8), (0, 4), (u64::MAX / 2, 3)] {
            let mut next = 1_000;
            for shard in 0..v {
                let range = shard_positions(1_000, b, shard, v);
                assert_eq!(range.start, next, "b={b} v={v} shard={shard}");
                next = range.end;
            }
            assert_eq!(next, 1_000 + b);
        }
        assert_eq!(shard_positions(0, 10, 1, 4), 2..5);
    }

    #[test]
    fn windows_follow_the_spec() {
        for (shuffle, bytes, blocks, expected) in [
            (Shuffle::Auto, 1 << 20, 100, 100),
            (Shuffle::Auto, 1 << 30, 100, 64),
            (Shuffle::Auto, 1 << 30, 10, 10),
            (Shuffle::Blocks(8), 5, 100, 8),
            (Shuffle::Blocks(0), 5, 100, 1),
            (Shuffle::Auto, 0, 0, 1),
        ] {
            assert_eq!(
                window_blocks(shuffle, bytes, blocks),
                expected,
                "{shuffle:?} {bytes} {blocks}"
            );
        }
    }
}
