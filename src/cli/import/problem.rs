//! Faults of an import with their place, and the cells of a row that they are found in.

use std::fmt;

/// One fault. `Display`: `assets.csv:12: column 2 (class): "frklift": what is wrong; what is allowed`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImportProblem {
    pub file: String,
    /// The line that the row begins in, from 1.
    pub line: usize,
    /// Number, from 1, and name; number 0 where columns have none.
    pub column: Option<(usize, String)>,
    pub value: Option<String>,
    pub wrong: String,
    pub allowed: String,
}

impl fmt::Display for ImportProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        match &self.column {
            Some((0, name)) => write!(f, "{name}: ")?,
            Some((number, name)) if name.is_empty() => write!(f, "column {number}: ")?,
            Some((number, name)) => write!(f, "column {number} ({name}): ")?,
            None => {}
        }
        if let Some(value) = &self.value {
            write!(f, "{value}: ")?;
        }
        write!(f, "{}; {}", self.wrong, self.allowed)
    }
}

/// A file's name and header: what places a problem beside the line.
#[derive(Clone, Debug)]
pub struct Sheet {
    pub file: String,
    pub header: Vec<String>,
    /// Its columns have names and no numbers.
    pub json: bool,
}

impl Sheet {
    pub fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|column| column == name)
    }

    /// A problem with the cell of `column` in the row at `line`.
    pub fn problem(
        &self,
        line: usize,
        column: &str,
        value: Option<&str>,
        wrong: impl Into<String>,
        allowed: impl Into<String>,
    ) -> ImportProblem {
        /// Longer values are cut in a problem's line.
        const SHOWN_CHARS: usize = 80;
        let value = value.map(|value| format!("{:?}", value.chars().take(SHOWN_CHARS).collect::<String>()));
        ImportProblem {
            file: self.file.clone(),
            line,
            column: match self.json {
                true => Some((0, column.to_owned())).filter(|_| !column.is_empty()),
                false => self.column(column).map(|index| (index + 1, column.to_owned())),
            },
            value,
            wrong: wrong.into(),
            allowed: allowed.into(),
        }
    }
}

/// The cells of one row, by column name. Empty cells count as not there.
pub struct Cells<'r> {
    sheet: &'r Sheet,
    line: usize,
    fields: &'r [String],
    problems: &'r mut Vec<ImportProblem>,
}

/// Names and numbers longer than this are a mistake.
const ID_CHARS: usize = 200;

impl<'r> Cells<'r> {
    pub fn new(
        sheet: &'r Sheet,
        line: usize,
        fields: &'r [String],
        problems: &'r mut Vec<ImportProblem>,
    ) -> Self {
        Self { sheet, line, fields, problems }
    }

    pub fn text(&self, column: &str) -> Option<&'r str> {
        let field = self.fields.get(self.sheet.column(column)?)?;
        Some(field.as_str()).filter(|field| !field.is_empty())
    }

    /// Columns whose name begins with `prefix`.
    pub fn columns_under(&self, prefix: &str) -> Vec<String> {
        self.sheet.header.iter().filter(|name| name.starts_with(prefix)).cloned().collect()
    }

    pub fn problem(&mut self, column: &str, wrong: impl Into<String>, allowed: impl Into<String>) {
        let value = self.text(column);
        self.problems.push(self.sheet.problem(self.line, column, value, wrong, allowed));
    }

    /// Text that must be there and names something.
    pub fn id(&mut self, column: &str) -> Option<&'r str> {
        let Some(text) = self.text(column) else {
            self.problem(column, "empty", "it must be filled in");
            return None;
        };
        if text.chars().count() > ID_CHARS || text.chars().any(char::is_control) {
            self.problem(column, "not a name", "one line of at most 200 characters");
            return None;
        }
        Some(text)
    }

    /// `Some(None)`: the cell is empty; `None`: it has a problem.
    pub fn parsed<T>(
        &mut self,
        column: &str,
        allowed: &str,
        parse: impl FnOnce(&str) -> Result<T, &'static str>,
    ) -> Option<Option<T>> {
        let Some(text) = self.text(column) else { return Some(None) };
        match parse(text) {
            Ok(value) => Some(Some(value)),
            Err(wrong) => {
                self.problem(column, wrong, format!("write {allowed}"));
                None
            }
        }
    }

    /// As [`Self::parsed`], one of a few words, in any case.
    pub fn choice<T: Copy>(&mut self, column: &str, choices: &[(&str, T)]) -> Option<Option<T>> {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let allowed = words.join(", ");
        self.parsed(column, &allowed, |text| {
            let choice = choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
            choice.map(|(_, value)| *value).ok_or("unknown value")
        })
    }
}
