//! Sparkplug B payloads → an object a payload, and behind it what of a tracker is in it, where the topic is known.
//!
//! A capture is lines of `topic payload`, the payload in hexadecimal digits, as `mosquitto_sub -F '%t %x'` writes
//! them; they are read in their order, as the daemon would. Anything else is one payload, bytes as they came.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::tracker::{fault, object};
use super::{Lines, lines_of};
use crate::config::IntakeConfig;
use crate::decode::Decoded;
use crate::decode::gps::message::Message;
use crate::decode::gps::sparkplug::{self, Meaning, Metric, MetricMapping, Nodes, Payload};
use crate::domain::time::Timestamp;

/// By number, from 1 (Sparkplug 3.0, section 6.4.16).
const DATATYPES: [&str; 34] = [
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "UInt8",
    "UInt16",
    "UInt32",
    "UInt64",
    "Float",
    "Double",
    "Boolean",
    "String",
    "DateTime",
    "Text",
    "UUID",
    "DataSet",
    "Bytes",
    "File",
    "Template",
    "PropertySet",
    "PropertySetList",
    "Int8Array",
    "Int16Array",
    "Int32Array",
    "Int64Array",
    "UInt8Array",
    "UInt16Array",
    "UInt32Array",
    "UInt64Array",
    "FloatArray",
    "DoubleArray",
    "BooleanArray",
    "StringArray",
    "DateTimeArray",
];

pub fn decode<W: Write>(mapping: &MetricMapping, bytes: &[u8], out: &mut Lines<W>) -> io::Result<()> {
    if !bytes.starts_with(b"spBv1.0/") {
        return payload(None, bytes, 0, out);
    }
    let mut nodes = Nodes::new(&IntakeConfig::default());
    for (offset, line) in lines_of(bytes) {
        // Groups and nodes may have blanks in their names.
        let blank = line.iter().rposition(u8::is_ascii_whitespace).unwrap_or(line.len());
        let (topic, digits) =
            (String::from_utf8_lossy(line[..blank].trim_ascii_end()), line[blank..].trim_ascii());
        let Ok(message) = hex::decode(digits) else {
            out.write(&json!({ "error": "the payload is not in hexadecimal digits", "reason": "hex", "offset": offset }))?;
            continue;
        };
        payload(Some(&topic), &message, offset, out)?;
        let mut decoded = Decoded::default();
        let message = Message::new(&topic, &message, Timestamp::default());
        let result = sparkplug::decode(&mut nodes, mapping, message, None, &mut decoded);
        for reading in &decoded.readings {
            out.write(&object(reading))?;
        }
        for error in decoded.faults.iter().chain(result.as_ref().err()) {
            // Offsets count bytes of the payload, which the file has as digits: the line is what can be found.
            let mut fault = fault(error, 0);
            fault["line_offset"] = json!(offset);
            out.write(&fault)?;
        }
    }
    Ok(())
}

/// A payload that is none is told once: with the topic, by what became of it.
fn payload<W: Write>(topic: Option<&str>, bytes: &[u8], offset: usize, out: &mut Lines<W>) -> io::Result<()> {
    let parsed = match Payload::parse(bytes) {
        Ok(parsed) => parsed,
        Err(error) if topic.is_none() => return out.write(&fault(&error, offset)),
        Err(_) => return Ok(()),
    };
    let mut object = json!({ "type": "payload" });
    let optional = [
        ("topic", topic.map(Value::from)),
        ("time", parsed.published().ok().map(|time| json!(time))),
        ("seq", parsed.seq.map(Value::from)),
        ("uuid", parsed.uuid.map(Value::from)),
        ("body_bytes", Some(parsed.body_bytes).filter(|bytes| *bytes > 0).map(Value::from)),
    ];
    insert(&mut object, optional);
    object["metrics"] = parsed.metrics.iter().map(of_metric).collect();
    out.write(&object)
}

fn of_metric(metric: &Metric<'_>) -> Value {
    let datatype = metric.datatype.map(|number| {
        let name = number.checked_sub(1).and_then(|at| DATATYPES.get(usize::try_from(at).ok()?));
        name.map_or_else(|| Value::from(number), |name| Value::from(*name))
    });
    let mut object = json!({});
    let optional = [
        ("name", metric.name.map(Value::from)),
        ("alias", metric.alias.map(Value::from)),
        ("time", metric.taken().ok().flatten().map(|time| json!(time))),
        ("datatype", datatype),
        ("historical", metric.is_historical.then_some(Value::from(true))),
        ("null", metric.is_null.then_some(Value::from(true))),
        ("quality", metric.quality.map(Value::from)),
        ("value", value(metric)),
    ];
    insert(&mut object, optional);
    object
}

/// As its datatype means it. Without one (DATA), a whole number is shown as the wire has it: whether it is negative is
/// said by the BIRTH.
fn value(metric: &Metric<'_>) -> Option<Value> {
    use sparkplug::Value as Raw;
    match (metric.meaning(None), metric.value?) {
        (Ok(Some(Meaning::Signed(value))), _) => Some(Value::from(value)),
        (Ok(Some(Meaning::Unsigned(value))), _) => Some(Value::from(value)),
        // JSON has no words for some.
        (Ok(Some(Meaning::Number(value))), _) if !value.is_finite() => Some(Value::from(value.to_string())),
        (Ok(Some(Meaning::Number(value))), _) => Some(Value::from(value)),
        (Ok(Some(Meaning::Switch(on))), _) => Some(Value::from(on)),
        (Ok(Some(Meaning::Text(text))), _) => Some(Value::from(text)),
        (Ok(Some(Meaning::Time(millis))), _) => Some(Value::from(millis)),
        (_, Raw::Bytes(bytes)) => Some(Value::from(hex::encode(bytes))),
        (_, Raw::Int(value)) => Some(Value::from(value)),
        (_, Raw::Long(value)) => Some(Value::from(value)),
        (Ok(None), _) => None,
        (_, other) => Some(Value::from(format!("({other})"))),
    }
}

fn insert<const N: usize>(object: &mut Value, optional: [(&str, Option<Value>); N]) {
    for (name, value) in optional {
        if let Some(value) = value {
            object[name] = value;
        }
    }
}
