//! A reader on a serial line, or behind a TCP address with the same bytes: keeps it reading and passes its
//! frames on.
//!
//! ```text
//! open ─▶ start ─▶ first frame ─▶ Link(Up) ─▶ listen ── nothing for ask_again_after, or a round is over ─▶ ask again
//!   ▲                                           │
//!   └── wait ◀── Link(Down) ◀── unplugged, closed, nothing for silent_after
//! ```
//!
//! Where no silence is too long (`silent_after` not set, as with readers that print lines when there is
//! something to read) an open line is as much as one can know, and counts as up at once.
//!
//! The line cannot be slowed: where the pipeline has no room, frames are dropped and counted.

mod line;

use std::time::Duration;

use metrics::{Counter, counter};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use self::line::{OpenError, open};
use super::IntakeSender;
use super::listening::{Ended, Listener, keep_listening};
use super::standing::Standing;
use crate::config::{SerialLine, SerialReaderConfig};
use crate::decode::serial::{Framed, Framer, Heard, Side};
use crate::domain::frames::{Frame, Payload};
use crate::source::line::Line;
use crate::telemetry::names;

/// Longer than any pause within a frame: on a line of its own, and where a network is between.
const QUIET_ON_A_PORT: Duration = Duration::from_millis(250);
const QUIET_OVER_TCP: Duration = Duration::from_secs(2);
/// The last word to the reader may take this long.
const GOODBYE: Duration = Duration::from_millis(500);

/// Runs until `shutdown` is cancelled, or the pipeline is gone.
pub async fn run(config: SerialReaderConfig, intake: IntakeSender, shutdown: CancellationToken) {
    keep_listening(Reader::new(config, intake), shutdown).await;
}

struct Reader {
    config: SerialReaderConfig,
    standing: Standing,
    /// Of one frame, looked at for the end of a round.
    heard: Vec<Heard>,
    garbage: Counter,
    nudges: Counter,
}

/// When what happened last.
struct Times {
    byte: Instant,
    frame: Instant,
    asked: Instant,
}

impl Listener for Reader {
    fn standing(&mut self) -> &mut Standing {
        &mut self.standing
    }

    fn line(&self) -> (&SerialLine, Duration) {
        (&self.config.line, self.config.connect_timeout)
    }

    /// From the first command on.
    async fn listen(&mut self, line: &mut dyn Line, shutdown: &CancellationToken) -> Ended {
        self.standing.connected();
        let start = self.config.commands.start.clone();
        if let Err(reason) = send(line, &start).await {
            return Ended::Lost(reason);
        }
        if self.config.silent_after.is_none() {
            self.standing.proven();
        }
        let now = Instant::now();
        let mut times = Times { byte: now, frame: now, asked: now };
        let mut framer = Framer::new(self.config.protocol.clone(), Side::Reader);
        let mut buffer = [0; 4096];
        loop {
            let wake = self.next_wake(&times, &framer);
            let read = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                read = line.read(&mut buffer) => Some(read),
                () = tokio::time::sleep_until(wake) => None,
            };
            let now = Instant::now();
            match read {
                Some(Ok(0)) => return Ended::Lost("the line was closed".to_owned()),
                Some(Err(error)) => return Ended::Lost(format!("failed to read: {error}")),
                Some(Ok(count)) => {
                    times.byte = now;
                    framer.push(&buffer[..count]);
                }
                None if framer.is_waiting() && now >= times.byte + self.quiet() => framer.quiet(),
                None => {}
            }
            let round_over = self.hand_on(&mut framer, &mut times, now);
            self.standing.outbox.log_drops();
            if self.standing.outbox.is_closed() {
                return Ended::Lost("the pipeline takes no more frames".to_owned());
            }
            if let Some(limit) = self.config.silent_after.filter(|limit| now >= times.frame + *limit) {
                return Ended::Lost(format!("nothing came for {limit:?}"));
            }
            let overdue = now >= times.frame.max(times.asked) + self.config.ask_again_after;
            if overdue || (round_over && self.config.commands.each_round) {
                times.asked = now;
                if overdue && !self.config.commands.again.is_empty() {
                    self.nudges.increment(1);
                }
                let again = self.config.commands.again.clone();
                if let Err(reason) = send(line, &again).await {
                    return Ended::Lost(reason);
                }
            }
        }
        self.say_goodbye(line).await;
        Ended::Shutdown
    }
}

