//! What a reader says it can do, as far as we ask; and what of its configuration it cannot. Pure.

use std::fmt;

use crate::config::{Power, RoSpecConfig};
use crate::decode::llrp::Body;
use crate::decode::llrp::definitions::vendor;
use crate::decode::llrp::numbers::parameter as number;
use crate::domain::ids::Antenna;

#[derive(Clone, PartialEq, Debug)]
pub struct Capabilities {
    /// IANA number of its maker, which is also whose extensions it has.
    pub manufacturer: u64,
    pub model: u64,
    pub firmware: String,
    /// It tells the time of day; else the time since it was switched on.
    pub has_utc_clock: bool,
    /// 0: not told.
    pub antennas: u64,
    /// Transmit powers: index and hundredths of a dBm.
    pub powers: Vec<(u16, i64)>,
    /// Modes of the air interface, by the number that the configuration names.
    pub modes: Vec<Mode>,
    /// `None`: not told.
    pub inputs: Option<u64>,
    pub outputs: Option<u64>,
    pub holds_events_and_reports: bool,
    pub warns_of_filling_buffer: bool,
    pub max_rospecs: u64,
    /// C1G2Filters that one inventory may have.
    pub max_filters: u64,
    /// Hop table (0 without hopping) and channel to name when the transmit power is set.
    pub hop_table: u16,
    pub channel: u16,
}

/// A mode of the air interface (UHFC1G2RFModeTableEntry).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mode {
    pub number: u64,
    /// 1: FM0; 2, 4, 8: Miller with so many cycles a symbol.
    pub cycles: u64,
    /// Of the tag's answer.
    pub bits_per_second: u64,
}

/// What the configuration asks of a reader that has it not.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum Misfit {
    #[error("antenna {antenna} is configured, and the reader has antennas 1 to {has}")]
    Antenna { antenna: Antenna, has: u64 },
    #[error("mode {mode} is configured, and the reader has {has}")]
    Mode { mode: u16, has: String },
    #[error("power_dbm is configured, and the reader tells no table of powers: use transmit_power_index")]
    NoPowerTable,
    #[error("transmit_power_index {index} is configured, and the reader has {first} to {last}")]
    PowerIndex { index: u16, first: u16, last: u16 },
    #[error("input {port} starts or stops reading, and the reader has {has} inputs")]
    Input { port: u16, has: u64 },
    #[error("a light barrier is on input {port}, and the reader has {has} inputs")]
    Beam { port: u16, has: u64 },
}

impl Capabilities {
    /// From the body of a GET_READER_CAPABILITIES_RESPONSE; what it does not tell is not there.
    pub fn of(response: &Body) -> Self {
        let told = |body: Option<&Body>, name| body.and_then(|body| body.number(name));
        let general = response.first(number::GENERAL_DEVICE_CAPABILITIES);
        let llrp = response.first(number::LLRP_CAPABILITIES);
        let band = response
            .first(number::REGULATORY_CAPABILITIES)
            .and_then(|body| body.first(number::UHF_BAND_CAPABILITIES));
        let frequencies = band.and_then(|body| body.first(number::FREQUENCY_INFORMATION));
        let hops = told(frequencies, "Hopping") == Some(1);
        let table = told(frequencies.and_then(|body| body.first(number::FREQUENCY_HOP_TABLE)), "HopTableID");
        let table = table.and_then(|id| u16::try_from(id).ok()).unwrap_or(1);
        let gpio = general.and_then(|body| body.first(number::GPIO_CAPABILITIES));
        Self {
            manufacturer: told(general, "DeviceManufacturerName").unwrap_or(0),
            model: told(general, "ModelName").unwrap_or(0),
            firmware: general.and_then(|body| body.text("ReaderFirmwareVersion")).unwrap_or_default(),
            has_utc_clock: told(general, "HasUTCClockCapability") == Some(1),
            antennas: told(general, "MaxNumberOfAntennaSupported").unwrap_or(0),
            powers: powers(band),
            modes: modes(band),
            inputs: told(gpio, "NumGPIs"),
            outputs: told(gpio, "NumGPOs"),
            holds_events_and_reports: told(llrp, "SupportsEventAndReportHolding") == Some(1),
            warns_of_filling_buffer: told(llrp, "CanReportBufferFillWarning") == Some(1),
            // A reader that has none at all would be no reader: 0 is that it does not say.
            max_rospecs: told(llrp, "MaxNumROSpecs").filter(|most| *most > 0).unwrap_or(u64::MAX),
            max_filters: told(response.first(number::C1G2_LLRP_CAPABILITIES), "MaxNumSelectFiltersPerQuery")
                .unwrap_or(0),
            hop_table: if hops { table } else { 0 },
            channel: if hops { 0 } else { 1 },
        }
    }

