//! One session after the other: setting up, reading, losing the connection, leaving.

use std::collections::VecDeque;

use super::*;
use crate::config::{GpiTrigger, Start, Stop};

#[tokio::test]
async fn nothing_is_sent_to_a_reader_that_announces_nothing() {
    let mut bench = Bench::start(|config| config.connect_timeout = Duration::from_millis(50)).await;
    let reader = bench.accept().await;
    assert_eq!(reader.rest().await, NOTHING);
    assert!(bench.down().await.contains("did not announce"));
}

#[tokio::test]
async fn the_reader_is_set_up_in_order_and_then_the_link_is_up() {
    let mut bench = Bench::start(|_| {}).await;
    let mut reader = bench.accept().await;
    reader.announce(0).await;
    assert_eq!(reader.answer_until_enabled().await, SET_UP);
    assert_eq!(reader.content(1), "00");
    let events = "00f4 0019 00f5 0007 0003 80 00f5 0007 0004 80 00f5 0007 0008 80";
    let keepalive_and_hold = "00dc 0009 01 00002710 00e2 0005 80";
    assert_eq!(reader.content(3), format!("00{events}{keepalive_and_hold}").replace(' ', ""));
    let rospec = "00b1 005e 00000007 00 00
        00b2 0012 00b3 0005 01 00b6 0009 00 00000000
        00b7 0030 0002 0001 0002 00b8 0009 00 00000000
            00ba 001d 0001 01 00de 0016 0000 014a 0010 00 0150 000b 80 0020 00000000
        00ed 0012 02 0001 00ee 000b ffc0 015c 0005 c0";
    let rospec = without_blanks(rospec);
    assert_eq!(reader.content(20), rospec);
    assert_eq!(reader.content(24), "00000007");
    bench.frame().await;
    assert_eq!(bench.link().await, LinkState::Up { replaying: false });
}

#[tokio::test]
async fn reports_and_events_are_passed_on_whole_however_they_are_cut() {
    let mut bench = Bench::start(|_| {}).await;
    let mut reader = bench.set_up().await;
    let report = message(61, 9, TAG);
    let antenna_lost = message(63, 10, "00f6 0017 0080 000c 0005ac35bd20d1da 00ff 0007 00 0003");
    let both = [report.clone(), antenna_lost.clone()].concat();
    for byte in &both {
        reader.send(&[*byte]).await;
    }
    reader.send(&both).await;
    for expected in [&report, &antenna_lost, &report, &antenna_lost] {
        assert_eq!(bench.frame().await, *expected);
    }
}

#[tokio::test]
async fn keepalives_are_acknowledged_also_during_set_up() {
    let bench = Bench::start(|_| {}).await;
    let mut reader = bench.accept().await;
    reader.announce(0).await;
    reader.send(&message(62, 5, "")).await;
    let mut acknowledged = false;
    for _ in 0..2 {
        let (kind, id, content) = reader.receive().await;
        match kind {
            72 => {
                assert_eq!((id, content), (5, vec![]));
                acknowledged = true;
            }
            1 => reader.send(&message(11, id, &format!("{SUCCESS}{CAPABILITIES}"))).await,
            other => panic!("{other}"),
        }
    }
    assert!(acknowledged);
    reader.answer_until_enabled().await;
    reader.send(&message(62, 77, "")).await;
    assert_eq!(reader.receive().await, (72, 77, vec![]));
}

#[tokio::test]
async fn a_refusal_is_told_once_and_tried_again_until_it_ends() {
    let mut bench = Bench::start(|_| {}).await;
    for _ in 0..3 {
        let mut reader = bench.accept().await;
        reader.announce(2).await;
        assert_eq!(reader.rest().await, NOTHING, "nothing is sent to a reader that refuses");
    }
    assert!(bench.down().await.contains("another client is connected"));
    bench.set_up().await;
}

#[tokio::test]
async fn a_refused_rospec_is_told_with_the_readers_words() {
    let mut bench = Bench::start(|_| {}).await;
    let mut reader = bench.accept().await;
    reader.announce(0).await;
    reader.refuse = Some(20);
    assert_eq!(reader.answer_until_enabled().await, [1, 3, 26, 20]);
    bench.frame().await;
    assert_eq!(bench.down().await, "ADD_ROSPEC failed with status 101: busy");
}

