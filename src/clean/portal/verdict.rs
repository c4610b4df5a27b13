//! What the gathered evidence of a tag amounts to: a passage, which way and how surely, or nothing.
//!
//! Two models hold something of it: the chain compares the sides, the trail knows how strong a tag is where. What
//! either takes for a crossing and the other does not hold impossible is looked at whole (`sure`), and the
//! confidence is how often such a one was a passage. While the tag is still heard, a passage is said only of what
//! is gone from the door, or has long been clear of it: what stops in the doorway may yet turn.

use super::beams::Beams;
use super::bins::time_of;
use super::{Crossed, Crossing, STEP_US, Told};
use crate::clean::odds::{log_odds, weigh};
use crate::clean::rules::PortalRule;
use crate::domain::sightings::{AntennaEvidence, BeamsEvidence, Direction, PassageEvidence};
use crate::domain::time::Timestamp;

/// Likely enough to be looked at; for a tag that has stood near the door; and what is held impossible.
const LIKELY: f32 = 0.4;
const LIKELY_STATIC: f32 = 0.55;
const IMPOSSIBLE: f32 = 0.03;
/// What light barriers may yet decide.
const OPEN: f32 = 0.1;
/// What is less sure is not said.
const LEAST_SAID: f32 = 0.5;
/// The chain holds it for across, and so does the trail, for far away or for clear of the door: for so many
/// steps on end, then it will not come back at once.
const ACROSS: f32 = 0.8;
const NOT_AGAINST: f32 = 0.3;
const FAR: f32 = 0.6;
const FAR_FOR: i64 = 5;
const CLEAR: f32 = 0.85;
const CLEAR_FOR: i64 = 12;
/// What is clear but not far is said after so many `settle`s on the other side: loads stop in doorways. What stood
/// near the door waits for so many times as long.
const STAYS: u32 = 2;
const STOOD: u32 = 3;
/// On the side to which it comes a tag is heard about as loudly as ever. Metal between costs less than this.
const HARDLY_DB: f32 = 18.0;
/// How sure a passage is, in log-odds: what chain and trail hold; by how much it was louder at its best than on the
/// mean, in tens of dB; and whether the side to which it came heard it best after the one that it left, or before.
///
/// Unlike the other weights these were fitted before scenarios could be drawn, on fewer kinds of loads, by a fit that
/// is gone. `clean/tests/fit.rs` prints what drawn ones give. That is less sure of what it is surest of (of drawn
/// scenarios these say 0.99 where 0.94 to 0.98 are right), and tells the hostile suite a little worse (F1 0.986 for
/// 0.989, seeds 9400 to 9409), so these stand.
pub(in crate::clean) const SURE: [f32; 6] = [-1.7, 0.7, 0.7, 3.2, 0.85, -0.75];
/// Each so far at most.
const MOST_ODDS: f32 = 5.0;
const MOST_RISE_DB: f32 = 25.0;
/// Of a reader that tells no signal: what passes and what does not are about as likely to rise like that.
const NO_RISE_DB: f32 = 12.0;
/// In steps: a moment's difference tells no order, and beyond that much later it is another movement.
const SLIGHTLY: i64 = 5;
const SLOWLY: i64 = 40;
/// Of one row of antennas: what is not so clear waits for those that moved with it.
const ROW_CLEAR: f32 = 0.7;
/// Of what one row and light barriers together hold for less likely than this, less than half was right (drawn scenarios,
/// `clean/tests/fit.rs`).
const ROW_BEAMS_LEAST: f32 = 0.6;
const MOST_SURE: f32 = 0.999;
/// What the antennas tell as surely as this should have been seen by light barriers.
pub(in crate::clean) const SURE_ALONE: f32 = 0.9;

