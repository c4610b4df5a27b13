//! Writes: given twice, by two at once, on conditions, and by those who may act for some sites only.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{ADMIN, Api, OPERATOR, VIEWER, answer, assets, token_lines};

/// Status, whether it was an answer given again, and the body.
async fn keyed(api: &Api, token: &str, path: &str, key: &str, body: &Value) -> (StatusCode, bool, Value) {
    let request = api.request(token, Method::POST, path).header("Idempotency-Key", key).json(body);
    let response = request.send().await.unwrap();
    let repeated = response.headers().contains_key("idempotency-replayed");
    (response.status(), repeated, response.json().await.unwrap())
}

async fn count(api: &Api, kind: &str) -> usize {
    let (_, page) = api.get(VIEWER, &format!("/api/v1/events?kind={kind}&limit=1000")).await;
    page["items"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_given_again_is_answered_as_the_first_time_also_after_a_crash() {
    let mut api = Api::start().await;
    assert_eq!(api.post(ADMIN, "/api/v1/register", assets(2)).await.0, StatusCode::OK);
    let checkout = json!({ "asset": "FL-000", "holder": "Ada" });
    let first = keyed(&api, OPERATOR, "/api/v1/checkouts", "k1", &checkout).await;
    assert_eq!((first.0, first.1), (StatusCode::CREATED, false));
    // What was refused stays refused under its key, whatever became possible since.
    let refused = keyed(&api, OPERATOR, "/api/v1/checkouts", "k2", &checkout).await;
    assert_eq!(refused.0, StatusCode::CONFLICT);
    // Nothing needs to be said of it.
    let check_in = "/api/v1/assets/FL-000/check-in";
    let untyped = api.request(OPERATOR, Method::POST, check_in).body("x");
    assert_eq!(answer(untyped).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(api.ask(OPERATOR, Method::POST, check_in, None).await.0, StatusCode::OK);
    for round in ["before the crash", "after it"] {
        let again = keyed(&api, OPERATOR, "/api/v1/checkouts", "k1", &checkout).await;
        assert_eq!(again, (StatusCode::CREATED, true, first.2.clone()), "{round}");
        let again = keyed(&api, OPERATOR, "/api/v1/checkouts", "k2", &checkout).await;
        assert_eq!((again.0, &again.2), (StatusCode::CONFLICT, &refused.2), "{round}");
        let other = json!({ "asset": "FL-001", "holder": "Ada" });
        let (status, _, problem) = keyed(&api, OPERATOR, "/api/v1/checkouts", "k1", &other).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{round}");
        assert_eq!(problem["type"], "urn:tallyman:problem:key-reused", "{round}");
        assert_eq!(count(&api, "checked-out").await, 1, "{round}");
        api.daemon.kill();
        api.daemon.start();
        api.daemon.ready().await;
    }
    // Another caller's key of the same name is another key.
    let (status, repeated, _) = keyed(&api, ADMIN, "/api/v1/checkouts", "k1", &checkout).await;
    assert_eq!((status, repeated), (StatusCode::CREATED, false));
    let long = "k".repeat(129);
    assert_eq!(keyed(&api, OPERATOR, "/api/v1/checkouts", &long, &checkout).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(api.daemon.stop().await.code(), Some(0), "{}", api.daemon.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_command_on_its_way_many_times_at_once_is_done_once() {
    let mut api = Api::start().await;
    assert_eq!(api.post(ADMIN, "/api/v1/register", assets(1)).await.0, StatusCode::OK);
    let checkout = json!({ "asset": "FL-000", "holder": "Ada" });
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let request = api.request(OPERATOR, Method::POST, "/api/v1/checkouts");
        let request = request.header("Idempotency-Key", "one").json(&checkout);
        tasks.spawn(async move {
            let response = request.send().await.unwrap();
            (response.status(), response.headers().contains_key("idempotency-replayed"))
        });
    }
    let answers = tasks.join_all().await;
    assert!(answers.iter().all(|(status, _)| *status == StatusCode::CREATED), "{answers:?}");
    assert_eq!(answers.iter().filter(|(_, repeated)| !repeated).count(), 1);
    assert_eq!(count(&api, "checked-out").await, 1);
    assert_eq!(api.daemon.stop().await.code(), Some(0), "{}", api.daemon.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_change_the_same_record_one_wins_and_the_others_are_told() {
    let mut api = Api::start().await;
    let path = "/api/v1/register/asset/FL-000";
    let named = |name: &str| json!({ "table": "asset", "id": "FL-000", "class": "forklift", "name": name });
    let put = |name: &str| api.request(ADMIN, Method::PUT, path).json(&named(name));
    let new = put("new").header("If-None-Match", "*").send().await.unwrap();
    assert_eq!(new.status(), StatusCode::OK);
    let (status, problem) = answer(put("again").header("If-None-Match", "*")).await;
    assert_eq!(
        (status, &problem["type"]),
        (StatusCode::PRECONDITION_FAILED, &json!("urn:tallyman:problem:changed"))
    );

    let read = api.request(VIEWER, Method::GET, path).send().await.unwrap();
    let etag = read.headers()["etag"].to_str().unwrap().to_owned();
    let unchanged = api.request(VIEWER, Method::GET, path).header("If-None-Match", &etag);
    assert_eq!(unchanged.send().await.unwrap().status(), StatusCode::NOT_MODIFIED);
    let mut tasks = tokio::task::JoinSet::new();
    for nth in 0..8 {
        let request = put(&format!("writer {nth}")).header("If-Match", &etag);
        tasks.spawn(async move { request.send().await.unwrap().status() });
    }
    let statuses = tasks.join_all().await;
    assert_eq!(statuses.iter().filter(|status| **status == StatusCode::OK).count(), 1, "{statuses:?}");
    let told = statuses.iter().filter(|status| **status == StatusCode::PRECONDITION_FAILED).count();
    assert_eq!(told, 7, "{statuses:?}");
    let stale = api.request(ADMIN, Method::DELETE, path).header("If-Match", &etag);
    assert_eq!(answer(stale).await.0, StatusCode::PRECONDITION_FAILED);
    let elsewhere = api.request(ADMIN, Method::PUT, "/api/v1/register/asset/FL-001").json(&named("x"));
    assert_eq!(answer(elsewhere).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    let gone = api.request(ADMIN, Method::DELETE, path).header("If-Match", "*");
    assert_eq!(answer(gone).await.0, StatusCode::OK);
    assert_eq!(api.daemon.stop().await.code(), Some(0), "{}", api.daemon.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_for_some_sites_sees_and_acts_on_nothing_else() {
    let more = token_lines("leeds", "leeds-token", "admin") + "sites = [\"leeds\"]\n";
    let mut api = Api::start_with("", &more).await;
    const LEEDS: &str = "leeds-token";
    let asset =
        |id: &str, zone: &str| json!({ "table": "asset", "id": id, "class": "forklift", "home_zone": zone });
    let tag = |epc: &str, asset: &str| json!({ "table": "tag", "epc": epc, "asset": asset });
    let records = json!({ "records": [
        asset("HH-1", "hall"), asset("LE-1", "yard"), asset("LE-2", "yard"), tag("aa01", "HH-1"), tag("aa02", "LE-1"),
    ] });
    assert_eq!(api.post(ADMIN, "/api/v1/register", records).await.0, StatusCode::OK);
    let ids = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap_or_else(|| panic!("{page}"));
        items
            .iter()
            .map(|item| item["asset"].as_str().or(item["id"].as_str()).unwrap_or("?").to_owned())
            .collect()
    };
    assert_eq!(ids(&api.get(LEEDS, "/api/v1/assets").await.1), ["LE-1", "LE-2"]);
    assert_eq!(ids(&api.get(LEEDS, "/api/v1/register?table=tag").await.1), ["LE-1"]);
    for path in ["/api/v1/assets/HH-1", "/api/v1/register/asset/HH-1", "/api/v1/register/tag/aa01"] {
        assert_eq!(api.get(LEEDS, path).await.0, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(api.get(VIEWER, path).await.0, StatusCode::OK, "{path}");
    }
    // Not told apart from what is not there.
    for asset in ["HH-1", "XX-9"] {
        let checkout = json!({ "asset": asset, "holder": "Ada" });
        assert_eq!(api.post(LEEDS, "/api/v1/checkouts", checkout).await.0, StatusCode::NOT_FOUND, "{asset}");
    }
    for asset in ["HH-1", "LE-1"] {
        let checkout = json!({ "asset": asset, "holder": "Ada" });
        assert_eq!(api.post(ADMIN, "/api/v1/checkouts", checkout).await.0, StatusCode::CREATED, "{asset}");
    }
    let (_, events) = api.get(LEEDS, "/api/v1/events?kind=checked-out").await;
    assert_eq!(events["items"].as_array().unwrap().len(), 1, "{events}");
    assert_eq!(api.get(LEEDS, "/api/v1/events?site=depot").await.1["items"], json!([]));
    assert_eq!(api.get(LEEDS, "/api/v1/events/stream?site=depot").await.0, StatusCode::FORBIDDEN);
    // Nothing comes to another site, nothing is taken from one, and what all share is not theirs to change.
    for record in [
        asset("LE-3", "hall"),
        asset("LE-2", "hall"),
        asset("HH-1", "yard"),
        tag("aa03", "HH-1"),
        json!({ "table": "class", "name": "crane" }),
        json!({ "table": "zone", "name": "attic", "site": "depot" }),
    ] {
        let (status, problem) = api.post(LEEDS, "/api/v1/register", json!({ "records": [record] })).await;
        assert_eq!(
            (status, &problem["type"]),
            (StatusCode::FORBIDDEN, &json!("urn:tallyman:problem:site")),
            "{record}"
        );
    }
    for record in [
        asset("LE-3", "yard"),
        tag("aa04", "LE-3"),
        json!({ "table": "zone", "name": "pit", "site": "leeds" }),
    ] {
        let (status, problem) = api.post(LEEDS, "/api/v1/register", json!({ "records": [record] })).await;
        assert_eq!(status, StatusCode::OK, "{problem}");
    }
    let commission = json!({ "command": "commission", "epc": "aa01", "asset": "LE-3" });
    assert_eq!(api.post(LEEDS, "/api/v1/commands", commission).await.0, StatusCode::NOT_FOUND);
    let removed = api.ask(LEEDS, Method::DELETE, "/api/v1/register/tag/aa01", None).await;
    assert_eq!(removed.0, StatusCode::NOT_FOUND);
    assert_eq!(api.daemon.stop().await.code(), Some(0), "{}", api.daemon.log());
}
