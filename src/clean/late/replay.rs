//! Late fixes go through the fences once more, with those in order before and after them, by the same rules as those.
//!
//! What comes of it is compared with what was told: visits that were not are, and where the way leads up to the newest fix,
//! what it says of the fences there is taken up: the visit that goes on, or the end of the one that was thought to.

use std::time::Duration;

use super::told::{Memory, Told};
use super::{Late, Place, SETTLES, Waiting};
use crate::clean::fence_index::FenceIndex;
use crate::clean::geofence::{Change, FenceState, Way, adopt};
use crate::clean::motion::{LEAVING_FIXES, Moment, Moves, Stands};
use crate::config::{FenceConfig, TrackerRules};
use crate::domain::geodesy::Position;
use crate::domain::ids::{DeviceId, FenceId};
use crate::domain::readings::Fix;
use crate::domain::sightings::FenceChange;
use crate::domain::time::Timestamp;

/// Who is out for a shorter time, by late fixes alone, of what was told to be one visit, was at its edge.
const APART: Duration = Duration::from_secs(300);

/// What is held of the tracker now, and what it is judged by.
pub(in crate::clean) struct Now<'a> {
    pub device: &'a DeviceId,
    pub states: &'a mut Vec<FenceState>,
    pub moves: Option<&'a Moves>,
    pub rules: &'a TrackerRules,
    pub fences: &'a FenceIndex,
}

/// What late fixes say that was not told yet, oldest first.
#[derive(Default)]
pub(in crate::clean) struct Revealed {
    pub changes: Vec<Change>,
    /// When it was in fences, by what they say of it.
    pub stays: Vec<Stayed>,
    /// Visits of which it is not remembered whether they were told.
    pub unjudged: u64,
}

/// One time in a fence; what has no beginning began before the late fixes, what has no end goes on behind them.
pub(in crate::clean) struct Stayed {
    pub fence: FenceId,
    pub from: Option<Timestamp>,
    pub until: Option<Timestamp>,
}

/// A part of the time, its ends included.
#[derive(Clone, Copy)]
struct Span {
    from: Timestamp,
    to: Timestamp,
}

impl Span {
    const ALL: Self = Self { from: Timestamp::MIN, to: Timestamp::MAX };

    fn holds(self, at: Timestamp) -> bool {
        (self.from..=self.to).contains(&at)
    }
}

impl Waiting {
    fn keep(&mut self, stays: impl Fn(&Place) -> bool) {
        let mut each = self.places.iter().map(&stays);
        self.strays.retain(|_| each.next().unwrap_or(false));
        self.places.retain(stays);
    }

    /// Where they are full, the time at which they are taken apart: it was outside of every fence then, so that nothing
    /// goes on there (all of them go where it never was). And whether the part before it is what the burst has left behind;
    /// else it comes newest first.
    fn cut(&self) -> Option<(Timestamp, bool)> {
        let last = self.full_by?;
        let quarter = self.places.len() / 4;
        let is_behind = self.places.partition_point(|place| place.at <= last) > 2 * quarter;
        let is_apart = |nth: &usize| self.places[nth - 1..=*nth].iter().all(|place| place.inside == 0);
        let mut within = (1 + quarter)..(self.places.len() - quarter);
        let nth = if is_behind { within.rfind(is_apart) } else { within.find(is_apart) };
        Some((self.places[nth?].at, is_behind))
    }
}

/// Fixes that really followed one another.
struct Run {
    steps: Vec<Step>,
    from: Timestamp,
    to: Timestamp,
    /// It leads up to the newest of all.
    is_newest: bool,
}

struct Step {
    fix: Fix,
    /// For how many fixes it stands.
    count: u32,
    stands: Option<Stands>,
    /// The same place as the step before.
    stays: bool,
    /// None was merged with it.
    alone: bool,
}

