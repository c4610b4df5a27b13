//! CSV and JSON files → one import, or every problem in them. Pure: what is known already, and the time, are
//! arguments; no bytes make it panic.

use std::collections::BTreeMap;

use super::json;
use super::problem::{Cells, ImportProblem, Sheet};
use super::references;
use super::rows::Rows;
use super::tables::{ATTRIBUTES, Kind, RawCheckout, checkout, record};
use crate::config::Rules;
use crate::config::values::nearest;
use crate::domain::commands::Command;
use crate::domain::ids::AssetId;
use crate::domain::register::{Checkout, Record};
use crate::domain::time::Timestamp;

/// Progress is told once in so many rows.
pub const PROGRESS_ROWS: usize = 50_000;

/// One file to import.
pub struct CsvFile<'a> {
    /// As problems name it.
    pub name: String,
    /// `None`: by the file's name, or else by its header.
    pub kind: Option<Kind>,
    pub bytes: &'a [u8],
}

/// What there is before the import.
pub struct Known<'a> {
    /// Sites, and the zones and classes that the configuration declares.
    pub rules: &'a Rules,
    /// The register, by [`Record::state_key`].
    pub register: &'a BTreeMap<String, Record>,
    /// Open checkouts.
    pub held: &'a BTreeMap<AssetId, Checkout>,
    pub now: Timestamp,
}

/// Everything of all files: zones first, then classes, assets and what is attached to them.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Import {
    pub records: Vec<Record>,
    pub checkouts: Vec<Checkout>,
}

impl From<Import> for Command {
    fn from(import: Import) -> Self {
        Self::Import { records: import.records, checkouts: import.checkouts }
    }
}

/// Where a record comes from: index of the sheet, and line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Place {
    pub sheet: usize,
    pub line: usize,
}

/// A checkout whose times are still text.
pub(super) struct TimelessCheckout {
    pub place: Place,
    pub checkout: RawCheckout,
    pub due_back: Option<String>,
    pub checked_out_at: Option<String>,
}

/// All rows, each right by itself.
#[derive(Default)]
pub(super) struct Parsed {
    pub sheets: Vec<Sheet>,
    pub records: Vec<(Kind, Place, Record)>,
    pub checkouts: Vec<TimelessCheckout>,
}

