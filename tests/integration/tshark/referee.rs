//! Wireshark's dissectors as a referee: bytes that a [`Relay`] saw become a capture file, and `tshark` says
//! what it makes of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::relay::Piece;
use crate::servers::find;

/// IPv4 and TCP without options.
const HEADERS: usize = 40;
const CLIENT_PORT: u16 = 40_000;

pub struct Referee {
    program: PathBuf,
    protocol: Protocol,
}

/// How a protocol's messages are told apart: by us, from the bytes, and by tshark, by a field that each
/// message has once.
#[derive(Clone, Copy)]
pub struct Protocol {
    /// As `tshark -d` names it.
    pub name: &'static str,
    pub port: u16,
    pub field: &'static str,
    /// Length and kind of the message that `bytes` begin with; `None` where it is not whole.
    pub split: fn(&[u8]) -> Option<(usize, u64)>,
}

/// What tshark made of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Messages by kind.
    pub kinds: BTreeMap<u64, usize>,
    /// What is not as it should be: kinds of a packet's messages, a tab, and what is wrong.
    pub malformed: Vec<String>,
}

impl Referee {
    pub fn find(test: &str, protocol: Protocol) -> Option<Self> {
        let program = find("TALLYMAN_TEST_TSHARK", "tshark", test)?;
        Some(Self { program, protocol })
    }

    /// Messages by kind as we count them, both directions. What a cut left unfinished is not counted.
    pub fn count(&self, pieces: &[Piece]) -> BTreeMap<u64, usize> {
        let mut streams: BTreeMap<(usize, bool), Vec<u8>> = BTreeMap::new();
        for piece in pieces {
            let stream = streams.entry((piece.connection, piece.from_client)).or_default();
            stream.extend(&piece.bytes);
        }
        let mut kinds = BTreeMap::new();
        for stream in streams.values() {
            let mut rest = stream.as_slice();
            while let Some((length, kind)) = (self.protocol.split)(rest) {
                *kinds.entry(kind).or_default() += 1;
                rest = &rest[length..];
            }
        }
        kinds
    }

    pub fn judge(&self, pieces: &[Piece]) -> Verdict {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("capture.pcap");
        fs::write(&path, self.capture(pieces)).expect("a capture file");
        let Protocol { name, port, field, .. } = self.protocol;
        let tshark = |arguments: &[&str]| {
            let output = Command::new(&self.program)
                .arg("-r")
                .arg(&path)
                .args(["-d", &format!("tcp.port=={port},{name}")])
                .args(arguments)
                .output()
                .expect("tshark runs");
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "tshark {arguments:?}: {errors}");
            String::from_utf8(output.stdout).expect("tshark writes UTF-8")
        };
        let kinds = tshark(&["-Y", name, "-T", "fields", "-E", "aggregator=,", "-e", field]);
        let mut verdict = Verdict::default();
        for kind in kinds.split([',', '\n']).map(str::trim).filter(|kind| !kind.is_empty()) {
            *verdict.kinds.entry(kind.parse().expect("a number")).or_default() += 1;
        }
        // 0x07000000: the expert group of what is malformed.
        let wrong = "_ws.malformed || _ws.expert.group == 0x07000000";
        let malformed = tshark(&[
            "-Y",
            wrong,
            "-T",
            "fields",
            "-E",
            "aggregator=,",
            "-e",
            field,
            "-e",
            "_ws.expert.message",
        ]);
        verdict.malformed = malformed.lines().map(str::to_owned).collect();
        verdict
    }

    /// Raw IPv4 packets (link type 101), each connection a TCP stream of its own.
    fn capture(&self, pieces: &[Piece]) -> Vec<u8> {
        let mut file = Vec::new();
        for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 0x0004_0000, 101] {
            file.extend(word.to_le_bytes());
        }
        let mut sent: BTreeMap<(usize, bool), u32> = BTreeMap::new();
        for (number, piece) in pieces.iter().enumerate() {
            let seen = |from_client| 1 + sent.get(&(piece.connection, from_client)).copied().unwrap_or(0);
            let packet = self.packet(piece, seen(piece.from_client), seen(!piece.from_client));
            let length = packet.len() as u32;
            for word in [number as u32, 0, length, length] {
                file.extend(word.to_le_bytes());
            }
            file.extend(packet);
            *sent.entry((piece.connection, piece.from_client)).or_default() += piece.bytes.len() as u32;
        }
        file
    }

    fn packet(&self, piece: &Piece, sequence: u32, acknowledged: u32) -> Vec<u8> {
        let client = CLIENT_PORT + piece.connection as u16;
        let (from, to) =
            if piece.from_client { (client, self.protocol.port) } else { (self.protocol.port, client) };
        let (source, target) = if piece.from_client { (1, 2) } else { (2, 1) };
        let total = u16::try_from(HEADERS + piece.bytes.len()).expect("a piece fits a packet");
        let mut packet = vec![0x45, 0];
        packet.extend(total.to_be_bytes());
        packet.extend([0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, source, 10, 0, 0, target]);
        packet.extend(from.to_be_bytes());
        packet.extend(to.to_be_bytes());
        packet.extend(sequence.to_be_bytes());
        packet.extend(acknowledged.to_be_bytes());
        // Five words of header, PSH and ACK, a full window.
        packet.extend([0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
        packet.extend(&piece.bytes);
        packet
    }
}
