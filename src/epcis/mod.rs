//! Events as EPCIS 2.0 (GS1 EPCIS and CBV 2.0, JSON-LD): what partners read. Pure: an event of the journal
//! goes in, an `ObjectEvent` or nothing comes out.
//!
//! | our event | `bizStep` | |
//! | --- | --- | --- |
//! | passage from a zone to none · from none to a zone · from zone to zone | `departing` · `arriving` · `entering_exiting` | `readPoint` the portal, `bizLocation` the zone it is in then |
//! | presence: sensed, sensed again | `storing` | `readPoint`, `bizLocation` |
//! | counted in an audit · read by hand | `cycle_counting` · `storing` | `bizLocation` |
//! | condition: a limit exceeded, and within it again | `sensor_reporting` | a `sensorElementList` with the alarm's value, or the excursion's peak |
//!
//! That a tag is no longer heard, and what an audit missed, are observed by nobody: they are no events here.
//! What is coded in a tag is named by its EPC (`urn:epc:id:…`), a code that is no EPC by its raw form
//! (`urn:epc:raw:96.x30…`). Places, devices and assets are named under a base URI of the company's own,
//! unless their name is a URI already: a read point that is called `urn:epc:id:sgln:…` stays that.

mod hash;
mod link;
#[cfg(test)]
mod tests;

pub use hash::{event_id, pre_hash};
pub use link::digital_link;

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use crate::config::Rules;
use crate::decode;
use crate::domain::audits::Standing;
use crate::domain::epc::Epc;
use crate::domain::events::EventBody;
use crate::domain::ids::{DeviceId, PointId};
use crate::domain::sightings::{Direction, Episode, Measure, PresenceChange};
use crate::domain::time::Timestamp;
use crate::journal::StoredEvent;

/// Kinds of events of which there is an EPCIS form.
pub const KINDS: [&str; 6] = ["passage", "presence", "counted", "condition", "loaded", "unloaded"];

/// The context that every document names.
pub const CONTEXT: &str = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld";

/// Under which names are URIs where nobody says otherwise: of a domain that is nobody's.
pub const DEFAULT_BASE: &str = "https://tallyman.invalid";

/// Letters of a URI's path that stand as they are (RFC 3986, unreserved); others are escaped.
const PATH: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What the translation needs to know beside the event.
pub struct Translator {
    base: String,
    timezones: BTreeMap<String, TimeZone>,
    only: Option<TimeZone>,
    units: BTreeMap<(DeviceId, PointId), String>,
}

impl Translator {
    /// `base`: a URI that names things of the company's own, without a slash at its end.
    pub fn new(rules: &Rules, base: &str) -> Self {
        let timezones: BTreeMap<String, TimeZone> =
            rules.sites.iter().map(|site| (site.name.to_string(), site.timezone.clone())).collect();
        let only = timezones.values().next().filter(|_| timezones.len() == 1).cloned();
        Self { base: base.trim_end_matches('/').to_owned(), timezones, only, units: rules.units.clone() }
    }

    /// `None`: there is no EPCIS form of it.
    pub fn translate(&self, stored: &StoredEvent) -> Option<Value> {
        // Partners read of things, not of who carries a badge.
        if stored.subject.starts_with("person:") {
            return None;
        }
        let body: EventBody = serde_json::from_str(&stored.body).ok()?;
        let mut event = Map::new();
        match &body {
            EventBody::Passage { direction, epc, portal, from, to, .. } => {
                let step = match (from, to) {
                    (Some(_), Some(_)) => "entering_exiting",
                    (_, None) if *direction == Direction::Out => "departing",
                    _ => "arriving",
                };
                what(&mut event, step, vec![epc_uri(epc)]);
                event.insert("readPoint".into(), self.place(portal.as_str()));
                if let Some(zone) = to {
                    event.insert("bizLocation".into(), self.place(zone.as_str()));
                }
            }
            EventBody::Presence { change, epc, read_point, zone, .. } => {
                if *change == PresenceChange::Departed {
                    return None;
                }
                what(&mut event, "storing", vec![epc_uri(epc)]);
                event.insert("readPoint".into(), self.place(read_point.as_str()));
                if let Some(zone) = zone {
                    event.insert("bizLocation".into(), self.place(zone.as_str()));
                }
            }
            EventBody::Counted { audit, standing, epc, zone: Some(zone), .. } => {
                if !matches!(standing, None | Some(Standing::Found | Standing::Unexpected)) {
                    return None;
                }
                let thing = epc.as_ref().map(epc_uri).or_else(|| self.subject(&stored.subject))?;
                what(&mut event, if audit.is_some() { "cycle_counting" } else { "storing" }, vec![thing]);
                event.insert("bizLocation".into(), self.place(zone.as_str()));
            }
            EventBody::Loaded { vehicle, .. } | EventBody::Unloaded { vehicle, .. } => {
                let (action, step) = match &body {
                    EventBody::Loaded { .. } => ("ADD", "loading"),
                    _ => ("DELETE", "unloading"),
                };
                event.insert("type".into(), json!("AggregationEvent"));
                event.insert("action".into(), json!(action));
                event.insert("bizStep".into(), json!(step));
                event.insert("parentID".into(), json!(self.uri("obj", vehicle.as_str())));
                event.insert("childEPCs".into(), json!([self.subject(&stored.subject)?]));
            }
            EventBody::Condition { device, point, episode, zone, exposed, .. } => {
                let about = self.subject(&stored.subject).into_iter();
                let exposed = exposed.iter().map(|asset| self.uri("obj", asset.as_str()));
                what(&mut event, "sensor_reporting", about.chain(exposed).collect());
                if let Some(zone) = zone {
                    event.insert("bizLocation".into(), self.place(zone.as_str()));
                }
                let element = self.sensor_element(device, point, episode, stored.observed_at);
                event.insert("sensorElementList".into(), json!([element]));
            }
            _ => return None,
        }
        event.insert("eventTime".into(), json!(time(stored.observed_at)));
        event.insert("recordTime".into(), json!(time(stored.recorded_at)));
        event.insert("eventTimeZoneOffset".into(), json!(self.offset(stored)));
        let mut event = Value::Object(event);
        event["eventID"] = json!(event_id(&event));
        Some(event)
    }

