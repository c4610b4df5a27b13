//! The wire is hostile: peers that speak no protocol, or a wrong one, do not take the daemon down, do not
//! disturb other sources, and leave everything they sent in the books and in the dead letters.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tallyman::domain::books::Book;
use tallyman::domain::state::StateKind;
use tallyman::journal::{EventQuery, Reader as Journal, StoredDeadLetter};
use tallyman_simulators::clock::wall_now;
use tallyman_simulators::llrp::{Reader, ReaderOptions, TagObservation};
use tallyman_simulators::truth::TruthLog;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::cli::tallyman;
use crate::daemon::{Daemon, Place};
use crate::servers::Mosquitto;

const PLACES: &str = r#"
[[site]]
name = "depot"
timezone = "UTC"
[[zone]]
name = "hall"
"#;

/// A reader whose read point a test can watch while others misbehave.
struct Sound {
    reader: Reader,
}

impl Sound {
    async fn start() -> Self {
        let truth = Arc::new(TruthLog::new(None, false, false).unwrap());
        Self { reader: Reader::start(ReaderOptions::named("sound"), truth).await.unwrap() }
    }

    fn tables(&self) -> String {
        format!(
            r#"
[[reader]]
name = "sound"
protocol = "llrp"
address = "{}"
[[read_point]]
name = "shelf"
kind = "presence"
zone = "hall"
observed_reads = 1
antennas = [{{ reader = "sound", antenna = 1 }}]
"#,
            self.reader.address()
        )
    }

    /// A new tag, heard once, is present: the source is undisturbed.
    async fn still_heard(&self, daemon: &mut Daemon, tag: u8) {
        self.reader.listening().await;
        let epc = vec![0x30, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, tag];
        let subject = format!("tag:{}", hex::encode(&epc));
        self.reader.read(TagObservation { antenna: 1, epc, rssi_dbm: -50, at: wall_now(), count: 1 });
        let journal = daemon.reader().await;
        daemon
            .until(&format!("{subject} is heard"), async |_| {
                let query = EventQuery { subject: Some(subject.clone()), limit: 1, ..EventQuery::default() };
                !journal.events(&query).await.unwrap().is_empty()
            })
            .await;
    }
}

async fn books(journal: &Journal) -> BTreeMap<String, Book> {
    let rows = journal.all_states(StateKind::Book).await.unwrap();
    rows.into_iter().map(|(source, row)| (source, serde_json::from_slice(&row).unwrap())).collect()
}

async fn letters(journal: &Journal) -> Vec<StoredDeadLetter> {
    journal.dead_letters(None, 1000).await.unwrap()
}

async fn books_balance(journal: &Journal) {
    for (source, book) in books(journal).await {
        assert!(book.balances(), "{source}: {book:?}");
    }
}

/// Connects nobody twice the same way: each connection gets the next of `scripts`, then is closed.
/// Afterwards connections are accepted and nothing is said.
async fn llrp_peer(scripts: Vec<Vec<u8>>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut scripts = scripts.into_iter();
        let mut silent = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            match scripts.next() {
                Some(script) => {
                    // The daemon may hang up in the middle of it.
                    let wrote = stream.write_all(&script).await;
                    let left = stream.shutdown().await;
                    let read = stream.read_to_end(&mut Vec::new()).await;
                    tracing::debug!(?wrote, ?left, ?read, "a script was played");
                }
                None => silent.push(stream),
            }
        }
    });
    address
}

fn message(version: u8, kind: u16, length: u32, body: &[u8]) -> Vec<u8> {
    let first = (u16::from(version) << 10) | kind;
    [&first.to_be_bytes()[..], &length.to_be_bytes(), &[0, 0, 0, 9], body].concat()
}

fn whole(kind: u16, body: &[u8]) -> Vec<u8> {
    message(1, kind, 10 + body.len() as u32, body)
}

