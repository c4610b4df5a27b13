use super::world::*;
use crate::domain::alerts::Rule;
use crate::domain::commands::{Command, Refused};
use crate::domain::register::Checkout;
use crate::domain::sightings::{Direction, FenceChange, Seen};

#[test]
fn what_is_out_cannot_be_checked_out_and_the_refusal_says_by_whom() {
    let mut world = World::stocked(1, "tool");
    world.check_out("T1", None).unwrap();
    world.told();
    let before = world.rows.clone();
    let refused = world.check_out("T1", None).unwrap_err();
    assert!(matches!(&refused, Refused::Conflict { reason } if reason.contains("bob")), "{refused}");
    assert!(matches!(world.check_out("T2", None), Err(Refused::NotFound { .. })));
    assert!(matches!(world.check_out("T1", Some(-5)), Err(Refused::Invalid { .. })));
    assert!(world.events.is_empty());
    assert_eq!(world.rows, before);
    world.check_in("T1").unwrap();
    assert!(matches!(world.check_in("T1"), Err(Refused::Conflict { .. })));
    assert_eq!(world.told(), ["0 asset:T1 checked-in command"]);
}

#[test]
fn being_still_heard_at_the_crib_is_no_return() {
    let mut world = World::stocked(1, "tool");
    world.arrive(1, "CRIB");
    world.at = 5;
    world.check_out("T1", None).unwrap();
    world.hear_until(60, &[1], "CRIB");
    world.arrive(1, "CRIB-B");
    assert!(world.current("T1").checkout.is_some());
    // Departed and heard again: that is one.
    world.until(80);
    world.depart(1, "CRIB");
    world.depart(1, "CRIB-B");
    world.until(200);
    world.arrive(1, "CRIB");
    assert!(world.current("T1").checkout.is_none());
    assert_eq!(world.told().last().unwrap(), "200 asset:T1 checked-in sensed at CRIB");
}

#[test]
fn returns_are_sensed_by_passing_in_and_by_a_fence_that_is_home() {
    let mut world = World::stocked(1, "tool");
    world.arrive(1, "CRIB");
    world.check_out("T1", None).unwrap();
    world.until(20);
    world.pass(1, "DOCK", Direction::Out);
    world.until(100);
    // Older than the checkout, or into another zone: no return.
    world.pass(1, "GATE", Direction::In);
    assert!(world.current("T1").checkout.is_some());
    world.until(110);
    world.pass(1, "DOCK", Direction::In);
    assert_eq!(world.told().last().unwrap(), "110 asset:T1 checked-in sensed passing DOCK in");

    let mut world = World::stocked(1, "tool");
    let mut home = asset("T1", "tool");
    if let crate::domain::register::Record::Asset(asset) = &mut home {
        asset.home_zone = Some("yard".into());
    }
    world.import(vec![home, tracker("van/1", "T1")]).unwrap();
    world.fix("van/1");
    world.check_out("T1", None).unwrap();
    world.until(50);
    world.fence("van/1", "hq-yard", FenceChange::Entered);
    assert_eq!(world.told().last().unwrap(), "50 asset:T1 checked-in sensed entering hq-yard");
}

#[test]
fn where_nobody_knew_the_place_the_first_hearing_decides() {
    // (second of the first hearing after the checkout, returned)
    for (heard_at, returned) in [(15, false), (25, true)] {
        let mut world = World::stocked(1, "tool");
        world.check_out("T1", None).unwrap();
        world.until(heard_at);
        world.arrive(1, "CRIB");
        assert_eq!(world.current("T1").checkout.is_none(), returned, "heard at {heard_at}");
    }
}

#[test]
fn what_fell_silent_before_its_checkout_was_there_if_it_is_heard_in_time() {
    // (second of the checkout, before or after silence means gone; of the first hearing after it; returned)
    for (taken_at, heard_at, returned) in [(5, 14, false), (5, 16, true), (30, 39, false), (30, 41, true)] {
        let mut world = World::stocked(1, "tool");
        world.arrive(1, "CRIB");
        if taken_at < 10 {
            world.until(taken_at);
            world.check_out("T1", None).unwrap();
        }
        world.until(10);
        world.depart(1, "CRIB");
        if taken_at > 10 {
            world.until(taken_at);
            world.check_out("T1", None).unwrap();
        }
        world.until(heard_at);
        world.arrive(1, "CRIB");
        let case = format!("taken at {taken_at}, heard at {heard_at}");
        assert_eq!(world.current("T1").checkout.is_none(), returned, "{case}");
        // Where it was there all along, leaving and coming back is a return still.
        world.until(heard_at + 20);
        world.depart(1, "CRIB");
        world.until(heard_at + 40);
        world.arrive(1, "CRIB");
        assert!(world.current("T1").checkout.is_none(), "{case}");
    }
}

