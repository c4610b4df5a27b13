//! Who acts in a run: readers above zones, tags that lie there and are carried elsewhere, people who walk about.

use rand::RngExt;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::f64::consts::TAU;

use super::scenario::{Hall, Mount, Readers, Scenario, Tags};
use super::{Move, Stay};
use crate::portal::field::{Antenna, Obstacle, Scene, TagAt};
use crate::portal::geometry::{Block, Point};
use crate::portal::parameters::*;
use crate::scenario_file::Range;

/// A rack's depth and height, and how near to a zone's edge it ends. Assumed; of the size that is sold.
const RACK_M: [f64; 2] = [0.9, 2.2];
const RACK_ENDS_M: f64 = 1.0;
/// Heights at which tags lie.
const LIES_M: Range = [0.3, 2.0];
/// Antennas at the edge of a zone hang as high as a person can see under, and are turned down so far.
const EDGE_HEIGHT_M: f64 = 2.4;
const EDGE_DOWN: f64 = 0.25;
/// Who carries something holds it this far before them.
const CARRIES_M: f64 = 0.4;
/// People stand for so long before they walk on.
const STANDS_S: Range = [1.0, 30.0];
const WALL_M: f64 = 0.15;

/// A generator for each concern, so that one more draw in one of them changes no other.
pub(super) struct Luck {
    pub hall: ChaCha8Rng,
    pub tags: ChaCha8Rng,
    pub moves: ChaCha8Rng,
    pub inventory: ChaCha8Rng,
}

impl Luck {
    pub fn new(seed: u64) -> Self {
        let stream = |number: u64| {
            let mut dice = ChaCha8Rng::seed_from_u64(seed);
            dice.set_stream(number);
            dice
        };
        Self { hall: stream(1), tags: stream(2), moves: stream(3), inventory: stream(4) }
    }
}

fn draw([from, to]: Range, dice: &mut ChaCha8Rng) -> f64 {
    if from < to { dice.random_range(from..to) } else { from }
}

/// From a place at one time to another at another; where both are the same, it stands.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Leg {
    from_s: f64,
    to_s: f64,
    from: Point,
    to: Point,
}

impl Leg {
    fn at(&self, time_s: f64) -> Point {
        let share = ((time_s - self.from_s) / (self.to_s - self.from_s).max(1e-9)).clamp(0.0, 1.0);
        self.from + (self.to - self.from) * share
    }
}

/// Legs in order of time; between two of them, nowhere.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Way(Vec<Leg>);

impl Way {
    fn leg(&self, time_s: f64) -> Option<&Leg> {
        let next = self.0.partition_point(|leg| leg.to_s <= time_s);
        self.0.get(next).filter(|leg| leg.from_s <= time_s)
    }

    fn at(&self, time_s: f64) -> Option<Point> {
        self.leg(time_s).map(|leg| leg.at(time_s))
    }

    fn stand(&mut self, at: Point, from_s: f64, to_s: f64) {
        self.0.push(Leg { from_s, to_s, from: at, to: at });
    }

    /// Walks there; when it arrives.
    fn walk(&mut self, from: Point, to: Point, from_s: f64, speed_mps: f64) -> f64 {
        let to_s = from_s + (to - from).length() / speed_mps;
        self.0.push(Leg { from_s, to_s, from, to });
        to_s
    }
}

pub(super) struct Tag {
    way: Way,
    axis: Point,
    pub wakes_dbm: f64,
    pub detuned_db: f64,
    pub flag_lasts_s: f64,
    pub flag_until_s: f64,
    pub stays: Vec<Stay>,
    pub moves: Vec<Move>,
}

pub(super) struct Reader {
    pub antennas: Vec<Antenna>,
    pub power_dbm: f64,
}

pub(super) struct Stage {
    pub readers: Vec<Reader>,
    pub tags: Vec<Tag>,
    people: Vec<Way>,
    fixed: Vec<Obstacle>,
    k_db: f64,
}

