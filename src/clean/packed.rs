//! A tracker's row: MessagePack, its fields by their names, filled up to a length that seldom changes; and bytes in rows.
//!
//! Rows are written with every reading, so they are kept short. Beyond 1,002 bytes a row of the journal has a page of
//! its own, which is written whole each time (SQLite's file format, section 1.6). Rows of older builds are JSON. In JSON
//! bytes are a mark and base64 without padding (RFC 4648, section 4), or hexadecimal digits in rows that are older still.

use std::fmt::{self, Formatter};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::rows::{self, CleanRestoreError};
use crate::domain::state::{StateKind, StateRow};

const MARK: u8 = b'~';
/// Before records in which little differs.
const ALIKE: u8 = b'^';
/// Bytes that share one of which of them is not zero.
const LANE: usize = 8;
/// Lengths that rows with their keys are filled up to: of each as many go on a page of 4,096 bytes as possible, with the
/// 17 that SQLite puts around them.
const LENGTHS: [usize; 7] = [238, 391, 493, 566, 663, 799, 976];
/// What most rows find room in.
const ROOM: usize = LENGTHS[6];

pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    write(&[&[MARK], bytes].concat(), serializer)
}

/// Of records of so many bytes each, at least one, and each like the next: what differs between them.
pub(super) fn serialize_alike<S: Serializer>(
    bytes: &[u8],
    record: u8,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    write(&squeezed(bytes, record), serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    deserializer.deserialize_any(Bytes)
}

/// Bytes behind their mark.
fn write<S: Serializer>(marked: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    if !serializer.is_human_readable() {
        return serializer.serialize_bytes(marked);
    }
    let mut text = String::from(char::from(marked[0]));
    STANDARD_NO_PAD.encode_string(&marked[1..], &mut text);
    serializer.serialize_str(&text)
}

/// As they are, or as text, behind their mark.
struct Bytes;

impl Visitor<'_> for Bytes {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("packed bytes")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        match bytes.split_first() {
            Some((&MARK, bytes)) => Ok(bytes.to_vec()),
            Some((&ALIKE, packed)) => spread(packed).ok_or_else(|| E::custom("half a record")),
            _ => Err(E::custom("bytes without a mark")),
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<u8>, E> {
        let Some((&mark, packed)) =
            text.as_bytes().split_first().filter(|(mark, _)| [MARK, ALIKE].contains(mark))
        else {
            return hex::decode(text).map_err(E::custom);
        };
        let bytes = STANDARD_NO_PAD.decode(packed).map_err(E::custom)?;
        self.visit_bytes(&[&[mark], &bytes[..]].concat())
    }
}

