//! Vehicles at doors, what is loaded into them, and what an excursion reaches.

use super::world::*;
use crate::config::ReadPointKind;
use crate::domain::commands::{Command, Refused};
use crate::domain::events::EventBody;
use crate::domain::geodesy::Position;
use crate::domain::ids::Digest;
use crate::domain::motion::{Motion, MotionChange};
use crate::domain::readings::Fix;
use crate::domain::register::{AssetClass, Carrier, Coverage, Record, SensorAttachment, Zone};
use crate::domain::sightings::Direction::{In, Out};
use crate::domain::sightings::{ConditionChange, Episode, FenceChange, Measure, PresenceChange, Seen};
use crate::domain::state::{Location, StateKind};

mod boarding;
mod circles;
mod departing;
mod docking;
mod turns;
mod within;

/// Tools `T1` to `T4` in the crib; trucks `V1` (tag 11, tracker `gps-1`), `V2` (tag 12) and `V3`. A vehicle in the bay, which the
/// read point `BAY` and the fence `hq-bay` tell, stands at `DOCK`.
fn haulage() -> World {
    let mut rules = rules();
    rules.classes.push(AssetClass { vehicle: true, ..AssetClass::new("truck".into()) });
    rules.zones.push(Zone { name: "bay".into(), site: "hq".into(), coverage: Coverage::None });
    rules.read_points.push(presence("BAY", "bay", "r3"));
    rules.fences.push(fence("hq-bay", Some("bay")));
    for point in rules.read_points.iter_mut().filter(|point| point.name.as_str() == "DOCK") {
        if let ReadPointKind::Portal { bay, .. } = &mut point.kind {
            *bay = Some("bay".into());
        }
    }
    let mut world = World::with(rules);
    world.stock(1..=4, "tool");
    let trucks = ["V1", "V2", "V3"].map(|name| asset(name, "truck"));
    let tags = [tag(11, "V1"), tag(12, "V2"), tracker("gps-1", "V1"), tracker("gps-3", "T3")];
    world.import(trucks.into_iter().chain(tags).collect()).unwrap();
    (1..=4).for_each(|tag| world.arrive(tag, "CRIB"));
    world.events.clear();
    world
}

impl World {
    fn at(&mut self, second: i64) -> &mut Self {
        self.at = second;
        self
    }

    fn location(&self, name: &str) -> Location {
        self.current(name).location
    }

    fn holds(&self, vehicle: &str) -> Vec<String> {
        let here = Location::In(vehicle.into());
        let assets =
            self.rows.keys().filter(|(kind, _)| *kind == StateKind::Asset).map(|(_, name)| name.clone());
        assets.filter(|name| self.current(name).location == here).collect()
    }

    fn load(&mut self, asset: &str, vehicle: &str) -> Result<(), Refused> {
        let (asset, vehicle) = (asset.into(), vehicle.into());
        self.command(Command::Load { asset, vehicle, note: None }).map(drop)
    }

    fn dock(&mut self, vehicle: &str) {
        self.command(Command::Dock { vehicle: vehicle.into(), door: "DOCK".into() }).unwrap();
    }

    /// A fix of a tracker, so many metres north of the yard.
    fn fix_at(&mut self, device: &str, north_m: f64) {
        let position = Position { lat: 50.0 + north_m / 111_195.0, lon: 8.0 };
        let digest = Digest::of(format!("{device}{}", self.at).as_bytes());
        let fix = Fix { accuracy_m: Some(10.0), ..Fix::bare(device.into(), t(self.at), position, digest) };
        self.see_from("mqtt", self.at, false, Seen::Fix { fix, inside: None, stands: None });
    }
}

fn zone(name: &str) -> Location {
    Location::Zone(name.into())
}

fn in_vehicle(name: &str) -> Location {
    Location::In(name.into())
}

