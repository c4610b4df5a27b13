//! Rows that SQLite has joined to one text, taken apart again: a row at a time through the driver takes several times as
//! long, for it copies each value, and wakes whoever waits with each row.

use std::str::FromStr;

/// Words, each before a space, and texts of lengths that they told; `None` where it is not as expected.
pub(super) struct Joined<'a>(pub &'a [u8]);

impl<'a> Joined<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Up to the next space, which is no part of it.
    pub fn word(&mut self) -> Option<&'a str> {
        let end = self.0.iter().position(|byte| *byte == b' ')?;
        let word = self.0.split_off(..end)?;
        self.0.split_off(..1)?;
        std::str::from_utf8(word).ok()
    }

    pub fn number<T: FromStr>(&mut self) -> Option<T> {
        self.word()?.parse().ok()
    }

    /// A word that is empty where nothing was there.
    pub fn maybe<T: FromStr>(&mut self) -> Option<Option<T>> {
        match self.word()? {
            "" => Some(None),
            word => word.parse().ok().map(Some),
        }
    }

    pub fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        self.0.split_off(..count)
    }

    pub fn text(&mut self, count: usize) -> Option<&'a str> {
        std::str::from_utf8(self.bytes(count)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_texts_are_taken_in_turn_and_nothing_beyond_the_end() {
        let mut joined = Joined("12  3 a\u{e4}-7 ".as_bytes());
        assert_eq!(
            (joined.number(), joined.maybe::<f64>(), joined.number()),
            (Some(12_u64), Some(None), Some(3))
        );
        assert_eq!((joined.text(3), joined.maybe()), (Some("a\u{e4}"), Some(Some(-7_i64))));
        assert!(joined.is_empty() && joined.word().is_none() && joined.bytes(1).is_none());
        assert_eq!(Joined(b"x ").number::<u64>(), None);
        assert_eq!(Joined(b"x ").maybe::<u64>(), None);
        assert_eq!(Joined(b"nospace").word(), None);
        assert_eq!(Joined(b"\xff").text(1), None);
    }
}
