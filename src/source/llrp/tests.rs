//! The session against a scripted reader, whose bytes are written by hand.

use std::collections::VecDeque;
use std::future::Future;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::config::{BackoffConfig, RoSpecConfig};
use crate::domain::epc_pattern::EpcPattern;
use crate::domain::frames::{Frame, Payload};
use crate::domain::ids::SourceId;
use crate::domain::tag_filter::TagFilter;
use crate::source::Gate;
use crate::source::clock::WallClock;

mod filters;
mod outputs;
mod terms;
mod versions;

const ATTEMPT: &str = "00f6 0016 0080 000c 0005ac35bd20d1da 0100 0006";
const SUCCESS: &str = "011f 0008 0000 0000";
/// LLRPCapabilities: warns of a filling buffer, holds; one ROSpec.
const CAPABILITIES: &str = "008e 001c 48 01 0000 00000001 00000020 00000001 00000010 00000008";
const TAG: &str = "00f0 0011 8d 3000abcdef00000000000003";

const NOTHING: [u8; 0] = [];

/// Types of the messages that set a reader up which has no ROSpec.
const SET_UP: [u16; 6] = [1, 3, 26, 20, 24, 64];

const MAX_KEPT: usize = 3 << 20;

fn hex(text: &str) -> Vec<u8> {
    ::hex::decode(text.replace([' ', '\n'], "")).unwrap()
}

fn message(message_type: u16, id: u32, content: &str) -> Vec<u8> {
    let content = hex(content);
    let mut message = (0x0400 | message_type).to_be_bytes().to_vec();
    message.extend((content.len() as u32 + 10).to_be_bytes());
    message.extend(id.to_be_bytes());
    message.extend(content);
    message
}

/// No step of a test may take longer.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let bounded = tokio::time::timeout(Duration::from_secs(10), future).await;
    bounded.unwrap_or_else(|_| panic!("still waiting for {what}"))
}

/// The client under test, and both ends of what it talks to.
struct Bench {
    listener: TcpListener,
    queue: mpsc::Receiver<Intake>,
    gate: watch::Sender<Gate>,
    door: mpsc::Sender<Switch>,
    shutdown: CancellationToken,
    client: JoinHandle<()>,
}

impl Bench {
    /// A message longer than 2 MiB is kept whole up to [`MAX_KEPT`].
    async fn start(adjust: impl FnOnce(&mut ReaderConfig)) -> Self {
        Self::with_outputs(&[], adjust).await
    }

    async fn with_outputs(ports: &[u16], adjust: impl FnOnce(&mut ReaderConfig)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = ReaderConfig {
            name: SourceId::new("dock"),
            reach: Reach::ToReader { address: listener.local_addr().unwrap().to_string(), tls: None },
            connect_timeout: Duration::from_secs(10),
            keepalive: Duration::from_secs(10),
            backoff: BackoffConfig { first: Duration::from_millis(1), last: Duration::from_millis(20) },
            version: LlrpVersion::V1_0_1,
            rospec: RoSpecConfig { id: 7, antennas: vec![1, 2], session: Some(2), ..RoSpecConfig::default() },
            select: TagFilter::default(),
            references: Vec::new(),
        };
        adjust(&mut config);
        let (sender, queue) = mpsc::channel(64);
        let (gate, gate_seen) = watch::channel(Gate::Open);
        let intake = IntakeSender { queue: sender, gate: gate_seen, clock: WallClock::new() };
        let shutdown = CancellationToken::new();
        let (door, lane) = mpsc::channel(4);
        let names = ports.iter().map(|port| (*port, format!("light {port}"))).collect();
        let outputs = Outputs::new(names, lane);
        let client = tokio::spawn(run(config, MAX_KEPT, outputs, Desk::default(), intake, shutdown.clone()));
        Self { listener, queue, gate, door, shutdown, client }
    }

