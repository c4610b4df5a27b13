//! `cargo +nightly fuzz run teltonika`: any bytes, in any chunks, as a capture, a tracker's connection, and a message;
//! and the same as the data of a packet whose check sum is right. Nothing panics, the chunks make no difference where
//! there is a way back into the stream, no byte gets lost.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tallyman::decode::Decoded;
use tallyman::decode::gps::message::Message;
use tallyman::decode::gps::teltonika::{Framed, Framer, Piece, Session, decode, decode_message};
use tallyman::domain::time::Timestamp;

fuzz_target!(|chunks: Vec<Vec<u8>>| {
    let whole = chunks.concat();
    let at_once = framed(std::slice::from_ref(&whole));
    assert_eq!(framed(&chunks), at_once);
    let mut together = 0;
    for piece in at_once {
        let (offset, length) = match &piece {
            Framed::Login { offset, imei } => (*offset, 2 + imei.len()),
            Framed::Ping { offset } => (*offset, 1),
            Framed::Packet { offset, bytes } => {
                taken(bytes);
                (*offset, bytes.len())
            }
            Framed::Garbage { offset, bytes, .. } => (*offset, bytes.len()),
        };
        assert_eq!(offset, together);
        together += length as u64;
    }
    assert_eq!(together, whole.len() as u64);
    connected(&chunks);
    let message = Message::new("t", &whole, Timestamp::default());
    decode_message(message, &"356307042441013".into(), &mut Decoded::default()).ok();
    taken(&packet(&whole));
});

fn connected(chunks: &[Vec<u8>]) {
    let mut session = Session::default();
    let mut pieces = Vec::new();
    chunks.iter().for_each(|chunk| session.push(chunk, &mut pieces));
    let of = |piece: &Piece| match piece {
        Piece::Login(imei) => 2 + imei.len(),
        Piece::Ping => 1,
        Piece::Packet(bytes) | Piece::Damaged(bytes) | Piece::Lost(bytes) => bytes.len(),
    };
    let told: usize = pieces.iter().map(of).sum();
    let left = session.finish().map_or(0, |left| left.len());
    assert_eq!(told + left, chunks.iter().map(Vec::len).sum::<usize>());
}

/// That it is refused is as good as that it is taken.
fn taken(packet: &[u8]) {
    if let Err(error) = decode(packet) {
        assert!(error.offset <= packet.len());
    }
}

fn framed(chunks: &[Vec<u8>]) -> Vec<Framed> {
    let mut framer = Framer::default();
    let mut framed = Vec::new();
    chunks.iter().for_each(|chunk| framer.push(chunk, &mut framed));
    framer.finish(&mut framed);
    framed
}

/// So that what lies behind the check sum is reached.
fn packet(data: &[u8]) -> Vec<u8> {
    let sum = data.iter().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0xa001 } else { 0 })
    });
    let length = (data.len() as u32).to_be_bytes();
    [&[0; 4][..], &length, data, &u32::from(sum).to_be_bytes()].concat()
}
