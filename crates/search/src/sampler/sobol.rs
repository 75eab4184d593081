//! Sobol's low-discrepancy sequence under Owen's nested uniform scrambling: point `number` of the sequence, one
//! dimension a parameter.
//!
//! Sources: Sobol 1967; the direction numbers of `directions.rs`; scrambling by Owen 1995 (Randomly permuted
//! (t,m,s)-nets and (t,s)-sequences), with the random tree of bit flips given by a hash, as in Laine and Karras 2011
//! and Burley 2020 (<https://jcgt.org/published/0009/04/01/>). Each flip hashes the bits above it, so every node of the
//! tree flips independently; their cheaper bit-mixing only approximates that.

use rand_chacha::rand_core::RngCore;

use super::directions::direction_numbers;
use super::random::stream;
use crate::{Assignment, Space};

/// Bits of the sequence itself, as many as trials can be numbered. Below them the scrambling goes on at random.
pub(super) const BITS: u32 = 32;

/// `round`: another scrambling each.
pub(super) fn suggest(space: &Space, seed: u64, round: u64, number: u32) -> Assignment {
    around(space, &Assignment::new(), seed, round, number)
}

/// As [`suggest`], where some parameters are given.
pub(super) fn around(
    space: &Space,
    given: &Assignment,
    seed: u64,
    round: u64,
    number: u32,
) -> Assignment {
    let mut keys = stream(b"bonfire:sobol:01", seed, round);
    space.place_around(given, |dimension| {
        scrambled(dimension, number, keys.next_u64())
    })
}

/// One coordinate of the scrambling with that key, as a multiple of 2^-64. `dimension` is below
/// [`super::SOBOL_DIMENSIONS_MAX`].
pub(super) fn scrambled(dimension: usize, number: u32, key: u64) -> u64 {
    scramble(coordinate(dimension, number), key)
}

/// The unscrambled coordinate, as a multiple of 2^-32.
pub(super) fn coordinate(dimension: usize, number: u32) -> u32 {
    let directions = direction_numbers(dimension);
    let set = directions
        .iter()
        .enumerate()
        .filter(|(bit, _)| number >> bit & 1 == 1);
    set.fold(0, |sum, (_, direction)| sum ^ direction)
}

/// Flips each of the upper 32 bits by a hash of the bits above it, and hashes all of them into the lower 32.
fn scramble(coordinate: u32, key: u64) -> u64 {
    let whole = u64::from(coordinate);
    let mut upper = 0;
    for depth in 0..BITS {
        let above = whole >> (BITS - depth);
        let bit = whole >> (BITS - 1 - depth) & 1;
        upper = upper << 1 | (bit ^ hash(key, depth, above) & 1);
    }
    upper << BITS | hash(key, BITS, whole) >> BITS
}

/// Two rounds of the finaliser of splitmix64 (Steele, Lea and Flood 2014).
fn hash(key: u64, depth: u32, above: u64) -> u64 {
    let node = u64::from(depth) << BITS | above; // `above` has `depth` bits, so nodes differ
    mix(key ^ mix(node.wrapping_add(0x9e37_79b9_7f4a_7c15)))
}

fn mix(mut x: u64) -> u64 {
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::directions::DIMENSIONS_MAX;
    use super::*;

    /// Of the first 2^k points each of the 2^k equal intervals holds exactly one.
    #[track_caller]
    fn check_intervals(name: &str, k: u32, upper: impl Fn(u32) -> u32) {
        let hit: BTreeSet<u32> = (0..1 << k)
            .map(|number| upper(number) >> (BITS - k))
            .collect();
        assert_eq!(hit.len(), 1 << k, "{name}, 2^{k} points");
    }

    #[test]
    fn each_dimension_is_a_net_with_and_without_scrambling() {
        for dimension in 0..DIMENSIONS_MAX {
            let name = format!("dimension {dimension}");
            let key = stream(b"test:test:test:1", 7, dimension as u64).next_u64();
            for k in [1, 4, 8, 10] {
                check_intervals(&name, k, |number| coordinate(dimension, number));
                check_intervals(&name, k, |number| {
                    (scramble(coordinate(dimension, number), key) >> 32) as u32
                });
            }
        }
    }

    /// The first two dimensions are a (0, 2)-sequence: boxes of every shape hold one point each.
    #[test]
    fn the_first_two_dimensions_are_a_net_together() {
        let keys = [3, 4].map(|i| stream(b"test:test:test:2", 7, i).next_u64());
        let upper = |d: usize, n| scramble(coordinate(d, n), keys[d]) >> 32;
        for k in 0..=8 {
            let cells: BTreeSet<(u64, u64)> = (0..256)
                .map(|n| (upper(0, n) >> (BITS - k), upper(1, n) >> (BITS - 8 + k)))
                .collect();
            assert_eq!(cells.len(), 256, "2^{k} by 2^{}", 8 - k);
        }
    }

    /// The first points of <https://web.maths.unsw.edu.au/~fkuo/sobol/>, there in Gray-code order.
    #[test]
    fn known_points() {
        let unit = |d, n: u32| f64::from(coordinate(d, n ^ n >> 1)) / 4_294_967_296.0;
        let point = |n| [unit(0, n), unit(1, n), unit(2, n)];
        assert_eq!(point(0), [0.0, 0.0, 0.0]);
        assert_eq!(point(1), [0.5, 0.5, 0.5]);
        assert_eq!(point(2), [0.75, 0.25, 0.25]);
        assert_eq!(point(3), [0.25, 0.75, 0.75]);
        assert_eq!(point(4), [0.375, 0.375, 0.625]);
        assert_eq!(point(5), [0.875, 0.875, 0.125]);
        assert_eq!(point(6), [0.625, 0.125, 0.875]);
        assert_eq!(point(7), [0.125, 0.625, 0.375]);
    }

    /// Every node of the tree flips about half the time, over keys.
    #[test]
    fn flips_are_fair() {
        for coordinate in [0, 1, 0x8000_0000, u32::MAX] {
            for bit in [0, 31, 32, 33, 62, 63] {
                let ones: u64 = (0..4000)
                    .map(|key| scramble(coordinate, mix(key)) >> bit & 1)
                    .sum();
                assert!(
                    (1850..2150).contains(&ones),
                    "{coordinate:x} bit {bit}: {ones}"
                );
            }
        }
    }
}
