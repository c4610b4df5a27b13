//! One connection's bytes ↔ MQTT packets.
//!
//! Reading and writing are two halves that never wait for one another, and reading can be left alone
//! for as long as the pipeline has no room. A message beyond the payload limit is taken all the same:
//! a broker delivers a refused message again on every connection, for ever.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_util::bytes::BytesMut;

use super::long::Incomplete;
use super::packets::{self, CodecError, FromBroker, Message, ToBroker};
use crate::config::{ClientTls, MqttVersion};
use crate::domain::frames::TooLong;
use crate::source::dial::{DialError, dial};
use crate::trust;

/// Room for one read: some hundreds of messages of a tracker.
const READ_BYTES: usize = 64 * 1024;
/// The longest topic, its length, a packet id.
const PUBLISH_HEAD_BYTES: usize = 65_535 + 2 + 2;
/// What a message may have beside topic and payload (MQTT 5). One that has more is kept, and not decoded.
const PROPERTIES_BYTES: usize = 65_535;

#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// TLS 1.3 lets us in first, and looks at our certificate then.
    #[error(transparent)]
    NotTaken(DialError),
    #[error("failed to read from the broker: {0}")]
    Read(#[source] io::Error),
    #[error("failed to write to the broker: {0}")]
    Write(#[source] io::Error),
    #[error("the broker closed the connection (does another client use the same client_id?)")]
    Closed,
    #[error("the broker sent what is no packet: {0}")]
    Malformed(#[source] CodecError),
    #[error("the broker sent a packet whose length does not end")]
    Length,
    #[error("the broker sent a packet of type {kind} with {bytes} bytes")]
    TooLong { kind: u8, bytes: usize },
    #[error("failed to encode a packet: {0}")]
    Encode(#[source] CodecError),
}

impl WireError {
    /// The other side wants no more of us, or does not understand us.
    pub fn is_an_end(&self) -> bool {
        match self {
            Self::Closed | Self::Malformed(_) | Self::Length => true,
            Self::Read(error) => error.kind() == io::ErrorKind::ConnectionReset,
            Self::Write(_) | Self::TooLong { .. } | Self::Encode(_) | Self::NotTaken(_) => false,
        }
    }
}

pub struct Connection {
    pub input: Input,
    pub output: Output,
}

/// How much of a message is taken.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest payload that is decoded.
    pub max_payload: usize,
    /// The longest that is kept whole.
    pub max_kept: usize,
}

/// A packet as it came in.
#[derive(Debug, PartialEq)]
pub enum Incoming {
    Packet(FromBroker),
    /// A message over the limit. Its payload is not in `message`.
    TooLong {
        message: Message,
        payload: TooLong,
    },
}

impl Connection {
    pub async fn open(
        host: &str,
        port: u16,
        tls: Option<&ClientTls>,
        version: MqttVersion,
        limits: Limits,
    ) -> Result<Self, DialError> {
        let (reader, writer) = tokio::io::split(dial(host, port, tls).await?);
        Ok(Self::over(reader, writer, version, limits))
    }

    /// Writes what waits, and lets the other side close. To drop a socket with bytes unread would
    /// reset the connection, and take back acknowledgements that the broker has not read yet.
    pub async fn close(&mut self) -> Result<(), WireError> {
        self.output.write().await?;
        // All is said: however the other side ends it, by a reset or without TLS's own farewell, it is the end.
        if self.output.writer.shutdown().await.is_err() {
            return Ok(());
        }
        loop {
            self.input.bytes.clear();
            if self.input.fill().await.is_err() {
                return Ok(());
            }
        }
    }

    pub(super) fn over(
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
        version: MqttVersion,
        limits: Limits,
    ) -> Self {
        let bytes = BytesMut::with_capacity(READ_BYTES);
        let input = Input { reader: Box::new(reader), bytes, incomplete: None, version, limits };
        let output = Output { writer: Box::new(writer), bytes: BytesMut::new(), version, unflushed: false };
        Self { input, output }
    }
}

pub struct Input {
    reader: Box<dyn AsyncRead + Send + Unpin>,
    bytes: BytesMut,
    /// A message over the limit, of which more is to come.
    incomplete: Option<Incomplete>,
    version: MqttVersion,
    limits: Limits,
}

impl Input {
    /// One read. Nothing is lost when it is cancelled.
    pub async fn fill(&mut self) -> Result<(), WireError> {
        if self.bytes.capacity() - self.bytes.len() < READ_BYTES / 4 {
            self.bytes.reserve(READ_BYTES);
        }
        match self.reader.read_buf(&mut self.bytes).await {
            Ok(0) => Err(WireError::Closed),
            Ok(_) => Ok(()),
            Err(error) => Err(match trust::refusal_of_ours(&error) {
                Some(alert) => WireError::NotTaken(DialError::Refused(alert)),
                None => WireError::Read(error),
            }),
        }
    }

    /// A packet has begun, and its end is not there yet.
    pub fn is_amid_packet(&self) -> bool {
        self.incomplete.is_some() || !self.bytes.is_empty()
    }

    /// The next packet of what has been read; `None` where more bytes are wanted.
    pub fn next(&mut self) -> Result<Option<Incoming>, WireError> {
        if self.incomplete.is_some() {
            return Ok(self.completed());
        }
        let Some(head) = head_of(&self.bytes)? else { return Ok(None) };
        let longest = self.limits.max_payload.saturating_add(head_bytes(self.version));
        if head.body_bytes > longest {
            return self.begin_long(head, longest);
        }
        if self.bytes.len() < head.bytes + head.body_bytes {
            return Ok(None);
        }
        if self.bytes[0] >> 4 != PUBLISH {
            let packet = packets::read(self.version, &mut self.bytes).map_err(WireError::Malformed)?;
            return Ok(Some(Incoming::Packet(packet)));
        }
        let message = self.message(head, head.body_bytes)?;
        if message.payload.len() <= self.limits.max_payload {
            return Ok(Some(Incoming::Packet(FromBroker::Publish(message))));
        }
        let (message, payload) = Incomplete::new(message, 0, self.limits.max_kept).finish();
        Ok(Some(Incoming::TooLong { message, payload }))
    }

    /// Takes the message, or so many bytes of its body.
    fn message(&mut self, head: Head, body_bytes: usize) -> Result<Message, WireError> {
        let flags = self.bytes[0];
        let body = self.bytes.split_to(head.bytes + body_bytes).freeze().split_off(head.bytes);
        packets::message(self.version, flags, body).map_err(WireError::Malformed)
    }

    /// The beginning of a message that is longer than any we decode.
    fn begin_long(&mut self, head: Head, longest: usize) -> Result<Option<Incoming>, WireError> {
        let kind = self.bytes[0] >> 4;
        if kind != PUBLISH {
            return Err(WireError::TooLong { kind, bytes: head.body_bytes });
        }
        if self.bytes.len() < head.bytes + longest {
            return Ok(None);
        }
        let message = self.message(head, longest)?;
        let to_come = head.body_bytes - longest;
        self.incomplete = Some(Incomplete::new(message, to_come, self.limits.max_kept));
        Ok(self.completed())
    }

    /// The message of which more was to come, once all of it is there.
    fn completed(&mut self) -> Option<Incoming> {
        let mut incomplete = self.incomplete.take()?;
        if incomplete.take(&mut self.bytes) {
            let (message, payload) = incomplete.finish();
            return Some(Incoming::TooLong { message, payload });
        }
        self.incomplete = Some(incomplete);
        None
    }
}

const PUBLISH: u8 = 3;

#[derive(Clone, Copy)]
struct Head {
    /// Length of the fixed header itself.
    bytes: usize,
    /// MQTT's "remaining length".
    body_bytes: usize,
}

/// What of a message is not payload, at most.
fn head_bytes(version: MqttVersion) -> usize {
    match version {
        MqttVersion::V3_1_1 => PUBLISH_HEAD_BYTES,
        MqttVersion::V5 => PUBLISH_HEAD_BYTES + PROPERTIES_BYTES,
    }
}

/// The fixed header (MQTT 3.1.1, section 2.2; MQTT 5, section 2.1); `None` where it is not all there.
fn head_of(bytes: &[u8]) -> Result<Option<Head>, WireError> {
    let Some(rest) = bytes.get(1..) else { return Ok(None) };
    match variable_length(rest) {
        Some((length, body_bytes)) => Ok(Some(Head { bytes: 1 + length, body_bytes })),
        None if rest.len() >= LENGTH_BYTES => Err(WireError::Length),
        None => Ok(None),
    }
}

/// The longest number of bytes that a length takes.
const LENGTH_BYTES: usize = 4;

/// A length at the beginning of `bytes` (MQTT 5, section 1.5.5): how many bytes it takes, and what it says. `None`
/// where it does not end there, or is none.
pub(super) fn variable_length(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut length = 0;
    for (place, byte) in bytes.iter().take(LENGTH_BYTES).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((place + 1, length));
        }
    }
    None
}

pub struct Output {
    writer: Box<dyn AsyncWrite + Send + Unpin>,
    bytes: BytesMut,
    version: MqttVersion,
    unflushed: bool,
}

impl Output {
    /// Puts a packet behind those that wait to be written. At most one acknowledgement for each
    /// message under way, a ping and the handshake ever wait here.
    pub fn queue(&mut self, packet: &ToBroker<'_>) -> Result<(), WireError> {
        packets::write(self.version, packet, &mut self.bytes).map_err(WireError::Encode)
    }

    pub fn is_waiting(&self) -> bool {
        !self.bytes.is_empty() || self.unflushed
    }

    /// Writes all that waits, in as few writes as the socket takes. Nothing is lost or repeated when
    /// it is cancelled.
    pub async fn write(&mut self) -> Result<(), WireError> {
        while !self.bytes.is_empty() {
            self.unflushed = true;
            if self.writer.write_buf(&mut self.bytes).await.map_err(WireError::Write)? == 0 {
                return Err(WireError::Write(io::ErrorKind::WriteZero.into()));
            }
        }
        self.writer.flush().await.map_err(WireError::Write)?;
        self.unflushed = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
