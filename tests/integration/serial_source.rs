//! The serial source against simulated readers on pseudo-terminals, and against a TCP peer written by hand.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tallyman::config::SerialReaderConfig;
use tallyman::decode::serial::SerialDecoder;
use tallyman::domain::frames::{LinkState, Payload};
use tallyman::domain::readings::{Reading, TagRead};
use tallyman::source::{Gate, Intake, serial};
use tallyman_simulators::clock::wall_now;
use tallyman_simulators::faults::Fault;
use tallyman_simulators::llrp::{TagObservation, Taken};
use tallyman_simulators::serial::{Protocol, SerialOptions, SerialReader};
use tallyman_simulators::truth::TruthLog;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::servers::PATIENCE;
use crate::source::{Source, reason};

const PROTOCOLS: [(Protocol, &str); 5] = [
    (Protocol::Line, "line"),
    (Protocol::Mercury, "mercury"),
    (Protocol::R2000, "r2000"),
    (Protocol::Chafon, "chafon"),
    (Protocol::R200, "r200"),
];

fn config(protocol: &str, line: &str, more: &str) -> SerialReaderConfig {
    let text = format!(
        "node = \"n\"\n[[site]]\nname = \"s\"\ntimezone = \"UTC\"\n[[reader]]\nname = \"crib\"\nprotocol = \"{protocol}\"\n{line}\n\
         backoff = {{ first = \"10ms\", last = \"50ms\" }}\n{more}\n"
    );
    let config = tallyman::config::parse(&text, Path::new("."), &|_| None).expect("a configuration");
    config.serial_readers.into_iter().next().expect("a serial reader")
}

struct Daemon {
    source: Source,
    decoder: SerialDecoder,
    /// Reads that are decoded and not asked for yet.
    reads: Vec<TagRead>,
}

impl Daemon {
    fn start(config: SerialReaderConfig, queue: usize) -> Self {
        let decoder = SerialDecoder::new(config.name.clone(), config.protocol.clone());
        let source = Source::start(queue, |intake, shutdown| serial::run(config, intake, shutdown));
        Self { source, decoder, reads: Vec::new() }
    }

    async fn up(&mut self) {
        assert_eq!(self.source.link_among_frames().await, LinkState::Up { replaying: false });
    }

    async fn down(&mut self) -> String {
        reason(self.source.link_among_frames().await)
    }

    /// The next tag read; what else is said on the way is passed over.
    async fn read(&mut self) -> TagRead {
        loop {
            if !self.reads.is_empty() {
                return self.reads.remove(0);
            }
            let Intake::Frame(frame) = self.source.next().await else { continue };
            let Payload::Serial { bytes, fault: None } = frame.payload else { continue };
            let mut readings = Vec::new();
            self.decoder.decode(&bytes, &mut readings).expect("a frame that is whole");
            self.reads.extend(readings.into_iter().filter_map(|reading| match reading {
                Reading::Tag(read) => Some(read),
                _ => None,
            }));
        }
    }

    /// The next bytes that are no frame.
    async fn garbage(&mut self) -> (Vec<u8>, &'static str) {
        loop {
            if let Intake::Frame(frame) = self.source.next().await
                && let Payload::Serial { bytes, fault: Some(reason) } = frame.payload
            {
                return (bytes, reason);
            }
        }
    }
}

async fn reader(protocol: Protocol, folder: &Path) -> SerialReader {
    let options =
        SerialOptions { name: "crib".to_owned(), protocol, path: folder.join("line"), buffer_reads: 1000 };
    SerialReader::start(options, Arc::new(TruthLog::default())).await.expect("a pseudo-terminal")
}

fn observation(number: u8, antenna: u16) -> TagObservation {
    let epc = vec![0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, number];
    TagObservation { antenna, epc, rssi_dbm: -60, at: wall_now(), count: 1 }
}

/// Reads it, once somebody listens.
async fn read(reader: &SerialReader, observation: TagObservation) {
    timeout(PATIENCE, reader.listening()).await.expect("somebody listens");
    assert_eq!(reader.read(observation), Taken::Held);
}

fn port(folder: &Path) -> String {
    format!("port = {:?}", folder.join("line").display().to_string())
}

