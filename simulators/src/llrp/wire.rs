//! LLRP's bytes: messages and parameters written and read by hand. Nothing here knows what they mean.

/// Header of every message: version and type, length, id.
pub const HEADER_BYTES: usize = 10;
/// Messages longer than this are not believed.
pub const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// Bytes being written, big-endian.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Out(pub Vec<u8>);

impl Out {
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }

    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// A u16 count of bytes, then the text.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.u16(text.len() as u16).bytes(text.as_bytes())
    }

    /// A TLV parameter (section 15.2.1.1): its length is filled in behind `body`.
    pub fn tlv(&mut self, kind: u16, body: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.0.len();
        self.u16(kind & 0x3ff).u16(0);
        body(self);
        let length = (self.0.len() - start) as u16;
        self.0[start + 2..start + 4].copy_from_slice(&length.to_be_bytes());
        self
    }

    /// The first byte of a TV parameter (section 15.2.1.2); its value follows.
    pub fn tv(&mut self, kind: u8) -> &mut Self {
        self.u8(0x80 | kind)
    }
}

/// A whole message of protocol version 1.
pub fn message(kind: u16, id: u32, body: impl FnOnce(&mut Out)) -> Vec<u8> {
    let mut out = Out::default();
    out.u16(1 << 10 | kind & 0x3ff).u32(0).u32(id);
    body(&mut out);
    let length = out.0.len() as u32;
    out.0[2..6].copy_from_slice(&length.to_be_bytes());
    out.0
}

/// Makes every message in `bytes` one of this protocol version.
pub fn set_version(bytes: &mut [u8], version: u8) {
    let mut left = bytes;
    while let [first, _, l0, l1, l2, l3, ..] = left {
        *first = *first & 0b1110_0011 | version << 2;
        let length = u32::from_be_bytes([*l0, *l1, *l2, *l3]) as usize;
        left = left.get_mut(length.max(HEADER_BYTES)..).unwrap_or_default();
    }
}

/// A message's header, as received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    pub version: u8,
    pub kind: u16,
    /// Of the whole message.
    pub length: usize,
    pub id: u32,
}

/// The bytes cannot be what they claim to be.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WireError {
    #[error("a message of {0} bytes")]
    MessageLength(usize),
    #[error("{wanted} bytes wanted, {left} left")]
    Short { wanted: usize, left: usize },
    #[error("parameter {kind} of {length} bytes where {left} are left")]
    ParameterLength { kind: u16, length: usize, left: usize },
    #[error("parameter {0} has no known length")]
    UnknownTv(u8),
}

/// The first message in `buffer`, where it is all there: its header and its body.
pub fn split(buffer: &[u8]) -> Result<Option<(Header, &[u8])>, WireError> {
    if buffer.len() < HEADER_BYTES {
        return Ok(None);
    }
    let mut input = In(buffer);
    let (first, length, id) = (input.u16()?, input.u32()? as usize, input.u32()?);
    if !(HEADER_BYTES..=MAX_MESSAGE_BYTES).contains(&length) {
        return Err(WireError::MessageLength(length));
    }
    let header = Header { version: (first >> 10 & 7) as u8, kind: first & 0x3ff, length, id };
    Ok(buffer.get(HEADER_BYTES..length).map(|body| (header, body)))
}

/// Bytes being read, big-endian.
#[derive(Clone, Copy, Debug)]
pub struct In<'a>(pub &'a [u8]);

impl<'a> In<'a> {
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let (head, tail) =
            self.0.split_at_checked(count).ok_or(WireError::Short { wanted: count, left: self.0.len() })?;
        self.0 = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let left = self.0.len();
        self.take(N)?.try_into().map_err(|_| WireError::Short { wanted: N, left })
    }

    pub fn u8(&mut self) -> Result<u8, WireError> {
        self.array::<1>().map(|bytes| bytes[0])
    }

    pub fn u16(&mut self) -> Result<u16, WireError> {
        self.array().map(u16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_be_bytes)
    }

    /// All TLV parameters up to the end.
    pub fn parameters(self) -> Result<Vec<Parameter<'a>>, WireError> {
        let mut left = self.0;
        let mut found = Vec::new();
        while !left.is_empty() {
            let mut head = In(left);
            let kind = head.u16()?;
            if kind & 0x8000 != 0 {
                return Err(WireError::UnknownTv((kind >> 8) as u8 & 0x7f));
            }
            let length = usize::from(head.u16()?);
            if length < 4 || length > left.len() {
                return Err(WireError::ParameterLength { kind, length, left: left.len() });
            }
            let (whole, rest) = left.split_at(length);
            found.push(Parameter { kind: kind & 0x3ff, body: &whole[4..], whole });
            left = rest;
        }
        Ok(found)
    }
}

/// One TLV parameter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parameter<'a> {
    pub kind: u16,
    pub body: &'a [u8],
    /// Type and length included.
    pub whole: &'a [u8],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_counts_its_own_header() {
        let bytes = message(62, 0x0102_0304, |_| {});
        assert_eq!(bytes, [0x04, 0x3e, 0, 0, 0, 10, 1, 2, 3, 4]);
        let (header, body) = split(&bytes).unwrap().unwrap();
        assert_eq!(header, Header { version: 1, kind: 62, length: 10, id: 0x0102_0304 });
        assert!(body.is_empty());
    }

    #[test]
    fn a_message_that_is_not_all_there_waits() {
        let bytes = message(61, 1, |out| {
            out.u32(7);
        });
        for cut in 0..bytes.len() {
            assert_eq!(split(&bytes[..cut]), Ok(None), "{cut} bytes");
        }
    }

    #[test]
    fn a_length_below_the_header_is_refused() {
        assert_eq!(split(&[4, 62, 0, 0, 0, 9, 0, 0, 0, 0]), Err(WireError::MessageLength(9)));
    }

    #[test]
    fn nested_parameters_carry_their_lengths() {
        let mut out = Out::default();
        out.tlv(246, |out| {
            out.tlv(256, |out| {
                out.u16(2);
            });
        });
        assert_eq!(out.0, [0, 246, 0, 10, 1, 0, 0, 6, 0, 2]);
        let outer = In(&out.0).parameters().unwrap();
        assert_eq!(outer[0].kind, 246);
        assert_eq!(In(outer[0].body).parameters().unwrap()[0].body, [0, 2]);
    }

    #[test]
    fn a_parameter_longer_than_what_is_left_is_refused() {
        let error = In(&[0, 177, 0, 9, 1]).parameters().unwrap_err();
        assert_eq!(error, WireError::ParameterLength { kind: 177, length: 9, left: 5 });
    }
}
