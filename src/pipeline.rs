//! The one place where stages are created and joined.
//!
//! ```text
//!      llrp ─┐                                      ┌─▶ acknowledgements, replies
//!    serial ─┤                                      │
//!      mqtt ─┤                                      │
//!      nmea ─┼─▶ intake queue ─▶ core ─▶ work ─▶ writer ─▶ committed ─▶ store · notify · web
//! teltonika ─┤   (intake.queue)   ▲      (1)
//!    modbus ─┘                    │
//!                  commands ───┘
//! ```
//!
//! Shutdown: the token stops the sources; each later stage ends when its input closes; a stage that
//! ends early is fatal and says so.

mod answers;
pub mod core;
mod doors;
mod driving;
mod health;
mod space;
mod stages;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use self::core::{Core, RestoreError, Restoring};
use self::driving::{Inputs, drive};
use self::space::Space;
use self::stages::Stages;
use self::writer::{Downstream, Lane, WriterTask};
use crate::config::{Config, ListenTls, RegisterOwner, Rules};
use crate::domain::alerts::Alert;
use crate::domain::commands::{Command, Outcome, Refused};
use crate::domain::ids::SourceId;
use crate::domain::register::Record;
use crate::domain::state::StateKind;
use crate::domain::time::Timestamp;
use crate::journal::{self, JournalError, Opened, Reader, StatePages};
use crate::live::Live;
use crate::notify::{self, Board, Receivers};
use crate::source::clock::WallClock;
use crate::source::{self, Gate, IntakeSender};
use crate::store::timescale::Follower;
use crate::trust::{self, TrustError};
use crate::web;
use crate::{store, telemetry};

/// Groups on their way to the journal: one is being committed, one is waiting; the next forms meanwhile.
const WORK_QUEUE: usize = 1;
/// Commands of people and programs; each waits for its commit, so few are ever under way.
const COMMAND_QUEUE: usize = 64;
/// What the follower of the register brings: one at a time, and it waits for each.
const REGISTER_QUEUE: usize = 4;
/// Words of the forwarder to the journal; it sends one a batch.
const CONTROL_QUEUE: usize = 16;
/// Reports of our own trouble; a handful of reporters, each seldom.
const HEALTH_QUEUE: usize = 32;
/// Messages of ours to those behind a broker: each is asked seldom, and what finds no room is asked for again.
const REQUEST_QUEUE: usize = 256;
/// Dead letters on their way back in.
const REPLAY_QUEUE: usize = 256;
/// The clock may lie this far behind the journal's last heartbeat, and no further.
const CLOCK_BEHIND: Duration = Duration::from_secs(300);

/// On which acknowledgements and requests go back to each source.
type Lanes = BTreeMap<SourceId, Lane>;

/// Why the daemon could not start, or stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("failed to open the journal")]
    Journal(#[from] JournalError),
    #[error("failed to take up the journal's state")]
    Restore(#[from] RestoreError),
    #[error("failed to set up TLS for {what}")]
    Tls { what: &'static str, source: TrustError },
    #[error("failed to listen on {address} for {what}")]
    Listen { what: &'static str, address: String, source: std::io::Error },
    #[error(
        "the stage `{0}` ended before it was told to; the daemon stops so that it is started again whole"
    )]
    StageEnded(&'static str),
    #[error(
        "not everything was done within the grace period of {0:?}; what was not committed will be redelivered"
    )]
    GraceExceeded(Duration),
}

/// Runs the daemon until `shutdown`, then drains within the grace period.
pub async fn run(config: Config, shutdown: CancellationToken) -> Result<(), RunError> {
    let clock = WallClock::new();
    let ready = telemetry::Readiness::default();
    let mut stages = Stages::within(config.grace_period);
    if let Some(address) = config.metrics {
        telemetry::install();
        let listener = listen("metrics", address).await?;
        stages.spawn("metrics", telemetry::serve(listener, ready.clone(), stages.tail.clone()));
    }
    if !wait_for_clock(&clock, Timestamp::FIRST, &shutdown).await {
        return Ok(());
    }
    let mut opened = journal::open(&config.journal, &config.node, clock.now()).await?;
    let behind = opened.meta.last_heartbeat.map_or(Timestamp::FIRST, |beat| beat - CLOCK_BEHIND);
    if !wait_for_clock(&clock, behind, &shutdown).await {
        return Ok(());
    }
    opened.writer.protect_unforwarded(config.timescale.is_some());
    let mut core = take_up(&config, &mut opened.state).await?;
    core.started(opened.meta.last_heartbeat, clock.now());
    let (path, set_aside) = (opened.reader.path(), opened.set_aside.as_deref());
    health::tell_at_start(&mut core, &config, path, set_aside, clock.now());
    assemble(config, core, opened, clock, ready, &mut stages, &shutdown).await?;
    stages.supervise(shutdown).await
}

