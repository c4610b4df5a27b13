//! A reader that connects to us: what it says before it is known, what of that is lost, and when it is taken again.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::time::Instant;

use super::*;

/// A client whose reader calls, and where.
async fn called(ports: &[u16], adjust: impl FnOnce(&mut ReaderConfig)) -> (Bench, SocketAddr) {
    let bench = Bench::with_outputs(ports, |config| {
        config.reach = Reach::FromReader { identity: None, host: Some(Ipv4Addr::LOCALHOST.into()) };
        config.rospec.hold_on_disconnect = false;
        adjust(config);
    })
    .await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let entrance = listener.local_addr().unwrap();
    let door = Door::new([&bench.config].into_iter(), None, MAX_KEPT, bench.desk.clone());
    tokio::spawn(door.run(listener, bench.shutdown.clone()));
    (bench, entrance)
}

async fn calls(entrance: SocketAddr) -> Reader {
    let mut reader = Reader::over(TcpStream::connect(entrance).await.unwrap());
    reader.announce(0).await;
    reader
}

impl Reader {
    /// Answers who it is: it has no name.
    async fn introduce(&mut self) {
        let (kind, id, _) = self.receive().await;
        assert_eq!(kind, 2, "it is asked who it is");
        self.send(&message(12, id, SUCCESS)).await;
    }
}

/// GET_READER_CONFIG, Identification (LLRP 1.0.1, section 12.1.1).
const LIFE: [u8; 7] = [0, 0, 1, 0, 0, 0, 0];

impl Reader {
    /// Answers whether it lives.
    async fn lives(&mut self) {
        let (kind, id, content) = self.receive().await;
        assert_eq!((kind, &content[..]), (2, &LIFE[..]), "it is asked whether it lives");
        self.send(&message(12, id, SUCCESS)).await;
    }
}

impl Bench {
    /// A reader that called, and was set up.
    async fn taken(&mut self, entrance: SocketAddr) -> Reader {
        let mut reader = calls(entrance).await;
        reader.introduce().await;
        assert_eq!(reader.answer_until_enabled().await, SET_UP);
        assert_eq!(self.frame().await, announcement());
        assert_eq!(self.link().await, LinkState::Up { replaying: false });
        reader
    }
}

fn announcement() -> Vec<u8> {
    message(63, 0, &format!("{ATTEMPT}0000"))
}

#[tokio::test]
async fn what_a_reader_reports_before_it_is_known_is_taken_over() {
    let (mut bench, entrance) = called(&[], |_| {}).await;
    let mut reader = calls(entrance).await;
    for id in 0..200 {
        reader.send(&message(61, id, TAG)).await;
    }
    reader.introduce().await;
    assert_eq!(bench.frame().await, announcement());
    for id in 0..200 {
        assert_eq!(bench.frame().await, message(61, id, TAG));
    }
    assert_eq!(reader.answer_until_enabled().await, SET_UP);
    assert_eq!(bench.link().await, LinkState::Up { replaying: false });
}

#[tokio::test]
async fn what_is_more_than_anybody_may_say_before_that_is_counted() {
    let (mut bench, entrance) = called(&[], |_| {}).await;
    let mut reader = calls(entrance).await;
    let long = |id| message(61, id, &"ab".repeat(100_000));
    for id in 0..15 {
        reader.send(&long(id)).await;
    }
    // Short enough, and not kept all the same: what is kept has no gaps.
    reader.send(&message(61, 15, TAG)).await;
    reader.introduce().await;
    assert_eq!(bench.frame().await, announcement());
    for id in 0..10 {
        assert!(bench.frame().await == long(id), "{id}");
    }
    let Intake::Dropped { source, reason, count } = bench.intake().await else { panic!("the rest") };
    assert_eq!((source.as_str(), reason, count), ("dock", "before-taken-over", 6));
    assert_eq!(reader.answer_until_enabled().await, SET_UP);
}

#[tokio::test]
async fn a_message_that_is_too_long_of_somebody_unknown_is_not_read() {
    let (_bench, entrance) = called(&[], |_| {}).await;
    let mut reader = calls(entrance).await;
    let mut head = message(61, 1, TAG);
    head[2..6].copy_from_slice(&3_000_000u32.to_be_bytes());
    reader.send(&head).await;
    reader.receive().await;
    assert_eq!(reader.rest().await, NOTHING, "it hears no more, and the connection ends");
}

