use super::world::*;
use crate::domain::alerts::{AlertKey, Rule};
use crate::domain::commands::Command;
use crate::domain::readings::Quality;
use crate::domain::register::{AssetClass, Maintained, Maintenance, Record};
use crate::domain::sightings::{ConditionChange, Episode, Measure, Seen};
use crate::domain::state::StateKind;
use crate::track::WatchRow;

fn planned(name: &str, of: Maintained, from: i64, to: i64) -> Record {
    let reason = Some("new antenna".to_owned());
    Record::Maintenance(Maintenance { name: name.to_owned(), of, from: t(from), to: t(to), reason })
}

fn watch(world: &World) -> WatchRow {
    serde_json::from_slice(&world.rows[&(StateKind::Watch, "CRIB".to_owned())]).unwrap()
}

fn everything_that_concerns_the_crib() -> [Maintained; 4] {
    [
        Maintained::Source("r1".into()),
        Maintained::ReadPoint("CRIB".into()),
        Maintained::Zone("crib".into()),
        Maintained::Site("hq".into()),
    ]
}

#[test]
fn a_clock_stands_still_from_the_beginning_to_the_end() {
    for of in everything_that_concerns_the_crib() {
        let mut world = World::stocked(1, "tool");
        world.import(vec![planned("M-1", of.clone(), 30, 1000)]).unwrap();
        world.arrive(1, "CRIB");
        world.until(999);
        assert_eq!(world.alerted(), [""; 0], "{of:?}");
        assert_eq!(watch(&world).maintenance.as_deref(), Some("M-1"));
        world.until(2000);
        // 30 of its 60 seconds had passed.
        assert_eq!(world.alerted(), ["1030 ghost/T1 fired"], "{of:?}");
        assert_eq!(watch(&world).maintenance, None);
    }
}

#[test]
fn what_it_does_not_concern_goes_on() {
    for of in [Maintained::Source("r2".into()), Maintained::Zone("annex".into())] {
        let mut world = World::stocked(1, "tool");
        world.import(vec![planned("M-1", of, 30, 1000)]).unwrap();
        world.arrive(1, "CRIB");
        world.until(100);
        assert_eq!(world.alerted(), ["60 ghost/T1 fired"]);
    }
}

#[test]
fn nobody_is_told_of_a_reader_in_maintenance_and_everybody_when_it_is_still_down_after() {
    let mut world = World::new();
    world.import(vec![planned("M-1", Maintained::Source("r1".into()), 10, 1000)]).unwrap();
    world.events.clear();
    world.until(20);
    world.link("r1", false, false);
    world.until(500);
    let key = AlertKey::new(Rule::ReaderDown, "r1");
    let alert = world.tracker.alerts.open(&key).unwrap();
    assert_eq!(alert.inhibited_by, Some(AlertKey::new(Rule::Maintenance, "M-1")));
    assert!(world.is_firing(Rule::ReaderDown, "r1") && !alert.notifies(t(500)));
    world.until(1000);
    let alert = world.tracker.alerts.open(&key).unwrap();
    assert_eq!(alert.inhibited_by, None);
    assert!(alert.notifies(t(1000)));
    assert_eq!(world.alerted().last().unwrap(), "1000 reader-down/r1 uninhibited");
}

#[test]
fn a_silent_sensor_and_a_suspect_watcher_are_explained_too() {
    let mut world = World::stocked(8, "tool");
    (1..=8).for_each(|number| world.arrive(number, "CRIB"));
    world.hear_until(20, &[7, 8], "CRIB");
    world.hear_until(100, &[7, 8], "CRIB");
    world.quality(Quality::NoCommunication);
    assert!(world.is_firing(Rule::WatcherSuspect, "CRIB"));
    world.import(vec![planned("M-1", Maintained::Site("hq".into()), 0, 9000)]).unwrap();
    for key in ["watcher-suspect/CRIB", "sensor-bad/cold-1/temp"] {
        let alert = world.tracker.alerts.open(&AlertKey::parse(key).unwrap()).unwrap();
        assert_eq!(alert.inhibited_by.as_ref().map(ToString::to_string).as_deref(), Some("maintenance/M-1"));
    }
}

/// A sensor that is calibrated says anything; what is done around it warms what is in there.
#[test]
fn an_excursion_is_explained_by_work_on_its_device_alone() {
    for (of, explained) in [
        (Maintained::Source("cold-1".into()), true),
        (Maintained::Site("hq".into()), false),
        (Maintained::Source("r1".into()), false),
    ] {
        let mut world = World::new();
        let change = Episode::Began { began_at: t(0), value: 9.5, threshold: 8.0, measure: Measure::Value };
        let (device, point, limit) = ("cold-1".into(), "temp".into(), "hi".into());
        let began = Seen::Condition(ConditionChange { device, point, limit, change });
        world.see_from("cold-1", 0, false, began);
        world.import(vec![planned("M-1", of, 0, 9000)]).unwrap();
        let key = AlertKey::new(Rule::Condition, "cold-1/temp/hi");
        assert_eq!(world.tracker.alerts.open(&key).unwrap().inhibited_by.is_some(), explained);
    }
}

