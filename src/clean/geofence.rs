//! Geofences of one tracker: entered and left with hysteresis, after enough fixes agree.
//!
//! A fix says *inside* or *outside* only where it is on that side of the edge by the hysteresis and by
//! its own accuracy; otherwise it says nothing. What moves may be *just* inside or outside, by more than its own accuracy, which
//! takes one fix more. Of what stands, the middle of its fixes there is judged, which wanders
//! less than they do (`motion/stand.rs`), where the fix itself is on that side too. A crossing is confirmed when enough of the next fixes say
//! the same, and happened at the first of them. What is astray from where it stands confirms nothing at once, for errors
//! last, and nothing at all once it is back.
//!
//! Where a straight way between two fixes leads through a fence and neither end is in it, the visit is *inferred*:
//! told with the times at which the way crosses the edge, once the fixes that follow confirm that the tracker has
//! gone on. The way that bends as the courses of the two say must lead through as well. Only over a short time and
//! distance: on a longer way it may have driven round.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::fence_index::FenceIndex;
use super::motion::{ERR_ALIKE, Stands};
use super::rows::{exact_fix, maybe_micros};
use crate::config::FenceConfig;
use crate::domain::geodesy::{Path, Position};
use crate::domain::ids::FenceId;
use crate::domain::readings::Fix;
use crate::domain::sightings::FenceChange;
use crate::domain::time::Timestamp;

mod side;
mod way;

use side::{accuracy_m, is_within, margin_m, side_of, side_of_steady};
pub(super) use side::{just_side, side};
pub(super) use way::{Way, steering};

/// Of the distance from the nearer of two fixes, a way between them may lie beside what is thought by such a share for each
/// second between the two. Roads bend, and the later the next fix the more of them may have been taken.
const BENDS_A_SECOND: f64 = 0.005;
/// So many times that, where not both tell a course: nothing says then that there was no corner between.
const UNTOLD_BENDS: f64 = 3.0;
/// What leads so much of the way from its edge to its middle into a fence was in it, however far away the two fixes are.
const MIDDLE: f64 = 0.7;

/// So many more fixes confirm a crossing where too few of them are more than just across.
const JUST_MORE: u32 = 1;

/// Places of a curve that are looked at where its straight line leads through a fence.
const BENT_PLACES: u32 = 12;

/// What a tracker's fixes have said of one fence. A fence without one: outside, and nothing pending.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct FenceState {
    #[serde(rename = "f", alias = "fence")]
    pub fence: FenceId,
    #[serde(rename = "i", alias = "inside")]
    inside: bool,
    /// When it was entered; not known of rows of the first builds.
    #[serde(
        rename = "s",
        alias = "since",
        with = "maybe_micros",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    since: Option<Timestamp>,
    /// It was told that the tracker stays.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    dwelt: bool,
    /// Fixes that say otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pending: Option<Box<Pending>>,
    /// A visit that was inferred, until it is confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    passing: Option<Box<Passing>>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Pending {
    /// Fixes that say otherwise, of so many that said something since the first of them.
    count: u32,
    #[serde(default)]
    of: u32,
    /// Of those that say otherwise, so many are just across.
    #[serde(default, skip_serializing_if = "is_zero")]
    just: u32,
    #[serde(with = "exact_fix")]
    first: Fix,
    /// Where the tracker was before the first of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<Position>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Passing {
    #[serde(with = "exact_fix")]
    entered: Fix,
    #[serde(with = "exact_fix")]
    exited: Fix,
    /// Fixes since that say outside.
    count: u32,
    /// The time of the fix before; not in rows of the first builds.
    #[serde(with = "maybe_micros", default, skip_serializing_if = "Option::is_none")]
    after: Option<Timestamp>,
    #[serde(with = "maybe_micros", default, skip_serializing_if = "Option::is_none")]
    before: Option<Timestamp>,
}

impl Pending {
    /// Of how many fixes how many have to say otherwise.
    fn asked(&self, fence: &FenceConfig) -> (u32, u32) {
        let more = if self.just > 0 { JUST_MORE } else { 0 };
        (fence.confirmations + more, fence.confirmations_of + more)
    }

