//! The tracker against a real broker.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use tallyman_simulators::Truth;
use tallyman_simulators::clock::micros;
use tallyman_simulators::faults::Fault;
use tallyman_simulators::mqtt::{Position, PublisherOptions, Tracker, TrackerOptions};
use tallyman_simulators::truth::TruthLog;

use crate::{until, within};

struct Broker {
    child: Child,
    address: SocketAddr,
    config: PathBuf,
}

fn program() -> Option<&'static str> {
    let places = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/usr/bin/mosquitto"];
    places.into_iter().find(|place| Path::new(place).exists())
}

impl Broker {
    /// `None`, and a word about it, where it is not installed.
    async fn start(name: &str) -> Option<Self> {
        let Some(program) = program() else {
            eprintln!("skipped: mosquitto is not installed");
            return None;
        };
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
            _ => std::fs::create_dir_all(&folder).unwrap(),
        }
        let config = folder.join("mosquitto.conf");
        let user = std::env::var("USER").unwrap_or_else(|_| "root".into());
        let text = format!(
            "listener {} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {}/\nuser {user}\n",
            address.port(),
            folder.display()
        );
        std::fs::write(&config, text).unwrap();
        let child = spawn(program, &config);
        let broker = Self { child, address, config };
        broker.listening().await;
        Some(broker)
    }

    async fn listening(&self) {
        until("the broker listens", || std::net::TcpStream::connect(self.address).is_ok()).await;
    }

    async fn restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = spawn(program().unwrap(), &self.config);
        self.listening().await;
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            eprintln!("the broker did not end: {error}");
        }
    }
}

fn spawn(program: &str, config: &Path) -> Child {
    Command::new(program).arg("-c").arg(config).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// A subscription that the broker keeps, so that nobody needs to be there while messages come. What was
/// said on standard output.
fn subscribe(broker: &Broker, more: &[&str]) -> Option<String> {
    let port = broker.address.port().to_string();
    let mut command = Command::new("mosquitto_sub");
    command.args(["-h", "127.0.0.1", "-p", &port, "-t", "owntracks/#", "-q", "1", "-c", "-i", "listener"]);
    let output = command.args(more).output().ok()?;
    Some(String::from_utf8(output.stdout).unwrap())
}

fn tracker(broker: SocketAddr, truth: &Arc<TruthLog>) -> Tracker {
    let options = TrackerOptions {
        user: "fleet".into(),
        device: "t1".into(),
        publisher: PublisherOptions::new(broker, "fleet-t1"),
        retain: false,
        double_every: 0,
    };
    Tracker::start(options, truth.clone())
}

fn fix(tracker: &Tracker, second: i64) {
    let at = micros((1_790_000_000 + second) * 1_000_000);
    tracker.fix(Position { lat: 52.5, lon: 13.4, accuracy_m: 5.0, speed_kmh: 36.0, course_deg: 90.0, at });
}

fn acknowledged(truths: &[Truth]) -> Vec<i64> {
    let fixes = truths.iter().filter_map(|truth| match truth {
        Truth::Fix { tst, puback_at: Some(_), .. } => Some(tst - 1_790_000_000),
        _ => None,
    });
    fixes.collect()
}

#[tokio::test]
async fn fixes_arrive_as_owntracks_and_their_acknowledgement_is_written_down() {
    let Some(broker) = Broker::start("arrive").await else { return };
    if !subscribe(&broker, &["-E"]).is_some_and(|said| said.is_empty()) {
        eprintln!("skipped: mosquitto_sub is not installed");
        return;
    }
    let truth = Arc::new(TruthLog::new(None, true, true).unwrap());
    let tracker = tracker(broker.address, &truth);
    (0..60).for_each(|second| fix(&tracker, second));
    within("PUBACKs", tracker.publisher().idle()).await;
    let topic = "owntracks/fleet/t1 ";
    let received = subscribe(&broker, &["-v", "-C", "60", "-W", "10"]).unwrap();
    let received: Vec<&str> = received.lines().filter(|line| line.starts_with(topic)).collect();
    let first: serde_json::Value = serde_json::from_str(&received[0][topic.len()..]).unwrap();
    let want = serde_json::json!({
        "_type": "location", "tid": "t1", "lat": 52.5, "lon": 13.4, "tst": 1_790_000_000,
        "acc": 5, "cog": 90, "vel": 36, "batt": 100, "conn": "m", "t": "p",
    });
    assert_eq!(first, want);
    assert_eq!(received.len(), 60);
    assert_eq!(acknowledged(&truth.kept()), (0..60).collect::<Vec<_>>());
    tracker.stop().await;
}

#[tokio::test]
async fn what_was_stored_while_the_network_was_gone_comes_in_a_burst() {
    let Some(broker) = Broker::start("stored").await else { return };
    let truth = Arc::new(TruthLog::new(None, true, true).unwrap());
    let tracker = tracker(broker.address, &truth);
    within("connected", tracker.publisher().connected()).await;
    tracker.faults().begin(Fault::Disconnect);
    (0..50).for_each(|second| fix(&tracker, second));
    assert_eq!(tracker.publisher().open(), 50);
    tracker.faults().end(Fault::Disconnect);
    within("PUBACKs", tracker.publisher().idle()).await;
    assert_eq!(acknowledged(&truth.kept()), (0..50).collect::<Vec<_>>());
    tracker.stop().await;
}

#[tokio::test]
async fn a_broker_that_is_killed_and_started_again_gets_everything() {
    let Some(mut broker) = Broker::start("killed").await else { return };
    let truth = Arc::new(TruthLog::new(None, true, true).unwrap());
    let tracker = tracker(broker.address, &truth);
    (0..2000).for_each(|second| fix(&tracker, second));
    until("some are acknowledged", || tracker.counts().acknowledged > 10).await;
    broker.restart().await;
    within("PUBACKs", tracker.publisher().idle()).await;
    let mut seconds = acknowledged(&truth.kept());
    seconds.sort_unstable();
    assert_eq!(seconds, (0..2000).collect::<Vec<_>>());
    tracker.stop().await;
}

#[tokio::test]
async fn without_a_broker_everything_is_kept_and_told_as_unacknowledged() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let truth = Arc::new(TruthLog::new(None, true, true).unwrap());
    let tracker = tracker(nobody, &truth);
    (0..3).for_each(|second| fix(&tracker, second));
    tracker.stop().await;
    let kept = truth.kept();
    assert_eq!(kept.len(), 3);
    assert!(acknowledged(&kept).is_empty());
}
