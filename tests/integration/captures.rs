//! Where recorded bytes of real equipment are, and what happens where they are not.

use std::path::{Path, PathBuf};

/// A folder of recorded captures, or `None` after saying which test goes without.
///
/// `TALLYMAN_CAPTURES` names another place than `shared/captures` beside the project, or further up. With
/// `TALLYMAN_REQUIRE_CAPTURES=1` a missing folder is a failure.
pub fn folder(name: &str) -> Option<PathBuf> {
    let around = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().skip(1);
    let mut around = around.map(|folder| folder.join("shared/captures"));
    let root = std::env::var_os("TALLYMAN_CAPTURES").map(PathBuf::from);
    let root =
        root.or_else(|| around.find(|folder| folder.is_dir())).unwrap_or_else(|| "shared/captures".into());
    let folder = root.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    let required = std::env::var("TALLYMAN_REQUIRE_CAPTURES").is_ok_and(|value| value == "1");
    assert!(!required, "the captures {} are required and absent", folder.display());
    println!("skipped: the captures {} are absent", folder.display());
    None
}

/// The files of a folder that end so, by name; at least one.
pub fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder can be listed");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("the folder can be listed").path())
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no .{extension} in {}", folder.display());
    files
}
