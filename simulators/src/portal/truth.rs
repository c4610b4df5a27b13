//! What is true of a run: who passed which door when, and who did not.

use serde::Serialize;

use super::Barrier;
use super::cast::{Carried, Cast, size_of};
use super::parameters::{BEAM_HEIGHT_M, DOOR_HALF_WIDTH_M, FORKLIFT_M, PALLET_M, PASSED_M, PERSON_M};
use super::scenario::{Carrier, Motion};

/// How often motion is looked at.
const TICK_S: f64 = 0.01;
/// Where the light barriers are, either side of the door's plane.
const BEAM_X_M: f64 = 0.35;

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Asset {
    /// Its tags.
    pub tags: Vec<usize>,
    /// The door that it is at, or next to.
    pub door: usize,
    pub kind: Kind,
    /// In order of time.
    pub passages: Vec<Crossing>,
    /// The load it is part of.
    pub load: usize,
}

/// What an asset does on the whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Passes,
    TurnsBack,
    Stands,
    /// Goes by without a door of its own.
    GoesBy,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Crossing {
    /// When it was in the door's plane, for the last time.
    pub at_us: i64,
    /// When it was last clear of the door on the one side, and first on the other.
    pub from_us: i64,
    pub to_us: i64,
    pub inward: bool,
}

pub(super) fn assets(cast: &Cast, ends_s: f64) -> Vec<Asset> {
    let passages: Vec<Vec<Crossing>> = cast.loads.iter().map(|load| passages(load, ends_s)).collect();
    let mut assets: Vec<Asset> = Vec::new();
    for (number, tag) in cast.tags.iter().enumerate() {
        if let Some(asset) = assets.get_mut(tag.asset) {
            asset.tags.push(number);
            continue;
        }
        let load = &cast.loads[tag.load];
        let passages = passages[tag.load].clone();
        let kind = kind(load.motion, passages.is_empty());
        assets.push(Asset { tags: vec![number], door: load.door, kind, passages, load: tag.load });
    }
    assets
}

fn kind(motion: Motion, passes_nowhere: bool) -> Kind {
    match motion {
        _ if !passes_nowhere => Kind::Passes,
        Motion::StagedInside | Motion::StagedOutside | Motion::LoadOut => Kind::Stands,
        Motion::AlongInside | Motion::AlongOutside => Kind::GoesBy,
        _ => Kind::TurnsBack,
    }
}

/// From clearly on one side to clearly on the other; the moment is the last one in the door's plane.
fn passages(load: &Carried, ends_s: f64) -> Vec<Crossing> {
    let mut passages = Vec::new();
    let us = |seconds: f64| (seconds * 1e6) as i64;
    let (mut side, mut plane_s, mut clear_s, mut last_x) = (0.0, 0.0, 0.0, None::<f64>);
    for tick in 0..(ends_s / TICK_S) as i64 {
        let time_s = tick as f64 * TICK_S;
        let Some((x, _)) = load.track.at(time_s) else { continue };
        if last_x.is_some_and(|last| (last < 0.0) != (x < 0.0)) {
            plane_s = time_s;
        }
        last_x = Some(x);
        if x.abs() >= PASSED_M {
            if side != 0.0 && side != x.signum() {
                let [at_us, from_us, to_us] = [plane_s, clear_s, time_s].map(us);
                passages.push(Crossing { at_us, from_us, to_us, inward: x > 0.0 });
            }
            (side, clear_s) = (x.signum(), time_s);
        }
    }
    passages
}

/// When the light of each door's two barriers is broken.
pub(super) fn barriers(cast: &Cast, ends_s: f64) -> Vec<Barrier> {
    let mut barriers = Vec::new();
    let mut broken = vec![[false; 2]; cast.doors.len()];
    for tick in 0..(ends_s / TICK_S) as i64 {
        let time_s = tick as f64 * TICK_S;
        for (number, door) in cast.doors.iter().enumerate() {
            for (nth, x) in [-BEAM_X_M, BEAM_X_M].into_iter().enumerate() {
                let now = cast.loads.iter().any(|load| stands_in(load, time_s, x, door.y));
                if std::mem::replace(&mut broken[number][nth], now) != now {
                    let at_us = (time_s * 1e6) as i64;
                    barriers.push(Barrier { at_us, door: number, port: nth as u16 + 1, broken: now });
                }
            }
        }
    }
    barriers
}

fn stands_in(load: &Carried, time_s: f64, x: f64, door_y: f64) -> bool {
    let Some((at, y)) = load.track.at(time_s) else { return false };
    let (size, from) = size_of(load.carrier);
    let half_door = DOOR_HALF_WIDTH_M + size[1] / 2.0;
    if (y - door_y).abs() > half_door {
        return false;
    }
    let low = from <= BEAM_HEIGHT_M && (at - x).abs() <= size[0] / 2.0;
    let vehicle = match load.carrier {
        Carrier::Forklift => Some((PALLET_M[0] / 2.0 + 0.1, FORKLIFT_M[0])),
        Carrier::Person => Some((size[0] / 2.0 + 0.1, PERSON_M[0])),
        Carrier::Nothing => None,
    };
    let behind = vehicle.is_some_and(|(gap, length)| {
        let middle = at - load.track.forward * (gap + length / 2.0);
        (middle - x).abs() <= length / 2.0
    });
    low || behind
}