#[test]
fn an_import_of_checkouts_is_idempotent_and_does_not_reopen() {
    let mut world = World::stocked(1, "tool");
    world.at = 100;
    let checkout = Checkout {
        asset: "T1".into(),
        holder: "acme".to_owned(),
        checked_out_at: t(50),
        due_back: Some(t(500)),
        note: None,
        waived: Vec::new(),
    };
    let import = |checkout: &Checkout| Command::Import { records: vec![], checkouts: vec![checkout.clone()] };
    assert_eq!(world.command(import(&checkout)).unwrap().created, 1);
    assert_eq!(world.command(import(&checkout)).unwrap().unchanged, 1);
    let longer = Checkout { due_back: Some(t(900)), ..checkout.clone() };
    assert_eq!(world.command(import(&longer)).unwrap().updated, 1);
    let other = Checkout { holder: "bob".to_owned(), ..checkout.clone() };
    assert!(matches!(world.command(import(&other)), Err(Refused::Conflict { .. })));
    world.check_in("T1").unwrap();
    assert_eq!(world.command(import(&checkout)).unwrap().unchanged, 1);
    assert!(world.current("T1").checkout.is_none());
    assert_eq!(world.told(), ["100 asset:T1 checked-out acme", "100 asset:T1 checked-in command"]);
}

#[test]
fn overdue_fires_at_due_plus_grace_and_ends_with_the_return() {
    let mut world = World::stocked(2, "tool");
    world.check_out("T1", Some(100)).unwrap();
    world.check_out("T2", Some(100)).unwrap();
    world.until(129);
    assert!(world.alerted().is_empty());
    world.check_in("T2").unwrap();
    world.until(500);
    world.check_in("T1").unwrap();
    assert_eq!(world.alerted(), ["130 overdue-return/T1 fired", "500 overdue-return/T1 resolved"]);
}

/// `T1` and `T2` went out and are due back at 100, with a grace of 30; it is 90.
fn two_are_out() -> World {
    let mut world = World::stocked(2, "tool");
    for number in [1, 2] {
        world.arrive(number, "CRIB");
        world.check_out(asset_name(number).as_str(), Some(100)).unwrap();
        world.pass(number, "DOCK", Direction::Out);
    }
    world.until(90);
    world
}

#[test]
fn overdue_waits_for_what_a_reader_held_and_the_return_in_it_counts() {
    let mut world = two_are_out();
    world.link("r2", true, false);
    world.until(200);
    assert!(!world.is_firing(Rule::OverdueReturn, "T1"));
    world.pass_at(95, false, 1, "DOCK", Direction::In);
    world.link("r2", true, true);
    assert_eq!(world.alerted(), ["130 overdue-return/T2 fired"]);
    assert!(world.current("T1").checkout.is_none());
}

/// The journal is full; and the machine was put aside. What sources and brokers held meanwhile comes within seconds.
#[test]
fn overdue_waits_while_nobody_listens_and_until_what_waited_is_read() {
    type Deaf = fn(&mut World);
    let full: Deaf = |world| {
        world.tracker.set_listening(false, t(90), &mut world.events);
        world.until(1000);
        world.tracker.set_listening(true, t(1000), &mut world.events);
    };
    let put_aside: Deaf = |world| {
        world.tracker.stood_still(t(90), t(1000), &mut world.events);
        world.at = 1000;
    };
    for deaf in [full, put_aside] {
        let mut world = two_are_out();
        deaf(&mut world);
        world.until(1010);
        world.pass_at(1010, false, 1, "DOCK", Direction::In);
        world.until(1029);
        assert_eq!(world.alerted_of(Rule::OverdueReturn), [""; 0]);
        world.until(1031);
        assert_eq!(world.alerted_of(Rule::OverdueReturn), ["130 overdue-return/T2 fired"]);
    }
}

