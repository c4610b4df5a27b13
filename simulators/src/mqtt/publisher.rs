//! A publishing client: a queue, a window of messages under way, a connection that comes back.
//!
//! ```text
//! queue (store and forward) → under way (≤ window, by packet id) → PUBACK → truth
//!                                ↑ again, marked DUP, after a reconnect
//! ```

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::packets::{self, Connect, Incoming};
use crate::clock::wall_now;
use crate::faults::{self, Fault, FaultSwitch, Faults};
use crate::sync::locked;
use crate::truth::{FixCount, Truth, TruthLog};

/// Between two attempts to connect.
const RETRY: Duration = Duration::from_millis(250);
/// A broker that answers nothing for this long is given up, and tried anew.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long a clean end may take before the connection is dropped.
const FAREWELL: Duration = Duration::from_millis(500);
/// Bytes of PUBLISH packets written with one system call, at most.
const WRITE_BYTES: usize = 64 * 1024;

#[derive(Clone, Debug)]
pub struct PublisherOptions {
    pub broker: SocketAddr,
    pub client_id: String,
    pub login: Option<(String, String)>,
    /// Messages without a PUBACK, at most.
    pub window: usize,
    pub keepalive: Duration,
    /// Messages kept while the broker cannot be reached; then the oldest go.
    pub queue: usize,
}

impl PublisherOptions {
    pub fn new(broker: SocketAddr, client_id: impl Into<String>) -> Self {
        let keepalive = Duration::from_secs(30);
        Self { broker, client_id: client_id.into(), login: None, window: 20, keepalive, queue: 100_000 }
    }
}

/// One message, and what is to be written down once its PUBACK has come.
#[derive(Clone, PartialEq, Debug)]
pub struct Outgoing {
    pub topic: String,
    pub payload: Vec<u8>,
    pub retain: bool,
    /// A [`Truth::Fix`] whose two last times are not known yet.
    pub truth: Option<Truth>,
}

/// A running client.
#[derive(Debug)]
pub struct Publisher {
    shared: Arc<Shared>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    options: PublisherOptions,
    state: Mutex<State>,
    work: Notify,
    faults: FaultSwitch,
    truth: Arc<TruthLog>,
    /// Messages without a PUBACK, queued or under way.
    open: watch::Sender<usize>,
    connected: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Outgoing>,
    under_way: VecDeque<UnderWay>,
    last_id: u16,
    counts: FixCount,
}

#[derive(Debug)]
struct UnderWay {
    id: u16,
    message: Outgoing,
    published_at: Timestamp,
}

/// Why a connection is over; the client then makes another.
#[derive(Debug, thiserror::Error)]
enum SessionError {
    #[error("the connection failed: {0}")]
    Io(#[from] std::io::Error),
    #[error("the broker closed the connection")]
    Closed,
    #[error("the broker refused the client with code {0}")]
    Refused(u8),
    #[error("the broker sent {0}")]
    Packet(#[from] packets::PacketError),
    #[error("the broker answered nothing for {} s", ANSWER_WITHIN.as_secs())]
    NoAnswer,
    #[error("the network is gone")]
    Fault,
}

impl Publisher {
    /// Starts connecting at once. Messages are kept until the broker has them.
    pub fn start(options: PublisherOptions, faults: FaultSwitch, truth: Arc<TruthLog>) -> Self {
        let shared = Arc::new(Shared {
            options,
            state: Mutex::default(),
            work: Notify::new(),
            faults,
            truth,
            open: watch::Sender::new(0),
            connected: watch::Sender::new(false),
        });
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(shared.clone(), stop.clone()));
        Self { shared, stop, task }
    }

    pub fn publish(&self, message: Outgoing) {
        let mut state = locked(&self.shared.state);
        state.counts.taken += 1;
        state.queue.push_back(message);
        if state.queue.len() > self.shared.options.queue {
            tracing::error!(client = %self.shared.options.client_id, "queue full, the oldest message is lost");
            if let Some(lost) = state.queue.pop_front() {
                self.shared.record(lost, None, None);
            }
        }
        self.shared.count_open(&state);
        drop(state);
        self.shared.work.notify_one();
    }

    pub fn counts(&self) -> FixCount {
        locked(&self.shared.state).counts
    }

    /// Messages without a PUBACK.
    pub fn open(&self) -> usize {
        *self.shared.open.borrow()
    }

    /// Returns when the broker has accepted the connection.
    pub async fn connected(&self) {
        wait(&self.shared.connected, |connected| *connected).await;
    }

    /// Returns when every message has its PUBACK.
    pub async fn idle(&self) {
        wait(&self.shared.open, |open| *open == 0).await;
    }

    /// Disconnects. Messages without a PUBACK go to the truth as such.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(client = %self.shared.options.client_id, %error, "the publisher's task failed");
        }
        let (under_way, queue) = {
            let mut state = locked(&self.shared.state);
            (std::mem::take(&mut state.under_way), std::mem::take(&mut state.queue))
        };
        under_way.into_iter().for_each(|one| self.shared.record(one.message, Some(one.published_at), None));
        queue.into_iter().for_each(|message| self.shared.record(message, None, None));
    }
}

