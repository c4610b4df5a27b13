use super::world::*;
use crate::domain::commands::{Command, Outcome, Refused};
use crate::domain::events::EventBody;
use crate::domain::register::*;

fn zone(name: &str, site: &str) -> Record {
    Record::Zone(Zone { name: name.into(), site: site.into(), coverage: Coverage::None })
}

fn class(name: &str) -> Record {
    Record::Class(Box::new(AssetClass::new(name.into())))
}

fn sensor(carrier: Carrier) -> Record {
    Record::Sensor(SensorAttachment::new("s1".into(), carrier))
}

fn on_zone(zone: &str) -> Record {
    sensor(Carrier::Zone(zone.into()))
}

fn retired(name: &str) -> Record {
    let Record::Asset(asset) = asset(name, "tool") else { unreachable!() };
    Record::Asset(Asset { lifecycle: Lifecycle::Retired, ..asset })
}

/// An asset with one limit of its own.
fn limited(threshold: &str) -> Record {
    let Record::Asset(asset) = asset("S1", "tool") else { unreachable!() };
    let mut limit: serde_json::Value = serde_json::from_str(threshold).unwrap();
    limit["point"] = "temp".into();
    limit["name"] = "l".into();
    let details = Details { limits: vec![serde_json::from_value(limit).unwrap()], ..Details::default() };
    Record::Asset(Asset { details: details.boxed(), ..asset })
}

