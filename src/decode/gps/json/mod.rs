//! JSON of any shape → fixes, by a mapping that says where in it what stands.
//!
//! ```text
//! payload → document ─ fixes ─▶ one object a fix ─ latitude, longitude, time … ─▶ Fix
//! ```
//!
//! A document may hold many fixes, of many devices: one that is none costs no other. What a fix cannot be
//! without (place, time, device) refuses it where it is missing or of another type; so does any other field of
//! another type. A number that cannot be (a course of −1) is taken for absent: a fix is a fix without it.
//! With `text_numbers` a number may be written as text (`"52.5"`), and empty text says nothing.
//! Plausibility (null island, jumps, stale times) is not judged here.

mod hints;
mod mapping;
mod path;

pub(super) use hints::{of_place, of_time};
pub use mapping::{BatteryUnit, CoordinateUnit, DistanceUnit, Mapping, SpeedUnit, TimeFormat};
pub use path::{FixesPath, Path};

use jiff::civil::DateTime;
use serde_json::Value;

use super::message::Message;
use super::text::{clip, error, json_error, text_of};
use super::{MOST_ODOMETER_M, within};
use crate::decode::{DecodeError, Decoded};
use crate::domain::geodesy::Position;
use crate::domain::ids::{DeviceId, Digest};
use crate::domain::readings::{Fix, Note, Reading, Says, Vitals};
use crate::domain::time::Timestamp;

/// More in one document is an attack, or a day's file by mistake.
pub const MOST_FIXES: usize = 10_000;

/// One message → its fixes. `named`: by the topic.
///
/// # Errors
/// Reasons: `empty`, `utf-8`, `json`, `depth`, `type`, `missing` (no fixes where they should be), `too-many`.
/// Of one fix, in `out.faults`: `type`, `missing`, `range`, `time`, `device`, `topic-mismatch`.
pub fn decode(
    mapping: &Mapping,
    message: Message<'_>,
    named: Option<&DeviceId>,
    out: &mut Decoded,
) -> Result<(), DecodeError> {
    let text = text_of(message.payload)?;
    let document: Value = serde_json::from_str(text).map_err(|wrong| json_error(text, &wrong))?;
    let found = match &mapping.fixes[..] {
        [] => FixesPath::default().find(&document),
        paths => paths.iter().find_map(|path| path.find(&document)),
    };
    let found = found.ok_or_else(|| error("missing", 0, "no fixes where the mapping has them".into()))?;
    if found.len() > MOST_FIXES {
        return Err(error("too-many", 0, format!("{} fixes in one message", found.len())));
    }
    let is_alone = found.len() == 1;
    for (nth, (key, value)) in found.into_iter().enumerate() {
        let object = Object { mapping, value, document: &document };
        match object.reading(key, named, message) {
            Ok(reading) => out.readings.push(reading),
            Err(wrong) if is_alone => out.faults.push(wrong),
            Err(wrong) => {
                let message = format!("fix {} of the message: {}", nth + 1, wrong.message);
                out.faults.push(DecodeError { message, ..wrong });
            }
        }
    }
    Ok(())
}

/// One fix, as it came.
struct Object<'a> {
    mapping: &'a Mapping,
    value: &'a Value,
    document: &'a Value,
}

