//! `kill -9` of a running daemon, again and again, under load from LLRP and MQTT; then everything that was
//! recorded is held against everything that was sent. `deploy/dev/kill-test` runs it in full.
//!
//! Environment: `TALLYMAN_KILLS` (3), `TALLYMAN_KILL_SEED` (random; printed), `TALLYMAN_KILL_READS_PER_S`
//! (300, of each of two readers), `TALLYMAN_KILL_FIXES_PER_S` (200).

use std::str::FromStr;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tallyman_simulators::Truth;
use tallyman_simulators::clock::wall_now;
use tallyman_simulators::load::{Load, LoadOptions};

use self::disk::DiskWatch;
use self::grade::{Kill, Tally};
use self::recorded::{Account, Recorded, accounts};
use crate::daemon::{Daemon, Place};
use crate::servers::Mosquitto;
use crate::timescale::rig::Database;

mod disk;
mod grade;
mod recorded;
mod syscalls;
mod trace;

/// The contract: group commit at least this often.
const COMMIT_INTERVAL: Duration = Duration::from_millis(100);
/// For a report to get from the reader's socket into the daemon, on a machine whose cores are all busy.
const MARGIN: Duration = Duration::from_millis(150);
/// On top of it, so many times what a sync took the test itself just before the kill: a group is being
/// committed, which may take three syncs (a checkpoint of the log among them), and the next waits for it.
const SYNCS: u32 = 4;
/// A window longer than this says little; how many kills had one is told.
const WIDE: Duration = Duration::from_secs(1);
/// So long before a kill the disk is looked at.
const DISK_BEFORE: Duration = Duration::from_secs(1);
/// A kill comes within this time after the daemon is connected again.
const LATEST_KILL: Duration = Duration::from_millis(2500);
const READERS: usize = 2;
const NODE: &str = "kill";
const BROKER: &str = "fleet";
/// Faults told in words, of each kind of thing.
const FAULTS_SHOWN: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_to_kill_9() {
    let persistent = "allow_anonymous true\nmax_inflight_messages 1000\nmax_queued_messages 1000000";
    let Some(mut broker) = Mosquitto::prepare("kill: nothing acknowledged is lost", persistent) else {
        return;
    };
    broker.configure(&format!("{persistent}\n{}", broker.persistence()));
    broker.run();
    let database = Database::create("kill").await;
    let seed = setting("TALLYMAN_KILL_SEED", rand::rng().random());
    let kills: usize = setting("TALLYMAN_KILLS", 3);
    println!("kill harness: {kills} kills, seed {seed}");

    let mut tags = Load::start(LoadOptions {
        readers: READERS,
        reads_per_s: setting("TALLYMAN_KILL_READS_PER_S", 300.0),
        seed,
        ..LoadOptions::default()
    })
    .await
    .expect("readers");
    let mut daemon = Daemon::prepare(|place| config(place, &tags, broker.port, database.as_ref()));
    daemon.start();
    daemon.ready().await;
    daemon.up(&links()).await;
    // Not before the broker holds a session for the daemon: what comes earlier it gives to nobody.
    let fixes_per_s: f64 = setting("TALLYMAN_KILL_FIXES_PER_S", 200.0);
    let mut trackers = Load::start(LoadOptions {
        readers: 0,
        broker: Some(([127, 0, 0, 1], broker.port).into()),
        devices: fixes_per_s.ceil() as usize,
        fixes_per_s,
        seed,
        ..LoadOptions::default()
    })
    .await
    .expect("trackers");

    let disk = DiskWatch::start(daemon.journal().parent().expect("a folder"));
    let mut rng = StdRng::seed_from_u64(seed);
    let mut killed = Vec::new();
    for number in 1..=kills {
        tokio::time::sleep(rng.random_range(Duration::ZERO..LATEST_KILL)).await;
        let (at, instant) = (wall_now(), Instant::now());
        daemon.kill();
        let gone = wall_now();
        killed.push((instant, Kill { at, gone, restarted: wall_now(), window: Duration::ZERO }));
        daemon.start();
        daemon.up(&links()).await;
        check_books(&daemon, &format!("after kill {number}")).await;
    }
    let killed = with_windows(killed, &disk.stop());

    tags.stop_emitting().await;
    trackers.stop_emitting().await;
    let sent = trackers.emitted().total_fixes();
    let arrived = async |daemon: &Daemon| {
        let accounts = accounts(daemon, &[(BROKER, "fix")]).await;
        accounts.iter().any(|account| account.events >= sent)
    };
    daemon.until(&format!("all {sent} fixes"), arrived).await;
    if database.is_some() {
        daemon
            .until("all forwarded", async |it| it.metric("tallyman_store_backlog_events").await == Some(0.0))
            .await;
    }
    check_books(&daemon, "at the end").await;
    let status = daemon.stop().await;
    assert!(status.success(), "the last stop was not clean: {status:?}\n{}", daemon.log());

    let reader = daemon.reader().await;
    let mut graded = vec![("journal", recorded::in_journal(&reader).await)];
    if let Some(database) = &database {
        database.forwarded(NODE, reader.meta().await.expect("the journal").last_seq).await;
        graded.push(("TimescaleDB", recorded::in_database(database).await));
    }
    let mut truth = tags.stop().await.expect("the truth");
    truth.extend(trackers.stop().await.expect("the truth"));
    check_gaps(&graded[0].1, &killed);
    let sound = report(graded, &truth, &killed);
    println!("deliveries recognised as repeated: {}", redelivered(&daemon).await);
    assert!(sound, "lost, doubled or invented: see the table and the lines under it (seed {seed})");
    if let Some(database) = database {
        database.drop().await;
    }
}