    async fn accept(&self) -> Reader {
        let (stream, _) = soon("a connection", self.listener.accept()).await.unwrap();
        Reader {
            stream,
            capabilities: CAPABILITIES.to_owned(),
            rospecs: String::new(),
            refuse: None,
            seen: Vec::new(),
        }
    }

    /// A reader that was connected to and set up, its link's first words taken off the queue.
    async fn set_up(&mut self) -> Reader {
        let mut reader = self.accept().await;
        reader.announce(0).await;
        reader.answer_until_enabled().await;
        assert_eq!(self.frame().await, message(63, 0, &format!("{ATTEMPT}0000")));
        assert_eq!(self.link().await, LinkState::Up { replaying: false });
        reader
    }

    async fn intake(&mut self) -> Intake {
        soon("an intake", self.queue.recv()).await.expect("the client runs")
    }

    async fn frame(&mut self) -> Vec<u8> {
        match self.intake().await {
            Intake::Frame(Frame { payload: Payload::Llrp(bytes), source, ack: None, .. }) => {
                assert_eq!(source.as_str(), "dock");
                bytes
            }
            other => panic!("not a frame of LLRP: {other:?}"),
        }
    }

    async fn link(&mut self) -> LinkState {
        match self.intake().await {
            Intake::Link(change) => change.state,
            other => panic!("not a change of the link: {other:?}"),
        }
    }

    async fn down(&mut self) -> String {
        match self.link().await {
            LinkState::Down { reason } => reason,
            up => panic!("{up:?}"),
        }
    }
}

/// The scripted reader's end of one connection.
struct Reader {
    stream: TcpStream,
    capabilities: String,
    /// What it answers to GET_ROSPECS, behind the status.
    rospecs: String,
    /// A type that it refuses once.
    refuse: Option<u16>,
    seen: Vec<(u16, Vec<u8>)>,
}

impl Reader {
    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    async fn announce(&mut self, status: u16) {
        self.send(&message(63, 0, &format!("{ATTEMPT}{status:04x}"))).await;
    }

    /// Type, id and content of the next message.
    async fn receive(&mut self) -> (u16, u32, Vec<u8>) {
        let mut header = [0; 10];
        soon("a header", self.stream.read_exact(&mut header)).await.unwrap();
        assert_eq!(header[0] & 0b1111_1100, 0b100, "LLRP 1.0.1, nothing reserved");
        let number = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().unwrap());
        let mut content = vec![0; number(2) as usize - 10];
        soon("a message", self.stream.read_exact(&mut content)).await.unwrap();
        (u16::from_be_bytes([header[0] & 3, header[1]]), number(6), content)
    }

    /// Answers what sets it up, up to ENABLE_EVENTS_AND_REPORTS, or up to what it refuses.
    async fn answer_until_enabled(&mut self) -> Vec<u16> {
        loop {
            let (kind, id, content) = self.receive().await;
            self.seen.push((kind, content));
            if kind == 1023 {
                // Of the same type, with the status behind vendor and subtype; an error where it is refused.
                let (kind, answer) = match self.refuse {
                    Some(1023) => (100, "011f 0008 006d 0000".to_owned()),
                    _ => (1023, format!("0000651a 16 {SUCCESS}")),
                };
                self.send(&message(kind, id, &answer)).await;
                if self.refuse == Some(1023) {
                    break;
                }
                continue;
            }
            let answer = match kind {
                _ if self.refuse == Some(kind) => "011f 000c 0065 0004 62757379".to_owned(),
                1 => SUCCESS.to_owned() + &self.capabilities,
                26 => SUCCESS.to_owned() + &self.rospecs,
                3 | 20 | 21 | 24 => SUCCESS.to_owned(),
                64 => break,
                other => panic!("the client sent a message of type {other}"),
            };
            self.send(&message(kind + 10, id, &answer)).await;
            if self.refuse == Some(kind) {
                break;
            }
        }
        self.seen.iter().map(|(kind, _)| *kind).collect()
    }

    fn content(&self, wanted: u16) -> String {
        let (_, content) = self.seen.iter().find(|(kind, _)| *kind == wanted).expect("it was sent");
        ::hex::encode(content)
    }

    /// All that comes until the client closes.
    async fn rest(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        soon("the end of the connection", self.stream.read_to_end(&mut rest)).await.unwrap();
        rest
    }
}

