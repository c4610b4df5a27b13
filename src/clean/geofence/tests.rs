//! What fences make of fixes, one case a table.

use super::*;
use crate::clean::motion::Stand;
use crate::config::TrackerRules;
use crate::domain::ids::Digest;
use crate::domain::shape::Shape;

/// 100 m around 50° north, 8° east.
fn yard() -> FenceConfig {
    let circle = Shape::circle(Position { lat: 50.0, lon: 8.0 }, 100.0);
    FenceConfig { hysteresis_m: 20.0, ..FenceConfig::new("yard", circle) }
}

fn fix(second: i64, lat: f64, lon: f64, accuracy_m: f64) -> Fix {
    Fix {
        accuracy_m: Some(accuracy_m),
        ..Fix::bare(
            "truck".into(),
            Timestamp::from_secs(second),
            Position { lat, lon },
            Digest(second as u64),
        )
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
    let (mut states, mut changes) = (Vec::new(), Vec::new());
    let mut before: Option<Fix> = None;
    for (second, north_m, accuracy) in fixes {
        let fix = fix(*second, 50.0 + north_m / 111_195.0, 8.0, *accuracy);
        let way = Way { before: before.as_ref(), fix: &fix, stands: None, in_order: true, rules: &rules };
        for Change { change, fix, inferred, .. } in judge(&mut states, &index, &way) {
            // Edges are found to a metre.
            let second = (fix.observed_at.as_micros() + 500_000) / 1_000_000;
            changes.push((change, second, inferred));
        }
        // Rows hold everything: a restart between any two fixes changes nothing.
        let row = serde_json::to_vec(&states).unwrap();
        states = serde_json::from_slice(&row).unwrap();
        before = Some(fix);
    }
    changes
}

use FenceChange::{Dwelt, Entered, Exited};

mod edges;
mod standing;

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
        (0..).zip(inside).map(|(second, inside)| (second, if *inside { 0.0 } else { 300.0 }, 5.0)).collect()
    };
    let check = |inside: &[bool], expect: &[(FenceChange, i64, bool)]| {
        assert_eq!(changes_of(&fence, &steps(inside)), expect, "{inside:?}");
    };
    check(&[false, true, false, true, false, true], &[(Entered, 1, false)]);
    check(&[false, true, false, false, true, false, false], &[]);
    check(&[true, true, true, false, true, false, false, true], &[(Entered, 0, false), (Exited, 3, false)]);
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
    let parked =
        [(0, 96.0, 5.0), (1, 96.0, 5.0), (2, 70.0, 5.0), (3, 70.0, 5.0), (4, 110.0, 5.0), (5, 110.0, 5.0)];
    assert_eq!(changes_of(&fence, &parked), [(Entered, 2, false)]);
    assert_eq!(changes_of(&fence, &[(0, 0.0, 120.0), (1, 0.0, 120.0)]), [], "vaguer than it is wide");
}

#[test]
fn a_row_of_the_first_builds_is_read() {
    let row = r#"[{"fence":"yard","inside":true,"pending":{"count":1,"first":{"device":"truck","at":5000000,
        "lat":"50.01","lon":"8.0","digest":7,"retained":false}}}]"#;
    let mut states: Vec<FenceState> = serde_json::from_str(row).unwrap();
    let out = fix(9, 50.01, 8.0, 5.0);
    let way = Way { before: None, fix: &out, stands: None, in_order: true, rules: &TrackerRules::default() };
    let changes = judge(&mut states, &FenceIndex::new(&[yard()]), &way);
    assert_eq!((changes[0].change, changes[0].fix.observed_at), (Exited, Timestamp::from_secs(5)));
}

#[test]
fn a_visit_is_entered_and_left_at_its_first_fix() {
    check(&[(300.0, 5.0), (0.0, 5.0), (0.0, 5.0), (300.0, 5.0), (300.0, 5.0)], &[(Entered, 1), (Exited, 3)]);
}

#[test]
fn the_first_fixes_of_all_may_enter() {
    check(&[(0.0, 5.0), (10.0, 5.0)], &[(Entered, 0)]);
}

