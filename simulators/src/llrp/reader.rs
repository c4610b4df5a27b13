//! The reader as others see it: a listening socket, a feed of reads, and what is known of both.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::capabilities::{Capabilities, NO_MAKER};
use super::connection;
use super::dial;
use super::report::{HeldRead, Radio, TagObservation};
use super::state::{State, Taken};
use crate::clock::{DeviceClock, Stamp, wall_now};
use crate::faults::{self, Fault, FaultSwitch};
use crate::listening::Gate;
use crate::sync::locked;
use crate::truth::{ReadCount, Truth, TruthLog, fnv1a};

#[derive(Clone, Debug)]
pub struct ReaderOptions {
    pub name: String,
    pub antennas: u16,
    pub clock: DeviceClock,
    /// Reads that are held while nobody takes them; further ones are dropped and counted.
    pub buffer_reads: usize,
    /// Leave a value out of a tag report where the client was told the same one last.
    pub absent_equals_last: bool,
    /// Close the connection after this many KEEPALIVEs without an answer; `None`: never.
    pub missed_keepalives: Option<u32>,
    /// Port 0: any that is free.
    pub listen: SocketAddr,
    /// Calls its client there, instead of waiting for one.
    pub dial: Option<SocketAddr>,
    /// Speaks LLRP 1.1 too, where the client asks for it.
    pub speaks_1_1: bool,
    /// The enterprise number of a maker whose extensions it has: 25882 for Impinj, 161 for Zebra; 0 for none.
    pub has_extensions_of: u32,
}

impl ReaderOptions {
    /// Four antennas, a right clock, a large buffer, any port of the loopback interface.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            antennas: 4,
            clock: DeviceClock::exact(wall_now()),
            buffer_reads: 100_000,
            absent_equals_last: false,
            missed_keepalives: None,
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            dial: None,
            speaks_1_1: false,
            has_extensions_of: 0,
        }
    }
}

/// A running reader.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

/// What the reader's tasks share.
#[derive(Debug)]
pub(super) struct Shared {
    pub options: ReaderOptions,
    pub state: Mutex<State>,
    pub faults: FaultSwitch,
    /// Something may be due for the client.
    pub work: Notify,
    /// Messages for the client that no hold keeps back.
    pub urgent: Mutex<Vec<Vec<u8>>>,
    truth: Arc<TruthLog>,
    /// Whether an ROSpec is active.
    active: watch::Sender<bool>,
    /// Outputs that are on.
    outputs: watch::Sender<BTreeSet<u16>>,
}

impl Reader {
    /// Opens the socket and waits for clients.
    pub async fn start(options: ReaderOptions, truth: Arc<TruthLog>) -> std::io::Result<Self> {
        let faults = FaultSwitch::default();
        let gate = Gate::open(options.listen, faults.watch()).await?;
        let address = gate.address();
        let capabilities = Capabilities {
            antennas: options.antennas,
            has_utc_clock: !options.clock.uptime_only,
            firmware: concat!("sim-", env!("CARGO_PKG_VERSION")).to_owned(),
            maker: if options.has_extensions_of == 0 { NO_MAKER } else { options.has_extensions_of },
            version: if options.speaks_1_1 { 2 } else { 1 },
        };
        let identity = fnv1a(options.name.as_bytes()).to_be_bytes();
        let state = Mutex::new(State::new(options.clock, capabilities, identity, options.buffer_reads));
        let shared = Arc::new(Shared {
            options,
            state,
            faults,
            work: Notify::new(),
            urgent: Mutex::default(),
            truth,
            active: watch::Sender::new(false),
            outputs: watch::Sender::new(BTreeSet::new()),
        });
        let stop = CancellationToken::new();
        let task = match shared.options.dial {
            None => tokio::spawn(accept(shared.clone(), gate, stop.clone())),
            Some(client) => tokio::spawn(dial::keep_calling(shared.clone(), client, stop.clone())),
        };
        Ok(Self { shared, address, stop, task })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it calls itself (Identification), in hexadecimal digits.
    pub fn identity(&self) -> String {
        locked(&self.shared.state).identity.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Offers a read; it is taken where an active ROSpec listens on its antenna.
    pub fn read(&self, observation: TagObservation) -> Taken {
        let radio = Radio::of(&observation);
        self.read_finely(observation, radio)
    }

    /// The same, with what a maker's extensions tell of it.
    pub fn read_finely(&self, observation: TagObservation, radio: Radio) -> Taken {
        let faults = self.shared.faults.now();
        if faults.has(Fault::PowerOff) {
            return Taken::NotListening;
        }
        let mut state = locked(&self.shared.state);
        state.clock_jump_us = faults.clock_jump_us();
        let taken = state.take(observation, radio);
        drop(state);
        if taken == Taken::Held {
            self.shared.work.notify_one();
        }
        taken
    }

    /// What is on an input (a light barrier, a switch) changed at that true time.
    pub fn input(&self, port: u16, high: bool, at: Timestamp) {
        let faults = self.shared.faults.now();
        if faults.has(Fault::PowerOff) {
            return;
        }
        let mut state = locked(&self.shared.state);
        state.clock_jump_us = faults.clock_jump_us();
        state.input(port, high, at);
        drop(state);
        self.shared.work.notify_one();
    }

    pub fn faults(&self) -> &FaultSwitch {
        &self.shared.faults
    }

    pub fn counts(&self) -> ReadCount {
        locked(&self.shared.state).counts
    }

    /// Reads that wait for their report.
    pub fn held(&self) -> usize {
        locked(&self.shared.state).held()
    }

    /// Returns when a client has an ROSpec running.
    pub async fn listening(&self) {
        let mut active = self.shared.active.subscribe();
        if active.wait_for(|active| *active).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// The outputs that are on, and each change of them.
    pub fn outputs(&self) -> watch::Receiver<BTreeSet<u16>> {
        self.shared.outputs.subscribe()
    }

    /// Ends connections and the listener. Reads that were never sent go to the truth as such.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(reader = %self.shared.options.name, %error, "the reader's task failed");
        }
        let unsent = locked(&self.shared.state).drain_held();
        self.shared.record(unsent, None);
    }
}

impl Shared {
    /// Notes that these reads' reports were written.
    pub fn sent(&self, reads: Vec<HeldRead>, sent_at: Timestamp) {
        locked(&self.state).counts.sent += reads.len() as u64;
        self.record(reads, Some(sent_at));
    }