#[tokio::test]
async fn nothing_is_sent_to_a_reader_that_announces_nothing() {
    let mut bench = Bench::start(|config| config.connect_timeout = Duration::from_millis(50)).await;
    let reader = bench.accept().await;
    assert_eq!(reader.rest().await, NOTHING);
    assert!(bench.down().await.contains("did not announce"));
}

#[tokio::test]
async fn the_reader_is_set_up_in_order_and_then_the_link_is_up() {
    let mut bench = Bench::start(|_| {}).await;
    let mut reader = bench.accept().await;
    reader.announce(0).await;
    assert_eq!(reader.answer_until_enabled().await, SET_UP);
    assert_eq!(reader.content(1), "00");
    let events = "00f4 0019 00f5 0007 0003 80 00f5 0007 0004 80 00f5 0007 0008 80";
    let keepalive_and_hold = "00dc 0009 01 00002710 00e2 0005 80";
    assert_eq!(reader.content(3), format!("00{events}{keepalive_and_hold}").replace(' ', ""));
    let rospec = "00b1 005e 00000007 00 00
        00b2 0012 00b3 0005 01 00b6 0009 00 00000000
        00b7 0030 0002 0001 0002 00b8 0009 00 00000000
            00ba 001d 0001 01 00de 0016 0000 014a 0010 00 0150 000b 80 0020 00000000
        00ed 0012 02 0001 00ee 000b ffc0 015c 0005 c0";
    let rospec = without_blanks(rospec);
    assert_eq!(reader.content(20), rospec);
    assert_eq!(reader.content(24), "00000007");
    bench.frame().await;
    assert_eq!(bench.link().await, LinkState::Up { replaying: false });
}

fn without_blanks(text: &str) -> String {
    text.replace([' ', '\n'], "")
}

#[tokio::test]
async fn reports_and_events_are_passed_on_whole_however_they_are_cut() {
    let mut bench = Bench::start(|_| {}).await;
    let mut reader = bench.set_up().await;
    let report = message(61, 9, TAG);
    let antenna_lost = message(63, 10, "00f6 0017 0080 000c 0005ac35bd20d1da 00ff 0007 00 0003");
    let both = [report.clone(), antenna_lost.clone()].concat();
    for byte in &both {
        reader.send(&[*byte]).await;
    }
    reader.send(&both).await;
    for expected in [&report, &antenna_lost, &report, &antenna_lost] {
        assert_eq!(bench.frame().await, *expected);
    }
}

#[tokio::test]
async fn keepalives_are_acknowledged_also_during_set_up() {
    let bench = Bench::start(|_| {}).await;
    let mut reader = bench.accept().await;
    reader.announce(0).await;
    reader.send(&message(62, 5, "")).await;
    let mut acknowledged = false;
    for _ in 0..2 {
        let (kind, id, content) = reader.receive().await;
        match kind {
            72 => {
                assert_eq!((id, content), (5, vec![]));
                acknowledged = true;
            }
            1 => reader.send(&message(11, id, &format!("{SUCCESS}{CAPABILITIES}"))).await,
            other => panic!("{other}"),
        }
    }
    assert!(acknowledged);
    reader.answer_until_enabled().await;
    reader.send(&message(62, 77, "")).await;
    assert_eq!(reader.receive().await, (72, 77, vec![]));
}

#[tokio::test]
async fn a_refusal_is_told_once_and_tried_again_until_it_ends() {
    let mut bench = Bench::start(|_| {}).await;
    for _ in 0..3 {
        let mut reader = bench.accept().await;
        reader.announce(2).await;
        assert_eq!(reader.rest().await, NOTHING, "nothing is sent to a reader that refuses");
    }
    assert!(bench.down().await.contains("another client is connected"));
    bench.set_up().await;
}

