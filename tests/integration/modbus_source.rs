//! The Modbus source against a device written by hand, byte by byte.

use std::time::{Duration, Instant};

use metrics_exporter_prometheus::PrometheusBuilder;
use tallyman::config::{
    BackoffConfig, ModbusConfig, ModbusReach, ModbusTransport, ModbusUnitConfig, PointConfig, RegisterType,
};
use tallyman::domain::frames::{LinkState, ModbusAnswer, ModbusFailure, ModbusTable, Payload};
use tallyman::domain::ids::{DeviceId, SourceId};
use tallyman::source::{Gate, Intake, modbus};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::servers::{PATIENCE, free_port};
use crate::source::{Source, reason};

const UNIT: u8 = 17;

fn point(table: ModbusTable, address: u16) -> PointConfig {
    PointConfig::new("temperature", table, address, RegisterType::U16)
}

const POLL: Duration = Duration::from_millis(20);

fn config(port: u16) -> ModbusConfig {
    let unit = ModbusUnitConfig {
        device: DeviceId::new("cold-room"),
        unit: UNIT,
        poll: POLL,
        reach: ModbusReach::default(),
        points: vec![point(ModbusTable::Holding, 100)],
    };
    ModbusConfig {
        name: SourceId::new("modbus"),
        transport: ModbusTransport::Tcp { address: format!("127.0.0.1:{port}"), tls: None },
        timeout: Duration::from_secs(10),
        pause_after_connect: Duration::ZERO,
        pause: Duration::ZERO,
        backoff: BackoffConfig { first: Duration::from_millis(5), last: Duration::from_millis(20) },
        units: vec![unit],
    }
}

struct Daemon(Source);

impl Daemon {
    fn start(config: ModbusConfig, queue: usize) -> Self {
        Self(Source::start(queue, |intake, shutdown| modbus::run(config, intake, shutdown)))
    }

    async fn up(&mut self) {
        assert_eq!(self.0.link().await, LinkState::Up { replaying: false });
    }

    async fn down(&mut self) -> String {
        reason(self.0.link().await)
    }

    async fn answer(&mut self) -> ModbusAnswer {
        match self.0.next().await {
            Intake::Frame(frame) => match frame.payload {
                Payload::Modbus(answer) => answer,
                other => panic!("{other:?} instead of an answer"),
            },
            other => panic!("{other:?} instead of a frame"),
        }
    }
}

struct Device(TcpListener);

impl Device {
    async fn listen() -> (Self, u16) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (Self(listener), port)
    }

    async fn connection(&self) -> Connection {
        let (stream, _) = timeout(PATIENCE, self.0.accept()).await.expect("a connection").unwrap();
        Connection(stream)
    }
}

struct Connection(TcpStream);

/// One request as it stood on the wire.
#[derive(Debug, PartialEq)]
struct Asked {
    transaction: [u8; 2],
    /// Unit, function, address, count.
    body: [u8; 6],
}

