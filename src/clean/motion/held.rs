//! What happened where a tracker could not be heard, until all of it is there.
//!
//! ```text
//! in order   ──●──●────────(gap)────────●──●──▶        told when the late ones are in, from the first fix behind the gap on
//! late             ○ ○ ○ ○ ○ ○ ○ ○                     in whatever order they come
//! ```
//! A fix behind a gap says that it is elsewhere, and not how it came there: in one trip, in two with a stop between, or
//! in a part of one. So trips are told no further than to the gap until nothing late has come for a while, and then by all
//! of the fixes since, in the order of their times. What was told stays true: it was told of the time before. Where nothing
//! late came, what the ones in order said is told as it is. Late ones that break off where it went elsewhere are waited for
//! until it has been heard again: they go on behind the next outage.
//! Who stood before the gap and stands there behind it needs no such care; late fixes may still say that it was away
//! meanwhile.
//!
//! Bounded: [`MOST`] fixes. Where there are more, the one goes that lies nearest to where the others have it at its time
//! (Meratnia and de By, *Spatiotemporal Compression Techniques for Moving Point Objects*, EDBT 2004); what it made the way
//! longer by stays with the one before. A burst that comes oldest first is over where it has passed: there it is told as
//! it goes, and what was told needs no room. Bounded too in time: [`AT_MOST`].

use std::num::NonZeroU16;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::way::{Speeds, between_m};
use super::{Moment, Moves, Stationary, Told, moment, vague_m};
use crate::clean::late::{SETTLES, SILENCE, plausible};
use crate::clean::place::Place;
use crate::clean::rows::{maybe_micros, micros};
use crate::config::TrackerRules;
use crate::domain::ids::SourceId;
use crate::domain::time::Timestamp;

/// Fixes that are held.
const MOST: usize = 48;
/// So many late ones after one another that were each later than the one before, come oldest first; and of those behind
/// the last so many are held still.
const CLIMBS: u8 = 16;
const BEHIND: usize = 12;
/// Changes that are kept; with so many it is time.
const MOST_KEPT: usize = 8;
/// Of our time.
const AT_MOST: Duration = Duration::from_secs(3600);
/// One that is beside the way by no more than so many times its accuracy says nothing of how long that is.
const WAVERS: f64 = 2.5;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(in crate::clean) struct Held {
    /// What it did when the gap began.
    before: Moves,
    /// What came since, oldest first.
    #[serde(with = "moment")]
    way: Vec<Moment>,
    /// What those in order say, if nothing late comes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    kept: Vec<Told>,
    #[serde(with = "micros")]
    since: Timestamp,
    #[serde(with = "micros")]
    due: Timestamp,
    /// The late ones have left a part of the way untold: they go on once it is heard again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    breaks_off: bool,
    /// The connection that the last of them came by.
    via: SourceId,
    /// Where the last late one was put: more will come there.
    #[serde(default, with = "maybe_micros", skip_serializing_if = "Option::is_none")]
    filling: Option<Timestamp>,
    /// So many in a row were later than the one before.
    #[serde(default, skip_serializing_if = "super::is_zero")]
    climbs: u8,
    #[serde(default, skip_serializing_if = "Speeds::are_unknown")]
    speeds: Speeds,
}

impl Held {
    /// A fix in order, if what happened before it is not sure.
    pub fn behind_gap(
        moves: &Moves,
        here: &Moment,
        (via, received): (&SourceId, Timestamp),
        rules: &TrackerRules,
    ) -> Option<Box<Self>> {
        let gap = here.place.at.since(moves.last_at());
        (gap >= SILENCE && !moves.stays(here, rules))
            .then(|| Self::new(moves.clone(), vec![*here], (via, received)))
    }

    /// A late fix that lies in a gap before and behind which it stands where it does now. `places`: of fixes in order.
    pub fn inside_gap(
        moves: &Moves,
        places: &[Place],
        late: &Moment,
        by: (&SourceId, Timestamp),
        rules: &TrackerRules,
    ) -> Option<Box<Self>> {
        let Moves::Standing(standing) = moves else { return None };
        let behind = places.partition_point(|place| place.at <= late.place.at);
        let (before, after) = (places.get(behind.checked_sub(1)?)?, places.get(behind)?);
        let is_gap = !before.has_more_after() && after.at.since(before.at) >= SILENCE;
        if standing.since > before.at || !is_gap || late.place.at == before.at {
            return None;
        }
        let stood = Stationary { last: *before, leaving: None, ..standing.clone() };
        let way = places[behind..].iter().map(|place| Moment::at(*place)).collect();
        let mut held = Self::new(Moves::Standing(stood), way, by);
        held.arrives(late, places, by, rules);
        Some(held)
    }

