//! A TOML document, read key by key. Each table knows which of its keys were asked for; what is left
//! over is a mistake. Everything that does not fit goes to the [`Report`] and reading goes on, so
//! that all problems come out at once.

use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problems::{Report, quoted, shown};
use super::values::{DURATION_ALLOWED, duration_text, nearest, parse_duration, parse_size, size_text};

/// One table of the document.
pub(super) struct Section<'d> {
    pub report: &'d Report,
    table: &'d DeTable<'d>,
    /// `reader[1]`; empty at the top.
    path: String,
    /// The path without indices, `reader`.
    pattern: String,
    /// Byte offset of the table's head.
    at: usize,
    asked: RefCell<Vec<String>>,
}

impl<'d> Section<'d> {
    pub fn top(report: &'d Report, table: &'d DeTable<'d>) -> Self {
        Self { report, table, path: String::new(), pattern: String::new(), at: 0, asked: RefCell::default() }
    }

    fn child(&self, key: &str, index: Option<usize>, table: &'d DeTable<'d>, at: usize) -> Self {
        let path = match index {
            Some(index) => format!("{}[{index}]", self.path_of(key)),
            None => self.path_of(key),
        };
        let pattern = join(&self.pattern, key);
        Self { report: self.report, table, path, pattern, at, asked: RefCell::default() }
    }

    pub fn path_of(&self, key: &str) -> String {
        join(&self.path, key)
    }

    /// Line of the table's head.
    pub fn line(&self) -> usize {
        self.report.line(self.at)
    }

    fn value(&self, key: &str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.report.asked(&self.pattern, key);
        self.asked.borrow_mut().push(key.to_owned());
        self.table.get(key)
    }

    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Reports a fault of `key`'s value, or of the whole table where the key is not there.
    pub fn problem(&self, key: &str, wrong: impl Into<String>, allowed: impl Into<String>) {
        let found = self.table.get(key);
        let at = found.map_or(self.at, |value| value.span().start);
        let value = found.map(|value| shown(key, value.get_ref()));
        self.report.problem(self.path_of(key), value, wrong.into(), allowed.into(), at);
    }

    /// Passes `value` on; where there is none because the key is not there, that is a problem.
    pub fn need<T>(&self, key: &str, value: Option<T>, allowed: &str) -> Option<T> {
        if value.is_none() && !self.has(key) {
            self.problem(key, "missing", format!("write {allowed}"));
        }
        value
    }

    fn typed<T>(
        &self,
        key: &str,
        allowed: &str,
        convert: impl FnOnce(&'d DeValue<'d>) -> Option<T>,
    ) -> Option<T> {
        let value = self.value(key)?.get_ref();
        let converted = convert(value);
        if converted.is_none() {
            self.problem(key, format!("wrong type: {}", value.type_str()), format!("write {allowed}"));
        }
        converted
    }

