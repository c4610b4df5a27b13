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
    for graded::Graded { name, grade } in &report.0 {
        assert_eq!(
            (grade.recall(), grade.of_faults, grade.unended, grade.cut),
            (1.0, 0, 0, 0),
            "{name}: {report}"
        );
        assert!(grade.latest_polls() <= 1.0, "{name}: {report}");
        // Without an off-delay, a deadband of three deviations of the noise is left by chance now and then.
        let twice = if name == "motor" { 0.93 } else { 0.99 };
        assert!(grade.precision() >= twice && grade.wrong == grade.doubled, "{name}: {report}");
        let [silent, stuck, spikes] = grade.faults;
        assert!(
            silent.0 == silent.1 && stuck.0 == stuck.1 && spikes.0 * 10 >= spikes.1 * 9,
            "{name}: {report}"
        );
    }
    let due: usize = report.0.iter().map(|graded| graded.grade.due).sum();
    assert!(due >= 150, "{report}");
}