#[test]
fn what_passes_out_where_a_vehicle_stands_is_in_it_until_it_passes_in_again() {
    let mut world = haulage();
    world.at(100).arrive(11, "BAY");
    world.at(110).pass(1, "DOCK", Out);
    assert_eq!(world.location("T1"), in_vehicle("V1"));
    let current = world.current("T1");
    assert_eq!(current.confidence, Some(0.9));
    assert!(current.reason.contains("passed DOCK out, where V1 stood since"), "{}", current.reason);
    assert_eq!(
        world.told(),
        [
            "100 asset:V1 Arrived BAY",
            "100 asset:V1 docked DOCK",
            "110 asset:T1 Out DOCK crib>yard",
            "110 asset:T1 loaded V1"
        ]
    );
    world.at(200).depart(11, "BAY");
    world.at(300).pass(1, "DOCK", In);
    assert_eq!(world.location("T1"), zone("crib"));
    assert_eq!(
        world.told(),
        [
            "200 asset:V1 Departed BAY",
            "200 asset:V1 undocked DOCK since 100",
            "300 asset:T1 In DOCK yard>crib",
            "300 asset:T1 unloaded V1"
        ]
    );
    // Nobody stands there any more.
    world.at(305).pass(2, "DOCK", Out);
    assert_eq!(world.location("T2"), zone("yard"));
}

#[test]
fn a_fence_tells_who_stands_at_a_door_and_a_passage_told_late_is_of_who_stood_there_then() {
    let mut world = haulage();
    world.at(100).fence("gps-1", "hq-bay", FenceChange::Entered);
    world.at(400).fence("gps-1", "hq-bay", FenceChange::Exited);
    world.at(1000).arrive(12, "BAY");
    // What the reader held back while it was not connected.
    world.pass_at(300, false, 1, "DOCK", Out);
    world.pass_at(1001, false, 2, "DOCK", Out);
    world.pass_at(700, false, 3, "DOCK", Out);
    assert_eq!([world.location("T1"), world.location("T2")], ["V1", "V2"].map(in_vehicle));
    assert_eq!(world.location("T3"), zone("yard"), "five minutes after one left and before the other came");
}

/// A tracker that speaks every five minutes is told to be there five minutes after it came, and stood there since.
#[test]
fn a_stay_begins_when_the_fence_was_crossed_and_not_when_that_is_sure() {
    let mut world = haulage();
    for second in [100, 400] {
        world.at(second).fix("gps-1");
    }
    let fix = world.fix_of("gps-1", 100);
    let (device, fence, change) = ("gps-1".into(), "hq-bay".into(), FenceChange::Entered);
    world.see_from("mqtt", 100, false, Seen::Fence { device, fence, change, fix, inferred: false });
    world.pass_at(110, false, 1, "DOCK", Out);
    assert_eq!(world.location("T1"), in_vehicle("V1"));
}

#[test]
fn what_a_bays_reader_held_back_tells_a_stay_that_is_over() {
    let mut world = haulage();
    // It is far away by now, and both readers were not connected while it stood there.
    world.at(900).fix("gps-1");
    world.at(100).arrive(11, "BAY");
    world.pass_at(110, false, 1, "DOCK", Out);
    assert_eq!(world.location("T1"), zone("yard"));
    world.told();
    world.at(400).depart(11, "BAY");
    assert_eq!(world.location("T1"), in_vehicle("V1"));
    assert_eq!(
        world.told(),
        [
            "400 asset:V1 Departed BAY",
            "100 asset:V1 docked DOCK",
            "110 asset:T1 loaded V1",
            "400 asset:V1 undocked DOCK since 100"
        ]
    );
    // Told after it, and of it.
    world.pass_at(300, false, 2, "DOCK", Out);
    world.pass_at(700, false, 3, "DOCK", Out);
    assert_eq!([world.location("T2"), world.location("T3")], [in_vehicle("V1"), zone("yard")]);
    assert!(matches!(world.location("V1"), Location::At(_)), "{:?}", world.location("V1"));
}

#[test]
fn which_of_two_vehicles_took_it_is_not_guessed() {
    let mut world = haulage();
    world.at(100).arrive(11, "BAY");
    world.at(101).arrive(12, "BAY");
    world.at(110).pass(1, "DOCK", Out);
    let current = world.current("T1");
    assert_eq!(current.location, zone("yard"));
    assert!(
        current.reason.contains("V1 and V2 stood: which of them took it is not known"),
        "{}",
        current.reason
    );
    // Somebody says it, of this one and of what follows.
    world.load("T1", "V2").unwrap();
    world.dock("V1");
    world.at(120).pass(2, "DOCK", Out);
    assert_eq!([world.location("T1"), world.location("T2")], ["V2", "V1"].map(in_vehicle));
}

