//! Modbus TCP frames by hand: requests read, answers written.

/// MBAP header: transaction, protocol, length, unit.
const HEADER_BYTES: usize = 7;
/// A PDU is at most 253 bytes, the header's length counts it and the unit.
const MAX_LENGTH: usize = 254;
/// Registers in one request (section 6.3 and 6.4 of the application protocol).
pub const MAX_REGISTERS: u16 = 125;

pub const READ_HOLDING_REGISTERS: u8 = 3;
pub const READ_INPUT_REGISTERS: u8 = 4;

/// Exception codes (section 7).
pub const ILLEGAL_FUNCTION: u8 = 1;
pub const ILLEGAL_DATA_ADDRESS: u8 = 2;
pub const ILLEGAL_DATA_VALUE: u8 = 3;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request<'a> {
    pub transaction: u16,
    pub unit: u8,
    pub function: u8,
    /// Behind the function code.
    pub data: &'a [u8],
    /// Of the whole frame.
    pub length: usize,
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AduError {
    #[error("protocol {0} is not Modbus")]
    Protocol(u16),
    #[error("a length of {0}")]
    Length(usize),
}

/// The first request in `buffer`, where it is all there.
pub fn split(buffer: &[u8]) -> Result<Option<Request<'_>>, AduError> {
    let [t1, t0, p1, p0, l1, l0, unit, ..] = *buffer else { return Ok(None) };
    let protocol = u16::from_be_bytes([p1, p0]);
    if protocol != 0 {
        return Err(AduError::Protocol(protocol));
    }
    let length = usize::from(u16::from_be_bytes([l1, l0]));
    if !(2..=MAX_LENGTH).contains(&length) {
        return Err(AduError::Length(length));
    }
    let end = HEADER_BYTES - 1 + length;
    Ok(buffer.get(HEADER_BYTES..end).map(|pdu| Request {
        transaction: u16::from_be_bytes([t1, t0]),
        unit,
        function: pdu[0],
        data: &pdu[1..],
        length: end,
    }))
}

/// An answer with registers.
pub fn registers(request: &Request<'_>, transaction: u16, values: &[u16]) -> Vec<u8> {
    let mut pdu = vec![request.function, values.len() as u8 * 2];
    pdu.extend(values.iter().flat_map(|value| value.to_be_bytes()));
    frame(transaction, request.unit, &pdu)
}

pub fn exception(request: &Request<'_>, transaction: u16, code: u8) -> Vec<u8> {
    frame(transaction, request.unit, &[request.function | 0x80, code])
}

pub fn frame(transaction: u16, unit: u8, pdu: &[u8]) -> Vec<u8> {
    let mut out = transaction.to_be_bytes().to_vec();
    out.extend([0, 0]);
    out.extend((pdu.len() as u16 + 1).to_be_bytes());
    out.push(unit);
    out.extend(pdu);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ_TWO: [u8; 12] = [0x12, 0x34, 0, 0, 0, 6, 9, 3, 0, 0x6b, 0, 2];

    #[test]
    fn a_request_is_taken_apart() {
        let request = split(&READ_TWO).unwrap().unwrap();
        assert_eq!((request.transaction, request.unit, request.function, request.length), (0x1234, 9, 3, 12));
        assert_eq!(request.data, [0, 0x6b, 0, 2]);
        assert_eq!(split(&READ_TWO[..11]), Ok(None));
    }

    #[test]
    fn answers_are_these_bytes() {
        let request = split(&READ_TWO).unwrap().unwrap();
        assert_eq!(
            registers(&request, 0x1234, &[0x022b, 0x64]),
            [0x12, 0x34, 0, 0, 0, 7, 9, 3, 4, 2, 0x2b, 0, 0x64]
        );
        assert_eq!(exception(&request, 0x1234, 2), [0x12, 0x34, 0, 0, 0, 3, 9, 0x83, 2]);
    }

    #[test]
    fn what_is_not_modbus_is_refused() {
        assert_eq!(split(&[0, 1, 0, 2, 0, 6, 1, 3]), Err(AduError::Protocol(2)));
        assert_eq!(split(&[0, 1, 0, 0, 0, 1, 1]), Err(AduError::Length(1)));
        assert_eq!(split(&[0, 1, 0, 0, 1, 0, 1]), Err(AduError::Length(256)));
    }
}
