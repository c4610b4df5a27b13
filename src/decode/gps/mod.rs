//! What trackers and receivers send, one file or folder a format, and which of them a topic has.

pub mod json;
pub mod message;
pub mod nmea;
pub mod owntracks;
pub mod sparkplug;
pub mod teltonika;
mod text;
pub mod topic;

use std::sync::Arc;

use crate::decode::DecodeError;
use crate::domain::ids::DeviceId;
use json::Mapping;
use nmea::Dating;
use sparkplug::MetricMapping;
use text::clip;

const KMH_PER_MPS: f64 = 3.6;

/// The last second of the year 9999: beyond it a time is a unit mistaken for another.
const LAST_TST: i64 = 253_402_300_799;
const LAST_MICROS: i64 = LAST_TST * 1_000_000;

/// Error of a receiver's ranges on one satellite: dilution times this is the error of the position, where the
/// receiver does not tell it.
const RANGE_ERROR_M: f64 = 5.0;
/// No odometer shows more: a counter of metres in 32 bits.
const MOST_ODOMETER_M: f64 = u32::MAX as f64;

/// Names of devices become parts of keys and of labels.
const LONGEST_DEVICE: usize = 256;

/// What the messages of a topic are.
#[derive(Clone, PartialEq, Debug)]
pub enum Format {
    OwnTracks,
    Json(Arc<Mapping>),
    Nmea(Dating),
    /// AVL packets.
    Teltonika,
    /// `rebirth`: edge nodes that are not understood are asked for their BIRTHs.
    SparkplugB {
        mapping: Arc<MetricMapping>,
        rebirth: bool,
    },
}

/// Absent unless plausible: phones say −1 for "not known", and a fix is a fix without it.
fn within(value: Option<f64>, least: f64, most: f64) -> Option<f64> {
    value.filter(|value| (least..=most).contains(value))
}

/// A tracker by the name that the wire has for it: one name space, whatever format it speaks.
///
/// # Errors
/// Reason `device`.
pub(crate) fn device(name: &str) -> Result<DeviceId, DecodeError> {
    // A sign that was no UTF-8 could stand for any.
    let is_sign = |sign: char| sign.is_control() || sign == char::REPLACEMENT_CHARACTER;
    if name.is_empty() || name.len() > LONGEST_DEVICE || name.contains(is_sign) {
        let message = format!("`{}` is no name of a device", clip(name));
        return Err(DecodeError { reason: "device", offset: 0, message });
    }
    Ok(DeviceId::new(name))
}
