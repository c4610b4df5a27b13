//! What we say over a connection, and what an answer says: messages numbered, in the version that is spoken.
//! The same for a session, for a reader that is not known yet and for a check; who takes what comes in between
//! is theirs.

use std::io;
use std::time::Duration;

use super::answers::{check_status, name_of};
use super::connection::Connection;
use super::loss::Loss;
use super::versions::{V1_0_1, V1_1};
use crate::decode::llrp::numbers::message;
use crate::decode::llrp::{Message, Parameter, Value, build};

/// Our messages are small: a reader that does not take them within this is gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct Conversation {
    pub connection: Connection,
    /// As the headers of our messages have it.
    version: u8,
    last_id: u32,
}

impl Conversation {
    pub fn new(connection: Connection) -> Self {
        Self { connection, version: V1_0_1, last_id: 0 }
    }

    /// Of the protocol, as negotiated.
    pub fn set_version(&mut self, version: u8) {
        self.version = version;
    }

    pub fn version(&self) -> u8 {
        self.version
    }

    /// Says something of our own; gives its number, which an answer repeats.
    pub async fn say(
        &mut self,
        kind: u16,
        values: Vec<Value>,
        parameters: Vec<Parameter>,
    ) -> Result<u32, Loss> {
        self.last_id = self.last_id.wrapping_add(1);
        self.say_as(self.last_id, kind, values, parameters).await?;
        Ok(self.last_id)
    }

    /// The answer to a KEEPALIVE of that number.
    pub async fn acknowledge(&mut self, id: u32) -> Result<(), Loss> {
        self.say_as(id, message::KEEPALIVE_ACK, vec![], vec![]).await
    }

    async fn say_as(
        &mut self,
        id: u32,
        kind: u16,
        values: Vec<Value>,
        parameters: Vec<Parameter>,
    ) -> Result<(), Loss> {
        let mut message = build::message(kind, id, values, parameters);
        message.version = match kind {
            // Written as 1.1, whatever is spoken so far.
            message::GET_SUPPORTED_VERSION | message::SET_PROTOCOL_VERSION => V1_1,
            _ => self.version,
        };
        let bytes = message.encode().map_err(|error| Loss::Encode { request: name_of(kind), error })?;
        self.connection.send(&bytes, SEND_TIMEOUT).await.map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => Loss::WriteTimeout,
            _ => Loss::Write(error),
        })
    }
}

/// An answer to a request of this type, or why it is none that helps.
pub(super) fn judged(answer: &[u8], request: u16) -> Result<Message, Loss> {
    let request = name_of(request);
    let answer =
        Message::decode_what_is_known(answer).map_err(|error| Loss::Undecodable { request, error })?;
    match check_status(&answer) {
        Ok(()) => Ok(answer),
        Err((status, description)) => Err(Loss::Rejected { request, status, description }),
    }
}