    fn is_confirmed(&self, fence: &FenceConfig) -> bool {
        self.count - self.just >= fence.confirmations || self.count >= self.asked(fence).0
    }
}

impl Passing {
    /// When it may have been: how fast it went between the two fixes nobody knows.
    fn span(&self) -> (Timestamp, Timestamp) {
        (self.after.unwrap_or(self.entered.observed_at), self.before.unwrap_or(self.exited.observed_at))
    }
}

/// What became of a fence, at the time of `fix`.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Change {
    pub fence: FenceId,
    pub change: FenceChange,
    pub fix: Fix,
    pub inferred: bool,
    /// From when to when it was inside, where that is over and known; of what was inferred, the times of the two fixes
    /// between which it must have been.
    pub visit: Option<(Timestamp, Timestamp)>,
    /// It is over, or was told already: where the tracker is now stays as it was.
    pub late: bool,
}

/// Judges an accepted fix. Changes come with the fix that first said so: inferred visits, then exits before
/// entries. Of fences within one another the outer one is left first, and the inner one entered first: what is said last of
/// a yard is not said of the dock in it.
pub(super) fn judge(states: &mut Vec<FenceState>, index: &FenceIndex, way: &Way<'_>) -> Vec<Change> {
    let mut changes = Vec::new();
    for state in states.iter_mut() {
        if let Some(fence) = index.get(&state.fence) {
            state.take(fence, way, &mut changes);
        }
    }
    let known = states.len();
    for fence in index.along(&way.path()) {
        if states[..known].binary_search_by(|state| state.fence.cmp(&fence.name)).is_err() {
            let mut state = FenceState::new(fence.name.clone());
            state.take(fence, way, &mut changes);
            if state.says_something() {
                // Most trackers are in one fence at a time, and a hundred thousand of them add up.
                states.reserve_exact(1);
                states.push(state);
            }
        }
    }
    states.retain(FenceState::says_something);
    states.shrink_to_fit();
    states.sort_by(|a, b| a.fence.cmp(&b.fence));
    if changes.len() > 1 {
        let depth_m = |change: &Change| index.get(&change.fence).map_or(0.0, |fence| fence.shape.depth_m());
        let order = |change: &Change| match (change.inferred, change.change) {
            // What is inferred is over: in for each, out for each.
            (true, _) => (0, 0.0),
            (false, FenceChange::Exited) => (1, -depth_m(change)),
            (false, FenceChange::Entered) => (2, depth_m(change)),
            (false, FenceChange::Dwelt) => (3, 0.0),
        };
        changes.sort_by(|a, b| {
            let ((a, a_depth), (b, b_depth)) = (order(a), order(b));
            a.cmp(&b).then(a_depth.total_cmp(&b_depth))
        });
    }
    changes
}

/// Takes up what late fixes said of a fence.
pub(super) fn adopt(states: &mut Vec<FenceState>, state: FenceState) {
    match states.binary_search_by(|held| held.fence.cmp(&state.fence)) {
        Ok(at) if state.says_something() => states[at] = state,
        Ok(at) => drop(states.remove(at)),
        Err(at) if state.says_something() => {
            states.reserve_exact(1);
            states.insert(at, state);
        }
        Err(_) => {}
    }
}

impl FenceState {
    pub fn new(fence: FenceId) -> Self {
        Self { fence, inside: false, since: None, dwelt: false, pending: None, passing: None }
    }

    pub fn inside_since(fence: FenceId, since: Option<Timestamp>, dwelt: bool) -> Self {
        Self { inside: true, since, dwelt, ..Self::new(fence) }
    }

    pub fn is_inside(&self) -> bool {
        self.inside
    }

    /// It was entered then, of which late fixes told.
    pub fn enter(&mut self, since: Timestamp, dwelt: bool) {
        *self = Self::inside_since(self.fence.clone(), Some(since), dwelt);
    }

    /// It was left, of which late fixes told. Since when it was inside, where that is known.
    pub fn leave(&mut self) -> Option<Timestamp> {
        let left = std::mem::replace(self, Self::new(self.fence.clone()));
        left.since
    }

