//! Held against `pymodbus`, which others wrote in another language: as a client it reads the simulated line, and as a
//! server it is read by the daemon. Every type, order and table that both know, over TCP, TLS and serial frames.
//!
//! `TALLYMAN_TEST_PYMODBUS` names a Python that has pymodbus and pyserial; `deploy/dev/test` makes one.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tallyman::config::{
    BackoffConfig, ByteOrder, ClientTls, ModbusConfig, ModbusReach, ModbusTransport, ModbusUnitConfig,
    Parity, PointConfig, RegisterType, SerialLine,
};
use tallyman::decode::modbus::PointDecoder;
use tallyman::domain::frames::{ModbusTable, Payload};
use tallyman::domain::ids::{DeviceId, SourceId};
use tallyman::domain::readings::{Quality, Reading};
use tallyman::source::{Intake, modbus};
use tallyman_simulators::modbus::Table;
use tallyman_simulators::modbus::bank::{Bank, Slave};
use tallyman_simulators::serial::Line;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::readers::Issued;
use crate::servers::{PATIENCE, find};
use crate::source::Source;

const UNIT: u8 = 17;
const ORDERS: [(ByteOrder, &str); 4] = [
    (ByteOrder::Abcd, "abcd"),
    (ByteOrder::Dcba, "dcba"),
    (ByteOrder::Badc, "badc"),
    (ByteOrder::Cdab, "cdab"),
];
const TEXT: &str = "cold room";
/// Odd, so that no order of its bytes looks like another.
const BITS: u16 = 0b1000_0001_0010_0110;

fn python(test: &str) -> Option<PathBuf> {
    find("TALLYMAN_TEST_PYMODBUS", "pymodbus", test)
}

/// One value in its registers, and its names on both sides.
struct Held {
    table: ModbusTable,
    address: u16,
    kind: RegisterType,
    order: (ByteOrder, &'static str),
    /// As pymodbus calls it.
    name: &'static str,
    value: Value,
    /// Most significant first.
    bytes: Vec<u8>,
}

/// Every type that both know; none of the values looks the same with two of its bytes changed about.
fn values() -> Vec<(RegisterType, &'static str, Value, Vec<u8>)> {
    use RegisterType::{Bit, F32, F64, I16, I32, I64, Text, U16, U32, U64};
    let (wide, narrow) = (9_223_373_136_366_403_584_u64, -4_503_599_627_370_497_i64);
    let bits: Vec<bool> = (0..16).map(|place| BITS >> place & 1 == 1).collect();
    let mut text = TEXT.as_bytes().to_vec();
    text.resize(10, 0);
    vec![
        (U16, "UINT16", json!(0xfe01), 0xfe01_u16.to_be_bytes().to_vec()),
        (I16, "INT16", json!(-300), (-300_i16).to_be_bytes().to_vec()),
        (U32, "UINT32", json!(0xfedc_ba98_u32), 0xfedc_ba98_u32.to_be_bytes().to_vec()),
        (I32, "INT32", json!(-123_456), (-123_456_i32).to_be_bytes().to_vec()),
        (U64, "UINT64", json!(wide), wide.to_be_bytes().to_vec()),
        (I64, "INT64", json!(narrow), narrow.to_be_bytes().to_vec()),
        (F32, "FLOAT32", json!(-21.4375), (-21.4375_f32).to_be_bytes().to_vec()),
        (F64, "FLOAT64", json!(0.1), 0.1_f64.to_be_bytes().to_vec()),
        (Text(5), "STRING", json!(TEXT), text),
        (Bit(0), "BITS", json!(bits), BITS.to_be_bytes().to_vec()),
    ]
}

/// Of each table of registers every type in every order, one behind the other; the tables begin at other addresses.
fn held() -> Vec<Held> {
    let mut held = Vec::new();
    for (table, first) in [(ModbusTable::Holding, 0), (ModbusTable::Input, 200)] {
        let mut address = first;
        for (kind, name, value, bytes) in values() {
            let orders = match kind {
                // The order of registers says nothing of where a text begins.
                RegisterType::Text(_) => vec![ORDERS[0], ORDERS[2]],
                RegisterType::Bit(_) => vec![ORDERS[0]],
                _ => ORDERS.to_vec(),
            };
            for order in orders {
                let (value, bytes) = (value.clone(), bytes.clone());
                held.push(Held { table, address, kind, order, name, value, bytes });
                address += kind.registers();
            }
        }
    }
    held
}

impl Held {
    fn table_name(&self) -> &'static str {
        if self.table == ModbusTable::Input { "input" } else { "holding" }
    }

    /// As the standard library and the order's name have it.
    fn words(&self) -> Vec<u16> {
        let pairs = self.bytes.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        let mut words: Vec<u16> = pairs.collect();
        if matches!(self.order.1, "dcba" | "cdab") {
            words.reverse();
        }
        if matches!(self.order.1, "dcba" | "badc") {
            words.iter_mut().for_each(|word| *word = word.swap_bytes());
        }
        words
    }

