//! The source of GNSS receivers against a TCP peer and a pseudo-terminal, both written by hand.

use std::path::Path;
use std::time::Duration;

use tallyman::config::NmeaConfig;
use tallyman::decode::Decoded;
use tallyman::decode::gps::nmea::{Dating, NmeaStream};
use tallyman::domain::frames::{Flow, LinkState, Payload};
use tallyman::domain::readings::Reading;
use tallyman::source::{Gate, Intake, nmea};
use tallyman_simulators::serial::Line;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::servers::PATIENCE;
use crate::source::{Source, reason};

fn config(line: &str, more: &str) -> NmeaConfig {
    let text = format!(
        "node = \"n\"\n[[site]]\nname = \"s\"\ntimezone = \"UTC\"\n[[nmea]]\nname = \"gps\"\n{line}\n\
         device = \"crane\"\nbackoff = {{ first = \"10ms\", last = \"50ms\" }}\n{more}\n"
    );
    let config = tallyman::config::parse(&text, Path::new("."), &|_| None).expect("a configuration");
    config.receivers.into_iter().next().expect("a receiver")
}

/// The sentences of one second: two that say where, one that does not say when.
fn burst(second: u32) -> String {
    let time = format!("12{:02}{:02}", second / 60, second % 60);
    [
        format!("GPGGA,{time},5230.{second:04},N,01322.6620,E,1,09,1.2,34.5,M,,M,,"),
        format!("GPRMC,{time},A,5230.{second:04},N,01322.6620,E,10.0,90.0,010526,,"),
        "GPVTG,90.0,T,,M,10.0,N,18.52,K".to_owned(),
    ]
    .iter()
    .map(|text| format!("${text}*{:02X}\r\n", text.bytes().fold(0, |sum, byte| sum ^ byte)))
    .collect()
}

struct Daemon {
    source: Source,
    stream: NmeaStream,
    peer: TcpListener,
}

impl Daemon {
    async fn start(more: &str, queue: usize) -> (Self, TcpStream) {
        let peer = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let config = config(&format!("address = \"{}\"", peer.local_addr().unwrap()), more);
        let stream = NmeaStream::new(config.device.clone(), config.dating);
        let source = Source::start(queue, |intake, shutdown| nmea::run(config, intake, shutdown));
        let daemon = Self { source, stream, peer };
        let line = daemon.accept().await;
        (daemon, line)
    }

    async fn accept(&self) -> TcpStream {
        timeout(PATIENCE, self.peer.accept()).await.expect("a connection").unwrap().0
    }

    /// The next fixes, by their second of the hour; faults on the way by their reason.
    async fn fixes(&mut self, count: usize) -> (Vec<i64>, Vec<&'static str>) {
        let (mut fixes, mut faults) = (Vec::new(), Vec::new());
        while fixes.len() < count {
            let Intake::Frame(frame) = self.source.next().await else { continue };
            let Payload::Nmea { lines, flow } = frame.payload else { panic!("{frame:?}") };
            let mut out = Decoded::default();
            if let Err(error) = self.stream.decode(&lines, flow, frame.received_at, &mut out) {
                faults.push(error.reason);
            }
            faults.extend(out.faults.iter().map(|fault| fault.reason));
            fixes.extend(out.readings.iter().map(|reading| match reading {
                Reading::Fix(fix) => {
                    assert_eq!(fix.device.as_str(), "crane");
                    assert!(fix.speed_mps.is_some() && fix.altitude_m.is_some(), "{fix:?}");
                    fix.observed_at.as_micros() / 1_000_000 % 3600
                }
                other => panic!("{other:?} of a receiver"),
            }));
        }
        (fixes, faults)
    }
}

