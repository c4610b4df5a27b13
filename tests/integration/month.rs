//! The simulated month in small: the same harness and the same goals as `cargo bench --bench month`.

#[path = "../month/mod.rs"]
mod acted;

use tallyman_simulators::month::{Month, Scenario};

const SMALL: &str = include_str!("../../simulators/scenarios/week.toml");

#[test]
fn some_days_of_a_small_company_meet_every_goal() {
    let scenario = Scenario::parse(SMALL).unwrap();
    for seed in [3, 4] {
        let report = acted::run(&scenario, seed, &acted::Files::default()).unwrap();
        assert_eq!(report.failures(), [""; 0], "{report}");
        let told = (report.ghosts.due, report.overdue.due, report.reader_down.truth);
        assert!(told.0 >= 5 && told.1 >= 5 && told.2 >= 5, "little happened: {told:?}");
        let vehicles = &report.vehicles;
        assert!(vehicles.right >= 50 && vehicles.loaded >= 30, "little was carried: {vehicles:?}");
        assert!(serde_json::to_string(&report).unwrap().contains("\"ghosts\""));
    }
}

/// Two antennas to a shelf, of which one is cut off now and then; exits without a checkout.
#[test]
fn the_first_days_of_an_autumn_meet_every_goal() {
    let mut scenario = Scenario::parse(include_str!("../../simulators/scenarios/autumn.toml")).unwrap();
    scenario.days = 6;
    let report = acted::run(&scenario, 2, &acted::Files::default()).unwrap();
    assert_eq!(report.failures(), [""; 0], "{report}");
    assert!(report.unauthorised.truth >= 50 && report.cuts >= 3, "little happened: {report}");
}

#[test]
fn a_seed_acts_out_the_same_month_again() {
    let mut scenario = Scenario::parse(SMALL).unwrap();
    scenario.days = 1;
    let inputs = |seed| Month::new(&scenario, seed).collect::<Vec<_>>();
    let first = inputs(1);
    assert!(first.is_sorted_by_key(|input| input.at_us) && first.len() > 500, "{}", first.len());
    assert_eq!(first, inputs(1));
    assert_ne!(first, inputs(2));
}

/// The grader must be able to say no: a truth that nobody was told of is missed.
#[test]
fn a_daemon_that_hears_nothing_of_it_fails_its_goals() {
    let mut scenario = Scenario::parse(SMALL).unwrap();
    scenario.days = 2;
    scenario.classes[0].overdue_grace_s = 0.0;
    let report = acted::run_untold(&scenario, 1).unwrap();
    let failures = report.failures();
    assert!(failures.contains(&"ghost recall 1.0".to_owned()), "{report}");
    assert!(failures.contains(&"overdue exact".to_owned()), "{report}");
    assert!(failures.iter().any(|failure| failure.starts_with("recall of what is in a vehicle")), "{report}");
}
