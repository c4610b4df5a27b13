//! A whole session, as tshark's LLRP dissector sees it.
//!
//! GET_READER_CONFIG is asked for all groups but the identification: the dissector counts that parameter two
//! bytes short, also in what real readers send. Nor is SET_PROTOCOL_VERSION judged: it shows three bits of the version
//! and takes its byte (LLRP 1.1, section 9.1.3) for one too many.

use std::fmt::Write as _;
use std::process::Command;
use std::sync::Arc;

use tallyman_simulators::clock::wall_now;
use tallyman_simulators::faults::Fault;
use tallyman_simulators::llrp::{Reader, ReaderOptions, TagObservation};
use tallyman_simulators::truth::TruthLog;

use crate::client::Client;

fn installed(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Everything that a client and the reader say to each other, one message of each type at least.
async fn session() -> Vec<(bool, Vec<u8>)> {
    let mut options = ReaderOptions::named("r");
    options.buffer_reads = 3;
    let reader = Reader::start(options, Arc::new(TruthLog::default())).await.unwrap();
    let mut client = Client::connect(reader.address()).await;
    assert_eq!(client.ask(1, &[0]).await.status(), 0);
    for group in 2..=11 {
        assert_eq!(client.ask(2, &[0, 0, group, 0, 0, 0, 0]).await.status(), 0);
    }
    // ROSpec events on, keepalives every 10 ms.
    let settings = [0, 0, 244, 0, 11, 0, 245, 0, 7, 0, 2, 0x80, 0, 220, 0, 9, 1, 0, 0, 0, 10];
    assert_eq!(client.ask(3, &settings).await.status(), 0);
    // Events of inputs, and the first of them.
    let inputs = [0, 0, 244, 0, 11, 0, 245, 0, 7, 0, 1, 0x80, 0, 225, 0, 8, 0, 1, 0x80, 2];
    assert_eq!(client.ask(3, &inputs).await.status(), 0);
    client.listen().await;
    client.send(64, &[]).await;
    reader.input(2, true, wall_now());
    reader.input(1, true, wall_now());
    // Of the second input nobody asked.
    let mut told = client.next_of(63).await;
    while !told.body.ends_with(&[0, 248, 0, 7, 0, 1, 0x80]) {
        assert!(!told.body.ends_with(&[0, 248, 0, 7, 0, 2, 0x80]), "{:?}", told.body);
        told = client.next_of(63).await;
    }
    assert_eq!(client.ask(24, &99u32.to_be_bytes()).await.status(), 101);
    assert_eq!(client.ask(26, &[]).await.status(), 0);
    assert_eq!(client.ask(44, &[]).await.status(), 0);
    assert_eq!(client.ask(46, &[]).await.kind, 100);
    client.next_of(62).await;
    client.send(72, &[]).await;
    for length in [12, 16, 4] {
        reader.read(TagObservation {
            antenna: 2,
            epc: vec![7; length],
            rssi_dbm: -61,
            at: wall_now(),
            count: 2,
        });
        client.next_of(61).await;
    }
    reader.faults().begin(Fault::Silent);
    for _ in 0..10 {
        reader.read(TagObservation { antenna: 1, epc: vec![8; 12], rssi_dbm: -61, at: wall_now(), count: 1 });
    }
    reader.faults().end(Fault::Silent);
    client.next_of(61).await;
    client.send(60, &[]).await;
    assert_eq!(client.ask(25, &7u32.to_be_bytes()).await.status(), 0);
    assert_eq!(client.ask(21, &7u32.to_be_bytes()).await.status(), 0);
    let (_, status) = Client::connect_once(reader.address()).await;
    assert_eq!(status, 2);
    assert_eq!(client.ask(14, &[]).await.kind, 4);
    client.seen
}

/// AccessSpec 3: reads a word of every tag that ROSpec 7 finds, for ever.
#[rustfmt::skip]
const ACCESSSPEC: [u8; 57] = [
    0, 207, 0, 57, 0, 0, 0, 3, 0, 0, 1, 0, 0, 0, 0, 7,
    0, 208, 0, 7, 0, 0, 0,
    0, 209, 0, 34, 1, 82, 0, 15, 1, 83, 0, 11, 0x60, 0, 0, 0, 0, 0, 0,
    1, 85, 0, 15, 0, 1, 0, 0, 0, 0, 0x80, 0, 0, 0, 1,
];

/// What [`session`] leaves out, with a reader that has it: access specs, the state of ROSpecs changed one by one, a
/// maker's extensions, and LLRP 1.1.
async fn session_in_1_1() -> Vec<(bool, Vec<u8>)> {
    let mut options = ReaderOptions::named("r");
    options.speaks_1_1 = true;
    options.has_extensions_of = 25_882;
    let reader = Reader::start(options, Arc::new(TruthLog::default())).await.unwrap();
    let mut client = Client::connect(reader.address()).await;
    client.version = 2;
    assert_eq!(client.ask(46, &[]).await.kind, 56);
    assert_eq!(client.ask(47, &[2]).await.kind, 57);
    assert_eq!(client.ask(1023, &[0, 0, 0x65, 0x1a, 21, 0, 0, 0, 0]).await.kind, 1023);
    assert_eq!(client.ask(1, &[0]).await.status(), 0);
    client.listen().await;
    client.send(64, &[]).await;
    let [seven, three] = [7u32, 3].map(u32::to_be_bytes);
    assert_eq!(client.ask(40, &ACCESSSPEC).await.kind, 50);
    for kind in [42, 43] {
        assert_eq!(client.ask(kind, &three).await.status(), 0);
    }
    assert_eq!(client.ask(44, &[]).await.status(), 0);
    assert_eq!(client.ask(41, &three).await.status(), 0);
    for kind in [23, 22, 25, 21] {
        assert_eq!(client.ask(kind, &seven).await.status(), 0);
    }
    assert_eq!(client.ask(14, &[]).await.kind, 4);
    reader.stop().await;
    client.seen
}

/// For `text2pcap -D`: direction, then offsets and bytes.
fn dump(messages: &[(bool, Vec<u8>)]) -> String {
    let mut text = String::new();
    for (ours, bytes) in messages {
        text.push_str(if *ours { "O\n" } else { "I\n" });
        for (row, chunk) in bytes.chunks(16).enumerate() {
            write!(text, "{:06x}", row * 16).unwrap();
            chunk.iter().for_each(|byte| write!(text, " {byte:02x}").unwrap());
            text.push('\n');
        }
        text.push('\n');
    }
    text
}

#[tokio::test]
async fn tshark_finds_nothing_malformed() {
    if !installed("tshark") || !installed("text2pcap") {
        eprintln!("skipped: tshark and text2pcap are not installed");
        return;
    }
    let messages = [session().await, session_in_1_1().await].concat();
    let folder = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let (text, capture) = (folder.join("session.txt"), folder.join("session.pcap"));
    std::fs::write(&text, dump(&messages)).unwrap();
    let made =
        Command::new("text2pcap").args(["-q", "-D", "-T", "5084,40000"]).args([&text, &capture]).status();
    assert!(made.unwrap().success());
    let fields = |filter: &str| {
        let mut tshark = Command::new("tshark");
        tshark.arg("-r").arg(&capture).args(["-d", "tcp.port==5084,llrp", "-Y", filter]);
        let output = tshark.args(["-T", "fields", "-e", "llrp.type"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let types = fields("llrp");
    assert_eq!(types.lines().count(), messages.len(), "every message is dissected");
    // All of 1.0.1 and 1.1 but CLIENT_REQUEST_OP, which this reader does not make, and its answer.
    let all = [1, 2, 3, 4, 14, 11, 12, 13, 46, 47, 56, 57, 60, 61, 62, 63, 64, 72, 100, 1023];
    for kind in all.into_iter().chain(20..=26).chain(30..=36).chain(40..=44).chain(50..=54) {
        assert!(types.lines().any(|line| line == kind.to_string()), "no message of type {kind} in {types}");
    }
    let faults = "(_ws.malformed or _ws.expert.severity == error) and llrp.type != 47";
    assert_eq!(fields(faults), "");
}