/// How long before each kill a read may have been sent and be missing, after what the disk took then.
fn with_windows(kills: Vec<(Instant, Kill)>, syncs: &[(Instant, Duration)]) -> Vec<Kill> {
    let windowed = kills.into_iter().map(|(instant, kill)| {
        let slowest = disk::slowest(syncs, instant - DISK_BEFORE, instant);
        let window = COMMIT_INTERVAL + MARGIN + slowest * SYNCS;
        Kill { window, ..kill }
    });
    windowed.collect()
}

fn setting<T: FromStr<Err: std::fmt::Debug>>(variable: &str, otherwise: T) -> T {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect(variable))
}

fn config(place: &Place<'_>, tags: &Load, broker: u16, database: Option<&Database>) -> String {
    let journal = place.tables("keep_reads = true");
    let store = database.map(|it| format!("[store.timescale]\nurl = {:?}\n", it.url)).unwrap_or_default();
    let mut text = format!(
        r#"
node = "{NODE}"
{journal}
{store}
[intake]
stranger_reads = 1
[[site]]
name = "hamburg"
timezone = "Europe/Berlin"

[[zone]]
name = "hall"
coverage = "continuous"

[[broker]]
name = "{BROKER}"
address = "127.0.0.1:{broker}"
client_id = "tallyman-kill"
backoff = {{ first = "20ms", last = "200ms" }}

[[broker.topic]]
filter = "owntracks/+/+"
format = "owntracks"
"#
    );
    for (name, address) in tags.addresses() {
        text += &format!(
            r#"
[[reader]]
name = "{name}"
protocol = "llrp"
address = "{address}"
backoff = {{ first = "20ms", last = "200ms" }}

[[read_point]]
name = "{name}-shelves"
kind = "presence"
zone = "hall"
antennas = [{{ reader = "{name}", antenna = 1 }}, {{ reader = "{name}", antenna = 2 }}]
"#
        );
    }
    text
}

fn reader_names() -> Vec<String> {
    LoadOptions { readers: READERS, ..LoadOptions::default() }.reader_names()
}

