//! Steps from parameter to parameter without taking anything apart: what the report decoder runs on.

use super::definitions::TV_CONTENT_BYTES;
use super::framing::HEADER_BYTES;
use crate::decode::DecodeError;

/// Steps over the parameters of a stretch of a message.
pub(super) struct Walk<'a> {
    /// The message up to the end of the stretch, so that positions are offsets in the message.
    bytes: &'a [u8],
    at: usize,
}

/// What a TLV numbered like a TV is: nothing that the standard defines.
const UNDEFINED: u16 = u16::MAX;

/// One parameter: its number, and where its content lies.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub number: u16,
    /// The message up to the end of the content.
    bytes: &'a [u8],
    pub start: usize,
}

/// Why a walk ends before its bytes do. Small, because every step can give it; it has words once it is an error.
#[derive(Clone, Copy)]
pub(super) struct Fault {
    offset: usize,
    what: What,
}

#[derive(Clone, Copy)]
enum What {
    /// No parameter has this TV number, so its length is not known.
    UnknownTv(u16),
    HeaderCutOff,
    Length {
        number: u16,
        bytes: usize,
        left: usize,
    },
    /// The content is shorter than its fields.
    Short {
        number: u16,
        bytes: usize,
    },
}

impl From<Fault> for DecodeError {
    #[cold]
    fn from(Fault { offset, what }: Fault) -> Self {
        match what {
            What::UnknownTv(number) => {
                fault("unknown-tv", offset, format!("no parameter has the TV number {number}"))
            }
            What::HeaderCutOff => fault("truncated", offset, "a parameter's header is cut off"),
            What::Length { number, bytes, left } => {
                fault("length", offset, format!("parameter {number} of {bytes} bytes, {left} left"))
            }
            What::Short { number, bytes } => {
                fault("truncated", offset, format!("parameter {number} has {bytes} bytes of content"))
            }
        }
    }
}

impl<'a> Walk<'a> {
    /// Over the parameters of a message that has no fields.
    pub fn over_message(bytes: &'a [u8]) -> Self {
        Self { bytes, at: HEADER_BYTES }
    }

    /// Whether what is left is parameters of these numbers, to the last byte.
    #[cold]
    pub fn leads_to_the_end(&self, numbers: &[u16]) -> bool {
        let mut rest = Self { bytes: self.bytes, at: self.at };
        loop {
            match rest.next() {
                Ok(None) => return true,
                Ok(Some(part)) if numbers.contains(&part.number) => {}
                Ok(Some(_)) | Err(_) => return false,
            }
        }
    }

    #[inline]
    pub fn next(&mut self) -> Result<Option<Part<'a>>, Fault> {
        let at = self.at;
        let (number, start, end) = match self.bytes[at..] {
            [] => return Ok(None),
            [first, ..] if first & 0x80 != 0 => {
                let number = u16::from(first & 0x7f);
                let Some(length) = TV_CONTENT_BYTES[usize::from(number)] else {
                    return Err(Fault { offset: at, what: What::UnknownTv(number) });
                };
                (number, at + 1, at + 1 + usize::from(length))
            }
            [a, b, c, d, ..] => {
                let length = usize::from(u16::from_be_bytes([c, d]));
                let number = u16::from_be_bytes([a & 0b11, b]);
                (if number < 128 { UNDEFINED } else { number }, at + 4, at + length)
            }
            _ => return Err(Fault { offset: at, what: What::HeaderCutOff }),
        };
        if end < start || end > self.bytes.len() {
            let (bytes, left) = (end - at, self.bytes.len() - at);
            return Err(Fault { offset: at, what: What::Length { number, bytes, left } });
        }
        self.at = end;
        Ok(Some(Part { number, bytes: &self.bytes[..end], start }))
    }
}

impl<'a> Part<'a> {
    pub fn content(&self) -> &'a [u8] {
        &self.bytes[self.start..]
    }

    pub fn walk(&self) -> Walk<'a> {
        Walk { bytes: self.bytes, at: self.start }
    }

    #[inline]
    pub fn array<const N: usize>(&self, at: usize) -> Result<[u8; N], Fault> {
        let found = self.content().get(at..).and_then(<[u8]>::first_chunk);
        found.copied().ok_or_else(|| self.short())
    }

    pub fn u8_at(&self, at: usize) -> Result<u8, Fault> {
        self.array(at).map(u8::from_be_bytes)
    }

    pub fn u16_at(&self, at: usize) -> Result<u16, Fault> {
        self.array(at).map(u16::from_be_bytes)
    }

    pub fn u64_at(&self, at: usize) -> Result<u64, Fault> {
        self.array(at).map(u64::from_be_bytes)
    }

    #[cold]
    pub fn short(&self) -> Fault {
        let what = What::Short { number: self.number, bytes: self.content().len() };
        Fault { offset: self.start, what }
    }
}

#[cold]
pub(super) fn fault(reason: &'static str, offset: usize, message: impl Into<String>) -> DecodeError {
    DecodeError { reason, offset, message: message.into() }
}
