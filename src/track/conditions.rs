//! Sensors: samples, excursions over limits, and sensors that say nothing good.
//!
//! On-delay and off-delay were cleaning's; what it tells is alerted on at once. With an excursion in a zone or a
//! vehicle comes what was in it: what is there when it is told, and what comes in before it ends.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Tracker;
use super::alerts::Details;
use super::cause::Cause;
use super::contents::Holder;
use super::exposure::{Exposed, NAMED, named};
use crate::domain::alerts::{AlertKey, Rule, Severity};
use crate::domain::events::{Event, EventBody, Subject};
use crate::domain::ids::{AssetId, DeviceId, LimitId, PointId, SiteId, SourceId, ZoneId};
use crate::domain::readings::{Quality, Sample};
use crate::domain::register::Carrier;
use crate::domain::sightings::{ConditionChange, Episode, Measure};
use crate::domain::state::{SensorCurrent, StateKind, StateRow};

/// The row in the journal: a [`SensorCurrent`], and the source it speaks through.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SensorRow {
    #[serde(flatten)]
    pub current: SensorCurrent,
    pub source: SourceId,
    /// Changes of quality so far.
    #[serde(default)]
    pub changes: u64,
    /// By limit, while it is exceeded.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub exposed: BTreeMap<String, Exposed>,
}

#[derive(Debug, Default)]
pub(super) struct Sensors {
    pub(super) rows: BTreeMap<String, SensorRow>,
    /// Points whose quality is not good, by source.
    bad: BTreeMap<SourceId, BTreeSet<String>>,
    /// Points over a limit, by what is exposed to it.
    pub(super) exposing: BTreeMap<Holder, BTreeSet<String>>,
    pub(super) dirty: BTreeSet<String>,
}

impl Sensors {
    /// The source of `device/point`.
    pub fn source_of(&self, key: &str) -> Option<&SourceId> {
        self.rows.get(key).map(|row| &row.source)
    }

    /// The `sensor-bad` alerts that may be open for points of a source.
    pub fn bad_of(&self, source: &SourceId) -> Vec<AlertKey> {
        let keys = self.bad.get(source).into_iter().flatten();
        keys.map(|key| AlertKey::new(Rule::SensorBad, key.as_str())).collect()
    }

    pub fn restore(&mut self, key: String, row: SensorRow) {
        if row.current.quality != Quality::Good {
            self.bad.entry(row.source.clone()).or_default().insert(key.clone());
        }
        for exposed in row.exposed.values() {
            self.exposing.entry(exposed.holder.clone()).or_default().insert(key.clone());
        }
        self.rows.insert(key, row);
    }

    pub fn take_dirty(&mut self, out: &mut Vec<StateRow>) {
        for key in std::mem::take(&mut self.dirty) {
            if let Some(row) = self.rows.get(&key) {
                out.push(StateRow::put(StateKind::Sensor, key, row));
            }
        }
    }

    /// Limits of a device that are exceeded now, by point.
    pub fn exceeded(&self, device: &DeviceId) -> impl Iterator<Item = (&PointId, LimitId)> {
        let first = format!("{device}/");
        // A device's name may hold a slash, so the prefix alone does not say whose row it is.
        let rows = self.rows.range(first.clone()..).take_while(move |(key, _)| key.starts_with(&first));
        rows.map(|(_, row)| &row.current)
            .filter(move |current| current.device == *device)
            .flat_map(|current| current.exceeded.iter().map(|limit| (&current.point, LimitId::new(limit))))
    }

    /// Every sensor with a row, in order.
    pub fn devices(&self) -> BTreeSet<DeviceId> {
        self.rows.values().map(|row| row.current.device.clone()).collect()
    }

    fn change(&mut self, device: &DeviceId, point: &PointId, cause: &Cause) -> &mut SensorRow {
        let key = key(device, point);
        self.dirty.insert(key.clone());
        let row = self.rows.entry(key).or_insert_with(|| SensorRow {
            current: SensorCurrent {
                device: device.clone(),
                point: point.clone(),
                value: None,
                text: None,
                unit: None,
                quality: Quality::Good,
                observed_at: cause.observed_at,
                exceeded: Vec::new(),
            },
            source: cause.source.clone(),
            changes: 0,
            exposed: BTreeMap::new(),
        });
        if row.source != cause.source {
            row.source = cause.source.clone();
        }
        row
    }
}

impl Tracker {
    pub(super) fn sample(&mut self, sample: Sample, cause: &Cause, out: &mut Vec<Event>) {
        let unit = self.topology.unit(&sample.device, &sample.point).cloned();
        if !cause.late {
            let row = self.sensors.change(&sample.device, &sample.point, cause);
            if row.current.observed_at <= cause.observed_at {
                row.current.value = sample.value;
                row.current.text.clone_from(&sample.text);
                row.current.unit = unit;
                row.current.observed_at = cause.observed_at;
            }
        }
        self.ran(&sample, cause, out);
        let (site, subject, _) = self.sensor_place(&sample.device, cause);
        let value = sample.value.unwrap_or(f64::NAN).to_bits().to_be_bytes();
        let key = key(&sample.device, &sample.point);
        let text = sample.text.as_deref().unwrap_or_default();
        let parts: [&[u8]; 4] = [key.as_bytes(), &value, &[sample.quality as u8], text.as_bytes()];
        // A sample without words has the id that it always had.
        let parts = if text.is_empty() { &parts[..3] } else { &parts };
        out.push(cause.event(site, subject, EventBody::Sample(sample.clone()), parts));
    }

