//! The HTTP API from outside: who may do what, what is refused and how, and that an answer to a command
//! means that it is durable.

use std::os::unix::fs::PermissionsExt;

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::daemon::Daemon;
use crate::servers::free_port;

mod answers;
mod doors;
mod examples;
mod fuzz;
mod limits;
mod reads;
mod stream;
mod tls;
mod tokens;
mod writes;

const VIEWER: &str = "viewer-token";
const OPERATOR: &str = "operator-token";
const ADMIN: &str = "admin-token";

const PLACES: &str = r#"
[[site]]
name = "depot"
timezone = "UTC"

[[site]]
name = "leeds"
timezone = "Europe/London"

[[zone]]
name = "hall"
site = "depot"

[[zone]]
name = "yard"
site = "leeds"

[[class]]
name = "forklift"
"#;

fn token_lines(name: &str, token: &str, role: &str) -> String {
    let sha256 = hex::encode(Sha256::digest(token));
    format!("[[web.token]]\nname = \"{name}\"\nsha256 = \"{sha256}\"\nrole = \"{role}\"\n")
}

struct Api {
    daemon: Daemon,
    client: Client,
    base: String,
}

impl Api {
    async fn start() -> Self {
        Self::start_with("", "").await
    }

    /// With these lines in `[web]`, and these behind the whole configuration.
    async fn start_with(web: &str, more: &str) -> Self {
        let port = free_port();
        let tokens: String =
            [("wall", VIEWER, "viewer"), ("crib", OPERATOR, "operator"), ("erp", ADMIN, "admin")]
                .map(|(name, token, role)| token_lines(name, token, role))
                .concat();
        let mut daemon = Daemon::prepare(|place| {
            format!(
                "node = \"n\"\n{}\n[web]\nlisten = \"127.0.0.1:{port}\"\n{web}\n{tokens}\n{PLACES}\n{more}\n",
                place.tables("")
            )
        });
        daemon.start();
        daemon.ready().await;
        let client = Client::new();
        Self { daemon, client, base: format!("http://127.0.0.1:{port}") }
    }

    fn request(&self, token: &str, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base)).bearer_auth(token)
    }

    async fn ask(&self, token: &str, method: Method, path: &str, body: Option<&str>) -> (StatusCode, Value) {
        let mut request = self.request(token, method, path);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_owned());
        }
        answer(request).await
    }

    async fn get(&self, token: &str, path: &str) -> (StatusCode, Value) {
        self.ask(token, Method::GET, path, None).await
    }

    async fn post(&self, token: &str, path: &str, body: Value) -> (StatusCode, Value) {
        self.ask(token, Method::POST, path, Some(&body.to_string())).await
    }
}

