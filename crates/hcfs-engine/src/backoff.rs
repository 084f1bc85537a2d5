//! Growing pauses between tries.

use std::time::Duration;

/// Doubles the pause with every try, up to a cap, each shortened at random by up to a half.
///
/// The randomness comes from a seed: devices that lost one server together do not come back together, and a run can be
/// repeated.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    cap: Duration,
    tries: u32,
    random: u64,
}

impl Backoff {
    pub(crate) fn new(first: Duration, cap: Duration, seed: u64) -> Self {
        Self { first, cap, tries: 0, random: seed }
    }

    /// The pause before the next try.
    pub(crate) fn next(&mut self) -> Duration {
        let full = self.first.saturating_mul(1 << self.tries.min(20)).min(self.cap);
        self.tries = self.tries.saturating_add(1);
        // splitmix64
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let share = f64::from(u32::try_from(mixed >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX);
        full.mul_f64(1.0 - share / 2.0)
    }

    /// How often it was asked since the last success.
    pub(crate) fn tries(&self) -> u32 {
        self.tries
    }

    /// Starts again after a success.
    pub(crate) fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_the_cap_and_starts_again() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60), 7);
        for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
            let full = Duration::from_secs(expected);
            let pause = backoff.next();
            assert!(pause <= full && pause >= full / 2, "{pause:?} of {full:?}");
        }
        backoff.reset();
        assert!(backoff.next() <= Duration::from_secs(1));
    }
}
