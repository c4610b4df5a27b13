//! The sentences of one time of day, made one fix.
//!
//! A sentence belongs to the open epoch unless it has another time of day, or its kind is there already:
//! then the receiver has begun anew (one without time does so, too). VTG and GSA have no time and belong to
//! whatever is open. Each position that the epoch's sentences give is a fix; most often all give the same
//! one. Where they differ (some receivers round GLL and RMC less finely than GGA), each stands.

use super::calendar::{Calendar, Day};
use super::sentence::{Kind, Said};
use super::{NmeaFix, NmeaItem, Quality};
use crate::domain::geodesy::Position;

/// Degrees, about a millimetre: no receiver tells two positions closer than that apart.
const SAME_DEG: f64 = 1e-8;

#[derive(Debug, Default)]
pub(super) struct Epoch {
    /// One bit a [`Kind`].
    kinds: u16,
    of_day: Option<i64>,
    day: Option<(Kind, Day)>,
    /// At most one a kind.
    positions: Vec<Position>,
    /// A sentence says that there is no position.
    is_void: bool,
    quality: Option<(Kind, Quality)>,
    speed_mps: Option<(Kind, f64)>,
    course_deg: Option<(Kind, f64)>,
    altitude_m: Option<f64>,
    accuracy_m: Option<f64>,
    hdop: Option<f64>,
    satellites: Option<u8>,
    dimensions: Option<u8>,
}

impl Epoch {
    pub fn takes(&self, said: &Said) -> bool {
        let is_other_time = matches!((self.of_day, said.of_day), (Some(ours), Some(its)) if ours != its);
        // A receiver of several constellations sends a GSA for each.
        let is_again = said.kind != Kind::Gsa && self.kinds & said.kind.bit() != 0;
        !is_other_time && !is_again
    }

    pub fn add(&mut self, said: &Said) {
        self.kinds |= said.kind.bit();
        self.of_day = self.of_day.or(said.of_day);
        self.is_void |= said.is_void;
        if let Some(position) = said.position
            && !self.positions.iter().any(|known| is_same(*known, position))
        {
            self.positions.push(position);
        }
        prefer(&mut self.day, said.kind, said.day, Kind::Zda);
        prefer(&mut self.quality, said.kind, said.quality, Kind::Gga);
        prefer(&mut self.speed_mps, said.kind, said.speed_mps, Kind::Rmc);
        prefer(&mut self.course_deg, said.kind, said.course_deg, Kind::Rmc);
        self.altitude_m = self.altitude_m.or(said.altitude_m);
        self.accuracy_m = self.accuracy_m.or(said.accuracy_m);
        self.hdop = self.hdop.or(said.hdop);
        self.satellites = self.satellites.max(said.satellites);
        self.dimensions = self.dimensions.max(said.dimensions);
    }

    pub fn close(self, calendar: &mut Calendar, out: &mut Vec<NmeaItem>) {
        let day = self.day.map(|(_, day)| day);
        let time = self.of_day.map(|of_day| calendar.time(of_day, day));
        if self.positions.is_empty() && self.is_void {
            out.push(NmeaItem::NoFix { time });
        }
        // No sentence gives a position without a time.
        let Some(time) = time else { return };
        out.extend(self.positions.iter().map(|position| {
            NmeaItem::Fix(NmeaFix {
                time,
                position: *position,
                quality: self.quality.map(|(_, quality)| quality),
                doubted: self.is_void,
                altitude_m: self.altitude_m,
                speed_mps: self.speed_mps.map(|(_, speed)| speed),
                course_deg: self.course_deg.map(|(_, course)| course),
                accuracy_m: self.accuracy_m,
                hdop: self.hdop,
                satellites: self.satellites,
                dimensions: self.dimensions,
            })
        }));
    }
}

/// The value of the kind of sentence that tells it best, else the first.
fn prefer<T: Copy>(known: &mut Option<(Kind, T)>, kind: Kind, value: Option<T>, best: Kind) {
    if let Some(value) = value
        && (known.is_none() || kind == best)
    {
        *known = Some((kind, value));
    }
}

fn is_same(one: Position, other: Position) -> bool {
    (one.lat - other.lat).abs() < SAME_DEG && (one.lon - other.lon).abs() < SAME_DEG
}
