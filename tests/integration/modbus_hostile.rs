//! Devices that refuse in every way there is, answer in drops, or take connections and say nothing.

use std::time::Duration;

use tallyman::config::{BackoffConfig, ModbusTransport};
use tallyman::domain::frames::{LinkState, ModbusFailure, Payload};
use tallyman::source::Intake;
use tallyman_simulators::modbus::bank::{Bank, Delivery};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::modbus_line::{Daemon, TIMEOUT, is_true, line, on_port, over_tcp, points, slaves, unit};
use crate::servers::PATIENCE;
use crate::source::reason;

/// Asked again at once, and so answered.
const BUSY: u8 = 6;

/// Whatever the code, and also where the standard knows none: it is told as it is, and nothing else comes of it.
async fn refuses_with_every_code(bank: Bank, transport: ModbusTransport) {
    let mut daemon = Daemon::start(line(transport, vec![unit(1, points(&[7]))]));
    for code in 0..=255 {
        daemon.until("an answer", is_true).await;
        bank.deliver(&[Delivery::Exception(code)]);
        let refusal = Err(ModbusFailure::Exception(code));
        let what = format!("exception {code}");
        let answers = daemon.until(&what, |answer| match code {
            BUSY => bank.undelivered() == 0 && is_true(answer),
            _ => answer.registers == refusal,
        });
        for answer in answers.await {
            assert!(is_true(&answer) || answer.registers == refusal, "{code}: {answer:?}");
        }
    }
    daemon.until("an answer", is_true).await;
    assert_eq!(bank.connections(), 1, "a refusal is an answer");
    daemon.0.stop().await;
    bank.stop().await;
}

#[tokio::test]
async fn exceptions_of_every_code_over_tcp() {
    let bank = Bank::tcp(slaves(&[1]), false).await.unwrap();
    let transport = over_tcp(&bank);
    refuses_with_every_code(bank, transport).await;
}

#[tokio::test]
async fn exceptions_of_every_code_in_serial_frames() {
    let bank = Bank::rtu_over_tcp(slaves(&[1])).await.unwrap();
    let transport = ModbusTransport::RtuOverTcp(bank.address().unwrap().to_string());
    refuses_with_every_code(bank, transport).await;
}

/// Every answer in as many pieces as it has bytes: none is lost for that, and none is wrong.
async fn answers_in_drops(bank: Bank, transport: ModbusTransport) {
    let mut config = line(transport, vec![unit(1, points(&[0, 20, 40]))]);
    // As long as a busy machine may take between two bytes.
    config.timeout = Duration::from_secs(10);
    bank.deliver(&[Delivery::ByteByByte; 12]);
    let mut daemon = Daemon::start(config);
    for nth in 0..12 {
        let answer = daemon.answer().await;
        assert!(is_true(&answer), "{nth}: {answer:?}");
    }
    assert_eq!(bank.undelivered(), 0);
    daemon.0.stop().await;
    bank.stop().await;
}

#[tokio::test]
async fn a_device_that_answers_byte_by_byte() {
    let bank = Bank::tcp(slaves(&[1]), false).await.unwrap();
    let transport = over_tcp(&bank);
    answers_in_drops(bank, transport).await;
    let bank = Bank::rtu_over_tcp(slaves(&[1])).await.unwrap();
    let transport = ModbusTransport::RtuOverTcp(bank.address().unwrap().to_string());
    answers_in_drops(bank, transport).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("line");
    let bank = Bank::terminal(slaves(&[1]), &path).unwrap();
    answers_in_drops(bank, on_port(&path)).await;
}

/// It is no source that is up, its points are bad at every poll, and it is not flooded with connections.
#[tokio::test]
async fn a_gateway_that_accepts_and_never_answers() {
    let gateway = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gateway.local_addr().unwrap().to_string();
    let mut config =
        line(ModbusTransport::Tcp { address, tls: None }, vec![unit(1, points(&[0])), unit(2, points(&[0]))]);
    let pause = Duration::from_millis(50);
    config.backoff = BackoffConfig { first: pause, last: pause };
    let mut daemon = Daemon::start(config);
    let began = std::time::Instant::now();
    // They are taken, and kept open.
    let mut taken = Vec::new();
    let mut told = 0;
    let mut bad = [0, 0];
    let heard = timeout(PATIENCE, async {
        while bad.iter().any(|bad| *bad < 40) {
            tokio::select! {
                accepted = gateway.accept() => taken.push(accepted.unwrap()),
                item = daemon.0.next() => match item {
                    Intake::Link(change) => {
                        assert_eq!(reason(change.state), "no answer in time");
                        told += 1;
                    }
                    Intake::Frame(frame) => {
                        let Payload::Modbus(answer) = frame.payload else { panic!("{frame:?}") };
                        assert!(answer.registers.is_err(), "{answer:?}");
                        bad[usize::from(answer.device.as_str() == "unit-2")] += 1;
                    }
                    other => panic!("{other:?}"),
                },
            }
        }
    });
    heard.await.expect("bad quality at every poll");
    assert!(told >= 1);
    // Each device may have a connection of its own before the line is given up for a while; the backoff scatters by half.
    let rounds = began.elapsed().div_duration_f64(TIMEOUT + pause / 2) + 1.0;
    assert!((taken.len() as f64) <= 2.0 * rounds, "{} connections in {rounds} rounds", taken.len());
    daemon.0.stop().await;
}

/// Such a one is up again with its first answer.
#[tokio::test]
async fn a_gateway_that_begins_to_answer_is_up() {
    let bank = Bank::tcp(slaves(&[1]), false).await.unwrap();
    bank.change(1, |slave| slave.dead = true);
    let mut daemon = Daemon::start(line(over_tcp(&bank), vec![unit(1, points(&[0]))]));
    assert_eq!(reason(daemon.0.link_among_frames().await), "no answer in time");
    bank.change(1, |slave| slave.dead = false);
    let up = async { while daemon.0.link_among_frames().await != (LinkState::Up { replaying: false }) {} };
    timeout(PATIENCE, up).await.expect("it is up");
    daemon.until("an answer", is_true).await;
    daemon.0.stop().await;
    bank.stop().await;
}