/// Metrics that are 1 while everything is connected.
fn links() -> Vec<String> {
    let readers = reader_names();
    let readers = readers.iter().map(|name| format!("tallyman_source_up{{source=\"{name}\"}}"));
    readers.chain([format!("tallyman_source_up{{source=\"{BROKER}\"}}")]).collect()
}

/// The books balance, and hold what the journal holds.
async fn check_books(daemon: &Daemon, when: &str) {
    let readers = reader_names();
    let mut sources: Vec<_> = readers.iter().map(|name| (name.as_str(), "tag-read")).collect();
    sources.push((BROKER, "fix"));
    for Account { source, book, events } in accounts(daemon, &sources).await {
        assert!(book.balances(), "{when}: the books of {source} do not balance: {book:?}");
        assert_eq!(book.dead_letters, 0, "{when}: {source} sent nothing that does not decode: {book:?}");
        // A reader announces every connection; that is a reading too, and no read.
        let besides = if source == BROKER { 0 } else { daemon.starts() };
        let lacking = book.used.checked_sub(events);
        let agree = lacking.is_some_and(|lacking| lacking <= besides);
        assert!(agree, "{when}: {events} events of {source} do not agree with its books: {book:?}");
    }
}

async fn redelivered(daemon: &Daemon) -> u64 {
    let accounts = accounts(daemon, &[(BROKER, "fix")]).await;
    accounts.iter().flat_map(|account| account.book.filtered.values()).sum()
}

/// What a kill may have cost is told: every one lies in a gap.
fn check_gaps(journal: &Recorded, kills: &[Kill]) {
    for kill in kills {
        let told = journal.gaps.iter().any(|(from, to)| *from <= kill.gone && kill.gone <= *to);
        assert!(told, "no gap tells of {kill:?}: {:?}", journal.gaps);
    }
}

/// Prints the table; whether all is sound.
fn report(graded: Vec<(&str, Recorded)>, truth: &[Truth], kills: &[Kill]) -> bool {
    let mut windows: Vec<_> = kills.iter().map(|kill| kill.window).collect();
    windows.sort_unstable();
    println!(
        "{} kills; reads sent within {COMMIT_INTERVAL:?} + {MARGIN:?} + {SYNCS} syncs before one are excused: \
         {:?} in the middle, {:?} at most, {} times more than {WIDE:?}",
        kills.len(),
        windows.get(windows.len() / 2).copied().unwrap_or_default(),
        windows.last().copied().unwrap_or_default(),
        windows.iter().filter(|window| **window > WIDE).count()
    );
    println!(
        "{:<22}{:>9}{:>10}{:>9}{:>9}{:>9}{:>10}{:>14}",
        "", "sent", "recorded", "excused", "missing", "doubled", "invented", "out of order"
    );
    let mut sound = true;
    let connected = graded[0].1.connected.clone();
    for (place, recorded) in graded {
        let reads = grade::reads(truth, recorded.reads, kills, &connected);
        let fixes = grade::fixes(truth, recorded.fixes);
        println!("{}", row(&format!("reads, {place}"), &reads));
        println!("{}", row(&format!("fixes, {place}"), &fixes));
        if reads.excused > 0 {
            println!("  the oldest excused read was sent {:?} before its kill", reads.oldest_excused);
        }
        for tally in [&reads, &fixes] {
            tally.faults().take(FAULTS_SHOWN).for_each(|fault| println!("  {fault}"));
            sound &= tally.is_sound();
        }
    }
    sound
}

fn row(name: &str, tally: &Tally) -> String {
    format!(
        "{name:<22}{:>9}{:>10}{:>9}{:>9}{:>9}{:>10}{:>14}",
        tally.sent,
        tally.recorded,
        tally.excused,
        tally.missing.len(),
        tally.doubled.len(),
        tally.invented.len(),
        tally.out_of_order.len()
    )
}