    /// For pymodbus.
    fn told(&self) -> Value {
        json!({
            "table": self.table_name(), "address": self.address, "count": self.kind.registers(),
            "type": self.name, "order": self.order.1, "value": self.value,
        })
    }

    /// For us; of a register of bits, each bit.
    fn points(&self) -> Vec<(PointConfig, Value)> {
        let name = format!("{}-{}-{}", self.table_name(), self.name, self.order.1);
        let order = self.order.0;
        let point = |name: &str, kind| PointConfig {
            order,
            ..PointConfig::new(name, self.table, self.address, kind)
        };
        let RegisterType::Bit(_) = self.kind else {
            return vec![(point(&name, self.kind), self.value.clone())];
        };
        let bit =
            |place| (point(&format!("{name}-{place}"), RegisterType::Bit(place)), json!(BITS >> place & 1));
        (0..16).map(bit).collect()
    }
}

fn bits(every: usize) -> Vec<bool> {
    (0..20).map(|at| at % every == 0).collect()
}

/// The tables of bits, from address 3 on.
const BIT_TABLES: [(ModbusTable, Table, &str, usize); 2] =
    [(ModbusTable::Coil, Table::Coil, "coil", 3), (ModbusTable::Discrete, Table::Discrete, "discrete", 4)];

fn all_told() -> Vec<Value> {
    let mut told: Vec<Value> = held().iter().map(Held::told).collect();
    told.extend(BIT_TABLES.map(
        |(_, _, name, every)| json!({ "table": name, "address": 3, "count": 20, "value": bits(every) }),
    ));
    told
}

fn slave() -> Slave {
    let mut slave = Slave::default();
    for held in held() {
        let table = if held.table == ModbusTable::Input { Table::Input } else { Table::Holding };
        let registers = (held.address..).zip(held.words());
        slave.registers.extend(registers.map(|(at, word)| ((table, at), word)));
    }
    for (_, table, _, every) in BIT_TABLES {
        slave.registers.extend((3..).zip(bits(every)).map(|(at, bit)| ((table, at), u16::from(bit))));
    }
    slave
}

/// pymodbus, doing what it is told until it is dropped.
struct Peer(Child);

impl Peer {
    fn start(python: &Path, what: &str, task: &Value) -> (Self, BufReader<std::process::ChildStdout>) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/integration/pymodbus/peer.py");
        let mut command = Command::new(python);
        command.args(["-W", "ignore", script, what]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        writeln!(child.stdin.as_mut().unwrap(), "{task}").unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        (Self(child), output)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.0.kill().expect("it is ours to end");
        self.0.wait().expect("it ends");
    }
}

/// The first line that pymodbus says, as JSON.
async fn said(mut output: BufReader<std::process::ChildStdout>) -> Value {
    let line = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        line
    });
    let line = timeout(PATIENCE, line).await.expect("pymodbus says something").unwrap();
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("pymodbus said {line:?}: {error}"))
}

