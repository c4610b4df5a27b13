//! What a receiver's epochs say → readings of the device that it is.

use super::{Details, FixTime, NmeaFix, NmeaItem};
use crate::decode::gps::{RANGE_ERROR_M, within};
use crate::decode::{DecodeError, Decoded};
use crate::domain::ids::{DeviceId, Digest};
use crate::domain::readings::{Fix, Note, Reading, Says, Vitals};

/// One fix an epoch: where its sentences round differently, the finest. An epoch without a position, or with one
/// that a sentence calls void, says that the receiver lives. `told`: the time of the last fix.
pub fn readings(
    device: &DeviceId,
    items: &[NmeaItem],
    retained: bool,
    told: &mut Option<FixTime>,
    out: &mut Decoded,
) {
    for item in items {
        match item {
            NmeaItem::Fix(fix) if *told == Some(fix.time) => {}
            NmeaItem::Fix(fix) => {
                *told = Some(fix.time);
                match reading(device, fix, retained) {
                    Ok(reading) => out.readings.push(reading),
                    Err(error) => out.faults.push(error),
                }
            }
            NmeaItem::NoFix { time } => out.readings.push(no_fix(device, *time, retained)),
            NmeaItem::Fault { offset, error, .. } => {
                let offset = usize::try_from(*offset).unwrap_or(usize::MAX).saturating_add(error.offset);
                out.faults.push(DecodeError { offset, ..error.clone() });
            }
        }
    }
}

fn reading(device: &DeviceId, fix: &NmeaFix, retained: bool) -> Result<Reading, DecodeError> {
    if fix.doubted {
        return Ok(no_fix(device, Some(fix.time), retained));
    }
    let FixTime::Utc(observed_at) = fix.time else {
        let message =
            "a position of a day that no sentence has named: let the receiver send RMC or ZDA, or say \
            `date = \"received\"`"
                .to_owned();
        return Err(DecodeError { reason: "date", offset: 0, message });
    };
    let Details { altitude_m, speed_mps, course_deg, accuracy_m, hdop, .. } = fix.details;
    let mut fix = Fix {
        accuracy_m: accuracy_m.or(within(hdop, f64::MIN_POSITIVE, 1e4).map(|hdop| hdop * RANGE_ERROR_M)),
        altitude_m,
        speed_mps,
        course_deg,
        retained,
        ..Fix::bare(device.clone(), observed_at, fix.position, Digest(0))
    };
    fix.digest = fix.said();
    Ok(Reading::Fix(fix))
}

fn no_fix(device: &DeviceId, time: Option<FixTime>, retained: bool) -> Reading {
    let observed_at = match time {
        Some(FixTime::Utc(time)) => Some(time),
        Some(FixTime::OfDay(_)) | None => None,
    };
    let (device, kind) = (device.clone(), "no-fix".to_owned());
    let (says, vitals) = (Says::NoFix, Vitals::default());
    Reading::Note(Note { device, kind, says, vitals, observed_at, retained })
}
