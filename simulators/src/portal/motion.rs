//! Where a load is at each moment: legs between stops, begun and ended with a vehicle's acceleration.
//!
//! A load comes from beyond the antennas' reach and goes there again, unless it stays.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::parameters::ACCELERATION_MPS2;
use super::scenario::{Load, Motion};
use crate::scenario_file::Range;

/// Where those that come and go begin and end.
const FAR_M: f64 = 11.0;
/// Where what stands near a door stands, and what is set down: behind the lines that keep a door free.
const STANDS_M: Range = [2.0, 4.5];
const BEYOND_M: Range = [2.5, 7.0];
const TICK_S: f64 = 0.01;

/// A place for every hundredth of a second, from `from_s` on.
#[derive(Clone, PartialEq, Debug)]
pub struct Track {
    from_s: f64,
    places: Vec<(f64, f64)>,
    /// It stays where it is at the end; otherwise it is gone.
    stays: bool,
    /// Which way it faces: the vehicle is behind.
    pub forward: f64,
}

impl Track {
    pub fn at(&self, time_s: f64) -> Option<(f64, f64)> {
        let tick = (time_s - self.from_s) / TICK_S;
        if tick < 0.0 {
            return None;
        }
        let index = tick as usize;
        match (self.places.get(index), self.places.get(index + 1)) {
            (Some(a), Some(b)) => {
                let share = tick - index as f64;
                Some((a.0 + (b.0 - a.0) * share, a.1 + (b.1 - a.1) * share))
            }
            _ => self.places.last().copied().filter(|_| self.stays),
        }
    }

    /// Of a load of a scenario, at a door whose middle is at `door_y`.
    pub fn of(load: &Load, door_y: f64, ends_s: f64, dice: &mut ChaCha8Rng) -> Self {
        let mut draw = |[from, to]: Range| if from < to { dice.random_range(from..to) } else { from };
        let start = draw(load.start_s);
        let mut path = Path::new(draw(load.speed_mps));
        let y = door_y + draw(load.lateral_m);
        let (turn, pause) = (draw(load.turn_m), draw(load.pause_s));
        let (beyond, stands) = (draw(BEYOND_M), draw(STANDS_M));
        // To either side of the way through the door.
        let aside = draw([1.3, 2.6]) * if draw([0.0, 1.0]) < 0.5 { -1.0 } else { 1.0 };
        let along = draw([2.0, 5.0]);
        let sign = match load.motion {
            Motion::In | Motion::InOut | Motion::TurnOutside | Motion::ReverseIn | Motion::ParkIn => 1.0,
            Motion::SetDown | Motion::StagedOutside | Motion::AlongInside => 1.0,
            _ => -1.0,
        };
        let (far, mut forward) = (-FAR_M * sign, sign);
        let mut stays = false;
        match load.motion {
            Motion::In | Motion::Out => path.from(far, y).to(-far, y),
            Motion::InOut | Motion::OutIn => path.from(far, y).to(beyond * sign, y).wait(pause).to(far, y),
            Motion::TurnInside | Motion::TurnOutside => {
                path.from(far, y).to(-turn * sign, y).wait(pause).to(far, y)
            }
            Motion::ReverseIn | Motion::ReverseOut => path
                .from(far, y)
                .to(turn * sign, y)
                .wait(pause / 2.0)
                .to(-(1.6 + turn) * sign, y)
                .wait(pause / 2.0)
                .to(-far, y),
            Motion::ParkIn | Motion::ParkOut => {
                path.from(far, y).to((turn - 0.8) * sign, y).wait(pause).to(-far, y)
            }
            Motion::StagedInside | Motion::StagedOutside => {
                stays = true;
                path.from(-stands * sign, door_y + aside)
            }
            Motion::LoadOut => {
                let mut begins = path.from(stands, door_y + aside).wait(start + pause);
                begins = begins.to(stands.max(3.0) + 1.0, y).to(-FAR_M, y);
                begins
            }
            Motion::SetDown => {
                stays = true;
                path.from(far, y).to(stands + 0.5, y).to(stands, door_y + aside)
            }
            Motion::AlongInside | Motion::AlongOutside => {
                let x = along * if load.motion == Motion::AlongInside { 1.0 } else { -1.0 };
                forward = 0.0;
                let way = if aside > 0.0 { 1.0 } else { -1.0 };
                path.from(x, door_y - 14.0 * way).to(x, door_y + 14.0 * way)
            }
        };
        let from_s = match load.motion {
            Motion::StagedInside | Motion::StagedOutside | Motion::LoadOut => 0.0,
            _ => start,
        };
        let most = ((ends_s - from_s).max(0.0) / TICK_S) as usize + 2;
        path.places.truncate(most);
        Self { from_s, places: path.places, stays, forward }
    }
}

struct Path {
    speed_mps: f64,
    places: Vec<(f64, f64)>,
}

impl Path {
    fn new(speed_mps: f64) -> Self {
        Self { speed_mps, places: Vec::new() }
    }

    fn from(&mut self, x: f64, y: f64) -> &mut Self {
        self.places.push((x, y));
        self
    }

    fn wait(&mut self, seconds: f64) -> &mut Self {
        let place = self.places.last().copied().unwrap_or_default();
        self.places.extend(std::iter::repeat_n(place, (seconds / TICK_S) as usize));
        self
    }

    /// Straight there, starting from rest and coming to rest.
    fn to(&mut self, x: f64, y: f64) -> &mut Self {
        let (from_x, from_y) = self.places.last().copied().unwrap_or_default();
        let length = (x - from_x).hypot(y - from_y);
        let ramp = (self.speed_mps.powi(2) / ACCELERATION_MPS2).min(length) / 2.0;
        let top = (2.0 * ACCELERATION_MPS2 * ramp).sqrt();
        let (ramp_s, level_s) = (top / ACCELERATION_MPS2, (length - 2.0 * ramp) / top.max(1e-6));
        let whole_s = 2.0 * ramp_s + level_s;
        let ticks = (whole_s / TICK_S).ceil() as usize;
        for tick in 1..=ticks {
            let t = (tick as f64 * TICK_S).min(whole_s);
            let gone = if t < ramp_s {
                ACCELERATION_MPS2 * t * t / 2.0
            } else if t < ramp_s + level_s {
                ramp + top * (t - ramp_s)
            } else {
                length - ACCELERATION_MPS2 * (whole_s - t).powi(2) / 2.0
            };
            let share = if length > 0.0 { gone / length } else { 1.0 };
            self.places.push((from_x + (x - from_x) * share, from_y + (y - from_y) * share));
        }
        self
    }
}
