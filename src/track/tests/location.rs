use super::world::*;
use crate::config::Rules;
use crate::domain::events::{Event, EventBody};
use crate::domain::ids::FenceId;
use crate::domain::register::{Record, TrackerAttachment};
use crate::domain::sightings::{Direction, FenceChange, PresenceChange, Seen, Weighed};
use crate::domain::state::Location;

fn zone(name: &str) -> Location {
    Location::Zone(name.into())
}

#[test]
fn presence_places_and_departure_leaves_the_answer_with_a_reason() {
    let mut world = World::stocked(1, "tool");
    world.arrive(1, "CRIB");
    world.hear_until(30, &[1], "CRIB");
    world.until(45);
    world.depart(1, "CRIB");
    assert_eq!(world.told(), ["0 asset:T1 Arrived CRIB", "45 asset:T1 Departed CRIB"]);
    let current = world.current("T1");
    assert_eq!((current.location, current.since), (zone("crib"), Some(t(0))));
    assert_eq!(current.last_sensed.unwrap().at, t(30));
    assert_eq!(&*current.reason, "last heard at CRIB, not heard since 2026-05-01 08:00 +02");
}

#[test]
fn a_passage_leads_from_zone_to_zone_and_out_to_nowhere() {
    let mut world = World::stocked(1, "tool");
    world.pass(1, "DOCK", Direction::Out);
    assert_eq!(world.current("T1").location, zone("yard"));
    world.at = 60;
    world.pass(1, "GATE", Direction::Out);
    assert_eq!(world.current("T1").location, Location::OutThrough("GATE".into()));
    assert_eq!(world.current("T1").confidence, Some(0.9));
    world.at = 120;
    world.pass(1, "GATE", Direction::In);
    let told = world.told();
    assert_eq!(
        told,
        ["0 asset:T1 Out DOCK crib>yard", "60 asset:T1 Out GATE yard>-", "120 asset:T1 In GATE ->yard"]
    );
}

#[test]
fn two_tags_of_one_asset_make_one_passage_and_a_restart_does_not_split_it() {
    for restart in [false, true] {
        let mut world = World::stocked(1, "tool");
        world.import(vec![tag(101, "T1")]).unwrap();
        world.pass(1, "DOCK", Direction::Out);
        if restart {
            world.restart(0);
        }
        world.at = 6;
        world.pass_at(4, false, 101, "DOCK", Direction::Out);
        // The same tag again, the other way, and the other tag beyond the window are passages.
        world.pass_at(6, false, 101, "DOCK", Direction::In);
        world.pass_at(12, false, 101, "DOCK", Direction::Out);
        let told: Vec<_> = world.told().into_iter().filter(|line| line.contains("DOCK")).collect();
        assert_eq!(
            told,
            [
                "0 asset:T1 Out DOCK crib>yard",
                "6 asset:T1 In DOCK yard>crib",
                "12 asset:T1 Out DOCK crib>yard"
            ],
            "restart: {restart}"
        );
    }
}

#[test]
fn older_and_late_sightings_are_told_and_move_nothing() {
    let mut world = World::stocked(1, "tool");
    world.at = 100;
    world.arrive(1, "ANNEX");
    world.pass_at(90, false, 1, "DOCK", Direction::Out);
    world.presence_at(120, true, 1, "CRIB", PresenceChange::Arrived);
    assert_eq!(
        world.told(),
        ["100 asset:T1 Arrived ANNEX", "90 asset:T1 Out DOCK crib>yard", "120 asset:T1 Arrived CRIB late"]
    );
    let current = world.current("T1");
    assert_eq!((current.location, current.last_sensed.unwrap().at), (zone("annex"), t(100)));
}

