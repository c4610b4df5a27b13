//! JSON of our own, of which there may be a million rows to read.

use serde::Deserialize;

/// As [`serde_json::from_slice`] does it. That the text is UTF-8 is looked at once, and not at each string.
pub fn read<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, serde_json::Error> {
    match std::str::from_utf8(json) {
        Ok(text) => serde_json::from_str(text),
        // It says where.
        Err(_) => serde_json::from_slice(json),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_told_as_serde_tells_it() {
        assert_eq!(read::<Vec<&str>>("[\"\u{e4}\"]".as_bytes()).unwrap(), ["\u{e4}"]);
        let error = read::<Vec<String>>(b"[\"a\", \"\xff\"]").unwrap_err();
        assert!(error.to_string().contains("line 1 column"), "{error}");
    }
}