    pub fn text(&self, key: &str) -> Option<&'d str> {
        self.typed(key, "text in quotes", DeValue::as_str)
    }

    /// Text that `parse` understands; it says what is wrong where it does not.
    pub fn parsed<T, W: Into<String>>(
        &self,
        key: &str,
        allowed: &str,
        parse: impl FnOnce(&'d str) -> Result<T, W>,
    ) -> Option<T> {
        match parse(self.typed(key, allowed, DeValue::as_str)?) {
            Ok(value) => Some(value),
            Err(wrong) => {
                self.problem(key, wrong, format!("write {allowed}"));
                None
            }
        }
    }

    pub fn flag(&self, key: &str) -> Option<bool> {
        self.typed(key, "true or false", DeValue::as_bool)
    }

    pub fn integer<T: TryFrom<i64>>(&self, key: &str, range: RangeInclusive<i64>) -> Option<T> {
        let allowed = format!("a whole number from {} to {}", range.start(), range.end());
        let number = self.typed(key, &allowed, whole_number)?;
        let value = T::try_from(number).ok().filter(|_| range.contains(&number));
        if value.is_none() {
            self.problem(key, "out of range", format!("write {allowed}"));
        }
        value
    }

    /// A finite number within the range.
    pub fn number(&self, key: &str, range: RangeInclusive<f64>) -> Option<f64> {
        let allowed = if range.start().is_finite() {
            format!("a number from {} to {}", range.start(), range.end())
        } else {
            "a number".to_owned()
        };
        let value = self.typed(key, &allowed, any_number)?;
        if value.is_finite() && range.contains(&value) {
            return Some(value);
        }
        self.problem(key, "out of range", format!("write {allowed}"));
        None
    }

    pub fn duration(&self, key: &str, range: RangeInclusive<Duration>) -> Option<Duration> {
        let limits = format!("from {} to {}", duration_text(*range.start()), duration_text(*range.end()));
        let value = self.parsed(key, &format!("{DURATION_ALLOWED}, {limits}"), |text| {
            parse_duration(text).ok_or("not a duration")
        })?;
        if range.contains(&value) {
            return Some(value);
        }
        self.problem(key, "out of range", format!("allowed: {limits}"));
        None
    }

    pub fn size(&self, key: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let limits = format!("from {} to {}", size_text(*range.start()), size_text(*range.end()));
        let allowed = format!("a size such as \"512MiB\" or \"4GiB\", {limits}");
        let value = self.parsed(key, &allowed, |text| parse_size(text).ok_or("not a size"))?;
        if range.contains(&value) {
            return Some(value);
        }
        self.problem(key, "out of range", format!("allowed: {limits}"));
        None
    }

    pub fn choice<T: Copy>(&self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        let names: Vec<String> = choices.iter().map(|(name, _)| format!("{name:?}")).collect();
        let allowed = names.join(" or ");
        self.parsed(key, &allowed, |text| {
            choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value).ok_or("unknown value")
        })
    }

    /// A name that must be one of `known`; `kind` is what it names.
    pub fn reference<'k>(
        &self,
        key: &str,
        kind: &str,
        known: impl Iterator<Item = &'k str> + Clone,
    ) -> Option<&'d str> {
        let name = self.text(key)?;
        if known.clone().any(|candidate| candidate == name) {
            return Some(name);
        }
        let (wrong, allowed) = dangling(kind, name, known);
        self.problem(key, wrong, allowed);
        None
    }

    /// Elements of an array, each converted on its own; `None` where one of them is not understood.
    pub fn list<T>(
        &self,
        key: &str,
        allowed: &str,
        convert: impl Fn(&'d DeValue<'d>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let array = self.typed(key, &format!("an array of: {allowed}"), DeValue::as_array)?;
        let mut items = Vec::with_capacity(array.len());
        for (index, item) in array.iter().enumerate() {
            match convert(item.get_ref()) {
                Some(item) => items.push(item),
                None => {
                    let path = format!("{}[{index}]", self.path_of(key));
                    let value = Some(shown(key, item.get_ref()));
                    let (wrong, allowed) = ("not understood".to_owned(), format!("write {allowed}"));
                    self.report.problem(path, value, wrong, allowed, item.span().start);
                }
            }
        }
        (items.len() == array.len()).then_some(items)
    }

    /// A number, or an array of numbers, all of them finite.
    pub fn numbers(&self, key: &str, allowed: &str) -> Option<Vec<f64>> {
        let finite = |value: &DeValue<'_>| any_number(value).filter(|number| number.is_finite());
        match self.value(key)?.get_ref() {
            DeValue::Array(_) => self.list(key, allowed, finite),
            _ => self.typed(key, allowed, finite).map(|number| vec![number]),
        }
    }

    /// The same, each as it is written: a whole number keeps all its digits, and `nan` and `inf` are numbers.
    pub fn raw_numbers(&self, key: &str, allowed: &str) -> Option<Vec<RawNumber>> {
        match self.value(key)?.get_ref() {
            DeValue::Array(_) => self.list(key, allowed, raw_number),
            _ => self.typed(key, allowed, raw_number).map(|number| vec![number]),
        }
    }

    /// A table of texts under keys of any name.
    pub fn words(&self, key: &str) -> Vec<(&'d str, &'d str)> {
        let allowed = "a table of words, for instance { 0 = \"off\", 1 = \"on\" }";
        let Some(table) = self.typed(key, allowed, DeValue::as_table) else { return Vec::new() };
        let mut words = Vec::new();
        for (name, value) in table.iter() {
            match value.get_ref().as_str() {
                Some(word) => words.push((name.get_ref().as_ref(), word)),
                None => self.problem(key, "not a word in quotes", format!("write {allowed}")),
            }
        }
        words
    }

    /// Text, or an array of texts, each of which `parse` understands; it says what is wrong where it does not.
    pub fn texts<T>(
        &self,
        key: &str,
        allowed: &str,
        parse: impl Fn(&'d str) -> Result<T, &'static str>,
    ) -> Option<Vec<T>> {
        match self.value(key)?.get_ref() {
            DeValue::Array(_) => {
                let items = self.list(key, allowed, |value| parse(value.as_str()?).ok())?;
                if items.is_empty() {
                    self.problem(key, "empty", format!("write {allowed}"));
                }
                (!items.is_empty()).then_some(items)
            }
            _ => self.parsed(key, allowed, parse).map(|item| vec![item]),
        }
    }

    /// The table under `key`; an absent one reads as empty, so that its keys count as asked for.
    pub fn table(&self, key: &str) -> Option<Section<'d>> {
        self.table_or(key, || format!("write a table, [{}]", join(&self.pattern, key)))
    }

    /// `allowed`: what is to be written instead of what is no table.
    pub fn table_or(&self, key: &str, allowed: impl FnOnce() -> String) -> Option<Section<'d>> {
        let found = self.value(key)?;
        match found.get_ref() {
            DeValue::Table(table) => Some(self.child(key, None, table, found.span().start)),
            other => {
                self.problem(key, format!("wrong type: {}", other.type_str()), allowed());
                None
            }
        }
    }

    /// The tables of an array of tables; none where the key is not there.
    pub fn tables(&self, key: &str) -> Vec<Section<'d>> {
        let head = format!("[[{}]]", join(&self.pattern, key));
        let Some(found) = self.value(key) else { return Vec::new() };
        let DeValue::Array(array) = found.get_ref() else {
            self.problem(
                key,
                format!("wrong type: {}", found.get_ref().type_str()),
                format!("write {head}, once for each"),
            );
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (index, item) in array.iter().enumerate() {
            match item.get_ref() {
                DeValue::Table(table) => {
                    sections.push(self.child(key, Some(index), table, item.span().start));
                }
                other => {
                    let path = format!("{}[{index}]", self.path_of(key));
                    let wrong = format!("wrong type: {}", other.type_str());
                    let value = Some(shown(key, other));
                    let allowed = format!("write a table, {head} or {{ … }}");
                    self.report.problem(path, value, wrong, allowed, item.span().start);
                }
            }
        }
        sections
    }

    /// Reports the keys that nobody asked for. Their values are not shown: a mistyped `password` is
    /// still a password.
    pub fn finish(self) {
        let asked = self.asked.borrow();
        for (key, _) in self.table.iter() {
            let name = key.get_ref().as_ref();
            if asked.iter().any(|known| known == name) {
                continue;
            }
            let mut known: Vec<&str> = asked.iter().map(String::as_str).collect();
            known.sort_unstable();
            known.dedup();
            let allowed = match nearest(name, known.iter().copied()) {
                Some(meant) => format!("did you mean {meant:?}? allowed: {}", known.join(", ")),
                None => format!("allowed: {}", known.join(", ")),
            };
            let wrong = format!("unknown key {}", quoted(name));
            self.report.problem(self.path_of(name), None, wrong, allowed, key.span().start);
        }
    }
}

