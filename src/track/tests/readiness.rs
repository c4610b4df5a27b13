//! Whether it may go out, and every reason why not.

use super::world::*;
use crate::domain::alerts::Rule;
use crate::domain::commands::Command;
use crate::domain::ids::ClassId;
use crate::domain::readiness::{PartTrouble, Unready};
use crate::domain::register::*;
use crate::domain::sightings::{ConditionChange, Direction, Episode, Measure, Seen};

fn class(name: &str, change: impl FnOnce(&mut AssetClass)) -> Record {
    let mut class = AssetClass::new(ClassId::new(name));
    change(&mut class);
    Record::Class(Box::new(class))
}

fn part(name: &str, class: &str, kit: &str) -> Record {
    Record::Asset(Asset {
        home_zone: Some("crib".into()),
        part_of: Some(kit.into()),
        ..Asset::new(name.into(), class.into())
    })
}

fn sensor(device: &str, carrier: Carrier) -> Record {
    Record::Sensor(SensorAttachment::new(device.into(), carrier))
}

fn remove(world: &mut World, table: &str, key: &str) {
    world.command(Command::Remove { table: table.to_owned(), key: key.to_owned() }).unwrap();
}

fn alarm(world: &mut World, began: bool) {
    let began_at = t(world.at);
    let change = match began {
        true => Episode::Began { began_at, value: 9.0, threshold: 8.0, measure: Measure::Value },
        false => {
            Episode::Ended { began_at, peak: 9.0, peak_at: began_at, measure: Measure::Value, over_s: None }
        }
    };
    let change =
        ConditionChange { device: "cold-1".into(), point: "temp".into(), limit: "hi".into(), change };
    world.see_from("cold-1", world.at, false, Seen::Condition(change));
}

#[test]
fn an_asset_that_nothing_speaks_against_is_ready_and_says_nothing() {
    let mut world = World::stocked(1, "tool");
    world.arrive(1, "CRIB");
    world.depart(1, "CRIB");
    assert!(world.current("T1").ready);
    assert!(world.told().iter().all(|told| !told.contains("ready")));
}

#[test]
fn what_the_register_declares_speaks_against_it() {
    let mut world = World::stocked(1, "tool");
    for (lifecycle, reason) in [
        (Lifecycle::Ordered, Unready::Ordered),
        (Lifecycle::InMaintenance, Unready::InMaintenance { why: None }),
        (Lifecycle::Quarantined, Unready::Quarantined { why: None }),
        (Lifecycle::Retired, Unready::Retired),
        (Lifecycle::Disposed, Unready::Retired),
    ] {
        let asset = Asset { lifecycle, ..Asset::new("T1".into(), "tool".into()) };
        world.import(vec![Record::Asset(asset)]).unwrap();
        assert_eq!(world.current("T1").not_ready, [reason]);
        assert!(!world.current("T1").ready);
    }
    world.import(vec![asset("T1", "tool")]).unwrap();
    assert!(world.current("T1").ready);
    assert_eq!(world.told().last().unwrap(), "0 asset:T1 ready");
}

#[test]
fn a_low_battery_speaks_against_it_while_the_tracker_is_its_own() {
    let mut world = World::stocked(2, "tool");
    let low = class("van", |class| class.low_battery_percent = Some(20.0));
    world.import(vec![low, asset("T1", "van"), tracker("van/1", "T1")]).unwrap();
    let say = |world: &mut World, percent| {
        let mut fix = world.fix_of("van/1", world.at);
        fix.battery_percent = percent;
        world.see_from("mqtt", world.at, false, Seen::Fix { fix, inside: None, stands: None });
    };
    say(&mut world, Some(19.5));
    let low = Unready::BatteryLow { device: "van/1".into(), percent: 19.5 };
    assert_eq!(world.current("T1").not_ready, [low]);
    world.until(10);
    say(&mut world, None);
    assert!(!world.current("T1").ready, "nothing new was said");
    // The tracker goes to another asset, whose class does not mind.
    remove(&mut world, "tracker", "van/1");
    world.import(vec![tracker("van/1", "T2")]).unwrap();
    assert!(world.current("T1").ready);
    assert_eq!(world.told().iter().filter(|told| told.contains("ready")).count(), 2);
}

