//! A town: crossings on a grid that nobody drew with a ruler, streets between them, the quickest way from one to
//! another.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::parameters::{
    BEND_M, BLOCK_M, CANYON_SHARE, CROSSING_BESIDE_M, MAIN_EVERY, MAIN_KMH, STREET_KMH, TUNNELS,
};

/// Metres east and north of the town's middle.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Place {
    pub x: f64,
    pub y: f64,
}

impl Place {
    pub fn distance(self, other: Self) -> f64 {
        (self.x - other.x).hypot(self.y - other.y)
    }

    pub fn towards(self, other: Self, share: f64) -> Self {
        Self { x: self.x + (other.x - self.x) * share, y: self.y + (other.y - self.y) * share }
    }
}

/// What a receiver hears there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sky {
    Open,
    Canyon,
    Indoors,
    /// Nothing.
    None,
}

/// From one crossing to the next.
#[derive(Clone, Debug)]
pub struct Street {
    pub to: usize,
    /// With its bend: three places.
    pub line: [Place; 3],
    pub length_m: f64,
    pub limit_mps: f64,
    pub sky: Sky,
}

pub struct Roads {
    pub crossings: Vec<Place>,
    pub streets: Vec<Vec<Street>>,
}

impl Roads {
    /// `side`: crossings along one side of the town.
    pub fn new(side: usize, dice: &mut ChaCha8Rng) -> Self {
        let half = (side as f64 - 1.0) * BLOCK_M / 2.0;
        let mut beside = || dice.random_range(-CROSSING_BESIDE_M..CROSSING_BESIDE_M);
        let crossings: Vec<Place> = (0..side * side)
            .map(|index| Place {
                x: (index % side) as f64 * BLOCK_M - half + beside(),
                y: (index / side) as f64 * BLOCK_M - half + beside(),
            })
            .collect();
        let mut streets = vec![Vec::new(); crossings.len()];
        for index in 0..crossings.len() {
            let (column, row) = (index % side, index / side);
            let right = (column + 1 < side).then_some((index + 1, row % MAIN_EVERY == 0));
            let above = (row + 1 < side).then_some((index + side, column % MAIN_EVERY == 0));
            for (other, is_main) in [right, above].into_iter().flatten() {
                let (from, to) = (crossings[index], crossings[other]);
                let bend = Place {
                    x: (from.x + to.x) / 2.0 + dice.random_range(-BEND_M..BEND_M),
                    y: (from.y + to.y) / 2.0 + dice.random_range(-BEND_M..BEND_M),
                };
                let is_canyon = bend.x.abs().max(bend.y.abs()) < half * CANYON_SHARE.sqrt();
                let sky = match is_canyon {
                    true => Sky::Canyon,
                    false if is_main && dice.random_bool(TUNNELS) => Sky::None,
                    false => Sky::Open,
                };
                let limit_mps = if is_main { MAIN_KMH } else { STREET_KMH } / 3.6;
                let length_m = from.distance(bend) + bend.distance(to);
                let street = |to, line| Street { to, line, length_m, limit_mps, sky };
                streets[index].push(street(other, [from, bend, to]));
                streets[other].push(street(index, [to, bend, from]));
            }
        }
        Self { crossings, streets }
    }

    /// The quickest way, as the streets that it takes.
    pub fn way(&self, from: usize, to: usize) -> Vec<&Street> {
        let mut best = vec![u64::MAX; self.crossings.len()];
        let mut came: Vec<Option<(usize, usize)>> = vec![None; self.crossings.len()];
        let mut open = BinaryHeap::from([(Reverse(0_u64), from)]);
        best[from] = 0;
        while let Some((Reverse(so_far), at)) = open.pop() {
            if at == to {
                break;
            }
            if so_far > best[at] {
                continue;
            }
            for (nth, street) in self.streets[at].iter().enumerate() {
                let takes = so_far + (street.length_m / street.limit_mps * 1e3) as u64;
                if takes < best[street.to] {
                    best[street.to] = takes;
                    came[street.to] = Some((at, nth));
                    open.push((Reverse(takes), street.to));
                }
            }
        }
        let mut way = Vec::new();
        let mut at = to;
        while let Some((before, nth)) = came[at].filter(|_| at != from) {
            way.push(&self.streets[before][nth]);
            at = before;
        }
        way.reverse();
        way
    }
}
