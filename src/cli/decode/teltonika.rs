//! What Teltonika trackers send on TCP, as it came or in hexadecimal digits, perhaps behind a topic → an object a record.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::{Lines, lines_of};
use crate::decode::DecodeError;
use crate::decode::gps::teltonika::{self, AvlRecord, Framed, Framer, IoElement, IoValue};

/// Offsets count bytes as they were sent, also where the file has their digits.
pub fn decode<W: Write>(bytes: &[u8], out: &mut Lines<W>) -> io::Result<()> {
    let written = of_digits(bytes);
    let is_odd = written.as_ref().is_some_and(|(_, is_odd)| *is_odd);
    let bytes = written.as_ref().map_or(bytes, |(bytes, _)| bytes);
    let mut framed = Vec::new();
    let mut framer = Framer::default();
    framer.push(bytes, &mut framed);
    framer.finish(&mut framed);
    let mut device = None;
    for framed in framed {
        match framed {
            Framed::Login { imei, .. } => {
                out.write(&json!({ "type": "login", "imei": imei }))?;
                device = Some(imei);
            }
            Framed::Ping { .. } => out.write(&json!({ "type": "ping" }))?,
            Framed::Garbage { offset, bytes, reason } => out.write(&json!({
                "error": format!("{} bytes that are no packet", bytes.len()),
                "reason": reason,
                "offset": offset,
                "bytes": hex::encode(&bytes),
            }))?,
            Framed::Packet { offset, bytes } => packet(&bytes, offset, device.as_deref(), out)?,
        }
    }
    if is_odd {
        let error = "half a byte: the number of digits is odd";
        out.write(&json!({ "error": error, "reason": "hex", "offset": bytes.len() }))?;
    }
    Ok(())
}

fn packet<W: Write>(bytes: &[u8], offset: u64, imei: Option<&str>, out: &mut Lines<W>) -> io::Result<()> {
    let set_aside = |error: DecodeError| {
        json!({
            "error": error.message,
            "reason": error.reason,
            "offset": offset + error.offset as u64,
            "bytes": hex::encode(bytes),
        })
    };
    match teltonika::decode(bytes) {
        Ok(records) => records
            .into_iter()
            .try_for_each(|record| out.write(&record.map_or_else(set_aside, |record| object(&record, imei)))),
        Err(error) => out.write(&set_aside(error)),
    }
}

/// A packet has zero bytes, so what is text alone is written down, each line in digits and blanks, or in digits behind
/// something else: a topic, a time. With it, whether half a byte is over at the end.
fn of_digits(bytes: &[u8]) -> Option<(Vec<u8>, bool)> {
    let is_written = |byte: &u8| byte.is_ascii_hexdigit() || byte.is_ascii_whitespace();
    if bytes.contains(&0) {
        return None;
    }
    let mut digits = Vec::new();
    for (_, line) in lines_of(bytes) {
        let last = line.rsplit(u8::is_ascii_whitespace).next().unwrap_or(line);
        let written = if line.iter().all(is_written) { line } else { last };
        if !written.iter().all(is_written) {
            return None;
        }
        digits.extend(written.iter().filter(|byte| !byte.is_ascii_whitespace()));
    }
    let is_odd = digits.len() % 2 == 1;
    let whole = &digits[..digits.len() - usize::from(is_odd)];
    hex::decode(whole).ok().map(|bytes| (bytes, is_odd))
}

/// What the record leaves out is left out here. Without a fix, `lat` and `lon` are the last ones.
fn object(record: &AvlRecord, imei: Option<&str>) -> Value {
    let mut object = json!({
        "type": if record.has_fix() { "fix" } else { "no-fix" },
        "time": record.observed_at,
        "lat": record.position.lat,
        "lon": record.position.lon,
        "altitude_m": record.altitude_m,
        "speed_mps": record.speed_mps,
        "satellites": record.satellites,
        "priority": record.priority,
        "event": record.event,
        "io": record.io.iter().map(of_element).collect::<Vec<_>>(),
    });
    let optional = [
        ("imei", imei.map(Value::from)),
        ("course_deg", record.course_deg.map(Value::from)),
        ("ignition", record.is_ignition_on().map(Value::from)),
        ("movement", record.is_moving().map(Value::from)),
        ("battery_percent", record.battery_percent().map(Value::from)),
        ("battery_v", record.battery_v().map(Value::from)),
        ("external_v", record.external_v().map(Value::from)),
        ("odometer_m", record.odometer_m().map(Value::from)),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            object[name] = value;
        }
    }
    object
}

fn of_element(element: &IoElement) -> Value {
    match &element.value {
        IoValue::Number { value, .. } => json!({ "id": element.id, "value": value }),
        IoValue::Bytes(bytes) => json!({ "id": element.id, "value": hex::encode(bytes) }),
    }
}
