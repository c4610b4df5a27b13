//! Who acts in a run: the doors with their antennas, the loads with their tags, and the lorry.

use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use std::f64::consts::TAU;

use super::field::{Antenna, Obstacle, Scene, TagAt};
use super::geometry::{Block, Point};
use super::motion::Track;
use super::parameters::*;
use super::scenario::{Carrier, Doors, Load, Motion, Scenario};

/// A read stand's antennas: on both poles, at these heights.
const HEIGHTS_M: [f64; 2] = [0.9, 1.7];
/// The outside row's ports follow the inside row's.
pub(super) struct Door {
    pub y: f64,
    /// In the order of their ports, which count from 1.
    pub antennas: Vec<Antenna>,
}

pub(super) struct Carried {
    pub track: Track,
    pub carrier: Carrier,
    pub motion: Motion,
    pub door: usize,
    loss_db_per_m: f64,
}

pub(super) struct Tag {
    pub load: usize,
    pub asset: usize,
    /// From the middle of the load's foot.
    offset: Point,
    axis: Point,
    pub wakes_dbm: f64,
    pub detuned_db: f64,
    /// How long its flag of the session lasts, and until when it is set.
    pub flag_lasts_s: f64,
    pub flag_until_s: f64,
}

pub(super) struct Lorry {
    x: f64,
    length_m: f64,
    speed_mps: f64,
    start_s: f64,
    from_y: f64,
}

pub(super) struct Cast {
    pub doors: Vec<Door>,
    pub loads: Vec<Carried>,
    pub tags: Vec<Tag>,
    pub assets: usize,
    lorry: Option<Lorry>,
    k_db: f64,
}

/// A generator for each concern, so that one more draw in one of them changes no other.
pub(super) struct Luck {
    pub antennas: ChaCha8Rng,
    pub motion: ChaCha8Rng,
    pub tags: ChaCha8Rng,
    pub inventory: ChaCha8Rng,
    pub noise: ChaCha8Rng,
}

impl Luck {
    pub fn new(seed: u64) -> Self {
        use rand::SeedableRng;
        let stream = |number: u64| {
            let mut dice = ChaCha8Rng::seed_from_u64(seed);
            dice.set_stream(number);
            dice
        };
        Self {
            antennas: stream(1),
            motion: stream(2),
            tags: stream(3),
            inventory: stream(4),
            noise: stream(5),
        }
    }
}

pub(super) fn draw([from, to]: [f64; 2], dice: &mut ChaCha8Rng) -> f64 {
    if from < to { dice.random_range(from..to) } else { from }
}

impl Cast {
    pub fn new(scenario: &Scenario, luck: &mut Luck) -> Self {
        let doors: Vec<Door> = (0..scenario.doors.count)
            .map(|nth| Door::new(nth, &scenario.doors, &mut luck.antennas))
            .collect();
        let k_db = draw(scenario.air.k_db, &mut luck.antennas);
        let lorry = scenario.truck.map(|truck| {
            let dice = &mut luck.motion;
            let way = if dice.random_bool(0.5) { 1.0 } else { -1.0 };
            Lorry {
                x: -draw(truck.away_m, dice),
                length_m: truck.length_m,
                speed_mps: way * draw(truck.speed_mps, dice),
                start_s: draw(truck.start_s, dice),
                from_y: -way * (truck.length_m + 4.0),
            }
        });
        let mut cast = Self { doors, loads: Vec::new(), tags: Vec::new(), assets: 0, lorry, k_db };
        for load in &scenario.loads {
            for _ in 0..load.count {
                cast.add(load, scenario, luck);
            }
        }
        cast
    }

    fn add(&mut self, load: &Load, scenario: &Scenario, luck: &mut Luck) {
        let door_y = self.doors[load.door].y;
        let track = Track::of(load, door_y, scenario.duration_s, &mut luck.motion);
        let loss_db_per_m = draw(load.loss_db_per_m, &mut luck.tags);
        let Load { carrier, motion, door, .. } = *load;
        self.loads.push(Carried { track, carrier, motion, door, loss_db_per_m });
        let number = luck.tags.random_range(load.assets[0]..=load.assets[1]);
        for _ in 0..number {
            for _ in 0..load.tags_per_asset {
                let session = scenario.doors.session;
                let tag = Tag::new(self.loads.len() - 1, self.assets, load, session, &mut luck.tags);
                self.tags.push(tag);
            }
            self.assets += 1;
        }
    }

