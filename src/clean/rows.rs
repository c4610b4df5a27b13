//! How state is written so that what is read back is the same to the bit.
//!
//! A time is its microseconds. A 64-bit float is its shortest decimal as text in JSON, whose numbers may come
//! back one unit in the last place off, and then a restart would no longer be invisible.

use std::error::Error;
use std::fmt::{self, Formatter};

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::ids::Digest;
use crate::domain::readings::Fix;
use crate::domain::state::StateKind;
use crate::domain::time::Timestamp;

/// A state row that this build cannot read: nothing of the state is used.
#[derive(Debug, thiserror::Error)]
pub enum CleanRestoreError {
    #[error("failed to read the {kind} state of `{key}`", kind = kind.as_str())]
    Row {
        kind: StateKind,
        key: String,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("the {kind} state has a key of another form: `{key}`", kind = kind.as_str())]
    Key { kind: StateKind, key: String },
}

pub(super) fn parse<'a, T: Deserialize<'a>>(
    kind: StateKind,
    key: &str,
    value: &'a [u8],
) -> Result<T, CleanRestoreError> {
    serde_json::from_slice(value).map_err(|error| CleanRestoreError::row(kind, key, error))
}

impl CleanRestoreError {
    pub(super) fn row(kind: StateKind, key: &str, source: impl Error + Send + Sync + 'static) -> Self {
        Self::Row { kind, key: key.to_owned(), source: source.into() }
    }
}

pub(super) mod micros {
    use super::*;

    pub fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        at.as_micros().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(deserializer).map(Timestamp::from_micros)
    }
}

pub(super) mod maybe_micros {
    use super::*;

    pub fn serialize<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        at.map(Timestamp::as_micros).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<i64>::deserialize(deserializer)?.map(Timestamp::from_micros))
    }
}

pub(super) mod exact {
    use super::*;

    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => serializer.collect_str(value),
            false => serializer.serialize_f64(*value),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        deserializer.deserialize_any(Number)
    }

    /// A number, or one as text.
    struct Number;

    impl Visitor<'_> for Number {
        type Value = f64;

        fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
            f.write_str("a number")
        }

        fn visit_f64<E: de::Error>(self, value: f64) -> Result<f64, E> {
            Ok(value)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<f64, E> {
            text.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
        }
    }
}

pub(super) mod maybe_exact {
    use super::*;

    pub fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(Exact).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        Ok(Option::<Exact>::deserialize(deserializer)?.map(|exact| exact.0))
    }

    #[derive(Serialize, Deserialize)]
    struct Exact(#[serde(with = "exact")] f64);
}

/// A fix, to the bit.
pub(super) mod exact_fix {
    use super::*;
    use crate::domain::geodesy::Position;
    use crate::domain::ids::DeviceId;

    pub fn serialize<S: Serializer>(fix: &Fix, serializer: S) -> Result<S::Ok, S::Error> {
        Row {
            device: fix.device.clone(),
            at: fix.observed_at,
            lat: fix.position.lat,
            lon: fix.position.lon,
            accuracy: fix.accuracy_m,
            altitude: fix.altitude_m,
            speed: fix.speed_mps,
            course: fix.course_deg,
            battery: fix.battery_percent,
            ignition: fix.ignition,
            odometer: fix.odometer_m,
            digest: fix.digest,
            retained: fix.retained,
            clockless: fix.clockless,
        }
        .serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Fix, D::Error> {
        let row = Row::deserialize(deserializer)?;
        Ok(Fix {
            device: row.device,
            observed_at: row.at,
            position: Position { lat: row.lat, lon: row.lon },
            accuracy_m: row.accuracy,
            altitude_m: row.altitude,
            speed_mps: row.speed,
            course_deg: row.course,
            battery_percent: row.battery,
            ignition: row.ignition,
            odometer_m: row.odometer,
            digest: row.digest,
            retained: row.retained,
            clockless: row.clockless,
            redelivered: false,
        })
    }

    #[derive(Serialize, Deserialize)]
    struct Row {
        device: DeviceId,
        #[serde(with = "micros")]
        at: Timestamp,
        #[serde(with = "exact")]
        lat: f64,
        #[serde(with = "exact")]
        lon: f64,
        #[serde(with = "maybe_exact", default)]
        accuracy: Option<f64>,
        #[serde(with = "maybe_exact", default)]
        altitude: Option<f64>,
        #[serde(with = "maybe_exact", default)]
        speed: Option<f64>,
        #[serde(with = "maybe_exact", default)]
        course: Option<f64>,
        #[serde(with = "maybe_exact", default)]
        battery: Option<f64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ignition: Option<bool>,
        #[serde(with = "maybe_exact", default, skip_serializing_if = "Option::is_none")]
        odometer: Option<f64>,
        digest: Digest,
        retained: bool,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        clockless: bool,
    }
}
