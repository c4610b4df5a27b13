//! The database owns the register: what is written there with SQL comes in, what is asked of the API goes
//! there, and two registers are never mixed.

use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tallyman::domain::state::StateKind;

use super::proxy::{Proxy, Wire};
use super::rig::{Database, eventually, through};
use crate::daemon::Daemon;

struct Site {
    daemon: Daemon,
    client: Client,
}

impl Site {
    async fn start(node: &str, url: &str) -> Self {
        let daemon = Daemon::prepare(|place| {
            format!(
                "node = \"{node}\"\n{}\n[store.timescale]\nurl = \"{url}\"\nregister = \"database\"\n",
                place.tables("")
            )
        });
        let socket = daemon.path("journal.db.sock");
        let client = Client::builder().unix_socket(socket).timeout(Duration::from_secs(30)).build().unwrap();
        let mut site = Self { daemon, client };
        site.daemon.start();
        site.daemon.ready().await;
        site
    }

    /// Until the register is followed.
    async fn following(&self, db: &Database, node: &str) {
        let sql = format!("SELECT count(*) FROM tallyman.register_follower WHERE node = '{node}'");
        eventually("the register is followed", async || (db.number(&sql).await == 1).then_some(())).await;
    }

    async fn record(&self, key: &str) -> Option<Value> {
        let row = self.daemon.reader().await.state(StateKind::Register, key).await.unwrap()?;
        Some(serde_json::from_slice(&row).unwrap())
    }

    async fn has(&self, key: &str) {
        eventually(key, async || self.record(key).await.map(drop)).await;
    }

