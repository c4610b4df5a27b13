//! The world's time, and how a device's own clock tells it.

use jiff::Timestamp;

/// The simulated world runs on the machine's clock; everything else asks here.
#[expect(clippy::disallowed_methods, reason = "this is the simulators' one clock")]
pub fn wall_now() -> Timestamp {
    micros(Timestamp::now().as_microsecond())
}

/// A point in time of whole microseconds, which is what LLRP can carry. Out of range: the epoch.
pub fn micros(us: i64) -> Timestamp {
    Timestamp::from_microsecond(us).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// `at` moved on by `offset`.
pub fn after(at: Timestamp, offset: std::time::Duration) -> Timestamp {
    micros(at.as_microsecond().saturating_add(i64::try_from(offset.as_micros()).unwrap_or(i64::MAX)))
}

/// A device's clock, in terms of the true time.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct DeviceClock {
    /// When the device booted: drift and uptime count from here.
    pub booted: Timestamp,
    pub offset_us: i64,
    /// Microseconds gained per second.
    pub drift_ppm: f64,
    /// The device has no calendar, only a counter since boot.
    pub uptime_only: bool,
}

/// What a device writes for a point in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stamp {
    /// Microseconds since 1970 by the device's clock.
    Utc(u64),
    /// Microseconds since the device booted.
    Uptime(u64),
}

impl DeviceClock {
    /// A clock that is right.
    pub fn exact(booted: Timestamp) -> Self {
        Self { booted, offset_us: 0, drift_ppm: 0.0, uptime_only: false }
    }

    /// What the device writes for the true time `at` while its clock is off by another `jump_us`.
    pub fn stamp(&self, at: Timestamp, jump_us: i64) -> Stamp {
        let since_boot = at.as_microsecond() - self.booted.as_microsecond();
        let drift = (since_boot as f64 * self.drift_ppm / 1e6) as i64;
        let unsigned = |us: i64| u64::try_from(us).unwrap_or(0);
        if self.uptime_only {
            Stamp::Uptime(unsigned(since_boot + drift + jump_us))
        } else {
            Stamp::Utc(unsigned(at.as_microsecond() + self.offset_us + drift + jump_us))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_is_off_by_its_offset_its_drift_and_a_jump() {
        let booted = micros(1_000_000_000_000);
        let clock = DeviceClock { booted, offset_us: 500, drift_ppm: 20.0, uptime_only: false };
        let later = after(booted, Duration::from_secs(100));
        assert_eq!(clock.stamp(later, 7), Stamp::Utc(1_000_100_000_000 + 500 + 2000 + 7));
    }

    #[test]
    fn a_clock_without_a_calendar_counts_from_boot() {
        let booted = micros(1_000_000_000_000);
        let clock = DeviceClock { uptime_only: true, offset_us: 500, ..DeviceClock::exact(booted) };
        assert_eq!(clock.stamp(after(booted, Duration::from_secs(3)), 0), Stamp::Uptime(3_000_000));
    }
}
