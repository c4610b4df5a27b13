//! What a value looks like in its registers: types, and the order of bytes.

/// How the registers of a value are read. All but text become numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RegisterType {
    /// A coil, a discrete input, or this bit of a register, 0 the least significant.
    Bit(u8),
    U8(Half),
    I8(Half),
    U16,
    I16,
    U32,
    I32,
    /// Beyond 2^53 a number has no room for the last digits of an integer of 64 bits.
    U64,
    I64,
    /// IEEE 754 binary16, binary32, binary64.
    F16,
    F32,
    F64,
    Fixed(Fixed),
    /// This many registers of two characters each.
    Text(u16),
}

/// A byte of a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Half {
    Low,
    High,
}

/// Fixed point: an integer of `words` registers, of whose bits the last `fraction` stand behind the point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fixed {
    /// 1, 2 or 4.
    pub words: u8,
    pub signed: bool,
    pub fraction: u8,
}

impl Fixed {
    /// `q16.16`, `uq8.8`: bits before and behind the point, the sign's among those before it.
    pub fn parse(text: &str) -> Option<Self> {
        let (signed, bits) = match text.strip_prefix('u') {
            Some(rest) => (false, rest.strip_prefix('q')?),
            None => (true, text.strip_prefix('q')?),
        };
        let (before, behind) = bits.split_once('.')?;
        let (before, fraction): (u8, u8) = (before.parse().ok()?, behind.parse().ok()?);
        let words = match before.checked_add(fraction)? {
            16 => 1,
            32 => 2,
            64 => 4,
            _ => return None,
        };
        (!signed || before > 0).then_some(Self { words, signed, fraction })
    }
}

impl RegisterType {
    /// How many registers a value takes, or bits of a table of bits.
    pub fn registers(self) -> u16 {
        match self {
            Self::Bit(_) | Self::U8(_) | Self::I8(_) | Self::U16 | Self::I16 | Self::F16 => 1,
            Self::U32 | Self::I32 | Self::F32 => 2,
            Self::U64 | Self::I64 | Self::F64 => 4,
            Self::Fixed(fixed) => u16::from(fixed.words),
            Self::Text(registers) => registers,
        }
    }

    /// Less than a register: others may be read from the same one.
    pub fn is_part(self) -> bool {
        matches!(self, Self::Bit(_) | Self::U8(_) | Self::I8(_))
    }

    pub fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::F32 | Self::F64)
    }

    /// How many bits a raw value has.
    pub fn bits(self) -> u32 {
        match self {
            Self::Bit(_) => 1,
            Self::U8(_) | Self::I8(_) => 8,
            _ => 16 * u32::from(self.registers()),
        }
    }

    pub fn is_signed(self) -> bool {
        match self {
            Self::I8(_) | Self::I16 | Self::I32 | Self::I64 => true,
            Self::Fixed(fixed) => fixed.signed,
            _ => self.is_float(),
        }
    }

    /// The smallest and the largest number before scaling; floating point has no bounds.
    pub fn bounds(self) -> (f64, f64) {
        if self.is_float() {
            return (f64::NEG_INFINITY, f64::INFINITY);
        }
        let fraction = if let Self::Fixed(fixed) = self { i32::from(fixed.fraction) } else { 0 };
        let bits = i32::try_from(self.bits()).unwrap_or(64).min(64);
        let (low, high) = match self.is_signed() {
            true => (-2f64.powi(bits - 1), 2f64.powi(bits - 1) - 1.0),
            false => (0.0, 2f64.powi(bits) - 1.0),
        };
        (low * 2f64.powi(-fraction), high * 2f64.powi(-fraction))
    }
}

/// Order of the bytes of a value, `A` the most significant. Of eight bytes `Dcba` is the last first, `Badc`
/// swaps the bytes of each register, and `Cdab` has the last register first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ByteOrder {
    Abcd,
    Dcba,
    Badc,
    Cdab,
}

impl ByteOrder {
    pub fn swaps_bytes(self) -> bool {
        matches!(self, Self::Dcba | Self::Badc)
    }

    pub fn reverses_registers(self) -> bool {
        matches!(self, Self::Dcba | Self::Cdab)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_point_fills_its_registers() {
        let fixed = |words, signed, fraction| Some(Fixed { words, signed, fraction });
        assert_eq!(Fixed::parse("q16.16"), fixed(2, true, 16));
        assert_eq!(Fixed::parse("uq8.8"), fixed(1, false, 8));
        assert_eq!(Fixed::parse("q1.63"), fixed(4, true, 63));
        assert_eq!(Fixed::parse("uq0.16"), fixed(1, false, 16));
        for wrong in ["q0.16", "q8.9", "q255.1", "8.8", "q16", "qa.b", ""] {
            assert_eq!(Fixed::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn bounds_are_those_of_the_bits() {
        assert_eq!(RegisterType::I16.bounds(), (-32_768.0, 32_767.0));
        assert_eq!(RegisterType::Bit(3).bounds(), (0.0, 1.0));
        let fixed = RegisterType::Fixed(Fixed { words: 1, signed: true, fraction: 8 });
        assert_eq!(fixed.bounds(), (-128.0, 32_767.0 / 256.0));
        assert_eq!(RegisterType::F32.bounds().1, f64::INFINITY);
    }
}
