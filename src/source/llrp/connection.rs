//! Whole LLRP messages over a TCP stream, with or without TLS.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::answers::type_of;
use super::loss::Loss;
use crate::config::ClientTls;
use crate::config::values::parse_host_port;
use crate::decode::llrp::framing::{FramingError, HEADER_BYTES, MAX_MESSAGE_BYTES, message_length};
use crate::decode::llrp::numbers::message::RO_ACCESS_REPORT;
use crate::source::dial::{DialError, dial};
use crate::source::line::Line;

/// What one read of the socket makes room for.
const READ_BYTES: usize = 64 * 1024;

pub(super) struct Connection {
    stream: Box<dyn Line>,
    buffer: Vec<u8>,
    /// Where in the buffer the next message starts.
    start: usize,
    /// The longest message that is taken.
    longest: usize,
    /// A message that is too long to be taken is read to its end, up to here, before it is refused.
    max_kept: usize,
    /// Of a report that is too long, the header alone is given, and its bytes pass by.
    skips: bool,
    /// Bytes that still pass by.
    passing: usize,
    /// When bytes came last.
    heard_at: Instant,
    /// Messages that have come.
    taken: u64,
}

/// Why there is no next message.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The other side closed; bytes of an unfinished message may be left.
    Closed(Vec<u8>),
    Io {
        error: io::Error,
        bytes: Vec<u8>,
    },
    /// Nothing came to its end for so long.
    Silent {
        after: Duration,
        bytes: Vec<u8>,
    },
    /// These bytes are no message, and nothing behind them can be found.
    Framing {
        error: FramingError,
        bytes: Vec<u8>,
    },
}

impl ReadError {
    /// What it means for the session, a short stable word, and the bytes that are no message.
    pub fn into_parts(self) -> (Loss, &'static str, Vec<u8>) {
        match self {
            Self::Io { error, bytes } => (Loss::Read(error), "cut-off", bytes),
            Self::Silent { after, bytes } => (Loss::Silent(after), "cut-off", bytes),
            Self::Closed(bytes) => (Loss::Closed, "cut-off", bytes),
            Self::Framing { error, bytes } => (Loss::Framing(error), error.reason(), bytes),
        }
    }
}

impl Connection {
    /// Connects to `host:port`.
    pub async fn open(
        address: &str,
        tls: Option<&ClientTls>,
        within: Duration,
        max_kept: usize,
    ) -> Result<Self, Loss> {
        let (host, port) =
            parse_host_port(address).map_err(|wrong| DialError::Connect(io::Error::other(wrong)))?;
        match timeout(within, dial(&host, port, tls)).await {
            Ok(stream) => Ok(Self::new(stream?, max_kept)),
            Err(_) => Err(Loss::ConnectTimeout(within)),
        }
    }

    pub fn new(stream: Box<dyn Line>, max_kept: usize) -> Self {
        let buffer = Vec::with_capacity(READ_BYTES);
        Self {
            stream,
            buffer,
            start: 0,
            longest: MAX_MESSAGE_BYTES,
            max_kept,
            skips: false,
            passing: 0,
            heard_at: Instant::now(),
            taken: 0,
        }
    }

    /// With somebody who is not known: nothing longer than `longest` is taken, or kept. Of a longer report, of a length
    /// that readers' reports may have, the header alone is given: a reader that empties its buffer is one all the same.
    pub fn guarded(stream: Box<dyn Line>, longest: usize) -> Self {
        Self { longest, skips: true, ..Self::new(stream, longest) }
    }

    /// With a reader that is known by now.
    pub fn trusted(self, max_kept: usize) -> Self {
        Self { longest: MAX_MESSAGE_BYTES, max_kept, skips: false, ..self }
    }

    /// The next whole message. Cancel safe: what has been read stays.
    pub async fn next(&mut self) -> Result<Vec<u8>, ReadError> {
        loop {
            self.pass();
            if self.passing == 0
                && let Some(message) = self.take()?
            {
                return Ok(message);
            }
            self.buffer.reserve(READ_BYTES);
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) => return Err(ReadError::Closed(self.rest())),
                Ok(_) => self.heard_at = Instant::now(),
                Err(error) => return Err(ReadError::Io { error, bytes: self.rest() }),
            }
        }
    }

    pub async fn send(&mut self, message: &[u8], timeout: Duration) -> io::Result<()> {
        let written = async {
            self.stream.write_all(message).await?;
            // TLS may keep back what was written.
            self.stream.flush().await
        };
        match tokio::time::timeout(timeout, written).await {
            Ok(written) => written,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Lets what is not taken go by.
    fn pass(&mut self) {
        let passed = self.passing.min(self.buffer.len() - self.start);
        self.passing -= passed;
        self.start += passed;
        if self.passing > 0 {
            self.buffer.clear();
            self.start = 0;
        }
    }

    fn take(&mut self) -> Result<Option<Vec<u8>>, ReadError> {
        let waiting = &self.buffer[self.start..];
        match message_length(waiting, self.longest) {
            Ok(Some(length)) => {
                let message = waiting[..length].to_vec();
                self.start += length;
                self.taken += 1;
                Ok(Some(message))
            }
            Err(FramingError::TooLong { length, .. })
                if self.skips && length as usize <= MAX_MESSAGE_BYTES && is_report(waiting) =>
            {
                let header = waiting[..HEADER_BYTES].to_vec();
                self.passing = length as usize;
                Ok(Some(header))
            }
            Err(FramingError::TooLong { length, .. })
                if waiting.len() < length as usize && length as usize <= self.max_kept =>
            {
                Ok(None)
            }
            Ok(None) => {
                // At most one unfinished message is moved to the front.
                self.buffer.drain(..self.start);
                self.start = 0;
                // One long report is no reason to keep its room for good.
                self.buffer.shrink_to(self.buffer.len().max(4 * READ_BYTES));
                Ok(None)
            }
            Err(error) => Err(ReadError::Framing { error, bytes: self.rest() }),
        }
    }

    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// When bytes came last of a message that has not come to its end.
    pub fn receiving_at(&self) -> Option<Instant> {
        (self.buffer.len() > self.start).then_some(self.heard_at)
    }

    /// What was read of a message that does not come to its end.
    pub fn rest(&mut self) -> Vec<u8> {
        let rest = self.buffer.split_off(self.start);
        self.buffer.clear();
        self.start = 0;
        rest
    }
}

fn is_report(message: &[u8]) -> bool {
    type_of(message) == RO_ACCESS_REPORT
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    #[tokio::test]
    async fn the_room_of_a_long_report_is_given_back() {
        let (mut reader, line) = duplex(1 << 21);
        let mut connection = Connection::new(Box::new(line), 0);
        let mut long = vec![4, 61, 0, 0x10, 0, 0, 0, 0, 0, 1];
        long.resize(1 << 20, 0);
        let short = [4, 62, 0, 0, 0, 10, 0, 0, 0, 2];
        for message in [&long[..], &short, &short] {
            reader.write_all(message).await.unwrap();
            assert_eq!(connection.next().await.unwrap(), message);
        }
        let room = connection.buffer.capacity();
        assert!(room <= 5 * READ_BYTES, "{room}");
    }
}
