//! The database is away while reads come in: nothing waits for it, and it gets everything once.

use serde_json::json;
use tallyman::domain::time::Timestamp;
use tallyman_simulators::clock::wall_now;

use super::account::{Account, BALANCED, account, in_database, in_journal};
use super::load::Load;
use super::look::{Scrape, alerts, api, cli_ok, errors};
use super::record::{Point, Recorder, drain_rate, live_rate, write_rate};
use super::server::{Server, wire};
use super::{BACKLOG, CONNECTED, daemon, forwarded, journaled, seconds, setting};
use crate::daemon::Daemon;
use crate::timescale::proxy::Wire;
use crate::timescale::rig::Database;

/// A backlog of less than this much time's events is none: so much is always under way.
const UNDER_WAY_S: f64 = 0.25;

/// `TALLYMAN_OUTAGE_SECONDS`, `TALLYMAN_OUTAGE_RATE` (reads a second): how long and how much.
/// `TALLYMAN_OUTAGE_LIVE`: fail where fewer events a second than these came into the journal.
/// `TALLYMAN_OUTAGE_RATIO`: fail where the backlog falls by less than so many times the live rate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_away_gets_everything_once() {
    let Some(db) = Database::create("outage").await else { return };
    let (server, url) = Server::of(&db).await;
    let mut load = Load::new(2).await;
    let mut daemon = daemon(&load, &url);
    daemon.start();
    daemon.ready().await;
    load.begin(setting("TALLYMAN_OUTAGE_RATE", 1000.0)).await;
    let course = outage(&server, &daemon).await;

    let sent = load.end().await;
    journaled(&mut daemon, sent).await;
    forwarded(&mut daemon).await;
    let errors = errors(&daemon);
    assert!(daemon.stop().await.success());
    let journal = in_journal(&daemon.journal()).await;
    let found = account(&journal.ids, &in_database(&db).await);
    course.tell(&server, sent, journal.ids.len(), found);
    assert_eq!(errors, Vec::<String>::new());
    assert_eq!((journal.reads, found), (sent, BALANCED));
    let expected = course.live * (course.end.at - course.begin.at).as_secs_f64();
    assert!(course.peak.backlog > 0.9 * expected, "the backlog was not visible: {:?}", course.peak);
    assert!(course.live >= setting("TALLYMAN_OUTAGE_LIVE", 0.0), "the load was too small");
    assert!(course.ratio() >= setting("TALLYMAN_OUTAGE_RATIO", 0.0), "drained too slowly");
    db.drop().await;
}

/// How an outage went.
struct Course {
    /// First and last look while the database was away.
    begin: Point,
    end: Point,
    /// Events a second that came into the journal between these.
    live: f64,
    /// The largest backlog that was seen.
    peak: Point,
    /// The first look that found rows written again.
    connected: Point,
    drained: Point,
}

async fn outage(server: &Server, daemon: &Daemon) -> Course {
    let mut recorder = Recorder::of(daemon);
    recorder.until("forwarding has begun", |point| point.connected && point.rows > 0.0).await;
    recorder.during(seconds(3.0)).await;
    server.away().await;
    recorder.until("it noticed", |point| !point.connected).await;
    let (begin, end) = recorder.during(seconds(setting("TALLYMAN_OUTAGE_SECONDS", 8.0))).await;
    let live = live_rate(&begin, &end);
    let back = recorder.until("connected again", |point| point.connected);
    let (connected, ()) = tokio::join!(back, server.back());
    let drained = recorder.until("drained", |point| point.backlog <= live * UNDER_WAY_S).await;
    let peak = recorder.points.iter().copied().max_by(|a, b| a.backlog.total_cmp(&b.backlog)).unwrap();
    Course { begin, end, live, peak, connected, drained }
}

impl Course {
    /// By how many times the live rate the backlog fell, while events went on coming.
    fn ratio(&self) -> f64 {
        drain_rate(&self.connected, &self.drained) / self.live
    }

