//! A town is what it should be, and its truth is true.

use super::*;
use crate::scenario_file::ScenarioFile;

fn town(vehicles: usize) -> Scenario {
    let scenario = Scenario::all().unwrap().into_iter().find(|scenario| scenario.name == "town").unwrap();
    Scenario { vehicles, ..scenario }
}

#[test]
fn the_same_seed_acts_out_the_same_and_another_does_not() {
    let scenario = town(2);
    let (one, again, other) = (scenario.run(7), scenario.run(7), scenario.run(8));
    assert_eq!((&one.fixes, &one.visits), (&again.fixes, &again.visits));
    assert_ne!(one.fixes, other.fixes);
    assert!(one.fixes.is_sorted_by_key(|fix| fix.arrives_us));
}

#[test]
fn vehicles_drive_as_vehicles_do() {
    let run = town(4).run(3);
    for drives in &run.drives {
        assert!(drives.len() >= 8, "{} drives in a day", drives.len());
        for drive in drives {
            let mean = drive.length_m / (drive.until_s - drive.from_s) * 3.6;
            assert!((8.0..65.0).contains(&mean), "{mean} km/h on the mean of a drive through a town");
        }
    }
}

#[test]
fn who_queues_moves_up_and_waits() {
    let mut dice = ChaCha8Rng::seed_from_u64(6);
    let roads = Roads::new(20, &mut dice);
    let way = roads.way(0, 377);
    let queue = Queue { length_m: 300.0, up_m: [10.0, 11.0], waits_s: [60.0, 61.0] };
    let mut log = Log::new(roads.crossings[0], Sky::Open);
    log.drive(&roads, &way, Some(queue), &mut dice);
    let street_m: f64 = way.iter().map(|street| street.length_m).sum();
    let [drive] = log.drives[..] else { panic!("one drive, its queue included") };
    assert!((drive.length_m - street_m).abs() < 0.1, "{} m of {street_m}", drive.length_m);
    // 28 to 30 times a minute of waiting and eight seconds of moving up.
    let last_m = |at_s: f64| {
        let behind = log.stretches.iter().filter(|stretch| stretch.from_s >= at_s);
        behind.map(driving::Stretch::length_m).sum::<f64>()
    };
    assert!((270.0..=300.1).contains(&last_m(drive.until_s - 1890.0)), "{}", last_m(drive.until_s - 1890.0));
    assert!(last_m(drive.until_s - 2250.0) > 300.5, "{}", last_m(drive.until_s - 2250.0));
    let mut waits = (0..1800).map(|nth| log.state(drive.until_s - f64::from(nth)).speed_mps == 0.0);
    assert!(waits.by_ref().filter(|waits| *waits).count() > 1400);
}

#[test]
fn a_place_moves_no_faster_than_its_vehicle() {
    let mut dice = ChaCha8Rng::seed_from_u64(5);
    let roads = Roads::new(20, &mut dice);
    let mut log = Log::new(roads.crossings[0], Sky::Open);
    let queue = Queue { length_m: 500.0, up_m: [8.0, 25.0], waits_s: [20.0, 100.0] };
    log.drive(&roads, &roads.way(0, 377), Some(queue), &mut dice);
    let (ends_s, step) = (log.until_s(), 0.1);
    assert_eq!(log.state(ends_s).place, roads.crossings[377]);
    let mut at_s = 0.0;
    while at_s + step < ends_s {
        let (one, next) = (log.state(at_s), log.state(at_s + step));
        let fastest = one.speed_mps.max(next.speed_mps) + ACCELERATION_MPS2 * step;
        let moved = one.place.distance(next.place) / step;
        assert!(moved <= fastest + 0.05, "{moved} m/s at {at_s}, where the vehicle says {fastest}");
        at_s += step;
    }
}

const ACCELERATION_MPS2: f64 = 2.0;

/// By the standard that GPS promises, and no better than receivers are.
#[test]
fn errors_are_those_of_receivers() {
    let mut dice = ChaCha8Rng::seed_from_u64(9);
    for (sky, within_m) in [(Sky::Open, 4.0..8.0), (Sky::Canyon, 25.0..45.0)] {
        let here = Place { x: 0.0, y: 0.0 };
        let mut errors: Vec<f64> = (0..400)
            .map(|_| {
                let mut receiver = receiver::Receiver::new(&mut dice);
                receiver.fix(here, sky, 1e6, &mut dice).unwrap().0.distance(here)
            })
            .collect();
        errors.sort_by(f64::total_cmp);
        let p95 = errors[errors.len() * 95 / 100];
        assert!(within_m.contains(&p95), "{sky:?}: 95 % within {p95} m");
    }
}

#[test]
fn visits_are_where_fixes_lie() {
    let run = town(10).run(11);
    let certain = run.visits.iter().filter(|visit| visit.deep_fixes >= 3).count();
    assert!(certain > 60, "{certain} visits that every tracker should tell");
    assert!(run.visits.len() > certain, "and some that none can");
    for visit in &run.visits {
        assert!(visit.until_us.is_none_or(|until| until > visit.from_us));
    }
}

#[test]
fn what_cannot_be_is_said() {
    let error = Scenario::parse("name = \"x\"\nhours = 0\nvehicles = 1\n[fences]\npolygons = 2").unwrap_err();
    let text = error.to_string();
    assert!(text.contains("hours: 0") && text.contains("fences.polygons: 2 is no share"), "{text}");
}
