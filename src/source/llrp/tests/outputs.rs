//! Outputs: off first, on for their time, put right after a connection was lost or the reader refused, and off at
//! a stop.

use super::*;

/// SET_READER_CONFIG with GPOWriteData of port 3.
fn gpo(on: bool) -> (u16, String) {
    (3, without_blanks(if on { "00 00db 0007 0003 80" } else { "00 00db 0007 0003 00" }))
}

impl Reader {
    /// Answers the next message, which switches an output, with success.
    async fn switched(&mut self) -> (u16, String) {
        let (kind, id, content) = self.receive().await;
        self.send(&message(kind + 10, id, SUCCESS)).await;
        (kind, ::hex::encode(content))
    }

    /// What it was told first.
    fn shown(&self) -> (u16, String) {
        let (kind, content) = self.seen.first().expect("it was told something");
        (*kind, ::hex::encode(content))
    }
}

impl Bench {
    async fn ring(&self, millis: u64) {
        let until = tokio::time::Instant::now() + Duration::from_millis(millis);
        self.door.send(Switch { port: 3, until }).await.unwrap();
    }
}

#[tokio::test]
async fn an_output_is_off_first_on_for_its_time_and_put_right_after_a_reconnect() {
    let mut bench = Bench::with_outputs(&[3], |_| {}).await;
    let mut reader = bench.set_up().await;
    let off = gpo(false);
    assert_eq!(reader.shown(), off, "nothing is left on from before, and that is told first");
    bench.ring(50).await;
    assert_eq!(reader.switched().await, gpo(true));
    assert_eq!(reader.switched().await, off);
    // On, when the connection goes: still on after the next one, and off with us.
    bench.ring(60_000).await;
    assert_eq!(reader.switched().await, gpo(true));
    drop(reader);
    bench.down().await;
    let mut reader = bench.set_up().await;
    assert_eq!(reader.shown(), gpo(true));
    bench.shutdown.cancel();
    assert_eq!(reader.switched().await, off);
    assert_eq!(reader.receive().await.0, 14);
}

#[tokio::test]
async fn an_output_is_switched_off_in_time_while_nothing_is_read() {
    let mut bench = Bench::with_outputs(&[3], |_| {}).await;
    let mut reader = bench.set_up().await;
    bench.ring(100).await;
    assert_eq!(reader.switched().await, gpo(true));
    // More reports than the queue has room for, and nobody takes them.
    for id in 0..100 {
        reader.send(&message(61, id, TAG)).await;
    }
    assert_eq!(reader.receive().await.0, gpo(false).0);
    for id in 0..100 {
        assert_eq!(bench.frame().await, message(61, id, TAG), "and none is lost for it");
    }
}

#[tokio::test]
async fn an_output_is_switched_on_while_an_answer_is_waited_for() {
    let mut bench = Bench::with_outputs(&[3], |_| {}).await;
    let mut reader = bench.accept().await;
    reader.announce(0).await;
    assert_eq!(reader.switched().await, gpo(false));
    let (kind, id, _) = reader.receive().await;
    assert_eq!(kind, 1, "it takes its time to tell what it can");
    bench.ring(60_000).await;
    assert_eq!(reader.switched().await, gpo(true));
    let capabilities = format!("{SUCCESS}{CAPABILITIES}");
    reader.send(&message(11, id, &capabilities)).await;
    assert_eq!(reader.answer_until_enabled().await, SET_UP[1..]);
    bench.frame().await;
    assert_eq!(bench.link().await, LinkState::Up { replaying: false });
}

#[tokio::test]
async fn a_reader_that_refuses_to_switch_is_read_all_the_same() {
    let mut bench = Bench::with_outputs(&[3], |_| {}).await;
    let mut reader = bench.set_up().await;
    bench.ring(60_000).await;
    let (kind, id, _) = reader.receive().await;
    reader.send(&message(kind + 10, id, "011f 000c 0065 0004 62757379")).await;
    reader.send(&message(61, 1, TAG)).await;
    assert_eq!(bench.frame().await, message(61, 1, TAG));
}

#[tokio::test]
async fn an_end_that_the_reader_refuses_is_told_again_until_it_is_taken() {
    let mut bench = Bench::with_outputs(&[3], |_| {}).await;
    let mut reader = bench.set_up().await;
    bench.ring(20).await;
    assert_eq!(reader.switched().await, gpo(true));
    let (kind, id, content) = reader.receive().await;
    assert_eq!((kind, ::hex::encode(content)), gpo(false));
    reader.send(&message(kind + 10, id, "011f 000c 0065 0004 62757379")).await;
    assert_eq!(reader.switched().await, gpo(false), "it is owed");
    // Taken: nothing more is said.
    reader.send(&message(61, 1, TAG)).await;
    assert_eq!(bench.frame().await, message(61, 1, TAG));
    bench.shutdown.cancel();
    assert_eq!(reader.switched().await, gpo(false));
    assert_eq!(reader.receive().await.0, 14);
}

#[tokio::test]
async fn a_stop_while_a_reader_is_set_up_switches_its_light_off() {
    let mut bench = Bench::with_outputs(&[3], |_| {}).await;
    let mut reader = bench.set_up().await;
    bench.ring(60_000).await;
    assert_eq!(reader.switched().await, gpo(true));
    drop(reader);
    bench.down().await;
    // Connected and not announced yet, so nothing could be told.
    let mut reader = bench.accept().await;
    bench.shutdown.cancel();
    reader.announce(0).await;
    assert_eq!(reader.switched().await, gpo(true), "as it was when the session began");
    assert_eq!(reader.switched().await, gpo(false));
    assert_eq!(reader.receive().await.0, 14);
    drop(reader);
    soon("the client's end", bench.client).await.unwrap();
}

#[tokio::test]
async fn a_stop_looks_once_for_a_reader_that_is_away_with_its_light_on() {
    let wait = BackoffConfig { first: Duration::from_secs(60), last: Duration::from_secs(60) };
    let mut bench = Bench::with_outputs(&[3], |config| config.backoff = wait).await;
    let mut reader = bench.set_up().await;
    bench.ring(60_000).await;
    assert_eq!(reader.switched().await, gpo(true));
    drop(reader);
    bench.down().await;
    bench.shutdown.cancel();
    let mut reader = bench.accept().await;
    reader.announce(0).await;
    reader.switched().await;
    assert_eq!(reader.switched().await, gpo(false));
    drop(reader);
    soon("the client's end", bench.client).await.unwrap();
}

#[tokio::test]
async fn switches_do_not_make_a_silent_reader_look_alive() {
    let mut bench = Bench::with_outputs(&[3], |config| config.keepalive = Duration::from_millis(50)).await;
    let reader = bench.set_up().await;
    // Shorter than the silence that ends a session, again and again.
    let ringing = async {
        loop {
            bench.door.send(Switch { port: 3, until: tokio::time::Instant::now() }).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let down = async {
        match bench.queue.recv().await {
            Some(Intake::Link(change)) => change.state,
            other => panic!("{other:?}"),
        }
    };
    tokio::select! {
        never = ringing => match never {},
        state = soon("the end of the session", down) => assert!(matches!(state, LinkState::Down { .. })),
    }
    drop(reader);
}
