//! Trackers that connect to us, against a tracker written by hand: with the test in the pipeline's place, and through
//! the whole daemon over kill -9.

use std::path::Path;
use std::time::Duration;

use tallyman::config::TeltonikaConfig;
use tallyman::domain::frames::{AckToken, Frame, LinkState, Payload};
use tallyman::source::{Gate, Intake, teltonika};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::daemon::Daemon;
use crate::formats::{avl_packet, fixes, now};
use crate::servers::{PATIENCE, free_port};
use crate::source::Source;

const IMEI: &str = "356307042441013";
const STRANGER: &str = "356307042441014";
/// Nothing is to come: as long as a test waits to see that.
const NOTHING: Duration = Duration::from_millis(100);

struct Tracker(TcpStream);

impl Tracker {
    async fn connect(address: &str) -> Self {
        Self(timeout(PATIENCE, TcpStream::connect(address)).await.expect("in time").expect("a listener"))
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("it reads");
    }

    async fn login(&mut self, imei: &str) -> u8 {
        self.send(&[&[0, 15], imei.as_bytes()].concat()).await;
        self.told::<1>().await[0]
    }

    async fn told<const BYTES: usize>(&mut self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        timeout(PATIENCE, self.0.read_exact(&mut bytes)).await.expect("an answer").expect("a connection");
        bytes
    }

    async fn records(&mut self) -> u32 {
        u32::from_be_bytes(self.told::<4>().await)
    }

    async fn is_told_nothing(&mut self) -> bool {
        let mut byte = [0];
        timeout(NOTHING, self.0.read_exact(&mut byte)).await.is_err()
    }

    async fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        matches!(timeout(PATIENCE, self.0.read(&mut byte)).await, Ok(Ok(0) | Err(_)))
    }
}

struct Listening {
    source: Source,
    acks: mpsc::UnboundedSender<AckToken>,
    address: String,
}

async fn start(more: &str) -> Listening {
    let text = format!(
        "node = \"n\"\n[[site]]\nname = \"s\"\ntimezone = \"UTC\"\n[[teltonika]]\nname = \"trackers\"\n\
         listen = \"127.0.0.1:0\"\n{more}\n"
    );
    let config = tallyman::config::parse(&text, Path::new("."), &|_| None).expect("a configuration");
    let config: TeltonikaConfig = config.teltonika.into_iter().next().expect("a listener");
    let listener = TcpListener::bind(config.listen).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (acks, received) = mpsc::unbounded_channel();
    let run = |intake, shutdown| teltonika::run(config, listener, intake, received, shutdown);
    let mut source = Source::start(100, run);
    assert_eq!(source.link().await, LinkState::Up { replaying: false });
    Listening { source, acks, address }
}

impl Listening {
    async fn frame(&mut self) -> Frame {
        match self.source.next().await {
            Intake::Frame(frame) => frame,
            other => panic!("{other:?} instead of a packet"),
        }
    }
}

#[tokio::test]
async fn a_packet_is_acknowledged_when_it_is_durable_and_not_before() {
    let mut daemon = start("").await;
    let mut tracker = Tracker::connect(&daemon.address).await;
    assert_eq!(tracker.login(IMEI).await, 1);
    let packet = avl_packet(1_777_615_200_000, 50.1, 8.0);
    // In pieces, with a ping in front.
    tracker.send(&[0xff]).await;
    for piece in packet.chunks(7) {
        tracker.send(piece).await;
    }
    let frame = daemon.frame().await;
    let expected = Payload::Teltonika { imei: IMEI.into(), bytes: packet.clone(), fault: None };
    assert_eq!(frame.payload, expected);
    assert!(tracker.is_told_nothing().await, "it is not durable yet");
    daemon.acks.send(frame.ack.expect("it is to be acknowledged")).unwrap();
    assert_eq!(tracker.records().await, 1);
    daemon.source.stop().await;
}