    fn sensor_element(&self, device: &DeviceId, point: &PointId, episode: &Episode, at: Timestamp) -> Value {
        let unit = self.units.get(&(device.clone(), point.clone())).map(String::as_str);
        let of_value =
            |measure: &Measure| (*measure == Measure::Value).then(|| measured(unit, point)).flatten();
        let measure = match episode {
            Episode::Began { measure, .. } | Episode::Ended { measure, .. } => measure,
        };
        let (kind, uom) = match (of_value(measure), measure) {
            (Some((kind, uom)), _) => (json!(kind), Some(uom)),
            (None, Measure::Value) => (json!(self.uri("measurement", point.as_str())), None),
            (None, Measure::Rise) => (json!(self.uri("measurement", &format!("{point}-rise-per-min"))), None),
            (None, Measure::Fall) => (json!(self.uri("measurement", &format!("{point}-fall-per-min"))), None),
        };
        let device = self.uri("device", device.as_str());
        let (metadata, mut report) = match episode {
            Episode::Began { began_at, value, .. } => (
                json!({ "time": time(*began_at), "deviceID": device }),
                json!({ "type": kind, "exception": "ALARM_CONDITION", "value": value }),
            ),
            Episode::Ended { began_at, peak, peak_at, .. } => (
                json!({ "startTime": time(*began_at), "endTime": time(at), "deviceID": device }),
                json!({ "type": kind, "time": time(*peak_at), "value": peak }),
            ),
        };
        if let Some(uom) = uom {
            report["uom"] = json!(uom);
        }
        json!({ "sensorMetadata": metadata, "sensorReport": [report] })
    }

    fn place(&self, name: &str) -> Value {
        json!({ "id": self.uri("loc", name) })
    }

    /// What an event is about, where that is a thing.
    fn subject(&self, subject: &str) -> Option<String> {
        match subject.split_once(':')? {
            ("asset", name) => Some(self.uri("obj", name)),
            ("tag", epc) => Epc::from_hex(epc).as_ref().map(epc_uri),
            _ => None,
        }
    }

    fn uri(&self, kind: &str, name: &str) -> String {
        if ["urn:", "https://", "http://"].iter().any(|scheme| name.starts_with(scheme)) {
            return name.to_owned();
        }
        format!("{}/{kind}/{}", self.base, escaped(name))
    }

    /// Of the site's wall clock at that moment.
    fn offset(&self, stored: &StoredEvent) -> String {
        let site = stored.site.as_deref().and_then(|site| self.timezones.get(site));
        let timezone = site.or(self.only.as_ref()).cloned().unwrap_or(TimeZone::UTC);
        let minutes = timezone.to_offset(stored.observed_at.to_jiff()).seconds() / 60;
        let sign = if minutes < 0 { '-' } else { '+' };
        format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
    }
}

fn what(event: &mut Map<String, Value>, step: &str, epcs: Vec<String>) {
    event.insert("type".into(), json!("ObjectEvent"));
    event.insert("action".into(), json!("OBSERVE"));
    event.insert("bizStep".into(), json!(step));
    event.insert("epcList".into(), json!(epcs));
}

/// As a part of a URI.
pub fn escaped(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, PATH).to_string()
}

/// The pure identity of a code; of one that is no EPC, its raw form.
pub fn epc_uri(epc: &Epc) -> String {
    match decode::epc::decode(epc) {
        Ok(identity) => identity.uri,
        Err(_) => format!("urn:epc:raw:{}.x{}", epc.bits(), epc.to_string().to_uppercase()),
    }
}

/// Millisecond precision, UTC.
pub fn time(at: Timestamp) -> String {
    at.to_jiff().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// GS1's measurement type and the UN/CEFACT code of the unit.
fn measured(unit: Option<&str>, point: &PointId) -> Option<(&'static str, &'static str)> {
    Some(match unit?.trim() {
        "°C" | "C" | "degC" => ("Temperature", "CEL"),
        "°F" | "F" | "degF" => ("Temperature", "FAH"),
        "K" => ("Temperature", "KEL"),
        "%" | "%RH" | "% RH" if point.as_str().to_lowercase().contains("hum") => ("RelativeHumidity", "P1"),
        "%RH" | "% RH" => ("RelativeHumidity", "P1"),
        "bar" => ("Pressure", "BAR"),
        "mbar" => ("Pressure", "MBR"),
        "Pa" => ("Pressure", "PAL"),
        "kPa" => ("Pressure", "KPA"),
        "V" => ("Voltage", "VLT"),
        "A" => ("ElectricCurrent", "AMP"),
        "W" => ("Power", "WTT"),
        "kW" => ("Power", "KWT"),
        "Hz" => ("Frequency", "HTZ"),
        "lx" | "lux" => ("Illuminance", "LUX"),
        "kg" => ("Mass", "KGM"),
        "m/s" => ("Speed", "MTS"),
        "km/h" => ("Speed", "KMH"),
        _ => return None,
    })
}
