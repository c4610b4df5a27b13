use super::world::*;
use crate::domain::alerts::{AlertKey, Rule};
use crate::domain::commands::{Command, Refused};
use crate::domain::events::EventBody;
use crate::domain::health::Health;

fn key(text: &str) -> AlertKey {
    AlertKey::parse(text).unwrap()
}

#[test]
fn a_source_that_stays_down_is_an_alert_and_a_short_break_is_none() {
    let mut world = World::new();
    world.link("r1", false, false);
    world.until(29);
    world.link("r1", true, true);
    world.until(100);
    world.link("r1", false, false);
    world.until(200);
    world.link("r1", true, true);
    assert_eq!(
        world.told(),
        [
            "0 source:r1 link false",
            "0 reader-down/r1 pending",
            "29 source:r1 link true",
            "29 reader-down/r1 cancelled",
            "100 source:r1 link false",
            "100 reader-down/r1 pending",
            "130 reader-down/r1 fired",
            "200 source:r1 link true",
            "200 reader-down/r1 resolved",
        ]
    );
}

#[test]
fn a_reader_down_explains_the_ghosts_that_hang_on_it() {
    let mut world = World::stocked(1, "tool");
    world.arrive(1, "CRIB");
    world.until(60);
    world.link("r1", false, false);
    world.hearing("CRIB", false);
    world.until(100);
    assert_eq!(world.current("T1").ghost_since, Some(t(60)));
    world.link("r1", true, true);
    let told: Vec<_> = world.alerted();
    assert_eq!(
        told,
        [
            "60 ghost/T1 fired",
            "60 reader-down/r1 pending",
            "90 reader-down/r1 fired",
            "90 ghost/T1 inhibited",
            "90 reader-down/r1 explains",
            "100 reader-down/r1 resolved",
            "100 ghost/T1 uninhibited",
        ]
    );
}

#[test]
fn a_source_that_never_came_after_a_start_is_an_alert_and_one_firing_fires_on() {
    let mut world = World::new();
    world.link("r2", false, false);
    world.until(100);
    world.events.clear();
    world.restart(500);
    for source in ["r1", "cold-1"] {
        world.link(source, true, true);
    }
    world.until(700);
    let told = world.told();
    assert_eq!(told[0], "600 node gap from 100 tallyman was not running");
    assert!(told.contains(&"630 reader-down/r3 fired".to_owned()), "{told:?}");
    assert!(!told.iter().any(|line| line.contains("reader-down/r2")), "{told:?}");
    assert!(world.is_firing(Rule::ReaderDown, "r2"));
}

#[test]
fn people_acknowledge_and_snooze_what_is_open_and_nothing_else() {
    let mut world = World::new();
    let acknowledge =
        || Command::Acknowledge { alert: key("reader-down/r1"), note: Some("on it".to_owned()) };
    let snooze = |until| Command::Snooze { alert: key("reader-down/r1"), until };
    assert!(matches!(world.command(acknowledge()), Err(Refused::NotFound { .. })));
    assert!(matches!(world.command(snooze(t(99))), Err(Refused::NotFound { .. })));
    world.link("r1", false, false);
    world.until(40);
    world.command(acknowledge()).unwrap();
    world.command(snooze(t(60))).unwrap();
    let open = world.tracker.alerts.open(&key("reader-down/r1")).unwrap();
    assert!(!open.notifies(t(50)) && open.acknowledged.as_ref().unwrap().by == "ann");
    world.until(70);
    world.command(snooze(t(500))).unwrap();
    world.command(snooze(t(0))).unwrap();
    assert_eq!(world.command(snooze(t(0))).unwrap().unchanged, 1);
    world.command(snooze(t(500))).unwrap();
    world.link("r1", true, true);
    world.until(600);
    assert_eq!(
        world.alerted(),
        [
            "0 reader-down/r1 pending",
            "30 reader-down/r1 fired",
            "40 reader-down/r1 acknowledged",
            "40 reader-down/r1 snoozed",
            "60 reader-down/r1 unsnoozed",
            "70 reader-down/r1 snoozed",
            "70 reader-down/r1 unsnoozed",
            "70 reader-down/r1 snoozed",
            "70 reader-down/r1 resolved",
        ]
    );
}

#[test]
fn opened_again_it_is_a_new_incident_linked_to_the_one_that_fired() {
    let mut world = World::new();
    let mut incidents = Vec::new();
    // Fires; is cancelled; fires.
    for (down, up) in [(0, 100), (200, 210), (300, 400)] {
        world.until(down);
        world.link("r1", false, false);
        let open = world.tracker.alerts.open(&key("reader-down/r1")).unwrap();
        incidents.push((open.incident, open.previous_incident));
        world.until(up);
        world.link("r1", true, true);
    }
    assert_eq!(incidents[0].1, None);
    assert_eq!(incidents[1].1, Some(incidents[0].0));
    assert_eq!(incidents[2].1, Some(incidents[0].0));
    assert!(incidents[0].0 != incidents[1].0 && incidents[1].0 != incidents[2].0);
    // The row is the latest that fired.
    let row = &world.rows[&(crate::domain::state::StateKind::Alert, "reader-down/r1".to_owned())];
    let alert: crate::domain::alerts::Alert = serde_json::from_slice(row).unwrap();
    assert_eq!((alert.incident, alert.resolved_at), (incidents[2].0, Some(t(400))));
}

#[test]
fn flapping_within_one_instant_gives_every_event_its_own_id() {
    let mut world = World::new();
    for _ in 0..3 {
        world.link("r1", false, false);
        world.link("r1", true, true);
    }
    let ids: std::collections::BTreeSet<_> = world.events.iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), world.events.len());
}

#[test]
fn a_pending_alert_begins_to_wait_anew_after_a_restart() {
    let mut world = World::new();
    world.quality(crate::domain::readings::Quality::SensorFailure);
    world.until(50);
    world.restart(100);
    world.connect();
    world.events.clear();
    world.until(209);
    assert!(world.alerted().is_empty());
    world.until(210);
    assert_eq!(world.alerted(), ["210 sensor-bad/cold-1/temp fired"]);
}

#[test]
fn the_daemons_own_trouble_is_an_alert_whose_words_may_change() {
    let mut world = World::new();
    for problem in [Some("80 % full"), Some("90 % full"), None] {
        let health = Health {
            rule: Rule::Journal,
            subject: "usage".to_owned(),
            site: None,
            problem: problem.map(str::to_owned),
        };
        world.tracker.health(health, t(world.at), &mut world.events);
        if let Some(problem) = problem {
            assert_eq!(world.tracker.alerts.open(&key("journal/usage")).unwrap().summary, problem);
        }
    }
    assert_eq!(world.alerted(), ["0 journal/usage fired", "0 journal/usage resolved"]);
}

#[test]
fn an_accepted_command_is_journaled_with_who_gave_it() {
    let mut world = World::stocked(1, "tool");
    world.check_out("T1", None).unwrap();
    let EventBody::Command { by, command: Command::Checkout { .. } } = &world.events[0].body else {
        panic!("{:?}", world.events[0].body)
    };
    assert_eq!(by, "ann");
}
