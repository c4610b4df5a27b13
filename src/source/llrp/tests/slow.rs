//! A slow line, and a pipeline that has no room: what takes long is no fault of the reader's.

use super::*;
use crate::source::llrp::versions::Asks;

/// A full buffer in one report, over a slow line: nothing else can be said meanwhile, keepalives neither.
#[tokio::test]
async fn a_report_that_takes_longer_than_three_keepalives_is_no_silence() {
    let mut bench = Bench::start(|config| config.keepalive = Duration::from_millis(60)).await;
    let mut reader = bench.set_up().await;
    let report = message(61, 9, &TAG.repeat(2));
    for byte in &report[..40] {
        reader.send(&[*byte]).await;
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    reader.send(&report[40..]).await;
    assert_eq!(bench.frame().await, report);
    assert_eq!(bench.down().await, "nothing heard for 180ms, three keepalives are missing");
}

/// Silence would say that there is no more of it.
#[tokio::test]
async fn a_held_report_that_takes_long_to_come_in_is_told_to_go_on() {
    let mut bench = Bench::start(|_| {}).await;
    let first = bench.set_up().await;
    let mut reader = bench.back_at_work(first).await;
    reader.answer_until_enabled().await;
    bench.frame().await;
    let held = LinkState::Up { replaying: true };
    assert_eq!(bench.link().await, held);
    let report = message(61, 1, TAG);
    reader.send(&report[..20]).await;
    assert_eq!(bench.link().await, held);
    assert_eq!(bench.link().await, held);
    reader.send(&report[20..]).await;
    // One more may be on its way.
    let frame = loop {
        match bench.intake().await {
            Intake::Link(change) => assert_eq!(change.state, held),
            Intake::Frame(frame) => break frame,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(frame.payload, Payload::Llrp(report));
    let more = tokio::time::timeout(Duration::from_millis(1200), bench.queue.recv()).await;
    assert!(more.is_err(), "{more:?}");
}

/// The answer comes behind it, and the wait for room in the pipeline is ours.
#[tokio::test]
async fn an_answer_is_waited_for_behind_what_is_still_coming_in() {
    let within = Duration::from_millis(300);
    let bench = Bench::start(|_| {}).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let config = ReaderConfig { reach: Reach::ToReader { address, tls: None }, ..bench.config.clone() };
    let (sender, mut queue) = mpsc::channel(1);
    let intake = IntakeSender { queue: sender, gate: bench.gate.subscribe(), clock: WallClock::new() };
    let (desk, shutdown) = (bench.desk.clone(), bench.shutdown.clone());
    let asking = tokio::spawn(async move {
        let around =
            Around { config: &config, max_kept: 0, desk: &desk, intake: &intake, shutdown: &shutdown };
        let mut outputs = Outputs::new([].into(), mpsc::channel(1).1);
        let mut session = Session::open(&around, &mut outputs).await.unwrap();
        let answer = session.ask_within(within, 26, vec![], vec![]).await;
        let again = session.ask_within(within, 26, vec![], vec![]).await;
        (format!("{:?}", answer.err()), format!("{:?}", again.err()))
    });
    let mut reader = Reader::over(soon("a connection", listener.accept()).await.unwrap().0);
    reader.announce(0).await;
    let (_, id, _) = reader.receive().await;
    let report = message(61, 9, &TAG.repeat(2));
    for byte in &report[..40] {
        reader.send(&[*byte]).await;
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    reader.send(&report[40..]).await;
    reader.send(&message(61, 10, TAG)).await;
    // The queue has no room; then it has.
    tokio::time::sleep(within).await;
    for _ in 0..3 {
        soon("an intake", queue.recv()).await.unwrap();
    }
    reader.send(&message(36, id, SUCCESS)).await;
    // A reader that talks on and never answers is not waited for.
    let (_, _, _) = reader.receive().await;
    let talk = async {
        loop {
            reader.send(&message(62, 1, "")).await;
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    };
    let asked = tokio::select! { () = talk => unreachable!(), asked = soon("the answers", asking) => asked };
    let (answered, again) = asked.unwrap();
    assert_eq!(answered, "None", "it came late through no fault of the reader's");
    assert!(again.contains("NoResponse"), "{again}");
}
