//! What a reader is told to choose, and what becomes of one that refuses.

use super::*;

const WITH_FILTERS: &str = "01470007000002";

async fn choosing() -> Bench {
    let include = vec![EpcPattern::parse("34*").unwrap()];
    Bench::start(|config| config.select = TagFilter { include, exclude: vec![] }).await
}

impl Bench {
    async fn accept_choosing(&self) -> Reader {
        let mut reader = self.accept().await;
        reader.capabilities = format!("{CAPABILITIES}{WITH_FILTERS}");
        reader.announce(0).await;
        reader
    }
}

#[tokio::test]
async fn the_reader_is_told_whom_to_choose() {
    let mut bench = choosing().await;
    let mut reader = bench.accept_choosing().await;
    reader.answer_until_enabled().await;
    // In front of the singulation: bank 1, from bit 32, 8 bits 34; select these and no other.
    let filter = "014b 0014 40 014c 000a 40 0020 0008 34 014e 0005 00 0150 000b";
    assert!(reader.content(20).contains(&without_blanks(filter)), "{}", reader.content(20));
    bench.frame().await;
}

/// M_ParameterError of ADD_ROSPEC, or of ENABLE_ROSPEC.
#[tokio::test]
async fn a_reader_that_refuses_filters_is_read_without_them_and_not_asked_again() {
    let mut bench = choosing().await;
    for refused in [20, 24] {
        let mut reader = bench.accept_choosing().await;
        reader.refuse = Some(refused);
        reader.answer_until_enabled().await;
        assert!(reader.content(20).contains("014b0014"), "filters at first");
        reader.refuse = None;
        reader.seen.clear();
        assert_eq!(reader.answer_until_enabled().await, [21, 20, 24, 64]);
        assert!(!reader.content(20).contains("014b"), "and none then");
        bench.frame().await;
        assert!(matches!(bench.link().await, LinkState::Up { .. }));
        reader.send(&message(61, 1, TAG)).await;
        assert_eq!(bench.frame().await, message(61, 1, TAG));
        // It keeps what runs: nothing is chosen any more.
        let mut running = reader.content(20);
        running.replace_range(18..20, "02");
        drop(reader);
        bench.down().await;
        let mut again = bench.accept_choosing().await;
        again.rospecs = running;
        assert_eq!(again.answer_until_enabled().await, [1, 3, 26, 64]);
        bench.shutdown.cancel();
        bench = choosing().await;
    }
}

/// Also without filters: that is no matter of theirs.
#[tokio::test]
async fn a_reader_that_refuses_the_rospec_itself_is_told_so() {
    let mut bench = choosing().await;
    let mut reader = bench.accept_choosing().await;
    reader.refuse = Some(20);
    reader.answer_until_enabled().await;
    reader.answer_until_enabled().await;
    bench.frame().await;
    assert_eq!(bench.down().await, "ADD_ROSPEC failed with status 101: busy");
}
