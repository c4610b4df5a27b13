//! A reader over LLRP: keeps one session alive and passes its reports and events on. We connect, or the reader
//! does (`listener.rs`, `desk.rs`); over TCP, or TLS on it.
//!
//! ```text
//! connect ─▶ ConnectionAttemptEvent ─▶ capabilities ─▶ settings ─▶ ROSpec ─▶ Link(Up) ─▶ enable ─▶ listen
//!    ▲         │ refused                                                                      │ lost
//!    └── wait ◀┴────────────────────────── Link(Down) ◀───────────────────────────────────────┘
//! ```
//!
//! Outputs of the reader are switched in between (`outputs.rs`), from the first moment on in which the version is agreed
//! upon: also while an answer is waited for, or nothing is read.
//!
//! Nothing is sent before the reader has announced the connection. RO_ACCESS_REPORT and
//! READER_EVENT_NOTIFICATION go on as whole messages; nothing in them is interpreted here but the
//! connection's own events. While the queue is full or the gate is closed the socket is not read, so
//! that TCP makes the reader keep its reports. Its keepalives are not answered then either: a reader
//! that closes for that reason is connected to again, and held reports come back with it.

mod answers;
pub mod capabilities;
mod connection;
mod conversation;
mod desk;
mod found;
mod guest;
mod listener;
mod loss;
mod messages;
mod outputs;
mod probe;
mod select;
mod session;
mod setup;
#[cfg(test)]
mod tests;
mod vendors;
mod versions;

use std::time::Duration;

use metrics::{counter, gauge};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use self::desk::Desk;
pub use self::listener::Door;
pub use self::outputs::{Outputs, Switch};
pub use self::probe::probe;

use self::loss::{Ended, Loss};
use self::session::Session;
use super::backoff::Backoff;
use super::{Intake, IntakeSender};
use crate::config::{LlrpVersion, Reach, ReaderConfig};
use crate::domain::frames::{LinkChange, LinkState};
use crate::telemetry::names;

/// A stop waits so long for a reader whose outputs are to be switched off.
const FAREWELL: Duration = Duration::from_secs(2);

/// What a reader's sessions have in common.
#[derive(Clone, Copy)]
struct Around<'a> {
    config: &'a ReaderConfig,
    max_kept: usize,
    /// Where a reader that connects by itself comes in.
    desk: &'a Desk,
    intake: &'a IntakeSender,
    shutdown: &'a CancellationToken,
}

/// Runs until `shutdown` is cancelled, or the pipeline is gone.
///
/// A message that is longer than any we take ends the connection, and is kept as a dead letter: whole up to
/// `max_kept` bytes. A reader that connects by itself comes from `desk`.
pub async fn run(
    config: ReaderConfig,
    max_kept: usize,
    mut outputs: Outputs,
    desk: Desk,
    intake: IntakeSender,
    shutdown: CancellationToken,
) {
    let mut backoff = Backoff::new(config.backoff);
    let around = Around { config: &config, max_kept, desk: &desk, intake: &intake, shutdown: &shutdown };
    let mut link = Link { config: &config, intake: &intake, last: None };
    let mut known = Known {
        negotiates: config.version == LlrpVersion::Negotiated,
        refuses_filters: false,
        refuses_extensions: false,
        has_cut_antennas: false,
    };
    link.gauge(false);
    let away = loop {
        match connected(&around, &mut known, &mut outputs, &mut link, &mut backoff).await {
            Ended::Shutdown => {
                info!(reader = %config.name, "session closed");
                break false;
            }
            Ended::PipelineGone => {
                warn!(reader = %config.name, "the pipeline takes no more frames");
                break false;
            }
            Ended::Lost(loss) => {
                let reader = config.name.as_str().to_owned();
                known.negotiates &= !matches!(loss, Loss::VersionsUnknown);
                counter!(names::SOURCE_CONNECTION_FAILURES, "source" => reader.clone()).increment(1);
                counter!(names::LLRP_LOSSES, "source" => reader, "reason" => loss.label()).increment(1);
                let delay = match config.reach {
                    // The line is the reader's: it waits before it calls again, and we are there for it at once.
                    Reach::FromReader { .. } if loss.is_of_the_line() => Duration::ZERO,
                    Reach::ToReader { .. } | Reach::FromReader { .. } => backoff.next_delay(),
                };
                warn!(reader = %config.name, reach = %config.reach, retry_in = ?delay, "{loss}");
                let pause = async {
                    link.down(loss.to_string()).await?;
                    if !delay.is_zero() {
                        tokio::time::sleep(delay).await;
                    }
                    Ok::<_, Ended>(())
                };
                tokio::select! {
                    () = shutdown.cancelled() => break true,
                    paused = pause => if paused.is_err() { break false },
                    never = outputs.away() => match never {},
                }
            }
        }
    };
    if away && outputs.may_be_on() {
        // It may have come back: one more session, to switch off what it holds on for us.
        connected(&around, &mut known, &mut outputs, &mut link, &mut backoff).await;
        if outputs.may_be_on() {
            warn!(reader = %config.name, "the reader is away, and its outputs could not be switched off");
        }
    }
    link.gauge(false);
}

