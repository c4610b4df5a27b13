//! The sentences of one time of day, made one fix.
//!
//! A sentence belongs to the open epoch unless it has another time of day, or its talker has sent one of its kind
//! already: then the receiver has begun anew (one without time does so, too). VTG and GSA have no time and belong
//! to whatever is open. A receiver of several constellations may send a sentence for each of them, by talkers of
//! their own: its fix is void where none of one kind has a position. Each position that the epoch's sentences give
//! is a fix; most often all give the same one. Where they differ (some receivers round GLL and RMC less finely
//! than GGA), each stands, GGA's first.

use super::calendar::{Calendar, Day};
use super::sentence::{Kind, Said, Talker};
use super::{Details, NmeaFix, NmeaItem};
use crate::domain::geodesy::Position;

/// Degrees, about a millimetre: no receiver tells two positions closer than that apart.
const SAME_DEG: f64 = 1e-8;

/// More than any receiver sends of one time: whoever sends more has begun anew.
const MOST_SENTENCES: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Epoch {
    heard: Vec<(Talker, Kind)>,
    of_day: Option<i64>,
    day: Option<Day>,
    /// What stands for a date in an RMC without a position: that of a clock that was not set, where it was not.
    void_day: Option<Day>,
    positions: Vec<Position>,
    /// Kinds of which a sentence has a position, and of which one says that there is none: a bit each.
    placed: u16,
    void: u16,
    details: Details,
}

impl Epoch {
    pub fn takes(&self, said: &Said) -> bool {
        let is_other_time = matches!((self.of_day, said.of_day), (Some(ours), Some(its)) if ours != its);
        // A receiver of several constellations sends a GSA for each.
        let is_again = said.kind != Kind::Gsa && self.heard.contains(&(said.talker, said.kind));
        !is_other_time && !is_again && self.heard.len() < MOST_SENTENCES
    }

    pub fn add(&mut self, said: &Said) {
        self.heard.push((said.talker, said.kind));
        self.of_day = self.of_day.or(said.of_day);
        if said.is_void {
            self.void |= said.kind.bit();
        }
        if let Some(position) = said.position {
            self.place(position, said.kind);
        }
        match said.is_void {
            true => self.void_day = self.void_day.or(said.day),
            false => prefer(&mut self.day, said.day, said.kind == Kind::Zda),
        }
        let (ours, its) = (&mut self.details, said.details);
        prefer(&mut ours.quality, its.quality, said.kind == Kind::Gga);
        prefer(&mut ours.speed_mps, its.speed_mps, said.kind == Kind::Rmc);
        prefer(&mut ours.course_deg, its.course_deg, said.kind == Kind::Rmc);
        ours.altitude_m = ours.altitude_m.or(its.altitude_m);
        ours.accuracy_m = ours.accuracy_m.or(its.accuracy_m);
        // A GSA may be of the epoch that begins with it.
        prefer(&mut ours.hdop, its.hdop, matches!(said.kind, Kind::Gga | Kind::Gns));
        ours.satellites = ours.satellites.max(its.satellites);
        ours.dimensions = ours.dimensions.max(its.dimensions);
    }

    fn place(&mut self, position: Position, kind: Kind) {
        self.placed |= kind.bit();
        if !self.positions.iter().any(|known| is_same(*known, position)) {
            let is_finest = matches!(kind, Kind::Gga | Kind::Gns);
            self.positions.insert(if is_finest { 0 } else { self.positions.len() }, position);
        }
    }

    pub fn close(self, calendar: &mut Calendar, out: &mut Vec<NmeaItem>) {
        let only_void = self.void_day.filter(|_| self.day.is_none() && self.positions.is_empty());
        let time = self.of_day.map(|of_day| match only_void {
            Some(day) if !calendar.is_set() => calendar.time_on(day, of_day),
            _ => calendar.time(of_day, self.day),
        });
        let is_void = self.void & !self.placed != 0;
        if self.positions.is_empty() && is_void {
            out.push(NmeaItem::NoFix { time });
        }
        // No sentence gives a position without a time.
        let Some(time) = time else { return };
        let (doubted, details) = (is_void, self.details);
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
