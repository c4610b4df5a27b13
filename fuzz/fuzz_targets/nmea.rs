//! `cargo +nightly fuzz run nmea`: any bytes, in any chunks, as a receiver's sentences. Nothing panics, the chunks
//! make no difference, and a fault has the bytes of its place.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tallyman::decode::gps::nmea::{NmeaDecoder, NmeaItem};
use tallyman::domain::geodesy::Position;

fuzz_target!(|chunks: Vec<Vec<u8>>| {
    let whole = chunks.concat();
    let items = items(std::slice::from_ref(&whole));
    assert_eq!(self::items(&chunks), items);
    for item in items {
        match item {
            NmeaItem::Fix(fix) => assert!(Position::new(fix.position.lat, fix.position.lon).is_some()),
            NmeaItem::NoFix { .. } => {}
            NmeaItem::Fault { offset, bytes, error } => {
                assert_eq!(&whole[offset as usize..][..bytes.len()], bytes);
                assert!(error.offset <= bytes.len());
            }
        }
    }
});

fn items(chunks: &[Vec<u8>]) -> Vec<NmeaItem> {
    let mut decoder = NmeaDecoder::new(None);
    let mut items = Vec::new();
    chunks.iter().for_each(|chunk| decoder.push(chunk, &mut items));
    decoder.finish(&mut items);
    items
}
