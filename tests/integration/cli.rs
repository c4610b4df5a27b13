//! The command line as people type it: one process a command, what it says, and its exit code.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::servers::PATIENCE;

/// What a command said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    #[track_caller]
    pub fn fails_with(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "no `{word}` in {self:?}");
        }
    }

    #[track_caller]
    pub fn succeeds(&self) -> &str {
        assert_eq!(self.code, 0, "{self:?}");
        &self.out
    }
}

/// Runs `tallyman` to its end; one that does not end is killed, and fails the test.
pub fn tallyman(arguments: &[&str]) -> Said {
    tallyman_reads(arguments, b"")
}

pub fn tallyman_reads(arguments: &[&str], input: &[u8]) -> Said {
    tallyman_under(&[], arguments, input)
}

/// Started by another program: `wrapper` is it and its arguments.
pub fn tallyman_under(wrapper: &[&str], arguments: &[&str], input: &[u8]) -> Said {
    let folder = tempfile::tempdir().unwrap();
    let (out, err) = (folder.path().join("out"), folder.path().join("err"));
    let words = [wrapper, &[env!("CARGO_BIN_EXE_tallyman")], arguments].concat();
    let mut child = Command::new(words[0])
        .args(&words[1..])
        .env_remove("RUST_LOG")
        .stdin(Stdio::piped())
        .stdout(File::create(&out).unwrap())
        .stderr(File::create(&err).unwrap())
        .spawn()
        .expect("tallyman starts");
    let mut stdin = child.stdin.take().expect("its input is piped");
    // A command that does not read its input may be gone by now.
    if let Err(error) = stdin.write_all(input) {
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    }
    drop(stdin);
    let pid = child.id();
    let (ended, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || ended.send(child.wait()));
    let Ok(status) = end.recv_timeout(PATIENCE) else {
        let killed = Command::new("kill").args(["-9", &pid.to_string()]).status();
        panic!("{arguments:?} does not end ({killed:?}): {}", read(&err));
    };
    let status = status.expect("our own child");
    Said { code: status.code().expect("no signal"), out: read(&out), err: read(&err) }
}

fn read(path: &Path) -> String {
    String::from_utf8(std::fs::read(path).unwrap()).expect("UTF-8 output")
}

fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("one JSON object a line")).collect()
}

#[test]
fn codes_that_are_none_have_their_line_and_the_others_are_decoded() {
    let said = tallyman_reads(&["decode", "epc", "-"], b"3034257bf7194e4000001a85\nnothing\n\n3\nff\n");
    let lines = objects(said.succeeds());
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(lines[0]["uri"], "urn:epc:id:sgtin:0614141.812345.6789");
    for (line, offset) in lines[1..].iter().zip([25, 34, 36]) {
        assert!(line["error"].is_string(), "{line}");
        assert_eq!(line["offset"], offset);
    }
}

#[test]
fn an_owntracks_message_that_is_none_says_where_and_the_next_is_decoded() {
    let input = b"{\"_type\":\"location\",\"lat\":91,\"lon\":2,\"tst\":3}\n{not json\n\xff\xfe\n\
        owntracks/a/b {\"_type\":\"location\",\"lat\":53.5,\"lon\":10,\"tst\":1700000000}\n";
    let said = tallyman_reads(&["decode", "owntracks", "-"], input);
    let lines = objects(said.succeeds());
    assert_eq!(lines.len(), 4, "{lines:?}");
    let reasons: Vec<_> = lines[..3].iter().map(|line| line["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["range", "json", "utf-8"]);
    assert!(lines[..3].iter().all(|line| line["error"].is_string() && line["offset"].is_u64()), "{lines:?}");
    assert_eq!(lines[3]["device"], "a/b");
    assert_eq!(lines[3]["time"], "2023-11-14T22:13:20Z");
}

#[test]
fn decoding_llrp_goes_on_behind_garbage_and_stops_at_nothing() {
    let keepalive = [0x04, 0x3e, 0, 0, 0, 10, 0, 0, 0, 7];
    let mut input = b"this is no LLRP at all".to_vec();
    input.extend(keepalive);
    // An RO_ACCESS_REPORT whose parameter is longer than the message.
    input.extend([0x04, 0x3d, 0, 0, 0, 14, 0, 0, 0, 8, 0x00, 0xf0, 0xff, 0xff]);
    input.extend(keepalive);
    input.extend(&keepalive[..7]);
    let said = tallyman_reads(&["decode", "llrp", "-"], &input);
    let lines = objects(said.succeeds());
    let faults: Vec<_> = lines.iter().filter(|line| line["error"].is_string()).collect();
    assert!(faults.len() >= 3 && lines.len() - faults.len() == 2, "{lines:#?}");
    assert!(faults.iter().all(|fault| fault["offset"].is_u64()), "{faults:?}");
    let mut random = 1_u64;
    for length in 0..60 {
        let bytes: Vec<u8> = (0..length * 7)
            .map(|_| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (random >> 56) as u8
            })
            .collect();
        objects(tallyman_reads(&["decode", "llrp", "-"], &bytes).succeeds());
    }
}

#[test]
fn what_cannot_be_read_or_is_no_protocol_is_an_error() {
    tallyman(&["decode", "llrp", "/nowhere/capture.bin"]).fails_with(1, &["/nowhere/capture.bin"]);
    tallyman(&["decode", "morse", "-"]).fails_with(2, &["llrp", "epc", "owntracks"]);
}

/// A setting that mimalloc does not know by this name would do nothing, and say nothing.
#[test]
fn the_allocator_knows_what_the_unit_and_the_container_ask_of_it() {
    for file in ["deploy/systemd/tallyman.service", "deploy/container/Containerfile"] {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        let settings = text.split_ascii_whitespace().filter_map(|word| word.split("MIMALLOC_").nth(1));
        let settings: Vec<_> = settings.filter_map(|setting| setting.split_once('=')).collect();
        assert!(!settings.is_empty(), "{file} asks nothing of it");
        for (name, value) in settings {
            let mut command = Command::new(env!("CARGO_BIN_EXE_tallyman"));
            command.env("MIMALLOC_VERBOSE", "1").env(format!("MIMALLOC_{name}"), value).arg("--version");
            let said = command.output().unwrap();
            let words = format!("option '{}': {value} ", name.to_ascii_lowercase());
            let said = String::from_utf8_lossy(&said.stderr);
            assert!(said.contains(&words), "{file}: no `{words}` in {said}");
        }
    }
}

/// As `head` does with what it has read.
#[test]
fn whoever_stops_reading_what_is_printed_ends_it_quietly() {
    let (reads, writes) = std::io::pipe().unwrap();
    drop(reads);
    let output = Command::new(env!("CARGO_BIN_EXE_tallyman"))
        .args(["check", "-c", "config/tallyman.toml"])
        .stdout(writes)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*said), (Some(141), ""));
}

#[test]
fn the_help_of_an_import_lists_the_columns_of_each_file() {
    let help = tallyman(&["import", "--help"]);
    for file in ["sites", "assets       id* class*", "trackers     device*", "checkouts"] {
        assert!(help.succeeds().contains(file), "{file}: {}", help.succeeds());
    }
}
