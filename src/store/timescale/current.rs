//! Current state as the forwarded events say it: one row an asset, an alert, a sensor point.
//!
//! Within a batch the last word wins; against the table only what is newer does. Rows are written in the
//! order of their keys, so that two nodes that write about the same assets cannot deadlock.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::bodies;
use super::register::rows::Writes;
use super::tables::{Table, asset_of, read, word};
use crate::domain::time::Timestamp;
use crate::journal::StoredEvent;

#[derive(Debug, Default)]
pub struct Current {
    pub assets: BTreeMap<String, Asset>,
    pub alerts: BTreeMap<(String, String), Alert>,
    pub sensors: BTreeMap<(String, String), Sensor>,
    /// Records by table and key; `None` where one went.
    register: BTreeMap<(String, String), Option<Value>>,
}

/// What is new of an asset. A group of columns is new where its time is there.
#[derive(Debug, Default, Serialize)]
pub struct Asset {
    asset: String,
    site: Option<Arc<str>>,
    zone: Option<String>,
    present: Option<bool>,
    read_point: Option<String>,
    located_at: Option<Timestamp>,
    lat: Option<f64>,
    lon: Option<f64>,
    accuracy_m: Option<f64>,
    positioned_at: Option<Timestamp>,
    vehicle: Option<String>,
    vehicle_at: Option<Timestamp>,
    holder: Option<String>,
    due_back: Option<Timestamp>,
    custody_at: Option<Timestamp>,
    sensed_at: Option<Timestamp>,
    sensed_by: Option<String>,
    ready: Option<bool>,
    not_ready: Option<Value>,
    ready_at: Option<Timestamp>,
    last_kind: Arc<str>,
    last_event_id: String,
    seq: u64,
    recorded_at: Timestamp,
}

#[derive(Debug, Serialize)]
pub struct Alert {
    rule: String,
    about: String,
    state: String,
    severity: &'static str,
    site: Option<String>,
    summary: String,
    incident: String,
    last_transition: String,
    pending_since: Timestamp,
    fired_at: Option<Timestamp>,
    resolved_at: Option<Timestamp>,
    acknowledged_by: Option<String>,
    acknowledged_at: Option<Timestamp>,
    snoozed_until: Option<Timestamp>,
    inhibited_by: Option<String>,
    seq: u64,
    recorded_at: Timestamp,
}

#[derive(Debug, Default, Serialize)]
pub struct Sensor {
    device: String,
    point: String,
    site: Option<Arc<str>>,
    value: Option<f64>,
    quality: Option<String>,
    observed_at: Option<Timestamp>,
    limits: BTreeMap<String, Option<Timestamp>>,
    seq: u64,
    recorded_at: Timestamp,
}

/// As bodies have it.
const STALE: &str = "stale";

impl Current {
    /// Takes in the next event. What is late never moves what is last known.
    pub fn event(&mut self, table: Table, event: &StoredEvent) {
        // Use is told beside what it was told by; a stop, or setting out, after the fixes that confirmed it.
        if event.late || matches!(&*event.kind, "used" | "motion") {
            return;
        }
        match table {
            Table::Location | Table::Fix => self.asset(event),
            Table::Condition | Table::Sample => self.sensor(event),
            Table::Alert => self.alert(event),
            Table::Command if &*event.kind == "register" => self.record(event),
            Table::TagRead | Table::Command | Table::Gap => {}
        }
    }

    fn asset(&mut self, event: &StoredEvent) {
        let Some(name) = asset_of(event) else { return };
        let asset = self.assets.entry(name.to_owned()).or_default();
        asset.asset = name.to_owned();
        asset.last_kind = event.kind.clone();
        asset.last_event_id = event.id.to_string();
        asset.seq = event.seq;
        asset.recorded_at = event.recorded_at;
        if event.site.is_some() {
            asset.site.clone_from(&event.site);
        }
        match &*event.kind {
            "presence" => asset.presence(event),
            "passage" => asset.passage(event),
            "counted" => asset.counted(event),
            "geofence" => asset.position(event, read::<bodies::Geofence>(event).fix),
            "fix" => asset.position(event, read(event)),
            "loaded" => asset.vehicle(event, read::<bodies::Vehicle>(event).vehicle),
            "unloaded" => asset.vehicle(event, None),
            "checked-out" | "handed-over" => asset.custody(event, Some(read(event))),
            "checked-in" => asset.custody(event, None),
            "readiness" => asset.readiness(event),
            // A kind of location event that has no column here: it is in `last_kind`.
            _ => {}
        }
    }

