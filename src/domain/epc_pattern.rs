//! Which codes are meant: one code, all that begin alike, or all with certain bits.
//!
//! | text | means |
//! | --- | --- |
//! | `3034257bf7194e4000001a85` | exactly this code |
//! | `3034257bf7*` | every code that begins with it |
//! | `30??257b*` | the same, with digits that may be anything |
//! | `0b00110000_001?*` | bits instead of hexadecimal digits |
//!
//! Patterns by name (scheme, company prefix, EPC pattern URIs) are compiled into the same by
//! [`crate::decode::epc::pattern`].

use super::epc::Epc;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EpcPattern {
    bits: u16,
    /// Whether a longer code fits too.
    open: bool,
    /// The bits that matter, and what they have to be; most significant first.
    care: Vec<u8>,
    value: Vec<u8>,
    /// Fields that have to be numbers within limits.
    ranges: Vec<Range>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Range {
    at: u16,
    count: u16,
    least: u128,
    most: u128,
}

/// The longest row of bits that a pattern fixes, as a reader compares them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mask {
    /// Its first bit's place in the code.
    pub at: u16,
    pub bits: u16,
    /// Most significant first, filled up with zeros.
    pub bytes: Vec<u8>,
    /// Whether the pattern asks for nothing else.
    pub is_all: bool,
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
        let mut pattern = Self { open, ..Self::any() };
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

    /// Every code, for the other builders to add to.
    pub fn any() -> Self {
        Self { bits: 0, open: true, care: Vec::new(), value: Vec::new(), ranges: Vec::new() }
    }

    /// The next `count` bits are these lowest ones of `value`.
    pub fn fix(&mut self, value: u128, count: u16) {
        (0..count).rev().for_each(|place| self.push(Some(value >> place & 1 == 1)));
    }

    /// The next `count` bits may be anything.
    pub fn skip(&mut self, count: u16) {
        (0..count).for_each(|_| self.push(None));
    }

    /// The next `count` bits (at most 128) are a number from `least` to `most`.
    pub fn within(&mut self, least: u128, most: u128, count: u16) {
        self.ranges.push(Range { at: self.bits, count, least, most });
        self.skip(count);
    }

    pub fn matches(&self, epc: &Epc) -> bool {
        let fits = if self.open { epc.bits() >= self.bits } else { epc.bits() == self.bits };
        let mut bytes = epc.bytes().iter().zip(&self.care).zip(&self.value);
        fits && bytes.all(|((byte, care), value)| byte & care == *value)
            && self.ranges.iter().all(|range| range.holds(epc))
    }

    /// `None` where it fixes no bit.
    pub fn mask(&self) -> Option<Mask> {
        let cares = |at: u16| bit_of(&self.care, at);
        let (mut best, mut start) = (0..0, 0);
        for at in 0..=self.bits {
            if at < self.bits && cares(at) {
                continue;
            }
            if at - start > best.end - best.start {
                best = start..at;
            }
            start = at + 1;
        }
        let fixed = (0..self.bits).filter(|at| cares(*at)).count();
        let mut bytes = vec![0; best.len().div_ceil(8)];
        for (nth, at) in best.clone().enumerate() {
            bytes[nth / 8] |= u8::from(bit_of(&self.value, at)) << (7 - nth % 8);
        }
        let is_all = fixed == best.len() && self.ranges.is_empty() && self.open;
        let bits = best.end - best.start;
        (bits > 0).then_some(Mask { at: best.start, bits, bytes, is_all })
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

impl Range {
    fn holds(&self, epc: &Epc) -> bool {
        let bits = self.at..self.at + self.count;
        let value = bits.fold(0, |value: u128, at| value << 1 | u128::from(bit_of(epc.bytes(), at)));
        (self.least..=self.most).contains(&value)
    }
}

/// Behind the end: not set.
fn bit_of(bytes: &[u8], at: u16) -> bool {
    bytes.get(usize::from(at / 8)).is_some_and(|byte| byte >> (7 - at % 8) & 1 == 1)
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

    #[test]
    fn a_reader_compares_the_longest_row_of_bits() {
        let mask = |text| EpcPattern::parse(text).unwrap().mask();
        let found = |at, bits, bytes: &[u8], is_all| Some(Mask { at, bits, bytes: bytes.to_vec(), is_all });
        assert_eq!(mask("3034*"), found(0, 16, &[0x30, 0x34], true));
        assert_eq!(mask("3034"), found(0, 16, &[0x30, 0x34], false));
        assert_eq!(mask("3?34567*"), found(8, 20, &[0x34, 0x56, 0x70], false));
        assert_eq!(mask("0b?1101*"), found(1, 4, &[0xd0], true));
        assert_eq!(mask("????"), None);
    }

    #[test]
    fn a_field_is_a_number_within_limits() {
        let mut pattern = EpcPattern::any();
        pattern.fix(0x30, 8);
        pattern.within(3, 5, 4);
        let matches = |hex| pattern.matches(&Epc::from_hex(hex).unwrap());
        assert_eq!(
            ["3020", "3030", "305f", "3060", "3130", "30"].map(matches),
            [false, true, true, false, false, false]
        );
        assert!(!pattern.mask().unwrap().is_all);
    }
}
