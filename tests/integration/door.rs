//! The door acts: a simulated reader, the daemon as a process, a real broker, and a light that somebody at
//! the door sees.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tallyman_simulators::clock::wall_now;
use tallyman_simulators::faults::Fault;
use tallyman_simulators::llrp::{Reader, ReaderOptions, TagObservation};
use tallyman_simulators::truth::{Truth, TruthLog};
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use crate::daemon::{Daemon, Place};
use crate::servers::{Mosquitto, PATIENCE, find};
use crate::timescale::rig::eventually;

mod beams;
mod vehicles;

const ASSETS: u8 = 3;
/// A tag that is on no asset.
const STRANGER: u8 = 99;
/// A crossing is judged after this much silence.
const SETTLE: Duration = Duration::from_millis(300);
/// Of the light at output 2.
const ON_FOR: Duration = Duration::from_secs(2);
/// Somebody walks so far to either side of the door,
const REACH_M: f64 = 3.0;
const SPEED_MPS: f64 = 2.0;
/// breaks light barriers either side of it, where there are some: the outer one's input is high while it is free,
const BEAM_M: f64 = 0.35;
const BODY_M: f64 = 0.25;
/// and both antennas ask once in this time.
const ROUND: Duration = Duration::from_millis(100);
/// Weaker than this is not heard.
const HEARD_DBM: f64 = -69.0;

