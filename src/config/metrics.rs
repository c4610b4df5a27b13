//! Which Sparkplug metric is what of a position: `[broker.topic.mapping]` of such a topic, or a file of its own for
//! `tallyman decode`. The keys and units are those of a JSON mapping; what stands there are names of metrics.

use toml::de::DeTable;

use super::document::Section;
use super::mapping::{
    BATTERY_UNITS, COORDINATE_UNITS, DISTANCE_UNITS, NEEDED_DISTANCE_UNIT, SPEED_UNITS, TIME_FORMATS,
};
use super::problems::{ConfigError, Report};
use crate::decode::gps::json::{DistanceUnit, SpeedUnit};
use crate::decode::gps::sparkplug::{MetricMapping, Part, Units};

/// Reads a mapping that is a document of its own.
pub fn parse_metrics(text: &str) -> Result<MetricMapping, ConfigError> {
    let report = Report::new(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    errors.iter().for_each(|error| report.syntax(text, error));
    let mapping = metrics(Section::top(&report, document.get_ref()));
    let problems = report.into_problems();
    match mapping {
        Some(mapping) if problems.is_empty() => Ok(mapping),
        _ => Err(ConfigError::Invalid(problems)),
    }
}

pub(super) fn metrics(section: Section<'_>) -> Option<MetricMapping> {
    let allowed = "the name of a metric such as \"Position/Latitude\", or several as an array";
    let name = |text: &str| if text.is_empty() { Err("not a name") } else { Ok(text.to_owned()) };
    let coordinate_unit = section.choice("coordinate_unit", &COORDINATE_UNITS);
    let unit = section.choice("speed_unit", &SPEED_UNITS);
    let battery_unit = section.choice("battery_unit", &BATTERY_UNITS);
    let odometer_unit = section.choice("odometer_unit", &DISTANCE_UNITS);
    let time_format = section.choice("time_format", &TIME_FORMATS);
    let mut names = Vec::new();
    for part in Part::ALL {
        let given = section.texts(part.key(), allowed, name);
        let is_guessed = given.is_none() && !section.has(part.key());
        if part == Part::Speed && !is_guessed && unit.is_none() {
            section.need(
                "speed_unit",
                None::<SpeedUnit>,
                "\"m/s\", \"km/h\", \"knots\" or \"mph\": nobody can guess it",
            );
        }
        if part == Part::Odometer && given.is_some() && odometer_unit.is_none() {
            section.need("odometer_unit", None::<DistanceUnit>, NEEDED_DISTANCE_UNIT);
        }
        let usual = || part.usual_names();
        // Of a unit follows that there is a speed.
        let may_guess = is_guessed && (part != Part::Speed || unit.is_some());
        names.push((part, given.or_else(|| may_guess.then(usual)).unwrap_or_default()));
    }
    section.finish();
    let usual = Units::default();
    let units = Units {
        coordinate: coordinate_unit.unwrap_or(usual.coordinate),
        speed: unit.unwrap_or(usual.speed),
        battery: battery_unit.unwrap_or(usual.battery),
        odometer: odometer_unit.unwrap_or(usual.odometer),
        time: time_format.unwrap_or(usual.time),
    };
    Some(MetricMapping::new(names, units))
}
