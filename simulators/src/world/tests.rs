use std::collections::BTreeMap;

use super::happening::What;
use super::script::Act;
use super::*;
use crate::truth::Change;

fn minute(seed: u64) -> World {
    World::plan(&Scenario::demo(), seed, Duration::from_secs(50))
}

fn truths(world: &World) -> Vec<(f64, What)> {
    let happened = world.script().filter_map(|(_, act)| match act {
        Act::Truth(happened) => Some((happened.at_s, happened.what)),
        _ => None,
    });
    happened.collect()
}

#[test]
fn the_same_seed_gives_the_same_plan_and_another_one_another() {
    let acts = |seed| minute(seed).script().collect::<Vec<_>>();
    assert_eq!(minute(7).plant(), minute(7).plant());
    assert_eq!(acts(7), acts(7));
    assert_ne!(acts(7), acts(8));
}

#[test]
fn acts_come_in_order_of_time_and_end_with_emission() {
    let mut last = 0.0;
    for (at, _) in minute(1).script() {
        assert!(at >= last && at <= 50.0, "{at} behind {last}");
        last = at;
    }
    assert!(last > 49.0);
}

#[test]
fn the_demos_minute_shows_everything_for_every_seed() {
    for seed in 0..30 {
        let mut counts = BTreeMap::new();
        for (at, what) in truths(&minute(seed)) {
            let kind = match what {
                What::Passage { .. } => "passage",
                What::Geofence { .. } => "geofence",
                What::Condition { .. } => "condition",
                What::Ghost { .. } => "ghost",
                What::Overdue { .. } => "overdue",
                What::Outage { .. } => "outage",
                What::Carried { change: Change::Began, .. } => "loaded",
                What::Carried { change: Change::Ended, .. } => "unloaded",
                What::Docked { .. } => "docked",
            };
            assert!(at < 50.0);
            *counts.entry(kind).or_insert(0) += 1;
        }
        for (kind, least) in [
            ("passage", 15),
            ("geofence", 3),
            ("condition", 4),
            ("ghost", 2),
            ("overdue", 2),
            ("outage", 1),
            ("docked", 3),
            ("loaded", 3),
            ("unloaded", 3),
        ] {
            assert!(
                counts.get(kind).is_some_and(|count| *count >= least),
                "seed {seed}: {kind} in {counts:?}"
            );
        }
    }
}

#[test]
fn half_a_minute_shows_most_of_it() {
    for seed in 0..10 {
        let world = World::plan(&Scenario::demo(), seed, Duration::from_secs(20));
        let truths = truths(&world);
        let has = |wanted: fn(&What) -> bool| truths.iter().any(|(_, what)| wanted(what));
        assert!(has(|what| matches!(what, What::Passage { .. })), "seed {seed}");
        assert!(has(|what| matches!(what, What::Geofence { .. })), "seed {seed}");
        assert!(has(|what| matches!(what, What::Ghost { .. })), "seed {seed}");
        assert!(has(|what| matches!(what, What::Condition { .. })), "seed {seed}");
        assert!(has(|what| matches!(what, What::Overdue { .. })), "seed {seed}");
    }
}

#[test]
fn everything_that_begins_is_settled_before_emission_ends() {
    for seed in 0..10 {
        let world = minute(seed);
        assert!(
            world.events().iter().all(|event| event.settled_s <= 50.0 && event.begins_s <= event.settled_s)
        );
    }
}

#[test]
fn a_stolen_asset_is_not_read_again_and_a_returned_one_is_read_from_then_on() {
    let world = minute(3);
    let code = |id: &str| world.plant().asset(id).unwrap().codes[0];
    let reads = |wanted: [u8; 12]| -> Vec<f64> {
        let at = world.script().filter_map(|(at, act)| match act {
            Act::Read { code, .. } if code == wanted => Some(at),
            _ => None,
        });
        at.collect()
    };
    let mut stolen = 0;
    for (gone, what) in truths(&world) {
        if let What::Ghost { asset } = what {
            let reads = reads(code(&asset));
            assert!(!reads.is_empty() && reads.iter().all(|at| *at <= gone), "{asset}");
            stolen += 1;
        }
    }
    assert!(stolen > 0);
    for checkout in world.plant().checkouts.iter() {
        let reads = reads(code(&checkout.asset));
        assert_eq!(checkout.returns, !reads.is_empty(), "{checkout:?}");
        assert!(reads.first().is_none_or(|first| *first + 2.0 < checkout.due_s), "{checkout:?}");
    }
}