/// A tracker is heard through its broker: while that is worked on, the broker's clock stands.
#[test]
fn trackers_are_not_silent_while_what_they_speak_through_is_worked_on() {
    for of in [Maintained::Source("mqtt".into()), Maintained::Site("hq".into())] {
        let mut world = trackers();
        world.import(vec![planned("M-1", of.clone(), 1000, 50_000)]).unwrap();
        world.until(49_999);
        assert_eq!(world.alerted(), [""; 0], "{of:?}");
        world.until(52_599);
        assert!(!world.is_firing(Rule::TrackerSilent, "gps-1"), "{of:?}: 1000 s and 2599 s");
        world.until(52_601);
        assert!(world.is_firing(Rule::TrackerSilent, "gps-1"), "{of:?}");
    }
    let mut world = trackers();
    world.import(vec![planned("M-1", Maintained::Source("r1".into()), 1000, 50_000)]).unwrap();
    world.until(3601);
    assert!(world.is_firing(Rule::TrackerSilent, "gps-1"));
}

#[test]
fn the_work_explains_trackers_that_were_silent_before_and_lets_nobody_be_waited_for() {
    let mut world = trackers();
    world.until(3601);
    world.import(vec![planned("M-1", Maintained::Source("mqtt".into()), 4000, 200_000)]).unwrap();
    // A new connection while it lasts does not let the clock run.
    world.until(100_000);
    world.restart(10);
    world.link("mqtt", true, true);
    world.until(199_999);
    let key = AlertKey::new(Rule::TrackerSilent, "gps-1");
    let by = |world: &World| world.tracker.alerts.open(&key).unwrap().inhibited_by.clone();
    assert_eq!(by(&world), Some(AlertKey::new(Rule::Maintenance, "M-1")));
    assert!(!world.is_firing(Rule::TrackerSilent, "gps-2"), "never heard: waited for a day");
    world.until(270_000);
    assert_eq!(by(&world), None);
    assert!(!world.is_firing(Rule::TrackerSilent, "gps-2"));
    world.until(300_000);
    assert!(world.is_firing(Rule::TrackerSilent, "gps-2"));
}

/// `T1` with the tracker `gps-1`, silent after an hour, heard at 0; `gps-2`, on `T2`, never was.
fn trackers() -> World {
    let mut rules = rules();
    let silent_after = Some(secs(3600));
    rules.classes.push(AssetClass { tracker_silent_after: silent_after, ..AssetClass::new("van".into()) });
    rules.source_sites.insert("mqtt".into(), "hq".into());
    let mut world = World::with(rules);
    world.stock(1..=2, "van");
    world.import(vec![tracker("gps-1", "T1"), tracker("gps-2", "T2")]).unwrap();
    world.link("mqtt", true, true);
    world.tracker_speaks("gps-1", 0);
    world.events.clear();
    world
}

#[test]
fn a_change_and_an_early_end_take_effect_at_once() {
    let of = || Maintained::Zone("crib".into());
    let mut world = World::stocked(1, "tool");
    world.arrive(1, "CRIB");
    world.import(vec![planned("M-1", of(), -100, 10_000)]).unwrap();
    world.until(500);
    world.import(vec![planned("M-1", of(), -100, 500)]).unwrap();
    world.until(560);
    assert_eq!(world.alerted(), ["560 ghost/T1 fired"]);

    let mut world = World::stocked(1, "tool");
    world.arrive(1, "CRIB");
    world.import(vec![planned("M-1", of(), -100, 10_000)]).unwrap();
    world.until(500);
    world.command(Command::Remove { table: "maintenance".to_owned(), key: "M-1".to_owned() }).unwrap();
    world.until(560);
    assert_eq!(world.alerted(), ["560 ghost/T1 fired"]);
}

#[test]
fn it_holds_over_a_restart_and_ends_during_one() {
    let mut world = World::stocked(1, "tool");
    world.import(vec![planned("M-1", Maintained::Source("r1".into()), 10, 1000)]).unwrap();
    world.arrive(1, "CRIB");
    world.until(20);
    world.link("r1", false, false);
    world.until(400);
    world.restart(10);
    world.connect();
    world.hearing("CRIB", true);
    world.until(900);
    assert!(!world.is_firing(Rule::Ghost, "T1"));
    world.link("r1", false, false);
    world.until(990);
    world.restart(100);
    let open = world.tracker.alerts.open(&AlertKey::new(Rule::ReaderDown, "r1")).unwrap();
    assert_eq!(open.inhibited_by, None, "it was over while nothing ran");
    assert_eq!(watch(&world).maintenance, None);
}

#[test]
fn an_overdue_return_says_that_the_doors_were_in_maintenance() {
    let mut world = World::stocked(1, "tool");
    world.import(vec![planned("M-1", Maintained::Source("r2".into()), 0, 9000)]).unwrap();
    world.check_out("T1", Some(50)).unwrap();
    world.until(100);
    let alert = world.tracker.alerts.open(&AlertKey::new(Rule::OverdueReturn, "T1")).unwrap();
    assert!(alert.summary.contains("maintenance M-1 lasts until 2026-05-01 10:30"), "{}", alert.summary);
}

#[test]
fn a_site_in_maintenance_may_be_down_as_a_whole() {
    let mut world = World::new();
    world.import(vec![planned("M-1", Maintained::Site("hq".into()), 0, 9000)]).unwrap();
    for source in ["r1", "r2", "r3", "cold-1"] {
        world.link(source, false, false);
    }
    world.until(500);
    assert!(world.is_firing(Rule::SiteDown, "hq"));
    let now = t(500);
    let told = |key: &AlertKey| world.tracker.alerts.open(key).is_some_and(|alert| alert.notifies(now));
    let keys = Rule::ALL.into_iter().flat_map(|rule| world.tracker.alerts.open_of(rule));
    assert_eq!(keys.filter(told).collect::<Vec<_>>(), []);
    world.until(9000);
    let open = world.tracker.alerts.open(&AlertKey::new(Rule::SiteDown, "hq")).unwrap();
    assert!(open.notifies(t(9000)));
}
