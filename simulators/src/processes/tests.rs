//! Processes do what such processes do, and their truth is true.

use super::*;
use crate::scenario_file::ScenarioFile;

fn of(process: Process) -> Scenario {
    Scenario::all().unwrap().into_iter().find(|scenario| scenario.process == process).unwrap()
}

#[test]
fn the_same_seed_acts_out_the_same_and_another_does_not() {
    let scenario = Scenario { sensors: 2, ..of(Process::ColdRoom) };
    let (one, again, other) = (scenario.run(1), scenario.run(1), scenario.run(2));
    assert_eq!((&one.samples, &one.excursions), (&again.samples, &again.excursions));
    assert_ne!(one.samples, other.samples);
}

#[test]
fn every_process_goes_beyond_its_limits_and_comes_back() {
    for scenario in Scenario::all().unwrap() {
        let scenario = Scenario { sensors: 8, ..scenario };
        let run = scenario.run(3);
        let plain = run.excursions.iter().filter(|excursion| excursion.plain_s > 0.0).count();
        assert!(plain >= 4, "{}: {plain} excursions that can be seen", scenario.name);
        for excursion in &run.excursions {
            assert!(excursion.plain_from_s >= excursion.from_s, "{excursion:?}");
            assert!(excursion.plain_s <= excursion.until_s - excursion.from_s, "{excursion:?}");
        }
    }
}

#[test]
fn a_cold_room_stays_where_it_should_most_of_the_time() {
    let mut dice = ChaCha8Rng::seed_from_u64(4);
    let values = physics::values(Process::ColdRoom, 10 * 86_400, &mut dice);
    let cold = values.iter().filter(|value| (0.5..8.0).contains(*value)).count();
    let share = cold as f64 / values.len() as f64;
    assert!((0.75..0.999).contains(&share), "{share}");
    assert!(values.iter().all(|value| (-2.0..22.0).contains(value)));
}

#[test]
fn faults_are_told_and_are_there() {
    let scenario = Scenario::all().unwrap().into_iter().find(|it| it.name == "bad sensors").unwrap();
    let run = Scenario { sensors: 8, ..scenario }.run(5);
    for kind in [FaultKind::Stuck, FaultKind::Spike, FaultKind::Dropout, FaultKind::Broken] {
        let mut of_kind = run.faults.iter().filter(|(_, fault)| fault.kind == kind);
        let (sensor, fault) = of_kind.next().expect("each kind happens");
        let during = |sample: &&Sample| {
            sample.sensor == *sensor && (fault.from_s..fault.until_s).contains(&sample.at_s)
        };
        let values: Vec<Option<f64>> = run.samples.iter().filter(during).map(|sample| sample.value).collect();
        match kind {
            FaultKind::Dropout => assert!(values.iter().all(Option::is_none)),
            FaultKind::Stuck | FaultKind::Broken => {
                assert!(values.iter().flatten().is_sorted_by(|one, other| one == other));
            }
            FaultKind::Spike | FaultKind::Drift => assert!(values.len() <= 2),
        }
    }
}
