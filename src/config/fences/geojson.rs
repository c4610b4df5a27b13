//! GeoJSON (RFC 7946): features, their geometries and properties. Knows no fence.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{BUFFER_M, MOST_FIXES, RADIUS_M, Settings};
use crate::config::validate::{DAY, SECOND, is_name};
use crate::config::values::{DURATION_ALLOWED, parse_duration};
use crate::domain::geodesy::Position;
use crate::domain::ids::{SiteId, ZoneId};
use crate::domain::shape::Rings;

/// What is wrong, and what is allowed.
type Fault = (String, String);

const EXPORT: &str = "export it as WGS 84 (EPSG:4326)";
/// Longitudes that somebody let go on round the Earth, twice even, are degrees still; numbers beyond that never were.
const MOST_DEGREES: f64 = 720.0;
/// What is worked out, a circle for one, comes back to where it began but for its last digits.
const ROUNDED_DEG: f64 = 1e-9;

pub(super) struct Feature {
    properties: Map<String, Value>,
    geometry: Value,
}

pub(super) enum Geometry {
    Point(Position),
    Lines(Vec<Vec<Position>>),
    Polygons(Vec<Rings>),
}

/// The features of a file: a FeatureCollection, or one Feature, in longitudes and latitudes of WGS 84.
pub(super) fn features(text: &str) -> Result<Vec<Feature>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut file: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    if let Some(named) = file.get("crs").and_then(other_system) {
        return Err(format!("its crs is {named}: {EXPORT}"));
    }
    let kind = file.get("type").and_then(Value::as_str).unwrap_or_default();
    match kind {
        "FeatureCollection" => match file.get_mut("features").map(Value::take) {
            Some(Value::Array(features)) => Ok(features.into_iter().map(Feature::new).collect()),
            _ => Err("a FeatureCollection without an array of features".to_owned()),
        },
        "Feature" => Ok(vec![Feature::new(file)]),
        other => Err(format!("its type is {other:?}, not FeatureCollection or Feature")),
    }
}

/// What a `crs` names that is not this system. RFC 7946 (4) knows no other one, but programs still write files as the
/// GeoJSON of 2008 (3) has them, and metres that are taken for degrees are elsewhere or nowhere. ETRS89 (EPSG:4258) is
/// within a metre of it.
fn other_system(crs: &Value) -> Option<String> {
    let name = crs.pointer("/properties/name").and_then(Value::as_str);
    let Some(name) = name else {
        return (!crs.is_null()).then(|| shortened(crs));
    };
    let lower = name.trim().to_ascii_lowercase();
    let forms = ["urn:ogc:def:crs:", "http://www.opengis.net/def/crs/"];
    let code = forms.iter().find_map(|form| lower.strip_prefix(form)).unwrap_or(&lower);
    // Between the authority and the code there may be a version.
    let known = match code.split([':', '/']).collect::<Vec<_>>().as_slice() {
        ["ogc", "crs84"] | ["ogc", _, "crs84"] | ["crs84"] => true,
        ["epsg", code] | ["epsg", _, code] => ["4326", "4258"].contains(code),
        _ => false,
    };
    (!known).then(|| format!("{name:?}"))
}

/// So much of it as a line of text bears.
fn shortened(value: &Value) -> String {
    value.to_string().chars().take(60).collect()
}

impl Feature {
    fn new(mut feature: Value) -> Self {
        let properties = match feature.get_mut("properties").map(Value::take) {
            Some(Value::Object(properties)) => properties,
            _ => Map::new(),
        };
        Self { properties, geometry: feature.get_mut("geometry").map(Value::take).unwrap_or_default() }
    }

    /// Its name in brackets, where it has one, for people to find it by.
    pub fn label(&self, name_property: &str) -> String {
        self.text(name_property).map_or(String::new(), |name| format!(" ({name:?})"))
    }

    /// Text, or a whole number as text.
    fn text(&self, property: &str) -> Option<String> {
        match self.properties.get(property)? {
            Value::String(text) => Some(text.trim().to_owned()),
            Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
            _ => None,
        }
    }

    /// Whether its properties say all of that.
    pub fn has(&self, wanted: &[(&str, &str)]) -> bool {
        let says = |property: &str, wanted: &str| match self.properties.get(property) {
            Some(Value::Bool(flag)) => wanted == if *flag { "true" } else { "false" },
            _ => self.text(property).is_some_and(|text| text == wanted),
        };
        wanted.iter().all(|(property, text)| says(property, text))
    }

    pub fn name(&self, property: &str) -> Result<String, Fault> {
        let allowed =
            "a name of letters, digits, spaces and -_.: that starts and ends with a letter or digit";
        let name = self.text(property).ok_or_else(|| {
            (format!("no property {property:?} that is its name"), format!("{allowed}; or say name_property"))
        })?;
        match is_name(&name) {
            Ok(()) => Ok(name),
            Err(wrong) => {
                Err((format!("its name, {}, is {wrong}", shortened(&name.into())), allowed.to_owned()))
            }
        }
    }