#[tokio::test]
async fn each_burst_is_a_fix_however_it_is_cut_and_the_last_needs_no_next_one() {
    let (mut daemon, mut line) = Daemon::start("", 1000).await;
    let bytes: Vec<u8> = (0..60).map(burst).collect::<String>().into_bytes();
    // Pieces of 1, 2, 3 … bytes.
    let (mut at, mut size) = (0, 1);
    while at < bytes.len() {
        let end = bytes.len().min(at + size);
        line.write_all(&bytes[at..end]).await.unwrap();
        line.flush().await.unwrap();
        (at, size) = (end, size % 97 + 1);
    }
    assert_eq!(daemon.source.link().await, LinkState::Up { replaying: false });
    let (fixes, faults) = daemon.fixes(60).await;
    assert_eq!((fixes, faults), ((0..60).collect(), vec![]));
    daemon.source.stop().await;
}

/// Some receivers end their lines with CR alone, and some devices cut the LF from it.
#[tokio::test]
async fn a_line_may_end_with_either_of_its_two_characters() {
    for end in ["\r", "\n", "\r\n"] {
        let (mut daemon, mut line) = Daemon::start("", 1000).await;
        for second in 1..=2 {
            let burst = burst(second).replace("\r\n", end);
            let (most, rest) = burst.split_at(burst.len() - end.len() / 2);
            line.write_all(most.as_bytes()).await.unwrap();
            line.flush().await.unwrap();
            assert_eq!(daemon.fixes(1).await, (vec![second.into()], vec![]), "{end:?}");
            line.write_all(rest.as_bytes()).await.unwrap();
        }
        daemon.source.stop().await;
    }
}

#[tokio::test]
async fn a_line_that_is_closed_is_opened_again_and_what_was_cut_off_costs_itself_alone() {
    let (mut daemon, mut line) = Daemon::start("", 1000).await;
    line.write_all(burst(1).as_bytes()).await.unwrap();
    line.write_all(b"$GPGGA,120002,52").await.unwrap();
    drop(line);
    assert_eq!(daemon.fixes(1).await.0, [1]);
    // The piece that was cut off may be in the frame of the last lines, or in one of its own.
    let down = reason(daemon.source.link_among_frames().await);
    assert!(down.contains("closed") || down.contains("read"), "{down}");
    let mut line = daemon.accept().await;
    line.write_all(burst(3).as_bytes()).await.unwrap();
    assert_eq!(daemon.source.link_among_frames().await, LinkState::Up { replaying: false });
    assert_eq!(daemon.fixes(1).await.0, [3]);
    daemon.source.stop().await;
}

/// Writes bursts from this second on until the receiver is known; gives the second after the last.
async fn speak_until_up(line: &mut Line, source: &mut Source, mut second: u32) -> u32 {
    let told = async {
        loop {
            line.write(burst(second).as_bytes()).await.unwrap();
            second += 1;
            let heard = timeout(Duration::from_millis(300), source.intake.recv()).await;
            if let Ok(Some(Intake::Link(change))) = heard
                && change.state == (LinkState::Up { replaying: false })
            {
                return second;
            }
        }
    };
    timeout(PATIENCE, told).await.expect("the receiver is known")
}

#[tokio::test]
async fn a_serial_port_that_is_unplugged_and_put_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gps");
    let mut line = Line::open(&path).unwrap();
    let config = config(&format!("port = {:?}", path.display().to_string()), "baud = 4800");
    let mut stream = NmeaStream::new(config.device.clone(), config.dating);
    let mut source = Source::start(1000, |intake, shutdown| nmea::run(config, intake, shutdown));
    let mut second = 0;
    for _ in 0..2 {
        second = speak_until_up(&mut line, &mut source, second).await;
        let last = format!("2026-05-01T12:00:{second:02}Z");
        line.write(burst(second).as_bytes()).await.unwrap();
        let mut fixes = Vec::new();
        while !fixes.contains(&last) {
            let Intake::Frame(frame) = source.next().await else { continue };
            let Payload::Nmea { lines, flow } = frame.payload else { panic!("{frame:?}") };
            let mut out = Decoded::default();
            stream.decode(&lines, flow, frame.received_at, &mut out).unwrap();
            fixes.extend(out.readings.iter().map(|reading| match reading {
                Reading::Fix(fix) => fix.observed_at.to_string(),
                other => panic!("{other:?}"),
            }));
        }
        drop(line);
        let down = reason(source.link_among_frames().await);
        assert!(down.contains("closed") || down.contains("read"), "{down}");
        line = Line::open(&path).unwrap();
        second += 1;
    }
    source.stop().await;
}

