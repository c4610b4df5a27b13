//! Some runs of simulated zones, with the harness of `cargo bench --bench zones`. Time is virtual and seeds are
//! fixed, so that the same is found every time; thresholds lie a little below what is reached.

#[allow(dead_code, reason = "the bench asks for the goals, the test has thresholds of its own")]
#[path = "../zones/mod.rs"]
mod graded;

use graded::{Grade, Judge, Report};
use tallyman_simulators::ScenarioFile;
use tallyman_simulators::zones::Scenario;

fn report(name: &str, judges: &[Judge]) -> Report {
    let mut scenarios = Scenario::all().unwrap();
    scenarios.retain(|scenario| scenario.name == name);
    assert_eq!(scenarios.len(), 1);
    scenarios[0].duration_s = 1200.0;
    graded::grade(&scenarios, 0..1, judges).unwrap()
}

fn of(report: &Report, judge: Judge) -> &Grade {
    report.0[0].of(judge).unwrap()
}

#[test]
fn between_rooms_every_move_is_told_and_hardly_any_that_is_none() {
    let report = report("apart", &[Judge::Ours]);
    let ours = of(&report, Judge::Ours);
    assert!(ours.moves >= 20 && ours.right() >= 0.97 && ours.f1() >= 0.95, "{report}");
    assert!(ours.delay_s(0.5) <= 5.0, "{report}");
}

#[test]
fn what_lies_still_in_an_open_hall_is_not_told_to_move_all_day() {
    let judges = [Judge::Ours, Judge::Newest, Judge::Strongest, Judge::EdgeX, Judge::Oracle];
    let report = report("open hall", &judges);
    let ours = of(&report, Judge::Ours);
    assert!(ours.right() >= 0.8 && ours.f1() >= 0.8, "{report}");
    let bound = of(&report, Judge::Oracle);
    assert!(bound.spurious == 0 && bound.right() >= of(&report, Judge::Strongest).right(), "{report}");
    for other in [Judge::Newest, Judge::Strongest, Judge::EdgeX] {
        let other = of(&report, other);
        assert!(ours.f1() > other.f1() && ours.spurious_a_day() < other.spurious_a_day(), "{report}");
    }
}