impl Stage {
    pub fn new(scenario: &Scenario, luck: &mut Luck) -> Self {
        let Scenario { hall, readers, tags, duration_s, .. } = scenario;
        let k_db = draw(hall.k_db, &mut luck.hall);
        let fixed = fixed(hall, &mut luck.hall);
        let readers =
            (0..hall.zones()).map(|zone| Reader::new(zone, hall, readers, &mut luck.hall)).collect();
        let people = (0..scenario.people).map(|_| walk_about(hall, *duration_s, &mut luck.moves)).collect();
        let session = scenario.readers.session;
        let tags = (0..tags.count).map(|_| Tag::new(hall, tags, session, *duration_s, luck)).collect();
        Self { readers, tags, people, fixed, k_db }
    }

    /// All that stands in the way at a moment. Who carries a tag stands behind it.
    pub fn scene(&self, time_s: f64) -> Scene {
        let person = |foot: Point| {
            let centre = Point::new(foot.x, foot.y, PERSON_M[2] / 2.0);
            Obstacle { block: Block::around(centre, PERSON_M), db_per_m: 0.0, db: PERSON_DB }
        };
        let carriers = self.tags.iter().filter_map(|tag| {
            let leg = tag.way.leg(time_s).filter(|leg| leg.from != leg.to)?;
            let ahead = leg.to - leg.from;
            Some(leg.at(time_s) + Point::new(ahead.x, ahead.y, 0.0).unit() * -CARRIES_M)
        });
        let walkers = self.people.iter().filter_map(|way| way.at(time_s));
        let obstacles = self.fixed.iter().copied().chain(walkers.chain(carriers).map(person)).collect();
        Scene { obstacles, k_db: self.k_db, time_s, ..Scene::default() }
    }

    pub fn tag_at(&self, tag: usize, time_s: f64) -> Option<TagAt> {
        let tag = &self.tags[tag];
        tag.way.at(time_s).map(|at| TagAt { at, axis: tag.axis })
    }
}

/// Where a zone begins. The hall lies where x is positive: the portal's wall is at 0.
fn corner(zone: usize, hall: &Hall) -> Point {
    let (column, row) = ((zone % hall.columns) as f64, (zone / hall.columns) as f64);
    let [width, depth] = hall.zone_m.map(|length| length + hall.gap_m);
    Point::new(1.0 + column * width, row * depth, 0.0)
}

fn place(zone: usize, hall: &Hall, edge_m: f64, dice: &mut ChaCha8Rng) -> Point {
    let [x, y] = hall.zone_m.map(|length| dice.random_range(edge_m..length - edge_m));
    corner(zone, hall) + Point::new(x, y, draw(LIES_M, dice))
}

/// Racks and walls.
fn fixed(hall: &Hall, dice: &mut ChaCha8Rng) -> Vec<Obstacle> {
    let [width, depth] = hall.zone_m;
    let mut fixed = Vec::new();
    for zone in 0..hall.zones() {
        let at = corner(zone, hall);
        let centre = at + Point::new(width / 2.0, depth / 2.0, RACK_M[1] / 2.0);
        let size = [RACK_M[0], (depth - 2.0 * RACK_ENDS_M).max(0.5), RACK_M[1]];
        let db_per_m = draw(hall.rack_db_per_m, dice);
        fixed.push(Obstacle { block: Block::around(centre, size), db_per_m, db: 0.0 });
        if hall.walls {
            let wall = |centre: Point, size: [f64; 3]| Obstacle {
                block: Block::around(centre, size),
                db_per_m: 0.0,
                // The loss is that of 0.2 m; a thinner wall takes as much.
                db: WALL_DB * 0.2 / WALL_M,
            };
            fixed.push(wall(at + Point::new(0.0, depth / 2.0, 3.0), [WALL_M, depth, 6.0]));
            fixed.push(wall(at + Point::new(width / 2.0, 0.0, 3.0), [width, WALL_M, 6.0]));
        }
    }
    fixed
}

fn walk_about(hall: &Hall, until_s: f64, dice: &mut ChaCha8Rng) -> Way {
    let spot = |dice: &mut ChaCha8Rng| {
        let mut at = place(dice.random_range(0..hall.zones()), hall, 0.0, dice);
        at.z = 0.0;
        at
    };
    let (mut way, mut at, mut now_s) = (Way::default(), spot(dice), 0.0);
    while now_s < until_s {
        let stands_s = draw(STANDS_S, dice);
        way.stand(at, now_s, now_s + stands_s);
        let to = spot(dice);
        now_s = way.walk(at, to, now_s + stands_s, 1.2);
        at = to;
    }
    way
}

