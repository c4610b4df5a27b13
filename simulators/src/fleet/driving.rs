//! One vehicle's way through the days: where it truly is at any moment, and when it drives.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::parameters::{ACCELERATES_MPS2, BRAKES_MPS2, QUEUE_MPS, TURN_FROM_DEG, TURN_MPS, WAITS, WAITS_S};
use super::roads::{Place, Roads, Sky, Street};
use crate::scenario_file::Range;

/// A stretch of constant acceleration along a straight line.
#[derive(Clone, Copy, Debug)]
pub struct Stretch {
    pub from_s: f64,
    pub until_s: f64,
    from: Place,
    to: Place,
    speed_mps: f64,
    acceleration: f64,
    pub sky: Sky,
}

/// Where it is, and what it does there.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct State {
    pub place: Place,
    pub speed_mps: f64,
    pub course_deg: f64,
    pub sky: Sky,
}

impl Stretch {
    fn state(&self, at_s: f64) -> State {
        let since = (at_s - self.from_s).clamp(0.0, self.until_s - self.from_s);
        let length = self.from.distance(self.to);
        let way = self.speed_mps * since + self.acceleration * since * since / 2.0;
        let share = if length > 0.0 { (way / length).clamp(0.0, 1.0) } else { 0.0 };
        let course = (self.to.x - self.from.x).atan2(self.to.y - self.from.y).to_degrees();
        State {
            place: self.from.towards(self.to, share),
            speed_mps: (self.speed_mps + self.acceleration * since).max(0.0),
            course_deg: course.rem_euclid(360.0),
            sky: self.sky,
        }
    }

    pub fn length_m(&self) -> f64 {
        self.from.distance(self.to)
    }
}

/// From the start of one drive to its end.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Drive {
    pub from_s: f64,
    pub until_s: f64,
    pub length_m: f64,
}

/// The last metres of a drive: who is there moves up, and waits, and moves up again.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Queue {
    pub length_m: f64,
    pub up_m: Range,
    pub waits_s: Range,
}

pub struct Log {
    /// In order of time, without gaps.
    pub stretches: Vec<Stretch>,
    pub drives: Vec<Drive>,
}

impl Log {
    pub fn new(at: Place, sky: Sky) -> Self {
        let here =
            Stretch { from_s: 0.0, until_s: 0.0, from: at, to: at, speed_mps: 0.0, acceleration: 0.0, sky };
        Self { stretches: vec![here], drives: Vec::new() }
    }

    fn end(&self) -> Stretch {
        self.stretches[self.stretches.len() - 1]
    }

    pub fn until_s(&self) -> f64 {
        self.end().until_s
    }

    /// Stands where it is.
    pub fn stand(&mut self, for_s: f64, sky: Sky) {
        let Stretch { until_s, to, .. } = self.end();
        self.stretches.push(Stretch {
            from_s: until_s,
            until_s: until_s + for_s,
            from: to,
            to,
            speed_mps: 0.0,
            acceleration: 0.0,
            sky,
        });
    }

    /// Drives along, and stops at the end; there may be a queue before it.
    pub fn drive(&mut self, roads: &Roads, way: &[&Street], queue: Option<Queue>, dice: &mut ChaCha8Rng) {
        let began = self.until_s();
        let first = self.stretches.len();
        let haste = dice.random_range(0.85..1.08);
        let mut speed = 0.0;
        let length_m: f64 = way.iter().map(|street| street.length_m).sum();
        let mut free_m = queue.map_or(f64::INFINITY, |queue| length_m - queue.length_m);
        for (nth, street) in way.iter().enumerate() {
            let next = way.get(nth + 1);
            if let Some(queue) = queue.filter(|_| free_m < street.length_m) {
                let ends = free_m.max(0.0);
                self.pass(street, (0.0, ends), speed, street.limit_mps * haste, 0.0);
                self.queue(street, ends, queue, dice);
                (speed, free_m) = (0.0, 0.0);
                continue;
            }
            free_m -= street.length_m;
            let waits = next.is_some() && dice.random_bool(WAITS);
            let cruise = street.limit_mps * haste;
            let leaves = match next {
                None => 0.0,
                Some(_) if waits => 0.0,
                Some(next) if turn_deg(street, next) > TURN_FROM_DEG => TURN_MPS,
                Some(next) => cruise.min(next.limit_mps * haste),
            };
            // Who comes to the end of a queue can stop there.
            let leaves = leaves.min((2.0 * BRAKES_MPS2 * free_m).sqrt());
            speed = self.pass(street, (0.0, street.length_m), speed, cruise, leaves);
            if waits {
                self.stand(dice.random_range(WAITS_S[0]..WAITS_S[1]), street.sky);
            }
        }
        debug_assert!(way.last().is_none_or(|last| roads.crossings[last.to].distance(self.end().to) < 1e-3));
        let length_m = self.stretches[first..].iter().map(Stretch::length_m).sum();
        self.drives.push(Drive { from_s: began, until_s: self.until_s(), length_m });
    }