fn epc(asset: u8) -> Vec<u8> {
    let mut epc = vec![0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    epc.push(asset);
    epc
}

fn config(place: &Place<'_>, reader: SocketAddr, outputs: &str) -> String {
    format!(
        r#"
node = "door"

{}
[[site]]
name = "hq"
timezone = "UTC"

[[zone]]
name = "hall"

[[reader]]
name = "dock"
protocol = "llrp"
address = "{reader}"
backoff = {{ first = "50ms", last = "200ms" }}

[[read_point]]
name = "door"
kind = "portal"
inside = "hall"
antennas = [
    {{ reader = "dock", antenna = 1, side = "inside" }},
    {{ reader = "dock", antenna = 2, side = "outside" }},
]
settle = "300ms"

[[class]]
name = "forklift"
needs_checkout = true

{outputs}
"#,
        place.tables("")
    )
}

fn light(hold: &str) -> String {
    format!(
        "[[output]]\nname = \"light\"\nreader = \"dock\"\ngpo = 2\n\n\
         [[door]]\nread_point = \"door\"\noutputs = [\"light\"]\nfor = \"{hold}\"\n"
    )
}

/// Of a tag so far in front of an antenna that hangs a metre from the door: free space, and what is behind.
fn signal_dbm(facing_m: f64) -> f64 {
    let distance_m = (facing_m - 1.0).hypot(1.0);
    -48.0 - 22.0 * distance_m.log10() - 18.0 * ((1.0 - facing_m) / 2.0).clamp(0.0, 1.0)
}

struct Door {
    reader: Reader,
    truth: Arc<TruthLog>,
    daemon: Daemon,
}

impl Door {
    async fn new(outputs: &str) -> Self {
        let truth = Arc::new(TruthLog::new(None, false, true).expect("a log"));
        let reader = Reader::start(ReaderOptions::named("dock"), truth.clone()).await.expect("a reader");
        let daemon = Daemon::prepare(|place| config(place, reader.address(), outputs));
        let hex = |asset| epc(asset).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let assets: String = (1..=ASSETS).map(|n| format!("FL-{n},forklift,hall\n")).collect();
        let tags: String = (1..=ASSETS).map(|n| format!("{},FL-{n}\n", hex(n))).collect();
        fs::write(daemon.path("assets.csv"), format!("id,class,home_zone\n{assets}")).expect("a file");
        fs::write(daemon.path("tags.csv"), format!("epc,asset\n{tags}")).expect("a file");
        let imported = Command::new(env!("CARGO_BIN_EXE_tallyman"))
            .args(["import", "-c"])
            .args(["tallyman.toml", "assets.csv", "tags.csv"].map(|name| daemon.path(name)))
            .output()
            .expect("the import runs");
        assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
        Self { reader, truth, daemon }
    }

    async fn start(&mut self) {
        self.daemon.start();
        self.daemon.ready().await;
        let up = "tallyman_source_up{source=\"dock\"}".to_owned();
        self.daemon.up(&[up]).await;
        tokio::time::timeout(PATIENCE, self.reader.listening()).await.expect("an ROSpec");
    }

    /// Reads as of somebody who carries it out, as they happen; gives when the last of them was.
    async fn carry_out(&self, asset: u8) -> Instant {
        let mut rounds = tokio::time::interval(ROUND);
        // On a busy machine he is slow, and not in two places at once.
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut place_m = REACH_M;
        let mut last = Instant::now();
        while place_m > -REACH_M {
            rounds.tick().await;
            for (port, beam_m, free) in [(1, -BEAM_M, true), (2, BEAM_M, false)] {
                let broken = (place_m - beam_m).abs() < BODY_M;
                self.reader.input(port, broken != free, wall_now());
            }
            for (antenna, facing_m) in [(1, place_m), (2, -place_m)] {
                let signal = signal_dbm(facing_m);
                if signal > HEARD_DBM {
                    let (epc, rssi_dbm, at) = (epc(asset), signal as i8, wall_now());
                    self.reader.read(TagObservation { antenna, epc, rssi_dbm, at, count: 1 });
                    last = Instant::now();
                }
            }
            place_m -= SPEED_MPS * ROUND.as_secs_f64();
        }
        last
    }

    async fn sees(&self, outputs: &mut watch::Receiver<BTreeSet<u16>>, on: bool) -> Instant {
        let seen = outputs.wait_for(|lit| lit.contains(&2) == on);
        let seen = tokio::time::timeout(PATIENCE, seen).await;
        seen.unwrap_or_else(|_| panic!("no light, or no end of it: {}", self.daemon.log()))
            .expect("a reader");
        Instant::now()
    }

    /// Each change of an output, as somebody at the door saw it.
    fn seen(&self) -> Vec<(u16, bool)> {
        let seen = self.truth.kept().into_iter().filter_map(|truth| match truth {
            Truth::Output { port, on, .. } => Some((port, on)),
            _ => None,
        });
        seen.collect()
    }

    async fn acts(&self, output: &str, outcome: &str) -> Option<f64> {
        let series = format!("tallyman_door_acts_total{{output=\"{output}\",outcome=\"{outcome}\"}}");
        self.daemon.metric(&series).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_light_is_on_within_a_second_of_an_exit_and_off_after_its_time_also_over_a_lost_connection() {
    let mut door = Door::new(&(light("2s") + "fresh_for = \"5s\"\n")).await;
    door.start().await;
    let mut outputs = door.reader.outputs();
    let left = door.carry_out(1).await;
    let lit = door.sees(&mut outputs, true).await;
    assert!(lit - left < SETTLE + Duration::from_secs(1), "{:?} after the last read", lit - left);
    let out = door.sees(&mut outputs, false).await;
    let lasted = out - lit;
    assert!(lasted > ON_FOR - Duration::from_millis(500) && lasted < ON_FOR * 2, "{lasted:?}");
    assert_eq!(door.seen(), [(2, true), (2, false)]);
    assert_eq!(door.acts("light", "made").await, Some(1.0));

    // The connection goes while it is on, and comes back when its time is over.
    door.carry_out(2).await;
    door.sees(&mut outputs, true).await;
    door.reader.faults().begin(Fault::Disconnect);
    let off = "tallyman_door_on{output=\"light\"}";
    door.daemon.until("its time is over", async |daemon| daemon.metric(off).await == Some(0.0)).await;
    assert!(outputs.borrow().contains(&2), "nobody could tell the reader");
    door.reader.faults().end(Fault::Disconnect);
    door.sees(&mut outputs, false).await;

    // What the reader held back while nobody was there is told, and rings nobody.
    door.reader.faults().begin(Fault::Disconnect);
    let up = "tallyman_source_up{source=\"dock\"}";
    door.daemon.until("the reader away", async |daemon| daemon.metric(up).await == Some(0.0)).await;
    for asset in [3, STRANGER, STRANGER] {
        door.carry_out(asset).await;
    }
    door.reader.faults().end(Fault::Disconnect);
    let late = "tallyman_door_acts_total{output=\"light\",outcome=\"late\"}";
    door.daemon.until("told, too late", async |daemon| daemon.metric(late).await == Some(1.0)).await;
    assert_eq!(door.acts("light", "made").await, Some(2.0));
    assert_eq!(door.seen().len(), 4);
    assert_eq!(door.daemon.stop().await.code(), Some(0), "{}", door.daemon.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_light_does_not_stay_on_when_the_daemon_was_killed_or_stopped() {
    let mut door = Door::new(&light("10m")).await;
    door.start().await;
    let mut outputs = door.reader.outputs();
    door.carry_out(1).await;
    door.sees(&mut outputs, true).await;
    door.daemon.kill();
    assert!(outputs.borrow().contains(&2), "a reader keeps its outputs as they are");
    door.start().await;
    door.sees(&mut outputs, false).await;

    door.carry_out(2).await;
    door.sees(&mut outputs, true).await;
    assert_eq!(door.daemon.stop().await.code(), Some(0), "{}", door.daemon.log());
    assert!(!outputs.borrow().contains(&2), "a clean stop switches it off");
    assert_eq!(door.seen(), [(2, true), (2, false), (2, true), (2, false)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buzzer_on_a_topic_is_switched_off_by_the_broker_when_the_daemon_dies() {
    let test = "a buzzer on a topic is switched off by the broker when the daemon dies";
    let Some(mosquitto) = Mosquitto::start(test, "allow_anonymous true") else { return };
    let buzzer = |hold: &str| {
        format!(
            "[[output]]\nname = \"buzzer\"\n[output.mqtt]\naddress = \"127.0.0.1:{}\"\n\
             client_id = \"door\"\ntopic = \"door/buzzer/set\"\nretain = true\n\n\
             [[door]]\nread_point = \"door\"\noutputs = [\"buzzer\"]\nfor = \"{hold}\"\n",
            mosquitto.port
        )
    };
    let mut door = Door::new(&buzzer("1s")).await;
    let mut heard = Heard::new(&mosquitto, "door/buzzer/set").await;
    door.start().await;
    heard.until(&["OFF"]).await;
    let left = door.carry_out(1).await;
    heard.until(&["OFF", "ON"]).await;
    assert!(left.elapsed() < SETTLE + Duration::from_secs(1), "{:?} after the last read", left.elapsed());
    heard.until(&["OFF", "ON", "OFF"]).await;
    assert_eq!(door.acts("buzzer", "made").await, Some(1.0));

    let config = fs::read_to_string(door.daemon.path("tallyman.toml")).expect("our own file");
    let config = config.replace("for = \"1s\"", "for = \"10m\"");
    assert_eq!(door.daemon.stop().await.code(), Some(0));
    fs::write(door.daemon.path("tallyman.toml"), config).expect("our own file");
    door.start().await;
    door.carry_out(2).await;
    heard.until(&["OFF", "ON", "OFF", "OFF", "ON"]).await;
    door.daemon.kill();
    heard.until(&["OFF", "ON", "OFF", "OFF", "ON", "OFF"]).await;
}

/// What a buzzer that listens to a topic is told.
struct Heard {
    child: std::process::Child,
    words: mpsc::UnboundedReceiver<String>,
    heard: Vec<String>,
}

impl Heard {
    /// Returns when the broker knows of it.
    async fn new(broker: &Mosquitto, topic: &str) -> Self {
        let program = find("TALLYMAN_TEST_MOSQUITTO_SUB", "mosquitto_sub", "listening")
            .expect("mosquitto_sub comes with mosquitto's clients");
        let mut child = Command::new(program)
            .args(["-h", "127.0.0.1", "-p", &broker.port.to_string(), "-q", "1", "-t", topic])
            .stdout(Stdio::piped())
            .spawn()
            .expect("mosquitto_sub starts");
        let lines = BufReader::new(child.stdout.take().expect("its output is piped")).lines();
        let (said, words) = mpsc::unbounded_channel();
        std::thread::spawn(move || lines.map_while(Result::ok).all(|line| said.send(line).is_ok()));
        eventually("somebody listens", async || broker.log().contains("Sending SUBACK").then_some(())).await;
        Self { child, words, heard: Vec::new() }
    }

    /// All that it was told so far becomes this.
    async fn until(&mut self, wanted: &[&str]) {
        while self.heard != wanted {
            let word = tokio::time::timeout(PATIENCE, self.words.recv()).await;
            let word = word.unwrap_or_else(|_| panic!("{wanted:?} was to be heard, not {:?}", self.heard));
            self.heard.push(word.expect("mosquitto_sub runs"));
            assert_eq!(self.heard, wanted[..self.heard.len()]);
        }
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        self.child.kill().expect("mosquitto_sub is ours to kill");
        self.child.wait().expect("mosquitto_sub ends");
    }
}
