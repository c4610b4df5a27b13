//! How often the direction is right, over many seeds of a portal with path loss, fading, antenna
//! patterns, tags that face one side, antennas that take turns, and reads that fail.

use std::sync::Arc;
use std::time::Duration;

use crate::clean::portal::beams::Beams;
use crate::clean::portal::companions::Companions;
use crate::clean::portal::{Crossed, Crossing, Heard, Judged};
use crate::clean::presence::Reads;
use crate::clean::rules::PortalRule;
use crate::clean::tests::dice::Dice;
use crate::clean::trail::Model;
use crate::domain::sightings::Direction;
use crate::domain::time::Timestamp;

fn rule() -> PortalRule {
    let (settle, static_after) = (Duration::from_secs(2), Duration::from_secs(30));
    PortalRule { settle, static_after, model: Arc::new(Model::new([true, true])), beams: [false; 2] }
}

/// The world of one tag at one portal: x < 0 is outside, in metres from the door.
struct World {
    dice: Dice,
    /// Of each side's antenna: gain that the tag's orientation adds, and slow fading.
    bias_db: [f64; 2],
    fading_db: [f64; 2],
    fading_deviation_db: f64,
    /// Front-to-back ratio of the antennas.
    front_to_back_db: f64,
    lateral_m: f64,
    spacing_m: f64,
    turn_ms: i64,
    with_rssi: bool,
    ambient_db: f64,
    /// People and trucks that stand between an antenna and the tag: until when, by side.
    blocked_until_ms: [i64; 2],
    blocks_a_second: f64,
}

struct Read {
    at_ms: i64,
    inside: bool,
    dbm: Option<f32>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let bias = [dice.normal(2.5), dice.normal(2.5)];
        Self {
            bias_db: bias,
            fading_db: [0.0; 2],
            fading_deviation_db: dice.within(2.0, 4.0),
            front_to_back_db: dice.within(8.0, 18.0),
            lateral_m: dice.within(0.6, 1.6),
            spacing_m: dice.within(0.6, 1.2),
            turn_ms: [50, 100, 200][(dice.next() % 3) as usize],
            with_rssi: !dice.next().is_multiple_of(5),
            ambient_db: dice.within(-4.0, 3.0),
            blocked_until_ms: [0; 2],
            blocks_a_second: dice.within(0.0, 0.1),
            dice,
        }
    }

    /// Power at the reader, in dBm: two-way path loss, the antenna's pattern, orientation, fading.
    fn dbm(&self, x_m: f64, inside: bool) -> f64 {
        let outward = if inside { x_m - self.spacing_m } else { -x_m - self.spacing_m };
        let distance = (outward * outward + self.lateral_m * self.lateral_m).sqrt();
        let angle_share = (1.0 - outward / distance) / 2.0;
        let pattern = -self.front_to_back_db * angle_share * angle_share;
        let side = usize::from(inside);
        -48.0 - 40.0 * distance.max(0.3).log10()
            + pattern
            + self.bias_db[side]
            + self.fading_db[side]
            + self.ambient_db
    }

    /// Reads of a tag that is at `place(t)` at t ms, where it is there at all.
    fn reads(&mut self, until_ms: i64, place: impl Fn(f64) -> Option<f64>) -> Vec<Read> {
        let mut reads = Vec::new();
        for step in 0..until_ms / 25 {
            let at_ms = step * 25;
            for side in 0..2 {
                let old = self.fading_db[side];
                self.fading_db[side] = 0.92 * old + self.dice.normal(0.39 * self.fading_deviation_db);
                if self.dice.unit() < self.blocks_a_second * 0.025 {
                    self.blocked_until_ms[side] = at_ms + self.dice.within(300.0, 5000.0) as i64;
                }
            }
            let inside = (at_ms / self.turn_ms) % 2 == 0;
            let Some(x_m) = place(at_ms as f64 / 1000.0) else { continue };
            let blocked = at_ms < self.blocked_until_ms[usize::from(inside)];
            let dbm = self.dbm(x_m, inside) - if blocked { 12.0 } else { 0.0 };
            let chance = 0.55 / (1.0 + (-(dbm + 70.0) / 2.0).exp());
            if self.dice.unit() < chance {
                let dbm = self.with_rssi.then_some(dbm.round() as f32);
                reads.push(Read { at_ms, inside, dbm });
            }
        }
        reads
    }
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000 + ms * 1000)
}