    fn new(before: Moves, way: Vec<Moment>, (via, received): (&SourceId, Timestamp)) -> Box<Self> {
        let (kept, due, speeds) = (Vec::new(), received + SETTLES, Speeds::default());
        let (since, via, filling, climbs) = (received, via.clone(), None, 0);
        let breaks_off = false;
        Box::new(Self { before, way, kept, since, due, breaks_off, via, filling, climbs, speeds })
    }

    pub fn due(&self) -> (Timestamp, &SourceId) {
        (if self.breaks_off { self.latest() } else { self.due }, &self.via)
    }

    fn latest(&self) -> Timestamp {
        self.since + AT_MOST
    }

    /// One more in order. The connection that it came by is the one that late ones come by now.
    pub fn follows(&mut self, here: &Moment, (via, received): (&SourceId, Timestamp), rules: &TrackerRules) {
        self.comes_by(via);
        if self.breaks_off && received >= self.due {
            self.breaks_off = false;
            self.due = self.latest().min(received + SETTLES);
        }
        self.put(*here, rules);
    }

    /// What those in order say meanwhile.
    pub fn keep(&mut self, told: &mut Vec<Told>, received: Timestamp) {
        self.kept.append(told);
        if self.kept.len() >= MOST_KEPT {
            (self.due, self.breaks_off) = (self.due.min(received), false);
        }
    }

    fn comes_by(&mut self, via: &SourceId) {
        if self.via != *via {
            self.via = via.clone();
        }
    }

    /// A late fix. Where it lies before the gap, it may lie in an earlier one. What is sure by now.
    pub fn arrives(
        &mut self,
        late: &Moment,
        places: &[Place],
        by: (&SourceId, Timestamp),
        rules: &TrackerRules,
    ) -> Vec<Told> {
        let mut told = Vec::new();
        if late.place.at <= self.before.last_at() {
            let Some(mut earlier) = Self::inside_gap(&self.before, places, late, by, rules) else {
                return told;
            };
            let begins = self.way.first().map(|first| first.place.at);
            earlier.way.retain(|moment| begins.is_none_or(|begins| moment.place.at < begins));
            self.before = earlier.before;
            self.way.splice(0..0, earlier.way);
            while self.way.len() > MOST && self.drop_one(0, rules) {}
        } else {
            let climbs = self.filling.is_some_and(|last| last < late.place.at);
            self.climbs = if climbs { self.climbs.saturating_add(1) } else { 0 };
            self.filling = Some(late.place.at);
            // Early enough that there is room until it is known again how they come, where one was overtaken.
            if self.way.len() + usize::from(CLIMBS) >= MOST && self.climbs >= CLIMBS {
                told = self.pass(rules);
            }
            self.put(Moment { is_late: true, ..*late }, rules);
        }
        let (via, received) = by;
        self.due = self.due.max(received + SETTLES).min(self.latest());
        self.breaks_off = self.has_gap(rules);
        self.comes_by(via);
        told
    }

    /// Whether it went elsewhere in a silence that nothing has come of yet.
    fn has_gap(&self, rules: &TrackerRules) -> bool {
        let mut last = Some(self.before.last());
        self.way.iter().any(|Moment { place, .. }| {
            let goes = |(from, at)| {
                place.at.since(at) >= SILENCE && place.position().distance_m(from) >= rules.trip_after_m
            };
            let is_gap = last.is_some_and(goes);
            // One that stands for others is followed by them.
            last = (place.count <= 1).then(|| (place.position(), place.at));
            is_gap
        })
    }

    /// What it did where the burst has passed.
    fn pass(&mut self, rules: &TrackerRules) -> Vec<Told> {
        let filled = self.way.partition_point(|other| Some(other.place.at) < self.filling);
        let passed = filled.saturating_sub(BEHIND);
        let (mut before, mut told) = (self.before.clone(), Vec::new());
        self.through(passed, &mut before, rules, &mut told);
        self.before = before;
        self.way.drain(..passed);
        told
    }

    fn put(&mut self, moment: Moment, rules: &TrackerRules) {
        let at = self.way.partition_point(|other| other.place.at < moment.place.at);
        // At one time it was at one place.
        if self.way.get(at).is_some_and(|other| other.place.at == moment.place.at) {
            return;
        }
        let (before, next) = (at.checked_sub(1).map(|before| self.way[before]), self.way.get(at));
        for (from, to) in
            before.iter().map(|before| (before, &moment)).chain(next.map(|next| (&moment, next)))
        {
            let straight = from.place.position().offset_m(to.place.position());
            self.speeds.hears(straight, to.place.at.since(from.place.at).as_secs_f64(), to);
        }
        let moment = match (before, next) {
            (Some(before), Some(next)) => {
                let [first, second] = shared(&before, &moment, next, self.speeds.hold());
                self.way[at - 1].way_m = first;
                Moment { way_m: second, ..moment }
            }
            _ => moment,
        };
        self.way.reserve_exact(1);
        self.way.insert(at, moment);
        if self.way.len() > MOST {
            self.drop_one(at, rules);
        }
    }

