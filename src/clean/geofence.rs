//! Geofences of one tracker: entered and left with hysteresis, after enough fixes agree.
//!
//! A fix says *inside* or *outside* only where it is on that side of the edge by the hysteresis and by
//! its own accuracy; otherwise it says nothing. Of what stands, the middle of its fixes there is judged, which wanders
//! less than they do (`motion.rs`). A crossing is confirmed when enough of the next fixes say
//! the same, and happened at the first of them.
//!
//! Where a straight way between two fixes leads through a fence and neither end is in it, the visit is *inferred*:
//! told with the times at which the way crosses the edge, once the fixes that follow confirm that the tracker has
//! gone on. Only over a short time and distance: on a longer way it may have driven round.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::fence_index::FenceIndex;
use super::rows::{exact_fix, maybe_micros};
use crate::config::{FenceConfig, TrackerRules};
use crate::domain::geodesy::Position;
use crate::domain::ids::FenceId;
use crate::domain::readings::Fix;
use crate::domain::sightings::FenceChange;
use crate::domain::time::Timestamp;

/// The middle of many fixes has to be on a side by so many times what it is sure to: errors that last are in all of them.
const STEADY_TIMES: f64 = 2.0;

/// What a tracker's fixes have said of one fence. A fence without one: outside, and nothing pending.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Standing {
    pub fence: FenceId,
    inside: bool,
    /// When it was entered; not known of rows of the first builds.
    #[serde(with = "maybe_micros", default, skip_serializing_if = "Option::is_none")]
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
}

/// What became of a fence, at the time of `fix`.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Change {
    pub fence: FenceId,
    pub change: FenceChange,
    pub fix: Fix,
    pub inferred: bool,
    /// From when to when it was inside, where that is over and known.
    pub visit: Option<(Timestamp, Timestamp)>,
}

/// An accepted fix and the accepted one before it.
pub(super) struct Way<'a> {
    pub before: Option<&'a Fix>,
    pub fix: &'a Fix,
    /// Where it is, by the fixes while it stands, and how sure that is; none: as the fix says.
    pub steady: Option<(Position, f64)>,
    pub rules: &'a TrackerRules,
}

/// Judges an accepted fix. Changes come with the fix that first said so: inferred visits, then exits before
/// entries, by name.
pub(super) fn judge(standings: &mut Vec<Standing>, index: &FenceIndex, way: &Way<'_>) -> Vec<Change> {
    let mut changes = Vec::new();
    for standing in standings.iter_mut() {
        if let Some(fence) = index.get(&standing.fence) {
            standing.take(fence, way, &mut changes);
        }
    }
    let known = standings.len();
    for fence in index.along(way.beginning().map(|fix| fix.position), way.fix.position) {
        if standings[..known].binary_search_by(|standing| standing.fence.cmp(&fence.name)).is_err() {
            let mut standing = Standing::new(fence.name.clone());
            standing.take(fence, way, &mut changes);
            if standing.says_something() {
                // Most trackers are in one fence at a time, and a hundred thousand of them add up.
                standings.reserve_exact(1);
                standings.push(standing);
            }
        }
    }
    standings.retain(Standing::says_something);
    standings.shrink_to_fit();
    standings.sort_by(|a, b| a.fence.cmp(&b.fence));
    changes.sort_by_key(|change| match (change.inferred, change.change) {
        (true, _) => 0,
        (false, FenceChange::Exited) => 1,
        (false, FenceChange::Entered) => 2,
        (false, FenceChange::Dwelt) => 3,
    });
    changes
}

impl Way<'_> {
    /// The fix before, where something may be inferred from a straight line between the two.
    fn beginning(&self) -> Option<&Fix> {
        let near = |before: &&Fix| {
            self.fix.observed_at.since(before.observed_at) <= self.rules.infer_within
                && before.position.distance_m(self.fix.position) <= self.rules.infer_within_m
        };
        self.before.filter(near)
    }
}

impl Standing {
    fn new(fence: FenceId) -> Self {
        Self { fence, inside: false, since: None, dwelt: false, pending: None, passing: None }
    }

