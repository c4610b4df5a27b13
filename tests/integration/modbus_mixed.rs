//! Every fault of the wire upon every other, over each transport: no answer is ever taken for another's.

use std::time::Duration;

use tallyman::config::{ModbusTransport, PointConfig, RegisterType};
use tallyman::domain::frames::{ModbusAnswer, ModbusTable};
use tallyman_simulators::modbus::bank::{Bank, Delivery};

use crate::modbus_line::{Daemon, TIMEOUT, is_from, line, on_port, over_tcp, points, slaves, unit};

/// What becomes of answers in turn: half of them are right.
fn mixed(seed: u64) -> impl Iterator<Item = Delivery> {
    let faults = [
        Delivery::Lost,
        Delivery::Late(Duration::from_millis(5)),
        Delivery::Late(TIMEOUT + TIMEOUT / 2),
        Delivery::Late(TIMEOUT * 3),
        Delivery::WithTheNext,
        Delivery::Swapped,
        Delivery::Twice,
        Delivery::Truncated,
        Delivery::Foreign,
        Delivery::BehindAnothers,
        Delivery::Spoilt,
        Delivery::ByteByByte,
        Delivery::Exception(2),
        Delivery::Exception(3),
        Delivery::Exception(6),
    ];
    // SplitMix64.
    let draws = std::iter::successors(Some(seed), |state| Some(state.wrapping_add(0x9e37_79b9_7f4a_7c15)))
        .map(|state| {
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 33
        });
    draws.skip(1).map(move |draw| match draw % 2 {
        0 => Delivery::Right,
        _ => faults[(draw / 2 % 15) as usize],
    })
}

/// Requests of several lengths and tables, some of them alike, and every fault upon every other: whatever is given as a value
/// is one, and in the end all is heard again.
async fn nothing_is_taken_for_anything_else_in_any_mix(bank: Bank, transport: ModbusTransport, seed: u64) {
    let mut blocks = points(&[0, 1, 2, 30, 60]);
    blocks.push(PointConfig::new("long", ModbusTable::Holding, 80, RegisterType::F64));
    let mut daemon = Daemon::start(line(transport, vec![unit(1, blocks.clone()), unit(2, blocks)]));
    let deliveries: Vec<Delivery> = mixed(seed).take(60).collect();
    bank.deliver(&deliveries);
    daemon.outlasts_faults(&bank, &format!("seed {seed}")).await;
    for number in [1, 2] {
        for address in [0, 30, 60, 80] {
            let wanted = |answer: &ModbusAnswer| is_from(answer, number) && answer.address == address;
            daemon.hears_again(&format!("seed {seed}: {address} of {number}"), wanted).await;
        }
    }
    daemon.0.stop().await;
    bank.stop().await;
}

#[tokio::test]
async fn no_answer_is_taken_for_another_in_any_mix_of_faults() {
    let seeds = std::env::var("TALLYMAN_WIRE_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    for seed in 1..=seeds {
        let bank = Bank::tcp(slaves(&[1, 2]), false).await.unwrap();
        let transport = over_tcp(&bank);
        nothing_is_taken_for_anything_else_in_any_mix(bank, transport, seed).await;
        let bank = Bank::rtu_over_tcp(slaves(&[1, 2])).await.unwrap();
        let transport = ModbusTransport::RtuOverTcp(bank.address().unwrap().to_string());
        nothing_is_taken_for_anything_else_in_any_mix(bank, transport, seed).await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("line");
        let bank = Bank::terminal(slaves(&[1, 2]), &path).unwrap();
        nothing_is_taken_for_anything_else_in_any_mix(bank, on_port(&path), seed).await;
    }
}
