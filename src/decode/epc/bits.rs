//! Numbers off a bit string and onto one, most significant bit first.

use super::EpcError;
use crate::domain::epc::Epc;

/// What lies behind the end reads as zero: whoever reads asks [`Bits::overran`] before believing it.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    len: u16,
    at: u16,
}

impl<'a> Bits<'a> {
    pub fn new(epc: &'a Epc) -> Self {
        Self { bytes: epc.bytes(), len: epc.bits(), at: 0 }
    }

    /// At most 128 bits.
    pub fn take(&mut self, count: u16) -> u128 {
        let mut number = 0;
        for at in self.at..self.at.saturating_add(count) {
            let byte = self.bytes.get(usize::from(at / 8)).copied().unwrap_or(0);
            number = number << 1 | u128::from(byte >> (7 - at % 8) & 1);
        }
        self.at = self.at.saturating_add(count);
        number
    }

    /// Bits taken so far.
    pub fn at(&self) -> u16 {
        self.at
    }

    pub fn overran(&self) -> bool {
        self.at > self.len
    }

    /// Memory comes in words of 16 bits; what fills the last one is zero.
    pub fn rest_is_zero(&mut self) -> bool {
        (self.at..self.len).all(|_| self.take(1) == 0)
    }
}

#[derive(Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    len: u16,
}

impl Writer {
    /// The lowest `count` bits of `value`.
    pub fn push(&mut self, value: u128, count: u16) {
        for place in (0..count).rev() {
            if self.len.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let bit = (value.checked_shr(u32::from(place)).unwrap_or(0) & 1) as u8;
            if let Some(byte) = self.bytes.last_mut() {
                *byte |= bit << (7 - self.len % 8);
            }
            self.len = self.len.saturating_add(1);
        }
    }

    pub fn len(&self) -> u16 {
        self.len
    }

    pub fn bit(&self, at: u16) -> bool {
        self.bytes.get(usize::from(at / 8)).is_some_and(|byte| byte >> (7 - at % 8) & 1 == 1)
    }

    /// Filled up with zeros to whole words of 16 bits, as a tag holds it and a reader reports it.
    pub fn finish(mut self) -> Result<Epc, EpcError> {
        let padding = (16 - self.len % 16) % 16;
        self.push(0, padding);
        Epc::new(self.len, &self.bytes).ok_or(EpcError::TooLong { bits: self.len })
    }
}
