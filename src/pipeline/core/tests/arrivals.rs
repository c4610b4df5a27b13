//! What waits is taken in rounds: nothing that is told depends on it.

use super::live::{frame, micros};
use super::*;

const CRIB: &str = r#"
[[reader]]
name = "dock"
protocol = "llrp"
address = "127.0.0.1:5084"

[[zone]]
name = "crib"

[[read_point]]
name = "shelf"
kind = "presence"
zone = "crib"
lost_after = "5s"
antennas = [{ reader = "dock", antenna = 1 }]
"#;

/// RO_ACCESS_REPORT of so many EPC-96, each with AntennaID, PeakRSSI and when it was seen by a clock that is right.
fn report(tags: std::ops::Range<u64>, second: i64) -> Intake {
    let mut message = hex::decode("043d00000000").unwrap();
    message.extend([0; 4]);
    for tag in tags {
        message.extend(hex::decode(format!("00f0001f8d3000abcdef00{:012x}81000186c482", tag % 70)).unwrap());
        message.extend(micros(second).to_be_bytes());
    }
    let length = (message.len() as u32).to_be_bytes();
    message[2..6].copy_from_slice(&length);
    frame(message, second)
}

/// Reports of one and of several tags, some of them strange and gone soon, among messages of trackers, a link that
/// breaks, frames that were dropped and bytes that mean nothing.
fn intakes() -> Vec<Intake> {
    let link = |state, second| {
        Intake::Link(LinkChange { source: "dock".into(), at: Timestamp::from_secs(NOON + second), state })
    };
    let of = |nth: u64| {
        let second = nth as i64 / 2;
        match nth % 50 {
            0..=29 => report(nth / 3..nth / 3 + 1, second),
            30..=33 => report(nth / 3..nth / 3 + 45, second),
            34 => frame(vec![4, 61, 0, 0, 0, 12, 0, 0, 0, 1, 0, 240], second),
            35 => Intake::Dropped { source: "dock".into(), reason: "queue-full", count: nth },
            36 => link(LinkState::Down { reason: "closed".to_owned() }, second),
            37 => link(LinkState::Up { replaying: false }, second),
            38 => Intake::Room,
            _ => fix(nth / 10),
        }
    };
    std::iter::once(link(LinkState::Up { replaying: false }, 0)).chain((1..600).map(of)).collect()
}

#[test]
fn what_arrives_together_is_told_as_what_arrives_one_by_one() {
    let config = config::parse(&format!("{CONFIG}{CRIB}"), Path::new("."), &|_| None).unwrap();
    let pass = |core: &mut Core, intake: &Intake| {
        if let Intake::Frame(frame) = intake
            && core.next_deadline().is_some_and(|deadline| deadline <= frame.received_at)
        {
            core.tick(frame.received_at, 1);
        }
    };
    let [one_by_one, together] = [false, true].map(|together| {
        let mut core = Core::new(&config, Vec::new()).unwrap();
        core.started(None, Timestamp::from_secs(NOON));
        match together {
            true => core.intakes(intakes(), pass),
            false => intakes().into_iter().for_each(|intake| {
                pass(&mut core, &intake);
                core.intake(intake);
            }),
        }
        assert!(core.books.values().all(Book::balances));
        let group = core.take_group();
        let letters: Vec<_> = group.batch.dead_letters.iter().map(|letter| letter.payload.clone()).collect();
        let acks = group.acks.clone();
        let groups = [group];
        (events(&groups), rows(&groups), letters, acks)
    });
    let told = |kind: &str| one_by_one.0.iter().filter(|event| event.contains(kind)).count();
    assert!(told("Arrived") > 70 && told("Departed") > 40, "{} and {}", told("Arrived"), told("Departed"));
    assert_eq!(one_by_one.2.len(), 12);
    assert_eq!(one_by_one, together);
}