/// What is in a bay and becomes a vehicle stands there; what is none any more does not.
#[test]
fn a_class_that_becomes_one_of_vehicles_is_at_the_door_at_once() {
    let mut world = haulage();
    let class =
        |vehicle: bool| Record::Class(Box::new(AssetClass { vehicle, ..AssetClass::new("cage".into()) }));
    world.import(vec![class(false), asset("C1", "cage"), tag(20, "C1")]).unwrap();
    world.at(100).arrive(20, "BAY");
    world.at(110).pass(1, "DOCK", Out);
    assert_eq!(world.location("T1"), zone("yard"));
    world.at(120).import(vec![class(true)]).unwrap();
    world.at(130).pass(2, "DOCK", Out);
    assert_eq!(world.location("T2"), in_vehicle("C1"));
    world.at(140).import(vec![class(false)]).unwrap();
    world.at(150).pass(3, "DOCK", Out);
    assert_eq!(world.location("T3"), zone("yard"));
}

/// However many come and go, who stands there is not forgotten.
#[test]
fn a_full_yard_is_a_door_at_which_many_stand() {
    let mut world = haulage();
    world.stock(101..=140, "truck");
    (101..=140).for_each(|truck| world.at(100 + i64::from(truck)).arrive(truck, "BAY"));
    (103..=140).for_each(|truck| world.at(300).depart(truck, "BAY"));
    world.at(310).pass(1, "DOCK", Out);
    assert!(world.current("T1").reason.contains("T101 and T102 stood"), "{}", world.current("T1").reason);
    world.at(320).depart(101, "BAY");
    world.at(330).pass(2, "DOCK", Out);
    assert_eq!(world.location("T2"), in_vehicle("T102"));
}

#[test]
fn a_vehicle_stands_where_it_is_said_to_until_it_drives() {
    let mut world = haulage();
    world.at(100).dock("V1");
    world.at(110).pass(1, "DOCK", Out);
    world.at(120).fix("gps-1");
    let position = Position { lat: 50.0, lon: 8.0 };
    let drives = |left_by| {
        let left_by = Some(t(left_by));
        let motion = Motion { change: MotionChange::Moving, position, since: None, left_by, trip: None };
        Seen::Motion { device: "gps-1".into(), motion }
    };
    // What it did before, where it could not be heard.
    world.see_from("mqtt", 90, false, drives(95));
    world.at(130).pass(2, "DOCK", Out);
    assert_eq!(world.holds("V1"), ["T1", "T2"], "a fix in the yard moves it from no door");
    // It was last heard before it was said to stand there.
    world.see_from("mqtt", 95, false, drives(140));
    world.at(400).pass(3, "DOCK", Out);
    assert_eq!(world.location("T3"), zone("yard"));
    // Another one that is said to stand there takes its place.
    world.dock("V1");
    world.at(410).dock("V2");
    world.at(420).pass(4, "DOCK", Out);
    assert_eq!(world.location("T4"), in_vehicle("V2"));
    world.command(Command::Undock { vehicle: "V2".into() }).unwrap();
    let again = world.command(Command::Undock { vehicle: "V2".into() });
    assert!(matches!(again, Err(Refused::Conflict { .. })), "{again:?}");
}

#[test]
fn being_sensed_where_its_vehicle_stands_takes_nothing_out_of_it_and_elsewhere_does() {
    let mut world = haulage();
    world.at(100).arrive(11, "BAY");
    world.at(110).pass(1, "DOCK", Out);
    // The reader at the bay hears through the truck's open doors.
    world.at(111).arrive(1, "BAY");
    world.at(160).refresh(1, "BAY");
    assert_eq!(world.location("T1"), in_vehicle("V1"));
    world.at(300).depart(11, "BAY");
    world.at(2000).arrive(1, "ANNEX");
    assert_eq!(world.location("T1"), zone("annex"));
    assert!(world.told().contains(&"2000 asset:T1 unloaded V1".to_owned()));
}

#[test]
fn what_goes_through_a_gate_with_its_vehicle_stays_in_it_whichever_is_told_first() {
    for vehicle_first in [true, false] {
        let mut world = haulage();
        world.at(50).load("T1", "V1").unwrap();
        world.load("T2", "V1").unwrap();
        world.at(60).pass(1, "GATE", Out);
        assert_eq!(world.location("T1"), in_vehicle("V1"));
        world.at(500);
        let (first, then) = if vehicle_first { (11, 1) } else { (1, 11) };
        world.pass(first, "GATE", In);
        world.restart(0);
        world.at(503).pass(then, "GATE", In);
        assert_eq!(world.location("V1"), zone("yard"));
        assert_eq!(world.location("T1"), in_vehicle("V1"), "vehicle first: {vehicle_first}");
        // Somebody carries this one in, two minutes later.
        world.at(630).pass(2, "GATE", In);
        assert_eq!(world.location("T2"), zone("yard"));
    }
}

