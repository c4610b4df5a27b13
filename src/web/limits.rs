//! Token buckets: how much of the API anybody may use. Time is an argument, the monotonic clock's.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::config::Rate;

/// Buckets kept at most. When they are all in use, whoever comes next shares one.
const MOST: usize = 10_000;

/// A bucket a key; those that have filled up again are forgotten.
pub(super) struct Buckets<K> {
    rate: Rate,
    held: Mutex<Held<K>>,
}

struct Held<K> {
    own: HashMap<K, Bucket>,
    shared: Bucket,
}

#[derive(Clone, Copy)]
struct Bucket {
    /// At `at`.
    tokens: f64,
    at: Instant,
}

impl<K: Eq + Hash> Buckets<K> {
    pub fn new(rate: Rate, now: Instant) -> Self {
        let shared = Bucket { tokens: rate.burst, at: now };
        Self { rate, held: Mutex::new(Held { own: HashMap::new(), shared }) }
    }

    /// Takes one of the key's tokens.
    ///
    /// # Errors
    /// Where there is none: the seconds until there is one.
    pub fn take(&self, key: K, now: Instant) -> Result<(), u64> {
        let rate = self.rate;
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let Held { own, shared } = &mut *held;
        if own.len() >= MOST && !own.contains_key(&key) {
            own.retain(|_, bucket| bucket.fill(rate, now) < rate.burst);
        }
        let bucket = match own.len() >= MOST && !own.contains_key(&key) {
            true => shared,
            false => own.entry(key).or_insert(Bucket { tokens: rate.burst, at: now }),
        };
        if bucket.fill(rate, now) >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        Err(((1.0 - bucket.tokens) / rate.per_second).ceil().max(1.0) as u64)
    }
}

impl Bucket {
    fn fill(&mut self, rate: Rate, now: Instant) -> f64 {
        let grown = now.saturating_duration_since(self.at).as_secs_f64() * rate.per_second;
        self.tokens = (self.tokens + grown).min(rate.burst);
        self.at = now;
        self.tokens
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const RATE: Rate = Rate { per_second: 0.5, burst: 3.0 };

    #[test]
    fn a_burst_passes_then_the_rate_then_the_burst_again() {
        let begin = Instant::now();
        let later = |seconds| begin + Duration::from_secs(seconds);
        let buckets = Buckets::new(RATE, begin);
        for _ in 0..3 {
            assert_eq!(buckets.take("a", begin), Ok(()));
        }
        assert_eq!(buckets.take("a", begin), Err(2));
        assert_eq!(buckets.take("b", begin), Ok(()), "each has its own");
        assert_eq!(buckets.take("a", later(2)), Ok(()));
        assert_eq!(buckets.take("a", later(2)), Err(2));
        let passed = (0..10).filter(|_| buckets.take("a", later(600)).is_ok()).count();
        assert_eq!(passed, 3);
    }

    #[test]
    fn memory_is_bounded_and_full_buckets_make_room() {
        let begin = Instant::now();
        let buckets = Buckets::new(RATE, begin);
        for key in 0..MOST {
            assert_eq!(buckets.take(key, begin), Ok(()));
        }
        let passed = (MOST..MOST + 10).filter(|key| buckets.take(*key, begin).is_ok()).count();
        assert_eq!(passed, 3, "who comes next shares a bucket");
        assert_eq!(buckets.take(MOST + 20, begin + Duration::from_secs(600)), Ok(()));
        assert!(buckets.held.lock().unwrap().own.len() < 10);
    }
}
