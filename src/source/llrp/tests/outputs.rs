//! Outputs: off first, on for their time, and put right after a connection was lost.

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
}

impl Bench {
    /// A reader with output 3, set up as far as that it has been switched off.
    async fn set_up_with_output(&mut self) -> Reader {
        let mut reader = self.accept().await;
        reader.announce(0).await;
        reader.answer_until_enabled().await;
        assert_eq!(self.frame().await, message(63, 0, &format!("{ATTEMPT}0000")));
        assert_eq!(self.link().await, LinkState::Up { replaying: false });
        reader
    }

    async fn ring(&self, millis: u64) {
        let until = tokio::time::Instant::now() + Duration::from_millis(millis);
        self.door.send(Switch { port: 3, until }).await.unwrap();
    }
}

#[tokio::test]
async fn an_output_is_off_first_on_for_its_time_and_put_right_after_a_reconnect() {
    let mut bench = Bench::with_outputs(&[3], |_| {}).await;
    let mut reader = bench.set_up_with_output().await;
    let off = gpo(false);
    let shown = reader.seen.iter().rev().nth(1).map(|(kind, content)| (*kind, ::hex::encode(content)));
    assert_eq!(shown, Some(off.clone()), "nothing is left on from before");
    bench.ring(50).await;
    assert_eq!(reader.switched().await, gpo(true));
    assert_eq!(reader.switched().await, off);
    // On, when the connection goes: still on after the next one, and off with us.
    bench.ring(60_000).await;
    assert_eq!(reader.switched().await, gpo(true));
    drop(reader);
    bench.down().await;
    let mut reader = bench.set_up_with_output().await;
    let shown = reader.seen.iter().rev().nth(1).map(|(kind, content)| (*kind, ::hex::encode(content)));
    assert_eq!(shown, Some(gpo(true)));
    bench.shutdown.cancel();
    assert_eq!(reader.switched().await, off);
    assert_eq!(reader.receive().await.0, 14);
}

#[tokio::test]
async fn an_output_is_switched_off_in_time_while_nothing_is_read() {
    let mut bench = Bench::with_outputs(&[3], |_| {}).await;
    let mut reader = bench.set_up_with_output().await;
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
async fn a_reader_that_refuses_to_switch_is_read_all_the_same() {
    let mut bench = Bench::with_outputs(&[3], |_| {}).await;
    let mut reader = bench.set_up_with_output().await;
    bench.ring(60_000).await;
    let (kind, id, _) = reader.receive().await;
    reader.send(&message(kind + 10, id, "011f 000c 0065 0004 62757379")).await;
    reader.send(&message(61, 1, TAG)).await;
    assert_eq!(bench.frame().await, message(61, 1, TAG));
}
