//! What people write wrongly: every fault of a configuration or a CSV file at once, each with its place,
//! and nothing done.

use std::fs;
use std::path::PathBuf;

use crate::cli::{Said, tallyman};
use crate::daemon::Daemon;

/// The commands that read a configuration.
const READERS: [&[&str]; 6] = [
    &["run", "-c"],
    &["check", "-c"],
    &["import", "assets.csv", "-c"],
    &["explain", "FL-07", "-c"],
    &["dead-letters", "list", "-c"],
    &["alerts", "-c"],
];

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        self.path(name).display().to_string()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

#[test]
fn five_faults_of_three_kinds_are_five_lines_for_every_command() {
    let folder = Folder::new();
    // Two unknown keys, one wrong type, two bad values.
    let config = folder.file(
        "tallyman.toml",
        r#"
node = "n"
nodes = "x"
[journal]
path = "journal.db"
max_bytes = "lots"
max_byte = "1GiB"
[metrics]
listen = 5
[[site]]
name = "depot"
timezone = "Mars/Olympus"
"#,
    );
    for command in READERS {
        let said = tallyman(&[command, &[config.as_str()]].concat());
        said.fails_with(64, &[]);
        let mut lines: Vec<_> = said.err.lines().collect();
        lines.sort_unstable();
        let expected = [
            ("journal.max_byte", "max_byte", "max_bytes"),
            ("journal.max_bytes", "lots", "512MiB"),
            ("metrics.listen", "5", "127.0.0.1:8744"),
            ("nodes", "nodes", "allowed: "),
            ("site[0].timezone", "Mars/Olympus", "Europe/Berlin"),
        ];
        assert_eq!(lines.len(), expected.len(), "{command:?}: {said:?}");
        for (line, (path, value, allowed)) in lines.iter().zip(expected) {
            assert!(line.starts_with(&format!("{path}: ")), "{line}: no {path}");
            assert!(line.contains(value) && line.contains(allowed), "{line}: {value}, {allowed}");
        }
    }
    assert!(!folder.path("journal.db").exists(), "nothing was begun");
}

#[test]
fn a_configuration_that_is_not_there_or_no_text_says_so() {
    let folder = Folder::new();
    let missing = folder.path("missing.toml").display().to_string();
    fs::write(folder.path("binary.toml"), b"node = \"\xff\xfe\"").unwrap();
    let binary = folder.path("binary.toml").display().to_string();
    let broken = folder.file("broken.toml", "node = \"n\nx");
    let itself = folder.0.path().display().to_string();
    for command in READERS {
        let with = |config: &str| tallyman(&[command, &[config]].concat());
        with(&missing).fails_with(64, &["missing.toml", "-c FILE"]);
        with(&itself).fails_with(64, &["directory", "-c FILE"]);
        with(&binary).fails_with(64, &["UTF-8", "line 1"]);
        with(&broken).fails_with(64, &["line 1"]);
    }
}

const REGISTER: &str = r#"
node = "n"
[[site]]
name = "depot"
timezone = "Europe/Berlin"
[[zone]]
name = "hall"
[[class]]
name = "forklift"
"#;

/// Asks for an import; `daemon` may run.
fn import(daemon: &Daemon, arguments: &[&str], files: &[(&str, &[u8])]) -> Said {
    let config = daemon.path("tallyman.toml").display().to_string();
    let mut paths = Vec::new();
    for (name, bytes) in files {
        fs::write(daemon.path(name), bytes).unwrap();
        paths.push(daemon.path(name).display().to_string());
    }
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    tallyman(&[&["import", "-c", &config], arguments, &paths].concat())
}

fn explain(daemon: &Daemon, asset: &str) -> Said {
    tallyman(&["explain", "-c", &daemon.path("tallyman.toml").display().to_string(), asset])
}

const GOOD: [(&str, &[u8]); 3] = [
    ("assets.csv", b"id;class;home_zone\nFL-07;forklift;hall\nFL-08;forklift;\n"),
    ("tags.csv", b"epc,asset\n3034257bf7194e4000001a85,FL-07\n"),
    ("checkouts.csv", b"asset,holder,due_back\nFL-07,Ada,2099-12-24 17:00\n"),
];

