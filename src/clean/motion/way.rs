//! How long a way is, by fixes that err and by what they say of speed and course.
//!
//! ```text
//! fix ─▶ Kalman filter (place, velocity) ─▶ smoothed back over the last few ─▶ curve through places and velocities ─▶ metres
//! ```
//! Straight lines from fix to fix are too long where positions waver (between high buildings, before a red light), and too
//! short where they cut corners. So places and velocities are filtered with the model of a velocity that changes at random
//! (Bar-Shalom, Li and Kirubarajan, *Estimation with Applications to Tracking and Navigation*, 2001, section 6.2.2), by the
//! more the faster it goes: who turns at speed changes it by much, who stands by nothing. Each is smoothed by the [`LAG`] fixes
//! behind it (Rauch, Tung and Striebel, 1965), and what is measured is the cubic curve (Hermite) that leaves and reaches each
//! place with its velocity, and what such a velocity makes the way longer by that no fix tells of. Between fixes near in time
//! it is the speed itself, which errs less there than places do. Where no speed is told, or none that goes with the places,
//! it is the line.
//!
//! Never looks at what a stop is; that is the caller's.

use std::num::NonZeroU16;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::moment::Moment;
use crate::clean::packed;
use crate::domain::geodesy::Position;
use crate::domain::time::Timestamp;

/// Fixes by which those before them are smoothed.
pub(super) const LAG: usize = 3;
/// How much a velocity changes, in m²/s³ for each second between two fixes (the longer that is, the more of speeding up,
/// braking and turning is in it), of at least and at most so many seconds.
const CHANGES: f64 = 0.1;
const CHANGES_FOR_S: [f64; 2] = [10.0, 600.0];
/// That is at this speed; it grows with the square, to so many times as much.
const STEADY_MPS: f64 = 7.0;
const MOST_CHANGES: f64 = 2.0;
/// The least of it, where it stood both times. In so many seconds it may have gone somewhere and come to rest again, and the
/// velocity is what it always is; with the fourth power of the time, for in a third of it nothing of that can have been.
const LEAST_CHANGES: f64 = 0.02;
const GOES_WITHIN_S: f64 = 25.0;
/// Share of the changes that are turns which no fix tells of, and by how much they make a way longer at the most.
const TURNS: f64 = 0.19;
const MOST_TURNS: f64 = 0.1;
/// Between fixes so near in time, half is by the speed that is told, between nearer ones most of it; and where their places
/// are as they were told.
const BY_SPEED_S: f64 = 4.0;
const BY_SPEED_RAW_S: f64 = 12.0;
/// Nothing more is known after this long than after longer: squares of it fit into 32 bits.
const LONGEST_S: f64 = 864_000.0;
/// Deviation of a velocity that is told, of one axis: under open sky a tenth of a metre a second, between houses more.
const VELOCITY_MPS: f64 = 0.7;
/// Deviation of a position, of one axis, beside the accuracy that is told. That is the radius of 68 %, which is 1.5
/// deviations; but errors last, and receivers between high buildings over-state themselves.
const POSITION: f64 = 1.5;
const LEAST_ACCURACY_M: f64 = 3.0;
const NO_ACCURACY_M: f64 = 10.0;
/// A position further than so many deviations from where it should be is believed that much less, where its velocity is
/// told. The second in a row is believed, and what led there is not.
const ASTRAY: f64 = 5.0;
/// Speeds are compared with places between fixes no further apart in time than this, and surer than this, while it goes
/// faster than this by either of the two.
const COMPARED_S: f64 = 20.0;
const COMPARED_M: f64 = 25.0;
const COMPARED_MPS: f64 = 5.0;
/// Over how many metres, and by how much they may differ and that is no other unit, beside so many metres.
const COMPARED_OVER_M: f32 = 4000.0;
const ALIKE: f32 = 0.6;
const ALIKE_M: f32 = 100.0;
/// A curve's velocities carry it no further than so many times the straight line: it stopped between.
const BENDS: f64 = 2.0;
/// Points of a curve between which it is taken for straight.
const PIECES: u32 = 8;
const UNITS_A_DEGREE: f64 = 1e7;
/// Bytes of a row before its estimates, and of each of them.
const HEAD: usize = 51;
const EACH: usize = 38;
/// Flags of a row.
const ASTRAY_FLAG: u8 = 1;
const STEERS_FLAG: u8 = 2;
/// It holds how much velocities may have changed, and what became of speeds; those of earlier builds do not.
const WHOLE_FLAG: u8 = 4;