/// The machine with the past that the journal holds.
pub async fn take_up(config: &Config, state: &mut StatePages) -> Result<Core, RunError> {
    let mut restoring = Restoring::new(config);
    while let Some(page) = state.next().await {
        restoring.take(page?)?;
    }
    Ok(restoring.finish()?)
}

/// Creates every channel and spawns every stage.
async fn assemble(
    config: Config,
    mut core: Core,
    opened: Opened,
    clock: WallClock,
    ready: telemetry::Readiness,
    stages: &mut Stages,
    shutdown: &CancellationToken,
) -> Result<(), RunError> {
    let live = Live::default();
    core.show_in(live.clone());
    let (intake_tx, intake_rx) = mpsc::channel(config.intake.queue);
    let (work_tx, work_rx) = mpsc::channel(WORK_QUEUE);
    let (command_tx, command_rx) = mpsc::channel(COMMAND_QUEUE);
    let (register_tx, register_rx) = mpsc::channel(REGISTER_QUEUE);
    let (control_tx, control_rx) = mpsc::channel(CONTROL_QUEUE);
    let (health_tx, health_rx) = mpsc::channel(HEALTH_QUEUE);
    let (replay_tx, replay_rx) = mpsc::channel(REPLAY_QUEUE);
    let (gate_tx, gate_rx) = watch::channel(Gate::Open);
    let (listening_tx, listening_rx) = watch::channel(true);
    let (committed_tx, committed_rx) = watch::channel(opened.meta.last_seq);
    let board = Arc::new(Board::new(open_alerts(&opened.reader).await?));

    let mouth = IntakeSender { queue: intake_tx, gate: gate_rx, clock: clock.clone() };
    let (outputs, bell) = doors::spawn(&config, &clock, stages);
    let desk = open_to_readers(&config, stages, shutdown).await?;
    let mut lanes = open_to_trackers(&config, &mouth, stages, shutdown).await?;
    let rows = opened.reader.all_states(StateKind::Subscription).await?.into_iter().collect();
    let memories = Memories { rows, notes: control_tx.clone() };
    lanes.extend(spawn_sources(&config, mouth, outputs, desk, memories, stages, shutdown));
    let downstream = Downstream {
        lanes,
        committed: committed_tx,
        board: board.clone(),
        bell,
        space: Space::new(gate_tx, health_tx.clone(), config.timescale.is_some()),
        listening: listening_tx,
        replays: replay_tx,
        ready: ready.clone(),
    };
    let writer = WriterTask::new(opened.writer, clock.clone(), downstream);
    stages.spawn("writer", writer.run(work_rx, control_rx));
    let inputs = Inputs {
        intake: intake_rx,
        replays: replay_rx,
        commands: command_rx,
        register: register_rx,
        health: health_rx,
        listening: listening_rx,
    };
    stages.spawn("core", drive(core, inputs, work_tx, clock.clone(), config.intake.commit_frames));

    let tail = stages.tail.clone();
    let mut command_tx = command_tx;
    if let Some(timescale) = config.timescale.clone().filter(|it| it.register == RegisterOwner::Database) {
        // Who wants to change the register comes past its follower, which writes to the database.
        let (desk_tx, desk_rx) = mpsc::channel(COMMAND_QUEUE);
        let onward = std::mem::replace(&mut command_tx, desk_tx);
        let follower = Follower {
            config: timescale,
            node: config.node.clone(),
            journal: Reader::open(opened.reader.path()).await?,
            core: register_tx,
            onward,
            health: health_tx.clone(),
            timing: store::timescale::Timing::default(),
        };
        stages.spawn("register", follower.run(desk_rx, tail.clone()));
    }
    if let Some(timescale) = config.timescale.clone() {
        let reader = opened.reader.clone();
        let forwarder = store::timescale::run(
            timescale,
            config.node.clone(),
            reader,
            committed_rx.clone(),
            control_tx.clone(),
            health_tx,
            declared(&config.rules),
            store::timescale::Keep {
                people: config.journal.retain_people,
                drivers: config.journal.retain_drivers,
            },
            tail.clone(),
        );
        stages.spawn("store", forwarder);
    }
    let receivers = Receivers::default();
    let around = notify::Surroundings {
        node: config.node.clone(),
        // A pool of its own: however many receivers there are, the forwarder is not kept waiting.
        reader: Reader::open(opened.reader.path()).await?,
        committed: committed_rx.clone(),
        control: control_tx,
        clock: clock.clone(),
        receivers: receivers.clone(),
        shutdown: tail.clone(),
    };
    let places = notify::places(&opened.reader).await?;
    stages.spawn("couriers", notify::run(config.notify.clone(), places, around));
    if let Some(alertmanager) = config.notify.alertmanager.clone() {
        let notifier = notify::alertmanager::run(
            alertmanager,
            config.node.clone(),
            board,
            opened.meta.last_heartbeat,
            clock.clone(),
            receivers.clone(),
            tail.clone(),
        );
        stages.spawn("notify", notifier);
    }
    let api = web::Api::new(web::Parts {
        // A pool of its own: however many ask, the forwarder is not kept waiting.
        reader: Reader::open(opened.reader.path()).await?,
        rules: Arc::new(config.rules.clone()),
        commands: command_tx,
        clock,
        config: config.web.clone(),
        committed: committed_rx,
        receivers,
        live,
        stopping: tail,
    });
    spawn_web(&config, api, stages).await?;
    ready.set_started(true);
    Ok(())
}

