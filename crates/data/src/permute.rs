//! Keyed permutations of 0 to n - 1 without a table: a Feistel network over the next power of two, walked until inside.
//!
//! Source: Black and Rogaway 2002, "Ciphers with Arbitrary Finite Domains" (cycle walking). Not for secrets.

/// Four make a permutation that cannot be told from a random one. Source: Luby and Rackoff 1988.
const ROUNDS: usize = 4;

/// A bijection of `0..n`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Permutation {
    n: u64,
    left_bits: u32,
    right_bits: u32,
    keys: [u64; ROUNDS],
}

impl Permutation {
    pub fn new(n: u64, key: u64) -> Permutation {
        let bits = u64::BITS - n.saturating_sub(1).leading_zeros();
        let mut state = key;
        let keys = std::array::from_fn(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            mix(state)
        });
        Permutation {
            n,
            left_bits: bits / 2,
            right_bits: bits - bits / 2,
            keys,
        }
    }

    /// Where `i` goes. `i` must be below `n`; for n of 0 or 1 it is 0.
    #[inline]
    pub fn apply(&self, i: u64) -> u64 {
        if self.n <= 1 {
            return 0;
        }
        let mut x = i;
        loop {
            x = self.forward(x);
            if x < self.n {
                return x;
            }
        }
    }

    /// What goes to `i`.
    pub fn invert(&self, i: u64) -> u64 {
        if self.n <= 1 {
            return 0;
        }
        let mut x = i;
        loop {
            x = self.backward(x);
            if x < self.n {
                return x;
            }
        }
    }

    #[inline]
    fn forward(&self, x: u64) -> u64 {
        let (mut left, mut right) = self.halves(x);
        for pair in self.keys.as_chunks::<2>().0 {
            left ^= mix(right ^ pair[0]) & mask(self.left_bits);
            right ^= mix(left ^ pair[1]) & mask(self.right_bits);
        }
        (left << self.right_bits) | right
    }

    fn backward(&self, x: u64) -> u64 {
        let (mut left, mut right) = self.halves(x);
        for pair in self.keys.as_chunks::<2>().0.iter().rev() {
            right ^= mix(left ^ pair[1]) & mask(self.right_bits);
            left ^= mix(right ^ pair[0]) & mask(self.left_bits);
        }
        (left << self.right_bits) | right
    }

    #[inline]
    fn halves(&self, x: u64) -> (u64, u64) {
        (x >> self.right_bits, x & mask(self.right_bits))
    }
}

#[inline]
fn mask(bits: u32) -> u64 {
    (1 << bits) - 1 // at most 32 bits
}

/// One key from several numbers.
pub(crate) fn key(parts: &[u64]) -> u64 {
    parts.iter().fold(0x0062_6f6e_6669_7265, |key, part| {
        mix(key ^ mix(part.wrapping_add(0x9e37_79b9_7f4a_7c15)))
    })
}

/// The finaliser of SplitMix64. Source: Steele, Lea and Flood 2014.
#[inline]
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn check(n: u64, key: u64) {
        let permutation = Permutation::new(n, key);
        let mut seen = vec![false; usize::try_from(n).unwrap()];
        for i in 0..n {
            let to = permutation.apply(i);
            assert!(
                !std::mem::replace(&mut seen[usize::try_from(to).unwrap()], true),
                "n={n} key={key}: {to} twice"
            );
            assert_eq!(permutation.invert(to), i, "n={n} key={key}");
        }
    }

    #[test]
    fn every_size_is_a_bijection_and_inverts() {
        for n in (0..300).chain([1_023, 1_024, 1_025, 4_095, 4_096, 4_097, 100_000]) {
            check(n, n ^ 7);
        }
    }

    #[test]
    fn the_largest_size_stays_inside() {
        let permutation = Permutation::new(u64::MAX, 3);
        assert_eq!(permutation.invert(permutation.apply(12_345)), 12_345);
    }

    #[test]
    fn a_place_is_equally_likely_for_each_value() {
        let n = 10_u64;
        let mut counts = [0_u32; 10];
        for key in 0..10_000 {
            counts[usize::try_from(Permutation::new(n, super::key(&[key])).apply(3)).unwrap()] += 1;
        }
        let chi: f64 = counts
            .iter()
            .map(|c| (f64::from(*c) - 1000.0).powi(2) / 1000.0)
            .sum();
        assert!(
            chi < 33.7,
            "chi squared with 9 degrees of freedom, p = 1e-4: {chi} {counts:?}"
        );
    }

    #[test]
    fn other_keys_give_other_permutations() {
        let a = Permutation::new(1_000, key(&[1, 2]));
        let b = Permutation::new(1_000, key(&[2, 1]));
        let same = (0..1_000).filter(|i| a.apply(*i) == b.apply(*i)).count();
        assert!(same < 20, "{same}");
    }
}