impl<'a> Object<'a> {
    fn reading(
        &self,
        key: Option<&str>,
        named: Option<&DeviceId>,
        message: Message<'_>,
    ) -> Result<Reading, DecodeError> {
        if !self.value.is_object() && !self.value.is_array() {
            let (kind, needed) = (kind(self.value), "what a fix is made of comes in one message");
            return Err(error("type", 0, format!("{kind} in the place of a fix: {needed}")));
        }
        let device = self.device(key, named)?;
        let mapping = self.mapping;
        if !self.is_of_kind() {
            let (kind, says, vitals) = ("other-kind".to_owned(), Says::Nothing, Vitals::default());
            let retained = message.retained;
            return Ok(Reading::Note(Note { device, kind, says, vitals, observed_at: None, retained }));
        }
        let is_told_again = self.switch(&mapping.outdated, "outdated")? == Some(true);
        let Message { received, retained, redelivered, .. } = message;
        let clockless = mapping.time_format.is_none();
        // Of what a broker kept nobody knows since when.
        let is_of_no_time = clockless && retained;
        if self.is_nowhere() || self.is_valid()? == Some(false) || is_told_again || is_of_no_time {
            return self.no_fix(device, retained);
        }
        let observed_at = self.time(&mapping.time)?.unwrap_or(received);
        let position = self.position()?;
        let speed = self.number(&mapping.speed, "speed")?.map(|speed| mapping.speed_unit.to_mps(speed));
        let odometer = self.number(&mapping.odometer, "odometer")?;
        let odometer = odometer.map(|distance| mapping.odometer_unit.to_m(distance));
        let Vitals { battery_percent, ignition } = self.vitals()?;
        let mut fix = Fix {
            // Zero is what those say who do not know.
            accuracy_m: within(self.number(&mapping.accuracy, "accuracy")?, f64::MIN_POSITIVE, 1e7),
            altitude_m: within(self.number(&mapping.altitude, "altitude")?, -1e5, 1e5),
            speed_mps: within(speed, 0.0, 1e4),
            course_deg: within(self.number(&mapping.course, "course")?, 0.0, 360.0),
            battery_percent,
            ignition,
            odometer_m: within(odometer, 0.0, MOST_ODOMETER_M),
            retained,
            clockless,
            redelivered,
            ..Fix::bare(device, observed_at, position, Digest(0))
        };
        fix.digest = fix.said();
        Ok(Reading::Fix(fix))
    }

    /// Whether positions are what its kind of message brings.
    fn is_of_kind(&self) -> bool {
        let Mapping { kind, kinds, .. } = self.mapping;
        let is_one = |value: &Value| match value {
            Value::String(text) => kinds.contains(text),
            other => kinds.contains(&other.to_string()),
        };
        kind.is_empty() || self.find(kind).is_some_and(|(_, value)| is_one(value))
    }

    /// What the message says besides where it is; a sign of life in any case.
    fn no_fix(&self, device: DeviceId, retained: bool) -> Result<Reading, DecodeError> {
        let mapping = self.mapping;
        let paths = match self.find(&mapping.message_time) {
            Some(_) => &mapping.message_time,
            None => &mapping.time,
        };
        let observed_at = self.time(paths)?;
        let (kind, says, vitals) = ("no-fix".to_owned(), Says::NoFix, self.vitals()?);
        Ok(Reading::Note(Note { device, kind, says, vitals, observed_at, retained }))
    }

    fn vitals(&self) -> Result<Vitals, DecodeError> {
        let charge = self.number(&self.mapping.battery, "battery")?;
        let percent = charge.map(|charge| self.mapping.battery_unit.to_percent(charge));
        Ok(Vitals {
            battery_percent: within(percent, 0.0, 100.0),
            ignition: self.switch(&self.mapping.ignition, "ignition")?,
        })
    }

    /// It says so itself, or leaves it out where it may.
    fn is_nowhere(&self) -> bool {
        let Mapping { latitude, longitude, position, position_optional, .. } = self.mapping;
        let is_null = |paths: &Vec<Path>| self.is_null(paths);
        let says_so = match position.is_empty() {
            true => is_null(latitude) && is_null(longitude),
            false => is_null(position),
        };
        let mut all = latitude.iter().chain(longitude).chain(position);
        says_so || *position_optional && all.all(|path| path.find(self.value, self.document).is_none())
    }

    fn position(&self) -> Result<Position, DecodeError> {
        let Mapping { latitude, longitude, position, coordinate_unit: unit, .. } = self.mapping;
        let (lat, lon) = match self.find(position) {
            Some((path, Value::String(text))) => pair(text).ok_or_else(|| {
                let message =
                    format!("the position (`{}`) is `{}`, not `52.5,13.4`", path.written(), clip(text));
                error("type", 0, message)
            })?,
            Some((path, other)) => {
                return Err(wrong_type("position", path, other, "text such as `52.5,13.4`"));
            }
            None if latitude.is_empty() => return Err(self.missing(position, "position")),
            None => (self.needed(latitude, "latitude")?, self.needed(longitude, "longitude")?),
        };
        let (lat, lon) = (unit.to_degrees(lat), unit.to_degrees(lon));
        Position::new(lat, lon).ok_or_else(|| {
            let hint = of_place(lat, lon);
            error("range", 0, format!("latitude {lat}, longitude {lon} is no place on Earth{hint}"))
        })
    }

