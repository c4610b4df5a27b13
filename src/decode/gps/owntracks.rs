//! OwnTracks JSON over MQTT (owntracks.org/booklet/tech/json) → fixes.
//!
//! A `location` is a fix; every other known `_type` is a note. Where a payload names its own topic,
//! that topic must name the device of the topic it came on. Plausibility (null island, jumps, stale
//! times) is not judged here.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{self, Deserializer};

use super::message::Message;
use super::text::{clip, error, json_error, missing, text_of};
use super::topic::TopicPattern;
use super::{KMH_PER_MPS, LAST_TST, within};
use crate::decode::DecodeError;
use crate::domain::geodesy::Position;
use crate::domain::ids::{DeviceId, Digest};
use crate::domain::readings::{Fix, Note, Reading, Says, Vitals};
use crate::domain::time::Timestamp;

/// Message types that carry no position of the device itself, and what of it follows from them. A `card` is of
/// its owner, a `cmd` and a `configuration` are for the device, and the broker publishes the `lwt`.
const NOTES: [(&str, Says); 12] = [
    ("beacon", Says::Lives),
    ("card", Says::Nothing),
    ("cmd", Says::Nothing),
    ("configuration", Says::Nothing),
    ("dump", Says::Lives),
    ("lwt", Says::Gone),
    ("request", Says::Lives),
    ("status", Says::Lives),
    ("steps", Says::Lives),
    ("transition", Says::Lives),
    ("waypoint", Says::Lives),
    ("waypoints", Says::Lives),
];

/// What may follow `<user>/<device>` in a topic (booklet, "Topics").
const SUB_TOPICS: [&str; 10] =
    ["beacon", "cmd", "dump", "event", "info", "request", "status", "step", "waypoint", "waypoints"];

/// One message → one reading.
///
/// `topic` ends in `<user>/<device>`, perhaps followed by a sub-topic such as `event`.
///
/// # Errors
/// Reasons: `topic`, `empty`, `utf-8`, `json`, `type`, `missing`, `range`, `time`, `encrypted`,
/// `unknown-type`, `topic-mismatch`.
pub fn decode(
    topic: &str,
    payload: &[u8],
    retained: bool,
    out: &mut Vec<Reading>,
) -> Result<(), DecodeError> {
    decode_of(Message { retained, ..Message::new(topic, payload, Timestamp::default()) }, None, out)
}

/// The same of a topic whose pattern names the device, where one does.
///
/// # Errors
/// The same.
pub fn decode_of(
    message: Message<'_>,
    named: Option<(DeviceId, &TopicPattern)>,
    out: &mut Vec<Reading>,
) -> Result<(), DecodeError> {
    let Message { topic, payload, retained, .. } = message;
    let (device, pattern) = match named {
        Some((device, pattern)) => (device, Some(pattern)),
        None => {
            let device = device_of(topic);
            let no_device =
                || error("topic", 0, format!("no <user>/<device> in the topic `{}`", clip(topic)));
            (super::device(device.ok_or_else(no_device)?)?, None)
        }
    };
    let text = text_of(payload)?;
    if text.trim_start().starts_with('[') {
        return Err(error("type", 0, "an array, where one message should be".into()));
    }
    let body = match serde_json::from_str::<Body<'_>>(text) {
        Ok(body) => body,
        Err(wrong) => without_measurement(text, &wrong)?,
    };
    agree(&device, pattern, body.topic.as_deref())?;
    let kind = body.kind.as_deref().ok_or_else(|| missing("_type"))?;
    let reading = match NOTES.iter().find(|(known, _)| *known == kind) {
        Some((_, says)) => Reading::Note(note(device, kind, *says, body.tst, retained)),
        None if kind == "location" => Reading::Fix(fix(device, &body, payload, retained)?),
        None if kind == "encrypted" => {
            let message =
                "the payload is encrypted, and there is no key here: let the app send it in clear over TLS";
            return Err(error("encrypted", 0, message.into()));
        }
        None => return Err(error("unknown-type", 0, format!("unknown _type `{}`", clip(kind)))),
    };
    out.push(reading);
    Ok(())
}

/// The time of an `lwt` is that of the connection which is lost now, so it says nothing of when.
fn note(device: DeviceId, kind: &str, says: Says, tst: Option<f64>, retained: bool) -> Note {
    Note {
        device,
        kind: kind.to_owned(),
        says,
        vitals: Vitals::default(),
        observed_at: tst.filter(|_| says != Says::Gone).and_then(epoch),
        retained,
    }
}

