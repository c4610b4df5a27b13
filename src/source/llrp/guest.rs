//! A connection outside any session: its announcement, and single questions. For readers that have connected and
//! are not known yet, and for a check.

use std::io;
use std::time::Duration;

use tracing::debug;

use super::connection::{Connection, ReadError};
use super::versions::{V1_0_1, V1_1};
use super::wire::{attempt_status, check_status, is_answer, is_for_the_pipeline, name_of, type_of};
use crate::config::ReaderIdentity;
use crate::decode::llrp::framing::Header;
use crate::decode::llrp::numbers::{message, parameter as number};
use crate::decode::llrp::{Message, Parameter, Value, build};

/// What a reader may say before it has said who it is.
const MOST_SAID: usize = 64;
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct Guest {
    pub connection: Connection,
    /// What is the pipeline's, in order.
    pub said: Vec<Vec<u8>>,
    /// Of our last message.
    pub last_id: u32,
    pub version: u8,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum GuestError {
    #[error("turned away: {}", super::loss::refusal(*.0))]
    Refused(u64),
    #[error("it went away")]
    Gone,
    #[error("failed to talk to it: {0}")]
    Io(#[source] io::Error),
    #[error("what it says is not LLRP")]
    NotLlrp,
    #[error("{request} is refused with status {status} {description}")]
    Rejected { request: &'static str, status: u64, description: String },
}

impl From<ReadError> for GuestError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Closed(_) | ReadError::Silent { .. } => Self::Gone,
            ReadError::Io { error, .. } => Self::Io(error),
            ReadError::Framing { .. } => Self::NotLlrp,
        }
    }
}

impl Guest {
    pub fn new(connection: Connection) -> Self {
        Self { connection, said: Vec::new(), last_id: 0, version: V1_0_1 }
    }

    /// The reader speaks first.
    pub async fn announced(&mut self) -> Result<(), GuestError> {
        loop {
            let message = self.connection.next().await?;
            let status = attempt_status(&message);
            self.keep(message)?;
            match status {
                Some(0) => return Ok(()),
                Some(status) => return Err(GuestError::Refused(status)),
                None => {}
            }
        }
    }

    /// What it calls itself; `None` where it does not say.
    pub async fn identity(&mut self) -> Result<Option<ReaderIdentity>, GuestError> {
        // Identification only, of no antenna and no port.
        let values = vec![0u16.into(), 1u8.into(), 0u16.into(), 0u16.into()];
        let answer = match self.ask(message::GET_READER_CONFIG, values, vec![]).await {
            Ok(answer) => answer,
            Err(GuestError::Rejected { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let identity = answer.body.first(number::IDENTIFICATION);
        Ok(identity.and_then(|identity| identity.bytes("ReaderID")).map(ReaderIdentity::new))
    }

    /// The answer to a question; what comes before it is kept.
    pub async fn ask(
        &mut self,
        kind: u16,
        values: Vec<Value>,
        parameters: Vec<Parameter>,
    ) -> Result<Message, GuestError> {
        self.last_id += 1;
        let (id, request) = (self.last_id, name_of(kind));
        self.say(kind, id, values, parameters).await?;
        loop {
            let message = self.connection.next().await?;
            match Header::read(&message) {
                Some(header) if header.message_type == message::KEEPALIVE => {
                    self.say(message::KEEPALIVE_ACK, header.id, vec![], vec![]).await?;
                }
                _ if is_answer(&message, kind, id) => {
                    let answer = Message::decode(&message).map_err(|_| GuestError::NotLlrp)?;
                    return match check_status(&answer) {
                        Ok(()) => Ok(answer),
                        Err((status, description)) => {
                            Err(GuestError::Rejected { request, status, description })
                        }
                    };
                }
                _ => self.keep(message)?,
            }
        }
    }

    /// Tells it that we leave, or that it should, which spares it the wait for our silence.
    pub async fn dismiss(&mut self) -> Result<(), GuestError> {
        self.last_id += 1;
        self.say(message::CLOSE_CONNECTION, self.last_id, vec![], vec![]).await
    }

    fn keep(&mut self, message: Vec<u8>) -> Result<(), GuestError> {
        if !is_for_the_pipeline(&message) {
            debug!(kind = type_of(&message), "not what a reader says that has just connected");
            return Ok(());
        }
        if self.said.len() == MOST_SAID {
            return Err(GuestError::NotLlrp);
        }
        self.said.push(message);
        Ok(())
    }

    async fn say(
        &mut self,
        kind: u16,
        id: u32,
        values: Vec<Value>,
        parameters: Vec<Parameter>,
    ) -> Result<(), GuestError> {
        let mut message = build::message(kind, id, values, parameters);
        message.version = match kind {
            message::GET_SUPPORTED_VERSION | message::SET_PROTOCOL_VERSION => V1_1,
            _ => self.version,
        };
        let bytes = message.encode().map_err(|_| GuestError::NotLlrp)?;
        self.connection.send(&bytes, SEND_TIMEOUT).await.map_err(GuestError::Io)
    }
}