/// What outlives a session.
struct Known {
    /// It lives with being asked for its versions, and answers.
    negotiates: bool,
    refuses_filters: bool,
    refuses_extensions: bool,
    /// It said last that an antenna is not connected.
    has_cut_antennas: bool,
}

/// One connection, from connecting to its end. Where there are outputs, a stop does not break the set-up of a reader
/// that we connect to, or that is here, so that they are switched off, but for [`FAREWELL`].
async fn connected(
    around: &Around<'_>,
    known: &mut Known,
    outputs: &mut Outputs,
    link: &mut Link<'_>,
    backoff: &mut Backoff,
) -> Ended {
    let Around { config, shutdown, .. } = *around;
    let farewell = if outputs.is_empty() { Duration::ZERO } else { FAREWELL };
    let set_up = async {
        let mut session = Session::open(around, outputs).await?;
        if known.negotiates {
            known.negotiates = versions::negotiate(&mut session, &config.name).await?;
        }
        // Before all that may take its time: somebody stands at the door.
        session.show_outputs().await?;
        if shutdown.is_cancelled() {
            return Ok(session);
        }
        session.refuses_filters = known.refuses_filters;
        session.refuses_extensions = known.refuses_extensions;
        let replaying = setup::set_up(&mut session).await?;
        known.refuses_filters = session.refuses_filters;
        known.refuses_extensions = session.refuses_extensions;
        // In front of what the reader held, which comes as soon as it is told to.
        session.meanwhile(link.up(replaying)).await?;
        setup::enable_events_and_reports(&mut session).await?;
        session.replaying = replaying;
        Ok(session)
    };
    let mut set_up = std::pin::pin!(set_up);
    let session = tokio::select! {
        biased;
        () = shutdown.cancelled() => timeout(farewell, set_up).await.unwrap_or(Err(Ended::Shutdown)),
        session = &mut set_up => session,
    };
    match session {
        Err(ended) => ended,
        Ok(mut session) if shutdown.is_cancelled() => session.listen(shutdown).await,
        Ok(mut session) => {
            info!(reader = %config.name, reach = %config.reach, "reading");
            backoff.reset();
            session.has_cut_antennas = known.has_cut_antennas;
            let ended = session.listen(shutdown).await;
            known.has_cut_antennas = session.has_cut_antennas;
            ended
        }
    }
}

/// What the pipeline was told of the link last, so that it hears of changes only.
struct Link<'a> {
    config: &'a ReaderConfig,
    intake: &'a IntakeSender,
    last: Option<LinkState>,
}

impl Link<'_> {
    async fn up(&mut self, replaying: bool) -> Result<(), Ended> {
        self.gauge(true);
        counter!(names::SOURCE_CONNECTIONS, "source" => self.reader()).increment(1);
        self.tell(LinkState::Up { replaying }).await
    }

    async fn down(&mut self, reason: String) -> Result<(), Ended> {
        self.gauge(false);
        self.tell(LinkState::Down { reason }).await
    }

    async fn tell(&mut self, state: LinkState) -> Result<(), Ended> {
        if self.last.as_ref() == Some(&state) {
            return Ok(());
        }
        self.last = Some(state.clone());
        let change = LinkChange { source: self.config.name.clone(), at: self.intake.clock.now(), state };
        self.intake.queue.send(Intake::Link(change)).await.map_err(|_| Ended::PipelineGone)
    }

    fn gauge(&self, up: bool) {
        gauge!(names::SOURCE_UP, "source" => self.reader()).set(if up { 1.0 } else { 0.0 });
    }

    fn reader(&self) -> String {
        self.config.name.as_str().to_owned()
    }
}