/// One time in a fence, by a run. One that began before it has no beginning, one that goes on no end.
#[derive(Default)]
struct Stay {
    entered: Option<Fix>,
    dwelt: Option<Fix>,
    exited: Option<Fix>,
    /// Of one that is inferred, between which fixes.
    inferred: Option<(Timestamp, Timestamp)>,
}

impl Late {
    /// Judges what waits; where no more may, and the burst goes on, what it has left behind.
    pub fn settle(&mut self, now: &mut Now<'_>) -> Revealed {
        let cut = self.waiting.as_deref().and_then(Waiting::cut);
        let span = match cut {
            Some((cut, true)) => Span { to: cut, ..Span::ALL },
            Some((cut, false)) => Span { from: cut, ..Span::ALL },
            None => Span::ALL,
        };
        let runs = self.runs(now, span);
        let revealed = self.judge(runs, now, |_| true);
        match &mut self.waiting {
            Some(waiting) if waiting.full_by.is_some() => {
                // It is the end of the one part and the beginning of the other.
                let is_cut = |place: &Place| cut.is_some_and(|(cut, _)| place.at == cut);
                waiting.keep(|place| is_cut(place) || !span.holds(place.at));
                waiting.due = waiting.due + SETTLES;
                waiting.full_by = None;
            }
            _ => {
                let waiting = self.waiting.take();
                let floor =
                    self.kept.fill(&waiting.map(|waiting| waiting.places).unwrap_or_default(), now.rules);
                self.told.raise_floor(floor);
                self.told.settle(|span| self.kept.may_hear_of(span));
            }
        }
        revealed
    }

    /// The same before a fix in order tells something of one of these fences, where those that wait may say that it was
    /// earlier. They go on waiting, for others.
    pub fn hasten(&mut self, now: &mut Now<'_>, fences: &[FenceId]) -> Vec<Change> {
        let newest = self.runs(now, Span::ALL).into_iter().filter(|run| run.is_newest).collect();
        self.judge(newest, now, |fence| fences.contains(fence)).changes
    }

    pub fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    fn judge(&mut self, runs: Vec<Run>, now: &mut Now<'_>, concerns: impl Fn(&FenceId) -> bool) -> Revealed {
        let mut revealed = Revealed::default();
        for run in runs {
            for fence in fences_of(&run, now) {
                if concerns(&fence.name) {
                    judge_run(&run, fence, &mut self.told, now, &mut revealed);
                }
            }
        }
        revealed.changes.sort_by(|a, b| (a.fix.observed_at, &a.fence).cmp(&(b.fix.observed_at, &b.fence)));
        revealed
    }

    /// Those in order of which nothing between was dropped, with the late ones between them; of a part of the time.
    fn runs(&self, now: &Now<'_>, span: Span) -> Vec<Run> {
        let Some(waiting) = &self.waiting else { return Vec::new() };
        let (mut runs, mut begins) = (Vec::new(), 0);
        for kept in self.kept.places().chunk_by(|a, _| !a.has_more_after()) {
            let ends = begins + kept.len();
            let gaps = if begins == 0 { 0..ends } else { begins + 1..ends };
            let late = waiting
                .places
                .iter()
                .filter(|place| span.holds(place.at))
                .filter(|place| self.kept.gap(place.at).is_some_and(|gap| gaps.contains(&gap)));
            let mut way: Vec<(Place, bool)> = late.map(|place| (*place, true)).collect();
            if !way.is_empty() {
                way.extend(kept.iter().filter(|place| span.holds(place.at)).map(|place| (*place, false)));
                way.sort_by_key(|(place, is_late)| (place.at, *is_late));
                let is_newest = ends == self.kept.places().len() && span.to == Timestamp::MAX;
                runs.extend(Run::new(&plausible(&way, |place| place, now.rules), now, is_newest));
            }
            begins = ends;
        }
        runs
    }
}

