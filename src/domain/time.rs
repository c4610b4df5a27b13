//! Instants and the three clocks of an event.
//!
//! `observed_at` is the source's (corrected for its offset), `received_at` is ours when the bytes
//! arrived, `recorded_at` is the journal's. They are never mixed in one field.

use std::fmt;
use std::num::NonZeroI64;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Microseconds since the Unix epoch, UTC. Text form (serde, `Display`): RFC 3339.
///
/// Held so that no time is zero, and a time that there may or may not be needs no more room than one: an
/// asset has many of those, and there may be a million assets. Zero and what is before it lie one lower.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(NonZeroI64);

impl Timestamp {
    /// The least that can be held; the one microsecond below it is taken for it.
    pub const MIN: Self = Self::from_micros(i64::MIN);
    pub const MAX: Self = Self::from_micros(i64::MAX);

    /// 2025-01-01T00:00:00Z. There was no daemon before it, so a clock of ours that is behind it is wrong, and a
    /// receiver's date before it is of a GPS week that rolled over.
    pub const FIRST: Self = Self::from_secs(1_735_689_600);

    pub const fn from_micros(micros: i64) -> Self {
        let held = if micros > 0 { micros } else { micros.saturating_sub(1) };
        match NonZeroI64::new(held) {
            Some(held) => Self(held),
            None => unreachable!(),
        }
    }

    pub const fn from_secs(secs: i64) -> Self {
        Self::from_micros(secs.saturating_mul(1_000_000))
    }

    pub const fn as_micros(self) -> i64 {
        let held = self.0.get();
        if held > 0 { held } else { held + 1 }
    }

    pub fn as_secs_f64(self) -> f64 {
        self.as_micros() as f64 / 1e6
    }

    /// How much later than `earlier` this is; zero where it is not later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.micros_after(earlier).max(0) as u64)
    }

    /// Signed difference in microseconds.
    pub fn micros_after(self, earlier: Self) -> i64 {
        self.as_micros().saturating_sub(earlier.as_micros())
    }

    /// Moved by a signed number of microseconds.
    pub fn offset(self, micros: i64) -> Self {
        Self::from_micros(self.as_micros().saturating_add(micros))
    }

    pub fn parse(text: &str) -> Option<Self> {
        let instant: jiff::Timestamp = text.parse().ok()?;
        Some(Self::from_micros(instant.as_microsecond()))
    }

    /// The calendar's view of this instant; what lies outside its range is clamped to its ends.
    pub fn to_jiff(self) -> jiff::Timestamp {
        let limits = (jiff::Timestamp::MIN.as_microsecond(), jiff::Timestamp::MAX.as_microsecond());
        jiff::Timestamp::from_microsecond(self.as_micros().clamp(limits.0, limits.1))
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }
}

/// The epoch.
impl Default for Timestamp {
    fn default() -> Self {
        Self::from_micros(0)
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// A length of time as people say it when little hangs on it.
pub fn roughly(time: Duration) -> String {
    match time.as_secs() {
        secs @ 0..=119 => format!("{secs} s"),
        secs @ 120..=7_199 => format!("{} min", (secs + 30) / 60),
        secs @ 7_200..=172_799 => format!("{} h", (secs + 1_800) / 3_600),
        secs => format!("{} days", (secs + 43_200) / 86_400),
    }
}

/// By how much a clock is off, in microseconds, that tells some zone's local time for UTC: whole half hours, from one hour on.
/// `lead_us`: how far a reading of it was ahead when it came, which was within a minute. None: it is no such clock.
pub fn zone_off(lead_us: i64) -> Option<i64> {
    const STEP: i64 = 1_800_000_000;
    const HALF_A_MINUTE: i64 = 30_000_000;
    const CLOCKS_DIFFER: i64 = 5_000_000;
    let lead_us = lead_us.saturating_add(HALF_A_MINUTE);
    let off = lead_us.saturating_add(STEP / 2).div_euclid(STEP) * STEP;
    let is_near = lead_us.saturating_sub(off).saturating_abs() <= HALF_A_MINUTE + CLOCKS_DIFFER;
    (is_near && (2 * STEP..=28 * STEP).contains(&off.saturating_abs())).then_some(off)
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self::from_micros(self.as_micros().saturating_add(micros(duration)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, duration: Duration) -> Self {
        Self::from_micros(self.as_micros().saturating_sub(micros(duration)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.to_jiff(), f)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!("`{text}` is not a time such as 2026-05-01T06:00:00Z"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_time_that_there_may_be_needs_no_more_room() {
        assert_eq!(size_of::<Option<Timestamp>>(), size_of::<Timestamp>());
        assert_eq!(Timestamp::from_micros(i64::MIN), Timestamp::from_micros(i64::MIN + 1));
        assert_eq!(Timestamp::MAX.as_micros(), i64::MAX);
        assert_eq!(Timestamp::default().as_micros(), 0);
    }

    fn any_micros() -> impl Strategy<Value = i64> {
        prop_oneof![-3i64..4, i64::MIN + 1..=i64::MAX]
    }

    proptest! {
        #[test]
        fn times_are_and_order_as_their_microseconds(a in any_micros(), b in any_micros()) {
            let (at, other) = (Timestamp::from_micros(a), Timestamp::from_micros(b));
            prop_assert_eq!(at.as_micros(), a);
            prop_assert_eq!(at.cmp(&other), a.cmp(&b));
            prop_assert_eq!(at == other, a == b);
        }
    }
}