/// One that emptied its buffer into a single report would otherwise never be taken.
#[tokio::test]
async fn a_report_that_is_too_long_for_somebody_unknown_passes_by_and_is_counted() {
    let (mut bench, entrance) = called(&[], |_| {}).await;
    let mut reader = calls(entrance).await;
    reader.send(&message(61, 1, &TAG.repeat(82_000))).await;
    reader.send(&message(61, 2, TAG)).await;
    reader.introduce().await;
    assert_eq!(bench.frame().await, announcement());
    let Intake::Dropped { reason, count, .. } = bench.intake().await else { panic!("what passed by") };
    assert_eq!((reason, count), ("before-taken-over", 2));
    assert_eq!(reader.answer_until_enabled().await, SET_UP);
    assert_eq!(bench.link().await, LinkState::Up { replaying: false });
    reader.send(&message(61, 3, &TAG.repeat(82_000))).await;
    assert_eq!(bench.frame().await.len(), 10 + 82_000 * 17, "of a reader that is known it is taken");
}

#[tokio::test]
async fn what_a_second_connection_says_is_counted_with_the_next_one() {
    let (mut bench, entrance) = called(&[], |_| {}).await;
    let mut first = bench.taken(entrance).await;
    let mut second = calls(entrance).await;
    second.send(&message(61, 1, TAG)).await;
    second.introduce().await;
    first.lives().await;
    assert_eq!(second.receive().await.0, 14, "it is told to go");
    drop(first);
    bench.down().await;
    let mut third = calls(entrance).await;
    third.introduce().await;
    assert_eq!(bench.frame().await, announcement());
    let Intake::Dropped { count, .. } = bench.intake().await else { panic!("what the second one said") };
    assert_eq!(count, 2, "its announcement, and its report");
}

/// Its power was gone: nobody closed the connection, and three keepalives would be half a minute.
#[tokio::test]
async fn a_reader_that_comes_back_before_it_was_missed_is_taken_again() {
    let (mut bench, entrance) = called(&[], |_| {}).await;
    // Open, and silent.
    let _first = bench.taken(entrance).await;
    let begun = Instant::now();
    let mut second = calls(entrance).await;
    second.introduce().await;
    assert_eq!(bench.down().await, "the reader connected once more, and nothing was heard here for 3s");
    assert_eq!(bench.frame().await, announcement());
    assert_eq!(second.answer_until_enabled().await, SET_UP);
    assert_eq!(bench.link().await, LinkState::Up { replaying: false });
    assert!(begun.elapsed() < bench.config.keepalive, "{:?}", begun.elapsed());
}

/// Twice doubted, it goes on as before: its keepalives count again.
#[tokio::test]
async fn a_reader_that_lives_is_not_replaced() {
    let (mut bench, entrance) = called(&[], |_| {}).await;
    let mut first = bench.taken(entrance).await;
    for id in 0..2 {
        let mut second = calls(entrance).await;
        second.introduce().await;
        first.lives().await;
        assert_eq!(second.receive().await.0, 14, "it is told to go");
        first.send(&message(61, id, TAG)).await;
        assert_eq!(bench.frame().await, message(61, id, TAG));
    }
}

/// What would only fail again at once waits; a line that was lost is taken up as soon as the reader calls.
#[tokio::test]
async fn a_reader_that_cannot_be_set_up_waits_and_one_that_was_lost_does_not() {
    let wait = BackoffConfig { first: Duration::from_secs(60), last: Duration::from_secs(60) };
    let (mut bench, entrance) = called(&[], |config| config.backoff = wait).await;
    for _ in 0..2 {
        drop(bench.taken(entrance).await);
        bench.down().await;
    }
    let mut reader = calls(entrance).await;
    reader.introduce().await;
    reader.refuse = Some(20);
    reader.answer_until_enabled().await;
    assert_eq!(bench.frame().await, announcement());
    // The link is down since the one before, which nobody is told twice.
    soon("the end of the session", reader.rest()).await;
    let mut again = calls(entrance).await;
    again.introduce().await;
    assert_eq!(again.receive().await.0, 14, "it is not waited for yet");
}

#[tokio::test]
async fn a_stop_waits_for_no_reader_that_cannot_come_any_more() {
    let (bench, _) = called(&[3], |_| {}).await;
    tokio::task::yield_now().await;
    let begun = Instant::now();
    bench.shutdown.cancel();
    soon("the client's end", bench.client).await.unwrap();
    assert!(begun.elapsed() < FAREWELL, "{:?}", begun.elapsed());
}
