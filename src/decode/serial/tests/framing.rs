use super::*;

/// The pieces of a stream that comes in chunks, with quiet behind it.
fn pieces(protocol: &Protocol, chunks: &[&[u8]]) -> Vec<Framed> {
    let mut framer = Framer::new(protocol.clone(), Side::Reader);
    let mut pieces = Vec::new();
    for chunk in chunks {
        framer.push(chunk);
        pieces.extend(std::iter::from_fn(|| framer.next_piece()));
    }
    framer.quiet();
    pieces.extend(std::iter::from_fn(|| framer.next_piece()));
    assert!(!framer.is_waiting());
    pieces
}

fn frames(pieces: &[Framed]) -> Vec<&[u8]> {
    let frame = |piece: &'_ Framed| matches!(piece, Framed::Frame { .. });
    pieces
        .iter()
        .filter(|piece| frame(piece))
        .map(|piece| match piece {
            Framed::Frame { bytes, .. } | Framed::Garbage { bytes, .. } => bytes.as_slice(),
        })
        .collect()
}

fn garbage(pieces: &[Framed]) -> Vec<(u64, usize, &'static str)> {
    let garbage = pieces.iter().filter_map(|piece| match piece {
        Framed::Garbage { offset, bytes, reason } => Some((*offset, bytes.len(), *reason)),
        Framed::Frame { .. } => None,
    });
    garbage.collect()
}

/// A frame of the protocol that the reader sends.
fn sample(protocol: &Protocol) -> Vec<u8> {
    match protocol {
        Protocol::Line(_) => b"300833B2DDD9014000000001,2,-61\r\n".to_vec(),
        Protocol::Mercury => bytes(MERCURY),
        Protocol::R2000 => bytes(R2000),
        Protocol::Chafon => bytes(CHAFON),
        Protocol::R200 => bytes(R200),
    }
}

#[test]
fn after_garbage_a_truncated_frame_and_a_broken_one_the_next_frames_are_found() {
    for protocol in protocols().into_iter().filter(|p| !matches!(p, Protocol::Line(_))) {
        let good = sample(&protocol);
        let mut broken = good.clone();
        broken[2] ^= 0x40;
        let mut stream = vec![0x00, 0x13, 0x02];
        stream.extend(&good);
        stream.extend(&good[..good.len() - 2]);
        stream.extend(&good);
        stream.extend(&broken);
        stream.extend(&good);
        stream.extend(&good);
        let found = pieces(&protocol, &[&stream]);
        let found = frames(&found);
        assert!(found.len() >= 4, "{}: {} of 4 or 5", protocol.name(), found.len());
        assert!(found.iter().all(|frame| *frame == good), "{}", protocol.name());
    }
}

#[test]
fn what_a_tag_carries_is_no_frame() {
    // The code of the outer tag is a whole frame of the same protocol.
    let inner = r200::command(0x03, &[0]);
    assert_eq!(inner.len(), 8);
    let mut data = vec![0xc9, 0x20, 0x00];
    data.extend(&inner);
    data.extend([0, 0]);
    let mut outer = r200::command(0x22, &data);
    outer[1] = 2;
    let end = outer.len();
    outer[end - 2] = checksum::sum(&outer[1..end - 2]);
    for cut in 0..outer.len() {
        let (front, back) = outer.split_at(cut);
        assert_eq!(frames(&pieces(&Protocol::R200, &[front, back])), [&outer[..]], "cut at {cut}");
    }
}

#[test]
fn a_frame_that_never_ends_is_given_up_when_the_line_is_quiet() {
    for protocol in protocols().into_iter().filter(|p| !matches!(p, Protocol::Line(_))) {
        let good = sample(&protocol);
        let half = &good[..good.len() - 1];
        let mut framer = Framer::new(protocol.clone(), Side::Reader);
        framer.push(half);
        assert_eq!(framer.next_piece(), None, "{}", protocol.name());
        framer.quiet();
        let Some(Framed::Garbage { offset: 0, bytes, .. }) = framer.next_piece() else { panic!() };
        assert_eq!(bytes, half);
        framer.push(&good);
        assert_eq!(
            framer.next_piece(),
            Some(Framed::Frame { offset: half.len() as u64, bytes: good }),
            "{}",
            protocol.name()
        );
    }
}

