//! A tag that was hardly heard, among others that were heard well: loads move as one.
//!
//! How likely it went with them is weighed: by its own reads, by how near to their moment it was heard best, by how
//! many they were, and by how much of it was heard, for of what was heard well its own reads would tell. It must not
//! have been heard long before they came nor long after. Whoever passed by hearsay makes nobody else pass.

use std::time::Duration;

use super::companions::Companions;
use super::verdict::Way;
use super::{Crossed, Crossing};
use crate::clean::odds::{log_odds, weigh};
use crate::clean::rules::PortalRule;
use crate::domain::sightings::Direction;
use crate::domain::time::Timestamp;

/// Who was heard for longer before or after others passed than they were, and this, was not with them.
const ALONG: Duration = Duration::from_secs(3);
/// Of those that passed, more than this many tell no more.
const ENOUGH: usize = 10;
/// The least and the most confidence. Where sides can be compared, what goes by is heard as what goes along is, and
/// more of it is there than of what was hardly heard.
const LEAST: f32 = 0.65;
const ROW_LEAST: f32 = 0.5;
const MOST: f32 = 0.95;
/// It went from side to side as fast as they did, or faster, give or take so many steps.
const PACE: i64 = 5;
/// Of reads that are few the order is that vague, in steps.
const SLIGHTLY: i64 = 2;
/// Who has passed does not follow others so soon afterwards.
const ONCE: Duration = Duration::from_secs(30);

/// How likely it went with them, in log-odds (`clean/tests/fit.rs` prints them): what chain and trail hold of its
/// own reads; by how much it was louder at its best than on the mean, in tens of dB; how far from their moment it
/// was heard best or changed sides, in seconds; the logarithms of how many passed and of in how many steps it was
/// heard; whether it changed sides; how much longer than they before it was heard after them, in seconds; and how
/// far from theirs the order of its best moments is, in tens of steps.
pub(in crate::clean) const WEIGHTS: Signs = [0.76, 0.38, 0.19, 1.73, -0.45, 0.73, -1.02, 2.0, -0.08, -0.22];
/// The same for a portal of one row, of what its slope says.
pub(in crate::clean) const ROW_WEIGHTS: Signs = [-0.36, 0.70, 0.0, 0.0, -0.64, 0.84, 0.12, 0.0, -0.13, 0.0];
/// Each so far at most.
const MOST_ODDS: f32 = 5.0;
const MOST_RISE_DB: f32 = 25.0;
const MOST_LONGER_S: [f32; 2] = [-5.0, 10.0];
const MOST_PACE: i64 = 40;

pub(in crate::clean) type Signs = [f32; 10];

impl Crossing {
    /// What it probably did, where others tell.
    pub(super) fn follow(&mut self, rule: &PortalRule, others: &Companions) -> Option<Crossed> {
        if others.is_empty() || self.passed.is_some_and(|passed| self.last.since(passed.at) <= ONCE) {
            return None;
        }
        let ways = [Direction::In, Direction::Out].map(|direction| self.with(direction, rule, others));
        let way = ways.into_iter().flatten().max_by(|a, b| a.likely.total_cmp(&b.likely))?;
        if way.likely < if rule.only_row().is_some() { ROW_LEAST } else { LEAST } {
            return None;
        }
        let way = Way { likely: way.likely.min(MOST), ..way };
        let crossed = self.say(way, None, self.evidence(), rule);
        Some(Crossed { by_itself: false, ..crossed })
    }

    /// How likely it came in and went out, by its own reads: by the chain, or by the slope of the only row; and by
    /// the trail.
    fn own(&self, direction: Direction, rule: &PortalRule) -> [f32; 2] {
        let of = |(inward, outward)| if direction == Direction::In { inward } else { outward };
        let first = match (rule.only_row(), self.profile.slope()) {
            (None, _) => of(self.chain.crossed()),
            (Some(side), Some(slope)) if slope.fades == (side == 1) => of((slope.probability, slope.other)),
            (Some(_), Some(slope)) => of((slope.other, slope.probability)),
            (Some(_), None) => 0.0,
        };
        [first, of(self.trail.crossed())]
    }

    fn with(&self, direction: Direction, rule: &PortalRule, others: &Companions) -> Option<Way> {
        let (at, signs) = self.alongside(direction, rule, others)?;
        let weights = if rule.only_row().is_some() { &ROW_WEIGHTS } else { &WEIGHTS };
        let likely = weigh(&signs, weights);
        Some(Way { direction, at, alone: likely, likely })
    }

    /// When those that it may have gone with passed, and what `WEIGHTS` weighs.
    pub(in crate::clean) fn alongside(
        &self,
        direction: Direction,
        rule: &PortalRule,
        others: &Companions,
    ) -> Option<(Timestamp, Signs)> {
        let lean = self.lean.as_ref().filter(|lean| lean.inside == (direction == Direction::In));
        let came = lean.and_then(|lean| lean.came);
        let moments = [self.loudest_at(), came].into_iter().flatten();
        let mut together = moments.filter_map(|at| Some((at, others.together(direction, at)?)));
        let (moment, they) = together.next()?;
        let before = they.at.since(they.since);
        let along = before + ALONG;
        let along = they.at.since(self.since) <= along && self.last.since(they.at) <= along;
        let later = self.later(direction);
        let paced = later.is_none_or(|later| (-SLIGHTLY..=they.later + PACE).contains(&later));
        if !along || !paced {
            return None;
        }
        let [first, trail] = self.own(direction, rule).map(|own| log_odds(own, MOST_ODDS));
        let longer = self.last.micros_after(they.at) as f32 / 1e6 - before.as_secs_f32();
        let signs: Signs = [
            1.0,
            first,
            trail,
            self.level.rise().map_or(0.0, |rise| rise.min(MOST_RISE_DB) / 10.0),
            (moment.micros_after(they.at) as f32 / 1e6).abs(),
            (they.count.min(ENOUGH) as f32).ln_1p(),
            self.level.steps().ln_1p(),
            f32::from(u8::from(came.is_some())),
            longer.clamp(MOST_LONGER_S[0], MOST_LONGER_S[1]),
            later.map_or(0.0, |later| later.abs_diff(they.later).min(MOST_PACE as u64) as f32 / 10.0),
        ];
        Some((they.at, signs))
    }

    /// When any antenna heard it best, of late.
    fn loudest_at(&self) -> Option<Timestamp> {
        let antennas = self.evidence();
        let told = antennas.iter().filter_map(|antenna| Some((antenna.peak_rssi_dbm?, antenna.peak_at)));
        told.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, at)| at)
    }
}