    pub fn is_impinj(&self) -> bool {
        self.manufacturer == u64::from(vendor::IMPINJ)
    }

    pub fn is_zebra(&self) -> bool {
        self.manufacturer == u64::from(vendor::ZEBRA)
    }

    /// Everything that the configuration asks and this reader has not. Of what it does not tell, nothing is
    /// said.
    pub fn misfits(&self, config: &RoSpecConfig, beams: &[u16]) -> Vec<Misfit> {
        let mut misfits = Vec::new();
        let named = config.antenna_power.iter().map(|(antenna, _)| antenna);
        for antenna in config.antennas.iter().chain(named) {
            let misfit = Misfit::Antenna { antenna: *antenna, has: self.antennas };
            if self.antennas > 0 && u64::from(*antenna) > self.antennas && !misfits.contains(&misfit) {
                misfits.push(misfit);
            }
        }
        let is_known = |mode: u16| self.modes.iter().any(|known| known.number == u64::from(mode));
        if let Some(mode) = config.mode.filter(|mode| !self.modes.is_empty() && !is_known(*mode)) {
            misfits.push(Misfit::Mode { mode, has: self.mode_numbers() });
        }
        misfits.extend(self.power_misfit(config));
        for port in config.start.input().into_iter().chain(config.stop.input()) {
            misfits.extend(
                self.inputs.filter(|has| u64::from(port) > *has).map(|has| Misfit::Input { port, has }),
            );
        }
        for port in beams.iter().copied() {
            misfits.extend(
                self.inputs.filter(|has| u64::from(port) > *has).map(|has| Misfit::Beam { port, has }),
            );
        }
        misfits
    }

    fn power_misfit(&self, config: &RoSpecConfig) -> Option<Misfit> {
        let (first, last) = (self.powers.first().map(|p| p.0), self.powers.last().map(|p| p.0));
        match (config.power, first.zip(last)) {
            (Some(Power::Index(index)), Some((first, last)))
                if !self.powers.iter().any(|(known, _)| *known == index) =>
            {
                Some(Misfit::PowerIndex { index, first, last })
            }
            (Some(Power::Dbm(_)), None) => Some(Misfit::NoPowerTable),
            (_, None) if !config.antenna_power.is_empty() => Some(Misfit::NoPowerTable),
            _ => None,
        }
    }

    /// The index of the greatest power that is not above `dbm`; the least there is where all are. With that
    /// power.
    pub fn power_index(&self, dbm: f64) -> Option<(u16, f64)> {
        let wanted = (dbm * 100.0).round() as i64;
        let below = self.powers.iter().filter(|(_, power)| *power <= wanted).max_by_key(|(_, power)| *power);
        let found = below.or_else(|| self.powers.iter().min_by_key(|(_, power)| *power))?;
        Some((found.0, found.1 as f64 / 100.0))
    }

    /// Maker, model and firmware.
    pub fn make(&self) -> String {
        let maker = match self.manufacturer {
            _ if self.is_impinj() => "Impinj".to_owned(),
            _ if self.is_zebra() => "Zebra".to_owned(),
            number => format!("maker {number}"),
        };
        format!("{maker} model {}, firmware {}", self.model, self.firmware)
    }

    /// The least and the greatest power, in dBm.
    pub fn power_range(&self) -> Option<(f64, f64)> {
        let dbm = |(_, hundredths): &(u16, i64)| *hundredths as f64 / 100.0;
        let least = self.powers.iter().min_by_key(|(_, power)| *power)?;
        let most = self.powers.iter().max_by_key(|(_, power)| *power)?;
        Some((dbm(least), dbm(most)))
    }

    fn mode_numbers(&self) -> String {
        let numbers: Vec<String> = self.modes.iter().map(|mode| mode.number.to_string()).collect();
        numbers.join(", ")
    }
}

fn powers(band: Option<&Body>) -> Vec<(u16, i64)> {
    let entries = band.into_iter().flat_map(|band| band.all(number::TRANSMIT_POWER_LEVEL_TABLE_ENTRY));
    let entry = |entry: &Body| {
        let index = u16::try_from(entry.number("Index")?).ok()?;
        Some((index, entry.signed("TransmitPowerValue")?))
    };
    entries.filter_map(entry).collect()
}

