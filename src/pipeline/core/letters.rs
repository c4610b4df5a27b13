//! What becomes of what is kept as it came: dead letters, and raw reads.

use crate::domain::events::{Event, EventBody, Subject};
use crate::domain::frames::{Frame, Payload, TooLong};
use crate::domain::ids::{Digest, EventId, SiteId, SourceId};
use crate::domain::readings::{DeviceTime, TagRead};
use crate::domain::time::Timestamp;
use crate::journal::{Cut, DeadLetter, StoredDeadLetter};

/// What is said of a message that was not decoded for its length.
pub(super) fn too_long(message: &TooLong) -> String {
    let TooLong { kept, bytes, sha256 } = message;
    if message.is_whole() {
        return format!("a message of {bytes} bytes, longer than `intake.max_payload`; it is kept whole");
    }
    let sha256 = hex::encode(sha256);
    format!(
        "a message of {bytes} bytes, longer than `intake.max_kept`: the first {} are kept; SHA-256 of the whole: {sha256}",
        kept.len()
    )
}

/// A payload that is too long to be decoded is taken out of the frame, not copied.
pub(super) fn dead_letter(frame: &mut Frame, reason: &str, detail: String) -> DeadLetter {
    let mut cut = None;
    let topic = frame.came_under().map(str::to_owned);
    let (protocol, payload) = match &mut frame.payload {
        Payload::TooLong { message, .. } => {
            let whole = message.is_whole();
            cut = (!whole).then_some(Cut { full_bytes: message.bytes, sha256: message.sha256 });
            ("mqtt", std::mem::take(&mut message.kept))
        }
        Payload::Llrp(message) => ("llrp", message.clone()),
        Payload::Serial { bytes, .. } => ("serial", bytes.clone()),
        Payload::Mqtt { payload, .. } => ("mqtt", payload.clone()),
        Payload::Nmea { lines, .. } => ("nmea", lines.clone()),
        Payload::Teltonika { bytes, .. } => ("teltonika", bytes.clone()),
        Payload::Modbus(answer) => ("modbus", format!("{answer:?}").into_bytes()),
    };
    DeadLetter {
        source: frame.source.clone(),
        received_at: frame.received_at,
        reason: reason.to_owned(),
        detail,
        protocol,
        topic,
        payload,
        cut,
    }
}

/// The event of one raw read, with the reader's own time where it has a clock.
pub(super) fn raw_read(read: &TagRead, received_at: Timestamp, site: Option<&SiteId>) -> Event {
    let observed_at = match read.last_seen {
        DeviceTime::Utc(at) => at,
        DeviceTime::Uptime(_) | DeviceTime::None => received_at,
    };
    let uptime = match read.last_seen {
        DeviceTime::Uptime(micros) => micros,
        DeviceTime::Utc(_) | DeviceTime::None => 0,
    };
    let discriminator = format!("{}/{uptime}", read.antenna);
    Event {
        id: EventId::derive(
            observed_at,
            &[
                read.source.as_str().as_bytes(),
                b"tag-read",
                discriminator.as_bytes(),
                &Digest::of(read.epc.bytes()).bytes(),
            ],
        ),
        site: site.cloned(),
        subject: Subject::Tag(read.epc),
        source: read.source.clone(),
        observed_at,
        received_at,
        late: false,
        confidence: None,
        body: EventBody::TagRead {
            epc: read.epc,
            antenna: read.antenna,
            seen_count: read.seen_count,
            peak_rssi_dbm: read.peak_rssi_dbm,
        },
    }
}

/// A stored letter as a new one, set aside for `reason` or for what it was before.
pub(super) fn unreplayed(letter: StoredDeadLetter, reason: Option<&str>) -> DeadLetter {
    DeadLetter {
        source: SourceId::from(letter.source),
        received_at: letter.received_at,
        detail: match reason {
            None => letter.detail,
            Some(_) => {
                format!("letters of this kind cannot be put back; it was set aside for: {}", letter.reason)
            }
        },
        reason: reason.map_or(letter.reason, str::to_owned),
        protocol: match letter.protocol.as_str() {
            "llrp" => "llrp",
            "mqtt" => "mqtt",
            "serial" => "serial",
            "nmea" => "nmea",
            "teltonika" => "teltonika",
            _ => "modbus",
        },
        topic: letter.topic,
        payload: letter.payload,
        cut: letter.cut,
    }
}