    fn sensor(&mut self, event: &StoredEvent) {
        let body: bodies::Sensor = read(event);
        let (Some(device), Some(point)) = (body.device, body.point) else { return };
        let sensor = self.sensors.entry((device.clone(), point.clone())).or_default();
        (sensor.device, sensor.point) = (device, point);
        sensor.seq = event.seq;
        sensor.recorded_at = event.recorded_at;
        if event.site.is_some() {
            sensor.site.clone_from(&event.site);
        }
        match &*event.kind {
            "condition" => {
                if let Some(limit) = body.limit {
                    sensor.limits.insert(limit, body.began.map(|began| began.began_at));
                }
            }
            // The value stays what it was when it was read last, and so does its time.
            "sensor-quality" if body.quality.as_deref() == Some(STALE) => sensor.quality = body.quality,
            _ => {
                sensor.value = body.value;
                sensor.quality = body.quality;
                sensor.observed_at = Some(event.observed_at);
            }
        }
    }

    fn record(&mut self, event: &StoredEvent) {
        let bodies::Register { table: Some(table), key: Some(key), after } = read(event) else { return };
        self.register.insert((table, key), after);
    }

    /// What became of the register.
    pub fn register(&self) -> Writes {
        let mut writes = Writes::default();
        for ((table, key), after) in &self.register {
            match after {
                Some(record) => writes.put(table, record.clone()),
                None => writes.remove(table, key),
            }
        }
        writes
    }

    fn alert(&mut self, event: &StoredEvent) {
        let Ok(bodies::Alert { transition, alert }) = serde_json::from_str(&event.body) else { return };
        let rule = alert.key.rule.as_str().to_owned();
        let row = Alert {
            rule: rule.clone(),
            about: alert.key.subject.clone(),
            state: word(&alert.state),
            severity: alert.severity.as_str(),
            site: alert.site.map(|site| site.to_string()),
            summary: alert.summary,
            incident: alert.incident.to_string(),
            last_transition: word(&transition),
            pending_since: alert.pending_since,
            fired_at: alert.fired_at,
            resolved_at: alert.resolved_at,
            acknowledged_by: alert.acknowledged.as_ref().map(|it| it.by.clone()),
            acknowledged_at: alert.acknowledged.as_ref().map(|it| it.at),
            snoozed_until: alert.snoozed_until,
            inhibited_by: alert.inhibited_by.map(|key| key.to_string()),
            seq: event.seq,
            recorded_at: event.recorded_at,
        };
        self.alerts.insert((rule, alert.key.subject), row);
    }
}

impl Asset {
    /// Read by hand or found in an audit; what an audit missed has no zone.
    fn counted(&mut self, event: &StoredEvent) {
        let body: bodies::Counted = read(event);
        if body.zone.is_some() {
            self.zone = body.zone;
            self.located_at = Some(event.observed_at);
            // By a hand and by no device; where a device said the same, it is that device.
            if self.sensed_at.is_none_or(|at| at < event.observed_at) {
                self.sensed(event, &None);
            }
        }
    }

    fn presence(&mut self, event: &StoredEvent) {
        let body: bodies::Presence = read(event);
        let departed = body.change.as_deref() == Some("departed");
        if body.beside {
            // Another read point has it.
            if !departed {
                self.sensed(event, &body.read_point);
            }
            return;
        }
        self.present = Some(!departed);
        self.zone = body.zone;
        self.located_at = Some(event.observed_at);
        if !departed {
            self.sensed(event, &body.read_point);
        }
        self.read_point = body.read_point;
    }

    fn passage(&mut self, event: &StoredEvent) {
        let body: bodies::Passage = read(event);
        self.present = Some(body.to.is_some());
        self.zone = body.to;
        self.located_at = Some(event.observed_at);
        self.sensed(event, &body.portal);
        self.read_point = body.portal;
    }

