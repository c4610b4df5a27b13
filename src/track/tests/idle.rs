use super::world::*;
use crate::domain::alerts::Rule;
use crate::domain::readings::{Quality, Sample};
use crate::domain::register::{Asset, AssetClass, Record, SensorAttachment, Utilisation};
use crate::domain::sightings::{Direction, FenceChange, Seen};

/// `T1` and `T2` of a class that never is idle: what uses them is noted all the same.
fn patient(utilisation: Utilisation) -> World {
    let mut world = World::with_class(AssetClass { utilisation, ..AssetClass::new("press".into()) });
    world.stock(1..=2, "press");
    world.events.clear();
    world
}

#[test]
fn movement_is_noted_and_being_found_is_none() {
    let mut world = patient(Utilisation::Movement);
    world.arrive(1, "CRIB");
    world.arrive(2, "CRIB");
    assert!(world.used().is_empty());
    world.until(100);
    world.arrive(1, "ANNEX");
    assert_eq!(world.used(), ["100 asset:T1 used"]);
    // It goes on, and is noted again after a quarter of an hour; over a restart too.
    world.until(500);
    world.pass(1, "DOCK", Direction::Out);
    world.restart(0);
    world.connect();
    assert!(world.used().is_empty());
    world.until(1100);
    world.pass(1, "DOCK", Direction::In);
    assert_eq!(world.used(), ["1100 asset:T1 used"]);
    // What was held back is no news, and neither is what comes late.
    world.pass_at(50, false, 1, "DOCK", Direction::Out);
    world.pass_at(1090, true, 2, "DOCK", Direction::Out);
    assert!(world.used().is_empty());
    // Who has it says nothing of a class that moves.
    world.check_out("T2", None).unwrap();
    world.check_in("T2").unwrap();
    assert!(world.used().is_empty());
}

#[test]
fn driving_and_fences_are_movement() {
    let mut world = patient(Utilisation::Movement);
    world.import(vec![tracker("van/1", "T1"), tracker("van/2", "T2")]).unwrap();
    world.fix("van/1");
    world.fix("van/2");
    assert!(world.used().is_empty());
    world.until(100);
    world.fix("van/1");
    assert_eq!(world.used(), ["100 asset:T1 used"]);
    world.fence("van/2", "depot", FenceChange::Entered);
    assert_eq!(world.used(), ["100 asset:T2 used"]);
}

#[test]
fn the_begin_of_a_clock_and_a_checkout_are_no_use_of_a_sensor() {
    let mut world = company(Utilisation::Sensor("load".into()));
    world.until(100);
    world.check_out("T1", None).unwrap();
    world.pass(1, "DOCK", Direction::Out);
    world.until(2000);
    assert!(world.used().is_empty());
}

/// `T1` and `T2` of a class that is idle after 1,000 s.
fn company(utilisation: Utilisation) -> World {
    let mut world = World::with_class(AssetClass {
        idle_after: Some(secs(1000)),
        utilisation,
        ..AssetClass::new("press".into())
    });
    world.stock(1..=2, "press");
    world.events.clear();
    world
}

#[test]
fn what_does_not_move_is_idle_until_it_does() {
    let mut world = company(Utilisation::Movement);
    world.arrive(1, "CRIB");
    world.until(500);
    world.pass(1, "DOCK", Direction::Out);
    world.restart(0);
    world.connect();
    world.until(3000);
    assert_eq!(world.alerted_of(Rule::Idle), ["1000 idle/T2 fired", "1500 idle/T1 fired"]);
    world.arrive(1, "ANNEX");
    assert_eq!(world.alerted_of(Rule::Idle), ["3000 idle/T1 resolved"]);
    world.hear_until(3900, &[1], "ANNEX");
    assert!(world.alerted_of(Rule::Idle).is_empty());
    world.hear_until(4100, &[1], "ANNEX");
    assert_eq!(world.alerted_of(Rule::Idle), ["4000 idle/T1 fired"]);
}