#[tokio::test]
async fn every_protocol_reads_is_unplugged_comes_back_and_is_told_to_stop() {
    for (protocol, name) in PROTOCOLS {
        let folder = tempfile::tempdir().unwrap();
        let reader = reader(protocol, folder.path()).await;
        let mut daemon = Daemon::start(config(name, &port(folder.path()), ""), 1000);
        // R200 has one antenna.
        let antenna = if protocol == Protocol::R200 { 1 } else { 2 };
        for number in 0..20 {
            read(&reader, observation(number, antenna)).await;
        }
        for number in 0..20 {
            let read = daemon.read().await;
            assert_eq!(read.epc.bytes(), observation(number, 1).epc, "{name}");
            assert_eq!(read.antenna, antenna, "{name}");
            if protocol != Protocol::Chafon {
                assert_eq!(read.peak_rssi_dbm, Some(-60.0), "{name}");
            }
        }
        reader.faults().begin(Fault::Disconnect);
        let reason = daemon.down().await;
        assert!(reason.contains("closed") || reason.contains("read"), "{name}: {reason}");
        reader.faults().end(Fault::Disconnect);
        daemon.up().await;
        read(&reader, observation(99, 1)).await;
        assert_eq!(daemon.read().await.epc.bytes()[11], 99, "{name}");
        daemon.source.stop().await;
        // Whoever is told to stop reading does; whoever is asked round by round is asked no more.
        if protocol != Protocol::Line {
            let stopped = async {
                while reader.read(observation(1, 1)) != Taken::NotListening {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            timeout(PATIENCE, stopped).await.unwrap_or_else(|_| panic!("{name} reads on"));
        }
        reader.stop().await;
    }
}

#[tokio::test]
async fn garbage_costs_no_frame_and_is_handed_on_with_its_reason() {
    for (protocol, name) in PROTOCOLS.into_iter().filter(|(protocol, _)| *protocol != Protocol::Line) {
        let folder = tempfile::tempdir().unwrap();
        let reader = reader(protocol, folder.path()).await;
        reader.faults().begin(Fault::Garbage);
        let mut daemon = Daemon::start(config(name, &port(folder.path()), ""), 1000);
        for number in 0..5 {
            read(&reader, observation(number, 1)).await;
        }
        for number in 0..5 {
            assert_eq!(daemon.read().await.epc.bytes()[11], number, "{name}");
        }
        let (bytes, reason) = daemon.garbage().await;
        assert!(!bytes.is_empty() && !reason.is_empty(), "{name}");
        reader.faults().end(Fault::Garbage);
        reader.faults().begin(Fault::Truncated);
        read(&reader, observation(6, 1)).await;
        daemon.garbage().await;
        reader.faults().end(Fault::Truncated);
        read(&reader, observation(7, 1)).await;
        assert_eq!(daemon.read().await.epc.bytes()[11], 7, "{name}");
        daemon.source.stop().await;
        reader.stop().await;
    }
}

struct Peer(TcpListener);

impl Peer {
    async fn listen() -> (Self, String) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = format!("address = \"{}\"", listener.local_addr().unwrap());
        (Self(listener), address)
    }

    async fn accept(&self) -> TcpStream {
        timeout(PATIENCE, self.0.accept()).await.expect("a connection").unwrap().0
    }
}

async fn told(stream: &mut TcpStream, bytes: usize) -> String {
    let mut buffer = vec![0; bytes];
    timeout(PATIENCE, stream.read_exact(&mut buffer)).await.expect("a command").unwrap();
    hex::encode(buffer)
}

const R2000_ROUND: &str = "a004ff89ffd5";

#[tokio::test]
async fn a_round_that_is_over_and_one_that_never_ends_are_asked_for_again() {
    let (peer, address) = Peer::listen().await;
    let mut daemon = Daemon::start(config("r2000", &address, "ask_again_after = \"300ms\""), 100);
    let mut stream = peer.accept().await;
    assert_eq!(told(&mut stream, 6).await, R2000_ROUND);
    // The end of a round of no reads.
    stream.write_all(&hex::decode("a00a0189000000000000 00cc".replace(' ', "")).unwrap()).await.unwrap();
    assert_eq!(told(&mut stream, 6).await, R2000_ROUND, "at once");
    daemon.up().await;
    assert_eq!(told(&mut stream, 6).await, R2000_ROUND, "after a while");
    daemon.source.stop().await;
}

#[tokio::test]
async fn a_reader_that_says_nothing_for_too_long_is_gone() {
    let (peer, address) = Peer::listen().await;
    let mut daemon = Daemon::start(config("r200", &address, "silent_after = \"1s\""), 100);
    let mut stream = peer.accept().await;
    assert_eq!(told(&mut stream, 10).await, "aa0027000322ffff4add");
    stream.write_all(&hex::decode("aa01ff00011516dd").unwrap()).await.unwrap();
    daemon.up().await;
    assert!(daemon.down().await.contains("nothing came for 1s"));
    peer.accept().await;
    daemon.source.stop().await;
}

#[tokio::test]
async fn what_finds_no_room_is_counted_and_the_line_is_read_on() {
    let (peer, address) = Peer::listen().await;
    let mut daemon = Daemon::start(config("line", &address, ""), 100);
    let mut stream = peer.accept().await;
    daemon.up().await;
    let mut dropped = 0;
    let counted = async {
        // A line that comes while the gate is shut is dropped; the next one that is taken brings the count.
        while dropped == 0 {
            daemon.source.gate.send_replace(Gate::Closed);
            stream.write_all(b"E28011606000020000000001\n").await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
            daemon.source.gate.send_replace(Gate::Open);
            stream.write_all(b"E28011606000020000000002\n").await.unwrap();
            match daemon.source.next().await {
                Intake::Dropped { reason: "journal-full", count, .. } => dropped += count,
                Intake::Frame(_) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    timeout(PATIENCE, counted).await.expect("drops are counted");
    daemon.source.stop().await;
}

#[tokio::test]
async fn a_port_that_is_not_there_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::start(config("r200", &port(folder.path()), ""), 10);
    let reason = daemon.down().await;
    assert!(reason.contains("no such port"), "{reason}");
    daemon.source.stop().await;
}