    /// By the topic, by a key of the document, by the fix itself: those that there are must agree.
    fn device(&self, key: Option<&str>, named: Option<&DeviceId>) -> Result<DeviceId, DecodeError> {
        let told = match self.find(&self.mapping.device) {
            None => None,
            Some((_, Value::String(name))) => Some(super::device(name)?),
            Some((_, Value::Number(number))) if !number.is_f64() => Some(super::device(&number.to_string())?),
            Some((path, other)) => return Err(wrong_type("device", path, other, "a name")),
        };
        let key = key.map(super::device).transpose()?;
        let mut names = named.cloned().into_iter().chain(key).chain(told);
        let device = names.next().ok_or_else(|| self.missing(&self.mapping.device, "device"))?;
        match names.find(|name| *name != device) {
            None => Ok(device),
            Some(other) => {
                let message = format!("it is of `{device}`, and names `{}`", clip(other.as_str()));
                Err(error("topic-mismatch", 0, message))
            }
        }
    }

    /// None, where the tracker has no clock.
    fn time(&self, paths: &[Path]) -> Result<Option<Timestamp>, DecodeError> {
        let Some(format) = self.mapping.time_format else { return Ok(None) };
        let (path, value) = self.find(paths).ok_or_else(|| self.missing(paths, "time"))?;
        let time = match (format, value) {
            (TimeFormat::Rfc3339, Value::String(text)) => self.text_time(text),
            (TimeFormat::Rfc3339, other) => {
                return Err(wrong_type("time", path, other, &format!("text{}", of_time(other, format))));
            }
            (format, value) => {
                let wrong = || match of_time(value, format) {
                    "" => self.no_number("time", path, value, "a number"),
                    hint => wrong_type("time", path, value, &format!("a number{hint}")),
                };
                let number = self.exactly(value).ok_or_else(wrong)?;
                match number.as_i64() {
                    Some(whole) => format.whole(whole),
                    None => number.as_f64().and_then(|count| format.fraction(count)),
                }
            }
        };
        let within = |time: &Timestamp| (0..=super::LAST_MICROS).contains(&time.as_micros());
        time.filter(within).map(Some).ok_or_else(|| {
            let is_read = time.is_some() || value.is_number();
            let wrong = match (of_time(value, format), is_read) {
                ("", false) => "is not written as 2026-05-01T06:00:00Z",
                ("", true) => "is no time from 1970 on",
                (hint, _) => &format!("is no such time{hint}"),
            };
            error("time", 0, format!("{} (`{}`) {wrong}", clip(&value.to_string()), path.written()))
        })
    }

    fn text_time(&self, text: &str) -> Option<Timestamp> {
        let in_zone = || {
            let zoned = local(text)?.to_zoned(self.mapping.time_zone.clone()?).ok()?;
            Some(Timestamp::from_micros(zoned.timestamp().as_microsecond()))
        };
        Timestamp::parse(text).or_else(in_zone)
    }

    fn needed(&self, paths: &[Path], field: &'static str) -> Result<f64, DecodeError> {
        self.number(paths, field)?.ok_or_else(|| self.missing(paths, field))
    }

    fn number(&self, paths: &[Path], field: &'static str) -> Result<Option<f64>, DecodeError> {
        let Some((path, value)) = self.find(paths) else { return Ok(None) };
        self.float(value).map(Some).ok_or_else(|| self.no_number(field, path, value, "a number"))
    }

    /// Also a count, of satellites or of dimensions, and the status of NMEA's RMC.
    fn is_valid(&self) -> Result<Option<bool>, DecodeError> {
        let paths = &self.mapping.valid;
        let told = self.find(paths).map(|(_, value)| (value.as_str().map(str::trim), self.float(value)));
        match told {
            Some((Some("A"), _)) => Ok(Some(true)),
            Some((Some("V"), _)) => Ok(Some(false)),
            Some((_, Some(number))) => Ok(Some(number != 0.0)),
            _ => self.switch(paths, "valid"),
        }
    }

