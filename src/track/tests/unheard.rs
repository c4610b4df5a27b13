use super::world::*;
use crate::domain::alerts::Rule;
use crate::domain::commands::Command;
use crate::domain::register::{Asset, AssetClass, Lifecycle, Record};
use crate::domain::state::StateKind;

const DAY: i64 = 86_400;

fn rules() -> crate::config::Rules {
    let mut rules = super::world::rules();
    rules
        .classes
        .push(AssetClass { tracker_silent_after: Some(secs(3600)), ..AssetClass::new("van".into()) });
    rules
}

/// `T1` with the tracker `van/1`, of which nothing was heard; its class wants to hear of an hour's silence.
fn company() -> World {
    let mut world = World::with(rules());
    world.link("mqtt", true, true);
    world.stock(1..=1, "van");
    world.import(vec![tracker("van/1", "T1")]).unwrap();
    world.events.clear();
    world
}

fn in_state(lifecycle: Lifecycle) -> Vec<Record> {
    vec![Record::Asset(Asset { lifecycle, ..Asset::new("T1".into(), "van".into()) })]
}

fn is_waited_for(world: &World) -> bool {
    world.rows.contains_key(&(StateKind::TrackerUnheard, "van/1".to_owned()))
}

#[test]
fn a_tracker_that_is_never_heard_is_told_of_after_a_day_until_it_speaks() {
    let mut world = company();
    world.until(DAY - 1);
    assert!(world.alerted_of(Rule::TrackerSilent).is_empty());
    world.until(2 * DAY);
    assert_eq!(world.alerted_of(Rule::TrackerSilent), ["86400 tracker-silent/van/1 fired"]);
    let told = world.tracker_alert("van/1").summary;
    assert!(told.starts_with("nothing was heard of tracker van/1 of T1 since "), "{told}");
    assert!(told.contains(" 2026-05-01 08:00 +02, for 24 h of which "), "{told}");
    world.tracker_speaks("van/1", 2 * DAY);
    assert_eq!(world.alerted_of(Rule::TrackerSilent), ["172800 tracker-silent/van/1 resolved"]);
    assert!(!is_waited_for(&world));
    world.until(2 * DAY + 3600);
    assert_eq!(world.alerted_of(Rule::TrackerSilent), ["176400 tracker-silent/van/1 fired"]);
}

#[test]
fn one_that_speaks_in_time_is_silent_by_its_own_silence_alone() {
    let mut world = company();
    world.until(DAY - 100);
    world.tracker_speaks("van/1", DAY - 100);
    world.until(DAY + 3499);
    assert!(world.alerted_of(Rule::TrackerSilent).is_empty());
    world.until(DAY + 3500);
    assert_eq!(world.alerted_of(Rule::TrackerSilent), ["89900 tracker-silent/van/1 fired"]);
}

#[test]
fn only_while_all_that_it_might_speak_through_works_and_across_restarts() {
    let mut rules = rules();
    rules.tracker_sources.insert("teltonika".into());
    let mut world = World::with(rules);
    world.link("mqtt", true, true);
    world.stock(1..=1, "van");
    world.import(vec![tracker("van/1", "T1")]).unwrap();
    // One of the two is not there.
    world.until(3 * DAY);
    world.link("teltonika", true, true);
    world.until(3 * DAY + DAY / 2);
    // A reader has no part in it.
    world.link("r1", false, false);
    world.restart(DAY);
    let back = world.at + 1000;
    world.until(back);
    world.link("mqtt", true, true);
    world.link("teltonika", true, false);
    world.until(back + DAY);
    world.link("teltonika", true, true);
    world.until(back + DAY + DAY / 2 - 1);
    assert!(!world.is_firing(Rule::TrackerSilent, "van/1"));
    world.until(back + DAY + DAY / 2 + 60);
    assert!(world.is_firing(Rule::TrackerSilent, "van/1"));
    world.restart(DAY);
    assert!(world.is_firing(Rule::TrackerSilent, "van/1"));
    world.tracker_speaks("van/1", world.at);
    assert!(!world.is_firing(Rule::TrackerSilent, "van/1"));
}