const RO_ACCESS_REPORT: u16 = 61;
const READER_EVENT_NOTIFICATION: u16 = 63;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_speaks_no_llrp_is_kept_in_dead_letters_and_disturbs_nobody() {
    // A TagReportData (240) that is longer than its message; one with an EPCData (241) longer than it; an
    // AntennaID TV cut short; a parameter of length 0; an unknown event.
    let inner: [&[u8]; 4] = [
        &[0x00, 0xf0, 0xff, 0xff],
        &[0x00, 0xf0, 0x00, 0x08, 0x00, 0xf1, 0x00, 0x40],
        &[0x00, 0xf0, 0x00, 0x05, 0x81],
        &[0x00, 0xf0, 0x00, 0x00],
    ];
    let mut scripts = vec![
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        message(6, RO_ACCESS_REPORT, 10, &[]),
        message(1, RO_ACCESS_REPORT, u32::MAX, &[1; 100]),
        message(1, RO_ACCESS_REPORT, 3, &[]),
        message(1, RO_ACCESS_REPORT, 5000, &[7; 90]),
        whole(READER_EVENT_NOTIFICATION, &[0xff; 40]),
    ];
    scripts.extend(inner.iter().map(|body| whole(RO_ACCESS_REPORT, body)));
    // All of the well-framed ones on one connection.
    scripts.push(inner.iter().flat_map(|body| whole(RO_ACCESS_REPORT, body)).collect());
    let sent: Vec<Vec<u8>> = scripts[..10].to_vec();
    let address = llrp_peer(scripts).await;
    let sound = Sound::start().await;
    let mut daemon = Daemon::prepare(|place| {
        format!(
            r#"
node = "n"
{}{PLACES}{}
[intake]
stranger_reads = 1
[[reader]]
name = "mad"
protocol = "llrp"
address = "{address}"
backoff = {{ first = "10ms", last = "20ms" }}
"#,
            place.tables(""),
            sound.tables()
        )
    });
    daemon.start();
    daemon.ready().await;
    let journal = daemon.reader().await;
    daemon.until("14 dead letters", async |_| letters(&journal).await.len() >= 14).await;
    sound.still_heard(&mut daemon, 1).await;
    let kept = letters(&journal).await;
    for bytes in &sent {
        let letter = kept.iter().find(|letter| letter.payload == *bytes);
        let letter = letter.unwrap_or_else(|| panic!("{} is not kept whole", hex::encode(bytes)));
        assert_eq!((letter.source.as_str(), letter.protocol.as_str()), ("mad", "llrp"));
        assert!(!letter.reason.is_empty() && !letter.detail.is_empty(), "{letter:?}");
    }
    assert_eq!(kept.len(), 14, "{kept:#?}");
    let book = &books(&journal).await["mad"];
    assert_eq!((book.frames, book.dead_letters), (14, 14), "{book:?}");
    books_balance(&journal).await;
    let text = daemon.get("/metrics").await.unwrap();
    let counted = |name: &str| -> u64 {
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains("source=\"mad\""));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    };
    assert_eq!(counted("tallyman_dead_letters_total{"), 14);
    assert_eq!(counted("tallyman_llrp_unframed_total{"), 5);

    // Put back, they fail again: new letters, in the books.
    let config = daemon.path("tallyman.toml").display().to_string();
    tallyman(&["dead-letters", "-c", &config, "replay", "--all"]).succeeds();
    daemon.until("all came back", async |_| books(&journal).await["mad"].dead_letters == 28).await;
    let again = letters(&journal).await;
    assert_eq!(again.len(), 14);
    assert!(again.iter().all(|letter| letter.id > 14), "{again:?}");
    books_balance(&journal).await;
    assert_eq!(daemon.stop().await.code(), Some(0), "{}", daemon.log());
}

