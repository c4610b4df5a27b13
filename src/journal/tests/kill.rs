//! `kill -9` of a process that commits: what it was told is durable is there, and every batch whole.
//!
//! The process is this test binary again, running [`commits_until_killed`] with the folder in an environment variable.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::*;

const FOLDER: &str = "TALLYMAN_TEST_KILL_FOLDER";
const KILLS: u64 = 12;
const MARK: &str = "durable up to ";

/// Batch n: events, a state row a subject and one for all, a dead letter every tenth time.
fn batch(nth: u64) -> Batch {
    let size = nth * 7 % 40 + 1;
    let first = nth * 100;
    Batch {
        events: (first..first + size)
            .map(|nth| if nth % 2 == 0 { location(nth) } else { fix(nth) })
            .collect(),
        state: vec![
            StateRow::put(StateKind::Book, "batch", &nth),
            StateRow::put(StateKind::Asset, format!("A-{}", nth % 20), &nth),
            StateRow::delete(StateKind::Asset, format!("A-{}", (nth + 10) % 20)),
        ],
        dead_letters: if nth % 10 == 9 { vec![letter(nth)] } else { Vec::new() },
        replayed: Vec::new(),
    }
}

async fn last_batch(journal: &Opened) -> Option<u64> {
    let value = journal.reader.state(StateKind::Book, "batch").await.unwrap()?;
    Some(serde_json::from_slice(&value).unwrap())
}

#[test]
fn commits_until_killed() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut journal = opened(Path::new(&folder)).await;
        let next = last_batch(&journal).await.map_or(0, |last| last + 1);
        for nth in next..next + 1_000_000 {
            journal.writer.commit(&batch(nth), noon(nth as i64)).await.unwrap();
            println!("\n{MARK}{nth}");
        }
    });
}

/// Gives back the last batch that the process was told is durable.
fn commit_and_kill(folder: &Path, after_batches: u64) -> u64 {
    let test = format!("{}::commits_until_killed", module_path!().split_once("::").unwrap().1);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([&test, "--exact", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let durable = lines.map_while(Result::ok).filter_map(|line| line.strip_prefix(MARK)?.parse().ok());
    let mut last = None;
    for (count, nth) in durable.enumerate() {
        if count as u64 == after_batches {
            child.kill().unwrap();
        }
        last = Some(nth);
    }
    child.wait().unwrap();
    last.expect("it committed")
}

#[tokio::test]
async fn every_batch_is_whole_and_what_was_durable_is_there() {
    let folder = tempfile::tempdir().unwrap();
    for kill in 0..KILLS {
        let told = commit_and_kill(folder.path(), kill * 17 % 50);
        let mut journal = opened(folder.path()).await;
        assert!(journal.set_aside.is_none() && !journal.meta.created);
        let last = last_batch(&journal).await.unwrap();
        assert!(last >= told, "kill {kill}: told that {told} is durable, and {last} is the last");
        expect_batches_up_to(&mut journal, last).await;
        journal.reader.close().await;
        journal.writer.close().await.unwrap();
    }
}

async fn expect_batches_up_to(journal: &mut Opened, last: u64) {
    let stored = journal.reader.events_after(0, 1_000_000).await.unwrap();
    let ids: Vec<_> = stored.iter().map(|event| event.id).collect();
    let expected: Vec<_> = (0..=last).flat_map(|nth| batch(nth).events).map(|event| event.id).collect();
    assert_eq!(ids, expected);
    assert!(stored.iter().map(|event| event.seq).eq(1..=expected.len() as u64));
    assert_eq!(journal.meta.last_seq, expected.len() as u64);
    assert_eq!(journal.meta.last_heartbeat, Some(noon(last as i64)));

    let mut assets = std::collections::BTreeMap::new();
    for row in (0..=last).flat_map(|nth| batch(nth).state) {
        assets.insert((row.kind, row.key), row.value);
    }
    let state = journal.state.all().await.unwrap();
    let mut expected: Vec<_> =
        assets.into_iter().filter_map(|((kind, key), value)| Some((kind, key, value?))).collect();
    expected.sort_by_key(|(kind, key, _)| (kind.as_str(), key.clone()));
    assert_eq!(state, expected);

    let letters: Vec<u64> = (0..=last).filter(|nth| nth % 10 == 9).map(|nth| nth / 10 + 1).collect();
    let held = journal.reader.dead_letters(None, 1000).await.unwrap();
    assert!(held.iter().map(|letter| &letter.id).eq(letters.iter().rev().take(10).rev()));
}