    /// From there on to the end of a street.
    fn queue(&mut self, street: &Street, from: f64, queue: Queue, dice: &mut ChaCha8Rng) {
        let mut at = from;
        while at < street.length_m {
            self.stand(dice.random_range(queue.waits_s[0]..queue.waits_s[1]), street.sky);
            let to = (at + dice.random_range(queue.up_m[0]..queue.up_m[1])).min(street.length_m);
            self.pass(street, (at, to), 0.0, QUEUE_MPS, 0.0);
            at = to;
        }
    }

    /// A part of a street, from this speed to that; gives the speed at its end.
    fn pass(
        &mut self,
        street: &Street,
        (from, to): (f64, f64),
        enters: f64,
        cruise: f64,
        leaves: f64,
    ) -> f64 {
        let length = to - from;
        // The speed at which speeding up and braking use up the way, if the limit lets it.
        let (up, down) = (ACCELERATES_MPS2, BRAKES_MPS2);
        let top = (2.0 * length * up * down + enters * enters * down + leaves * leaves * up) / (up + down);
        let top = top.sqrt().min(cruise).max(enters.min(cruise));
        let speeding = ((top * top - enters * enters) / (2.0 * up)).clamp(0.0, length);
        let braking = ((top * top - leaves * leaves) / (2.0 * down)).clamp(0.0, length - speeding);
        let slowed = (top * top - 2.0 * down * braking).max(0.0).sqrt();
        let parts = [(speeding, enters, up), (length - speeding - braking, top, 0.0), (braking, top, -down)];
        let mut at = from;
        for (part, speed, acceleration) in parts {
            if part > 1e-6 {
                self.along(street, (at, at + part), speed, acceleration);
                at += part;
            }
        }
        slowed
    }

    /// A part of a street, around its bend.
    fn along(&mut self, street: &Street, (from, to): (f64, f64), mut speed: f64, acceleration: f64) {
        let [start, bend, end] = street.line;
        let before = start.distance(bend);
        let place = |at: f64| match at <= before {
            true => start.towards(bend, at / before),
            false => bend.towards(end, (at - before) / (street.length_m - before)),
        };
        let cuts = if from < before && before < to { vec![from, before, to] } else { vec![from, to] };
        for part in cuts.windows(2) {
            let way = part[1] - part[0];
            let left = (speed * speed + 2.0 * acceleration * way).max(0.0).sqrt();
            let takes = if (speed + left) > 1e-9 { 2.0 * way / (speed + left) } else { 0.0 };
            let from_s = self.until_s();
            self.stretches.push(Stretch {
                from_s,
                until_s: from_s + takes,
                from: place(part[0]),
                to: place(part[1]),
                speed_mps: speed,
                acceleration,
                sky: street.sky,
            });
            speed = left;
        }
    }

    pub fn state(&self, at_s: f64) -> State {
        let behind = self.stretches.partition_point(|stretch| stretch.until_s <= at_s);
        self.stretches[behind.min(self.stretches.len() - 1)].state(at_s)
    }

    /// The drive that is under way.
    pub fn drive_at(&self, at_s: f64) -> Option<&Drive> {
        let behind = self.drives.partition_point(|drive| drive.until_s <= at_s);
        self.drives.get(behind).filter(|drive| drive.from_s <= at_s)
    }
}

fn turn_deg(street: &Street, next: &Street) -> f64 {
    let course = |from: Place, to: Place| (to.x - from.x).atan2(to.y - from.y).to_degrees();
    let turn = course(street.line[1], street.line[2]) - course(next.line[0], next.line[1]);
    ((turn + 180.0).rem_euclid(360.0) - 180.0).abs()
}