/// The alert and the readiness are one state of each tracker.
#[test]
fn a_battery_around_what_is_low_is_told_once_and_each_tracker_has_its_own() {
    let mut world = World::stocked(1, "tool");
    let low = class("van", |class| class.low_battery_percent = Some(20.0));
    world.import(vec![low, asset("T1", "van"), tracker("one", "T1"), tracker("two", "T1")]).unwrap();
    world.events.clear();
    let say = |world: &mut World, device: &str, percent: f64| {
        world.until(world.at + 10);
        let mut fix = world.fix_of(device, world.at);
        fix.battery_percent = Some(percent);
        world.see_from("mqtt", world.at, false, Seen::Fix { fix, inside: None, stands: None });
    };
    for _ in 0..5 {
        for (device, percent) in [("one", 19.9), ("two", 90.0), ("one", 20.3), ("one", 18.0)] {
            say(&mut world, device, percent);
            assert_eq!(world.current("T1").battery.map(|battery| battery.device), Some("one".into()));
        }
    }
    // Something else is changed: no message says anything of either battery.
    world.import(vec![asset("T2", "tool")]).unwrap();
    world.restart(0);
    let battery_alerts =
        |told: &[String]| told.iter().filter(|line| line.contains("tracker-battery")).count();
    let told = world.told();
    assert_eq!(battery_alerts(&told), 1, "{told:?}");
    assert_eq!(told.iter().filter(|line| line.contains("not ready")).count(), 1, "{told:?}");
    say(&mut world, "two", 10.0);
    say(&mut world, "one", 90.0);
    assert!(!world.current("T1").ready, "the other one is low");
    assert!(!world.is_firing(Rule::TrackerBattery, "one") && world.is_firing(Rule::TrackerBattery, "two"));
    say(&mut world, "two", 24.9);
    assert!(!world.current("T1").ready);
    say(&mut world, "two", 25.0);
    assert!(world.current("T1").ready && !world.is_firing(Rule::TrackerBattery, "two"));
}

#[test]
fn a_standing_critical_alarm_of_its_own_sensor_speaks_against_it() {
    let mut world = World::stocked(2, "tool");
    world.import(vec![sensor("cold-1", Carrier::Asset("T1".into()))]).unwrap();
    alarm(&mut world, true);
    let reason =
        Unready::ConditionAlarm { device: "cold-1".into(), point: "temp".into(), limit: "hi".into() };
    assert_eq!(world.current("T1").not_ready, std::slice::from_ref(&reason));
    world.restart(0);
    assert_eq!(world.current("T1").not_ready, std::slice::from_ref(&reason));
    // The sensor moves, and its alarm with it.
    remove(&mut world, "sensor", "cold-1");
    assert!(world.current("T1").ready);
    world.import(vec![sensor("cold-1", Carrier::Asset("T2".into()))]).unwrap();
    assert_eq!(world.current("T2").not_ready, [reason]);
    alarm(&mut world, false);
    assert!(world.current("T2").ready);
    // One in a zone is nobody's.
    remove(&mut world, "sensor", "cold-1");
    world.import(vec![sensor("cold-1", Carrier::Zone("crib".into()))]).unwrap();
    alarm(&mut world, true);
    assert!(world.current("T2").ready);
}

/// What was told of it while it was out rests on alarms that are not in its row.
#[test]
fn what_left_with_an_alarm_has_left_so_after_a_restart_too() {
    let mut world = World::stocked(1, "tool");
    world.import(vec![sensor("cold-1", Carrier::Asset("T1".into()))]).unwrap();
    alarm(&mut world, true);
    world.pass(1, "GATE", Direction::Out);
    assert!(world.is_firing(Rule::NotReadyExit, "T1"));
    world.restart(60);
    world.connect();
    assert!(world.is_firing(Rule::NotReadyExit, "T1"));
    alarm(&mut world, false);
    assert!(!world.is_firing(Rule::NotReadyExit, "T1"));
}

