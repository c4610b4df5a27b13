//! What happened where a tracker could not be heard, until all of it is there.
//!
//! ```text
//! in order   ──●──●────────(gap)────────●──●──▶        told when the late ones are in, from the first fix behind the gap on
//! late             ○ ○ ○ ○ ○ ○ ○ ○                     in whatever order they come
//! ```
//! A fix behind a gap says that it is elsewhere, and not how it came there: in one trip, in two with a stop between, or
//! in a part of one. So trips are told no further than to the gap until nothing late has come for a while, and then by all
//! of the fixes since, in the order of their times. What was told stays true: it was told of the time before. Where nothing
//! late came, what the ones in order said is told as it is.
//! Who stood before the gap and stands there behind it needs no such care; late fixes may still say that it was away
//! meanwhile.
//!
//! Bounded: [`MOST`] fixes. Where there are more, the one goes that lies nearest to where the others have it at its time
//! (Meratnia and de By, *Spatiotemporal Compression Techniques for Moving Point Objects*, EDBT 2004); what it made the way
//! longer by stays with the one before. Bounded too in time: [`AT_MOST`].

use std::num::NonZeroU16;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::way::{Speeds, between_m};
use super::{Moment, Moves, Stationary, Told, moment, vague_m};
use crate::clean::late::{SETTLES, plausible};
use crate::clean::place::Place;
use crate::clean::rows::{maybe_micros, micros};
use crate::config::TrackerRules;
use crate::domain::geodesy::Position;
use crate::domain::ids::SourceId;
use crate::domain::time::Timestamp;