fn modes(band: Option<&Body>) -> Vec<Mode> {
    let tables = band.into_iter().flat_map(|band| band.all(number::UHF_C1G2_RF_MODE_TABLE));
    let entry = |entry: &Body| {
        let cycles = entry.number("MValue")?;
        Some(Mode {
            number: entry.number("ModeIdentifier")?,
            cycles: 1u64.checked_shl(u32::try_from(cycles).ok()?).unwrap_or(0),
            bits_per_second: entry.number("BDRValue")?,
        })
    };
    tables.flat_map(|table| table.all(number::UHF_C1G2_RF_MODE_TABLE_ENTRY)).filter_map(entry).collect()
}

/// In people's words, on one line.
impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} antennas", self.make(), self.antennas)?;
        if let Some((least, most)) = self.power_range() {
            write!(f, ", {least:.2} to {most:.2} dBm")?;
        }
        if !self.modes.is_empty() {
            let modes: Vec<String> = self.modes.iter().map(ToString::to_string).collect();
            write!(f, ", modes {}", modes.join(", "))?;
        }
        if let (Some(inputs), Some(outputs)) = (self.inputs, self.outputs) {
            write!(f, ", {inputs} inputs, {outputs} outputs")?;
        }
        f.write_str(if self.has_utc_clock { ", a clock" } else { ", no clock (uptime only)" })?;
        f.write_str(if self.holds_events_and_reports { ", holds reports" } else { ", does not hold reports" })
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kilobits = self.bits_per_second / 1000;
        match self.cycles {
            1 => write!(f, "{} (FM0, {kilobits} kbit/s)", self.number),
            cycles => write!(f, "{} (Miller {cycles}, {kilobits} kbit/s)", self.number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{GpiTrigger, Start};

    fn reader() -> Capabilities {
        let mode = |number| Mode { number, cycles: 4, bits_per_second: 64_000 };
        Capabilities {
            manufacturer: 25_882,
            model: 2_001_002,
            firmware: "5.14".to_owned(),
            has_utc_clock: true,
            antennas: 4,
            powers: vec![(1, 1000), (2, 1025), (81, 3000)],
            modes: vec![mode(2), mode(1000)],
            inputs: Some(4),
            outputs: Some(4),
            holds_events_and_reports: true,
            warns_of_filling_buffer: true,
            max_rospecs: 1,
            max_filters: 2,
            hop_table: 1,
            channel: 0,
        }
    }

    #[test]
    fn a_power_is_the_greatest_that_is_not_above_what_is_asked() {
        let reader = reader();
        let found = [10.3, 10.2, 30.0, 33.0, 5.0].map(|dbm| reader.power_index(dbm).unwrap());
        assert_eq!(found, [(2, 10.25), (1, 10.0), (81, 30.0), (81, 30.0), (1, 10.0)]);
    }

    #[test]
    fn what_a_reader_has_not_is_told_all_at_once() {
        let config = RoSpecConfig {
            antennas: vec![1, 5],
            antenna_power: vec![(5, 20.0)],
            mode: Some(7),
            power: Some(Power::Index(9)),
            start: Start::Gpi(GpiTrigger { port: 6, high: true }),
            ..RoSpecConfig::default()
        };
        let told: Vec<String> = reader().misfits(&config, &[]).iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "antenna 5 is configured, and the reader has antennas 1 to 4",
                "mode 7 is configured, and the reader has 2, 1000",
                "transmit_power_index 9 is configured, and the reader has 1 to 81",
                "input 6 starts or stops reading, and the reader has 4 inputs",
            ]
        );
        assert_eq!(reader().misfits(&RoSpecConfig::default(), &[1, 4]), []);
        let beam = reader().misfits(&RoSpecConfig::default(), &[1, 5]);
        assert_eq!(beam, [Misfit::Beam { port: 5, has: 4 }]);
        let silent =
            Capabilities { powers: Vec::new(), modes: Vec::new(), antennas: 0, inputs: None, ..reader() };
        let config =
            RoSpecConfig { power: Some(Power::Dbm(20.0)), antennas: vec![9], mode: Some(1), ..config };
        let told = silent.misfits(&config, &[]);
        assert_eq!(told, [Misfit::NoPowerTable], "what is not told is not judged");
    }
}
