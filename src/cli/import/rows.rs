//! CSV text → rows, strictly (RFC 4180): a quote that is never closed would swallow the rest of the
//! file, so it is a fault with a place and not a long field.
//!
//! Fields may be separated by commas, semicolons or tabs, whichever the header uses most; rows end with
//! LF or CRLF; space around a field does not count; rows without any text are passed over.

/// One row: the line that it begins in, from 1, and its fields.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    pub line: usize,
    pub fields: Vec<String>,
}

/// A row that cannot be read. Reading goes on with the next line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RowFault {
    pub line: usize,
    /// From 1.
    pub column: usize,
    pub wrong: &'static str,
    pub allowed: &'static str,
}

pub struct Rows<'t> {
    rest: &'t str,
    line: usize,
    delimiter: char,
}

impl<'t> Rows<'t> {
    pub fn new(text: &'t str) -> Self {
        let header = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        Self { rest: text, line: 1, delimiter: delimiter(header) }
    }

    fn row(&mut self) -> Result<Row, RowFault> {
        let line = self.line;
        let mut fields = Vec::new();
        loop {
            self.skip_spaces();
            let field = if self.rest.starts_with('"') { self.quoted() } else { self.plain() };
            match field {
                Ok(field) => fields.push(field),
                Err((wrong, allowed)) => {
                    self.skip_line();
                    return Err(RowFault { line, column: fields.len() + 1, wrong, allowed });
                }
            }
            match self.rest.chars().next() {
                Some(c) if c == self.delimiter => self.rest = &self.rest[c.len_utf8()..],
                _ => break,
            }
        }
        self.skip_line();
        Ok(Row { line, fields })
    }

    fn skip_spaces(&mut self) {
        let delimiter = self.delimiter;
        self.rest = self.rest.trim_start_matches(|c| c != delimiter && (c == ' ' || c == '\t'));
    }

    /// Up to the delimiter or the end of the line.
    fn plain(&mut self) -> Result<String, (&'static str, &'static str)> {
        let delimiter = self.delimiter;
        let end = self.rest.find([delimiter, '\n']).unwrap_or(self.rest.len());
        let (field, rest) = self.rest.split_at(end);
        self.rest = rest;
        if field.contains('"') {
            return Err((
                "a quote inside of a field",
                "put the whole field in quotes, and write \"\" for a quote",
            ));
        }
        Ok(field.trim().to_owned())
    }

    fn quoted(&mut self) -> Result<String, (&'static str, &'static str)> {
        let mut field = String::new();
        let mut rest = &self.rest[1..];
        loop {
            let Some(end) = rest.find('"') else {
                self.line += self.rest.matches('\n').count();
                self.rest = "";
                return Err((
                    "a quote that is never closed",
                    "close it: everything after it was taken for its text",
                ));
            };
            field.push_str(&rest[..end]);
            rest = &rest[end + 1..];
            match rest.strip_prefix('"') {
                Some(after) => {
                    field.push('"');
                    rest = after;
                }
                None => break,
            }
        }
        let consumed = self.rest.len() - rest.len();
        self.line += self.rest[..consumed].matches('\n').count();
        self.rest = rest;
        self.skip_spaces();
        let ends = self.rest.is_empty() || self.rest.starts_with([self.delimiter, '\n', '\r']);
        if ends {
            Ok(field.trim().to_owned())
        } else {
            Err(("text behind a closing quote", "write \"\" for a quote inside of a quoted field"))
        }
    }

    fn skip_line(&mut self) {
        match self.rest.find('\n') {
            Some(end) => {
                self.rest = &self.rest[end + 1..];
                self.line += 1;
            }
            None => self.rest = "",
        }
    }
}

impl Iterator for Rows<'_> {
    type Item = Result<Row, RowFault>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            match self.row() {
                Ok(row) if row.fields.iter().all(String::is_empty) => {}
                row => return Some(row),
            }
        }
        None
    }
}

/// The separator that the header uses most; the comma where it uses none.
fn delimiter(header: &str) -> char {
    let count = |delimiter: char| header.matches(delimiter).count();
    [',', ';', '\t'].into_iter().rev().max_by_key(|delimiter| count(*delimiter)).unwrap_or(',')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fields(text: &str) -> Vec<(usize, Vec<String>)> {
        Rows::new(text).map(|row| row.map(|row| (row.line, row.fields)).unwrap()).collect()
    }

    fn row(line: usize, fields: &[&str]) -> (usize, Vec<String>) {
        (line, fields.iter().map(|field| (*field).to_owned()).collect())
    }

    #[test]
    fn rows_and_their_lines() {
        let text = "a, b\r\n\r\n\"x\ny\",\"say \"\"hi\"\"\" \n,\n last,";
        let expected = [row(1, &["a", "b"]), row(3, &["x\ny", "say \"hi\""]), row(6, &["last", ""])];
        assert_eq!(fields(text), expected);
    }

    #[test]
    fn separators_of_spreadsheets() {
        assert_eq!(fields("a;b\n1,5;2"), [row(1, &["a", "b"]), row(2, &["1,5", "2"])]);
        assert_eq!(fields("a\tb\n\t2"), [row(1, &["a", "b"]), row(2, &["", "2"])]);
        assert_eq!(fields("a\nb"), [row(1, &["a"]), row(2, &["b"])]);
    }

    #[test]
    fn faults_have_their_place_and_reading_goes_on() {
        let text = "a,b\n1,x\"y\n\"1\"2,3\n5,6\n7,\"open\n8,9\n";
        let found: Vec<_> = Rows::new(text)
            .map(|row| row.map(|row| row.line).map_err(|fault| (fault.line, fault.column)))
            .collect();
        assert_eq!(found, [Ok(1), Err((2, 2)), Err((3, 1)), Ok(4), Err((5, 2))]);
    }

    proptest! {
        /// What an independent writer writes is what we read.
        #[test]
        fn what_was_written_is_read(rows in prop::collection::vec(prop::collection::vec("[a-z,;\"\n\r é]{0,8}", 3), 1..8)) {
            let mut writer = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
            writer.write_record(["a", "b", "c"]).unwrap();
            rows.iter().for_each(|row| writer.write_record(row).unwrap());
            let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            let written: Vec<Vec<String>> = rows
                .iter()
                .map(|row| row.iter().map(|field| field.trim().to_owned()).collect())
                .filter(|row: &Vec<String>| row.iter().any(|field| !field.is_empty()))
                .collect();
            let read: Vec<Vec<String>> = Rows::new(&text).skip(1).map(|row| row.unwrap().fields).collect();
            prop_assert_eq!(read, written);
        }

        #[test]
        fn any_text_ends(text in "[a,;\"\n\r\t é]{0,60}") {
            let lines = text.matches('\n').count() + 1;
            for row in Rows::new(&text) {
                let line = row.map_or_else(|fault| fault.line, |row| row.line);
                prop_assert!(line <= lines);
            }
        }
    }
}
