use super::world::*;
use crate::domain::alerts::{AlertKey, Rule};
use crate::domain::commands::Command;
use crate::domain::register::{Asset, AssetClass, Lifecycle, Record};
use crate::domain::sightings::Direction::{In, Out};
use crate::domain::sightings::PresenceChange;

/// `T1` to `T3`, which need a checkout to leave.
fn company(allowed_zones: &[&str]) -> World {
    let mut world = World::with_class(AssetClass {
        needs_checkout: true,
        allowed_zones: allowed_zones.iter().map(|zone| (*zone).into()).collect(),
        ..AssetClass::new("guarded".into())
    });
    world.stock(1..=3, "guarded");
    world.events.clear();
    world
}

#[test]
fn leaving_without_a_checkout_is_told_at_once_and_once() {
    let mut world = company(&[]);
    world.pass(1, "DOCK", Out);
    assert_eq!(world.alerted_of(Rule::UnauthorisedExit), ["0 unauthorised-exit/T1 fired"]);
    world.until(60);
    world.pass(1, "GATE", Out);
    assert!(world.alerted_of(Rule::UnauthorisedExit).is_empty());
    world.until(120);
    world.pass(1, "GATE", In);
    assert_eq!(world.alerted_of(Rule::UnauthorisedExit), ["120 unauthorised-exit/T1 resolved"]);
    world.until(180);
    world.pass(1, "GATE", Out);
    assert_eq!(world.alerted_of(Rule::UnauthorisedExit), ["180 unauthorised-exit/T1 fired"]);
}

#[test]
fn a_checkout_before_or_after_makes_it_right_and_a_later_check_in_does_not_make_it_wrong() {
    let mut world = company(&[]);
    world.check_out("T1", None).unwrap();
    world.at = 10;
    world.pass(1, "DOCK", Out);
    world.pass(2, "DOCK", Out);
    assert_eq!(world.alerted_of(Rule::UnauthorisedExit), ["10 unauthorised-exit/T2 fired"]);
    world.until(20);
    world.check_out("T2", None).unwrap();
    assert_eq!(world.alerted_of(Rule::UnauthorisedExit), ["20 unauthorised-exit/T2 resolved"]);
    world.until(30);
    world.check_in("T1").unwrap();
    world.check_in("T2").unwrap();
    world.restart(60);
    assert!(world.alerted_of(Rule::UnauthorisedExit).is_empty());
}

#[test]
fn being_heard_inside_again_ends_it_and_where_it_may_be_is_no_exit() {
    let mut world = company(&["yard"]);
    world.pass(1, "DOCK", Out);
    assert!(world.alerted_of(Rule::UnauthorisedExit).is_empty(), "the yard is allowed");
    world.until(20);
    world.pass(1, "GATE", Out);
    assert_eq!(world.alerted_of(Rule::UnauthorisedExit), ["20 unauthorised-exit/T1 fired"]);
    world.restart(0);
    world.connect();
    world.until(100);
    world.arrive(1, "CRIB");
    assert_eq!(world.alerted_of(Rule::UnauthorisedExit), ["100 unauthorised-exit/T1 resolved"]);
}

#[test]
fn an_exit_that_a_reader_held_is_judged_when_the_reader_has_caught_up() {
    for restart in [false, true] {
        let mut world = company(&[]);
        world.at = 1000;
        world.link("r2", true, false);
        world.pass_at(100, false, 1, "DOCK", Out);
        world.pass_at(110, false, 2, "DOCK", Out);
        world.pass_at(300, false, 2, "DOCK", In);
        assert!(world.alerted_of(Rule::UnauthorisedExit).is_empty());
        if restart {
            world.restart(0);
        }
        world.at = 1001;
        world.link("r2", true, true);
        assert_eq!(
            world.alerted_of(Rule::UnauthorisedExit),
            ["1001 unauthorised-exit/T1 fired"],
            "restart: {restart}"
        );
    }
}

