//! Tree → JSON: every field by the standard's name, parameters nested, in wire order.
//!
//! Bytes are lower-case hex. A parameter whose only field has the parameter's own name is that field
//! (`"AntennaID": 1`). What may come several times is an array even when it came once. Beside a UTC
//! timestamp's microseconds stands `time` (RFC 3339), and a tag report has `epc` and `time` of its own.

use std::fmt;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::definitions::{FieldKind, vendor};
use super::numbers::parameter as number;
use super::tree::{Body, Message, Parameter, Value};
use crate::domain::time::Timestamp;

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("message", self.name().unwrap_or("UNKNOWN"))?;
        map.serialize_entry("type", &self.message_type)?;
        map.serialize_entry("version", &self.version)?;
        map.serialize_entry("id", &self.id)?;
        content(&self.body, &mut map)?;
        map.end()
    }
}

/// The fields and nested parameters of a body, as entries of its object.
fn content<M: SerializeMap>(body: &Body, map: &mut M) -> Result<(), M::Error> {
    let (definition, values, parameters) = match body {
        Body::Known { definition, values, parameters } => (definition, values, parameters),
        Body::Unknown(bytes) => return map.serialize_entry("Data", &Hex(bytes)),
    };
    for (field, value) in definition.fields.iter().zip(values) {
        if !matches!(field.kind, FieldKind::Reserved(_)) {
            map.serialize_entry(field.name, &Shown(field.kind, value))?;
        }
    }
    groups(parameters, definition.nested.repeated, map)
}

/// Parameters of one type become one entry, at the place of the first.
fn groups<M: SerializeMap>(parameters: &[Parameter], repeated: &[u16], map: &mut M) -> Result<(), M::Error> {
    let mut done: Vec<&str> = Vec::new();
    for parameter in parameters {
        let name = parameter.name().unwrap_or("Unknown");
        if done.contains(&name) {
            continue;
        }
        done.push(name);
        let same = || parameters.iter().filter(move |p| p.name().unwrap_or("Unknown") == name);
        let alone = same().nth(1).is_none() && parameter.name().is_some();
        let several = repeated.contains(&parameter.type_number) || parameter.type_number == number::CUSTOM;
        if alone && !several {
            map.serialize_entry(name, &Nested(parameter))?;
        } else {
            map.serialize_entry(name, &same().map(Nested).collect::<Vec<_>>())?;
        }
    }
    Ok(())
}

struct Nested<'a>(&'a Parameter);

impl Serialize for Nested<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(Parameter { type_number, body, .. }) = self;
        if let Body::Known { definition, values, parameters } = body
            && parameters.is_empty()
            && let ([field], [value]) = (definition.fields, &values[..])
            && field.name == definition.name
            && definition.nested.is_leaf()
        {
            return Shown(field.kind, value).serialize(serializer);
        }
        let mut map = serializer.serialize_map(None)?;
        match *type_number {
            number::TAG_REPORT_DATA => tag_report_summary(body, &mut map)?,
            number::CUSTOM => extension(body, &mut map)?,
            _ if body.definition().is_none() => map.serialize_entry("type", type_number)?,
            _ => {}
        }
        content(body, &mut map)?;
        if matches!(*type_number, number::UTC_TIMESTAMP | number::FIRST_SEEN_UTC | number::LAST_SEEN_UTC)
            && let Some(time) = time_of(body)
        {
            map.serialize_entry("time", &time)?;
        }
        map.end()
    }
}

/// What a vendor's parameter is called and says, where it is one that we know; its bytes follow in any case.
fn extension<M: SerializeMap>(custom: &Body, map: &mut M) -> Result<(), M::Error> {
    let numbers = ["VendorIdentifier", "ParameterSubtype"].map(|name| custom.number(name));
    let [Some(vendor), Some(subtype)] = numbers else { return Ok(()) };
    let Some(extension) = vendor::extension(vendor, subtype) else { return Ok(()) };
    map.serialize_entry("extension", extension.name)?;
    let mut left = custom.bytes("Data").unwrap_or_default();
    for field in extension.fields {
        let width = match field.kind {
            FieldKind::Unsigned(bits) | FieldKind::Signed(bits) => usize::from(bits) / 8,
            // A count of words, and the words.
            _ => left.first_chunk().map_or(2, |count| 2 + 2 * usize::from(u16::from_be_bytes(*count))),
        };
        let Some((value, rest)) = left.split_at_checked(width) else { return Ok(()) };
        let number = value.iter().take(8).fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        match field.kind {
            FieldKind::Unsigned(_) => map.serialize_entry(field.name, &number)?,
            FieldKind::Signed(_) => map.serialize_entry(field.name, &(number as u16).cast_signed())?,
            _ => map.serialize_entry(field.name, &Hex(value.get(2..).unwrap_or_default()))?,
        }
        left = rest;
    }
    Ok(())
}

/// The code, and when it was last seen (or first, where only that is told).
fn tag_report_summary<M: SerializeMap>(report: &Body, map: &mut M) -> Result<(), M::Error> {
    let epc = report.first(number::EPC_96).or_else(|| report.first(number::EPC_DATA));
    if let Some(Value::Bytes(bytes) | Value::Bits { bytes, .. }) = epc.and_then(|body| body.field("EPC")) {
        map.serialize_entry("epc", &Hex(bytes))?;
    }
    let seen = report.first(number::LAST_SEEN_UTC).or_else(|| report.first(number::FIRST_SEEN_UTC));
    if let Some(time) = seen.and_then(time_of) {
        map.serialize_entry("time", &time)?;
    }
    Ok(())
}

fn time_of(timestamp: &Body) -> Option<Timestamp> {
    let micros = i64::try_from(timestamp.number("Microseconds")?).ok()?;
    let calendar = jiff::Timestamp::from_microsecond(micros).ok()?;
    Some(Timestamp::from_micros(calendar.as_microsecond()))
}

/// A value as its kind is best read.
struct Shown<'a>(FieldKind, &'a Value);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.0, self.1) {
            (FieldKind::Unsigned(1), Value::Unsigned(bit)) => serializer.serialize_bool(*bit != 0),
            (_, Value::Unsigned(number)) => serializer.serialize_u64(*number),
            (_, Value::Signed(number)) => serializer.serialize_i64(*number),
            (_, Value::Text(bytes)) => serializer.serialize_str(&String::from_utf8_lossy(bytes)),
            (_, Value::Array(items)) => items.serialize(serializer),
            (_, Value::Bytes(bytes)) => Hex(bytes).serialize(serializer),
            (_, Value::Bits { bits, bytes }) => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("bits", bits)?;
                map.serialize_entry("hex", &Hex(bytes))?;
                map.end()
            }
        }
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for Hex<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
