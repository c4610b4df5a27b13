//! Readers that connect to us (LLRP 1.0.1, section 8): each is asked who it is and handed to the session that
//! waits for it.
//!
//! ```text
//! accept ─▶ (TLS) ─▶ announcement ─▶ "who are you?" ─▶ known, and waited for ─▶ its session
//!                                                  └─▶ unknown, or here already ─▶ told to go, and counted
//! ```
//!
//! A reader is known by its Identification; where the configuration has none of it, by the address that it comes
//! from. Whoever connects has to say all of this within a few seconds, and few at a time do: the network is
//! not trusted. Never sets a reader up.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::connection::Connection;
use super::desk::{Arrival, Desk};
use super::guest::{Guest, LONGEST_MESSAGE};
use super::loss::Loss;
use crate::config::{Reach, ReaderConfig, ReaderIdentity};
use crate::decode::llrp::framing::FramingError;
use crate::domain::ids::SourceId;
use crate::source::line::Line;
use crate::source::listening::accept;
use crate::telemetry::names;
use crate::trust::Followed;

/// To say who it is.
const PATIENCE: Duration = Duration::from_secs(10);
/// A session that has just lost its reader comes back for it within moments.
const GRACE: Duration = Duration::from_millis(500);
/// Connections that are being asked; more are closed at once.
const MOST_ASKED: usize = 32;
/// Strangers that are told of once; what they try again is counted only.
const MOST_TOLD: usize = 64;

/// Where readers connect to us, and who they may be.
pub struct Door {
    known: Vec<(SourceId, Option<ReaderIdentity>, Option<IpAddr>)>,
    tls: Option<Arc<Followed>>,
    max_kept: usize,
    desk: Desk,
}

/// Why a connection goes no further.
#[derive(Debug, thiserror::Error)]
enum TurnedAway {
    #[error(
        "it is no reader that the configuration knows (identity {identity}): add it with connect = \"from-reader\""
    )]
    Unknown { identity: String },
    #[error(
        "{reader} is connected already, or its last connection failed and it is not waited for yet: is there a second reader that calls itself so?"
    )]
    Duplicate { reader: SourceId },
    #[error("failed to begin TLS: {0}")]
    Tls(#[source] std::io::Error),
    #[error("it did not say who it is within {PATIENCE:?}")]
    Slow,
    #[error("it says too much at once: a message of {length} bytes, of somebody who is not known")]
    TooMuch { length: u32 },
    #[error(transparent)]
    Lost(Loss),
    #[error("there are {MOST_ASKED} others that have not said who they are")]
    Crowd,
}

impl TurnedAway {
    fn label(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "unknown",
            Self::Duplicate { .. } => "duplicate",
            Self::Tls(_) => "tls",
            Self::Slow => "slow",
            Self::TooMuch { .. } => "too-much",
            Self::Lost(Loss::Refused(_)) => "status",
            Self::Lost(Loss::Framing(_)) => "not-llrp",
            Self::Lost(_) => "gone",
            Self::Crowd => "crowd",
        }
    }
}

impl From<Loss> for TurnedAway {
    fn from(loss: Loss) -> Self {
        match loss {
            Loss::Framing(FramingError::TooLong { length, .. }) => Self::TooMuch { length },
            loss => Self::Lost(loss),
        }
    }
}

impl Door {
    /// For those of `readers` that connect by themselves.
    pub fn new<'c>(
        readers: impl Iterator<Item = &'c ReaderConfig>,
        tls: Option<Arc<Followed>>,
        max_kept: usize,
        desk: Desk,
    ) -> Self {
        let known = readers.filter_map(|reader| match &reader.reach {
            Reach::ToReader { .. } => None,
            Reach::FromReader { identity, host } => Some((reader.name.clone(), identity.clone(), *host)),
        });
        Self { known: known.collect(), tls, max_kept, desk }
    }

    /// Accepts until `shutdown`.
    pub async fn run(self, listener: TcpListener, shutdown: CancellationToken) {
        let door = Arc::new(self);
        let mut asked = JoinSet::new();
        let mut told = BTreeSet::new();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                Some(gone) = asked.join_next() => if let Ok(Some((peer, why))) = gone {
                    say(peer, &why, &mut told);
                },
                (stream, peer) = accept(&listener) => {
                    if asked.len() < MOST_ASKED {
                        let door = door.clone();
                        asked.spawn(async move { Some(peer).zip(door.receive(stream, peer).await.err()) });
                    } else {
                        say(peer, &TurnedAway::Crowd, &mut told);
                    }
                }
            }
        }
    }

    async fn receive(&self, stream: TcpStream, peer: SocketAddr) -> Result<(), TurnedAway> {
        let met = async {
            stream.set_nodelay(true).map_err(Loss::Read)?;
            let stream: Box<dyn Line> = match &self.tls {
                None => Box::new(stream),
                Some(tls) => Box::new(tls.acceptor().accept(stream).await.map_err(TurnedAway::Tls)?),
            };
            let mut guest = Guest::new(Connection::guarded(stream, LONGEST_MESSAGE));
            guest.announced().await?;
            let identity = guest.identity(PATIENCE).await?;
            let Some(reader) = self.who(identity.as_ref(), peer.ip()) else {
                guest.dismiss().await?;
                let identity = identity.map_or("none".to_owned(), |identity| identity.to_string());
                return Err(TurnedAway::Unknown { identity });
            };
            Ok((reader, guest))
        };
        let (reader, mut guest) = timeout(PATIENCE, met).await.unwrap_or(Err(TurnedAway::Slow))?;
        self.desk.lose(reader, guest.dropped);
        let duplicate = || TurnedAway::Duplicate { reader: reader.clone() };
        if !self.desk.expects(reader, GRACE).await {
            self.desk.lose(reader, guest.said.len() as u64);
            guest.dismiss().await?;
            return Err(duplicate());
        }
        info!(%reader, %peer, "the reader has connected to us");
        let Guest { mut talk, said, .. } = guest;
        talk.connection = talk.connection.trusted(self.max_kept);
        let taken = self.desk.hand_over(reader, Arrival { talk, from: peer.to_string(), said });
        taken.map_err(|arrival| {
            self.desk.lose(reader, arrival.said.len() as u64);
            duplicate()
        })
    }

    /// Which reader calls itself so, or comes from there.
    fn who(&self, told: Option<&ReaderIdentity>, from: IpAddr) -> Option<&SourceId> {
        let is = |known: &Option<ReaderIdentity>| matches!((known, told), (Some(known), Some(told)) if known.is(told));
        let named = self.known.iter().find(|(_, identity, _)| is(identity));
        let from = from.to_canonical();
        let placed = || {
            let mut unnamed = self.known.iter().filter(|(_, identity, _)| identity.is_none());
            unnamed.find(|(_, _, host)| host.is_some_and(|host| host.to_canonical() == from))
        };
        named.or_else(placed).map(|(reader, _, _)| reader)
    }
}

/// One line for each stranger, and a count for each try.
fn say(peer: SocketAddr, why: &TurnedAway, told: &mut BTreeSet<(IpAddr, &'static str)>) {
    counter!(names::LLRP_TURNED_AWAY, "reason" => why.label()).increment(1);
    let is_new = told.len() < MOST_TOLD && told.insert((peer.ip(), why.label()));
    match is_new {
        true => warn!(%peer, "a connection of a reader was turned away: {why}"),
        false => debug!(%peer, "a connection of a reader was turned away: {why}"),
    }
}