impl Crossing {
    /// A passage said while the tag is still heard: it has gone on from the door, or stays on the other side.
    pub(super) fn settled(&mut self, rule: &PortalRule, beams: &Beams) -> Option<Crossed> {
        if rule.only_row().is_some() {
            let stays = STEP_US.saturating_mul(self.profile.since_peak());
            let over = stays >= (rule.settle * 4).as_micros() as i64;
            return if over { self.judge(rule, beams) } else { None };
        }
        let lean = self.lean.as_ref()?;
        let (came, judged) = (lean.came?, lean.judged);
        let stays = time_of(self.folded).since(came);
        let enough = if self.stands(rule) { rule.settle * STOOD } else { rule.settle };
        let gone = stays >= enough && self.far.lasts(self.folded) >= FAR_FOR;
        let stayed = stays >= enough * STAYS && self.clear.lasts(self.folded) >= CLEAR_FOR;
        if gone || stayed {
            return self.judge(rule, beams);
        }
        // What came once and is never clear of the door is judged in the end as it stands: once, for looked at again and
        // again it would some time look like a passage by chance.
        let remains = stays >= rule.static_after && self.longest_return_us == 0;
        if !remains || judged {
            return None;
        }
        if let Some(lean) = &mut self.lean {
            lean.judged = true;
        }
        self.judge(rule, beams)
    }

    /// After each step: since when both hold it for far from the door on the other side, or clear of it there.
    pub(super) fn look(&mut self) {
        let (chain, trail) = (self.chain.crossed(), self.trail.crossed());
        let agreed = |chain: f32, trail: f32| if chain < ACROSS { 0.0 } else { trail };
        let agreed = agreed(chain.0, trail.0).max(agreed(chain.1, trail.1));
        self.far.note(self.folded, agreed > NOT_AGAINST && self.trail.far_across() > FAR);
        // Numbers of reads alone never tell so much.
        let clear = if self.peak_dbm.is_some() { CLEAR } else { NOT_AGAINST };
        self.clear.note(self.folded, agreed > clear);
    }

    pub(super) fn stands(&self, rule: &PortalRule) -> bool {
        self.last.since(self.since) > rule.static_after
    }

    pub(super) fn judge(&mut self, rule: &PortalRule, beams: &Beams) -> Option<Crossed> {
        let ways = self.ways(rule);
        let antennas = if ways.iter().flatten().next().is_some() { self.evidence() } else { return None };
        let told = ways.into_iter().flatten().filter_map(|(direction, alone, is_likely)| {
            let at = self.crossed_at(direction, &antennas, rule)?;
            let story = beams.story(at, direction, rule.beams);
            if story.is_none() && !is_likely {
                return None;
            }
            let likely = story.map_or(alone, |story| story.weigh(alone, rule.only_row().is_some()));
            Some((Way { direction, at, alone, likely: likely.min(MOST_SURE) }, story))
        });
        let (way, story) = told.max_by(|(one, _), (other, _)| one.likely.total_cmp(&other.likely))?;
        let least = if story.is_some() && rule.only_row().is_some() { ROW_BEAMS_LEAST } else { LEAST_SAID };
        if way.likely < self.least(rule).max(least) {
            let unseen = way.alone >= SURE_ALONE && story.is_some_and(|story| story.saw_nothing());
            self.unseen = unseen.then(|| (way.at, strongest(&antennas)));
            return None;
        }
        let told = story.map(|story| beams.evidence(story, way.alone, way.at, rule.beams));
        Some(self.say(way, told, antennas, rule))
    }

    /// What is less likely is not said.
    fn least(&self, rule: &PortalRule) -> f32 {
        if rule.only_row().is_some() && !self.waiting { ROW_CLEAR } else { LEAST_SAID }
    }

    /// When it went that way, if it did; `None` where that is ruled out, however likely it looks.
    pub(in crate::clean) fn crossed_at(
        &self,
        direction: Direction,
        antennas: &[AntennaEvidence],
        rule: &PortalRule,
    ) -> Option<Timestamp> {
        let unheard = |inside: bool| {
            rule.model.rows[usize::from(inside)] && !antennas.iter().any(|antenna| antenna.inside == inside)
        };
        if unheard(true) || unheard(false) || self.never_came(direction, rule) {
            return None;
        }
        let peak = rule.only_row().and_then(|_| self.profile.slope()).map(|slope| time_of(slope.peak));
        let at = peak.unwrap_or_else(|| self.moment(direction == Direction::In, antennas));
        let came_back = self.stands(rule)
            && self.last.micros_after(at).saturating_mul(2) <= self.longest_return_us.saturating_mul(3);
        (!came_back).then_some(at)
    }

