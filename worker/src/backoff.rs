//! Growing pauses with jitter, so that a fleet does not come back all at once. No clock, no global randomness.

use std::time::Duration;

/// A sequence of pauses: each about twice the one before, up to a bound.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
    state: u64,
}

impl Backoff {
    /// Pauses between half of `first` and `most`, drawn from `seed`.
    pub fn new(first: Duration, most: Duration, seed: u64) -> Backoff {
        Backoff {
            first,
            most,
            next: first,
            state: seed,
        }
    }

    /// What a connection or a transfer uses: 50 ms to 2 s.
    pub fn of_network(seed: u64) -> Backoff {
        Backoff::new(Duration::from_millis(50), Duration::from_secs(2), seed)
    }

    /// The next pause: half of it fixed, half drawn.
    pub fn pause(&mut self) -> Duration {
        let half = self.next / 2;
        self.next = (self.next * 2).min(self.most);
        half + half.mul_f64(self.draw())
    }

    /// It went well: begins again with the first pause.
    pub fn reset(&mut self) {
        self.next = self.first;
    }

    /// In [0, 1). SplitMix64, Steele, Lea and Flood 2014, <https://doi.org/10.1145/2660193.2660195>.
    fn draw(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_within_their_bounds_and_repeat_with_the_seed() {
        let (first, most) = (Duration::from_millis(100), Duration::from_secs(1));
        let pauses = |seed| {
            let mut backoff = Backoff::new(first, most, seed);
            (0..8).map(|_| backoff.pause()).collect::<Vec<_>>()
        };
        let bases = [100, 200, 400, 800, 1_000, 1_000, 1_000, 1_000].map(Duration::from_millis);
        for (pause, base) in pauses(7).iter().zip(bases) {
            assert!((base / 2..=base).contains(pause), "{pause:?} for {base:?}");
        }
        assert_eq!(pauses(7), pauses(7));
        assert_ne!(pauses(7), pauses(8));
        let mut backoff = Backoff::new(first, most, 1);
        assert!((0..5).any(|_| backoff.pause() > first));
        backoff.reset();
        assert!(backoff.pause() <= first);
    }
}
