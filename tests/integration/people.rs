//! A person who is erased is nowhere any more: not in a byte of the journal, not in a row of TimescaleDB, and what
//! an asset's history says stays.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tallyman::domain::state::StateKind;

use crate::daemon::Daemon;
use crate::timescale::rig::{Database, eventually};

const ID: &str = "P-4711-Q";
const NAME: &str = "Zelda Quixote";
const BADGE: &str = "3034257bf7194e40000099aa";
const NEEDLES: [&str; 3] = [ID, NAME, BADGE];

const PLACES: &str = r#"
[[site]]
name = "depot"
timezone = "UTC"

[[zone]]
name = "hall"
site = "depot"

[[class]]
name = "drill"
"#;

struct Site {
    daemon: Daemon,
    client: Client,
    asked: AtomicU64,
}

impl Site {
    /// `store`: the lines of `[store.timescale]`.
    async fn start(store: &str) -> Self {
        let daemon =
            Daemon::prepare(|place| format!("node = \"n\"\n{}\n{store}\n{PLACES}", place.tables("")));
        let socket = daemon.path("journal.db.sock");
        let client = Client::builder().unix_socket(socket).timeout(Duration::from_secs(30)).build().unwrap();
        let mut site = Self { daemon, client, asked: AtomicU64::new(0) };
        site.daemon.start();
        site.daemon.ready().await;
        site
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let request = self.client.request(method, format!("http://control/api/v1{path}"));
        let nth = self.asked.fetch_add(1, Ordering::Relaxed);
        let request = request.header("Idempotency-Key", format!("k{nth}"));
        let response = request.json(&body).send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(Method::POST, path, body).await;
        assert!(status.is_success(), "{path}: {status} {answer}");
        answer
    }

    async fn get(&self, path: &str) -> Value {
        let response = self.client.get(format!("http://control/api/v1{path}")).send().await.unwrap();
        response.json().await.unwrap()
    }

    /// Everything that a person gets into.
    async fn live(&self) {
        let person = json!({ "table": "person", "id": ID, "name": NAME, "team": "night" });
        let badge = json!({ "table": "tag", "epc": BADGE, "person": ID });
        let drill = |id: &str| json!({ "table": "asset", "id": id, "class": "drill", "home_zone": "hall" });
        let theirs = json!({ "table": "asset", "id": "D-3", "class": "drill", "owner": NAME,
            "attributes": { "engraved": format!("property of {NAME}") } });
        self.post("/register", json!({ "records": [person, badge, drill("D-1"), drill("D-2"), theirs] }))
            .await;
        self.post(
            "/commands",
            json!({ "command": "checkout", "asset": "D-1", "holder": ID,
            "note": format!("{NAME} asked for it, badge {BADGE}") }),
        )
        .await;
        let (refused, _) =
            self.ask(Method::POST, "/checkouts", json!({ "asset": "D-1", "holder": "Bo" })).await;
        assert_eq!(refused, StatusCode::CONFLICT);
        self.post("/commands", json!({ "command": "checkout", "asset": "D-2", "holder": NAME })).await;
        self.post("/commands", json!({ "command": "hand-over", "asset": "D-2", "holder": "Bo" })).await;
        self.post(
            "/commands",
            json!({ "command": "quarantine", "asset": "D-3", "reason": format!("{NAME} dropped it") }),
        )
        .await;
        self.post("/audits", json!({ "audit": "count-1", "zones": ["hall"], "note": format!("by {NAME}") }))
            .await;
        self.post("/reads", json!({ "zone": "hall", "epcs": [BADGE], "reader": NAME })).await;
        self.post("/audits/count-1/close", json!({})).await;
    }

    async fn erased(&self) {
        eventually("the erasure is done", async || {
            let pending = self.daemon.reader().await.all_states(StateKind::Erasure).await.unwrap();
            pending.is_empty().then_some(())
        })
        .await;
    }

    fn named_in_journal(&self) -> Vec<String> {
        let journal = self.daemon.journal();
        let name = journal.file_name().unwrap().to_str().unwrap().to_owned();
        let beside = std::fs::read_dir(journal.parent().unwrap()).unwrap().map(|file| file.unwrap().path());
        let ours = beside.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&name));
        ours.flat_map(|path| NEEDLES.into_iter().filter(move |needle| holds(&path, needle)))
            .map(str::to_owned)
            .collect()
    }
}