#[tokio::test]
async fn a_refused_rospec_is_told_with_the_readers_words() {
    let mut bench = Bench::start(|_| {}).await;
    let mut reader = bench.accept().await;
    reader.announce(0).await;
    reader.refuse = Some(20);
    assert_eq!(reader.answer_until_enabled().await, [1, 3, 26, 20]);
    bench.frame().await;
    assert_eq!(bench.down().await, "ADD_ROSPEC failed with status 101: busy");
}

#[tokio::test]
async fn a_lost_connection_is_told_and_made_again() {
    let mut bench = Bench::start(|_| {}).await;
    for _ in 0..3 {
        let reader = bench.set_up().await;
        drop(reader);
        let reason = bench.down().await;
        assert!(reason.contains("closed") || reason.contains("failed to"), "{reason}");
    }
}

#[tokio::test]
async fn a_reader_that_went_on_reading_keeps_its_rospec_and_replays() {
    let mut bench = Bench::start(|_| {}).await;
    let first = bench.set_up().await;
    let mut active = first.content(20);
    active.replace_range(18..20, "02");
    drop(first);
    bench.down().await;
    let mut second = bench.accept().await;
    second.rospecs = active;
    second.announce(0).await;
    assert_eq!(second.answer_until_enabled().await, [1, 3, 26, 64]);
    second.send(&message(61, 1, TAG)).await;
    bench.frame().await;
    assert_eq!(bench.link().await, LinkState::Up { replaying: true });
    assert_eq!(bench.frame().await, message(61, 1, TAG));
}

#[tokio::test]
async fn a_rospec_that_is_not_ours_or_does_not_run_is_replaced() {
    let mut bench = Bench::start(|_| {}).await;
    let first = bench.set_up().await;
    let stopped = first.content(20);
    let mut foreign = stopped.clone();
    foreign.replace_range(8..16, "00000099");
    drop(first);
    bench.down().await;
    for (held, replaying, deleted) in [(stopped, true, "00000007"), (foreign, false, "00000000")] {
        let mut reader = bench.accept().await;
        reader.rospecs = held;
        reader.announce(0).await;
        assert_eq!(reader.answer_until_enabled().await, [1, 3, 26, 21, 20, 24, 64]);
        assert_eq!(reader.content(21), deleted);
        bench.frame().await;
        assert_eq!(bench.link().await, LinkState::Up { replaying });
        drop(reader);
        bench.down().await;
    }
}

#[tokio::test]
async fn three_missing_keepalives_end_the_session() {
    let mut bench = Bench::start(|config| config.keepalive = Duration::from_millis(20)).await;
    let reader = bench.set_up().await;
    assert_eq!(bench.down().await, "nothing heard for 60ms, three keepalives are missing");
    assert_eq!(reader.rest().await, NOTHING);
}

#[tokio::test]
async fn what_is_no_message_is_kept_and_the_connection_made_again() {
    let mut bench = Bench::start(|_| {}).await;
    for (garbage, reason) in
        [(&b"SSH-2.0-OpenSSH_9.2"[..], "version"), (&[4, 61, 0, 0, 0, 9, 0, 0, 0, 1], "shorter")]
    {
        let mut reader = bench.set_up().await;
        reader.send(&message(61, 1, TAG)).await;
        reader.send(garbage).await;
        assert_eq!(bench.frame().await, message(61, 1, TAG));
        assert_eq!(bench.frame().await, garbage);
        let told = bench.down().await;
        assert!(told.contains("what is no LLRP") && told.contains(reason), "{told}");
    }
    let mut reader = bench.set_up().await;
    reader.send(&message(61, 1, TAG)[..20]).await;
    drop(reader);
    assert_eq!(bench.frame().await, message(61, 1, TAG)[..20], "a message that was cut off");
    bench.down().await;
}

