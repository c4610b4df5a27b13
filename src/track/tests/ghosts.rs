use super::world::*;
use crate::domain::alerts::{AlertKey, Rule};
use crate::domain::commands::Command;
use crate::domain::register::Lifecycle;
use crate::domain::sightings::Direction;

#[test]
fn silent_for_the_class_interval_while_others_are_heard_is_a_ghost_until_sensed() {
    let mut world = World::stocked(2, "tool");
    world.arrive(1, "CRIB");
    world.arrive(2, "CRIB");
    world.hear_until(59, &[2], "CRIB");
    assert!(world.alerted().is_empty());
    world.hear_until(200, &[2], "CRIB");
    assert_eq!(world.current("T1").ghost_since, Some(t(60)));
    world.pass(1, "GATE", Direction::In);
    assert_eq!(world.alerted(), ["60 ghost/T1 fired", "200 ghost/T1 resolved"]);
    assert_eq!(world.current("T1").ghost_since, None);
}

#[test]
fn what_a_door_held_back_makes_no_silence_longer() {
    let mut world = World::stocked(1, "tool");
    world.arrive(1, "CRIB");
    world.hear_until(100, &[1], "CRIB");
    world.pass_at(20, false, 1, "DOCK", Direction::In);
    world.until(155);
    assert!(world.alerted().is_empty(), "it was heard until 100, and the class waits for 60 s");
    world.until(200);
    assert_eq!(world.alerted(), ["160 ghost/T1 fired"]);
}

#[test]
fn what_a_door_held_back_ends_no_silence_that_began_after_it() {
    let mut world = World::stocked(2, "tool");
    world.arrive(1, "CRIB");
    world.arrive(2, "CRIB");
    world.hear_until(200, &[2], "CRIB");
    assert_eq!(world.alerted(), ["60 ghost/T1 fired"]);
    world.pass_at(-10, false, 1, "DOCK", Direction::In);
    world.hear_until(300, &[2], "CRIB");
    assert!(world.alerted().is_empty());
    assert!(world.is_firing(Rule::Ghost, "T1"));
    world.pass_at(280, false, 1, "DOCK", Direction::In);
    assert_eq!(world.alerted(), ["280 ghost/T1 resolved"]);
}

#[test]
fn an_outage_stops_the_clock_and_it_goes_on_where_it_was() {
    let mut world = World::stocked(1, "tool");
    world.arrive(1, "CRIB");
    world.until(40);
    world.hearing("CRIB", false);
    world.until(100_000);
    world.hearing("CRIB", true);
    world.until(100_019);
    assert!(world.alerted().is_empty());
    world.until(100_020);
    assert_eq!(world.alerted(), ["100020 ghost/T1 fired"]);
}

#[test]
fn a_read_point_that_is_told_deaf_late_was_deaf_since_then() {
    let mut world = World::stocked(1, "tool");
    world.arrive(1, "CRIB");
    world.until(50);
    let deaf = crate::domain::sightings::Seen::Hearing { read_point: "CRIB".into(), hearing: false };
    world.see_from("r1", 30, false, deaf);
    world.until(200);
    world.hearing("CRIB", true);
    world.until(300);
    assert_eq!(world.alerted(), ["230 ghost/T1 fired"]);
}

#[test]
fn downtime_and_a_crash_add_nothing_to_the_clock() {
    let mut world = World::stocked(1, "tool");
    world.arrive(1, "CRIB");
    world.until(40);
    world.restart(100_000);
    world.events.clear();
    world.until(200_000);
    world.connect();
    world.events.clear();
    world.until(200_019);
    assert!(world.alerted().is_empty());
    // Up to one checkpoint of the clock was lost: later, never earlier.
    world.until(200_060);
    let told = world.alerted();
    assert!(told.len() == 1 && told[0].ends_with("ghost/T1 fired"), "{told:?}");
}

#[test]
fn a_process_that_stood_still_did_not_listen() {
    let mut world = World::stocked(1, "tool");
    world.arrive(1, "CRIB");
    world.until(40);
    world.events.clear();
    // No call for an hour although the clock asked for one each minute.
    world.at = 3640;
    world.tracker.tick(t(3640), usize::MAX, &mut world.events);
    assert_eq!(world.told(), ["3640 node gap from 40 tallyman stood still"]);
    world.until(3659);
    assert!(world.alerted().is_empty());
    world.until(3660);
    assert_eq!(world.alerted(), ["3660 ghost/T1 fired"]);
}

