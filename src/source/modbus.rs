//! Modbus TCP source: polls a device's registers on a schedule that does not drift, and hands on one
//! frame for each request of each poll, answered or not. Never writes to a device.
//!
//! ```text
//!   waiting (backoff) → connecting → silent ──first answer──► up
//!        ▲                  │          │                      │
//!        └──────────────────┴──────────┴── timeout, garbage, closed
//! ```
//!
//! While there is no connection every poll still gives its failed frames: bad quality is known within
//! one poll. A device cannot be slowed: where the pipeline has no room answers are dropped and counted.

use std::pin::Pin;
use std::time::Duration;

use metrics::{Counter, counter};
use tokio::time::{Instant, Interval, MissedTickBehavior, Sleep, interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::config::ModbusConfig;
use crate::domain::frames::{Frame, ModbusAnswer, ModbusFailure, Payload};
use crate::source::IntakeSender;
use crate::source::standing::Standing;
use crate::telemetry::names;

mod line;
pub mod plan;

use line::Line;
use plan::{Illegal, PlannedRequest, plan_requests};

/// Runs until `shutdown`, or until nobody takes the frames.
pub async fn run(config: ModbusConfig, intake: IntakeSender, shutdown: CancellationToken) {
    let poll = config.poll.max(Duration::from_millis(1));
    let mut poller = Poller::new(config, intake);
    tokio::select! {
        biased;
        () = shutdown.cancelled() => {}
        () = poller.run(poll) => {}
    }
    poller.standing.ended();
}

struct Poller {
    config: ModbusConfig,
    plan: Vec<PlannedRequest>,
    standing: Standing,
    state: State,
    last_due: Option<Instant>,
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
        let place = format!("{} unit {}", config.address, config.unit);
        Self {
            plan: plan_requests(&config.points, config.reach, &Illegal::default()),
            standing: Standing::new(config.name.clone(), place, config.backoff, intake, drops),
            state: connecting(&config, ModbusFailure::Transport("not connected yet".into())),
            last_due: None,
            meters: Meters::new(config.name.as_str()),
            config,
        }
    }

    /// Until nobody takes the frames. May be cancelled.
    async fn run(&mut self, poll: Duration) {
        // The first poll waits for the first attempt to connect: a start is no failure of a sensor.
        let step = self.state.step().await;
        self.advance(step);
        let mut ticks = interval(poll);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while !self.standing.outbox.is_closed() {
            self.next(&mut ticks).await;
        }
    }

    /// The next thing that happens: a step towards a connection, or a poll. Connecting and polling do
    /// not wait for one another, or a device that swallows connections would be silence.
    async fn next(&mut self, ticks: &mut Interval) {
        tokio::select! {
            step = self.state.step() => self.advance(step),
            due = ticks.tick() => {
                self.count_missed(due, ticks);
                self.poll().await;
            }
        }
    }

    fn advance(&mut self, step: Step) {
        match step {
            Step::Waited(failure) => self.state = connecting(&self.config, failure),
            Step::Connected(line) => {
                self.standing.connected();
                self.state = State::Connected(line);
            }
            Step::Failed(failure) => self.lost(failure),
        }
    }

    async fn poll(&mut self) {
        if self.standing.outbox.gate_is_open() {
            for place in 0..self.plan.len() {
                let request = self.plan[place];
                let registers = self.ask(request).await;
                self.hand_on(request, registers);
            }
        } else {
            self.meters.skipped_full.increment(1);
            self.standing.outbox.drop("journal-full", self.plan.len() as u64);
        }
        self.standing.outbox.log_drops();
    }

    /// The answer, or the reason why there is none; a connection that failed is not asked again.
    async fn ask(&mut self, request: PlannedRequest) -> Result<Vec<u16>, ModbusFailure> {
        let line = match &mut self.state {
            State::Connected(line) => line,
            State::Waiting { failure, .. } | State::Connecting { failure, .. } => return Err(failure.clone()),
        };
        let answer = line.read(request).await;
        self.meters.count(&answer);
        match &answer {
            Ok(_) | Err(ModbusFailure::Exception(_)) => self.standing.proven(),
            Err(failure) => self.lost(failure.clone()),
        }
        answer
    }

    fn hand_on(&mut self, request: PlannedRequest, registers: Result<Vec<u16>, ModbusFailure>) {
        let PlannedRequest { table, address, count } = request;
        let device = self.config.device.clone();
        let payload = Payload::Modbus(ModbusAnswer { device, table, address, count, registers });
        let (source, received_at) = (self.config.name.clone(), self.standing.outbox.now());
        self.standing.outbox.frame(Frame { source, received_at, payload, ack: None });
    }

    fn lost(&mut self, failure: ModbusFailure) {
        let delay = self.standing.lost(describe(&failure));
        self.state = State::Waiting { until: Box::pin(sleep(delay)), failure };
    }

    /// Polls that did not take place, because the one before took too long.
    fn count_missed(&mut self, due: Instant, ticks: &Interval) {
        let late = self.last_due.replace(due).map(|last| due - last);
        let missed = late.map_or(0, |late| (late.as_nanos() / ticks.period().as_nanos()).saturating_sub(1));
        if missed > 0 {
            self.meters.skipped_late.increment(u64::try_from(missed).unwrap_or(u64::MAX));
            warn!(source = %self.config.name, missed, "a poll took longer than the poll interval");
        }
    }
}

fn connecting(config: &ModbusConfig, failure: ModbusFailure) -> State {
    let line = Line::connect(config.address.clone(), config.unit, config.timeout);
    State::Connecting { line: Box::pin(line), failure }
}

fn describe(failure: &ModbusFailure) -> String {
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
}

struct Meters {
    skipped_late: Counter,
    skipped_full: Counter,
    ok: Counter,
    exception: Counter,
    timeout: Counter,
    transport: Counter,
}

impl Meters {
    fn new(source: &str) -> Self {
        let source = || source.to_owned();
        let skipped =
            |reason| counter!(names::MODBUS_POLLS_SKIPPED, "source" => source(), "reason" => reason);
        let requests = |result| counter!(names::MODBUS_REQUESTS, "source" => source(), "result" => result);
        Self {
            skipped_late: skipped("late"),
            skipped_full: skipped("journal-full"),
            ok: requests("ok"),
            exception: requests("exception"),
            timeout: requests("timeout"),
            transport: requests("transport"),
        }
    }

    fn count(&self, answer: &Result<Vec<u16>, ModbusFailure>) {
        let result = match answer {
            Ok(_) => &self.ok,
            Err(ModbusFailure::Exception(_)) => &self.exception,
            Err(ModbusFailure::Timeout) => &self.timeout,
            Err(ModbusFailure::Transport(_)) => &self.transport,
        };
        result.increment(1);
    }
}
