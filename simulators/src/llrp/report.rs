//! Tag reports: one read → TagReportData (section 14.2.3.2) → RO_ACCESS_REPORT.

use jiff::Timestamp;

use super::capabilities::{IMPINJ, ZEBRA};
use super::message;
use super::wire::{self, Out};
use crate::clock::Stamp;

/// One read, as the antenna hears it.
#[derive(Clone, PartialEq, Debug)]
pub struct TagObservation {
    pub antenna: u16,
    pub epc: Vec<u8>,
    pub rssi_dbm: i8,
    /// True time.
    pub at: Timestamp,
    /// How often the tag answered for this report.
    pub count: u16,
}

/// What a maker's extensions tell of a read, in the units of the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Radio {
    /// 4096 steps a turn.
    pub phase: u16,
    /// Hundredths of a dBm.
    pub rssi_hundredths: i16,
    /// Sixteenths of a hertz.
    pub doppler_16ths: i16,
}

impl Radio {
    /// No more than the observation itself says.
    pub fn of(observation: &TagObservation) -> Self {
        Self { rssi_hundredths: i16::from(observation.rssi_dbm) * 100, ..Self::default() }
    }
}

/// A read that the reader holds until its report is written.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct HeldRead {
    pub observation: TagObservation,
    pub radio: Radio,
    pub stamp: Stamp,
    pub channel: u16,
    pub rospec: u32,
    pub inventory: u16,
}

/// TagReportContentSelector's flags (section 14.2.1.1), most significant bit first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Selector(pub u16);

impl Selector {
    pub const ROSPEC_ID: u16 = 1 << 15;
    pub const SPEC_INDEX: u16 = 1 << 14;
    pub const INVENTORY_SPEC_ID: u16 = 1 << 13;
    pub const ANTENNA_ID: u16 = 1 << 12;
    pub const CHANNEL: u16 = 1 << 11;
    pub const PEAK_RSSI: u16 = 1 << 10;
    pub const FIRST_SEEN: u16 = 1 << 9;
    pub const LAST_SEEN: u16 = 1 << 8;
    pub const SEEN_COUNT: u16 = 1 << 7;
    // Makers' extensions, kept in bits that the standard reserves.
    pub const IMPINJ_PHASE: u16 = 1;
    pub const IMPINJ_RSSI: u16 = 1 << 1;
    pub const IMPINJ_DOPPLER: u16 = 1 << 2;
    pub const ZEBRA_PHASE: u16 = 1 << 3;

    /// What this reader reports where nobody chose: antenna, signal, first seen.
    pub const DEFAULT: Self = Self(Self::ANTENNA_ID | Self::PEAK_RSSI | Self::FIRST_SEEN);

    fn has(self, flag: u16) -> bool {
        self.0 & flag != 0
    }
}

/// The parameters that a client may be left to remember: "absent" then means "as last time"
/// (section 14.2.3.2). Holds what the connected client was last told.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Economy {
    on: bool,
    last: [Option<u32>; 7],
}

impl Economy {
    pub fn new(on: bool) -> Self {
        Self { on, last: [None; 7] }
    }

    /// Whether the value of field `slot` has to be written.
    fn tell(&mut self, slot: usize, value: u32) -> bool {
        let known = self.last[slot] == Some(value);
        self.last[slot] = Some(value);
        !(self.on && known)
    }
}

impl HeldRead {
    fn write(&self, selector: Selector, economy: &mut Economy, out: &mut Out) {
        out.tlv(240, |out| {
            self.write_epc(out);
            self.write_spec(selector, economy, out);
            self.write_radio(selector, economy, out);
            self.write_times(selector, out);
            if selector.has(Selector::SEEN_COUNT) && economy.tell(6, self.observation.count.into()) {
                out.tv(8).u16(self.observation.count);
            }
            self.write_extensions(selector, out);
        });
    }

    fn write_extensions(&self, selector: Selector, out: &mut Out) {
        let Radio { phase, rssi_hundredths, doppler_16ths } = self.radio;
        // Zebra counts 65,536 steps a turn.
        let parts = [
            (Selector::IMPINJ_PHASE, IMPINJ, 56, phase),
            (Selector::IMPINJ_RSSI, IMPINJ, 57, rssi_hundredths as u16),
            (Selector::IMPINJ_DOPPLER, IMPINJ, 68, doppler_16ths as u16),
            (Selector::ZEBRA_PHASE, ZEBRA, 709, phase << 4),
        ];
        for (_, maker, subtype, value) in parts.into_iter().filter(|(flag, ..)| selector.has(*flag)) {
            out.tlv(1023, |out| {
                out.u32(maker).u32(subtype).u16(value);
            });
        }
    }

    fn write_epc(&self, out: &mut Out) {
        let epc = &self.observation.epc;
        if epc.len() == 12 {
            out.tv(13).bytes(epc);
        } else {
            out.tlv(241, |out| {
                out.u16(epc.len() as u16 * 8).bytes(epc);
            });
        }
    }

    fn write_spec(&self, selector: Selector, economy: &mut Economy, out: &mut Out) {
        if selector.has(Selector::ROSPEC_ID) && economy.tell(0, self.rospec) {
            out.tv(9).u32(self.rospec);
        }
        if selector.has(Selector::SPEC_INDEX) && economy.tell(1, 1) {
            out.tv(14).u16(1);
        }
        if selector.has(Selector::INVENTORY_SPEC_ID) && economy.tell(2, self.inventory.into()) {
            out.tv(10).u16(self.inventory);
        }
    }