type Metres = [f64; 2];

/// Where something is by all fixes so far, east and north of the last one, how fast it goes, and how sure that is of each
/// axis (variances of place, of both, of velocity).
#[derive(Clone, Copy, PartialEq, Debug, Default)]
struct Estimate {
    /// Seconds since the one before, and metres from there, where they are known.
    after: f32,
    way_m: Option<NonZeroU16>,
    /// How much its velocity may have changed since then, m²/s³.
    changes: f32,
    at: [f32; 2],
    goes: [f32; 2],
    sure: [f32; 3],
}

/// How far something went by the speeds that are told, and by where it was.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Speeds {
    told_m: f32,
    gone_m: f32,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Way {
    /// Up to `settled`.
    metres: f64,
    last: Timestamp,
    /// Of the last fix, which everything here is relative to.
    here: Position,
    /// Metres of the way to the next one, where that is known.
    next_m: Option<NonZeroU16>,
    /// Whether the last one was far from where it should be.
    is_astray: bool,
    /// Whether velocities are told, and believed.
    steers: bool,
    speeds: Speeds,
    /// Place and velocity of the last one that is smoothed for good.
    settled: [f32; 4],
    held: Vec<Estimate>,
}

/// One of which nothing is known.
impl Default for Way {
    fn default() -> Self {
        Self {
            metres: 0.0,
            last: Timestamp::MIN,
            here: Position { lat: 0.0, lon: 0.0 },
            next_m: None,
            is_astray: false,
            steers: false,
            speeds: Speeds::default(),
            settled: [0.0; 4],
            held: Vec::new(),
        }
    }
}

impl Way {
    /// From where something was then, how sure that is, how fast it may have gone (a deviation), and how far it had come.
    pub fn begin(place: Position, sure_m: f64, goes_mps: f64, since: Timestamp, metres: f64) -> Self {
        let sure = [(sure_m * sure_m) as f32, 0.0, (goes_mps * goes_mps) as f32];
        let stands = Estimate { sure, ..Estimate::default() };
        // As a row holds it.
        let [lat, lon] =
            [place.lat, place.lon].map(|degrees| (degrees * UNITS_A_DEGREE).round() / UNITS_A_DEGREE);
        Self { metres, last: since, here: Position { lat, lon }, held: vec![stands], ..Self::default() }
    }

    /// Metres from its last fix to the next one, where that is known.
    pub fn whose_next_is(self, next_m: Option<NonZeroU16>) -> Self {
        Self { next_m, ..self }
    }

    /// It has begun.
    pub fn is_known(&self) -> bool {
        !self.held.is_empty()
    }

    /// Its last fix.
    pub fn last(&self) -> (Position, Timestamp) {
        (self.here, self.last)
    }

