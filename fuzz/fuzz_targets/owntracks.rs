//! Any topic and payload: an answer, never a panic; an error's offset lies inside the payload.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tallyman::decode::gps::owntracks::decode;

fuzz_target!(|input: (&str, &[u8], bool)| {
    let (topic, payload, retained) = input;
    for topic in [topic, "owntracks/jane/phone"] {
        let mut out = Vec::new();
        match decode(topic, payload, retained, &mut out) {
            Ok(()) => assert_eq!(out.len(), 1),
            Err(error) => assert!(out.is_empty() && error.offset <= payload.len()),
        }
    }
});
