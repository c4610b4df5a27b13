//! Lines of text, one a read, told by a pattern with named groups: `epc`, and perhaps `antenna`, `rssi`
//! (dBm) and `time` (RFC 3339, or seconds, milliseconds or microseconds since 1970).
//!
//! A line ends in LF, CR, or both; control characters around it (STX, ETX, NUL) are left away. A code is
//! hexadecimal, blanks, colons and hyphens in it do not count; with an odd number of digits it is a
//! number, and a zero goes in front.

use regex::bytes::{Captures, Regex, RegexBuilder};

use super::fault;
use super::framer::Look;
use super::item::{Heard, SerialTag, epc_of};
use crate::decode::DecodeError;
use crate::domain::ids::Antenna;
use crate::domain::readings::DeviceTime;
use crate::domain::time::Timestamp;

/// Longer ones are no lines of a reader.
const LONGEST_LINE: usize = 1024;
/// Of a compiled pattern.
const PATTERN_BYTES: usize = 1 << 20;

/// How reads look on a line, and what else may stand there.
#[derive(Clone, Debug)]
pub struct LinePattern {
    read: Regex,
    /// Lines that are known and carry no read.
    ignore: Vec<Regex>,
}

impl LinePattern {
    /// A code of 32 bits or more, and perhaps an antenna and a signal behind it, set off by commas,
    /// semicolons, blanks or tabs.
    pub const DEFAULT: &str = r"(?:^|[^0-9A-Fa-f])(?P<epc>[0-9A-Fa-f]{8,124})(?:[,; \t]+(?P<antenna>\d{1,3}))?(?:[,; \t]+(?P<rssi>-\d{1,3}(?:\.\d+)?))?[,; \t]*$";

    /// # Errors
    /// What is wrong with a pattern, in words.
    pub fn new(read: &str, ignore: &[String]) -> Result<Self, String> {
        let read = compile(read)?;
        if !read.capture_names().flatten().any(|name| name == "epc") {
            return Err("the pattern has no group named `epc`: write (?P<epc>[0-9A-F]+)".to_owned());
        }
        let known = ["epc", "antenna", "rssi", "time"];
        if let Some(name) = read.capture_names().flatten().find(|name| !known.contains(name)) {
            return Err(format!("the pattern names a group `{name}`; known are {}", known.join(", ")));
        }
        let ignore = ignore.iter().map(|pattern| compile(pattern)).collect::<Result<_, _>>()?;
        Ok(Self { read, ignore })
    }

    /// # Errors
    /// Reasons: `no-match`, `epc`, `antenna`, `rssi`, `time`.
    pub(super) fn decode(&self, line: &[u8], out: &mut Vec<Heard>) -> Result<(), DecodeError> {
        let text = text_of(line);
        if text.is_empty() || self.ignore.iter().any(|pattern| pattern.is_match(text)) {
            out.push(Heard::Other("line"));
            return Ok(());
        }
        let groups = self.read.captures(text);
        let groups = groups.ok_or_else(|| fault("no-match", 0, "the line does not look like a read"))?;
        let offset = text.as_ptr() as usize - line.as_ptr() as usize;
        out.push(Heard::Tag(tag(&groups, offset)?));
        Ok(())
    }
}

fn compile(pattern: &str) -> Result<Regex, String> {
    // The error of the library shows the place by several lines; the first word of it will do.
    let built = RegexBuilder::new(pattern).unicode(false).size_limit(PATTERN_BYTES).build();
    built.map_err(|error| match error {
        regex::Error::Syntax(text) => {
            let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            format!("not a regular expression: {last}")
        }
        other => other.to_string(),
    })
}

/// Without what sets the line off.
fn text_of(line: &[u8]) -> &[u8] {
    let sets_off = |byte: &u8| byte.is_ascii_control() || *byte == b' ';
    let start = line.iter().position(|byte| !sets_off(byte)).unwrap_or(line.len());
    let end = line.iter().rposition(|byte| !sets_off(byte)).map_or(start, |last| last + 1);
    &line[start..end]
}

fn tag(groups: &Captures<'_>, offset: usize) -> Result<SerialTag, DecodeError> {
    let text = |name| groups.name(name).map(|found| (found.start() + offset, found.as_bytes()));
    let Some((at, code)) = text("epc") else {
        return Err(fault("no-match", offset, "the line matches, and no code is in it"));
    };
    let mut tag = epc(code).ok_or_else(|| {
        fault("epc", at, format!("`{}` is no hexadecimal code", String::from_utf8_lossy(code)))
    })?;
    if let Some((at, digits)) = text("antenna") {
        let number =
            number::<Antenna>(digits).ok_or_else(|| fault("antenna", at, "no number of an antenna"))?;
        tag.antenna = number;
    }
    if let Some((at, digits)) = text("rssi") {
        let dbm = number::<f32>(digits).filter(|dbm| dbm.is_finite());
        tag.rssi_dbm = Some(dbm.ok_or_else(|| fault("rssi", at, "no signal in dBm"))?);
    }
    if let Some((at, told)) = text("time") {
        let time = time(told).ok_or_else(|| {
            fault("time", at, "neither RFC 3339 nor seconds, milliseconds or microseconds since 1970")
        })?;
        tag.time = DeviceTime::Utc(time);
    }
    Ok(tag)
}

fn epc(text: &[u8]) -> Option<SerialTag> {
    let set_off = |byte: &&u8| !matches!(byte, b' ' | b':' | b'-');
    let mut digits: Vec<u8> = text.iter().filter(set_off).copied().collect();
    let odd = !digits.len().is_multiple_of(2);
    if odd {
        digits.insert(0, b'0');
    }
    let bytes = hex::decode(&digits).ok().filter(|bytes| !bytes.is_empty())?;
    let tag = SerialTag::new(epc_of(&bytes)?);
    Some(SerialTag { truncated: tag.truncated || odd, ..tag })
}

fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    std::str::from_utf8(digits).ok()?.trim().parse().ok()
}

/// A bare number is told by its size: seconds reach 12 digits in the year 5138.
fn time(told: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(told).ok()?.trim();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.bytes().all(|byte| byte.is_ascii_digit()) && !whole.is_empty() {
        let value: i64 = whole.parse().ok()?;
        let micros = match whole.len() {
            ..=11 => value.checked_mul(1_000_000)?.checked_add(micros_of(fraction)?)?,
            12..=14 => value.checked_mul(1000)?,
            _ => value,
        };
        return Some(Timestamp::from_micros(micros));
    }
    let parsed: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_micros(parsed.as_microsecond()))
}

fn micros_of(fraction: &str) -> Option<i64> {
    let digits: String = fraction.chars().chain("000000".chars()).take(6).collect();
    digits.parse().ok()
}

pub(super) fn look(bytes: &[u8]) -> Look {
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
    match bytes.iter().take(LONGEST_LINE).position(is_end) {
        // What is left of the last line's end, and empty lines.
        Some(0) => Look::Filler(bytes.iter().take_while(|byte| is_end(byte)).count()),
        Some(end) => Look::Frame(end + 1),
        None if bytes.len() < LONGEST_LINE => Look::More,
        None => Look::NoneWithin(LONGEST_LINE, "too-long"),
    }
}