    /// It was inside earlier than was told.
    pub fn entered_earlier(&mut self, since: Timestamp) {
        self.since = self.since.map(|told| told.min(since));
    }

    /// Whether it was told that it stays.
    pub fn has_dwelt(&self) -> bool {
        self.dwelt
    }

    /// The first of the fixes that say otherwise, and are too few yet.
    pub fn pending(&self) -> Option<&Fix> {
        self.pending.as_ref().map(|pending| &pending.first)
    }

    pub fn pending_since(&self) -> Option<Timestamp> {
        self.pending().map(|first| first.observed_at)
    }

    /// Takes up what is not confirmed yet from one that has seen more, where all that this one knows is later than `from`.
    pub fn take_up(&mut self, seen: Self, from: Timestamp) {
        let passing = self.passing.as_ref().map(|passing| passing.entered.observed_at);
        let is_known = self.pending_since().into_iter().chain(passing).all(|known| known >= from);
        if is_known && self.inside == seen.inside {
            (self.pending, self.passing) = (seen.pending, seen.passing);
        }
    }

    /// Since when it is inside, where that is known.
    pub fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// Whether it was told that it was inside then, in the visit that is not over.
    pub fn is_inside_at(&self, at: Timestamp) -> bool {
        self.inside && self.since.is_none_or(|since| since <= at)
    }

    /// What says nothing is outside, as every fence that has no state.
    pub fn says_something(&self) -> bool {
        self.inside || self.pending.is_some() || self.passing.is_some()
    }

    /// A fix, and what follows from it.
    pub fn take(&mut self, fence: &FenceConfig, way: &Way<'_>, changes: &mut Vec<Change>) {
        let mut tell = |change, fix: Fix, inferred, visit| {
            changes.push(Change { fence: fence.name.clone(), change, fix, inferred, visit, late: false });
        };
        let side = match &way.stands {
            Some(Stands::There(stand)) => {
                let side = side_of_steady(fence, stand).filter(|inside| {
                    // The middle is held against whoever errs; it takes a fix on that side, too, to cross the edge.
                    *inside == self.inside || *inside == is_within(fence, way.fix)
                });
                if side != Some(!self.inside) {
                    // It stands where it stood: what said otherwise meanwhile erred.
                    self.pending.take_if(|pending| pending.first.observed_at > stand.rested);
                }
                // What it was seen to cross on its way here, each of the first fixes here may confirm.
                let confirms = stand.is_young && self.pending.is_some();
                side.or_else(|| side_of(fence, way).filter(|_| confirms))
            }
            Some(Stands::Astray { .. }) | None => side_of(fence, way),
        };
        let is_just = side.is_none() && way.stands.is_none() && self.goes_just_across(fence, way);
        if side.is_none() {
            self.comes_to_edge(fence, way);
        }
        let Some(inside) = side.or(is_just.then_some(!self.inside)) else { return };
        if inside != self.inside {
            if !is_just {
                self.passing = None;
            }
            let Some(first) = self.count(fence, inside, is_just, way) else { return };
            (self.inside, self.passing) = (inside, None);
            self.dwelt = false;
            let since = std::mem::replace(&mut self.since, inside.then_some(first.observed_at));
            let visit = since.map(|since| (since, first.observed_at));
            let change = if inside { FenceChange::Entered } else { FenceChange::Exited };
            return tell(change, first, false, visit);
        }
        let refuted = self.refute(fence);
        if inside {
            if self.dwells(fence, way.fix) {
                self.dwelt = true;
                tell(FenceChange::Dwelt, way.fix.clone(), false, None);
            }
            return;
        }
        // What came to the edge, and was elsewhere much later, may have been there all the time.
        self.passing.take_if(|passing| {
            let since = way.fix.observed_at.since(passing.exited.observed_at);
            passing.count == 0 && since > way.rules.infer_within
        });
        if let Some(passing) = &mut self.passing {
            passing.count += 1;
            if crossed(fence, way).is_some() {
                // It came back the way it went: one fix that was wrong, most likely.
                self.passing = None;
            }
        } else if self.pending.is_none() && !matches!(way.stands, Some(Stands::There(_))) {
            self.passing = inferred(fence, refuted, way).map(Box::new);
        }
        if self.passing.as_ref().is_some_and(|passing| passing.count >= fence.confirmations)
            && let Some(passing) = self.passing.take()
        {
            let visit = Some(passing.span());
            tell(FenceChange::Entered, passing.entered, true, visit);
            tell(FenceChange::Exited, passing.exited, true, visit);
        }
    }

