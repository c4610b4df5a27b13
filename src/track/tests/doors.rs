//! Which alerts name a door, and how far behind what happened there they are.

use std::time::Duration;

use super::world::*;
use crate::domain::alerts::{Alert, AlertTransition, Rule};
use crate::domain::events::EventBody;
use crate::domain::register::{Asset, AssetClass, Lifecycle, Record};
use crate::domain::sightings::Direction::{In, Out};

impl World {
    /// Rule, door and lag of what fired since the last call.
    fn rung(&mut self) -> Vec<(Rule, String, Duration)> {
        let fired = |body: &EventBody| match body {
            EventBody::Alert { transition: AlertTransition::Fired, alert } => Some(Alert::clone(alert)),
            _ => None,
        };
        let now = t(self.at);
        let events = std::mem::take(&mut self.events);
        let alerts = events.iter().filter_map(|event| fired(&event.body));
        alerts
            .filter_map(|alert| {
                let door = alert.door.as_ref()?.read_point.to_string();
                Some((alert.key.rule, door, alert.behind_its_door(now)?))
            })
            .collect()
    }
}

fn company() -> World {
    let mut world = World::with_class(AssetClass {
        needs_checkout: true,
        allowed_zones: vec!["crib".into()],
        ..AssetClass::new("guarded".into())
    });
    world.stock(1..=4, "guarded");
    world.events.clear();
    world
}

fn rung(rule: Rule, door: &str, behind: u64) -> (Rule, String, Duration) {
    (rule, door.to_owned(), secs(behind))
}

#[test]
fn an_exit_names_its_door_and_one_that_a_reader_held_back_is_far_behind() {
    let mut world = company();
    world.at = 1000;
    world.pass_at(998, false, 1, "DOCK", Out);
    assert_eq!(world.rung(), [rung(Rule::UnauthorisedExit, "DOCK", 2)]);
    world.link("r2", true, false);
    world.pass_at(500, false, 2, "DOCK", Out);
    assert!(world.rung().is_empty());
    world.link("r2", true, true);
    assert_eq!(world.rung(), [rung(Rule::UnauthorisedExit, "DOCK", 500)]);
    // A late passage moves nothing and raises nothing.
    world.pass_at(990, true, 3, "DOCK", Out);
    assert!(world.rung().is_empty());
}

#[test]
fn a_rule_that_waits_before_it_judges_is_not_behind_for_that() {
    let mut world = company();
    let part = Asset { part_of: Some("T1".into()), ..Asset::new("T2".into(), "guarded".into()) };
    world.import(vec![Record::Asset(part)]).unwrap();
    world.arrive(2, "CRIB");
    world.check_out("T1", None).unwrap();
    world.pass(1, "DOCK", Out);
    world.until(120);
    assert_eq!(world.rung(), [rung(Rule::KitIncomplete, "DOCK", 0)]);
}

#[test]
fn what_came_to_a_wrong_zone_by_a_door_names_it_and_what_is_heard_there_names_none() {
    let mut world = World::with_class(AssetClass {
        allowed_zones: vec!["crib".into()],
        ..AssetClass::new("guarded".into())
    });
    world.stock(1..=2, "guarded");
    world.events.clear();
    world.pass(1, "DOCK", Out);
    world.arrive(2, "ANNEX");
    world.until(600);
    assert_eq!(world.rung(), [rung(Rule::WrongZone, "DOCK", 0)]);
    assert!(world.is_firing(Rule::WrongZone, "T2"));
}

#[test]
fn an_asset_out_of_use_that_passes_rings_the_door() {
    let mut world = company();
    let disposed = Asset { lifecycle: Lifecycle::Disposed, ..Asset::new("T4".into(), "guarded".into()) };
    world.import(vec![Record::Asset(disposed)]).unwrap();
    world.at = 10;
    world.pass_at(8, false, 4, "DOCK", In);
    assert_eq!(world.rung(), [rung(Rule::Zombie, "DOCK", 2)]);
}

#[test]
fn the_door_is_remembered_over_a_restart() {
    let mut world = company();
    world.pass(1, "DOCK", Out);
    let before = world.rung();
    world.restart(60);
    let key = crate::domain::alerts::AlertKey::new(Rule::UnauthorisedExit, "T1");
    let row = &world.rows[&(crate::domain::state::StateKind::Alert, key.to_string())];
    let alert: Alert = serde_json::from_slice(row).unwrap();
    assert_eq!(alert.door.unwrap().read_point.as_str(), before[0].1);
    // A row of a build that knew no doors.
    let older = String::from_utf8(row.clone()).unwrap();
    let older = older.replacen("\"door\":", "\"unknown\":", 1);
    assert_eq!(serde_json::from_str::<Alert>(&older).unwrap().door, None);
}
