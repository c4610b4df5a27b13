use std::collections::BTreeMap;

use super::*;
use crate::cli::import::{CsvFile, Known, parse_files};
use crate::domain::audits::Scope;
use crate::domain::commands::{Command, Reads};
use crate::domain::epc::Epc;
use crate::domain::events::{Event, EventBody, Subject};
use crate::domain::ids::EventId;
use crate::domain::sightings::PresenceChange;
use crate::journal::{self, Batch};
use crate::pipeline;

fn config(folder: &Path) -> Config {
    let text = format!(
        "node = \"n\"\n[journal]\npath = \"{}/journal.db\"\n[[site]]\nname = \"plant\"\n\
         timezone = \"Europe/Berlin\"\n[[zone]]\nname = \"crib\"\nsite = \"plant\"\n[[class]]\nname = \"tool\"\n",
        folder.display()
    );
    crate::config::parse(&text, folder, &|_| None).unwrap()
}

async fn give(config: &Config, command: Command) {
    pipeline::offline(config, "ann", command).await.unwrap().unwrap();
}

fn records() -> Vec<Record> {
    let lines = [
        r#"{"table":"person","id":"ann"}"#,
        r#"{"table":"asset","id":"T1","class":"tool","home_zone":"crib","attributes":{"colour":"red, or so"}}"#,
        r#"{"table":"asset","id":"T2","class":"tool","home_zone":"crib"}"#,
        r#"{"table":"tag","epc":"0102","asset":"T2","from":"2026-05-01T06:00:00Z"}"#,
        r#"{"table":"tag","epc":"3034257bf7194e4000001a85","asset":"T1"}"#,
    ];
    lines.into_iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn the_register_and_its_checkouts_come_back_from_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    give(&config, Command::Import { records: records(), checkouts: Vec::new() }).await;
    let asset = "T2".into();
    let holder = "ann".to_owned();
    let command = Command::Checkout { asset, holder, due_back: None, note: None, override_reason: None };
    give(&config, command).await;
    let reader = Reader::open(&config.journal.path).await.unwrap();
    for format in ["csv", "json"] {
        let out = folder.path().join(format);
        std::fs::create_dir_all(&out).unwrap();
        let written = match format {
            "csv" => register_csv(&reader, &out).await.unwrap(),
            _ => register_json(&reader, &out).await.unwrap(),
        };
        assert_eq!(written, 6, "{format}");
        let mut files: Vec<(String, Vec<u8>)> = Vec::new();
        for entry in std::fs::read_dir(&out).unwrap() {
            let path = entry.unwrap().path();
            files.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
        let files: Vec<CsvFile<'_>> =
            files.iter().map(|(name, bytes)| CsvFile { name: name.clone(), kind: None, bytes }).collect();
        let (register, held) = (BTreeMap::new(), BTreeMap::new());
        let now = WallClock::new().now();
        let known = Known { rules: &config.rules, register: &register, held: &held, now };
        let import = parse_files(&files, &known, &mut |_, _| {}).unwrap();
        assert_eq!(import.records, records(), "{format}");
        assert_eq!(import.checkouts.len(), 1);
        assert_eq!(import.checkouts[0].holder, "ann");
    }
}

async fn document(config: &Config, range: (Option<Timestamp>, Option<Timestamp>)) -> Value {
    let reader = Reader::open(&config.journal.path).await.unwrap();
    let translator = Translator::new(&config.rules, "https://id.example.com");
    let mut out = Vec::new();
    let count = epcis(&reader, &translator, range, WallClock::new().now(), &mut out).await.unwrap();
    let document: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(document["epcisBody"]["eventList"].as_array().unwrap().len() as u64, count);
    document
}

#[tokio::test]
async fn a_count_becomes_an_epcis_document() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    give(&config, Command::Import { records: records(), checkouts: Vec::new() }).await;
    let scope = Scope { zones: vec!["crib".into()], ..Scope::default() };
    give(&config, Command::AuditOpen { audit: "A".into(), scope, expires_at: None, note: None }).await;
    let epcs = vec![Epc::from_hex("3034257bf7194e4000001a85").unwrap()];
    give(&config, Command::Reads(Reads { zone: "crib".into(), epcs, at: None, audit: None, reader: None }))
        .await;
    give(&config, Command::AuditClose { audit: "A".into() }).await;
    let written = document(&config, (None, None)).await;
    for (field, value) in [("type", "EPCISDocument"), ("schemaVersion", "2.0")] {
        assert_eq!(written[field], value);
    }
    assert_eq!(written["@context"], json!([CONTEXT]));
    let events = written["epcisBody"]["eventList"].as_array().unwrap();
    assert_eq!(events.len(), 1, "what was missed was observed by nobody: {events:?}");
    assert_eq!(events[0]["bizStep"], "cycle_counting");
    assert_eq!(events[0]["epcList"], json!(["urn:epc:id:sgtin:0614141.812345.6789"]));
    assert_eq!(events[0]["bizLocation"]["id"], "https://id.example.com/loc/crib");
    let past = Timestamp::parse("2020-01-01T00:00:00Z").unwrap();
    assert_eq!(document(&config, (None, Some(past))).await["epcisBody"]["eventList"], json!([]));
}

#[tokio::test]
async fn long_ranges_are_read_in_pages_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let now = WallClock::new().now();
    let event = |nth: i64| {
        let at = now.offset(nth * 1_000_000);
        let epc = Epc::from_hex("0102").unwrap();
        let (change, read_point) = (PresenceChange::Arrived, "CRIB".into());
        Event {
            id: EventId::derive(at, &[&nth.to_be_bytes()]),
            site: Some("plant".into()),
            subject: Subject::Tag(epc),
            source: "r1".into(),
            observed_at: at,
            received_at: at,
            late: false,
            confidence: None,
            body: EventBody::Presence {
                change,
                epc,
                read_point,
                zone: Some("crib".into()),
                beside: false,
                weighed: None,
            },
        }
    };
    let count = 2 * PAGE as i64 + 1;
    let mut opened = journal::open(&config.journal, &config.node, now).await.unwrap();
    let batch = Batch { events: (0..count).map(event).collect(), ..Batch::default() };
    opened.writer.commit(&batch, now).await.unwrap();
    opened.writer.close().await.unwrap();
    let written = document(&config, (None, None)).await;
    let events = written["epcisBody"]["eventList"].as_array().unwrap();
    assert_eq!(events.len() as i64, count);
    let times: Vec<&str> = events.iter().map(|event| event["eventTime"].as_str().unwrap()).collect();
    assert!(times.is_sorted());
    let ids: std::collections::BTreeSet<&str> =
        events.iter().map(|event| event["eventID"].as_str().unwrap()).collect();
    assert_eq!(ids.len() as i64, count);
    let range = (Some(now.offset(10_000_000)), Some(now.offset(13_000_000)));
    assert_eq!(document(&config, range).await["epcisBody"]["eventList"].as_array().unwrap().len(), 3);
}