#[tokio::test]
async fn a_lost_connection_is_told_and_made_again() {
    let mut bench = Bench::start(|_| {}).await;
    for _ in 0..3 {
        let reader = bench.set_up().await;
        drop(reader);
        let reason = bench.down().await;
        assert!(reason.contains("closed") || reason.contains("failed to"), "{reason}");
    }
}

#[tokio::test]
async fn a_reader_that_went_on_reading_keeps_its_rospec_and_replays() {
    let mut bench = Bench::start(|_| {}).await;
    let first = bench.set_up().await;
    let mut second = bench.back_at_work(first).await;
    assert_eq!(second.answer_until_enabled().await, [1, 3, 26, 64]);
    second.send(&message(61, 1, TAG)).await;
    bench.frame().await;
    assert_eq!(bench.link().await, LinkState::Up { replaying: true });
    assert_eq!(bench.frame().await, message(61, 1, TAG));
}

/// Between two runs an ROSpec that starts by time or input is inactive; one that starts at once never is by itself.
#[tokio::test]
async fn a_rospec_that_waits_for_its_start_is_kept() {
    let on_input = Start::Gpi(GpiTrigger { port: 1, high: true });
    for (start, replaces) in [(on_input, false), (Start::Immediate, true)] {
        let mut bench = Bench::start(|config| {
            config.rospec.start = start;
            config.rospec.stop = Stop::After(Duration::from_secs(5));
        })
        .await;
        let first = bench.set_up().await;
        let mut inactive = first.content(20);
        inactive.replace_range(18..20, "01");
        drop(first);
        bench.down().await;
        let mut second = bench.accept().await;
        second.rospecs = inactive;
        second.announce(0).await;
        let said = second.answer_until_enabled().await;
        assert_eq!(said.contains(&21), replaces, "{start:?}: {said:?}");
    }
}

#[tokio::test]
async fn a_rospec_that_is_not_ours_or_does_not_run_is_replaced() {
    let mut bench = Bench::start(|_| {}).await;
    let first = bench.set_up().await;
    let stopped = first.content(20);
    let mut foreign = stopped.clone();
    foreign.replace_range(8..16, "00000099");
    drop(first);
    bench.down().await;
    for (held, replaying, deleted) in [(stopped, true, "00000007"), (foreign, false, "00000000")] {
        let mut reader = bench.accept().await;
        reader.rospecs = held;
        reader.announce(0).await;
        assert_eq!(reader.answer_until_enabled().await, [1, 3, 26, 21, 20, 24, 64]);
        assert_eq!(reader.content(21), deleted);
        bench.frame().await;
        assert_eq!(bench.link().await, LinkState::Up { replaying });
        drop(reader);
        bench.down().await;
    }
}

#[tokio::test]
async fn three_missing_keepalives_end_the_session() {
    let mut bench = Bench::start(|config| config.keepalive = Duration::from_millis(20)).await;
    let reader = bench.set_up().await;
    assert_eq!(bench.down().await, "nothing heard for 60ms, three keepalives are missing");
    assert_eq!(reader.rest().await, NOTHING);
}

/// A cable that was cut while nobody was connected is no event.
#[tokio::test]
async fn a_reader_is_asked_which_antennas_are_connected_and_need_not_tell() {
    let mut bench = Bench::start(|_| {}).await;
    let mut reader = bench.set_up().await;
    // Cut; whole again; whole, which is no news.
    for (second, is_news) in [("00", true), ("80", true), ("80", false)] {
        let (kind, id, content) = reader.receive_any().await;
        assert_eq!((kind, &content[..]), (2, &ANTENNAS[..]));
        let antennas = format!("{SUCCESS} 00dd 0009 80 0001 0000 00dd 0009 {second} 0002 0000");
        let told = message(12, id, &antennas);
        reader.send(&told).await;
        reader.send(&message(61, 1, TAG)).await;
        if is_news {
            assert_eq!(bench.frame().await, told);
        }
        assert_eq!(bench.frame().await, message(61, 1, TAG));
        drop(reader);
        bench.down().await;
        reader = bench.set_up().await;
    }
    drop(reader);
    bench.down().await;
    for refusal in [message(100, 0, "011f 0008 006d 0000"), message(12, 0, "011f 0008 0065 0000")] {
        let mut reader = bench.set_up().await;
        let (_, id, _) = reader.receive_any().await;
        reader.send(&[&refusal[..6], &id.to_be_bytes(), &refusal[10..]].concat()).await;
        reader.send(&message(61, 1, TAG)).await;
        assert_eq!(bench.frame().await, message(61, 1, TAG));
        drop(reader);
        bench.down().await;
    }
}

