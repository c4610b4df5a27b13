//! Where frames begin and end in a stream of bytes, and the way back to them after garbage.
//!
//! Strictly from left to right: a frame is looked for at the first byte, and only when there is none at it,
//! at the next. So any cutting of the stream into chunks gives the same frames; and what a tag carries
//! is never taken for a frame while the frame around it stands. What is skipped comes out as one stretch.
//!
//! Bytes that look like the beginning of a frame are waited for. Who knows that nothing more is under way
//! (the line has been quiet for longer than any pause inside of a frame) says so with [`Framer::quiet`].

use std::collections::VecDeque;

use super::{Protocol, chafon, line, mercury, r200, r2000};

/// Who may have sent what is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// A live line: the reader alone.
    Reader,
    /// A recording of both directions.
    Either,
}

/// A piece of the stream. All pieces one behind the other are the stream (but for the ends of lines).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Framed {
    /// One whole frame, its check sum right.
    Frame { offset: u64, bytes: Vec<u8> },
    /// Bytes that belong to no frame.
    Garbage { offset: u64, bytes: Vec<u8>, reason: &'static str },
}

/// What stands at the beginning of some bytes.
pub(super) enum Look {
    /// A frame of so many bytes.
    Frame(usize),
    /// Perhaps the beginning of one.
    More,
    /// No frame begins at the first byte.
    Not(&'static str),
    /// None begins within so many bytes, nor before the next end of one.
    NoneWithin(usize, &'static str),
    /// So many bytes that stand between frames and mean nothing.
    Filler(usize),
}

/// Garbage is told of at the latest when it is this long.
const LONGEST_STRETCH: usize = 4096;

#[derive(Debug)]
pub struct Framer {
    protocol: Protocol,
    side: Side,
    bytes: VecDeque<u8>,
    /// Of the first byte held, in the stream.
    offset: u64,
    skipped: Vec<u8>,
    reason: &'static str,
    /// Nothing more is under way.
    is_quiet: bool,
    /// What comes next belongs to something that was skipped for being too long.
    is_amid: bool,
}

impl Framer {
    pub fn new(protocol: Protocol, side: Side) -> Self {
        let (bytes, skipped) = (VecDeque::new(), Vec::new());
        Self { protocol, side, bytes, offset: 0, skipped, reason: "", is_quiet: false, is_amid: false }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.is_quiet &= bytes.is_empty();
        self.bytes.extend(bytes);
    }

    /// Nothing more is under way: what looks like the beginning of a frame is none.
    pub fn quiet(&mut self) {
        self.is_quiet = true;
    }

    /// Whether bytes are held that wait for more.
    pub fn is_waiting(&self) -> bool {
        !self.bytes.is_empty() || !self.skipped.is_empty()
    }

    /// The next piece. `None`: more bytes are needed.
    pub fn next_piece(&mut self) -> Option<Framed> {
        loop {
            let held = self.bytes.make_contiguous();
            if held.is_empty() {
                self.is_amid &= !self.is_quiet;
                return self.is_quiet.then(|| self.stretch()).flatten();
            }
            let look = self.protocol.look(held, self.side);
            match look {
                Look::Frame(length) if self.is_amid => {
                    self.skip(length, "too-long");
                    self.is_amid = false;
                }
                // What is in front of it comes first, and it is found again.
                Look::Frame(_) if !self.skipped.is_empty() => return self.stretch(),
                Look::Frame(length) => return Some(self.frame(length)),
                Look::More if !self.is_quiet => return None,
                Look::More => self.skip(1, "truncated"),
                Look::Not(reason) => self.skip(1, reason),
                Look::NoneWithin(count, reason) => {
                    self.skip(count, reason);
                    self.is_amid = true;
                }
                Look::Filler(_) if std::mem::take(&mut self.is_amid) => {}
                Look::Filler(_) if !self.skipped.is_empty() => return self.stretch(),
                Look::Filler(count) => drop(self.frame(count)),
            }
            if self.skipped.len() >= LONGEST_STRETCH {
                return self.stretch();
            }
        }
    }

    fn frame(&mut self, length: usize) -> Framed {
        let offset = self.offset;
        let bytes: Vec<u8> = self.bytes.drain(..length).collect();
        self.offset += length as u64;
        Framed::Frame { offset, bytes }
    }

    fn skip(&mut self, count: usize, reason: &'static str) {
        if self.skipped.is_empty() {
            self.reason = reason;
        }
        self.skipped.extend(self.bytes.drain(..count));
        self.offset += count as u64;
    }

    fn stretch(&mut self) -> Option<Framed> {
        let bytes = std::mem::take(&mut self.skipped);
        let offset = self.offset - bytes.len() as u64;
        (!bytes.is_empty()).then_some(Framed::Garbage { offset, bytes, reason: self.reason })
    }
}

impl Protocol {
    fn look(&self, bytes: &[u8], side: Side) -> Look {
        match self {
            Self::Line(_) => line::look(bytes),
            Self::Mercury => mercury::look(bytes, side),
            Self::R2000 => r2000::look(bytes),
            Self::Chafon => chafon::look(bytes, side),
            Self::R200 => r200::look(bytes),
        }
    }
}