#[test]
fn no_clock_for_what_is_out_gone_retired_elsewhere_or_never_heard_there() {
    type Act = fn(&mut World);
    let cases: [(&str, Act); 6] = [
        ("checked out", |world| assert!(world.check_out("T1", None).is_ok())),
        ("out through a portal", |world| world.pass(1, "DOCK", Direction::Out)),
        ("passed in, not heard inside", |world| {
            world.pass(1, "DOCK", Direction::Out);
            world.at = 10;
            world.pass(1, "DOCK", Direction::In);
        }),
        ("retired", |world| {
            let mut record = asset("T1", "tool");
            if let crate::domain::register::Record::Asset(asset) = &mut record {
                asset.lifecycle = Lifecycle::Retired;
            }
            world.import(vec![record]).unwrap();
        }),
        ("tracked elsewhere", |world| {
            world.import(vec![tracker("van/1", "T1")]).unwrap();
            world.depart(1, "CRIB");
            world.fix("van/1");
        }),
        ("removed", |world| {
            for (table, key) in [("tag", epc(1).to_string()), ("asset", "T1".to_owned())] {
                world.command(Command::Remove { table: table.to_owned(), key }).unwrap();
            }
        }),
    ];
    for (name, act) in cases {
        let mut world = World::stocked(2, "tool");
        world.arrive(1, "CRIB");
        world.arrive(2, "CRIB");
        act(&mut world);
        world.hear_until(2000, &[2], "CRIB");
        assert_eq!(world.alerted(), [""; 0], "{name}");
    }
}

#[test]
fn what_comes_back_may_lie_before_any_antenna_of_its_zone() {
    // (how it came back, when it is a ghost while the read point that never heard it hears, and while not)
    type Act = fn(&mut World);
    let by_door: Act = |world| world.pass(1, "DOCK", Direction::In);
    let by_hand: Act = |world| {
        world.check_out("T1", None).unwrap();
        world.check_in("T1").unwrap();
    };
    // A hall may have more read points than are remembered of an asset.
    for (comes_back, more) in [(by_door, 0), (by_hand, 0), (by_door, 12)] {
        for (other_hears, ghost) in [(true, Some(t(90))), (false, None)] {
            let mut rules = rules();
            let more: Vec<String> = (0..more).map(|nth| format!("CRIB-{nth}")).collect();
            rules.read_points.extend(more.iter().map(|name| presence(name, "crib", "r3")));
            let mut world = World::with(rules);
            world.stock(1..=2, "tool");
            more.iter().for_each(|name| world.hearing(name, true));
            world.alerted();
            world.arrive(1, "CRIB");
            world.hear_until(20, &[1, 2], "CRIB");
            world.depart(1, "CRIB");
            world.until(30);
            world.hearing("CRIB-B", other_hears);
            comes_back(&mut world);
            world.hear_until(200, &[2], "CRIB");
            assert_eq!(world.current("T1").ghost_since, ghost);
            // What hears it there says where it lies.
            world.arrive(1, "CRIB");
            world.hear_until(4000, &[2], "CRIB");
            assert!(world.current("T1").ghost_since.is_some_and(|since| since > t(200)));
        }
    }
}

#[test]
fn after_a_check_in_the_clock_begins_anew() {
    let mut world = World::stocked(1, "tool");
    world.arrive(1, "CRIB");
    world.check_out("T1", None).unwrap();
    world.until(1000);
    world.check_in("T1").unwrap();
    world.until(1060);
    assert_eq!(world.alerted(), ["1060 ghost/T1 fired"]);
    world.check_out("T1", None).unwrap();
    assert_eq!(world.alerted(), ["1060 ghost/T1 resolved"]);
}

#[test]
fn two_read_points_that_lately_heard_must_both_hear() {
    let mut world = World::stocked(1, "tool");
    world.arrive(1, "CRIB");
    world.at = 10;
    world.arrive(1, "CRIB-B");
    world.until(20);
    world.hearing("CRIB", false);
    world.until(500);
    assert!(world.alerted().is_empty());
    world.hearing("CRIB", true);
    world.until(550);
    assert_eq!(world.alerted(), ["550 ghost/T1 fired"]);
}