    /// A fix near the edge says nothing of itself. Its way there may lead through the fence: told, as any, where those behind
    /// it are outside.
    fn comes_to_edge(&mut self, fence: &FenceConfig, way: &Way<'_>) {
        if !self.inside && self.pending.is_none() && self.passing.is_none() && way.stands.is_none() {
            let passing = inferred(fence, None, way);
            self.passing = passing.map(|passing| Box::new(Passing { count: 0, ..passing }));
        }
    }

    /// Whether what moves is just on the other side. What is just inside, as before, wavers about the edge: it had not begun to
    /// leave.
    fn goes_just_across(&mut self, fence: &FenceConfig, way: &Way<'_>) -> bool {
        let just = just_side(fence, way.fix).filter(|inside| *inside || way.in_order);
        if self.inside && just == Some(true) {
            self.pending.take_if(|pending| pending.just == pending.count);
        }
        just == Some(!self.inside)
    }

    /// Counts a fix that says otherwise; the first of them once there are enough.
    fn count(&mut self, fence: &FenceConfig, inside: bool, is_just: bool, way: &Way<'_>) -> Option<Fix> {
        let before = way.beginning().map(|before| before.position).filter(|_| inside);
        if let Some(Stands::Astray { rested }) = way.stands {
            // What came to stand there has stood there since, and went nowhere.
            self.pending.take_if(|pending| pending.first.observed_at <= rested);
        }
        // A while ago it was just across, and not since: that was another time.
        self.pending.take_if(|pending| {
            let ago = way.fix.observed_at.since(pending.first.observed_at);
            pending.just > 0 && pending.just == pending.count && ago > way.rules.stop_after
        });
        let pending = self.pending.get_or_insert_with(|| {
            Box::new(Pending { count: 0, of: 0, just: 0, first: way.fix.clone(), before })
        });
        // What only errs errs alike for a while.
        let alike = ERR_ALIKE * (pending.count + 1);
        let is_alike = way.fix.observed_at.since(pending.first.observed_at) < alike;
        if is_alike && matches!(way.stands, Some(Stands::Astray { .. })) {
            return None;
        }
        pending.count += 1;
        pending.of += 1;
        pending.just += u32::from(is_just);
        if pending.is_confirmed(fence) {
            return self.pending.take().map(|pending| pending.first);
        }
        if pending.of >= pending.asked(fence).1 {
            // Too few of the last ones: this one may be the first of enough.
            **pending = Pending { count: 1, of: 1, just: is_just.into(), first: way.fix.clone(), before };
        }
        None
    }

    /// A fix says what was held already. What was pending, where that ends it and more than its edge was touched.
    fn refute(&mut self, fence: &FenceConfig) -> Option<Pending> {
        let pending = self.pending.as_mut()?;
        pending.of = pending.of.max(pending.count) + 1;
        let (asked, of) = pending.asked(fence);
        if pending.count + of.saturating_sub(pending.of) >= asked {
            return None;
        }
        self.pending.take().map(|pending| *pending).filter(|pending| pending.count > pending.just)
    }

    fn dwells(&self, fence: &FenceConfig, fix: &Fix) -> bool {
        let since = self.since.filter(|_| !self.dwelt);
        let due = since.zip(fence.dwell).map(|(since, dwell)| since + dwell);
        due.is_some_and(|due| fix.observed_at >= due)
    }
}

