//! The gate, and what happens to an asset that came back.

use super::world::*;
use crate::domain::commands::{Command, Outcome, Refused};
use crate::domain::readiness::{HoldKind, Unready};
use crate::domain::register::*;
use crate::domain::sightings::{ConditionChange, Direction, Episode, Measure, Seen};

fn class(name: &str, change: impl FnOnce(&mut AssetClass)) -> Record {
    let mut class = AssetClass::new(name.into());
    change(&mut class);
    Record::Class(Box::new(class))
}

fn inspect(world: &mut World, passed: bool, at: Option<i64>) -> Result<Outcome, Refused> {
    let (at, note) = (at.map(t), Some("crack in the mast".to_owned()));
    world.command(Command::Inspect { asset: "T1".into(), passed, at, note })
}

fn quarantine(world: &mut World, reason: &str) -> Result<Outcome, Refused> {
    world.command(Command::Quarantine { asset: "T1".into(), reason: reason.to_owned() })
}

fn release(world: &mut World) -> Result<Outcome, Refused> {
    world.command(Command::Release { asset: "T1".into(), note: None })
}

fn check_out_anyway(world: &mut World, why: &str) -> Result<Outcome, Refused> {
    let override_reason = Some(why.to_owned());
    let (asset, holder) = ("T1".into(), "bob".to_owned());
    world.command(Command::Checkout { asset, holder, due_back: None, note: None, override_reason })
}

fn check_in_damaged(world: &mut World) -> Result<Outcome, Refused> {
    let damage = Some("bent fork".to_owned());
    world.command(Command::CheckIn { asset: "T1".into(), note: None, damage })
}

