//! Logins, packets and pings in a stream of bytes, and the way back to them after garbage.
//!
//! Strictly from left to right, byte by byte where none begins, so any cutting of the stream gives the same.
//! A packet is one only when its check sum is right; what a packet that stands carries is never taken for
//! another. All pieces one behind the other are the stream.

use super::{CRC_BYTES, HEADER_BYTES, LEAST_DATA, MOST_DATA, PREAMBLE, crc16, number};

const IMEI_DIGITS: usize = 15;
const LOGIN: [u8; 2] = [0, IMEI_DIGITS as u8];
const PING: u8 = 0xff;
/// Garbage is told of at the latest when it is this long.
const LONGEST_STRETCH: usize = 4096;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Framed {
    /// The first word on a connection: who it is.
    Login {
        offset: u64,
        imei: String,
    },
    /// One whole packet with its check sum right.
    Packet {
        offset: u64,
        bytes: Vec<u8>,
    },
    Ping {
        offset: u64,
    },
    /// Bytes that belong to none.
    Garbage {
        offset: u64,
        bytes: Vec<u8>,
        reason: &'static str,
    },
}

enum Look {
    Login,
    Packet(usize),
    Ping,
    /// Perhaps the beginning of one.
    More,
    Not(&'static str),
}

#[derive(Debug, Default)]
pub struct Framer {
    held: Vec<u8>,
    /// Of the first byte held, in the stream.
    offset: u64,
    skipped: Vec<u8>,
    reason: &'static str,
    /// No frame since the last garbage: a byte `FF` is then no ping.
    is_lost: bool,
}

impl Framer {
    /// Takes in bytes, cut anyhow, and appends what is complete to `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<Framed>) {
        self.held.extend_from_slice(bytes);
        self.cut(false, out);
    }

    /// Nothing more comes: what looks like a beginning is none.
    pub fn finish(&mut self, out: &mut Vec<Framed>) {
        self.cut(true, out);
        self.tell_stretch(self.offset, out);
    }

    fn cut(&mut self, is_end: bool, out: &mut Vec<Framed>) {
        let held = std::mem::take(&mut self.held);
        let mut at = 0;
        while at < held.len() {
            let offset = self.offset + at as u64;
            at += match look(&held[at..], self.is_lost) {
                Look::More if !is_end => break,
                Look::More => self.skip(held[at], "truncated", offset, out),
                Look::Not(reason) => self.skip(held[at], reason, offset, out),
                Look::Login => {
                    let digits = &held[at + LOGIN.len()..][..IMEI_DIGITS];
                    let imei = digits.iter().copied().map(char::from).collect();
                    self.found(Framed::Login { offset, imei }, LOGIN.len() + IMEI_DIGITS, offset, out)
                }
                Look::Packet(length) => {
                    let bytes = held[at..at + length].to_vec();
                    self.found(Framed::Packet { offset, bytes }, length, offset, out)
                }
                Look::Ping => self.found(Framed::Ping { offset }, 1, offset, out),
            };
        }
        self.offset += at as u64;
        self.held = held;
        self.held.drain(..at);
    }

    fn found(&mut self, framed: Framed, length: usize, offset: u64, out: &mut Vec<Framed>) -> usize {
        self.tell_stretch(offset, out);
        self.is_lost = false;
        out.push(framed);
        length
    }

    fn skip(&mut self, byte: u8, reason: &'static str, offset: u64, out: &mut Vec<Framed>) -> usize {
        if self.skipped.is_empty() {
            self.reason = reason;
        }
        self.is_lost = true;
        self.skipped.push(byte);
        if self.skipped.len() >= LONGEST_STRETCH {
            self.tell_stretch(offset + 1, out);
        }
        1
    }

    fn tell_stretch(&mut self, end: u64, out: &mut Vec<Framed>) {
        if !self.skipped.is_empty() {
            let bytes = std::mem::take(&mut self.skipped);
            out.push(Framed::Garbage { offset: end - bytes.len() as u64, bytes, reason: self.reason });
        }
    }
}

/// What begins at the first of `bytes`, of which there is at least one.
fn look(bytes: &[u8], is_lost: bool) -> Look {
    if bytes[0] == PING && !is_lost {
        return Look::Ping;
    }
    if begins(bytes, &LOGIN) {
        return login(bytes);
    }
    if begins(bytes, &PREAMBLE) { packet(bytes) } else { Look::Not("garbage") }
}

/// As far as there are bytes; one zero byte may still become either.
fn begins(bytes: &[u8], beginning: &[u8]) -> bool {
    bytes.iter().zip(beginning).all(|(one, other)| one == other)
}

fn login(bytes: &[u8]) -> Look {
    let digits = bytes.iter().skip(LOGIN.len()).take(IMEI_DIGITS);
    match (digits.clone().all(u8::is_ascii_digit), digits.len()) {
        (true, IMEI_DIGITS) => Look::Login,
        (true, _) => Look::More,
        (false, _) => Look::Not("imei"),
    }
}

/// What cannot be a packet is known as early as it can be: who waits for a length that lies waits long.
fn packet(bytes: &[u8]) -> Look {
    let Some(length) = bytes.get(PREAMBLE.len()..HEADER_BYTES) else { return Look::More };
    let length = number(length) as usize;
    if !(LEAST_DATA..=MOST_DATA).contains(&length) {
        return Look::Not("length");
    }
    let Some((data, sum)) =
        bytes.get(HEADER_BYTES..HEADER_BYTES + length + CRC_BYTES).map(|rest| rest.split_at(length))
    else {
        return Look::More;
    };
    // The sum has 16 bits: most of what is no packet is known without reckoning.
    if sum.starts_with(&[0, 0]) && number(sum) == u64::from(crc16(data)) {
        Look::Packet(HEADER_BYTES + length + CRC_BYTES)
    } else {
        Look::Not("crc")
    }
}
