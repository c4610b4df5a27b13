//! The reader over TCP.

use std::sync::Arc;

use tallyman_simulators::Truth;
use tallyman_simulators::clock::micros;
use tallyman_simulators::faults::Fault;
use tallyman_simulators::llrp::{Reader, ReaderOptions, TagObservation, Taken};
use tallyman_simulators::truth::TruthLog;

use crate::client::Client;
use crate::until;

const BEGUN_US: i64 = 1_790_000_000_000_000;

async fn reader() -> (Reader, Arc<TruthLog>) {
    let truth = Arc::new(TruthLog::new(None, true, true).unwrap());
    let reader = Reader::start(ReaderOptions::named("r"), truth.clone()).await.unwrap();
    (reader, truth)
}

fn read(reader: &Reader, number: i64) -> Taken {
    let at = micros(BEGUN_US + number);
    reader.read(TagObservation { antenna: 1, epc: vec![0x34; 12], rssi_dbm: -50, at, count: 1 })
}

fn times(numbers: impl Iterator<Item = i64>) -> Vec<u64> {
    numbers.map(|number| (BEGUN_US + number) as u64).collect()
}

#[tokio::test]
async fn a_second_client_is_turned_away_and_the_first_one_told() {
    let (reader, _) = reader().await;
    let (mut first, status) = Client::connect_once(reader.address()).await;
    assert_eq!(status, 0);
    let (mut second, status) = Client::connect_once(reader.address()).await;
    assert_eq!(status, 2);
    assert!(second.next().await.is_none(), "closed");
    assert_eq!(first.next_of(63).await.attempt(), Some(4));
    assert_eq!(first.ask(14, &[]).await.kind, 4);
    assert!(first.next().await.is_none(), "closed");
    Client::connect(reader.address()).await;
}

#[tokio::test]
async fn what_is_read_while_nobody_is_there_comes_in_order_once_it_is_asked_for() {
    let (reader, truth) = reader().await;
    let mut client = Client::connect(reader.address()).await;
    let hold = [0, 0, 226, 0, 5, 0x80];
    assert_eq!(client.ask(3, &hold).await.status(), 0);
    client.listen().await;
    client.send(64, &[]).await;
    (0..3).for_each(|number| assert_eq!(read(&reader, number), Taken::Held));
    assert_eq!(client.reads(3).await, times(0..3));
    assert_eq!(client.ask(14, &[]).await.kind, 4);
    drop(client);
    (3..200).for_each(|number| assert_eq!(read(&reader, number), Taken::Held));

    let mut client = Client::connect(reader.address()).await;
    assert_eq!(client.ask(1, &[0]).await.kind, 11, "before any report, because reports are held");
    client.send(64, &[]).await;
    assert_eq!(client.reads(197).await, times(3..200));
    until("all counted as sent", || reader.counts().sent == 200).await;
    reader.stop().await;
    let sent = truth.kept().iter().filter(|t| matches!(t, Truth::Read { sent_at: Some(_), .. })).count();
    assert_eq!(sent, 200);
}

#[tokio::test]
async fn keepalives_come_as_often_as_the_client_wants() {
    let (reader, _) = reader().await;
    let mut client = Client::connect(reader.address()).await;
    let every_20_ms = [0, 0, 220, 0, 9, 1, 0, 0, 0, 20];
    assert_eq!(client.ask(3, &every_20_ms).await.status(), 0);
    for _ in 0..3 {
        client.next_of(62).await;
        client.send(72, &[]).await;
    }
}

#[tokio::test]
async fn a_network_that_is_gone_costs_no_read() {
    let (reader, _) = reader().await;
    let mut client = Client::connect(reader.address()).await;
    client.listen().await;
    read(&reader, 0);
    assert_eq!(client.reads(1).await, times(0..1));
    reader.faults().begin(Fault::Disconnect);
    assert!(client.next().await.is_none());
    (1..5).for_each(|number| assert_eq!(read(&reader, number), Taken::Held));
    let refused = tokio::net::TcpStream::connect(reader.address()).await;
    assert!(refused.is_err(), "nobody listens");
    reader.faults().end(Fault::Disconnect);
    let mut client = Client::connect(reader.address()).await;
    assert_eq!(client.reads(4).await, times(1..5));
}

#[tokio::test]
async fn a_message_cut_short_is_sent_again_whole() {
    let (reader, _) = reader().await;
    let mut client = Client::connect(reader.address()).await;
    client.listen().await;
    reader.faults().begin(Fault::Truncated);
    read(&reader, 0);
    assert!(client.next().await.is_none(), "half a message, then the end");
    reader.faults().end(Fault::Truncated);
    assert_eq!(reader.counts().sent, 0);
    let mut client = Client::connect(reader.address()).await;
    assert_eq!(client.reads(1).await, times(0..1));
}

#[tokio::test]
async fn a_power_cut_ends_the_rospec_and_what_was_held() {
    let (reader, truth) = reader().await;
    let mut client = Client::connect(reader.address()).await;
    client.listen().await;
    client.ask(14, &[]).await;
    read(&reader, 0);
    reader.faults().begin(Fault::PowerOff);
    assert_eq!(read(&reader, 1), Taken::NotListening);
    until("rebooted", || reader.counts().dropped == 1).await;
    reader.faults().end(Fault::PowerOff);
    let mut client = Client::connect(reader.address()).await;
    assert_eq!(client.ask(22, &7u32.to_be_bytes()).await.status(), 101, "the ROSpec is not there any more");
    assert_eq!(read(&reader, 2), Taken::NotListening);
    assert!(matches!(truth.kept()[..], [Truth::Read { sent_at: None, .. }]));
}

#[tokio::test]
async fn an_output_stays_as_it_is_when_the_connection_goes_and_not_when_the_power_does() {
    let (reader, truth) = reader().await;
    let mut client = Client::connect(reader.address()).await;
    let write = |port: u8, on: bool| [0, 0, 219, 0, 7, 0, port, u8::from(on) << 7];
    for (port, on) in [(2, true), (1, true), (1, true), (1, false), (9, true)] {
        assert_eq!(client.ask(3, &write(port, on)).await.status(), 0);
    }
    drop(client);
    Client::connect(reader.address()).await;
    assert_eq!(reader.outputs().borrow().iter().copied().collect::<Vec<_>>(), [2]);
    reader.faults().begin(Fault::PowerOff);
    let mut outputs = reader.outputs();
    outputs.wait_for(|on| on.is_empty()).await.unwrap();
    let told = truth.kept().into_iter().filter_map(|truth| match truth {
        Truth::Output { port, on, .. } => Some((port, on)),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), [(2, true), (1, true), (1, false), (2, false)]);
}