/// The fields of a `location` that are kept; units as OwnTracks has them. Numbers may be written as text, as some devices
/// that are no phones do.
#[derive(Deserialize, Default)]
struct Body<'a> {
    #[serde(rename = "_type", borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    topic: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "number")]
    lat: Option<f64>,
    #[serde(default, deserialize_with = "number")]
    lon: Option<f64>,
    /// Epoch seconds.
    #[serde(default, deserialize_with = "number")]
    tst: Option<f64>,
    /// Metres.
    #[serde(default, deserialize_with = "number")]
    acc: Option<f64>,
    /// Metres above sea level.
    #[serde(default, deserialize_with = "number")]
    alt: Option<f64>,
    /// Degrees.
    #[serde(default, deserialize_with = "number")]
    cog: Option<f64>,
    /// Kilometres an hour.
    #[serde(default, deserialize_with = "number")]
    vel: Option<f64>,
    /// Percent.
    #[serde(default, deserialize_with = "number")]
    batt: Option<f64>,
}

/// What every message has; the rest may have any shape where no position is read from it.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "_type", borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    topic: Option<Cow<'a, str>>,
}

/// A message that is no `location` may use its keys for anything: only the envelope is read. For a
/// location, `wrong` stands.
fn without_measurement<'a>(text: &'a str, wrong: &serde_json::Error) -> Result<Body<'a>, DecodeError> {
    let refused = || json_error(text, wrong);
    if !wrong.is_data() {
        return Err(refused());
    }
    let Envelope { kind, topic } = serde_json::from_str(text).map_err(|_| refused())?;
    if kind.as_deref().is_none_or(|kind| kind == "location") {
        return Err(refused());
    }
    Ok(Body { kind, topic, ..Body::default() })
}

fn fix(device: DeviceId, message: &Body<'_>, payload: &[u8], retained: bool) -> Result<Fix, DecodeError> {
    let lat = message.lat.ok_or_else(|| missing("lat"))?;
    let lon = message.lon.ok_or_else(|| missing("lon"))?;
    let position = Position::new(lat, lon)
        .ok_or_else(|| error("range", 0, format!("lat {lat} lon {lon} is no place on Earth")))?;
    Ok(Fix {
        accuracy_m: within(message.acc, 0.0, 1e7),
        altitude_m: within(message.alt, -1e5, 1e5),
        speed_mps: within(message.vel, 0.0, 1e4).map(|speed_kmh| speed_kmh / KMH_PER_MPS),
        course_deg: within(message.cog, 0.0, 360.0),
        battery_percent: within(message.batt, 0.0, 100.0),
        retained,
        ..Fix::bare(device, time(message.tst)?, position, Digest::of(payload))
    })
}

fn time(tst: Option<f64>) -> Result<Timestamp, DecodeError> {
    let tst = tst.ok_or_else(|| missing("tst"))?;
    epoch(tst).ok_or_else(|| error("time", 0, format!("tst {tst} is no epoch time in seconds")))
}

fn epoch(tst: f64) -> Option<Timestamp> {
    let is_time = (0.0..=LAST_TST as f64).contains(&tst);
    is_time.then(|| Timestamp::from_micros((tst * 1e6).round() as i64))
}

/// A number, or text of one; nothing for null and empty text.
fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    struct Number;

    impl de::Visitor<'_> for Number {
        type Value = Option<f64>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a number")
        }

        fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
            Ok(Some(number))
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
            Ok(Some(number as f64))
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
            Ok(Some(number as f64))
        }

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            let told = text.trim();
            let number = told.parse().ok().filter(|number: &f64| number.is_finite());
            let wrong = || E::invalid_value(de::Unexpected::Str(text), &self);
            if told.is_empty() { Ok(None) } else { number.map(Some).ok_or_else(wrong) }
        }
    }

    from.deserialize_any(Number)
}

/// The `<user>/<device>` part of a topic that has at least one level before it.
fn device_of(topic: &str) -> Option<&str> {
    let levels = topic.split('/').count();
    let (parent, last) = topic.rsplit_once('/')?;
    let under_base = topic.rsplit('/').nth(2) == Some("owntracks");
    let path = if levels >= 4 && SUB_TOPICS.contains(&last) && !under_base { parent } else { topic };
    let (rest, device) = path.rsplit_once('/')?;
    let (_, user) = rest.rsplit_once('/')?;
    if user.is_empty() || device.is_empty() {
        return None;
    }
    Some(&path[path.len() - user.len() - device.len() - 1..])
}

fn agree(device: &DeviceId, pattern: Option<&TopicPattern>, named: Option<&str>) -> Result<(), DecodeError> {
    let Some(named) = named else { return Ok(()) };
    let by_pattern = pattern.filter(|pattern| pattern.takes(named)).and_then(|pattern| pattern.device(named));
    if by_pattern.as_deref() == Some(device.as_str()) || device_of(named) == Some(device.as_str()) {
        return Ok(());
    }
    let message = format!("the payload names the topic `{}`, it came from `{device}`", clip(named));
    Err(error("topic-mismatch", 0, message))
}

#[cfg(test)]
mod tests;