    /// All that stands in the way at a moment.
    pub fn scene(&self, time_s: f64) -> Scene {
        let mut obstacles = Vec::new();
        for load in &self.loads {
            let Some((x, y)) = load.track.at(time_s) else { continue };
            let (size, from) = size_of(load.carrier);
            let block = Block::around(Point::new(x, y, from + size[2] / 2.0), size);
            obstacles.push(Obstacle { block, db_per_m: load.loss_db_per_m, db: 0.0 });
            let behind = |size: [f64; 3], gap: f64| {
                let back = load.track.forward * (size[0] / 2.0 + gap);
                Block::around(Point::new(x - back, y, size[2] / 2.0), size)
            };
            match load.carrier {
                Carrier::Forklift => {
                    let block = behind(FORKLIFT_M, PALLET_M[0] / 2.0 + 0.1);
                    obstacles.push(Obstacle { block, db_per_m: 0.0, db: FORKLIFT_DB });
                }
                Carrier::Person => {
                    let block = behind(PERSON_M, CARRIED_M[0] / 2.0 + 0.1);
                    obstacles.push(Obstacle { block, db_per_m: 0.0, db: PERSON_DB });
                }
                Carrier::Nothing => {}
            }
        }
        let mirror = self.lorry.as_ref().map(|lorry| {
            let y = lorry.from_y + lorry.speed_mps * (time_s - lorry.start_s).max(0.0);
            (lorry.x, y - lorry.length_m / 2.0, y + lorry.length_m / 2.0)
        });
        let doors = self.doors.iter().map(|door| door.y).collect();
        Scene { obstacles, mirror, doors, k_db: self.k_db, time_s }
    }

    pub fn tag_at(&self, tag: &Tag, time_s: f64) -> Option<TagAt> {
        let (x, y) = self.loads[tag.load].track.at(time_s)?;
        Some(TagAt { at: Point::new(x, y, 0.0) + tag.offset, axis: tag.axis })
    }
}

pub(super) fn size_of(carrier: Carrier) -> ([f64; 3], f64) {
    match carrier {
        Carrier::Forklift | Carrier::Nothing => (PALLET_M, PALLET_FROM_M),
        Carrier::Person => (CARRIED_M, CARRIED_FROM_M),
    }
}

impl Door {
    fn new(nth: usize, doors: &Doors, dice: &mut ChaCha8Rng) -> Self {
        let y = nth as f64 * doors.apart_m;
        let mut antennas = Vec::new();
        for row in 0..doors.rows {
            // The first row looks inside.
            let inward = if row == 0 { 1.0 } else { -1.0 };
            let turned = doors.turned_deg.to_radians();
            for (pole, height) in [-1.0, 1.0].into_iter().zip(HEIGHTS_M) {
                let at = Point::new(inward * doors.row_m, y + pole * POLE_Y_M, height);
                let looks = Point::new(inward * turned.sin(), -pole * turned.cos(), 0.0);
                antennas.push(Antenna::new(at, looks, dice));
            }
        }
        Self { y, antennas }
    }
}

impl Tag {
    fn new(load: usize, asset: usize, of: &Load, session: u8, dice: &mut ChaCha8Rng) -> Self {
        let (size, from) = size_of(of.carrier);
        // On one of the four sides of the load, a little under its surface.
        let faces = [(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)];
        let (out_x, out_y) = faces.choose(dice).copied().unwrap_or_default();
        let place = |half: f64, out: f64, dice: &mut ChaCha8Rng| {
            if out == 0.0 {
                dice.random_range(-half..half)
            } else {
                out * (half - dice.random_range(0.0..0.08))
            }
        };
        let (x, y) = (place(size[0] / 2.0, out_x, dice), place(size[1] / 2.0, out_y, dice));
        let offset = Point::new(x, y, from + size[2] * dice.random_range(0.1..0.95));
        let tilt = dice.random_range(0.0..TAU);
        let axis = if of.level {
            Point::new(-out_y, out_x, 0.0)
        } else {
            // In the plane of its side, and bent out of it a little.
            let bent = dice.random_range(-0.3..0.3);
            let along = Point::new(-out_y, out_x, 0.0) * tilt.cos();
            along + Point::new(out_x * bent, out_y * bent, tilt.sin())
        };
        let lasts = match session {
            0 => [0.0, 0.0],
            1 => S1_LASTS_S,
            _ => S2_LASTS_S,
        };
        Self {
            load,
            asset,
            offset,
            axis: axis.unit(),
            wakes_dbm: draw(TAG_DBM, dice),
            detuned_db: draw(of.detuning_db, dice),
            flag_lasts_s: draw(lasts, dice),
            flag_until_s: f64::NEG_INFINITY,
        }
    }
}