/// Runs reads through one window, with the silences that its deadlines see.
fn passages(reads: &[Read]) -> Vec<Crossed> {
    let mut crossing: Option<Crossing> = None;
    let mut crossed = Vec::new();
    for read in reads {
        let now = at(read.at_ms);
        rest(&mut crossing, now, &mut crossed);
        let reads = Reads { first: now, last: now, count: 1 };
        let heard = Heard::at(1 + u16::from(read.inside), read.inside, read.dbm);
        crossed.extend(crossing.get_or_insert_with(|| Crossing::new(now, &rule())).read(
            reads,
            heard,
            &rule(),
            &Beams::default(),
        ));
    }
    rest(&mut crossing, Timestamp::MAX, &mut crossed);
    crossed
}

fn rest(crossing: &mut Option<Crossing>, now: Timestamp, crossed: &mut Vec<Crossed>) {
    while let Some(window) = crossing.as_mut().filter(|window| window.deadline(&rule()) < now) {
        match window.silent(&rule(), &Companions::default(), &Beams::default()) {
            Judged::Rests(passage) => crossed.extend(passage),
            Judged::Forgotten => *crossing = None,
        }
    }
}

/// What a scenario is: where the tag is, and the directions in which it truly crosses.
type Truth = Vec<Direction>;

fn scenario(name: &str, world: &mut World) -> (Vec<Read>, Truth) {
    use Direction::{In, Out};
    let dice = &mut world.dice;
    let inward = dice.next().is_multiple_of(2);
    let sign = if inward { 1.0 } else { -1.0 };
    let way = if inward { In } else { Out };
    let speed = dice.within(0.5, 3.0);
    let reach = 7.0;
    let time = 2.0 * reach / speed;
    let ms = |seconds: f64| (seconds * 1000.0) as i64;
    match name {
        "passes" => {
            let place = move |t: f64| (t < time).then_some(sign * (t * speed - reach));
            (world.reads(ms(time + 1.0), place), vec![way])
        }
        "passes and comes back" => {
            let pause = dice.within(4.0, 15.0);
            let beyond = dice.within(2.5, 6.0);
            let there = (reach + beyond) / speed;
            let place = move |t: f64| {
                let x = if t < there {
                    t * speed - reach
                } else if t < there + pause {
                    beyond
                } else {
                    beyond - (t - there - pause) * speed
                };
                (x > -reach - 1.0).then_some(sign * x)
            };
            let back = if inward { Out } else { In };
            (world.reads(ms(2.0 * there + pause + 3.0), place), vec![way, back])
        }
        "stops in the door" => {
            let pause = dice.within(1.0, 12.0);
            let stop = dice.within(-0.5, 0.5);
            let there = (reach + stop) / speed;
            let place = move |t: f64| {
                let x =
                    if t < there { t * speed - reach } else { stop + ((t - there - pause).max(0.0)) * speed };
                (x < reach).then_some(sign * x)
            };
            (world.reads(ms(time + pause + 1.0), place), vec![way])
        }
        "turns back" => {
            let stop = dice.within(-2.0, -0.3);
            let pause = dice.within(0.0, 4.0);
            let (there, home) = ((reach + stop) / speed, dice.within(0.5, 2.0));
            let place = move |t: f64| {
                let x =
                    if t < there { t * speed - reach } else { stop - (t - there - pause).max(0.0) * home };
                (x > -reach - 0.1).then_some(sign * x)
            };
            (world.reads(ms(there + pause + reach / home + 2.0), place), vec![])
        }
        "stands" => {
            let x = dice.within(0.4, 3.0);
            (world.reads(120_000, move |_| Some(sign * x)), vec![])
        }
        "stands, then passes" => {
            let (x, until) = (dice.within(0.8, 3.0), dice.within(20.0, 90.0));
            let place = move |t: f64| {
                let x = (t - until).max(0.0) * speed - x;
                (x < reach).then_some(sign * x)
            };
            (world.reads(ms(until + time + 1.0), place), vec![way])
        }
        "stands, then leaves on its side" => {
            let (x, until) = (dice.within(0.8, 3.0), dice.within(20.0, 90.0));
            let place = move |t: f64| {
                let x = -(t - until).max(0.0) * speed - x;
                (x > -reach).then_some(sign * x)
            };
            (world.reads(ms(until + time + 1.0), place), vec![])
        }
        _ => unreachable!("a scenario of the list"),
    }
}

/// Of all runs: with every passage right, with one missing, with one too many, with a wrong direction.
#[derive(Default, Debug)]
struct Score {
    right: u32,
    missed: u32,
    spurious: u32,
    wrong: u32,
    runs: u32,
}

impl Score {
    fn add(&mut self, found: &[Crossed], truth: &[Direction]) {
        let found: Vec<_> = found.iter().map(|crossed| crossed.direction).collect();
        self.runs += 1;
        if found == truth {
            self.right += 1;
        } else if found.len() == truth.len() {
            self.wrong += 1;
        } else if found.len() < truth.len() {
            self.missed += 1;
        } else {
            self.spurious += 1;
        }
    }
}

