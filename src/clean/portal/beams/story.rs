//! What light barriers say of a passage that a tag's reads speak of, and how much that counts.
//!
//! A run through both beams tells a way, one that came and turned back tells that nothing of it passed, a single beam
//! tells that something was there, and silence of beams that work tells that nothing was. None of it is of one tag: two
//! loads may be at the door, and a person may walk past a pallet that stands there. So it adds to what the tag's reads
//! say, by weights that a fit gives, and bounded.

use super::Beams;
use super::runs::Run;
use crate::clean::odds::{log_odds, weigh};
use crate::domain::sightings::{BeamBroken, BeamsEvidence, BeamsSay, Direction};
use crate::domain::time::Timestamp;

/// What a passage is worth after all, in log-odds (`clean/tests/fit.rs` prints them): what its reads say; whether the
/// beams tell of one the same way (1) or the other (-1); whether something came and turned back; and whether nothing
/// was there at all.
pub(in crate::clean) const PAIR: [f32; 5] = [0.11, 0.37, 2.21, -0.04, -4.31];
/// The same of one row of antennas.
pub(in crate::clean) const ROW_PAIR: [f32; 5] = [-0.36, 0.61, 1.97, -0.39, -1.57];
/// Of a single beam: what its reads say, and whether nothing was there; at two rows of antennas, and at one.
pub(in crate::clean) const SINGLE: [f32; 3] = [0.97, 0.39, -3.26];
pub(in crate::clean) const ROW_SINGLE: [f32; 3] = [0.41, 0.73, -1.79];
/// Reads say so much at most.
const MOST_ODDS: f32 = 7.0;
/// Beams multiply the odds by no less and no more: of what is simulated they see everything, and at a door not.
const LEAST_TIMES: f32 = 0.02;
const MOST_TIMES: f32 = 50.0;
/// A beam that works no more likely than this is left out.
const DEAD: f32 = 0.3;

/// What a portal's beams say of one passage.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(in crate::clean) struct Story {
    say: BeamsSay,
    /// Of four steps the way of the passage, from -1 to 1.
    agrees: f32,
    /// Both sides have a beam that works.
    pair: bool,
    /// How likely they would have told.
    trust: f32,
}

impl Beams {
    /// What they say of a passage that way at about that time; `has`: on which sides there are any. Nothing where
    /// nobody knows.
    pub(in crate::clean) fn story(&self, at: Timestamp, way: Direction, has: [bool; 2]) -> Option<Story> {
        let alive = [0, 1].map(|side| has[side] && self.works[side] > DEAD && self.hears(side, at));
        let near: Vec<Run> = self.near(at).collect();
        if at < self.since || near.iter().any(|run| run.stands(at)) {
            return None;
        }
        let trust = [0, 1].map(|side| if alive[side] { self.works[side] } else { 0.0 });
        let trust = trust[0].max(trust[1]);
        let sign = if way == Direction::In { 1.0 } else { -1.0 };
        let agrees =
            |run: &Run| if run.at_once { 0.0 } else { sign * (run.steps as f32 / 4.0).clamp(-1.0, 1.0) };
        // A beam that is dead, or that was not heard yet, leaves the other one alone.
        let broke =
            near.iter().fold([false; 2], |broke, run| [0, 1].map(|side| broke[side] || run.broke[side]));
        let pair = has == [true; 2] && [0, 1].iter().all(|side| alive[*side] || broke[*side]);
        let Some(best) = near.iter().max_by(|one, other| agrees(one).total_cmp(&agrees(other))) else {
            return (trust > 0.0).then_some(Story { say: BeamsSay::Nothing, agrees: 0.0, pair, trust });
        };
        let say = match best.steps {
            _ if !pair || best.at_once => BeamsSay::Something,
            1.. => BeamsSay::Inward,
            ..=-1 => BeamsSay::Outward,
            0 if best.until.is_some() => BeamsSay::TurnedBack,
            0 => BeamsSay::Something,
        };
        Some(Story { say, agrees: if pair { agrees(best) } else { 0.0 }, pair, trust: 1.0 })
    }

    /// The evidence that is kept with it.
    pub(in crate::clean) fn evidence(
        &self,
        story: Story,
        alone: f32,
        at: Timestamp,
        has: [bool; 2],
    ) -> BeamsEvidence {
        let told_apart = has == [true; 2];
        let broken = self.broken(at).into_iter().map(|(inside, broken_at, free_at)| BeamBroken {
            inside: told_apart.then_some(inside),
            broken_at,
            free_at,
        });
        BeamsEvidence { say: story.say, antennas_alone: alone, broken: broken.collect() }
    }
}

impl Story {
    /// How likely the passage is, given how likely its reads make it.
    pub fn weigh(&self, alone: f32, one_row: bool) -> f32 {
        let seen = if self.pair {
            weigh(&self.pair_signs(alone), if one_row { &ROW_PAIR } else { &PAIR })
        } else {
            weigh(&self.single_signs(alone), if one_row { &ROW_SINGLE } else { &SINGLE })
        };
        let before = alone / (1.0 - alone).max(1e-6);
        let times = (seen / (1.0 - seen).max(1e-6) / before.max(1e-6)).clamp(LEAST_TIMES, MOST_TIMES);
        // Where they do not work, what they say is worth nothing.
        let odds = before * (self.trust * times + 1.0 - self.trust);
        odds / (1.0 + odds)
    }

    pub fn saw_nothing(&self) -> bool {
        self.say == BeamsSay::Nothing
    }

    pub fn pair_signs(&self, alone: f32) -> [f32; 5] {
        let turned = f32::from(u8::from(self.say == BeamsSay::TurnedBack));
        [1.0, log_odds(alone, MOST_ODDS), self.agrees, turned, f32::from(u8::from(self.saw_nothing()))]
    }

    pub fn single_signs(&self, alone: f32) -> [f32; 3] {
        [1.0, log_odds(alone, MOST_ODDS), f32::from(u8::from(self.saw_nothing()))]
    }
}