#[test]
fn our_time_away_does_not_count_and_unread_sources_are_waited_for() {
    let mut world = company(Utilisation::Movement);
    world.until(400);
    world.restart(5000);
    world.connect();
    world.link("r2", true, false);
    world.until(6500);
    assert!(world.alerted_of(Rule::Idle).is_empty());
    world.link("r2", true, true);
    world.until(7500);
    let told = world.alerted_of(Rule::Idle);
    assert_eq!(told.len(), 2, "{told:?}");
}

#[test]
fn custody_is_use_and_a_checkout_stops_the_clock() {
    let mut world = company(Utilisation::Custody);
    world.until(900);
    world.check_out("T1", None).unwrap();
    world.until(5000);
    assert_eq!(world.alerted_of(Rule::Idle), ["1000 idle/T2 fired"]);
    world.check_in("T1").unwrap();
    world.until(5999);
    assert!(world.alerted_of(Rule::Idle).is_empty());
    world.until(6000);
    assert_eq!(world.alerted_of(Rule::Idle), ["6000 idle/T1 fired"]);
    world.check_out("T1", None).unwrap();
    assert_eq!(world.alerted_of(Rule::Idle), ["6000 idle/T1 resolved"]);
}

#[test]
fn a_sensor_that_is_not_zero_is_use() {
    let mut world = company(Utilisation::Sensor("load".into()));
    let sensor = SensorAttachment {
        key: "cold-1".into(),
        carrier: crate::domain::register::Carrier::Asset("T1".into()),
        from: None,
        to: None,
    };
    world.import(vec![Record::Sensor(sensor)]).unwrap();
    let sample = |world: &mut World, at: i64, value: f64| {
        world.until(at);
        let sample = Sample {
            device: "cold-1".into(),
            point: "load".into(),
            observed_at: t(at),
            value: Some(value),
            text: None,
            quality: Quality::Good,
        };
        world.see_from("cold-1", at, false, Seen::Sample(sample));
    };
    sample(&mut world, 500, 12.0);
    sample(&mut world, 900, 0.0);
    world.alerted_of(Rule::Idle);
    world.until(1499);
    assert!(!world.is_firing(Rule::Idle, "T1"));
    world.until(1500);
    assert!(world.is_firing(Rule::Idle, "T1"));
    world.used();
    sample(&mut world, 1600, 1.0);
    assert!(!world.is_firing(Rule::Idle, "T1"));
    assert_eq!(world.used(), ["1600 asset:T1 used"]);
}

#[test]
fn driving_is_use_and_the_wavering_of_fixes_is_not() {
    let mut world = company(Utilisation::Movement);
    world.import(vec![tracker("van/1", "T1")]).unwrap();
    // 11 m a second step: `fix_of` moves by a ten-thousandth of a degree a second.
    world.fix("van/1");
    world.until(5);
    world.fix("van/1");
    world.until(800);
    world.fix("van/1");
    world.until(1790);
    assert!(!world.is_firing(Rule::Idle, "T1"));
    assert!(world.is_firing(Rule::Idle, "T2"));
    world.until(1800);
    assert!(world.is_firing(Rule::Idle, "T1"));
}

#[test]
fn an_asset_that_comes_into_service_begins_unused() {
    let mut world = company(Utilisation::Movement);
    let of = |lifecycle| Record::Asset(Asset { lifecycle, ..Asset::new("T1".into(), "press".into()) });
    world.import(vec![of(crate::domain::register::Lifecycle::InMaintenance)]).unwrap();
    world.until(4000);
    world.import(vec![of(crate::domain::register::Lifecycle::InService)]).unwrap();
    world.until(4999);
    assert_eq!(world.alerted_of(Rule::Idle), ["1000 idle/T2 fired"]);
    world.until(5000);
    assert_eq!(world.alerted_of(Rule::Idle), ["5000 idle/T1 fired"]);
}
