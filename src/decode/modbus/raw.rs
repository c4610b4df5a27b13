//! The registers of one value → a number or a text, before anything is made of it.

use crate::config::{ByteOrder, Half, RegisterType};

/// A raw value.
#[derive(Clone, PartialEq, Debug)]
pub enum Raw {
    /// `bits`: as they stand, most significant first; what is "no value" is told by them.
    Number {
        bits: u64,
        number: f64,
    },
    Text(String),
}

/// `None` where the registers are as many as no value of the type has, or no text. A number may be NaN or
/// infinite.
pub fn raw(kind: RegisterType, order: ByteOrder, words: &[u16]) -> Option<Raw> {
    if words.len() != usize::from(kind.registers()) {
        return None;
    }
    if let RegisterType::Text(_) = kind {
        return text(order, words).map(Raw::Text);
    }
    let bits = part(kind, ordered(order, words)?);
    Some(Raw::Number { bits, number: number(kind, bits) })
}

/// Four registers at most, as one integer, whatever order the device has their bytes in.
fn ordered(order: ByteOrder, words: &[u16]) -> Option<u64> {
    if words.len() > 4 {
        return None;
    }
    let join = |joined: u64, word: &u16| {
        let word = if order.swaps_bytes() { word.swap_bytes() } else { *word };
        joined << 16 | u64::from(word)
    };
    Some(match order.reverses_registers() {
        true => words.iter().rev().fold(0, join),
        false => words.iter().fold(0, join),
    })
}

/// Of one register, the part that is meant.
fn part(kind: RegisterType, bits: u64) -> u64 {
    match kind {
        RegisterType::Bit(place) => bits >> place & 1,
        RegisterType::U8(Half::Low) | RegisterType::I8(Half::Low) => bits & 0xff,
        RegisterType::U8(Half::High) | RegisterType::I8(Half::High) => bits >> 8,
        _ => bits,
    }
}

fn number(kind: RegisterType, bits: u64) -> f64 {
    match kind {
        RegisterType::F16 => half(bits as u16),
        RegisterType::F32 => f32::from_bits(bits as u32).into(),
        RegisterType::F64 => f64::from_bits(bits),
        RegisterType::Fixed(fixed) => integer(kind, bits) * 2f64.powi(-i32::from(fixed.fraction)),
        _ => integer(kind, bits),
    }
}

/// Whether these bits are no number in this type.
pub(super) fn is_nan(kind: RegisterType, bits: u64) -> bool {
    number(kind, bits).is_nan()
}

fn integer(kind: RegisterType, bits: u64) -> f64 {
    if kind.is_signed() {
        let unused = 64 - kind.bits().min(64);
        ((bits << unused).cast_signed() >> unused) as f64
    } else {
        bits as f64
    }
}

/// IEEE 754 binary16: one bit of sign, five of exponent, ten of fraction.
fn half(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2f64.powi(-24),
        0x1f if fraction == 0.0 => f64::INFINITY,
        0x1f => f64::NAN,
        _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
    }
}

/// Up to the first NUL, without blanks around it. Control characters and what is no UTF-8 are no text.
fn text(order: ByteOrder, words: &[u16]) -> Option<String> {
    let bytes: Vec<u8> = words
        .iter()
        .map(|word| if order.swaps_bytes() { word.swap_bytes() } else { *word })
        .flat_map(u16::to_be_bytes)
        .take_while(|byte| *byte != 0)
        .collect();
    let text = String::from_utf8(bytes).ok()?;
    (!text.contains(char::is_control)).then(|| text.trim().to_owned())
}
