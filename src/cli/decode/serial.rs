//! What serial readers send (and what they are told, where a recording has both): an object a frame, or
//! several where a frame has several tags.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::Lines;
use crate::decode::serial::{Framed, Framer, Heard, Protocol, SerialTag, Side};
use crate::domain::readings::DeviceTime;

pub fn decode<W: Write>(protocol: &Protocol, bytes: &[u8], out: &mut Lines<W>) -> io::Result<()> {
    let mut framer = Framer::new(protocol.clone(), Side::Either);
    framer.push(bytes);
    framer.quiet();
    let mut heard = Vec::new();
    while let Some(framed) = framer.next_piece() {
        match framed {
            Framed::Garbage { offset, bytes, reason } => out.write(&json!({
                "error": format!("{} bytes that are no frame", bytes.len()),
                "reason": reason,
                "offset": offset,
                "bytes": hex::encode(&bytes),
            }))?,
            Framed::Frame { offset, bytes } => {
                let decoded = protocol.decode(&bytes, &mut heard);
                for heard in heard.drain(..) {
                    out.write(&object(&heard))?;
                }
                if let Err(error) = decoded {
                    out.write(&json!({
                        "error": error.message,
                        "reason": error.reason,
                        "offset": offset + error.offset as u64,
                        "bytes": hex::encode(&bytes),
                    }))?;
                }
            }
        }
    }
    Ok(())
}

fn object(heard: &Heard) -> Value {
    match heard {
        Heard::Tag(tag) => of_tag(tag),
        Heard::RoundEnd { reads: Some(reads) } => json!({ "type": "round-end", "reads": reads }),
        Heard::RoundEnd { reads: None } => json!({ "type": "round-end" }),
        Heard::Trouble(message) => json!({ "type": "trouble", "message": message }),
        Heard::Other(name) => json!({ "type": name }),
    }
}

/// What the frame leaves out is left out here.
fn of_tag(tag: &SerialTag) -> Value {
    let mut object = json!({ "type": "tag", "epc": tag.epc, "antenna": tag.antenna });
    let time = match tag.time {
        DeviceTime::Utc(time) => Some(json!(time)),
        DeviceTime::Uptime(_) | DeviceTime::None => None,
    };
    let word = |word: Option<u16>| word.map(|word| json!(format!("{word:04x}")));
    let optional = [
        ("time", time),
        ("rssi_dbm", tag.rssi_dbm.map(|dbm| json!(dbm))),
        ("rssi_raw", tag.rssi_raw.map(|raw| json!(raw))),
        ("count", (tag.count > 1).then(|| json!(tag.count))),
        ("pc", word(tag.pc)),
        ("crc", word(tag.crc)),
        ("phase_deg", tag.phase_deg.map(|phase| json!(phase))),
        ("frequency_khz", tag.frequency_khz.map(|khz| json!(khz))),
        ("truncated", tag.truncated.then_some(Value::Bool(true))),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            object[name] = value;
        }
    }
    object
}