/// Without late ones that nothing else confirms: as with those in order, what cannot be reached is believed once enough
/// agree.
pub(in crate::clean) fn plausible<T: Copy>(
    way: &[(T, bool)],
    place: impl Fn(&T) -> &Place,
    rules: &TrackerRules,
) -> Vec<T> {
    let together = way.chunk_by(|(a, _), (b, _)| place(a).speed_to(place(b)) <= rules.max_speed_mps);
    let believed = together.filter(|places| {
        let fixes: u32 = places.iter().map(|(one, _)| u32::from(place(one).count)).sum();
        fixes >= rules.jump_confirmations || places.iter().any(|(_, is_late)| !is_late)
    });
    believed.flatten().map(|(one, _)| *one).collect()
}

impl Run {
    fn new(way: &[Place], now: &Now<'_>, is_newest: bool) -> Option<Self> {
        let (first, last) = (way.first()?, way.last()?);
        // Where it has stood all the while, more of its fixes are known than these.
        let mut moves = now.moves.filter(|moves| moves.stood_since(first.at)).cloned();
        let mut steps = Vec::with_capacity(way.len());
        for (nth, place) in (1..).zip(way) {
            // Who drove at the first of what was merged did so at the others.
            let mut drives = false;
            for (fix, moved_to, count) in merged(place, way.get(nth), now.device) {
                let stands =
                    moves.as_ref().and_then(|moves| moves.stands_at(&fix, now.rules)).filter(|_| !drives);
                drives = stands.is_none();
                let moved = Fix { position: moved_to, ..fix.clone() };
                match &mut moves {
                    Some(moves) => moves.take(&Moment::of(&moved), now.rules, &mut Vec::new()),
                    None => moves = Some(Moves::begin(&moved)),
                }
                let stays = fix.observed_at != place.at;
                steps.push(Step { fix, count, stands, stays, alone: place.count == 1 });
            }
        }
        Some(Self { steps, from: first.at, to: last.at, is_newest })
    }

    /// Through one fence, from what was told of it at the beginning.
    fn through(
        &self,
        fence: &FenceConfig,
        rules: &TrackerRules,
        mut state: FenceState,
    ) -> (Vec<Stay>, FenceState) {
        let (began_inside, mut changes) = (state.is_inside(), Vec::new());
        let mut before: Option<&Fix> = None;
        for Step { fix, count, stands, stays, alone } in &self.steps {
            for nth in 0..(*count).clamp(1, fence.confirmations_of.max(1)) {
                let before = if nth == 0 && !stays { before } else { Some(fix) };
                let way = Way { before, fix, stands: *stands, in_order: false, rules };
                state.take(fence, &way, &mut changes);
            }
            // Between those of which one is left, it did not go straight.
            before = Some(fix).filter(|_| *alone);
        }
        (stays(began_inside, changes), state)
    }
}

/// The fixes that a place stands for, the last of them for those that are left: it takes more than one to see it set out.
/// Each says of fences what the place says; those that were merged lay near the way to the next one.
fn merged(
    place: &Place,
    next: Option<&Place>,
    device: &DeviceId,
) -> impl Iterator<Item = (Fix, Position, u32)> {
    let (first, next) = (place.fix(device), *next.unwrap_or(place));
    let (span, count) = (next.at.since(place.at), place.count.max(1));
    let told = count.min(LEAVING_FIXES);
    (0..told).map(move |nth| {
        let part = f64::from(nth) / f64::from(count);
        let moved_to = first.position.towards(next.position(), part);
        let observed_at = first.observed_at + span.mul_f64(part);
        let left = if nth + 1 == told { count - nth } else { 1 };
        (Fix { observed_at, ..first.clone() }, moved_to, left.into())
    })
}