/// What the configuration file declares of the register.
fn declared(rules: &Rules) -> Vec<Record> {
    let sites = rules.sites.iter().cloned().map(Record::Site);
    let zones = rules.zones.iter().cloned().map(Record::Zone);
    let classes = rules.classes.iter().cloned().map(|class| Record::Class(Box::new(class)));
    sites.chain(zones).chain(classes).collect()
}

async fn spawn_web(config: &Config, api: web::Api, stages: &mut Stages) -> Result<(), RunError> {
    let api = Arc::new(api);
    if let Some(address) = config.web.listen {
        let alpn: &[&[u8]] = &[b"http/1.1"];
        let tls = config.web.tls.as_ref().map(|files| trust::Followed::load("the API", files, None, alpn));
        let tls = tls.transpose();
        let tls = tls.map_err(|source| RunError::Tls { what: "the API", source })?;
        let listener = listen("the API", address).await?;
        stages.spawn("web", web::serve_tcp(listener, api.clone(), tls));
    }
    let path = web::control_socket(&config.journal.path);
    let listener = web::bind_control_socket(&path).map_err(|source| RunError::Listen {
        what: "control",
        address: path.display().to_string(),
        source,
    })?;
    stages.spawn("control", web::serve_control(listener, api));
    Ok(())
}

/// Listens for readers that connect to us; gives where their sessions wait for them.
async fn open_to_readers(
    config: &Config,
    stages: &mut Stages,
    shutdown: &CancellationToken,
) -> Result<source::llrp::Desk, RunError> {
    let desk = source::llrp::Desk::default();
    let Some(llrp) = &config.llrp else { return Ok(desk) };
    let followed = |tls: &ListenTls| {
        trust::Followed::load("the listener for readers", &tls.files, tls.client_ca_file.as_deref(), &[])
    };
    let tls = llrp.tls.as_ref().map(followed).transpose();
    let tls = tls.map_err(|source| RunError::Tls { what: "readers", source })?.map(Arc::new);
    if let Some(tls) = &tls {
        stages.spawn_source(tls.clone().follow(shutdown.child_token()));
    }
    let listener = listen("readers", llrp.listen).await?;
    let door = source::llrp::Door::new(config.readers.iter(), tls, max_kept(config), desk.clone());
    stages.spawn_source(door.run(listener, shutdown.child_token()));
    Ok(desk)
}

/// Listens for trackers that connect to us; gives the lanes on which acknowledgements go back.
async fn open_to_trackers(
    config: &Config,
    mouth: &IntakeSender,
    stages: &mut Stages,
    shutdown: &CancellationToken,
) -> Result<Lanes, RunError> {
    let mut lanes = Lanes::new();
    for trackers in &config.teltonika {
        let listener = listen("trackers", trackers.listen).await?;
        // Unbounded as those of brokers are, and for the same reason.
        let (lane, acks) = mpsc::unbounded_channel();
        lanes.insert(trackers.name.clone(), Lane { acks: lane, requests: None });
        let (config, mouth) = (trackers.clone(), mouth.clone());
        stages.spawn_source(source::teltonika::run(config, listener, mouth, acks, shutdown.child_token()));
    }
    Ok(lanes)
}

/// Of what is too long to be taken in, this much is kept: what the dead letters could not hold anyhow is not.
fn max_kept(config: &Config) -> usize {
    let max_kept = usize::try_from(config.journal.dead_letter_bytes()).unwrap_or(usize::MAX);
    config.intake.max_kept_bytes.min(max_kept)
}

/// What sources note of those they talk to, by source.
struct Memories {
    rows: BTreeMap<String, Vec<u8>>,
    notes: mpsc::Sender<journal::Control>,
}

