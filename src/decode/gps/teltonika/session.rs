//! What a tracker sends on its connection, piece by piece.
//!
//! A capture may begin anywhere, and [`super::Framer`] finds its way in it. On a connection everything stands where
//! it should: a packet whose check sum is wrong ends where its length says, and what is not even a beginning
//! ends the connection, on which the tracker comes again.

use super::{CRC_BYTES, HEADER_BYTES, LEAST_DATA, MOST_DATA, PREAMBLE, crc16, number};

const IMEI_DIGITS: usize = 15;
const PING: u8 = 0xff;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Piece {
    Login(String),
    /// With its check sum right.
    Packet(Vec<u8>),
    /// Of which the check sum is wrong.
    Damaged(Vec<u8>),
    Ping,
    /// All that is held: neither of these begins with it.
    Lost(Vec<u8>),
}

#[derive(Debug, Default)]
pub struct Session {
    held: Vec<u8>,
}

impl Session {
    /// Takes in bytes, cut anyhow, and appends what is complete to `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<Piece>) {
        self.held.extend_from_slice(bytes);
        let mut at = 0;
        while let Some((piece, length)) = first(&self.held[at..]) {
            at += length;
            out.push(piece);
        }
        self.held.drain(..at);
    }

    /// Nothing more comes: the beginning of a piece, which is none.
    pub fn finish(self) -> Option<Vec<u8>> {
        Some(self.held).filter(|held| !held.is_empty())
    }
}

/// The first piece and its length; `None` where it is not complete.
fn first(bytes: &[u8]) -> Option<(Piece, usize)> {
    let lost = || Some((Piece::Lost(bytes.to_vec()), bytes.len()));
    match bytes {
        [] | [0] => None,
        [PING, ..] => Some((Piece::Ping, 1)),
        [0, 15, rest @ ..] => {
            let digits = &rest[..rest.len().min(IMEI_DIGITS)];
            if !digits.iter().all(u8::is_ascii_digit) {
                return lost();
            }
            let imei = digits.iter().copied().map(char::from).collect();
            (digits.len() == IMEI_DIGITS).then_some((Piece::Login(imei), 2 + IMEI_DIGITS))
        }
        _ => {
            if bytes.iter().zip(PREAMBLE).any(|(byte, expected)| *byte != expected) {
                return lost();
            }
            let length = number(bytes.get(PREAMBLE.len()..HEADER_BYTES)?) as usize;
            if !(LEAST_DATA..=MOST_DATA).contains(&length) {
                return lost();
            }
            let whole = bytes.get(..HEADER_BYTES + length + CRC_BYTES)?;
            let (data, sum) = whole[HEADER_BYTES..].split_at(length);
            let is_right = number(sum) == u64::from(crc16(data));
            let piece = if is_right { Piece::Packet } else { Piece::Damaged };
            Some((piece(whole.to_vec()), whole.len()))
        }
    }
}