    async fn lacks(&self, key: &str) {
        eventually(key, async || self.record(key).await.is_none().then_some(())).await;
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let request = self.client.request(method, format!("http://control/api/v1{path}")).json(&body);
        let response = request.send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    async fn import(&self, records: Value) -> (StatusCode, Value) {
        self.ask(Method::POST, "/commands", json!({"command": "import", "records": records})).await
    }

    async fn alert(&self, subject: &str) -> Option<String> {
        let key = format!("journal/{subject}");
        let row = self.daemon.reader().await.state(StateKind::Alert, &key).await.unwrap()?;
        let alert: Value = serde_json::from_slice(&row).unwrap();
        (alert["state"] == "firing").then(|| alert["summary"].as_str().unwrap().to_owned())
    }
}

async fn connect(db: &Database) -> PgConnection {
    PgConnection::connect(&db.url).await.unwrap()
}

async fn say(connection: &mut PgConnection, sql: &str) {
    connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_commits_late_is_not_passed_over() {
    let Some(db) = Database::create("follow_order").await else { return };
    let mut site = Site::start("n1", &db.url).await;
    site.following(&db, "n1").await;
    db.execute("INSERT INTO tallyman.asset_class (name, ghost_after) VALUES ('drill', '4 hours')").await;
    site.has("class/drill").await;

    // The first one has the lower number and the lower transaction id, and commits last.
    let mut early = connect(&db).await;
    say(&mut early, "BEGIN; INSERT INTO tallyman.asset (id, class) VALUES ('EARLY', 'drill')").await;
    db.execute(
        "INSERT INTO tallyman.asset (id, class, attributes) VALUES ('LATE', 'drill', '{\"size\": 3}')",
    )
    .await;
    site.has("asset/LATE").await;
    assert_eq!(site.record("asset/EARLY").await, None);
    say(&mut early, "COMMIT").await;
    site.has("asset/EARLY").await;
    assert_eq!(site.record("asset/LATE").await.unwrap()["attributes"], json!({"size": "3"}));

    // Of two changes of one row the later holds, whichever transaction began first.
    say(&mut early, "BEGIN; INSERT INTO tallyman.person (id) VALUES ('P-1')").await;
    db.execute("UPDATE tallyman.asset SET name = 'first' WHERE id = 'LATE'").await;
    say(&mut early, "UPDATE tallyman.asset SET name = 'second' WHERE id = 'LATE'; COMMIT").await;
    site.has("person/P-1").await;
    eventually("the later name", async || {
        (site.record("asset/LATE").await.unwrap()["name"] == "second").then_some(())
    })
    .await;

    // A row that goes, goes; who did it is in the history.
    db.execute("DELETE FROM tallyman.asset WHERE id = 'EARLY'").await;
    site.lacks("asset/EARLY").await;
    let reader = site.daemon.reader().await;
    let query = tallyman::journal::EventQuery {
        subject: Some("asset:EARLY".to_owned()),
        ..tallyman::journal::EventQuery::default()
    };
    let events = reader.events(&query).await.unwrap();
    let last: Value = serde_json::from_str(&events[0].body).unwrap();
    assert_eq!((&last["by"], &last["after"]), (&json!("tallyman"), &Value::Null), "{last}");

    // Nobody was listening, and the process was killed.
    site.daemon.kill();
    db.execute("INSERT INTO tallyman.asset (id, class) VALUES ('AWAY', 'drill')").await;
    db.execute("DELETE FROM tallyman.person").await;
    site.daemon.start();
    site.has("asset/AWAY").await;
    site.lacks("person/P-1").await;
    assert_eq!(site.daemon.stop().await.code(), Some(0), "{}", site.daemon.log());
    db.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_does_not_fit_is_told_and_taken_up_when_it_does() {
    let Some(db) = Database::create("follow_misfit").await else { return };
    let mut site = Site::start("n1", &db.url).await;
    site.following(&db, "n1").await;
    db.execute("INSERT INTO tallyman.asset (id, class) VALUES ('D-1', 'drill')").await;
    let problems = "SELECT table_name, key, reason FROM tallyman.register_problem";
    let problem = eventually("a problem", async || {
        let rows = db.rows_of(problems).await;
        rows.as_array().unwrap().first().cloned()
    })
    .await;
    assert_eq!(problem["key"], "D-1");
    assert!(problem["reason"].as_str().unwrap().contains("no such class"), "{problem}");
    assert_eq!(site.record("asset/D-1").await, None);
    eventually("an alert", async || site.alert("register-rows").await.filter(|it| it.contains("D-1"))).await;

    // It is still there after a restart, and ends when what it refers to comes.
    assert_eq!(site.daemon.stop().await.code(), Some(0), "{}", site.daemon.log());
    site.daemon.start();
    site.daemon.ready().await;
    db.execute("INSERT INTO tallyman.asset_class (name) VALUES ('drill')").await;
    site.has("asset/D-1").await;
    let count = "SELECT count(*) FROM tallyman.register_problem";
    eventually("no problem", async || (db.number(count).await == 0).then_some(())).await;
    eventually("no alert", async || site.alert("register-rows").await.is_none().then_some(())).await;

    // A class that is in use does not go before what uses it.
    db.execute("DELETE FROM tallyman.asset_class").await;
    eventually("a problem", async || (db.number(count).await == 1).then_some(())).await;
    assert!(site.record("class/drill").await.is_some());
    db.execute("DELETE FROM tallyman.asset").await;
    site.lacks("class/drill").await;

    // A time zone that is none is a row that is none.
    db.execute("INSERT INTO tallyman.site (name, timezone) VALUES ('x', 'Europe/Atlantis')").await;
    eventually("a problem", async || (db.number(count).await == 1).then_some(())).await;
    assert_eq!(site.daemon.stop().await.code(), Some(0), "{}", site.daemon.log());
    db.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_of_the_api_goes_to_the_database_and_waits_for_it() {
    let Some(db) = Database::create("follow_edit").await else { return };
    let (server, _) = through(&db.url, "127.0.0.1:1".parse().unwrap());
    let proxy = Proxy::start(server).await;
    let (_, url) = through(&db.url, proxy.address);
    let mut site = Site::start("n1", &url).await;
    site.following(&db, "n1").await;
    let records = json!([
        {"table": "class", "name": "drill"},
        {"table": "asset", "id": "D-1", "class": "drill", "name": "the blue one"},
        {"table": "tag", "epc": "3034", "asset": "D-1"},
    ]);
    let (status, outcome) = site.import(records.clone()).await;
    assert_eq!((status, &outcome["created"]), (StatusCode::OK, &json!(3)), "{outcome}");
    // Both have it when the answer comes, and know who asked.
    assert!(site.record("asset/D-1").await.is_some());
    let changed = "SELECT name, (SELECT changed_by FROM tallyman.register_change WHERE key = 'D-1') AS by FROM tallyman.asset";
    assert_eq!(db.json(changed).await, json!({"name": "the blue one", "by": "local"}));
    let (status, outcome) = site.import(records).await;
    assert_eq!((status, &outcome["unchanged"]), (StatusCode::OK, &json!(3)), "{outcome}");
    // What would not fit is not written.
    let (status, _) = site.import(json!([{"table": "asset", "id": "D-2", "class": "none"}])).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(db.number("SELECT count(*) FROM tallyman.asset").await, 1);
    let commission = json!({"command": "commission", "epc": "3035", "asset": "D-1", "replaces": "3034"});
    let (status, outcome) = site.ask(Method::POST, "/commands", commission).await;
    assert_eq!(status, StatusCode::OK, "{outcome}");
    let standing = "SELECT epc FROM tallyman.tag WHERE valid_to = 'infinity'";
    assert_eq!(db.rows_of(standing).await, json!([{"epc": "3035"}]));

    // Away: descriptive edits are refused, custody goes on.
    proxy.set(Wire::Cut);
    let renamed = json!([{"table": "asset", "id": "D-1", "class": "drill", "name": "the red one"}]);
    eventually("refused while the database is away", async || {
        let (status, problem) = site.import(renamed.clone()).await;
        (status == StatusCode::SERVICE_UNAVAILABLE).then_some(problem)
    })
    .await;
    let checkout = json!({"command": "checkout", "asset": "D-1", "holder": "Ada"});
    let (status, outcome) = site.ask(Method::POST, "/commands", checkout).await;
    assert_eq!(status, StatusCode::OK, "{outcome}");
    // Written meanwhile by somebody who reaches it.
    db.execute("UPDATE tallyman.asset SET owner = 'leasing'").await;
    proxy.set(Wire::Up);
    eventually("the change made while we were away", async || {
        (site.record("asset/D-1").await?["owner"] == "leasing").then_some(())
    })
    .await;
    let (status, outcome) = eventually("taken again", async || {
        let answer = site.ask(Method::DELETE, "/register/tag/3034", Value::Null).await;
        (answer.0 != StatusCode::SERVICE_UNAVAILABLE).then_some(answer)
    })
    .await;
    assert_eq!((status, &outcome["removed"]), (StatusCode::OK, &json!(1)), "{outcome}");
    assert_eq!(db.number("SELECT count(*) FROM tallyman.tag").await, 1);
    assert_eq!(site.daemon.stop().await.code(), Some(0), "{}", site.daemon.log());
    db.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_registers_are_not_mixed_until_somebody_says_which_one_holds() {
    let Some(db) = Database::create("follow_adopt").await else { return };
    let mut first = Site::start("n1", &db.url).await;
    first.following(&db, "n1").await;
    let (status, _) = first
        .import(
            json!([{"table": "class", "name": "drill"}, {"table": "asset", "id": "D-1", "class": "drill"}]),
        )
        .await;
    assert_eq!(status, StatusCode::OK);

    let mut second = Site::start("n2", &db.url).await;
    let told = eventually("an alert", async || second.alert("register").await).await;
    assert!(told.contains("tallyman register adopt"), "{told}");
    assert_eq!(second.record("asset/D-1").await, None);
    let (status, _) = second.import(json!([{"table": "class", "name": "saw"}])).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);

    adopt(&second, "db");
    assert!(second.record("asset/D-1").await.is_some());
    eventually("no alert", async || second.alert("register").await.is_none().then_some(())).await;
    let (status, _) = second.import(json!([{"table": "class", "name": "saw"}])).await;
    assert_eq!(status, StatusCode::OK);
    first.has("class/saw").await;

    // The other way: the tables become this journal's, and who followed them before is told.
    let mut third = Site::start("n3", &db.url).await;
    eventually("an alert", async || third.alert("register").await).await;
    adopt(&third, "journal");
    assert_eq!(db.number("SELECT count(*) FROM tallyman.register_record").await, 0);
    eventually("an alert", async || first.alert("register").await).await;
    assert!(first.record("asset/D-1").await.is_some(), "the journal's own goes on");
    for site in [&mut first, &mut second, &mut third] {
        assert_eq!(site.daemon.stop().await.code(), Some(0), "{}", site.daemon.log());
    }
    db.drop().await;
}

fn adopt(site: &Site, from: &str) {
    let done = std::process::Command::new(env!("CARGO_BIN_EXE_tallyman"))
        .args(["register", "adopt", "--from", from, "-c"])
        .arg(site.daemon.path("tallyman.toml"))
        .output()
        .unwrap();
    assert!(done.status.success(), "{}\n{}", String::from_utf8_lossy(&done.stderr), site.daemon.log());
}
