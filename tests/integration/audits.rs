//! A count from its opening to its report, planned work, and what leaves the house as files: all of it as
//! people type it and as a handheld sends it, against a daemon that runs.

use std::fs;

use reqwest::Client;
use serde_json::{Value, json};

use crate::cli::tallyman;
use crate::daemon::Daemon;

const EPC: &str = "3034257bf7194e4000001a85";

struct Crib {
    daemon: Daemon,
    client: Client,
    config: String,
}

impl Crib {
    async fn start() -> Self {
        let mut daemon = Daemon::prepare(|place| {
            format!(
                "node = \"n\"\n{}\n[[site]]\nname = \"plant\"\ntimezone = \"Europe/Berlin\"\n\
                 [[zone]]\nname = \"crib\"\nsite = \"plant\"\n[[class]]\nname = \"tool\"\n",
                place.tables("")
            )
        });
        daemon.start();
        daemon.ready().await;
        let client = Client::builder().unix_socket(daemon.path("journal.db.sock")).build().unwrap();
        let config = daemon.path("tallyman.toml").display().to_string();
        let crib = Self { daemon, client, config };
        let register = crib.daemon.path("register.json");
        let lines = format!(
            "{{\"table\":\"asset\",\"id\":\"T1\",\"class\":\"tool\",\"home_zone\":\"crib\"}}\n\
             {{\"table\":\"asset\",\"id\":\"T2\",\"class\":\"tool\",\"home_zone\":\"crib\"}}\n\
             {{\"table\":\"tag\",\"epc\":\"{EPC}\",\"asset\":\"T1\"}}\n"
        );
        fs::write(&register, lines).unwrap();
        crib.types(&["import", &register.display().to_string()]);
        crib
    }

    /// Runs `tallyman` with this configuration; it succeeds.
    #[track_caller]
    fn types(&self, words: &[&str]) -> String {
        let arguments = [words, &["-c", self.config.as_str()]].concat();
        tallyman(&arguments).succeeds().to_owned()
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.client.get(format!("http://control/api/v1{path}")).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> u16 {
        let post = self.client.post(format!("http://control/api/v1{path}")).json(&body);
        post.send().await.unwrap().status().as_u16()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_count_from_its_opening_to_its_report() {
    let mut crib = Crib::start().await;
    crib.types(&["audit", "open", "A", "--zone", "crib"]);
    let reads = json!({ "zone": "crib", "reader": "handheld-3", "epcs": [EPC, "0102"] });
    assert_eq!(crib.post("/reads", reads).await, 200);
    assert_eq!(crib.post("/reads", json!({ "zone": "nowhere", "epcs": [EPC] })).await, 422);
    assert_eq!(crib.post("/reads", json!({ "zone": "crib" })).await, 422);
    assert_eq!(crib.post("/audits", json!({ "audit": "A", "zones": ["crib"] })).await, 409);
    let open = crib.get("/audits/A").await;
    assert_eq!(open["pending"], json!(["T2"]), "{open}");
    crib.types(&["audit", "close", "A"]);
    let report: Value = serde_json::from_str(&crib.types(&["audit", "report", "A", "--json"])).unwrap();
    assert_eq!(report, crib.get("/audits/A").await);
    assert_eq!(report["accuracy"], 0.5);
    let differences: Vec<(&Value, &Value)> = report["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (&item["what"], &item["standing"]))
        .collect();
    let missing = (&json!({ "asset": "T2" }), &json!("missing"));
    let strange = (&json!({ "tag": "0102" }), &json!("unexpected"));
    assert_eq!(differences, [missing, strange]);
    assert!(crib.types(&["audit", "report", "A"]).contains("closed, 1 of 2 found, 50.0 %"));
    assert!(crib.types(&["audit", "list"]).contains("A  closed"));
    assert!(crib.types(&["explain", "T2"]).contains("ghost    YES"));
    let alerts = crib.get("/alerts?state=firing").await.to_string();
    assert!(alerts.contains("\"ghost\"") && alerts.contains("\"zombie\""), "{alerts}");
    assert_eq!(crib.get("/audits?state=closed").await["items"][0]["id"], "A");
    assert_eq!(crib.get("/audits?state=open").await["items"], json!([]));

    let file = crib.daemon.path("events.json").display().to_string();
    crib.types(&["export", "epcis", "--base", "https://id.example.com", "--out", &file]);
    let exported: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let asked = crib.get("/epcis/events?base=https://id.example.com").await;
    let events = |document: &Value| document["epcisBody"]["eventList"].as_array().unwrap().clone();
    assert_eq!(events(&exported).len(), 2, "{exported}");
    let mut reversed = events(&asked);
    reversed.reverse();
    assert_eq!(events(&exported), reversed);
    assert_eq!(crib.daemon.stop().await.code(), Some(0), "{}", crib.daemon.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn planned_work_is_planned_seen_and_ended() {
    let mut crib = Crib::start().await;
    let plan = ["maintenance", "plan", "M-1", "--zone", "crib", "--to", "2099-01-01T00:00:00Z"];
    crib.types(&[&plan[..], &["--reason", "new antenna"]].concat());
    let listed = crib.types(&["maintenance", "list"]);
    assert!(listed.contains("M-1  zone crib") && listed.contains("in force"), "{listed}");
    let status = crib.get("/status").await;
    assert_eq!(status["maintenance"][0]["planned"]["name"], "M-1", "{status}");
    crib.types(&["maintenance", "end", "M-1"]);
    assert_eq!(crib.get("/status").await["maintenance"], json!([]));
    assert_eq!(crib.types(&["maintenance", "list"]), "nothing is planned\n");
    assert!(crib.types(&["maintenance", "list", "--all"]).contains("over since"));
    let wrong = ["maintenance", "plan", "M-2", "--to", "2099-01-01T00:00:00Z", "-c", &crib.config];
    tallyman(&wrong).fails_with(2, &["--zone"]);
    assert_eq!(crib.daemon.stop().await.code(), Some(0), "{}", crib.daemon.log());
}
