//! One metric that tells something of a position: its name and alias by the BIRTH, what its values mean, and the last.

use serde::{Deserialize, Serialize};

use super::heard::{Heard, Told};
use super::mapping::{MetricMapping, Part};
use super::payload::{Meaning, Metric};
use crate::decode::DecodeError;
use crate::decode::gps::LAST_MICROS;
use crate::decode::gps::json::{TimeFormat, of_time};
use crate::decode::gps::text::error;
use crate::domain::time::Timestamp;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Column {
    pub part: Part,
    pub metric: Box<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    datatype: Option<u64>,
    #[serde(default)]
    pub held: Held,
}

/// The last value, and the last historical one: the one says nothing of the other.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Held {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present: Option<Last>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub past: Option<Last>,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Last {
    /// Microseconds since 1970.
    pub at: i64,
    /// `None`: the device said that it has none.
    pub value: Option<f64>,
}

impl Column {
    pub fn of(part: Part, metric: &Metric<'_>) -> Self {
        let name = metric.name.unwrap_or_default();
        Self {
            part,
            metric: name.into(),
            alias: metric.alias,
            datatype: metric.datatype,
            held: Held::default(),
        }
    }

    pub fn is_mapped(&self, mapping: &MetricMapping) -> bool {
        mapping.part(&self.metric).is_some_and(|(part, _)| part == self.part)
    }

    /// `published`: when the message was, for metrics that say no time of their own.
    ///
    /// # Errors
    /// Reasons: `time`, `type`.
    pub fn heard(
        &self,
        metric: &Metric<'_>,
        published: Timestamp,
        mapping: &MetricMapping,
    ) -> Result<Heard, DecodeError> {
        let at = metric.taken()?.unwrap_or(published);
        let value = match metric.meaning(self.datatype)? {
            None => Told::Nothing,
            Some(meaning) => self.told(meaning, mapping).ok_or_else(|| {
                let (part, metric_name, shown) = (self.part.key(), &self.metric, shown(meaning));
                let hint = if self.part == Part::Time { time_hint(meaning, mapping.units.time) } else { "" };
                error("type", metric.offset, format!("the {part} (`{metric_name}`) is {shown}{hint}"))
            })?,
        };
        Ok(Heard { part: self.part, at, value, is_historical: metric.is_historical })
    }

    /// Of the part that it is, where that was not understood. A position whose time is not known is none, whatever the
    /// node's own clock says.
    pub fn unread(&self, metric: &Metric<'_>, published: Timestamp) -> Option<Heard> {
        let at = metric.taken().ok().flatten().unwrap_or(published);
        let (part, value, is_historical) = (self.part, Told::Unread, metric.is_historical);
        (part == Part::Time).then_some(Heard { part, at, value, is_historical })
    }

    fn told(&self, meaning: Meaning<'_>, mapping: &MetricMapping) -> Option<Told> {
        let number = match meaning {
            Meaning::Signed(value) => Some(value as f64),
            Meaning::Unsigned(value) => Some(value as f64),
            Meaning::Number(value) => Some(value),
            Meaning::Switch(_) | Meaning::Text(_) | Meaning::Time(_) | Meaning::Other(_) => None,
        };
        let switch = |on: bool| Told::Number(f64::from(u8::from(on)));
        let units = &mapping.units;
        Some(match (self.part, meaning) {
            (Part::Time, meaning) => Told::Time(time(meaning, units.time)?),
            (Part::Valid | Part::Ignition, Meaning::Switch(on)) => switch(on),
            // A count of satellites, the kind of a fix.
            (Part::Valid, _) => switch(number? > 0.0),
            (Part::Ignition, _) => switch(number.filter(|value| [0.0, 1.0].contains(value))? != 0.0),
            (Part::Latitude | Part::Longitude, _) => Told::Number(units.coordinate.to_degrees(number?)),
            (Part::Speed, _) => Told::Number(units.speed.to_mps(number?)),
            (Part::Battery, _) => Told::Number(units.battery.to_percent(number?)),
            (Part::Odometer, _) => Told::Number(units.odometer.to_m(number?)),
            (Part::Accuracy | Part::Altitude | Part::Course, _) => Told::Number(number?),
        })
    }
}

fn time(meaning: Meaning<'_>, format: TimeFormat) -> Option<Timestamp> {
    match meaning {
        Meaning::Text(text) => {
            Timestamp::parse(text).filter(|time| (0..=LAST_MICROS).contains(&time.as_micros()))
        }
        Meaning::Time(millis) => TimeFormat::Milliseconds.whole(i64::try_from(millis).ok()?),
        Meaning::Signed(count) => format.whole(count),
        Meaning::Unsigned(count) => format.whole(i64::try_from(count).ok()?),
        Meaning::Number(count) => format.fraction(count),
        Meaning::Switch(_) | Meaning::Other(_) => None,
    }
}

fn time_hint(meaning: Meaning<'_>, format: TimeFormat) -> &'static str {
    match meaning {
        Meaning::Text(_) => ", not one such as 2026-05-01T06:00:00Z",
        Meaning::Time(_) => " in January 1970: a DateTime counts milliseconds",
        Meaning::Signed(count) => of_time(&count.into(), format),
        Meaning::Unsigned(count) => of_time(&count.into(), format),
        Meaning::Number(count) => of_time(&count.into(), format),
        Meaning::Switch(_) | Meaning::Other(_) => "",
    }
}

fn shown(meaning: Meaning<'_>) -> &'static str {
    match meaning {
        Meaning::Signed(_) | Meaning::Unsigned(_) | Meaning::Number(_) => "a number that it cannot be",
        Meaning::Switch(_) => "true or false",
        Meaning::Text(_) => "text",
        Meaning::Time(_) => "a time",
        Meaning::Other(what) => what,
    }
}

impl Held {
    pub fn of(&self, historical: bool) -> Option<Last> {
        if historical { self.past } else { self.present }
    }

    pub fn of_mut(&mut self, historical: bool) -> &mut Option<Last> {
        if historical { &mut self.past } else { &mut self.present }
    }
}
