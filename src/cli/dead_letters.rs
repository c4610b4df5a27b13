//! `tallyman dead-letters`: what could not be used, why, and putting it back through the pipeline.
//!
//! Works on the journal's file, beside a running daemon or without one. A replay is a request that
//! the daemon takes up; nothing is decoded here.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::journal::{self, Reader, StoredDeadLetter};

/// Letters read at once. One may take as much as `intake.max_kept`.
const PAGE: usize = 8;

/// Look at frames and messages that could not be used, and have them tried again.
#[derive(Args, Debug)]
pub struct DeadLettersArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// One line a letter, oldest first
    List {
        /// Only letters after this one
        #[arg(long, value_name = "ID")]
        after: Option<u64>,
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: usize,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// All that is kept of one letter, its payload as text and as hex
    Show {
        id: u64,
        /// As one JSON object, the payload in hex
        #[arg(long)]
        json: bool,
    },
    /// Ask the daemon to put letters back through the pipeline, for instance after a fix
    ///
    /// The daemon takes them up while it runs, or when it starts next. A letter goes when what came
    /// of it is committed; one that fails again comes back as a new letter.
    Replay {
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        ids: Vec<u64>,
        /// Every letter there is now
        #[arg(long)]
        all: bool,
    },
}

/// Runs against the journal at this path. The exit code is 1 where a letter that was named is not there.
pub async fn run(args: DeadLettersArgs, journal: &Path) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout();
    let read = match args.action {
        Action::List { after, limit, json } => list(&mut out, journal, after, limit, json).await,
        Action::Show { id, json } => show(&mut out, journal, id, json).await,
        Action::Replay { ids, all } => return replay(&mut out, journal, ids, all).await,
    };
    match read {
        Err(error) if super::is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        read => read,
    }
}

async fn list(
    out: &mut impl Write,
    journal: &Path,
    after: Option<u64>,
    limit: usize,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let reader = Reader::open(journal).await?;
    let mut after = after;
    let mut left = limit;
    let mut listed = 0;
    while left > 0 {
        let page = reader.dead_letters(after, left.min(PAGE)).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        left -= page.len();
        if listed == 0 && !json {
            let (id, received, source, protocol) = ("ID", "RECEIVED", "SOURCE", "PROTOCOL");
            writeln!(out, "{id:>8}  {received:<27}  {source:<20}  {protocol:<8}  {:>8}  REASON", "BYTES")?;
        }
        listed += page.len();
        for letter in &page {
            if json { writeln!(out, "{}", as_json(letter))? } else { line(out, letter)? }
        }
    }
    if listed == 0 && !json {
        writeln!(out, "no dead letters")?;
    } else if let (0, false, Some(last)) = (left, json, after)
        && !reader.dead_letters(after, 1).await?.is_empty()
    {
        writeln!(out, "there are more: --after {last}")?;
    }
    reader.close().await;
    Ok(ExitCode::SUCCESS)
}

fn line(out: &mut impl Write, letter: &StoredDeadLetter) -> io::Result<()> {
    let StoredDeadLetter { id, received_at, source, protocol, topic, payload, reason, detail, .. } = letter;
    let received = received_at.to_string();
    let bytes = letter.cut.map_or(payload.len() as u64, |cut| cut.full_bytes);
    let detail = printable(detail.as_bytes());
    let of = topic.as_ref().map(|topic| format!(" ({})", printable(topic.as_bytes()))).unwrap_or_default();
    writeln!(out, "{id:>8}  {received:<27}  {source:<20}  {protocol:<8}  {bytes:>8}  {reason}{of}: {detail}")
}

