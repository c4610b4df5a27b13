//! One text that is looked for, and what takes its place.
//!
//! Of a text, whole words are found: `P-7` in "handed to P-7", in `P-7.pdf` and in `P-7_badge`, not in `P-70`,
//! `XP-7` or `FL-P-7`; `30` in "with 30", not in `07:30`, `2.30` or `30-11`.

/// What is looked for: a number, a name, or the digits of a badge's code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sort {
    /// A number on the register is what it is, to the letter.
    Number,
    /// Names are written as people write them, in whatever case.
    Name,
    /// Hexadecimal digits, in whatever case; a longer run of digits is another code.
    Code,
}

pub(super) struct Needle {
    pub sort: Sort,
    pub replacement: String,
    /// As it is compared: folded, unless it is a number.
    chars: Vec<char>,
    /// Its longest part that is written the same in JSON and in bytes, in lower case; it may be empty.
    hint: String,
    /// Digits alone, which devices write of anything.
    is_count: bool,
}

impl Needle {
    pub fn new(text: &str, replacement: &str, sort: Sort) -> Self {
        // A name of a letter or two is half the alphabet where case does not count.
        let sort = if sort == Sort::Name && text.chars().count() <= 2 { Sort::Number } else { sort };
        let chars = match sort {
            Sort::Number => text.chars().collect(),
            Sort::Name | Sort::Code => text.chars().flat_map(folded).collect(),
        };
        let is_count = sort != Sort::Code && text.chars().all(|c| c.is_ascii_digit());
        Self { sort, replacement: replacement.to_owned(), chars, hint: hint(text), is_count }
    }

    pub fn len(&self) -> usize {
        self.chars.len()
    }

    pub fn hint(&self) -> &str {
        &self.hint
    }

    /// Whether `text` is it, and nothing else.
    pub fn is(&self, text: &str) -> bool {
        self.end_of(text, 0) == Some(text.len())
    }

    pub fn is_in(&self, text: &str) -> bool {
        self.next_in(text, 0).is_some()
    }

    /// Whether what a device sent names it. Numbers are what devices send, so digits alone have to stand in
    /// quotes, as a text of theirs would.
    pub fn is_in_message(&self, text: &str) -> bool {
        let mut from = 0;
        while let Some((at, end)) = self.next_in(text, from) {
            let quoted = text[..at].ends_with(['"', '\'']) && text[end..].starts_with(['"', '\'']);
            if quoted || !self.is_count {
                return true;
            }
            from = end;
        }
        false
    }

    /// The text with the replacement wherever it stood; `None` where it does not.
    pub fn replaced_in(&self, text: &str) -> Option<String> {
        let mut out = String::new();
        let mut copied = 0;
        while let Some((at, end)) = self.next_in(text, copied) {
            out.push_str(&text[copied..at]);
            out.push_str(&self.replacement);
            copied = end;
        }
        if copied == 0 {
            return None;
        }
        out.push_str(&text[copied..]);
        Some(out)
    }

    /// Where it stands next as a word of its own: from, to.
    fn next_in(&self, text: &str, from: usize) -> Option<(usize, usize)> {
        text[from..].char_indices().find_map(|(offset, _)| {
            let at = from + offset;
            let end = self.end_of(text, at)?;
            self.stands_alone(text, at, end).then_some((at, end))
        })
    }

    /// Where it ends, should it begin at `at`.
    fn end_of(&self, text: &str, at: usize) -> Option<usize> {
        let mut wanted = self.chars.iter();
        for (offset, c) in text[at..].char_indices() {
            if wanted.as_slice().is_empty() {
                return Some(at + offset);
            }
            let same = match self.sort {
                Sort::Number => wanted.next() == Some(&c),
                Sort::Name | Sort::Code => folded(c).all(|c| wanted.next() == Some(&c)),
            };
            if !same {
                return None;
            }
        }
        (wanted.as_slice().is_empty() && !self.chars.is_empty()).then_some(text.len())
    }

    fn stands_alone(&self, text: &str, at: usize, end: usize) -> bool {
        let (before, after) = (text[..at].chars().rev(), text[end..].chars());
        let edge = |edge: Option<&char>| edge.is_some_and(char::is_ascii_digit);
        match self.sort {
            Sort::Code => ends_code(before) && ends_code(after),
            Sort::Number | Sort::Name => {
                ends_word(before, edge(self.chars.first())) && ends_word(after, edge(self.chars.last()))
            }
        }
    }
}

/// Whether what goes on there is no part of the same word. `digit`: the word has one at that side.
fn ends_word(mut beyond: impl Iterator<Item = char>, digit: bool) -> bool {
    match beyond.next() {
        None => true,
        Some(c) if c.is_alphanumeric() => false,
        Some('-') => !beyond.next().is_some_and(char::is_alphanumeric),
        // Of a time, a fraction, a date.
        Some('.' | ',' | ':' | '/') => !(digit && beyond.next().is_some_and(|c| c.is_ascii_digit())),
        Some(_) => true,
    }
}