#[test]
fn a_kit_is_ready_with_a_fit_part_of_each_class_that_goes_with_it() {
    let mut world = World::stocked(4, "tool");
    let kit = class("kit", |class| class.needs = vec!["tool".into(), "slow".into()]);
    world.import(vec![kit, asset("K", "kit")]).unwrap();
    let misses = |class: &str| Unready::KitMisses { class: class.into() };
    assert_eq!(world.current("K").not_ready, [misses("slow"), misses("tool")]);
    world.import(vec![part("T1", "tool", "K"), part("T2", "slow", "K"), tag(100, "K")]).unwrap();
    assert!(world.current("K").ready);
    // A part that is elsewhere, at another's, or in maintenance does not go with it.
    let troubled = |part: &str, class: &str, trouble| {
        let (part, class) = (part.into(), class.into());
        [Unready::KitPart { part, class, trouble }]
    };
    [1, 2, 100].iter().for_each(|tag| world.arrive(*tag, "CRIB"));
    world.until(1);
    world.arrive(2, "ANNEX");
    let elsewhere = PartTrouble::Elsewhere("annex".into());
    assert_eq!(world.current("K").not_ready, troubled("T2", "slow", elsewhere));
    world.until(2);
    world.pass(2, "DOCK", Direction::In);
    assert!(world.current("K").ready);
    world.check_out("T1", None).unwrap();
    let with_bob = PartTrouble::CheckedOut("bob".to_owned());
    assert_eq!(world.current("K").not_ready, troubled("T1", "tool", with_bob));
    world.check_in("T1").unwrap();
    assert!(world.current("K").ready);
    let Record::Asset(broken) = part("T1", "tool", "K") else { unreachable!() };
    let broken = Asset { lifecycle: Lifecycle::InMaintenance, ..broken };
    world.import(vec![Record::Asset(broken)]).unwrap();
    assert_eq!(world.current("K").not_ready, troubled("T1", "tool", PartTrouble::NotReady));
    // A spare takes its place; without it the kit is incomplete again.
    world.import(vec![part("T3", "tool", "K")]).unwrap();
    assert!(world.current("K").ready);
    world.import(vec![asset("T3", "tool")]).unwrap();
    assert_eq!(world.current("K").not_ready, troubled("T1", "tool", PartTrouble::NotReady));
}

#[test]
fn a_part_that_is_a_ghost_makes_its_kit_incomplete_until_it_is_heard() {
    let mut world = World::stocked(1, "tool");
    let kit = class("kit", |class| class.needs = vec!["tool".into()]);
    world.import(vec![kit, asset("K", "kit"), part("T1", "tool", "K")]).unwrap();
    world.arrive(1, "CRIB");
    world.until(300);
    assert!(world.is_firing(Rule::Ghost, "T1"));
    let ghost = Unready::KitPart { part: "T1".into(), class: "tool".into(), trouble: PartTrouble::Ghost };
    assert_eq!(world.current("K").not_ready, [ghost]);
    world.arrive(1, "CRIB");
    assert!(world.current("K").ready);
}

#[test]
fn an_inspection_falls_due_by_its_date_and_not_before() {
    let mut world = World::stocked(2, "tool");
    let every = |seconds| class("ladder", |class| class.inspect_every = Some(secs(seconds)));
    world.at = 100;
    world.import(vec![every(1000), asset("T1", "ladder")]).unwrap();
    world.until(1099);
    assert!(world.current("T1").ready);
    world.until(1100);
    assert_eq!(world.current("T1").not_ready, [Unready::InspectionDue { since: t(1100) }]);
    assert!(world.is_firing(Rule::OverdueInspection, "T1"));
    // Told once, also over a restart and over a sighting.
    world.restart(10);
    world.connect();
    world.arrive(1, "CRIB");
    let told = world.alerted();
    assert_eq!(told.iter().filter(|told| told.contains("overdue-inspection")).count(), 1, "{told:?}");
    // The class asks for less: no longer due, and due again later.
    world.import(vec![every(5000)]).unwrap();
    assert!(world.current("T1").ready);
    assert!(!world.is_firing(Rule::OverdueInspection, "T1"));
    world.until(5100);
    assert!(world.is_firing(Rule::OverdueInspection, "T1"));
    // What is retired is not inspected.
    let retired = Asset { lifecycle: Lifecycle::Retired, ..Asset::new("T1".into(), "ladder".into()) };
    world.import(vec![Record::Asset(retired)]).unwrap();
    assert_eq!(world.current("T1").not_ready, [Unready::Retired]);
    assert!(!world.is_firing(Rule::OverdueInspection, "T1"));
}

#[test]
fn an_asset_never_inspected_counts_from_its_acquisition_by_its_sites_clock() {
    let mut world = World::new();
    let day = 86_400;
    let ladder = class("ladder", |class| class.inspect_every = Some(secs(2 * day)));
    let details = Details { acquired_on: Some("2026-04-30".parse().unwrap()), ..Details::default() };
    let Record::Asset(old) = asset("T1", "ladder") else { unreachable!() };
    world.import(vec![ladder, Record::Asset(Asset { details: details.boxed(), ..old })]).unwrap();
    // Midnight in Hq is 22:00Z of the day before; second 0 is 06:00Z on the 1st of May.
    let due = crate::domain::time::Timestamp::parse("2026-05-01T22:00:00Z").unwrap();
    world.until(16 * 3600 - 1);
    assert!(world.current("T1").ready);
    world.until(16 * 3600);
    assert_eq!(world.current("T1").not_ready, [Unready::InspectionDue { since: due }]);
}
