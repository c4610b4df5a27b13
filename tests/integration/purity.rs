//! The pure stages compute and do nothing else: no clock, no I/O, no randomness, no global. This reads
//! their source; what `clippy.toml` bans is checked by clippy, and here that it is banned.

use std::fs;
use std::path::{Path, PathBuf};

const PURE: [&str; 5] = ["src/domain", "src/decode", "src/clean", "src/track", "src/epcis"];

/// What must not stand in their code, with what it would be. An identifier is matched whole.
const BANNED: [(&str, &str); 33] = [
    ("SystemTime", "a clock"),
    ("Instant", "a clock"),
    ("Timestamp::now", "a clock"),
    ("Zoned::now", "a clock"),
    ("WallClock", "a clock"),
    ("TimeZone::system", "the machine's settings"),
    ("std::fs", "I/O"),
    ("std::net", "I/O"),
    ("std::io", "I/O"),
    ("std::process", "I/O"),
    ("std::env", "the environment"),
    ("env!", "the environment"),
    ("option_env!", "the environment"),
    ("println!", "I/O"),
    ("eprintln!", "I/O"),
    ("dbg!", "I/O"),
    ("tokio", "I/O"),
    ("sqlx", "I/O"),
    ("rumqttc", "I/O"),
    ("reqwest", "I/O"),
    ("axum", "I/O"),
    ("tempfile", "I/O"),
    ("rand", "randomness"),
    ("RandomState", "randomness"),
    ("DefaultHasher", "randomness in its iteration"),
    ("std::thread", "a thread"),
    ("thread_local!", "a global"),
    ("static mut", "a global"),
    ("OnceLock", "a global"),
    ("LazyLock", "a global"),
    ("OnceCell", "a global"),
    ("Mutex", "shared state"),
    ("unsafe", "unsafe code"),
];

/// A thing that is banned, and the line it stands on.
#[derive(PartialEq, Debug)]
struct Found {
    line: usize,
    what: &'static str,
    why: &'static str,
}

/// Where the code (not its comments, texts, or tests) says what is banned.
fn impurities(source: &str) -> Vec<Found> {
    let code = code_of(source);
    let shipped = code.find("#[cfg(test)]\nmod tests {").map_or(code.as_str(), |at| &code[..at]);
    let mut found = Vec::new();
    for (number, line) in shipped.lines().enumerate() {
        for (what, why) in BANNED {
            if holds(line, what) {
                found.push(Found { line: number + 1, what, why });
            }
        }
    }
    found
}

/// Whether `line` has `what` with no letter of a longer name around it; blanks in a path do not matter.
fn holds(line: &str, what: &str) -> bool {
    let line = line.replace(" :: ", "::").replace("std::{", "std::");
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(what).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(is_name);
        let after = line[at + what.len()..].chars().next().is_some_and(is_name);
        !before && !after
    })
}

/// The source with comments and the inside of texts blanked out; lines stay where they are.
fn code_of(source: &str) -> String {
    let bytes: Vec<char> = source.chars().collect();
    let mut code = String::with_capacity(source.len());
    let mut at = 0;
    let blank = |c: char| if c == '\n' { '\n' } else { ' ' };
    while at < bytes.len() {
        let rest = &bytes[at..];
        let skipped = match rest {
            ['/', '/', ..] => rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
            ['/', '*', ..] => block_comment(rest),
            ['"', ..] => text(rest),
            ['r', '"' | '#', ..] if !code.ends_with(|c: char| c.is_alphanumeric() || c == '_') => {
                raw_text(rest)
            }
            ['\'', '\\', ..] => 2 + rest[2..].iter().position(|c| *c == '\'').unwrap_or(0) + 1,
            ['\'', _, '\'', ..] => 3,
            _ => 0,
        };
        if skipped == 0 {
            code.push(bytes[at]);
            at += 1;
        } else {
            code.extend(rest[..skipped].iter().copied().map(blank));
            at += skipped;
        }
    }
    code
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn text(rest: &[char]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != '"' {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// 0 where it is no raw text: `r#type`.
fn raw_text(rest: &[char]) -> usize {
    let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
    if rest.get(1 + hashes) != Some(&'"') {
        return 0;
    }
    let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let body = 2 + hashes;
    let found = rest[body..].windows(end.len()).position(|window| window == end);
    found.map_or(rest.len(), |found| body + found + end.len())
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Source files that are shipped.
fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "tests" {
            sources(&path, files);
        } else if name.ends_with(".rs") && name != "tests.rs" && !name.ends_with("_tests.rs") {
            files.push(path);
        }
    }
}

#[test]
fn the_pure_stages_are_pure() {
    let mut files = Vec::new();
    for folder in PURE {
        sources(&root().join(folder), &mut files);
    }
    assert!(files.len() > 60, "only {} files: are the folders still there?", files.len());
    let mut faults = Vec::new();
    for file in files {
        for found in impurities(&fs::read_to_string(&file).unwrap()) {
            let file = file.strip_prefix(root()).unwrap().display();
            faults.push(format!("{file}:{}: {} is {}", found.line, found.what, found.why));
        }
    }
    assert!(faults.is_empty(), "not pure:\n{}", faults.join("\n"));
}

#[test]
fn the_guard_sees_every_impurity_that_is_planted() {
    for (what, _) in BANNED {
        let planted = format!("//! pure\nfn f() {{\n    let x = {what};\n}}\n");
        let found = impurities(&planted);
        assert!(found.iter().any(|found| found.line == 3 && found.what == what), "{what}: {found:?}");
    }
    assert_eq!(impurities("use std::{fs, io};\n").len(), 1, "a list begins with what is banned");
    let file = root().join("src/clean/mod.rs");
    let real = fs::read_to_string(file).unwrap().replacen(
        "impl Cleaner {",
        "impl Cleaner {\n    fn late(&self) -> bool { std::time::Instant::now().elapsed().as_secs() > 3 }",
        1,
    );
    assert_eq!(impurities(&real).len(), 1);
}

#[test]
fn comments_texts_tests_and_longer_names_are_no_impurities() {
    let clean = r##"
//! Never reads SystemTime, never uses tokio.
/* nor /* std::fs */ rand */
fn f(operand: u8, grand_total: u8) -> &'static str { let c = '"'; "std::fs \" rand" }
fn g() -> &'static str { r#"Instant "quoted" sqlx"# }
fn h<'a>(instant: &'a str, tokio_like: u8) -> char { '\'' }
#[cfg(test)]
mod tests {
    use std::time::Instant;
}
"##;
    assert_eq!(impurities(clean), []);
}

#[test]
fn clippy_bans_clocks_and_sleeps() {
    let text = fs::read_to_string(root().join("clippy.toml")).unwrap();
    let table: toml::Table = text.parse().unwrap();
    let banned: Vec<&str> = table["disallowed-methods"]
        .as_array()
        .unwrap()
        .iter()
        .map(|ban| {
            assert!(ban["reason"].as_str().is_some_and(|reason| reason.len() > 10), "{ban}: no reason");
            ban["path"].as_str().unwrap()
        })
        .collect();
    for path in
        ["std::time::SystemTime::now", "jiff::Timestamp::now", "jiff::Zoned::now", "std::thread::sleep"]
    {
        assert!(banned.contains(&path), "clippy.toml does not ban {path}");
    }
}
