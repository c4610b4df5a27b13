//! Where one message ends and the next begins (LLRP 1.0.1, section 16.1).

/// Three reserved bits, three of version, ten of type; u32 length including these ten bytes; u32 id.
pub const HEADER_BYTES: usize = 10;

/// The longest message we take off a reader: a report of some 20,000 tags with every field. Reports
/// that are sent per tag or per round have some kilobytes, capabilities some tens of them; a reader
/// that empties its buffer after a reconnect may put all of it into one message.
pub const MAX_MESSAGE_BYTES: usize = 2 << 20;

/// What a header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    pub reserved: u8,
    pub version: u8,
    pub message_type: u16,
    /// Of the whole message, header included.
    pub length: u32,
    pub id: u32,
}

/// Why the bytes at hand are not the start of a message. The stream cannot be followed any further.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FramingError {
    #[error("protocol version {0} is neither 1 (LLRP 1.0.1) nor 2 (LLRP 1.1)")]
    Version(u8),
    #[error("a message of {0} bytes is shorter than its own header")]
    TooShort(u32),
    #[error("a message of {length} bytes is longer than the limit of {limit}")]
    TooLong { length: u32, limit: usize },
}

impl FramingError {
    /// A short stable word for a metric's label.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Version(_) => "version",
            Self::TooShort(_) => "length-too-short",
            Self::TooLong { .. } => "length-too-long",
        }
    }
}

impl Header {
    /// Reads the first ten bytes as they stand, judging nothing; `None` where there are fewer.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
        let [a, b, l0, l1, l2, l3, i0, i1, i2, i3] = *bytes;
        Some(Self {
            reserved: a >> 5,
            version: (a >> 2) & 0b111,
            message_type: u16::from_be_bytes([a & 0b11, b]),
            length: u32::from_be_bytes([l0, l1, l2, l3]),
            id: u32::from_be_bytes([i0, i1, i2, i3]),
        })
    }

    pub fn check(&self, limit: usize) -> Result<(), FramingError> {
        if !matches!(self.version, 1 | 2) {
            return Err(FramingError::Version(self.version));
        }
        if (self.length as usize) < HEADER_BYTES {
            return Err(FramingError::TooShort(self.length));
        }
        if self.length as usize > limit {
            return Err(FramingError::TooLong { length: self.length, limit });
        }
        Ok(())
    }
}

/// Length of the message at the start of `buffer`, once all of it is there; `None` while more bytes
/// are needed. A header that cannot be one is refused as soon as its ten bytes are there.
pub fn message_length(buffer: &[u8], limit: usize) -> Result<Option<usize>, FramingError> {
    let Some(header) = Header::read(buffer) else { return Ok(None) };
    header.check(limit)?;
    let length = header.length as usize;
    Ok((buffer.len() >= length).then_some(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEPALIVE: [u8; 10] = [0x04, 0x3e, 0, 0, 0, 10, 0, 0, 0, 7];

    #[test]
    fn a_message_is_found_when_its_last_byte_is_there() {
        let mut bytes = KEEPALIVE.to_vec();
        bytes[5] = 12;
        bytes.extend([1, 2, 3]);
        for len in 0..12 {
            assert_eq!(message_length(&bytes[..len], 100), Ok(None), "{len} bytes");
        }
        assert_eq!(message_length(&bytes, 100), Ok(Some(12)));
    }

    #[test]
    fn the_header_is_read_as_the_standard_lays_it_out() {
        let header = Header::read(&[0xeb, 0xff, 0, 0, 1, 0, 0xde, 0xad, 0xbe, 0xef]).unwrap();
        assert_eq!(
            header,
            Header { reserved: 7, version: 2, message_type: 1023, length: 256, id: 0xdead_beef }
        );
    }

    #[test]
    fn what_cannot_be_a_header_is_refused() {
        let version = |v: u8| {
            let mut bytes = KEEPALIVE;
            bytes[0] = v << 2;
            message_length(&bytes, 100)
        };
        assert_eq!(version(0), Err(FramingError::Version(0)));
        assert_eq!(version(2), Ok(Some(10)));
        assert_eq!(version(3), Err(FramingError::Version(3)));
        let length = |n: u32| {
            let mut bytes = KEEPALIVE;
            bytes[2..6].copy_from_slice(&n.to_be_bytes());
            message_length(&bytes, 100)
        };
        assert_eq!(length(9), Err(FramingError::TooShort(9)));
        assert_eq!(length(101), Err(FramingError::TooLong { length: 101, limit: 100 }));
        assert_eq!(length(100), Ok(None));
        assert_eq!(length(u32::MAX), Err(FramingError::TooLong { length: u32::MAX, limit: 100 }));
    }
}
