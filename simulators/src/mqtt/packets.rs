//! MQTT 3.1.1 control packets, by hand: those that a publisher sends and receives.

/// Packets longer than this are not believed; a broker has nothing long to say to a publisher.
const MAX_PACKET_BYTES: usize = 64 * 1024;

/// What CONNECT says of a client.
#[derive(Clone, Debug)]
pub struct Connect<'a> {
    pub client_id: &'a str,
    pub clean_session: bool,
    pub keepalive_s: u16,
    pub login: Option<(&'a str, &'a str)>,
}

/// What a broker says to a publisher.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Incoming {
    ConnAck { session_present: bool, code: u8 },
    PubAck { id: u16 },
    PingResp,
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PacketError {
    #[error("a packet of {0} bytes")]
    Length(usize),
    #[error("a length that does not end")]
    Varint,
    #[error("packet type {0} is not for a publisher")]
    Kind(u8),
    #[error("packet type {kind} with {length} bytes")]
    Body { kind: u8, length: usize },
}

pub fn connect(connect: &Connect<'_>) -> Vec<u8> {
    let login = if connect.login.is_some() { 0xc0 } else { 0 };
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 4, login | u8::from(connect.clean_session) << 1];
    body.extend(connect.keepalive_s.to_be_bytes());
    text(connect.client_id, &mut body);
    if let Some((user, password)) = connect.login {
        text(user, &mut body);
        text(password, &mut body);
    }
    packet(0x10, &body)
}

/// PUBLISH with QoS 1.
pub fn publish(topic: &str, payload: &[u8], id: u16, retain: bool, dup: bool) -> Vec<u8> {
    let mut body = Vec::with_capacity(topic.len() + payload.len() + 4);
    text(topic, &mut body);
    body.extend(id.to_be_bytes());
    body.extend(payload);
    packet(0x30 | u8::from(dup) << 3 | 1 << 1 | u8::from(retain), &body)
}

pub fn ping_request() -> Vec<u8> {
    packet(0xc0, &[])
}

pub fn disconnect() -> Vec<u8> {
    packet(0xe0, &[])
}

fn text(text: &str, out: &mut Vec<u8>) {
    out.extend((text.len() as u16).to_be_bytes());
    out.extend(text.as_bytes());
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    let mut left = body.len();
    loop {
        let low = (left & 0x7f) as u8;
        left >>= 7;
        out.push(low | u8::from(left > 0) << 7);
        if left == 0 {
            break;
        }
    }
    out.extend(body);
    out
}

/// The first packet in `buffer`, where it is all there, and its length.
pub fn split(buffer: &[u8]) -> Result<Option<(Incoming, usize)>, PacketError> {
    let Some((length, start)) = remaining_length(buffer)? else { return Ok(None) };
    let Some(body) = buffer.get(start..start + length) else { return Ok(None) };
    let packet = match (buffer[0] >> 4, body) {
        (2, [flags, code]) => Incoming::ConnAck { session_present: flags & 1 != 0, code: *code },
        (4, [high, low]) => Incoming::PubAck { id: u16::from_be_bytes([*high, *low]) },
        (13, []) => Incoming::PingResp,
        (kind @ (2 | 4 | 13), _) => return Err(PacketError::Body { kind, length }),
        (kind, _) => return Err(PacketError::Kind(kind)),
    };
    Ok(Some((packet, start + length)))
}

/// The length behind a packet's first byte, and where the body starts.
fn remaining_length(buffer: &[u8]) -> Result<Option<(usize, usize)>, PacketError> {
    let mut length = 0;
    for (index, byte) in buffer.iter().enumerate().skip(1) {
        length |= usize::from(byte & 0x7f) << (7 * (index - 1));
        if byte & 0x80 == 0 {
            return if length > MAX_PACKET_BYTES {
                Err(PacketError::Length(length))
            } else {
                Ok(Some((length, index + 1)))
            };
        }
        if index == 4 {
            return Err(PacketError::Varint);
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connect_is_these_bytes() {
        let bytes = connect(&Connect { client_id: "t1", clean_session: false, keepalive_s: 30, login: None });
        assert_eq!(bytes, [0x10, 14, 0, 4, b'M', b'Q', b'T', b'T', 4, 0, 0, 30, 0, 2, b't', b'1']);
    }

    #[test]
    fn a_login_is_flagged_and_comes_last() {
        let login = Some(("u", "p"));
        let bytes = connect(&Connect { client_id: "", clean_session: true, keepalive_s: 1, login });
        assert_eq!(
            bytes,
            [0x10, 18, 0, 4, b'M', b'Q', b'T', b'T', 4, 0xc2, 0, 1, 0, 0, 0, 1, b'u', 0, 1, b'p']
        );
    }

    #[test]
    fn publish_says_quality_duplicate_and_retain_in_its_first_byte() {
        assert_eq!(publish("a/b", b"x", 10, false, false), [0x32, 8, 0, 3, b'a', b'/', b'b', 0, 10, b'x']);
        assert_eq!(publish("a", b"", 1, true, true)[0], 0x3b);
    }

    #[test]
    fn a_long_packet_has_a_length_of_two_bytes() {
        let bytes = publish("a", &[0; 200], 1, false, false);
        assert_eq!(bytes[1..3], [0x80 | (205 & 0x7f), 1]);
    }

    #[test]
    fn answers_are_taken_apart_one_by_one() {
        let bytes = [0x20, 2, 1, 0, 0x40, 2, 0x12, 0x34, 0xd0, 0];
        assert_eq!(split(&bytes), Ok(Some((Incoming::ConnAck { session_present: true, code: 0 }, 4))));
        assert_eq!(split(&bytes[4..]), Ok(Some((Incoming::PubAck { id: 0x1234 }, 4))));
        assert_eq!(split(&bytes[8..]), Ok(Some((Incoming::PingResp, 2))));
        assert_eq!(split(&bytes[4..7]), Ok(None));
    }

    #[test]
    fn what_no_broker_sends_a_publisher_is_refused() {
        assert_eq!(split(&[0x30, 0]), Err(PacketError::Kind(3)));
        assert_eq!(split(&[0x40, 1, 0]), Err(PacketError::Body { kind: 4, length: 1 }));
        assert_eq!(split(&[0x40, 0xff, 0xff, 0xff, 0xff, 1]), Err(PacketError::Varint));
    }
}