#[test]
fn the_interval_is_at_least_what_it_takes_to_know_of_an_outage() {
    let mut rules = rules();
    rules.classes[0].ghost_after = Some(secs(1));
    let mut world = World::with(rules);
    world.stock(1..=1, "tool");
    world.events.clear();
    world.arrive(1, "CRIB");
    world.until(100);
    assert_eq!(world.alerted(), ["50 ghost/T1 fired"]);
}

#[test]
fn many_silent_together_are_one_suspect_watcher_and_no_ghosts() {
    let mut world = World::stocked(8, "tool");
    for number in 1..=8 {
        world.arrive(number, "CRIB");
    }
    world.hear_until(20, &[1, 2, 3, 4, 5, 6, 7, 8], "CRIB");
    world.hear_until(1000, &[7, 8], "CRIB");
    assert_eq!(world.alerted(), ["80 watcher-suspect/CRIB fired"]);
    let key = AlertKey::new(Rule::WatcherSuspect, "CRIB");
    let summary = world.tracker.alerts.open(&key).unwrap().summary.clone();
    assert!(summary.starts_with("6 of 8 assets at CRIB"), "{summary}");
    // The antenna is repaired: four are heard again, two are not, and those are ghosts.
    for number in 1..=4 {
        world.arrive(number, "CRIB");
    }
    world.hear_until(1100, &[1, 2, 3, 4, 7, 8], "CRIB");
    assert_eq!(
        world.alerted(),
        ["1000 watcher-suspect/CRIB resolved", "1020 ghost/T5 fired", "1020 ghost/T6 fired"]
    );
}

#[test]
fn others_that_arrive_prove_the_watcher_and_release_what_it_held() {
    let mut world = World::stocked(20, "tool");
    for number in 1..=6 {
        world.arrive(number, "CRIB");
    }
    world.hear_until(300, &[], "CRIB");
    assert_eq!(world.alerted(), ["60 watcher-suspect/CRIB fired"]);
    for number in 11..=15 {
        world.arrive(number, "CRIB");
    }
    world.restart(0);
    world.connect();
    world.hear_until(400, &[11, 12, 13, 14, 15], "CRIB");
    let told = world.alerted();
    assert_eq!(told[0], "300 watcher-suspect/CRIB resolved");
    let ghosts = told.iter().filter(|line| line.contains("ghost/") && line.ends_with("fired"));
    assert_eq!(ghosts.count(), 6, "{told:?}");
}

#[test]
fn a_few_silent_among_many_are_ghosts() {
    let mut world = World::stocked(20, "tool");
    for number in 1..=20 {
        world.arrive(number, "CRIB");
    }
    let rest: Vec<u16> = (7..=20).collect();
    world.hear_until(100, &rest, "CRIB");
    let told = world.alerted();
    assert_eq!(told.len(), 6);
    assert!(told.iter().all(|line| line.starts_with("60 ghost/")), "{told:?}");
}

#[test]
fn a_suspect_watcher_explains_the_ghosts_it_made_before() {
    let mut world = World::stocked(7, "tool");
    for number in 1..=7 {
        world.arrive(number, "CRIB");
    }
    world.hear_until(90, &[2, 3, 4, 5, 6, 7], "CRIB");
    world.until(200);
    assert_eq!(
        world.alerted(),
        [
            "60 ghost/T1 fired",
            "150 watcher-suspect/CRIB fired",
            "150 ghost/T1 inhibited",
            "150 watcher-suspect/CRIB explains",
        ]
    );
    world.hear_until(230, &[2, 3, 4, 5, 6, 7], "CRIB");
    let told = world.alerted();
    assert!(told.contains(&"210 ghost/T1 uninhibited".to_owned()), "{told:?}");
}

#[test]
fn a_suspicion_holds_over_a_restart() {
    let mut world = World::stocked(6, "tool");
    for number in 1..=6 {
        world.arrive(number, "CRIB");
    }
    world.until(100);
    world.restart(50);
    world.connect();
    world.events.clear();
    world.until(5000);
    assert_eq!(world.alerted(), [""; 0]);
    assert!(world.is_firing(Rule::WatcherSuspect, "CRIB"));
}

