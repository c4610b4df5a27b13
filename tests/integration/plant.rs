//! A small site for tests of the running daemon: a crib whose shelves one simulated reader watches, a cold
//! room with a simulated thermometer, and a register of three assets. Everything that takes time is short.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tallyman::domain::time::Timestamp;
use tallyman::source::clock::WallClock;
use tallyman_simulators::clock::wall_now;
use tallyman_simulators::llrp::{Reader, ReaderOptions, TagObservation};
use tallyman_simulators::modbus::{ColdRoom, Device, DeviceOptions};
use tallyman_simulators::truth::TruthLog;

use crate::daemon::{Daemon, Place};

/// How often the tags in reach are read.
const READ_EVERY: Duration = Duration::from_millis(100);
const REFERENCE: u8 = 0xff;
/// Of the register: the last byte of the tag is the number.
pub const ASSETS: [&str; 3] = ["FL-01", "FL-02", "FL-03"];

pub struct Plant {
    pub crib: Reader,
    pub cold: Device,
    /// Numbers of the tags within reach.
    present: Mutex<BTreeSet<u8>>,
    begun: jiff::Timestamp,
}

/// Where the daemon finds the devices; a test may put something in between.
pub struct Addresses {
    pub crib: SocketAddr,
    pub cold: SocketAddr,
}

impl Plant {
    /// Every asset lies on its shelf.
    pub async fn start() -> Self {
        let truth = Arc::new(TruthLog::default());
        let crib = Reader::start(ReaderOptions::named("crib"), truth).await.expect("a reader");
        let room = ColdRoom::new(4.0, 30.0, 0.5, 0.5);
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let options = DeviceOptions { name: "cold-1".to_owned(), unit: 1, room, listen };
        let cold = Device::start(options).await.expect("a thermometer");
        let begun = wall_now();
        cold.begin(begun);
        let all = (0..ASSETS.len() as u8).chain([REFERENCE]).collect();
        let present = Mutex::new(all);
        Self { crib, cold, present, begun }
    }

    pub fn addresses(&self) -> Addresses {
        Addresses { crib: self.crib.address(), cold: self.cold.address() }
    }

    /// From here on the reader reads what is within reach, as long as the plant is there.
    pub fn begin(self) -> Arc<Self> {
        let plant = Arc::new(self);
        let reach = Arc::downgrade(&plant);
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(READ_EVERY);
            while let Some(plant) = reach.upgrade() {
                plant.read_all();
                drop(plant);
                tick.tick().await;
            }
        });
        plant
    }

    fn read_all(&self) {
        let present = self.present.lock().expect("nobody panics with it").clone();
        for number in present {
            let epc = epc(number);
            self.crib.read(TagObservation { antenna: 1, epc, rssi_dbm: -50, at: wall_now(), count: 1 });
        }
    }

    pub fn take_away(&self, asset: usize) {
        self.present.lock().expect("nobody panics with it").remove(&(asset as u8));
    }

    pub fn bring_back(&self, asset: usize) {
        self.present.lock().expect("nobody panics with it").insert(asset as u8);
    }

    /// The cold room warms or cools within a second or two.
    pub fn set_door(&self, open: bool) {
        let elapsed = wall_now().as_microsecond() - self.begun.as_microsecond();
        self.cold.set_door(open, elapsed as f64 / 1e6);
    }
}

fn epc(number: u8) -> Vec<u8> {
    let mut epc = vec![0x30, 0x34, 0x25, 0x7b, 0xf7, 0x19, 0x4e, 0x40, 0, 0, 0x1a];
    epc.push(number);
    epc
}

fn hex(number: u8) -> String {
    epc(number).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The site's configuration; `more` is appended.
pub fn config(place: &Place<'_>, at: &Addresses, more: &str) -> String {
    let Addresses { crib, cold } = at;
    let reference = hex(REFERENCE);
    let tables = place.tables("");
    format!(
        r#"
node = "plant-1"
{tables}
[alerts]
reader_down_after = "1s"
sensor_bad_after = "3s"

[[site]]
name = "hamburg"
timezone = "Europe/Berlin"

[[zone]]
name = "crib"
coverage = "continuous"

[[zone]]
name = "cold-room"

[[class]]
name = "forklift"
ghost_after = "2s"
criticality = "high"

[[reader]]
name = "crib-reader"
protocol = "llrp"
address = "{crib}"
keepalive = "1s"
backoff = {{ first = "50ms", last = "200ms" }}

[[read_point]]
name = "shelves"
kind = "presence"
zone = "crib"
antennas = [{{ reader = "crib-reader", antenna = 1 }}]
reference_tag = "{reference}"
lost_after = "500ms"
refresh = "1s"
hearing_timeout = "1s"

[[modbus]]
name = "cold-1"
address = "{cold}"
poll = "100ms"
timeout = "1s"
base = 0
backoff = {{ first = "50ms", last = "200ms" }}

[[modbus.point]]
name = "temperature"
table = "input"
address = 0
type = "i16"
scale = 0.1
unit = "°C"

[[limit]]
device = "cold-1"
point = "temperature"
name = "hi"
high = 8
deadband = 0.5
off_delay = "0s"

{more}
"#
    )
}

/// A daemon for the site, its register imported, not started yet.
pub fn daemon(at: &Addresses, more: &str) -> Daemon {
    let daemon = Daemon::prepare(|place| config(place, at, more));
    let mut assets = "id,class,name,home_zone\n".to_owned();
    let mut tags = "epc,asset\n".to_owned();
    for (number, asset) in ASSETS.iter().enumerate() {
        writeln!(assets, "{asset},forklift,Forklift {number},crib").expect("a string");
        writeln!(tags, "{},{asset}", hex(number as u8)).expect("a string");
    }
    let sensors = "device,zone\ncold-1,cold-room\n".to_owned();
    let files = [("assets.csv", assets), ("tags.csv", tags), ("sensors.csv", sensors)];
    let paths = files.map(|(name, text)| {
        fs::write(daemon.path(name), text).expect("a CSV file");
        daemon.path(name).display().to_string()
    });
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    tell(&daemon, "import", &paths);
    daemon
}

/// Runs a subcommand on the daemon's configuration; gives what it printed.
pub fn tell(daemon: &Daemon, subcommand: &str, arguments: &[&str]) -> String {
    let output = cli(daemon, subcommand, arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tallyman {subcommand} {arguments:?}: {text}{errors}");
    text
}

fn cli(daemon: &Daemon, subcommand: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tallyman"))
        .arg(subcommand)
        .arg("-c")
        .arg(daemon.path("tallyman.toml"))
        .args(arguments)
        .env_remove("RUST_LOG")
        .output()
        .expect("the command runs")
}

pub fn now() -> Timestamp {
    WallClock::new().now()
}