#[tokio::test]
async fn what_is_not_what_it_says_is_handed_on_and_not_acknowledged() {
    let mut daemon = start("").await;
    let mut tracker = Tracker::connect(&daemon.address).await;
    assert_eq!(tracker.login(IMEI).await, 1);
    let good = avl_packet(1_777_615_200_000, 50.1, 8.0);
    let mut damaged = good.clone();
    damaged[20] ^= 1;
    tracker.send(&damaged).await;
    // The tracker sends it again, and this time it is whole.
    tracker.send(&good).await;
    let frame = daemon.frame().await;
    assert!(
        matches!(&frame.payload, Payload::Teltonika { bytes, fault: Some("crc"), .. } if *bytes == damaged),
        "{frame:?}"
    );
    assert_eq!(frame.ack, None);
    let frame = daemon.frame().await;
    daemon.acks.send(frame.ack.expect("it is whole")).unwrap();
    assert_eq!(tracker.records().await, 1);
    // The counts in front and behind differ, and the check sum is right.
    let mut data = good[8..good.len() - 4].to_vec();
    *data.last_mut().unwrap() = 2;
    let counts = crate::formats::avl_framed(&data);
    for nth in 0..8 {
        tracker.send(&counts).await;
        let frame = daemon.frame().await;
        let expected = Payload::Teltonika { imei: IMEI.into(), bytes: counts.clone(), fault: None };
        assert_eq!((frame.payload, frame.ack), (expected, None), "{nth}");
    }
    assert!(tracker.is_closed().await, "it would send the same for ever");
    let mut tracker = Tracker::connect(&daemon.address).await;
    assert_eq!(tracker.login(IMEI).await, 1);
    tracker.send(b"GET / HTTP/1.1").await;
    let frame = daemon.frame().await;
    let expected =
        Payload::Teltonika { imei: IMEI.into(), bytes: b"GET / HTTP/1.1".to_vec(), fault: Some("garbage") };
    assert_eq!((frame.payload, frame.ack), (expected, None));
    assert!(tracker.is_closed().await, "there is no way back into the stream");
    // What was cut off is neither kept nor acknowledged: it comes again.
    let mut tracker = Tracker::connect(&daemon.address).await;
    assert_eq!(tracker.login(IMEI).await, 1);
    tracker.send(&good[..30]).await;
    drop(tracker);
    let nothing = timeout(NOTHING, daemon.source.intake.recv()).await;
    assert!(nothing.is_err(), "{nothing:?}");
    daemon.source.stop().await;
}

#[tokio::test]
async fn only_those_that_are_named_may_and_who_does_not_say_who_it_is_may_not() {
    let daemon = start(&format!("devices = [\"{IMEI}\"]")).await;
    let mut stranger = Tracker::connect(&daemon.address).await;
    assert_eq!(stranger.login(STRANGER).await, 0);
    assert!(stranger.is_closed().await);
    let mut mute = Tracker::connect(&daemon.address).await;
    mute.send(&avl_packet(1_777_615_200_000, 50.1, 8.0)).await;
    assert!(mute.is_closed().await);
    let mut known = Tracker::connect(&daemon.address).await;
    assert_eq!(known.login(IMEI).await, 1);
    // Again is the same; as another is not.
    assert_eq!(known.login(IMEI).await, 1);
    assert_eq!(known.login(STRANGER).await, 0);
    assert!(known.is_closed().await);
    daemon.source.stop().await;
}

/// A network that goes away without a word leaves connections behind that look alive.
#[tokio::test]
async fn a_tracker_that_comes_again_ends_its_old_connection_and_keeps_nobody_out() {
    let daemon = start("max_connections = 1").await;
    let mut tracker = Tracker::connect(&daemon.address).await;
    assert_eq!(tracker.login(IMEI).await, 1);
    for _ in 0..3 {
        let mut again = Tracker::connect(&daemon.address).await;
        assert_eq!(again.login(IMEI).await, 1);
        assert!(tracker.is_closed().await);
        tracker = again;
    }
    let mut other = Tracker::connect(&daemon.address).await;
    other.send(&[&[0, 15], STRANGER.as_bytes()].concat()).await;
    assert!(other.is_closed().await, "one is the most");
    drop(tracker);
    // As soon as it is seen to be gone.
    loop {
        let mut other = Tracker::connect(&daemon.address).await;
        other.send(&[&[0, 15], STRANGER.as_bytes()].concat()).await;
        let mut answer = [0];
        if let Ok(Ok(1)) = timeout(PATIENCE, other.0.read(&mut answer)).await {
            assert_eq!(answer, [1]);
            break;
        }
    }
    daemon.source.stop().await;
}

