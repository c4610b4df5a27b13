//! Whose stay at a door is over, and what begins another.

use super::*;
use crate::domain::ids::SiteId;
use crate::domain::orders::Scope;
use crate::domain::register::{Asset, Lifecycle};

fn undock(world: &mut World, vehicle: &str) {
    world.command(Command::Undock { vehicle: vehicle.into() }).unwrap();
}

fn docked(world: &mut World) -> Vec<String> {
    world.told().into_iter().filter(|told| told.contains("docked")).collect()
}

fn remove(world: &mut World, record: &Record) {
    let (table, key) = (record.table().to_owned(), record.key());
    world.command(Command::Remove { table, key }).unwrap();
}

fn zone_of_nothing() -> Record {
    Record::Zone(Zone { name: "attic".into(), site: "hq".into(), coverage: Coverage::None })
}

/// It was seen to come, and somebody said that it left: what was seen begins no other stay, whatever is worked out anew.
#[test]
fn what_somebody_said_to_have_left_stands_there_again_when_it_is_sensed_to_come() {
    for by_tag in [false, true] {
        let mut world = haulage();
        let come = |world: &mut World| match by_tag {
            true => world.arrive(11, "BAY"),
            false => world.fence("gps-1", "hq-bay", FenceChange::Entered),
        };
        let leave = |world: &mut World| match by_tag {
            true => world.depart(11, "BAY"),
            false => world.fence("gps-1", "hq-bay", FenceChange::Exited),
        };
        come(world.at(100));
        undock(world.at(200), "V1");
        assert_eq!(docked(&mut world), ["100 asset:V1 docked DOCK", "200 asset:V1 undocked DOCK since 100"]);
        world.restart(10);
        world.at(300).import(vec![zone_of_nothing()]).unwrap();
        world.restart(10);
        if !by_tag {
            world.at(350).fix_in("gps-1", &["hq-bay"]);
            world.restart(10);
        }
        world.at(400).pass(1, "DOCK", Out);
        assert_eq!((docked(&mut world), world.location("T1")), (Vec::new(), zone("yard")), "{by_tag}");
        leave(world.at(1000));
        come(world.at(2000));
        world.restart(10);
        assert_eq!(docked(&mut world), ["2000 asset:V1 docked DOCK"]);
    }
}

/// By hand in a bay that its tracker has it in.
#[test]
fn what_was_docked_and_undocked_by_hand_is_not_docked_by_a_restart() {
    let mut world = haulage();
    world.at(100).fence("gps-1", "hq-bay", FenceChange::Entered);
    world.at(150).dock("V1");
    undock(world.at(200), "V1");
    world.events.clear();
    world.restart(10);
    assert_eq!(docked(&mut world), [""; 0]);
}

#[test]
fn a_stay_that_a_class_ended_begins_anew_by_the_class() {
    let mut world = haulage();
    world.at(100).arrive(11, "BAY");
    let set = |world: &mut World, is_vehicle: bool| {
        let trucks = world.rules.classes.iter_mut().filter(|class| class.name.as_str() == "truck");
        trucks.for_each(|class| class.vehicle = is_vehicle);
        world.restart(100);
    };
    set(world.at(100), false);
    set(&mut world, true);
    let expected =
        ["100 asset:V1 docked DOCK", "200 asset:V1 undocked DOCK since 100", "300 asset:V1 docked DOCK"];
    assert_eq!(docked(&mut world), expected);
}

#[test]
fn who_lost_the_tracker_by_which_it_stood_there_does_not_stand_there_again() {
    let mut world = haulage();
    world.at(100).fence("gps-1", "hq-bay", FenceChange::Entered);
    let record = world.tracker.register.trackers.all(&"gps-1".into()).next().unwrap();
    remove(world.at(200), &Record::Tracker(record));
    world.restart(10);
    assert_eq!(docked(&mut world), ["100 asset:V1 docked DOCK", "200 asset:V1 undocked DOCK since 100"]);
}

#[test]
fn a_tag_that_is_taken_off_a_vehicle_is_heard_there_no_more() {
    for is_moved in [true, false] {
        let mut world = haulage();
        world.at(100).arrive(11, "BAY");
        world.at(200);
        match is_moved {
            true => {
                let (epc, asset) = (epc(11), "V3".into());
                world.command(Command::Commission { epc, asset, replaces: None }).unwrap();
            }
            false => remove(&mut world, &tag(11, "V1")),
        }
        assert_eq!(docked(&mut world), ["100 asset:V1 docked DOCK", "200 asset:V1 undocked DOCK since 100"]);
        let reason = world.current("V1").reason;
        assert!(reason.contains("last heard at BAY, not heard since"), "{reason}");
        world.restart(10);
        world.at(300).pass(1, "DOCK", Out);
        assert_eq!(world.location("T1"), zone("yard"), "moved: {is_moved}");
    }
}