/// A code may have the `x` of hexadecimal numbers before it.
fn ends_code(mut beyond: impl Iterator<Item = char>) -> bool {
    match beyond.next() {
        Some('x' | 'X') => !beyond.next().is_some_and(|c| c.is_alphanumeric() && c != '0'),
        Some(c) => !c.is_alphanumeric(),
        None => true,
    }
}

/// A letter as it is compared where case does not count: by way of the upper case, so that `ß` is `SS` and a final
/// sigma is a sigma.
fn folded(c: char) -> impl Iterator<Item = char> {
    c.to_uppercase().flat_map(char::to_lowercase)
}

fn hint(text: &str) -> String {
    let plain = |c: char| (' '..='~').contains(&c) && c != '"' && c != '\\';
    let mut parts: Vec<&str> = text.split(|c| !plain(c)).collect();
    // A letter with a mark may be written without one in the other case: the part is only what is certain.
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    parts.first().map_or(String::new(), |part| part.to_ascii_lowercase())
}

/// `needle` is in lower case.
pub(super) fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    let Some(first) = needle.first() else { return true };
    let Some(last) = bytes.len().checked_sub(needle.len()) else { return false };
    (0..=last).any(|at| {
        bytes[at].to_ascii_lowercase() == *first && bytes[at..at + needle.len()].eq_ignore_ascii_case(needle)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(needle: &str, sort: Sort, text: &str) -> Option<String> {
        Needle::new(needle, "X", sort).replaced_in(text)
    }

    #[test]
    fn a_number_is_found_where_it_is_a_word_of_its_own() {
        let number = |text| replaced("P-7", Sort::Number, text);
        for (text, erased) in [
            ("to P-7, then", "to X, then"),
            ("P-7 P-7", "X X"),
            ("scan of P-7.pdf", "scan of X.pdf"),
            ("P-7_badge", "X_badge"),
            ("file:P-7", "file:X"),
        ] {
            assert_eq!(number(text).as_deref(), Some(erased), "{text}");
        }
        for other in ["P-70", "XP-7", "FL-P-7", "P-7-2", "p-7", "P-7.2", "Ünter P-7ü", ""] {
            assert_eq!(number(other), None, "{other}");
        }
    }

    #[test]
    fn a_number_of_digits_is_no_part_of_a_time_or_a_fraction() {
        let number = |text| replaced("30", Sort::Number, text);
        assert_eq!(number("with 30.").as_deref(), Some("with X."));
        assert_eq!(number("30: late").as_deref(), Some("X: late"));
        for other in ["07:30", "2026-11-30T07:00:00Z", "30.5 %", "1,30", "30/11", "330"] {
            assert_eq!(number(other), None, "{other}");
        }
    }

    #[test]
    fn names_are_found_in_whatever_case_and_script() {
        let name = |needle, text| replaced(needle, Sort::Name, text);
        assert_eq!(name("Émile Zola", "by ÉMILE ZOLA").as_deref(), Some("by X"));
        assert_eq!(name("ÉMILE ZOLA", "émile zola's").as_deref(), Some("X's"));
        assert_eq!(name("Иван Петров", "для ИВАН петров").as_deref(), Some("для X"));
        assert_eq!(name("Jörg Strauß", "JÖRG STRAUSS").as_deref(), Some("X"));
        assert_eq!(name("Νίκος", "ΝΊΚΟΣ").as_deref(), Some("X"));
        assert_eq!(name("Ada", "Adam in Canada"), None);
        assert_eq!(name("Bo", "bo"), None, "two letters are taken as they are");
        assert_eq!(name("Straus", "Strauß"), None);
    }

    #[test]
    fn a_longer_run_of_digits_is_another_code() {
        let code = |text| replaced("3034257b", Sort::Code, text);
        assert_eq!(code("badge-3034257B.").as_deref(), Some("badge-X."));
        assert_eq!(code("urn:epc:raw:32.x3034257B").as_deref(), Some("urn:epc:raw:32.xX"));
        assert_eq!(code("0x3034257b").as_deref(), Some("0xX"));
        for other in ["3034257bf7", "aa3034257b", "ax3034257b", "3034257"] {
            assert_eq!(code(other), None, "{other}");
        }
    }

    #[test]
    fn what_devices_send_names_nobody_by_digits_alone() {
        let number = Needle::new("30", "X", Sort::Number);
        assert!(!number.is_in_message(r#"{"batt":30,"t":[1, 30]}"#));
        assert!(number.is_in_message(r#"{"batt":30,"tid":"30"}"#));
        assert!(Needle::new("P-7", "X", Sort::Number).is_in_message("who=P-7"));
    }

    #[test]
    fn a_hint_is_what_every_way_of_writing_it_has() {
        let hint = |text| Needle::new(text, "X", Sort::Name).hint().to_owned();
        assert_eq!(hint("Ada \"A\" Lovelace"), " lovelace");
        assert_eq!(hint("Émile Zola"), "mile zola");
        assert_eq!(hint("Иван"), "");
        assert!(contains("…ÉMILE ZOLA…".as_bytes(), b"mile zola"));
        assert!(contains(b"anything", b""));
    }
}
