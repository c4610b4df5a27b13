//! The server goes, comes back, hangs up in the middle: nothing is lost, nothing doubled.

use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tallyman::config::Secret;

use super::events::samples;
use super::proxy::{Proxy, Wire};
use super::rig::{Database, Node, eventually, through};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_killed_in_the_middle_lose_and_double_nothing() {
    let Some(db) = Database::create("killed").await else { return };
    let dir = tempfile::tempdir().unwrap();
    let node = Node::open("n1", &dir.path().join("journal"), &db.url).await.forward();
    const ROUND: u64 = 2000;
    const KILLS: i64 = 10;
    let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE application_name = 'tallyman n1' AND datname = current_database()
          AND state <> 'idle' AND query ~ '^(COPY|COMMIT|UPDATE|INSERT)'";
    let (mut killed, mut events) = (0, 0);
    while killed < KILLS && events < 200 * ROUND {
        node.commit(samples(events..events + ROUND)).await;
        events += ROUND;
        let all = i64::try_from(events).unwrap();
        eventually("a session in the middle of a batch, or all of it written", async || {
            let count = db.number(kill).await;
            killed += count;
            let seq = db.number("SELECT last_seq FROM tallyman.forward_watermark").await;
            (count > 0 || seq == all).then_some(())
        })
        .await;
    }
    assert!(killed >= KILLS, "only {killed} sessions were met in the middle of a batch");
    db.forwarded("n1", events).await;
    let expected = i64::try_from(events).unwrap();
    assert_eq!(db.rows().await, (expected, expected));
    node.close().await;
    db.drop().await;
}

#[tokio::test]
async fn away_and_back_shows_the_backlog_and_drains_it() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    // One thread: every task of this test reports to this recorder.
    let _guard = metrics::set_default_local_recorder(&recorder);
    let Some(db) = Database::create("away").await else { return };
    let dir = tempfile::tempdir().unwrap();
    let (server, proxy) = proxied(&db).await;
    let node = Node::open("n1", &dir.path().join("journal"), &server).await.forward();
    node.commit(samples(0..100)).await;
    db.forwarded("n1", 100).await;
    // The server has them; that it has said so is another thing.
    eventually("the answer", async || (gauge(&metrics, "rows_total") == Some(100.0)).then_some(())).await;

    proxy.set(Wire::Cut);
    node.commit(samples(100..900)).await;
    eventually("the backlog", async || (gauge(&metrics, "backlog_events") == Some(800.0)).then_some(()))
        .await;
    node.problem_with("timescale", "failed to").await;
    node.commit(samples(900..1000)).await;
    eventually("more backlog", async || (gauge(&metrics, "backlog_events") == Some(900.0)).then_some(()))
        .await;
    assert_eq!(gauge(&metrics, "connected"), Some(0.0));

    proxy.set(Wire::Up);
    db.forwarded("n1", 1000).await;
    eventually("no backlog", async || (gauge(&metrics, "backlog_events") == Some(0.0)).then_some(())).await;
    eventually("no problem", async || node.problem("timescale").is_none().then_some(())).await;
    assert_eq!(db.rows().await, (1000, 1000));
    assert_eq!(gauge(&metrics, "rows_total"), Some(1000.0));
    assert_eq!(gauge(&metrics, "connected"), Some(1.0));
    assert!(gauge(&metrics, "last_success_timestamp_seconds").is_some_and(|at| at > 1.7e9));
    assert_eq!(node.reader.meta().await.unwrap().forwarded_seq, 1000);
    node.close().await;
    db.drop().await;
}

fn gauge(metrics: &PrometheusHandle, name: &str) -> Option<f64> {
    let name = format!("tallyman_store_{name} ");
    metrics.render().lines().find_map(|line| line.strip_prefix(&name)?.parse().ok())
}

/// The line is up and nothing comes back: no error will ever arrive by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_falls_silent_is_given_up() {
    let Some(db) = Database::create("silent").await else { return };
    let dir = tempfile::tempdir().unwrap();
    let (server, proxy) = proxied(&db).await;
    let mut node = Node::open("n1", &dir.path().join("journal"), &server).await;
    node.config.statement_timeout = Duration::from_secs(1);
    let node = node.forward();
    node.commit(samples(0..10)).await;
    db.forwarded("n1", 10).await;
    proxy.set(Wire::Frozen);
    node.commit(samples(10..20)).await;
    node.problem_with("timescale", "nothing came back").await;
    proxy.set(Wire::Up);
    db.forwarded("n1", 20).await;
    assert_eq!(db.rows().await, (20, 20));
    node.close().await;
    db.drop().await;
}

/// At a clean end of the journal all of it is forwarded; at shutdown forwarding stops at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_complete_journal_is_drained_before_the_end() {
    let Some(db) = Database::create("drained").await else { return };
    let dir = tempfile::tempdir().unwrap();
    let node = Node::open("n1", &dir.path().join("journal"), &db.url).await;
    node.commit(samples(0..3000)).await;
    let mut forwarder = node.forwarder();
    let (closing, complete) = tokio::sync::watch::channel(3000);
    drop(closing);
    forwarder.committed = complete;
    forwarder.run(tokio_util::sync::CancellationToken::new()).await;
    assert_eq!(db.rows().await, (3000, 3000));
    node.close().await;
    db.drop().await;
}

/// An address that nobody answers at: the journal goes on, and a stop is a stop.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_does_not_wait_for_a_server_that_is_away() {
    let dir = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://nobody@{}/none", free.local_addr().unwrap());
    drop(free);
    let mut node = Node::open("n1", &dir.path().join("journal"), &url).await;
    node.config.url = Secret::new(url);
    let node = node.forward();
    node.commit(samples(0..10)).await;
    node.problem_with("timescale", "failed to connect").await;
    node.close().await;
}

async fn proxied(db: &Database) -> (String, Proxy) {
    let (server, _) = through(&db.url, "127.0.0.1:1".parse().unwrap());
    let proxy = Proxy::start(server).await;
    let (_, url) = through(&db.url, proxy.address);
    (url, proxy)
}
