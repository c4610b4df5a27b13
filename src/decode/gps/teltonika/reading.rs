//! What AVL records say → readings of the device that it is.

use super::{AvlRecord, Framed, Framer, Records};
use crate::decode::gps::message::Message;
use crate::decode::gps::{RANGE_ERROR_M, within};
use crate::decode::{DecodeError, Decoded};
use crate::domain::ids::{DeviceId, Digest};
use crate::domain::readings::{Fix, Note, Reading, Says, Vitals};

/// One message of packets as on TCP, perhaps behind a login, whose IMEI must be the device's name.
///
/// # Errors
/// Reasons: `empty`, `topic-mismatch`. What is no packet, or none that is believed, is in `out.faults`.
pub fn decode_message(message: Message<'_>, device: &DeviceId, out: &mut Decoded) -> Result<(), DecodeError> {
    if message.payload.is_empty() {
        return Err(super::fault("empty", 0, "the payload is empty"));
    }
    let mut framer = Framer::default();
    let mut framed = Vec::new();
    framer.push(message.payload, &mut framed);
    framer.finish(&mut framed);
    let other = |framed: &Framed| match framed {
        Framed::Login { imei, .. } if imei != device.as_str() => Some(imei.clone()),
        _ => None,
    };
    if let Some(imei) = framed.iter().find_map(other) {
        let text = format!("it is of `{device}`, and names `{imei}`");
        return Err(super::fault("topic-mismatch", 0, text));
    }
    for framed in framed {
        match framed {
            Framed::Login { .. } | Framed::Ping { .. } => {}
            Framed::Packet { offset, bytes } => match super::decode(&bytes) {
                Ok(records) => readings(device, records, message.retained, out),
                Err(error) => out.faults.push(placed(offset, error)),
            },
            Framed::Garbage { offset, bytes, reason } => {
                let text = format!("{} bytes that are no packet", bytes.len());
                out.faults.push(placed(offset, super::fault(reason, 0, text)));
            }
        }
    }
    Ok(())
}

/// One packet of the tracker that logged in as `imei`.
///
/// # Errors
/// As [`super::decode`]; and, where each of its records says what cannot be, the first of these.
pub fn decode_packet(imei: &str, packet: &[u8], out: &mut Decoded) -> Result<(), DecodeError> {
    let device = crate::decode::gps::device(imei)?;
    readings(&device, super::decode(packet)?, false, out);
    out.or_fault()
}

/// The records of one packet.
fn readings(device: &DeviceId, records: Records, retained: bool, out: &mut Decoded) {
    for record in records {
        match record {
            Ok(record) => out.readings.push(reading(device, &record, retained)),
            Err(error) => out.faults.push(error),
        }
    }
}

fn reading(device: &DeviceId, record: &AvlRecord, retained: bool) -> Reading {
    let observed_at = record.observed_at;
    if !record.has_fix() {
        // Only what it says of where it is, is void.
        return Reading::Note(Note {
            device: device.clone(),
            kind: "no-fix".to_owned(),
            says: Says::NoFix,
            vitals: Vitals { battery_percent: record.battery_percent(), ignition: record.is_ignition_on() },
            observed_at: Some(observed_at),
            retained,
        });
    }
    let mut fix = Fix {
        accuracy_m: within(record.hdop(), f64::MIN_POSITIVE, 1e4).map(|hdop| hdop * RANGE_ERROR_M),
        altitude_m: Some(record.altitude_m),
        speed_mps: Some(record.speed_mps),
        course_deg: record.course_deg,
        battery_percent: record.battery_percent(),
        ignition: record.is_ignition_on(),
        odometer_m: record.odometer_m().map(|metres| metres as f64),
        retained,
        ..Fix::bare(device.clone(), observed_at, record.position, Digest(0))
    };
    fix.digest = fix.said();
    Reading::Fix(fix)
}

fn placed(offset: u64, error: DecodeError) -> DecodeError {
    DecodeError {
        offset: usize::try_from(offset).unwrap_or(usize::MAX).saturating_add(error.offset),
        ..error
    }
}