/// pymodbus reads everything from the bank.
async fn is_read_alike(python: &Path, mut task: Value) {
    task["unit"] = json!(UNIT);
    task["points"] = json!(all_told());
    let (peer, output) = Peer::start(python, "client", &task);
    let read = said(output).await;
    for (point, read) in all_told().iter().zip(read.as_array().unwrap()) {
        assert_eq!(*read, point["value"], "{point}");
    }
    assert_eq!(read.as_array().unwrap().len(), all_told().len());
    drop(peer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pymodbus_reads_the_simulated_line_over_tcp() {
    let Some(python) = python("pymodbus reads over TCP") else { return };
    let bank = Bank::tcp(BTreeMap::from([(UNIT, slave())]), false).await.unwrap();
    is_read_alike(&python, json!({ "transport": "tcp", "port": bank.address().unwrap().port() })).await;
    bank.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pymodbus_reads_the_simulated_line_in_serial_frames() {
    let Some(python) = python("pymodbus reads serial frames") else { return };
    let bank = Bank::rtu_over_tcp(BTreeMap::from([(UNIT, slave())])).await.unwrap();
    is_read_alike(&python, json!({ "transport": "rtu-over-tcp", "port": bank.address().unwrap().port() }))
        .await;
    bank.stop().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("line");
    let bank = Bank::terminal(BTreeMap::from([(UNIT, slave())]), &path).unwrap();
    is_read_alike(&python, json!({ "transport": "rtu", "path": path })).await;
    bank.stop().await;
}

/// pymodbus serves everything, and the daemon's own source and decoder read it.
async fn is_served_alike(
    python: &Path,
    mut task: Value,
    transport: impl AsyncFnOnce(u16) -> ModbusTransport,
) {
    task["unit"] = json!(UNIT);
    task["points"] = json!(all_told());
    let (peer, output) = Peer::start(python, "server", &task);
    let port = u16::try_from(said(output).await.as_u64().unwrap()).unwrap();
    let transport = transport(port).await;
    let mut expected: Vec<(PointConfig, Value)> = held().iter().flat_map(Held::points).collect();
    for (table, _, name, every) in BIT_TABLES {
        expected.extend((3..).zip(bits(every)).map(|(address, bit)| {
            let point = PointConfig::new(&format!("{name}-{address}"), table, address, RegisterType::Bit(0));
            (point, json!(u8::from(bit)))
        }));
    }
    let unit = ModbusUnitConfig {
        device: DeviceId::new("peer"),
        unit: UNIT,
        poll: Duration::from_millis(500),
        reach: ModbusReach::default(),
        points: expected.iter().map(|(point, _)| point.clone()).collect(),
    };
    let decoder = PointDecoder::new(&unit.points, unit.poll);
    let config = ModbusConfig {
        name: SourceId::new("line"),
        pause: if transport.is_rtu() { Duration::from_millis(5) } else { Duration::ZERO },
        transport,
        timeout: Duration::from_secs(5),
        pause_after_connect: Duration::ZERO,
        backoff: BackoffConfig { first: Duration::from_millis(5), last: Duration::from_millis(20) },
        units: vec![unit],
    };
    let mut source = Source::start(1000, |intake, shutdown| modbus::run(config, intake, shutdown));
    let expected: BTreeMap<String, Value> =
        expected.into_iter().map(|(point, value)| (point.name.to_string(), value)).collect();
    let mut heard = BTreeSet::new();
    while heard.len() < expected.len() {
        let frame = match source.next().await {
            Intake::Frame(frame) => frame,
            other => {
                assert!(!format!("{other:?}").contains("Down"), "{other:?}");
                continue;
            }
        };
        let Payload::Modbus(answer) = &frame.payload else { panic!("{frame:?}") };
        let mut readings = Vec::new();
        decoder.decode(answer, frame.received_at, &mut readings);
        for reading in readings {
            let Reading::Sample(sample) = reading else { panic!("{reading:?}") };
            let value = &expected[sample.point.as_str()];
            assert_eq!(sample.quality, Quality::Good, "{}: {:?}", sample.point, answer.registers);
            assert_eq!(
                (sample.value, sample.text.as_deref()),
                (value.as_f64(), value.as_str()),
                "{}",
                sample.point
            );
            heard.insert(sample.point.to_string());
        }
    }
    source.stop().await;
    drop(peer);
}

fn at(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pymodbus_server_is_read_over_tcp() {
    let Some(python) = python("pymodbus serves TCP") else { return };
    is_served_alike(&python, json!({ "transport": "tcp" }), async |port| ModbusTransport::Tcp {
        address: at(port),
        tls: None,
    })
    .await;
}

/// Modbus/TCP Security: both show certificates.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pymodbus_server_is_read_over_tls() {
    let test = "pymodbus serves TLS";
    let (Some(python), Some(openssl)) = (python(test), find("TALLYMAN_TEST_OPENSSL", "openssl", test)) else {
        return;
    };
    let [theirs, ours] = [(); 2].map(|()| Issued::new(&openssl));
    let task = json!({
        "transport": "tls", "cert": theirs.files.cert_file, "key": theirs.files.key_file, "client_ca": ours.ca(),
    });
    let tls =
        ClientTls { ca_file: Some(theirs.ca()), client: Some(ours.files.clone()), ..ClientTls::default() };
    is_served_alike(&python, task, async |port| ModbusTransport::Tcp { address: at(port), tls: Some(tls) })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pymodbus_server_is_read_in_serial_frames() {
    let Some(python) = python("pymodbus serves serial frames") else { return };
    let task = json!({ "transport": "rtu-over-tcp" });
    is_served_alike(&python, task.clone(), async |port| ModbusTransport::RtuOverTcp(at(port))).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("line");
    is_served_alike(&python, task, async |port| {
        tokio::spawn(carried(Line::open(&path).unwrap(), TcpStream::connect(at(port)).await.unwrap()));
        ModbusTransport::Rtu(SerialLine::Port {
            path: path.clone(),
            baud: 115_200,
            data_bits: 8,
            stop_bits: 1,
            parity: Parity::None,
            rs485: None,
        })
    })
    .await;
}

/// What comes on one goes out on the other, until one of them ends.
async fn carried(mut line: Line, mut stream: TcpStream) {
    let (mut there, mut back) = ([0; 256], [0; 256]);
    loop {
        let done = tokio::select! {
            read = line.read(&mut there) => match read {
                Ok(Some(count)) => stream.write_all(&there[..count]).await.is_err(),
                // Nobody has it open yet, or no more; that is not told in any other way than by asking.
                Ok(None) => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    false
                }
                Err(_) => true,
            },
            read = stream.read(&mut back) => match read {
                Ok(count) if count > 0 => line.write(&back[..count]).await.is_err(),
                _ => true,
            },
        };
        if done {
            return;
        }
    }
}