/// Several doors of one yard are the rule.
#[test]
fn of_the_doors_of_one_bay_it_stands_at_the_one_that_somebody_said() {
    let mut rules = haulage().rules.clone();
    let dock = rules.read_points.iter().find(|point| point.name.as_str() == "DOCK").unwrap().clone();
    rules.read_points.push(crate::config::ReadPointConfig { name: "RAMP".into(), ..dock });
    let mut world = World::with(rules);
    world.stock(1..=1, "tool");
    world.import(vec![asset("V1", "truck"), tag(11, "V1"), tracker("gps-1", "V1")]).unwrap();
    world.at(100).fence("gps-1", "hq-bay", FenceChange::Entered);
    assert_eq!(docked(&mut world), ["100 asset:V1 docked DOCK", "100 asset:V1 docked RAMP"]);
    world.at(200).dock("V1");
    world.events.clear();
    world.at(300).fix_in("gps-1", &["hq-bay"]);
    world.restart(10);
    assert_eq!(docked(&mut world), [""; 0]);
    let again = Command::Dock { vehicle: "V1".into(), door: "DOCK".into() };
    assert!(matches!(world.at(400).command(again), Err(Refused::Conflict { .. })));
    // Until it leaves.
    world.at(500).fence("gps-1", "hq-bay", FenceChange::Exited);
    world.at(600).fence("gps-1", "hq-bay", FenceChange::Entered);
    let expected =
        ["500 asset:V1 undocked DOCK since 200", "600 asset:V1 docked DOCK", "600 asset:V1 docked RAMP"];
    assert_eq!(docked(&mut world), expected);
}

#[test]
fn who_acts_for_one_site_unloads_into_no_zone_of_another() {
    let mut world = haulage();
    let site = crate::domain::register::Site { name: "leeds".into(), ..world.rules.sites[0].clone() };
    let zone = Zone { name: "leeds-yard".into(), site: "leeds".into(), coverage: Coverage::None };
    world.import(vec![Record::Site(site), Record::Zone(zone)]).unwrap();
    world.load("T1", "V1").unwrap();
    let scope = Scope::Sites(std::sync::Arc::new([SiteId::new("hq")].into()));
    let unload = |zone: Option<&str>| {
        let command = Command::Unload { asset: "T1".into(), zone: zone.map(Into::into), note: None };
        world.tracker.permit(&scope, &command, None, t(10))
    };
    assert_eq!([unload(None), unload(Some("crib"))], [Ok(()), Ok(())]);
    let refused = unload(Some("leeds-yard")).unwrap_err();
    assert!(matches!(&refused, Refused::NotFound { what, .. } if what == "zone"), "{refused:?}");
}

/// Its receiver has it in one bay, and somebody sees that it is at the next door.
#[test]
fn what_somebody_says_of_a_door_outlasts_the_bay_that_it_was_known_to_be_in() {
    let mut world = haulage();
    world.at(100).fence("gps-1", "hq-bay", FenceChange::Entered);
    world.at(200).command(Command::Dock { vehicle: "V1".into(), door: "GATE".into() }).unwrap();
    world.at(210).fix_in("gps-1", &["hq-bay"]);
    world.at(220).pass(1, "GATE", Out);
    assert_eq!(world.location("T1"), in_vehicle("V1"));
    assert_eq!(
        docked(&mut world),
        ["100 asset:V1 docked DOCK", "200 asset:V1 undocked DOCK since 100", "200 asset:V1 docked GATE"]
    );
    // It comes to the bay once more.
    world.at(300).fence("gps-1", "hq-bay", FenceChange::Exited);
    world.at(400).fence("gps-1", "hq-bay", FenceChange::Entered);
    assert_eq!(docked(&mut world), ["300 asset:V1 undocked GATE since 200", "400 asset:V1 docked DOCK"]);
}

#[test]
fn what_is_put_right_on_the_register_stands_at_its_door_again() {
    let mut world = haulage();
    world.at(100).fence("gps-1", "hq-bay", FenceChange::Entered);
    docked(&mut world);
    remove(world.at(200), &tracker("gps-1", "V1"));
    world.at(210).import(vec![tracker("gps-1", "V1")]).unwrap();
    world.restart(10);
    assert_eq!(docked(&mut world), ["200 asset:V1 undocked DOCK since 100"], "nothing shows it to be there");
    world.at(250).fix_in("gps-1", &["hq-bay"]);
    assert_eq!(docked(&mut world), ["250 asset:V1 docked DOCK"]);

    let retired = Asset { lifecycle: Lifecycle::Retired, ..Asset::new("V1".into(), "truck".into()) };
    world.at(300).import(vec![Record::Asset(retired)]).unwrap();
    assert_eq!(docked(&mut world), ["300 asset:V1 undocked DOCK since 250"]);
    world.at(310).import(vec![asset("V1", "truck")]).unwrap();
    assert_eq!(docked(&mut world).len(), 1);
    world.at(320).pass(1, "DOCK", Out);
    assert_eq!(world.location("T1"), in_vehicle("V1"));
}