#[test]
fn overdue_waits_over_a_restart_until_the_doors_are_heard_or_given_up() {
    let mut world = World::stocked(1, "tool");
    world.check_out("T1", Some(100)).unwrap();
    world.until(50);
    world.events.clear();
    world.restart(1000);
    world.until(1060);
    assert!(!world.is_firing(Rule::OverdueReturn, "T1"));
    for source in ["r1", "r3", "cold-1"] {
        world.link(source, true, true);
    }
    world.until(1079);
    assert!(!world.is_firing(Rule::OverdueReturn, "T1"));
    // r2 stays away: it is an alert of its own, and the overdue one names it.
    world.until(1081);
    let key = crate::domain::alerts::AlertKey::new(Rule::OverdueReturn, "T1");
    let alert = world.tracker.alerts.open(&key).unwrap();
    assert!(alert.summary.contains("r2 is down"), "{}", alert.summary);
    assert_eq!(alert.fired_at, Some(t(130)));
}

/// `T1`, at home in the yard, with the tracker `van/1`.
fn at_home_in_the_yard() -> World {
    let mut world = World::stocked(1, "tool");
    let mut home = asset("T1", "tool");
    if let crate::domain::register::Record::Asset(asset) = &mut home {
        asset.home_zone = Some("yard".into());
    }
    world.import(vec![home, tracker("van/1", "T1")]).unwrap();
    world.events.clear();
    world
}

fn returns(world: &mut World) -> Vec<String> {
    world.told().into_iter().filter(|line| line.contains("checked-in")).collect()
}

/// Its fixes say where it is, and no crossing of a fence is told of a tracker that was in there before.
#[test]
fn a_tracker_that_is_fitted_at_home_says_that_it_is_back() {
    for was_known in [false, true] {
        let mut world = at_home_in_the_yard();
        if was_known {
            world.fix("van/1");
        }
        world.until(10);
        world.check_out("T1", Some(1000)).unwrap();
        world.until(500);
        world.import(vec![tracker("van/2", "T1")]).unwrap();
        world.fix_in("van/2", &["hq-yard"]);
        assert_eq!(returns(&mut world), ["500 asset:T1 checked-in sensed entering hq-yard"], "{was_known}");
    }
    // One that has not left is not back.
    let mut world = at_home_in_the_yard();
    world.fix_in("van/1", &["hq-yard"]);
    world.until(10);
    world.check_out("T1", Some(1000)).unwrap();
    world.import(vec![tracker("van/2", "T1")]).unwrap();
    world.until(20);
    world.fix_in("van/2", &["hq-yard"]);
    world.until(500);
    world.fix_in("van/2", &["hq-yard"]);
    assert!(returns(&mut world).is_empty());
}

#[test]
fn late_fixes_tell_a_return_where_it_is_at_home_now() {
    let late = |world: &mut World, at: i64, change: FenceChange| {
        let fix = world.fix_of("van/1", at);
        let (device, fence) = ("van/1".into(), "hq-yard".into());
        world.see_from("mqtt", at, true, Seen::Fence { device, fence, change, fix, inferred: false });
    };
    for is_back in [true, false] {
        let mut world = at_home_in_the_yard();
        world.fence("van/1", "hq-yard", FenceChange::Entered);
        world.until(100);
        world.check_out("T1", Some(3000)).unwrap();
        world.until(5000);
        assert!(world.is_firing(Rule::OverdueReturn, "T1"));
        match is_back {
            true => world.fix_in("van/1", &["hq-yard"]),
            false => world.fence("van/1", "hq-yard", FenceChange::Exited),
        }
        late(&mut world, 50, FenceChange::Entered);
        late(&mut world, 200, FenceChange::Exited);
        assert!(world.current("T1").checkout.is_some());
        late(&mut world, 2000, FenceChange::Entered);
        assert_eq!(world.current("T1").checkout.is_none(), is_back);
        assert_eq!(world.is_firing(Rule::OverdueReturn, "T1"), !is_back);
        let told = returns(&mut world);
        assert!(told.iter().all(|line| line.starts_with("2000 asset:T1 checked-in")), "{told:?}");
    }
}
