//! Protocol Buffers' wire format (protobuf.dev, "Encoding"), as far as a reader needs it: one field after the other.
//!
//! Nothing is built that nobody asks for, every length is checked before it is believed, and where a message is wrong
//! is known to the byte. Groups, which the format gave up long ago, are refused.

use crate::decode::DecodeError;
use crate::decode::gps::text::error;

/// Bytes of the longest variable-length number.
const LONGEST_NUMBER: usize = 10;

/// One field of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    pub number: u64,
    /// Where its content begins, from the start of the whole.
    pub offset: usize,
    content: Content<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Content<'a> {
    Number(u64),
    Eight([u8; 8]),
    Bytes(&'a [u8]),
    Four([u8; 4]),
}

/// The fields of one message, in the order of the wire. Ends after an error.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Fields<'a> {
    /// `offset`: where the bytes begin in the whole.
    pub fn of(bytes: &'a [u8], offset: usize) -> Self {
        Self { rest: bytes, offset }
    }

    fn field(&mut self) -> Result<Field<'a>, DecodeError> {
        let start = self.offset;
        let key = self.number()?;
        let number = key >> 3;
        if number == 0 {
            return Err(error("protobuf", start, "a field with the number 0".into()));
        }
        let mut offset = self.offset;
        let content = match key & 7 {
            0 => Content::Number(self.number()?),
            1 => Content::Eight(self.array()?),
            2 => {
                let length = self.number()?;
                offset = self.offset;
                Content::Bytes(self.take(length)?)
            }
            5 => Content::Four(self.array()?),
            other => {
                return Err(error("protobuf", start, format!("field {number} has the wire type {other}")));
            }
        };
        Ok(Field { number, offset, content })
    }

    fn number(&mut self) -> Result<u64, DecodeError> {
        let mut number = 0;
        for (nth, byte) in self.rest.iter().take(LONGEST_NUMBER).enumerate() {
            // Of the tenth byte one bit counts; the others are dropped, as every implementation does.
            number |= u64::from(byte & 0x7f) << (7 * nth);
            if byte & 0x80 == 0 {
                self.skip(nth + 1);
                return Ok(number);
            }
        }
        if self.rest.len() >= LONGEST_NUMBER {
            return Err(error("protobuf", self.offset, "a number that does not end".into()));
        }
        Err(self.truncated(self.rest.len() as u64 + 1))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let bytes = self.take(N as u64)?;
        bytes.try_into().map_err(|_| self.truncated(N as u64))
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], DecodeError> {
        let taken = usize::try_from(length).ok().and_then(|length| self.rest.get(..length));
        let taken = taken.ok_or_else(|| self.truncated(length))?;
        self.skip(taken.len());
        Ok(taken)
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
        self.offset += bytes;
    }

    fn truncated(&self, wanted: u64) -> DecodeError {
        let left = self.rest.len();
        error("truncated", self.offset, format!("{wanted} bytes should follow, there are {left}"))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

impl<'a> Field<'a> {
    pub fn number_value(&self) -> Result<u64, DecodeError> {
        match self.content {
            Content::Number(value) => Ok(value),
            _ => Err(self.wrong("a number")),
        }
    }

    pub fn flag(&self) -> Result<bool, DecodeError> {
        self.number_value().map(|value| value != 0)
    }

    pub fn float(&self) -> Result<f32, DecodeError> {
        match self.content {
            Content::Four(bytes) => Ok(f32::from_le_bytes(bytes)),
            _ => Err(self.wrong("a float")),
        }
    }

    pub fn double(&self) -> Result<f64, DecodeError> {
        match self.content {
            Content::Eight(bytes) => Ok(f64::from_le_bytes(bytes)),
            _ => Err(self.wrong("a double")),
        }
    }

    pub fn bytes(&self) -> Result<&'a [u8], DecodeError> {
        match self.content {
            Content::Bytes(bytes) => Ok(bytes),
            _ => Err(self.wrong("bytes")),
        }
    }

    pub fn text(&self) -> Result<&'a str, DecodeError> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes)
            .map_err(|wrong| error("utf-8", self.offset + wrong.valid_up_to(), "not UTF-8".into()))
    }

    fn wrong(&self, wanted: &str) -> DecodeError {
        error("protobuf", self.offset, format!("field {} is not {wanted}", self.number))
    }
}
