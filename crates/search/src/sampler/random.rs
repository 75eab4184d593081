//! Random search: independent uniform places of the unit cube.
//!
//! Source: Bergstra and Bengio 2012, <https://jmlr.org/papers/v13/bergstra12a.html>.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::{Assignment, Space};

/// How often a trial draws again when its point is not new. After that the nearest free point is as good.
const DRAWS: u32 = 16;

/// The first new one of the points drawn from the stream of (seed, number), or the last drawn.
pub(super) fn suggest(
    space: &Space,
    seed: u64,
    number: u32,
    is_new: impl Fn(&Assignment) -> bool,
) -> Assignment {
    draw(space, seed, number, DRAWS, is_new)
}

/// As [`suggest`], of at most that many draws.
pub(super) fn draw(
    space: &Space,
    seed: u64,
    number: u32,
    draws: u32,
    is_new: impl Fn(&Assignment) -> bool,
) -> Assignment {
    draw_around(space, &Assignment::new(), seed, number, draws, is_new)
}

/// As [`draw`], where some parameters are given.
pub(super) fn draw_around(
    space: &Space,
    given: &Assignment,
    seed: u64,
    number: u32,
    draws: u32,
    is_new: impl Fn(&Assignment) -> bool,
) -> Assignment {
    let mut stream = stream(b"bonfire:random:1", seed, u64::from(number));
    let mut point = space.place_around(given, |_| stream.next_u64());
    for _ in 1..draws {
        if is_new(&point) {
            break;
        }
        point = space.place_around(given, |_| stream.next_u64());
    }
    point
}

/// The stream of pseudo-random numbers that belongs to (purpose, seed, number).
pub(crate) fn stream(purpose: &[u8; 16], seed: u64, number: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&number.to_le_bytes());
    key[16..].copy_from_slice(purpose);
    ChaCha8Rng::from_seed(key)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Parameter, Range};

    /// Over trials, each of ten equal parts of a parameter's range gets its share, and parameters do not move together.
    #[test]
    fn places_are_uniform_and_independent() {
        let parameter = |name: &str| Parameter {
            name: name.to_owned(),
            range: Range::Integer {
                min: 0,
                max: 9,
                log: false,
            },
            when: vec![],
        };
        let space = Space::new(vec![parameter("a"), parameter("b")]).unwrap();
        let mut cells = [0; 100];
        for number in 0..20_000 {
            let point = suggest(&space, 3, number, |_| true);
            let digit = |name| point[name].as_integer().unwrap() as usize;
            cells[digit("a") * 10 + digit("b")] += 1;
        }
        let fair = 200.0;
        let chi2: f64 = cells
            .iter()
            .map(|&n| (f64::from(n) - fair) * (f64::from(n) - fair) / fair)
            .sum();
        assert!(
            (55.0..160.0).contains(&chi2),
            "99 degrees of freedom: {chi2}"
        ); // 0.01 % on either side
    }
}