async fn answer(request: reqwest::RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    let status = response.status();
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    let value: Value = response.json().await.expect("JSON");
    if !status.is_success() {
        assert_eq!(kind, "application/problem+json");
        assert_eq!(value["status"], status.as_u16());
        assert!(value["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{value}");
    }
    (status, value)
}

fn assets(count: usize) -> Value {
    let records: Vec<Value> = (0..count)
        .map(|nth| json!({ "table": "asset", "id": format!("FL-{nth:03}"), "class": "forklift" }))
        .collect();
    json!({ "records": records })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_decide_who_may_what() {
    let mut api = Api::start().await;
    let nobody = answer(api.client.get(format!("{}/api/v1/status", api.base))).await;
    assert_eq!(nobody.0, StatusCode::UNAUTHORIZED);
    for wrong in ["", "wrong", &hex::encode(Sha256::digest(ADMIN))] {
        assert_eq!(api.get(wrong, "/api/v1/status").await.0, StatusCode::UNAUTHORIZED, "{wrong}");
        assert_eq!(api.get(wrong, "/nowhere").await.0, StatusCode::UNAUTHORIZED, "paths are not told either");
    }
    assert_eq!(api.get(VIEWER, "/api/v1/status").await.0, StatusCode::OK);
    let checkout = json!({ "asset": "FL-000", "holder": "Ada" });
    for token in [VIEWER, OPERATOR] {
        let (status, problem) = api.post(token, "/api/v1/register", assets(1)).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert!(problem["detail"].as_str().unwrap().contains("admin"), "{problem}");
    }
    assert_eq!(api.post(VIEWER, "/api/v1/checkouts", checkout.clone()).await.0, StatusCode::FORBIDDEN);
    assert_eq!(api.post(ADMIN, "/api/v1/register", assets(1)).await.0, StatusCode::OK);
    assert_eq!(api.post(OPERATOR, "/api/v1/checkouts", checkout.clone()).await.0, StatusCode::CREATED);
    assert_eq!(api.post(OPERATOR, "/api/v1/checkouts", checkout).await.0, StatusCode::CONFLICT);
    let delete = api.ask(OPERATOR, Method::DELETE, "/api/v1/register/asset/FL-000", None).await;
    assert_eq!(delete.0, StatusCode::FORBIDDEN);
    // Who it was is in the journal.
    let (_, events) = api.get(VIEWER, "/api/v1/events?kind=command,register").await;
    let text = events.to_string();
    assert!(text.contains("\"by\":\"crib\"") && text.contains("\"by\":\"erp\""), "{text}");
    assert_eq!(api.daemon.stop().await.code(), Some(0), "{}", api.daemon.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_makes_no_sense_is_refused_with_a_reason() {
    let mut api = Api::start().await;
    for path in ["/", "/api", "/api/v1/nothing", "/api/v1/assets/FL-404", "/api/v1/register/asset/FL-404"] {
        assert_eq!(api.get(ADMIN, path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    let checkouts = "/api/v1/checkouts";
    for (body, expected) in [
        ("{", StatusCode::BAD_REQUEST),
        ("[]", StatusCode::UNPROCESSABLE_ENTITY),
        ("{\"asset\":\"A\"}", StatusCode::UNPROCESSABLE_ENTITY),
        ("{\"asset\":\"A\",\"holder\":\"B\",\"hodler\":1}", StatusCode::UNPROCESSABLE_ENTITY),
        ("{\"asset\":\"A\",\"holder\":\"B\",\"due_back\":\"soon\"}", StatusCode::UNPROCESSABLE_ENTITY),
        ("{\"asset\":\"A\",\"holder\":\"B\"}", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(api.ask(ADMIN, Method::POST, checkouts, Some(body)).await.0, expected, "{body}");
    }
    let untyped = api.client.post(format!("{}{checkouts}", api.base)).bearer_auth(ADMIN).body("x");
    assert_eq!(answer(untyped).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let nested = format!("{{\"asset\":{}", "[".repeat(100_000));
    let (status, _) = api.ask(ADMIN, Method::POST, checkouts, Some(&nested)).await;
    assert!(status.is_client_error(), "{status}");
    for query in ["limit=many", "subject=FL-404", "cursor=-1", "kind=pasage", "from=yesterday", "colour=red"]
    {
        assert_eq!(
            api.get(VIEWER, &format!("/api/v1/events?{query}")).await.0,
            StatusCode::BAD_REQUEST,
            "{query}"
        );
    }
    assert_eq!(api.get(VIEWER, "/api/v1/assets/%ff%fe").await.0, StatusCode::BAD_REQUEST);
    let snooze = json!({ "action": "snooze", "until": "2099-01-01T00:00:00Z" });
    assert_eq!(api.post(ADMIN, "/api/v1/alerts/ghost/FL-1", snooze.clone()).await.0, StatusCode::NOT_FOUND);
    assert_eq!(api.post(ADMIN, "/api/v1/alerts/colour/FL-1", snooze).await.0, StatusCode::NOT_FOUND);
    // A method that a path does not have.
    let deleted = api.ask(ADMIN, Method::DELETE, "/api/v1/status", None).await;
    assert_eq!(deleted.0, StatusCode::METHOD_NOT_ALLOWED);
    // One bad record: nothing of the import is done.
    let mut import = assets(3);
    import["records"][2]["class"] = json!("unheard-of");
    assert!(api.post(ADMIN, "/api/v1/register", import).await.0.is_client_error());
    assert_eq!(api.get(VIEWER, "/api/v1/assets").await.1["items"], json!([]));
    assert_eq!(api.daemon.stop().await.code(), Some(0), "{}", api.daemon.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_follow_one_another_without_gap_or_repetition() {
    let mut api = Api::start().await;
    assert_eq!(api.post(ADMIN, "/api/v1/register", assets(25)).await.0, StatusCode::OK);
    for nth in 0..25 {
        let checkout = json!({ "asset": format!("FL-{nth:03}"), "holder": "Ada" });
        assert_eq!(api.post(OPERATOR, "/api/v1/checkouts", checkout).await.0, StatusCode::CREATED);
    }
    let mut seen = Vec::new();
    let mut next = String::new();
    for _ in 0..6 {
        let (_, page) = api.get(VIEWER, &format!("/api/v1/assets?limit=10{next}")).await;
        let list = page["items"].as_array().unwrap_or_else(|| panic!("{page}"));
        seen.extend(
            list.iter().map(|asset| asset["asset"].as_str().or(asset["id"].as_str()).unwrap().to_owned()),
        );
        let Some(after) = page["next"].as_str() else { break };
        next = format!("&cursor={after}");
    }
    let all: Vec<String> = (0..25).map(|nth| format!("FL-{nth:03}")).collect();
    assert_eq!(seen, all);
    let mut seqs = Vec::new();
    let mut before = String::new();
    for _ in 0..6 {
        let (_, page) = api.get(VIEWER, &format!("/api/v1/events?kind=checked-out&limit=10{before}")).await;
        seqs.extend(page["items"].as_array().unwrap().iter().map(|event| event["seq"].as_u64().unwrap()));
        let Some(next) = page["next"].as_str() else { break };
        before = format!("&cursor={next}");
    }
    assert_eq!(seqs.len(), 25);
    assert!(seqs.is_sorted_by(|a, b| a > b), "{seqs:?}");
    let (status, page) = api.get(VIEWER, "/api/v1/events?limit=999999999").await;
    assert_eq!(status, StatusCode::OK);
    assert!(page["items"].as_array().unwrap().len() <= 1000);
    assert_eq!(api.daemon.stop().await.code(), Some(0), "{}", api.daemon.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_means_that_the_command_is_durable() {
    let mut api = Api::start().await;
    assert_eq!(api.post(ADMIN, "/api/v1/register", assets(1)).await.0, StatusCode::OK);
    let checkout = json!({ "asset": "FL-000", "holder": "Ada" });
    assert_eq!(api.post(OPERATOR, "/api/v1/checkouts", checkout).await.0, StatusCode::CREATED);
    api.daemon.kill();
    api.daemon.start();
    api.daemon.ready().await;
    let (_, asset) = api.get(VIEWER, "/api/v1/assets/FL-000").await;
    assert_eq!(asset["current"]["checkout"]["holder"], "Ada", "{asset}");
    assert_eq!(api.daemon.stop().await.code(), Some(0), "{}", api.daemon.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_control_socket_needs_no_token_and_is_nobody_elses() {
    let mut api = Api::start().await;
    let socket = api.daemon.path("journal.db.sock");
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let client = Client::builder().unix_socket(socket).build().unwrap();
    let post = client.post("http://control/api/v1/register").json(&assets(2));
    let (status, outcome) = answer(post).await;
    assert_eq!((status, &outcome["created"]), (StatusCode::OK, &json!(2)));
    let (status, events) = answer(client.get("http://control/api/v1/events?kind=command,register")).await;
    assert_eq!(status, StatusCode::OK);
    assert!(events.to_string().contains("\"by\":\"local\""), "{events}");
    assert_eq!(api.daemon.stop().await.code(), Some(0), "{}", api.daemon.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_ready_is_kept_in_and_due_dates_are_read_as_people_write_them() {
    let mut api = Api::start().await;
    let zone = json!({ "table": "zone", "name": "quay", "site": "kiel" });
    let site = json!({ "table": "site", "name": "kiel", "timezone": "Europe/Berlin",
        "calendar": { "working_hours": "mon-fri 07:00-17:00" } });
    let asset = json!({ "table": "asset", "id": "FL-9", "class": "forklift", "home_zone": "quay" });
    let records = json!({ "records": [site, zone, asset] });
    assert_eq!(api.post(ADMIN, "/api/v1/register", records).await.0, StatusCode::OK);
    let quarantine = json!({ "command": "quarantine", "asset": "FL-9", "reason": "the mast leaks" });
    assert_eq!(api.post(VIEWER, "/api/v1/commands", quarantine.clone()).await.0, StatusCode::FORBIDDEN);
    assert_eq!(api.post(OPERATOR, "/api/v1/commands", quarantine).await.0, StatusCode::OK);
    let mut checkout = json!({ "asset": "FL-9", "holder": "Ada", "due_back": "2031-07-04" });
    let (status, problem) = api.post(OPERATOR, "/api/v1/checkouts", checkout.clone()).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(problem["detail"].as_str().unwrap().contains("the mast leaks"), "{problem}");
    checkout["override"] = json!("a fire");
    // Skipped and doubled hours, and nonsense, are told as such.
    for (due, told) in [
        ("2031-03-30 02:30", "put forward"),
        ("2031-10-26 02:30", "happens twice"),
        ("soon", "+3 working days"),
    ] {
        checkout["due_back"] = json!(due);
        let (status, problem) = api.post(OPERATOR, "/api/v1/checkouts", checkout.clone()).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{due}");
        assert!(problem["detail"].as_str().unwrap().contains(told), "{problem}");
    }
    checkout["due_back"] = json!("2031-07-04");
    assert_eq!(api.post(OPERATOR, "/api/v1/checkouts", checkout).await.0, StatusCode::CREATED);
    let (_, told) = api.get(VIEWER, "/api/v1/assets/FL-9").await;
    assert_eq!(
        told["current"]["checkout"]["due_back"], "2031-07-04T15:00:00Z",
        "the end of that working day"
    );
    assert_eq!(told["current"]["ready"], false);
    assert_eq!(told["current"]["not_ready"][0]["why"], "the mast leaks");
    let hand_over = json!({ "holder": "Bob", "from": "Ada", "due_back": "2031-07-04 09:30" });
    let path = "/api/v1/assets/FL-9/hand-over";
    assert_eq!(api.post(OPERATOR, path, hand_over.clone()).await.0, StatusCode::OK);
    assert_eq!(api.post(OPERATOR, path, hand_over).await.0, StatusCode::CONFLICT, "Ada no longer has it");
    let (_, told) = api.get(VIEWER, "/api/v1/assets/FL-9").await;
    assert_eq!(told["current"]["checkout"]["holder"], "Bob");
    assert_eq!(told["current"]["checkout"]["due_back"], "2031-07-04T07:30:00Z");
    assert_eq!(api.daemon.stop().await.code(), Some(0), "{}", api.daemon.log());
}