/// What others left there may be of a kind that nobody understands; or it may not tell at all.
#[tokio::test]
async fn a_reader_that_does_not_tell_what_it_does_is_set_up_all_the_same() {
    for (kind, answer) in [(36, "00b1 0003"), (100, "011f 0008 006d 0000")] {
        let mut bench = Bench::start(|_| {}).await;
        let mut reader = bench.accept().await;
        reader.announce(0).await;
        for asked in [1, 3, 26] {
            let (said, id, _) = reader.receive().await;
            assert_eq!(said, asked);
            let (kind, answer) = match asked {
                26 => (kind, answer.to_owned()),
                1 => (11, format!("{SUCCESS}{CAPABILITIES}")),
                _ => (13, SUCCESS.to_owned()),
            };
            reader.send(&message(kind, id, &answer)).await;
        }
        assert_eq!(reader.answer_until_enabled().await, [21, 20, 24, 64]);
        bench.frame().await;
        assert_eq!(bench.link().await, LinkState::Up { replaying: true });
    }
}

/// A parameter that is not as the standard has it, beside those that are.
#[tokio::test]
async fn what_is_understood_of_an_answer_is_enough() {
    let mut bench = Bench::start(|_| {}).await;
    let mut reader = bench.accept().await;
    let attempt = "00f6 001c 0080 000c 0005ac35bd20d1da 00fb 0006 dead 0100 0006 0000";
    reader.send(&message(63, 0, attempt)).await;
    // Of C1G2LLRPCapabilities, a byte more.
    reader.capabilities = format!("{CAPABILITIES} 0147 0008 00 0002 ff");
    assert_eq!(reader.answer_until_enabled().await, SET_UP);
    bench.frame().await;
    assert_eq!(bench.link().await, LinkState::Up { replaying: false });
}

/// Whoever left it at work is gone: ours would wait for it.
#[tokio::test]
async fn what_others_left_at_work_is_disabled() {
    let mut bench = Bench::start(|_| {}).await;
    let first = bench.set_up().await;
    let foreign = |id: &str, state: &str| {
        let mut rospec = first.content(20);
        rospec.replace_range(8..16, id);
        rospec.replace_range(18..20, state);
        rospec
    };
    let others = [foreign("00000063", "01"), foreign("00000064", "02")].concat();
    let room_for_several = CAPABILITIES.replace("0000 00000001", "0000 00000000");
    drop(first);
    bench.down().await;
    for refuses in [false, true] {
        let mut reader = bench.accept().await;
        reader.rospecs = others.clone();
        reader.capabilities = room_for_several.clone();
        reader.refuse = refuses.then_some(25);
        reader.announce(0).await;
        reader.answer_until_enabled().await;
        reader.refuse = None;
        assert_eq!(reader.content(25), "00000064");
        if refuses {
            reader.answer_until_enabled().await;
        }
        let said: Vec<u16> = reader.seen.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(said, [1, 3, 26, 25, 20, 24, 64], "and those that wait are left alone");
        bench.frame().await;
        assert_eq!(bench.link().await, LinkState::Up { replaying: false });
        drop(reader);
        bench.down().await;
    }
}

#[tokio::test]
async fn what_is_no_message_is_kept_and_the_connection_made_again() {
    let mut bench = Bench::start(|_| {}).await;
    for (garbage, reason) in
        [(&b"SSH-2.0-OpenSSH_9.2"[..], "version"), (&[4, 61, 0, 0, 0, 9, 0, 0, 0, 1], "shorter")]
    {
        let mut reader = bench.set_up().await;
        reader.send(&message(61, 1, TAG)).await;
        reader.send(garbage).await;
        assert_eq!(bench.frame().await, message(61, 1, TAG));
        assert_eq!(bench.frame().await, garbage);
        let told = bench.down().await;
        assert!(told.contains("what is no LLRP") && told.contains(reason), "{told}");
    }
    let mut reader = bench.set_up().await;
    reader.send(&message(61, 1, TAG)[..20]).await;
    drop(reader);
    assert_eq!(bench.frame().await, message(61, 1, TAG)[..20], "a message that was cut off");
    bench.down().await;
}