fn fleet(place: &Place<'_>, port: u16, more: &str) -> String {
    format!(
        r#"
node = "n"
{}{PLACES}
[intake]
stranger_reads = 1
max_payload = "4KiB"
max_kept = "1MiB"
{more}
[[broker]]
name = "fleet"
address = "127.0.0.1:{port}"
client_id = "n"
[[broker.topic]]
filter = "owntracks/#"
format = "owntracks"
"#,
        place.tables("")
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_mqtt_payloads_are_acknowledged_and_kept_whole_with_their_reason() {
    let test = "hostile_mqtt_payloads_are_acknowledged_and_kept_whole_with_their_reason";
    let Some(broker) = Mosquitto::start(test, "allow_anonymous true") else { return };
    let sound = Sound::start().await;
    let mut daemon = Daemon::prepare(|place| fleet(place, broker.port, "") + &sound.tables());
    daemon.start();
    daemon.up(&["tallyman_source_up{source=\"fleet\"}".to_owned()]).await;
    let now = wall_now().as_second();
    let location = |rest: &str| format!("{{\"_type\":\"location\",{rest}}}").into_bytes();
    let nested = [vec![b'['; 2000], vec![b']'; 2000]].concat();
    let hostile: Vec<(&str, Vec<u8>, &str)> = vec![
        ("owntracks/a/b", b"not JSON at all".to_vec(), "json"),
        ("owntracks/a/b", location(&format!("\"lat\":NaN,\"lon\":1,\"tst\":{now}")), "json"),
        ("owntracks/a/b", location(&format!("\"lat\":1e999,\"lon\":1,\"tst\":{now}")), "json"),
        ("owntracks/a/b", location(&format!("\"lat\":1e308,\"lon\":1,\"tst\":{now}")), "range"),
        ("owntracks/a/b", location(&format!("\"lat\":91,\"lon\":1,\"tst\":{now}")), "range"),
        ("owntracks/a/b", location(&format!("\"lat\":1,\"lon\":-181,\"tst\":{now}")), "range"),
        ("owntracks/a/b", location("\"lat\":1,\"lon\":1"), "missing"),
        ("owntracks/a/b", location("\"lat\":1,\"lon\":1,\"tst\":-1"), "time"),
        ("owntracks/a/b", location("\"lat\":1,\"lon\":1,\"tst\":99999999999999"), "time"),
        ("owntracks/a/b", location("\"lat\":1,\"lon\":1,\"tst\":\"now\""), "type"),
        ("owntracks/a/b", nested.clone(), "type"),
        ("owntracks/a/b", [b"{\"_type\":\"location\",\"x\":".as_slice(), &nested, b"}"].concat(), "missing"),
        ("owntracks/a/b", b"{\"_type\":\"\xff\xfe\"}".to_vec(), "utf-8"),
        ("owntracks/a/b", b"".to_vec(), "empty"),
        ("owntracks/a/b", b"{\"_type\":\"bomb\"}".to_vec(), "unknown-type"),
        ("owntracks/a/b", b"{}".to_vec(), "missing"),
        ("owntracks", location(&format!("\"lat\":1,\"lon\":1,\"tst\":{now}")), "topic"),
        (
            "owntracks/a/b",
            location(&format!("\"lat\":1,\"lon\":1,\"tst\":{},\"x\":0", now + 86_400)),
            "clock-ahead",
        ),
        ("owntracks/a/b", location("\"lat\":1,\"lon\":1,\"tst\":1000000000"), "too-old"),
    ];
    for (topic, payload, _) in &hostile {
        broker.publish(topic, payload);
    }
    // Longer than `intake.max_payload`, and longer than `intake.max_kept`.
    let long = [b"{\"_type\":\"location\",\"x\":\"".as_slice(), &[b'x'; 100_000], b"\"}"].concat();
    broker.publish("owntracks/a/b", &long);
    broker.publish("owntracks/a/b", &vec![b'y'; 2_000_000]);
    // And a sound one behind them all.
    broker.publish("owntracks/a/b", &location(&format!("\"lat\":53.5,\"lon\":10.0,\"tst\":{now}")));
    let journal = daemon.reader().await;
    let count = hostile.len() as u64 + 3;
    let acks = "tallyman_mqtt_acks_total{source=\"fleet\"}";
    daemon
        .until("all are acknowledged", async |daemon| daemon.metric(acks).await == Some(count as f64))
        .await;
    let fix = EventQuery { kinds: vec!["fix".to_owned()], limit: 10, ..EventQuery::default() };
    assert_eq!(journal.events(&fix).await.unwrap().len(), 1);
    let kept = letters(&journal).await;
    for ((topic, payload, reason), letter) in hostile.iter().zip(&kept) {
        let text = String::from_utf8_lossy(&payload[..payload.len().min(80)]);
        assert_eq!(letter.payload, *payload, "{text}: {letter:?}");
        assert_eq!(
            (letter.topic.as_deref(), letter.reason.as_str()),
            (Some(*topic), *reason),
            "{text}: {}",
            letter.detail
        );
    }
    assert_eq!(kept.len(), hostile.len() + 2);
    let [.., whole, cut] = &kept[..] else { panic!("two long ones") };
    assert!(whole.payload == long && whole.cut.is_none(), "{}: {}", whole.reason, whole.detail);
    let said = cut.cut.expect("only its beginning is kept");
    assert_eq!((said.full_bytes, cut.payload.len(), cut.reason.as_str()), (2_000_000, 1 << 20, "too-long"));
    let sha256 = Sha256::digest(vec![b'y'; 2_000_000]);
    assert_eq!(said.sha256[..], sha256[..]);
    let (config, id) = (daemon.path("tallyman.toml").display().to_string(), cut.id.to_string());
    let shown = tallyman(&["dead-letters", "-c", &config, "show", &id]);
    let shown = shown.succeeds();
    assert!(shown.contains("2000000 bytes, of which the first 1048576 are kept"), "{}", &shown[..600]);
    assert!(shown.contains(&hex::encode(sha256)), "{}", &shown[..600]);
    let book = books(&journal).await["fleet"].clone();
    assert_eq!(book.frames, count, "{book:?}");
    books_balance(&journal).await;
    sound.still_heard(&mut daemon, 2).await;

    shown_listed_and_replayed(&mut daemon, &journal, &kept).await;
    assert_eq!(daemon.stop().await.code(), Some(0), "{}", daemon.log());
}

/// The command beside the running daemon.
async fn shown_listed_and_replayed(daemon: &mut Daemon, journal: &Journal, kept: &[StoredDeadLetter]) {
    let config = daemon.path("tallyman.toml").display().to_string();
    let command = |rest: &[&str]| tallyman(&[&["dead-letters", "-c", &config], rest].concat());
    let listed = command(&["list", "--json"]);
    assert_eq!(listed.succeeds().lines().count(), kept.len());
    let first = kept[0].id.to_string();
    let shown = command(&["show", &first]);
    assert!(shown.succeeds().contains("not JSON at all") && shown.out.contains("json"), "{shown:?}");
    command(&["show", "99999"]).fails_with(1, &["no dead letter 99999"]);
    command(&["replay", "99999"]).fails_with(1, &["no dead letter 99999"]);
    let before = books(journal).await["fleet"].clone();
    command(&["replay", "--all"]).succeeds();
    let count = kept.len() as u64;
    daemon
        .until("all were tried again", async |_| {
            books(journal).await["fleet"].frames == before.frames + count
        })
        .await;
    // None of them has become better: each is there once, under a new number.
    let again = letters(journal).await;
    assert_eq!(again.len(), kept.len(), "{again:#?}");
    for (new, old) in again.iter().zip(kept) {
        assert!(new.id > kept.last().unwrap().id);
        assert_eq!((&new.payload, &new.reason), (&old.payload, &old.reason));
        assert_eq!(new.received_at, old.received_at);
    }
    books_balance(journal).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_that_a_new_configuration_allows_comes_in_with_a_replay() {
    let test = "a_letter_that_a_new_configuration_allows_comes_in_with_a_replay";
    let Some(broker) = Mosquitto::start(test, "allow_anonymous true") else { return };
    let mut daemon = Daemon::prepare(|place| fleet(place, broker.port, "max_age = \"1h\"\nmax_trackers = 1"));
    daemon.start();
    daemon.up(&["tallyman_source_up{source=\"fleet\"}".to_owned()]).await;
    let now = wall_now().as_second();
    let fix =
        |tst: i64| format!("{{\"_type\":\"location\",\"lat\":53.5,\"lon\":10.0,\"tst\":{tst}}}").into_bytes();
    broker.publish("owntracks/a/old", &fix(now - 7200));
    broker.publish("owntracks/a/strange", &fix(now));
    let journal = daemon.reader().await;
    daemon.until("two letters", async |_| letters(&journal).await.len() == 2).await;
    let reasons: Vec<_> = letters(&journal).await.into_iter().map(|letter| letter.reason).collect();
    assert_eq!(reasons, ["too-old", "too-many-trackers"]);
    books_balance(&journal).await;
    assert_eq!(daemon.stop().await.code(), Some(0), "{}", daemon.log());
    let path = daemon.path("tallyman.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"1h\"", "\"2d\"").replace("max_trackers = 1", "")).unwrap();
    // Asked for while no daemon runs: taken up when it starts.
    let config = path.display().to_string();
    tallyman(&["dead-letters", "-c", &config, "replay", "--all"]).succeeds();
    daemon.start();
    daemon.ready().await;
    let fixes = EventQuery { kinds: vec!["fix".to_owned()], limit: 10, ..EventQuery::default() };
    daemon.until("both came in", async |_| journal.events(&fixes).await.unwrap().len() == 2).await;
    assert_eq!(letters(&journal).await.len(), 0);
    books_balance(&journal).await;
    assert_eq!(daemon.stop().await.code(), Some(0), "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_modbus_device_that_answers_nonsense_has_bad_samples_and_disturbs_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, mut answered) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        for nth in 0_usize.. {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            let mut request = [0; 12];
            if stream.read_exact(&mut request).await.is_err() {
                continue;
            }
            let [t0, t1] = [request[0], request[1]];
            let nonsense: [Vec<u8>; 7] = [
                b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
                vec![t0, t1, 0, 0, 0xff, 0xff, 1, 4, 2, 0, 1],
                vec![t0, t1, 0, 9, 0, 5, 1, 4, 2, 0, 1],
                vec![t0, t1, 0, 0, 0, 5, 1, 4, 200, 0, 1],
                vec![t0, t1 ^ 1, 0, 0, 0, 5, 1, 4, 2, 0, 1],
                vec![t0, t1, 0, 0, 0, 3, 1, 0x84, 2],
                vec![t0, t1, 0, 0, 0, 0],
            ];
            let wrote = stream.write_all(&nonsense[nth % nonsense.len()]).await;
            let left = stream.shutdown().await;
            let read = stream.read_to_end(&mut Vec::new()).await;
            tracing::debug!(?wrote, ?left, ?read, "nonsense was said");
            if asked.send(nth).is_err() {
                return;
            }
        }
    });
    let sound = Sound::start().await;
    let mut daemon = Daemon::prepare(|place| {
        format!(
            r#"
node = "n"
{}{PLACES}{}
[intake]
stranger_reads = 1
[[modbus]]
name = "mad"
address = "{address}"
poll = "100ms"
timeout = "200ms"
backoff = {{ first = "10ms", last = "20ms" }}
base = 0
[[modbus.point]]
name = "temperature"
table = "input"
address = 0
type = "i16"
"#,
            place.tables(""),
            sound.tables()
        )
    });
    daemon.start();
    daemon.ready().await;
    while answered.recv().await.expect("the device runs") < 14 {}
    sound.still_heard(&mut daemon, 3).await;
    let journal = daemon.reader().await;
    books_balance(&journal).await;
    let samples = EventQuery { kinds: vec!["sample".to_owned()], limit: 1000, ..EventQuery::default() };
    for sample in journal.events(&samples).await.unwrap() {
        assert!(!sample.body.contains("\"quality\":\"good\""), "{}", sample.body);
    }
    assert_eq!(daemon.stop().await.code(), Some(0), "{}", daemon.log());
}