#[test]
fn a_zone_no_longer_covered_ends_its_ghosts() {
    let mut world = World::stocked(1, "tool");
    world.arrive(1, "CRIB");
    world.until(100);
    world.events.clear();
    let mut changed = rules();
    changed.zones[0].coverage = crate::domain::register::Coverage::None;
    world.tracker.set_rules(&changed);
    assert_eq!(world.tracker.next_deadline(), Some(t(100)));
    world.until(101);
    assert_eq!(world.alerted(), ["100 ghost/T1 resolved"]);
}

#[test]
fn severity_follows_criticality() {
    use crate::domain::alerts::Severity;
    for (class, severity) in
        [("tool", Severity::Warning), ("crane", Severity::Critical), ("slow", Severity::Info)]
    {
        let mut world = World::stocked(1, class);
        world.arrive(1, "CRIB");
        world.until(400);
        let alert = world.tracker.alerts.open(&AlertKey::new(Rule::Ghost, "T1")).unwrap();
        assert_eq!(alert.severity, severity, "{class}");
    }
}

#[test]
fn a_suspicion_that_stands_for_long_was_a_theft() {
    let mut rules = rules();
    rules.alerts.watcher_suspect_for = secs(1000);
    let mut world = World::with(rules);
    world.stock(1..=8, "tool");
    world.events.clear();
    for number in 1..=8 {
        world.arrive(number, "CRIB");
    }
    world.hear_until(300, &[7, 8], "CRIB");
    // The time of an outage does not count.
    world.hearing("CRIB", false);
    world.until(5000);
    world.restart(0);
    world.connect();
    world.events.clear();
    world.hear_until(5755, &[7, 8], "CRIB");
    assert_eq!(world.alerted(), [""; 0]);
    world.hear_until(5900, &[7, 8], "CRIB");
    let mut told = world.alerted();
    assert!(told.remove(0).ends_with("watcher-suspect/CRIB resolved"));
    let ghosts: Vec<_> = told.iter().filter_map(|line| line.split_once(' ')).map(|(_, what)| what).collect();
    let expect: Vec<String> = (1..=6).map(|number| format!("ghost/T{number} fired")).collect();
    assert_eq!(ghosts, expect);
}

#[test]
fn who_is_missed_later_is_no_ghost_when_a_suspicion_ends_before() {
    let mut rules = rules();
    rules.alerts.watcher_suspect_for = secs(60);
    let mut world = World::with(rules);
    world.stock(1..=6, "tool");
    world.stock(7..=8, "slow");
    world.stock(9..=9, "tool");
    world.events.clear();
    for number in 1..=9 {
        world.arrive(number, "CRIB");
    }
    world.hear_until(250, &[9], "CRIB");
    let told = world.alerted();
    assert!(told.iter().any(|line| line.ends_with("ghost/T6 fired")), "{told:?}");
    assert!(!told.iter().any(|line| line.contains("ghost/T7") || line.contains("ghost/T8")), "{told:?}");
    world.hear_until(400, &[9], "CRIB");
    let told = world.alerted();
    assert_eq!(told, ["300 ghost/T7 fired", "300 ghost/T8 fired"]);
}

#[test]
fn a_silence_of_a_few_usual_gaps_is_no_ghost() {
    let mut world = World::stocked(1, "tool");
    world.arrive(1, "CRIB");
    for read in 1..=10 {
        world.until(read * 50);
        world.refresh(1, "CRIB");
    }
    // Refreshed with the first read after 10 s, that is after 50: eight times 40 s more than those.
    world.until(829);
    assert_eq!(world.alerted(), [""; 0]);
    world.until(830);
    assert_eq!(world.alerted(), ["830 ghost/T1 fired"]);
}

#[test]
fn no_gap_delays_a_ghost_by_more_than_its_patience() {
    let mut world = World::stocked(1, "tool");
    world.arrive(1, "CRIB");
    for read in 1..=10 {
        world.until(read * 1000);
        world.refresh(1, "CRIB");
    }
    world.events.clear();
    world.until(10_000 + 60 + 45 * 60 - 1);
    assert!(!world.is_firing(Rule::Ghost, "T1"));
    world.until(10_000 + 60 + 45 * 60);
    assert!(world.is_firing(Rule::Ghost, "T1"));
}