/// The mark, the length of a record, how many bytes of the last lane there are, and each lane's bytes that differ from those a record
/// before, behind a byte that says which.
fn squeezed(bytes: &[u8], record: u8) -> Vec<u8> {
    debug_assert!(record > 0, "a byte is compared with one before it");
    let mut squeezed = Vec::with_capacity(3 + bytes.len() + bytes.len().div_ceil(LANE));
    squeezed.extend([ALIKE, record, (bytes.len() % LANE) as u8]);
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

/// What [`squeezed`] was made of, which is given without its mark.
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

/// A row that is filled up with zeros, which follow the value and are not read. A row that is as long as before is written
/// where it is; else it is taken out and put in, and pages are split and joined. So there is room for what it `may_grow` by.
pub(super) fn row(kind: StateKind, key: &str, value: &impl Serialize, may_grow: usize) -> StateRow {
    let mut row = Vec::with_capacity(ROOM);
    let mut serializer = rmp_serde::Serializer::new(&mut row).with_struct_map();
    match value.serialize(&mut serializer) {
        Ok(()) => {
            let mut row = StateRow { kind, key: key.to_owned(), value: Some(row) };
            keep_length(&mut row, may_grow);
            row
        }
        Err(error) => StateRow::unwritable(kind, key.to_owned(), &error),
    }
}

/// What [`row`] wrote, or an older build.
pub(super) fn read<'a, T: Deserialize<'a>>(
    kind: StateKind,
    key: &str,
    value: &'a [u8],
) -> Result<T, CleanRestoreError> {
    match value.first() {
        Some(b'{') => rows::parse(kind, key, value),
        _ => rmp_serde::from_slice(value).map_err(|error| CleanRestoreError::row(kind, key, error)),
    }
}

fn keep_length(row: &mut StateRow, may_grow: usize) {
    let key = row.key.len();
    let Some(value) = &mut row.value else { return };
    let is = key + value.len();
    let wanted = is.max((is + may_grow).min(ROOM));
    if let Some(length) = LENGTHS.into_iter().find(|length| wanted <= *length) {
        value.resize(length - key, 0);
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use proptest::prelude::*;
    use serde::{Deserialize, Serialize, Serializer};
    use serde_json::{Value, from_slice};

    use crate::domain::state::StateKind;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Row(#[serde(with = "super")] Vec<u8>);

    #[derive(Serialize)]
    struct Alike<'a>(#[serde(serialize_with = "alike")] &'a (&'a [u8], u8));

    fn alike<S: Serializer>((bytes, record): &(&[u8], u8), serializer: S) -> Result<S::Ok, S::Error> {
        super::serialize_alike(bytes, *record, serializer)
    }

    #[test]
    fn bytes_come_back_and_rows_of_older_builds_are_read() {
        for bytes in [&b""[..], b"\0", b"\xff\x00\x7f", b"twenty-four bytes of them"] {
            let row = Row(bytes.to_vec());
            let text = serde_json::to_vec(&row).unwrap();
            assert!(matches!(from_slice(&text), Ok(Value::String(_))));
            let old = format!("\"{}\"", hex::encode(bytes)).into_bytes();
            for text in [text, old] {
                assert_eq!(from_slice::<Row>(&text).unwrap(), row);
            }
            let packed = rmp_serde::to_vec(&row).unwrap();
            assert_eq!(packed.len(), 3 + bytes.len());
            assert_eq!(rmp_serde::from_slice::<Row>(&packed).unwrap(), row);
        }
        for wrong in ["\"^\"", "\"^AA\"", "\"^GAAB\"", "\"^GAM\"", "\"~!\"", "\"0g\"", "\"012\"", "7"] {
            assert!(serde_json::from_str::<Row>(wrong).is_err(), "{wrong}");
        }
        for wrong in [&b"\xc4\x00"[..], b"\xc4\x01^", b"\xc4\x02!0", b"\xc4\x03~0", b"\x07"] {
            assert!(rmp_serde::from_slice::<Row>(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn records_that_are_alike_come_back_and_are_short() {
        let records: Vec<u8> = (0..5_u8).flat_map(|nth| [&[7, nth, 0, 200][..], &[9; 20]].concat()).collect();
        for (bytes, record) in
            [(&records[..], 24), (&records[..], 1), (&records[3..], 7), (&[], 24), (&[0; 9], 24)]
        {
            let row = (bytes, record);
            let text = serde_json::to_vec(&Alike(&row)).unwrap();
            assert_eq!(from_slice::<Row>(&text).unwrap().0, bytes);
            let packed = rmp_serde::to_vec(&Alike(&row)).unwrap();
            assert_eq!(rmp_serde::from_slice::<Row>(&packed).unwrap().0, bytes);
        }
        assert!(super::squeezed(&records, 24).len() < records.len() / 2);
    }

    proptest! {
        #[test]
        fn any_bytes_come_back_and_none_that_are_read_panic(
            bytes in prop::collection::vec(prop_oneof![Just(0), any::<u8>()], 0..200),
            record in 1..=u8::MAX,
        ) {
            let spread = super::spread(&super::squeezed(&bytes, record)[1..]);
            prop_assert_eq!(spread.as_deref(), Some(&bytes[..]));
            super::spread(&bytes);
        }
    }

    #[test]
    fn rows_are_filled_up_until_they_are_too_long_for_it() {
        // A text has a mark before it and its length, in a byte or two.
        let length = |text: usize, may_grow: usize| {
            let row = super::row(StateKind::Tracker, "four", &"a".repeat(text), may_grow);
            let value = row.value.unwrap();
            assert_eq!(super::read::<String>(StateKind::Tracker, &row.key, &value).unwrap().len(), text);
            row.key.len() + value.len()
        };
        assert_eq!([40, 231, 232, 233, 1000].map(|text| length(text, 0)), [238, 238, 238, 391, 1007]);
        assert_eq!(
            [(40, 193), (232, 1), (900, 69), (900, 70)].map(|(text, grows)| length(text, grows)),
            [391, 391, 976, 976]
        );
        assert_eq!(
            [(100, 132), (40, 2000), (969, 1), (970, 0)].map(|(text, grows)| length(text, grows)),
            [238, 976, 976, 977]
        );
    }

    #[derive(Debug, Deserialize)]
    struct Told {
        lat: String,
    }

    #[test]
    fn rows_of_older_builds_are_read() {
        let value = br#"{"lat":"50.25"}      "#;
        let read: Told = super::read(StateKind::Tracker, "truck", value).unwrap();
        assert_eq!(read.lat, "50.25");
        for wrong in [&b""[..], b"{", b"\x81", br#"{"unwritable":"a value"}"#, b"\xc1"] {
            let error = super::read::<Told>(StateKind::Tracker, "truck", wrong).unwrap_err();
            assert_eq!(error.to_string(), "failed to read the tracker state of `truck`");
            assert!(error.source().is_some());
        }
    }
}