    /// What crosses is heard loudly on the side to which it comes, about as loudly as it has ever been.
    fn never_came(&self, direction: Direction, rule: &PortalRule) -> bool {
        let there = self.level.best_of(direction == Direction::In).filter(|_| rule.only_row().is_none());
        there.zip(self.peak_dbm).is_some_and(|(there, best)| there < best - HARDLY_DB)
    }

    pub(super) fn say(
        &mut self,
        way: Way,
        beams: Option<BeamsEvidence>,
        antennas: Vec<AntennaEvidence>,
        rule: &PortalRule,
    ) -> Crossed {
        let Way { direction, at, alone, likely: confidence } = way;
        let started_at = first_of(&antennas, at);
        let evidence = PassageEvidence { started_at, ended_at: self.last, antennas, beams };
        self.passed = Some(Told { at, dbm: evidence.strongest() });
        let (since, later) = (self.since, self.later(direction));
        self.start_again(rule);
        Crossed { at, since, later, direction, confidence, alone, evidence, by_itself: true }
    }

    /// The ways that it may have gone, how likely each is by the antennas alone, and whether these would say it. Without
    /// light barriers only the likelier one, where it is likely enough.
    pub(in crate::clean) fn ways(&self, rule: &PortalRule) -> [Option<(Direction, f32, bool)>; 2] {
        let ways = match (rule.only_row(), self.profile.slope()) {
            (Some(_), None) => [None, None],
            (Some(side), Some(slope)) => {
                // Before a row that looks inside is the inside.
                let inward = slope.fades == (side == 1);
                let other = if inward { Direction::Out } else { Direction::In };
                let one = if inward { Direction::In } else { Direction::Out };
                [Some((one, slope.probability, true)), Some((other, slope.other, true))]
            }
            (None, _) => self.sided_ways(rule),
        };
        let ways = ways.map(|way| way.map(|(direction, alone, is)| (direction, alone.min(MOST_SURE), is)));
        if rule.beams != [false; 2] {
            return ways;
        }
        let best = ways.into_iter().flatten().max_by(|(_, one, _), (_, other, _)| one.total_cmp(other));
        [best.filter(|(_, alone, _)| *alone >= self.least(rule)), None]
    }

    fn sided_ways(&self, rule: &PortalRule) -> [Option<(Direction, f32, bool)>; 2] {
        let likely = self.likely_ways(rule);
        let all = if rule.beams == [false; 2] { likely } else { self.ways_from(OPEN, OPEN) };
        let mut nth = 0;
        all.map(|way| {
            let is_likely = likely[nth].is_some();
            nth += 1;
            way.map(|(direction, chain, trail)| (direction, self.sure(direction, chain, trail), is_likely))
        })
    }

    /// Ways that it has likely gone, and what chain and trail hold of each.
    pub(in crate::clean) fn likely_ways(&self, rule: &PortalRule) -> [Option<(Direction, f32, f32)>; 2] {
        self.ways_from(if self.stands(rule) { LIKELY_STATIC } else { LIKELY }, LIKELY)
    }

    /// Ways that chain or trail hold for no less likely than that, and neither for impossible.
    fn ways_from(&self, by_chain: f32, by_trail: f32) -> [Option<(Direction, f32, f32)>; 2] {
        let (chain, trail) = (self.chain.crossed(), self.trail.crossed());
        let ways = [(Direction::In, chain.0, trail.0), (Direction::Out, chain.1, trail.1)];
        ways.map(|(direction, chain, trail)| {
            let by_chain = chain >= by_chain && trail >= IMPOSSIBLE;
            let by_trail = trail >= by_trail && chain >= IMPOSSIBLE;
            (by_chain || by_trail).then_some((direction, chain, trail))
        })
    }

    /// How likely it is a passage, all told.
    fn sure(&self, direction: Direction, chain: f32, trail: f32) -> f32 {
        weigh(&self.signs(direction, chain, trail), &SURE).min(MOST_SURE)
    }

