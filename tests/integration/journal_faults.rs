//! A journal that cannot be used: a clear error that says what to do, or, where it is safe, a way on.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use tallyman::domain::state::StateKind;
use tallyman::journal::EventQuery;
use tallyman_simulators::clock::wall_now;

use crate::cli::tallyman;
use crate::daemon::Daemon;
use crate::servers::Mosquitto;

const SITE: &str = "[[site]]\nname = \"depot\"\ntimezone = \"UTC\"\n[[zone]]\nname = \"hall\"\n";

fn prepared() -> Daemon {
    Daemon::prepare(|place| format!("node = \"n\"\n{}{SITE}", place.tables("")))
}

fn config(daemon: &Daemon) -> String {
    daemon.path("tallyman.toml").display().to_string()
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

/// A file system in memory, where we may mount one.
struct Mounted(PathBuf);

impl Mounted {
    fn new(test: &str, at: PathBuf, options: &str) -> Option<Self> {
        fs::create_dir_all(&at).unwrap();
        let mount = || Command::new("mount").args(["-t", "tmpfs", "-o", options, "none"]).arg(&at).output();
        let mounted = is_root() && mount().is_ok_and(|output| output.status.success());
        if !mounted {
            eprintln!("skipped: {test} (it mounts a small file system, which takes root)");
        }
        mounted.then_some(Self(at))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "{} stays mounted", self.0.display());
    }
}

async fn sql(path: &Path, statement: &str) {
    let mut conn =
        SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.unwrap();
    conn.execute(AssertSqlSafe(statement.to_owned())).await.unwrap();
    conn.close().await.unwrap();
}

/// A journal that a daemon has used and left.
async fn used() -> Daemon {
    let mut daemon = prepared();
    daemon.start();
    daemon.ready().await;
    assert_eq!(daemon.stop().await.code(), Some(0), "{}", daemon.log());
    daemon
}

