//! Whether a tracked thing moves or stands, and the trips between.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::geodesy::Position;
use super::time::Timestamp;

/// It set out, or came to rest. The moment is that of the event; what confirmed it came later.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize, Deserialize)]
pub struct Motion {
    pub change: MotionChange,
    /// Where it stood until then, or stands since.
    #[serde(flatten)]
    pub position: Position,
    /// Of what sets out: since when it stood there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Of what sets out: when it was somewhere else first. The event's moment is when it was last there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_by: Option<Timestamp>,
    /// Of what comes to rest: how it came here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trip: Option<Trip>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MotionChange {
    Moving,
    Stopped,
}

/// From one stop to the next.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize, Deserialize)]
pub struct Trip {
    pub started_at: Timestamp,
    pub ended_at: Timestamp,
    pub start: Position,
    pub end: Position,
    /// By its odometer, or along the fixes, without what a position wavers.
    pub distance_m: f64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_odometer: bool,
    /// What its odometer showed when it ended, where it tells that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub odometer_m: Option<f64>,
}