    /// Goes on to a fix, later than those before.
    pub fn goes(&mut self, to: &Moment) {
        let position = to.place.position();
        let straight = self.here.offset_m(position);
        self.carry(straight, position);
        let after = to.place.at.since(self.last).as_secs_f64().min(LONGEST_S);
        if self.is_known() {
            self.speeds.hears(straight, after, to);
        }
        let velocity = to.velocity().filter(|_| self.speeds.hold());
        let Some(before) = self.held.last() else {
            *self = Self::begin(position, accuracy_m(to), VELOCITY_MPS, to.place.at, self.metres);
            return;
        };
        // It was where it stood until then, and may have set out since: how fast it was says nothing of how far it came.
        let sets_out = (before.after == 0.0 && after < BY_SPEED_S).then(|| length(straight).round() as u16);
        let mut now = before.after(after, before.changes(after, velocity));
        if let Some(velocity) = velocity {
            now.hears_velocity(velocity);
        }
        let doubts = velocity.is_some() && !self.is_astray;
        self.is_astray = now.hears_position(accuracy_m(to) * POSITION, doubts);
        self.steers = velocity.is_some();
        now.way_m = std::mem::replace(&mut self.next_m, to.way_m).or(sets_out.and_then(NonZeroU16::new));
        self.last = to.place.at;
        self.held.reserve_exact(1);
        self.held.push(now);
        if self.held.len() > LAG + 1 {
            self.settle_one();
        }
    }

    /// Up to the last fix but so many; those that are smoothed for good are in it.
    pub fn metres_but(&self, last: usize) -> f64 {
        let smoothed = self.smoothed();
        let held = &smoothed[..self.held.len().saturating_sub(last)];
        let pieces = held.windows(2).map(|ends| self.piece_m(ends[0], ends[1]));
        self.metres + self.first_piece_m(held.first()) + pieces.sum::<f64>()
    }

    fn settle_one(&mut self) {
        let first = self.smoothed()[0];
        self.metres += self.first_piece_m(Some(&first));
        let Estimate { at: [east, north], goes: [goes_east, goes_north], .. } = first;
        self.settled = [east, north, goes_east, goes_north];
        self.held.remove(0);
    }

    /// From the last one that is smoothed for good, where there is one.
    fn first_piece_m(&self, to: Option<&Estimate>) -> f64 {
        let Some(to) = to.filter(|to| to.after > 0.0) else { return 0.0 };
        let [east, north, goes_east, goes_north] = self.settled;
        let from = Estimate { at: [east, north], goes: [goes_east, goes_north], ..Estimate::default() };
        self.piece_m(from, *to)
    }

    fn piece_m(&self, from: Estimate, to: Estimate) -> f64 {
        if let Some(metres) = to.way_m {
            return metres.get().into();
        }
        let straight = difference(to.at, from.at);
        if !self.steers {
            return length(straight);
        }
        let carried = [from, to].map(|end| end.goes.map(|goes| f64::from(goes * to.after)));
        let metres = between(straight, carried, f64::from(to.after) / BY_SPEED_S);
        // By the faster of its ends it comes no further.
        let fastest = carried.map(length).into_iter().fold(0.0, f64::max);
        metres + turns_m(metres, to.after.into(), to.changes.into()).min((fastest - metres).max(0.0))
    }

    /// Each that is held by all behind it.
    fn smoothed(&self) -> [Estimate; LAG + 2] {
        let mut smoothed = [Estimate::default(); LAG + 2];
        let count = self.held.len().min(LAG + 2);
        smoothed[..count].copy_from_slice(&self.held[..count]);
        for nth in (1..count).rev() {
            smoothed[nth - 1] = smoothed[nth - 1].smoothed_by(&smoothed[nth]);
        }
        smoothed
    }

    /// From now on everything is relative to a place that lies there.
    fn carry(&mut self, [east, north]: Metres, here: Position) {
        let (east, north) = (east as f32, north as f32);
        for held in &mut self.held {
            held.at = [held.at[0] - east, held.at[1] - north];
        }
        self.settled[0] -= east;
        self.settled[1] -= north;
        self.here = here;
    }
}

impl Estimate {
    /// How much its velocity may change until one that is heard so many seconds later, m²/s³.
    fn changes(&self, seconds: f64, velocity: Option<Metres>) -> f64 {
        let [least_s, most_s] = CHANGES_FOR_S;
        let times = velocity.map_or(1.0, |velocity| {
            let fastest = length(velocity).max(length(self.goes.map(f64::from)));
            let least = (seconds / GOES_WITHIN_S).powi(4).clamp(LEAST_CHANGES, MOST_CHANGES);
            (fastest / STEADY_MPS).powi(2).clamp(least, MOST_CHANGES)
        });
        CHANGES * seconds.clamp(least_s, most_s) * times
    }

