//! The way from one accepted fix to the next: straight, or round the corner that their courses tell of.
//!
//! Between two fixes half a minute apart a truck turns corners. A straight line from one to the other cuts them, and
//! leads through fences that nobody was in. What a fix says of its course, while it moves, is where the way left it and
//! came to it; two such lines meet at the corner. Where they do not, it turned more than once, and nothing is inferred.

use crate::clean::motion::Stands;
use crate::config::TrackerRules;
use crate::domain::geodesy::{Path, Position};
use crate::domain::readings::Fix;

/// Slower than this the course that a receiver tells is noise.
const STEERS_MPS: f64 = 2.0;
/// Courses off the straight line by less than this make no corner, where they do not meet in one.
const STRAIGHT_DEG: f64 = 15.0;
/// Two courses that differ by less than this do not say where they meet.
const PARALLEL_DEG: f64 = 5.0;
/// Steepest angle at which a curve is believed to leave or reach its straight line, as a slope.
const STEEPEST: f64 = 1.0;
/// A way round a corner that is longer than straight by more than this is none that one corner explains: a right angle
/// makes 1.41 at most.
const DETOUR: f64 = 1.6;

/// An accepted fix and the accepted one before it.
pub(in crate::clean) struct Way<'a> {
    pub before: Option<&'a Fix>,
    pub fix: &'a Fix,
    /// What the fix is to the place where it stands, if it does.
    pub stands: Option<Stands>,
    /// The fix was the newest when it came. Of others, of which many are merged, it is not known well enough when they set out.
    pub in_order: bool,
    pub rules: &'a TrackerRules,
}

impl Way<'_> {
    /// The fix before, where something may be inferred from the way between the two. What was confirmed though nothing
    /// goes so fast was never on the way there.
    pub fn beginning(&self) -> Option<&Fix> {
        let near = |before: &&Fix| {
            self.fix.observed_at.since(before.observed_at) <= self.rules.infer_within
                && before.position.distance_m(self.fix.position) <= self.rules.infer_within_m
                && before.least_speed_mps(self.fix) <= self.rules.max_speed_mps
        };
        self.before.filter(near)
    }

    /// From its beginning; where that is not known, or the way is not, no more than where the fix is.
    pub fn path(&self) -> Path {
        let path = self.beginning().and_then(|before| path(before, self.fix));
        path.unwrap_or_else(|| Path::point(self.fix.position))
    }

    /// Where the way is behind a part of its straight line, if it leaves and comes as its courses say and bends no more than
    /// that: the cubic curve by Hermite, or the parabola where one course alone is told.
    pub fn bent(&self, before: &Fix, part: f64) -> Position {
        let straight = before.position.offset_m(self.fix.position);
        let slope = |fix: &Fix| {
            let off = steering(fix).map(|course| off_deg(course, straight))?;
            Some(off.clamp(-89.0, 89.0).to_radians().tan().clamp(-STEEPEST, STEEPEST))
        };
        let left = 1.0 - part;
        // To the right of the straight line, in its lengths.
        let right = match (slope(before), slope(self.fix)) {
            (Some(leaves), Some(comes)) => leaves * part * left * left - comes * part * part * left,
            (Some(leaves), None) => leaves * part * left,
            (None, Some(comes)) => -comes * part * left,
            (None, None) => 0.0,
        };
        let [east, north] = straight;
        before.position.moved_m([east * part + north * right, north * part - east * right])
    }
}

/// The course that a fix tells, unless it says that it hardly moves. Receivers that know none tell zero.
pub(in crate::clean) fn steering(fix: &Fix) -> Option<f64> {
    let moves = fix.speed_mps.is_none_or(|speed| speed >= STEERS_MPS);
    fix.course_deg.filter(|course| moves && *course != 0.0)
}

/// Where nothing is said of the course, it is taken for straight.
fn path(from: &Fix, to: &Fix) -> Option<Path> {
    let Some(courses) = steering(from).zip(steering(to)) else {
        return Some(Path::straight(from.position, to.position));
    };
    if let Some(corner) = corner(from.position, to.position, courses) {
        return Some(Path::round(from.position, corner, to.position));
    }
    let straight = from.position.offset_m(to.position);
    let beside = |course| off_deg(course, straight).abs();
    (beside(courses.0).max(beside(courses.1)) < STRAIGHT_DEG)
        .then(|| Path::straight(from.position, to.position))
}

/// By how much a course leads to the right of a straight line, -180 to 180.
fn off_deg(course: f64, [east, north]: [f64; 2]) -> f64 {
    (course - east.atan2(north).to_degrees() + 180.0).rem_euclid(360.0) - 180.0
}

