//! `cargo +nightly fuzz run json`: any payload, by every ready-made mapping and by one that is read from anywhere in
//! the message, with numbers in text and without. Nothing panics; what is no fix is a fault, and what is no message an error inside of it.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tallyman::config::{PRESETS, parse_mapping};
use tallyman::decode::Decoded;
use tallyman::decode::gps::json::{MOST_FIXES, Mapping, decode};
use tallyman::decode::gps::message::Message;
use tallyman::domain::geodesy::Position;
use tallyman::domain::readings::Reading;
use tallyman::domain::time::Timestamp;

const ANYWHERE: &str = "fixes = [\"*.*\", \"$\"]\ndevice = [\"$.d\", \"d\"]\nlatitude = \"a\"\nlongitude = \"o\"\n\
    time = \"t\"\ntime_format = \"unix\"\nspeed = \"s\"\nspeed_unit = \"mph\"\nvalid = \"v\"\nignition = \"i\"\n";

static MAPPINGS: LazyLock<Vec<Mapping>> = LazyLock::new(|| {
    let in_text = format!("{ANYWHERE}text_numbers = true\n");
    let texts = PRESETS.iter().map(|(_, text)| *text).chain([ANYWHERE, &in_text]);
    texts.map(|text| parse_mapping(text).expect("a mapping")).collect()
});

fuzz_target!(|input: (&[u8], Option<&str>)| {
    let (payload, named) = input;
    let named = named.map(Into::into);
    for mapping in &*MAPPINGS {
        let mut out = Decoded::default();
        let message = Message::new("t", payload, Timestamp::default());
        if let Err(error) = decode(mapping, message, named.as_ref(), &mut out) {
            assert!(error.offset <= payload.len() && out.readings.is_empty() && out.faults.is_empty());
        }
        assert!(out.readings.len() + out.faults.len() <= MOST_FIXES);
        for reading in out.readings {
            match reading {
                Reading::Fix(fix) => {
                    assert!(Position::new(fix.position.lat, fix.position.lon).is_some());
                    assert!(fix.observed_at.as_micros() >= 0 && !fix.device.as_str().is_empty());
                }
                Reading::Note(note) => assert!(!note.device.as_str().is_empty()),
                other => panic!("{other:?} of a tracker"),
            }
        }
    }
});