    /// So many seconds later, before anything is heard then.
    fn after(&self, seconds: f64, changes: f64) -> Self {
        let [place, both, velocity] = self.sure.map(f64::from);
        let sure = [
            place + 2.0 * seconds * both + seconds * seconds * velocity + changes * seconds.powi(3) / 3.0,
            both + seconds * velocity + changes * seconds * seconds / 2.0,
            velocity + changes * seconds,
        ];
        let at = [0, 1].map(|axis| self.at[axis] + self.goes[axis] * seconds as f32);
        Self {
            after: seconds as f32,
            way_m: None,
            changes: changes as f32,
            at,
            goes: self.goes,
            sure: sure.map(|sure| sure as f32),
        }
    }

    fn hears_velocity(&mut self, velocity: Metres) {
        let [place, both, own] = self.sure;
        let all = own + VELOCITY_MPS.powi(2) as f32;
        let off = [0, 1].map(|axis| velocity[axis] as f32 - self.goes[axis]);
        self.corrected(off, [both / all, own / all]);
        let left = 1.0 - own / all;
        self.sure = [place - both * both / all, both * left, own * left];
    }

    /// That it is at the last fix, which is so sure. Whether that was far from where it should be, if it is doubted at all.
    fn hears_position(&mut self, deviation_m: f64, doubts: bool) -> bool {
        let [place, both, velocity] = self.sure;
        let off = self.at.map(|metres| -metres);
        let squared = off[0] * off[0] + off[1] * off[1];
        let mut unsure = (deviation_m * deviation_m) as f32;
        let deviations = (squared / (place + unsure)).sqrt();
        let is_astray = doubts && deviations > ASTRAY as f32;
        if is_astray {
            unsure = squared * deviations / ASTRAY as f32;
        }
        let all = place + unsure;
        self.corrected(off, [place / all, both / all]);
        let left = unsure / all;
        self.sure = [place * left, both * left, velocity - both * both / all];
        is_astray
    }

    fn corrected(&mut self, off: [f32; 2], [place, velocity]: [f32; 2]) {
        for (axis, off) in off.into_iter().enumerate() {
            self.at[axis] += place * off;
            self.goes[axis] += velocity * off;
        }
    }

    /// By what the next one is known to be.
    fn smoothed_by(&self, next: &Self) -> Self {
        let ahead = self.after(next.after.into(), next.changes.into());
        let seconds = f64::from(next.after);
        let [place, both, velocity] = self.sure.map(f64::from);
        let [far, cross, fast] = ahead.sure.map(f64::from);
        let scale = 1.0 / (far * fast - cross * cross).max(f64::MIN_POSITIVE);
        let gain = |a: f64, b: f64| [(a * fast - b * cross) * scale, (b * far - a * cross) * scale];
        let of_place = gain(place + seconds * both, both).map(|gain| gain as f32);
        let of_velocity = gain(both + seconds * velocity, velocity).map(|gain| gain as f32);
        let mut smoothed = *self;
        for axis in 0..2 {
            let off = [next.at[axis] - ahead.at[axis], next.goes[axis] - ahead.goes[axis]];
            smoothed.at[axis] += of_place[0] * off[0] + of_place[1] * off[1];
            smoothed.goes[axis] += of_velocity[0] * off[0] + of_velocity[1] * off[1];
        }
        smoothed
    }
}

