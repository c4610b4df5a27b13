//! The code in a tag, held in place: 0 to 496 bits without a heap allocation.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An EPC memory bank's code: at most 496 bits (Gen2: the PC's length field counts 31 words).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epc {
    bits: u16,
    bytes: [u8; Self::MAX_BYTES],
}

impl Epc {
    pub const MAX_BYTES: usize = 62;

    /// `bits` of `bytes`, most significant first; `None` where there are too many, or fewer bytes
    /// than the bits need. Bits behind the last one are cleared.
    pub fn new(bits: u16, bytes: &[u8]) -> Option<Self> {
        let len = usize::from(bits).div_ceil(8);
        if len > Self::MAX_BYTES || bytes.len() < len {
            return None;
        }
        let mut held = [0; Self::MAX_BYTES];
        held[..len].copy_from_slice(&bytes[..len]);
        if !bits.is_multiple_of(8) {
            held[len - 1] &= 0xff << (8 - bits % 8);
        }
        Some(Self { bits, bytes: held })
    }

    pub fn from_hex(text: &str) -> Option<Self> {
        let bytes = hex::decode(text).ok()?;
        Self::new(u16::try_from(bytes.len() * 8).ok()?, &bytes)
    }

    pub fn bits(&self) -> u16 {
        self.bits
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.bits).div_ceil(8)]
    }
}

/// Lower-case hex.
impl fmt::Display for Epc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Epc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Epc {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Epc {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_hex(&text)
            .ok_or_else(|| serde::de::Error::custom("an EPC is at most 124 hex digits, an even number"))
    }
}