/// It is refused when all of it has come, so that the dead letter has it whole; a length that no reader sends
/// is refused at once.
#[tokio::test]
async fn a_message_that_is_too_long_is_kept_whole_up_to_a_bound() {
    let mut bench = Bench::start(|_| {}).await;
    let mut reader = bench.set_up().await;
    let mut long = message(61, 9, &"ab".repeat(MAX_KEPT - 10));
    reader.send(&long).await;
    assert!(bench.frame().await == long, "whole");
    assert!(bench.down().await.contains("longer than the limit"));

    let mut reader = bench.set_up().await;
    long[2..6].copy_from_slice(&(MAX_KEPT as u32 + 1).to_be_bytes());
    reader.send(&long[..100]).await;
    let kept = bench.frame().await;
    assert!(kept.len() >= 10 && long.starts_with(&kept));
    assert!(bench.down().await.contains("longer than the limit"));
}

/// Whatever ends the connection in the middle of a message, its beginning is kept.
#[tokio::test]
async fn what_a_reader_began_to_say_before_it_fell_silent_is_kept() {
    let mut bench = Bench::start(|config| config.keepalive = Duration::from_millis(20)).await;
    let mut reader = bench.set_up().await;
    let report = message(61, 9, "00f0");
    reader.send(&report[..7]).await;
    assert_eq!(bench.frame().await, report[..7]);
    assert!(bench.down().await.contains("nothing heard"));
}

#[tokio::test]
async fn a_reader_that_says_goodbye_is_connected_to_again() {
    let mut bench = Bench::start(|_| {}).await;
    let mut reader = bench.set_up().await;
    let goodbye = message(63, 3, "00f6 0014 0080 000c 0005ac35bd20d1da 0101 0004");
    reader.send(&goodbye).await;
    assert_eq!(bench.frame().await, goodbye);
    assert_eq!(bench.down().await, "the reader closed the connection");
    bench.set_up().await;
}

#[tokio::test]
async fn nothing_is_read_while_the_gate_is_closed() {
    let mut bench = Bench::start(|config| config.keepalive = Duration::from_millis(30)).await;
    let mut reader = bench.set_up().await;
    bench.gate.send_replace(Gate::Closed);
    // The client has seen the gate when it has come to rest: it no longer answers keepalives.
    let mut sent = VecDeque::new();
    loop {
        reader.send(&message(62, sent.len() as u32, "")).await;
        sent.push_back(sent.len() as u32);
        let acknowledged = tokio::time::timeout(Duration::from_millis(200), reader.receive()).await;
        match acknowledged {
            Ok((kind, id, _)) => assert_eq!((kind, Some(id)), (72, sent.pop_front())),
            Err(_) => break,
        }
    }
    reader.send(&message(61, 1, TAG)).await;
    // Much longer than three keepalives: that we do not listen is not the reader's silence.
    assert!(bench.queue.try_recv().is_err());
    bench.gate.send_replace(Gate::Open);
    assert_eq!(bench.frame().await, message(61, 1, TAG));
}

#[tokio::test]
async fn a_stop_takes_leave_and_passes_on_what_still_comes() {
    let mut bench = Bench::start(|_| {}).await;
    let mut reader = bench.set_up().await;
    bench.shutdown.cancel();
    let (kind, id, content) = reader.receive().await;
    assert_eq!((kind, content), (14, vec![]));
    reader.send(&message(61, 1, TAG)).await;
    reader.send(&message(4, id, SUCCESS)).await;
    soon("the client's end", bench.client).await.unwrap();
    assert_eq!(reader.rest().await, NOTHING);
    assert!(matches!(bench.queue.recv().await, Some(Intake::Frame(_))));
    assert_eq!(bench.queue.recv().await, None);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_reader_that_is_away() {
    let bench = Bench::start(|config| {
        config.backoff = BackoffConfig { first: Duration::from_secs(60), last: Duration::from_secs(60) };
        config.reach = Reach::ToReader { address: "127.0.0.1:1".to_owned(), tls: None };
    });
    let mut bench = bench.await;
    assert!(bench.down().await.contains("failed to connect"));
    bench.shutdown.cancel();
    soon("the client's end", bench.client).await.unwrap();
}