impl Speeds {
    /// It is so many metres and seconds further on.
    pub fn hears(&mut self, straight: Metres, seconds: f64, to: &Moment) {
        let Some(speed) = to.speed_mps().filter(|_| 0.0 < seconds && seconds <= COMPARED_S) else { return };
        let (accuracy, fast, told) = (accuracy_m(to), COMPARED_MPS * seconds, speed * seconds);
        // Who stands between high buildings wavers by metres a second.
        let gone = length(straight) - if told < fast { accuracy } else { 0.0 };
        if accuracy > COMPARED_M || told.max(gone) < fast {
            return;
        }
        self.told_m += told as f32;
        // One that is far astray says little.
        self.gone_m += gone.min(3.0 * told + 2.0 * fast) as f32;
        if self.told_m + self.gone_m > COMPARED_OVER_M {
            (self.told_m, self.gone_m) = (self.told_m / 2.0, self.gone_m / 2.0);
        }
    }

    /// They are in metres a second, and not always zero.
    pub fn hold(&self) -> bool {
        let Self { told_m, gone_m } = *self;
        told_m.min(gone_m) + ALIKE_M >= told_m.max(gone_m) * ALIKE
    }

    pub fn are_unknown(&self) -> bool {
        *self == Self::default()
    }
}

fn accuracy_m(moment: &Moment) -> f64 {
    moment.place.accuracy_m().unwrap_or(NO_ACCURACY_M).max(LEAST_ACCURACY_M)
}

fn difference(to: [f32; 2], from: [f32; 2]) -> Metres {
    [f64::from(to[0]) - f64::from(from[0]), f64::from(to[1]) - f64::from(from[1])]
}

fn length([east, north]: Metres) -> f64 {
    east.hypot(north)
}

/// From one fix to another, by what they say; `hold`: of speeds that go with the places.
pub(super) fn between_m(from: &Moment, to: &Moment, hold: bool) -> f64 {
    let straight = from.place.position().offset_m(to.place.position());
    let after = to.place.at.since(from.place.at).as_secs_f64();
    match from.velocity().zip(to.velocity()).filter(|_| hold) {
        Some((leaves, arrives)) => between(
            straight,
            [leaves, arrives].map(|goes| goes.map(|mps| mps * after)),
            after / BY_SPEED_RAW_S,
        ),
        None => length(straight),
    }
}

/// A way that leads so far, and leaves and arrives with these velocities (metres for all of it), in so many times that in
/// which half is by their speed.
fn between(straight: Metres, carried: [Metres; 2], times: f64) -> f64 {
    let by_speed = 1.0 / (1.0 + times.powi(4));
    let [leaves, arrives] = carried.map(length);
    by_speed * (leaves + arrives) / 2.0 + (1.0 - by_speed) * curve_m(straight, carried)
}

/// How much longer a way is than its curve, which is the mean of all that lead there: a velocity that changes so much, and
/// is known at both ends with the places, has a variance of a fifteenth of that times the time in the mean, and what it does
/// across the way makes it longer by half its square in that of the speed.
fn turns_m(metres: f64, seconds: f64, changes: f64) -> f64 {
    let turns = TURNS * changes * seconds.powi(3) / (30.0 * metres.max(f64::MIN_POSITIVE));
    turns.min(MOST_TURNS * metres)
}

/// How long the cubic curve is that leads so far, and leaves and arrives with these velocities (metres for all of it).
fn curve_m(straight: Metres, carried: [Metres; 2]) -> f64 {
    let most = length(straight) * BENDS;
    let [leaves, arrives] = carried.map(|carries| {
        let part = (most / length(carries).max(f64::MIN_POSITIVE)).min(1.0);
        carries.map(|metres| metres * part)
    });
    let at = |part: f64| {
        let (squared, cubed) = (part * part, part * part * part);
        [0, 1].map(|axis| {
            (3.0 * squared - 2.0 * cubed) * straight[axis]
                + (cubed - 2.0 * squared + part) * leaves[axis]
                + (cubed - squared) * arrives[axis]
        })
    };
    let points = (0..=PIECES).map(|nth| at(f64::from(nth) / f64::from(PIECES)));
    let (mut before, mut metres) = ([0.0; 2], 0.0);
    for point in points {
        metres += length([point[0] - before[0], point[1] - before[1]]);
        before = point;
    }
    metres
}

