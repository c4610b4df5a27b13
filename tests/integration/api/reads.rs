//! Reads: filters, ETags, and the document that describes everything.

use std::collections::BTreeSet;
use std::path::PathBuf;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{ADMIN, Api, OPERATOR, VIEWER, assets};

/// Walks a list to its end; fails where a page in the middle is empty.
async fn walk(api: &Api, path: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    for _ in 0..100 {
        let (status, page) = api.get(VIEWER, &format!("{path}{cursor}")).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let items = page["items"].as_array().unwrap();
        let next = page["next"].as_str();
        assert!(!items.is_empty() || next.is_none(), "an empty page in the middle: {path}{cursor}");
        found.extend(items.iter().cloned());
        let Some(next) = next else { return found };
        cursor = format!("&cursor={next}");
    }
    panic!("{path} does not end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_find_what_is_rare_and_give_no_empty_page() {
    let mut api = Api::start().await;
    let mut import = assets(5000);
    for nth in [0, 2499, 2500, 4999] {
        import["records"][nth]["lifecycle"] = json!("retired");
    }
    import["records"][1200]["home_zone"] = json!("yard");
    assert_eq!(api.post(ADMIN, "/api/v1/register", import).await.0, StatusCode::OK);
    for asset in ["FL-100", "FL-4000"] {
        let checkout = json!({ "asset": asset, "holder": "Ada" });
        assert_eq!(api.post(OPERATOR, "/api/v1/checkouts", checkout).await.0, StatusCode::CREATED);
    }
    let ids = |items: Vec<Value>| -> Vec<String> {
        items.iter().map(|item| item["asset"].as_str().unwrap().to_owned()).collect()
    };
    for limit in [1, 3, 100] {
        let retired = walk(&api, &format!("/api/v1/assets?state=retired&limit={limit}")).await;
        assert_eq!(ids(retired), ["FL-000", "FL-2499", "FL-2500", "FL-4999"], "{limit}");
    }
    assert_eq!(ids(walk(&api, "/api/v1/assets?site=leeds").await), ["FL-1200"]);
    assert_eq!(ids(walk(&api, "/api/v1/assets?holder=Ada&limit=1").await), ["FL-100", "FL-4000"]);
    let either = walk(&api, "/api/v1/assets?state=retired,checked-out&limit=2").await;
    assert_eq!(either.len(), 6);
    assert_eq!(walk(&api, "/api/v1/assets?class=forklift&limit=1000").await.len(), 5000);
    assert_eq!(walk(&api, "/api/v1/assets?class=crane").await, Vec::<Value>::new());
    assert_eq!(walk(&api, "/api/v1/register?table=asset&limit=1000").await.len(), 5000);
    assert_eq!(walk(&api, "/api/v1/register?asset=FL-007").await.len(), 1);
    // Two kinds that are rare among many others, a page each.
    assert_eq!(walk(&api, "/api/v1/events?kind=checked-out&limit=1").await.len(), 2);
    assert_eq!(walk(&api, "/api/v1/events?subject=asset:FL-100&kind=checked-out,checked-in").await.len(), 1);
    assert_eq!(walk(&api, "/api/v1/events?kind=checked-out&to=2020-01-01T00:00:00Z").await.len(), 0);
    assert_eq!(walk(&api, "/api/v1/alerts?state=firing,pending&severity=critical").await.len(), 0);
    for wrong in
        ["alerts?state=burning", "alerts?rule=", "assets?state=lost", "assets?cursor=zz", "events?cursor=61"]
    {
        assert_eq!(api.get(VIEWER, &format!("/api/v1/{wrong}")).await.0, StatusCode::BAD_REQUEST, "{wrong}");
    }
    assert_eq!(api.daemon.stop().await.code(), Some(0), "{}", api.daemon.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn single_resources_are_not_sent_twice() {
    let mut api = Api::start().await;
    assert_eq!(api.post(ADMIN, "/api/v1/register", assets(1)).await.0, StatusCode::OK);
    let (_, events) = api.get(VIEWER, "/api/v1/events?kind=register").await;
    let event = events["items"][0]["id"].as_str().unwrap();
    let paths = ["/api/v1/assets/FL-000", "/api/v1/register/asset/FL-000", "/api/v1/register/zone/hall"];
    for path in paths.map(str::to_owned).into_iter().chain([format!("/api/v1/events/{event}")]) {
        let first = api.request(VIEWER, Method::GET, &path).send().await.unwrap();
        assert_eq!(first.status(), StatusCode::OK, "{path}");
        let etag = first.headers()["etag"].clone();
        let again =
            api.request(VIEWER, Method::GET, &path).header("If-None-Match", &etag).send().await.unwrap();
        assert_eq!((again.status(), &again.headers()["etag"]), (StatusCode::NOT_MODIFIED, &etag), "{path}");
    }
    let path = "/api/v1/assets/FL-000";
    let before = api.request(VIEWER, Method::GET, path).send().await.unwrap().headers()["etag"].clone();
    let checkout = json!({ "asset": "FL-000", "holder": "Ada" });
    assert_eq!(api.post(OPERATOR, "/api/v1/checkouts", checkout).await.0, StatusCode::CREATED);
    let after = api.request(VIEWER, Method::GET, path).header("If-None-Match", before).send().await.unwrap();
    assert_eq!(after.status(), StatusCode::OK);
    assert_eq!(api.daemon.stop().await.code(), Some(0), "{}", api.daemon.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_has_every_route_and_every_route_is_served() {
    let mut api = Api::start().await;
    let (status, document) = api.get(VIEWER, "/api/v1/openapi.json").await;
    assert_eq!((status, &document["openapi"]), (StatusCode::OK, &json!("3.1.0")));
    let mut operations = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            operations.insert(operation["operationId"].as_str().unwrap().to_owned());
            for status in ["401", "403", "429", "503"] {
                assert!(operation["responses"][status].is_object(), "{method} {path} {status}");
            }
            let body = &operation["requestBody"]["content"]["application/json"];
            assert!(operation["requestBody"].is_null() || !body["example"].is_null(), "{method} {path}");
            // It is there: whatever is said of a name that nothing has, it is not that the path is unknown.
            if path.ends_with("/stream") {
                continue;
            }
            let path = path.replace(['{', '}'], "");
            let method: Method = method.to_ascii_uppercase().parse().unwrap();
            let (status, answer) = api.ask(ADMIN, method.clone(), &path, Some("{}")).await;
            assert_ne!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert!(!answer["detail"].to_string().contains("there is no path"), "{method} {path}: {answer}");
        }
    }
    // Where handlers are mounted is where operations are declared: the source has no other route.
    let mut source = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/web"))];
    let mut declared = BTreeSet::new();
    let mut routes = 0;
    while let Some(path) = source.pop() {
        if path.is_dir() {
            source.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = std::fs::read_to_string(path).unwrap();
        routes += text.matches(".route(").count();
        let flat: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for call in ["Operation::get(", "Operation::post(", "Operation::put(", "Operation::delete("] {
            declared.extend(
                flat.split(call).skip(1).filter_map(|rest| rest.split('"').nth(3)).map(str::to_owned),
            );
        }
    }
    assert_eq!(routes, 2, "one for operations, one for the document itself");
    assert_eq!(operations, declared);
    assert_eq!(api.daemon.stop().await.code(), Some(0), "{}", api.daemon.log());
}
