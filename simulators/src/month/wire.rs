//! The bytes of the month: LLRP messages and OwnTracks payloads as the simulated devices write them.

use jiff::Timestamp;

use crate::clock::Stamp;
use crate::llrp::report::{Economy, HeldRead, Radio, Selector, TagObservation, ro_access_report};
use crate::llrp::{message, wire};

const ROSPEC: u32 = 1;
/// Reads in one report.
pub(crate) const REPORT_READS: usize = 64;

/// What this reader puts into a report: everything but the numbers of its own specs.
const SELECTED: Selector = Selector(
    Selector::ANTENNA_ID
        | Selector::PEAK_RSSI
        | Selector::FIRST_SEEN
        | Selector::LAST_SEEN
        | Selector::SEEN_COUNT,
);

pub(crate) fn report(id: u32, reads: &[TagObservation]) -> Vec<u8> {
    let held: Vec<HeldRead> = reads
        .iter()
        .map(|observation| HeldRead {
            stamp: Stamp::Utc(micros_of(observation.at)),
            radio: Radio::of(observation),
            observation: observation.clone(),
            channel: 1,
            rospec: ROSPEC,
            inventory: 1,
        })
        .collect();
    ro_access_report(id, &held, SELECTED, &mut Economy::new(false))
}

/// ConnectionAttemptEvent, with the reader's time (sections 14.2.5 and 15.3).
pub(crate) fn connected(id: u32, at: Timestamp) -> Vec<u8> {
    notification(id, at, |out| {
        out.tlv(256, |out| {
            out.u16(0);
        });
    })
}

/// AntennaEvent.
pub(super) fn antenna(id: u32, at: Timestamp, antenna: u16, connected: bool) -> Vec<u8> {
    notification(id, at, |out| {
        out.tlv(255, |out| {
            out.u8(u8::from(connected)).u16(antenna);
        });
    })
}

fn notification(id: u32, at: Timestamp, event: impl FnOnce(&mut wire::Out)) -> Vec<u8> {
    wire::message(message::READER_EVENT_NOTIFICATION, id, |out| {
        out.tlv(246, |out| {
            out.tlv(128, |out| {
                out.u64(micros_of(at));
            });
            event(out);
        });
    })
}

fn micros_of(at: Timestamp) -> u64 {
    u64::try_from(at.as_microsecond()).unwrap_or(0)
}