/// It is refused when all of it has come, so that the dead letter has it whole; a length that no reader sends
/// is refused at once.
#[tokio::test]
async fn a_message_that_is_too_long_is_kept_whole_up_to_a_bound() {
    let mut bench = Bench::start(|_| {}).await;
    let mut reader = bench.set_up().await;
    let mut long = message(61, 9, &"ab".repeat(MAX_KEPT - 10));
    reader.send(&long).await;
    assert!(bench.frame().await == long, "whole");
    assert!(bench.down().await.contains("longer than the limit"));

    let mut reader = bench.set_up().await;
    long[2..6].copy_from_slice(&(MAX_KEPT as u32 + 1).to_be_bytes());
    reader.send(&long[..100]).await;
    let kept = bench.frame().await;
    assert!(kept.len() >= 10 && long.starts_with(&kept));
    assert!(bench.down().await.contains("longer than the limit"));
}

/// Whatever ends the connection in the middle of a message, its beginning is kept.
#[tokio::test]
async fn what_a_reader_began_to_say_before_it_fell_silent_is_kept() {
    let mut bench = Bench::start(|config| config.keepalive = Duration::from_millis(20)).await;
    let mut reader = bench.set_up().await;
    let report = message(61, 9, "00f0");
    reader.send(&report[..7]).await;
    assert_eq!(bench.frame().await, report[..7]);
    assert!(bench.down().await.contains("nothing heard"));
}

#[tokio::test]
async fn a_reader_that_says_goodbye_is_connected_to_again() {
    let mut bench = Bench::start(|_| {}).await;
    let mut reader = bench.set_up().await;
    let goodbye = message(63, 3, "00f6 0014 0080 000c 0005ac35bd20d1da 0101 0004");
    reader.send(&goodbye).await;
    assert_eq!(bench.frame().await, goodbye);
    assert_eq!(bench.down().await, "the reader closed the connection");
    bench.set_up().await;
}

#[tokio::test]
async fn nothing_is_read_while_the_gate_is_closed() {
    let mut bench = Bench::start(|config| config.keepalive = Duration::from_millis(30)).await;
    let mut reader = bench.set_up().await;
    bench.gate.send_replace(Gate::Closed);
    // The client has seen the gate when it has come to rest: it no longer answers keepalives.
    let mut sent = VecDeque::new();
    loop {
        reader.send(&message(62, sent.len() as u32, "")).await;
        sent.push_back(sent.len() as u32);
        let acknowledged = tokio::time::timeout(Duration::from_millis(200), reader.receive()).await;
        match acknowledged {
            Ok((kind, id, _)) => assert_eq!((kind, Some(id)), (72, sent.pop_front())),
            Err(_) => break,
        }
    }
    reader.send(&message(61, 1, TAG)).await;
    // Much longer than three keepalives: that we do not listen is not the reader's silence.
    assert!(bench.queue.try_recv().is_err());
    bench.gate.send_replace(Gate::Open);
    assert_eq!(bench.frame().await, message(61, 1, TAG));
}

#[tokio::test]
async fn a_stop_takes_leave_and_passes_on_what_still_comes() {
    let mut bench = Bench::start(|_| {}).await;
    let mut reader = bench.set_up().await;
    bench.shutdown.cancel();
    let (kind, id, content) = reader.receive().await;
    assert_eq!((kind, content), (14, vec![]));
    reader.send(&message(61, 1, TAG)).await;
    reader.send(&message(4, id, SUCCESS)).await;
    soon("the client's end", bench.client).await.unwrap();
    assert_eq!(reader.rest().await, NOTHING);
    assert!(matches!(bench.queue.recv().await, Some(Intake::Frame(_))));
    assert_eq!(bench.queue.recv().await, None);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_reader_that_is_away() {
    let bench = Bench::start(|config| {
        config.backoff = BackoffConfig { first: Duration::from_secs(60), last: Duration::from_secs(60) };
        config.reach = Reach::ToReader { address: "127.0.0.1:1".to_owned(), tls: None };
    });
    let mut bench = bench.await;
    assert!(bench.down().await.contains("failed to connect"));
    bench.shutdown.cancel();
    soon("the client's end", bench.client).await.unwrap();
}
