//! What a reader calls itself.

use std::fmt;

/// What a reader calls itself (LLRP 1.0.1, section 12.2.1): an EUI-64, or a code.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ReaderIdentity(Vec<u8>);

impl ReaderIdentity {
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// Hexadecimal digits, with `:` or `-` between them as people write addresses of network cards.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|c| !":-".contains(*c)).collect();
        hex::decode(digits).ok().filter(|bytes| (4..=64).contains(&bytes.len())).map(Self)
    }

    /// Whether what a reader told is this one, however both are written.
    pub fn is(&self, told: &Self) -> bool {
        self.0 == told.0 || self.of_card().is_some_and(|card| told.of_card() == Some(card))
    }

    /// One way of writing what is the same.
    pub fn canonical(&self) -> Self {
        match self.of_card() {
            Some([a, b, c, d, e, f]) => Self::new([a, b, c, 0xff, 0xfe, d, e, f]),
            None => self.clone(),
        }
    }

    /// The address of a network card: alone, stretched to an EUI-64, or with zeros before it.
    fn of_card(&self) -> Option<[u8; 6]> {
        match self.0[..] {
            [a, b, c, d, e, f] => Some([a, b, c, d, e, f]),
            [a, b, c, 0xff, 0xfe | 0xff, d, e, f] => Some([a, b, c, d, e, f]),
            [0, 0, a, b, c, d, e, f] => Some([a, b, c, d, e, f]),
            _ => None,
        }
    }
}

impl fmt::Display for ReaderIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: Vec<String> = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        f.write_str(&bytes.join(":"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_known_in_each_way_that_it_is_written() {
        let told = ReaderIdentity::new([0x00, 0x16, 0x25, 0xff, 0xfe, 0x12, 0x34, 0x56]);
        for text in ["00:16:25:ff:fe:12:34:56", "001625FFFE123456", "00-16-25-12-34-56"] {
            assert!(ReaderIdentity::parse(text).unwrap().is(&told), "{text}");
        }
        let padded = ReaderIdentity::new([0, 0, 0x00, 0x16, 0x25, 0x12, 0x34, 0x56]);
        assert!(ReaderIdentity::parse("00:16:25:12:34:56").unwrap().is(&padded));
        assert!(!ReaderIdentity::parse("00:16:25:12:34:57").unwrap().is(&told));
        assert_eq!(told.to_string(), "00:16:25:ff:fe:12:34:56");
        let written = ["00:16:25:12:34:56", "001625fffe123456", "0000001625123456"];
        for text in written {
            assert_eq!(ReaderIdentity::parse(text).unwrap().canonical(), told, "{text}");
        }
        let code = ReaderIdentity::new([1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(code.canonical(), code);
        for wrong in ["", "dock", "12:34", "0x16"] {
            assert_eq!(ReaderIdentity::parse(wrong), None, "{wrong}");
        }
    }
}
