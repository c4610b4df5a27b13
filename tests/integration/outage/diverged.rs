//! Journal and database that no longer agree, seen from the running daemon: nothing is skipped in silence.

use std::fs;
use std::path::Path;

use tallyman::journal::Meta;

use super::account::{BALANCED, TABLES, account, in_database, in_journal};
use super::load::Load;
use super::look::{Scrape, alerts, errors};
use super::server::wire;
use super::{NODE, daemon, forwarded, journaled};
use crate::daemon::Daemon;
use crate::timescale::proxy::{Proxy, Wire};
use crate::timescale::rig::Database;

/// Reads of one stretch.
const SOME: u64 = 400;
const RATE: f64 = 800.0;
/// The alert under which the forwarder tells of the history.
const HISTORY: &str = "journal/timescale-history";

/// A daemon, its one reader, its database, and the wire between.
struct Plant {
    db: Database,
    wire: Proxy,
    load: Load,
    daemon: Daemon,
    /// Reads of earlier runs of the daemon.
    before: u64,
}

impl Plant {
    async fn start(test: &str) -> Option<Self> {
        let db = Database::create(test).await?;
        let (wire, url) = wire(&db).await;
        let load = Load::new(1).await;
        let daemon = daemon(&load, &url);
        let mut plant = Self { db, wire, load, daemon, before: 0 };
        plant.run().await;
        Some(plant)
    }

    /// Starts the daemon.
    async fn run(&mut self) {
        self.daemon.start();
        self.daemon.ready().await;
    }

    /// At least [`SOME`] reads more, in the journal when this returns.
    async fn read(&mut self) {
        self.load.begin(RATE).await;
        let enough = self.load.sent() + SOME;
        let load = &self.load;
        self.daemon.until("reads are sent", async |_| load.sent() >= enough).await;
        let sent = self.load.end().await;
        journaled(&mut self.daemon, sent - self.before).await;
    }

    async fn forwarded(&mut self) {
        forwarded(&mut self.daemon).await;
    }

    async fn stop(&mut self) {
        let status = self.daemon.stop().await;
        assert!(status.success(), "{status:?}\n{}", self.daemon.log());
        self.before = self.load.sent();
    }

    async fn meta(&self) -> Meta {
        self.daemon.reader().await.meta().await.unwrap()
    }

    /// Waits for the alert about the history, and gives what it says.
    async fn history_alert(&mut self) -> String {
        self.daemon.until(HISTORY, async |daemon| alerts(daemon).await.contains_key(HISTORY)).await;
        alerts(&self.daemon).await.remove(HISTORY).unwrap()
    }

    /// What the forwarder itself wrote of a change of journals.
    async fn epoch_gaps(&self) -> i64 {
        self.db.number("SELECT count(*) FROM tallyman.gap WHERE kind = 'epoch'").await
    }

    async fn watermark(&self) -> u64 {
        let sql = format!("SELECT last_seq FROM tallyman.forward_watermark WHERE node = '{NODE}'");
        u64::try_from(self.db.number(&sql).await).unwrap()
    }

    /// It was found, counted, logged, and is in the database.
    async fn told_of_another_journal(&mut self) {
        self.history_alert().await;
        assert_eq!(Scrape::of(&self.daemon).await.get("tallyman_store_divergences_total"), 1.0);
        assert!(errors(&self.daemon).iter().any(|line| line.contains("the journal is not the one")));
        assert_eq!(self.epoch_gaps().await, 1);
    }
}

/// A journal's files, wherever they are.
const FILES: [&str; 3] = ["", "-wal", "-shm"];

fn delete(journal: &Path) {
    for suffix in FILES {
        let file = format!("{}{suffix}", journal.display());
        if Path::new(&file).exists() {
            fs::remove_file(file).unwrap();
        }
    }
}

fn copy(from: &Path, to: &Path) {
    delete(to);
    for suffix in FILES {
        let file = format!("{}{suffix}", from.display());
        if Path::new(&file).exists() {
            fs::copy(file, format!("{}{suffix}", to.display())).unwrap();
        }
    }
}

