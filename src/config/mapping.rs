//! Where in a JSON document what stands: `[broker.topic.mapping]`, or a file of its own for `tallyman decode`.
//!
//! A preset is such a file, shipped with the daemon; what is written beside it takes the place of its own.

use jiff::tz::TimeZone;
use toml::de::DeTable;

use super::document::Section;
use super::problems::{ConfigError, Report};
use crate::decode::gps::json::{
    BatteryUnit, CoordinateUnit, DistanceUnit, FixesPath, Mapping, Path, SpeedUnit, TimeFormat,
};

/// Documents that others define.
pub const PRESETS: [(&str, &str); 3] = [
    ("traccar", include_str!("presets/traccar.toml")),
    ("thingsboard", include_str!("presets/thingsboard.toml")),
    ("geojson", include_str!("presets/geojson.toml")),
];

const RFC3339: &str = "rfc3339";
const UNIX: &str = "unix";
const UNIX_MS: &str = "unix-ms";
const UNIX_US: &str = "unix-us";
const UNIX_NS: &str = "unix-ns";

pub(super) const TIME_FORMATS: [(&str, TimeFormat); 5] = [
    (RFC3339, TimeFormat::Rfc3339),
    (UNIX, TimeFormat::Seconds),
    (UNIX_MS, TimeFormat::Milliseconds),
    (UNIX_US, TimeFormat::Microseconds),
    (UNIX_NS, TimeFormat::Nanoseconds),
];

/// Of what may have no clock.
const MAYBE_TIME_FORMATS: [(&str, Option<TimeFormat>); 6] = [
    (RFC3339, Some(TimeFormat::Rfc3339)),
    (UNIX, Some(TimeFormat::Seconds)),
    (UNIX_MS, Some(TimeFormat::Milliseconds)),
    (UNIX_US, Some(TimeFormat::Microseconds)),
    (UNIX_NS, Some(TimeFormat::Nanoseconds)),
    ("none", None),
];

pub(super) const COORDINATE_UNITS: [(&str, CoordinateUnit); 3] = [
    ("deg", CoordinateUnit::Degrees),
    ("1e-6 deg", CoordinateUnit::Microdegrees),
    ("1e-7 deg", CoordinateUnit::TenthMicrodegrees),
];

pub(super) const SPEED_UNITS: [(&str, SpeedUnit); 4] = [
    ("m/s", SpeedUnit::MetresPerSecond),
    ("km/h", SpeedUnit::KilometresPerHour),
    ("knots", SpeedUnit::Knots),
    ("mph", SpeedUnit::MilesPerHour),
];

pub(super) const DISTANCE_UNITS: [(&str, DistanceUnit); 3] =
    [("m", DistanceUnit::Metres), ("km", DistanceUnit::Kilometres), ("miles", DistanceUnit::Miles)];
pub(super) const NEEDED_DISTANCE_UNIT: &str = "\"m\", \"km\" or \"miles\": nobody can guess it";

pub(super) const BATTERY_UNITS: [(&str, BatteryUnit); 2] =
    [("%", BatteryUnit::Percent), ("fraction", BatteryUnit::Fraction)];

