//! What is shown of what is heard, to whoever watches.

use super::*;
use crate::live::Live;

const READER: &str = r#"
[[reader]]
name = "dock"
site = "north"
protocol = "llrp"
address = "127.0.0.1:5084"
"#;

/// RO_ACCESS_REPORT of one EPC-96 with its AntennaID and PeakRSSI; behind it, when it was seen (UTC).
const REPORT: &str = "043d 00000029 00000001 00f0 001f 8d 3000abcdef00000000000003 81 0002 86 c4 82";

pub(super) fn watched() -> (Core, Live) {
    let config = config::parse(&format!("{CONFIG}{READER}"), Path::new("."), &|_| None).unwrap();
    let mut core = Core::new(&config, Vec::new()).unwrap();
    let live = Live::default();
    core.show_in(live.clone());
    core.started(None, Timestamp::from_secs(NOON));
    (core, live)
}

pub(super) fn up(replaying: bool, second: i64) -> Intake {
    let at = Timestamp::from_secs(NOON + second);
    Intake::Link(LinkChange { source: "dock".into(), at, state: LinkState::Up { replaying } })
}

pub(super) fn frame(message: Vec<u8>, second: i64) -> Intake {
    let received_at = Timestamp::from_secs(NOON + second);
    Intake::Frame(Frame { source: "dock".into(), received_at, payload: Payload::Llrp(message), ack: None })
}

/// As when a reader takes the connection up: ConnectionAttemptEvent, by its clock, which is right.
fn connected(second: i64) -> Intake {
    let told = format!("043f 00000020 00000000 00f6 0016 0080 000c {:016x} 0100 0006 0000", micros(second));
    frame(hex::decode(told.replace(' ', "")).unwrap(), second)
}

fn report(seen: i64, second: i64) -> Intake {
    let mut message = hex::decode(REPORT.replace(' ', "")).unwrap();
    message.extend(micros(seen).to_be_bytes());
    frame(message, second)
}

pub(super) fn micros(second: i64) -> i64 {
    (NOON + second) * 1_000_000
}

#[test]
fn reads_are_shown_from_when_somebody_watches_with_those_that_were_held_as_such() {
    let (mut core, live) = watched();
    core.intake(connected(0));
    core.intake(up(true, 0));
    core.intake(report(-100, 1));
    let mut watcher = live.watch();
    core.intake(report(-90, 2));
    core.intake(up(false, 3));
    core.intake(report(4, 4));
    let mut reads = Vec::new();
    assert_eq!(watcher.take(9, &mut reads), 0);
    let told: Vec<_> =
        reads.iter().map(|read| (read.received_at.as_micros() / 1_000_000 - NOON, read.held)).collect();
    assert_eq!(told, [(2, true), (4, false)]);
    let read = &reads[0];
    assert_eq!((read.source.as_str(), read.antenna, read.rssi_dbm, read.count), ("dock", 2, Some(-60.0), 1));
    assert_eq!(hex::encode(read.epc.bytes()), "3000abcdef00000000000003");
}

/// A reader that does not hold reports before its link is up; the connection begins with its announcement.
#[test]
fn what_was_told_before_the_link_is_up_is_what_came_last() {
    let (mut core, live) = watched();
    let mut watcher = live.watch();
    core.intake(connected(0));
    core.intake(report(0, 1));
    core.intake(up(false, 2));
    let bare = "043d 0000001b 00000002 00f0 0011 8d 3000abcdef00000000000004";
    core.intake(frame(hex::decode(bare.replace(' ', "")).unwrap(), 3));
    core.intake(connected(4));
    core.intake(frame(hex::decode(bare.replace(' ', "")).unwrap(), 5));
    let mut reads = Vec::new();
    watcher.take(9, &mut reads);
    assert_eq!(reads.iter().map(|read| read.antenna).collect::<Vec<_>>(), [2, 2, 0]);
}
