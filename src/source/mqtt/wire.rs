//! One connection's bytes ↔ MQTT 3.1.1 packets, by rumqttc's codec.
//!
//! Reading and writing are two halves that never wait for one another, and reading can be left alone
//! for as long as the pipeline has no room. A message beyond the payload limit is taken all the same:
//! a broker delivers a refused message again on every connection, for ever.

use std::io;

use rumqttc::{FixedHeader, Packet, Publish};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::bytes::BytesMut;

use super::long::Incomplete;
use crate::domain::frames::TooLong;

/// Room for one read: some hundreds of messages of a tracker.
const READ_BYTES: usize = 64 * 1024;
/// The longest topic, its length, a packet id.
const PUBLISH_HEAD_BYTES: usize = 65_535 + 2 + 2;
/// Nothing that we send is near this.
const MAX_SENT_BYTES: usize = 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum WireError {
    #[error("failed to read from the broker: {0}")]
    Read(#[source] io::Error),
    #[error("failed to write to the broker: {0}")]
    Write(#[source] io::Error),
    #[error("the broker closed the connection (does another client use the same client_id?)")]
    Closed,
    #[error("the broker sent what is no MQTT 3.1.1: {0}")]
    Malformed(#[source] rumqttc::Error),
    #[error("the broker sent a packet of type {kind} with {bytes} bytes")]
    TooLong { kind: u8, bytes: usize },
    #[error("failed to encode a packet: {0}")]
    Encode(#[source] rumqttc::Error),
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
    Publish(Publish),
    /// A message over the limit. Its payload is not in `publish`.
    TooLong {
        publish: Publish,
        message: TooLong,
    },
    Control(Packet),
}

impl Connection {
    pub async fn open(host: &str, port: u16, limits: Limits) -> io::Result<Self> {
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        Ok(Self::over(reader, writer, limits))
    }

    /// Writes what waits, and lets the other side close. To drop a socket with bytes unread would
    /// reset the connection, and take back acknowledgements that the broker has not read yet.
    pub async fn close(&mut self) -> Result<(), WireError> {
        self.output.write().await?;
        self.output.writer.shutdown().await.map_err(WireError::Write)?;
        loop {
            self.input.bytes.clear();
            match self.input.fill().await {
                Ok(()) => {}
                Err(WireError::Closed) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn over(
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
        limits: Limits,
    ) -> Self {
        let bytes = BytesMut::with_capacity(READ_BYTES);
        let input = Input { reader: Box::new(reader), bytes, incomplete: None, limits };
        let output = Output { writer: Box::new(writer), bytes: BytesMut::new(), unflushed: false };
        Self { input, output }
    }
}

pub struct Input {
    reader: Box<dyn AsyncRead + Send + Unpin>,
    bytes: BytesMut,
    /// A message over the limit, of which more is to come.
    incomplete: Option<Incomplete>,
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
            Err(error) => Err(WireError::Read(error)),
        }
    }

    /// The next packet of what has been read; `None` where more bytes are wanted.
    pub fn next(&mut self) -> Result<Option<Incoming>, WireError> {
        if self.incomplete.is_some() {
            return Ok(self.completed());
        }
        let Some(head) = head_of(&self.bytes)? else { return Ok(None) };
        let longest = self.limits.max_payload.saturating_add(PUBLISH_HEAD_BYTES);
        if head.body_bytes > longest {
            return self.begin_long(head, longest);
        }
        if self.bytes.len() < head.bytes + head.body_bytes {
            return Ok(None);
        }
        let packet = Packet::read(&mut self.bytes, longest).map_err(WireError::Malformed)?;
        Ok(Some(match packet {
            Packet::Publish(publish) if publish.payload.len() > self.limits.max_payload => {
                let (publish, message) = Incomplete::new(publish, 0, self.limits.max_kept).finish();
                Incoming::TooLong { publish, message }
            }
            Packet::Publish(publish) => Incoming::Publish(publish),
            control => Incoming::Control(control),
        }))
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
        let fixed = FixedHeader::new(self.bytes[0], head.bytes - 1, head.body_bytes);
        let beginning = self.bytes.split_to(head.bytes + longest).freeze();
        let publish = Publish::read(fixed, beginning).map_err(WireError::Malformed)?;
        let to_come = head.body_bytes - longest;
        self.incomplete = Some(Incomplete::new(publish, to_come, self.limits.max_kept));
        Ok(self.completed())
    }

    /// The message of which more was to come, once all of it is there.
    fn completed(&mut self) -> Option<Incoming> {
        let mut incomplete = self.incomplete.take()?;
        if incomplete.take(&mut self.bytes) {
            let (publish, message) = incomplete.finish();
            return Some(Incoming::TooLong { publish, message });
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

/// The fixed header (MQTT 3.1.1, section 2.2); `None` where it is not all there.
fn head_of(bytes: &[u8]) -> Result<Option<Head>, WireError> {
    let mut body_bytes = 0;
    for (place, byte) in bytes.iter().skip(1).enumerate() {
        if place == 4 {
            return Err(WireError::Malformed(rumqttc::Error::MalformedRemainingLength));
        }
        body_bytes |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok(Some(Head { bytes: place + 2, body_bytes }));
        }
    }
    Ok(None)
}

pub struct Output {
    writer: Box<dyn AsyncWrite + Send + Unpin>,
    bytes: BytesMut,
    unflushed: bool,
}

impl Output {
    /// Puts a packet behind those that wait to be written. At most one acknowledgement for each
    /// message under way, a ping and the handshake ever wait here.
    pub fn queue(&mut self, packet: &Packet) -> Result<(), WireError> {
        packet.write(&mut self.bytes, MAX_SENT_BYTES).map_err(WireError::Encode)?;
        Ok(())
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
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rumqttc::QoS;
    use sha2::{Digest, Sha256};

    const LIMIT: usize = 100;
    const KEPT: usize = 1000;

    fn input() -> Input {
        let (reader, writer) = (tokio::io::empty(), tokio::io::sink());
        Connection::over(reader, writer, Limits { max_payload: LIMIT, max_kept: KEPT }).input
    }

    fn message(payload: usize, id: u16) -> Publish {
        let mut publish = Publish::new("owntracks/jane/phone", QoS::AtLeastOnce, vec![b'x'; payload]);
        publish.pkid = id;
        publish
    }

    fn encoded(packets: &[Packet]) -> BytesMut {
        let mut bytes = BytesMut::new();
        for packet in packets {
            packet.write(&mut bytes, usize::MAX).unwrap();
        }
        bytes
    }

    /// Ids and payload lengths of all publishes, of those over the limit also how long they were, the stream
    /// coming in pieces of `step` bytes; also the most that was ever buffered.
    fn published(stream: &[u8], step: usize) -> (Vec<(u16, usize, Option<u64>)>, usize) {
        let (mut input, mut seen, mut buffered) = (input(), Vec::new(), 0);
        for piece in stream.chunks(step) {
            input.bytes.extend_from_slice(piece);
            while let Some(incoming) = input.next().unwrap() {
                match incoming {
                    Incoming::Publish(publish) => seen.push((publish.pkid, publish.payload.len(), None)),
                    Incoming::TooLong { publish, message } => {
                        let whole = vec![b'x'; usize::try_from(message.bytes).unwrap()];
                        assert_eq!(message.sha256, <[u8; 32]>::from(Sha256::digest(&whole)));
                        assert!(publish.payload.is_empty() && whole.starts_with(&message.kept));
                        seen.push((publish.pkid, message.kept.len(), Some(message.bytes)));
                    }
                    Incoming::Control(_) => {}
                }
            }
            let held = input.incomplete.as_ref().map_or(0, Incomplete::held);
            buffered = buffered.max(input.bytes.len() + held);
        }
        (seen, buffered)
    }

    #[test]
    fn a_message_beyond_the_limit_is_kept_as_far_as_may_be_and_the_next_one_is_whole() {
        let sizes = [LIMIT, LIMIT + 1, KEPT, 3_000_000, 7, 70_000];
        let packets: Vec<_> = (1..).zip(sizes).map(|(id, size)| Packet::Publish(message(size, id))).collect();
        let (seen, buffered) = published(&encoded(&packets), 1000);
        let whole = |id, size| (id, size, Some(size as u64));
        assert_eq!(
            seen,
            [
                (1, LIMIT, None),
                whole(2, LIMIT + 1),
                whole(3, KEPT),
                (4, KEPT, Some(3_000_000)),
                (5, 7, None),
                (6, KEPT, Some(70_000)),
            ]
        );
        assert!(buffered < LIMIT + PUBLISH_HEAD_BYTES + 2000 + KEPT, "{buffered} bytes were buffered");
    }

    #[test]
    fn a_length_that_is_no_message_s_ends_the_connection() {
        let mut input = input();
        input.bytes.extend_from_slice(&[0x90, 0xff, 0xff, 0xff, 0x7f, 0, 1]);
        assert!(matches!(input.next(), Err(WireError::TooLong { kind: 9, .. })));
        input.bytes = BytesMut::from(&[0x30, 0xff, 0xff, 0xff, 0xff, 0x01][..]);
        assert!(matches!(input.next(), Err(WireError::Malformed(_))));
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same(sizes in proptest::collection::vec(0usize..400, 0..20), step in 1usize..300) {
            let packets: Vec<_> = (1..).zip(&sizes)
                .flat_map(|(id, size)| [Packet::Publish(message(*size, id)), Packet::PingResp])
                .collect();
            let stream = encoded(&packets);
            prop_assert_eq!(published(&stream, step).0, published(&stream, stream.len().max(1)).0);
        }

        #[test]
        fn never_panics(stream in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut input = input();
            input.bytes.extend_from_slice(&stream);
            while let Ok(Some(_)) = input.next() {}
        }
    }
}
