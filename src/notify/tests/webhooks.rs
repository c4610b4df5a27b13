//! Webhooks, and their receivers that fail in every way.

use std::time::Duration;

use tokio::net::TcpListener;

use super::Rig;
use super::hook_receiver::{Answer, Receiver, signed};
use crate::config::*;
use crate::domain::alerts::{AlertTransition, Severity};

#[tokio::test]
async fn a_receiver_that_fails_in_every_way_is_told_all_of_it_in_order_and_delays_nobody() {
    let rig = Rig::new().await;
    let failures = [
        Answer::Never,
        Answer::Reset,
        Answer::HalfAHead,
        Answer::Status(500, ""),
        Answer::Status(301, "location: http://127.0.0.1:1/\r\n"),
        Answer::Status(404, ""),
        Answer::Status(429, "retry-after: 1\r\n"),
        Answer::Status(503, ""),
    ];
    let bad = Receiver::new(&failures, Answer::Slowly).await;
    let good = Receiver::new(&[], Answer::Status(200, "")).await;
    rig.tells("bad", rig.webhook(bad.address)).await;
    rig.tells("good", rig.webhook(good.address)).await;
    let mut ids = vec![rig.fires("FL-01").await];
    rig.until("the bad one is tried", async || !bad.requests().is_empty()).await;
    rig.until("and that is seen", async || rig.standing("bad").last_error.is_some()).await;
    let (seen, address) = (rig.standing("bad"), format!("http://{}/hook", bad.address));
    assert_eq!((seen.kind, seen.address, seen.last_success), ("webhook", address, None));
    assert!(seen.waiting_since.is_some() && seen.told_seq == Some(0), "{:?}", seen.waiting_since);
    ids.push(rig.fires("FL-02").await);
    ids.push(rig.happens("FL-01", AlertTransition::Resolved, Severity::Warning).await);
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    rig.until("the good one has all", async || good.taken() == ids).await;
    assert!(bad.taken().is_empty(), "it hangs on its first");

    rig.until("the bad one has all", async || bad.taken().len() >= 3).await;
    assert_eq!(bad.taken(), ids);
    let requests = bad.requests();
    assert_eq!(requests.len(), failures.len() + 3);
    let first: Vec<&str> = requests[..=failures.len()].iter().map(|request| request.id.as_str()).collect();
    assert_eq!(first, vec![ids[0].as_str(); failures.len() + 1], "one id, however often");
    let bodies: std::collections::BTreeSet<_> = requests.iter().map(|request| &request.body).collect();
    assert_eq!(bodies.len(), 3, "and one body");
    let time = |nth: usize| requests[nth].timestamp.parse::<i64>().unwrap();
    assert!(time(7) > time(6), "Retry-After is a second");
    for request in &requests {
        assert_eq!(request.signature, signed(request));
        assert_eq!(request.content_type, "application/cloudevents+json");
        let event: serde_json::Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!(event["id"], request.id.as_str());
    }
    rig.until("its place is written", async || rig.place("bad").await.unwrap().seq == 3).await;
    let seen = rig.standing("bad");
    assert_eq!((seen.told_seq, seen.waiting_since, seen.disabled_since), (Some(3), None, None));
    assert!(seen.last_success > seen.last_error.as_ref().map(|failure| failure.at), "{seen:?}");
    assert!(seen.last_error.unwrap().reason.contains("503"));
}

#[tokio::test]
async fn a_kill_between_two_tries_loses_nothing_and_changes_no_id() {
    let rig = Rig::new().await;
    // Nobody listens yet.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let courier = rig.tells("hook", rig.webhook(address)).await;
    let first = rig.fires("FL-01").await.to_string();
    let listener = TcpListener::bind(address).await.unwrap();
    let receiver = Receiver::at(listener, &[Answer::Status(200, "")], Answer::Status(500, ""));
    rig.until("the first is taken", async || receiver.taken() == [first.clone()]).await;
    rig.until("and noted", async || rig.place("hook").await.unwrap().seq == 1).await;
    let second = rig.fires("FL-02").await.to_string();
    rig.until("the second is tried", async || receiver.requests().len() >= 4).await;
    courier.abort();
    courier.await.unwrap_err();
    let third = rig.fires("FL-03").await.to_string();
    *receiver.otherwise.lock().unwrap() = Answer::Status(200, "");
    rig.tells("hook", rig.webhook(address)).await;
    rig.until("the rest is taken", async || receiver.taken().len() == 3).await;
    assert_eq!(receiver.taken(), [first, second.clone(), third]);
    assert!(receiver.requests()[1..=3].iter().all(|request| request.id == second));
}