/// A visit between the fix before and this one, both outside; or during fixes too few to confirm it, where the
/// way past them leads through.
fn inferred(fence: &FenceConfig, refuted: Option<Pending>, way: &Way<'_>) -> Option<Passing> {
    if let Some(Pending { first, before, .. }) = refuted {
        let is_short = way.fix.observed_at.since(first.observed_at) <= way.rules.infer_within;
        let margin = margin_m(fence, way.fix, way.rules);
        fence.shape.crossed(&Path::straight(before?, way.fix.position), margin).filter(|_| is_short)?;
        return Some(Passing {
            entered: first,
            exited: way.fix.clone(),
            count: 1,
            after: None,
            before: None,
        });
    }
    let (entered, exited) = crossed(fence, way)?;
    let after = way.before.map(|before| before.observed_at);
    Some(Passing { entered, exited, count: 1, after, before: Some(way.fix.observed_at) })
}

/// Where the way from the fix before crosses the edge, as fixes.
fn crossed(fence: &FenceConfig, way: &Way<'_>) -> Option<(Fix, Fix)> {
    let before = way.beginning()?;
    let is_sure = |fix: &Fix| accuracy_m(fix) <= fence.shape.depth_m();
    let began = side(fence, before, way.rules);
    let is_outside = began == Some(false) || began.is_none() && way.stands.is_none();
    if !is_outside || !is_sure(before) || !is_sure(way.fix) {
        return None;
    }
    let margin = margin_m(fence, way.fix, way.rules).max(margin_m(fence, before, way.rules));
    let path = way.path();
    fence.shape.crossed(&path, margin)?;
    let is_clear = began.is_some() && side_of(fence, way).is_some();
    let margin = margin.max(may_bend_m(fence, [before, way.fix], is_clear));
    let crossing = fence.shape.crossed(&path, margin)?;
    // Where the way bends is known to some metres: what the straight line or a smooth curve keeps off was hardly entered.
    let straight = fence.shape.crossed(&Path::straight(before.position, way.fix.position), margin)?;
    let mut places = (0..=BENT_PLACES).map(|nth| {
        let share = f64::from(nth) / f64::from(BENT_PLACES);
        way.bent(before, straight.enters + (straight.leaves - straight.enters) * share)
    });
    if !places.any(|place| fence.shape.distance_m(place, margin) <= -margin) {
        return None;
    }
    let [entered, exited] =
        [crossing.enters, crossing.leaves].map(|part| between(before, way.fix, path.at(part), part));
    Some((entered, exited))
}

/// How far beside what is thought to be its way it may have gone: the further it was from the fence at the nearer of two fixes
/// outside, and the longer between them, the less these say of where it passed, and less still where they tell no course. Where
/// one is at the edge, and not clear of it, it is the other that says how far. What leads through the middle of a fence counts in
/// any case.
fn may_bend_m(fence: &FenceConfig, [before, fix]: [&Fix; 2], is_clear: bool) -> f64 {
    let steered = [before, fix].iter().all(|fix| steering(fix).is_some());
    let a_second = BENDS_A_SECOND * if steered { 1.0 } else { UNTOLD_BENDS };
    let bends = a_second * fix.observed_at.since(before.observed_at).as_secs_f64();
    // What is crossed between the two is no further from either than they are from one another.
    let reach = before.position.distance_m(fix.position);
    let away = [before, fix].map(|fix| fence.shape.distance_m(fix.position, reach));
    let away = if is_clear { away[0].min(away[1]) } else { away[0].max(away[1]) };
    (away * bends).min(fence.shape.depth_m() * MIDDLE)
}

fn between(from: &Fix, to: &Fix, position: Position, part: f64) -> Fix {
    let span = to.observed_at.since(from.observed_at);
    let accuracy_m = from.accuracy_m.into_iter().chain(to.accuracy_m).reduce(f64::max);
    Fix {
        observed_at: from.observed_at + Duration::from_secs_f64(span.as_secs_f64() * part.clamp(0.0, 1.0)),
        position,
        accuracy_m,
        altitude_m: None,
        speed_mps: None,
        course_deg: None,
        battery_percent: None,
        ..to.clone()
    }
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests;