fn stays(began_inside: bool, changes: Vec<Change>) -> Vec<Stay> {
    let mut found = Vec::new();
    let mut open = began_inside.then(Stay::default);
    for Change { change, fix, inferred, visit, .. } in changes {
        match change {
            FenceChange::Entered => {
                let inferred = visit.filter(|_| inferred);
                open = Some(Stay { entered: Some(fix), inferred, ..Stay::default() });
            }
            FenceChange::Dwelt => open.get_or_insert_default().dwelt = Some(fix),
            FenceChange::Exited => {
                found.push(Stay { exited: Some(fix), ..open.take().unwrap_or_default() });
            }
        }
    }
    found.extend(open);
    found
}

/// Fences that may be concerned, by name: those along the way, and those that something is held of.
fn fences_of<'a>(run: &Run, now: &Now<'a>) -> Vec<&'a FenceConfig> {
    let mut found: Vec<&FenceConfig> = Vec::new();
    let mut before = None;
    for Step { fix, .. } in &run.steps {
        let way = Way { before, fix, stands: None, in_order: false, rules: now.rules };
        found.extend(now.fences.along(&way.path()));
        before = Some(fix);
    }
    found.extend(now.states.iter().filter_map(|state| now.fences.get(&state.fence)));
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found.dedup_by(|a, b| a.name == b.name);
    found
}

fn judge_run(run: &Run, fence: &FenceConfig, told: &mut Told, now: &mut Now<'_>, revealed: &mut Revealed) {
    let before = now.states.iter().find(|state| state.fence == fence.name).cloned();
    let before = before.unwrap_or_else(|| FenceState::new(fence.name.clone()));
    let begins = if before.is_inside_at(run.from) {
        FenceState::inside_since(fence.name.clone(), before.since(), before.has_dwelt())
    } else if let Some((since, _)) = told.inside(&fence.name, run.from) {
        FenceState::inside_since(fence.name.clone(), Some(since), true)
    } else {
        FenceState::new(fence.name.clone())
    };
    let (stays, ends) = run.through(fence, now.rules, begins);
    let (first, mut held) = (revealed.changes.len(), before.clone());
    let ends_inside = stays.last().is_some_and(|stay| stay.exited.is_none());
    let mut teller = Teller {
        run,
        fence: &fence.name,
        ends: &ends,
        ends_inside,
        left: false,
        ended: None,
        told,
        held: &mut held,
        revealed,
    };
    for stay in stays {
        teller.take(stay);
    }
    // Where it is now is news of the last change alone, and only where it is not what was held.
    let is_news = held.is_inside() != before.is_inside();
    let places = |change: &&mut Change| change.change != FenceChange::Dwelt;
    if let Some(last) = revealed.changes[first..].iter_mut().rev().find(places) {
        last.late = !is_news;
    }
    if run.is_newest {
        held.take_up(ends, run.from);
    } else {
        held.take_up(before, Timestamp::MIN);
    }
    adopt(now.states, held);
}

/// Compares what a run says of a fence with what was told.
struct Teller<'a> {
    run: &'a Run,
    fence: &'a FenceId,
    /// What holds at its end.
    ends: &'a FenceState,
    ends_inside: bool,
    /// It left in this run, from where it was thought to be still.
    left: bool,
    /// The fix by which it left in this run, from a visit that was told to have gone on.
    ended: Option<Fix>,
    told: &'a mut Told,
    held: &'a mut FenceState,
    revealed: &'a mut Revealed,
}