/// Silence in which so much may have happened.
const GAP: Duration = Duration::from_secs(90);
/// Fixes that are held.
const MOST: usize = 48;
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
    /// The connection that the last of them came by.
    via: SourceId,
    /// Where the last late one was put: more will come there.
    #[serde(default, with = "maybe_micros", skip_serializing_if = "Option::is_none")]
    filling: Option<Timestamp>,
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
        (gap >= GAP && !moves.stays(here, rules))
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
        let is_gap = !before.has_more_after && after.at.since(before.at) >= GAP;
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
        Box::new(Self { before, way, kept, since: received, due, via: via.clone(), filling: None, speeds })
    }

    pub fn due(&self) -> (Timestamp, &SourceId) {
        (self.due, &self.via)
    }

    /// One more in order. The connection that it came by is the one that late ones come by now.
    pub fn follows(&mut self, here: &Moment, via: &SourceId, rules: &TrackerRules) {
        self.comes_by(via);
        self.put(*here, rules);
    }

    /// What those in order say meanwhile.
    pub fn keep(&mut self, told: &mut Vec<Told>, received: Timestamp) {
        self.kept.append(told);
        if self.kept.len() >= MOST_KEPT {
            self.due = self.due.min(received);
        }
    }

    fn comes_by(&mut self, via: &SourceId) {
        if self.via != *via {
            self.via = via.clone();
        }
    }

    /// A late fix. Where it lies before the gap, it may lie in an earlier one.
    pub fn arrives(
        &mut self,
        late: &Moment,
        places: &[Place],
        by: (&SourceId, Timestamp),
        rules: &TrackerRules,
    ) {
        if late.place.at <= self.before.last_at() {
            let Some(mut earlier) = Self::inside_gap(&self.before, places, late, by, rules) else { return };
            let begins = self.way.first().map(|first| first.place.at);
            earlier.way.retain(|moment| begins.is_none_or(|begins| moment.place.at < begins));
            self.before = earlier.before;
            self.way.splice(0..0, earlier.way);
            while self.way.len() > MOST && self.drop_one(0, rules) {}
        } else {
            self.filling = Some(late.place.at);
            self.put(Moment { is_late: true, ..*late }, rules);
        }
        let (via, received) = by;
        self.due = self.due.max(received + SETTLES).min(self.since + AT_MOST);
        self.comes_by(via);
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
        let beside =
            self.way.windows(3).map(|three| (ends(three), beside_m([&three[0], &three[1], &three[2]])));
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
        let fixes: Vec<(&Moment, bool)> = self.way.iter().map(|moment| (moment, moment.is_late)).collect();
        let believed = plausible(&fixes, |moment| &moment.place, rules);
        let mut told = Vec::new();
        *moves = self.before;
        for (nth, moment) in believed.iter().enumerate() {
            let until = believed.get(nth + 1).map_or(Timestamp::MAX, |next| next.place.at);
            // What is known of the way to one that is not believed is known of the way to the next.
            let not =
                self.way.iter().filter(|other| moment.place.at < other.place.at && other.place.at < until);
            let parts =
                not.map(|other| other.way_m).fold(moment.way_m, |all, part| all?.checked_add(part?.get()));
            moves.take(&Moment { way_m: parts, ..**moment }, rules, &mut told);
        }
        (told, self.via)
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
mod tests {
    use super::*;
    use crate::clean::tests::dice::Dice;
    use crate::domain::ids::Digest;
    use crate::domain::readings::Fix;

    /// Round a square of 300 m by a fix in ten seconds, and a stop of ten minutes.
    fn moment(nth: i64) -> Moment {
        let second = nth * 10;
        let metres = (second.min(600) + (second - 1200).max(0)) as f64 * 10.0;
        let (at, position) = (Timestamp::from_secs(1_700_000_000 + second), round(metres));
        Moment::of(&Fix { accuracy_m: Some(4.0), ..Fix::bare("truck".into(), at, position, Digest(0)) })
    }

    /// So far round the square.
    fn round(metres: f64) -> Position {
        let (side, along) = (metres.div_euclid(300.0) as i64 % 4, metres.rem_euclid(300.0));
        let at = [[0.0, along], [along, 300.0], [300.0, 300.0 - along], [300.0 - along, 0.0]][side as usize];
        Position { lat: 50.0, lon: 8.0 }.moved_m(at)
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
        let rules = TrackerRules::default();
        order.for_each(|nth| held.arrives(&moment(nth), &[], (&via, received), &rules));
        held
    }

    #[test]
    fn what_is_dropped_leaves_its_length_whatever_the_order() {
        let all: Vec<Moment> = (0..=240).map(moment).collect();
        let truly: f64 = all.windows(2).map(|ends| piece_m(&ends[0], &ends[1], true)).sum();
        for held in [held(0..240), held((0..240).rev()), held((120..240).rev().chain(0..120))] {
            assert!(held.way.len() == MOST && held.way.is_sorted_by_key(|moment| moment.place.at));
            let kept: f64 = held.way.windows(2).map(|ends| piece_m(&ends[0], &ends[1], true)).sum();
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

    /// Half an hour round the square with a fix a second, a stop of eight minutes in which one comes, and as long again.
    #[test]
    fn a_stop_is_not_lost_among_many_fixes() {
        let stop = 1800..2280;
        let at = |second: i64| {
            let position = round((second.min(stop.start) + (second - stop.end).max(0)) as f64 * 4.0);
            let (mut random, at) = (Dice(second as u64 + 7), Timestamp::from_secs(1_700_000_000 + second));
            let position = position.moved_m([random.normal(4.0), random.normal(4.0)]);
            Moment::of(&Fix { accuracy_m: Some(4.0), ..Fix::bare("truck".into(), at, position, Digest(0)) })
        };
        let seconds: Vec<i64> = (0..=stop.start).chain([2100]).chain(stop.end..4080).collect();
        let mut of = [seconds.clone(), seconds];
        of[1].reverse();
        for order in of {
            let mut held = held(0..0);
            held.way = vec![at(5000)];
            let by = ("broker".into(), held.since);
            for second in order {
                held.arrives(&at(second), &[], (&by.0, by.1), &TrackerRules::default());
            }
            let place = at(2100).place.position();
            let there = |moment: &&Moment| moment.place.position().distance_m(place) < 60.0;
            let during = at(stop.start - 20).place.at..=at(stop.end + 20).place.at;
            let stays: Vec<Timestamp> = held
                .way
                .iter()
                .filter(there)
                .map(|moment| moment.place.at)
                .filter(|at| during.contains(at))
                .collect();
            let stood = stays.iter().max().zip(stays.iter().min()).map(|(until, since)| until.since(*since));
            assert!(stood > Some(Duration::from_secs(400)), "{stood:?}");
        }
    }

    /// How long an hour to the north is by what is held of it, as a share: a fix each so many seconds, what it tells of its
    /// speed, and how sure it is, which is by how much it errs.
    fn hour(every: i64, told_mps: f64, accuracy_m: f64) -> f64 {
        let (mut random, mut held) = (Dice(3), held(0..0));
        held.way.clear();
        let start = Position { lat: 50.0, lon: 8.0 };
        for second in (0..3600).step_by(every as usize) {
            let [east, north] = [0.0, 10.0 * second as f64].map(|metres| metres + random.normal(accuracy_m));
            let at = Timestamp::from_secs(1_700_000_000 + second);
            let late = Moment::of(&Fix {
                accuracy_m: Some(accuracy_m),
                speed_mps: Some(told_mps),
                course_deg: Some(360.0),
                ..Fix::bare("truck".into(), at, start.moved_m([east, north]), Digest(0))
            });
            held.arrives(&late, &[], (&"broker".into(), held.since), &TrackerRules::default());
        }
        let pieces = held.way.windows(2).map(|ends| piece_m(&ends[0], &ends[1], held.speeds.hold()));
        pieces.sum::<f64>() / 36_000.0
    }

    #[test]
    fn what_is_dropped_makes_the_way_no_longer_by_wavering() {
        let shares = [hour(10, 10.0, 12.0), hour(1, 10.0, 4.0)];
        assert!(shares.iter().all(|share| (share - 1.0).abs() < 0.01), "{shares:?}");
    }

    #[test]
    fn what_is_dropped_goes_by_no_speed_that_cannot_be() {
        let shares = [hour(2, 0.0, 0.5), hour(2, 36.0, 0.5)];
        assert!(shares.iter().all(|share| (0.97..1.05).contains(share)), "{shares:?}");
    }

    /// While what was kept still comes, what is new comes too: between them nothing is known of the way.
    #[test]
    fn what_is_new_takes_no_length_from_what_still_comes() {
        let rules = TrackerRules::default();
        let (all, news): (Vec<Moment>, i64) = ((0..=320).map(moment).collect(), 240);
        let mut held = held(0..0);
        for nth in 0..news {
            held.arrives(&all[nth as usize], &[], (&"broker".into(), held.since), &rules);
            if nth % 3 == 2 {
                held.follows(&all[(news + 1 + nth / 3) as usize], &"broker".into(), &rules);
            }
        }
        let length =
            |way: &[Moment]| way.windows(2).map(|ends| piece_m(&ends[0], &ends[1], true)).sum::<f64>();
        let (kept, truly) = (length(&held.way), length(&all));
        assert!((kept - truly).abs() < truly * 0.02, "{kept} of {truly}");
    }

    #[test]
    fn a_tracker_that_is_never_in_order_is_told_all_the_same() {
        let via: SourceId = "broker".into();
        let mut held = held(0..1);
        let since = held.since;
        for minute in 0..120 {
            let received = since + Duration::from_secs(60) * minute as u32;
            held.arrives(&moment(1 + minute), &[], (&via, received), &TrackerRules::default());
        }
        assert_eq!(held.due, since + AT_MOST);
    }

    /// Stands, and is this many metres to the north at these seconds.
    fn northward(way: &[(i64, f64)]) -> Box<Held> {
        let (via, received) = ("broker".into(), Timestamp::from_secs(1_700_100_000));
        let start = Position { lat: 50.0, lon: 8.0 };
        let begins = Fix::bare("truck".into(), Timestamp::from_secs(1_699_999_000), start, Digest(0));
        let way = way.iter().map(|(second, north)| north_of(start, *second, *north)).collect();
        Held::new(Moves::begin(&begins), way, (&via, received))
    }

    fn north_of(start: Position, second: i64, north: f64) -> Moment {
        let (at, position) = (Timestamp::from_secs(1_700_000_000 + second), start.moved_m([0.0, north]));
        Moment::of(&Fix { accuracy_m: Some(4.0), ..Fix::bare("truck".into(), at, position, Digest(0)) })
    }

    fn late(held: &mut Held, second: i64, north: f64) {
        let (via, received) = ("broker".into(), Timestamp::from_secs(1_700_100_000));
        let late = north_of(Position { lat: 50.0, lon: 8.0 }, second, north);
        held.arrives(&late, &[], (&via, received), &TrackerRules::default());
    }

    fn told(held: Held) -> Vec<Told> {
        let mut moves = held.before.clone();
        held.settle(&mut moves, &TrackerRules::default()).0
    }

    #[test]
    fn what_cannot_be_believed_takes_no_length_with_it() {
        let rests = (20..40).map(|minute| (minute * 60, 6000.0));
        let way: Vec<(i64, f64)> = [(0, 0.0), (600, 3000.0)].into_iter().chain(rests).collect();
        let trips = [false, true].map(|astray| {
            let mut held = northward(&way);
            // Others lay on the way between these.
            held.way[1].way_m = NonZeroU16::new(5000);
            late(&mut held, 1230, 6000.0);
            if astray {
                late(&mut held, 900, 500_000.0);
            }
            told(*held).into_iter().filter_map(|(_, motion)| motion.trip).collect::<Vec<_>>()
        });
        assert_eq!(trips[0], trips[1]);
        assert!((trips[0][0].distance_m - 8000.0).abs() < 200.0, "{trips:?}");
    }

    /// Others lay between the last fix at the place and the first on the way.
    #[test]
    fn what_lay_between_counts_from_where_it_stood() {
        let rests = (20..40).map(|minute| (minute * 60, 3000.0));
        let way: Vec<(i64, f64)> = [(0, 0.0), (600, 3000.0)].into_iter().chain(rests).collect();
        let mut held = northward(&way);
        held.way[0].way_m = NonZeroU16::new(5000);
        late(&mut held, 1230, 3000.0);
        let trips: Vec<_> = told(*held).into_iter().filter_map(|(_, motion)| motion.trip).collect();
        assert!(trips.len() == 1 && (trips[0].distance_m - 5000.0).abs() < 200.0, "{trips:?}");
    }

    #[test]
    fn leaving_out_what_lies_on_the_way_ends_no_trip() {
        // Faster and slower, but as fast all the time for three hours in the middle.
        let uneven = |nth: i64| if !(20..110).contains(&nth) && nth % 2 == 0 { 600.0 } else { 0.0 };
        let drives = (0..150).map(|nth| (nth * 120, nth as f64 * 1200.0 + uneven(nth)));
        let rests = (150..155).map(|nth| (nth * 120, 150.0 * 1200.0));
        let all: Vec<(i64, f64)> = drives.chain(rests).collect();
        let mut held = northward(&all[154..]);
        all[..154].iter().for_each(|(second, north)| late(&mut held, *second, *north));
        assert_eq!(held.way.len(), MOST);
        let told = told(*held);
        assert_eq!(told.len(), 2, "{told:?}");
        let metres = told[1].1.trip.as_ref().unwrap().distance_m;
        assert!((metres - 180_000.0).abs() < 500.0, "{metres}");
    }

    #[test]
    fn one_in_order_that_is_left_out_confirms_no_late_one() {
        let mut held = northward(&[(0, 0.0), (60, 0.0), (120, 0.0), (180, 400.0)]);
        late(&mut held, 30, 400_000.0);
        // The one behind it is the first to go.
        held.way[2].place = held.way[1].place;
        held.way[2].place.at = Timestamp::from_secs(1_700_000_060);
        assert!(held.drop_one(0, &TrackerRules::default()));
        let counts: Vec<_> = held.way.iter().map(|moment| (moment.is_late, moment.place.count)).collect();
        assert_eq!(counts[..2], [(false, 1), (true, 1)]);
    }
}
