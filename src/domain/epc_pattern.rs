//! Which codes are meant: one code, all that begin alike, or all with certain bits.
//!
//! | text | means |
//! | --- | --- |
//! | `3034257bf7194e4000001a85` | exactly this code |
//! | `3034257bf7*` | every code that begins with it |
//! | `30??257b*` | the same, with digits that may be anything |
//! | `0b00110000_001?*` | bits instead of hexadecimal digits |

use super::epc::Epc;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EpcPattern {
    bits: u16,
    /// Whether a longer code fits too.
    open: bool,
    /// The bits that matter, and what they have to be; most significant first.
    care: Vec<u8>,
    value: Vec<u8>,
}

impl EpcPattern {
    pub const ALLOWED: &str = "an EPC in hexadecimal, or in bits behind \"0b\": ? for a digit that may be anything, * at the end for any rest";

    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (digits, width) = match text.strip_prefix("0b") {
            Some(bits) => (bits, 1),
            None => (text, 4),
        };
        let (digits, open) = match digits.strip_suffix('*') {
            Some(digits) => (digits, true),
            None => (digits, false),
        };
        let mut pattern = Self { bits: 0, open, care: Vec::new(), value: Vec::new() };
        for digit in digits.chars().filter(|digit| *digit != '_') {
            let value = match digit {
                '?' => None,
                digit => Some(digit.to_digit(1 << width).ok_or("not the digits of an EPC")?),
            };
            for bit in (0..width).rev() {
                pattern.push(value.map(|value| value >> bit & 1 == 1));
            }
        }
        match usize::from(pattern.bits) {
            0 => Err("a pattern of no digits is every tag there is"),
            bits if bits > Epc::MAX_BYTES * 8 => Err("longer than an EPC can be"),
            _ => Ok(pattern),
        }
    }

    pub fn matches(&self, epc: &Epc) -> bool {
        let fits = if self.open { epc.bits() >= self.bits } else { epc.bits() == self.bits };
        let mut bytes = epc.bytes().iter().zip(&self.care).zip(&self.value);
        fits && bytes.all(|((byte, care), value)| byte & care == *value)
    }

    fn push(&mut self, bit: Option<bool>) {
        let place = self.bits % 8;
        if place == 0 {
            self.care.push(0);
            self.value.push(0);
        }
        let mask = 0x80 >> place;
        if let (Some(care), Some(value), Some(bit)) = (self.care.last_mut(), self.value.last_mut(), bit) {
            *care |= mask;
            *value |= if bit { mask } else { 0 };
        }
        self.bits = self.bits.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_the_table_says() {
        let epc = Epc::from_hex("3034257bf7194e4000001a85").unwrap();
        for (pattern, matches) in [
            ("3034257bf7194e4000001a85", true),
            ("3034257BF7194E4000001A85", true),
            ("3034257bf7194e4000001a", false),
            ("3034257bf7194e4000001a8500", false),
            ("3034257bf7*", true),
            ("303*", true),
            ("304*", false),
            ("30??257b*", true),
            ("????????????????????????", true),
            ("???????????????????????", false),
            ("0b0011_0000_001?*", true),
            ("0b0011_0000_000?*", false),
        ] {
            assert_eq!(EpcPattern::parse(pattern).unwrap().matches(&epc), matches, "{pattern}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["", "*", "0b", "0b*", "xyz", "0b012", "30*4", &"0".repeat(125), &"?".repeat(70_000)] {
            assert!(EpcPattern::parse(text).is_err(), "{text}");
        }
    }
}
