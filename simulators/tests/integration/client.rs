//! An LLRP client of a few lines, which takes bytes apart by itself and knows nothing of the reader's code.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// ROSpec 7: starts when enabled, never stops, all antennas; a report after each read with antenna, signal
/// and first-seen time.
#[rustfmt::skip]
pub const ROSPEC: [u8; 65] = [
    0, 177, 0, 65, 0, 0, 0, 7, 0, 0,
    0, 178, 0, 18, 0, 179, 0, 5, 1, 0, 182, 0, 9, 0, 0, 0, 0, 0,
    0, 183, 0, 24, 0, 1, 0, 0, 0, 184, 0, 9, 0, 0, 0, 0, 0, 0, 186, 0, 7, 0, 1, 1,
    0, 237, 0, 13, 2, 0, 1, 0, 238, 0, 6, 0x16, 0x00,
];

pub struct Client {
    stream: TcpStream,
    next_id: u32,
    /// Of the protocol, in the headers of what is sent: 1 is 1.0.1, 2 is 1.1.
    pub version: u16,
    /// Whole messages, and whether we sent them.
    pub seen: Vec<(bool, Vec<u8>)>,
}

/// One whole message.
pub struct Message {
    pub kind: u16,
    pub body: Vec<u8>,
}

impl Message {
    /// The status code of a response.
    pub fn status(&self) -> u16 {
        assert_eq!(self.body[..2], [1, 31], "LLRPStatus comes first");
        u16::from_be_bytes([self.body[4], self.body[5]])
    }

    /// The ConnectionAttemptEvent's status, where there is one.
    pub fn attempt(&self) -> Option<u16> {
        let at = self.body.windows(4).position(|four| four == [1, 0, 0, 6])?;
        Some(u16::from_be_bytes([self.body[at + 4], self.body[at + 5]]))
    }

    /// The TagReportData of a report, one a read.
    pub fn tag_reports(&self) -> Vec<&[u8]> {
        let mut left = &self.body[..];
        let mut reports = Vec::new();
        while let [0, 240, high, low, ..] = *left {
            let (one, rest) = left.split_at(usize::from(u16::from_be_bytes([high, low])));
            reports.push(one);
            left = rest;
        }
        assert!(left.is_empty(), "{left:x?}");
        reports
    }

    /// First-seen times (µs) of a report made with [`ROSPEC`].
    pub fn times(&self) -> Vec<u64> {
        let time = |one: &&[u8]| {
            let at = 4 + 13 + 3 + 2;
            assert_eq!(one[at], 0x82, "FirstSeenTimestampUTC behind EPC-96, antenna and RSSI: {one:x?}");
            u64::from_be_bytes(one[at + 1..at + 9].try_into().unwrap())
        };
        self.tag_reports().iter().map(time).collect()
    }
}

impl Client {
    /// Connects, again and again while the reader has not noticed that its last client is gone.
    pub async fn connect(address: SocketAddr) -> Self {
        loop {
            match Self::connect_once(address).await {
                (client, 0) => return client,
                (_, 2) => {}
                (_, status) => panic!("connection attempt with status {status}"),
            }
        }
    }

    /// Connects, and waits for the event that lets it speak.
    pub async fn connect_once(address: SocketAddr) -> (Self, u16) {
        let stream = super::within("connect", async {
            loop {
                match TcpStream::connect(address).await {
                    Ok(stream) => return stream,
                    Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
                }
            }
        })
        .await;
        let mut client = Self { stream, next_id: 1, version: 1, seen: Vec::new() };
        let first = client.next().await.expect("an event");
        assert_eq!(first.kind, 63);
        let status = first.attempt().expect("a ConnectionAttemptEvent");
        (client, status)
    }

    pub async fn send(&mut self, kind: u16, body: &[u8]) {
        let mut bytes = (self.version << 10 | kind).to_be_bytes().to_vec();
        bytes.extend((10 + body.len() as u32).to_be_bytes());
        bytes.extend(self.next_id.to_be_bytes());
        bytes.extend(body);
        self.next_id += 1;
        self.stream.write_all(&bytes).await.unwrap();
        self.seen.push((true, bytes));
    }

    /// Sends a request and gives its response; other messages in between are only noted.
    pub async fn ask(&mut self, kind: u16, body: &[u8]) -> Message {
        self.send(kind, body).await;
        loop {
            let message = self.next().await.expect("a response");
            if ![61, 62, 63].contains(&message.kind) {
                return message;
            }
        }
    }

    /// The next message; `None` where the reader has closed the connection.
    pub async fn next(&mut self) -> Option<Message> {
        super::within("a message", async {
            let mut header = [0; 10];
            self.stream.read_exact(&mut header).await.ok()?;
            let length = u32::from_be_bytes(header[2..6].try_into().unwrap()) as usize;
            let mut body = vec![0; length.checked_sub(10)?];
            self.stream.read_exact(&mut body).await.ok()?;
            let mut whole = header.to_vec();
            whole.extend(&body);
            self.seen.push((false, whole));
            Some(Message { kind: u16::from_be_bytes([header[0], header[1]]) & 0x3ff, body })
        })
        .await
    }

    /// The next message of this type.
    pub async fn next_of(&mut self, kind: u16) -> Message {
        loop {
            let message = self.next().await.expect("a message of that type");
            if message.kind == kind {
                return message;
            }
        }
    }

    /// Adds and enables [`ROSPEC`].
    pub async fn listen(&mut self) {
        assert_eq!(self.ask(20, &ROSPEC).await.status(), 0);
        assert_eq!(self.ask(24, &7u32.to_be_bytes()).await.status(), 0);
    }

    /// First-seen times of so many reads.
    pub async fn reads(&mut self, count: usize) -> Vec<u64> {
        let mut times = Vec::new();
        while times.len() < count {
            times.extend(self.next_of(61).await.times());
        }
        times
    }
}