impl Way {
    fn bytes(&self) -> Vec<u8> {
        let units = |degrees: f64| ((degrees * UNITS_A_DEGREE).round() as i32).to_be_bytes();
        let mut bytes = Vec::with_capacity(HEAD + EACH * self.held.len());
        bytes.extend(self.metres.to_be_bytes());
        bytes.extend(self.last.as_micros().to_be_bytes());
        bytes.extend([units(self.here.lat), units(self.here.lon)].as_flattened());
        bytes.extend(metres_of(self.next_m));
        let flag = |is_so: bool, flag: u8| if is_so { flag } else { 0 };
        bytes.push(flag(self.is_astray, ASTRAY_FLAG) | flag(self.steers, STEERS_FLAG) | WHOLE_FLAG);
        let Speeds { told_m, gone_m } = self.speeds;
        let numbers = self.settled.into_iter().chain([told_m, gone_m]);
        bytes.extend(numbers.flat_map(f32::to_be_bytes));
        for Estimate { after, way_m, changes, at: [a, b], goes: [c, d], sure: [e, f, g] } in &self.held {
            bytes.extend([after, a, b, c, d, e, f, g].into_iter().flat_map(|number| number.to_be_bytes()));
            bytes.extend(metres_of(*way_m));
            bytes.extend(changes.to_be_bytes());
        }
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let metres = f64::from_be_bytes(taken(&mut rest)?);
        let last = Timestamp::from_micros(i64::from_be_bytes(taken(&mut rest)?));
        let [lat, lon] = [taken(&mut rest)?, taken(&mut rest)?]
            .map(|units| f64::from(i32::from_be_bytes(units)) / UNITS_A_DEGREE);
        let next_m = NonZeroU16::new(u16::from_be_bytes(taken(&mut rest)?));
        let [flags] = taken(&mut rest)?;
        let is_whole = flags & WHOLE_FLAG != 0;
        let mut settled = [0.0; 4];
        for number in &mut settled {
            *number = f32::from_be_bytes(taken(&mut rest)?);
        }
        let mut speeds = Speeds::default();
        if is_whole {
            speeds.told_m = f32::from_be_bytes(taken(&mut rest)?);
            speeds.gone_m = f32::from_be_bytes(taken(&mut rest)?);
        }
        let mut held = Vec::new();
        while !rest.is_empty() && held.len() <= LAG {
            held.push(Estimate::read(&mut rest, is_whole)?);
        }
        let here = Position { lat, lon };
        Some(Self {
            metres,
            last,
            here,
            next_m,
            is_astray: flags & ASTRAY_FLAG != 0,
            steers: flags & STEERS_FLAG != 0,
            speeds,
            settled,
            held,
        })
    }
}

impl Estimate {
    fn read(rest: &mut &[u8], is_whole: bool) -> Option<Self> {
        let mut numbers = [0.0; 8];
        for number in &mut numbers {
            *number = f32::from_be_bytes(taken(rest)?);
        }
        let way_m = NonZeroU16::new(u16::from_be_bytes(taken(rest)?));
        let [after, a, b, c, d, e, f, g] = numbers;
        let changes = match is_whole {
            true => f32::from_be_bytes(taken(rest)?),
            false => Self::default().changes(after.into(), None) as f32,
        };
        Some(Self { after, way_m, changes, at: [a, b], goes: [c, d], sure: [e, f, g] })
    }
}

fn metres_of(metres: Option<NonZeroU16>) -> [u8; 2] {
    metres.map_or(0, NonZeroU16::get).to_be_bytes()
}

fn taken<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, others) = rest.split_first_chunk()?;
    *rest = others;
    Some(*first)
}

impl Serialize for Way {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        packed::serialize_alike(&self.bytes(), EACH as u8, serializer)
    }
}

impl<'de> Deserialize<'de> for Way {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(&packed::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("no way"))
    }
}

#[cfg(test)]
mod tests;
