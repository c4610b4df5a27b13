//! Bytes in a row, as text: `~` and base64 without padding (RFC 4648, section 4).
//!
//! Rows are written with every reading, so they are kept short. Beyond 1,002 bytes a row of the journal has a page of
//! its own, which is written whole each time (SQLite's file format, section 1.6). Older builds wrote hexadecimal digits.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

const MARK: char = '~';

pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    let mut text = String::with_capacity(1 + bytes.len().div_ceil(3) * 4);
    text.push(MARK);
    STANDARD_NO_PAD.encode_string(bytes, &mut text);
    serializer.serialize_str(&text)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.strip_prefix(MARK) {
        Some(packed) => STANDARD_NO_PAD.decode(packed).map_err(D::Error::custom),
        None => hex::decode(text).map_err(D::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Deserializer, Serializer, Value, from_slice};

    #[test]
    fn bytes_come_back_and_rows_of_older_builds_are_read() {
        for bytes in [&b""[..], b"\0", b"\xff\x00\x7f", b"twenty-four bytes of them"] {
            let mut row = Vec::new();
            super::serialize(bytes, &mut Serializer::new(&mut row)).unwrap();
            assert!(matches!(from_slice(&row), Ok(Value::String(_))));
            let old = format!("\"{}\"", hex::encode(bytes)).into_bytes();
            for row in [row, old] {
                let read = super::deserialize(&mut Deserializer::from_slice(&row)).unwrap();
                assert_eq!(read, bytes);
            }
        }
        for wrong in ["\"~!\"", "\"0g\"", "\"012\"", "7"] {
            assert!(super::deserialize(&mut Deserializer::from_str(wrong)).is_err(), "{wrong}");
        }
    }
}
