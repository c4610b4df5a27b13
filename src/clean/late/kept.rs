//! Which of a tracker's fixes are kept, so that late ones find their place between them.
//!
//! Bounded: [`KEPT`], and [`BESIDE_SILENCE`] where those that are not the newest lie beside silences, which late ones may
//! fill yet. Where late ones have filled one, the part of it is kept open that is longest still: a burst that breaks off
//! goes on there.

use std::time::Duration;

use super::plausible;
use crate::clean::place::Place;
use crate::config::TrackerRules;
use crate::domain::time::Timestamp;

const KEPT: usize = 5;
const BESIDE_SILENCE: usize = 8;
/// How many of the newest there are, where there is room.
const NEWEST: usize = 3;
/// What lies beside a silence has moved so far in no less than so long: who is parked says so seldom.
pub(in crate::clean) const SILENCE: Duration = Duration::from_secs(90);
const MOVES_M: f64 = 100.0;

/// Oldest first.
#[derive(Default, Clone)]
pub(super) struct Kept(Vec<Place>);

impl Kept {
    pub fn restore(places: Vec<Place>) -> Self {
        Self(places)
    }

    pub fn places(&self) -> &[Place] {
        &self.0
    }

    /// How many of them there are up to a time.
    pub fn until(&self, at: Timestamp) -> usize {
        self.0.partition_point(|kept| kept.at <= at)
    }

    /// Which of the gaps between them a time lies in, by the number of those before it. None where more came in order than is
    /// kept.
    pub fn gap(&self, at: Timestamp) -> Option<usize> {
        let gap = self.until(at);
        (gap < self.0.len() && self.is_gap(gap)).then_some(gap)
    }

    /// Whether late ones may still come there.
    fn is_gap(&self, gap: usize) -> bool {
        gap.checked_sub(1).is_none_or(|before| !self.0[before].has_more_after())
    }

    /// Whether late ones may still say something of a part of the time.
    pub fn may_hear_of(&self, (from, to): (Timestamp, Timestamp)) -> bool {
        (0..self.0.len()).filter(|gap| self.is_gap(*gap)).any(|gap| {
            let begins = gap.checked_sub(1).map_or(Timestamp::MIN, |before| self.0[before].at);
            from <= self.0[gap].at && begins <= to
        })
    }

    /// One more in order. Returns before when nothing is told any more, where one had to go without which that is not known;
    /// of `waiting` all is.
    pub fn push(&mut self, place: Place, waiting: &[Place], rules: &TrackerRules) -> Option<Timestamp> {
        let room = if self.0.len() <= KEPT { KEPT } else { BESIDE_SILENCE } + 1;
        self.0.reserve_exact(room.saturating_sub(self.0.len()));
        self.0.push(place);
        self.make_room(waiting, rules)
    }

    /// Late ones lie between them now. Returns the same.
    pub fn fill(&mut self, late: &[Place], rules: &TrackerRules) -> Option<Timestamp> {
        for gap in (0..self.0.len()).rev() {
            let begins = gap.saturating_sub(1);
            let within = late.iter().filter(|place| self.gap(place.at) == Some(gap));
            let kept = self.0[begins..=gap].iter().map(|place| (*place, false));
            let mut way: Vec<_> = kept.chain(within.map(|place| (*place, true))).collect();
            way.sort_by_key(|(place, is_late)| (place.at, *is_late));
            let way = plausible(&way, |place| place, rules);
            if way.len() > gap - begins + 1 {
                self.0.splice(begins..gap, open_where_longest(&way));
            }
        }
        self.make_room(&[], rules)
    }

    fn make_room(&mut self, waiting: &[Place], rules: &TrackerRules) -> Option<Timestamp> {
        let (newest, mut floor) = (self.0.last()?.at, None);
        while self.0.len() > KEPT {
            let is_old = newest.since(self.0[0].at) > rules.late_within;
            if is_old && !self.0[0].has_more_after() {
                // It was the one before the next, and still is: of what lies between, the end is not too old.
                self.0.remove(0);
                floor = floor.max(Some(newest - rules.late_within));
                continue;
            }
            let goes = if is_old { Some(0) } else { self.least_used(waiting) };
            let Some(at) = goes else { break };
            self.0.remove(at);
            match at.checked_sub(1) {
                Some(before) => self.0[before].note_more_after(),
                // What waits was still within what is kept when it came.
                None => {
                    floor = floor
                        .max(self.0.first().into_iter().chain(waiting.first()).map(|place| place.at).min())
                }
            }
        }
        if self.0.len() <= KEPT {
            self.0.shrink_to(KEPT + 1);
        }
        floor
    }

    /// The one that goes, unless there is room for what lies beside silences.
    fn least_used(&self, waiting: &[Place]) -> Option<usize> {
        let mut awaited: Vec<usize> = waiting.iter().filter_map(|place| self.gap(place.at)).collect();
        awaited.dedup();
        let is_full = self.0.len() > BESIDE_SILENCE;
        let newest = self.0.len() - NEWEST;
        let uses = (0..if is_full { self.0.len() - 1 } else { newest }).map(|at| {
            let before = at.checked_sub(1).map_or(self.0[at].at, |before| self.0[before].at);
            let beside = [at, at + 1];
            let is_awaited = beside.iter().any(|gap| awaited.contains(gap));
            let is_beside = beside.iter().any(|gap| self.is_silence(*gap));
            ((is_awaited, is_beside, at >= newest, self.0[at + 1].at.since(before)), at)
        });
        let ((is_awaited, is_beside, ..), at) = uses.min()?;
        (is_full || !is_awaited && !is_beside).then_some(at)
    }

