//! Some runs of simulated processes, with the harness of `cargo bench --bench processes`. Time is virtual and seeds are
//! fixed, so that the same is found every time.

#[allow(dead_code, reason = "the bench asks for the goals, the test has thresholds of its own")]
#[path = "../processes/mod.rs"]
mod graded;

use tallyman_simulators::ScenarioFile;
use tallyman_simulators::processes::Scenario;

#[test]
fn excursions_are_told_in_time_and_faults_of_sensors_are_none() {
    let scenarios: Vec<Scenario> =
        Scenario::all().unwrap().into_iter().map(|scenario| Scenario { sensors: 6, ..scenario }).collect();
    let report = graded::grade(&scenarios, 0..2);
    assert_eq!(report.failures(), [""; 0], "{report}");
    let due: usize = report.0.iter().map(|graded| graded.grade.due).sum();
    assert!(due >= 150, "{report}");
}
