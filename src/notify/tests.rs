//! Couriers over a real journal, and receivers that fail in every way.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::courier::{Carrier, Courier};
use super::webhook::Webhook;
use super::{Place, Surroundings, mqtt, places};
use crate::config::*;
use crate::domain::alerts::{Alert, AlertKey, AlertState, AlertTransition, Rule, Severity};
use crate::domain::events::{Event, EventBody, Subject};
use crate::domain::ids::EventId;
use crate::domain::time::Timestamp;
use crate::journal::{self, Batch, Control, Writer};
use crate::source::clock::WallClock;

const KEY: &[u8] = b"a key that only the two of us have";
const PATIENCE: Duration = Duration::from_secs(20);

/// A journal, and the one who writes it.
struct Rig {
    folder: tempfile::TempDir,
    batches: mpsc::Sender<Batch>,
    around: Surroundings,
}

impl Rig {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = JournalConfig { path: folder.path().join("journal.db"), ..JournalConfig::default() };
        let clock = WallClock::new();
        let opened = journal::open(&config, &"plant".into(), clock.now()).await.unwrap();
        let (control, asked) = mpsc::channel(4);
        let (batches, work) = mpsc::channel(4);
        let (told, committed) = watch::channel(0);
        tokio::spawn(write(opened.writer, work, asked, told));
        let shutdown = CancellationToken::new();
        let around =
            Surroundings { node: "plant".into(), reader: opened.reader, committed, control, clock, shutdown };
        Self { folder, batches, around }
    }

    /// One transition of the alert `ghost/subject`, told at once.
    async fn happens(&self, subject: &str, transition: AlertTransition, severity: Severity) -> EventId {
        let now = self.around.clock.now();
        let key = AlertKey::new(Rule::Ghost, subject);
        let incident = EventId::derive(now, &[subject.as_bytes()]);
        let begun = Alert::begin(key, incident, severity, None, format!("{subject} is gone"), now);
        let state = match transition {
            AlertTransition::Resolved => AlertState::Resolved,
            _ => AlertState::Firing,
        };
        let alert = Box::new(Alert { state, fired_at: Some(now), told_at: Some(now), ..begun });
        let id = EventId::derive(now, &[subject.as_bytes(), transition.as_str().as_bytes()]);
        let event = Event {
            id,
            site: None,
            subject: Subject::Asset(subject.into()),
            source: "tallyman".into(),
            observed_at: now,
            received_at: now,
            late: false,
            confidence: None,
            body: EventBody::Alert { transition, alert },
        };
        self.batches.send(Batch { events: vec![event], ..Batch::default() }).await.unwrap();
        id
    }

    async fn fires(&self, subject: &str) -> EventId {
        self.happens(subject, AlertTransition::Fired, Severity::Warning).await
    }

    async fn place(&self, name: &str) -> Option<Place> {
        places(&self.around.reader).await.unwrap().remove(name)
    }

    /// Begins to tell a receiver, from the place that the journal has of it.
    async fn tells(&self, name: &str, carrier: impl Carrier) -> tokio::task::JoinHandle<()> {
        let backoff = BackoffConfig { first: Duration::from_millis(5), last: Duration::from_millis(40) };
        let (name, filter) = (name.to_owned(), ReceiverFilter::default());
        let receiver = ReceiverConfig { name, filter, backoff, give_up_after: Duration::from_secs(86_400) };
        self.tells_as(receiver, carrier).await
    }

    async fn tells_as(&self, receiver: ReceiverConfig, carrier: impl Carrier) -> tokio::task::JoinHandle<()> {
        let place = self.place(&receiver.name).await;
        let name = receiver.name.clone();
        let known = place.is_some();
        let task = tokio::spawn(Courier::new(receiver, carrier, place, self.around.clone()).run());
        if !known {
            self.until("its first place is written", async || self.place(&name).await.is_some()).await;
        }
        task
    }

    fn webhook(&self, address: SocketAddr) -> Webhook {
        let backoff = BackoffConfig { first: Duration::from_millis(5), last: Duration::from_millis(40) };
        let (name, filter) = (String::new(), ReceiverFilter::default());
        let receiver = ReceiverConfig { name, filter, backoff, give_up_after: Duration::from_secs(86_400) };
        let (url, key) = (format!("http://{address}/hook"), KEY.to_vec());
        Webhook::new(
            WebhookConfig { receiver, url, key, timeout: Duration::from_millis(300) },
            self.around.clock.clone(),
        )
    }

    async fn until(&self, what: &str, condition: impl AsyncFn() -> bool) {
        let looked = tokio::time::timeout(PATIENCE, async {
            while !condition().await {
                tokio::task::yield_now().await;
            }
        });
        looked.await.unwrap_or_else(|_| panic!("waited in vain: {what} ({})", self.folder.path().display()));
    }
}

