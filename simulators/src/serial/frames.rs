//! Frames of each protocol, byte by byte, with check sums of their own making.

use super::Protocol;
use crate::llrp::TagObservation;

/// PC of a code: its length in words, in the upper five bits (Gen2, section 6.3.2.1.2.2).
fn pc(epc: &[u8]) -> [u8; 2] {
    let words = u16::try_from(epc.len() / 2).unwrap_or(31);
    (words << 11).to_be_bytes()
}

/// The tag's own CRC over PC and code: ISO/IEC 13239, complemented.
fn tag_crc(epc: &[u8]) -> [u8; 2] {
    let mut register: u32 = 0xffff;
    for byte in pc(epc).iter().chain(epc) {
        register ^= u32::from(*byte) << 8;
        for _ in 0..8 {
            register <<= 1;
            if register & 0x1_0000 != 0 {
                register ^= 0x1_1021;
            }
        }
    }
    let crc = !(register as u16);
    crc.to_be_bytes()
}

/// ThingMagic's division: bits are shifted in from below.
fn mercury_crc(bytes: &[u8]) -> [u8; 2] {
    let mut register: u32 = 0xffff;
    for byte in bytes {
        for bit in (0..8).rev() {
            register = register << 1 | u32::from(byte >> bit & 1);
            if register & 0x1_0000 != 0 {
                register ^= 0x1_1021;
            }
        }
    }
    (register as u16).to_be_bytes()
}

/// Reflected, low byte first.
fn chafon_crc(bytes: &[u8]) -> [u8; 2] {
    let mut register: u16 = 0xffff;
    for byte in bytes {
        register ^= u16::from(*byte);
        for _ in 0..8 {
            let carried = register & 1;
            register >>= 1;
            register ^= 0x8408 * carried;
        }
    }
    register.to_le_bytes()
}

pub fn mercury(op: u8, status: u16, data: &[u8]) -> Vec<u8> {
    let mut frame = vec![0xff, data.len() as u8, op];
    frame.extend(status.to_be_bytes());
    frame.extend(data);
    let crc = mercury_crc(&frame[1..]);
    frame.extend(crc);
    frame
}

pub fn r2000(command: u8, data: &[u8]) -> Vec<u8> {
    let mut frame = vec![0xa0, data.len() as u8 + 3, 0x01, command];
    frame.extend(data);
    let sum: u32 = frame.iter().map(|byte| u32::from(*byte)).sum();
    frame.push((256 - sum % 256) as u8);
    frame
}

pub fn chafon(command: u8, data: &[u8]) -> Vec<u8> {
    let mut frame = vec![data.len() as u8 + 4, 0x00, command];
    frame.extend(data);
    let crc = chafon_crc(&frame);
    frame.extend(crc);
    frame
}

pub fn r200(kind: u8, command: u8, data: &[u8]) -> Vec<u8> {
    let mut frame = vec![0xaa, kind, command, 0, data.len() as u8];
    frame.extend(data);
    let sum: u32 = frame[1..].iter().map(|byte| u32::from(*byte)).sum();
    frame.extend([sum as u8, 0xdd]);
    frame
}

/// One read; Chafon's come in lists, see [`chafon_list`].
pub fn read(protocol: Protocol, read: &TagObservation) -> Vec<u8> {
    let epc = &read.epc;
    match protocol {
        Protocol::Line => {
            let hex: String = epc.iter().map(|byte| format!("{byte:02X}")).collect();
            format!("{hex},{},{}\r\n", read.antenna, read.rssi_dbm).into_bytes()
        }
        Protocol::Mercury => mercury(0x22, 0, &mercury_read(read)),
        Protocol::R2000 => {
            let antenna = read.antenna.saturating_sub(1) as u8;
            let mut data = vec![0x2c << 2 | antenna & 0b11];
            data.extend(pc(epc));
            data.extend(epc);
            let upper = if antenna > 3 { 0x80 } else { 0 };
            data.push((i16::from(read.rssi_dbm) + 129).clamp(0, 127) as u8 | upper);
            r2000(0x89, &data)
        }
        Protocol::Chafon => chafon_list(std::slice::from_ref(read), false),
        Protocol::R200 => {
            let mut data = vec![read.rssi_dbm as u8];
            data.extend(pc(epc));
            data.extend(epc);
            data.extend(tag_crc(epc));
            r200(0x02, 0x22, &data)
        }
    }
}

