//! A reader over LLRP (TCP, we connect): keeps one session alive and passes its reports and events on.
//!
//! ```text
//! connect ─▶ ConnectionAttemptEvent ─▶ capabilities ─▶ settings ─▶ ROSpec ─▶ Link(Up) ─▶ enable ─▶ listen
//!    ▲         │ refused                                                                      │ lost
//!    └── wait ◀┴────────────────────────── Link(Down) ◀───────────────────────────────────────┘
//! ```
//!
//! Outputs of the reader are switched in between (`outputs.rs`), also while nothing is read.
//!
//! Nothing is sent before the reader has announced the connection. RO_ACCESS_REPORT and
//! READER_EVENT_NOTIFICATION go on as whole messages; nothing in them is interpreted here but the
//! connection's own events. While the queue is full or the gate is closed the socket is not read, so
//! that TCP makes the reader keep its reports. Its keepalives are not answered then either: a reader
//! that closes for that reason is connected to again, and held reports come back with it.

mod connection;
mod loss;
mod messages;
mod outputs;
mod select;
mod session;
mod setup;
#[cfg(test)]
mod tests;

use metrics::{counter, gauge};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use self::outputs::{Outputs, Switch};

use self::loss::Ended;
use self::session::Session;
use super::backoff::Backoff;
use super::{Intake, IntakeSender};
use crate::config::ReaderConfig;
use crate::domain::frames::{LinkChange, LinkState};
use crate::telemetry::names;

/// Runs until `shutdown` is cancelled, or the pipeline is gone.
///
/// A message that is longer than any we take ends the connection, and is kept as a dead letter: whole up to
/// `max_kept` bytes.
pub async fn run(
    config: ReaderConfig,
    max_kept: usize,
    mut outputs: Outputs,
    intake: IntakeSender,
    shutdown: CancellationToken,
) {
    let mut backoff = Backoff::new(config.backoff);
    let mut link = Link { config: &config, intake: &intake, last: None };
    link.gauge(false);
    loop {
        match connected(&config, max_kept, &mut outputs, &mut link, &mut backoff, &shutdown).await {
            Ended::Shutdown => break info!(reader = %config.name, "session closed"),
            Ended::PipelineGone => break warn!(reader = %config.name, "the pipeline takes no more frames"),
            Ended::Lost(loss) => {
                let reader = config.name.as_str().to_owned();
                counter!(names::SOURCE_CONNECTION_FAILURES, "source" => reader.clone()).increment(1);
                counter!(names::LLRP_LOSSES, "source" => reader, "reason" => loss.label()).increment(1);
                let delay = backoff.next_delay();
                warn!(reader = %config.name, address = %config.address, retry_in = ?delay, "{loss}");
                if link.down(loss.to_string()).await.is_err() {
                    break;
                }
                tokio::select! {
                    () = shutdown.cancelled() => break,
                    () = tokio::time::sleep(delay) => {}
                    never = outputs.away() => match never {},
                }
            }
        }
    }
    link.gauge(false);
}

/// One connection, from connecting to its end.
async fn connected(
    config: &ReaderConfig,
    max_kept: usize,
    outputs: &mut Outputs,
    link: &mut Link<'_>,
    backoff: &mut Backoff,
    shutdown: &CancellationToken,
) -> Ended {
    let set_up = async {
        let mut session = Session::open(config, max_kept, outputs, link.intake).await?;
        let replaying = setup::set_up(&mut session).await?;
        // In front of what the reader held, which comes as soon as it is told to.
        link.up(replaying).await?;
        session.show_outputs().await?;
        setup::enable_events_and_reports(&mut session).await?;
        Ok(session)
    };
    let session = tokio::select! {
        biased;
        () = shutdown.cancelled() => Err(Ended::Shutdown),
        session = set_up => session,
    };
    match session {
        Err(ended) => ended,
        Ok(mut session) => {
            info!(reader = %config.name, address = %config.address, "reading");
            backoff.reset();
            session.listen(shutdown).await
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
        let reader = self.config.name.as_str().to_owned();
        for name in [names::LLRP_CONNECTED, names::SOURCE_UP] {
            gauge!(name, "source" => reader.clone()).set(if up { 1.0 } else { 0.0 });
        }
    }
}
