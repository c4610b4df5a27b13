//! Some runs of the simulated fleet, with the harness of `cargo bench --bench fleet`. Time is virtual and seeds are
//! fixed, so that the same is found every time.

#[allow(dead_code, reason = "the bench asks for the goals, the test has thresholds of its own")]
#[path = "../fleet/mod.rs"]
mod graded;

use graded::{Grade, Report};
use tallyman_simulators::ScenarioFile;
use tallyman_simulators::fleet::Scenario;

fn report(name: &str, vehicles: usize) -> Report {
    let scenario = Scenario::all().unwrap().into_iter().find(|scenario| scenario.name == name).unwrap();
    graded::grade(&[Scenario { vehicles, ..scenario }], 0..2)
}

fn graded(report: &Report) -> &[Grade; 2] {
    &report.0[0].grades
}

#[test]
fn visits_and_trips_of_a_town_are_told_once_each() {
    for name in ["town", "bad network", "wrong clocks"] {
        let report = report(name, 12);
        let [ours, bare] = graded(&report);
        assert!(ours.due >= 150, "{report}");
        assert!(ours.recall() >= 0.99 && ours.precision() >= 0.995, "{report}");
        assert!(ours.spurious < bare.spurious, "{report}");
        assert!(ours.trips.missed <= 1, "{report}");
        assert_eq!(ours.trips.spurious, 0, "{report}");
        assert!(ours.trips.off(0.5) <= 0.01 && ours.trips.off(0.95) <= 0.04, "{report}");
        assert!(ours.trips.off_in_all().abs() <= 0.01, "{report}");
    }
}

#[test]
fn what_is_parked_beside_an_edge_tells_nothing() {
    let report = report("parked", 60);
    let [ours, bare] = graded(&report);
    assert_eq!((ours.spurious, ours.trips.spurious), (0, 0), "{report}");
    assert!(bare.spurious > 100, "the edge is near enough to matter: {report}");
}

/// Under a roof receivers err by tens of metres, whatever they say.
#[test]
fn what_is_parked_and_overstates_is_soon_known_for_it() {
    let report = report("parked, overstated", 200);
    let [ours, bare] = graded(&report);
    assert!(ours.spurious <= 3 && ours.trips.spurious == 0, "{report}");
    assert!(bare.spurious > 1000, "the edge is near enough to matter: {report}");
}
