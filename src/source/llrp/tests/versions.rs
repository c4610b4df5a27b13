//! Which version is spoken, and what a reader says that does not know the question.

use super::*;

const GET_SUPPORTED_VERSION: u16 = 46;

impl Bench {
    async fn negotiating() -> Self {
        Self::start(|config| config.version = LlrpVersion::Negotiated).await
    }
}

impl Reader {
    /// Type, id and version of the next message.
    async fn receive_version(&mut self) -> (u16, u32, u8) {
        let mut header = [0; 10];
        soon("a header", self.stream.read_exact(&mut header)).await.unwrap();
        let number = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().unwrap());
        let mut content = vec![0; number(2) as usize - 10];
        soon("a message", self.stream.read_exact(&mut content)).await.unwrap();
        let kind = u16::from_be_bytes([header[0] & 3, header[1]]);
        self.seen.push((kind, content));
        (kind, number(6), header[0] >> 2 & 7)
    }

    async fn answer_as(&mut self, version: u8, kind: u16, id: u32, content: &str) {
        let mut bytes = message(kind, id, content);
        bytes[0] = bytes[0] & 0b1110_0011 | version << 2;
        self.send(&bytes).await;
    }
}

#[tokio::test]
async fn a_reader_that_speaks_1_1_is_spoken_to_in_it() {
    let bench = Bench::negotiating().await;
    let mut reader = bench.accept().await;
    reader.announce(0).await;
    let (kind, id, version) = reader.receive_version().await;
    assert_eq!((kind, version), (GET_SUPPORTED_VERSION, 2));
    reader.answer_as(2, 56, id, &format!("01 02 {SUCCESS}")).await;
    let (kind, id, version) = reader.receive_version().await;
    assert_eq!((kind, version, reader.content(47).as_str()), (47, 2, "02"));
    reader.answer_as(2, 57, id, SUCCESS).await;
    let (kind, id, version) = reader.receive_version().await;
    assert_eq!((kind, version), (1, 2), "the first message of the session itself");
    reader.answer_as(2, 11, id, &format!("{SUCCESS}{CAPABILITIES}")).await;
    assert_eq!(reader.receive_version().await.2, 2);
}

/// M_UnsupportedVersion (110), M_UnsupportedMessage (109), an answer of type 56 that refuses, a reader that knows
/// 1.0.1 only, and one that will not be set.
#[tokio::test]
async fn a_reader_that_does_not_is_spoken_to_in_1_0_1() {
    let refusal = |status: u16| format!("011f 0008 {status:04x} 0000");
    for (version, kind, content) in [
        (1, 100, refusal(110)),
        (2, 100, refusal(109)),
        (2, 56, format!("01 01 {}", refusal(110))),
        (2, 56, format!("01 01 {SUCCESS}")),
    ] {
        let mut bench = Bench::negotiating().await;
        let mut reader = bench.accept().await;
        reader.announce(0).await;
        let (_, id, _) = reader.receive_version().await;
        reader.answer_as(version, kind, id, &content).await;
        assert_eq!(reader.answer_until_enabled().await[1..], SET_UP, "{kind} {content}");
        bench.frame().await;
        assert_eq!(bench.link().await, LinkState::Up { replaying: false });
    }
    let bench = Bench::negotiating().await;
    let mut reader = bench.accept().await;
    reader.announce(0).await;
    let (_, id, _) = reader.receive_version().await;
    reader.answer_as(2, 56, id, &format!("01 02 {SUCCESS}")).await;
    let (_, id, _) = reader.receive_version().await;
    reader.answer_as(2, 57, id, &refusal(110)).await;
    assert_eq!(reader.answer_until_enabled().await[2..], SET_UP);
}

#[tokio::test]
async fn a_reader_that_closes_when_asked_is_asked_no_more() {
    let mut bench = Bench::negotiating().await;
    let mut reader = bench.accept().await;
    reader.announce(0).await;
    reader.receive_version().await;
    drop(reader);
    bench.frame().await;
    assert!(bench.down().await.contains("asked for its protocol versions"));
    bench.set_up().await;
}
