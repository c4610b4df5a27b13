//! The code in a tag, held in place: 0 to 496 bits without a heap allocation.

use std::fmt;
use std::hash::{Hash, Hasher};

use indexmap::Equivalent;
use serde::{Deserialize, Serialize};

/// An EPC memory bank's code: at most 496 bits (Gen2: the PC's length field counts 31 words).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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

    /// The code of nearly every tag.
    pub fn of_96(bytes: &[u8; 12]) -> Self {
        let mut held = [0; Self::MAX_BYTES];
        held[..12].copy_from_slice(bytes);
        Self { bits: 96, bytes: held }
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

/// Of the bytes in use, which are 12 for nearly every tag.
impl Hash for Epc {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.bytes());
        state.write_u16(self.bits);
    }
}

/// A code as a large table holds it, in 16 bytes; one of more than 112 bits lies beside the table.
#[derive(Clone, PartialEq, Eq)]
pub enum HeldEpc {
    Short { bits: u8, bytes: [u8; HeldEpc::SHORT_BYTES] },
    Long(Box<Epc>),
}

impl HeldEpc {
    const SHORT_BYTES: usize = 14;

    pub fn bits(&self) -> u16 {
        match self {
            Self::Short { bits, .. } => u16::from(*bits),
            Self::Long(epc) => epc.bits,
        }
    }

    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Short { bits, bytes } => &bytes[..usize::from(*bits).div_ceil(8)],
            Self::Long(epc) => epc.bytes(),
        }
    }

    pub fn epc(&self) -> Epc {
        match self {
            Self::Short { bits, bytes } => {
                let mut held = [0; Epc::MAX_BYTES];
                held[..Self::SHORT_BYTES].copy_from_slice(bytes);
                Epc { bits: u16::from(*bits), bytes: held }
            }
            Self::Long(epc) => **epc,
        }
    }
}

impl From<Epc> for HeldEpc {
    fn from(epc: Epc) -> Self {
        match u8::try_from(epc.bits) {
            Ok(bits) if epc.bytes().len() <= Self::SHORT_BYTES => {
                let mut bytes = [0; Self::SHORT_BYTES];
                bytes.copy_from_slice(&epc.bytes[..Self::SHORT_BYTES]);
                Self::Short { bits, bytes }
            }
            _ => Self::Long(Box::new(epc)),
        }
    }
}

impl PartialEq<Epc> for HeldEpc {
    fn eq(&self, epc: &Epc) -> bool {
        self.bits() == epc.bits && self.bytes() == epc.bytes()
    }
}

/// As the code itself, so that a table is searched for one that is not held.
impl Hash for HeldEpc {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.bytes());
        state.write_u16(self.bits());
    }
}

impl Equivalent<HeldEpc> for Epc {
    fn equivalent(&self, held: &HeldEpc) -> bool {
        held == self
    }
}

impl fmt::Debug for HeldEpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.epc(), f)
    }
}

impl Serialize for HeldEpc {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.epc().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for HeldEpc {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Epc::deserialize(deserializer).map(Self::from)
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hash(value: &impl Hash) -> u64 {
        let mut hasher = siphasher::sip::SipHasher13::new();
        value.hash(&mut hasher);
        hasher.finish()
    }

    proptest! {
        #[test]
        fn a_held_code_is_the_code(
            bits in 0..=496_u16,
            bytes in prop::collection::vec(any::<u8>(), Epc::MAX_BYTES),
            other in prop::collection::vec(any::<u8>(), Epc::MAX_BYTES),
        ) {
            let (epc, other) = (Epc::new(bits, &bytes).unwrap(), Epc::new(bits, &other).unwrap());
            let held = HeldEpc::from(epc);
            prop_assert_eq!(held.epc(), epc);
            prop_assert_eq!((held.bits(), held.bytes()), (epc.bits(), epc.bytes()));
            prop_assert_eq!(hash(&held), hash(&epc));
            prop_assert!(epc.equivalent(&held));
            prop_assert_eq!(held == other, epc == other);
        }
    }

    #[test]
    fn a_held_code_is_small() {
        assert_eq!(size_of::<HeldEpc>(), 16);
    }
}
