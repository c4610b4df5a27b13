//! Files that are missing, locked, foreign, newer, damaged; a disk that is full.

use sqlx::{Connection, Executor, SqliteConnection};

use super::*;
use crate::journal::{JournalError, Reader, file};

async fn refused(folder: &Path) -> JournalError {
    open(&config(folder), &node(), noon(0)).await.map(|opened| opened.meta).unwrap_err()
}

async fn alter(folder: &Path, sql: &'static str) {
    let url = format!("sqlite:{}", config(folder).path.display());
    let mut conn = SqliteConnection::connect(&url).await.unwrap();
    conn.execute(sql).await.unwrap();
    conn.close().await.unwrap();
}

async fn made(folder: &Path, count: u64) {
    let mut journal = opened(folder).await;
    journal.writer.commit(&events((0..count).map(location)), noon(0)).await.unwrap();
    journal.reader.close().await;
    journal.writer.close().await.unwrap();
}

#[tokio::test]
async fn a_missing_folder_says_to_create_it_and_creates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("not/there");
    let error = refused(&missing).await;
    assert!(matches!(error, JournalError::MissingDirectory { .. }), "{error}");
    assert!(error.to_string().contains("create it"));
    assert!(!missing.exists());
}

#[tokio::test]
async fn a_second_daemon_is_refused_by_name_until_the_first_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let first = opened(folder.path()).await;
    let error = refused(folder.path()).await.to_string();
    assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
    first.reader.close().await;
    first.writer.close().await.unwrap();
    opened(folder.path()).await;
}

#[tokio::test]
async fn a_newer_format_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    made(folder.path(), 3).await;
    alter(folder.path(), "PRAGMA user_version = 99").await;
    let before = std::fs::read(config(folder.path()).path).unwrap();
    let error = refused(folder.path()).await.to_string();
    assert!(error.contains("format 99") && error.contains("newer version"), "{error}");
    assert_eq!(std::fs::read(config(folder.path()).path).unwrap(), before);
    let error = Reader::open(&config(folder.path()).path).await.unwrap_err();
    assert!(matches!(error, JournalError::Newer { .. }), "{error}");
}

/// It would go missing in the database, and nobody would know.
#[tokio::test]
async fn an_event_that_cannot_be_read_is_an_error_and_is_not_left_out() {
    let folder = tempfile::tempdir().unwrap();
    made(folder.path(), 3).await;
    alter(folder.path(), "UPDATE event SET id = x'00' WHERE seq = 2").await;
    let reader = Reader::open(&config(folder.path()).path).await.unwrap();
    let error = reader.events_after(0, 10).await.unwrap_err();
    assert!(matches!(error, JournalError::Database { .. }), "{error:?}");
    assert_eq!(reader.events_after(2, 10).await.unwrap().len(), 1);
}

/// As `.cargo/config.toml` has it: without, each commit is written twice.
#[tokio::test]
async fn sqlite_is_built_to_keep_the_undo_of_a_statement_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = opened(folder.path()).await;
    let options: Vec<String> =
        sqlx::query_scalar("PRAGMA compile_options").fetch_all(&mut journal.writer.conn).await.unwrap();
    for (option, is_wanted) in
        [("STMTJRNL_SPILL=4194304", true), ("DEFAULT_MEMSTATUS=0", true), ("ENABLE_MEMORY_MANAGEMENT", false)]
    {
        assert_eq!(options.iter().any(|there| there == option), is_wanted, "{option}: {options:?}");
    }
}

#[tokio::test]
async fn another_programs_database_another_nodes_journal_and_a_folder_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::File::create(config(folder.path()).path).unwrap();
    alter(folder.path(), "CREATE TABLE theirs (x)").await;
    assert!(matches!(refused(folder.path()).await, JournalError::NotAJournal { .. }));

    let folder = tempfile::tempdir().unwrap();
    made(folder.path(), 1).await;
    let other = open(&config(folder.path()), &NodeId::new("dock-2"), noon(0)).await.unwrap_err();
    assert!(other.to_string().contains("belongs to node `dock-1`"), "{other}");

    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(config(folder.path()).path).unwrap();
    assert!(matches!(refused(folder.path()).await, JournalError::NotAJournal { .. }));
}