#[test]
fn just_inside_takes_one_fix_more() {
    let just = (92.0, 5.0);
    check(&[(300.0, 5.0), just, just, just], &[(Entered, 1)]);
    check(&[just, just, (130.0, 5.0), just, just, (130.0, 5.0)], &[]);
    // What says nothing in between is no matter, unless it is for long.
    check(&[just, (110.0, 5.0), just, just], &[(Entered, 0)]);
    let on = |second: i64| (second, 92.0, 5.0);
    assert_eq!(changes_of(&yard(), &[on(0), on(90), on(180)]), [(Entered, 0, false)]);
    assert_eq!(changes_of(&yard(), &[on(0), on(90), on(181), on(200)]), []);
    assert_eq!(changes_of(&yard(), &[on(0), on(90), on(181), on(200), on(220)]), [(Entered, 181, false)]);
    // Further inside meanwhile, or for long enough by itself.
    check(&[just, (70.0, 5.0), just], &[(Entered, 0)]);
    check(&[(70.0, 5.0), just, (130.0, 5.0)], &[]);
    check(&[just, (70.0, 5.0), (70.0, 5.0)], &[(Entered, 0)]);
    // Vaguer than it is inside, of an unknown accuracy, or hardly over the edge.
    check(&[(92.0, 9.0); 9], &[]);
    check(&[(96.0, 2.0); 9], &[]);
    let unknown = fix(0, 50.0 + 92.0 / 111_195.0, 8.0, 0.0);
    assert_eq!(just_side(&yard(), &Fix { accuracy_m: None, ..unknown }), None);
    // Who is in stays in.
    check(&[(0.0, 5.0), (0.0, 5.0), just, just, just, (0.0, 5.0)], &[(Entered, 0)]);
}

#[test]
fn just_outside_takes_one_fix_more() {
    let (deep, inside, outside) = ((0.0, 5.0), (92.0, 5.0), (108.0, 5.0));
    // Out for some metres, and back: two visits.
    check(&[deep, deep, outside, outside, outside, deep, deep], &[(Entered, 0), (Exited, 2), (Entered, 5)]);
    check(&[deep, deep, outside, outside, deep, outside], &[(Entered, 0)]);
    // What says nothing in between is no matter; what wavers about the edge has not left.
    check(&[deep, deep, outside, (101.0, 5.0), outside, outside], &[(Entered, 0), (Exited, 2)]);
    check(&[deep, deep, outside, outside, inside, outside, outside, inside], &[(Entered, 0)]);
    // Further outside meanwhile, or for long enough by itself.
    check(&[deep, deep, outside, (150.0, 5.0), outside], &[(Entered, 0), (Exited, 2)]);
    check(&[deep, deep, outside, (150.0, 5.0), inside, (150.0, 5.0)], &[(Entered, 0), (Exited, 2)]);
    // Vaguer than it is outside, or hardly over the edge.
    check(&[[deep; 2], [(108.0, 9.0); 2], [(104.0, 2.0); 2], [(108.0, 9.0); 2]].concat(), &[(Entered, 0)]);
}

#[test]
fn what_stands_is_not_just_outside() {
    let index = FenceIndex::new(&[yard()]);
    let rules = TrackerRules::default();
    let changes = |stands: Option<Stands>| {
        let mut states = vec![FenceState::inside_since(yard().name, None, false)];
        let fixes = (0..5).map(|nth| fix(60 * nth, 50.0 + 108.0 / 111_195.0, 8.0, 5.0));
        let judged = fixes.map(|fix| {
            let way = Way { before: None, fix: &fix, stands, in_order: true, rules: &rules };
            judge(&mut states, &index, &way).len()
        });
        judged.sum::<usize>()
    };
    let rested = Timestamp::from_secs(-600);
    let middle = Position { lat: 50.0 + 100.0 / 111_195.0, lon: 8.0 };
    assert_eq!(changes(Some(Stands::There(Stand { middle, sure_m: 2.0, rested, is_young: false }))), 0);
    assert_eq!(changes(Some(Stands::Astray { rested })), 0);
    assert_eq!(changes(None), 1);
}