#[test]
fn a_tracker_of_its_own_far_from_the_vehicles_says_that_it_is_not_in_it() {
    let mut world = haulage();
    world.at(50).load("T3", "V1").unwrap();
    world.at(60).fix_at("gps-1", 0.0);
    world.at(61).fix_at("gps-3", 250.0);
    assert_eq!(world.location("T3"), in_vehicle("V1"), "nearer than both may be wrong and driven");
    // An hour later nothing is known of where the truck was.
    world.at(3600).fix_at("gps-3", 5000.0);
    assert_eq!(world.location("T3"), in_vehicle("V1"));
    world.at(3610).fix_at("gps-1", 0.0);
    world.at(3611).fix_at("gps-3", 5000.0);
    assert_eq!(world.location("T3"), in_vehicle("V1"), "one fix may be wrong");
    world.at(3620).fix_at("gps-3", 0.0);
    world.at(3630).fix_at("gps-3", 5000.0);
    assert_eq!(world.location("T3"), in_vehicle("V1"), "and another one");
    world.at(3631).fix_at("gps-3", 5000.0);
    assert!(matches!(world.location("T3"), Location::At(_)));
    let reason = world.current("T3").reason;
    assert_eq!(&*reason, "fix of gps-3, 5.0 km from V1");
}

#[test]
fn it_is_all_as_it_was_after_a_restart() {
    let mut world = haulage();
    world.at(100).arrive(11, "BAY");
    world.at(110).pass(1, "DOCK", Out);
    world.restart(5);
    world.connect();
    world.pass(2, "DOCK", Out);
    assert_eq!(world.holds("V1"), ["T1", "T2"]);
    // Under rules by which the bay belongs to no door, nobody stands there.
    for point in &mut world.rules.read_points {
        if let ReadPointKind::Portal { bay, .. } = &mut point.kind {
            *bay = None;
        }
    }
    world.restart(200);
    world.connect();
    world.events.clear();
    world.at(600).pass(3, "DOCK", Out);
    assert_eq!(world.location("T3"), zone("yard"));
}

#[test]
fn a_vehicle_that_goes_off_the_register_leaves_nobody_in_it() {
    let mut world = haulage();
    world.load("T1", "V3").unwrap();
    world.command(Command::Remove { table: "asset".into(), key: "V3".into() }).unwrap();
    assert_eq!(world.location("T1"), Location::Unknown);
    assert!(world.current("T1").reason.contains("V3, which is no longer on the register"));
}

#[test]
fn what_cannot_be_loaded_is_refused_with_the_reason() {
    let mut world = haulage();
    let refused = |result: Result<(), Refused>| result.unwrap_err().to_string();
    assert!(refused(world.load("T1", "T2")).contains("`T2` is no vehicle"));
    assert!(refused(world.load("V1", "V1")).contains("in itself"));
    world.load("V2", "V1").unwrap();
    assert!(refused(world.load("V1", "V2")).contains("in itself"));
    world.load("T1", "V2").unwrap();
    assert!(refused(world.load("T1", "V2")).contains("already"));
    let unload = |asset: &str, zone: Option<&str>| Command::Unload {
        asset: asset.into(),
        zone: zone.map(Into::into),
        note: None,
    };
    assert!(world.command(unload("T2", None)).unwrap_err().to_string().contains("in no vehicle"));
    assert!(world.command(unload("T1", Some("moon"))).unwrap_err().to_string().contains("no zone `moon`"));
    world.at(60).fix_at("gps-1", 0.0);
    world.command(unload("T1", None)).unwrap();
    assert_eq!(world.location("T1"), world.location("V1"), "where the outermost is");
    world.command(unload("V2", Some("annex"))).unwrap();
    assert_eq!(world.location("V2"), zone("annex"));
}

fn excursion(began: Option<i64>, ended: Option<i64>) -> Seen {
    let change = match (began, ended) {
        (Some(at), None) => {
            Episode::Began { began_at: t(at), value: 9.0, threshold: 8.0, measure: Measure::Value }
        }
        (Some(at), Some(peak)) => Episode::Ended {
            began_at: t(at),
            peak: 12.0,
            peak_at: t(peak),
            measure: Measure::Value,
            over_s: None,
        },
        _ => unreachable!(),
    };
    Seen::Condition(ConditionChange {
        device: "cold-1".into(),
        point: "temp".into(),
        limit: "hi".into(),
        change,
    })
}

