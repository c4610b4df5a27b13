//! What is wrong with a configuration, as lines for a person.
//!
//! A secret's value never gets here: keys that hold one are named in [`HOLDS_SECRET`], and passwords
//! inside of addresses are masked.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use toml::de::DeValue;

use super::values::mask_url;

/// Keys whose value is not shown, whatever is wrong with it. `sha256` is here because the likeliest
/// mistake is to put the token itself there.
const HOLDS_SECRET: [&str; 3] = ["password", "url", "sha256"];

/// Longer values are cut here in a problem's line.
const SHOWN_CHARS: usize = 80;

/// One fault: `path: value: what is wrong; what is allowed (line n)`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// Where it is not the configuration itself: a file of profiles, as the configuration calls it.
    pub file: Option<String>,
    /// For instance `reader[1].address`; indices count from 0.
    pub path: String,
    /// As written; `None` where there is none, or where it must not be shown.
    pub value: Option<String>,
    pub wrong: String,
    pub allowed: String,
    /// From 1.
    pub line: usize,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        if let Some(value) = &self.value {
            write!(f, "{value}: ")?;
        }
        write!(f, "{}; {} (line {})", self.wrong, self.allowed, self.line)
    }
}

/// Why there is no configuration. `Display` has one line for each problem.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("failed to read the configuration {path}: {source}; give its path with -c FILE", path = .path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path}: not UTF-8 text (line {line}); save it as UTF-8", path = .path.display())]
    NotText { path: PathBuf, line: usize },
    #[error("{}", one_line_each(.0))]
    Invalid(Vec<Problem>),
}

impl ConfigError {
    /// The problems found, in the order of the file; empty where it could not be read at all.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Invalid(problems) => problems,
            Self::Read { .. } | Self::NotText { .. } => &[],
        }
    }
}

fn one_line_each(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}

/// Collects what validation finds, and every key that it asks for.
#[derive(Debug)]
pub(super) struct Report {
    line_starts: Vec<usize>,
    problems: RefCell<Vec<Problem>>,
    /// Keys by table, without indices: `reader` → `address`, …
    asked: RefCell<BTreeMap<String, BTreeSet<String>>>,
    /// Lines that do not even parse: what follows from that is not a second problem.
    unparsed: RefCell<BTreeSet<usize>>,
}

impl Report {
    pub fn new(text: &str) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self {
            line_starts: std::iter::once(0).chain(newlines.map(|(at, _)| at + 1)).collect(),
            problems: RefCell::default(),
            asked: RefCell::default(),
            unparsed: RefCell::default(),
        }
    }

    /// Line of a byte offset, from 1.
    pub fn line(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset)
    }

    pub fn syntax(&self, text: &str, error: &toml::de::Error) {
        let line = self.line(error.span().map_or(0, |span| span.start));
        // The rest of a broken line is not shown: it may hold a secret.
        let source = text.lines().nth(line - 1).unwrap_or_default();
        let key = source.split_once('=').map_or("", |(key, _)| key.trim());
        let plain = key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
        let path = if plain { key.to_owned() } else { String::new() };
        let allowed = "write TOML: key = value, one a line, text and durations in quotes".to_owned();
        if self.unparsed.borrow_mut().insert(line) {
            let wrong = error.message().replace('\n', ": ");
            self.problems.borrow_mut().push(Problem { file: None, path, value: None, wrong, allowed, line });
        }
    }

    pub fn problem(&self, path: String, value: Option<String>, wrong: String, allowed: String, at: usize) {
        let line = self.line(at);
        if !self.unparsed.borrow().contains(&line) {
            self.problems.borrow_mut().push(Problem { file: None, path, value, wrong, allowed, line });
        }
    }

    pub fn asked(&self, table: &str, key: &str) {
        self.asked.borrow_mut().entry(table.to_owned()).or_default().insert(key.to_owned());
    }

    /// Everything that was asked for so far: what the sample has to document.
    #[cfg(test)]
    pub fn asked_keys(&self) -> BTreeMap<String, BTreeSet<String>> {
        self.asked.borrow().clone()
    }

    /// Takes over what was found in a file that belongs to this one.
    pub fn adopt(&self, file: String, other: Self) {
        let found = other.problems.into_inner().into_iter();
        let found = found.map(|problem| Problem { file: Some(file.clone()), ..problem });
        self.problems.borrow_mut().extend(found);
    }

    pub fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by(|a, b| (&a.file, a.line, &a.path).cmp(&(&b.file, b.line, &b.path)));
        problems
    }
}

/// A value as a problem shows it: on one line, cut, without secrets.
pub(super) fn shown(key: &str, value: &DeValue<'_>) -> String {
    if HOLDS_SECRET.contains(&key) {
        return "(hidden)".to_owned();
    }
    match value {
        // Not a variable's name: most likely the secret itself, put in the wrong place.
        DeValue::String(text) if key.ends_with("_env") && !is_variable(text) => "(hidden)".to_owned(),
        DeValue::String(text) => quoted(text),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(_) => "[…]".to_owned(),
        DeValue::Table(_) => "{…}".to_owned(),
    }
}

pub(super) fn quoted(text: &str) -> String {
    let masked = mask_url(text);
    match masked.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{:?}…", &masked[..end]),
        None => format!("{masked:?}"),
    }
}

fn is_variable(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}