#[test]
fn noise_without_end_is_told_of_in_stretches() {
    let noise = vec![0x01; 10_000];
    let told = garbage(&pieces(&Protocol::R200, &[&noise]));
    assert_eq!(told, [(0, 4096, "garbage"), (4096, 4096, "garbage"), (8192, 1808, "garbage")]);
    let line = protocols().pop().unwrap();
    let told = garbage(&pieces(&line, &[&vec![b'x'; 5000]]));
    assert_eq!(told.iter().map(|(_, length, _)| length).sum::<usize>(), 5000);
}

#[test]
fn the_end_of_a_line_that_is_too_long_is_no_line() {
    let line = protocols().pop().unwrap();
    let good = sample(&line);
    // So long that what is left of it looks like a read; some end with what is looked at, some later.
    for length in [1023, 1024, 1025, 1100, 5000] {
        let mut stream = vec![b'f'; length];
        stream.extend(b"300833B2DDD9014000000002\n");
        stream.extend(&good);
        for cut in [1, 1023, 1024, 1025, length, length + 24] {
            let (front, back) = stream.split_at(cut.min(stream.len()));
            let found = pieces(&line, &[front, back]);
            assert_eq!(frames(&found).last(), Some(&&good[..good.len() - 1]), "{length}, cut at {cut}");
            assert_eq!(frames(&found).len(), if length < 1000 { 2 } else { 1 }, "{length}, cut at {cut}");
        }
    }
}

#[test]
fn both_directions_of_a_recording_are_told_apart() {
    let mut framer = Framer::new(Protocol::Mercury, Side::Either);
    let (ask, answer) = (mercury::start(), bytes(MERCURY));
    framer.push(&[&ask[..], &answer].concat());
    let Some(Framed::Frame { bytes: first, .. }) = framer.next_piece() else { panic!() };
    let Some(Framed::Frame { bytes: second, .. }) = framer.next_piece() else { panic!() };
    assert_eq!((first, second), (ask.clone(), answer));
    assert_eq!(heard(&Protocol::Mercury, &ask).unwrap(), [Heard::Other("command")]);
    let mut framer = Framer::new(Protocol::Chafon, Side::Either);
    framer.push(&chafon::round());
    assert!(matches!(framer.next_piece(), Some(Framed::Frame { bytes, .. }) if bytes == chafon::round()));
}

/// Frames, broken frames and noise of a protocol, in any order.
fn stream(which: usize) -> impl Strategy<Value = Vec<u8>> {
    let good = sample(&protocols()[which]);
    let piece = prop_oneof![
        3 => Just(good.clone()),
        1 => prop::collection::vec(any::<u8>(), 0..12),
        1 => (0..good.len()).prop_map({ let good = good.clone(); move |cut| good[..cut].to_vec() }),
        1 => (0..good.len(), 0..8u8).prop_map(move |(at, bit)| {
            let mut broken = good.clone();
            broken[at] ^= 1 << bit;
            broken
        }),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_cutting_gives_the_same(
        (which, stream) in (0..5usize).prop_flat_map(|which| (Just(which), stream(which))),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let protocol = &protocols()[which];
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        at.sort_unstable();
        let mut chunks = Vec::new();
        let mut from = 0;
        for cut in at.into_iter().chain([stream.len()]) {
            chunks.push(&stream[from..cut]);
            from = cut;
        }
        let whole = pieces(protocol, &[&stream]);
        prop_assert_eq!(&pieces(protocol, &chunks), &whole);
        // Nothing is lost, and nothing is made up.
        if which < 4 {
            let put_together: Vec<u8> = whole.iter().flat_map(|piece| match piece {
                Framed::Frame { bytes, .. } | Framed::Garbage { bytes, .. } => bytes.clone(),
            }).collect();
            prop_assert_eq!(put_together, stream);
        }
    }
}
