//! What is particular to serial lines: glitches, and the time that bytes take.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use tallyman::config::{BackoffConfig, ModbusTransport, Parity, Rs485, SerialLine};
use tallyman::domain::frames::{Frame, LinkState, ModbusFailure, Payload};
use tallyman::source::Intake;
use tallyman_simulators::modbus::Table;
use tallyman_simulators::modbus::bank::{Bank, Delivery, telling};
use tokio::time::timeout;

use crate::modbus_line::{Daemon, TIMEOUT, is_true, line, on_port, points, slaves, unit};
use crate::servers::PATIENCE;

/// However a single answer is lost, the next poll asks again: the line is not closed, and nobody is told that it is
/// down. The backoff is longer than any test.
#[tokio::test]
async fn a_glitch_costs_a_poll_and_not_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("line");
    let bank = Bank::terminal(slaves(&[1]), &path).unwrap();
    let hours = Duration::from_secs(3600);
    let mut config = line(on_port(&path), vec![unit(1, points(&[0, 20, 40, 60]))]);
    config.backoff = BackoffConfig { first: hours, last: hours };
    let mut daemon = Daemon::start(config);
    for glitch in [Delivery::Lost, Delivery::Spoilt, Delivery::Truncated, Delivery::Foreign] {
        let before = daemon.until("an answer before", is_true).await;
        assert!(before.iter().all(|answer| answer.registers.is_ok()), "{before:?}");
        bank.deliver(&[glitch]);
        let heard = timeout(PATIENCE, heard_again(&mut daemon)).await;
        assert!(heard.is_ok(), "{glitch:?}");
    }
    daemon.0.stop().await;
    bank.stop().await;
}

/// There is nothing else that it could be asked, and a register more it refuses. The backoff is longer than any test.
#[tokio::test]
async fn a_device_with_one_register_is_back_in_step_with_its_next_answer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("line");
    let bank = Bank::terminal([(1, telling(1, Table::Holding, [0]))].into(), &path).unwrap();
    let hours = Duration::from_secs(3600);
    let mut config = line(on_port(&path), vec![unit(1, points(&[0]))]);
    config.backoff = BackoffConfig { first: hours, last: hours };
    let mut daemon = Daemon::start(config);
    for glitch in [Delivery::Lost, Delivery::Spoilt, Delivery::Truncated, Delivery::Foreign] {
        daemon.until("an answer before", is_true).await;
        bank.deliver(&[glitch]);
        daemon.until(&format!("{glitch:?}"), |answer| answer.registers.is_err()).await;
        let until = daemon.until(&format!("after {glitch:?}"), is_true).await;
        assert!(until.len() <= 2, "{glitch:?}: {until:?}");
    }
    daemon.0.stop().await;
    bank.stop().await;
}

/// A failure, and then every point again. The line is up all the while.
async fn heard_again(daemon: &mut Daemon) {
    let mut missing: BTreeSet<u16> = [0, 20, 40, 60].into();
    let mut has_failed = false;
    while !(has_failed && missing.is_empty()) {
        let answer = match daemon.0.next().await {
            Intake::Frame(Frame { payload: Payload::Modbus(answer), .. }) => answer,
            Intake::Link(change) => {
                assert_eq!(change.state, LinkState::Up { replaying: false });
                continue;
            }
            other => panic!("{other:?}"),
        };
        has_failed |= answer.registers.is_err();
        if has_failed && is_true(&answer) {
            missing.remove(&answer.address);
        }
    }
}

/// A pseudo-terminal has no direction to switch: it is told, and what to do, and the port is not used without it.
#[tokio::test]
async fn a_driver_that_cannot_switch_an_rs_485_line_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("line");
    let bank = Bank::terminal(slaves(&[1]), &path).unwrap();
    let ModbusTransport::Rtu(SerialLine::Port { path, baud, data_bits, stop_bits, parity, .. }) =
        on_port(&path)
    else {
        panic!("no port")
    };
    let rs485 = Some(Rs485 { after: Duration::from_millis(1), ..Rs485::default() });
    let port = SerialLine::Port { path, baud, data_bits, stop_bits, parity, rs485 };
    let mut daemon = Daemon::start(line(ModbusTransport::Rtu(port), vec![unit(1, points(&[0]))]));
    let told = daemon.answer().await;
    let reason = told.registers.unwrap_err();
    let ModbusFailure::Transport(reason) = reason else { panic!("{reason:?}") };
    assert!(reason.contains("RS-485") && reason.contains("leave out `rs485`"), "{reason}");
    assert!(bank.take_asked().is_empty());
    daemon.0.stop().await;
    bank.stop().await;
}

/// The bauds of 1974: a character takes 33 ms.
fn slow_port(path: &Path) -> ModbusTransport {
    let path = path.to_owned();
    let (baud, parity) = (300, Parity::None);
    ModbusTransport::Rtu(SerialLine::Port { path, baud, data_bits: 8, stop_bits: 1, parity, rs485: None })
}

/// 3.5 characters of ten bits.
const SILENCE: Duration = Duration::from_micros(116_666);

#[tokio::test]
async fn a_slow_line_has_the_time_that_its_bytes_take() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("line");
    let bank = Bank::terminal(slaves(&[1]), &path).unwrap();
    let mut config = line(slow_port(&path), vec![unit(1, points(&[0, 20]))]);
    config.pause = Duration::ZERO;
    let mut daemon = Daemon::start(config);
    for _ in 0..4 {
        let answer = daemon.answer().await;
        assert!(is_true(&answer), "{answer:?}");
    }
    let asked = bank.take_asked();
    for pair in asked.windows(2) {
        let apart = pair[1].at - pair[0].at;
        assert!(apart >= SILENCE, "{apart:?} between two requests");
    }
    // Request and answer are 15 bytes, half a second on the wire: that is not the device's fault.
    bank.deliver(&[Delivery::Late(TIMEOUT * 3)]);
    while bank.undelivered() > 0 {
        let answer = daemon.answer().await;
        assert!(is_true(&answer), "{answer:?}");
    }
    let answer = daemon.answer().await;
    assert!(is_true(&answer), "{answer:?}");
    daemon.0.stop().await;
    bank.stop().await;
}