    fn record(&self, reads: Vec<HeldRead>, sent_at: Option<Timestamp>) {
        if !self.truth.raw() {
            return;
        }
        self.truth.record_all(reads.into_iter().map(|read| Truth::Read {
            reader: self.options.name.clone(),
            epc: read.observation.epc.iter().map(|byte| format!("{byte:02x}")).collect(),
            antenna: read.observation.antenna,
            at: read.observation.at,
            wire_us: match read.stamp {
                Stamp::Utc(us) | Stamp::Uptime(us) => us,
            },
            sent_at,
        }));
    }

    /// Tells whoever waits whether an ROSpec is active, and which outputs are on.
    pub fn changed(&self) {
        let state = locked(&self.state);
        let (active, outputs) = (state.active().is_some(), state.settings.outputs_on.clone());
        drop(state);
        self.active.send_if_modified(|was| std::mem::replace(was, active) != active);
        self.switched(outputs);
    }

    /// What an output does is truth: somebody at the door sees the light. It is recorded before anybody who
    /// waits for it is told.
    fn switched(&self, now: BTreeSet<u16>) {
        let at = wall_now();
        self.outputs.send_if_modified(|before| {
            let changes: Vec<Truth> = before
                .symmetric_difference(&now)
                .map(|port| {
                    let (reader, on) = (self.options.name.clone(), now.contains(port));
                    Truth::Output { reader, port: *port, on, at }
                })
                .collect();
            before.clone_from(&now);
            let changed = !changes.is_empty();
            self.truth.record_all(changes);
            changed
        });
    }

    fn reboot(&self) {
        let gone = locked(&self.state).reboot(wall_now());
        self.record(gone, None);
        self.changed();
    }
}

/// One client at a time; a power cut ends whatever was known.
async fn accept(shared: Arc<Shared>, mut gate: Gate, stop: CancellationToken) {
    let mut power = shared.faults.watch();
    let mut powered = true;
    let mut client = JoinSet::new();
    let mut leaving = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = faults::until(&mut power, |faults| faults.has(Fault::PowerOff) == powered) => {
                powered = !powered;
                if !powered {
                    shared.reboot();
                }
            }
            // The next client need not wait until this one's connection is closed to the last byte.
            Some(ended) = client.join_next() => if let Ok((read, write)) = ended {
                leaving.spawn(connection::close(read, write));
            },
            Some(_) = leaving.join_next() => {}
            stream = gate.accept() => if client.is_empty() {
                let shared = shared.clone();
                client.spawn(async move {
                    let halves = connection::serve(&shared, stream).await;
                    locked(&shared.state).disconnected();
                    halves
                });
            } else {
                leaving.spawn(turn_away(shared.clone(), stream));
            },
        }
    }
}

/// A second client learns that there is one; the first learns that somebody tried.
async fn turn_away(shared: Arc<Shared>, mut stream: TcpStream) {
    let (to_second, to_first) = {
        let state = locked(&shared.state);
        (state.connection_attempt(2, wall_now(), 0), state.connection_attempt(4, wall_now(), 0))
    };
    locked(&shared.urgent).push(to_first);
    shared.work.notify_one();
    let told = async {
        stream.write_all(&to_second).await?;
        stream.shutdown().await
    };
    if let Err(error) = told.await {
        tracing::debug!(%error, "the second client went before it was told");
    }
}