/// Reads all files. `progress` is called with a file's name and the rows read of it so far.
///
/// Errors: every problem of every file, in the order of files and lines; then nothing is imported.
pub fn parse_files(
    files: &[CsvFile<'_>],
    known: &Known<'_>,
    progress: &mut dyn FnMut(&str, usize),
) -> Result<Import, Vec<ImportProblem>> {
    let mut parsed = Parsed::default();
    let mut problems = Vec::new();
    for file in files {
        parse_file(file, &mut parsed, &mut problems, progress);
    }
    let import = references::check(parsed, known, &mut problems);
    if problems.is_empty() {
        return Ok(import);
    }
    let order = |problem: &ImportProblem| files.iter().position(|file| file.name == problem.file);
    problems.sort_by_cached_key(|problem| (order(problem), problem.line, problem.column.clone()));
    Err(problems)
}

fn parse_file(
    file: &CsvFile<'_>,
    parsed: &mut Parsed,
    problems: &mut Vec<ImportProblem>,
    progress: &mut dyn FnMut(&str, usize),
) {
    if json::is_json(&file.name) {
        return json::parse(&file.name, file.bytes, parsed, problems, progress);
    }
    let mut sheet = Sheet { file: file.name.clone(), header: Vec::new(), json: false };
    if file.bytes.starts_with(&[0xff, 0xfe]) || file.bytes.starts_with(&[0xfe, 0xff]) {
        problems.push(sheet.problem(1, "", None, "UTF-16 text", "save it as CSV in UTF-8"));
        return;
    }
    if file.bytes.starts_with(b"PK\x03\x04") {
        problems.push(sheet.problem(1, "", None, "a workbook or an archive", "save it as CSV in UTF-8"));
        return;
    }
    // What is not UTF-8 becomes U+FFFD, which is then found in its cell.
    let text = String::from_utf8_lossy(file.bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut rows = Rows::new(text);
    let Some(kind) = read_header(file, &mut rows, &mut sheet, problems) else { return };
    let index = parsed.sheets.len();
    for (count, row) in rows.enumerate() {
        if (count + 1).is_multiple_of(PROGRESS_ROWS) {
            progress(&file.name, count + 1);
        }
        let row = match row {
            Ok(row) => row,
            Err(fault) => {
                let mut problem = sheet.problem(fault.line, "", None, fault.wrong, fault.allowed);
                problem.column = sheet.header.get(fault.column - 1).map(|name| (fault.column, name.clone()));
                problems.push(problem);
                continue;
            }
        };
        if !is_whole(&sheet, row.line, &row.fields, problems) {
            continue;
        }
        let place = Place { sheet: index, line: row.line };
        let mut cells = Cells::new(&sheet, row.line, &row.fields, problems);
        if kind == Kind::Checkouts {
            let text = |column| cells.text(column).map(str::to_owned);
            let (due_back, checked_out_at) = (text("due_back"), text("checked_out_at"));
            let checkout = checkout(&mut cells);
            parsed.checkouts.extend(checkout.map(|checkout| TimelessCheckout {
                place,
                checkout,
                due_back,
                checked_out_at,
            }));
        } else {
            parsed.records.extend(record(kind, &mut cells).map(|record| (kind, place, record)));
        }
    }
    parsed.sheets.push(sheet);
}

/// Whether a row has the header's number of cells, and all of them are text.
fn is_whole(sheet: &Sheet, line: usize, fields: &[String], problems: &mut Vec<ImportProblem>) -> bool {
    let before = problems.len();
    let (found, wanted) = (fields.len(), sheet.header.len());
    // Spreadsheets leave separators behind the last column.
    let surplus = fields.iter().skip(wanted).any(|field| !field.is_empty());
    if found < wanted || surplus {
        let wrong = format!("{found} cells, and the header has {wanted}");
        let allowed = "as many cells as the header; a cell with a separator in it stands in quotes";
        problems.push(sheet.problem(line, "", None, wrong, allowed));
    }
    for (field, name) in fields.iter().zip(&sheet.header) {
        if field.contains('\u{fffd}') {
            problems.push(sheet.problem(line, name, Some(field), "not UTF-8 text", "save the file as UTF-8"));
        }
    }
    problems.len() == before
}

/// Reads the header into `sheet`, and says what the file holds.
fn read_header(
    file: &CsvFile<'_>,
    rows: &mut Rows<'_>,
    sheet: &mut Sheet,
    problems: &mut Vec<ImportProblem>,
) -> Option<Kind> {
    let row = match rows.next() {
        Some(Ok(row)) => row,
        Some(Err(fault)) => {
            problems.push(sheet.problem(fault.line, "", None, fault.wrong, fault.allowed));
            return None;
        }
        None => {
            problems.push(sheet.problem(1, "", None, "no header", "the first row names the columns"));
            return None;
        }
    };
    sheet.header = row.fields.iter().map(|name| column_name(name)).collect();
    while sheet.header.last().is_some_and(String::is_empty) {
        sheet.header.pop();
    }
    let kind = file.kind.or_else(|| Kind::of_file(&file.name)).or_else(|| Kind::of_header(&sheet.header));
    let Some(kind) = kind else {
        let names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        let allowed = format!("name the file, or give --kind, one of: {}", names.join(", "));
        problems.push(sheet.problem(
            row.line,
            "",
            None,
            "neither its name nor its header says what it holds",
            allowed,
        ));
        return None;
    };
    header_fits(kind, row.line, sheet, problems).then_some(kind)
}

/// `Home Zone` and `home-zone` are `home_zone`; what follows `attributes.` stays as it is.
fn column_name(name: &str) -> String {
    let lower = name.to_lowercase().replace([' ', '-'], "_");
    match name.get(..ATTRIBUTES.len()) {
        Some(head) if head.eq_ignore_ascii_case(ATTRIBUTES) => {
            format!("{ATTRIBUTES}{}", name[ATTRIBUTES.len()..].trim())
        }
        _ => lower,
    }
}

fn header_fits(kind: Kind, line: usize, sheet: &Sheet, problems: &mut Vec<ImportProblem>) -> bool {
    let before = problems.len();
    let (needed, more) = kind.columns();
    let known = || needed.iter().chain(more).copied();
    let listed: Vec<&str> = known().collect();
    let listed = listed.join(", ");
    for column in needed.iter().filter(|column| sheet.column(column).is_none()) {
        let wrong = format!("no column {column:?}");
        problems.push(sheet.problem(line, "", None, wrong, format!("{} have: {listed}", kind.name())));
    }
    for (index, column) in sheet.header.iter().enumerate() {
        let attribute =
            kind == Kind::Assets && column.len() > ATTRIBUTES.len() && column.starts_with(ATTRIBUTES);
        let wrong = if sheet.header[..index].contains(column) {
            "a column that is there twice"
        } else if !attribute && !known().any(|name| name == column) {
            "an unknown column"
        } else {
            continue;
        };
        let allowed = match nearest(column, known()) {
            Some(meant) if wrong.contains("unknown") => {
                format!("did you mean {meant:?}? {} have: {listed}", kind.name())
            }
            _ => format!("{} have: {listed}", kind.name()),
        };
        let mut problem = sheet.problem(line, column, None, wrong, allowed);
        problem.column = Some((index + 1, column.clone()));
        problems.push(problem);
    }
    problems.len() == before
}
