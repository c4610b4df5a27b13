//! How long bytes take on a serial line (Modbus over Serial Line 1.02, sections 2.5.1 and 2.5.1.1). Pure.

use std::time::Duration;

use crate::config::{ModbusTransport, Parity, SerialLine};

/// From this baud rate on silence is a fixed time, or the interrupts would be too many.
const FAST_BAUD: u32 = 19_200;
const FAST_SILENCE: Duration = Duration::from_micros(1750);
/// Tenths of a character that nothing comes for between two frames.
const SILENCE_TENTHS: u32 = 35;

/// Of a port that we open ourselves. Where others have the port (RTU over TCP) they see to it, and all is zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Timing {
    character: Duration,
    silence: Duration,
}

impl Timing {
    pub fn of(transport: &ModbusTransport) -> Self {
        let ModbusTransport::Rtu(SerialLine::Port { baud, data_bits, stop_bits, parity, .. }) = transport
        else {
            return Self::default();
        };
        let parity_bits = u8::from(*parity != Parity::None);
        let bits = 1 + data_bits + parity_bits + stop_bits;
        let character = Duration::from_secs(u64::from(bits)) / (*baud).max(1);
        let silence = if *baud > FAST_BAUD { FAST_SILENCE } else { character * SILENCE_TENTHS / 10 };
        Self { character, silence }
    }

    /// While so many bytes are under way.
    pub fn bytes(self, count: usize) -> Duration {
        self.character * u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// That ends a frame: sooner than this after one, nobody may begin another.
    pub fn silence(self) -> Duration {
        self.silence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(baud: u32, stop_bits: u8, parity: Parity) -> Timing {
        let path = "/dev/ttyUSB0".into();
        Timing::of(&ModbusTransport::Rtu(SerialLine::Port {
            path,
            baud,
            data_bits: 8,
            stop_bits,
            parity,
            rs485: None,
        }))
    }

    #[test]
    fn silence_is_three_and_a_half_characters_up_to_19200_baud() {
        for (baud, stop_bits, parity, bits, silence_us) in [
            (1200, 1, Parity::None, 10, 29_166),
            (9600, 1, Parity::Even, 11, 4_010),
            (9600, 2, Parity::None, 11, 4_010),
            (19_200, 1, Parity::Odd, 11, 2_005),
            (38_400, 1, Parity::Even, 11, 1_750),
            (115_200, 1, Parity::None, 10, 1_750),
        ] {
            let timing = timing(baud, stop_bits, parity);
            assert_eq!(timing.silence().as_micros(), silence_us, "{baud}");
            let second = timing.bytes(usize::try_from(baud / bits).unwrap());
            assert!((0.99..1.001).contains(&second.as_secs_f64()), "{baud}: {second:?}");
        }
        let behind_tcp = Timing::of(&ModbusTransport::RtuOverTcp("h:1".into()));
        assert_eq!((behind_tcp.silence(), behind_tcp.bytes(99)), (Duration::ZERO, Duration::ZERO));
    }
}
