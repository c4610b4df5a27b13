use super::world::*;
use crate::domain::alerts::Rule;
use crate::domain::register::{Asset, AssetClass, Record, TagAttachment};
use crate::domain::sightings::Direction::{In, Out};

/// A kit `K` (tag 1) with the parts `P2` to `P4` (tags 2 to 4), and `P9` without a tag.
fn company() -> World {
    let mut world = World::with_class(AssetClass::new("kit".into()));
    let part = |name: &str| {
        let asset = Asset { home_zone: Some("crib".into()), ..Asset::new(name.into(), "tool".into()) };
        Record::Asset(Asset { part_of: Some("K".into()), ..asset })
    };
    let tag = |number: u16, asset: &str| Record::Tag(TagAttachment::on_asset(epc(number), asset));
    let mut records = vec![asset("K", "kit"), tag(1, "K"), part("P9")];
    records.extend((2..=4).flat_map(|n| [part(&format!("P{n}")), tag(n, &format!("P{n}"))]));
    world.import(records).unwrap();
    for number in 1..=4 {
        world.arrive(number, "CRIB");
    }
    world.events.clear();
    world
}

#[test]
fn a_kit_that_leaves_without_a_part_is_told_when_the_parts_had_their_time() {
    for restart in [false, true] {
        let mut world = company();
        world.until(100);
        world.pass(2, "DOCK", Out);
        world.until(160);
        world.pass(1, "DOCK", Out);
        if restart {
            world.restart(0);
            world.connect();
        }
        world.until(200);
        world.pass(3, "DOCK", Out);
        world.refresh(4, "CRIB");
        world.until(400);
        assert_eq!(
            world.alerted_of(Rule::KitIncomplete),
            ["280 kit-incomplete/K fired"],
            "restart: {restart}"
        );
        world.pass(4, "DOCK", Out);
        assert_eq!(world.alerted_of(Rule::KitIncomplete), ["400 kit-incomplete/K resolved"]);
    }
}

#[test]
fn a_kit_that_is_back_is_no_matter_any_more() {
    let mut world = company();
    world.pass(1, "DOCK", Out);
    world.until(60);
    world.pass(1, "DOCK", In);
    world.until(300);
    assert!(world.alerted_of(Rule::KitIncomplete).is_empty());
    world.pass(1, "DOCK", Out);
    world.until(420);
    world.pass(1, "DOCK", In);
    assert_eq!(
        world.alerted_of(Rule::KitIncomplete),
        ["420 kit-incomplete/K fired", "420 kit-incomplete/K resolved"]
    );
}

#[test]
fn parts_in_the_closed_case_fall_silent_and_are_with_it() {
    let mut world = company();
    world.until(50);
    world.pass(1, "DOCK", Out);
    world.until(80);
    for number in 2..=4 {
        world.presence_at(50, false, number, "CRIB", crate::domain::sightings::PresenceChange::Departed);
    }
    world.until(1000);
    assert!(world.alerted_of(Rule::KitIncomplete).is_empty());
}

#[test]
fn while_a_passage_may_lie_unread_nothing_is_said() {
    let mut world = company();
    world.pass(1, "DOCK", Out);
    world.pass(2, "DOCK", Out);
    world.pass(3, "DOCK", Out);
    world.until(60);
    world.link("r2", true, false);
    world.until(200);
    assert!(!world.is_firing(Rule::KitIncomplete, "K"));
    world.pass_at(70, false, 4, "DOCK", Out);
    world.link("r2", true, true);
    world.until(1000);
    assert!(world.alerted_of(Rule::KitIncomplete).is_empty());
}
