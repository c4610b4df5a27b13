//! What happened where a tracker could not be heard, until all of it is there.
//!
//! ```text
//! in order   ──●──●────────(gap)────────●──●──▶        told when the late ones are in, from the first fix behind the gap on
//! late             ○ ○ ○ ○ ○ ○ ○ ○                     in whatever order they come
//! ```
//! A fix behind a gap says that it is elsewhere, and not how it came there: in one trip, in two with a stop between, or
//! in a part of one. So trips are told no further than to the gap until nothing late has come for a while, and then by all
//! of the fixes since, in the order of their times. What was told stays true: it was told of the time before.
//! Who stood before the gap and stands there behind it needs no such care; late fixes may still say that it was away
//! meanwhile.
//!
//! Bounded: [`MOST`] fixes. Where there are more, the one goes that lies nearest to where the others have it at its time
//! (Meratnia and de By, *Spatiotemporal Compression Techniques for Moving Point Objects*, EDBT 2004); what it made the way
//! longer by stays with the one before. Bounded too in time: [`AT_MOST`].

use std::num::NonZeroU16;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::way::between_m;
use super::{Moment, Moves, Stationary, Told, moment, vague_m};
use crate::clean::late::SETTLES;
use crate::clean::place::Place;
use crate::clean::rows::micros;
use crate::config::TrackerRules;
use crate::domain::geodesy::Position;
use crate::domain::ids::SourceId;
use crate::domain::time::Timestamp;

/// Silence in which so much may have happened.
const GAP: Duration = Duration::from_secs(90);
/// Fixes that are held.
const MOST: usize = 48;
/// Of our time.
const AT_MOST: Duration = Duration::from_secs(3600);

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(in crate::clean) struct Held {
    /// What it did when the gap began.
    before: Moves,
    /// What came since, oldest first.
    #[serde(with = "moment")]
    way: Vec<Moment>,
    #[serde(with = "micros")]
    since: Timestamp,
    #[serde(with = "micros")]
    due: Timestamp,
    /// The connection that the last of them came by.
    via: SourceId,
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
        (gap >= GAP && !moves.stays(here, rules))
            .then(|| Self::new(moves.clone(), vec![*here], (via, received)))
    }

    /// A late fix that lies in a gap before and behind which it stands where it does now. `kept`: fixes in order.
    pub fn inside_gap(
        moves: &Moves,
        kept: &[Place],
        late: &Moment,
        (via, received): (&SourceId, Timestamp),
    ) -> Option<Box<Self>> {
        let Moves::Standing(standing) = moves else { return None };
        let behind = kept.partition_point(|kept| kept.at <= late.place.at);
        let (before, after) = (kept.get(behind.checked_sub(1)?)?, kept.get(behind)?);
        let is_gap = !before.has_more_after && after.at.since(before.at) >= GAP;
        if standing.since > before.at || !is_gap || late.place.at == before.at {
            return None;
        }
        let stood = Stationary { last: *before, leaving: None, ..standing.clone() };
        let way = kept[behind..].iter().map(|place| Moment::at(*place)).collect();
        let mut held = Self::new(Moves::Standing(stood), way, (via, received));
        held.arrives(late, (via, received));
        Some(held)
    }

    fn new(before: Moves, way: Vec<Moment>, (via, received): (&SourceId, Timestamp)) -> Box<Self> {
        Box::new(Self { before, way, since: received, due: received + SETTLES, via: via.clone() })
    }

    pub fn due(&self) -> (Timestamp, &SourceId) {
        (self.due, &self.via)
    }

    /// One more in order. The connection that it came by is the one that late ones come by now.
    pub fn follows(&mut self, here: &Moment, via: &SourceId) {
        self.comes_by(via);
        self.put(*here);
    }

    fn comes_by(&mut self, via: &SourceId) {
        if self.via != *via {
            self.via = via.clone();
        }
    }

    /// A late fix; it is none of these where it lies before the gap.
    pub fn arrives(&mut self, late: &Moment, (via, received): (&SourceId, Timestamp)) {
        if late.place.at <= self.before.last_at() {
            return;
        }
        self.due = self.due.max(received + SETTLES).min(self.since + AT_MOST);
        self.comes_by(via);
        self.put(Moment { is_late: true, ..*late });
    }

    fn put(&mut self, moment: Moment) {
        let at = self.way.partition_point(|other| other.place.at < moment.place.at);
        // At one time it was at one place.
        if self.way.get(at).is_some_and(|other| other.place.at == moment.place.at) {
            return;
        }
        let moment = match (at.checked_sub(1).map(|before| self.way[before]), self.way.get(at)) {
            (Some(before), Some(next)) => {
                let [first, second] = shared(&before, &moment, next);
                self.way[at - 1].way_m = first;
                Moment { way_m: second, ..moment }
            }
            _ => moment,
        };
        self.way.reserve_exact(1);
        self.way.insert(at, moment);
        if self.way.len() > MOST {
            self.drop_one(at);
        }
    }

    /// Not where one has just come, for more will come there.
    fn drop_one(&mut self, came: usize) {
        let beside = self.way.windows(3).map(|three| beside_m([&three[0], &three[1], &three[2]]));
        let elsewhere = (0..).zip(beside).filter(|(nth, _): &(usize, f64)| (nth + 1).abs_diff(came) > 1);
        let nearest = elsewhere.min_by(|(_, a), (_, b)| a.total_cmp(b));
        let Some((nth, beside_m)) = nearest else { return };
        let dropped = self.way.remove(nth + 1);
        let after = self.way[nth + 1];
        let before = &mut self.way[nth];
        // As far beside as it may waver, it says nothing of the way.
        let is_known = before.way_m.or(dropped.way_m).is_some();
        if is_known || beside_m > vague(&dropped.place) {
            let metres = piece_m(before, &dropped) + piece_m(&dropped, &after);
            // Further than can be said is a straight line.
            before.way_m = u16::try_from(metres.round() as u32).ok().and_then(NonZeroU16::new);
        }
        before.place.count = before.place.count.saturating_add(dropped.place.count);
    }

    /// What it did, and does now, by all of them; and the connection that they came by.
    pub fn settle(self, rules: &TrackerRules) -> (Moves, Vec<Told>, SourceId) {
        let (mut moves, mut told) = (self.before, Vec::new());
        let fixes: Vec<(&Moment, bool)> = self.way.iter().map(|moment| (moment, moment.is_late)).collect();
        for moment in crate::clean::late::plausible(&fixes, |moment| &moment.place, rules) {
            moves.take(moment, rules, &mut told);
        }
        (moves, told, self.via)
    }
}

