//! What the client asks for, found in what it sends. Bytes that are no command are passed over.

use super::Protocol;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked {
    /// Read until told to stop.
    Start,
    Stop,
    /// Read one round.
    Round,
    /// Anything else: answered, nothing changes.
    Other(u8),
}

/// Takes the commands that are whole off the front of `bytes`.
pub fn take(protocol: Protocol, bytes: &mut Vec<u8>) -> Vec<Asked> {
    let mut asked = Vec::new();
    while let Some(step) = first(protocol, bytes) {
        match step {
            Step::Command(length, command) => {
                bytes.drain(..length);
                asked.push(command);
            }
            Step::Skip => drop(bytes.remove(0)),
        }
    }
    asked
}

enum Step {
    Command(usize, Asked),
    Skip,
}

/// `None`: more is needed.
fn first(protocol: Protocol, bytes: &[u8]) -> Option<Step> {
    let length = match (protocol, bytes) {
        (_, []) => return None,
        (Protocol::Line, _) => return Some(Step::Skip),
        (Protocol::Mercury, [0xff, length, ..]) => usize::from(*length) + 5,
        (Protocol::R2000, [0xa0, length, ..]) => usize::from(*length) + 2,
        (Protocol::Chafon, [length, ..]) if *length >= 4 => usize::from(*length) + 1,
        (Protocol::R200, [0xaa, _, _, high, low, ..]) => usize::from(*high) * 256 + usize::from(*low) + 7,
        (Protocol::Mercury, [0xff]) | (Protocol::R2000, [0xa0]) => return None,
        (Protocol::R200, [0xaa, ..]) if bytes.len() < 5 => return None,
        _ => return Some(Step::Skip),
    };
    let frame = bytes.get(..length)?;
    let asked = match protocol {
        Protocol::Mercury => match (frame[2], frame.get(5)) {
            (0x2f, Some(1)) => Asked::Start,
            (0x2f, Some(2)) => Asked::Stop,
            (op, _) => Asked::Other(op),
        },
        Protocol::R2000 => match frame.get(3) {
            Some(0x89..=0x8b) => Asked::Round,
            command => Asked::Other(command.copied().unwrap_or_default()),
        },
        Protocol::Chafon => match frame[2] {
            0x01 => Asked::Round,
            command => Asked::Other(command),
        },
        Protocol::R200 | Protocol::Line => match frame[2] {
            0x27 => Asked::Start,
            0x28 => Asked::Stop,
            command => Asked::Other(command),
        },
    };
    Some(Step::Command(length, asked))
}

#[cfg(test)]
mod tests {
    use super::super::frames;
    use super::*;

    #[test]
    fn commands_are_found_between_other_bytes() {
        let mut bytes = vec![0x00, 0x13];
        bytes.extend(frames::r200(0x00, 0x27, &[0x22, 0xff, 0xff]));
        bytes.extend(&frames::r200(0x00, 0x28, &[])[..4]);
        assert_eq!(take(Protocol::R200, &mut bytes), [Asked::Start]);
        bytes.extend(&frames::r200(0x00, 0x28, &[])[4..]);
        assert_eq!(take(Protocol::R200, &mut bytes), [Asked::Stop]);
        let mut bytes = frames::r2000(0x89, &[0xff]);
        assert_eq!(take(Protocol::R2000, &mut bytes), [Asked::Round]);
        let mut bytes = frames::chafon(0x01, &[]);
        assert_eq!(take(Protocol::Chafon, &mut bytes), [Asked::Round]);
        assert!(bytes.is_empty());
    }
}