#[tokio::test]
async fn an_empty_file_is_a_new_journal_and_no_file_is_none_to_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = config(folder.path()).path;
    let error = Reader::open(&path).await.unwrap_err();
    assert!(matches!(error, JournalError::Missing { .. }), "{error}");
    let error = request_replay(&path, &[1]).await.unwrap_err();
    assert!(matches!(error, JournalError::Missing { .. }), "{error}");
    std::fs::File::create(&path).unwrap();
    let error = Reader::open(&path).await.unwrap_err();
    assert!(matches!(error, JournalError::Older { found: 0, .. }), "{error}");
    assert!(opened(folder.path()).await.meta.created);
}

/// A journal whose newest commits are still in its log, as a crash leaves it.
async fn crashed(folder: &Path) -> JournalConfig {
    let origin = tempfile::tempdir().unwrap();
    let mut journal = opened(origin.path()).await;
    journal.writer.commit(&events((0..500).map(location)), noon(0)).await.unwrap();
    copy_as_after_a_crash(origin.path(), folder);
    config(folder)
}

pub fn copy_as_after_a_crash(from: &Path, to: &Path) {
    for suffix in ["", "-wal"] {
        let (from, to) = (file::beside(&config(from).path, suffix), file::beside(&config(to).path, suffix));
        if from.exists() {
            std::fs::copy(from, to).unwrap();
        }
    }
}

async fn expect_set_aside(config: &JournalConfig, damaged: &[u8], log: Option<&[u8]>) {
    let mut journal = open(config, &node(), noon(0)).await.unwrap();
    let aside = journal.set_aside.expect("it was set aside");
    assert!(aside.to_string_lossy().ends_with(".damaged-20260529T120000Z"), "{}", aside.display());
    assert!(
        journal.meta.created && journal.meta.last_seq == 0 && journal.state.all().await.unwrap().is_empty()
    );
    assert_eq!(std::fs::read(&aside).unwrap(), damaged, "the damaged file was changed");
    if let Some(log) = log {
        assert_eq!(std::fs::read(file::beside(&aside, "-wal")).unwrap(), log, "its log was changed");
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_set_aside_with_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let config = crashed(folder.path()).await;
    let garbage = b"this is not a database, but as long as a page would be ".repeat(100);
    std::fs::write(&config.path, &garbage).unwrap();
    std::fs::write(file::beside(&config.path, "-wal"), b"nor is this a log").unwrap();
    expect_set_aside(&config, &garbage, Some(b"nor is this a log")).await;
}

#[tokio::test]
async fn a_damaged_page_is_found_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    made(folder.path(), 5000).await;
    let config = config(folder.path());
    let mut bytes = std::fs::read(&config.path).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 2048].fill(0xa5);
    std::fs::write(&config.path, &bytes).unwrap();
    expect_set_aside(&config, &bytes, None).await;
}

#[tokio::test]
async fn a_file_cut_short_is_found_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    made(folder.path(), 5000).await;
    let config = config(folder.path());
    let bytes = std::fs::read(&config.path).unwrap();
    std::fs::write(&config.path, &bytes[..bytes.len() / 2]).unwrap();
    expect_set_aside(&config, &bytes[..bytes.len() / 2], None).await;
}

#[tokio::test]
async fn two_damaged_journals_of_one_second_are_both_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = config(folder.path()).path;
    let mut names = Vec::new();
    for _ in 0..2 {
        std::fs::write(&path, b"garbage that is longer than nothing").unwrap();
        let journal = opened(folder.path()).await;
        names.push(journal.set_aside.unwrap());
        journal.reader.close().await;
        journal.writer.close().await.unwrap();
    }
    assert_ne!(names[0], names[1]);
    assert!(names.iter().all(|name| name.exists()));
}