/// Spawns one task a source; gives the lanes on which acknowledgements go back.
fn spawn_sources(
    config: &Config,
    mouth: IntakeSender,
    mut outputs: BTreeMap<SourceId, source::llrp::Outputs>,
    desk: source::llrp::Desk,
    mut memories: Memories,
    stages: &mut Stages,
    shutdown: &CancellationToken,
) -> Lanes {
    let mut lanes = Lanes::new();
    let limits =
        source::mqtt::Limits { max_payload: config.intake.max_payload_bytes, max_kept: max_kept(config) };
    stages.spawn_source(hold_open(mouth.clone(), shutdown.child_token()));
    for reader in config.readers.clone() {
        let max_kept = limits.max_kept;
        let Some(outputs) = outputs.remove(&reader.name) else { continue };
        let (desk, mouth) = (desk.clone(), mouth.clone());
        let reader = source::llrp::run(reader, max_kept, outputs, desk, mouth, shutdown.child_token());
        stages.spawn_source(reader);
    }
    for reader in config.serial_readers.clone() {
        stages.spawn_source(source::serial::run(reader, mouth.clone(), shutdown.child_token()));
    }
    for broker in config.brokers.clone() {
        // Unbounded by type, bounded in fact: it holds acknowledgements of frames, and those are bounded
        // by the intake queue and the groups under way. It must never make the writer wait.
        let (lane, acks) = mpsc::unbounded_channel();
        let (ask, requests) = mpsc::channel(REQUEST_QUEUE);
        lanes.insert(broker.name.clone(), Lane { acks: lane, requests: Some(ask) });
        let back = source::mqtt::Back { acks, requests };
        let row = memories.rows.remove(broker.name.as_str());
        let memory = source::mqtt::Memory { row, notes: memories.notes.clone() };
        let (mouth, shutdown) = (mouth.clone(), shutdown.child_token());
        stages.spawn_source(source::mqtt::run(broker, limits, memory, mouth, back, shutdown));
    }
    for receiver in config.receivers.clone() {
        stages.spawn_source(source::nmea::run(receiver, mouth.clone(), shutdown.child_token()));
    }
    for device in config.modbus.clone() {
        stages.spawn_source(source::modbus::run(device, mouth.clone(), shutdown.child_token()));
    }
    lanes
}

/// The pipeline runs until it is told to stop, also where no source is configured yet: commands come in
/// all the same.
async fn hold_open(mouth: IntakeSender, shutdown: CancellationToken) {
    shutdown.cancelled().await;
    drop(mouth);
}

async fn listen(
    what: &'static str,
    address: std::net::SocketAddr,
) -> Result<tokio::net::TcpListener, RunError> {
    tokio::net::TcpListener::bind(address).await.map_err(|source| RunError::Listen {
        what,
        address: address.to_string(),
        source,
    })
}

/// Until our own clock is plausible it judges nobody: readings wait at their sources.
async fn wait_for_clock(clock: &WallClock, from: Timestamp, shutdown: &CancellationToken) -> bool {
    let mut check = tokio::time::interval(Duration::from_secs(1));
    let mut told = false;
    while clock.now() < from {
        if !std::mem::replace(&mut told, true) {
            tracing::warn!(now = %clock.now(), not_before = %from, "this machine's clock cannot be right; waiting for it to be set, and reading nothing until then");
        }
        tokio::select! {
            () = shutdown.cancelled() => return false,
            _ = check.tick() => {}
        }
    }
    true
}

async fn open_alerts(reader: &Reader) -> Result<Vec<Alert>, JournalError> {
    let rows = reader.all_states(StateKind::Alert).await?;
    Ok(rows.iter().filter_map(|(_, value)| serde_json::from_slice(value).ok()).collect())
}

/// Carries out a command on a journal that no daemon has open.
pub async fn offline(
    config: &Config,
    by: &str,
    command: Command,
) -> Result<Result<Outcome, Refused>, RunError> {
    let databases = config.timescale.as_ref().is_some_and(|it| it.register == RegisterOwner::Database);
    if databases && command.changes_register() {
        let reason = "the register belongs to the database: start the daemon, which writes it there, or write it there";
        return Ok(Err(Refused::Unavailable { reason: reason.to_owned() }));
    }
    let clock = WallClock::new();
    let mut opened = journal::open(&config.journal, &config.node, clock.now()).await?;
    opened.writer.protect_unforwarded(config.timescale.is_some());
    let command = journal::whole_erasure(&opened.reader, command).await?;
    let mut core = take_up(config, &mut opened.state).await?;
    core.started(opened.meta.last_heartbeat, clock.now());
    let answer = core.command(by, command, clock.now());
    if answer.is_ok() {
        opened.writer.commit(&core.take_group().batch, clock.now()).await?;
        // What TimescaleDB has is for the daemon to erase.
        while opened.writer.erase().await? {}
    }
    opened.writer.close().await?;
    Ok(answer)
}