#[test]
fn what_a_source_held_back_does_not_move_what_was_confirmed_since() {
    let mut world = World::stocked(1, "tool");
    world.import(vec![tracker("van/1", "T1")]).unwrap();
    world.arrive(1, "CRIB");
    world.at = 100;
    world.refresh(1, "CRIB");
    // Older than the last hearing by more than reads straggle, though newer than the arrival.
    world.pass_at(50, false, 1, "DOCK", Direction::Out);
    assert_eq!(world.current("T1").location, zone("crib"));
    world.presence_at(60, false, 1, "ANNEX", PresenceChange::Arrived);
    assert_eq!(world.current("T1").location, zone("crib"));
    world.presence_at(61, false, 1, "ANNEX", PresenceChange::Departed);
    world.depart(1, "CRIB");
    let fix = world.fix_of("van/1", 70);
    world.see_from("mqtt", 70, false, Seen::Fix { fix, inside: None, stands: None });
    assert_eq!(world.current("T1").location, zone("crib"));
    assert_eq!(world.current("T1").last_sensed.unwrap().at, t(100));
    // A door's antenna and the crib's hear the same steps: that far back a passage still tells the truth.
    world.pass_at(91, false, 1, "DOCK", Direction::Out);
    assert_eq!(world.current("T1").location, zone("yard"));
}

#[test]
fn a_straggling_read_after_a_passage_does_not_bring_it_back_but_lasting_presence_does() {
    let mut world = World::stocked(1, "tool");
    world.arrive(1, "CRIB");
    world.at = 20;
    world.pass(1, "DOCK", Direction::Out);
    world.at = 21;
    world.refresh(1, "CRIB");
    assert_eq!(world.current("T1").location, zone("yard"));
    world.at = 31;
    world.refresh(1, "CRIB");
    assert_eq!(world.current("T1").location, zone("crib"));
    assert_eq!(world.told().last().unwrap(), "31 asset:T1 Refreshed CRIB");
}

#[test]
fn what_is_not_on_the_register_is_told_by_its_own_name_and_has_no_answer() {
    let mut world = World::new();
    world.arrive(9, "CRIB");
    world.refresh(9, "CRIB");
    world.pass(9, "DOCK", Direction::Out);
    world.fix("van/1");
    world.fence("van/1", "depot", FenceChange::Entered);
    let tag = epc(9);
    assert_eq!(
        world.told(),
        [
            format!("0 tag:{tag} Arrived CRIB"),
            format!("0 tag:{tag} Out DOCK crib>yard"),
            "0 device:van/1 fix".to_owned(),
            "0 device:van/1 Entered depot".to_owned(),
        ]
    );
    assert!(!world.rows.keys().any(|(kind, _)| *kind == crate::domain::state::StateKind::Asset));
    // Registered while present: the next refresh places it, and nothing is told of before.
    world.stock(9..=9, "tool");
    world.at = 10;
    world.refresh(9, "CRIB");
    assert_eq!(world.told(), ["10 asset:T9 Refreshed CRIB"]);
    assert_eq!(world.current("T9").since, Some(t(10)));
}

#[test]
fn fixes_move_a_tracked_asset_and_fences_with_a_zone_mean_the_zone() {
    let mut world = World::stocked(1, "tool");
    world.import(vec![tracker("van/1", "T1")]).unwrap();
    world.fix("van/1");
    assert!(matches!(world.current("T1").location, Location::At(_)));
    world.at = 10;
    world.fence("van/1", "depot", FenceChange::Entered);
    assert!(matches!(world.current("T1").location, Location::At(_)));
    world.at = 20;
    world.fence("van/1", "hq-yard", FenceChange::Entered);
    world.at = 30;
    world.fix("van/1");
    let current = world.current("T1");
    assert_eq!((current.location, current.since), (zone("yard"), Some(t(20))));
    assert_eq!(current.fences, ["depot".into(), "hq-yard".into()]);
    world.at = 40;
    world.fence("van/1", "hq-yard", FenceChange::Exited);
    assert!(matches!(world.current("T1").location, Location::At(_)));
    assert_eq!(
        world.told(),
        [
            "0 asset:T1 fix",
            "10 asset:T1 Entered depot",
            "20 asset:T1 Entered hq-yard",
            "30 asset:T1 fix",
            "40 asset:T1 Exited hq-yard"
        ]
    );
}

#[test]
fn a_fence_that_was_taken_out_meanwhile_holds_nothing_when_it_is_back() {
    let mut world = World::stocked(1, "tool");
    world.import(vec![tracker("van/1", "T1")]).unwrap();
    world.fence("van/1", "depot", FenceChange::Entered);
    world.fence("van/1", "hq-yard", FenceChange::Entered);
    let without = Rules {
        fences: rules().fences.into_iter().filter(|fence| fence.name != "hq-yard".into()).collect(),
        ..rules()
    };
    for (at, rules) in [(10, without), (20, rules())] {
        world.tracker.set_rules(&rules);
        world.until(at);
        world.fix("van/1");
        let current = world.current("T1");
        assert!(matches!(current.location, Location::At(_)), "{current:?}");
        assert_eq!(current.fences, ["depot".into()]);
    }
}

