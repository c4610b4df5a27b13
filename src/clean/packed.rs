//! Bytes in a row, as text: a mark and base64 without padding (RFC 4648, section 4); and rows whose length seldom changes.
//!
//! Rows are written with every reading, so they are kept short. Beyond 1,002 bytes a row of the journal has a page of
//! its own, which is written whole each time (SQLite's file format, section 1.6). Older builds wrote hexadecimal digits.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::state::{StateKind, StateRow};

const MARK: char = '~';
/// Before records in which little differs.
const ALIKE: char = '^';
/// Bytes that share one of which of them is not zero.
const LANE: usize = 8;
/// Lengths that rows with their keys are filled up to; the last leaves room for what SQLite puts before them.
const LENGTHS: [usize; 4] = [256, 512, 768, 976];
/// What most rows find room in.
const ROOM: usize = LENGTHS[3];

pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    write(MARK, bytes, serializer)
}

/// Of records of so many bytes each, at least one, and each like the next: what differs between them.
pub(super) fn serialize_alike<S: Serializer>(
    bytes: &[u8],
    record: u8,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    write(ALIKE, &squeezed(bytes, record), serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if let Some(packed) = text.strip_prefix(MARK) {
        return STANDARD_NO_PAD.decode(packed).map_err(D::Error::custom);
    }
    match text.strip_prefix(ALIKE) {
        Some(packed) => {
            let bytes = STANDARD_NO_PAD.decode(packed).map_err(D::Error::custom)?;
            spread(&bytes).ok_or_else(|| D::Error::custom("half a record"))
        }
        None => hex::decode(text).map_err(D::Error::custom),
    }
}

fn write<S: Serializer>(mark: char, bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    let mut text = String::with_capacity(1 + bytes.len().div_ceil(3) * 4);
    text.push(mark);
    STANDARD_NO_PAD.encode_string(bytes, &mut text);
    serializer.serialize_str(&text)
}

/// The length of a record, how many bytes of the last lane there are, and each lane's bytes that differ from those a record
/// before, behind a byte that says which.
fn squeezed(bytes: &[u8], record: u8) -> Vec<u8> {
    debug_assert!(record > 0, "a byte is compared with one before it");
    let mut squeezed = Vec::with_capacity(2 + bytes.len() + bytes.len().div_ceil(LANE));
    squeezed.extend([record, (bytes.len() % LANE) as u8]);
    let record = usize::from(record);
    for first in (0..bytes.len()).step_by(LANE) {
        let end = bytes.len().min(first + LANE);
        // Of a lane that begins less than a record in, the first bytes have none before them.
        let alone = record.saturating_sub(first).min(end - first);
        let before = match alone < end - first {
            true => word(&bytes[first + alone - record..end - record]) << (8 * alone),
            false => 0,
        };
        let (mut differs, which) = (word(&bytes[first..end]) ^ before, squeezed.len());
        squeezed.push(0);
        while differs != 0 {
            let nth = differs.trailing_zeros() / 8;
            squeezed[which] |= 1 << nth;
            squeezed.push((differs >> (8 * nth)) as u8);
            differs &= !(0xff << (8 * nth));
        }
    }
    squeezed
}

/// The bytes of a lane, the first one lowest.
fn word(bytes: &[u8]) -> u64 {
    if let Ok(whole) = bytes.try_into() {
        return u64::from_le_bytes(whole);
    }
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// What [`squeezed`] was made of.
fn spread(squeezed: &[u8]) -> Option<Vec<u8>> {
    let [record, last, ref rest @ ..] = *squeezed else { return None };
    let (record, last) = (usize::from(record), usize::from(last));
    let (mut rest, mut bytes) = (rest.iter(), Vec::new());
    while let Some(which) = rest.next() {
        for nth in 0..LANE {
            let differs = if which >> nth & 1 == 1 { *rest.next()? } else { 0 };
            let before = bytes.len().checked_sub(record).and_then(|before| bytes.get(before));
            bytes.push(differs ^ before.copied().unwrap_or(0));
        }
    }
    if last > 0 {
        bytes.truncate(bytes.len().checked_sub(LANE)? + last);
    }
    Some(bytes)
}

/// A row that is filled up with spaces, which JSON does not mind. A row that is as long as before is written where it is; else
/// it is taken out and put in, and pages are split and joined.
pub(super) fn row(kind: StateKind, key: &str, value: &impl Serialize) -> StateRow {
    let mut row = StateRow::put_in(kind, key, value, ROOM);
    keep_length(&mut row);
    row
}

fn keep_length(row: &mut StateRow) {
    let key = row.key.len();
    if let Some(value) = &mut row.value
        && let Some(length) = LENGTHS.into_iter().find(|length| key + value.len() <= *length)
    {
        value.resize(length - key, b' ');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Deserializer, Serializer, Value, from_slice};

    use crate::domain::state::{StateKind, StateRow};

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
        for wrong in ["\"^\"", "\"^AA\"", "\"^GAAB\"", "\"^GAM\"", "\"~!\"", "\"0g\"", "\"012\"", "7"] {
            assert!(super::deserialize(&mut Deserializer::from_str(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn records_that_are_alike_come_back_and_are_short() {
        let records: Vec<u8> = (0..5_u8).flat_map(|nth| [&[7, nth, 0, 200][..], &[9; 20]].concat()).collect();
        for (bytes, record) in
            [(&records[..], 24), (&records[..], 1), (&records[3..], 7), (&[], 24), (&[0; 9], 24)]
        {
            let mut row = Vec::new();
            super::serialize_alike(bytes, record, &mut Serializer::new(&mut row)).unwrap();
            assert_eq!(super::deserialize(&mut Deserializer::from_slice(&row)).unwrap(), bytes);
        }
        assert!(super::squeezed(&records, 24).len() < records.len() / 2);
    }

    proptest! {
        #[test]
        fn any_bytes_come_back_and_none_that_are_read_panic(
            bytes in prop::collection::vec(prop_oneof![Just(0), any::<u8>()], 0..200),
            record in 1..=u8::MAX,
        ) {
            let spread = super::spread(&super::squeezed(&bytes, record));
            prop_assert_eq!(spread.as_deref(), Some(&bytes[..]));
            super::spread(&bytes);
        }
    }

    #[test]
    fn rows_are_filled_up_until_they_are_too_long_for_it() {
        let mut lengths = Vec::new();
        for bytes in [1, 250, 251, 1000] {
            let mut row = StateRow::put(StateKind::Tracker, "four", &"a".repeat(bytes - 1));
            let before: Value = from_slice(row.value.as_deref().unwrap()).unwrap();
            super::keep_length(&mut row);
            let value = row.value.unwrap();
            assert_eq!(from_slice::<Value>(&value).unwrap(), before);
            lengths.push(row.key.len() + value.len());
        }
        assert_eq!(lengths, [256, 256, 256, 4 + 1001]);
        let mut row = StateRow::put(StateKind::Tracker, "four", &"a".repeat(251));
        super::keep_length(&mut row);
        assert_eq!(row.value.unwrap().len(), 508);
        let mut gone = StateRow::delete(StateKind::Tracker, "four");
        super::keep_length(&mut gone);
        assert_eq!(gone.value, None);
    }
}
