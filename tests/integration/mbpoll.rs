//! The simulated line and our reading of registers, held against `mbpoll`, which others wrote on another library.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use tallyman::config::{ByteOrder, RegisterType};
use tallyman::decode::modbus::{Raw, raw};
use tallyman_simulators::modbus::Table;
use tallyman_simulators::modbus::bank::{Bank, Slave};

use crate::servers::find;

/// What stands there, from address 0: two of each of 16, 32 and 32 bits.
const WORDS: [u16; 10] = [0x1234, 0xfffe, 0x0001, 0xe240, 0xfffe, 0x1dc0, 0x41ac, 0x0000, 0x0000, 0xc2f7];

fn program() -> Option<PathBuf> {
    find("TALLYMAN_TEST_MBPOLL", "mbpoll", "registers read by others")
}

fn slave() -> Slave {
    let mut slave = Slave::default();
    for table in [Table::Holding, Table::Input] {
        slave.registers.extend((0..).zip(WORDS).map(|(at, word)| ((table, at), word)));
    }
    for table in [Table::Coil, Table::Discrete] {
        slave.registers.extend((0..20).map(|at| ((table, at), u16::from(at % 3 == 0))));
    }
    slave
}

/// The values that mbpoll reads, as it prints them.
async fn reads(program: &Path, line: &[String], arguments: &str) -> Vec<String> {
    let mut command = Command::new(program);
    command.args(["-a", "17", "-0", "-1", "-q"]).args(arguments.split(' ')).args(line);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments}: {said}{}", String::from_utf8_lossy(&output.stderr));
    let values = said.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]:"));
    values.map(|(_, value)| value.trim().to_owned()).collect()
}

/// Our reading of the registers from `first` on.
fn ours(kind: RegisterType, order: ByteOrder, first: usize) -> f64 {
    let words = &WORDS[first..][..usize::from(kind.registers())];
    let Some(Raw::Number { number, .. }) = raw(kind, order, words) else { panic!("no number") };
    number
}

async fn agree(program: &Path, line: &[String]) {
    for table in [3, 4] {
        let hexadecimal = reads(program, line, &format!("-t {table}:hex -r 0 -c 10")).await;
        let words = WORDS.map(|word| format!("0x{word:04X}"));
        assert_eq!(hexadecimal, words, "table {table}");
        // A register that is negative as i16 is shown as both.
        let expected = [
            ours(RegisterType::U16, ByteOrder::Abcd, 0).to_string(),
            format!(
                "{} ({})",
                ours(RegisterType::U16, ByteOrder::Abcd, 1),
                ours(RegisterType::I16, ByteOrder::Abcd, 1)
            ),
        ];
        assert_eq!(reads(program, line, &format!("-t {table} -r 0 -c 2")).await, expected);
        for (order, option) in [(ByteOrder::Abcd, "-B "), (ByteOrder::Cdab, "")] {
            let integers = reads(program, line, &format!("{option}-t {table}:int -r 2 -c 2")).await;
            let expected = [2, 4].map(|at| ours(RegisterType::I32, order, at));
            assert_eq!(
                integers.iter().map(|text| text.parse().unwrap()).collect::<Vec<f64>>(),
                expected,
                "{order:?}"
            );
        }
        let (big, little) = (format!("-B -t {table}:float -r 6"), format!("-t {table}:float -r 8"));
        for (arguments, order, at) in [(big, ByteOrder::Abcd, 6), (little, ByteOrder::Cdab, 8)] {
            let floats = reads(program, line, &arguments).await;
            let expected = ours(RegisterType::F32, order, at);
            assert_eq!(floats.iter().map(|text| text.parse().unwrap()).collect::<Vec<f64>>(), [expected]);
        }
    }
    for table in [0, 1] {
        let bits = reads(program, line, &format!("-t {table} -r 0 -c 20")).await;
        let expected: Vec<String> = (0..20).map(|at| u8::from(at % 3 == 0).to_string()).collect();
        assert_eq!(bits, expected, "table {table}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mbpoll_reads_the_same_over_tcp() {
    let Some(program) = program() else { return };
    let bank = Bank::tcp(BTreeMap::from([(17, slave())]), false).await.unwrap();
    let port = bank.address().unwrap().port().to_string();
    let line = ["-m", "tcp", "-p", &port, "127.0.0.1"].map(str::to_owned);
    agree(&program, &line).await;
    bank.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mbpoll_reads_the_same_on_a_serial_line() {
    let Some(program) = program() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("line");
    let bank = Bank::terminal(BTreeMap::from([(17, slave())]), &path).unwrap();
    let line = ["-m", "rtu", "-b", "9600", "-P", "none", &path.display().to_string()].map(str::to_owned);
    agree(&program, &line).await;
    bank.stop().await;
}
