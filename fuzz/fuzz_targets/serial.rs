//! `cargo +nightly fuzz run serial`: any bytes, in any chunks, on a serial line of each kind. Nothing panics,
//! the chunks make no difference, and no byte gets lost.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tallyman::decode::serial::{Framed, Framer, LinePattern, Protocol, Side};

fuzz_target!(|input: (u8, Vec<Vec<u8>>)| {
    let (which, chunks) = input;
    let protocol = match which % 5 {
        0 => Protocol::Line(LinePattern::new(LinePattern::DEFAULT, &[]).expect("a pattern of our own")),
        1 => Protocol::Mercury,
        2 => Protocol::R2000,
        3 => Protocol::Chafon,
        _ => Protocol::R200,
    };
    let side = if which & 0x80 == 0 { Side::Reader } else { Side::Either };
    let whole = chunks.concat();
    let at_once = pieces(&protocol, side, &[&whole]);
    let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
    assert_eq!(pieces(&protocol, side, &chunks), at_once);
    let mut heard = Vec::new();
    let mut together: Vec<u8> = Vec::new();
    for piece in &at_once {
        let (Framed::Frame { bytes, .. } | Framed::Garbage { bytes, .. }) = piece;
        // That it is refused is as good as that it is taken.
        protocol.decode(bytes, &mut heard).ok();
        together.extend(bytes);
    }
    if !matches!(protocol, Protocol::Line(_)) {
        assert_eq!(together, whole);
    }
});

fn pieces(protocol: &Protocol, side: Side, chunks: &[&[u8]]) -> Vec<Framed> {
    let mut framer = Framer::new(protocol.clone(), side);
    let mut pieces = Vec::new();
    for chunk in chunks {
        framer.push(chunk);
        pieces.extend(std::iter::from_fn(|| framer.next_piece()));
    }
    framer.quiet();
    pieces.extend(std::iter::from_fn(|| framer.next_piece()));
    pieces
}