#[tokio::test]
async fn a_suspect_journal_is_checked_to_the_last_index_entry() {
    let folder = tempfile::tempdir().unwrap();
    made(folder.path(), 10).await;
    let config = config(folder.path());
    // An index that its table does not agree with: the quick check compares nothing.
    alter(
        folder.path(),
        "PRAGMA writable_schema = ON; \
         UPDATE sqlite_schema SET sql = replace(sql, '(seq, kind)', '(kind, seq)') WHERE name = 'event_lasting'",
    )
    .await;
    let journal = opened(folder.path()).await;
    assert!(journal.set_aside.is_none(), "not looked for at every start");
    journal.reader.close().await;
    journal.writer.close().await.unwrap();

    file::mark_suspect(&config.path);
    let journal = opened(folder.path()).await;
    assert!(journal.set_aside.is_some());
    assert!(!file::beside(&config.path, ".suspect").exists(), "looked at, and done with");
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_the_same_batch_goes_in_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = opened(folder.path()).await;
    let mut before = events((0..10).map(location));
    before.dead_letters = vec![letter(1)];
    journal.writer.commit(&before, noon(0)).await.unwrap();

    journal.writer.limit_pages(20).await;
    let mut large = events((10..5000).map(location));
    large.state = vec![StateRow::put(StateKind::Book, "gate", &1)];
    large.dead_letters = vec![letter(2)];
    for _ in 0..3 {
        let error = journal.writer.commit(&large, noon(1)).await.unwrap_err();
        assert!(matches!(error, JournalError::Full { .. }) && error.is_passing(), "{error}");
        assert!(error.to_string().contains("free space"), "{error}");
        assert_eq!(journal.reader.events_after(0, 10_000).await.unwrap().len(), 10);
        assert_eq!(journal.reader.state(StateKind::Book, "gate").await.unwrap(), None);
    }
    // What is small still goes in.
    journal.writer.commit(&events([location(9999)]), noon(1)).await.unwrap();

    journal.writer.limit_pages(1 << 20).await;
    let committed = journal.writer.commit(&large, noon(2)).await.unwrap();
    assert_eq!((committed.last_seq, committed.inserted), (5001, 4990));
    assert_eq!(journal.reader.dead_letters(None, 10).await.unwrap().len(), 2);
    assert_eq!(journal.reader.state(StateKind::Book, "gate").await.unwrap().unwrap(), b"1");
}

#[tokio::test]
async fn a_commit_dropped_half_way_is_rolled_back_before_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = opened(folder.path()).await;
    let large = events((0..5000).map(location));
    {
        let mut commit = std::pin::pin!(journal.writer.commit(&large, noon(0)));
        let waker = std::task::Waker::noop();
        let mut context = std::task::Context::from_waker(waker);
        assert!(std::future::Future::poll(commit.as_mut(), &mut context).is_pending());
    }
    let committed = journal.writer.commit(&large, noon(1)).await.unwrap();
    assert_eq!(committed.last_seq, 5000);
    assert_eq!(journal.reader.events_after(0, 10_000).await.unwrap().len(), 5000);
}

#[tokio::test]
async fn the_damage_of_a_running_journal_is_named_and_remembered() {
    let folder = tempfile::tempdir().unwrap();
    made(folder.path(), 5000).await;
    let path = config(folder.path()).path;
    let mut journal = opened(folder.path()).await;
    // Every page but the first, under the feet of the open journal.
    let length = std::fs::metadata(&path).unwrap().len() as usize;
    let damaged = std::fs::File::options().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&damaged, &vec![0xa5; length - 4096], 4096).unwrap();
    let error = journal.writer.commit(&events((5000..9000).map(location)), noon(0)).await.unwrap_err();
    assert!(matches!(error, JournalError::Corrupt { .. }), "{error}");
    assert!(!error.is_passing() && error.to_string().contains("restart the daemon"), "{error}");
    assert!(file::beside(&path, ".suspect").exists());
    drop(journal);
    assert!(opened(folder.path()).await.set_aside.is_some());
}

#[tokio::test]
async fn a_folder_that_may_not_be_written_says_who_must_be_allowed() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
    if std::fs::File::create(folder.path().join("probe")).is_ok() {
        println!("skipped: this user may write everywhere (root)");
        return;
    }
    let error = refused(folder.path()).await;
    assert!(matches!(error, JournalError::Permission { .. }), "{error}");
    assert!(error.to_string().contains("writable by the user"), "{error}");
}
