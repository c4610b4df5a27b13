use super::world::*;
use crate::domain::commands::{Command, Outcome, Refused};
use crate::domain::events::EventBody;
use crate::domain::register::*;

fn zone(name: &str, site: &str) -> Record {
    Record::Zone(Zone { name: name.into(), site: site.into(), coverage: Coverage::None })
}

fn class(name: &str) -> Record {
    let (ghost_after, overdue_grace) = (None, None);
    Record::Class(AssetClass {
        name: name.into(),
        ghost_after,
        overdue_grace,
        criticality: Criticality::Normal,
    })
}

fn sensor(asset: Option<&str>, zone: Option<&str>) -> Record {
    let (asset, zone) = (asset.map(Into::into), zone.map(Into::into));
    Record::Sensor(SensorAttachment { device: "s1".into(), asset, zone })
}

fn retired(name: &str) -> Record {
    let Record::Asset(asset) = asset(name, "tool") else { unreachable!() };
    Record::Asset(Asset { retired: true, ..asset })
}

#[test]
fn an_import_upserts_by_key_and_counts() {
    let mut world = World::new();
    let records = vec![zone("attic", "hq"), class("saw"), asset("S1", "saw"), tag(1, "S1")];
    let created = Outcome { created: 4, ..Outcome::default() };
    assert_eq!(world.import(records.clone()).unwrap(), created);
    assert_eq!(world.import(records).unwrap(), Outcome { unchanged: 4, ..Outcome::default() });
    let outcome = world.import(vec![asset("S1", "tool"), asset("S2", "saw")]).unwrap();
    assert_eq!((outcome.created, outcome.updated, outcome.unchanged), (1, 1, 0));
    let kinds: Vec<_> = world.rows.keys().map(|(kind, key)| format!("{}:{key}", kind.as_str())).collect();
    for row in ["register:asset/S1", "register:class/saw", "register:zone/attic", "asset:S2"] {
        assert!(kinds.contains(&row.to_owned()), "{row} in {kinds:?}");
    }
}

#[test]
fn what_does_not_fit_is_refused_by_name_and_nothing_is_done() {
    let cases: Vec<(Vec<Record>, &str)> = vec![
        (vec![asset("S1", "nope")], "record 1 (asset `S1`): there is no class `nope`"),
        (vec![zone("attic", "mars")], "record 1 (zone `attic`): there is no site `mars`"),
        (vec![zone("crib", "hq")], "record 1 (zone `crib`): the configuration file declares it"),
        (vec![class("tool")], "record 1 (class `tool`): the configuration file declares it"),
        (vec![asset("S1", "tool"), asset("S1", "tool")], "record 2 (asset `S1`): the import has this"),
        (vec![tag(7, "S9")], "there is no asset `S9`"),
        (vec![asset("S1", "tool"), tag(1, "S1")], "it is attached to asset `T1`"),
        (vec![asset("S1", "tool"), tracker("van/1", "S1")], "it is attached to asset `T1`"),
        (vec![retired("S1"), tag(7, "S1")], "asset `S1` is retired"),
        (vec![sensor(None, None)], "one asset or to one zone"),
        (vec![sensor(Some("T1"), Some("crib"))], "one asset or to one zone"),
        (vec![sensor(None, Some("moon"))], "there is no zone `moon`"),
        (vec![asset("", "tool")], "its name is empty"),
    ];
    for (mut records, expected) in cases {
        let mut world = World::stocked(1, "tool");
        world.import(vec![tracker("van/1", "T1")]).unwrap();
        world.events.clear();
        let before = world.rows.clone();
        records.push(asset("INNOCENT", "tool"));
        let refused = world.import(records).unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused} / {expected}");
        assert!(world.events.is_empty());
        assert_eq!(world.rows, before);
    }
}

#[test]
fn what_others_refer_to_is_not_removed() {
    let mut world = World::new();
    world.import(vec![zone("attic", "hq"), class("saw"), asset("S1", "saw"), tag(1, "S1")]).unwrap();
    world.import(vec![sensor(None, Some("attic"))]).unwrap();
    let mut remove = |table: &str, key: &str| {
        world.command(Command::Remove { table: table.to_owned(), key: key.to_owned() })
    };
    for (table, key, expected) in [
        ("zone", "crib", "the configuration file declares it"),
        ("class", "tool", "the configuration file declares it"),
        ("zone", "attic", "sensor `s1` refers to it"),
        ("class", "saw", "asset `S1` refers to it"),
        ("asset", "S1", "1 of its tags, trackers and sensors refers to it"),
        ("asset", "S7", "there is no asset `S7`"),
    ] {
        let refused = remove(table, key).unwrap_err().to_string();
        assert!(refused.contains(expected), "{table} {key}: {refused}");
    }
    let tag = epc(1).to_string();
    for (table, key) in
        [("tag", tag.as_str()), ("asset", "S1"), ("class", "saw"), ("sensor", "s1"), ("zone", "attic")]
    {
        assert_eq!(remove(table, key).unwrap().removed, 1, "{table} {key}");
    }
    assert!(world.rows.keys().all(|(kind, _)| kind.as_str() == "commands" || kind.as_str() == "link"));
}

#[test]
fn what_is_checked_out_is_neither_removed_nor_retired() {
    let mut world = World::stocked(1, "tool");
    let key = epc(1).to_string();
    world.command(Command::Remove { table: "tag".to_owned(), key }).unwrap();
    world.check_out("T1", None).unwrap();
    assert!(matches!(world.import(vec![retired("T1")]), Err(Refused::Conflict { .. })));
    let remove = Command::Remove { table: "asset".to_owned(), key: "T1".to_owned() };
    assert!(matches!(world.command(remove), Err(Refused::Conflict { .. })));
    world.check_in("T1").unwrap();
    world.import(vec![retired("T1")]).unwrap();
    assert!(matches!(world.check_out("T1", None), Err(Refused::Conflict { .. })));
}

#[test]
fn a_large_import_is_journaled_in_pieces_of_its_own_shape() {
    let mut world = World::new();
    let records: Vec<_> = (0..1201).map(|n| asset(&format!("S{n}"), "tool")).collect();
    world.import(records).unwrap();
    let sizes: Vec<usize> = world
        .events
        .iter()
        .map(|event| match &event.body {
            EventBody::Command { command: Command::Import { records, .. }, .. } => records.len(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(sizes, [500, 500, 201]);
    let ids: std::collections::BTreeSet<_> = world.events.iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), 3);
}

#[test]
fn the_register_comes_back_after_a_restart() {
    let mut world = World::stocked(1, "tool");
    world.restart(10);
    world.events.clear();
    assert_eq!(world.import(vec![asset("T1", "tool"), tag(1, "T1")]).unwrap().unchanged, 2);
    world.arrive(1, "CRIB");
    assert_eq!(world.told(), ["10 asset:T1 Arrived CRIB"]);
}

#[test]
fn a_row_that_cannot_be_read_is_named() {
    let mut tracker = crate::track::Tracker::new(&rules());
    let kind = crate::domain::state::StateKind::Asset;
    let rows = [(kind, "T1".to_owned(), b"{".to_vec())];
    let error = tracker.restore(rows.into_iter()).unwrap_err();
    assert_eq!(error.to_string(), "read the asset row `T1`");
}
