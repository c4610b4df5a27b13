//! MQTT source, 3.1.1 and 5: subscribes with QoS 1 in a persistent session, hands messages on, and
//! acknowledges them once they are durable. Never interprets a payload, never acknowledges by itself.
//!
//! ```text
//!             ┌────────────── backoff ◄──────────────┐
//!             ▼                                      │ lost, refused, silent
//!   connect → CONNACK → SUBSCRIBE → SUBACK → Link(Up) → messages ⇄ acknowledgements
//! ```
//!
//! The packets' bytes are rumqttc's, the loop is ours. rumqttc's event loop reads whenever it is polled and
//! writes only when it is polled, so that it cannot keep a connection alive while the pipeline has no
//! room; it ends the connection over a message that is too long, which the broker then delivers
//! again, for ever; it knows messages by packet id alone; and it writes acknowledgements one by one.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::BrokerConfig;
use crate::domain::frames::{AckToken, Request};
use crate::source::IntakeSender;
use crate::source::backoff::Backoff;

pub mod acks;
mod feed;
pub(crate) mod handshake;
mod ledger;
mod long;
pub(crate) mod packets;
mod subscriptions;
pub(crate) mod wire;

use feed::{End, Feed, Times};
use handshake::{ConnectError, Session};
pub use subscriptions::Memory;
use wire::Connection;
pub use wire::Limits;

/// A broker that has not answered by then is treated as one that is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that lasted this long starts the backoff anew; one that ends sooner may be a client
/// with our name at the broker, and the two must not chase one another at full speed.
const PROVEN_AFTER: Duration = Duration::from_secs(5);
/// How long a stop waits for the pipeline to finish what it was given. What is left is delivered
/// again after the next start, and recognised.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// What comes back from the pipeline.
pub struct Back {
    /// The messages that are durable. Unbounded because it can hold no more than the messages under way, and must never
    /// make the pipeline wait.
    pub acks: mpsc::UnboundedReceiver<AckToken>,
    /// What is to be published, with QoS 0.
    pub requests: mpsc::Receiver<Request>,
}

/// Runs until `shutdown`, then until what was handed on is acknowledged or the pipeline has ended.
pub async fn run(
    config: BrokerConfig,
    limits: Limits,
    memory: Memory,
    intake: IntakeSender,
    mut back: Back,
    shutdown: CancellationToken,
) {
    let mut backoff = Backoff::new(config.backoff);
    let mut feed = Feed::new(&config, memory, intake);
    loop {
        let mut connection = None;
        let end = tokio::select! {
            biased;
            () = shutdown.cancelled() => End::Shutdown,
            end = attempt(&config, limits, &mut feed, &mut connection, &mut back) => end,
        };
        let reason = match end {
            End::Shutdown | End::PipelineGone => return stop(feed, connection, back.acks).await,
            End::Lost(reason) => reason,
        };
        drop(connection);
        if feed.up_since().is_some_and(|since| since.elapsed() >= PROVEN_AFTER) {
            backoff.reset();
        }
        feed.lost(&reason);
        let delay = backoff.next_delay();
        warn!(source = %config.name, %reason, ?delay, "no connection to the broker; trying again");
        match feed.wait(sleep(delay), &shutdown).await {
            None => {}
            Some(_) => return,
        }
    }
}

/// One connection, from the first byte to its end. It stays in `connection`, so that a stop can
/// still acknowledge on it.
async fn attempt(
    config: &BrokerConfig,
    limits: Limits,
    feed: &mut Feed,
    connection: &mut Option<Connection>,
    back: &mut Back,
) -> End {
    let opened = timeout(CONNECT_TIMEOUT, handshake::connect(config, Session::Kept, limits, None)).await;
    let (opened, accepted) = match opened {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => return End::Lost(error.to_string()),
        Err(_) => return End::Lost(ConnectError::Timeout(CONNECT_TIMEOUT).to_string()),
    };
    let connection = connection.insert(opened);
    feed.connected(accepted.session_present);
    let keepalive = keepalive(config.keepalive, accepted.keepalive);
    let times = Times { keepalive, answer: CONNECT_TIMEOUT };
    match feed.serve(config, times, connection, back).await {
        Ok(never) => match never {},
        Err(end) => end,
    }
}

/// The shorter one of ours and the broker's own (MQTT 5, section 3.2.2.3.14). It allows longer silence with the latter; but
/// nothing else tells us that it is gone, so one that wants no pings, or few, has ours.
fn keepalive(ours: Duration, theirs: Option<Duration>) -> Duration {
    theirs.filter(|it| !it.is_zero()).map_or(ours, |theirs| theirs.min(ours))
}

/// Acknowledges what the pipeline still commits, and takes leave of the broker.
async fn stop(feed: Feed, connection: Option<Connection>, acks: mpsc::UnboundedReceiver<AckToken>) {
    let source = feed.source().clone();
    let Some(mut connection) = connection else { return };
    match timeout(DRAIN_TIMEOUT, feed.drain(&mut connection, acks)).await {
        Ok(Ok(())) => info!(%source, "left the broker"),
        Ok(Err(error)) => warn!(%source, %error, "lost the broker while stopping; it will deliver again"),
        Err(_) => {
            warn!(%source, "the broker did not take leave in time; what is not acknowledged it delivers again")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_that_allows_long_silence_is_asked_for_a_word_as_often_as_before() {
        let seconds = Duration::from_secs;
        for (theirs, expected) in [(None, 30), (Some(0), 30), (Some(10), 10), (Some(65_535), 30)] {
            assert_eq!(keepalive(seconds(30), theirs.map(seconds)), seconds(expected), "{theirs:?}");
        }
    }
}
