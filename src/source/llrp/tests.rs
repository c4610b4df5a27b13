//! The session against a scripted reader, whose bytes are written by hand.

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

mod callers;
mod filters;
mod outputs;
mod session;
mod slow;
mod terms;
mod versions;

const ATTEMPT: &str = "00f6 0016 0080 000c 0005ac35bd20d1da 0100 0006";
const SUCCESS: &str = "011f 0008 0000 0000";
/// LLRPCapabilities: warns of a filling buffer, holds; one ROSpec.
const CAPABILITIES: &str = "008e 001c 48 01 0000 00000001 00000020 00000001 00000010 00000008";
const TAG: &str = "00f0 0011 8d 3000abcdef00000000000003";

const NOTHING: [u8; 0] = [];

/// GET_READER_CONFIG: of all antennas whether they are connected.
const ANTENNAS: [u8; 7] = [0, 0, 2, 0, 0, 0, 0];

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

fn without_blanks(text: &str) -> String {
    text.replace([' ', '\n'], "")
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
    config: ReaderConfig,
    desk: Desk,
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
            beams: Vec::new(),
        };
        adjust(&mut config);
        let (sender, queue) = mpsc::channel(64);
        let (gate, gate_seen) = watch::channel(Gate::Open);
        let intake = IntakeSender { queue: sender, gate: gate_seen, clock: WallClock::new() };
        let shutdown = CancellationToken::new();
        let (door, lane) = mpsc::channel(4);
        let names = ports.iter().map(|port| (*port, format!("light {port}"))).collect();
        let outputs = Outputs::new(names, lane);
        let desk = Desk::default();
        let session = run(config.clone(), MAX_KEPT, outputs, desk.clone(), intake, shutdown.clone());
        let client = tokio::spawn(session);
        Self { listener, queue, gate, door, config, desk, shutdown, client }
    }

    async fn accept(&self) -> Reader {
        let (stream, _) = soon("a connection", self.listener.accept()).await.unwrap();
        Reader::over(stream)
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

    /// The next connection of a reader that went on reading by our ROSpec, up to its answers.
    async fn back_at_work(&mut self, first: Reader) -> Reader {
        let mut active = first.content(20);
        active.replace_range(18..20, "02");
        drop(first);
        self.down().await;
        let mut reader = self.accept().await;
        reader.rospecs = active;
        reader.announce(0).await;
        reader
    }

    async fn intake(&mut self) -> Intake {
        loop {
            match soon("an intake", self.queue.recv()).await.expect("the client runs") {
                Intake::Room => {}
                intake => return intake,
            }
        }
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
    fn over(stream: TcpStream) -> Self {
        Self {
            stream,
            capabilities: CAPABILITIES.to_owned(),
            rospecs: String::new(),
            refuse: None,
            seen: Vec::new(),
        }
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    async fn announce(&mut self, status: u16) {
        self.send(&message(63, 0, &format!("{ATTEMPT}{status:04x}"))).await;
    }

    /// Type, id and content of the next message but for the question after its antennas, which it leaves unanswered.
    async fn receive(&mut self) -> (u16, u32, Vec<u8>) {
        loop {
            let (kind, id, content) = self.receive_any().await;
            if (kind, &content[..]) != (2, &ANTENNAS[..]) {
                return (kind, id, content);
            }
        }
    }

    async fn receive_any(&mut self) -> (u16, u32, Vec<u8>) {
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
                3 | 20 | 21 | 24 | 25 => SUCCESS.to_owned(),
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

    /// All that comes until the client closes, but for the question after its antennas.
    async fn rest(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        soon("the end of the connection", self.stream.read_to_end(&mut rest)).await.unwrap();
        if rest.len() == 17 && rest[10..] == ANTENNAS { NOTHING.to_vec() } else { rest }
    }
}