async fn show(out: &mut impl Write, journal: &Path, id: u64, json: bool) -> anyhow::Result<ExitCode> {
    let reader = Reader::open(journal).await?;
    let letter = reader.dead_letter(id).await?;
    reader.close().await;
    let Some(letter) = letter else {
        eprintln!("there is no dead letter {id}: it was replayed, dropped, or never there");
        return Ok(ExitCode::FAILURE);
    };
    if json {
        writeln!(out, "{}", as_json(&letter))?;
    } else {
        whole(out, &letter)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn whole(out: &mut impl Write, letter: &StoredDeadLetter) -> io::Result<()> {
    writeln!(out, "id        {}", letter.id)?;
    writeln!(out, "source    {}", letter.source)?;
    writeln!(out, "protocol  {}", letter.protocol)?;
    if let Some(topic) = &letter.topic {
        writeln!(out, "topic     {}", printable(topic.as_bytes()))?;
    }
    writeln!(out, "received  {}", letter.received_at)?;
    writeln!(out, "recorded  {}", letter.recorded_at)?;
    writeln!(out, "reason    {}", letter.reason)?;
    writeln!(out, "detail    {}", printable(letter.detail.as_bytes()))?;
    if let Some(cut) = letter.cut {
        writeln!(
            out,
            "length    {} bytes, of which the first {} are kept",
            cut.full_bytes,
            letter.payload.len()
        )?;
        writeln!(out, "sha-256   {} (of the whole)", hex::encode(cut.sha256))?;
    }
    writeln!(out, "\ntext ({} bytes)\n{}", letter.payload.len(), printable(&letter.payload))?;
    writeln!(out, "\nhex")?;
    for (nth, row) in letter.payload.chunks(16).enumerate() {
        let bytes: Vec<String> = row.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(out, "{:08x}  {}", nth * 16, bytes.join(" "))?;
    }
    Ok(())
}

async fn replay(out: &mut impl Write, journal: &Path, ids: Vec<u64>, all: bool) -> anyhow::Result<ExitCode> {
    let ids = if all { every_id(journal).await? } else { ids };
    let unknown = journal::request_replay(journal, &ids).await.context("the replay was not asked for")?;
    let asked = ids.len() - unknown.len();
    writeln!(
        out,
        "asked for the replay of {asked}: the daemon takes them up while it runs, or when it starts next"
    )?;
    for id in &unknown {
        eprintln!("there is no dead letter {id}: it was replayed, dropped, or never there");
    }
    Ok(if unknown.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn every_id(journal: &Path) -> anyhow::Result<Vec<u64>> {
    let reader = Reader::open(journal).await?;
    let ids = reader.dead_letter_ids().await?;
    reader.close().await;
    Ok(ids)
}

fn as_json(letter: &StoredDeadLetter) -> serde_json::Value {
    json!({
        "id": letter.id,
        "source": letter.source,
        "protocol": letter.protocol,
        "topic": letter.topic,
        "received_at": letter.received_at,
        "recorded_at": letter.recorded_at,
        "reason": letter.reason,
        "detail": letter.detail,
        "payload": hex::encode(&letter.payload),
        "cut": letter.cut.map(|cut| json!({
            "full_bytes": cut.full_bytes,
            "sha256": hex::encode(cut.sha256),
        })),
    })
}

/// As text that does nothing to a terminal: what is not printable stands escaped.
fn printable(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            if letter.is_control() { text.extend(letter.escape_default()) } else { text.push(letter) }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::JournalConfig;
    use crate::domain::ids::NodeId;
    use crate::domain::time::Timestamp;
    use crate::journal::{Batch, Cut, DeadLetter, Writer};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: DeadLettersArgs,
    }

    async fn journal_with(letters: usize) -> (tempfile::TempDir, std::path::PathBuf, Writer) {
        let folder = tempfile::tempdir().unwrap();
        let config = JournalConfig {
            path: folder.path().join("journal.db"),
            max_bytes: 1 << 30,
            reserve_bytes: 1 << 20,
            keep_reads: false,
            max_dead_letters: 1000,
            max_dead_letter_bytes: 256 << 20,
            retain_events: std::time::Duration::from_secs(3600),
            retain_people: std::time::Duration::from_secs(3600),
            retain_drivers: std::time::Duration::from_secs(3600),
            retain_measurements: std::time::Duration::from_secs(3600),
            retain_reads: std::time::Duration::from_secs(3600),
        };
        let now = Timestamp::from_secs(1_780_000_000);
        let mut opened = journal::open(&config, &NodeId::new("node"), now).await.unwrap();
        let letter = |nth: usize| DeadLetter {
            source: "broker".into(),
            received_at: now,
            reason: "not-json".to_owned(),
            detail: format!("letter {nth}"),
            protocol: "mqtt",
            topic: Some("owntracks/a/b".to_owned()),
            payload: b"{\"lat\":\x1b[31m\xff".to_vec(),
            cut: (nth == 3).then_some(Cut { full_bytes: 20_000_000, sha256: [0xab; 32] }),
        };
        let batch = Batch { dead_letters: (1..=letters).map(letter).collect(), ..Batch::default() };
        opened.writer.commit(&batch, now).await.unwrap();
        (folder, config.path, opened.writer)
    }

    #[tokio::test]
    async fn a_list_goes_page_by_page_beside_the_daemon_and_says_where_it_stopped() {
        let (_folder, path, _writer) = journal_with(120).await;
        let mut out = Vec::new();
        list(&mut out, &path, None, 110, false).await.unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 112, "{text}");
        assert!(
            text.contains("not-json (owntracks/a/b): letter 110") && text.ends_with("--after 110\n"),
            "{text}"
        );

        let mut out = Vec::new();
        list(&mut out, &path, Some(118), 100, true).await.unwrap();
        let ids: Vec<_> = out
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice::<serde_json::Value>(line).unwrap()["id"].clone())
            .collect();
        assert_eq!(ids, [119, 120]);
    }

    #[tokio::test]
    async fn a_payload_is_shown_as_text_and_hex_and_does_nothing_to_the_terminal() {
        let (_folder, path, _writer) = journal_with(1).await;
        let mut out = Vec::new();
        assert_eq!(show(&mut out, &path, 1, false).await.unwrap(), ExitCode::SUCCESS);
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains(r#"{"lat":\u{1b}[31m\xff"#), "{text}");
        assert!(text.contains("00000000  7b 22 6c 61 74 22 3a 1b 5b 33 31 6d ff"), "{text}");
        assert_eq!(show(&mut Vec::new(), &path, 2, false).await.unwrap(), ExitCode::FAILURE);
    }

    #[tokio::test]
    async fn a_letter_of_which_only_the_beginning_is_kept_says_so() {
        let (_folder, path, _writer) = journal_with(3).await;
        let mut out = Vec::new();
        show(&mut out, &path, 3, false).await.unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("20000000 bytes, of which the first 13 are kept"), "{text}");
        assert!(text.contains(&format!("sha-256   {}", "ab".repeat(32))), "{text}");
        let mut out = Vec::new();
        show(&mut out, &path, 3, true).await.unwrap();
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(json["cut"], json!({"full_bytes": 20_000_000, "sha256": "ab".repeat(32)}));
        let mut out = Vec::new();
        show(&mut out, &path, 2, false).await.unwrap();
        assert!(!String::from_utf8(out).unwrap().contains("sha-256"));
    }

    #[tokio::test]
    async fn replay_reaches_the_running_daemon_and_names_what_is_not_there() {
        let (_folder, path, mut writer) = journal_with(3).await;
        let mut out = Vec::new();
        assert_eq!(replay(&mut out, &path, vec![2, 9], false).await.unwrap(), ExitCode::FAILURE);
        assert!(String::from_utf8(out).unwrap().starts_with("asked for the replay of 1:"));
        let ids: Vec<_> = writer.take_replays().await.unwrap().iter().map(|letter| letter.id).collect();
        assert_eq!(ids, [2]);
        assert_eq!(replay(&mut Vec::new(), &path, vec![], true).await.unwrap(), ExitCode::SUCCESS);
    }

    #[test]
    fn replay_wants_ids_or_all() {
        assert!(Line::try_parse_from(["x", "replay"]).is_err());
        assert!(Line::try_parse_from(["x", "replay", "3", "4"]).is_ok());
        assert!(Line::try_parse_from(["x", "replay", "--all"]).is_ok());
        assert!(Line::try_parse_from(["x", "replay", "--all", "3"]).is_err());
    }
}