    /// An older position is none: a visit to a fence is told once later fixes have confirmed it, and says where the
    /// first of them was, or where the way between two fixes crosses the edge.
    fn position(&mut self, event: &StoredEvent, fix: bodies::Fix) {
        self.sensed(event, &fix.device);
        if self.positioned_at.is_some_and(|at| at > event.observed_at) {
            return;
        }
        (self.lat, self.lon, self.accuracy_m) = (fix.lat, fix.lon, fix.accuracy_m);
        self.positioned_at = Some(event.observed_at);
    }

    /// `None`: in none.
    fn vehicle(&mut self, event: &StoredEvent, vehicle: Option<String>) {
        self.vehicle = vehicle;
        self.vehicle_at = Some(event.observed_at);
    }

    /// `None`: back.
    fn custody(&mut self, event: &StoredEvent, checkout: Option<bodies::Checkout>) {
        let checkout = checkout.unwrap_or_default();
        self.holder = checkout.holder;
        self.due_back = checkout.due_back;
        self.custody_at = Some(event.observed_at);
    }

    fn readiness(&mut self, event: &StoredEvent) {
        let body: bodies::Readiness = read(event);
        self.ready = body.ready;
        self.not_ready = Some(Value::Array(body.reasons));
        self.ready_at = Some(event.observed_at);
    }

    /// An older sensing changes nothing.
    fn sensed(&mut self, event: &StoredEvent, by: &Option<String>) {
        if self.sensed_at.is_none_or(|at| at <= event.observed_at) {
            self.sensed_at = Some(event.observed_at);
            self.sensed_by.clone_from(by);
        }
    }
}

/// Each takes the rows as a JSON array ($1), the node ($2) and the epoch in hex ($3).
pub const ASSETS: &str = "
INSERT INTO tallyman.asset_current AS t
  (asset, site, zone, present, read_point, located_at, lat, lon, accuracy_m, positioned_at, vehicle, vehicle_at,
   holder, due_back, custody_at, sensed_at, sensed_by, ready, not_ready, ready_at,
   last_kind, last_event_id, node, epoch, seq, recorded_at)
SELECT asset, site, zone, present, read_point, located_at, lat, lon, accuracy_m, positioned_at, vehicle, vehicle_at,
   holder, due_back, custody_at, sensed_at, sensed_by, ready, not_ready, ready_at,
   last_kind, last_event_id, $2, $3::uuid, seq, recorded_at
FROM jsonb_to_recordset($1::jsonb) AS p(asset text, site text, zone text, present boolean, read_point text,
   located_at timestamptz, lat double precision, lon double precision, accuracy_m double precision,
   positioned_at timestamptz, vehicle text, vehicle_at timestamptz, holder text, due_back timestamptz, custody_at timestamptz,
   sensed_at timestamptz, sensed_by text, ready boolean, not_ready jsonb, ready_at timestamptz,
   last_kind text, last_event_id uuid, seq bigint, recorded_at timestamptz)
ON CONFLICT (asset) DO UPDATE SET
  site = coalesce(excluded.site, t.site),
  zone = CASE WHEN excluded.located_at IS NULL THEN t.zone ELSE excluded.zone END,
  present = CASE WHEN excluded.located_at IS NULL THEN t.present ELSE excluded.present END,
  read_point = CASE WHEN excluded.located_at IS NULL THEN t.read_point ELSE excluded.read_point END,
  located_at = coalesce(excluded.located_at, t.located_at),
  lat = CASE WHEN excluded.positioned_at >= coalesce(t.positioned_at, '-infinity') THEN excluded.lat ELSE t.lat END,
  lon = CASE WHEN excluded.positioned_at >= coalesce(t.positioned_at, '-infinity') THEN excluded.lon ELSE t.lon END,
  accuracy_m = CASE WHEN excluded.positioned_at >= coalesce(t.positioned_at, '-infinity') THEN excluded.accuracy_m
    ELSE t.accuracy_m END,
  positioned_at = greatest(excluded.positioned_at, t.positioned_at),
  vehicle = CASE WHEN excluded.vehicle_at IS NULL THEN t.vehicle ELSE excluded.vehicle END,
  vehicle_at = coalesce(excluded.vehicle_at, t.vehicle_at),
  holder = CASE WHEN excluded.custody_at IS NULL THEN t.holder ELSE excluded.holder END,
  due_back = CASE WHEN excluded.custody_at IS NULL THEN t.due_back ELSE excluded.due_back END,
  custody_at = coalesce(excluded.custody_at, t.custody_at),
  sensed_at = greatest(excluded.sensed_at, t.sensed_at),
  sensed_by = CASE WHEN excluded.sensed_at > t.sensed_at OR t.sensed_at IS NULL THEN excluded.sensed_by
    WHEN excluded.sensed_at = t.sensed_at THEN coalesce(excluded.sensed_by, t.sensed_by) ELSE t.sensed_by END,
  ready = CASE WHEN excluded.ready_at IS NULL THEN t.ready ELSE excluded.ready END,
  not_ready = CASE WHEN excluded.ready_at IS NULL THEN t.not_ready ELSE excluded.not_ready END,
  ready_at = coalesce(excluded.ready_at, t.ready_at),
  last_kind = excluded.last_kind, last_event_id = excluded.last_event_id,
  node = excluded.node, epoch = excluded.epoch, seq = excluded.seq, recorded_at = excluded.recorded_at