/// Of passages said at 0.5 to 0.8, at 0.8 to 0.95, and above: right, and all.
#[derive(Debug)]
struct Bands([(f64, u32, u32); 3]);

impl Bands {
    fn new() -> Self {
        Self([0.5, 0.8, 0.95].map(|from| (from, 0, 0)))
    }

    fn add(&mut self, found: &[Crossed], truth: &[Direction]) {
        for (nth, crossed) in found.iter().enumerate() {
            let only = found.len() < truth.len() && truth.last() == Some(&crossed.direction);
            let right = truth.get(nth) == Some(&crossed.direction) || only;
            let band = self.0.iter_mut().rev().find(|(from, ..)| f64::from(crossed.confidence) >= *from);
            let (_, hits, all) = band.expect("nothing is said below 0.5");
            *hits += u32::from(right);
            *all += 1;
        }
    }
}

/// With the share of runs that must be right altogether, on seeds that nothing was fitted to; see the print-out for what is.
const SCENARIOS: [(&str, f64); 7] = [
    ("passes", 0.95),
    // One that stops a little beyond the door is heard like one that stops in it: what is not surely clear is
    // waited for, and then it is back. Where a load moves as one, the others tell.
    ("passes and comes back", 0.74),
    ("stops in the door", 0.92),
    ("turns back", 0.97),
    ("stands", 0.95),
    ("stands, then passes", 0.90),
    ("stands, then leaves on its side", 0.97),
];

/// One walk through the seeds for both: it is the longest of all tests.
#[test]
fn directions_are_right_over_seeds_and_confidence_is_the_share_that_is_right() {
    let (mut failed, mut bands) = (Vec::new(), Bands::new());
    for (name, share) in SCENARIOS {
        let mut score = Score::default();
        for seed in 20_000..20_200 {
            let (reads, truth) = scenario(name, &mut World::new(seed));
            let found = passages(&reads);
            score.add(&found, &truth);
            bands.add(&found, &truth);
        }
        println!("{name}: {score:?}");
        if f64::from(score.right) < share * f64::from(score.runs) {
            failed.push(name);
        }
    }
    println!("calibration: {bands:?}");
    assert!(failed.is_empty(), "{failed:?}");
    let bands = bands.0;
    let [low, middle, high] = bands.map(|(_, hits, all)| f64::from(hits) / f64::from(all));
    assert!(bands.iter().all(|(.., all)| *all >= 15), "too few to tell: {bands:?}");
    assert!(low >= 0.5 && middle >= 0.8 && high >= 0.97, "{bands:?}");
    assert!(low < high && middle < high, "what is said more surely is right more often: {bands:?}");
}

/// Passages of which the true moment is known: error of the moment in ms, signed.
fn moments(seeds: std::ops::Range<u64>) -> Vec<i64> {
    let mut errors = Vec::new();
    for seed in seeds {
        let mut world = World::new(seed);
        let speed = world.dice.within(0.5, 3.0);
        let reads = world.reads((14_000.0 / speed) as i64, |t| Some(t * speed - 7.0));
        let truth = (7000.0 / speed) as i64;
        errors.extend(passages(&reads).iter().map(|c| c.at.micros_after(at(truth)) / 1000));
    }
    errors.sort_unstable();
    errors
}

#[test]
fn the_moment_is_near_the_truth() {
    let errors = moments(0..200);
    let within = errors.iter().filter(|error| error.abs() <= 1000).count();
    let middle = errors[errors.len() / 2];
    println!(
        "moment: median {middle} ms, 5 % {} 95 % {}, {within} of {} within 1 s",
        errors[errors.len() / 20],
        errors[errors.len() * 19 / 20],
        errors.len()
    );
    assert!(within * 100 >= errors.len() * 90, "{within} of {}", errors.len());
}

/// What passes and stays just beyond the door is heard like what stops in the doorway. It is waited for, but not for
/// longer than `static_after`.
#[test]
fn what_stays_in_hearing_and_is_never_clear_is_told_within_a_bound() {
    let mut late = Vec::new();
    for seed in 0..60 {
        let mut world = World::new(seed);
        let reads = world.reads(75_000, |t| Some((t * 1.2 - 7.0).min(1.3)));
        let crossed_ms = 5833;
        let mut crossing: Option<Crossing> = None;
        for read in &reads {
            let now = at(read.at_ms);
            let heard = Heard::at(1, read.inside, read.dbm);
            let crossing = crossing.get_or_insert_with(|| Crossing::new(now, &rule()));
            let reads = Reads { first: now, last: now, count: 1 };
            if let Some(crossed) = crossing.read(reads, heard, &rule(), &Beams::default()) {
                assert_eq!(crossed.direction, Direction::In, "seed {seed}");
                late.push(read.at_ms - crossed_ms);
                break;
            }
        }
    }
    println!("told {} of 60 while heard: {late:?}", late.len());
    // What was not sure enough then is told when it is clear of the door after all: 3 of the 56 that are told.
    let within = late.iter().filter(|ms| **ms <= 35_000).count();
    assert!(late.len() >= 55 && within >= 52, "{}, {within} of them in time", late.len());
}

