//! Text off the wire: what is none, and where JSON is wrong.

use super::super::DecodeError;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The payload as text, without the byte order mark in front and the NULs behind that some clients send with it.
///
/// # Errors
/// Reasons: `empty`, `utf-8`.
pub(super) fn text_of(payload: &[u8]) -> Result<&str, DecodeError> {
    let payload = payload.strip_prefix(BYTE_ORDER_MARK).unwrap_or(payload);
    let end = payload.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let payload = &payload[..end];
    if payload.is_empty() {
        return Err(error("empty", 0, "the payload is empty".into()));
    }
    std::str::from_utf8(payload).map_err(|wrong| error("utf-8", wrong.valid_up_to(), "not UTF-8".into()))
}

/// Reasons: `type` where it is JSON of another shape, `depth` where it is nested too deep to be read, `json`.
pub(super) fn json_error(text: &str, wrong: &serde_json::Error) -> DecodeError {
    let message = wrong.to_string();
    let reason = match wrong.is_data() {
        true => "type",
        // The library has no kind of its own for it.
        false if message.starts_with("recursion limit") => "depth",
        false => "json",
    };
    let message = if reason == "json" { format!("not JSON: {message}") } else { message };
    error(reason, byte_offset(text, wrong.line(), wrong.column()), message)
}

/// serde_json counts lines and byte columns from 1.
fn byte_offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (before + column.saturating_sub(1)).min(text.len())
}

pub(super) fn missing(key: &str) -> DecodeError {
    error("missing", 0, format!("`{key}` is missing"))
}

/// Enough of a word from the wire to recognise it in a log line.
pub(super) fn clip(word: &str) -> &str {
    const MOST: usize = 64;
    match word.char_indices().nth(MOST) {
        Some((end, _)) => &word[..end],
        None => word,
    }
}

pub(super) fn error(reason: &'static str, offset: usize, message: String) -> DecodeError {
    DecodeError { reason, offset, message }
}