#[test]
fn a_folder_that_is_missing_or_may_not_be_written_is_told() {
    let daemon = prepared();
    let folder = daemon.path("sub");
    let path = daemon.path("tallyman.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("journal.db", "sub/journal.db")).unwrap();
    tallyman(&["run", "-c", &config(&daemon)]).fails_with(1, &["does not exist: create it", "journal.path"]);
    let zones = daemon.path("zones.csv").display().to_string();
    fs::write(&zones, "name,site\nyard,depot\n").unwrap();
    tallyman(&["import", "-c", &config(&daemon), &zones]).fails_with(1, &["does not exist: create it"]);
    fs::create_dir(&folder).unwrap();
    let test = "a_folder_that_is_missing_or_may_not_be_written_is_told";
    let mounted = if is_root() {
        let Some(mounted) = Mounted::new(test, folder, "ro") else { return };
        Some(mounted)
    } else {
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
        None
    };
    tallyman(&["run", "-c", &config(&daemon)]).fails_with(1, &["no permission", "must be writable"]);
    tallyman(&["import", "-c", &config(&daemon), &zones]).fails_with(1, &["no permission"]);
    drop(mounted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_daemon_on_a_journal_is_told_of_the_first() {
    let mut daemon = prepared();
    daemon.start();
    daemon.ready().await;
    let path = daemon.path("second.toml");
    let text = fs::read_to_string(daemon.path("tallyman.toml")).unwrap();
    let listen = text.lines().find(|line| line.starts_with("listen = ")).unwrap();
    fs::write(&path, text.replace(listen, "listen = \"off\"")).unwrap();
    let said = tallyman(&["run", "-c", &path.display().to_string()]);
    said.fails_with(1, &["another daemon", &format!("process {}", daemon.pid()), "stop it"]);
    // The first was not disturbed: its control socket still answers.
    assert!(daemon.get("/readyz").await.is_some());
    let zones = daemon.path("zones.csv");
    fs::write(&zones, "name,site\nyard,depot\n").unwrap();
    tallyman(&["import", "-c", &config(&daemon), &zones.display().to_string()]).succeeds();
    assert_eq!(daemon.stop().await.code(), Some(0), "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_of_a_newer_program_another_node_or_another_program_is_left_alone() {
    let daemon = used().await;
    let journal = daemon.journal();
    let commands: [&[&str]; 4] =
        [&["run"], &["explain", "FL-07"], &["dead-letters", "list"], &["dead-letters", "replay", "--all"]];
    sql(&journal, "PRAGMA user_version = 999").await;
    let before = fs::read(&journal).unwrap();
    for command in commands {
        tallyman(&[command, &["-c", &config(&daemon)]].concat()).fails_with(1, &["format 999", "newer"]);
    }
    assert_eq!(fs::read(&journal).unwrap(), before, "it was not touched");

    let daemon = used().await;
    let path = daemon.path("tallyman.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("node = \"n\"", "node = \"m\"")).unwrap();
    tallyman(&["run", "-c", &config(&daemon)]).fails_with(1, &["belongs to node `n`", "node `m`"]);

    let daemon = prepared();
    sql(&daemon.journal(), "CREATE TABLE theirs (x)").await;
    for command in commands {
        let said = tallyman(&[command, &["-c", &config(&daemon)]].concat());
        said.fails_with(1, &["not a journal", "journal.path"]);
    }
    let daemon = prepared();
    fs::create_dir(daemon.journal()).unwrap();
    tallyman(&["run", "-c", &config(&daemon)]).fails_with(1, &["not a journal", "journal.path"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clean_stop_leaves_everything_in_the_one_file() {
    let mut daemon = prepared();
    daemon.start();
    daemon.ready().await;
    let zones = daemon.path("zones.csv");
    fs::write(&zones, "name,site\nyard,depot\n").unwrap();
    tallyman(&["import", "-c", &config(&daemon), &zones.display().to_string()]).succeeds();
    assert_eq!(daemon.stop().await.code(), Some(0), "{}", daemon.log());
    let copy = daemon.path("copy.db");
    fs::copy(daemon.journal(), &copy).unwrap();
    let reader = tallyman::journal::Reader::open(&copy).await.unwrap();
    let zone = reader.state(StateKind::Register, "zone/yard").await.unwrap();
    assert!(zone.is_some(), "the register is not in the copy");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_journal_is_set_aside_and_somebody_is_told() {
    for damage in [0..100_usize, 4096..20_000] {
        let mut daemon = used().await;
        let journal = daemon.journal();
        let mut bytes = fs::read(&journal).unwrap();
        let end = bytes.len().min(damage.end);
        bytes[damage.start..end].fill(0xa5);
        fs::write(&journal, &bytes).unwrap();
        if damage.start == 0 {
            let said = tallyman(&["explain", "-c", &config(&daemon), "FL-07"]);
            said.fails_with(1, &["is damaged", "restart the daemon"]);
        }
        daemon.start();
        daemon.ready().await;
        let folder = journal.parent().unwrap();
        let aside = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| {
                let name = path.file_name().unwrap().to_string_lossy();
                name.starts_with("journal.db.damaged-") && !name.ends_with("-wal") && !name.ends_with("-shm")
            })
            .expect("the old file is kept");
        assert!(fs::read(aside).unwrap() == bytes, "it was changed");
        let reader = daemon.reader().await;
        daemon
            .until("an alert", async |_| {
                let alerts = reader.all_states(StateKind::Alert).await.unwrap();
                alerts.iter().any(|(key, _)| key == "journal/set-aside")
            })
            .await;
        let config = config(&daemon);
        let alerts = tallyman(&["alerts", "-c", &config]);
        assert!(alerts.succeeds().contains("damaged"), "{alerts:?}");
        assert_eq!(daemon.metric("tallyman_journal_set_aside_total").await, Some(1.0));
        assert_eq!(daemon.stop().await.code(), Some(0), "{}", daemon.log());
    }
}

/// The pages of a small disk: SQLite's own files, and room for a few hundred fixes.
const DISK: &str = "size=24m";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_nothing_is_acknowledged_and_nothing_is_lost() {
    let test = "on_a_full_disk_nothing_is_acknowledged_and_nothing_is_lost";
    let folder = tempfile::tempdir().unwrap();
    let Some(broker) = Mosquitto::start(test, "allow_anonymous true\nmax_queued_messages 100000") else {
        return;
    };
    let Some(disk) = Mounted::new(test, folder.path().join("disk"), DISK) else { return };
    let mut daemon = Daemon::prepare(|place| {
        let tables = place
            .tables("")
            .replace(&place.journal.display().to_string(), &disk.0.join("journal.db").display().to_string());
        format!(
            "node = \"n\"\n{tables}{SITE}\n[[broker]]\nname = \"fleet\"\naddress = \"127.0.0.1:{}\"\n\
             client_id = \"n\"\n[[broker.topic]]\nfilter = \"owntracks/+/+\"\nformat = \"owntracks\"\n",
            broker.port
        )
    });
    daemon.start();
    daemon.ready().await;
    daemon.up(&["tallyman_source_up{source=\"fleet\"}".to_owned()]).await;
    let start = wall_now().as_second() - 100_000;
    let lines = |range: std::ops::Range<i64>| -> String {
        range
            .map(|nth| {
                json!({"_type": "location", "lat": 53.5, "lon": 10.0, "tst": start + nth}).to_string() + "\n"
            })
            .collect()
    };
    broker.publish_lines("owntracks/a/b", &["-q", "1"], &lines(0..100));
    let acks = "tallyman_mqtt_acks_total{source=\"fleet\"}";
    daemon
        .until("all before are acknowledged", async |daemon| daemon.metric(acks).await == Some(100.0))
        .await;

    // Until nothing more fits.
    let ballast = disk.0.join("ballast");
    let filled = fs::write(&ballast, vec![7; 32 << 20]).expect_err("the disk is small");
    assert_eq!(filled.kind(), std::io::ErrorKind::StorageFull);
    broker.publish_lines("owntracks/a/b", &["-q", "1"], &lines(100..20_000));
    daemon
        .until("it says that it is not ready", async |daemon| {
            daemon.metric("tallyman_journal_commit_failures_total").await.is_some_and(|count| count > 0.0)
                && daemon.get("/readyz").await.is_none()
        })
        .await;
    let told = daemon.log();
    assert!(told.contains("nothing is acknowledged until it works again"), "{told}");
    assert!(told.contains("free space on its disk"), "{told}");
    let acknowledged = daemon.metric(acks).await.unwrap();
    let reader = tallyman::journal::Reader::open(&disk.0.join("journal.db")).await.unwrap();
    let query = EventQuery { kinds: vec!["fix".to_owned()], limit: 30_000, ..EventQuery::default() };
    let durable = reader.events(&query).await.unwrap().len();
    assert!(acknowledged <= durable as f64, "{acknowledged} were acknowledged, {durable} are durable");
    assert!(durable < 20_000, "the disk was not full");
    assert!(daemon.get("/healthz").await.is_some(), "it lives");

    fs::remove_file(&ballast).unwrap();
    daemon.ready().await;
    // Everything comes, in as many commits as fit on the disk.
    daemon.until("all are acknowledged", async |daemon| daemon.metric(acks).await == Some(20_000.0)).await;
    let fixes = reader.events(&query).await.unwrap();
    let mut times: Vec<_> = fixes.iter().map(|event| event.observed_at).collect();
    times.sort_unstable();
    times.dedup();
    assert_eq!((times.len(), fixes.len()), (20_000, 20_000));
    assert_eq!(daemon.stop().await.code(), Some(0), "{}", daemon.log());
    drop(reader);
}