async fn wait<T>(sender: &watch::Sender<T>, wanted: impl FnMut(&T) -> bool) {
    if sender.subscribe().wait_for(wanted).await.is_err() {
        std::future::pending::<()>().await;
    }
}

impl Shared {
    fn count_open(&self, state: &State) {
        self.open.send_replace(state.queue.len() + state.under_way.len());
    }

    fn record(&self, message: Outgoing, published: Option<Timestamp>, puback: Option<Timestamp>) {
        let Some(mut truth) = message.truth else { return };
        if let Truth::Fix { published_at, puback_at, .. } = &mut truth {
            (*published_at, *puback_at) = (published, puback);
        }
        self.truth.record(truth);
    }

    /// Packets of queued messages as far as the window allows.
    fn next_packets(&self) -> Vec<u8> {
        let mut state = locked(&self.state);
        let mut bytes = Vec::new();
        while state.under_way.len() < self.options.window && bytes.len() < WRITE_BYTES {
            let Some(message) = state.queue.pop_front() else { break };
            let id = state.take_id();
            bytes.extend(packets::publish(&message.topic, &message.payload, id, message.retain, false));
            state.counts.published += 1;
            state.under_way.push_back(UnderWay { id, message, published_at: wall_now() });
        }
        bytes
    }

    /// Packets of messages that were under way when the last connection ended.
    fn packets_again(&self) -> Vec<u8> {
        let mut state = locked(&self.state);
        let mut bytes = Vec::new();
        for one in &state.under_way {
            let message = &one.message;
            bytes.extend(packets::publish(&message.topic, &message.payload, one.id, message.retain, true));
        }
        state.counts.published += state.under_way.len() as u64;
        bytes
    }

    fn acknowledged(&self, id: u16) {
        let mut state = locked(&self.state);
        let Some(at) = state.under_way.iter().position(|one| one.id == id) else {
            tracing::warn!(client = %self.options.client_id, id, "a PUBACK for nothing under way");
            return;
        };
        let Some(one) = state.under_way.remove(at) else { return };
        state.counts.acknowledged += 1;
        self.record(one.message, Some(one.published_at), Some(wall_now()));
        self.count_open(&state);
    }
}

impl State {
    /// Packet ids run from 1; those under way are not used again.
    fn take_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if self.under_way.iter().all(|one| one.id != self.last_id) {
                return self.last_id;
            }
        }
    }
}

async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let mut faults = shared.faults.watch();
    loop {
        let ended = tokio::select! {
            () = async { stop.cancelled().await; sleep(FAREWELL).await } => return,
            ended = connect_and_publish(&shared, &mut faults, &stop) => ended,
        };
        shared.connected.send_replace(false);
        match ended {
            Ok(()) => return,
            Err(error) => tracing::debug!(client = %shared.options.client_id, %error, "connecting again"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(RETRY) => {}
        }
    }
}

