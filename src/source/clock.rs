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
    /// Wall clock minus monotonic clock, in microseconds; only grows. The first look at both sets it.
    offset_us: AtomicI64,
}

impl Default for WallClock {
    fn default() -> Self {
        Self::new()
    }
}

impl WallClock {
    pub fn new() -> Self {
        Self(Arc::new(State { started: Instant::now(), offset_us: AtomicI64::new(i64::MIN) }))
    }

    pub fn now(&self) -> Timestamp {
        let elapsed = || i64::try_from(self.0.started.elapsed().as_micros()).unwrap_or(i64::MAX);
        self.0.read(system_micros, elapsed)
    }
}

impl State {
    /// The system's clock is read first: a thread that is put aside between the two finds the offset too
    /// small, which the maximum forgets; the other way round it would be too large, and our clock ahead for ever.
    fn read(&self, system_us: impl FnOnce() -> i64, elapsed_us: impl FnOnce() -> i64) -> Timestamp {
        let system = system_us();
        let elapsed = elapsed_us();
        let offset = system.saturating_sub(elapsed);
        let held = self.offset_us.fetch_max(offset, Ordering::AcqRel).max(offset);
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Monday noon, in microseconds.
    const START: i64 = 1_767_614_400_000_000;
    const MINUTE: i64 = 60_000_000;

    #[test]
    fn a_thread_that_is_put_aside_between_the_two_clocks_does_not_leave_ours_ahead() {
        let state = State { started: Instant::now(), offset_us: AtomicI64::new(i64::MIN) };
        let time = Cell::new(0);
        let put_aside = |by: i64| {
            let look = |at: i64| {
                time.set(time.get() + by);
                at
            };
            state.read(|| look(START + time.get()), || look(time.get()))
        };
        assert_eq!(put_aside(0), Timestamp::from_micros(START));
        put_aside(MINUTE);
        assert_eq!(put_aside(0), Timestamp::from_micros(START + time.get()));
    }

    #[test]
    fn time_never_goes_back_and_catches_up() {
        let state = State { started: Instant::now(), offset_us: AtomicI64::new(i64::MIN) };
        let read = |system: i64, elapsed: i64| state.read(|| START + system, || elapsed).as_micros() - START;
        assert_eq!(read(0, 0), 0);
        assert_eq!(read(10 - MINUTE, 10), 10, "the system's clock was set back");
        assert_eq!(read(2 * MINUTE, 20), 2 * MINUTE, "and forward");
    }
}
