//! One AVL record: a time, a position and the I/O elements of that moment.

use super::super::{KMH_PER_MPS, LAST_TST};
use super::{fault, number};
use crate::decode::DecodeError;
use crate::domain::geodesy::Position;
use crate::domain::time::Timestamp;

const UNITS_PER_DEGREE: f64 = 1e7;
/// The last millisecond of the year 9999.
const LAST_MS: u64 = LAST_TST as u64 * 1000 + 999;

/// How a codec writes the I/O elements of a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    id_bytes: usize,
    count_bytes: usize,
    /// A byte behind the event says what made the record: the value came, went, changed, …
    has_generation: bool,
    fifth_group: Option<Fifth>,
}

/// What stands behind the groups of values of 1, 2, 4 and 8 bytes.
#[derive(Clone, Copy, Debug)]
enum Fifth {
    Of16Bytes,
    /// A length of two bytes in front of each.
    OfAnyLength,
}

impl Layout {
    pub const CODEC_8: Self = Self { id_bytes: 1, count_bytes: 1, has_generation: false, fifth_group: None };
    /// As some firmware writes it, under the same number.
    pub const CODEC_8_WIDE: Self = Self { fifth_group: Some(Fifth::Of16Bytes), ..Self::CODEC_8 };
    pub const CODEC_8_EXTENDED: Self =
        Self { id_bytes: 2, count_bytes: 2, fifth_group: Some(Fifth::OfAnyLength), ..Self::CODEC_8 };
    pub const CODEC_16: Self = Self { id_bytes: 2, has_generation: true, ..Self::CODEC_8 };
}