    /// Not where one has just come, or the last late one, for more will come there, and what lies there is not the way yet;
    /// nor, where there is another, one without which there would be a silence that ends a trip, or no stop any more that does.
    fn drop_one(&mut self, came: usize, rules: &TrackerRules) -> bool {
        let is_stop = |from: &Moment, to: &Moment| {
            to.place.at.since(from.place.at) >= rules.stop_after
                && from.place.position().distance_m(to.place.position()) <= rules.stop_within_m
        };
        let ends = |three: &[Moment]| {
            let [before, here, after] = [&three[0], &three[1], &three[2]];
            let is_silent = after.place.at.since(before.place.at) >= rules.trip_gap;
            is_silent || (is_stop(before, here) || is_stop(here, after)) && !is_stop(before, after)
        };
        let beside = self
            .way
            .windows(3)
            .map(|three| (ends(three), three[1].place.beside_m(&three[0].place, &three[2].place)));
        let filling = self.filling.map_or(came, |at| self.way.partition_point(|other| other.place.at < at));
        let is_there = |nth: usize| nth.abs_diff(came) <= 1 || nth.abs_diff(filling) <= 1;
        let elsewhere = (0..).zip(beside).filter(|(nth, _): &(usize, _)| !is_there(nth + 1));
        let nearest = elsewhere.min_by(|(_, (a, a_m)), (_, (b, b_m))| a.cmp(b).then(a_m.total_cmp(b_m)));
        let Some((nth, (_, beside_m))) = nearest else { return false };
        let dropped = self.way.remove(nth + 1);
        let after = self.way[nth + 1];
        let before = &mut self.way[nth];
        let (is_known, hold) = (before.way_m.or(dropped.way_m).is_some(), self.speeds.hold());
        if is_known || beside_m > vague(&dropped.place) * WAVERS {
            let metres = piece_m(before, &dropped, hold) + piece_m(&dropped, &after, hold);
            // Further than can be said is a straight line.
            before.way_m = u16::try_from(metres.round() as u32).ok().and_then(NonZeroU16::new);
        }
        // One in order confirms itself, and no late one.
        if dropped.is_late || !before.is_late {
            before.place.count = before.place.count.saturating_add(dropped.place.count);
        }
        true
    }

    /// What it did, by all of them, and the connection that they came by. `moves`: what it does by those in order.
    pub fn settle(self, moves: &mut Moves, rules: &TrackerRules) -> (Vec<Told>, SourceId) {
        if !self.way.iter().any(|moment| moment.is_late) {
            return (self.kept, self.via);
        }
        let mut told = Vec::new();
        *moves = self.before.clone();
        self.through(self.way.len(), moves, rules, &mut told);
        (told, self.via)
    }

    /// The first so many of them, those that are believed.
    fn through(&self, most: usize, moves: &mut Moves, rules: &TrackerRules, told: &mut Vec<Told>) {
        let fixes: Vec<(&Moment, bool)> = self.way.iter().map(|moment| (moment, moment.is_late)).collect();
        let believed = plausible(&fixes, |moment| &moment.place, rules);
        let ends = self.way.get(most).map_or(Timestamp::MAX, |next| next.place.at);
        let passed = believed.iter().take_while(|moment| moment.place.at < ends);
        for (nth, moment) in passed.enumerate() {
            let until = believed.get(nth + 1).map_or(Timestamp::MAX, |next| next.place.at);
            // What is known of the way to one that is not believed is known of the way to the next.
            let not =
                self.way.iter().filter(|other| moment.place.at < other.place.at && other.place.at < until);
            let parts =
                not.map(|other| other.way_m).fold(moment.way_m, |all, part| all?.checked_add(part?.get()));
            moves.take(&Moment { way_m: parts, ..**moment }, rules, told);
        }
    }
}

impl Moves {
    /// Whether a fix says that it stands where it stood.
    fn stays(&self, here: &Moment, rules: &TrackerRules) -> bool {
        let Self::Standing(Stationary { middle, leaving: None, .. }) = self else { return false };
        middle.distance_m(here.place.position()) - vague_m(&here.place, rules) <= rules.trip_after_m
    }
}

/// What is known of the way from one to another, by parts: to a place between them, and from there.
fn shared(from: &Moment, over: &Moment, to: &Moment, hold: bool) -> [Option<NonZeroU16>; 2] {
    let Some(all) = from.way_m else { return [None; 2] };
    let parts = [between_m(from, over, hold), between_m(over, to, hold)];
    let share = f64::from(all.get()) / (parts[0] + parts[1]).max(1.0);
    parts.map(|part| NonZeroU16::new((part * share).round() as u16))
}

fn piece_m(from: &Moment, to: &Moment, hold: bool) -> f64 {
    from.way_m.map_or_else(|| between_m(from, to, hold), |metres| f64::from(metres.get()))
}

fn vague(place: &Place) -> f64 {
    place.accuracy_m().unwrap_or_default()
}

#[cfg(test)]
mod tests;