#[tokio::test]
async fn what_is_no_sentence_is_handed_on_and_makes_no_receiver() {
    let (mut daemon, mut line) = Daemon::start("silent_after = \"1s\"", 1000).await;
    line.write_all(&[0x80; 5000]).await.unwrap();
    line.write_all(b"\n$GPRMC,120001,A*00\r\n").await.unwrap();
    let mut bytes = 0;
    // Nothing says that it is up before the reason why it is down.
    let down = loop {
        match daemon.source.next().await {
            Intake::Frame(frame) => match frame.payload {
                Payload::Nmea { lines, .. } => bytes += lines.len(),
                other => panic!("{other:?}"),
            },
            Intake::Link(change) => break reason(change.state),
            other => panic!("{other:?}"),
        }
    };
    assert!(down.contains("no sentence came for 1s"), "{down}");
    assert_eq!(bytes, 5000 + 1 + "$GPRMC,120001,A*00\r\n".len());
    daemon.source.stop().await;
}

#[tokio::test]
async fn where_the_pipeline_has_no_room_lines_are_dropped_and_counted() {
    let (mut daemon, mut line) = Daemon::start("", 1000).await;
    line.write_all(burst(1).as_bytes()).await.unwrap();
    assert_eq!(daemon.fixes(1).await.0, [1]);
    daemon.source.gate.send(Gate::Closed).unwrap();
    line.write_all(burst(2).as_bytes()).await.unwrap();
    // As long as lines wait, and longer.
    let nothing = timeout(Duration::from_secs(1), daemon.source.intake.recv()).await;
    assert!(nothing.is_err(), "{nothing:?}");
    daemon.source.gate.send(Gate::Open).unwrap();
    line.write_all(burst(3).as_bytes()).await.unwrap();
    let dropped = daemon.source.next().await;
    assert!(matches!(dropped, Intake::Dropped { reason: "journal-full", count: 1, .. }), "{dropped:?}");
    assert_eq!(daemon.fixes(1).await.0, [3]);
    daemon.source.stop().await;
}

#[test]
fn what_is_put_back_stands_for_itself() {
    let received = tallyman::domain::time::Timestamp::from_secs(0);
    let mut stream = NmeaStream::new("crane".into(), Dating { not_before: received, by_receipt: false });
    let mut seconds = |lines: &str, flow| {
        let mut out = Decoded::default();
        stream.decode(lines.as_bytes(), flow, received, &mut out).expect("sentences");
        let second = |reading: &Reading| match reading {
            Reading::Fix(fix) => fix.observed_at.to_string(),
            other => panic!("{other:?}"),
        };
        out.readings.iter().map(second).collect::<Vec<_>>()
    };
    assert!(seconds(&burst(1), Flow::Running).is_empty(), "more of the same second may come");
    let older = burst(7).replace("010526", "010525");
    let sum = |text: &str| text.bytes().fold(0, |sum, byte| sum ^ byte);
    let older: String = older
        .lines()
        .map(|line| {
            let text = &line[1..line.len() - 3];
            format!("${text}*{:02X}\r\n", sum(text))
        })
        .collect();
    assert_eq!(seconds(&older, Flow::Alone), ["2025-05-01T12:00:07Z"]);
    // The day of a receiver that tells it seldom is still its own.
    let only_gga: String = burst(2).lines().take(1).map(|line| format!("{line}\r\n")).collect();
    assert_eq!(seconds(&only_gga, Flow::Paused), ["2026-05-01T12:00:01Z", "2026-05-01T12:00:02Z"]);
}
