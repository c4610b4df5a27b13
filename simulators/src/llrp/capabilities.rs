//! GET_READER_CAPABILITIES_RESPONSE (section 10.3): what a four-watt-class fixed reader in Europe can do.

use super::wire::Out;

/// What differs between readers.
#[derive(Clone, Debug)]
pub(super) struct Capabilities {
    pub antennas: u16,
    pub has_utc_clock: bool,
    pub firmware: String,
    /// Enterprise number of its maker, whose extensions it has; the one for documentation (RFC 5612) has none.
    pub maker: u32,
    /// The newest protocol version that it speaks: 1 is 1.0.1, 2 is 1.1.
    pub version: u8,
}

/// Enterprise number set aside for documentation (RFC 5612).
pub(super) const NO_MAKER: u32 = 32473;
pub(super) const IMPINJ: u32 = 25882;
pub(super) const ZEBRA: u32 = 161;
/// Degrees Celsius that a reader of Impinj's make tells.
pub(super) const TEMPERATURE: i16 = 41;
const MODEL: u32 = 4;
/// Requested data (section 10.2): which of the four groups; 0 is all of them.
const GENERAL: u8 = 1;
const LLRP: u8 = 2;
const REGULATORY: u8 = 3;
const AIR_PROTOCOL: u8 = 4;
/// ROSpecs that can be held at once.
pub(super) const MAX_ROSPECS: u32 = 8;
/// AccessSpecs that can be held at once.
pub(super) const MAX_ACCESSSPECS: u32 = 8;
/// Transmit power in steps of 0.25 dB from 10 dBm to 30 dBm.
pub(super) const POWER_LEVELS: u16 = 81;
/// ETSI EN 302 208, lower band: the four channels, in kHz.
const CHANNELS_KHZ: [u32; 4] = [865_700, 866_300, 866_900, 867_500];

#[cfg(test)]
impl Capabilities {
    pub fn plain(antennas: u16) -> Self {
        Self { antennas, has_utc_clock: true, firmware: "1.2".into(), maker: NO_MAKER, version: 1 }
    }
}

/// Whether `requested` is a value that the message may carry.
pub(super) fn known(requested: u8) -> bool {
    requested <= AIR_PROTOCOL
}

pub(super) fn write(reader: &Capabilities, requested: u8, out: &mut Out) {
    let wanted = |group| requested == 0 || requested == group;
    if wanted(GENERAL) {
        general(reader, out);
    }
    if wanted(LLRP) {
        llrp(out);
    }
    if wanted(REGULATORY) {
        regulatory(reader, out);
    }
    if wanted(AIR_PROTOCOL) {
        // C1G2LLRPCapabilities: block write; two select filters a query.
        out.tlv(327, |out| {
            out.u8(0x40).u16(2);
        });
    }
}

fn general(reader: &Capabilities, out: &mut Out) {
    out.tlv(137, |out| {
        out.u16(reader.antennas).u16(if reader.has_utc_clock { 0x4000 } else { 0 });
        out.u32(reader.maker).u32(MODEL).text(&reader.firmware);
        for (index, decibel) in (1..=42u16).zip(std::iter::once(0).chain(10..)) {
            out.tlv(139, |out| {
                out.u16(index).u16(decibel);
            });
        }
        out.tlv(141, |out| {
            out.u16(4).u16(4);
        });
        for antenna in 1..=reader.antennas {
            out.tlv(140, |out| {
                out.u16(antenna).u16(1).u8(1);
            });
        }
    });
}

fn llrp(out: &mut Out) {
    out.tlv(142, |out| {
        // Buffer fill warnings, client requests, and holding of events and reports; priority levels, and that a
        // client's answer is not waited for.
        out.u8(0x68).u8(1).u16(0);
        out.u32(MAX_ROSPECS).u32(32).u32(1).u32(MAX_ACCESSSPECS).u32(8);
    });
}

fn regulatory(reader: &Capabilities, out: &mut Out) {
    out.tlv(143, |out| {
        out.u16(276).u16(2);
        out.tlv(144, |out| {
            for index in 1..=POWER_LEVELS {
                out.tlv(145, |out| {
                    out.u16(index).u16(1000 + 25 * (index - 1));
                });
            }
            out.tlv(146, |out| {
                out.u8(0);
                out.tlv(148, |out| {
                    out.u16(CHANNELS_KHZ.len() as u16);
                    CHANNELS_KHZ.iter().for_each(|khz| {
                        out.u32(*khz);
                    });
                });
            });
            out.tlv(328, rf_modes);
            if reader.version > 1 {
                // RFSurveyFrequencyCapabilities, which 1.1 wants.
                out.tlv(365, |out| {
                    out.u32(865_000).u32(868_000);
                });
            }
        });
    });
}

/// UHFC1G2RFModeTable: id, divide ratio, modulation, forward link, mask, rates, Tari in ns.
fn rf_modes(out: &mut Out) {
    for (id, modulation, rate_bps, tari_ns) in [
        (1u32, 1u8, 320_000u32, 12_500u32),
        (2, 2, 274_000, 20_000),
        (3, 3, 170_600, 20_000),
        (1000, 0, 40_000, 6250),
    ] {
        out.tlv(329, |out| {
            out.u32(id).u8(0x80).u8(modulation).u8(0).u8(2);
            out.u32(rate_bps).u32(2000).u32(tari_ns).u32(tari_ns).u32(0);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llrp::wire::In;

    fn groups(requested: u8) -> Vec<u16> {
        let reader = Capabilities::plain(4);
        let mut out = Out::default();
        write(&reader, requested, &mut out);
        In(&out.0).parameters().unwrap().iter().map(|parameter| parameter.kind).collect()
    }

    #[test]
    fn all_groups_or_the_one_asked_for() {
        assert_eq!(groups(0), [137, 142, 143, 327]);
        assert_eq!(groups(1), [137]);
        assert_eq!(groups(4), [327]);
    }
}