    fn switch(&self, paths: &[Path], field: &'static str) -> Result<Option<bool>, DecodeError> {
        let Some((path, value)) = self.find(paths) else { return Ok(None) };
        match (value, self.text(value), self.float(value)) {
            (Value::Bool(on), ..) => Ok(Some(*on)),
            (_, Some(text), _) if is_among(text, &["true", "on", "yes"]) => Ok(Some(true)),
            (_, Some(text), _) if is_among(text, &["false", "off", "no"]) => Ok(Some(false)),
            (.., Some(0.0)) => Ok(Some(false)),
            (.., Some(1.0)) => Ok(Some(true)),
            _ => Err(self.no_number(field, path, value, "true or false, on or off, 1 or 0")),
        }
    }

    /// What may stand for a number.
    fn text(&self, value: &'a Value) -> Option<&'a str> {
        value.as_str().filter(|_| self.mapping.text_numbers).map(str::trim)
    }

    /// None of the words that programs print for what is no number.
    fn float(&self, value: &'a Value) -> Option<f64> {
        match self.text(value) {
            Some(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
            None => value.as_f64(),
        }
    }

    /// To its last digit: milliseconds since 1970 are whole numbers.
    fn exactly(&self, value: &'a Value) -> Option<serde_json::Number> {
        match self.text(value) {
            Some(text) => {
                let whole = text.parse().ok().map(|whole: i64| whole.into());
                whole.or_else(|| serde_json::Number::from_f64(text.parse().ok()?))
            }
            None => value.as_number().cloned(),
        }
    }

    fn no_number(&self, field: &str, path: &Path, value: &Value, wanted: &str) -> DecodeError {
        match value.is_string() && !self.mapping.text_numbers {
            true => wrong_type(
                field,
                path,
                value,
                &format!("{wanted} (`text_numbers = true` takes these in text)"),
            ),
            false => wrong_type(field, path, value, wanted),
        }
    }

    fn find<'p>(&self, paths: &'p [Path]) -> Option<(&'p Path, &'a Value)> {
        let told = |path: &Path| path.find(self.value, self.document).filter(|value| !self.is_blank(value));
        paths.iter().find_map(|path| Some((path, told(path)?)))
    }

    fn is_blank(&self, value: &'a Value) -> bool {
        self.text(value).is_some_and(str::is_empty)
    }

    fn is_null(&self, paths: &[Path]) -> bool {
        let is_blank = |path: &Path| path.find(self.value, self.document).is_some_and(|at| self.is_blank(at));
        let is_null = |path: &Path| path.is_null(self.value, self.document) || is_blank(path);
        self.find(paths).is_none() && paths.iter().any(is_null)
    }

    fn missing(&self, paths: &[Path], field: &str) -> DecodeError {
        if paths.is_empty() {
            let message = format!("nothing names the {field}: neither the topic nor the mapping says where");
            return error("missing", 0, message);
        }
        let hint = paths.iter().find_map(|path| hints::of_path(path, self.value, self.document));
        let paths: Vec<&str> = paths.iter().map(Path::written).collect();
        let (paths, hint) = (paths.join("`, no `"), hint.unwrap_or_default());
        error("missing", 0, format!("the {field} is missing: no `{paths}`{hint}"))
    }
}

fn wrong_type(field: &str, path: &Path, value: &Value, wanted: &str) -> DecodeError {
    let (path, mut kind) = (path.written(), kind(value).to_owned());
    if let Some(text) = value.as_str() {
        kind = format!("{kind}, `{}`", clip(text));
    }
    error("type", 0, format!("the {field} (`{path}`) is {kind}, not {wanted}"))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn is_among(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// A time without a place, `2026-05-01 06:00:00` or `20260501060000`.
fn local(text: &str) -> Option<DateTime> {
    const DATE: usize = 8;
    let is_run = text.len() == DATE + 6 && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_run {
        return format!("{}T{}", &text[..DATE], &text[DATE..]).parse().ok();
    }
    text.parse().ok().filter(|_| text.contains([':', 'T']))
}

/// `52.5,13.4`
fn pair(text: &str) -> Option<(f64, f64)> {
    let (lat, lon) = text.split_once(',')?;
    let number = |text: &str| text.trim().parse().ok().filter(|number: &f64| number.is_finite());
    Some((number(lat)?, number(lon)?))
}

#[cfg(test)]
mod tests;
