//! Couriers over a real journal, and receivers that fail in every way: one file a kind of receiver.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::courier::{Carrier, Courier};
use super::webhook::Webhook;
use super::{Place, Receiver as Standing, Receivers, Surroundings, places};
use crate::config::*;
use crate::domain::alerts::{Alert, AlertKey, AlertState, AlertTransition, Rule, Severity};
use crate::domain::erasure::Erasure;
use crate::domain::events::{Event, EventBody, Subject};
use crate::domain::ids::EventId;
use crate::domain::state::{StateKind, StateRow};
use crate::journal::{self, Batch, Control, Writer};
use crate::source::clock::WallClock;

mod hook_receiver;
pub(super) mod topics;
mod webhooks;

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
        let around = Surroundings {
            node: "plant".into(),
            reader: opened.reader,
            committed,
            control,
            clock,
            receivers: Receivers::default(),
            shutdown,
        };
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

    /// Somebody is taken out of the journal.
    async fn erases(&self, person: &str) {
        let (label, texts) = ("erased-00aa".to_owned(), vec![person.to_owned()]);
        let erasure =
            Erasure::new(label.clone(), person.to_owned(), texts, Vec::new(), self.around.clock.now());
        let row = StateRow::put(StateKind::Erasure, label, &erasure);
        self.batches.send(Batch { state: vec![row], ..Batch::default() }).await.unwrap();
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
        let timeout = Duration::from_millis(300);
        let config = WebhookConfig { receiver, url, ca_file: None, key, timeout };
        Webhook::new(config, self.around.clock.clone())
    }

    /// What people see of a receiver.
    fn standing(&self, name: &str) -> Standing {
        self.around.receivers.all().into_iter().find(|receiver| receiver.name == name).unwrap()
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
                while writer.erase().await.unwrap() {}
                told.send_replace(committed.last_seq);
            }
            Some(Control::Note(row)) = asked.recv() => writer.note(&row).await.unwrap(),
            else => return,
        }
    }
}
