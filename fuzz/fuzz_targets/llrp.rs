//! `cargo +nightly fuzz run llrp`: any bytes as an LLRP stream. Nothing panics, and what decodes
//! encodes to the same bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tallyman::decode::llrp::framing::{MAX_MESSAGE_BYTES, message_length};
use tallyman::decode::llrp::{Message, ReportDecoder};
use tallyman::domain::ids::SourceId;

fuzz_target!(|bytes: &[u8]| {
    let mut decoder = ReportDecoder::new(SourceId::new("fuzz"));
    let mut readings = Vec::new();
    let mut rest = bytes;
    while let Ok(Some(length)) = message_length(rest, MAX_MESSAGE_BYTES) {
        one(&mut decoder, &mut readings, &rest[..length]);
        rest = &rest[length..];
    }
    one(&mut decoder, &mut readings, rest);
});

fn one(decoder: &mut ReportDecoder, readings: &mut Vec<tallyman::domain::readings::Reading>, message: &[u8]) {
    // That it is refused is as good as that it is taken.
    decoder.decode(message, readings).ok();
    for tree in [Message::decode(message), Message::decode_what_is_known(message)].into_iter().flatten() {
        assert_eq!(tree.encode().as_deref(), Ok(message));
        serde_json::to_string(&tree).expect("a tree is JSON");
    }
}