/// Reads a mapping that is a document of its own.
pub fn parse_mapping(text: &str) -> Result<Mapping, ConfigError> {
    let report = Report::new(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    errors.iter().for_each(|error| report.syntax(text, error));
    let mapping = mapping(Section::top(&report, document.get_ref()));
    let problems = report.into_problems();
    match mapping {
        Some(mapping) if problems.is_empty() => Ok(mapping),
        _ => Err(ConfigError::Invalid(problems)),
    }
}

pub(super) fn mapping(section: Section<'_>) -> Option<Mapping> {
    let preset = section.choice("preset", &PRESETS);
    let base = preset.and_then(|text| parse_mapping(text).ok());
    let kinds = section.list("kinds", "names of kinds, in quotes", |value| value.as_str().map(str::to_owned));
    let own = |key, base: fn(&Mapping) -> &Vec<Path>, of: &Option<Mapping>| {
        paths(&section, key, Path::parse).or_else(|| of.as_ref().map(|of| base(of).clone()))
    };
    let fixes = paths(&section, "fixes", FixesPath::parse).or_else(|| Some(base.as_ref()?.fixes.clone()));
    let kind = own("kind", |of| &of.kind, &base).unwrap_or_default();
    if kind.is_empty() != kinds.is_none() {
        let allowed = "write both: `kind`, a path, and `kinds`, those that are positions";
        section.problem(if kind.is_empty() { "kind" } else { "kinds" }, "missing", allowed);
    }
    let device = own("device", |of| &of.device, &base);
    let position = own("position", |of| &of.position, &base).unwrap_or_default();
    let (mut latitude, mut longitude) =
        (own("latitude", |of| &of.latitude, &base), own("longitude", |of| &of.longitude, &base));
    if !position.is_empty() {
        for key in ["latitude", "longitude"].into_iter().filter(|key| section.has(key)) {
            section.problem(key, "`position` says both", "leave out this one, or `position`");
        }
        (latitude, longitude) = (Some(Vec::new()), Some(Vec::new()));
    }
    let unit = section.choice("coordinate_unit", &COORDINATE_UNITS);
    let coordinate_unit = unit.or(base.as_ref().map(|of| of.coordinate_unit)).unwrap_or_default();
    let optional = section.flag("position_optional");
    let position_optional = optional.or(base.as_ref().map(|of| of.position_optional)).unwrap_or(false);
    let time = own("time", |of| &of.time, &base);
    let time_format = section.choice("time_format", &MAYBE_TIME_FORMATS);
    let time_format = time_format.or(base.as_ref().map(|of| of.time_format));
    let time_zone =
        section.parsed("time_zone", "an IANA name, for instance \"Europe/Berlin\" or \"UTC\"", |text| {
            TimeZone::get(text).map_err(|_| "not a known time zone")
        });
    if time_zone.is_some() && time_format != Some(Some(TimeFormat::Rfc3339)) {
        section.problem("time_zone", "only text needs one", "`time_format = \"rfc3339\"`, or no `time_zone`");
    }
    let is_clockless = time_format == Some(None);
    if is_clockless && (section.has("time") || section.has("message_time")) {
        section.problem("time_format", "none, and a time is told", "the format of that time, or no `time`");
    }
    // Of a preset that there is not, nothing is missing.
    if base.is_some() || !section.has("preset") {
        section.need(
            "latitude",
            latitude.as_ref(),
            "the path of the latitude, for instance \"pos.lat\"; or `position`, where one text says both",
        );
        section.need("longitude", longitude.as_ref(), "the path of the longitude, for instance \"pos.lon\"");
        if !is_clockless {
            section.need("time", time.as_ref(), "the path of the time of the fix");
        }
        section.need(
            "time_format",
            time_format,
            "\"rfc3339\", \"unix\", \"unix-ms\", \"unix-us\" or \"unix-ns\"; \"none\" where the tracker tells no time",
        );
    }
    let speed = own("speed", |of| &of.speed, &base).unwrap_or_default();
    // A preset that has no speed says nothing of its unit.
    let base_unit = base.as_ref().filter(|of| !of.speed.is_empty()).map(|of| of.speed_unit);
    let speed_unit = section.choice("speed_unit", &SPEED_UNITS).or(base_unit);
    let speed_unit = match speed_unit {
        None if !speed.is_empty() => {
            section.need("speed_unit", None, "\"m/s\", \"km/h\", \"knots\" or \"mph\": nobody can guess it")
        }
        unit => unit.or(Some(SpeedUnit::MetresPerSecond)),
    };
    let valid = own("valid", |of| &of.valid, &base).unwrap_or_default();
    let outdated = own("outdated", |of| &of.outdated, &base).unwrap_or_default();
    let message_time = own("message_time", |of| &of.message_time, &base).unwrap_or_default();
    let accuracy = own("accuracy", |of| &of.accuracy, &base).unwrap_or_default();
    let altitude = own("altitude", |of| &of.altitude, &base).unwrap_or_default();
    let course = own("course", |of| &of.course, &base).unwrap_or_default();
    let battery = own("battery", |of| &of.battery, &base).unwrap_or_default();
    let unit = section.choice("battery_unit", &BATTERY_UNITS);
    let battery_unit = unit.or(base.as_ref().map(|of| of.battery_unit)).unwrap_or_default();
    let ignition = own("ignition", |of| &of.ignition, &base).unwrap_or_default();
    let odometer = own("odometer", |of| &of.odometer, &base).unwrap_or_default();
    let base_unit = base.as_ref().filter(|of| !of.odometer.is_empty()).map(|of| of.odometer_unit);
    let odometer_unit = section.choice("odometer_unit", &DISTANCE_UNITS).or(base_unit);
    let odometer_unit = match odometer_unit {
        None if !odometer.is_empty() => section.need("odometer_unit", None, NEEDED_DISTANCE_UNIT),
        unit => unit.or(Some(DistanceUnit::Metres)),
    };
    let text_numbers = section.flag("text_numbers").or(base.as_ref().map(|of| of.text_numbers));
    section.finish();
    Some(Mapping {
        fixes: fixes.unwrap_or_default(),
        kind,
        kinds: kinds.unwrap_or_default(),
        device: device.unwrap_or_default(),
        latitude: latitude?,
        longitude: longitude?,
        position,
        coordinate_unit,
        position_optional,
        time: if is_clockless { Vec::new() } else { time? },
        time_format: time_format?,
        time_zone,
        message_time,
        valid,
        outdated,
        accuracy,
        altitude,
        speed,
        speed_unit: speed_unit?,
        course,
        battery,
        battery_unit,
        ignition,
        odometer,
        odometer_unit: odometer_unit?,
        text_numbers: text_numbers.unwrap_or(false),
    })
}

/// One path, or several of which the first that leads to something counts.
fn paths<P>(section: &Section<'_>, key: &str, parse: fn(&str) -> Result<P, &'static str>) -> Option<Vec<P>> {
    let allowed = "a path such as \"position.latitude\", or several as an array";
    section.texts(key, allowed, parse)
}
