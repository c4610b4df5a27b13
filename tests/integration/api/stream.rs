//! The stream of events: nothing skipped, nothing doubled, and a client that does not read delays nobody.

use std::time::Duration;

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::{ADMIN, Api, OPERATOR, VIEWER, answer, assets};
use crate::servers::PATIENCE;

/// An open stream, read event by event.
struct Stream {
    response: Response,
    text: String,
    /// The last `id`, with or without data.
    last_id: String,
}

impl Stream {
    async fn open(api: &Api, query: &str, last_event_id: Option<&str>) -> Self {
        let mut request = api.request(VIEWER, Method::GET, &format!("/api/v1/events/stream{query}"));
        if let Some(id) = last_event_id {
            request = request.header("Last-Event-ID", id);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new(), last_id: String::new() }
    }

    /// The next event; `None` at the end of the stream.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let block = block.to_owned();
                self.text = rest.to_owned();
                let field =
                    |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                self.last_id = field("id: ").unwrap_or(self.last_id.clone());
                if let Some(data) = field("data: ") {
                    let event: Value = serde_json::from_str(&data).unwrap();
                    assert_eq!(event["seq"].to_string(), self.last_id);
                    return Some(event);
                }
                continue;
            }
            let chunk =
                tokio::time::timeout(PATIENCE, self.response.chunk()).await.expect("the stream goes on");
            let chunk = chunk.ok().flatten()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

async fn check_out_and_in(api: &Api, times: usize) {
    for _ in 0..times {
        let checkout = json!({ "asset": "FL-000", "holder": "Ada" });
        assert_eq!(api.post(OPERATOR, "/api/v1/checkouts", checkout).await.0, StatusCode::CREATED);
        let done = api.post(OPERATOR, "/api/v1/assets/FL-000/check-in", json!({})).await;
        assert_eq!(done.0, StatusCode::OK);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_reconnects_nothing_is_skipped_and_nothing_is_doubled() {
    let mut api = Api::start_with("requests_per_second = 10000\nrequest_burst = 10000", "").await;
    assert_eq!(api.post(ADMIN, "/api/v1/register", assets(1)).await.0, StatusCode::OK);
    let mut stream = Stream::open(&api, "?kind=checked-out,checked-in", None).await;
    let mut seqs = Vec::new();
    for round in 0..4 {
        // Some while nobody listens, some while somebody does, and the connection breaks in the middle.
        check_out_and_in(&api, 20).await;
        if round > 0 {
            let last = stream.last_id.clone();
            stream = Stream::open(&api, "?kind=checked-out,checked-in", Some(&last)).await;
        }
        for _ in 0..30 {
            seqs.push(stream.next().await.unwrap()["seq"].as_u64().unwrap());
        }
    }
    let last = stream.last_id.clone();
    stream = Stream::open(&api, "?kind=checked-out,checked-in", Some(&last)).await;
    while seqs.len() < 160 {
        seqs.push(stream.next().await.unwrap()["seq"].as_u64().unwrap());
    }
    let (_, page) = api.get(VIEWER, "/api/v1/events?kind=checked-out,checked-in&limit=1000").await;
    let mut all: Vec<u64> =
        page["items"].as_array().unwrap().iter().map(|e| e["seq"].as_u64().unwrap()).collect();
    all.reverse();
    assert_eq!(seqs, all);
    // From the beginning, another filter.
    let mut whole = Stream::open(&api, "?after=0&subject=asset:FL-000&kind=checked-in", None).await;
    assert_eq!(whole.next().await.unwrap()["kind"], "checked-in");
    // An id that this journal has not come to yet is another journal's.
    let request = api.request(VIEWER, Method::GET, "/api/v1/events/stream").header("Last-Event-ID", "999999");
    assert_eq!(answer(request).await.0, StatusCode::CONFLICT);
    for wrong in ["soon", "-1"] {
        let request =
            api.request(VIEWER, Method::GET, "/api/v1/events/stream").header("Last-Event-ID", wrong);
        assert_eq!(answer(request).await.0, StatusCode::BAD_REQUEST);
    }
    // A stop ends streams, and is not held up by them.
    let stopped = api.daemon.stop().await;
    assert_eq!(stopped.code(), Some(0), "{}", api.daemon.log());
    while whole.next().await.is_some() {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_do_not_read_delay_nobody_and_are_bounded_in_number() {
    let mut api =
        Api::start_with("max_streams = 3\nrequests_per_second = 10000\nrequest_burst = 10000", "").await;
    assert_eq!(api.post(ADMIN, "/api/v1/register", assets(3000)).await.0, StatusCode::OK);
    // Each is owed the whole register, some megabytes, and takes none of it.
    let mut idle = Vec::new();
    for _ in 0..2 {
        idle.push(Stream::open(&api, "?after=0", None).await);
    }
    let mut live = Stream::open(&api, "?kind=checked-out", None).await;
    let request = api.request(VIEWER, Method::GET, "/api/v1/events/stream");
    assert_eq!(answer(request).await.0, StatusCode::SERVICE_UNAVAILABLE);
    for _ in 0..10 {
        check_out_and_in(&api, 1).await;
        let told = tokio::time::timeout(Duration::from_secs(5), live.next()).await.expect("told in time");
        assert_eq!(told.unwrap()["kind"], "checked-out");
    }
    // One that goes away makes room for another.
    drop(idle.pop());
    let path = "/api/v1/events/stream";
    api.daemon
        .until("room for another stream", async |_| {
            let response =
                api.client.get(format!("{}{path}", api.base)).bearer_auth(VIEWER).send().await.unwrap();
            response.status() == StatusCode::OK
        })
        .await;
    // The one that slept has it all when it wakes.
    let mut slept = idle.pop().unwrap();
    let first = slept.next().await.unwrap()["seq"].as_u64().unwrap();
    for expected in first + 1..first + 3000 {
        assert_eq!(slept.next().await.unwrap()["seq"].as_u64(), Some(expected));
    }
    drop(slept);
    assert_eq!(api.daemon.stop().await.code(), Some(0), "{}", api.daemon.log());
}
