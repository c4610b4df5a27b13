//! Our own clock, the only place that reads it for the pipeline.
//!
//! It never goes back while the process lives: where the system clock steps back, time goes on at the
//! monotonic clock's pace until the system clock has caught up. A step forward is taken as it comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::domain::time::Timestamp;

/// Clones share one clock.
#[derive(Clone, Debug)]
pub struct WallClock(Arc<State>);

#[derive(Debug)]
struct State {
    started: Instant,
    /// Wall clock minus monotonic clock, in microseconds; only grows.
    offset_us: AtomicI64,
}

impl Default for WallClock {
    fn default() -> Self {
        Self::new()
    }
}

impl WallClock {
    pub fn new() -> Self {
        // The system's clock first: see `now`.
        let system = system_micros();
        Self(Arc::new(State { started: Instant::now(), offset_us: AtomicI64::new(system) }))
    }

    pub fn now(&self) -> Timestamp {
        // In this order: a thread that is put aside between the two finds the offset too small, which the
        // maximum forgets; the other way round it would be too large, and our clock ahead for ever.
        let system = system_micros();
        let elapsed = i64::try_from(self.0.started.elapsed().as_micros()).unwrap_or(i64::MAX);
        let offset = system.saturating_sub(elapsed);
        let held = self.0.offset_us.fetch_max(offset, Ordering::AcqRel).max(offset);
        Timestamp::from_micros(held.saturating_add(elapsed))
    }
}

#[expect(clippy::disallowed_methods, reason = "the one clock")]
fn system_micros() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(_) => 0,
    }
}
