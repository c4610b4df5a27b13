//! Our own clock, the only place that reads it for the pipeline.
//!
//! It never goes back while the process lives: where the system clock steps back, time goes on at the
//! monotonic clock's pace until the system clock has caught up. A step forward is taken as it comes; one of a day and more,
//! by which everything would be too old, is believed once it has lasted. Until then time goes on as before, in doubt.

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
    /// When, by the monotonic clock, the system's was first found so far ahead; negative: it is not.
    leapt_us: AtomicI64,
}

/// Longer than any suspended machine sleeps through a night.
const LEAP_US: i64 = 24 * 3_600_000_000;
/// Time servers correct what a boot, or somebody, has set wrong within minutes.
const BELIEVED_AFTER_US: i64 = 600_000_000;

impl Default for WallClock {
    fn default() -> Self {
        Self::new()
    }
}

impl WallClock {
    pub fn new() -> Self {
        Self(Arc::new(State::new()))
    }

    /// Whether the system's clock has leapt ahead, and that is not believed yet.
    pub fn is_in_doubt(&self) -> bool {
        self.0.leapt_us.load(Ordering::Acquire) >= 0
    }

    pub fn now(&self) -> Timestamp {
        let elapsed = || i64::try_from(self.0.started.elapsed().as_micros()).unwrap_or(i64::MAX);
        self.0.read(system_micros, elapsed)
    }
}

impl State {
    fn new() -> Self {
        Self { started: Instant::now(), offset_us: AtomicI64::new(i64::MIN), leapt_us: AtomicI64::new(-1) }
    }

    /// The system's clock is read first: a thread that is put aside between the two finds the offset too
    /// small, which the maximum forgets; the other way round it would be too large, and our clock ahead for ever.
    fn read(&self, system_us: impl FnOnce() -> i64, elapsed_us: impl FnOnce() -> i64) -> Timestamp {
        let system = system_us();
        let elapsed = elapsed_us();
        let offset = system.saturating_sub(elapsed);
        let held = self.offset_us.load(Ordering::Acquire);
        let is_leap = held != i64::MIN && offset.saturating_sub(held) >= LEAP_US;
        if is_leap && !self.has_lasted(elapsed) {
            return Timestamp::from_micros(held.saturating_add(elapsed));
        }
        self.leapt_us.store(-1, Ordering::Release);
        let held = self.offset_us.fetch_max(offset, Ordering::AcqRel).max(offset);
        Timestamp::from_micros(held.saturating_add(elapsed))
    }

    /// The system's clock is far ahead: whether it has been for long enough.
    fn has_lasted(&self, elapsed: i64) -> bool {
        match self.leapt_us.compare_exchange(-1, elapsed, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => {
                tracing::error!(
                    "this machine's clock leapt ahead by a day or more; nothing is read, and time goes on as before, until it is set right, or has stayed so for ten minutes"
                );
                false
            }
            Err(since) => elapsed.saturating_sub(since) >= BELIEVED_AFTER_US,
        }
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
        let state = State::new();
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
        let state = State::new();
        let read = |system: i64, elapsed: i64| state.read(|| START + system, || elapsed).as_micros() - START;
        assert_eq!(read(0, 0), 0);
        assert_eq!(read(10 - MINUTE, 10), 10, "the system's clock was set back");
        assert_eq!(read(2 * MINUTE, 20), 2 * MINUTE, "and forward");
    }

    #[test]
    fn a_leap_is_believed_once_it_has_lasted() {
        const DAYS: i64 = 800 * 1440 * MINUTE;
        let clock = WallClock::new();
        let read =
            |system: i64, elapsed: i64| clock.0.read(|| START + system, || elapsed).as_micros() - START;
        assert_eq!(read(0, 0), 0);
        assert_eq!(read(MINUTE + DAYS, MINUTE), MINUTE);
        assert!(clock.is_in_doubt());
        assert_eq!(read(2 * MINUTE, 2 * MINUTE), 2 * MINUTE, "it was set right");
        assert!(!clock.is_in_doubt());
        assert_eq!(read(3 * MINUTE + DAYS, 3 * MINUTE), 3 * MINUTE);
        assert_eq!(read(12 * MINUTE + DAYS, 12 * MINUTE), 12 * MINUTE, "nine minutes");
        assert_eq!(read(13 * MINUTE + DAYS, 13 * MINUTE), 13 * MINUTE + DAYS);
        assert!(!clock.is_in_doubt());
        assert_eq!(read(14 * MINUTE + DAYS + 1439 * MINUTE, 14 * MINUTE), 14 * MINUTE + DAYS + 1439 * MINUTE);
    }
}