#[derive(Clone, PartialEq, Debug)]
pub struct AvlRecord {
    pub observed_at: Timestamp,
    /// 0 low, 1 high, 2 panic.
    pub priority: u8,
    /// Where the tracker has no fix ([`AvlRecord::has_fix`]), its last one, or 0, 0 where there was none.
    pub position: Position,
    pub altitude_m: f64,
    /// Degrees clockwise from true north.
    pub course_deg: Option<f64>,
    pub satellites: u8,
    pub speed_mps: f64,
    /// The element whose change made the record; 0: none, the time or the way did.
    pub event: u16,
    pub io: Vec<IoElement>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IoElement {
    pub id: u16,
    pub value: IoValue,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum IoValue {
    /// Of 1, 2, 4 or 8 bytes, without sign; what it means depends on id, width and model.
    Number { value: u64, bytes: u8 },
    /// Of any other length.
    Bytes(Vec<u8>),
}

/// Elements that mean the same on all models of the FMB family and kin: id, and bytes of the value. On other models the same
/// number may be something else, of another width.
mod standard {
    pub const ODOMETER_M: (u16, u8) = (16, 4);
    pub const EXTERNAL_MV: (u16, u8) = (66, 2);
    pub const BATTERY_MV: (u16, u8) = (67, 2);
    pub const BATTERY_PERCENT: (u16, u8) = (113, 1);
    /// Tenths.
    pub const HDOP: (u16, u8) = (182, 2);
    pub const IGNITION: (u16, u8) = (239, 1);
    pub const MOVEMENT: (u16, u8) = (240, 1);
}

impl AvlRecord {
    /// Without satellites the position is an old one.
    pub fn has_fix(&self) -> bool {
        self.satellites > 0
    }

    pub fn is_ignition_on(&self) -> Option<bool> {
        self.switch(standard::IGNITION)
    }

    /// What the tracker's own accelerometer says.
    pub fn is_moving(&self) -> Option<bool> {
        self.switch(standard::MOVEMENT)
    }

    pub fn battery_percent(&self) -> Option<f64> {
        self.number(standard::BATTERY_PERCENT).filter(|percent| *percent <= 100).map(|percent| percent as f64)
    }

    pub fn hdop(&self) -> Option<f64> {
        self.number(standard::HDOP).map(|tenths| tenths as f64 / 10.0)
    }

    pub fn battery_v(&self) -> Option<f64> {
        self.number(standard::BATTERY_MV).map(|millivolts| millivolts as f64 / 1000.0)
    }

    /// Of the vehicle.
    pub fn external_v(&self) -> Option<f64> {
        self.number(standard::EXTERNAL_MV).map(|millivolts| millivolts as f64 / 1000.0)
    }

    pub fn odometer_m(&self) -> Option<u64> {
        self.number(standard::ODOMETER_M)
    }

    fn number(&self, (id, width): (u16, u8)) -> Option<u64> {
        self.io.iter().filter(|element| element.id == id).find_map(|element| match element.value {
            IoValue::Number { value, bytes } => Some(value).filter(|_| bytes == width),
            IoValue::Bytes(_) => None,
        })
    }

    fn switch(&self, element: (u16, u8)) -> Option<bool> {
        match self.number(element)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

/// One record; the inner error is of a value that cannot be, where the record itself is whole.
pub(super) fn read(
    cursor: &mut Cursor<'_>,
    layout: Layout,
) -> Result<Result<AvlRecord, DecodeError>, DecodeError> {
    let observed_at = time(cursor)?;
    let priority = cursor.number(1)? as u8;
    let position = position(cursor)?;
    let altitude_m = f64::from(cursor.number(2)? as u16 as i16);
    let course_deg = Some(cursor.number(2)? as f64).filter(|degrees| *degrees <= 360.0);
    let satellites = cursor.number(1)? as u8;
    let speed_mps = cursor.number(2)? as f64 / KMH_PER_MPS;
    let event = cursor.number(layout.id_bytes)? as u16;
    if layout.has_generation {
        cursor.take(1)?;
    }
    let io = elements(cursor, layout)?;
    let record = |observed_at, position| AvlRecord {
        observed_at,
        priority,
        position,
        altitude_m,
        course_deg,
        satellites,
        speed_mps,
        event,
        io,
    };
    Ok(observed_at.and_then(|observed_at| Ok(record(observed_at, position?))))
}

fn time(cursor: &mut Cursor<'_>) -> Result<Result<Timestamp, DecodeError>, DecodeError> {
    let at = cursor.at();
    Ok(match cursor.number(8)? {
        millis @ ..=LAST_MS => Ok(Timestamp::from_micros(millis as i64 * 1000)),
        millis => Err(fault("time", at, format!("{millis} is no time in milliseconds since 1970"))),
    })
}

/// Longitude stands first.
fn position(cursor: &mut Cursor<'_>) -> Result<Result<Position, DecodeError>, DecodeError> {
    let at = cursor.at();
    let mut degrees = || cursor.number(4).map(|units| f64::from(units as u32 as i32) / UNITS_PER_DEGREE);
    let (lon, lat) = (degrees()?, degrees()?);
    Ok(Position::new(lat, lon)
        .ok_or_else(|| fault("position", at, format!("lat {lat} lon {lon} is no place on Earth"))))
}

/// Groups by the length of their values. The total in front must be theirs.
fn elements(cursor: &mut Cursor<'_>, layout: Layout) -> Result<Vec<IoElement>, DecodeError> {
    let Layout { id_bytes, count_bytes, fifth_group, .. } = layout;
    let at = cursor.at();
    let total = cursor.number(count_bytes)?;
    let mut io = Vec::new();
    for bytes in [1, 2, 4, 8] {
        for _ in 0..cursor.number(count_bytes)? {
            let id = cursor.number(id_bytes)? as u16;
            let value = cursor.number(bytes.into())?;
            io.push(IoElement { id, value: IoValue::Number { value, bytes } });
        }
    }
    if let Some(fifth) = fifth_group {
        for _ in 0..cursor.number(count_bytes)? {
            let id = cursor.number(id_bytes)? as u16;
            let length = match fifth {
                Fifth::Of16Bytes => 16,
                Fifth::OfAnyLength => cursor.number(2)? as usize,
            };
            io.push(IoElement { id, value: IoValue::Bytes(cursor.take(length)?.to_vec()) });
        }
    }
    if io.len() as u64 != total {
        let message = format!("{total} I/O elements are announced, and {} are there", io.len());
        return Err(fault("io-count", at, message));
    }
    Ok(io)
}

/// Reads on from the front, and knows where in the packet that is.
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { rest: bytes, at }
    }

    pub fn at(&self) -> usize {
        self.at
    }

    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// Of at most eight bytes.
    fn number(&mut self, bytes: usize) -> Result<u64, DecodeError> {
        self.take(bytes).map(number)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let taken = self.rest.split_at_checked(count);
        let (taken, rest) = taken.ok_or_else(|| {
            let message =
                format!("a field of {count} bytes, and {} are left of the records", self.rest.len());
            fault("length", self.at, message)
        })?;
        self.at += count;
        self.rest = rest;
        Ok(taken)
    }
}