#[test]
fn so_many_of_so_many_may_be_just_inside() {
    let fence = FenceConfig { confirmations: 2, confirmations_of: 4, ..yard() };
    let north = |north: &[f64]| -> Vec<_> { (0..).zip(north).map(|(second, m)| (second, *m, 5.0)).collect() };
    assert_eq!(changes_of(&fence, &north(&[300.0, 92.0, 130.0, 92.0, 130.0, 92.0])), [(Entered, 1, false)]);
    assert_eq!(changes_of(&fence, &north(&[300.0, 92.0, 130.0, 130.0, 130.0, 92.0, 92.0])), []);
    // What only touched the edge is no visit by that; its way may lead through.
    let touched = |then: [f64; 2]| {
        let fixes = [(0, -300.0, 5.0), (30, -92.0, 5.0), (60, then[0], 5.0), (90, then[1], 5.0)];
        changes_of(&yard(), &fixes)
    };
    assert_eq!(touched([-300.0, -600.0]), []);
    assert_eq!(touched([300.0, 600.0]), [(Entered, 30, true), (Exited, 45, true)]);
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

/// A street that bows to the east of a straight line which cuts some 27 m into a yard beside it, by what the fixes at its
/// ends say of their courses.
#[test]
fn what_a_bend_leads_past_is_not_inferred() {
    let start = Position { lat: 50.0, lon: 8.0 };
    let yard = Shape::circle(start.moved_m([-73.0, 190.0]), 100.0);
    let index = FenceIndex::new(&[FenceConfig { confirmations: 1, ..FenceConfig::new("yard", yard) }]);
    let told = |courses: [Option<f64>; 2]| {
        let (mut states, rules) = (Vec::new(), TrackerRules::default());
        let at = |second, north, course_deg| {
            let position = start.moved_m([0.0, north]);
            Fix { course_deg, speed_mps: Some(18.0), ..fix(second, position.lat, position.lon, 5.0) }
        };
        let (before, fix) = (at(0, 0.0, courses[0]), at(30, 570.0, courses[1]));
        let way = Way { before: Some(&before), fix: &fix, stands: None, in_order: true, rules: &rules };
        judge(&mut states, &index, &way).len()
    };
    // Straight on, by what is told; where nothing is, there may be a bend as well.
    assert_eq!([[Some(360.0); 2], [Some(2.0), Some(1.0)], [None; 2]].map(told), [2, 2, 0]);
    // It swings out and back; it leaves or comes so, and no more is known; it meets in a slight bend.
    let bows = [[Some(12.0), Some(2.0)], [Some(12.0), None], [None, Some(348.0)], [Some(8.0), Some(353.0)]];
    assert_eq!(bows.map(told), [0; 4]);
    // To the other side it leads deeper in.
    assert_eq!(told([Some(348.0), Some(358.0)]), 2);
}

/// Past a yard, straight, so far beside its middle, so far before and behind it, and within so many seconds: the further and the
/// longer, the less is known of where it passed; and the less where no course is told.
#[test]
fn what_a_way_may_have_passed_beside_is_not_inferred() {
    let start = Position { lat: 50.0, lon: 8.0 };
    let told_by = |course_deg: Option<f64>, (beside_m, far_m, seconds): (f64, f64, i64)| {
        let yard = Shape::circle(start.moved_m([beside_m, far_m]), 100.0);
        let index = FenceIndex::new(&[FenceConfig { confirmations: 1, ..FenceConfig::new("yard", yard) }]);
        let (end, rules) = (start.moved_m([0.0, far_m * 3.0]), TrackerRules::default());
        let [before, fix] = [(0, start), (seconds, end)]
            .map(|(second, at)| Fix { course_deg, ..fix(second, at.lat, at.lon, 5.0) });
        let way = Way { before: Some(&before), fix: &fix, stands: None, in_order: true, rules: &rules };
        judge(&mut Vec::new(), &index, &way).len()
    };
    let told = |past| told_by(Some(360.0), past);
    let untold = |past| told_by(None, past);
    assert_eq!([(85.0, 110.0, 20), (85.0, 110.0, 60), (60.0, 110.0, 60)].map(untold), [2, 0, 2]);
    assert_eq!([(25.0, 250.0, 60), (35.0, 900.0, 120)].map(untold), [2, 0], "through its middle, and beside");
    assert_eq!([(85.0, 110.0, 60), (85.0, 250.0, 60), (70.0, 250.0, 60)].map(told), [2, 0, 0]);
    assert_eq!([(85.0, 200.0, 20), (85.0, 110.0, 120)].map(told), [2, 0], "by the time between");
    assert_eq!([(25.0, 250.0, 60), (25.0, 900.0, 120)].map(told), [2, 2], "through its middle");
    assert_eq!([(35.0, 900.0, 120)].map(told), [0], "beside its middle");
}

#[test]
fn an_uncertain_fix_says_nothing() {
    check(&[(0.0, 200.0), (0.0, 200.0), (0.0, 200.0)], &[]);
    check(&[(0.0, 5.0), (0.0, 5.0), (250.0, 200.0), (250.0, 200.0)], &[(Entered, 0)]);
}

/// 300 m north, a right turn, 300 m east, with a fix at both ends that tells its course: what lies inside of the corner is
/// cut by a straight line alone, and what the straight line keeps off is not sure; what both lead through is inferred. Where no
/// course is told, what a straight line leads deep into is.
#[test]
fn a_way_that_turned_leads_round_the_corner() {
    let start = Position { lat: 50.0, lon: 8.0 };
    let beside = |name: &str, at: [f64; 2], radius_m: f64| FenceConfig {
        hysteresis_m: 10.0,
        confirmations: 1,
        ..FenceConfig::new(name, Shape::circle(start.moved_m(at), radius_m))
    };
    let fences = [
        beside("both", [80.0, 220.0], 130.0),
        beside("corner", [20.0, 290.0], 60.0),
        beside("cut", [130.0, 130.0], 60.0),
    ];
    let index = FenceIndex::new(&fences);
    let rules = TrackerRules::default();
    let told = |courses: Option<[f64; 2]>| {
        let (mut states, mut told) = (Vec::new(), Vec::new());
        let ways =
            [([0.0, 0.0], 0, 0), ([300.0, 300.0], 40, 1), ([500.0, 300.0], 60, 1), ([700.0, 300.0], 80, 1)];
        let mut before: Option<Fix> = None;
        for (at, second, course) in ways {
            let position = start.moved_m(at);
            let course_deg = courses.map(|courses| courses[course]);
            let fix = Fix { course_deg, ..fix(second, position.lat, position.lon, 5.0) };
            let way = Way { before: before.as_ref(), fix: &fix, stands: None, in_order: true, rules: &rules };
            told.extend(judge(&mut states, &index, &way).into_iter().map(|change| {
                assert!(change.inferred);
                (change.fence.to_string(), change.change, change.fix.observed_at.as_micros() / 1_000_000)
            }));
            before = Some(fix);
        }
        told
    };
    let [entered, exited] = [FenceChange::Entered, FenceChange::Exited];
    assert_eq!(told(Some([360.0, 90.0])), [("both".into(), entered, 7), ("both".into(), exited, 32)]);
    // Twice round a corner, or more: nobody knows.
    assert_eq!(told(Some([270.0, 90.0])), []);
    let straight: Vec<_> = told(None).into_iter().map(|(fence, change, _)| (fence, change)).collect();
    let name = |fence: &str| fence.to_owned();
    assert_eq!(straight, [(name("cut"), entered), (name("cut"), exited)]);
}

/// What is said last of a yard is not said of the dock in it, whatever they are called.
#[test]
fn of_fences_within_one_another_the_inner_one_is_entered_first_and_left_last() {
    for names in [["dock", "yard"], ["z-dock", "a-yard"]] {
        let centre = Position { lat: 0.0, lon: 0.0 };
        let fences = [(names[0], 100.0), (names[1], 1000.0)];
        let fences = fences.map(|(name, radius_m)| FenceConfig::new(name, Shape::circle(centre, radius_m)));
        let index = FenceIndex::new(&fences);
        let rules = TrackerRules::default();
        let (mut states, mut told, mut before) = (Vec::new(), Vec::new(), None);
        for (second, lat) in [(0, 0.1), (600, 0.0), (610, 0.0), (1200, 0.1), (1210, 0.1)] {
            let fix = fix(second, lat, 0.0, 5.0);
            let way = Way { before: before.as_ref(), fix: &fix, stands: None, in_order: true, rules: &rules };
            let changes = judge(&mut states, &index, &way);
            told.extend(changes.into_iter().map(|change| (change.fence.to_string(), change.change)));
            before = Some(fix);
        }
        let [dock, yard] = names.map(str::to_owned);
        let (into, out) = (FenceChange::Entered, FenceChange::Exited);
        assert_eq!(told, [(dock.clone(), into), (yard.clone(), into), (yard, out), (dock, out)]);
    }
}
