//! Readers that connect to us (LLRP 1.0.1, section 8): each is asked who it is and handed to the session that
//! waits for it.
//!
//! ```text
//! accept ─▶ (TLS) ─▶ announcement ─▶ "who are you?" ─▶ known, and waited for ─▶ its session
//!                                                  ├─▶ known, and here already ─▶ its session, if the first one is dead
//!                                                  └─▶ unknown, or the first one lives ─▶ told to go, and counted
//! ```
//!
//! A reader is known by its Identification; where the configuration has none of it, by the address that it comes
//! from. Whoever connects has to say all of this within a few seconds, and few at a time do: the network is
//! not trusted. Never sets a reader up.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::connection::Connection;
use super::desk::{Arrival, Desk};
use super::guest::{Guest, LONGEST_MESSAGE};
use super::loss::Loss;
use super::session::PROOF;
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
/// A session that is asked whether its connection lives knows by then.
const PROVEN: Duration = PROOF.saturating_add(GRACE);
/// Connections that are being asked; more are closed at once.
const MOST_ASKED: usize = 32;
/// Of one address: so that it does not keep the others out.
const MOST_ASKED_OF_ONE: usize = 16;
/// Strangers that are told of; what they try again within this time is counted only.
const MOST_TOLD: usize = 64;
const TOLD_AGAIN: Duration = Duration::from_secs(3600);

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
        "{reader} is connected already and answers there, or its last connection failed and it is not waited for yet: is there a second reader that calls itself so?"
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
    #[error("there are too many others that have not said who they are")]
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
        let mut crowd = Crowd::default();
        let mut told = Told::default();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                Some(gone) = asked.join_next() => if let Ok((peer, met)) = gone {
                    crowd.leave(peer);
                    if let Err(why) = met {
                        told.say(peer, &why);
                    }
                },
                (stream, peer) = accept(&listener) => {
                    if crowd.enter(peer) {
                        let door = door.clone();
                        asked.spawn(async move { (peer, door.receive(stream, peer).await) });
                    } else {
                        told.say(peer, &TurnedAway::Crowd);
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
        if !self.is_free(reader, peer).await {
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

    /// Whether its session takes it. A reader that lost its power, or its line, comes back before anybody missed it: who
    /// has a connection of it already is to find out whether that one lives.
    async fn is_free(&self, reader: &SourceId, peer: SocketAddr) -> bool {
        if self.desk.expects(reader, GRACE).await {
            return true;
        }
        info!(%reader, %peer, "the reader connects once more: is its first connection alive?");
        self.desk.doubt(reader);
        self.desk.expects(reader, PROVEN).await
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

/// Connections that are being asked, by where they come from.
#[derive(Default)]
struct Crowd(BTreeMap<IpAddr, usize>);

impl Crowd {
    /// Whether there is room for one more.
    fn enter(&mut self, peer: SocketAddr) -> bool {
        let has_room = self.0.values().sum::<usize>() < MOST_ASKED;
        let of_one = self.0.get(&peer.ip()).copied().unwrap_or_default();
        if has_room && of_one < MOST_ASKED_OF_ONE {
            self.0.insert(peer.ip(), of_one + 1);
            return true;
        }
        false
    }

    fn leave(&mut self, peer: SocketAddr) {
        let left = self.0.get(&peer.ip()).map_or(0, |count| count - 1);
        match left {
            0 => self.0.remove(&peer.ip()),
            left => self.0.insert(peer.ip(), left),
        };
    }
}

/// Strangers that were told of, and when.
#[derive(Default)]
struct Told(BTreeMap<(IpAddr, &'static str), Instant>);

impl Told {
    /// One line for each stranger now and then, and a count for each try.
    fn say(&mut self, peer: SocketAddr, why: &TurnedAway) {
        counter!(names::LLRP_TURNED_AWAY, "reason" => why.label()).increment(1);
        match self.is_news(peer.ip(), why.label(), Instant::now()) {
            true => warn!(%peer, "a connection of a reader was turned away: {why}"),
            false => debug!(%peer, "a connection of a reader was turned away: {why}"),
        }
    }

    fn is_news(&mut self, from: IpAddr, what: &'static str, now: Instant) -> bool {
        self.0.retain(|_, at| now.duration_since(*at) < TOLD_AGAIN);
        if self.0.len() >= MOST_TOLD || self.0.contains_key(&(from, what)) {
            return false;
        }
        self.0.insert((from, what), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(host: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], 40_000))
    }

    #[test]
    fn one_address_does_not_keep_the_others_out() {
        let mut crowd = Crowd::default();
        assert_eq!((0..99).filter(|_| crowd.enter(peer(1))).count(), MOST_ASKED_OF_ONE);
        assert_eq!((2..99).filter(|host| crowd.enter(peer(*host))).count(), MOST_ASKED - MOST_ASKED_OF_ONE);
        crowd.leave(peer(1));
        assert!(crowd.enter(peer(98)));
        crowd.leave(peer(2));
        assert!(crowd.enter(peer(1)) && !crowd.enter(peer(1)));
    }

    #[test]
    fn a_stranger_is_told_of_again_after_an_hour() {
        let mut told = Told::default();
        let begun = Instant::now();
        let mut is_news = |host: u8, minutes: u64| {
            told.is_news(peer(host).ip(), "unknown", begun + Duration::from_secs(60 * minutes))
        };
        assert!(is_news(1, 0) && !is_news(1, 30) && is_news(1, 60));
        assert_eq!((1..=99).filter(|host| is_news(*host, 121)).count(), MOST_TOLD, "the log is not filled");
        assert!(is_news(99, 182), "nor is it closed for good");
    }
}