    /// The table's settings with the feature's own before them.
    pub fn settings(
        &self,
        table: &Settings,
        is_known: &dyn Fn(&str, &str) -> bool,
    ) -> Result<Settings, Fault> {
        let named = |kind: &'static str| match self.properties.get(kind) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(name)) if is_known(kind, name) => Ok(Some(name.as_str())),
            Some(other) => Err((
                format!("{kind} is {other}, and no {kind} has this name"),
                format!("the name of a [[{kind}]]"),
            )),
        };
        let mut own = table.clone();
        replace(&mut own.site, named("site")?.map(SiteId::new));
        replace(&mut own.zone, named("zone")?.map(ZoneId::new));
        replace(&mut own.radius_m, self.number("radius_m", RADIUS_M)?);
        replace(&mut own.buffer_m, self.number("buffer_m", BUFFER_M)?);
        replace(&mut own.hysteresis_m, self.number("hysteresis_m", (0.0, 100_000.0))?);
        replace(&mut own.confirmations, self.count("confirmations")?);
        replace(&mut own.confirmations_of, self.count("confirmations_of")?);
        replace(&mut own.dwell, self.duration("dwell")?);
        Ok(own)
    }

    fn number(&self, property: &str, (least, most): (f64, f64)) -> Result<Option<f64>, Fault> {
        let Some(value) = self.properties.get(property).filter(|value| !value.is_null()) else {
            return Ok(None);
        };
        match value.as_f64().filter(|value| (least..=most).contains(value)) {
            Some(value) => Ok(Some(value)),
            None => Err((format!("{property} is {value}"), format!("a number from {least} to {most}"))),
        }
    }

    fn count(&self, property: &str) -> Result<Option<u32>, Fault> {
        let number = self.number(property, (1.0, f64::from(MOST_FIXES)))?;
        match number.filter(|number| number.fract() != 0.0) {
            Some(number) => Err((format!("{property} is {number}"), "a whole number".to_owned())),
            None => Ok(number.map(|number| number as u32)),
        }
    }

    fn duration(&self, property: &str) -> Result<Option<Duration>, Fault> {
        let Some(value) = self.properties.get(property).filter(|value| !value.is_null()) else {
            return Ok(None);
        };
        let found =
            value.as_str().and_then(parse_duration).filter(|found| (SECOND..=400 * DAY).contains(found));
        match found {
            Some(found) => Ok(Some(found)),
            None => Err((format!("{property} is {value}"), format!("{DURATION_ALLOWED}, from 1s to 400d"))),
        }
    }

    pub fn geometry(&self) -> Result<Geometry, Fault> {
        let kind = self.geometry.get("type").and_then(Value::as_str).unwrap_or_default();
        // PostGIS says it here (ST_AsGeoJSON).
        if let Some(named) = self.geometry.get("crs").and_then(other_system) {
            return Err((format!("the crs of its geometry is {named}"), EXPORT.to_owned()));
        }
        let coordinates = self.geometry.get("coordinates").unwrap_or(&Value::Null);
        match kind {
            "Point" => Ok(Geometry::Point(position(coordinates)?)),
            "LineString" => Ok(Geometry::Lines(vec![line(coordinates)?])),
            "MultiLineString" => Ok(Geometry::Lines(each(coordinates, line)?)),
            "Polygon" => Ok(Geometry::Polygons(vec![each(coordinates, ring)?])),
            "MultiPolygon" => Ok(Geometry::Polygons(each(coordinates, |polygon| each(polygon, ring))?)),
            "" => Err(("no geometry".to_owned(), GEOMETRIES.to_owned())),
            other => Err((format!("a geometry of type {other:?}"), GEOMETRIES.to_owned())),
        }
    }
}

const GEOMETRIES: &str =
    "Polygon or MultiPolygon; LineString or MultiLineString with buffer_m; Point with radius_m";

fn replace<T>(place: &mut Option<T>, own: Option<T>) {
    if own.is_some() {
        *place = own;
    }
}

fn each<T>(values: &Value, read: impl Fn(&Value) -> Result<T, Fault>) -> Result<Vec<T>, Fault> {
    match values {
        Value::Array(values) if !values.is_empty() => values.iter().map(read).collect(),
        _ => Err((
            "coordinates that are no array of the right depth".to_owned(),
            "as RFC 7946 has them".to_owned(),
        )),
    }
}

fn line(values: &Value) -> Result<Vec<Position>, Fault> {
    each(values, position)
}

/// A ring says its first position again at its end, else it is most likely not whole.
fn ring(values: &Value) -> Result<Vec<Position>, Fault> {
    let mut ring = line(values)?;
    if let [first, .., last] = ring.as_mut_slice()
        && (first.lat - last.lat).abs().max((first.lon - last.lon).abs()) <= ROUNDED_DEG
    {
        *last = *first;
    }
    if ring.first() != ring.last() || ring.len() < 2 {
        let wrong = "a ring that is not closed: its last position is not its first".to_owned();
        return Err((wrong, "rings that end where they begin (RFC 7946, 3.1.6)".to_owned()));
    }
    Ok(ring)
}

/// Longitude first; an altitude says nothing here.
fn position(value: &Value) -> Result<Position, Fault> {
    let allowed = || "[longitude, latitude] in degrees (RFC 7946, 3.1.1)".to_owned();
    let numbers = value.as_array().filter(|numbers| (2..=4).contains(&numbers.len()));
    let numbers = numbers.and_then(|numbers| Some((numbers[0].as_f64()?, numbers[1].as_f64()?)));
    let Some((lon, lat)) = numbers else {
        return Err((format!("{} is no position", shortened(value)), allowed()));
    };
    Position::new(lat, lon).ok_or_else(|| {
        let nowhere = format!("longitude {lon}, latitude {lat} is nowhere on Earth");
        if lon.abs().max(lat.abs()) <= MOST_DEGREES {
            (nowhere, allowed())
        } else {
            (format!("{nowhere}: these look like metres of a projection"), format!("{}; {EXPORT}", allowed()))
        }
    })
}
