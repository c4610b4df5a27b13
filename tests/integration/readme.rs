//! What README.md, and that of the benches, tell people to type and to look for is there: every `tallyman` command line parses,
//! every path exists, every configuration key and metric is one.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tallyman::cli;

/// Built, downloaded or made by the reader; not in the repository.
const MADE_LATER: [&str; 2] = ["target/", "fuzz/target"];

/// Everything wrong with the text, a line each.
fn faults(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for command in commands(text) {
        faults.extend(fault_of_command(&command).map(|fault| format!("`{command}`: {fault}")));
    }
    let known = known_keys();
    let metrics = fs::read_to_string(root().join("src/telemetry/names.rs")).unwrap();
    for span in code_spans(text) {
        if let Some(fault) = fault_of_span(&span, &known, &metrics) {
            faults.push(fault);
        }
    }
    for target in links(text) {
        if !root().join(&target).exists() {
            faults.push(format!("the link to {target} leads nowhere"));
        }
    }
    faults
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The lines of ```sh blocks that are commands, continued lines joined, comments and prompts away.
fn commands(text: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut shell = false;
    let mut joined = String::new();
    for line in text.lines() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            shell = !shell && matches!(language.trim(), "sh" | "bash" | "shell" | "console");
            continue;
        }
        if !shell {
            continue;
        }
        let line = line.trim();
        let line = line.strip_prefix("$ ").unwrap_or(line);
        if let Some(part) = line.strip_suffix('\\') {
            joined.push_str(part);
            continue;
        }
        joined.push_str(line);
        let line = std::mem::take(&mut joined);
        let line = line.split(" #").next().unwrap_or_default().trim();
        if !line.is_empty() && !line.starts_with('#') {
            // Each command of a line.
            commands.extend(
                line.split(" && ").flat_map(|part| part.split(" | ")).map(|part| part.trim().to_owned()),
            );
        }
    }
    commands
}

fn fault_of_command(command: &str) -> Option<String> {
    let mut words = words(command);
    while words.first().is_some_and(|word| word == "sudo" || word.contains('=')) {
        words.remove(0);
    }
    let path = words.iter().find(|word| is_path(word) && !exists(word));
    if let Some(path) = path {
        return Some(format!("there is no {path}"));
    }
    let program = words.first()?.rsplit('/').next()?.to_owned();
    let arguments: Vec<&str> = match program.as_str() {
        "tallyman" => words[1..].iter().map(String::as_str).collect(),
        "cargo" if words.get(1).is_some_and(|word| word == "run") => {
            let end = words.iter().position(|word| word == "--")?;
            if words[..end].iter().any(|word| word == "tallyman-sim") {
                return None;
            }
            words[end + 1..].iter().map(String::as_str).collect()
        }
        _ => return None,
    };
    let arguments: Vec<&str> =
        arguments.into_iter().take_while(|word| !word.starts_with('>') && !word.starts_with("2>")).collect();
    if arguments.iter().any(|word| matches!(*word, "--help" | "-h" | "--version")) {
        let subcommand = arguments.iter().find(|word| !word.starts_with('-'))?;
        let told = cli::parses(&[subcommand, "--help"]).expect_err("help is told instead of done");
        return (!told.contains("Usage: tallyman")).then_some(told);
    }
    cli::parses(&arguments).err()
}

/// Words as a shell splits them, quotes away.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for letter in command.chars() {
        match (quote, letter) {
            (None, '"' | '\'') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            (None, ' ') => words.push(String::new()),
            (_, letter) => words.last_mut().expect("never empty").push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// A path in the repository, by its first folder.
fn is_path(word: &str) -> bool {
    let word = word.trim_start_matches("./");
    let folder = word.split('/').next().unwrap_or_default();
    let known = ["src", "config", "deploy", "tests", "benches", "fuzz", "simulators", ".ci"];
    let inside = word.contains('/') && known.contains(&folder);
    inside
        && !word.contains(['<', '*', '…', '{', '$', ':'])
        && !MADE_LATER.iter().any(|made| word.starts_with(made))
}

fn exists(word: &str) -> bool {
    root().join(word.trim_start_matches("./")).exists()
}

/// What stands in `code`, outside of blocks.
fn code_spans(text: &str) -> Vec<String> {
    let mut spans = Vec::new();
    let mut block = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            block = !block;
        } else if !block {
            spans.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    spans
}

/// `[text](target)` within the repository.
fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#', ' ']).next());
    targets.filter(|target| !target.is_empty() && !target.contains("://")).map(str::to_owned).collect()
}

fn fault_of_span(span: &str, keys: &BTreeSet<String>, metrics: &str) -> Option<String> {
    if let Some(path) = span.split(' ').find(|word| is_path(word) && !exists(word)) {
        return Some(format!("`{span}`: there is no {path}"));
    }
    if let Some(arguments) = span.strip_prefix("tallyman ") {
        // The prose may leave arguments out: the subcommand has to be there.
        let subcommand = arguments.split(' ').next().unwrap_or_default();
        let told = cli::parses(&[subcommand, "--help"]).expect_err("help is told instead of done");
        let is_one = subcommand.starts_with('-') || told.contains(&format!("Usage: tallyman {subcommand}"));
        return (!is_one).then(|| format!("`{span}`: there is no such command"));
    }
    if span.starts_with("tallyman_") {
        let name = span.split('{').next().unwrap_or_default();
        let stem =
            ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        let known = |name: &str| metrics.contains(&format!("\"{name}\""));
        return (!known(name) && !known(stem)).then(|| format!("`{span}`: there is no such metric"));
    }
    let tables: BTreeSet<&str> = keys.iter().filter_map(|key| key.split('.').next()).collect();
    let path = span.trim_start_matches('[').trim_end_matches(']');
    let is_table = span.starts_with('[');
    let is_key = path.split_once('.').is_some_and(|(table, _)| tables.contains(table))
        && path.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '_' | '.' | '0'..='9'))
        && !["toml", "rs", "db", "sock", "csv", "md", "yml"]
            .iter()
            .any(|end| path.ends_with(&format!(".{end}")));
    let known = keys.contains(path) || keys.iter().any(|key| key.starts_with(&format!("{path}.")));
    ((is_key || (is_table && !path.contains(' '))) && !known)
        .then(|| format!("`{span}`: there is no such key"))
}

/// Every key that `config/tallyman.toml` explains, as `table.key`, the commented ones too.
fn known_keys() -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("config/tallyman.toml")).unwrap();
    let mut keys = BTreeSet::new();
    let mut table = String::new();
    for line in text.lines() {
        if line.starts_with('[') {
            table = line.trim_matches(['[', ']']).to_owned();
            keys.insert(table.clone());
            continue;
        }
        let line = line.trim_start_matches('#').trim();
        let Some((key, _)) = line.split_once(" = ") else { continue };
        let key = key.trim();
        if key.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit()) {
            keys.insert(if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") });
        }
    }
    keys
}

#[test]
fn what_the_readme_tells_is_so() {
    let text = fs::read_to_string(root().join("README.md")).expect("README.md");
    let told = commands(&text);
    assert!(told.iter().any(|command| command.contains("cargo run --release -- demo")), "{told:?}");
    assert!(told.iter().any(|command| command.contains("deploy/dev/test")), "{told:?}");
    let faults = faults(&text);
    assert!(faults.is_empty(), "README.md is wrong:\n{}", faults.join("\n"));
}

#[test]
fn what_is_told_of_the_numbers_is_so() {
    let text = fs::read_to_string(root().join("benches/README.md")).expect("benches/README.md");
    let faults = faults(&text);
    assert!(faults.is_empty(), "benches/README.md is wrong:\n{}", faults.join("\n"));
    let benches: BTreeSet<&str> = text.split("cargo bench --bench ").skip(1).map(first_word).collect();
    let missing: Vec<_> =
        benches.iter().filter(|bench| !root().join(format!("benches/{bench}.rs")).exists()).collect();
    assert!(missing.is_empty() && benches.len() > 10, "{missing:?} of {benches:?}");
}

fn first_word(text: &str) -> &str {
    text.split(|letter: char| !letter.is_ascii_lowercase()).next().unwrap_or_default()
}

#[test]
fn this_test_finds_what_is_planted() {
    let good = "Say `tallyman check`, see `journal.max_bytes`, `[web]`, `tallyman_frames_total` and \
        [the map](ARCHITECTURE.md).\n```sh\n# a comment\ncargo run --release -- demo --for 60s\n\
        sudo deploy/dev/test\ntallyman check -c config/minimal.toml --connect && tallyman alerts\n```\n";
    assert_eq!(faults(good), Vec::<String>::new());
    for (sound, broken) in [
        ("demo --for 60s", "demo --fro 60s"),
        ("tallyman check -c", "tallyman chekc -c"),
        ("tallyman alerts", "tallyman alerts --loud"),
        ("config/minimal.toml", "config/minimum.toml"),
        ("sudo deploy/dev/test", "sudo deploy/dev/tset"),
        ("`tallyman check`", "`tallyman chekc`"),
        ("`journal.max_bytes`", "`journal.max_byte`"),
        ("`[web]`", "`[wbe]`"),
        ("`tallyman_frames_total`", "`tallyman_frame_total`"),
        ("ARCHITECTURE.md", "ARCHITECTUER.md"),
    ] {
        let planted = good.replace(sound, broken);
        assert_ne!(planted, good);
        assert_eq!(faults(&planted).len(), 1, "{broken}: {:?}", faults(&planted));
    }
}
