use super::world::*;
use crate::config::{Rules, ZombieRules};
use crate::domain::alerts::Rule;
use crate::domain::commands::Command;
use crate::domain::epc_pattern::EpcPattern;
use crate::domain::register::{Asset, Lifecycle, Record};
use crate::domain::sightings::Direction::{In, Out};

fn company(adjust: impl FnOnce(&mut ZombieRules)) -> World {
    let mut rules: Rules = rules();
    let zombie = &mut rules.alerts.assets.zombie;
    *zombie = ZombieRules { heard_for: secs(60), gone_after: secs(300), ..zombie.clone() };
    adjust(zombie);
    World::with(rules)
}

fn zombie(number: u16, at: i64, transition: &str) -> String {
    format!("{at} zombie/{} {transition}", epc(number))
}

#[test]
fn a_stranger_that_stays_is_told_once_and_resolved_when_it_has_gone() {
    let mut world = company(|_| {});
    world.arrive(7, "CRIB");
    world.hear_until(50, &[7], "CRIB");
    assert!(world.alerted_of(Rule::Zombie).is_empty());
    world.hear_until(200, &[7], "CRIB");
    assert_eq!(world.alerted_of(Rule::Zombie), [zombie(7, 60, "fired")]);
    world.restart(0);
    world.connect();
    world.refresh(7, "CRIB");
    world.until(210);
    world.depart(7, "CRIB");
    world.until(400);
    world.arrive(7, "ANNEX");
    world.until(1000);
    assert!(world.alerted_of(Rule::Zombie).is_empty(), "it has not left, as far as anybody heard");
    world.depart(7, "ANNEX");
    world.until(2000);
    assert_eq!(world.alerted_of(Rule::Zombie), [zombie(7, 700, "resolved")]);
    assert!(!world.rows.keys().any(|(kind, _)| *kind == crate::domain::state::StateKind::Stranger));
}

#[test]
fn a_pallet_of_strangers_that_passes_is_nothing_and_one_that_stays_is_told_in_few_words() {
    let mut world = company(|zombie| zombie.single_alerts = 3);
    let pallet: Vec<u16> = (500..600).collect();
    pallet.iter().for_each(|tag| world.pass(*tag, "DOCK", In));
    pallet.iter().for_each(|tag| world.arrive(*tag, "CRIB"));
    world.until(20);
    pallet.iter().for_each(|tag| world.depart(*tag, "CRIB"));
    world.until(600);
    assert!(world.alerted_of(Rule::Zombie).is_empty());
    pallet.iter().for_each(|tag| world.arrive(*tag, "CRIB"));
    world.hear_until(700, &pallet, "CRIB");
    assert_eq!(
        world.alerted_of(Rule::Zombie),
        [
            zombie(500, 660, "fired"),
            zombie(501, 660, "fired"),
            zombie(502, 660, "fired"),
            "660 zombie/at CRIB fired".to_owned()
        ]
    );
    world.restart(0);
    pallet.iter().for_each(|tag| world.depart(*tag, "CRIB"));
    world.until(2000);
    let over = world.alerted_of(Rule::Zombie);
    assert!(over.contains(&"1000 zombie/at CRIB resolved".to_owned()), "{over:?}");
    assert_eq!(over.iter().filter(|line| line.ends_with("resolved")).count(), 4);
}

#[test]
fn more_strangers_than_are_followed_are_not_followed() {
    let mut world = company(|zombie| zombie.max_tags = 5);
    (500..600).for_each(|tag| world.arrive(tag, "CRIB"));
    let rows = world.rows.keys().filter(|(kind, _)| *kind == crate::domain::state::StateKind::Stranger);
    assert_eq!(rows.count(), 5);
}

#[test]
fn what_is_registered_or_ignored_is_no_stranger() {
    let mut world = company(|_| {});
    world.stock(1..=1, "tool");
    for tag in [7, 8, 9] {
        world.arrive(tag, "CRIB");
    }
    world.hear_until(60, &[7, 8, 9], "CRIB");
    assert_eq!(
        world.alerted_of(Rule::Zombie),
        [zombie(7, 60, "fired"), zombie(8, 60, "fired"), zombie(9, 60, "fired")]
    );
    world.command(Command::Commission { epc: epc(7), asset: "T1".into(), replaces: None }).unwrap();
    assert_eq!(world.alerted_of(Rule::Zombie), [zombie(7, 60, "resolved")]);
    world.rules.alerts.assets.zombie.ignore = vec![EpcPattern::parse(&epc(8).to_string()).unwrap()];
    world.tracker.set_rules(&world.rules.clone());
    world.until(61);
    assert_eq!(world.alerted_of(Rule::Zombie), [zombie(8, 60, "resolved")]);
    world.hear_until(200, &[7, 8], "CRIB");
    assert!(world.alerted_of(Rule::Zombie).is_empty());
}

#[test]
fn a_disposed_asset_that_passes_a_door_is_told() {
    let mut world = company(|_| {});
    let old = Asset::new("OLD".into(), "tool".into());
    world.import(vec![Record::Asset(old.clone()), tag(7, "OLD")]).unwrap();
    world.import(vec![Record::Asset(Asset { lifecycle: Lifecycle::Disposed, ..old })]).unwrap();
    world.pass(7, "DOCK", Out);
    world.until(60);
    world.pass(7, "DOCK", In);
    assert_eq!(world.alerted_of(Rule::Zombie), [zombie(7, 0, "fired")]);
    world.until(1000);
    assert_eq!(world.alerted_of(Rule::Zombie), [zombie(7, 360, "resolved")]);
}

#[test]
fn what_a_reader_held_back_is_told_of_only_if_it_still_stays() {
    let mut world = company(|_| {});
    world.at = 5000;
    world.link("r1", true, false);
    for at in [100, 200, 300] {
        world.presence_at(at, false, 7, "CRIB", crate::domain::sightings::PresenceChange::Refreshed);
    }
    world.link("r1", true, true);
    assert!(world.alerted_of(Rule::Zombie).is_empty());
    world.refresh(7, "CRIB");
    assert_eq!(world.alerted_of(Rule::Zombie), [zombie(7, 5000, "fired")]);
}

#[test]
fn a_reader_that_is_down_explains_the_strangers_that_it_heard_and_no_others() {
    let mut world = company(|_| {});
    world.arrive(7, "CRIB");
    world.arrive(8, "CRIB-B");
    world.hear_until(70, &[7], "CRIB");
    world.refresh(8, "CRIB-B");
    assert!(world.is_firing(Rule::Zombie, &epc(7).to_string()));
    assert!(world.is_firing(Rule::Zombie, &epc(8).to_string()));
    world.alerted();
    world.link("r1", false, false);
    world.until(200);
    assert!(world.is_firing(Rule::ReaderDown, "r1"));
    let told = world.alerted_of(Rule::Zombie);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].ends_with(&format!("zombie/{} inhibited", epc(7))), "{told:?}");
    world.link("r1", true, true);
    let told = world.alerted_of(Rule::Zombie);
    assert!(told.iter().any(|line| line.ends_with(&format!("zombie/{} uninhibited", epc(7)))), "{told:?}");
}
