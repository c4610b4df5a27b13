//! Serial frames by hand (Modbus over Serial Line V1.02): requests read, answers written.

/// Every request that only reads: unit, function, address, count, check sum.
const REQUEST_BYTES: usize = 8;

/// CRC-16 with the polynomial 0xa001, which goes out low byte first.
pub fn crc(bytes: &[u8]) -> u16 {
    let step = |crc: u16| if crc & 1 == 1 { crc >> 1 ^ 0xa001 } else { crc >> 1 };
    bytes.iter().fold(0xffff, |crc, byte| (0..8).fold(crc ^ u16::from(*byte), |crc, _| step(crc)))
}

/// The first request in `buffer`, and how many bytes it and what stands before it take. What is no request is
/// skipped byte by byte, as a slave does that joins in the middle.
pub fn split(buffer: &[u8]) -> Option<(&[u8], usize)> {
    (0..(buffer.len() + 1).saturating_sub(REQUEST_BYTES)).find_map(|at| {
        let frame = &buffer[at..at + REQUEST_BYTES];
        let (body, sum) = frame.split_at(REQUEST_BYTES - 2);
        (crc(body).to_le_bytes() == sum).then_some((body, at + REQUEST_BYTES))
    })
}

/// A frame around unit and PDU.
pub fn frame(unit: u8, pdu: &[u8]) -> Vec<u8> {
    let mut out = vec![unit];
    out.extend(pdu);
    let sum = crc(&out);
    out.extend(sum.to_le_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check sum of the request that the standard's own examples are made of.
    #[test]
    fn a_frame_has_its_check_sum() {
        assert_eq!(frame(1, &[3, 0, 0, 0, 10]), [1, 3, 0, 0, 0, 10, 0xc5, 0xcd]);
        assert_eq!(frame(0x11, &[3, 0, 0x6b, 0, 3]), [0x11, 3, 0, 0x6b, 0, 3, 0x76, 0x87]);
    }

    #[test]
    fn a_request_is_found_behind_noise() {
        let request = frame(1, &[3, 0, 0, 0, 10]);
        let noisy = [&[0xff, 0x01][..], &request, &[0x01]].concat();
        assert_eq!(split(&noisy), Some((&request[..6], 10)));
        assert_eq!(split(&request[..7]), None);
    }
}
