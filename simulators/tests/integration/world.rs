//! A whole world, for a few seconds of real time.

use std::time::Duration;

use tallyman_simulators::clock::wall_now;
use tallyman_simulators::{Parts, Scenario, StartOptions, Truth, World};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::Client;
use crate::within;

/// A client that listens until the reader goes, and counts what it got.
async fn count_reads(mut client: Client) -> usize {
    let mut count = 0;
    while let Some(message) = client.next().await {
        if message.kind == 61 {
            count += message.tag_reports().len();
        }
    }
    count
}

#[tokio::test]
async fn what_is_emitted_is_what_arrives_and_what_the_truth_says() {
    let mut scenario = Scenario::demo();
    // Whoever listens here speaks LLRP.
    scenario.readers.iter_mut().for_each(|reader| reader.serial = None);
    let world = World::plan(&scenario, 11, Duration::from_secs(4));
    let options = StartOptions { raw: true, ..StartOptions::default() };
    let mut running = world.start(options).await.unwrap();
    assert_eq!(running.addresses().len(), 6, "four readers, two cold rooms");
    let nobody = running.clients(Duration::ZERO).await;
    assert_eq!(nobody.len(), 6);

    let mut listeners = Vec::new();
    for reader in &running.plant().readers {
        let (mut client, status) = Client::connect_once(running.addresses()[&reader.name]).await;
        assert_eq!(status, 0);
        client.listen().await;
        listeners.push(tokio::spawn(count_reads(client)));
    }
    for device in &running.plant().modbus {
        let mut stream = TcpStream::connect(running.addresses()[&device.name]).await.unwrap();
        stream.write_all(&[0, 1, 0, 0, 0, 6, device.unit, 4, 0, 0, 0, 1]).await.unwrap();
        let mut answer = [0; 11];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer[..9], [0, 1, 0, 0, 0, 5, device.unit, 4, 2]);
    }
    assert!(running.clients(Duration::from_secs(5)).await.is_empty());

    running.begin();
    within("emission", running.emission_over()).await;
    running.stop_emitting().await;
    let emitted = running.emitted();
    assert!(
        emitted.tag_reads.values().all(|count| count.taken == count.sent && count.dropped == 0),
        "{emitted:?}"
    );
    assert!(emitted.tag_reads["tool-crib-reader"].sent > 300, "{emitted:?}");
    assert_eq!(emitted.total_samples(), 2);
    let truth = running.stop().await.unwrap();
    let reads = truth.iter().filter(|truth| matches!(truth, Truth::Read { sent_at: Some(_), .. })).count();
    assert_eq!(reads as u64, emitted.total_tag_reads());
    let mut arrived = 0;
    for listener in listeners {
        arrived += within("a listener", listener).await.unwrap();
    }
    assert_eq!(arrived, reads);
}

#[tokio::test]
async fn an_early_end_winds_down() {
    let mut scenario = Scenario::demo();
    scenario.checkouts.clear();
    let world = World::plan(&scenario, 11, Duration::from_secs(3600));
    let mut running = world.start(StartOptions::default()).await.unwrap();
    running.begin();
    within("winding down", running.stop_emitting()).await;
    within("the end is known", running.emission_over()).await;
    running.stop().await.unwrap();
}

#[tokio::test]
async fn what_has_no_device_is_not_told_as_true() {
    let world = World::plan(&Scenario::demo(), 11, Duration::from_secs(15));
    let parts = Parts { readers: false, serial: false, trackers: false, modbus: true };
    let mut running = world.start(StartOptions { parts, ..StartOptions::default() }).await.unwrap();
    assert_eq!(running.addresses().len(), 2);
    // Begun in the past: the script catches up at once.
    running.begin_at(wall_now() - Duration::from_secs(15));
    within("emission", running.emission_over()).await;
    let truth = running.stop().await.unwrap();
    assert!(!truth.is_empty());
    assert!(truth.iter().all(|truth| matches!(truth, Truth::Condition { .. })), "{truth:?}");
}