impl Connection {
    async fn asked(&mut self) -> Asked {
        let mut frame = [0; 12];
        timeout(PATIENCE, self.0.read_exact(&mut frame)).await.expect("a request").unwrap();
        let [t0, t1, 0, 0, 0, 6, body @ ..] = frame else { panic!("{frame:x?} is no request") };
        Asked { transaction: [t0, t1], body }
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// Answers with these registers.
    async fn answer(&mut self, asked: &Asked, registers: &[u16]) {
        self.send(&answer(asked, registers)).await;
    }
}

/// A well-formed answer to this request.
fn answer(asked: &Asked, registers: &[u16]) -> Vec<u8> {
    let data: Vec<u8> = registers.iter().flat_map(|register| register.to_be_bytes()).collect();
    let [unit, function, ..] = asked.body;
    let pdu = [&[unit, function, data.len() as u8], &data[..]].concat();
    let length = (pdu.len() as u16).to_be_bytes();
    [&asked.transaction[..], &[0, 0], &length, &pdu].concat()
}

#[tokio::test]
async fn answers_are_frames_and_the_link_comes_first() {
    let (device, port) = Device::listen().await;
    let mut config = config(port);
    config.units[0].points = vec![
        point(ModbusTable::Input, 7),
        point(ModbusTable::Holding, 100),
        PointConfig { kind: RegisterType::F32, ..point(ModbusTable::Holding, 102) },
        point(ModbusTable::Holding, 300),
    ];
    let mut daemon = Daemon::start(config, 100);
    let mut line = device.connection().await;
    for (body, registers) in [
        ([UNIT, 3, 0, 100, 0, 4], &[1, 2, 3, 4][..]),
        ([UNIT, 3, 1, 44, 0, 1], &[5]),
        ([UNIT, 4, 0, 7, 0, 1], &[6]),
    ] {
        let asked = line.asked().await;
        assert_eq!(asked.body, body);
        line.answer(&asked, registers).await;
    }
    daemon.up().await;
    let answers = [daemon.answer().await, daemon.answer().await, daemon.answer().await];
    let expected = [
        (ModbusTable::Holding, 100, 4, vec![1, 2, 3, 4]),
        (ModbusTable::Holding, 300, 1, vec![5]),
        (ModbusTable::Input, 7, 1, vec![6]),
    ]
    .map(|(table, address, count, registers)| ModbusAnswer {
        device: DeviceId::new("cold-room"),
        table,
        address,
        count,
        interval: POLL,
        registers: Ok(registers),
    });
    assert_eq!(answers, expected);
    daemon.0.stop().await;
}

#[tokio::test]
async fn an_exception_is_an_answer() {
    let (device, port) = Device::listen().await;
    let mut daemon = Daemon::start(config(port), 100);
    let mut line = device.connection().await;
    let asked = line.asked().await;
    line.send(&[asked.transaction[0], asked.transaction[1], 0, 0, 0, 3, UNIT, 0x83, 2]).await;
    daemon.up().await;
    assert_eq!(daemon.answer().await.registers, Err(ModbusFailure::Exception(2)));
    let asked = line.asked().await;
    line.answer(&asked, &[9]).await;
    assert_eq!(daemon.answer().await.registers, Ok(vec![9]), "on the same connection");
    daemon.0.stop().await;
}

/// Everything that is no answer: what the device does with a request, by name.
async fn misbehave(line: &mut Connection, how: &str, asked: &Asked) {
    let [t0, t1] = asked.transaction;
    let good = answer(asked, &[666]);
    match how {
        "closes" => line.0.shutdown().await.unwrap(),
        "half an answer" => {
            line.send(&good[..8]).await;
            line.0.shutdown().await.unwrap();
        }
        "garbage" => line.send(b"GET / HTTP/1.1\r\nHost: device\r\n\r\n").await,
        "wrong unit" => line.send(&[t0, t1, 0, 0, 0, 5, UNIT + 1, 3, 2, 2, 154]).await,
        "wrong transaction" => line.send(&[t0, t1.wrapping_add(1), 0, 0, 0, 5, UNIT, 3, 2, 2, 154]).await,
        "wrong function" => line.send(&[t0, t1, 0, 0, 0, 5, UNIT, 4, 2, 2, 154]).await,
        "wrong protocol" => line.send(&[t0, t1, 0, 1, 0, 5, UNIT, 3, 2, 2, 154]).await,
        "too few" => line.send(&[t0, t1, 0, 0, 0, 3, UNIT, 3, 0]).await,
        "too many" => line.send(&answer(asked, &[666, 667])).await,
        "odd bytes" => line.send(&[t0, t1, 0, 0, 0, 6, UNIT, 3, 3, 2, 154, 0]).await,
        "fewer than said" => line.send(&[t0, t1, 0, 0, 0, 4, UNIT, 3, 2, 2]).await,
        "empty" => line.send(&[t0, t1, 0, 0, 0, 1, UNIT]).await,
        "no length" => line.send(&[t0, t1, 0, 0, 0, 0, UNIT]).await,
        "exception to another" => line.send(&[t0, t1, 0, 0, 0, 3, UNIT, 0x84, 2]).await,
        other => panic!("no such fault: {other}"),
    }
}

#[tokio::test]
async fn what_is_no_answer_ends_the_connection_and_gives_no_value() {
    let (device, port) = Device::listen().await;
    let mut config = config(port);
    config.timeout = Duration::from_secs(2);
    let mut daemon = Daemon::start(config, 1000);
    for how in [
        "closes",
        "half an answer",
        "wrong unit",
        "wrong transaction",
        "wrong function",
        "wrong protocol",
        "too few",
        "too many",
        "odd bytes",
        "fewer than said",
        "empty",
        "no length",
        "exception to another",
    ] {
        let mut line = device.connection().await;
        let asked = line.asked().await;
        line.answer(&asked, &[1]).await;
        // Polls that fell between two connections have failed.
        let up = loop {
            match daemon.0.next().await {
                Intake::Link(change) => break change.state,
                Intake::Frame(frame) => assert!(is_failed(&frame.payload), "{how}: {frame:?}"),
                other => panic!("{how}: {other:?}"),
            }
        };
        assert_eq!(up, LinkState::Up { replaying: false }, "{how}");
        assert_eq!(daemon.answer().await.registers, Ok(vec![1]), "{how}");
        let asked = line.asked().await;
        misbehave(&mut line, how, &asked).await;
        let reason = daemon.down().await;
        assert!(!reason.is_empty(), "{how}");
        let failed = daemon.answer().await;
        match failed.registers {
            Err(ModbusFailure::Transport(_)) => {}
            other => panic!("{how}: {other:?}"),
        }
    }
    daemon.0.stop().await;
}

/// The connection is another one, and the link is up all the while. The backoff is longer than any test. Of garbage that
/// promises more than ever comes it is the same.
#[tokio::test]
async fn one_answer_that_does_not_come_costs_a_poll_and_two_in_a_row_the_link() {
    for how in ["silence", "garbage"] {
        let (device, port) = Device::listen().await;
        let mut config = config(port);
        let hours = Duration::from_secs(3600);
        (config.timeout, config.backoff) =
            (Duration::from_millis(200), BackoffConfig { first: hours, last: hours });
        let mut daemon = Daemon::start(config, 1000);
        let mut line = device.connection().await;
        let asked = line.asked().await;
        line.answer(&asked, &[1]).await;
        daemon.up().await;
        assert_eq!(daemon.answer().await.registers, Ok(vec![1]));
        for round in 0..3 {
            let asked = line.asked().await;
            if how == "garbage" {
                misbehave(&mut line, how, &asked).await;
            }
            assert_eq!(daemon.answer().await.registers, Err(ModbusFailure::Timeout), "{how} {round}");
            line = device.connection().await;
            let asked = line.asked().await;
            line.answer(&asked, &[2]).await;
            assert_eq!(daemon.answer().await.registers, Ok(vec![2]), "{how} {round}");
        }
        line.asked().await;
        assert_eq!(daemon.answer().await.registers, Err(ModbusFailure::Timeout));
        let mut line = device.connection().await;
        line.asked().await;
        assert_eq!(daemon.down().await, "no answer in time", "{how}");
        daemon.0.stop().await;
    }
}

fn is_failed(payload: &Payload) -> bool {
    matches!(payload, Payload::Modbus(answer) if answer.registers.is_err())
}

#[tokio::test]
async fn a_late_answer_is_never_taken_for_another() {
    let (device, port) = Device::listen().await;
    let mut config = config(port);
    config.timeout = Duration::from_millis(50);
    let mut daemon = Daemon::start(config, 1000);
    let mut slow = device.connection().await;
    let late = slow.asked().await;
    assert_eq!(daemon.down().await, "no answer in time");
    assert_eq!(daemon.answer().await.registers, Err(ModbusFailure::Timeout));
    // The answer comes now, while the next request waits on a new connection.
    let mut line = device.connection().await;
    let asked = line.asked().await;
    slow.0.write_all(&answer(&late, &[666])).await.ok();
    line.answer(&asked, &[1]).await;
    let answers = loop {
        match daemon.0.next().await {
            Intake::Link(change) => break change.state,
            Intake::Frame(frame) => assert!(is_failed(&frame.payload)),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(answers, LinkState::Up { replaying: false });
    assert_eq!(daemon.answer().await.registers, Ok(vec![1]));
    daemon.0.stop().await;
}

#[tokio::test]
async fn an_answer_sent_twice_is_not_the_next_one_s() {
    let (device, port) = Device::listen().await;
    let mut config = config(port);
    config.units[0].points.push(point(ModbusTable::Holding, 500));
    let mut daemon = Daemon::start(config, 100);
    let mut line = device.connection().await;
    let asked = line.asked().await;
    line.send(&answer(&asked, &[666]).repeat(2)).await;
    daemon.up().await;
    assert_eq!(daemon.answer().await.registers, Ok(vec![666]));
    let asked = line.asked().await;
    assert_eq!(asked.body[2..], [1, 244, 0, 1]);
    line.0.write_all(&answer(&asked, &[1])).await.ok();
    let second = loop {
        match daemon.0.next().await {
            Intake::Frame(frame) => break frame,
            Intake::Link(change) => assert!(matches!(change.state, LinkState::Down { .. })),
            other => panic!("{other:?}"),
        }
    };
    let Payload::Modbus(second) = second.payload else { panic!("{second:?}") };
    assert_eq!(second.address, 500);
    assert!(second.registers == Ok(vec![1]) || second.registers.is_err(), "{second:?}");
    daemon.0.stop().await;
}

#[tokio::test]
async fn without_a_device_every_poll_fails_at_once_whatever_the_backoff() {
    let mut config = config(free_port());
    config.units[0].points.push(point(ModbusTable::Input, 1));
    config.backoff = BackoffConfig { first: Duration::from_secs(3600), last: Duration::from_secs(3600) };
    let mut daemon = Daemon::start(config, 100);
    assert!(daemon.down().await.contains("failed to connect"));
    for _ in 0..3 {
        let answers = [daemon.answer().await, daemon.answer().await];
        assert_eq!(answers.each_ref().map(|answer| answer.address), [100, 1]);
        assert!(answers.iter().all(|answer| matches!(answer.registers, Err(ModbusFailure::Transport(_)))));
    }
    daemon.0.stop().await;
}

#[tokio::test]
async fn a_closed_gate_leaves_the_device_alone_and_says_how_much_is_missing() {
    let (device, port) = Device::listen().await;
    let mut daemon = Daemon::start(config(port), 100);
    let mut line = device.connection().await;
    let asked = line.asked().await;
    daemon.0.gate.send(Gate::Closed).unwrap();
    line.answer(&asked, &[1]).await;
    daemon.up().await;
    assert_eq!(daemon.answer().await.registers, Ok(vec![1]));
    // Long enough for several polls: nothing is asked.
    let mut byte = [0];
    assert!(timeout(Duration::from_millis(200), line.0.read(&mut byte)).await.is_err());
    daemon.0.gate.send(Gate::Open).unwrap();
    let asked = line.asked().await;
    line.answer(&asked, &[2]).await;
    match daemon.0.next().await {
        Intake::Dropped { reason: "journal-full", count, .. } => assert!(count >= 3, "{count}"),
        other => panic!("{other:?} instead of a report"),
    }
    assert_eq!(daemon.answer().await.registers, Ok(vec![2]));
    daemon.0.stop().await;
}

#[tokio::test]
async fn a_full_queue_drops_and_counts() {
    let (device, port) = Device::listen().await;
    let mut daemon = Daemon::start(config(port), 2);
    let mut line = device.connection().await;
    for value in 0..5 {
        let asked = line.asked().await;
        line.answer(&asked, &[value]).await;
    }
    // The next request follows the fifth answer.
    let asked = line.asked().await;
    daemon.up().await;
    assert_eq!(daemon.answer().await.registers, Ok(vec![0]));
    line.answer(&asked, &[5]).await;
    match daemon.0.next().await {
        Intake::Dropped { reason: "queue-full", count, .. } => assert_eq!(count, 4),
        other => panic!("{other:?} instead of a report"),
    }
    assert_eq!(daemon.answer().await.registers, Ok(vec![5]));
    daemon.0.stop().await;
}

/// An answer that takes two and a half polls: of the two that fell due meanwhile one is made up for at once, the other one
/// is skipped and counted, and what follows is on the beat.
#[tokio::test]
async fn a_slow_device_skips_polls_and_keeps_the_beat() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let poll = Duration::from_millis(200);
    let (device, port) = Device::listen().await;
    let mut config = config(port);
    config.units[0].poll = poll;
    let mut daemon = Daemon::start(config, 100);
    let mut line = device.connection().await;
    // The first poll is at the start, and the second one where the line's own beat begins.
    let asked = line.asked().await;
    line.answer(&asked, &[0]).await;
    let (mut on_the_beat, mut skipped) = (0, 0);
    for _ in 0..5 {
        let asked = line.asked().await;
        let began = Instant::now();
        // No request is sent while one is unanswered, however many polls are due.
        let mut byte = [0];
        assert!(timeout(poll * 5 / 2, line.0.read(&mut byte)).await.is_err());
        line.answer(&asked, &[1]).await;
        let late = line.asked().await;
        assert!(began.elapsed() > poll * 5 / 2);
        line.answer(&late, &[2]).await;
        let next = line.asked().await;
        let beats = began.elapsed().div_duration_f64(poll);
        on_the_beat += usize::from((2.8..3.2).contains(&beats));
        line.answer(&next, &[3]).await;
        let counted = skipped_late(&metrics.render());
        assert!(counted > skipped, "{counted} after {skipped}");
        skipped = counted;
    }
    // A busy machine may be late itself.
    assert!(on_the_beat >= 3, "{on_the_beat} of 5");
    daemon.up().await;
    assert_eq!(daemon.answer().await.registers, Ok(vec![0]));
    daemon.0.stop().await;
}

fn skipped_late(metrics: &str) -> u64 {
    let series = "tallyman_modbus_polls_skipped_total{source=\"modbus\",reason=\"late\"} ";
    let found = metrics.lines().find_map(|line| line.strip_prefix(series));
    found.unwrap_or_else(|| panic!("{metrics}")).parse().unwrap()
}