    pub(super) fn condition(&mut self, change: ConditionChange, cause: &Cause, out: &mut Vec<Event>) {
        let ConditionChange { device, point, limit, change: episode } = change;
        // The end may be said of what is no longer read: only its row knows through what it once spoke.
        let spoke = self.sensors.source_of(&key(&device, &point));
        let source = spoke.filter(|_| matches!(episode, Episode::Ended { .. })).unwrap_or(&cause.source);
        let cause = &Cause { source: source.clone(), ..cause.clone() };
        let (began, began_at) = match episode {
            Episode::Began { began_at, .. } => (true, began_at),
            Episode::Ended { began_at, .. } => (false, began_at),
        };
        // An excursion is of what the sensor hung on when it began.
        let when = if began { cause.observed_at } else { began_at };
        let (site, subject, zone) = self.sensor_place(&device, &Cause { observed_at: when, ..cause.clone() });
        let point_key = key(&device, &point);
        let key = format!("{point_key}/{limit}");
        let began_us = began_at.as_micros().to_be_bytes();
        // What is told late was there with something else than what is there now.
        let exposed = if began && !cause.late { self.exposed_to(&device, cause.observed_at) } else { None };
        let assets = match &exposed {
            Some(exposed) => exposed.assets.clone(),
            None if began || cause.late => BTreeSet::new(),
            None => self.sensors.end_exposure(&point_key, limit.as_str()),
        };
        let body = EventBody::Condition {
            device: device.clone(),
            point: point.clone(),
            limit: limit.clone(),
            episode,
            zone: zone.clone(),
            exposed: assets.iter().take(NAMED).cloned().collect(),
        };
        let parts: [&[u8]; 3] = [key.as_bytes(), &[u8::from(began)], &began_us];
        out.push(cause.event(site.clone(), subject, body, &parts));
        if cause.late {
            return;
        }
        let exceeded = &mut self.sensors.change(&device, &point, cause).current.exceeded;
        exceeded.retain(|name| name != limit.as_str());
        if began {
            exceeded.push(limit.to_string());
        }
        if let Some(exposed) = exposed {
            self.sensors.begin_exposure(&point_key, &limit, exposed);
        }
        self.review_alarms(&device);
        let details =
            self.condition_details(site, (&device, &point, &limit), &episode, zone.as_ref(), &assets);
        let key = AlertKey::new(Rule::Condition, key);
        match details {
            Some(details) => self.raise(&key, details, cause, out),
            None => self.alerts.condition(&key, None, cause, out),
        }
    }

    pub(super) fn quality(
        &mut self,
        device: DeviceId,
        point: PointId,
        quality: Quality,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let key = key(&device, &point);
        // Of what is no longer read only its row knows through what it once spoke.
        let source = self.sensors.source_of(&key).filter(|_| quality == Quality::Stale);
        let cause = &Cause { source: source.unwrap_or(&cause.source).clone(), ..cause.clone() };
        let (site, subject, _) = self.sensor_place(&device, cause);
        let body = EventBody::SensorQuality { device: device.clone(), point: point.clone(), quality };
        out.push(cause.event(site.clone(), subject, body, &[key.as_bytes(), &[quality as u8]]));
        if cause.late {
            return;
        }
        let row = self.sensors.change(&device, &point, cause);
        row.current.quality = quality;
        row.changes += 1;
        let episode = row.changes;
        let bad = self.sensors.bad.entry(cause.source.clone()).or_default();
        let what = match quality {
            Quality::Good => None,
            Quality::NoCommunication => Some("does not answer"),
            Quality::SensorFailure => Some("answers with something that is no value"),
            Quality::ConfigurationError => Some("refuses what it is asked for"),
            // Nobody is meant to read it any more: nobody has anything to check.
            Quality::Stale if !self.topology.is_read(&device, &point) => None,
            Quality::Stale => Some("has not been read for a while"),
            Quality::NoData => Some("says that it has no value"),
            Quality::EngineeringUnitsExceeded => Some("says what it cannot measure"),
            Quality::SensorNotAccurate => Some("does not move, or jumps"),
        };
        match what {
            Some(_) => bad.insert(key.clone()),
            None => bad.remove(&key),
        };
        let to_do = match quality {
            Quality::ConfigurationError => {
                "check table, address, base and type of the point in its configuration"
            }
            _ => "check its wiring and power, then its configuration",
        };
        let details = what.map(|what| Details {
            site,
            severity: Severity::Warning,
            summary: format!("sensor {key} {what}: {to_do}"),
            pending: self.topology.alerts.sensor_bad_after,
            episode,
        });
        let alert = AlertKey::new(Rule::SensorBad, key);
        match details {
            Some(details) => self.raise(&alert, details, cause, out),
            None => self.alerts.condition(&alert, None, cause, out),
        }
    }

