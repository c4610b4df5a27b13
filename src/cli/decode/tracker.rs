//! What trackers' messages give, as objects, and the messages of a capture of them.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde_json::{StreamDeserializer, Value, json};

use super::lines_of;
use crate::decode::DecodeError;
use crate::domain::readings::{Fix, Reading};

/// Messages with the offsets at which they start: one a line, each perhaps behind its topic; JSON goes on to the line in
/// which it ends, as people who indent it write it.
pub fn messages_of(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut lines = lines_of(bytes);
    let mut taken = 0;
    std::iter::from_fn(move || {
        let (offset, line) = lines.by_ref().find(|(offset, _)| *offset >= taken)?;
        let payload = split(line).map_or(line, |(_, payload)| payload);
        let end = offset + line.len();
        taken = whole_end(bytes, end - payload.len(), end).unwrap_or(end);
        Some((offset, &bytes[offset..taken]))
    })
}

/// Where a document ends that starts at `start` and is cut at `line_end`. `None`: it is not cut there, or nothing that
/// follows makes it whole.
fn whole_end(bytes: &[u8], start: usize, line_end: usize) -> Option<usize> {
    let cut =
        serde_json::from_slice::<IgnoredAny>(&bytes[start..line_end]).err().filter(serde_json::Error::is_eof);
    cut?;
    let mut documents: StreamDeserializer<'_, _, IgnoredAny> =
        serde_json::Deserializer::from_slice(&bytes[start..]).into_iter();
    documents.next()?.ok()?;
    let end = start + documents.byte_offset();
    let rest = bytes[end..].split(|byte| *byte == b'\n').next().unwrap_or_default();
    rest.trim_ascii().is_empty().then_some(end)
}

/// Of a line that is `topic json`: the topic, and the payload. `None`: it is a payload alone.
pub fn split(line: &[u8]) -> Option<(Cow<'_, str>, &[u8])> {
    if line.starts_with(b"{") || line.starts_with(b"[") {
        return None;
    }
    // A topic may have blanks in it, and JSON has its bracket in front.
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let is_bracket = |at: &usize| matches!(line[*at..].trim_ascii_start().first(), Some(b'{' | b'['));
    let mut blanks = (0..line.len()).filter(|at| is_blank(&line[*at]));
    let blank = blanks.clone().find(is_bracket).or_else(|| blanks.next())?;
    let (topic, payload) = line.split_at(blank);
    Some((String::from_utf8_lossy(topic), payload.trim_ascii_start()))
}

pub fn fault(error: &DecodeError, payload_offset: usize) -> Value {
    json!({ "error": error.message, "reason": error.reason, "offset": payload_offset + error.offset })
}

pub fn object(reading: &Reading) -> Value {
    match reading {
        Reading::Fix(fix) => of_fix(fix),
        Reading::Note(note) => {
            let mut object = json!({ "type": note.kind, "device": note.device });
            if let Some(time) = note.observed_at {
                object["time"] = json!(time);
            }
            if let Some(percent) = note.vitals.battery_percent {
                object["battery_percent"] = json!(percent);
            }
            if let Some(is_on) = note.vitals.ignition {
                object["ignition"] = json!(is_on);
            }
            object
        }
        Reading::Tag(_) | Reading::Sample(_) | Reading::Reader(_) => {
            json!({ "error": "a tracker sent what only other devices do", "offset": 0 })
        }
    }
}

/// What the payload leaves out is left out here.
fn of_fix(fix: &Fix) -> Value {
    let mut object = json!({ "type": "location", "device": fix.device });
    if !fix.clockless {
        object["time"] = json!(fix.observed_at);
    }
    let optional = [
        ("lat", Some(fix.position.lat)),
        ("lon", Some(fix.position.lon)),
        ("accuracy_m", fix.accuracy_m),
        ("altitude_m", fix.altitude_m),
        ("speed_mps", fix.speed_mps),
        ("course_deg", fix.course_deg),
        ("battery_percent", fix.battery_percent),
        ("odometer_m", fix.odometer_m),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            object[name] = json!(value);
        }
    }
    if let Some(ignition) = fix.ignition {
        object["ignition"] = json!(ignition);
    }
    object
}