/// Option, search flags, all metadata, one tag; then the metadata and the code.
fn mercury_read(read: &TagObservation) -> Vec<u8> {
    let mut data = vec![0x10, 0x00, 0x1b, 0x01, 0xff, 0x01];
    data.push(read.count.min(255) as u8);
    data.push(read.rssi_dbm as u8);
    let port = read.antenna.min(15) as u8;
    data.push(port << 4 | port);
    data.extend([0x0d, 0xd6, 0x26]);
    data.extend([0, 0, 1, 0x27]);
    data.extend([0, 0x2d]);
    data.push(0x05);
    data.extend([0, 0]);
    data.push(0x0f);
    let bits = (read.epc.len() as u16 + 4) * 8;
    data.extend(bits.to_be_bytes());
    data.extend(pc(&read.epc));
    data.extend(&read.epc);
    data.extend(tag_crc(&read.epc));
    data
}

/// Reads of one antenna. `more`: another list of the round follows.
pub fn chafon_list(reads: &[TagObservation], more: bool) -> Vec<u8> {
    let antenna = reads.first().map_or(1, |read| read.antenna);
    let mut data = vec![if more { 0x03 } else { 0x01 }];
    data.push(1 << antenna.saturating_sub(1).min(7));
    data.push(reads.len() as u8);
    for read in reads {
        data.push(read.epc.len() as u8);
        data.extend(&read.epc);
        data.push((i16::from(read.rssi_dbm) + 160).clamp(0, 255) as u8);
    }
    chafon(0x01, &data)
}

/// The end of a round.
pub fn round_end(protocol: Protocol, reads: u32) -> Option<Vec<u8>> {
    match protocol {
        Protocol::R2000 => {
            let mut data = vec![0, 0, 100];
            data.extend(reads.to_be_bytes());
            Some(r2000(0x89, &data))
        }
        Protocol::Chafon if reads == 0 => Some(chafon(0x01, &[0xfb])),
        _ => None,
    }
}

/// What a streaming reader says while there is nothing to read.
pub fn idle(protocol: Protocol) -> Option<Vec<u8>> {
    match protocol {
        Protocol::Mercury => Some(mercury(0x22, 0x0400, &[])),
        Protocol::R200 => Some(r200(0x01, 0xff, &[0x15])),
        Protocol::Line | Protocol::R2000 | Protocol::Chafon => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Frames of real readers.
    #[test]
    fn check_sums_are_those_of_real_frames() {
        let data = "10001b01ff0101c4110e16400000012700000500000f00803000000000000000000000001545e94a";
        let bytes: Vec<u8> =
            (0..data.len()).step_by(2).map(|at| u8::from_str_radix(&data[at..at + 2], 16).unwrap()).collect();
        assert_eq!(hex(&mercury(0x22, 0, &bytes)), format!("ff28220000{data}561d"));
        assert_eq!(hex(&r2000(0x72, &[])), "a0030172ea");
        let epc = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0x13];
        let mut list = vec![0x03, 0x01, 0x01, 0x0c];
        list.extend(epc);
        list.push(0x6b);
        assert_eq!(hex(&chafon(0x01, &list)), "1500010301010c0000000000000000000003136bb1a5");
        let notified = "c9340030751feb705c5904e3d50d703a76";
        let bytes: Vec<u8> = (0..notified.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&notified[at..at + 2], 16).unwrap())
            .collect();
        assert_eq!(hex(&r200(0x02, 0x22, &bytes)), format!("aa02220011{notified}efdd"));
        // The first sample carries its tag's own CRC; its PC has nothing but the length, as ours.
        let epc = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x15, 0x45];
        assert_eq!((hex(&pc(&epc)), hex(&tag_crc(&epc))), ("3000".to_owned(), "e94a".to_owned()));
    }
}