    /// Since when it is inside, where that is known.
    pub fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// Whether it was told that it was inside then, in the visit that is not over.
    pub fn is_inside_at(&self, at: Timestamp) -> bool {
        self.inside && self.since.is_none_or(|since| since <= at)
    }

    /// What says nothing is outside, as every fence that has no standing.
    fn says_something(&self) -> bool {
        self.inside || self.pending.is_some() || self.passing.is_some()
    }

    fn take(&mut self, fence: &FenceConfig, way: &Way<'_>, changes: &mut Vec<Change>) {
        let mut tell = |change, fix: Fix, inferred, visit| {
            changes.push(Change { fence: fence.name.clone(), change, fix, inferred, visit });
        };
        let side = match way.steady {
            Some((position, sure_m)) => side_of_steady(fence, position, sure_m),
            None => side(fence, way.fix, way.rules),
        };
        let Some(inside) = side else { return };
        if inside != self.inside {
            self.passing = None;
            let Some(first) = self.count(fence, inside, way) else { return };
            self.inside = inside;
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
        if let Some(passing) = &mut self.passing {
            passing.count += 1;
            if crossed(fence, way).is_some() {
                // It came back the way it went: one fix that was wrong, most likely.
                self.passing = None;
            }
        } else if self.pending.is_none() {
            self.passing = inferred(fence, refuted, way).map(Box::new);
        }
        if self.passing.as_ref().is_some_and(|passing| passing.count >= fence.confirmations)
            && let Some(passing) = self.passing.take()
        {
            let visit = Some((passing.entered.observed_at, passing.exited.observed_at));
            tell(FenceChange::Entered, passing.entered, true, visit);
            tell(FenceChange::Exited, passing.exited, true, visit);
        }
    }

    /// Counts a fix that says otherwise; the first of them once there are enough.
    fn count(&mut self, fence: &FenceConfig, inside: bool, way: &Way<'_>) -> Option<Fix> {
        let before = way.beginning().map(|before| before.position).filter(|_| inside);
        let pending = self
            .pending
            .get_or_insert_with(|| Box::new(Pending { count: 0, of: 0, first: way.fix.clone(), before }));
        pending.count += 1;
        pending.of += 1;
        if pending.count >= fence.confirmations {
            return self.pending.take().map(|pending| pending.first);
        }
        if pending.of >= fence.confirmations_of {
            // Too few of the last ones: this one may be the first of enough.
            **pending = Pending { count: 1, of: 1, first: way.fix.clone(), before };
        }
        None
    }

    /// A fix says what was held already. What was pending, where that ends it.
    fn refute(&mut self, fence: &FenceConfig) -> Option<Pending> {
        let pending = self.pending.as_mut()?;
        pending.of = pending.of.max(pending.count) + 1;
        let left = fence.confirmations_of.saturating_sub(pending.of);
        if pending.count + left < fence.confirmations {
            self.pending.take().map(|pending| *pending)
        } else {
            None
        }
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
        fence.shape.crossed(before?, way.fix.position, margin).filter(|_| is_short)?;
        return Some(Passing { entered: first, exited: way.fix.clone(), count: 1 });
    }
    let (entered, exited) = crossed(fence, way)?;
    Some(Passing { entered, exited, count: 1 })
}

/// Where the straight way from the fix before crosses the edge, as fixes.
fn crossed(fence: &FenceConfig, way: &Way<'_>) -> Option<(Fix, Fix)> {
    let before = way.beginning()?;
    let is_sure = |fix: &Fix| accuracy_m(fix) <= fence.shape.depth_m();
    if side(fence, before, way.rules) != Some(false) || !is_sure(before) || !is_sure(way.fix) {
        return None;
    }
    let margin = margin_m(fence, way.fix, way.rules).max(margin_m(fence, before, way.rules));
    let crossing = fence.shape.crossed(before.position, way.fix.position, margin)?;
    Some((between(before, way.fix, crossing.enters), between(before, way.fix, crossing.leaves)))
}

fn between(from: &Fix, to: &Fix, part: f64) -> Fix {
    let span = to.observed_at.since(from.observed_at);
    let accuracy_m = from.accuracy_m.into_iter().chain(to.accuracy_m).reduce(f64::max);
    Fix {
        observed_at: from.observed_at + Duration::from_secs_f64(span.as_secs_f64() * part.clamp(0.0, 1.0)),
        position: from.position.towards(to.position, part),
        accuracy_m,
        altitude_m: None,
        speed_mps: None,
        course_deg: None,
        battery_percent: None,
        ..to.clone()
    }
}

fn accuracy_m(fix: &Fix) -> f64 {
    fix.accuracy_m.unwrap_or(0.0).max(0.0)
}

/// How far inside a fix must be to say so.
fn margin_m(fence: &FenceConfig, fix: &Fix, rules: &TrackerRules) -> f64 {
    let accuracy = accuracy_m(fix).max(rules.least_accuracy_m);
    fence.hysteresis_m.max(accuracy.min(fence.shape.depth_m() / 2.0))
}

/// The same for the middle of many fixes, which wanders less: half the hysteresis is enough.
fn side_of_steady(fence: &FenceConfig, position: Position, sure_m: f64) -> Option<bool> {
    let margin = (fence.hysteresis_m / 2.0).max(sure_m * STEADY_TIMES);
    let distance = fence.shape.distance_m(position, margin);
    if distance > margin {
        return Some(false);
    }
    (distance < -margin.min(fence.shape.depth_m() / 2.0)).then_some(true)
}

/// Whether a fix is inside; `None` where it is too near the edge, or too uncertain, to say.
pub(super) fn side(fence: &FenceConfig, fix: &Fix, rules: &TrackerRules) -> Option<bool> {
    let accuracy = accuracy_m(fix);
    let outside = fence.hysteresis_m.max(accuracy).max(rules.least_accuracy_m);
    let inside = margin_m(fence, fix, rules);
    let distance = fence.shape.distance_m(fix.position, outside.max(inside));
    if distance > outside {
        return Some(false);
    }
    // A fix that is surer than the fence is wide can be inside of a small one.
    (accuracy <= fence.shape.depth_m() && distance < -inside).then_some(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Digest;
    use crate::domain::shape::Shape;

    /// 100 m around 50° north, 8° east.
    fn yard() -> FenceConfig {
        let circle = Shape::circle(Position { lat: 50.0, lon: 8.0 }, 100.0);
        FenceConfig { hysteresis_m: 20.0, ..FenceConfig::new("yard", circle) }
    }

    fn fix(second: i64, lat: f64, lon: f64, accuracy_m: f64) -> Fix {
        Fix {
            device: "truck".into(),
            observed_at: Timestamp::from_secs(second),
            position: Position { lat, lon },
            accuracy_m: Some(accuracy_m),
            altitude_m: None,
            speed_mps: None,
            course_deg: None,
            battery_percent: None,
            ignition: None,
            digest: Digest(second as u64),
            retained: false,
        }
    }

    /// Metres north of the centre of the yard, and accuracies, a second apart → what changed, when.
    fn check(fixes: &[(f64, f64)], expect: &[(FenceChange, i64)]) {
        let fixes: Vec<_> =
            (0..).zip(fixes).map(|(second, (north_m, accuracy))| (second, *north_m, *accuracy)).collect();
        let changes = changes_of(&yard(), &fixes);
        let told: Vec<_> = changes
            .iter()
            .map(|(change, second, inferred)| {
                assert!(!inferred);
                (*change, *second)
            })
            .collect();
        assert_eq!(told, expect, "{fixes:?}");
    }

    /// Seconds, metres north of the centre, and accuracies → what changed, when, and whether it was inferred.
    fn changes_of(fence: &FenceConfig, fixes: &[(i64, f64, f64)]) -> Vec<(FenceChange, i64, bool)> {
        let index = FenceIndex::new(std::slice::from_ref(fence));
        let rules = TrackerRules::default();
        let (mut standings, mut changes) = (Vec::new(), Vec::new());
        let mut before: Option<Fix> = None;
        for (second, north_m, accuracy) in fixes {
            let fix = fix(*second, 50.0 + north_m / 111_195.0, 8.0, *accuracy);
            let way = Way { before: before.as_ref(), fix: &fix, steady: None, rules: &rules };
            for Change { change, fix, inferred, .. } in judge(&mut standings, &index, &way) {
                // Edges are found to a metre.
                let second = (fix.observed_at.as_micros() + 500_000) / 1_000_000;
                changes.push((change, second, inferred));
            }
            // Rows hold everything: a restart between any two fixes changes nothing.
            let row = serde_json::to_vec(&standings).unwrap();
            standings = serde_json::from_slice(&row).unwrap();
            before = Some(fix);
        }
        changes
    }

    use FenceChange::{Dwelt, Entered, Exited};

    #[test]
    fn a_fence_crossed_between_two_fixes_is_inferred_once_they_go_on() {
        // At 20 m/s past a yard of 200 m, a fix every 30 s.
        let through: Vec<_> =
            [-500.0, 400.0, 1000.0].into_iter().zip([0, 45, 75]).map(|(m, s)| (s, m, 5.0)).collect();
        let edges = [(Entered, 20, true), (Exited, 30, true)];
        assert_eq!(changes_of(&yard(), &through), edges);
        assert_eq!(changes_of(&yard(), &through[..2]), [], "not confirmed yet");
        let back =
            [(0, -500.0, 5.0), (45, 400.0, 5.0), (90, -500.0, 5.0), (135, -600.0, 5.0), (180, -700.0, 5.0)];
        assert_eq!(changes_of(&yard(), &back), [], "one fix that was wrong");
        let sure = FenceConfig { confirmations: 1, confirmations_of: 1, ..yard() };
        assert_eq!(changes_of(&sure, &through[..2]), edges);
    }

    #[test]
    fn nothing_is_inferred_over_a_long_time_a_long_way_or_of_vague_fixes() {
        let rules = TrackerRules::default();
        let late = rules.infer_within.as_secs() as i64 + 1;
        assert_eq!(changes_of(&yard(), &[(0, -500.0, 5.0), (late, 500.0, 5.0), (late + 9, 600.0, 5.0)]), []);
        let far = rules.infer_within_m;
        assert_eq!(changes_of(&yard(), &[(0, -500.0, 5.0), (200, far, 5.0), (209, far + 99.0, 5.0)]), []);
        assert_eq!(changes_of(&yard(), &[(0, -500.0, 150.0), (45, 400.0, 5.0), (75, 999.0, 5.0)]), []);
    }

    #[test]
    fn one_fix_inside_of_a_way_through_is_a_visit_and_one_beside_the_way_is_none() {
        let through = [(0, -600.0, 5.0), (30, 0.0, 5.0), (60, 600.0, 5.0), (90, 1200.0, 5.0)];
        assert_eq!(changes_of(&yard(), &through), [(Entered, 30, true), (Exited, 60, true)]);
        let astray = [(0, 600.0, 5.0), (30, 0.0, 5.0), (60, 610.0, 5.0), (90, 1200.0, 5.0)];
        assert_eq!(changes_of(&yard(), &astray), []);
    }

    #[test]
    fn so_many_fixes_of_so_many_confirm_a_crossing() {
        let fence = FenceConfig { confirmations: 3, confirmations_of: 5, ..yard() };
        let steps = |inside: &[bool]| -> Vec<_> {
            (0..)
                .zip(inside)
                .map(|(second, inside)| (second, if *inside { 0.0 } else { 300.0 }, 5.0))
                .collect()
        };
        let check = |inside: &[bool], expect: &[(FenceChange, i64, bool)]| {
            assert_eq!(changes_of(&fence, &steps(inside)), expect, "{inside:?}");
        };
        check(&[false, true, false, true, false, true], &[(Entered, 1, false)]);
        check(&[false, true, false, false, true, false, false], &[]);
        check(
            &[true, true, true, false, true, false, false, true],
            &[(Entered, 0, false), (Exited, 3, false)],
        );
    }

    #[test]
    fn whoever_stays_is_told_of_once() {
        let fence = FenceConfig { dwell: Some(Duration::from_secs(60)), ..yard() };
        let stays =
            [(0, 0.0, 5.0), (10, 0.0, 5.0), (59, 0.0, 5.0), (61, 95.0, 5.0), (62, 0.0, 5.0), (99, 0.0, 5.0)];
        assert_eq!(changes_of(&fence, &stays), [(Entered, 0, false), (Dwelt, 62, false)]);
        let twice = [(200, 300.0, 5.0), (201, 300.0, 5.0), (300, 0.0, 5.0), (301, 0.0, 5.0), (361, 0.0, 5.0)];
        let told = changes_of(&fence, &[stays.as_slice(), &twice].concat());
        assert_eq!(told[2..], [(Exited, 200, false), (Entered, 300, false), (Dwelt, 361, false)]);
    }

    #[test]
    fn a_polygon_is_entered_by_the_distance_to_its_edge() {
        let corner = |north: f64, east: f64| Position {
            lat: 50.0 + north / 111_195.0,
            lon: 8.0 + east / 111_195.0 / 50.0_f64.to_radians().cos(),
        };
        let ring =
            vec![corner(-100.0, -300.0), corner(-100.0, 300.0), corner(100.0, 300.0), corner(100.0, -300.0)];
        let shape = Shape::polygon(&[vec![ring]]).unwrap();
        let fence = FenceConfig { hysteresis_m: 20.0, ..FenceConfig::new("hall", shape) };
        let parked = [
            (0, 85.0, 5.0),
            (1, 85.0, 5.0),
            (2, 70.0, 5.0),
            (3, 70.0, 5.0),
            (4, 110.0, 5.0),
            (5, 110.0, 5.0),
        ];
        assert_eq!(changes_of(&fence, &parked), [(Entered, 2, false)]);
        assert_eq!(changes_of(&fence, &[(0, 0.0, 120.0), (1, 0.0, 120.0)]), [], "vaguer than it is wide");
    }

    #[test]
    fn a_row_of_the_first_builds_is_read() {
        let row = r#"[{"fence":"yard","inside":true,"pending":{"count":1,"first":{"device":"truck","at":5000000,
            "lat":"50.01","lon":"8.0","digest":7,"retained":false}}}]"#;
        let mut standings: Vec<Standing> = serde_json::from_str(row).unwrap();
        let out = fix(9, 50.01, 8.0, 5.0);
        let way = Way { before: None, fix: &out, steady: None, rules: &TrackerRules::default() };
        let changes = judge(&mut standings, &FenceIndex::new(&[yard()]), &way);
        assert_eq!((changes[0].change, changes[0].fix.observed_at), (Exited, Timestamp::from_secs(5)));
    }

    #[test]
    fn a_visit_is_entered_and_left_at_its_first_fix() {
        check(
            &[(300.0, 5.0), (0.0, 5.0), (0.0, 5.0), (300.0, 5.0), (300.0, 5.0)],
            &[(Entered, 1), (Exited, 3)],
        );
    }

    #[test]
    fn the_first_fixes_of_all_may_enter() {
        check(&[(0.0, 5.0), (10.0, 5.0)], &[(Entered, 0)]);
    }

    #[test]
    fn one_fix_across_confirms_nothing() {
        check(&[(0.0, 5.0), (300.0, 5.0), (0.0, 5.0), (300.0, 5.0), (0.0, 5.0), (0.0, 5.0)], &[(Entered, 4)]);
    }

    #[test]
    fn parked_on_the_edge_nothing_flaps() {
        let wobble = [(95.0, 5.0), (105.0, 5.0), (90.0, 5.0), (112.0, 5.0)];
        let mut fixes = vec![(0.0, 5.0), (0.0, 5.0)];
        fixes.extend(wobble.iter().cycle().take(100));
        check(&fixes, &[(Entered, 0)]);
    }

    #[test]
    fn an_uncertain_fix_says_nothing() {
        check(&[(0.0, 200.0), (0.0, 200.0), (0.0, 200.0)], &[]);
        check(&[(0.0, 5.0), (0.0, 5.0), (250.0, 200.0), (250.0, 200.0)], &[(Entered, 0)]);
    }
}