#[test]
fn another_tracker_was_not_where_the_one_before_it_was() {
    let on = |device: &str| TrackerAttachment::on_asset(device.into(), "T1");
    // Also where its tag was read meanwhile; and what the other says at once of a fence stays.
    for (is_read, tells_of_a_fence) in [(false, false), (true, false), (false, true)] {
        let mut world = World::stocked(1, "tool");
        world.import(vec![Record::Tracker(on("van/1")), Record::Tracker(on("van/2"))]).unwrap();
        world.fix_in("van/1", &[]);
        world.fence("van/1", "hq-yard", FenceChange::Entered);
        let until = TrackerAttachment { to: Some(t(25)), ..on("van/1") };
        world.at = 10;
        world.fix_in("van/2", &[]);
        assert_eq!(world.current("T1").location, zone("yard"), "both are on it");
        world.at = 20;
        world.fix_in("van/1", &["hq-yard"]);
        world.import(vec![Record::Tracker(until)]).unwrap();
        if is_read {
            world.arrive(1, "CRIB");
        }
        world.at = 30;
        world.fix_in("van/2", &[]);
        if tells_of_a_fence {
            world.fence("van/2", "depot", FenceChange::Entered);
        }
        let current = world.current("T1");
        let fences: &[FenceId] = if tells_of_a_fence { &["depot".into()] } else { &[] };
        assert_eq!(current.fences, fences);
        assert_eq!(matches!(current.location, Location::At(_)), !is_read, "{current:?}");
    }
}

#[test]
fn a_fence_that_late_fixes_say_was_entered_places_the_newest_fix_as_well() {
    let mut world = World::stocked(1, "tool");
    world.import(vec![tracker("van/1", "T1")]).unwrap();
    world.at = 100;
    world.fix("van/1");
    assert!(matches!(world.current("T1").location, Location::At(_)));
    let fix = world.fix_of("van/1", 40);
    let (device, fence) = ("van/1".into(), "hq-yard".into());
    let entered = Seen::Fence { device, fence, change: FenceChange::Entered, fix, inferred: false };
    world.see_from("mqtt", 40, false, entered);
    let current = world.current("T1");
    assert_eq!((current.location, current.since), (zone("yard"), Some(t(40))));
}

/// The first of two fixes that agree is the crossing; the second has been here when it is told.
#[test]
fn a_fence_that_was_left_places_the_newest_fix_outside_at_once() {
    let mut world = World::stocked(1, "tool");
    world.import(vec![tracker("van/1", "T1")]).unwrap();
    let crosses = |world: &mut World, at: i64, change: FenceChange| {
        for second in [at, at + 10] {
            world.at = second;
            world.fix("van/1");
        }
        let fix = world.fix_of("van/1", at);
        let (device, fence) = ("van/1".into(), "hq-yard".into());
        world.see_from("mqtt", at, false, Seen::Fence { device, fence, change, fix, inferred: false });
    };
    crosses(&mut world, 40, FenceChange::Entered);
    assert_eq!(world.current("T1").location, zone("yard"));
    crosses(&mut world, 100, FenceChange::Exited);
    let current = world.current("T1");
    assert_eq!(current.location, Location::At(world.fix_of("van/1", 110).position));
    // A tag that is heard says more of where it is than a fence that was left.
    world.at = 200;
    world.arrive(1, "CRIB");
    crosses(&mut world, 210, FenceChange::Entered);
    crosses(&mut world, 230, FenceChange::Exited);
    assert_eq!(world.current("T1").location, zone("crib"));
}

#[test]
fn a_fix_does_not_take_an_asset_from_where_its_tag_is_heard() {
    let mut world = World::stocked(1, "tool");
    world.import(vec![tracker("van/1", "T1")]).unwrap();
    world.arrive(1, "CRIB");
    world.at = 5;
    world.fix("van/1");
    assert_eq!(world.current("T1").location, zone("crib"));
    // Nobody hears there any longer: then the fix is what we have.
    world.hearing("CRIB", false);
    world.fix("van/1");
    assert!(matches!(world.current("T1").location, Location::At(_)));
}