    fn tell(&self, server: &Server, sent: u64, events: usize, found: Account) {
        let away = (self.end.at - self.begin.at).as_secs_f64();
        let reconnecting = (self.connected.at - self.end.at).as_secs_f64();
        let draining = (self.drained.at - self.connected.at).as_secs_f64();
        let written = write_rate(&self.connected, &self.drained);
        let lines = [
            (
                "outage",
                format!(
                    "{away:.1} s ({}), then {reconnecting:.1} s until it was written to again",
                    server.how()
                ),
            ),
            ("live rate, during the outage", format!("{:.0} events/s into the journal", self.live)),
            (
                "live rate, while draining",
                format!("{:.0} events/s", live_rate(&self.connected, &self.drained)),
            ),
            ("largest backlog", format!("{:.0} events (tallyman_store_backlog_events)", self.peak.backlog)),
            ("drained in", format!("{draining:.2} s")),
            (
                "backlog fell by",
                format!(
                    "{:.0} events/s = {:.1} x the live rate",
                    drain_rate(&self.connected, &self.drained),
                    self.ratio()
                ),
            ),
            (
                "written while draining",
                format!("{written:.0} rows/s = {:.1} x the live rate", written / self.live),
            ),
            ("reads sent / events in all", format!("{sent} / {events}")),
            (
                "lost, doubled, unexplained",
                format!("{}, {}, {}", found.lost, found.doubled, found.unexplained),
            ),
        ];
        for (what, figure) in lines {
            println!("outage: {what:28} {figure}");
        }
    }
}

/// Everything but the database works from the first moment, and the database gets it when it is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_starts_without_its_database_does_everything_else() {
    let Some(db) = Database::create("absent").await else { return };
    let (wire, url) = wire(&db).await;
    wire.set(Wire::Cut);
    let mut load = Load::new(1).await;
    let mut daemon = daemon(&load, &url);
    daemon.start();
    daemon.ready().await;

    let (assets, tags) = (daemon.path("assets.csv"), daemon.path("tags.csv"));
    std::fs::write(&assets, "id,class\nP-1,pallet\nP-2,pallet\n").unwrap();
    std::fs::write(&tags, format!("epc,asset\n{},P-1\n", Load::tag())).unwrap();
    cli_ok(&daemon, &["import", assets.to_str().unwrap(), tags.to_str().unwrap()]);
    let due = Timestamp::from_micros(wall_now().as_microsecond()).offset(500_000);
    cli_ok(&daemon, &["checkout", "P-2", "--to", "yard crew", "--due", &due.to_string()]);
    load.begin(500.0).await;
    let sensed = async |daemon: &Daemon| cli_ok(daemon, &["explain", "P-1"]).contains("in zone hall");
    daemon.until("P-1 is explained", sensed).await;
    let overdue = async |daemon: &Daemon| alerts(daemon).await.contains_key("overdue-return/P-2");
    daemon.until("an alert fires", overdue).await;
    assert!(cli_ok(&daemon, &["alerts"]).contains("overdue-return/P-2"));
    cli_ok(&daemon, &["acknowledge", "overdue-return/P-2"]);
    let status = api(&daemon, "status").await;
    assert_eq!((&status["forwarded_seq"], &status["sources"][0]["balances"]), (&json!(0), &json!(true)));
    assert_eq!(api(&daemon, "assets/P-1").await["asset"]["id"], "P-1");
    assert_eq!(Scrape::of(&daemon).await.get(CONNECTED), 0.0);
    assert!(Scrape::of(&daemon).await.get(BACKLOG) > 0.0);

    let sent = load.end().await;
    journaled(&mut daemon, sent).await;
    wire.set(Wire::Up);
    forwarded(&mut daemon).await;
    assert!(daemon.stop().await.success());
    let journal = in_journal(&daemon.journal()).await;
    assert_eq!(account(&journal.ids, &in_database(&db).await), BALANCED);
    assert_eq!(db.number("SELECT count(*) FROM tallyman.command_log WHERE command = 'checkout'").await, 1);
    assert_eq!(db.number("SELECT count(*) FROM tallyman.alert_current WHERE about = 'P-2'").await, 1);
    db.drop().await;
}