#[tokio::test]
async fn while_the_journal_is_full_nothing_is_taken_and_a_stop_acknowledges_what_is_committed() {
    let mut daemon = start("").await;
    let mut tracker = Tracker::connect(&daemon.address).await;
    assert_eq!(tracker.login(IMEI).await, 1);
    daemon.source.gate.send(Gate::Closed).unwrap();
    tracker.send(&avl_packet(1_777_615_200_000, 50.1, 8.0)).await;
    let nothing = timeout(NOTHING, daemon.source.intake.recv()).await;
    assert!(nothing.is_err(), "{nothing:?}");
    daemon.source.gate.send(Gate::Open).unwrap();
    let frame = daemon.frame().await;
    daemon.source.shutdown.cancel();
    // The pipeline ends when nobody puts anything into it any more; then the last group is committed.
    assert_eq!(timeout(PATIENCE, daemon.source.intake.recv()).await.expect("it ends"), None);
    daemon.acks.send(frame.ack.unwrap()).unwrap();
    assert_eq!(tracker.records().await, 1);
    timeout(PATIENCE, daemon.source.task).await.expect("it stops").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_outlives_a_kill_and_what_comes_again_counts_once() {
    let port = free_port();
    let mut daemon = Daemon::prepare(|place| {
        format!(
            "node = \"n\"\n{}[[site]]\nname = \"depot\"\ntimezone = \"UTC\"\n[[teltonika]]\nname = \"trackers\"\n\
             listen = \"127.0.0.1:{port}\"\n",
            place.tables("")
        )
    });
    let address = format!("127.0.0.1:{port}");
    let millis = now().as_millisecond();
    let mut expected = std::collections::BTreeSet::new();
    for round in 0..4_i64 {
        daemon.start();
        daemon.ready().await;
        let mut tracker = Tracker::connect(&address).await;
        assert_eq!(tracker.login(IMEI).await, 1);
        if round > 0 {
            // It did not hear the last answer.
            let last = round - 1;
            tracker.send(&avl_packet(millis + last * 1000, 50.0 + last as f64 / 1e4, 8.0)).await;
            assert_eq!(tracker.records().await, 1);
        }
        let lat = 50.0 + round as f64 / 1e4;
        tracker.send(&avl_packet(millis + round * 1000, lat, 8.0)).await;
        assert_eq!(tracker.records().await, 1);
        daemon.kill();
        expected.insert((IMEI.to_owned(), serde_json::json!(lat).to_string()));
    }
    daemon.start();
    daemon.ready().await;
    let filtered = "tallyman_readings_filtered_total{source=\"trackers\",reason=\"duplicate\"}";
    let mut tracker = Tracker::connect(&address).await;
    assert_eq!(tracker.login(IMEI).await, 1);
    let mut damaged = avl_packet(millis, 51.0, 8.0);
    damaged[20] ^= 1;
    tracker.send(&damaged).await;
    tracker.send(&avl_packet(millis, 50.0, 8.0)).await;
    assert_eq!(tracker.records().await, 1);
    daemon.until("known again", async |daemon| daemon.metric(filtered).await == Some(4.0)).await;
    assert_eq!(daemon.stop().await.code(), Some(0), "{}", daemon.log());
    let reader = daemon.reader().await;
    assert_eq!(fixes(&reader).await, expected);
    let kept =
        reader.events_after(0, 1000).await.unwrap().iter().filter(|event| &*event.kind == "fix").count();
    assert_eq!(kept, expected.len(), "each once");
    let letters = reader.dead_letters(None, 10).await.unwrap();
    let [letter] = &letters[..] else { panic!("{letters:?}") };
    assert_eq!(
        (letter.protocol.as_str(), letter.topic.as_deref(), letter.reason.as_str()),
        ("teltonika", Some(IMEI), "crc")
    );
    assert_eq!(letter.payload, damaged);
    assert!(!daemon.log().contains("the books do not balance"), "{}", daemon.log());
}
