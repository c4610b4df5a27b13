//! Register blocks → samples, in the points' units.
//!
//! A block that failed gives a sample without a value for each of its points, so that bad quality is
//! known at once and silence means nothing else.

use crate::config::{ByteOrder, PointConfig, RegisterType};
use crate::domain::frames::{ModbusAnswer, ModbusFailure};
use crate::domain::ids::DeviceId;
use crate::domain::readings::{Quality, Reading, Sample};
use crate::domain::time::Timestamp;

/// "Gateway path unavailable" and "gateway target device failed to respond" (Modbus application
/// protocol 1.1b3, section 7): the gateway speaks, the device does not.
const GATEWAY_EXCEPTIONS: [u8; 2] = [10, 11];

/// The points of one device.
#[derive(Clone, Debug)]
pub struct PointDecoder {
    /// By table and address.
    points: Vec<PointConfig>,
}

impl PointDecoder {
    pub fn new(points: &[PointConfig]) -> Self {
        let mut points = points.to_vec();
        points.sort_by_key(|point| (point.table, point.address));
        Self { points }
    }

    /// One sample for each point that lies wholly inside the block. A Modbus device has no clock: its
    /// samples are observed when they are received.
    pub fn decode(&self, answer: &ModbusAnswer, received_at: Timestamp, out: &mut Vec<Reading>) {
        let first = (answer.table, answer.address);
        let start = self.points.partition_point(|point| (point.table, point.address) < first);
        let end = u32::from(answer.address) + u32::from(answer.count);
        let inside = self.points[start..]
            .iter()
            .take_while(|point| point.table == answer.table && u32::from(point.address) < end)
            .filter(|point| u32::from(point.address) + u32::from(point.kind.registers()) <= end);
        let block = block_of(answer);
        out.extend(inside.map(|point| {
            let measured = block.and_then(|registers| measure(point, answer.address, registers));
            Reading::Sample(sample(&answer.device, point, measured, received_at))
        }));
    }
}

fn sample(
    device: &DeviceId,
    point: &PointConfig,
    measured: Result<f64, Quality>,
    observed_at: Timestamp,
) -> Sample {
    let (value, quality) = match measured {
        Ok(value) => (Some(value), Quality::Good),
        Err(quality) => (None, quality),
    };
    Sample { device: device.clone(), point: point.name.clone(), observed_at, value, quality }
}

/// The registers, if they are as many as were asked for.
fn block_of(answer: &ModbusAnswer) -> Result<&[u16], Quality> {
    match &answer.registers {
        Ok(registers) if registers.len() == usize::from(answer.count) => Ok(registers),
        Ok(_) | Err(ModbusFailure::Timeout | ModbusFailure::Transport(_)) => Err(Quality::NoCommunication),
        Err(ModbusFailure::Exception(code)) if GATEWAY_EXCEPTIONS.contains(code) => {
            Err(Quality::NoCommunication)
        }
        Err(ModbusFailure::Exception(_)) => Err(Quality::SensorFailure),
    }
}

fn measure(point: &PointConfig, block_address: u16, registers: &[u16]) -> Result<f64, Quality> {
    let place = usize::from(point.address - block_address);
    let raw = match registers[place..][..usize::from(point.kind.registers())] {
        [word] => one(point, ordered([word, 0], point.order, 1)),
        [first, second] => two(point, ordered([first, second], point.order, 2)),
        _ => return Err(Quality::SensorFailure),
    };
    let value = raw * point.scale + point.offset;
    if value.is_finite() { Ok(value) } else { Err(Quality::SensorFailure) }
}

/// Bytes in big-endian order, whatever order the device has them in; `A` is the most significant. Of
/// one register only the first two count.
fn ordered(words: [u16; 2], order: ByteOrder, registers: u8) -> [u8; 4] {
    let ([a, b], [c, d]) = (words[0].to_be_bytes(), words[1].to_be_bytes());
    match (order, registers) {
        (ByteOrder::Abcd, _) | (ByteOrder::Cdab, 1) => [a, b, c, d],
        (ByteOrder::Badc, _) | (ByteOrder::Dcba, 1) => [b, a, d, c],
        (ByteOrder::Cdab, _) => [c, d, a, b],
        (ByteOrder::Dcba, _) => [d, c, b, a],
    }
}

fn one(point: &PointConfig, [a, b, ..]: [u8; 4]) -> f64 {
    match point.kind {
        RegisterType::I16 => i16::from_be_bytes([a, b]).into(),
        RegisterType::U16 | RegisterType::U32 | RegisterType::I32 | RegisterType::F32 => {
            u16::from_be_bytes([a, b]).into()
        }
    }
}

fn two(point: &PointConfig, bytes: [u8; 4]) -> f64 {
    match point.kind {
        RegisterType::I32 => i32::from_be_bytes(bytes).into(),
        RegisterType::F32 => f32::from_be_bytes(bytes).into(),
        RegisterType::U32 | RegisterType::U16 | RegisterType::I16 => u32::from_be_bytes(bytes).into(),
    }
}

#[cfg(test)]
mod tests;
