//! A connection outside any session: its announcement, and single questions. For readers that have connected and
//! are not known yet, and for a check.
//!
//! What a guest says meanwhile is kept, up to a bound, for the session that it may get. Of what does not fit it is
//! known how much it was.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tracing::debug;

use super::answers::{attempt_status, is_answer, is_for_the_pipeline, name_of, told_at, type_of};
use super::connection::Connection;
use super::conversation::{Conversation, judged};
use super::loss::{Ended, Loss};
use super::versions::Asks;
use crate::config::ReaderIdentity;
use crate::decode::llrp::framing::Header;
use crate::decode::llrp::numbers::{message, parameter as number};
use crate::decode::llrp::{Message, Parameter, Value};
use crate::source::clock::WallClock;

/// The longest message of somebody whom we do not know.
pub(super) const LONGEST_MESSAGE: usize = 256 << 10;
/// What is kept of what it says before it has said who it is, in bytes of memory.
const MOST_SAID: usize = 1 << 20;
/// What a message costs beside its bytes.
const OVERHEAD: usize = 64;

pub(super) struct Guest {
    pub talk: Conversation,
    /// What is the pipeline's, in order, without the newest where it was too much.
    pub said: Vec<Vec<u8>>,
    /// Of `said`, in memory.
    bytes: usize,
    most: usize,
    /// Messages that found no room in `said`.
    pub dropped: u64,
    /// By how much its clock was ahead of ours when it announced itself, where it has one.
    pub clock_ahead_ms: Option<i64>,
}

impl Guest {
    pub fn new(connection: Connection) -> Self {
        let talk = Conversation::new(connection);
        Self { talk, said: Vec::new(), bytes: 0, most: MOST_SAID, dropped: 0, clock_ahead_ms: None }
    }

    /// One of whom nothing is kept.
    pub fn passing(connection: Connection) -> Self {
        Self { most: 0, ..Self::new(connection) }
    }

    /// The reader speaks first.
    pub async fn announced(&mut self) -> Result<(), Loss> {
        loop {
            let message = self.next().await?;
            let status = attempt_status(&message);
            self.clock_ahead_ms = told_at(&message).map(|at| at.micros_after(WallClock::new().now()) / 1000);
            self.keep(message);
            match status {
                Some(0) => return Ok(()),
                Some(status) => return Err(Loss::Refused(status)),
                None => {}
            }
        }
    }

    /// What it calls itself; `None` where it does not say, or not so that it could be understood.
    pub async fn identity(&mut self, within: Duration) -> Result<Option<ReaderIdentity>, Loss> {
        // Identification only, of no antenna and no port.
        let values = vec![0u16.into(), 1u8.into(), 0u16.into(), 0u16.into()];
        let answer = self.ask(within, message::GET_READER_CONFIG, values, vec![]).await;
        let Some(answer) = unless_refused(answer)? else { return Ok(None) };
        let identity = answer.body.first(number::IDENTIFICATION);
        Ok(identity.and_then(|identity| identity.bytes("ReaderID")).map(ReaderIdentity::new))
    }

    /// The answer to a question; what comes before it is kept.
    pub async fn ask(
        &mut self,
        within: Duration,
        kind: u16,
        values: Vec<Value>,
        parameters: Vec<Parameter>,
    ) -> Result<Message, Loss> {
        let id = self.talk.say(kind, values, parameters).await?;
        let deadline = Instant::now() + within;
        loop {
            let received = timeout_at(deadline, self.next()).await;
            let message = received.map_err(|_| Loss::NoResponse { request: name_of(kind), within })??;
            match Header::read(&message) {
                Some(header) if header.message_type == message::KEEPALIVE => {
                    self.talk.acknowledge(header.id).await?;
                }
                _ if is_answer(&message, kind, id) => return judged(&message, kind),
                _ => self.keep(message),
            }
        }
    }

    /// Tells it that we leave, or that it should, which spares it the wait for our silence.
    pub async fn dismiss(&mut self) -> Result<(), Loss> {
        self.talk.say(message::CLOSE_CONNECTION, vec![], vec![]).await.map(drop)
    }

    async fn next(&mut self) -> Result<Vec<u8>, Loss> {
        self.talk.connection.next().await.map_err(|error| error.into_parts().0)
    }

    fn keep(&mut self, message: Vec<u8>) {
        if !is_for_the_pipeline(&message) {
            debug!(kind = type_of(&message), "not what a reader says that has just connected");
            return;
        }
        let bytes = self.bytes + message.len() + OVERHEAD;
        // Once something found no room, nothing behind it is kept, however short: what is there is in order.
        let is_whole = Header::read(&message).is_some_and(|header| header.length as usize == message.len());
        if self.dropped > 0 || bytes > self.most || !is_whole {
            self.dropped += 1;
            return;
        }
        self.bytes = bytes;
        self.said.push(message);
    }
}

impl Asks for Guest {
    fn talk(&mut self) -> &mut Conversation {
        &mut self.talk
    }

    async fn ask_within(
        &mut self,
        within: Duration,
        kind: u16,
        values: Vec<Value>,
        parameters: Vec<Parameter>,
    ) -> Result<Message, Ended> {
        Ok(self.ask(within, kind, values, parameters).await?)
    }
}

/// The answer to a question that a reader need not understand.
pub(super) fn unless_refused(answer: Result<Message, Loss>) -> Result<Option<Message>, Loss> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(loss) if loss.is_refusal() => Ok(None),
        Err(loss) => Err(loss),
    }
}
