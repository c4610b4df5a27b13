//! Modbus source: polls the devices of one line on a schedule that does not drift, and hands on one frame for
//! each request of each poll, answered or not. Never writes to a device.
//!
//! ```text
//!   waiting (backoff) → connecting → silent ──first answer──► up
//!        ▲                  │          │                      │
//!        └──────────────────┴──────────┴── closed; or not one of its devices answers
//! ```
//!
//! On a serial line, and of a device that has its connection to itself, one missing answer is no more than that: the
//! next poll asks again.
//!
//! While there is no connection every poll still gives its failed frames: bad quality is known within one
//! poll. A device that does not answer while others do is left alone for longer and longer (`unit`), so it
//! costs them a timeout now and then. A device cannot be slowed: where the pipeline has no room answers are
//! dropped and counted.

use std::pin::Pin;

use metrics::counter;
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::config::ModbusConfig;
use crate::domain::frames::{Frame, ModbusAnswer, ModbusFailure, Payload};
use crate::source::IntakeSender;
use crate::source::standing::Standing;
use crate::telemetry::names;

mod exchange;
mod fault;
mod line;
mod meters;
pub mod plan;
mod schedule;
mod timing;
mod unit;
mod wire;

pub use fault::Fault;
pub use line::Line;
use meters::Meters;
use plan::PlannedRequest;
use schedule::{Beat, Schedule};
use unit::Unit;

/// Runs until `shutdown`, or until nobody takes the frames.
pub async fn run(config: ModbusConfig, intake: IntakeSender, shutdown: CancellationToken) {
    let mut poller = Poller::new(config, intake);
    tokio::select! {
        biased;
        () = shutdown.cancelled() => {}
        () = poller.run() => {}
    }
    poller.standing.ended();
}

struct Poller {
    config: ModbusConfig,
    units: Vec<Unit>,
    standing: Standing,
    state: State,
    meters: Meters,
}

enum State {
    Waiting {
        until: Pin<Box<Sleep>>,
        failure: ModbusFailure,
    },
    Connecting {
        line: Pin<Box<dyn Future<Output = Result<Line, ModbusFailure>> + Send>>,
        failure: ModbusFailure,
    },
    Connected(Line),
}

impl Poller {
    fn new(config: ModbusConfig, intake: IntakeSender) -> Self {
        let drops = counter!(names::MODBUS_DROPPED, "source" => config.name.as_str().to_owned());
        let units = config.units.iter().cloned().map(|unit| Unit::new(unit, config.backoff)).collect();
        Self {
            units,
            standing: Standing::new(config.name.clone(), config.place(), config.backoff, intake, drops),
            state: connecting(&config, ModbusFailure::Transport("not connected yet".into())),
            meters: Meters::new(config.name.as_str()),
            config,
        }
    }

    /// Until nobody takes the frames. May be cancelled.
    async fn run(&mut self) {
        // The first poll waits for the first attempt to connect: a start is no failure of a sensor.
        let step = self.state.step().await;
        self.advance(step);
        let beats = self.units.iter().enumerate().flat_map(|(place, unit)| unit.beats(place)).collect();
        let mut schedule = Schedule::new(beats, seed(self.config.name.as_str()), Instant::now());
        while !self.standing.outbox.is_closed() {
            self.next(&mut schedule).await;
        }
    }

    /// The next thing that happens: a step towards a connection, or a poll. Connecting and polling do
    /// not wait for one another, or a device that swallows connections would be silence.
    async fn next(&mut self, schedule: &mut Schedule) {
        let Some((place, due)) = schedule.next() else {
            let step = self.state.step().await;
            return self.advance(step);
        };
        tokio::select! {
            step = self.state.step() => self.advance(step),
            () = sleep_until(due) => {
                let now = Instant::now();
                self.meters.jitter.record(now.saturating_duration_since(due).as_secs_f64());
                let (beat, missed) = schedule.take(place, now);
                if missed > 0 {
                    self.meters.skipped_late.increment(missed);
                    let device = &self.units[beat.unit].config.device;
                    warn!(source = %self.config.name, %device, missed, "polls took longer than the poll interval");
                }
                self.poll(beat).await;
            }
        }
    }

    fn advance(&mut self, step: Step) {
        match step {
            Step::Waited(failure) => self.state = connecting(&self.config, failure),
            Step::Connected(line) => {
                self.standing.connected();
                self.units.iter_mut().for_each(Unit::try_again);
                self.state = State::Connected(line);
            }
            Step::Failed(failure) => self.lost(failure),
        }
    }

    async fn poll(&mut self, beat: schedule::Beat) {
        let unit = &mut self.units[beat.unit];
        unit.begin_poll(Instant::now());
        unit.relearn(Instant::now());
        let requests = unit.requests(beat.interval);
        if self.standing.outbox.gate_is_open() {
            for request in requests {
                self.ask(beat, request).await;
            }
            let unit = &self.units[beat.unit];
            self.meters.refused(unit.config.device.as_str(), unit.illegal.len());
        } else {
            self.meters.skipped_full.increment(1);
            self.standing.outbox.drop("journal-full", requests.len() as u64);
        }
        self.standing.outbox.log_drops();
    }

    fn hand_on(&mut self, beat: Beat, request: PlannedRequest, registers: Result<Vec<u16>, ModbusFailure>) {
        let PlannedRequest { table, address, count } = request;
        let (device, interval) = (self.units[beat.unit].config.device.clone(), beat.interval);
        let payload = Payload::Modbus(ModbusAnswer { device, table, address, count, interval, registers });
        let (source, received_at) = (self.config.name.clone(), self.standing.outbox.now());
        self.standing.outbox.frame(Frame { source, received_at, payload, ack: None });
    }

    fn lost(&mut self, failure: ModbusFailure) {
        let delay = self.standing.lost(describe(&failure));
        self.state = State::Waiting { until: Box::pin(sleep(delay)), failure };
    }
}

/// The same line has the same place in its intervals after a restart.
fn seed(name: &str) -> u64 {
    // FNV-1a.
    name.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn connecting(config: &ModbusConfig, failure: ModbusFailure) -> State {
    State::Connecting { line: Box::pin(Line::open(config.clone())), failure }
}

/// In words.
pub fn describe(failure: &ModbusFailure) -> String {
    match failure {
        ModbusFailure::Exception(code) => format!("exception {code}"),
        ModbusFailure::Timeout => "no answer in time".into(),
        ModbusFailure::Transport(reason) => reason.clone(),
    }
}

enum Step {
    /// Time to connect; what failed before.
    Waited(ModbusFailure),
    Connected(Line),
    Failed(ModbusFailure),
}

impl State {
    /// Never ends while connected. May be cancelled and called again.
    async fn step(&mut self) -> Step {
        match self {
            Self::Waiting { until, failure } => {
                until.as_mut().await;
                Step::Waited(failure.clone())
            }
            Self::Connecting { line, .. } => match line.as_mut().await {
                Ok(line) => Step::Connected(line),
                Err(failure) => Step::Failed(failure),
            },
            Self::Connected(_) => std::future::pending().await,
        }
    }

    /// Why there is no line.
    fn failure(&self) -> Option<&ModbusFailure> {
        match self {
            Self::Waiting { failure, .. } | Self::Connecting { failure, .. } => Some(failure),
            Self::Connected(_) => None,
        }
    }
}