impl Moves {
    /// Whether a fix says that it stands where it stood.
    fn stays(&self, here: &Moment, rules: &TrackerRules) -> bool {
        let Self::Standing(Stationary { middle, leaving: None, .. }) = self else { return false };
        middle.distance_m(here.place.position()) - vague_m(&here.place, rules) <= rules.trip_after_m
    }
}

/// How far the second is from where the two others have it at its time.
fn beside_m([before, here, after]: [&Moment; 3]) -> f64 {
    let span = |from: &Moment, to: &Moment| to.place.at.since(from.place.at).as_secs_f64();
    let part = span(before, here) / span(before, after).max(f64::MIN_POSITIVE);
    let expected: Position = before.place.position().towards(after.place.position(), part);
    expected.distance_m(here.place.position())
}

/// What is known of the way from one to another, by parts: to a place between them, and from there.
fn shared(from: &Moment, over: &Moment, to: &Moment) -> [Option<NonZeroU16>; 2] {
    let Some(all) = from.way_m else { return [None; 2] };
    let parts = [between_m(from, over), between_m(over, to)];
    let share = f64::from(all.get()) / (parts[0] + parts[1]).max(1.0);
    parts.map(|part| NonZeroU16::new((part * share).round() as u16))
}

fn piece_m(from: &Moment, to: &Moment) -> f64 {
    from.way_m.map_or_else(|| between_m(from, to), |metres| f64::from(metres.get()))
}

fn vague(place: &Place) -> f64 {
    place.accuracy_m().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Digest;
    use crate::domain::readings::Fix;

    /// Round a square of 300 m by a fix in ten seconds, and a stop of ten minutes.
    fn moment(nth: i64) -> Moment {
        let second = nth * 10;
        let metres = (second.min(600) + (second - 1200).max(0)) as f64 * 10.0;
        let (side, along) = (metres.div_euclid(300.0) as i64 % 4, metres.rem_euclid(300.0));
        let at = [[0.0, along], [along, 300.0], [300.0, 300.0 - along], [300.0 - along, 0.0]][side as usize];
        let position = Position { lat: 50.0, lon: 8.0 }.moved_m(at);
        let at = Timestamp::from_secs(1_700_000_000 + second);
        Moment::of(&Fix { accuracy_m: Some(4.0), ..Fix::bare("truck".into(), at, position, Digest(0)) })
    }

    fn held(order: impl Iterator<Item = i64>) -> Box<Held> {
        let (via, received) = ("broker".into(), Timestamp::from_secs(1_700_010_000));
        let before = Fix::bare(
            "truck".into(),
            Timestamp::from_secs(1_699_999_000),
            moment(0).place.position(),
            Digest(0),
        );
        let mut held = Held::new(Moves::begin(&before), vec![moment(240)], (&via, received));
        order.for_each(|nth| held.arrives(&moment(nth), (&via, received)));
        held
    }

    #[test]
    fn what_is_dropped_leaves_its_length_whatever_the_order() {
        let all: Vec<Moment> = (0..=240).map(moment).collect();
        let truly: f64 = all.windows(2).map(|ends| piece_m(&ends[0], &ends[1])).sum();
        for held in [held(0..240), held((0..240).rev()), held((120..240).rev().chain(0..120))] {
            assert!(held.way.len() == MOST && held.way.is_sorted_by_key(|moment| moment.place.at));
            let kept: f64 = held.way.windows(2).map(|ends| piece_m(&ends[0], &ends[1])).sum();
            assert!((kept - truly).abs() < truly * 0.02, "{kept} of {truly}");
            let fixes: u32 = held.way.iter().map(|moment| u32::from(moment.place.count)).sum();
            assert_eq!(fixes, 241);
            // It stood for ten minutes, and that is still there.
            let longest = held.way.windows(2).map(|ends| {
                let apart = ends[0].place.position().distance_m(ends[1].place.position());
                if apart < 1.0 { ends[1].place.at.since(ends[0].place.at) } else { Duration::ZERO }
            });
            let stood: Duration = longest.sum();
            assert!(stood >= Duration::from_secs(500), "{stood:?}");
        }
    }

    #[test]
    fn a_tracker_that_is_never_in_order_is_told_all_the_same() {
        let via: SourceId = "broker".into();
        let mut held = held(0..1);
        let since = held.since;
        for minute in 0..120 {
            held.arrives(&moment(1 + minute), (&via, since + Duration::from_secs(60) * minute as u32));
        }
        assert_eq!(held.due, since + AT_MOST);
    }
}
