//! Jittered exponential backoff: how long to wait before the next attempt to connect.
//!
//! The ceiling doubles with every attempt, from twice the first delay up to the last; each delay is
//! drawn from the upper half below the ceiling, so that a hundred daemons that lost one broker
//! together do not come back together. Never sleeps itself.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::config::BackoffConfig;

#[derive(Debug)]
pub struct Backoff {
    first: Duration,
    last: Duration,
    attempts: u32,
    rng: SmallRng,
}

impl Backoff {
    pub fn new(config: BackoffConfig) -> Self {
        Self::with_rng(config, rand::make_rng())
    }

    /// The same seed gives the same delays.
    pub fn seeded(config: BackoffConfig, seed: u64) -> Self {
        Self::with_rng(config, SmallRng::seed_from_u64(seed))
    }

    fn with_rng(config: BackoffConfig, rng: SmallRng) -> Self {
        Self { first: config.first, last: config.last.max(config.first), attempts: 0, rng }
    }

    /// The delay before the next attempt, from `first` to `last`.
    pub fn next_delay(&mut self) -> Duration {
        self.attempts = self.attempts.saturating_add(1);
        let factor = 2u32.checked_pow(self.attempts).unwrap_or(u32::MAX);
        let ceiling = self.first.saturating_mul(factor).min(self.last);
        let floor = (ceiling / 2).max(self.first);
        self.rng.random_range(floor..=ceiling)
    }

    /// Attempts since the last reset.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The connection has proved itself: the next failure starts from the first delay again.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CONFIG: BackoffConfig =
        BackoffConfig { first: Duration::from_millis(100), last: Duration::from_secs(30) };

    fn delays(seed: u64, count: usize) -> Vec<Duration> {
        let mut backoff = Backoff::seeded(CONFIG, seed);
        (0..count).map(|_| backoff.next_delay()).collect()
    }

    #[test]
    fn doubles_up_to_the_last_delay_and_stays_there() {
        let delays = delays(1, 40);
        let mut ceiling = CONFIG.first;
        for delay in &delays {
            ceiling = (ceiling * 2).min(CONFIG.last);
            assert!(*delay <= ceiling && *delay >= ceiling / 2, "{delay:?} under {ceiling:?}");
        }
        assert!(delays[20..].iter().all(|delay| *delay >= CONFIG.last / 2));
    }

    #[test]
    fn a_seed_repeats_and_seeds_differ() {
        assert_eq!(delays(7, 10), delays(7, 10));
        assert_ne!(delays(7, 10), delays(8, 10));
    }

    #[test]
    fn reset_starts_again() {
        let mut backoff = Backoff::seeded(CONFIG, 3);
        for _ in 0..20 {
            backoff.next_delay();
        }
        backoff.reset();
        assert!(backoff.next_delay() <= CONFIG.first * 2);
        assert_eq!(backoff.attempts(), 1);
    }

    proptest! {
        #[test]
        fn every_delay_lies_within_the_bounds(first_us in 0u64..1u64 << 40, last_us in 0u64..1u64 << 62, seed: u64) {
            let (first, last) = (Duration::from_micros(first_us), Duration::from_micros(last_us));
            let mut backoff = Backoff::seeded(BackoffConfig { first, last }, seed);
            for _ in 0..100 {
                let delay = backoff.next_delay();
                prop_assert!(delay >= first && delay <= last.max(first));
            }
        }
    }
}