async fn write(
    mut writer: Writer,
    mut work: mpsc::Receiver<Batch>,
    mut asked: mpsc::Receiver<Control>,
    told: watch::Sender<u64>,
) {
    let clock = WallClock::new();
    loop {
        tokio::select! {
            Some(batch) = work.recv() => {
                let committed = writer.commit(&batch, clock.now()).await.unwrap();
                told.send_replace(committed.last_seq);
            }
            Some(Control::Note(row)) = asked.recv() => writer.note(&row).await.unwrap(),
            else => return,
        }
    }
}

#[derive(Clone, Debug)]
enum Answer {
    Status(u16, &'static str),
    Slowly,
    Never,
    Reset,
    HalfAHead,
}

#[derive(Clone, Debug)]
struct Request {
    id: String,
    timestamp: String,
    signature: String,
    content_type: String,
    body: String,
    taken: bool,
}

/// A receiver that answers as it is told to, and then with `otherwise`.
#[derive(Clone)]
struct Receiver {
    address: SocketAddr,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    otherwise: Arc<Mutex<Answer>>,
    requests: Arc<Mutex<Vec<Request>>>,
    came: Arc<Notify>,
}

impl Receiver {
    async fn new(answers: &[Answer], otherwise: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::at(listener, answers, otherwise)
    }

    fn at(listener: TcpListener, answers: &[Answer], otherwise: Answer) -> Self {
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            answers: Arc::new(Mutex::new(answers.iter().cloned().collect())),
            otherwise: Arc::new(Mutex::new(otherwise)),
            requests: Arc::default(),
            came: Arc::default(),
        };
        let serving = receiver.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        receiver
    }

    async fn serve(self, mut stream: TcpStream) {
        let Some((head, body)) = read_request(&mut stream).await else { return };
        let header = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.unwrap_or_default().to_owned()
        };
        let next = self.answers.lock().unwrap().pop_front();
        let answer = next.unwrap_or_else(|| self.otherwise.lock().unwrap().clone());
        let taken = matches!(answer, Answer::Status(200..=299, _) | Answer::Slowly);
        self.requests.lock().unwrap().push(Request {
            id: header("webhook-id"),
            timestamp: header("webhook-timestamp"),
            signature: header("webhook-signature"),
            content_type: header("content-type"),
            body,
            taken,
        });
        self.came.notify_waiters();
        match answer {
            Answer::Status(status, headers) => {
                let head =
                    format!("HTTP/1.1 {status} -\r\n{headers}content-length: 0\r\nconnection: close\r\n\r\n");
                stream.write_all(head.as_bytes()).await.ok();
            }
            Answer::Slowly => {
                for byte in b"HTTP/1.1 204 -\r\nconnection: close\r\n\r\n" {
                    stream.write_all(&[*byte]).await.ok();
                    tokio::task::yield_now().await;
                }
            }
            Answer::HalfAHead => drop(stream.write_all(b"HTTP/1.1 20").await),
            Answer::Reset => {}
            Answer::Never => std::future::pending::<()>().await,
        }
    }

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    fn taken(&self) -> Vec<String> {
        self.requests().into_iter().filter(|request| request.taken).map(|request| request.id).collect()
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    loop {
        let mut part = [0; 4096];
        let count = stream.read(&mut part).await.ok()?;
        bytes.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
            if body.len() >= length.parse().ok()? {
                return Some((head.to_owned(), body.to_owned()));
            }
        }
        if count == 0 {
            return None;
        }
    }
}

/// HMAC-SHA256 as RFC 2104 defines it, by hand; in base64.
fn signed(request: &Request) -> String {
    let message = format!("{}.{}.{}", request.id, request.timestamp, request.body);
    let mut key = [0; 64];
    key[..KEY.len()].copy_from_slice(KEY);
    let inner = Sha256::new().chain_update(key.map(|b| b ^ 0x36)).chain_update(message).finalize();
    let outer = Sha256::new().chain_update(key.map(|b| b ^ 0x5c)).chain_update(inner).finalize();
    use base64::Engine;
    format!("v1,{}", base64::engine::general_purpose::STANDARD.encode(outer))
}