/// What to say of a name that nothing has.
fn dangling<'k>(kind: &str, name: &str, known: impl Iterator<Item = &'k str> + Clone) -> (String, String) {
    /// More names than this are not listed.
    const LISTED: usize = 12;
    let mut names: Vec<&str> = known.clone().collect();
    names.sort_unstable();
    let listed: Vec<String> = names.iter().take(LISTED).map(|name| format!("{name:?}")).collect();
    let more = if names.len() > LISTED { ", …" } else { "" };
    let allowed = match (nearest(name, known), names.is_empty()) {
        (_, true) => format!("add a [[{kind}]] with this name"),
        (Some(meant), _) => format!("did you mean {meant:?}? there are: {}{more}", listed.join(", ")),
        (None, _) => format!("there are: {}{more}", listed.join(", ")),
    };
    (format!("no {kind} has this name"), allowed)
}

fn whole_number(value: &DeValue<'_>) -> Option<i64> {
    let DeValue::Integer(number) = value else { return None };
    // Past what 64 bits hold it is a number all the same, and out of every range.
    Some(i64::from_str_radix(number.as_str(), number.radix()).unwrap_or(i64::MAX))
}

/// A number as it is written.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum RawNumber {
    Whole(i128),
    Real(f64),
}

fn raw_number(value: &DeValue<'_>) -> Option<RawNumber> {
    match value {
        DeValue::Integer(number) => {
            i128::from_str_radix(number.as_str(), number.radix()).ok().map(RawNumber::Whole)
        }
        DeValue::Float(number) => number.as_str().parse().ok().map(RawNumber::Real),
        _ => None,
    }
}

fn any_number(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Float(number) => number.as_str().parse().ok(),
        DeValue::Integer(_) => whole_number(value).map(|number| number as f64),
        _ => None,
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
