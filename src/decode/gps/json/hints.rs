//! What a value that is none of a fix looks like instead: the way from a message to the mapping that reads it.

use serde_json::Value;

use super::TimeFormat;
use super::path::Path;
use crate::domain::time::Timestamp;

/// Of a time that was not understood.
pub fn of_time(value: &Value, format: TimeFormat) -> &'static str {
    let text = value.as_str().map(str::trim);
    let number = value.as_f64().or_else(|| text?.parse().ok());
    let count = number.map_or(0, |number: f64| number.abs() as i64);
    let mut counts = TimeFormat::COUNTS.into_iter();
    match counts.find(|other| *other != format && other.is_of_now(count)) {
        Some(TimeFormat::Seconds) => return "; it looks like seconds: `time_format = \"unix\"`",
        Some(TimeFormat::Milliseconds) => return "; it looks like milliseconds: `time_format = \"unix-ms\"`",
        Some(TimeFormat::Microseconds) => return "; it looks like microseconds: `time_format = \"unix-us\"`",
        Some(TimeFormat::Nanoseconds) => return "; it looks like nanoseconds: `time_format = \"unix-ns\"`",
        Some(TimeFormat::Rfc3339) | None => {}
    }
    match text {
        Some(text) if format != TimeFormat::Rfc3339 && Timestamp::parse(text).is_some() => {
            "; it looks like `time_format = \"rfc3339\"`"
        }
        Some(text) if super::local(text).is_some() => {
            "; it does not say where it is that time: it needs `Z` or `+01:00`, or the mapping a `time_zone` beside \
             `time_format = \"rfc3339\"`"
        }
        _ => "",
    }
}

/// Of a latitude and a longitude that are nowhere.
pub fn of_place(lat: f64, lon: f64) -> &'static str {
    const LEAST_WHOLE: f64 = 10_000.0;
    if lat.abs() > LEAST_WHOLE || lon.abs() > LEAST_WHOLE {
        "; are these whole numbers? `coordinate_unit = \"1e-7 deg\"` or \"1e-6 deg\""
    } else if (90.0..=180.0).contains(&lat.abs()) && lon.abs() <= 90.0 {
        "; are they in each other's place?"
    } else {
        ""
    }
}

/// Of a path that leads nowhere, where the fix has its words for a key.
pub(super) fn of_path(path: &Path, fix: &Value, document: &Value) -> Option<String> {
    let written = path.written().trim_start_matches("$.");
    let has = |value: &Value| written.contains('.') && value.get(written).is_some();
    match (has(fix), has(document)) {
        (true, _) => Some(format!("; there is a key with dots in it: write `/{written}`")),
        (false, true) => Some(format!("; there is a key with dots in it: write `$/{written}`")),
        (false, false) => None,
    }
}
