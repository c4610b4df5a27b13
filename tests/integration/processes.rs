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
        assert!(grade.precision() >= 0.99 && grade.wrong == grade.doubled, "{name}: {report}");
        let [silent, stuck, spikes, broken] = grade.faults;
        assert!(
            [silent, stuck, broken].iter().all(|(told, all)| told == all) && spikes.0 * 10 >= spikes.1 * 9,
            "{name}: {report}"
        );
    }
    let due: usize = report.0.iter().map(|graded| graded.grade.due).sum();
    assert!(due >= 150, "{report}");
}

/// The property tests of `src/clean/condition/reporting/tests.rs` hold it for every sequence; these are real ones.
#[test]
fn a_swinging_door_keeps_fewer_samples_than_a_deadband_and_stays_within_its_bound() {
    let scenarios = Scenario::all().unwrap();
    let few = |scenario: Scenario| Scenario { sensors: 4, hours: 24.0, ..scenario };
    let compressed = graded::compress(&scenarios.into_iter().map(few).collect::<Vec<_>>(), 1);
    for compressed in &compressed {
        let graded::Compressed { name, within, taken, by_exception, by_door } = compressed;
        assert!(by_door.worst <= within * (1.0 + 1e-9), "{name}: {compressed}");
        assert!(by_exception.worst <= within * (1.0 + 1e-9), "{name}: {compressed}");
        // What stands still but for its noise, or steps, is kept about as well by the one as by the other.
        assert!(by_door.samples * 10 <= by_exception.samples * 11, "{name}: {compressed}");
        assert!(by_door.samples * 4 < *taken, "{name}: {compressed}");
    }
    let kept = |of: fn(&graded::Compressed) -> usize| compressed.iter().map(of).sum::<usize>();
    let [by_door, by_exception] = [kept(|it| it.by_door.samples), kept(|it| it.by_exception.samples)];
    assert!(by_door < by_exception, "{by_door} and {by_exception}");
}