    fn write_radio(&self, selector: Selector, economy: &mut Economy, out: &mut Out) {
        let TagObservation { antenna, rssi_dbm, .. } = self.observation;
        if selector.has(Selector::ANTENNA_ID) && economy.tell(3, antenna.into()) {
            out.tv(1).u16(antenna);
        }
        if selector.has(Selector::PEAK_RSSI) && economy.tell(4, u32::from(rssi_dbm as u8)) {
            out.tv(6).u8(rssi_dbm as u8);
        }
        if selector.has(Selector::CHANNEL) && economy.tell(5, self.channel.into()) {
            out.tv(7).u16(self.channel);
        }
    }

    fn write_times(&self, selector: Selector, out: &mut Out) {
        let (first, last, time) = match self.stamp {
            Stamp::Utc(time) => (2, 4, time),
            Stamp::Uptime(time) => (3, 5, time),
        };
        if selector.has(Selector::FIRST_SEEN) {
            out.tv(first).u64(time);
        }
        if selector.has(Selector::LAST_SEEN) {
            out.tv(last).u64(time);
        }
    }
}

/// One RO_ACCESS_REPORT with these reads, in order.
pub(crate) fn ro_access_report<'a>(
    id: u32,
    reads: impl IntoIterator<Item = &'a HeldRead>,
    selector: Selector,
    economy: &mut Economy,
) -> Vec<u8> {
    wire::message(message::RO_ACCESS_REPORT, id, |out| {
        reads.into_iter().for_each(|read| read.write(selector, economy, out));
    })
}

/// CLIENT_REQUEST_OP: what is to be done with this tag?
pub(crate) fn client_request_op(id: u32, read: &HeldRead, selector: Selector) -> Vec<u8> {
    wire::message(message::CLIENT_REQUEST_OP, id, |out| {
        read.write(selector, &mut Economy::new(false), out);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::micros;

    fn held(epc: &[u8], rssi_dbm: i8) -> HeldRead {
        let observation = TagObservation {
            antenna: 2,
            epc: epc.to_vec(),
            rssi_dbm,
            at: micros(0x0102_0304_0506),
            count: 3,
        };
        let stamp = Stamp::Utc(0x0102_0304_0506);
        let radio = Radio::of(&observation);
        HeldRead { observation, radio, stamp, channel: 4, rospec: 1234, inventory: 1 }
    }

    /// Written out from the standard's tables, not from the encoder.
    #[test]
    fn a_full_report_is_these_bytes() {
        let epc = [0x34, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
        let bytes = ro_access_report(0x99, [&held(&epc, -60)], Selector(0xff80), &mut Economy::new(false));
        #[rustfmt::skip]
        let want = [
            0x04, 0x3d, 0, 0, 0, 67, 0, 0, 0, 0x99,     // version 1, RO_ACCESS_REPORT, 67 bytes, id
            0x00, 0xf0, 0, 57,                          // TagReportData
            0x8d, 0x34, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, // EPC-96
            0x89, 0, 0, 0x04, 0xd2,                     // ROSpecID 1234
            0x8e, 0, 1,                                 // SpecIndex
            0x8a, 0, 1,                                 // InventoryParameterSpecID
            0x81, 0, 2,                                 // AntennaID
            0x86, 0xc4,                                 // PeakRSSI -60
            0x87, 0, 4,                                 // ChannelIndex
            0x82, 0, 0, 1, 2, 3, 4, 5, 6,               // FirstSeenTimestampUTC
            0x84, 0, 0, 1, 2, 3, 4, 5, 6,               // LastSeenTimestampUTC
            0x88, 0, 3,                                 // TagSeenCount
        ];
        assert_eq!(bytes, want);
    }

    #[test]
    fn what_is_not_selected_is_left_out_and_a_long_epc_says_its_bits() {
        let epc = [0xaa; 16];
        let bytes =
            ro_access_report(1, [&held(&epc, -1)], Selector(Selector::PEAK_RSSI), &mut Economy::new(false));
        let mut want = vec![0x04, 0x3d, 0, 0, 0, 38, 0, 0, 0, 1, 0, 0xf0, 0, 28, 0, 0xf1, 0, 22, 0, 128];
        want.extend([0xaa; 16]);
        want.extend([0x86, 0xff]);
        assert_eq!(bytes, want);
    }

    #[test]
    fn with_economy_a_repeated_value_is_absent_and_a_new_one_is_not() {
        let epc = [7; 12];
        let mut economy = Economy::new(true);
        let selector = Selector(Selector::ANTENNA_ID | Selector::PEAK_RSSI);
        let length =
            |economy: &mut Economy, rssi| ro_access_report(1, [&held(&epc, rssi)], selector, economy).len();
        assert_eq!(length(&mut economy, -60), 10 + 4 + 13 + 3 + 2);
        assert_eq!(length(&mut economy, -60), 10 + 4 + 13);
        assert_eq!(length(&mut economy, -61), 10 + 4 + 13 + 2);
    }

    #[test]
    fn a_reader_without_a_calendar_writes_uptime() {
        let mut read = held(&[1; 12], -50);
        read.stamp = Stamp::Uptime(5);
        let bytes = ro_access_report(1, [&read], Selector(Selector::FIRST_SEEN), &mut Economy::new(false));
        assert_eq!(bytes[27..], [0x83, 0, 0, 0, 0, 0, 0, 0, 5]);
    }
}
