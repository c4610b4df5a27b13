//! OwnTracks payloads, one a line → fixes and notes.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::{Lines, lines_of};
use crate::decode::DecodeError;
use crate::decode::gps::owntracks;
use crate::domain::readings::{Fix, Reading};

/// Stands for the device where neither the line nor the payload names a topic.
const UNNAMED: &str = "owntracks/unknown/unknown";

pub fn decode<W: Write>(bytes: &[u8], out: &mut Lines<W>) -> io::Result<()> {
    for (offset, line) in lines_of(bytes) {
        let (topic, payload) = split(line);
        let payload_offset = offset + line.len() - payload.len();
        let mut readings = Vec::new();
        if let Err(error) = owntracks::decode(&topic, payload, false, &mut readings) {
            out.write(&fault(&error, payload_offset))?;
        }
        for reading in &readings {
            out.write(&object(reading))?;
        }
    }
    Ok(())
}

/// `topic json`, or `json` alone, which may name its topic itself.
fn split(line: &[u8]) -> (String, &[u8]) {
    if !line.starts_with(b"{")
        && let Some(blank) = line.iter().position(|byte| matches!(byte, b' ' | b'\t'))
    {
        let (topic, payload) = line.split_at(blank);
        return (String::from_utf8_lossy(topic).into_owned(), payload.trim_ascii_start());
    }
    let own = serde_json::from_slice::<Value>(line).ok();
    let own = own.as_ref().and_then(|payload| payload["topic"].as_str()).unwrap_or(UNNAMED);
    (own.to_owned(), line)
}

fn fault(error: &DecodeError, payload_offset: usize) -> Value {
    json!({ "error": error.message, "reason": error.reason, "offset": payload_offset + error.offset })
}

fn object(reading: &Reading) -> Value {
    match reading {
        Reading::Fix(fix) => of_fix(fix),
        Reading::Note(note) => json!({ "type": note.kind, "device": note.device }),
        Reading::Tag(_) | Reading::Sample(_) | Reading::Reader(_) => {
            json!({ "error": "a tracker sent what only other devices do", "offset": 0 })
        }
    }
}

/// What the payload leaves out is left out here.
fn of_fix(fix: &Fix) -> Value {
    let mut object = json!({
        "type": "location",
        "device": fix.device,
        "time": fix.observed_at,
        "lat": fix.position.lat,
        "lon": fix.position.lon,
    });
    let optional = [
        ("accuracy_m", fix.accuracy_m),
        ("altitude_m", fix.altitude_m),
        ("speed_mps", fix.speed_mps),
        ("course_deg", fix.course_deg),
        ("battery_percent", fix.battery_percent),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            object[name] = json!(value);
        }
    }
    object
}