WHERE CASE WHEN t.node = excluded.node AND t.epoch = excluded.epoch THEN excluded.seq > t.seq
      ELSE excluded.recorded_at >= t.recorded_at END";

pub const ALERTS: &str = "
INSERT INTO tallyman.alert_current AS t
  (node, rule, about, state, severity, site, summary, incident, last_transition, pending_since, fired_at,
   resolved_at, acknowledged_by, acknowledged_at, snoozed_until, inhibited_by, epoch, seq, recorded_at)
SELECT $2, rule, about, state, severity, site, summary, incident, last_transition, pending_since, fired_at,
   resolved_at, acknowledged_by, acknowledged_at, snoozed_until, inhibited_by, $3::uuid, seq, recorded_at
FROM jsonb_to_recordset($1::jsonb) AS p(rule text, about text, state text, severity text, site text,
   summary text, incident uuid, last_transition text, pending_since timestamptz, fired_at timestamptz,
   resolved_at timestamptz, acknowledged_by text, acknowledged_at timestamptz, snoozed_until timestamptz,
   inhibited_by text, seq bigint, recorded_at timestamptz)
ON CONFLICT (node, rule, about) DO UPDATE SET
  state = excluded.state, severity = excluded.severity, site = excluded.site, summary = excluded.summary,
  incident = excluded.incident, last_transition = excluded.last_transition,
  pending_since = excluded.pending_since, fired_at = excluded.fired_at, resolved_at = excluded.resolved_at,
  acknowledged_by = excluded.acknowledged_by, acknowledged_at = excluded.acknowledged_at,
  snoozed_until = excluded.snoozed_until, inhibited_by = excluded.inhibited_by,
  epoch = excluded.epoch, seq = excluded.seq, recorded_at = excluded.recorded_at
WHERE CASE WHEN t.epoch = excluded.epoch THEN excluded.seq > t.seq
      ELSE excluded.recorded_at >= t.recorded_at END";

pub const SENSORS: &str = "
INSERT INTO tallyman.sensor_current AS t
  (node, device, point, site, value, quality, observed_at, limits, epoch, seq, recorded_at)
SELECT $2, device, point, site, value, quality, observed_at, limits, $3::uuid, seq, recorded_at
FROM jsonb_to_recordset($1::jsonb) AS p(device text, point text, site text, value double precision,
   quality text, observed_at timestamptz, limits jsonb, seq bigint, recorded_at timestamptz)
ON CONFLICT (node, device, point) DO UPDATE SET
  site = coalesce(excluded.site, t.site),
  value = CASE WHEN excluded.observed_at IS NULL THEN t.value ELSE excluded.value END,
  quality = coalesce(excluded.quality, t.quality),
  observed_at = coalesce(excluded.observed_at, t.observed_at),
  limits = t.limits || excluded.limits,
  epoch = excluded.epoch, seq = excluded.seq, recorded_at = excluded.recorded_at
WHERE CASE WHEN t.epoch = excluded.epoch THEN excluded.seq > t.seq
      ELSE excluded.recorded_at >= t.recorded_at END";
