//! A message that is longer than any that is decoded, as it streams in: kept up to a bound, hashed to its end.

use sha2::{Digest, Sha256};
use tokio_util::bytes::{Buf, BytesMut};

use super::packets::Message;
use crate::domain::frames::TooLong;

/// The part of a message that has come so far.
pub struct Incomplete {
    /// Its head; the payload lies in `kept`.
    message: Message,
    kept: Vec<u8>,
    most: usize,
    hasher: Sha256,
    bytes: u64,
    to_come: usize,
}

impl Incomplete {
    /// `message` has the beginning of the payload; so many bytes of it are still to come.
    pub fn new(mut message: Message, to_come: usize, most: usize) -> Self {
        let beginning = std::mem::take(&mut message.payload);
        let (kept, hasher) = (Vec::new(), Sha256::new());
        let mut incomplete = Self { message, kept, most, hasher, bytes: 0, to_come };
        incomplete.add(&beginning);
        incomplete
    }

    /// Takes what has come of it. True: that was the rest.
    pub fn take(&mut self, input: &mut BytesMut) -> bool {
        let taken = self.to_come.min(input.len());
        self.add(&input[..taken]);
        input.advance(taken);
        self.to_come -= taken;
        self.to_come == 0
    }

    pub fn finish(self) -> (Message, TooLong) {
        let Self { message, kept, hasher, bytes, .. } = self;
        (message, TooLong { kept, bytes, sha256: hasher.finalize().into() })
    }

    #[cfg(test)]
    pub fn held(&self) -> usize {
        self.kept.len()
    }

    fn add(&mut self, piece: &[u8]) {
        let room = self.most.saturating_sub(self.kept.len()).min(piece.len());
        self.kept.extend_from_slice(&piece[..room]);
        self.hasher.update(piece);
        self.bytes += piece.len() as u64;
    }
}