    fn is_silence(&self, gap: usize) -> bool {
        let Some(before) = gap.checked_sub(1).filter(|_| self.is_gap(gap)) else { return false };
        let (before, after) = (&self.0[before], &self.0[gap]);
        after.at.since(before.at) >= SILENCE && before.position().distance_m(after.position()) >= MOVES_M
    }
}

/// Of a way that is known, its beginning and what lies beside the longest time between two: more was there elsewhere.
fn open_where_longest(way: &[Place]) -> Vec<Place> {
    // One that stands for others is followed by them.
    let pairs = (0..).zip(way.array_windows()).filter(|(_, [one, _])| one.count <= 1);
    let longest = pairs.max_by_key(|(_, [one, next])| next.at.since(one.at)).map(|(at, _)| at);
    let mut sides = vec![0];
    sides.extend(longest.filter(|at| *at > 0));
    sides.extend(longest.map(|at| at + 1).filter(|at| at + 1 < way.len()));
    let kept = sides.into_iter().map(|at| {
        let mut place = way[at];
        (place.count, place.inside) = (1, 0);
        if Some(at) != longest {
            place.note_more_after();
        }
        place
    });
    kept.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::geodesy::Position;
    use crate::domain::ids::Digest;
    use crate::domain::readings::Fix;

    /// Driving north at 10 m/s.
    fn place(second: i64) -> Place {
        let position = Position { lat: 50.0 + second as f64 * 9e-5, lon: 8.0 };
        Place::of(&Fix::bare("truck".into(), Timestamp::from_secs(second), position, Digest(0)))
    }

    fn kept(seconds: impl IntoIterator<Item = i64>) -> Kept {
        let (mut kept, rules) = (Kept::default(), TrackerRules::default());
        for second in seconds {
            kept.push(place(second), &[], &rules);
        }
        kept
    }

    fn seconds(kept: &Kept) -> Vec<i64> {
        kept.places().iter().map(|place| place.at.as_micros() / 1_000_000).collect()
    }

    #[test]
    fn what_lies_beside_silences_is_kept_as_long_as_it_may_be_told_of() {
        assert_eq!(seconds(&kept((0..50).map(|nth| nth * 10))), [450, 460, 470, 480, 490]);
        let three = [(0..50), (100..105), (200..201), (300..350)];
        let three = kept(three.into_iter().flatten().map(|nth| nth * 10));
        assert_eq!(seconds(&three), [490, 1000, 1040, 2000, 3000, 3470, 3480, 3490]);
        assert_eq!(
            [700, 1020, 1500, 2500, 3200, 3475].map(|at| three.gap(Timestamp::from_secs(at)).is_some()),
            [true, false, true, true, false, true]
        );
        // Of one more than there is room for, it is the shortest of which nothing is told.
        let four = [(0..50), (100..105), (200..205), (240..245), (350..400)];
        let four = kept(four.into_iter().flatten().map(|nth| nth * 10));
        let is_open = [700, 1500, 2200, 3000].map(|at| four.gap(Timestamp::from_secs(at)).is_some());
        assert_eq!(is_open, [true, true, false, true]);
        // Who is parked says so every five minutes.
        let mut parked = kept([480, 490, 1000]);
        for nth in 4..100 {
            let mut place = place(1000);
            place.at = Timestamp::from_secs(nth * 300);
            parked.push(place, &[], &TrackerRules::default());
        }
        assert_eq!(seconds(&parked)[..2], [490, 1000]);
        let day = 24 * 3600;
        let next_day =
            kept([490, 1000, 1040, 2000, 3000].into_iter().chain((0..5).map(|nth| day + 2500 + nth)));
        assert_eq!(seconds(&next_day), [3000, 2500 + day, 2502 + day, 2503 + day, 2504 + day]);
    }

    #[test]
    fn the_longest_silence_is_open_still_where_late_ones_came() {
        let rules = TrackerRules::default();
        let filled = |late: &[Place]| {
            let mut kept = kept([0, 3600, 3610, 3620]);
            kept.fill(late, &rules);
            let open = kept.places().array_windows().filter(|[one, _]| !one.has_more_after());
            open.map(|[one, next]| [one, next].map(|place| place.at.as_micros() / 1_000_000))
                .collect::<Vec<_>>()
        };
        let some = |seconds: std::ops::Range<i64>| seconds.step_by(10).map(place).collect::<Vec<_>>();
        assert_eq!(filled(&some(2000..3600))[0], [0, 2000]);
        assert_eq!(filled(&some(10..1010))[0], [1000, 3600]);
        assert_eq!(filled(&[some(10..1010), some(2000..3600)].concat())[0], [1000, 2000]);
        // What cannot be reached is not believed, and nobody is known to have been there.
        let mut astray = place(90_000);
        astray.at = Timestamp::from_secs(1800);
        assert_eq!(filled(&[astray])[0], [0, 3600]);
        // One stands for the second half of an hour.
        let merged = [some(900..1810), vec![place(3590)]].concat();
        assert_eq!(filled(&merged)[0], [1800, 3590]);
        let mut merged = merged;
        merged[90].count = 179;
        assert_eq!(filled(&merged)[0], [0, 900]);
    }
}