impl World {
    fn exposed(&mut self) -> Vec<Vec<String>> {
        let events = std::mem::take(&mut self.events);
        let exposed = events.iter().filter_map(|event| match &event.body {
            EventBody::Condition { exposed, .. } => Some(exposed.iter().map(ToString::to_string).collect()),
            _ => None,
        });
        exposed.collect()
    }
}

/// What is in the crib is what its sensor watches.
fn with_a_cold_crib() -> World {
    let mut world = haulage();
    let sensor = SensorAttachment::new("cold-1".into(), Carrier::Zone("crib".into()));
    world.import(vec![Record::Sensor(sensor)]).unwrap();
    world
}

#[test]
fn an_excursion_in_a_zone_names_what_was_in_it_and_what_came_in() {
    let mut world = with_a_cold_crib();
    world.load("T3", "V2").unwrap();
    world.at(90).arrive(12, "CRIB");
    world.at(95).arrive(4, "ANNEX");
    world.at(100).see_from("cold-1", 100, false, excursion(Some(95), None));
    assert_eq!(world.exposed(), [["T1", "T2", "T3", "V2"]], "a cage in the zone with what is in it");
    let key = crate::domain::alerts::AlertKey::new(crate::domain::alerts::Rule::Condition, "cold-1/temp/hi");
    let summary = world.tracker.alerts.open(&key).unwrap().summary.clone();
    assert!(summary.ends_with("protect what is in it: T1, T2, T3, V2"), "{summary}");
    world.at(110).pass(1, "DOCK", Out);
    world.restart(5);
    world.connect();
    world.at(130).presence_at(130, false, 4, "CRIB", PresenceChange::Arrived);
    world.at(140).presence_at(140, false, 4, "ANNEX", PresenceChange::Arrived);
    world.at(200).see_from("cold-1", 200, false, excursion(Some(95), Some(150)));
    assert_eq!(world.exposed(), [["T1", "T2", "T3", "T4", "V2"]]);
    // The next excursion begins anew.
    world.at(300).see_from("cold-1", 300, false, excursion(Some(295), None));
    assert_eq!(world.exposed(), [["T2", "T3", "V2"]]);
}

/// The limit is taken out while it is exceeded; cleaning says so a moment later, or after a restart.
#[test]
fn an_excursion_that_ends_with_its_limit_names_what_was_exposed() {
    let mut world = with_a_cold_crib();
    world.at(100).see_from("cold-1", 100, false, excursion(Some(95), None));
    let before = world.exposed();
    let mut changed = rules();
    changed.limits.clear();
    world.tracker.set_rules(&changed);
    world.until(101);
    world.at(110).see_from("cold-1", 110, false, excursion(Some(95), Some(105)));
    assert_eq!(world.exposed(), before);
    assert!(!before[0].is_empty());
}

#[test]
fn an_excursion_that_is_told_late_names_nobody_and_one_event_a_thousand() {
    let mut world = with_a_cold_crib();
    world.at(100).see_from("cold-1", 50, true, excursion(Some(45), None));
    assert!(world.exposed()[0].is_empty());
    world.stock(100..=1200, "tool");
    (100..=1200).for_each(|tag| world.arrive(tag, "CRIB"));
    world.at(110).see_from("cold-1", 110, false, excursion(Some(105), None));
    assert_eq!(world.exposed()[0].len(), 1000);
}

#[test]
fn an_excursion_in_a_vehicle_names_what_it_carries() {
    let mut world = haulage();
    world.import(vec![Record::Sensor(SensorAttachment::on_asset("cold-1".into(), "V1"))]).unwrap();
    world.load("T1", "V1").unwrap();
    world.at(100).see_from("cold-1", 100, false, excursion(Some(95), None));
    assert_eq!(world.exposed(), [["T1"]]);
    world.at(110).load("V2", "V1").unwrap();
    world.at(120).load("T2", "V2").unwrap();
    world.at(200).see_from("cold-1", 200, false, excursion(Some(95), Some(150)));
    assert_eq!(world.exposed(), [["T1", "T2", "V2"]]);
}