#[test]
fn what_is_not_ready_goes_out_only_with_a_reason_and_the_refusal_names_every_reason() {
    let mut world = World::stocked(1, "tool");
    world
        .import(vec![class("van", |class| class.inspect_every = Some(secs(100))), asset("T1", "van")])
        .unwrap();
    world.until(100);
    quarantine(&mut world, "the mast leaks").unwrap();
    let before = (world.rows.clone(), world.events.len());
    let Err(Refused::Conflict { reason }) = world.check_out("T1", None) else { panic!("not refused") };
    assert!(reason.contains("the mast leaks"), "{reason}");
    // By the site's clock, two hours before Greenwich.
    assert!(reason.contains("its inspection was due 2026-05-01 08:01 "), "{reason}");
    assert!(matches!(check_out_anyway(&mut world, " "), Err(Refused::Invalid { .. })));
    assert_eq!((world.rows.clone(), world.events.len()), before, "a refusal changes nothing");
    world.events.clear();
    check_out_anyway(&mut world, "a fire").unwrap();
    assert!(world.current("T1").checkout.is_some());
    let journaled = serde_json::to_string(&world.events[0].body).unwrap();
    assert!(journaled.contains(r#""override":"a fire""#), "{journaled}");
}

#[test]
fn holds_are_put_on_once_each_and_lifted_together() {
    let mut world = World::stocked(1, "tool");
    assert!(matches!(release(&mut world), Err(Refused::Conflict { .. })));
    assert!(matches!(quarantine(&mut world, ""), Err(Refused::Invalid { .. })));
    quarantine(&mut world, "the mast leaks").unwrap();
    let again = quarantine(&mut world, "again").unwrap_err();
    assert!(again.to_string().contains("the mast leaks"), "{again}");
    world.command(Command::Maintain { asset: "T1".into(), reason: "new mast".to_owned() }).unwrap();
    world.restart(0);
    let why = |why: &str| Some(why.to_owned());
    let reasons = [
        Unready::Quarantined { why: why("the mast leaks") },
        Unready::InMaintenance { why: why("new mast") },
    ];
    assert_eq!(world.current("T1").not_ready, reasons);
    assert_eq!(world.current("T1").holds[0].by, "ann");
    release(&mut world).unwrap();
    assert!(world.current("T1").ready && world.current("T1").holds.is_empty());
    let unknown = Command::Release { asset: "T9".into(), note: None };
    assert!(matches!(world.command(unknown), Err(Refused::NotFound { .. })));
}

#[test]
fn a_return_of_a_class_that_asks_waits_for_its_inspection() {
    let mut world = World::new();
    let asks = class("ladder", |class| class.inspect_on_return = true);
    world.import(vec![asks, asset("T1", "ladder"), tag(1, "T1")]).unwrap();
    assert!(world.current("T1").ready, "a new one is no return");
    world.check_out("T1", None).unwrap();
    world.until(50);
    world.pass(1, "DOCK", Direction::Out);
    world.until(100);
    world.pass(1, "DOCK", Direction::In);
    assert_eq!(world.current("T1").not_ready, [Unready::AwaitingInspection { since: t(100) }]);
    assert!(world.check_out("T1", None).is_err());
    // An inspection of before it came back is none of this return.
    inspect(&mut world, true, Some(60)).unwrap();
    assert!(!world.current("T1").ready);
    assert!(matches!(inspect(&mut world, true, Some(500)), Err(Refused::Invalid { .. })));
    world.until(200);
    inspect(&mut world, true, None).unwrap();
    assert!(world.current("T1").ready);
    assert_eq!(world.current("T1").inspected_at, Some(t(200)));
    inspect(&mut world, true, Some(150)).unwrap();
    assert_eq!(world.current("T1").inspected_at, Some(t(200)), "an older one is not the last");
    inspect(&mut world, false, None).unwrap();
    let why = Some("it failed its inspection: crack in the mast".to_owned());
    assert_eq!(world.current("T1").not_ready, [Unready::Quarantined { why }]);
}

#[test]
fn what_came_back_damaged_or_in_alarm_is_quarantined() {
    let mut world = World::stocked(1, "tool");
    world.check_out("T1", None).unwrap();
    check_in_damaged(&mut world).unwrap();
    let current = world.current("T1");
    assert_eq!(current.holds[0].kind, HoldKind::Quarantine);
    assert_eq!((&*current.holds[0].why, &*current.holds[0].by), ("it came back damaged: bent fork", "ann"));
    release(&mut world).unwrap();
    assert!(check_in_damaged(&mut world).is_err(), "it is not out");
    assert!(world.current("T1").holds.is_empty());

    world.import(vec![Record::Sensor(SensorAttachment::on_asset("cold-1".into(), "T1"))]).unwrap();
    world.check_out("T1", None).unwrap();
    let began_at = t(world.at);
    let began = Episode::Began { began_at, value: 9.0, threshold: 8.0, measure: Measure::Value };
    let change =
        ConditionChange { device: "cold-1".into(), point: "temp".into(), limit: "hi".into(), change: began };
    world.see_from("cold-1", world.at, false, Seen::Condition(change));
    world.check_in("T1").unwrap();
    let ended =
        Episode::Ended { began_at, peak: 9.0, peak_at: began_at, measure: Measure::Value, over_s: None };
    let change =
        ConditionChange { device: "cold-1".into(), point: "temp".into(), limit: "hi".into(), change: ended };
    world.see_from("cold-1", world.at, false, Seen::Condition(change));
    // The alarm is over; what it did to the asset is not known.
    let why = Some("it came back while temp of cold-1 is past its limit hi".to_owned());
    assert_eq!(world.current("T1").not_ready, [Unready::Quarantined { why }]);
    assert_eq!(world.current("T1").holds[0].by, "tallyman");
}

#[test]
fn a_class_may_want_its_returns_said_by_hand() {
    let mut world = World::stocked(1, "tool");
    world.import(vec![class("gas", |class| class.returns = Returns::ByHand), asset("T1", "gas")]).unwrap();
    world.check_out("T1", None).unwrap();
    world.until(50);
    world.pass(1, "DOCK", Direction::Out);
    world.until(100);
    world.pass(1, "DOCK", Direction::In);
    world.arrive(1, "CRIB");
    assert!(world.current("T1").checkout.is_some());
    world.check_in("T1").unwrap();
    assert!(world.current("T1").checkout.is_none());
}
