//! Secrets: inline, from a file, from the environment, or a systemd credential; exactly one of them.
//!
//! Their values are never part of a problem.

use std::fmt;
use std::path::{Path, PathBuf};

use super::document::Section;

/// A value that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Where the configuration's outside is: the folder that relative paths start from, and the environment.
pub(super) struct Surroundings<'e> {
    pub base_dir: &'e Path,
    pub env: &'e dyn Fn(&str) -> Option<String>,
}

impl Surroundings<'_> {
    /// A path as the configuration gives it, relative to the configuration's own folder.
    pub fn path(&self, text: &str) -> PathBuf {
        self.base_dir.join(text)
    }
}

/// Reads `key`, `key_file`, `key_env` or `key_credential`; `None` where none of them is there, or where
/// there is a problem with it.
pub(super) fn secret(section: &Section<'_>, key: &str, around: &Surroundings<'_>) -> Option<Secret> {
    let (file_key, env_key) = (format!("{key}_file"), format!("{key}_env"));
    let credential_key = format!("{key}_credential");
    let forms = [key, &file_key, &env_key, &credential_key];
    let given: Vec<&str> = forms.into_iter().filter(|form| section.has(form)).collect();
    // All are read, so that each counts as known and each wrong type is told.
    let inline = section.text(key);
    let file = section.text(&file_key).map(|path| read(&around.path(path)));
    let env = section
        .text(&env_key)
        .map(|name| (around.env)(name).ok_or_else(|| "this environment variable is not set".to_owned()));
    let credential = section.text(&credential_key).map(|name| credential(name, around));
    if let [first, second, ..] = given.as_slice() {
        section.problem(
            second,
            format!("given beside {first}"),
            format!("write only one of {}", forms.join(", ")),
        );
        return None;
    }
    let form = given.first()?;
    let found = inline.map(|text| Ok(text.to_owned())).or(file).or(env).or(credential)?;
    match found {
        Ok(text) if text.trim().is_empty() => {
            section.problem(form, "empty", "the secret's text is wanted, one line");
            None
        }
        Ok(text) => Some(Secret::new(text.trim_end_matches(['\r', '\n']))),
        Err(wrong) => {
            section.problem(form, wrong, format!("one of {} must yield the secret", forms.join(", ")));
            None
        }
    }
}

fn credential(name: &str, around: &Surroundings<'_>) -> Result<String, String> {
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        return Err("not the name of a credential".to_owned());
    }
    let folder = (around.env)("CREDENTIALS_DIRECTORY").ok_or(
        "$CREDENTIALS_DIRECTORY is not set: run as a systemd service with LoadCredential= or SetCredential=",
    )?;
    read(&Path::new(&folder).join(name))
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))
}