#[test]
fn what_is_not_in_use_is_told_of_when_it_was_back_for_long_enough() {
    let mut world = company();
    world.until(DAY / 2);
    world.import(in_state(Lifecycle::InMaintenance)).unwrap();
    world.until(DAY + DAY / 2);
    world.import(in_state(Lifecycle::InService)).unwrap();
    world.until(2 * DAY + DAY / 2 - 1);
    assert!(world.alerted_of(Rule::TrackerSilent).is_empty());
    world.until(2 * DAY + DAY / 2);
    assert_eq!(world.alerted_of(Rule::TrackerSilent), ["216000 tracker-silent/van/1 fired"]);
    world.import(in_state(Lifecycle::Retired)).unwrap();
    assert_eq!(world.alerted_of(Rule::TrackerSilent), ["216000 tracker-silent/van/1 resolved"]);
}

#[test]
fn one_that_was_heard_and_left_in_the_workshop_is_waited_for_again() {
    let mut world = company();
    world.tracker_speaks("van/1", 0);
    world.until(600);
    world.import(in_state(Lifecycle::InMaintenance)).unwrap();
    // The class's hour is over: nobody waits for its next message, but for itself.
    world.until(3600);
    assert!(is_waited_for(&world));
    world.import(in_state(Lifecycle::InService)).unwrap();
    world.until(3600 + DAY - 1);
    assert!(world.alerted_of(Rule::TrackerSilent).is_empty());
    world.until(3600 + DAY);
    assert_eq!(world.alerted_of(Rule::TrackerSilent), ["90000 tracker-silent/van/1 fired"]);
}

#[test]
fn what_speaks_in_a_workshop_is_written_down_four_times_a_day_and_no_oftener() {
    let mut world = company();
    world.import(in_state(Lifecycle::InMaintenance)).unwrap();
    let mut rows = Vec::new();
    for at in (0..DAY).step_by(600) {
        world.until(at);
        world.tracker_speaks("van/1", at);
        rows.push(world.rows[&(StateKind::TrackerUnheard, "van/1".to_owned())].clone());
    }
    rows.dedup();
    assert_eq!(rows.len(), 4);
}

#[test]
fn taken_off_its_asset_it_is_not_waited_for() {
    let mut world = company();
    world.until(2 * DAY);
    assert_eq!(world.alerted_of(Rule::TrackerSilent), ["86400 tracker-silent/van/1 fired"]);
    world.command(Command::Remove { table: "tracker".to_owned(), key: "van/1".to_owned() }).unwrap();
    assert_eq!(world.alerted_of(Rule::TrackerSilent), ["172800 tracker-silent/van/1 resolved"]);
    assert!(!is_waited_for(&world));
}

#[test]
fn a_change_of_the_rules_begins_the_wait_and_ends_it() {
    let mut world = World::with(super::world::rules());
    world.link("mqtt", true, true);
    world.stock(1..=1, "tool");
    world.import(vec![tracker("van/1", "T1")]).unwrap();
    world.until(DAY);
    assert!(!is_waited_for(&world), "its class does not want to hear of it");
    for class in &mut world.rules.classes {
        class.tracker_silent_after = Some(secs(3600));
    }
    world.tracker.set_rules(&world.rules);
    world.until(2 * DAY);
    assert_eq!(world.alerted_of(Rule::TrackerSilent), ["172800 tracker-silent/van/1 fired"]);
    world.rules.tracker.unheard_after = None;
    world.tracker.set_rules(&world.rules);
    world.until(2 * DAY + 1);
    assert_eq!(world.alerted_of(Rule::TrackerSilent), ["172800 tracker-silent/van/1 resolved"]);
    assert!(!is_waited_for(&world));
}