/// Offline and through the control socket alike.
async fn an_import_is_all_or_nothing(daemon: &mut Daemon) {
    let bad: [(&str, &[u8]); 3] = [
        ("assets.csv", b"id,class,home_zone\nFL-07,forklift,hall\nFL-08,crane,hall\nFL-09,forklift,moon\n"),
        ("tags.csv", b"epc,asset\nzz,FL-07\n3034257bf7194e4000001a85,FL-99\n"),
        ("checkouts.csv", b"asset,holder,due_back\nFL-07,Ada,tomorrow\n"),
    ];
    let said = import(daemon, &[], &bad);
    let places = [
        "assets.csv:3: column 2 (class)",
        "assets.csv:4: column 3 (home_zone)",
        "tags.csv:2: column 1 (epc)",
        "tags.csv:3: column 2 (asset)",
        "checkouts.csv:2: column 3 (due_back)",
        "nothing was imported",
    ];
    said.fails_with(65, &places);
    assert_eq!(said.err.lines().filter(|line| line.contains(": column ")).count(), 5, "{said:?}");
    import(daemon, &[], &[("assets.csv", b"id,class\n\xff,forklift\n")])
        .fails_with(65, &["assets.csv:2", "UTF-8"]);
    import(daemon, &[], &[("assets.csv", b"id,class\n\"FL-07,forklift\n")]).fails_with(65, &["assets.csv:2"]);
    import(daemon, &[], &[("assets.csv", b"id,colour\nFL-07,red\n")])
        .fails_with(65, &["assets.csv:1", "colour"]);
    import(daemon, &[], &[("assets.csv", b"")]).fails_with(65, &["assets.csv"]);
    assert_ne!(explain(daemon, "FL-07").code, 0, "nothing was imported");

    let said = import(daemon, &["--dry-run"], &GOOD);
    assert!(said.succeeds().contains("4 to create, 0 to update, 0 unchanged"), "{said:?}");
    assert_ne!(explain(daemon, "FL-07").code, 0, "a dry run changes nothing");
    let said = import(daemon, &[], &GOOD);
    assert_eq!(said.succeeds(), "4 created, 0 updated, 0 unchanged\n");
    let said = explain(daemon, "FL-07");
    assert!(said.succeeds().contains("Ada has it"), "{said:?}");
    // 17:00 by the clock of the asset's site, in winter: as it was written, and as it was kept.
    assert!(said.out.contains("due back 2099-12-24 17:00:00 CET"), "{said:?}");
    let config = daemon.path("tallyman.toml").display().to_string();
    let kept = tallyman(&["explain", "-c", &config, "FL-07", "--json"]);
    assert!(kept.succeeds().contains("2099-12-24T16:00:00Z"), "{kept:?}");
    let said = import(daemon, &[], &GOOD);
    assert_eq!(said.succeeds(), "0 created, 0 updated, 4 unchanged\n");
    let dry = import(daemon, &["--dry-run"], &GOOD);
    assert!(dry.succeeds().contains("0 to create, 0 to update, 4 unchanged"), "{dry:?}");

    let taken = [("tags.csv", b"epc,asset\n3034257bf7194e4000001a85,FL-08\n" as &[u8])];
    import(daemon, &[], &taken).fails_with(65, &["tags.csv:2", "FL-07"]);
    let held = [("checkouts.csv", b"asset,holder\nFL-07,Grace\n" as &[u8])];
    import(daemon, &[], &held).fails_with(65, &["checkouts.csv:2", "Ada"]);
    let declared = [("zones.csv", b"name,site\nhall,depot\n" as &[u8])];
    import(daemon, &[], &declared).fails_with(65, &["zones.csv:2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_without_a_daemon_is_all_or_nothing() {
    let mut daemon = Daemon::prepare(|place| format!("{REGISTER}\n{}", place.tables("")));
    an_import_is_all_or_nothing(&mut daemon).await;
    // What was imported so is what the daemon then has.
    daemon.start();
    daemon.ready().await;
    let said = import(&daemon, &[], &GOOD);
    assert_eq!(said.succeeds(), "0 created, 0 updated, 4 unchanged\n");
    assert!(daemon.stop().await.success(), "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_through_a_running_daemon_is_all_or_nothing() {
    let mut daemon = Daemon::prepare(|place| format!("{REGISTER}\n{}", place.tables("")));
    daemon.start();
    daemon.ready().await;
    an_import_is_all_or_nothing(&mut daemon).await;
    assert!(daemon.stop().await.success(), "{}", daemon.log());
    let said = explain(&daemon, "FL-07");
    assert!(said.succeeds().contains("Ada has it"), "{said:?}");
}
