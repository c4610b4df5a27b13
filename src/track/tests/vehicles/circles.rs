//! Vehicles in vehicles: never in one another, and never too deep.

use super::*;

/// Its tractor may yet be told of when somebody says that the tractor is what was loaded.
#[test]
fn a_vehicle_does_not_come_to_be_in_what_is_in_it() {
    let mut world = haulage();
    world.at(50).load("V2", "V1").unwrap();
    world.load("T1", "V2").unwrap();
    world.at(500).pass(12, "GATE", In);
    assert_eq!(world.location("V2"), zone("yard"));
    world.at(505).load("V1", "V2").unwrap();
    world.at(510).pass(11, "GATE", In);
    assert_eq!(world.location("V2"), zone("yard"));
    assert_eq!(world.location("T1"), in_vehicle("V2"));
}

/// A journal may hold a circle from before.
#[test]
fn what_is_unloaded_from_a_circle_is_out_of_it() {
    let mut world = haulage();
    world.at(50).load("V2", "V1").unwrap();
    let key = (StateKind::Asset, "V1".to_owned());
    let row = String::from_utf8(world.rows[&(StateKind::Asset, "V2".to_owned())].clone()).unwrap();
    let row = row.replace(r#""V1""#, r#""V?""#).replace(r#""V2""#, r#""V1""#).replace(r#""V?""#, r#""V2""#);
    world.rows.insert(key, row.into_bytes());
    world.restart(0);
    assert_eq!([world.location("V1"), world.location("V2")], [in_vehicle("V2"), in_vehicle("V1")]);
    let (asset, zone, note) = ("V1".into(), None, None);
    world.command(Command::Unload { asset, zone, note }).unwrap();
    assert_eq!([world.location("V1"), world.location("V2")], [Location::Unknown, in_vehicle("V1")]);
}

#[test]
fn what_is_in_it_counts_for_how_deep_it_may_go() {
    let mut world = haulage();
    world.import((4..=10).map(|number| asset(&format!("V{number}"), "truck")).collect()).unwrap();
    // From the outermost: V4, V5, V6, V7 and V8, V9, V10, V1, each chain by itself.
    for chain in [["V4", "V5", "V6", "V7"], ["V8", "V9", "V10", "V1"]] {
        chain.windows(2).for_each(|pair| world.load(pair[1], pair[0]).unwrap());
    }
    // Eight of them in one another: the innermost is in seven.
    world.load("V8", "V7").unwrap();
    let (asset, zone, note) = ("V8".into(), None, None);
    world.command(Command::Unload { asset, zone, note }).unwrap();
    world.load("T1", "V1").unwrap();
    let refused = world.load("V8", "V7");
    assert!(matches!(&refused, Err(Refused::Invalid { .. })), "{refused:?}");
}