#[tokio::test]
async fn a_receiver_that_fails_in_every_way_is_told_all_of_it_in_order_and_delays_nobody() {
    let rig = Rig::new().await;
    let failures = [
        Answer::Never,
        Answer::Reset,
        Answer::HalfAHead,
        Answer::Status(500, ""),
        Answer::Status(301, "location: http://127.0.0.1:1/\r\n"),
        Answer::Status(404, ""),
        Answer::Status(429, "retry-after: 1\r\n"),
        Answer::Status(503, ""),
    ];
    let bad = Receiver::new(&failures, Answer::Slowly).await;
    let good = Receiver::new(&[], Answer::Status(200, "")).await;
    rig.tells("bad", rig.webhook(bad.address)).await;
    rig.tells("good", rig.webhook(good.address)).await;
    let mut ids = vec![rig.fires("FL-01").await];
    rig.until("the bad one is tried", async || !bad.requests().is_empty()).await;
    ids.push(rig.fires("FL-02").await);
    ids.push(rig.happens("FL-01", AlertTransition::Resolved, Severity::Warning).await);
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    rig.until("the good one has all", async || good.taken() == ids).await;
    assert!(bad.taken().is_empty(), "it hangs on its first");

    rig.until("the bad one has all", async || bad.taken().len() >= 3).await;
    assert_eq!(bad.taken(), ids);
    let requests = bad.requests();
    assert_eq!(requests.len(), failures.len() + 3);
    let first: Vec<&str> = requests[..=failures.len()].iter().map(|request| request.id.as_str()).collect();
    assert_eq!(first, vec![ids[0].as_str(); failures.len() + 1], "one id, however often");
    let bodies: std::collections::BTreeSet<_> = requests.iter().map(|request| &request.body).collect();
    assert_eq!(bodies.len(), 3, "and one body");
    let time = |nth: usize| requests[nth].timestamp.parse::<i64>().unwrap();
    assert!(time(7) > time(6), "Retry-After is a second");
    for request in &requests {
        assert_eq!(request.signature, signed(request));
        assert_eq!(request.content_type, "application/cloudevents+json");
        let event: serde_json::Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!(event["id"], request.id.as_str());
    }
    rig.until("its place is written", async || rig.place("bad").await.unwrap().seq == 3).await;
}

#[tokio::test]
async fn a_kill_between_two_tries_loses_nothing_and_changes_no_id() {
    let rig = Rig::new().await;
    // Nobody listens yet.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let courier = rig.tells("hook", rig.webhook(address)).await;
    let first = rig.fires("FL-01").await.to_string();
    let listener = TcpListener::bind(address).await.unwrap();
    let receiver = Receiver::at(listener, &[Answer::Status(200, "")], Answer::Status(500, ""));
    rig.until("the first is taken", async || receiver.taken() == [first.clone()]).await;
    rig.until("and noted", async || rig.place("hook").await.unwrap().seq == 1).await;
    let second = rig.fires("FL-02").await.to_string();
    rig.until("the second is tried", async || receiver.requests().len() >= 4).await;
    courier.abort();
    courier.await.unwrap_err();
    let third = rig.fires("FL-03").await.to_string();
    *receiver.otherwise.lock().unwrap() = Answer::Status(200, "");
    rig.tells("hook", rig.webhook(address)).await;
    rig.until("the rest is taken", async || receiver.taken().len() == 3).await;
    assert_eq!(receiver.taken(), [first, second.clone(), third]);
    assert!(receiver.requests()[1..=3].iter().all(|request| request.id == second));
}

#[tokio::test]
async fn one_that_says_it_is_gone_is_told_nothing_until_it_has_another_address() {
    let rig = Rig::new().await;
    let gone = Receiver::new(&[Answer::Status(410, "")], Answer::Status(200, "")).await;
    let courier = rig.tells("hook", rig.webhook(gone.address)).await;
    rig.fires("FL-01").await;
    rig.until("it is gone", async || rig.place("hook").await.unwrap().gone_since.is_some()).await;
    courier.abort();
    courier.await.unwrap_err();
    let again = rig.tells("hook", rig.webhook(gone.address)).await;
    rig.fires("FL-02").await;
    let elsewhere = Receiver::new(&[], Answer::Status(200, "")).await;
    // Another receiver has both: whoever is told nothing was not merely slow.
    let witness = Receiver::new(&[], Answer::Status(200, "")).await;
    rig.tells("witness", rig.webhook(witness.address)).await;
    let seen = rig.fires("FL-03").await.to_string();
    rig.until("the witness has it", async || witness.taken().contains(&seen)).await;
    assert_eq!(gone.requests().len(), 1);
    again.abort();
    again.await.unwrap_err();
    rig.tells("hook", rig.webhook(elsewhere.address)).await;
    rig.until("it begins anew", async || rig.place("hook").await.unwrap().gone_since.is_none()).await;
    let next = rig.fires("FL-04").await.to_string();
    rig.until("the new one has it", async || elsewhere.taken() == [next.clone()]).await;
}

