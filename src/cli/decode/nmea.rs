//! Sentences of a GNSS receiver → an object a fix, and one for each time at which there was none.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::Lines;
use crate::decode::gps::nmea::{FixTime, NmeaDecoder, NmeaFix, NmeaItem};
use crate::domain::time::Timestamp;

pub fn decode<W: Write>(bytes: &[u8], not_before: Option<Timestamp>, out: &mut Lines<W>) -> io::Result<()> {
    let mut decoder = NmeaDecoder::new(not_before);
    let mut items = Vec::new();
    decoder.push(bytes, &mut items);
    decoder.finish(&mut items);
    items.iter().try_for_each(|item| out.write(&object(item)))
}

fn object(item: &NmeaItem) -> Value {
    match item {
        NmeaItem::Fix(fix) => of_fix(fix),
        NmeaItem::NoFix { time } => {
            let mut object = Map::from_iter([("type".to_owned(), json!("no-fix"))]);
            object.extend(time.map(named));
            Value::Object(object)
        }
        NmeaItem::Fault { offset, bytes, error } => json!({
            "error": error.message,
            "reason": error.reason,
            "offset": offset + error.offset as u64,
            "text": String::from_utf8_lossy(bytes),
        }),
    }
}

/// What the sentences leave out is left out here.
fn of_fix(fix: &NmeaFix) -> Value {
    let (time, at) = named(fix.time);
    let details = fix.details;
    let mut object = json!({ "type": "fix", time: at, "lat": fix.position.lat, "lon": fix.position.lon });
    let optional = [
        ("altitude_m", details.altitude_m.map(Value::from)),
        ("speed_mps", details.speed_mps.map(Value::from)),
        ("course_deg", details.course_deg.map(Value::from)),
        ("accuracy_m", details.accuracy_m.map(Value::from)),
        ("hdop", details.hdop.map(Value::from)),
        ("satellites", details.satellites.map(Value::from)),
        ("dimensions", details.dimensions.map(Value::from)),
        ("quality", details.quality.map(|quality| quality.name().into())),
        ("doubted", fix.doubted.then_some(Value::Bool(true))),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            object[name] = value;
        }
    }
    object
}

/// A time of day where no sentence has told the date yet.
fn named(time: FixTime) -> (String, Value) {
    match time {
        FixTime::Utc(time) => ("time".to_owned(), json!(time)),
        FixTime::OfDay(micros) => {
            let on_any_day = Timestamp::from_micros(micros).to_string();
            let of_day = on_any_day.trim_end_matches('Z').rsplit('T').next().unwrap_or_default();
            ("time_of_day".to_owned(), json!(of_day))
        }
    }
}
