//! What is said of where tags are, against where they were.

use std::collections::BTreeSet;

use tallyman_simulators::zones::{Life, Move, Run};

use super::Said;

/// After it came to rest, for so long its answer is a matter of delay.
const SETTLES_S: f64 = 30.0;
/// A way through other zones, and a moment after it, is no matter of either.
const ON_THE_WAY_S: f64 = 3.0;
/// A move is due where it rests for so long afterwards.
const RESTS_S: f64 = 60.0;

#[derive(Clone, Debug, Default)]
pub struct Grade {
    /// Seconds at rest: in all, with the right zone said, and with none.
    pub rest_s: u64,
    pub right_s: u64,
    pub none_s: u64,
    /// Moves into a zone that were due, and those that were found.
    pub moves: usize,
    pub found: usize,
    /// Moves out of the hall.
    pub leaves: usize,
    pub left: usize,
    /// Changes that were told, and those of no move.
    pub said: usize,
    pub spurious: usize,
    tag_s: f64,
    delays_s: Vec<f64>,
    leave_delays_s: Vec<f64>,
}

impl Grade {
    pub fn add(&mut self, run: &Run, said: &[Said]) {
        let ends_s = run.duration_us as f64 / 1e6;
        let mut heard: BTreeSet<(usize, usize)> = BTreeSet::new();
        for read in &run.reads {
            let at_s = read.at_us as f64 / 1e6;
            let stays = &run.lives[read.tag].stays;
            let stay = stays.partition_point(|stay| stay.to_s <= at_s);
            if stays.get(stay).is_some_and(|stay| stay.from_s <= at_s && stay.zone == read.zone) {
                heard.insert((read.tag, stay));
            }
        }
        for (tag, life) in run.lives.iter().enumerate() {
            let said: Vec<(f64, Option<usize>)> = said
                .iter()
                .filter(|said| said.tag == tag)
                .map(|said| (said.at_us as f64 / 1e6, said.zone))
                .collect();
            let is_heard = |stay: usize| heard.contains(&(tag, stay));
            self.rest(life, &said, is_heard);
            self.moves(life, &said, is_heard, ends_s);
            self.tag_s += ends_s;
        }
    }

    /// What its own reader never hears while it lies there cannot be said.
    fn rest(&mut self, life: &Life, said: &[(f64, Option<usize>)], is_heard: impl Fn(usize) -> bool) {
        for (number, stay) in life.stays.iter().enumerate().filter(|(number, _)| is_heard(*number)) {
            let settles = if number == 0 { 2.0 * SETTLES_S } else { SETTLES_S };
            let mut at_s = stay.from_s + settles;
            while at_s < stay.to_s {
                self.rest_s += 1;
                match answer(said, at_s) {
                    Some(zone) if zone == stay.zone => self.right_s += 1,
                    Some(_) => {}
                    None => self.none_s += 1,
                }
                at_s += 1.0;
            }
        }
    }

    fn moves(
        &mut self,
        life: &Life,
        said: &[(f64, Option<usize>)],
        is_heard: impl Fn(usize) -> bool,
        ends_s: f64,
    ) {
        // Changes that a move explains, each by its place.
        let mut explained: BTreeSet<usize> = BTreeSet::new();
        let mut stay = 0;
        for (number, moved) in life.moves.iter().enumerate() {
            stay += usize::from(moved.to.is_some());
            let until_s = life.moves.get(number + 1).map_or(ends_s, |next| next.left_s);
            let change = said
                .iter()
                .position(|(at_s, zone)| *zone == moved.to && (moved.left_s..until_s).contains(at_s));
            explained.extend(change);
            explained.extend(on_the_way(said, moved));
            let found = change.is_some() || answer(said, until_s) == moved.to;
            let delay_s = change.map_or(0.0, |change| (said[change].0 - moved.came_s).max(0.0));
            if until_s - moved.came_s < RESTS_S || moved.to.is_some() && !is_heard(stay) {
                continue;
            }
            if moved.to.is_some() {
                self.moves += 1;
                self.found += usize::from(found);
                self.delays_s.extend(found.then_some(delay_s));
            } else {
                self.leaves += 1;
                self.left += usize::from(found);
                self.leave_delays_s.extend(found.then_some(delay_s));
            }
        }
        // The first answer there is changes nothing.
        let changes = said.len().saturating_sub(1);
        self.said += changes;
        self.spurious += (1..said.len()).filter(|change| !explained.contains(change)).count();
    }

    pub fn join(&mut self, other: &Self) {
        self.rest_s += other.rest_s;
        self.right_s += other.right_s;
        self.none_s += other.none_s;
        self.moves += other.moves;
        self.found += other.found;
        self.leaves += other.leaves;
        self.left += other.left;
        self.said += other.said;
        self.spurious += other.spurious;
        self.tag_s += other.tag_s;
        self.delays_s.extend(&other.delays_s);
        self.leave_delays_s.extend(&other.leave_delays_s);
    }

    /// The share of the time at rest in which the right zone was said.
    pub fn right(&self) -> f64 {
        self.right_s as f64 / self.rest_s.max(1) as f64
    }

    pub fn recall(&self) -> f64 {
        self.found as f64 / self.moves.max(1) as f64
    }

    pub fn leave_recall(&self) -> f64 {
        self.left as f64 / self.leaves.max(1) as f64
    }

    pub fn precision(&self) -> f64 {
        let right = self.found + self.left;
        right as f64 / (right + self.spurious).max(1) as f64
    }

    /// Of moves into zones.
    pub fn f1(&self) -> f64 {
        let (precision, recall) = (self.precision(), self.recall());
        2.0 * precision * recall / (precision + recall).max(1e-9)
    }

    pub fn spurious_a_day(&self) -> f64 {
        self.spurious as f64 / (self.tag_s / 86_400.0).max(1e-9)
    }

    /// Seconds from when it came to rest to when that was said.
    pub fn delay_s(&self, part: f64) -> f64 {
        quantile(&self.delays_s, part)
    }

    pub fn leave_delay_s(&self, part: f64) -> f64 {
        quantile(&self.leave_delays_s, part)
    }
}

fn quantile(of: &[f64], part: f64) -> f64 {
    let mut sorted = of.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get((sorted.len() as f64 * part) as usize).copied().unwrap_or_default()
}

/// What is said at a time.
fn answer(said: &[(f64, Option<usize>)], at_s: f64) -> Option<usize> {
    let next = said.partition_point(|(from_s, _)| *from_s <= at_s);
    next.checked_sub(1).and_then(|last| said[last].1)
}

fn on_the_way<'a>(said: &'a [(f64, Option<usize>)], moved: &Move) -> impl Iterator<Item = usize> + use<'a> {
    let way = moved.left_s..moved.came_s + ON_THE_WAY_S;
    (0..said.len()).filter(move |change| way.contains(&said[*change].0))
}
