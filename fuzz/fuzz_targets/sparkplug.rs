//! `cargo +nightly fuzz run sparkplug`: any messages of one edge node and its device, in any order, by usual names and
//! aliases. Nothing panics; what is wrong lies inside of the message; a restart after any of them changes nothing.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use tallyman::config::IntakeConfig;
use tallyman::decode::Decoded;
use tallyman::decode::gps::message::Message;
use tallyman::decode::gps::sparkplug::{MetricMapping, Nodes, Payload, decode};
use tallyman::domain::geodesy::Position;
use tallyman::domain::readings::Reading;
use tallyman::domain::time::Timestamp;

const KINDS: [&str; 8] = ["NBIRTH", "DBIRTH", "NDATA", "DDATA", "NDEATH", "DDEATH", "NCMD", "HELLO"];

fuzz_target!(|messages: Vec<(u8, bool, &[u8])>| {
    let (mapping, intake) = (MetricMapping::default(), IntakeConfig::default());
    let mut nodes = Nodes::new(&intake);
    let mut rows = BTreeMap::new();
    for (nth, (kind, retained, payload)) in messages.into_iter().enumerate() {
        let kind = KINDS[usize::from(kind) % KINDS.len()];
        let device = if kind.starts_with('D') { "/d" } else { "" };
        let topic = format!("spBv1.0/g/{kind}/n{device}");
        if let Err(error) = Payload::parse(payload) {
            assert!(error.offset <= payload.len());
        }
        let received = Timestamp::from_secs(nth as i64);
        let message = Message { retained, ..Message::new(&topic, payload, received) };
        let mut out = Decoded::default();
        match decode(&mut nodes, &mapping, message, None, &mut out) {
            Ok(()) => assert!(!out.readings.is_empty() || !out.faults.is_empty()),
            Err(error) => assert!(error.offset <= payload.len() && out.readings.is_empty()),
        }
        for reading in out.readings {
            match reading {
                Reading::Fix(fix) => assert!(Position::new(fix.position.lat, fix.position.lon).is_some()),
                Reading::Note(note) => assert!(note.device.as_str().starts_with("g/n")),
                other => panic!("{other:?} of a tracker"),
            }
        }
        nodes = restarted(nodes, &intake, &mut rows);
    }
});

fn restarted(mut nodes: Nodes, intake: &IntakeConfig, rows: &mut BTreeMap<String, Vec<u8>>) -> Nodes {
    let mut written = Vec::new();
    nodes.take_dirty("b", &mut written);
    for row in written {
        match row.value {
            Some(value) => rows.insert(row.key, value),
            None => rows.remove(&row.key),
        };
    }
    let mut back = Nodes::new(intake);
    for (key, value) in rows.iter() {
        back.restore(key.trim_start_matches("b#"), value).expect("a row of ours");
    }
    assert_eq!(back.count(), nodes.count());
    back
}
