//! Text of any length in the fewest bits: three say how it is encoded, five how long it is (GS1 EPC Tag Data
//! Standard 2.3, section 14.5.6).

use super::EpcError;
use super::binary::digits_of;
use super::bits::{Bits, Writer};
use super::characters::{is_39, is_82};

/// Encoding indicators (table E).
const NUMBER: u8 = 0;
const UPPER_HEX: u8 = 1;
const LOWER_HEX: u8 = 2;
const BASE_64: u8 = 3;
const ASCII: u8 = 4;
const CODE_40: u8 = 5;

const UPPER_HEX_DIGITS: &[u8] = b"0123456789ABCDEF";
const LOWER_HEX_DIGITS: &[u8] = b"0123456789abcdef";
const BASE_64_DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// Place 0 fills up a group of three.
const CODE_40_DIGITS: &[u8] = b" ABCDEFGHIJKLMNOPQRSTUVWXYZ-.:0123456789";

pub(super) fn read(field: &'static str, bits: &mut Bits<'_>, most: usize) -> Result<String, EpcError> {
    let indicator = bits.take(3) as u8;
    let length = bits.take(5) as usize;
    check_length(field, length, most)?;
    match indicator {
        NUMBER => read_digits(field, bits, length, most),
        UPPER_HEX => read_characters(field, bits, length, 4, |at| UPPER_HEX_DIGITS.get(at).copied()),
        LOWER_HEX => read_characters(field, bits, length, 4, |at| LOWER_HEX_DIGITS.get(at).copied()),
        BASE_64 => read_characters(field, bits, length, 6, |at| BASE_64_DIGITS.get(at).copied()),
        ASCII => read_characters(field, bits, length, 7, |at| u8::try_from(at).ok().filter(|c| is_text(*c))),
        CODE_40 => read_code_40(field, bits, length),
        reserved => Err(EpcError::EncodingIndicator(reserved)),
    }
}

fn is_text(character: u8) -> bool {
    is_82(character) || is_39(character)
}

pub(super) fn check_length(field: &'static str, length: usize, most: usize) -> Result<(), EpcError> {
    match length {
        0 => Err(EpcError::Characters { field }),
        found if found > most => Err(EpcError::TooManyCharacters { field, expected: most as u32, found }),
        _ => Ok(()),
    }
}

/// Bits of the greatest number of so many digits (table B); at most 36 digits.
fn bits_of(digits: usize) -> u16 {
    let most = 10u128.saturating_pow(digits as u32) - 1;
    (128 - most.leading_zeros()) as u16
}

pub(super) fn read_digits(
    field: &'static str,
    bits: &mut Bits<'_>,
    length: usize,
    most: usize,
) -> Result<String, EpcError> {
    check_length(field, length, most)?;
    let value = bits.take(bits_of(length));
    let text = format!("{value:0>length$}");
    if text.len() > length {
        return Err(EpcError::TooManyDigits { field, value, digits: length as u32 });
    }
    Ok(text)
}

fn read_characters(
    field: &'static str,
    bits: &mut Bits<'_>,
    length: usize,
    each: u16,
    of: impl Fn(usize) -> Option<u8>,
) -> Result<String, EpcError> {
    let character = |_| of(bits.take(each) as usize).map(char::from).ok_or(EpcError::Characters { field });
    (0..length).map(character).collect()
}

fn read_code_40(field: &'static str, bits: &mut Bits<'_>, length: usize) -> Result<String, EpcError> {
    let mut text = String::new();
    for _ in 0..length.div_ceil(3) {
        let group = bits.take(16).checked_sub(1).ok_or(EpcError::Characters { field })? as usize;
        for place in [group / 1600, group / 40 % 40, group % 40] {
            text.push(char::from(*CODE_40_DIGITS.get(place).ok_or(EpcError::Characters { field })?));
        }
    }
    let (used, filling) = text.split_at(length);
    if used.contains(' ') || filling.contains(|c| c != ' ') {
        return Err(EpcError::Characters { field });
    }
    Ok(used.to_owned())
}

pub(super) fn write(field: &'static str, text: &str, most: usize, out: &mut Writer) -> Result<(), EpcError> {
    check_length(field, text.len(), most)?;
    if !text.bytes().all(is_text) {
        return Err(EpcError::Characters { field });
    }
    let indicator = cheapest(text.as_bytes());
    out.push(u128::from(indicator), 3);
    out.push(text.len() as u128, 5);
    match indicator {
        NUMBER => write_digits(field, text, out)?,
        UPPER_HEX => write_characters(text, 4, UPPER_HEX_DIGITS, out),
        LOWER_HEX => write_characters(text, 4, LOWER_HEX_DIGITS, out),
        BASE_64 => write_characters(text, 6, BASE_64_DIGITS, out),
        CODE_40 => write_code_40(text, out),
        _ => text.bytes().for_each(|character| out.push(u128::from(character), 7)),
    }
    Ok(())
}

/// The encoding that takes the fewest bits.
fn cheapest(text: &[u8]) -> u8 {
    let all = |digits: &[u8]| text.iter().all(|character| digits.contains(character));
    let in_groups = 16 * text.len().div_ceil(3);
    if all(b"0123456789") {
        NUMBER
    } else if all(UPPER_HEX_DIGITS) {
        UPPER_HEX
    } else if all(LOWER_HEX_DIGITS) {
        LOWER_HEX
    } else if all(&CODE_40_DIGITS[1..]) && (in_groups < 6 * text.len() || !all(BASE_64_DIGITS)) {
        if in_groups < 7 * text.len() { CODE_40 } else { ASCII }
    } else if all(BASE_64_DIGITS) {
        BASE_64
    } else {
        ASCII
    }
}

pub(super) fn write_digits(field: &'static str, text: &str, out: &mut Writer) -> Result<(), EpcError> {
    out.push(digits_of(field, text)?, bits_of(text.len()));
    Ok(())
}

fn write_characters(text: &str, each: u16, digits: &[u8], out: &mut Writer) {
    text.bytes().for_each(|character| out.push(place_in(digits, character), each));
}

fn place_in(digits: &[u8], character: u8) -> u128 {
    digits.iter().position(|digit| *digit == character).unwrap_or(0) as u128
}

fn write_code_40(text: &str, out: &mut Writer) {
    for group in text.as_bytes().chunks(3) {
        let place = |nth: usize| group.get(nth).map_or(0, |character| place_in(CODE_40_DIGITS, *character));
        out.push(1600 * place(0) + 40 * place(1) + place(2) + 1, 16);
    }
}
