use super::world::*;
use crate::config::AntennaConfig;
use crate::domain::alerts::{AlertKey, Rule};
use crate::domain::sightings::{AntennaSilence, Seen};

/// A crib with two antennas of `r1`, both hearing; assets `T1` to `T6`.
fn world() -> World {
    let mut rules = rules();
    rules.read_points[0].antennas.push(AntennaConfig { source: "r1".into(), antenna: 2, inside: true });
    let mut world = World::with(rules);
    hear(&mut world, true);
    world.stock(1..=6, "tool");
    world.events.clear();
    world
}

fn hear(world: &mut World, both: bool) {
    world.hearing("CRIB#1", true);
    world.hearing("CRIB#2", both);
}

fn antenna(world: &mut World, number: u16, silence: Option<AntennaSilence>) {
    let ear = format!("CRIB#{number}");
    if silence.is_some() {
        world.hearing(&ear, false);
    }
    let what = Seen::Antenna { source: "r1".into(), antenna: number, ear: ear.as_str().into(), silence };
    world.see_from("r1", world.at, false, what);
    if silence.is_none() {
        world.hearing(&ear, true);
    }
}

#[test]
fn what_only_a_silent_antenna_heard_is_no_ghost_and_the_alert_names_the_antenna() {
    let mut world = world();
    world.arrive(1, "CRIB#1");
    world.arrive(2, "CRIB#2");
    world.hear_until(20, &[1], "CRIB#1");
    antenna(&mut world, 2, Some(AntennaSilence::Traffic));
    world.hear_until(500, &[1], "CRIB#1");
    // When the tool would have been a ghost.
    assert_eq!(world.alerted(), ["20 reader-down/r1/2 pending", "60 reader-down/r1/2 fired"]);
    let key = AlertKey::new(Rule::ReaderDown, "r1/2");
    let summary = world.tracker.alerts.open(&key).unwrap().summary.clone();
    assert!(summary.starts_with("antenna 2 of r1 at CRIB has heard nothing since"), "{summary}");
    antenna(&mut world, 2, None);
    world.hear_until(600, &[1], "CRIB#1");
    assert_eq!(world.alerted(), ["500 reader-down/r1/2 resolved", "540 ghost/T2 fired"]);
}

#[test]
fn the_clock_of_what_another_antenna_heard_goes_on() {
    let mut world = world();
    world.arrive(1, "CRIB#1");
    world.arrive(2, "CRIB#1");
    antenna(&mut world, 2, Some(AntennaSilence::Disconnected));
    world.hear_until(70, &[1], "CRIB#1");
    let mut told = world.alerted();
    told.sort();
    assert_eq!(told, ["0 reader-down/r1/2 pending", "30 reader-down/r1/2 fired", "60 ghost/T2 fired"]);
}

#[test]
fn what_two_antennas_heard_lately_waits_for_both() {
    let mut world = world();
    world.arrive(1, "CRIB#1");
    world.at = 10;
    world.refresh(1, "CRIB#2");
    world.until(20);
    antenna(&mut world, 1, Some(AntennaSilence::Traffic));
    world.until(500);
    antenna(&mut world, 1, None);
    world.events.clear();
    world.until(550);
    assert_eq!(world.alerted(), ["550 ghost/T1 fired"]);
}

#[test]
fn a_silent_antenna_on_which_nothing_hangs_is_nobodys_business() {
    let mut world = world();
    world.arrive(1, "CRIB#1");
    antenna(&mut world, 2, Some(AntennaSilence::Traffic));
    world.hear_until(500, &[1], "CRIB#1");
    assert_eq!(world.alerted(), [""; 0]);
    // One that hangs on it, until it is checked out.
    let mut world = self::world();
    world.arrive(2, "CRIB#2");
    antenna(&mut world, 2, Some(AntennaSilence::Traffic));
    world.until(200);
    world.check_out("T2", None).unwrap();
    let told = ["0 reader-down/r1/2 pending", "60 reader-down/r1/2 fired", "200 reader-down/r1/2 resolved"];
    assert_eq!(world.alerted(), told);
}

#[test]
fn a_reader_that_is_down_explains_its_antennas() {
    let mut world = world();
    antenna(&mut world, 2, Some(AntennaSilence::Disconnected));
    world.until(40);
    world.link("r1", false, false);
    world.until(100);
    let told = world.alerted();
    assert!(told.contains(&"70 reader-down/r1/2 inhibited".to_owned()), "{told:?}");
}

#[test]
fn an_antenna_that_the_rules_no_longer_have_is_not_missed() {
    let mut world = world();
    antenna(&mut world, 2, Some(AntennaSilence::Disconnected));
    world.until(40);
    world.events.clear();
    world.tracker.set_rules(&rules());
    world.until(41);
    assert_eq!(world.alerted(), ["40 reader-down/r1/2 resolved"]);
}

#[test]
fn clocks_of_antennas_go_on_over_a_restart() {
    let mut world = world();
    world.arrive(2, "CRIB#2");
    world.until(30);
    world.restart(100);
    world.connect();
    world.until(300);
    assert!(!world.is_firing(Rule::Ghost, "T2"), "its antenna has not been heard of yet");
    hear(&mut world, true);
    world.until(400);
    assert!(world.is_firing(Rule::Ghost, "T2"));
}