/// Where the line that it left the first position along meets the one that it came to the second along.
fn corner(from: Position, to: Position, courses: (f64, f64)) -> Option<Position> {
    let [[ax, ay], [bx, by]] = [courses.0, courses.1].map(|course| {
        let (sin, cos) = course.to_radians().sin_cos();
        [sin, cos]
    });
    let [east, north] = from.offset_m(to);
    let turn = ax * by - ay * bx;
    if turn.abs() < PARALLEL_DEG.to_radians().sin() {
        return None;
    }
    let (first, second) = ((east * by - north * bx) / turn, (ax * north - ay * east) / turn);
    let one_corner = first > 0.0 && second > 0.0 && first + second <= east.hypot(north) * DETOUR;
    one_corner.then(|| from.moved_m([ax * first, ay * first]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Digest;
    use crate::domain::time::Timestamp;

    const START: Position = Position { lat: 50.0, lon: 8.0 };

    fn fix(at: [f64; 2], course: f64) -> Fix {
        Fix {
            course_deg: Some(course),
            speed_mps: Some(12.0),
            ..Fix::bare("truck".into(), Timestamp::from_secs(0), START.moved_m(at), Digest(0))
        }
    }

    /// `None`: not known. Where the corner is; straight is a way without one.
    fn found(before: f64, to: [f64; 2], after: f64) -> Option<Option<[f64; 2]>> {
        let path = path(&fix([0.0, 0.0], before), &fix(to, after))?;
        let corner = path.legs().nth(1).map(|(corner, _)| corner);
        Some(corner.map(|corner| START.offset_m(corner).map(f64::round)))
    }

    #[test]
    fn a_turn_is_where_the_courses_meet() {
        assert_eq!(found(360.0, [200.0, 300.0], 90.0), Some(Some([0.0, 300.0])));
        assert_eq!(found(90.0, [200.0, -300.0], 180.0), Some(Some([200.0, 0.0])));
        assert_eq!(found(45.0, [0.0, 400.0], 315.0), Some(Some([200.0, 200.0])));
        assert_eq!(found(5.0, [0.0, 400.0], 355.0), Some(Some([17.0, 200.0])), "a slight one");
    }

    #[test]
    fn a_way_bends_by_what_is_told_of_its_ends() {
        let rules = TrackerRules::default();
        let (mut before, mut after) = (fix([0.0, 0.0], 10.0), fix([0.0, 600.0], 10.0));
        let east = |before: &Fix, after: &Fix, part: f64| {
            let way = Way { before: Some(before), fix: after, stands: None, in_order: true, rules: &rules };
            let [east, north] = START.offset_m(way.bent(before, part));
            assert!((north - part * 600.0).abs() < 0.1);
            east.round()
        };
        // To one side, and from the other.
        assert_eq!(
            [0.0, 0.3, 0.5, 0.7, 1.0].map(|part| east(&before, &after, part)),
            [0.0, 9.0, 0.0, -9.0, 0.0]
        );
        after.course_deg = Some(350.0);
        assert_eq!(east(&before, &after, 0.5), 26.0);
        after.course_deg = None;
        assert_eq!(east(&before, &after, 0.5), 26.0);
        before.course_deg = Some(120.0);
        assert_eq!(east(&before, &after, 0.5), 150.0, "no further than half of a right angle leads");
        before.course_deg = None;
        assert_eq!(east(&before, &after, 0.5), 0.0);
    }

    #[test]
    fn what_goes_its_way_or_tells_no_course_went_straight() {
        assert_eq!(found(360.0, [0.0, 400.0], 360.0), Some(None));
        assert_eq!(found(355.0, [30.0, 400.0], 358.0), Some(None));
        assert_eq!(found(350.0, [0.0, 400.0], 350.0), Some(None), "a lane to the side");
        assert_eq!(found(0.0, [200.0, 300.0], 0.0), Some(None), "which is told where none is known");
        let (from, to) = (fix([0.0, 0.0], 200.0), fix([200.0, 300.0], 90.0));
        let straight = Some(Path::straight(from.position, to.position));
        assert_eq!(path(&Fix { speed_mps: Some(1.0), ..from.clone() }, &to), straight, "its course is noise");
        assert_eq!(path(&Fix { course_deg: None, ..from }, &to), straight);
    }

    #[test]
    fn what_no_single_corner_explains_is_not_known() {
        // A lane to the side; away from there; a turn back; a wide detour.
        for (before, to, after) in [
            (360.0, [200.0, 300.0], 360.0),
            (180.0, [200.0, 300.0], 90.0),
            (360.0, [20.0, 10.0], 180.0),
            (20.0, [400.0, 0.0], 160.0),
        ] {
            assert_eq!(found(before, to, after), None, "{before} {to:?} {after}");
        }
    }
}