/// One connection, until it ends; `Ok` where it was asked to stop.
async fn connect_and_publish(
    shared: &Shared,
    faults: &mut watch::Receiver<Faults>,
    stop: &CancellationToken,
) -> Result<(), SessionError> {
    faults::until(faults, |faults| !faults.refusing()).await;
    let stream = timeout(ANSWER_WITHIN, TcpStream::connect(shared.options.broker))
        .await
        .map_err(|_| SessionError::NoAnswer)??;
    stream.set_nodelay(true)?;
    let mut session = Session { shared, stream, buffer: Vec::new(), asked: Instant::now(), pinged: false };
    session.open().await?;
    shared.connected.send_replace(true);
    session.stream.write_all(&shared.packets_again()).await?;
    loop {
        session.send_due(faults).await?;
        tokio::select! {
            () = stop.cancelled() => {
                session.stream.write_all(&packets::disconnect()).await?;
                session.stream.shutdown().await?;
                return Ok(());
            }
            changed = faults.changed() => if changed.is_err() || faults.borrow().unreachable() {
                return Err(SessionError::Fault);
            },
            ended = session.wait() => ended?,
        }
    }
}

struct Session<'a> {
    shared: &'a Shared,
    stream: TcpStream,
    buffer: Vec<u8>,
    /// When the broker was last heard, or there was nothing to wait for.
    asked: Instant,
    pinged: bool,
}

impl Session<'_> {
    async fn open(&mut self) -> Result<(), SessionError> {
        let options = &self.shared.options;
        let connect = packets::connect(&Connect {
            client_id: &options.client_id,
            clean_session: false,
            keepalive_s: u16::try_from(options.keepalive.as_secs()).unwrap_or(u16::MAX),
            login: options.login.as_ref().map(|(user, password)| (user.as_str(), password.as_str())),
        });
        self.stream.write_all(&connect).await?;
        loop {
            match self.next_packet()? {
                Some(Incoming::ConnAck { code: 0, .. }) => return Ok(()),
                Some(Incoming::ConnAck { code, .. }) => return Err(SessionError::Refused(code)),
                Some(_) => {}
                None => timeout(ANSWER_WITHIN, self.fill()).await.map_err(|_| SessionError::NoAnswer)??,
            }
        }
    }

    /// Writes what the window and the device's faults allow.
    async fn send_due(&mut self, faults: &mut watch::Receiver<Faults>) -> Result<(), SessionError> {
        let now = faults.borrow_and_update().clone();
        if now.has(Fault::Silent) {
            return Ok(());
        }
        let idle = locked(&self.shared.state).under_way.is_empty();
        let bytes = self.shared.next_packets();
        if idle {
            self.asked = Instant::now();
        }
        if bytes.is_empty() {
            return Ok(());
        }
        if let Some(delay) = now.delay() {
            sleep(delay).await;
        }
        self.stream.write_all(&bytes).await?;
        Ok(())
    }

    /// Until the broker said something, a message came, or a ping is due.
    async fn wait(&mut self) -> Result<(), SessionError> {
        let waiting = self.pinged || !locked(&self.shared.state).under_way.is_empty();
        let deadline = self.asked + if waiting { ANSWER_WITHIN } else { self.shared.options.keepalive / 2 };
        let shared = self.shared;
        tokio::select! {
            filled = self.fill() => {
                filled?;
                self.asked = Instant::now();
                self.pinged = false;
                while let Some(packet) = self.next_packet()? {
                    if let Incoming::PubAck { id } = packet {
                        self.shared.acknowledged(id);
                    }
                }
            }
            () = shared.work.notified() => {}
            () = sleep_until(deadline) => {
                if waiting {
                    return Err(SessionError::NoAnswer);
                }
                self.asked = Instant::now();
                self.pinged = true;
                self.stream.write_all(&packets::ping_request()).await?;
            }
        }
        Ok(())
    }

    async fn fill(&mut self) -> Result<(), SessionError> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(SessionError::Closed),
            _ => Ok(()),
        }
    }

    fn next_packet(&mut self) -> Result<Option<Incoming>, SessionError> {
        let Some((packet, length)) = packets::split(&self.buffer)? else { return Ok(None) };
        self.buffer.drain(..length);
        Ok(Some(packet))
    }
}
