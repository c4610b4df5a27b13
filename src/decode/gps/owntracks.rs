//! OwnTracks JSON over MQTT (owntracks.org/booklet/tech/json) → fixes.
//!
//! A `location` is a fix; every other known `_type` is a note. Where a payload names its own topic,
//! that topic must name the device of the topic it came on. Plausibility (null island, jumps, stale
//! times) is not judged here.

use std::borrow::Cow;

use serde::Deserialize;

use super::KMH_PER_MPS;
use crate::decode::DecodeError;
use crate::domain::geodesy::Position;
use crate::domain::ids::{DeviceId, Digest};
use crate::domain::readings::{Fix, Note, Reading};
use crate::domain::time::Timestamp;

/// Message types that carry no position of the device itself.
const NOTES: [&str; 12] = [
    "beacon",
    "card",
    "cmd",
    "configuration",
    "dump",
    "lwt",
    "request",
    "status",
    "steps",
    "transition",
    "waypoint",
    "waypoints",
];

/// What may follow `<user>/<device>` in a topic (booklet, "Topics").
const SUB_TOPICS: [&str; 10] =
    ["beacon", "cmd", "dump", "event", "info", "request", "status", "step", "waypoint", "waypoints"];

/// The last second of the year 9999: beyond it a time is a unit mistaken for another.
const LAST_TST: i64 = 253_402_300_799;

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
    let device = device_of(topic)
        .ok_or_else(|| error("topic", 0, format!("no <user>/<device> in the topic `{topic}`")))?;
    let text = text_of(payload)?;
    let message = match serde_json::from_str::<Message<'_>>(text) {
        Ok(message) => message,
        Err(wrong) => without_measurement(text, &wrong)?,
    };
    agree(device, message.topic.as_deref())?;
    let kind = message.kind.as_deref().ok_or_else(|| missing("_type"))?;
    let reading = match kind {
        "location" => Reading::Fix(fix(device, &message, payload, retained)?),
        "encrypted" => return Err(error("encrypted", 0, "the payload is encrypted".into())),
        known if NOTES.contains(&known) => {
            Reading::Note(Note { device: DeviceId::new(device), kind: known.to_owned() })
        }
        unknown => return Err(error("unknown-type", 0, format!("unknown _type `{}`", clip(unknown)))),
    };
    out.push(reading);
    Ok(())
}

/// The fields of a `location` that are kept; units as OwnTracks has them.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(rename = "_type", borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    topic: Option<Cow<'a, str>>,
    lat: Option<f64>,
    lon: Option<f64>,
    /// Epoch seconds.
    tst: Option<i64>,
    /// Metres.
    acc: Option<f64>,
    /// Metres above sea level.
    alt: Option<f64>,
    /// Degrees.
    cog: Option<f64>,
    /// Kilometres an hour.
    vel: Option<f64>,
    /// Percent.
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
fn without_measurement<'a>(text: &'a str, wrong: &serde_json::Error) -> Result<Message<'a>, DecodeError> {
    let refused = || json_error(text, wrong);
    if !wrong.is_data() {
        return Err(refused());
    }
    let Envelope { kind, topic } = serde_json::from_str(text).map_err(|_| refused())?;
    if kind.as_deref().is_none_or(|kind| kind == "location") {
        return Err(refused());
    }
    let (lat, lon, tst) = (None, None, None);
    let (acc, alt, cog, vel, batt) = (None, None, None, None, None);
    Ok(Message { kind, topic, lat, lon, tst, acc, alt, cog, vel, batt })
}

fn fix(device: &str, message: &Message<'_>, payload: &[u8], retained: bool) -> Result<Fix, DecodeError> {
    let lat = message.lat.ok_or_else(|| missing("lat"))?;
    let lon = message.lon.ok_or_else(|| missing("lon"))?;
    let position = Position::new(lat, lon)
        .ok_or_else(|| error("range", 0, format!("lat {lat} lon {lon} is no place on Earth")))?;
    Ok(Fix {
        device: DeviceId::new(device),
        observed_at: time(message.tst)?,
        position,
        accuracy_m: within(message.acc, 0.0, 1e7),
        altitude_m: within(message.alt, -1e5, 1e5),
        speed_mps: within(message.vel, 0.0, 1e4).map(|speed_kmh| speed_kmh / KMH_PER_MPS),
        course_deg: within(message.cog, 0.0, 360.0),
        battery_percent: within(message.batt, 0.0, 100.0),
        digest: Digest::of(payload),
        retained,
    })
}

fn time(tst: Option<i64>) -> Result<Timestamp, DecodeError> {
    let tst = tst.ok_or_else(|| missing("tst"))?;
    if !(0..=LAST_TST).contains(&tst) {
        return Err(error("time", 0, format!("tst {tst} is no epoch time in seconds")));
    }
    Ok(Timestamp::from_secs(tst))
}

/// Absent unless plausible: phones say −1 for "not known", and a fix is a fix without it.
fn within(value: Option<f64>, least: f64, most: f64) -> Option<f64> {
    value.filter(|value| (least..=most).contains(value))
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

fn agree(device: &str, named: Option<&str>) -> Result<(), DecodeError> {
    match named {
        Some(named) if device_of(named) != Some(device) => {
            let message = format!("the payload names the topic `{}`, it came from `{device}`", clip(named));
            Err(error("topic-mismatch", 0, message))
        }
        Some(_) | None => Ok(()),
    }
}

fn text_of(payload: &[u8]) -> Result<&str, DecodeError> {
    if payload.is_empty() {
        return Err(error("empty", 0, "the payload is empty".into()));
    }
    std::str::from_utf8(payload).map_err(|wrong| error("utf-8", wrong.valid_up_to(), "not UTF-8".into()))
}

fn json_error(text: &str, wrong: &serde_json::Error) -> DecodeError {
    let reason = if wrong.is_data() { "type" } else { "json" };
    error(reason, byte_offset(text, wrong.line(), wrong.column()), wrong.to_string())
}

/// serde_json counts lines and byte columns from 1.
fn byte_offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (before + column.saturating_sub(1)).min(text.len())
}

fn missing(key: &str) -> DecodeError {
    error("missing", 0, format!("`{key}` is missing"))
}

/// Enough of a word from the wire to recognise it in a log line.
fn clip(word: &str) -> &str {
    const MOST: usize = 64;
    match word.char_indices().nth(MOST) {
        Some((end, _)) => &word[..end],
        None => word,
    }
}

fn error(reason: &'static str, offset: usize, message: String) -> DecodeError {
    DecodeError { reason, offset, message }
}

#[cfg(test)]
mod tests;