#[test]
fn what_was_checked_out_when_it_passed_is_no_exit_though_it_is_told_late() {
    let mut world = company(&[]);
    world.check_out("T1", None).unwrap();
    world.until(100);
    world.check_in("T1").unwrap();
    world.pass_at(50, false, 1, "DOCK", Out);
    // A late passage moves nothing.
    world.pass_at(50, true, 2, "DOCK", Out);
    assert!(world.alerted_of(Rule::UnauthorisedExit).is_empty());
}

#[test]
fn an_asset_out_of_use_or_removed_has_no_alert() {
    let mut world = company(&[]);
    world.pass(1, "DOCK", Out);
    assert_eq!(world.alerted_of(Rule::UnauthorisedExit), ["0 unauthorised-exit/T1 fired"]);
    world.until(10);
    let asset = Asset::new("T1".into(), "guarded".into());
    let lifecycle = Lifecycle::Disposed;
    let disposed = Asset { lifecycle, ..asset };
    world.import(vec![Record::Asset(disposed)]).unwrap();
    assert_eq!(world.alerted_of(Rule::UnauthorisedExit), ["10 unauthorised-exit/T1 resolved"]);
    world.presence_at(11, false, 2, "ANNEX", PresenceChange::Arrived);
    assert!(world.alerted_of(Rule::UnauthorisedExit).is_empty());
}

#[test]
fn leaving_while_not_ready_is_told_until_it_is_ready_or_back() {
    let mut world = World::stocked(2, "tool");
    let of =
        |name: &str, lifecycle| Record::Asset(Asset { lifecycle, ..Asset::new(name.into(), "tool".into()) });
    let shut = Lifecycle::Quarantined;
    world.import(vec![of("T1", shut), of("T2", shut)]).unwrap();
    world.pass(1, "DOCK", Out);
    world.pass(2, "DOCK", Out);
    assert_eq!(
        world.alerted_of(Rule::NotReadyExit),
        ["0 not-ready-exit/T1 fired", "0 not-ready-exit/T2 fired"]
    );
    world.until(10);
    world.import(vec![of("T1", Lifecycle::InService)]).unwrap();
    world.pass(2, "DOCK", In);
    assert_eq!(
        world.alerted_of(Rule::NotReadyExit),
        ["10 not-ready-exit/T1 resolved", "10 not-ready-exit/T2 resolved"]
    );
    // Not ready only since it is out: nobody let it go like that.
    world.pass(1, "GATE", Out);
    world.import(vec![of("T1", shut)]).unwrap();
    assert!(world.alerted_of(Rule::NotReadyExit).is_empty());
}

#[test]
fn what_somebody_overrode_is_not_told_at_the_door_and_what_came_up_since_is() {
    let mut world = World::stocked(2, "tool");
    let quarantine = |name: &str| Command::Quarantine { asset: name.into(), reason: "cracked".to_owned() };
    for name in ["T1", "T2"] {
        world.command(quarantine(name)).unwrap();
        let why = Some("nothing else is left".to_owned());
        let checkout = Command::Checkout {
            asset: name.into(),
            holder: "bob".to_owned(),
            due_back: None,
            note: None,
            override_reason: why,
        };
        world.command(checkout).unwrap();
    }
    world.command(Command::Maintain { asset: "T2".into(), reason: "oil".to_owned() }).unwrap();
    // Whom it is handed to takes it as it is.
    let hand_over = Command::HandOver {
        asset: "T1".into(),
        holder: "cy".to_owned(),
        from: None,
        due_back: None,
        note: None,
    };
    world.command(hand_over).unwrap();
    world.restart(0);
    world.connect();
    world.until(10);
    world.pass(1, "DOCK", Out);
    world.pass(2, "DOCK", Out);
    assert_eq!(world.alerted_of(Rule::NotReadyExit), ["10 not-ready-exit/T2 fired"]);
    let key = AlertKey::new(Rule::NotReadyExit, "T2");
    let summary = world.tracker.alerts.open(&key).unwrap().summary.clone();
    assert!(summary.contains("oil") && !summary.contains("cracked"), "{summary}");
    // The next one who takes it is asked anew.
    world.pass(1, "DOCK", In);
    world.until(100);
    world.pass(1, "DOCK", Out);
    assert_eq!(world.alerted_of(Rule::NotReadyExit), ["100 not-ready-exit/T1 fired"]);
}