impl Reader {
    fn new(config: SerialReaderConfig, intake: IntakeSender) -> Self {
        let source = || config.name.as_str().to_owned();
        let drops = counter!(names::SERIAL_DROPPED, "source" => source());
        let (name, place) = (config.name.clone(), config.line.to_string());
        Self {
            standing: Standing::new(name, place, config.backoff, intake, drops),
            heard: Vec::new(),
            garbage: counter!(names::SERIAL_GARBAGE, "source" => source()),
            nudges: counter!(names::SERIAL_NUDGES, "source" => source()),
            config,
        }
    }

    /// When there is something to do though no byte comes.
    fn next_wake(&self, times: &Times, framer: &Framer) -> Instant {
        let ask = times.frame.max(times.asked) + self.config.ask_again_after;
        let quiet = framer.is_waiting().then(|| times.byte + self.quiet());
        let silent = self.config.silent_after.map(|limit| times.frame + limit);
        [quiet, silent].into_iter().flatten().fold(ask, Instant::min)
    }

    fn quiet(&self) -> Duration {
        match self.config.line {
            SerialLine::Port { .. } => QUIET_ON_A_PORT,
            SerialLine::Tcp(_) => QUIET_OVER_TCP,
        }
    }

    /// Passes on every piece that is whole; whether one of them ends a round.
    fn hand_on(&mut self, framer: &mut Framer, times: &mut Times, now: Instant) -> bool {
        let mut round_over = false;
        while let Some(framed) = framer.next_piece() {
            let payload = match framed {
                Framed::Frame { bytes, .. } => {
                    times.frame = now;
                    self.standing.proven();
                    round_over |= self.ends_round(&bytes);
                    Payload::Serial { bytes, fault: None }
                }
                Framed::Garbage { bytes, reason, .. } => {
                    self.garbage.increment(bytes.len() as u64);
                    Payload::Serial { bytes, fault: Some(reason) }
                }
            };
            if self.standing.outbox.gate_is_open() {
                let (source, received_at) = (self.config.name.clone(), self.standing.outbox.now());
                self.standing.outbox.frame(Frame { source, received_at, payload, ack: None });
            } else {
                self.standing.outbox.drop("journal-full", 1);
            }
        }
        round_over
    }

    /// A reader in trouble answers at once: it is asked again after its time, not as fast as the line goes.
    fn ends_round(&mut self, frame: &[u8]) -> bool {
        self.heard.clear();
        // A frame that does not decode is the core's business.
        self.config.commands.each_round
            && self.config.protocol.decode(frame, &mut self.heard).is_ok()
            && self.heard.iter().any(|heard| matches!(heard, Heard::RoundEnd { .. }))
    }

    async fn say_goodbye(&self, line: &mut dyn Line) {
        let stop = &self.config.commands.stop;
        match timeout(GOODBYE, send(line, stop)).await {
            Ok(Ok(())) => info!(reader = %self.config.name, "line closed"),
            Ok(Err(reason)) => warn!(reader = %self.config.name, reason, "the reader was not told to stop"),
            Err(_) => warn!(reader = %self.config.name, "the reader was not told to stop: the line is stuck"),
        }
    }
}

async fn send(line: &mut dyn Line, bytes: &[u8]) -> Result<(), String> {
    if bytes.is_empty() {
        return Ok(());
    }
    let sent = async {
        line.write_all(bytes).await?;
        line.flush().await
    };
    match timeout(line::WRITE_TIMEOUT, sent).await {
        Ok(sent) => sent.map_err(|error| format!("failed to write: {error}")),
        Err(_) => Err("failed to write: the line is stuck".to_owned()),
    }
}