/// What only the deleted file held is gone, and that is said; everything else is there once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_journal_is_told_of_and_the_new_one_is_forwarded_from_its_first_event() {
    let Some(mut plant) = Plant::start("daemon_deleted").await else { return };
    plant.read().await;
    plant.forwarded().await;
    plant.wire.set(Wire::Cut);
    plant.read().await;
    let old = plant.meta().await;
    plant.stop().await;
    let journal = plant.daemon.journal();
    let deleted = in_journal(&journal).await.ids;
    let held = in_database(&plant.db).await;
    assert!(account(&deleted, &held).lost >= SOME, "the file held what the database did not have");
    delete(&journal);

    plant.wire.set(Wire::Up);
    plant.run().await;
    plant.read().await;
    plant.forwarded().await;
    plant.told_of_another_journal().await;
    plant.forwarded().await;
    assert_ne!(plant.meta().await.epoch, old.epoch);
    plant.stop().await;
    let new = in_journal(&journal).await.ids;
    let all = held.keys().copied().chain(new).collect();
    assert_eq!(account(&all, &in_database(&plant.db).await), BALANCED);
    plant.db.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_restored_from_an_older_copy_is_told_of_and_forwarded_without_doubles() {
    restored("daemon_restored", false).await;
}

/// The database is away while the copy is gone on with, until its numbers have passed the watermark's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_journal_that_overtook_the_watermark_is_told_of_as_well() {
    restored("daemon_overtaken", true).await;
}

async fn restored(test: &str, overtakes: bool) {
    let Some(mut plant) = Plant::start(test).await else { return };
    plant.read().await;
    plant.forwarded().await;
    // In the copy: what was forwarded, and what was not yet.
    plant.wire.set(Wire::Cut);
    plant.read().await;
    let old = plant.meta().await;
    plant.stop().await;
    let (journal, backup) = (plant.daemon.journal(), plant.daemon.path("backup.db"));
    copy(&journal, &backup);

    plant.wire.set(Wire::Up);
    plant.run().await;
    plant.read().await;
    plant.forwarded().await;
    plant.stop().await;
    let mut all = in_journal(&journal).await.ids;
    let watermark = plant.watermark().await;
    assert!(watermark > old.last_seq, "the database has more than the copy");

    copy(&backup, &journal);
    if overtakes {
        plant.wire.set(Wire::Cut);
    }
    plant.run().await;
    plant.read().await;
    while overtakes && plant.meta().await.last_seq <= watermark {
        plant.read().await;
    }
    plant.wire.set(Wire::Up);
    plant.forwarded().await;
    plant.told_of_another_journal().await;
    plant.forwarded().await;
    assert_ne!(plant.meta().await.epoch, old.epoch);
    plant.stop().await;
    all.append(&mut in_journal(&journal).await.ids);
    assert_eq!(account(&all, &in_database(&plant.db).await), BALANCED);
    plant.db.drop().await;
}

/// The database is put back to an earlier time while the daemon runs: it is filled again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_restored_from_an_older_copy_is_filled_again_and_told_of() {
    let Some(mut plant) = Plant::start("daemon_refilled").await else { return };
    plant.read().await;
    plant.forwarded().await;
    plant.db.execute("CREATE TABLE backup AS SELECT * FROM tallyman.forward_watermark").await;
    let backup = plant.db.number("SELECT last_seq FROM backup").await;
    plant.read().await;
    plant.forwarded().await;
    let epoch = plant.meta().await.epoch;
    plant.wire.set(Wire::Cut);
    plant.read().await;
    let offline = async |daemon: &Daemon| Scrape::of(daemon).await.get(super::CONNECTED) == 0.0;
    plant.daemon.until("it is cut off", offline).await;
    for table in TABLES {
        plant.db.execute(&format!("DELETE FROM tallyman.{table} WHERE seq > {backup}")).await;
    }
    let restore = "DELETE FROM tallyman.forward_watermark;
        INSERT INTO tallyman.forward_watermark SELECT * FROM backup";
    plant.db.execute(restore).await;

    plant.wire.set(Wire::Up);
    plant.forwarded().await;
    let told = plant.history_alert().await;
    assert!(told.contains("older than what was forwarded"), "{told}");
    plant.forwarded().await;
    assert_eq!(plant.meta().await.epoch, epoch);
    assert_eq!(errors(&plant.daemon), Vec::<String>::new());
    plant.stop().await;
    let journal = in_journal(&plant.daemon.journal()).await.ids;
    assert_eq!(account(&journal, &in_database(&plant.db).await), BALANCED);
    assert_eq!(plant.epoch_gaps().await, 0);
    plant.db.drop().await;
}
