//! A GNSS receiver on a serial line, or behind a TCP address with the same bytes: its lines, as they come.
//!
//! ```text
//! open ─▶ first whole sentence ─▶ Link(Up) ─▶ lines ─ quiet: the epoch is over ─▶ lines …
//!   ▲                                │
//!   └── wait ◀── Link(Down) ◀── unplugged, closed, no sentence for silent_after
//! ```
//!
//! Receivers send the sentences of one moment in a burst. Lines are handed on once the line is quiet, or after a
//! quarter of a second where it never is. The line cannot be slowed: where the pipeline has no room, lines are
//! dropped and counted. Never reads what a sentence says.

use std::time::Duration;

use metrics::counter;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::IntakeSender;
use super::line::Line;
use super::listening::{Ended, Listener, keep_listening};
use super::standing::Standing;
use crate::config::{NmeaConfig, SerialLine};
use crate::decode::gps::nmea::speaks;
use crate::domain::frames::{Flow, Frame, Payload};
use crate::telemetry::names;

/// Longer than any pause within a burst: on a line of its own, and where a network is between.
const QUIET_ON_A_PORT: Duration = Duration::from_millis(200);
const QUIET_OVER_TCP: Duration = Duration::from_millis(500);
/// Lines wait for no longer than this.
const MOST_WAIT: Duration = Duration::from_millis(250);
/// What has no end by then is no line.
const LONGEST_LINE: usize = 4096;

/// Runs until `shutdown` is cancelled, or the pipeline is gone.
pub async fn run(config: NmeaConfig, intake: IntakeSender, shutdown: CancellationToken) {
    keep_listening(Receiver::new(config, intake), shutdown).await;
}

struct Receiver {
    config: NmeaConfig,
    standing: Standing,
    /// Whole lines that were not handed on yet, and behind them the beginning of one.
    held: Vec<u8>,
    whole: usize,
    /// Lines were handed on since the last pause.
    is_open: bool,
}

/// When what happened last.
struct Times {
    byte: Instant,
    sentence: Instant,
    /// The first of the lines that wait.
    waiting: Option<Instant>,
}

impl Listener for Receiver {
    fn standing(&mut self) -> &mut Standing {
        &mut self.standing
    }

    fn line(&self) -> (&SerialLine, Duration) {
        (&self.config.line, self.config.connect_timeout)
    }

    async fn listen(&mut self, line: &mut dyn Line, shutdown: &CancellationToken) -> Ended {
        self.standing.connected();
        let now = Instant::now();
        let mut times = Times { byte: now, sentence: now, waiting: None };
        let mut buffer = [0; 4096];
        let ended = loop {
            let read = tokio::select! {
                biased;
                () = shutdown.cancelled() => break Ended::Shutdown,
                read = line.read(&mut buffer) => Some(read),
                () = tokio::time::sleep_until(self.next_wake(&times)) => None,
            };
            let now = Instant::now();
            match read {
                Some(Ok(0)) => break Ended::Lost("the line was closed".to_owned()),
                Some(Err(error)) => break Ended::Lost(format!("failed to read: {error}")),
                Some(Ok(count)) => self.take(&buffer[..count], &mut times, now),
                None => {}
            }
            if now >= times.byte + self.quiet() {
                self.hand_on(Flow::Paused, &mut times);
            } else if times.waiting.is_some_and(|since| now >= since + MOST_WAIT) {
                self.hand_on(Flow::Running, &mut times);
            }
            self.standing.outbox.log_drops();
            if self.standing.outbox.is_closed() {
                break Ended::Lost("the pipeline takes no more frames".to_owned());
            }
            if now >= times.sentence + self.config.silent_after {
                let (silent, line) = (self.config.silent_after, &self.config.line);
                let doubt =
                    if times.byte > times.sentence { format!(": {}", line.doubt()) } else { String::new() };
                break Ended::Lost(format!("no sentence came for {silent:?}{doubt}"));
            }
        };
        // Whatever came of the last line is all that comes.
        self.whole = self.held.len();
        self.hand_on(Flow::Paused, &mut times);
        ended
    }
}

impl Receiver {
    fn new(config: NmeaConfig, intake: IntakeSender) -> Self {
        let drops = counter!(names::SERIAL_DROPPED, "source" => config.name.as_str().to_owned());
        let (name, place) = (config.name.clone(), config.line.to_string());
        let standing = Standing::new(name, place, config.backoff, intake, drops);
        Self { config, standing, held: Vec::new(), whole: 0, is_open: false }
    }

    fn take(&mut self, bytes: &[u8], times: &mut Times, now: Instant) {
        times.byte = now;
        self.held.extend_from_slice(bytes);
        let before = self.whole;
        if self.held.get(before) == Some(&b'\n') {
            // The line's end was handed on with it.
            self.held.remove(before);
        }
        let end = self.held.iter().rposition(|byte| matches!(byte, b'\n' | b'\r')).map_or(0, |at| at + 1);
        self.whole = before.max(end);
        if self.held.len() - self.whole > LONGEST_LINE {
            self.whole = self.held.len();
        }
        if self.whole > before {
            times.waiting.get_or_insert(now);
            if speaks(&self.held[before..self.whole]) {
                times.sentence = now;
                self.standing.proven();
            }
        }
    }

    /// When there is something to do though no byte comes.
    fn next_wake(&self, times: &Times) -> Instant {
        let silent = times.sentence + self.config.silent_after;
        let quiet = (self.whole > 0 || self.is_open).then(|| times.byte + self.quiet());
        let waited = times.waiting.map(|since| since + MOST_WAIT);
        [quiet, waited].into_iter().flatten().fold(silent, Instant::min)
    }

    fn quiet(&self) -> Duration {
        match self.config.line {
            SerialLine::Port { .. } => QUIET_ON_A_PORT,
            SerialLine::Tcp(_) => QUIET_OVER_TCP,
        }
    }

    fn hand_on(&mut self, flow: Flow, times: &mut Times) {
        times.waiting = None;
        if self.whole == 0 && !(flow == Flow::Paused && self.is_open) {
            return;
        }
        let rest = self.held.split_off(self.whole);
        let lines = std::mem::replace(&mut self.held, rest);
        self.whole = 0;
        self.is_open = flow == Flow::Running;
        if self.standing.outbox.gate_is_open() {
            let (source, received_at) = (self.config.name.clone(), self.standing.outbox.now());
            let payload = Payload::Nmea { lines, flow };
            self.standing.outbox.frame(Frame { source, received_at, payload, ack: None });
        } else if !lines.is_empty() {
            self.standing.outbox.drop("journal-full", 1);
        }
    }
}
