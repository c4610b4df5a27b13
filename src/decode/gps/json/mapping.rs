//! Where in a JSON document what stands, and in which unit.

use std::ops::Range;

use jiff::tz::TimeZone;

use super::path::{FixesPath, Path};
use crate::decode::gps::{KMH_PER_MPS, LAST_MICROS};
use crate::domain::time::Timestamp;

/// What a document looks like. Of several paths of one field, the first that leads to something counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mapping {
    /// From the whole document to its fixes; none: the document is one, or an array of them.
    pub fixes: Vec<FixesPath>,
    /// What kind of message it is, and of which kinds positions are; none: every message is one.
    pub kind: Vec<Path>,
    pub kinds: Vec<String>,
    pub device: Vec<Path>,
    pub latitude: Vec<Path>,
    pub longitude: Vec<Path>,
    /// Both in one text, `52.5,13.4`, where they are not apart.
    pub position: Vec<Path>,
    pub coordinate_unit: CoordinateUnit,
    /// Without a position, what has a time and a device is a sign of life, and no fault.
    pub position_optional: bool,
    pub time: Vec<Path>,
    /// None: the tracker has no clock, and what it says is observed when it is received.
    pub time_format: Option<TimeFormat>,
    /// Of text that does not say where it is that time.
    pub time_zone: Option<TimeZone>,
    /// When a message was made that has no position of its own; where there is none, `time` says it.
    pub message_time: Vec<Path>,
    /// `false` or 0 there: the tracker knows no position.
    pub valid: Vec<Path>,
    /// `true` there: the position is an older one, told again.
    pub outdated: Vec<Path>,
    /// Metres.
    pub accuracy: Vec<Path>,
    /// Metres.
    pub altitude: Vec<Path>,
    pub speed: Vec<Path>,
    pub speed_unit: SpeedUnit,
    /// Degrees clockwise from true north.
    pub course: Vec<Path>,
    pub battery: Vec<Path>,
    pub battery_unit: BatteryUnit,
    pub ignition: Vec<Path>,
    pub odometer: Vec<Path>,
    pub odometer_unit: DistanceUnit,
    /// Numbers may be written as text.
    pub text_numbers: bool,
}

impl Mapping {
    /// Whether a document tells by itself whom its fixes are of.
    pub fn names_device(&self) -> bool {
        !self.device.is_empty() || self.fixes.iter().any(FixesPath::names_device)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CoordinateUnit {
    #[default]
    Degrees,
    /// Millionths of a degree, as a whole number.
    Microdegrees,
    /// Ten-millionths, as u-blox receivers count, MAVLink and Meshtastic.
    TenthMicrodegrees,
}

impl CoordinateUnit {
    pub fn to_degrees(self, coordinate: f64) -> f64 {
        match self {
            Self::Degrees => coordinate,
            Self::Microdegrees => coordinate / 1e6,
            Self::TenthMicrodegrees => coordinate / 1e7,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimeFormat {
    /// Text, with an offset, or of one time zone.
    Rfc3339,
    /// Since 1970, UTC; a fraction counts.
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
}

impl TimeFormat {
    pub const COUNTS: [Self; 4] = [Self::Seconds, Self::Milliseconds, Self::Microseconds, Self::Nanoseconds];

    /// How many make a second; `None`: it is no count.
    fn in_second(self) -> Option<i64> {
        Some(match self {
            Self::Rfc3339 => return None,
            Self::Seconds => 1,
            Self::Milliseconds => 1_000,
            Self::Microseconds => 1_000_000,
            Self::Nanoseconds => 1_000_000_000,
        })
    }

    /// A count since 1970. `None`: that is no time, or a count of something longer, for of days in 1970 a unit is more often
    /// wrong than a clock.
    pub fn whole(self, count: i64) -> Option<Timestamp> {
        let micros = i128::from(count) * 1_000_000 / i128::from(self.in_second()?);
        self.told(count, i64::try_from(micros).ok()?)
    }

    /// The same of one with a fraction. A 64-bit float holds microseconds of any time that passes.
    pub fn fraction(self, count: f64) -> Option<Timestamp> {
        let micros = count * 1e6 / self.in_second()? as f64;
        (0.0..=LAST_MICROS as f64)
            .contains(&micros)
            .then(|| self.told(count as i64, micros.round() as i64))?
    }

    /// Whether a count of these is of a day from 2001 to 2286.
    pub fn is_of_now(self, count: i64) -> bool {
        const SECONDS_OF_NOW: Range<i64> = 1_000_000_000..10_000_000_000;
        self.in_second().is_some_and(|in_second| SECONDS_OF_NOW.contains(&(count / in_second)))
    }

    fn told(self, count: i64, micros: i64) -> Option<Timestamp> {
        let mut longer = Self::COUNTS.iter().filter(|longer| longer.in_second() < self.in_second());
        let is_longer = longer.any(|longer| longer.is_of_now(count));
        ((0..=LAST_MICROS).contains(&micros) && !is_longer).then(|| Timestamp::from_micros(micros))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpeedUnit {
    MetresPerSecond,
    KilometresPerHour,
    Knots,
    MilesPerHour,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DistanceUnit {
    Metres,
    Kilometres,
    Miles,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BatteryUnit {
    #[default]
    Percent,
    /// From 0 to 1.
    Fraction,
}

impl BatteryUnit {
    pub fn to_percent(self, charge: f64) -> f64 {
        match self {
            Self::Percent => charge,
            Self::Fraction => charge * 100.0,
        }
    }
}

const METRES_PER_MILE: f64 = 1609.344;

impl DistanceUnit {
    pub fn to_m(self, distance: f64) -> f64 {
        match self {
            Self::Metres => distance,
            Self::Kilometres => distance * 1000.0,
            Self::Miles => distance * METRES_PER_MILE,
        }
    }
}

impl SpeedUnit {
    pub fn to_mps(self, speed: f64) -> f64 {
        const METRES_PER_NAUTICAL_MILE: f64 = 1852.0;
        match self {
            Self::MetresPerSecond => speed,
            Self::KilometresPerHour => speed / KMH_PER_MPS,
            Self::Knots => speed * METRES_PER_NAUTICAL_MILE / 3600.0,
            Self::MilesPerHour => speed * METRES_PER_MILE / 3600.0,
        }
    }
}
