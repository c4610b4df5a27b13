//! Reads numbers and bytes off a slice, and never past its end.

use crate::decode::DecodeError;

/// A slice of a larger input, and where in it we are.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    /// Offset of `bytes[0]` in the whole input, for error messages.
    base: usize,
    at: usize,
    /// Bits of the byte at `at` that are already taken.
    bits_taken: u32,
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8], base: usize) -> Self {
        Self { bytes, base, at: 0, bits_taken: 0 }
    }

    /// Offset in the whole input.
    pub fn offset(&self) -> usize {
        self.base + self.at
    }

    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let taken = self.bytes.get(self.at..).and_then(|rest| rest.get(..len));
        let taken = taken.ok_or_else(|| self.truncated(len))?;
        self.at += len;
        Ok(taken)
    }

    /// The next `len` bytes as a cursor of their own.
    pub fn sub(&mut self, len: usize) -> Result<Cursor<'a>, DecodeError> {
        let base = self.offset();
        Ok(Cursor::new(self.take(len)?, base))
    }

    pub fn rest(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        self.at = self.bytes.len();
        rest
    }

    /// `bits` bits as an unsigned number, most significant first; at most 64.
    pub fn bits(&mut self, bits: u32) -> Result<u64, DecodeError> {
        let mut number = 0u64;
        let mut wanted = bits;
        while wanted > 0 {
            let byte = self.peek().ok_or_else(|| self.truncated(wanted.div_ceil(8) as usize))?;
            let taken = wanted.min(8 - self.bits_taken);
            let shifted = u32::from(byte) >> (8 - self.bits_taken - taken);
            number = number << taken | u64::from(shifted & ((1 << taken) - 1));
            self.bits_taken += taken;
            wanted -= taken;
            if self.bits_taken == 8 {
                self.bits_taken = 0;
                self.at += 1;
            }
        }
        Ok(number)
    }

    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn truncated(&self, wanted: usize) -> DecodeError {
        DecodeError {
            reason: "truncated",
            offset: self.offset(),
            message: format!("{wanted} bytes expected, {} left", self.remaining()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_most_significant_first_and_cross_bytes() {
        let mut cursor = Cursor::new(&[0b1010_0001, 0b1100_0000, 0xff], 10);
        assert_eq!(cursor.bits(1).unwrap(), 1);
        assert_eq!(cursor.bits(2).unwrap(), 0b01);
        assert_eq!(cursor.bits(7).unwrap(), 0b0000111);
        assert_eq!(cursor.bits(6).unwrap(), 0);
        assert_eq!(cursor.offset(), 12);
        assert_eq!(cursor.bits(8).unwrap(), 0xff);
        assert_eq!(cursor.bits(1).unwrap_err().offset, 13);
    }

    #[test]
    fn what_is_not_there_is_not_taken() {
        let mut cursor = Cursor::new(&[1, 2, 3], 0);
        assert_eq!(cursor.u16().unwrap(), 0x0102);
        assert_eq!(cursor.u16().unwrap_err().reason, "truncated");
        assert!(cursor.take(usize::MAX).is_err());
        assert_eq!(cursor.rest(), &[3]);
        assert!(cursor.is_empty());
    }
}
