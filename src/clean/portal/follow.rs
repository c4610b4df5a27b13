//! A tag that was hardly heard, among others that were heard well: loads move as one.
//!
//! What it may have done is weighed by what the others did while it was there. Its own reads must tell the less the
//! more they were; it must have been heard best, or changed sides, when they passed, and neither long before they
//! came nor long after. Whoever passed by hearsay makes nobody else pass.

use std::time::Duration;

use super::companions::Companions;
use super::{Crossed, Crossing};
use crate::clean::rules::PortalRule;
use crate::domain::sightings::Direction;
use crate::domain::time::Timestamp;

/// Who was heard for longer before or after others passed than they were, and this, was not with them.
const ALONG: Duration = Duration::from_secs(3);
/// What each that passed adds to the odds that it passed too, up to so many.
const ODDS: f32 = 3.0;
const ENOUGH: usize = 10;
/// The least and the most confidence.
const LEAST: f32 = 0.7;
const MOST: f32 = 0.95;
/// It went from side to side as fast as they did, or faster, give or take so many steps.
const PACE: i64 = 5;
/// Of reads that are few the order is that vague, in steps.
const SLIGHTLY: i64 = 2;
/// Who has passed does not follow others so soon afterwards.
const ONCE: Duration = Duration::from_secs(30);

/// What a tag may have done.
struct Way {
    direction: Direction,
    at: Timestamp,
    odds: f32,
}

impl Crossing {
    /// What it probably did, where others tell.
    pub(super) fn follow(&mut self, rule: &PortalRule, others: &Companions) -> Option<Crossed> {
        if others.is_empty() || self.passed.is_some_and(|passed| self.last.since(passed.at) <= ONCE) {
            return None;
        }
        let (inward, outward) = self.own(rule);
        let ways = [self.with(Direction::In, inward, others), self.with(Direction::Out, outward, others)];
        let neither = (1.0 - inward - outward).max(0.0);
        let all = neither + ways.iter().flatten().map(|way| way.odds).sum::<f32>();
        let way = ways.into_iter().flatten().max_by(|a, b| a.odds.total_cmp(&b.odds))?;
        let confidence = (way.odds / all).min(MOST);
        if confidence < LEAST {
            return None;
        }
        let crossed = self.say(way.at, way.direction, confidence, self.evidence(), rule);
        Some(Crossed { by_itself: false, ..crossed })
    }

    /// How likely it came in and went out, by its own reads.
    fn own(&self, rule: &PortalRule) -> (f32, f32) {
        let Some(side) = rule.only_row() else { return self.chain.crossed() };
        match self.profile.slope() {
            Some(slope) if slope.fades == (side == 1) => (slope.probability, slope.other),
            Some(slope) => (slope.other, slope.probability),
            None => (0.0, 0.0),
        }
    }

    fn with(&self, direction: Direction, own: f32, others: &Companions) -> Option<Way> {
        let lean = self.lean.as_ref().filter(|lean| lean.inside == (direction == Direction::In));
        let came = lean.and_then(|lean| lean.came);
        let they = [self.loudest_at(), came].into_iter().flatten();
        let they = they.filter_map(|moment| others.together(direction, moment)).next()?;
        let long = they.at.since(they.since) + ALONG;
        let along = they.at.since(self.since) <= long && self.last.since(they.at) <= long;
        let paced =
            self.later(direction).is_none_or(|later| (-SLIGHTLY..=they.later + PACE).contains(&later));
        (along && paced).then_some(Way {
            direction,
            at: they.at,
            odds: own * ODDS * they.count.min(ENOUGH) as f32,
        })
    }

    /// When any antenna heard it best, of late.
    fn loudest_at(&self) -> Option<Timestamp> {
        let antennas = self.evidence();
        let told = antennas.iter().filter_map(|antenna| Some((antenna.peak_rssi_dbm?, antenna.peak_at)));
        told.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, at)| at)
    }
}
