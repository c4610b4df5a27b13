//! What readers that are up say is wrong with them.

use super::world::*;
use crate::domain::alerts::{AlertKey, Rule};
use crate::domain::sightings::{Seen, Trouble};

fn says(world: &mut World, at: i64, trouble: Trouble) {
    world.until(at);
    world.see_from("r1", at, false, Seen::Trouble(trouble));
}

fn hot() -> Trouble {
    Trouble::Exception { message: "too hot".to_owned() }
}

#[test]
fn a_trouble_stands_while_it_is_repeated_and_ten_minutes_more() {
    let mut world = World::new();
    says(&mut world, 10, hot());
    says(&mut world, 500, hot());
    says(&mut world, 500, Trouble::Contended);
    assert_eq!(
        world.alerted(),
        ["10 reader-trouble/r1/exception fired", "500 reader-trouble/r1/contended fired"]
    );
    let key = AlertKey::new(Rule::ReaderTrouble, "r1/exception");
    let summary = &world.tracker.alerts.open(&key).unwrap().summary;
    assert_eq!(summary, "r1 says: too hot");
    let key = AlertKey::new(Rule::ReaderTrouble, "r1/contended");
    let summary = &world.tracker.alerts.open(&key).unwrap().summary;
    assert!(summary.starts_with("r1 says: somebody else tried to connect to it, and"), "{summary}");
    world.events.clear();
    world.until(1099);
    assert!(world.is_firing(Rule::ReaderTrouble, "r1/exception"), "told again at 500");
    world.until(1100);
    assert_eq!(
        world.alerted(),
        ["1100 reader-trouble/r1/contended resolved", "1100 reader-trouble/r1/exception resolved"]
    );
}

#[test]
fn a_trouble_outlives_a_restart_and_then_ends() {
    let mut world = World::new();
    says(&mut world, 10, Trouble::BufferOverflow);
    world.restart(100);
    world.connect();
    world.until(709);
    assert!(world.is_firing(Rule::ReaderTrouble, "r1/overflow"));
    world.until(711);
    assert!(!world.is_firing(Rule::ReaderTrouble, "r1/overflow"));
}

#[test]
fn of_a_clock_it_is_said_how_it_is_and_what_to_do() {
    let mut world = World::new();
    let cases = [
        (Trouble::ClockOff { ahead_s: -172_900 }, "clock", "r1: its clock is 2 days behind ours; "),
        (Trouble::ClockOff { ahead_s: 400 }, "clock", "r1: its clock is 7 min ahead of ours; "),
        (Trouble::ClockDrift { ppm: -500 }, "clock-drift", "r1: its clock loses 1.8 s an hour, more than "),
    ];
    for (trouble, what, expected) in cases {
        says(&mut world, 10, trouble);
        let key = AlertKey::new(Rule::ReaderTrouble, format!("r1/{what}"));
        let summary = &world.tracker.alerts.open(&key).unwrap().summary;
        assert!(summary.starts_with(expected) && summary.contains("(NTP)"), "{summary}");
    }
}
