//! Profiles in files of their own: `profiles = ["profiles/*.toml"]`.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::document::Section;
use crate::config::matching::matching;
use crate::config::problems::Report;

/// A file that was read.
pub(in crate::config) struct TextFile {
    /// As problems call it.
    name: String,
    text: String,
}

/// The same, taken apart.
pub(in crate::config) struct ProfileFile<'t> {
    pub name: &'t str,
    document: Spanned<DeTable<'t>>,
    report: Report,
}

/// Every file that `profiles` names, in order. Relative paths start from `base_dir`; what cannot be read is
/// reported.
pub(in crate::config) fn read_files(top: &Section<'_>, base_dir: &Path) -> Vec<TextFile> {
    let allowed = "paths of files; the last part may have one *, for instance \"profiles/*.toml\"";
    let mut files = Vec::new();
    for pattern in top.list("profiles", allowed, DeValue::as_str).unwrap_or_default() {
        match matching(&base_dir.join(pattern)) {
            Ok(paths) if paths.is_empty() => {
                top.problem("profiles", format!("no file is {pattern}"), allowed)
            }
            Ok(paths) => {
                for path in paths {
                    let name = path.strip_prefix(base_dir).unwrap_or(&path).display().to_string();
                    match std::fs::read_to_string(&path) {
                        Ok(text) => files.push(TextFile { name, text }),
                        Err(error) => {
                            top.problem("profiles", format!("{name} cannot be read: {error}"), allowed)
                        }
                    }
                }
            }
            Err(error) => top.problem("profiles", format!("{pattern} cannot be listed: {error}"), allowed),
        }
    }
    files
}

impl TextFile {
    pub fn parse(&self) -> ProfileFile<'_> {
        let text = self.text.strip_prefix('\u{feff}').unwrap_or(&self.text);
        let report = Report::new(text);
        let (document, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            report.syntax(text, error);
        }
        ProfileFile { name: &self.name, document, report }
    }
}

impl<'t> ProfileFile<'t> {
    pub fn table(&self) -> &DeTable<'t> {
        self.document.get_ref()
    }

    pub fn top<'s>(&'s self) -> Section<'s> {
        Section::top(&self.report, self.document.get_ref())
    }

    pub fn into_report(self) -> (String, Report) {
        (self.name.to_owned(), self.report)
    }
}