#[tokio::test]
async fn one_that_says_it_is_gone_is_told_nothing_until_it_has_another_address() {
    let rig = Rig::new().await;
    let gone = Receiver::new(&[Answer::Status(410, "")], Answer::Status(200, "")).await;
    let courier = rig.tells("hook", rig.webhook(gone.address)).await;
    rig.fires("FL-01").await;
    rig.until("it is gone", async || rig.place("hook").await.unwrap().gone_since.is_some()).await;
    assert_eq!(rig.standing("hook").disabled_since, rig.place("hook").await.unwrap().gone_since);
    courier.abort();
    courier.await.unwrap_err();
    let again = rig.tells("hook", rig.webhook(gone.address)).await;
    rig.fires("FL-02").await;
    let elsewhere = Receiver::new(&[], Answer::Status(200, "")).await;
    // Another receiver has both: whoever is told nothing was not merely slow.
    let witness = Receiver::new(&[], Answer::Status(200, "")).await;
    rig.tells("witness", rig.webhook(witness.address)).await;
    let seen = rig.fires("FL-03").await.to_string();
    rig.until("the witness has it", async || witness.taken().contains(&seen)).await;
    assert_eq!(gone.requests().len(), 1);
    again.abort();
    again.await.unwrap_err();
    rig.tells("hook", rig.webhook(elsewhere.address)).await;
    rig.until("it begins anew", async || rig.place("hook").await.unwrap().gone_since.is_none()).await;
    let next = rig.fires("FL-04").await.to_string();
    rig.until("the new one has it", async || elsewhere.taken() == [next.clone()]).await;
}

#[tokio::test]
async fn what_is_refused_for_good_and_what_is_too_old_keeps_back_nothing() {
    let rig = Rig::new().await;
    let receiver =
        Receiver::new(&[Answer::Status(422, ""), Answer::Status(500, "")], Answer::Status(200, "")).await;
    let backoff = BackoffConfig { first: Duration::from_millis(5), last: Duration::from_millis(5) };
    let filter = ReceiverFilter { severity: Some(Severity::Warning), ..ReceiverFilter::default() };
    let give_up_after = Duration::ZERO;
    let config = ReceiverConfig { name: "hook".to_owned(), filter, backoff, give_up_after };
    rig.tells_as(config, rig.webhook(receiver.address)).await;
    rig.happens("FL-00", AlertTransition::Fired, Severity::Info).await;
    let refused = rig.fires("FL-01").await.to_string();
    let expired = rig.fires("FL-02").await.to_string();
    let taken = rig.fires("FL-03").await.to_string();
    rig.until("the last is taken", async || !receiver.taken().is_empty()).await;
    let ids: Vec<String> = receiver.requests().into_iter().map(|request| request.id).collect();
    assert_eq!(ids, [refused, expired, taken], "each once, and nothing below its severity");
}

#[tokio::test]
async fn who_is_erased_while_a_receiver_is_away_is_not_told_of_any_more() {
    let rig = Rig::new().await;
    let away = Receiver::new(&[], Answer::Status(503, "")).await;
    rig.tells("away", rig.webhook(away.address)).await;
    rig.fires("FL-01").await;
    let last = |what: &str| away.requests().last().is_some_and(|request| request.body.contains(what));
    rig.until("it is tried", async || last("FL-01 is gone")).await;
    // Somebody who is called like that; the asset is not.
    rig.erases("FL-01").await;
    rig.until("it is tried without them", async || last("erased-00aa is gone")).await;
    assert!(last("FL-01"), "the asset is what it is about");
    assert!(!last("FL-01 is gone"));
}
