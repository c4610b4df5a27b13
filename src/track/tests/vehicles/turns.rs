//! Attachments that end, or begin, at a time ahead.

use super::*;
use crate::domain::alerts::Rule;
use crate::domain::register::{Attachment, ClassLimit, SensorAttachment};
use crate::domain::sightings::{ConditionChange, Episode, Measure};

fn tag_until(number: u16, asset: &str, to: Option<i64>) -> Record {
    let Record::Tag(attachment) = tag(number, asset) else { panic!() };
    Record::Tag(Attachment { to: to.map(t), ..attachment })
}

fn tracker_during(device: &str, asset: &str, from: Option<i64>, to: Option<i64>) -> Record {
    let Record::Tracker(attachment) = tracker(device, asset) else { panic!() };
    Record::Tracker(Attachment { from: from.map(t), to: to.map(t), ..attachment })
}

#[test]
fn a_vehicle_leaves_its_door_when_its_tag_comes_off_it() {
    for down in [false, true] {
        let mut world = haulage();
        world.at(50).import(vec![tag_until(11, "V1", Some(200))]).unwrap();
        world.at(100).arrive(11, "BAY");
        world.until(199);
        if down {
            world.restart(100);
        }
        world.until(300);
        world.pass(1, "DOCK", Out);
        assert_eq!(world.location("T1"), zone("yard"), "down: {down}");
        let told = world.told();
        assert!(told.contains(&"200 asset:V1 undocked DOCK since 100".to_owned()), "{told:?}");
    }
}

/// It is hired from then to then.
#[test]
fn both_ends_of_an_attachment_that_lies_ahead_count() {
    let mut rules = haulage().rules.clone();
    let zombie = &mut rules.alerts.assets.zombie;
    (zombie.heard_for, zombie.gone_after) = (secs(60), secs(300));
    let mut world = World::with(rules);
    let Record::Tag(hired) = tag_until(21, "V1", Some(500)) else { panic!() };
    world
        .import(vec![asset("V1", "truck"), Record::Tag(Attachment { from: Some(t(300)), ..hired })])
        .unwrap();
    world.events.clear();
    world.at(100).arrive(21, "BAY");
    world.hear_until(299, &[21], "BAY");
    let stranger = epc(21).to_string();
    assert!(world.is_firing(Rule::Zombie, &stranger));
    world.until(300);
    assert!(!world.is_firing(Rule::Zombie, &stranger));
    world.hear_until(499, &[21], "BAY");
    assert_eq!(world.location("V1"), zone("bay"));
    world.until(600);
    let docked: Vec<String> = world.told().into_iter().filter(|told| told.contains("docked")).collect();
    assert_eq!(docked, ["310 asset:V1 docked DOCK", "500 asset:V1 undocked DOCK since 310"]);
}

#[test]
fn what_is_changed_before_its_time_is_not_looked_at_then() {
    let mut world = haulage();
    world.at(50).import(vec![tag_until(11, "V1", Some(200))]).unwrap();
    world.at(100).arrive(11, "BAY");
    world.at(150).import(vec![tag_until(11, "V1", None)]).unwrap();
    world.until(300);
    world.pass(1, "DOCK", Out);
    assert_eq!(world.location("T1"), in_vehicle("V1"));
    world.import(vec![tag_until(11, "V1", Some(400))]).unwrap();
    let (table, key) = ("tag".to_owned(), tag(11, "V1").key());
    world.command(Command::Remove { table, key }).unwrap();
    assert!(world.tracker.turns.next_deadline().is_none());
}

#[test]
fn it_leaves_its_fences_when_its_tracker_comes_off_it() {
    let mut world = haulage();
    world.at(50).import(vec![tracker_during("gps-1", "V1", None, Some(200))]).unwrap();
    world.at(100).fence("gps-1", "hq-bay", FenceChange::Entered);
    world.until(300);
    assert!(world.current("V1").fences.is_empty());
    let told = world.told();
    assert!(told.contains(&"200 asset:V1 undocked DOCK since 100".to_owned()), "{told:?}");
}

#[test]
fn a_low_battery_speaks_against_it_no_longer_than_its_tracker_is_on_it() {
    let class = AssetClass { low_battery_percent: Some(20.0), ..AssetClass::new("van".into()) };
    let mut world = World::with_class(class);
    world.stock(1..=1, "van");
    world.import(vec![tracker_during("gps-1", "T1", None, Some(200))]).unwrap();
    let mut fix = world.fix_of("gps-1", 100);
    fix.battery_percent = Some(5.0);
    world.at(100).see_from("mqtt", 100, false, Seen::Fix { fix, inside: None, stands: None });
    assert!(!world.current("T1").ready);
    world.until(300);
    assert!(world.current("T1").ready);
}

/// On a van that has one until noon, and another from noon on.
#[test]
fn a_tracker_is_waited_for_from_then_on_and_no_longer() {
    let mut rules = rules();
    let van = AssetClass { tracker_silent_after: Some(secs(3600)), ..AssetClass::new("van".into()) };
    rules.classes.push(van);
    for down in [0, 3600] {
        let mut world = World::with(rules.clone());
        world.link("mqtt", true, true);
        world.stock(1..=1, "van");
        let noon = 43_200;
        let first = tracker_during("gps-1", "T1", None, Some(noon));
        let second = tracker_during("gps-2", "T1", Some(noon), None);
        world.import(vec![first, second]).unwrap();
        world.events.clear();
        world.at(10).tracker_speaks("gps-1", 10);
        world.until(noon - 1);
        assert_eq!(world.alerted_of(Rule::TrackerSilent), ["3610 tracker-silent/gps-1 fired"]);
        if down > 0 {
            world.restart(down);
            world.link("mqtt", true, true);
        }
        let back = noon + down;
        world.until(back + 86_400 + 60);
        let told = world.alerted_of(Rule::TrackerSilent);
        assert_eq!(told[0], format!("{} tracker-silent/gps-1 resolved", noon.max(back - 1)), "{told:?}");
        assert!(told[1].ends_with(" tracker-silent/gps-2 fired"), "{told:?}");
        assert_eq!(told.len(), 2, "{told:?}");
    }
}

#[test]
fn an_alert_of_a_limit_of_its_class_ends_when_the_sensor_comes_off_it() {
    let limit = serde_json::json!({ "point": "oil", "name": "hot", "high": 90.0, "severity": "critical" });
    let limit: ClassLimit = serde_json::from_value(limit).unwrap();
    let mut world = World::with_class(AssetClass { limits: vec![limit], ..AssetClass::new("genset".into()) });
    world.stock(1..=1, "genset");
    let sensor = SensorAttachment { to: Some(t(200)), ..SensorAttachment::on_asset("probe".into(), "T1") };
    world.import(vec![Record::Sensor(sensor)]).unwrap();
    world.events.clear();
    world.at(100);
    let change = Episode::Began { began_at: t(100), value: 95.0, threshold: 90.0, measure: Measure::Value };
    let (device, point, limit) = ("probe".into(), "oil".into(), "hot".into());
    let what = Seen::Condition(ConditionChange { device, point, limit, change });
    world.see_from("cold-1", 100, false, what);
    assert!(world.is_firing(Rule::Condition, "probe/oil/hot"));
    world.until(199);
    assert!(world.is_firing(Rule::Condition, "probe/oil/hot"));
    assert!(!world.current("T1").ready);
    world.until(200);
    assert!(!world.is_firing(Rule::Condition, "probe/oil/hot"));
    assert!(world.current("T1").ready);
}
