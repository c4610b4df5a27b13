//! Register blocks → samples, in the points' units.
//!
//! A block that failed gives a sample without a value for each of its points, so that bad quality is
//! known at once and silence means nothing else.

use std::time::Duration;

use crate::config::PointConfig;
use crate::domain::frames::{ModbusAnswer, ModbusFailure};
use crate::domain::ids::DeviceId;
use crate::domain::readings::{Quality, Reading, Sample};
use crate::domain::time::Timestamp;

mod raw;

pub use raw::{Raw, raw};

/// "Gateway path unavailable" and "gateway target device failed to respond" (Modbus application
/// protocol 1.1b3, section 7): the gateway speaks, the device does not.
pub const GATEWAY_EXCEPTIONS: [u8; 2] = [10, 11];
/// The device has no such registers, or not so many at once: the request is taken apart.
pub const ILLEGAL_ADDRESS: u8 = 2;
pub const ILLEGAL_VALUE: u8 = 3;
/// "Illegal function", "illegal data address", "illegal data value": what is asked for is wrong, not the sensor.
pub const ASKED_WRONGLY: std::ops::RangeInclusive<u8> = 1..=3;

/// The points of one device.
#[derive(Clone, Debug)]
pub struct PointDecoder {
    /// By table and address.
    points: Vec<PointConfig>,
    /// Of those that have no poll of their own.
    poll: Duration,
}

impl PointDecoder {
    pub fn new(points: &[PointConfig], poll: Duration) -> Self {
        let mut points = points.to_vec();
        points.sort_by_key(|point| (point.table, point.address));
        Self { points, poll }
    }

    /// One sample for each point that the block was asked for: of those wholly inside it, the ones that are
    /// read at its times. A block is taken apart until what it refuses is one value: that says nothing of another that
    /// shares some of its registers, and is asked for by itself. A Modbus device has no clock: its samples are observed when
    /// they are received.
    pub fn decode(&self, answer: &ModbusAnswer, received_at: Timestamp, out: &mut Vec<Reading>) {
        let first = (answer.table, answer.address);
        let start = self.points.partition_point(|point| (point.table, point.address) < first);
        let end = u32::from(answer.address) + u32::from(answer.count);
        let is_of_one_value =
            matches!(answer.registers, Err(ModbusFailure::Exception(ILLEGAL_ADDRESS | ILLEGAL_VALUE)));
        let inside = self.points[start..]
            .iter()
            .take_while(|point| point.table == answer.table && u32::from(point.address) < end)
            .filter(|point| point.end() <= end && point.poll.unwrap_or(self.poll) == answer.interval)
            .filter(|point| !is_of_one_value || (point.address, point.end()) == (answer.address, end));
        let block = block_of(answer);
        out.extend(inside.map(|point| {
            let measured = match block {
                Ok(registers) => measure(point, answer.address, registers),
                Err(quality) => Measured::bad(quality),
            };
            Reading::Sample(sample(&answer.device, point, measured, received_at))
        }));
    }
}

/// What a point says.
#[derive(Clone, PartialEq, Debug)]
pub struct Measured {
    pub value: Option<f64>,
    pub text: Option<String>,
    pub quality: Quality,
}

impl Measured {
    fn bad(quality: Quality) -> Self {
        Self { value: None, text: None, quality }
    }
}

fn sample(
    device: &DeviceId,
    point: &PointConfig,
    Measured { value, text, quality }: Measured,
    observed_at: Timestamp,
) -> Sample {
    Sample { device: device.clone(), point: point.name.clone(), observed_at, value, text, quality }
}

/// The registers, if they are as many as were asked for.
fn block_of(answer: &ModbusAnswer) -> Result<&[u16], Quality> {
    match &answer.registers {
        Ok(registers) if registers.len() == usize::from(answer.count) => Ok(registers),
        Ok(_) | Err(ModbusFailure::Timeout | ModbusFailure::Transport(_)) => Err(Quality::NoCommunication),
        Err(ModbusFailure::Exception(code)) if GATEWAY_EXCEPTIONS.contains(code) => {
            Err(Quality::NoCommunication)
        }
        Err(ModbusFailure::Exception(code)) if ASKED_WRONGLY.contains(code) => {
            Err(Quality::ConfigurationError)
        }
        Err(ModbusFailure::Exception(_)) => Err(Quality::SensorFailure),
    }
}

/// What the point says in a block that holds all of its registers.
fn measure(point: &PointConfig, block_address: u16, registers: &[u16]) -> Measured {
    let place = usize::from(point.address - block_address);
    let words = &registers[place..][..usize::from(point.kind.registers())];
    match raw(point.kind, point.order, words) {
        Some(Raw::Text(text)) => Measured { value: None, text: Some(text), quality: Quality::Good },
        Some(Raw::Number { bits, number }) if is_none(point, bits, number) => Measured::bad(Quality::NoData),
        Some(Raw::Number { number, .. }) => number_of(point, number),
        None => Measured::bad(Quality::SensorFailure),
    }
}

/// Devices have NaNs of many bits; who names one means all of them.
fn is_none(point: &PointConfig, bits: u64, number: f64) -> bool {
    point.none.contains(&bits)
        || number.is_nan() && point.none.iter().any(|none| raw::is_nan(point.kind, *none))
}

fn number_of(point: &PointConfig, number: f64) -> Measured {
    let value = number * point.scale + point.offset;
    if !value.is_finite() {
        return Measured::bad(Quality::SensorFailure);
    }
    // Words are of whole numbers, and those within i64; what is beyond has none.
    let text = (!point.words.is_empty()).then(|| point.words.get(&(number as i64)).cloned());
    let named = text != Some(None);
    let within = point.range.is_none_or(|(low, high)| (low..=high).contains(&value));
    let quality = if named && within { Quality::Good } else { Quality::EngineeringUnitsExceeded };
    Measured { value: Some(value), text: text.flatten(), quality }
}

#[cfg(test)]
mod tests;
