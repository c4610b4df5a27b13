//! Rows in the binary format of PostgreSQL's COPY.
//!
//! Format: PostgreSQL 17 documentation, COPY, "Binary Format"; the fields as each type's `_recv` function
//! reads them. Knows no table and no event; never fails: what PostgreSQL cannot hold is made so that
//! PostgreSQL refuses it (a time out of range) or holds the next best thing (a NUL in a text).

use std::borrow::Cow;

use crate::domain::time::Timestamp;

/// PostgreSQL counts microseconds from 2000-01-01; this is that instant since 1970-01-01.
const POSTGRES_EPOCH_US: i64 = 946_684_800_000_000;
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const JSONB_VERSION: u8 = 1;
const NULL: i32 = -1;

/// Rows for one table. A row is [`row`](Self::row) with its number of fields, then exactly that many fields.
#[derive(Debug)]
pub struct CopyBuffer {
    bytes: Vec<u8>,
}

impl Default for CopyBuffer {
    fn default() -> Self {
        Self { bytes: HEADER.to_vec() }
    }
}

impl CopyBuffer {
    /// The whole file, with what it ends with.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(&(-1i16).to_be_bytes());
        self.bytes
    }

    pub fn row(&mut self, fields: i16) {
        self.bytes.extend_from_slice(&fields.to_be_bytes());
    }

    pub fn null(&mut self) {
        self.bytes.extend_from_slice(&NULL.to_be_bytes());
    }

    pub fn uuid(&mut self, value: &[u8; 16]) {
        self.field(value);
    }

    pub fn bool(&mut self, value: bool) {
        self.field(&[u8::from(value)]);
    }

    pub fn int2(&mut self, value: i16) {
        self.field(&value.to_be_bytes());
    }

    pub fn int4(&mut self, value: i32) {
        self.field(&value.to_be_bytes());
    }

    pub fn int8(&mut self, value: i64) {
        self.field(&value.to_be_bytes());
    }

    pub fn float4(&mut self, value: f32) {
        self.field(&value.to_be_bytes());
    }

    pub fn float8(&mut self, value: f64) {
        self.field(&value.to_be_bytes());
    }

    /// The two extreme values are PostgreSQL's infinities; ours become the neighbours, which it refuses.
    pub fn timestamptz(&mut self, value: Timestamp) {
        let micros = value.as_micros().saturating_sub(POSTGRES_EPOCH_US);
        self.int8(micros.clamp(i64::MIN + 1, i64::MAX - 1));
    }

    /// PostgreSQL's text holds no NUL: U+FFFD stands in for it.
    pub fn text(&mut self, value: &str) {
        if value.contains('\0') {
            self.field(value.replace('\0', "\u{fffd}").as_bytes());
        } else {
            self.field(value.as_bytes());
        }
    }

    /// `json` is JSON text; what is not JSON is refused by PostgreSQL.
    pub fn jsonb(&mut self, json: &str) {
        let json = without_nul(json);
        self.length(json.len() + 1);
        self.bytes.push(JSONB_VERSION);
        self.bytes.extend_from_slice(json.as_bytes());
    }

    /// A field or NULL.
    pub fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        match value {
            Some(value) => write(self, value),
            None => self.null(),
        }
    }

    fn field(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.bytes.extend_from_slice(bytes);
    }

    /// A field of 2 GiB does not fit the format, nor PostgreSQL: its length is made one that it refuses.
    fn length(&mut self, len: usize) {
        self.bytes.extend_from_slice(&i32::try_from(len).unwrap_or(i32::MIN).to_be_bytes());
    }
}

/// `jsonb` refuses the escape `\u0000`, which JSON allows: U+FFFD stands in for it, and for a raw NUL.
pub fn without_nul(json: &str) -> Cow<'_, str> {
    const ESCAPE: &str = "\\u0000";
    if !json.contains(ESCAPE) && !json.contains('\0') {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find(['\\', '\0']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let (stand_in, len) = if rest.starts_with(ESCAPE) {
            ("\\ufffd", ESCAPE.len())
        } else if rest.starts_with('\0') {
            ("\u{fffd}", 1)
        } else {
            // A backslash and what it escapes: `\\u0000` is a backslash and five plain characters.
            let len = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
            (&rest[..len], len)
        };
        out.push_str(stand_in);
        rest = &rest[len..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the fields, byte by byte, as the documentation of COPY has the format.
    #[test]
    fn a_row_is_a_count_and_length_prefixed_fields() {
        let mut copy = CopyBuffer::default();
        copy.row(3);
        copy.int2(7);
        copy.null();
        copy.text("ab");
        let expected: &[u8] =
            b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x03\0\0\0\x02\0\x07\xff\xff\xff\xff\0\0\0\x02ab\xff\xff";
        assert_eq!(copy.finish(), expected);
    }

    #[test]
    fn times_count_from_2000() {
        let mut copy = CopyBuffer::default();
        let start = copy.bytes.len();
        copy.timestamptz(Timestamp::parse("2000-01-01T00:00:00.000001Z").unwrap());
        assert_eq!(&copy.bytes[start..], b"\0\0\0\x08\0\0\0\0\0\0\0\x01");
    }

    #[test]
    fn the_extremes_do_not_become_infinities() {
        let mut copy = CopyBuffer::default();
        let start = copy.bytes.len();
        copy.timestamptz(Timestamp::MIN);
        assert_ne!(&copy.bytes[start + 4..], i64::MIN.to_be_bytes());
    }

    #[test]
    fn jsonb_has_its_version_and_no_nul() {
        let mut copy = CopyBuffer::default();
        let start = copy.bytes.len();
        copy.jsonb("{}");
        assert_eq!(&copy.bytes[start..], b"\0\0\0\x03\x01{}");
        assert_eq!(without_nul(r#"{"a":"x\u0000y"}"#), r#"{"a":"x\ufffdy"}"#);
        // An escaped backslash before the same letters is no NUL.
        assert_eq!(without_nul(r#"{"a":"x\\u0000y\u0000"}"#), r#"{"a":"x\\u0000y\ufffd"}"#);
        assert_eq!(without_nul("{\"a\":\"\\\"é\\u0000\0\"}"), "{\"a\":\"\\\"é\\ufffd\u{fffd}\"}");
    }
}
