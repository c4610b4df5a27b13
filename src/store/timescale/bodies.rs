//! The fields of event bodies that have columns of their own, read straight from the JSON.
//!
//! Only what the columns need is read, and a body that does not read as expected (of another version) leaves its columns
//! empty. The body itself goes on whole, but for fixes, samples and raw reads, of which only the [rest](super::rest) does.

use serde::Deserialize;

use crate::domain::alerts::AlertTransition;
use crate::domain::time::Timestamp;

type Text = Option<String>;

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Presence {
    pub change: Text,
    pub epc: Text,
    pub read_point: Text,
    pub zone: Text,
    pub beside: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Passage {
    pub direction: Text,
    pub epc: Text,
    pub portal: Text,
    pub from: Text,
    pub to: Text,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Counted {
    pub standing: Text,
    pub epc: Text,
    pub zone: Text,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Geofence {
    pub change: Text,
    pub fence: Text,
    pub fix: Fix,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Motion {
    pub change: Text,
    pub lat: Option<f64>,
    pub lon: Option<f64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Vehicle {
    pub vehicle: Text,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Door {
    pub door: Text,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Fix {
    pub device: Text,
    pub lat: Option<f64>,
    pub lon: Option<f64>,
    pub accuracy_m: Option<f64>,
    pub altitude_m: Option<f64>,
    pub speed_mps: Option<f64>,
    pub course_deg: Option<f64>,
    pub battery_percent: Option<f64>,
    pub ignition: Option<bool>,
    pub odometer_m: Option<f64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Checkout {
    pub holder: Text,
    pub checked_out_at: Option<Timestamp>,
    pub due_back: Option<Timestamp>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct CheckedIn {
    pub checkout: Checkout,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Readiness {
    pub ready: Option<bool>,
    pub reasons: Vec<serde_json::Value>,
}

/// All that a sample's columns hold.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Sample {
    pub device: Text,
    pub point: Text,
    pub value: Option<f64>,
    pub quality: Text,
}

/// A condition's episode, a sample, or a change of a sensor point's quality.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Sensor {
    pub device: Text,
    pub point: Text,
    pub limit: Text,
    pub began: Option<Began>,
    pub ended: Option<Ended>,
    pub value: Option<f64>,
    pub quality: Text,
    pub zone: Text,
}

#[derive(Deserialize)]
pub struct Began {
    pub began_at: Timestamp,
    pub value: f64,
    pub threshold: f64,
}

#[derive(Deserialize)]
pub struct Ended {
    pub began_at: Timestamp,
    pub peak: f64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct TagRead {
    pub epc: Text,
    pub antenna: Option<i32>,
    pub seen_count: Option<i32>,
    pub peak_rssi_dbm: Option<f32>,
}

#[derive(Deserialize)]
pub struct Alert {
    pub transition: AlertTransition,
    pub alert: crate::domain::alerts::Alert,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Command {
    pub by: Text,
    pub command: Text,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Register {
    pub table: Text,
    pub key: Text,
    pub after: Option<serde_json::Value>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Gap {
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub up: Option<bool>,
    pub reason: Text,
}