    /// What is said of limits that neither the configuration nor the class has any longer ends. What was exposed
    /// meanwhile is told with the excursion's end, which cleaning says.
    pub(super) fn end_orphaned_conditions(&mut self, cause: &Cause, out: &mut Vec<Event>) {
        let exceeded = self.sensors.rows.values().filter(|row| !row.current.exceeded.is_empty());
        let exceeded: Vec<(DeviceId, PointId, Vec<String>)> = exceeded
            .map(|row| (row.current.device.clone(), row.current.point.clone(), row.current.exceeded.clone()))
            .collect();
        let mut standing: BTreeSet<String> = BTreeSet::new();
        for (device, point, limits) in exceeded {
            let (kept, gone): (Vec<String>, Vec<String>) = limits
                .into_iter()
                .partition(|limit| self.limit_severity(&device, &point, &LimitId::new(limit)).is_some());
            standing.extend(kept.iter().map(|limit| format!("{}/{limit}", key(&device, &point))));
            let key = key(&device, &point);
            if let Some(row) = self.sensors.rows.get_mut(&key).filter(|_| !gone.is_empty()) {
                row.current.exceeded = kept;
                self.sensors.dirty.insert(key);
            }
            // What is kept may be more or less severe than it was.
            self.review_alarms(&device);
        }
        for alert in self.alerts.open_of(Rule::Condition) {
            if !standing.contains(&alert.subject) && !self.topology.has_limit(&alert.subject) {
                self.alerts.condition(&alert, None, cause, out);
            }
        }
    }

    fn condition_details(
        &self,
        site: Option<SiteId>,
        (device, point, limit): (&DeviceId, &PointId, &LimitId),
        episode: &Episode,
        zone: Option<&ZoneId>,
        exposed: &BTreeSet<AssetId>,
    ) -> Option<Details> {
        let Episode::Began { began_at, value, threshold, measure } = episode else { return None };
        let carrier = self.register.carrier_of_sensor(device, *began_at).and_then(Carrier::asset);
        let place = match (zone, carrier) {
            (Some(zone), _) => format!("{zone}: "),
            (None, Some(asset)) => format!("{}: ", self.label(asset)),
            (None, None) => String::new(),
        };
        let unit = self.topology.unit(device, point).map(|unit| format!(" {unit}")).unwrap_or_default();
        let since = self.register.local(site.as_ref(), *began_at);
        let severity = self.limit_severity(device, point, limit).unwrap_or(Severity::Warning);
        let (what, per) = match measure {
            Measure::Value if value < threshold => ("is below", ""),
            Measure::Value => ("is above", ""),
            Measure::Rise => ("rises faster than", " a minute"),
            Measure::Fall => ("falls faster than", " a minute"),
        };
        let summary = format!(
            "{place}{point} of {device} {what} its limit {limit}: {}{unit}{per}, allowed {}{unit}{per}, since {since}; \
             go and look, and protect {}",
            figure(*value),
            figure(*threshold),
            named(exposed)
        );
        Some(Details { site, severity, summary, pending: std::time::Duration::ZERO, episode: 0 })
    }

    /// Site, subject and zone of what a sensor says.
    fn sensor_place(&self, device: &DeviceId, cause: &Cause) -> (Option<SiteId>, Subject, Option<ZoneId>) {
        let of_source = self.topology.site_of_source(&cause.source).cloned();
        match self.register.carrier_of_sensor(device, cause.observed_at) {
            Some(Carrier::Asset(asset)) => {
                let site = self.site_of_asset(asset).or(of_source);
                (site, Subject::Asset(asset.clone()), None)
            }
            Some(Carrier::Zone(zone)) => {
                let site = self.register.site_of_zone(zone).cloned();
                (site.or(of_source), Subject::Device(device.clone()), Some(zone.clone()))
            }
            Some(Carrier::Person(_)) | None => (of_source, Subject::Device(device.clone()), None),
        }
    }
}

fn key(device: &DeviceId, point: &PointId) -> String {
    format!("{device}/{point}")
}

/// As a person reads it: 8.3, where arithmetic has 8.300000000000001.
fn figure(value: f64) -> f64 {
    let scale = 1000.0;
    let rounded = (value * scale).round() / scale;
    if rounded.is_finite() { rounded } else { value }
}

#[cfg(test)]
mod tests {
    use super::figure;

    #[test]
    fn figures_are_read_by_people() {
        assert_eq!(figure(83.0 * 0.1).to_string(), "8.3");
        assert_eq!(figure(-18.0).to_string(), "-18");
        assert_eq!(figure(f64::MAX), f64::MAX);
    }
}