#[test]
fn a_limit_of_a_rate_is_taken_like_any_other() {
    let mut world = World::new();
    let records = vec![limited(r#"{"rise_per_min": 0.5, "over": 300}"#)];
    assert_eq!(world.import(records).unwrap().created, 1);
}

fn part_of(name: &str, kit: &str) -> Record {
    let Record::Asset(asset) = asset(name, "tool") else { unreachable!() };
    Record::Asset(Asset { part_of: Some(kit.into()), ..asset })
}

fn tag_from(number: u16, asset: &str, from: i64, to: Option<i64>) -> Record {
    let on = TagAttachment::on_asset(epc(number), asset);
    Record::Tag(TagAttachment { from: Some(t(from)), to: to.map(t), ..on })
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
        (vec![asset("S1", "nope")], "record 1 (asset `S1`): class `nope`: there is no such class"),
        (vec![zone("attic", "mars")], "record 1 (zone `attic`): site `mars`: there is no such site"),
        (vec![zone("crib", "hq")], "record 1 (zone `crib`): name `crib`: the configuration file declares"),
        (vec![class("tool")], "record 1 (class `tool`): name `tool`: the configuration file declares"),
        (vec![asset("S1", "tool"), asset("S1", "tool")], "record 2 (asset `S1`): id `S1`: there twice"),
        (vec![tag(7, "S9")], "asset `S9`: there is no such asset"),
        (vec![asset("S1", "tool"), tag(1, "S1")], "attached to asset `T1`; remove it there first"),
        (vec![asset("S1", "tool"), tracker("van/1", "S1")], "attached to asset `T1`"),
        (vec![asset("S1", "tool"), tag_from(1, "S1", 5, None)], "attached to asset `T1` at the same time"),
        (vec![tag_from(7, "T1", 5, Some(9)), tag_from(7, "T1", 8, None)], "attached twice at once"),
        (vec![tag_from(7, "T1", 5, Some(5))], "to `2026-05-01T06:00:05Z`: not after"),
        (vec![retired("S1"), tag(7, "S1")], "asset `S1`: retired"),
        (vec![sensor(Carrier::Person("P1".into()))], "a sensor is attached to an asset or a zone"),
        (vec![on_zone("moon")], "there is no such zone"),
        (vec![asset("", "tool")], "empty; it must be filled in"),
        (vec![part_of("S1", "S2"), part_of("S2", "S3"), part_of("S3", "S1")], "S1 in S2 in S3 in S1"),
        (vec![part_of("T1", "T1")], "a kit that is part of itself: T1 in T1"),
        (vec![part_of("S1", "NONE")], "part_of `NONE`: there is no such asset"),
        (
            vec![limited(r#"{"high": 8, "low": 2}"#)],
            "limits `temp/l`: not one of high, low, rise_per_min and fall_per_min",
        ),
        (vec![limited(r#"{"deadband": 2}"#)], "limits `temp/l`: not one of high, low"),
        (
            vec![limited(r#"{"high": 8, "deadband": -1}"#)],
            "limits `temp/l`: not a number that can be reached",
        ),
        (vec![limited(r#"{"fall_per_min": -1}"#)], "limits `temp/l`: no rate"),
        (vec![limited(r#"{"rise_per_min": 1, "over": 0}"#)], "limits `temp/l`: a window of nothing"),
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
    world.import(vec![on_zone("attic")]).unwrap();
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
fn every_change_is_journaled_with_what_was_there() {
    let mut world = World::new();
    world.import(vec![asset("S1", "tool"), asset("S2", "tool"), zone("attic", "hq")]).unwrap();
    world.events.clear();
    world.import(vec![asset("S1", "crane"), asset("S2", "tool"), class("saw")]).unwrap();
    world.command(Command::Remove { table: "zone".to_owned(), key: "attic".to_owned() }).unwrap();
    let told: Vec<String> = world
        .events
        .iter()
        .map(|event| match &event.body {
            EventBody::Register(change) => {
                let class = |record: &Option<Record>| match record {
                    Some(Record::Asset(asset)) => asset.class.to_string(),
                    Some(record) => record.key(),
                    None => "-".to_owned(),
                };
                format!(
                    "{} {}: {} → {}",
                    event.subject,
                    change.by,
                    class(&change.before),
                    class(&change.after)
                )
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, ["asset:S1 ann: tool → crane", "class:saw ann: - → saw", "zone:attic ann: attic → -"]);
    let ids: std::collections::BTreeSet<_> = world.events.iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), 3);
}

#[test]
fn a_tag_is_commissioned_and_history_stays_whole() {
    let mut world = World::stocked(2, "tool");
    let commission = |number, asset: &str, replaces: Option<u16>| Command::Commission {
        epc: epc(number),
        asset: asset.into(),
        replaces: replaces.map(epc),
    };
    world.arrive(1, "CRIB");
    world.at = 100;
    world.command(commission(9, "T1", Some(1))).unwrap();
    world.events.clear();
    world.arrive(9, "CRIB");
    assert_eq!(world.told(), ["100 asset:T1 Arrived CRIB"]);
    world.events.clear();
    world.arrive(1, "ANNEX");
    assert!(world.told()[0].contains("tag:"), "the old tag is nobody's: {:?}", world.told());
    // What it was before, it still was then.
    let before = world.tracker.register.asset_of_tag(&epc(1), t(99)).cloned();
    assert_eq!(before, Some("T1".into()));
    world.at = 200;
    world.command(commission(2, "T1", None)).unwrap();
    assert_eq!(world.tracker.register.asset_of_tag(&epc(2), t(199)), Some(&"T2".into()));
    assert_eq!(world.tracker.register.asset_of_tag(&epc(2), t(200)), Some(&"T1".into()));
    for (wrong, expected) in [
        (commission(2, "T1", None), "is on `T1` already"),
        (commission(5, "T9", None), "there is no asset `T9`"),
        (commission(5, "T1", Some(5)), "does not replace itself"),
        (commission(5, "T1", Some(1)), "is not on `T1`"),
    ] {
        let refused = world.command(wrong).unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
    }
    world.restart(300);
    assert_eq!(world.tracker.register.asset_of_tag(&epc(2), t(199)), Some(&"T2".into()));
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

/// There were builds that wrote `true` where the time stands now, under another name.
#[test]
fn a_row_that_says_presumed_as_it_was_once_said_is_read() {
    let mut world = World::stocked(1, "tool");
    let row = world.rows.get_mut(&(crate::domain::state::StateKind::Asset, "T1".to_owned())).unwrap();
    let mut value: serde_json::Value = serde_json::from_slice(row).unwrap();
    value["memory"]["presumed"] = true.into();
    *row = serde_json::to_vec(&value).unwrap();
    world.restart(10);
    world.events.clear();
    world.arrive(1, "CRIB");
    assert_eq!(world.told(), ["10 asset:T1 Arrived CRIB"]);
}