#[test]
fn an_asset_passes_from_where_it_is() {
    let world = World::plan(&Scenario::demo(), 5, Duration::from_secs(250));
    let mut zone: BTreeMap<String, String> = BTreeMap::new();
    let mut carried: BTreeMap<String, String> = BTreeMap::new();
    for asset in &world.plant().assets {
        if let Some(home) = &asset.home_zone {
            zone.insert(asset.id.clone(), home.clone());
        }
    }
    for checkout in world.plant().checkouts.iter().filter(|checkout| checkout.returns) {
        zone.insert(checkout.asset.clone(), "north-yard".into());
    }
    for (at, what) in truths(&world) {
        let (asset, portal, direction) = match what {
            What::Passage { asset, portal, direction } => (asset, portal, direction),
            What::Carried { asset, vehicle, change: Change::Began } => {
                assert_eq!(carried.insert(asset, vehicle), None, "at {at}");
                continue;
            }
            What::Carried { asset, vehicle, change: Change::Ended } => {
                assert_eq!(carried.remove(&asset), Some(vehicle), "{asset} at {at}");
                continue;
            }
            _ => continue,
        };
        let point = world.plant().read_points.iter().find(|point| point.name == portal).unwrap();
        let ReadPointKind::Portal { outside, inside, .. } = &point.kind else {
            panic!("{portal} is a portal")
        };
        let (from, to) =
            if direction == crate::truth::Direction::In { (outside, inside) } else { (inside, outside) };
        if carried.contains_key(&asset) {
            assert_eq!(direction, crate::truth::Direction::In, "{asset} at {at}");
        } else {
            assert_eq!(zone.get(&asset), Some(from), "{asset} at {at}");
        }
        zone.insert(asset, to.clone());
    }
}

#[test]
fn after_an_early_end_nothing_begins_and_what_began_is_finished() {
    let world = minute(2);
    let mut script = world.script();
    for _ in script.by_ref().take_while(|(at, _)| *at < 10.0) {}
    script.wind_down(10.0);
    let began: Vec<&Event> = world.events().iter().filter(|event| event.begins_s < 9.9).collect();
    let settled = began.iter().map(|event| event.settled_s).fold(10.0, f64::max);
    assert!((script.ends_s() - settled).abs() < 0.5, "{} and {settled}", script.ends_s());
    let rest: Vec<_> = script.collect();
    assert!(rest.last().unwrap().0 <= settled + 1e-6);
}

#[test]
fn a_day_is_planned_in_chapters() {
    let world = World::plan(&Scenario::demo(), 1, Duration::from_secs(1000));
    let ghosts = world.count(|happening| matches!(happening, Happening::Theft { .. }));
    assert!(ghosts >= 30, "{ghosts} thefts in twenty chapters of two");
}

#[test]
fn what_is_stolen_in_a_short_run_was_read_before() {
    for seed in 7000..7020 {
        let world = World::plan(&Scenario::demo(), seed, Duration::from_secs(30));
        for (gone, what) in truths(&world) {
            let What::Ghost { asset } = what else { continue };
            let code = world.plant().asset(&asset).unwrap().codes[0];
            let is_read = |act: &Act| matches!(act, Act::Read { code: read, .. } if *read == code);
            let reads = world.script().filter(|(at, act)| *at <= gone && is_read(act));
            assert!(reads.count() >= 2, "seed {seed}: {asset}");
        }
    }
}

/// Nobody goes out where a truck comes or goes: what is told of it would be a matter of luck.
#[test]
fn what_goes_out_while_a_truck_stands_at_the_door_goes_into_it() {
    let (mut into, mut beside) = (0, 0);
    for seed in 0..20 {
        let world = World::plan(&Scenario::demo(), seed, Duration::from_secs(120));
        let mut stands: BTreeMap<String, (f64, Option<f64>)> = BTreeMap::new();
        let truths = truths(&world);
        let loaded = |id: &str, at: f64| {
            truths.iter().any(|(when, what)| {
                matches!(what, What::Carried { asset, change: Change::Began, .. } if asset == id)
                    && *when == at
            })
        };
        for (at, what) in &truths {
            match what {
                What::Docked { door, change: Change::Began, .. } => {
                    stands.insert(door.clone(), (*at, None));
                }
                What::Docked { door, change: Change::Ended, .. } => {
                    stands.entry(door.clone()).and_modify(|stay| stay.1 = Some(*at));
                }
                What::Passage { asset, portal, direction: crate::truth::Direction::Out } => {
                    let during =
                        stands.get(portal).filter(|stay| stay.1.is_none_or(|until| *at < until + 5.0));
                    assert_eq!(
                        loaded(asset, *at),
                        during.is_some(),
                        "seed {seed}: {asset} at {at}, {during:?}"
                    );
                    assert!(
                        during.is_none_or(|stay| stay.1.is_none() && *at > stay.0 + 1.0),
                        "{at} {during:?}"
                    );
                    if during.is_some() { into += 1 } else { beside += 1 }
                }
                _ => {}
            }
        }
    }
    assert!(into >= 60 && beside >= 60, "{into} into, {beside} beside");
}