#[tokio::test]
async fn what_is_refused_for_good_and_what_is_too_old_keeps_back_nothing() {
    let rig = Rig::new().await;
    let receiver =
        Receiver::new(&[Answer::Status(422, ""), Answer::Status(500, "")], Answer::Status(200, "")).await;
    let backoff = BackoffConfig { first: Duration::from_millis(5), last: Duration::from_millis(5) };
    let filter = ReceiverFilter { severity: Some(Severity::Warning), ..ReceiverFilter::default() };
    let give_up_after = Duration::ZERO;
    let config = ReceiverConfig { name: "hook".to_owned(), filter, backoff, give_up_after };
    rig.tells_as(config, rig.webhook(receiver.address)).await;
    rig.happens("FL-00", AlertTransition::Fired, Severity::Info).await;
    let refused = rig.fires("FL-01").await.to_string();
    let expired = rig.fires("FL-02").await.to_string();
    let taken = rig.fires("FL-03").await.to_string();
    rig.until("the last is taken", async || !receiver.taken().is_empty()).await;
    let ids: Vec<String> = receiver.requests().into_iter().map(|request| request.id).collect();
    assert_eq!(ids, [refused, expired, taken], "each once, and nothing below its severity");
}

/// Takes what is published, but for the first message, on which it hangs up. Gives topic, payload and
/// whether it is retained.
async fn broker(listener: TcpListener, published: mpsc::UnboundedSender<(String, String, bool)>) {
    let mut hung_up = false;
    while let Ok((mut stream, _)) = listener.accept().await {
        while let Some((kind, body)) = read_packet(&mut stream).await {
            match kind >> 4 {
                1 => stream.write_all(&[0x20, 2, 0, 0]).await.unwrap(),
                3 => {
                    if !std::mem::replace(&mut hung_up, true) {
                        break;
                    }
                    assert_eq!(kind & 0x06, 0x02, "QoS 1");
                    let length = usize::from(u16::from_be_bytes([body[0], body[1]]));
                    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                    let (topic, id) = (text(&body[2..2 + length]), &body[2 + length..4 + length]);
                    stream.write_all(&[0x40, 2, id[0], id[1]]).await.unwrap();
                    published.send((topic, text(&body[4 + length..]), kind & 1 == 1)).unwrap();
                }
                _ => break,
            }
        }
    }
}

async fn read_packet(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let kind = stream.read_u8().await.ok()?;
    let (mut length, mut shift) = (0usize, 0);
    loop {
        let byte = stream.read_u8().await.ok()?;
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((kind, body))
}

#[tokio::test]
async fn a_topic_has_every_transition_and_what_stands() {
    let rig = Rig::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (published, mut messages) = mpsc::unbounded_channel();
    tokio::spawn(broker(listener, published));
    let backoff = BackoffConfig { first: Duration::from_millis(5), last: Duration::from_millis(40) };
    let give_up_after = Duration::from_secs(60);
    let receiver = ReceiverConfig {
        name: "topic".to_owned(),
        filter: ReceiverFilter::default(),
        backoff,
        give_up_after,
    };
    let broker = BrokerConfig {
        name: "".into(),
        host: address.ip().to_string(),
        port: address.port(),
        client_id: "tallyman-alerts".to_owned(),
        username: None,
        password: None,
        keepalive: Duration::from_secs(60),
        backoff,
        max_inflight: 1,
        topics: Vec::new(),
    };
    let topic =
        MqttReceiverConfig { receiver: receiver.clone(), broker, topic: "t".to_owned(), retain_state: true };
    rig.tells_as(receiver, mqtt::Topic::new(topic)).await;
    let fired = rig.fires("FL-01").await.to_string();
    rig.happens("FL-01", AlertTransition::Resolved, Severity::Warning).await;
    let mut told = Vec::new();
    for _ in 0..4 {
        told.push(tokio::time::timeout(PATIENCE, messages.recv()).await.unwrap().unwrap());
    }
    let event: serde_json::Value = serde_json::from_str(&told[0].1).unwrap();
    assert_eq!((event["id"].as_str(), event["type"].as_str()), (Some(&*fired), Some("tallyman.alert.fired")));
    let places: Vec<(&str, bool)> = told.iter().map(|(topic, _, retained)| (&**topic, *retained)).collect();
    let (news, state) = ("t/ghost/FL-01", "t/state/ghost/FL-01");
    assert_eq!(places, [(news, false), (state, true), (news, false), (state, true)]);
    assert_eq!((told[1].1 == told[0].1, told[3].1.is_empty()), (true, true), "an end takes it back");
    assert!(Timestamp::parse(event["time"].as_str().unwrap()).is_some());
}