impl Reader {
    fn new(zone: usize, hall: &Hall, readers: &Readers, dice: &mut ChaCha8Rng) -> Self {
        let [width, depth] = hall.zone_m;
        let at = corner(zone, hall);
        let number = readers.antennas as f64;
        let antennas = (0..readers.antennas).map(|nth| {
            let along = (nth as f64 + 0.5) / number;
            match readers.mount {
                Mount::Ceiling => {
                    let at = at + Point::new(width / 2.0, depth * along, readers.height_m);
                    Antenna::new(at, Point::new(0.0, 0.0, -1.0), dice)
                }
                Mount::Edge => {
                    let at = at + Point::new(width * along, 0.3, EDGE_HEIGHT_M);
                    Antenna::new(at, Point::new(0.0, 1.0, -EDGE_DOWN), dice)
                }
            }
        });
        let antennas = antennas.collect();
        let off = draw([-readers.power_off_db, readers.power_off_db], dice);
        Self { antennas, power_dbm: (readers.power_dbm + off).min(33.0) }
    }
}

impl Tag {
    fn new(hall: &Hall, of: &Tags, session: u8, until_s: f64, luck: &mut Luck) -> Self {
        let dice = &mut luck.tags;
        let (round, up) = (dice.random_range(0.0..TAU), dice.random_range(-1.0_f64..1.0));
        let level = (1.0 - up * up).sqrt();
        let lasts = match session {
            0 => [0.0, 0.0],
            1 => S1_LASTS_S,
            _ => S2_LASTS_S,
        };
        let mut tag = Self {
            way: Way::default(),
            axis: Point::new(level * round.cos(), level * round.sin(), up),
            wakes_dbm: draw(TAG_DBM, dice),
            detuned_db: draw(of.detuning_db, dice),
            flag_lasts_s: draw(lasts, dice),
            flag_until_s: f64::NEG_INFINITY,
            stays: Vec::new(),
            moves: Vec::new(),
        };
        tag.live(hall, of, until_s, &mut luck.moves);
        tag
    }

    /// Lies in a zone, is carried to another or away, and so on.
    fn live(&mut self, hall: &Hall, of: &Tags, until_s: f64, dice: &mut ChaCha8Rng) {
        let zones = hall.zones();
        let mut zone = dice.random_range(0..zones);
        let mut at = place(zone, hall, of.edge_m, dice);
        // As if it had lain there for a while.
        let mut now_s = 0.0;
        let mut rests_s = draw(of.rests_s, dice) * dice.random_range(0.2..1.0);
        loop {
            let until = now_s + rests_s;
            self.way.stand(at, now_s, until);
            self.stays.push(Stay { zone, from_s: now_s, to_s: until.min(until_s) });
            if until >= until_s {
                return;
            }
            let leaves = zones == 1 || dice.random_bool(of.leaves);
            let to = if leaves {
                dice.random_range(0..zones)
            } else {
                (zone + dice.random_range(1..zones)) % zones
            };
            let target = place(to, hall, of.edge_m, dice);
            let speed = draw(of.speed_mps, dice);
            if leaves {
                // Out by the hall's edge and in there again.
                let door = Point::new(0.5, at.y, at.z);
                let out_s = self.way.walk(at, door, until, speed);
                self.moves.push(Move { from: Some(zone), to: None, left_s: until, came_s: out_s });
                let back_s = out_s + draw(of.away_s, dice);
                if back_s >= until_s {
                    return;
                }
                now_s = self.way.walk(Point::new(0.5, target.y, target.z), target, back_s, speed);
                self.moves.push(Move { from: None, to: Some(to), left_s: back_s, came_s: now_s });
            } else {
                now_s = self.way.walk(at, target, until, speed);
                self.moves.push(Move { from: Some(zone), to: Some(to), left_s: until, came_s: now_s });
            }
            if now_s >= until_s {
                return;
            }
            (zone, at, rests_s) = (to, target, draw(of.rests_s, dice));
        }
    }
}
