//! The characters of codes: which are allowed where, and how they are written in URIs.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::EpcError;

/// GS1's character set 82 (General Specifications, figure 7.11-1): of serial numbers and references.
pub(super) fn is_82(character: u8) -> bool {
    character.is_ascii_alphanumeric() || b"!\"%&'()*+,-./:;<=>?_".contains(&character)
}

/// GS1's character set 39 (figure 7.11-2): of component and part identifiers.
pub(super) fn is_39(character: u8) -> bool {
    character.is_ascii_digit() || character.is_ascii_uppercase() || b"#-/".contains(&character)
}

/// Of a CAGE or DoDAAC: without I and O.
pub(super) fn is_cage(character: u8) -> bool {
    character.is_ascii_digit() || (character.is_ascii_uppercase() && !b"IO".contains(&character))
}

/// Six bits of the character set 39 and of codes of the US Department of Defense: the ASCII code's lowest six
/// bits say which it is (EPC Tag Data Standard, table G).
pub(super) fn of_six_bits(bits: u8) -> u8 {
    if bits < 32 { bits | 0x40 } else { bits }
}

/// As a component of an EPC URI (EPC Tag Data Standard, table A-1).
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if "\"%&/<>?#".contains(character) {
            out.push_str(&format!("%{:02X}", u32::from(character)));
        } else {
            out.push(character);
        }
    }
    out
}

/// What a path of a GS1 Digital Link URI may hold as it is (RFC 3986, unreserved).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// As a segment of a Digital Link's path.
pub(super) fn link_escaped(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

pub(super) fn unescaped(text: &str) -> Result<String, EpcError> {
    let fault = EpcError::Text("a % that is not followed by two hexadecimal digits of a character");
    let mut rest = text;
    while let Some((_, behind)) = rest.split_once('%') {
        let digits = behind.as_bytes().get(..2).ok_or(fault.clone())?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(fault);
        }
        rest = &behind[2..];
    }
    percent_decode_str(text).decode_utf8().map(|text| text.into_owned()).map_err(|_| fault)
}