    /// What `SURE` weighs.
    pub(in crate::clean) fn signs(&self, direction: Direction, chain: f32, trail: f32) -> [f32; 6] {
        let [chain, trail] = [chain, trail].map(|probability| log_odds(probability, MOST_ODDS));
        let rise = self.level.rise().map_or(NO_RISE_DB, |rise| rise.min(MOST_RISE_DB)) / 10.0;
        let later = self.later(direction);
        let after = later.is_some_and(|later| (1..=SLOWLY).contains(&later));
        let before = later.is_some_and(|later| later < -SLIGHTLY);
        [1.0, chain, trail, rise, f32::from(u8::from(after)), f32::from(u8::from(before))]
    }

    /// How many steps later the side to which it came heard it best than the one that it left.
    pub(super) fn later(&self, direction: Direction) -> Option<i64> {
        self.level.inner_later().map(|later| if direction == Direction::In { later } else { -later })
    }

    /// When the tag crossed: as it came to lean to its new side, or between the sides' best moments.
    fn moment(&self, inside: bool, antennas: &[AntennaEvidence]) -> Timestamp {
        let came = self.lean.as_ref().filter(|lean| lean.inside == inside).and_then(|lean| lean.came);
        came.unwrap_or_else(|| {
            let best = |inside: bool| {
                let side = antennas.iter().filter(|antenna| antenna.inside == inside);
                let best = side.max_by_key(|antenna| antenna.reads);
                best.map_or(self.last, |antenna| antenna.peak_at).as_micros()
            };
            Timestamp::from_micros(best(true) / 2 + best(false) / 2)
        })
    }
}

/// A way that a tag may have gone: how likely by the antennas alone, and all told.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Way {
    pub direction: Direction,
    pub at: Timestamp,
    pub alone: f32,
    pub likely: f32,
}

fn strongest(antennas: &[AntennaEvidence]) -> Option<f32> {
    antennas.iter().filter_map(|antenna| antenna.peak_rssi_dbm).max_by(f32::total_cmp)
}

fn first_of(antennas: &[AntennaEvidence], at: Timestamp) -> Timestamp {
    antennas.iter().map(|antenna| antenna.first_at).min().unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::{Heard, Holds, Lean};
    use super::*;
    use crate::clean::crossing::Chain;
    use crate::clean::presence::Reads;
    use crate::clean::trail::{Model, Trail};

    fn rule() -> PortalRule {
        let model = Arc::new(Model::new([true, true]));
        PortalRule {
            settle: Duration::from_secs(2),
            static_after: Duration::from_secs(30),
            model,
            beams: [false; 2],
        }
    }

    /// Comes in, and was loudest as it changed sides.
    fn came_in(rule: &PortalRule) -> Crossing {
        let mut crossing = Crossing::new(Timestamp::from_secs(100), rule);
        for step in 0..60_i32 {
            let at = Timestamp::from_secs(100).offset(i64::from(step) * 100_000);
            let (inside, dbm) = (step > 30, -45.0 - (step - 30).abs() as f32 * 0.5);
            let heard = Heard::at(1 + u16::from(inside), inside, Some(dbm));
            crossing.read(Reads { first: at, last: at, count: 1 }, heard, rule, &Beams::default());
        }
        crossing
    }

    #[test]
    fn what_remains_near_the_door_is_judged_once_each_time_that_it_came() {
        let rule = rule();
        let mut crossing = came_in(&rule);
        let came = Some(time_of(crossing.folded) - rule.static_after);
        crossing.lean = Some(Lean { inside: true, held: crossing.folded, came, judged: false });
        (crossing.far, crossing.clear) = (Holds::default(), Holds::default());
        assert!(crossing.clone().settled(&rule, &Beams::default()).is_some());
        let sure = (crossing.chain.clone(), crossing.trail.clone());
        (crossing.chain, crossing.trail) = (Chain::new(), Trail::new(&rule.model));
        assert_eq!(crossing.settled(&rule, &Beams::default()), None, "nothing is sure");
        (crossing.chain, crossing.trail) = sure;
        assert_eq!(crossing.settled(&rule, &Beams::default()), None, "it was judged");
        crossing.lean(crossing.folded);
        assert!(crossing.lean.as_ref().is_some_and(|lean| lean.judged), "it is where it was");
        crossing.lean.as_mut().unwrap().inside = false;
        crossing.lean(crossing.folded);
        assert!(crossing.lean.as_ref().is_some_and(|lean| lean.inside && !lean.judged), "it came anew");
    }
}