fn holds(file: &Path, needle: &str) -> bool {
    // The socket is no file to read.
    let bytes = std::fs::read(file).unwrap_or_default();
    bytes.windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle.as_bytes()))
}

/// Tables of the database, chunks among them, that name the person.
async fn named_in_database(db: &Database) -> Vec<String> {
    let tables = "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
        WHERE schemaname IN ('tallyman', '_timescaledb_internal')";
    let mut named = Vec::new();
    for table in db.rows_of(tables).await.as_array().unwrap() {
        let table = table["name"].as_str().unwrap();
        for needle in NEEDLES {
            let sql = format!("SELECT count(*) FROM {table} t WHERE to_jsonb(t)::text ILIKE '%{needle}%'");
            if db.number(&sql).await != 0 {
                named.push(format!("{table}: {needle}"));
            }
        }
    }
    named
}

/// Each thing's custody is told as before, of somebody who is nobody any more.
async fn history_stays(site: &Site) {
    let events = site.get("/events?kind=checked-out,handed-over").await;
    let events = events["items"].as_array().unwrap();
    assert_eq!(events.len(), 3, "{events:?}");
    let label =
        events.iter().find(|event| event["subject"] == "asset:D-1").unwrap()["body"]["holder"].clone();
    assert!(label.as_str().unwrap().starts_with("erased-"), "{label}");
    let handed = events.iter().find(|event| event["kind"] == "handed-over").unwrap();
    assert_eq!((&handed["body"]["from"], &handed["body"]["holder"]), (&label, &"Bo".into()));
    let asset = site.get("/assets/D-1").await;
    assert_eq!(asset["current"]["checkout"]["holder"], label);
    assert_eq!(site.get("/register/asset/D-3").await["owner"], label);
    let told = site.get("/events?kind=command&limit=1000").await;
    let erasure =
        told["items"].as_array().unwrap().iter().find(|event| event["body"]["command"] == "erase-person");
    assert_eq!(erasure.unwrap()["body"]["person"], label);
    assert_eq!(site.ask(Method::POST, "/assets/D-1/check-in", json!({})).await.0, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_byte_of_the_journal_names_them_though_the_daemon_was_killed() {
    let mut site = Site::start("").await;
    site.live().await;
    let named = site.named_in_journal();
    for needle in NEEDLES {
        assert!(named.iter().any(|name| name == needle), "{needle} was there");
    }
    let (unknown, _) = site.ask(Method::POST, "/erasures", json!({ "person": "P-9" })).await;
    assert_eq!(unknown, StatusCode::NOT_FOUND);
    let asked = site.post("/erasures", json!({ "person": ID })).await;
    assert_eq!(asked["removed"], 2);
    // Answered is durable: it goes on without anybody asking again.
    site.daemon.kill();
    site.daemon.start();
    site.daemon.ready().await;
    site.erased().await;
    history_stays(&site).await;
    assert_eq!(site.get("/erasures").await, json!({ "items": [] }));
    assert_eq!(site.named_in_journal(), Vec::<String>::new());
    assert_eq!(site.daemon.stop().await.code(), Some(0), "{}", site.daemon.log());
    assert_eq!(site.named_in_journal(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_row_of_the_database_names_them_either() {
    let Some(db) = Database::create("people").await else { return };
    let mut site = Site::start(&format!("[store.timescale]\nurl = \"{}\"", db.url)).await;
    site.live().await;
    let newest = site.daemon.reader().await.meta().await.unwrap().last_seq;
    db.forwarded("n", newest).await;
    assert!(named_in_database(&db).await.len() > 6, "they were there");
    site.post("/erasures", json!({ "person": ID })).await;
    site.erased().await;
    assert_eq!(named_in_database(&db).await, Vec::<String>::new());
    assert_eq!(site.named_in_journal(), Vec::<String>::new());
    history_stays(&site).await;
    let holders = "SELECT count(*) FROM tallyman.location_event WHERE holder LIKE 'erased-%'";
    assert!(db.number(holders).await >= 2);
    assert_eq!(site.daemon.stop().await.code(), Some(0), "{}", site.daemon.log());
    db.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_database_owns_the_register_they_go_from_there_first() {
    let Some(db) = Database::create("people_owned").await else { return };
    let store = format!("[store.timescale]\nurl = \"{}\"\nregister = \"database\"", db.url);
    let mut site = Site::start(&store).await;
    let follows = "SELECT count(*) FROM tallyman.register_follower";
    eventually("the register is followed", async || (db.number(follows).await == 1).then_some(())).await;
    site.live().await;
    let asked = site.post("/erasures", json!({ "person": ID })).await;
    assert_eq!(asked["removed"], 2);
    site.erased().await;
    assert_eq!(named_in_database(&db).await, Vec::<String>::new());
    assert_eq!(site.named_in_journal(), Vec::<String>::new());
    history_stays(&site).await;
    // What is compared at the next start brings nothing back.
    assert_eq!(site.daemon.stop().await.code(), Some(0), "{}", site.daemon.log());
    site.daemon.start();
    site.daemon.ready().await;
    eventually("followed again", async || (db.number(follows).await == 1).then_some(())).await;
    assert_eq!(site.get("/register?table=person").await, json!({ "items": [] }));
    assert_eq!(site.daemon.stop().await.code(), Some(0), "{}", site.daemon.log());
    assert_eq!(site.named_in_journal(), Vec::<String>::new());
    db.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_of_theirs_that_did_not_fit_does_not_bring_them_back() {
    let Some(db) = Database::create("people_unfit").await else { return };
    let store = format!("[store.timescale]\nurl = \"{}\"\nregister = \"database\"", db.url);
    let mut site = Site::start(&store).await;
    let follows = "SELECT count(*) FROM tallyman.register_follower";
    eventually("the register is followed", async || (db.number(follows).await == 1).then_some(())).await;
    db.execute(
        "INSERT INTO tallyman.person (id, name, site)
         VALUES ('P-8', 'Otto Unfit', 'nowhere'), ('P-9', 'Ida', 'nowhere')",
    )
    .await;
    let problems = "SELECT count(*) FROM tallyman.register_problem";
    eventually("they do not fit", async || (db.number(problems).await == 2).then_some(())).await;
    site.post("/erasures", json!({ "person": "P-8", "also": ["Otto Unfit"] })).await;
    site.erased().await;
    // Now they would fit.
    db.execute("INSERT INTO tallyman.site (name, timezone) VALUES ('nowhere', 'UTC')").await;
    eventually("the other one does", async || (db.number(problems).await == 0).then_some(())).await;
    let people = site.get("/register?table=person").await;
    let people = people["items"].as_array().unwrap();
    assert!(people.iter().any(|person| person["id"] == "P-9"), "{people:?}");
    assert!(!people.iter().any(|person| person["id"] == "P-8"), "{people:?}");
    assert_eq!(db.number("SELECT count(*) FROM tallyman.person").await, 1);
    assert_eq!(site.daemon.stop().await.code(), Some(0), "{}", site.daemon.log());
    assert!(!holds(&site.daemon.journal(), "Otto Unfit"));
    db.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_in_vain_is_told_so_by_the_exit_code() {
    let port = crate::servers::free_port();
    let away = format!("[store.timescale]\nurl = \"postgres://nobody@127.0.0.1:{port}/none\"");
    for (store, code, said) in [(away.as_str(), 75, "not done yet: the database"), ("", 0, "they are erased")]
    {
        let mut site = Site::start(store).await;
        site.live().await;
        let file = site.daemon.path("tallyman.toml").display().to_string();
        let wait = if code == 0 { "60" } else { "5" };
        let arguments = ["erase-person", "-c", &file, ID, "--yes", "--wait", wait];
        let outcome = crate::cli::tallyman(&arguments);
        assert_eq!(outcome.code, code, "{outcome:?}");
        assert!(outcome.out.contains(said), "{outcome:?}");
        assert_eq!(site.daemon.stop().await.code(), Some(0), "{}", site.daemon.log());
    }
}
