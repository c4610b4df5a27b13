//! What PostgreSQL will not take, and databases that are not ours to write to.

use std::time::Duration;

use tallyman::domain::events::Event;
use tallyman::domain::time::Timestamp;
use tallyman::journal::Batch;

use super::events::{sample, samples};
use super::rig::{Database, Node};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_postgresql_refuses_is_set_aside_and_takes_nothing_with_it() {
    let Some(db) = Database::create("poison").await else { return };
    let dir = tempfile::tempdir().unwrap();
    let node = Node::open("n1", &dir.path().join("journal"), &db.url).await;
    let mut batch = samples(0..400);
    batch.events[137].observed_at = Timestamp::MAX;
    batch.events[399].observed_at = Timestamp::MIN;
    let refused = [batch.events[137].clone(), batch.events[399].clone()];
    node.commit(batch).await;
    let node = node.forward();
    db.forwarded("n1", 400).await;
    assert_eq!(db.rows().await, (398, 398));
    for Event { id, .. } in &refused {
        let sql = format!("SELECT count(*) FROM tallyman.rejected_event WHERE event_id = '{id}'");
        assert_eq!(db.number(&sql).await, 1);
    }
    let kept = "SELECT seq, kind, body::jsonb->>'device' AS device, error ~ 'timestamp out of range' AS why
        FROM tallyman.rejected_event ORDER BY seq LIMIT 1";
    assert_eq!(
        db.json(kept).await,
        serde_json::json!({"seq": 138, "kind": "sample", "device": "cold-1", "why": true})
    );
    node.problem_with("timescale-history", "rejected_event").await;
    // And on it goes.
    node.commit(Batch { events: vec![sample(1000)], ..Batch::default() }).await;
    db.forwarded("n1", 401).await;
    node.close().await;
    db.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_schema_is_left_alone_until_it_is_ours_again() {
    let Some(db) = Database::create("newer").await else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let node = Node::open("n1", &path, &db.url).await.forward();
    node.commit(samples(0..10)).await;
    db.forwarded("n1", 10).await;
    node.close().await;
    db.execute("INSERT INTO tallyman.schema_version (version) VALUES (999)").await;
    let node = Node::open("n1", &path, &db.url).await.forward();
    node.commit(samples(10..20)).await;
    node.problem_with("timescale", "at version 999").await;
    assert_eq!(db.rows().await, (10, 10));
    db.execute("DELETE FROM tallyman.schema_version WHERE version = 999").await;
    db.forwarded("n1", 20).await;
    assert_eq!(db.rows().await, (20, 20));
    node.close().await;
    db.drop().await;
}

/// A server too slow for a batch of that size takes it in parts, and nothing is set aside.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_takes_too_long_goes_in_parts() {
    let Some(db) = Database::create("slow").await else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::open("n1", &dir.path().join("journal"), &db.url).await;
    node.config.statement_timeout = Duration::from_secs(1);
    let node = node.forward();
    node.commit(samples(0..1)).await;
    db.forwarded("n1", 1).await;
    db.execute(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN PERFORM pg_sleep(0.01); RETURN NEW; END $$;
         CREATE TRIGGER slow BEFORE INSERT ON tallyman.sample FOR EACH ROW EXECUTE FUNCTION slow()",
    )
    .await;
    node.commit(samples(1..200)).await;
    db.forwarded("n1", 200).await;
    assert_eq!(db.rows().await, (200, 200));
    assert_eq!(db.number("SELECT count(*) FROM tallyman.rejected_event").await, 0);
    let batches = db.number("SELECT count(DISTINCT xmin::text) FROM tallyman.sample").await;
    assert!(batches > 2, "{batches} transactions");
    node.close().await;
    db.drop().await;
}

/// Many daemons that meet an empty database together: it is migrated once, and each fills in its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_together_migrate_once() {
    let Some(db) = Database::create("together").await else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut nodes = Vec::new();
    for n in 0..4_u64 {
        let name = format!("n{n}");
        let node = Node::open(&name, &dir.path().join(&name), &db.url).await;
        node.commit(samples(n * 100..n * 100 + 100)).await;
        nodes.push(node.forward());
    }
    for node in &nodes {
        db.forwarded(&node.name, 100).await;
    }
    assert_eq!(db.rows().await, (400, 400));
    let versions = db.number("SELECT count(*) FROM tallyman.schema_version").await;
    assert_eq!(versions, i64::from(tallyman::store::timescale::KNOWN_SCHEMA));
    for node in nodes {
        node.close().await;
    }
    db.drop().await;
}

/// A name that has no TimescaleDB to add: said in words that say what to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_may_not_add_timescaledb_is_told_what_to_do() {
    let Some(db) = Database::create("extension").await else { return };
    let dir = tempfile::tempdir().unwrap();
    let role = format!("tallyman_plain_{}", std::process::id());
    db.execute(&format!("CREATE ROLE {role} LOGIN PASSWORD 'plain'")).await;
    let (_, host) = db.url.split_once('@').unwrap();
    let url = format!("postgres://{role}:plain@{host}");
    let node = Node::open("n1", &dir.path().join("journal"), &url).await.forward();
    node.commit(samples(0..1)).await;
    node.problem_with("timescale", "CREATE EXTENSION timescaledb").await;
    node.close().await;
    db.execute(&format!("DROP ROLE {role}")).await;
    db.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_tells_of_a_newer_schema() {
    let Some(db) = Database::create("check").await else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tallyman.toml");
    let text = format!(
        "node = \"n\"\n[store.timescale]\nurl = \"{}\"\n[[site]]\nname = \"depot\"\ntimezone = \"UTC\"\n",
        db.url
    );
    std::fs::write(&path, text).unwrap();
    let check = || crate::cli::tallyman(&["check", "--connect", "-c", &path.display().to_string()]);
    assert!(check().succeeds().contains("1 of 1 answer as they should"));
    db.execute("CREATE SCHEMA tallyman; CREATE TABLE tallyman.schema_version (version integer)").await;
    assert!(check().succeeds().contains("1 of 1 answer as they should"), "made, and empty");
    db.execute("INSERT INTO tallyman.schema_version VALUES (999)").await;
    let said = check();
    said.fails_with(1, &[]);
    assert!(
        said.out.contains("at version 999") && said.out.contains("install the newer program"),
        "{said:?}"
    );
    let password = db.url.split(['@', ':']).nth(2).unwrap();
    assert!(!said.out.contains(password) && !said.err.contains(password), "a secret was shown");
    db.drop().await;
}
