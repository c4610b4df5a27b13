//! Load, with a client that goes and comes back.

use std::collections::BTreeSet;

use tallyman_simulators::Truth;
use tallyman_simulators::load::{Load, LoadOptions};

use crate::client::Client;
use crate::until;

#[tokio::test]
async fn a_client_that_is_killed_and_comes_back_gets_every_read_once() {
    let options = LoadOptions { reads_per_s: 2000.0, tags: 50, ..LoadOptions::default() };
    let mut load = Load::start(options).await.unwrap();
    let address = load.addresses()["load-1"];
    let mut first = Client::connect(address).await;
    first.listen().await;
    let mut times = first.reads(500).await;
    // What has been written when the client goes is lost with it, as in a crash: the truth says "sent".
    drop(first);
    let mut second = Client::connect(address).await;
    times.extend(second.reads(500).await);
    let distinct: BTreeSet<u64> = times.iter().copied().collect();
    assert_eq!(distinct.len(), times.len(), "no read comes twice");

    let rest = tokio::spawn(async move { while second.next().await.is_some() {} });
    load.stop_emitting().await;
    let emitted = load.emitted().tag_reads["load-1"];
    assert_eq!((emitted.taken, emitted.dropped), (emitted.sent, 0));
    let truth = load.stop().await.unwrap();
    rest.await.unwrap();
    let told: BTreeSet<u64> = truth
        .iter()
        .map(|truth| match truth {
            Truth::Read { wire_us, sent_at: Some(_), .. } => *wire_us,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told.len() as u64, emitted.sent);
    assert!(distinct.is_subset(&told), "every read that arrived is in the truth as sent");
}

#[tokio::test]
async fn a_rate_is_held() {
    let options = LoadOptions { reads_per_s: 3000.0, ..LoadOptions::default() };
    let load = Load::start(options).await.unwrap();
    let mut client = Client::connect(load.addresses()["load-1"]).await;
    client.listen().await;
    let listened = tokio::time::Instant::now();
    client.reads(3000).await;
    let took = listened.elapsed().as_secs_f64();
    assert!((0.9..3.0).contains(&took), "3000 reads at 3000/s in {took} s");
    until("counted", || load.emitted().total_tag_reads() >= 3000).await;
    load.stop().await.unwrap();
}
