//! Event ids that are a hash of the event's content (GS1 CBV 2.0, section 8.9.2): whoever has the event can
//! say its id. The pre-hash string names every field in one order, lists sorted, times in UTC with
//! milliseconds, vocabulary as Web URIs, EPCs as Digital Link URIs. `eventID`, `recordTime` and
//! `errorDeclaration` are no part of it.
//!
//! It knows the fields that an `ObjectEvent` and an `AggregationEvent` of ours have, and `disposition`.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::link::digital_link;
use crate::domain::time::Timestamp;

const METADATA: [&str; 8] = [
    "time",
    "startTime",
    "endTime",
    "deviceID",
    "deviceMetadata",
    "rawData",
    "dataProcessingMethod",
    "bizRules",
];

const REPORT: [&str; 23] = [
    "type",
    "exception",
    "deviceID",
    "deviceMetadata",
    "rawData",
    "dataProcessingMethod",
    "time",
    "microorganism",
    "chemicalSubstance",
    "value",
    "component",
    "stringValue",
    "booleanValue",
    "hexBinaryValue",
    "uriValue",
    "minValue",
    "maxValue",
    "meanValue",
    "sDev",
    "percRank",
    "percValue",
    "uom",
    "coordinateReferenceSystem",
];

/// `ni:///sha-256;…?ver=CBV2.0`.
pub fn event_id(event: &Value) -> String {
    format!("ni:///sha-256;{}?ver=CBV2.0", hex::encode(Sha256::digest(pre_hash(event))))
}

/// What the id is the hash of.
pub fn pre_hash(event: &Value) -> String {
    let mut text = String::new();
    field(&mut text, "eventType", event.get("type"), |value| value.to_owned());
    field(&mut text, "eventTime", event.get("eventTime"), utc);
    field(&mut text, "eventTimeZoneOffset", event.get("eventTimeZoneOffset"), str::to_owned);
    field(&mut text, "parentID", event.get("parentID"), identifier);
    for epcs in ["epcList", "childEPCs"] {
        list(&mut text, epcs, event.get(epcs), |epc| {
            let mut text = String::new();
            field(&mut text, "epc", Some(epc), identifier);
            text
        });
    }
    field(&mut text, "action", event.get("action"), str::to_owned);
    field(&mut text, "bizStep", event.get("bizStep"), |step| vocabulary("cbv/BizStep-", step));
    field(&mut text, "disposition", event.get("disposition"), |state| vocabulary("cbv/Disp-", state));
    for place in ["readPoint", "bizLocation"] {
        if let Some(id) = event.get(place).and_then(|place| place.get("id")) {
            text.push_str(place);
            field(&mut text, "id", Some(id), identifier);
        }
    }
    list(&mut text, "sensorElementList", event.get("sensorElementList"), sensor_element);
    text
}

fn sensor_element(element: &Value) -> String {
    let mut text = "sensorElement".to_owned();
    if let Some(metadata) = element.get("sensorMetadata") {
        text.push_str("sensorMetadata");
        fields(&mut text, metadata, &METADATA);
    }
    let report = |report: &Value| {
        let mut text = "sensorReport".to_owned();
        fields(&mut text, report, &REPORT);
        text
    };
    list(&mut text, "", element.get("sensorReport"), report);
    text
}

fn fields(text: &mut String, of: &Value, names: &[&str]) {
    for name in names {
        field(text, name, of.get(*name), |value| match *name {
            "time" | "startTime" | "endTime" => utc(value),
            "type" | "exception" if !value.contains(':') => format!("https://gs1.org/voc/{value}"),
            "component" => vocabulary("cbv/Comp-", value),
            "stringValue" | "uom" | "hexBinaryValue" => value.to_owned(),
            _ => identifier(value),
        });
    }
}

/// Its entries in the order of their text; nothing where there are none.
fn list(text: &mut String, name: &str, of: Option<&Value>, entry: impl Fn(&Value) -> String) {
    let Some(entries) = of.and_then(Value::as_array).filter(|entries| !entries.is_empty()) else { return };
    let mut entries: Vec<String> = entries.iter().map(entry).collect();
    entries.sort_unstable();
    text.push_str(name);
    entries.iter().for_each(|entry| text.push_str(entry));
}

fn field(text: &mut String, name: &str, value: Option<&Value>, form: impl Fn(&str) -> String) {
    let value = match value {
        None | Some(Value::Null | Value::Array(_) | Value::Object(_)) => return,
        Some(Value::String(value)) => form(value.trim()),
        Some(Value::Bool(value)) => value.to_string(),
        // Without zeros behind the point.
        Some(Value::Number(value)) => value.as_f64().map_or(value.to_string(), |value| value.to_string()),
    };
    text.push_str(name);
    text.push('=');
    text.push_str(&value);
}

/// UTC, rounded to milliseconds.
fn utc(value: &str) -> String {
    match Timestamp::parse(value) {
        Some(at) => super::time(Timestamp::from_micros((at.as_micros() + 500).div_euclid(1000) * 1000)),
        None => value.to_owned(),
    }
}

fn vocabulary(prefix: &str, value: &str) -> String {
    if value.contains(':') { value.to_owned() } else { format!("https://ref.gs1.org/{prefix}{value}") }
}

fn identifier(value: &str) -> String {
    digital_link(value).unwrap_or_else(|| value.to_owned())
}