impl Teller<'_> {
    fn take(&mut self, stay: Stay) {
        // It says what holds now: up to the newest fix, or to those that wait for a confirmation.
        let is_now =
            self.run.is_newest || self.held.pending_since().is_some_and(|since| since <= self.run.to);
        let at = |fix: &Fix| fix.observed_at;
        if stay.inferred.is_none() && (stay.exited.is_some() || self.held.is_inside()) {
            let (from, until) = (stay.entered.as_ref().map(at), stay.exited.as_ref().map(at));
            self.revealed.stays.push(Stayed { fence: self.fence.clone(), from, until });
        }
        match (stay.entered.as_ref().map(at), stay.exited.as_ref().map(at)) {
            (None, None) => {}
            // For good, or to come back.
            (None, Some(exited)) => {
                let is_held = self.held.is_inside_at(self.run.from);
                if is_held && (is_now || self.ends_inside) {
                    self.leave(stay, exited);
                } else if !is_held {
                    self.ended = stay.exited;
                }
            }
            (Some(entered), Some(exited)) => {
                let since = self.held.since();
                let is_held = self.held.is_inside() && since.is_none_or(|since| exited > since);
                let began_it = since.is_none_or(|since| entered <= since);
                let ended_it = if self.ends_inside { began_it } else { is_now };
                if !is_held {
                    self.over(stay, (entered, exited));
                } else if ended_it {
                    self.leave(stay, exited);
                }
            }
            (Some(entered), None) if self.held.is_inside() => self.held.entered_earlier(entered),
            (Some(entered), None) if is_now || self.left => {
                if self.is_new((entered, self.run.to), false) {
                    self.held.enter(entered, stay.dwelt.is_some());
                    self.tell(FenceChange::Entered, stay.entered, false);
                    self.tell(FenceChange::Dwelt, stay.dwelt, false);
                }
            }
            // Those in order that followed were outside: it ended no later than the last one here.
            (Some(entered), None) => {
                let last = self.run.steps.last().map(|step| &step.fix);
                let exited = self.ends.pending().or(last).cloned();
                let until = exited.as_ref().map_or(self.run.to, at);
                if self.told.began_earlier(self.fence, (entered, until)) {
                    return;
                }
                self.over(Stay { exited, ..stay }, (entered, until));
            }
        }
    }

    /// `but`: whatever was told of the visit at the beginning.
    fn is_new(&mut self, span: (Timestamp, Timestamp), but: bool) -> bool {
        let memory = self.told.memory(self.fence, span, but.then_some(self.run.from));
        self.revealed.unjudged += u64::from(memory == Memory::Forgotten);
        memory == Memory::New
    }

    /// The visit that was thought to go on ended.
    fn leave(&mut self, stay: Stay, exited: Timestamp) {
        let dwelt = stay.dwelt.filter(|_| !self.held.has_dwelt());
        self.tell(FenceChange::Dwelt, dwelt, false);
        self.tell(FenceChange::Exited, stay.exited, false);
        self.left = true;
        let since = self.held.leave().unwrap_or(self.run.from);
        self.told.tell(self.fence, (since, exited));
    }

    /// A visit that is over, where it was not told. What was told to be one visit may have been this one and one before it,
    /// which ended where it left.
    fn over(&mut self, stay: Stay, span: (Timestamp, Timestamp)) {
        let inferred = stay.inferred.is_some();
        let (entered, exited) = stay.inferred.unwrap_or(span);
        let told_until = self.told.inside(self.fence, self.run.from).map(|(_, until)| until);
        let is_within = told_until.is_some_and(|until| entered < until);
        let left = self.ended.clone().filter(|left| is_within && left.observed_at + APART <= entered);
        if !self.is_new((entered, exited), left.is_some()) {
            return;
        }
        let is_end_told = left.is_some() && told_until == Some(exited);
        if let Some(left) = left {
            self.told.ended(self.fence, self.run.from, left.observed_at);
            self.tell(FenceChange::Exited, Some(left), false);
        }
        self.tell(FenceChange::Entered, stay.entered, inferred);
        self.tell(FenceChange::Dwelt, stay.dwelt, false);
        self.tell(FenceChange::Exited, stay.exited.filter(|_| !is_end_told), inferred);
        self.told.tell(self.fence, (entered, exited));
    }

    fn tell(&mut self, change: FenceChange, fix: Option<Fix>, inferred: bool) {
        let fence = self.fence.clone();
        let told = fix.map(|fix| Change { fence, change, fix, inferred, visit: None, late: true });
        self.revealed.changes.extend(told);
    }
}
