//! The sentences of one time of day, made one fix.
//!
//! A sentence belongs to the open epoch unless it has another time of day, or its kind is there already:
//! then the receiver has begun anew (one without time does so, too). VTG and GSA have no time and belong to
//! whatever is open. Each position that the epoch's sentences give is a fix; most often all give the same
//! one. Where they differ (some receivers round GLL and RMC less finely than GGA), each stands, GGA's first.

use super::calendar::{Calendar, Day};
use super::sentence::{Kind, Said};
use super::{Details, NmeaFix, NmeaItem};
use crate::domain::geodesy::Position;

/// Degrees, about a millimetre: no receiver tells two positions closer than that apart.
const SAME_DEG: f64 = 1e-8;

#[derive(Debug, Default)]
pub(super) struct Epoch {
    /// One bit a [`Kind`].
    kinds: u16,
    of_day: Option<i64>,
    day: Option<Day>,
    /// At most one a kind.
    positions: Vec<Position>,
    /// A sentence says that there is no position.
    is_void: bool,
    details: Details,
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
            let is_finest = matches!(said.kind, Kind::Gga | Kind::Gns);
            self.positions.insert(if is_finest { 0 } else { self.positions.len() }, position);
        }
        prefer(&mut self.day, said.day, said.kind == Kind::Zda);
        let (ours, its) = (&mut self.details, said.details);
        prefer(&mut ours.quality, its.quality, said.kind == Kind::Gga);
        prefer(&mut ours.speed_mps, its.speed_mps, said.kind == Kind::Rmc);
        prefer(&mut ours.course_deg, its.course_deg, said.kind == Kind::Rmc);
        ours.altitude_m = ours.altitude_m.or(its.altitude_m);
        ours.accuracy_m = ours.accuracy_m.or(its.accuracy_m);
        ours.hdop = ours.hdop.or(its.hdop);
        ours.satellites = ours.satellites.max(its.satellites);
        ours.dimensions = ours.dimensions.max(its.dimensions);
    }

    pub fn close(self, calendar: &mut Calendar, out: &mut Vec<NmeaItem>) {
        let time = self.of_day.map(|of_day| calendar.time(of_day, self.day));
        if self.positions.is_empty() && self.is_void {
            out.push(NmeaItem::NoFix { time });
        }
        // No sentence gives a position without a time.
        let Some(time) = time else { return };
        let (doubted, details) = (self.is_void, self.details);
        out.extend(
            self.positions
                .into_iter()
                .map(|position| NmeaItem::Fix(NmeaFix { time, position, doubted, details })),
        );
    }
}

/// The value of the kind of sentence that tells it best, else the first.
fn prefer<T>(known: &mut Option<T>, value: Option<T>, is_best: bool) {
    if value.is_some() && (known.is_none() || is_best) {
        *known = value;
    }
}

fn is_same(one: Position, other: Position) -> bool {
    (one.lat - other.lat).abs() < SAME_DEG && (one.lon - other.lon).abs() < SAME_DEG
}