/// What a build that followed no strengths left of a tag is read as one that appears.
#[test]
fn an_older_row_is_read() {
    let mut crossing = Crossing::new(at(0), &rule());
    let reads = Reads { first: at(10), last: at(10), count: 1 };
    let heard = Heard::at(1, false, Some(-50.0));
    crossing.read(reads, heard, &rule(), &Beams::default());
    let serde_json::Value::Object(mut row) = serde_json::to_value(&crossing).unwrap() else { panic!() };
    for newer in ["trail", "profile", "passed", "waiting", "far", "clear", "level"] {
        assert!(row.remove(newer).is_some(), "{newer}");
    }
    let mut older: Crossing = serde_json::from_value(row.into()).unwrap();
    assert_eq!(older.deadline(&rule()), crossing.deadline(&rule()));
    older.read(Reads { first: at(400), last: at(400), count: 1 }, heard, &rule(), &Beams::default());
    assert!(matches!(older.silent(&rule(), &Companions::default(), &Beams::default()), Judged::Rests(None)));
}

/// Heard a few times on the way, on either side: too little by itself, and enough among a load that was heard well.
#[test]
fn what_was_hardly_heard_follows_those_it_was_with() {
    let told = |others: &Companions| {
        let mut crossing = Crossing::new(at(1200), &rule());
        for (ms, inside, dbm) in [
            (1200, false, -70.0),
            (1800, false, -66.0),
            (2000, true, -54.0),
            (2400, true, -64.0),
            (2800, true, -70.0),
        ] {
            let reads = Reads { first: at(ms), last: at(ms), count: 1 };
            let antenna = 1 + u16::from(inside);
            let heard = Heard::at(antenna, inside, Some(dbm));
            assert_eq!(crossing.read(reads, heard, &rule(), &Beams::default()), None);
        }
        let first = crossing.deadline(&rule());
        let early = crossing.silent(&rule(), &Companions::default(), &Beams::default());
        assert_eq!(early, Judged::Rests(None));
        assert!(crossing.deadline(&rule()) > first, "it waits for what others tell");
        let Judged::Rests(crossed) = crossing.silent(&rule(), others, &Beams::default()) else {
            panic!("it rests")
        };
        crossed.map(|crossed| (crossed.direction, crossed.by_itself))
    };
    let mut others = Companions::default();
    assert_eq!(told(&others), None);
    (0..10).for_each(|_| others.note(at(2000), at(0), Direction::In, Some(6)));
    assert_eq!(told(&others), Some((Direction::In, false)));
    let mut others = Companions::default();
    (0..10).for_each(|_| others.note(at(30_000), at(25_000), Direction::In, Some(6)));
    assert_eq!(told(&others), None, "they passed at another time");
    let mut others = Companions::default();
    (0..10).for_each(|_| others.note(at(2000), at(0), Direction::Out, Some(6)));
    assert_eq!(told(&others), None, "they passed the other way");
}

/// A load passes while a pallet goes along the wall: it is heard for seconds and by both sides, and had it passed its
/// own reads would tell.
#[test]
fn what_is_heard_for_long_beside_those_that_pass_does_not_follow_them() {
    let mut others = Companions::default();
    (0..10).for_each(|_| others.note(at(5000), at(0), Direction::In, Some(6)));
    let mut crossing = Crossing::new(at(0), &rule());
    for step in 0..50_i64 {
        // Weak, first rather outside, then rather inside, loudest as the others pass.
        let (ms, inside) = (step * 200, step % 4 != 0 && step > 20 && step % 3 != 1);
        let dbm = -66.0 - (step - 25).abs() as f32 * 0.4 - (step % 3) as f32;
        let heard = Heard::at(1 + u16::from(inside), inside, Some(dbm));
        crossing.read(Reads { first: at(ms), last: at(ms), count: 1 }, heard, &rule(), &Beams::default());
    }
    assert_eq!(crossing.silent(&rule(), &Companions::default(), &Beams::default()), Judged::Rests(None));
    let Judged::Rests(crossed) = crossing.silent(&rule(), &others, &Beams::default()) else {
        panic!("it rests")
    };
    assert_eq!(crossed, None);
}