#[test]
fn ten_thousand_assets_and_a_sighting_touches_one_row() {
    let mut world = World::stocked(10_000, "tool");
    for number in 1..=10_000 {
        world.arrive(number, "CRIB");
    }
    world.at = 10;
    let what = crate::domain::sightings::Seen::Presence {
        epc: epc(77),
        read_point: "CRIB".into(),
        change: PresenceChange::Refreshed,
        ears: Default::default(),
        beside: false,
        weighed: None,
    };
    let sighting = crate::domain::sightings::Sighting {
        source: "r1".into(),
        observed_at: t(10),
        received_at: t(10),
        late: false,
        what,
    };
    world.tracker.sighting(sighting, &mut world.events);
    let mut rows = Vec::new();
    world.tracker.take_dirty(&mut rows);
    assert_eq!(rows.iter().map(|row| row.key.as_str()).collect::<Vec<_>>(), ["T77"]);
}

/// An antenna hears into the zone beside its own.
#[test]
fn what_is_heard_beside_moves_nothing_until_it_is_heard_better() {
    let mut world = World::stocked(1, "tool");
    world.arrive(1, "CRIB");
    world.at = 5;
    world.beside(1, "ANNEX", PresenceChange::Arrived);
    world.at = 60;
    world.beside(1, "ANNEX", PresenceChange::Refreshed);
    assert_eq!(world.current("T1").location, zone("crib"));
    assert_eq!(world.current("T1").last_sensed.unwrap().at, t(60));
    world.at = 61;
    let weighed =
        Weighed { against: "CRIB".into(), here_dbm: Some(-52.0), there_dbm: Some(-66.4), silent_s: 3.0 };
    world.takes(1, "ANNEX", weighed);
    let current = world.current("T1");
    assert_eq!(current.location, zone("annex"));
    let why = "heard better at ANNEX than at CRIB (-52 against -66 dBm, 3 s not heard there)";
    assert_eq!(current.reason.to_string(), why);
    // Who had it falls silent: it has not left.
    world.at = 70;
    world.beside(1, "CRIB", PresenceChange::Departed);
    assert_eq!(world.current("T1").reason.to_string(), why);
    let zones = world.events.iter().filter_map(|event| match &event.body {
        EventBody::Presence { change, zone, beside, .. } => {
            Some((*change, zone.as_ref().map(ToString::to_string), *beside))
        }
        _ => None,
    });
    let told: Vec<_> = zones.collect();
    assert_eq!(
        told,
        [
            (PresenceChange::Arrived, Some("crib".to_owned()), false),
            (PresenceChange::Arrived, None, true),
            (PresenceChange::Moved, Some("annex".to_owned()), false),
            (PresenceChange::Departed, None, true),
        ]
    );
}

#[test]
fn heard_beside_is_news_of_what_is_not_heard_where_it_is_said_to_be() {
    let mut world = World::stocked(1, "tool");
    world.arrive(1, "CRIB");
    world.at = 20;
    world.pass(1, "DOCK", Direction::Out);
    world.at = 40;
    world.beside(1, "ANNEX", PresenceChange::Arrived);
    assert_eq!(world.current("T1").location, zone("annex"));
    assert_eq!(world.told().last().unwrap(), "40 asset:T1 Arrived ANNEX");
    // And it has left where it was placed by that, whoever hears it better.
    world.at = 60;
    world.beside(1, "ANNEX", PresenceChange::Departed);
    let beside = |event: &Event| matches!(&event.body, EventBody::Presence { beside: true, .. });
    assert!(!world.events.iter().any(beside));
}

#[test]
fn it_has_left_its_zone_though_another_still_hears_it() {
    let mut world = World::stocked(1, "tool");
    world.arrive(1, "CRIB");
    world.at = 5;
    world.beside(1, "ANNEX", PresenceChange::Arrived);
    world.at = 30;
    world.depart(1, "CRIB");
    let reason = world.current("T1").reason.to_string();
    assert!(reason.starts_with("last heard at CRIB"), "{reason}");
}
