//! The reader's configuration: what SET_READER_CONFIG changes and GET_READER_CONFIG shows (section 12).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::report::Selector;
use super::rospec::ReportRule;
use super::wire::{In, Out, Parameter, WireError};
use crate::truth::fnv1a;

/// Event types of the ReaderEventNotificationSpec (section 12.2.6.4).
pub(super) const INPUT_EVENT: usize = 1;
pub(super) const ROSPEC_EVENT: usize = 2;
pub(super) const BUFFER_WARNING: usize = 3;
const EVENT_TYPES: usize = 9;
/// Outputs that there are; others are accepted and do nothing.
const GPOS: u16 = 4;
/// Inputs that there are.
pub(super) const GPIS: u16 = 4;

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Settings {
    /// How often KEEPALIVE is sent; `None`: never.
    pub keepalive: Option<Duration>,
    /// Keep events and reports for a new client until it asks for them.
    pub hold: bool,
    pub notify: [bool; EVENT_TYPES],
    /// For ROSpecs that bring no ROReportSpec of their own.
    pub report: ReportRule,
    /// Outputs that are on. They stay so when the connection goes, and not when the power does.
    pub outputs_on: BTreeSet<u16>,
    /// Inputs of which changes are told.
    pub inputs_told: BTreeSet<u16>,
    /// AntennaConfiguration as set, by antenna.
    antennas: BTreeMap<u16, Vec<u8>>,
}

impl Default for Settings {
    fn default() -> Self {
        let report = ReportRule { at_end_of_rospec: true, every: 1, selector: Selector::DEFAULT };
        Self {
            keepalive: None,
            hold: false,
            notify: [false; EVENT_TYPES],
            report,
            outputs_on: BTreeSet::new(),
            inputs_told: BTreeSet::new(),
            antennas: BTreeMap::new(),
        }
    }
}

/// What GET_READER_CONFIG shows besides the settings.
pub(super) struct Shown<'a> {
    pub antennas: u16,
    pub identity: &'a [u8; 8],
    /// Inputs that are high.
    pub inputs: &'a BTreeSet<u16>,
    /// Of the settings that the client did not ask for by name: 0 is all.
    pub requested: u8,
    /// 0: every antenna.
    pub antenna: u16,
}

impl Settings {
    /// Takes over one parameter of SET_READER_CONFIG. What this reader has no use for is accepted as it is.
    pub fn set(&mut self, parameter: &Parameter<'_>, antennas: u16) -> Result<(), WireError> {
        let mut body = In(parameter.body);
        match parameter.kind {
            219 => {
                let (port, on) = (body.u16()?, body.u8()? & 0x80 != 0);
                if on && (1..=GPOS).contains(&port) {
                    self.outputs_on.insert(port);
                } else {
                    self.outputs_on.remove(&port);
                }
            }
            220 => {
                let (periodic, interval_ms) = (body.u8()? == 1, body.u32()?);
                let wanted = periodic && interval_ms > 0;
                self.keepalive = wanted.then(|| Duration::from_millis(interval_ms.into()));
            }
            222 => self.set_antenna(parameter, antennas)?,
            225 => {
                let (port, told) = (body.u16()?, body.u8()? & 0x80 != 0);
                if told && (1..=GPIS).contains(&port) {
                    self.inputs_told.insert(port);
                } else {
                    self.inputs_told.remove(&port);
                }
            }
            226 => self.hold = body.u8()? & 0x80 != 0,
            237 => self.report = ReportRule::parse(parameter.body)?,
            244 => {
                for state in body.parameters()?.iter().filter(|state| state.kind == 245) {
                    let mut body = In(state.body);
                    let (event, on) = (usize::from(body.u16()?), body.u8()? & 0x80 != 0);
                    if let Some(known) = self.notify.get_mut(event) {
                        *known = on;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Antenna 0 stands for all of them.
    fn set_antenna(&mut self, parameter: &Parameter<'_>, antennas: u16) -> Result<(), WireError> {
        let named = In(parameter.body).u16()?;
        let first_to_last = if named == 0 { 1..=antennas } else { named..=named };
        for antenna in first_to_last {
            let mut whole = parameter.whole.to_vec();
            whole[4..6].copy_from_slice(&antenna.to_be_bytes());
            self.antennas.insert(antenna, whole);
        }
        Ok(())
    }

    pub fn known(requested: u8) -> bool {
        requested <= 11
    }

    /// The parameters of GET_READER_CONFIG_RESPONSE behind the status, in the standard's order.
    pub fn write(&self, shown: &Shown<'_>, out: &mut Out) {
        let wanted = |group| shown.requested == 0 || shown.requested == group;
        let each_antenna = || (1..=shown.antennas).filter(|a| shown.antenna == 0 || *a == shown.antenna);
        if wanted(1) {
            out.tlv(218, |out| {
                out.u8(0).u16(8).bytes(shown.identity);
            });
        }
        if wanted(2) {
            for antenna in each_antenna() {
                out.tlv(221, |out| {
                    out.u8(0x80).u16(antenna).u16(0);
                });
            }
        }
        if wanted(3) {
            each_antenna().for_each(|antenna| self.write_antenna(antenna, out));
        }
        if wanted(5) {
            self.write_notifications(out);
        }
        if wanted(4) {
            self.report.write(out);
        }
        if wanted(6) {
            out.tlv(239, |out| {
                out.u8(0);
            });
        }
        if wanted(7) {
            out.tlv(217, |out| {
                out.u32(self.state_value());
            });
        }
        self.write_rest(wanted, shown.inputs, out);
    }

    fn write_rest(&self, wanted: impl Fn(u8) -> bool, inputs: &BTreeSet<u16>, out: &mut Out) {
        if wanted(8) {
            out.tlv(220, |out| {
                let interval_ms = self.keepalive.map_or(0, |every| every.as_millis() as u32);
                out.u8(u8::from(self.keepalive.is_some())).u32(interval_ms);
            });
        }
        if wanted(9) {
            for port in 1..=GPIS {
                out.tlv(225, |out| {
                    let told = self.inputs_told.contains(&port);
                    out.u16(port).u8(u8::from(told) << 7).u8(u8::from(inputs.contains(&port)));
                });
            }
        }
        if wanted(10) {
            for port in 1..=GPOS {
                out.tlv(219, |out| {
                    out.u16(port).u8(u8::from(self.outputs_on.contains(&port)) << 7);
                });
            }
        }
        if wanted(11) {
            out.tlv(226, |out| {
                out.u8(u8::from(self.hold) << 7);
            });
        }
    }

    fn write_antenna(&self, antenna: u16, out: &mut Out) {
        if let Some(set) = self.antennas.get(&antenna) {
            out.bytes(set);
            return;
        }
        out.tlv(222, |out| {
            out.u16(antenna);
            out.tlv(223, |out| {
                out.u16(1);
            });
            out.tlv(224, |out| {
                out.u16(0).u16(1).u16(super::capabilities::POWER_LEVELS);
            });
            out.tlv(330, |out| {
                out.u8(0);
                out.tlv(335, |out| {
                    out.u16(1000).u16(0);
                });
                out.tlv(336, |out| {
                    out.u8(1 << 6).u16(32).u32(0);
                });
            });
        });
    }

    fn write_notifications(&self, out: &mut Out) {
        out.tlv(244, |out| {
            for (event, on) in self.notify.iter().enumerate() {
                out.tlv(245, |out| {
                    out.u16(event as u16).u8(u8::from(*on) << 7);
                });
            }
        });
    }

    /// LLRPConfigurationStateValue: changes when the configuration does.
    fn state_value(&self) -> u32 {
        fnv1a(format!("{self:?}").as_bytes()) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(settings: &mut Settings, bytes: &[u8]) {
        for parameter in In(bytes).parameters().unwrap() {
            settings.set(&parameter, 2).unwrap();
        }
    }

    #[test]
    fn keepalive_hold_and_notifications_are_taken_over() {
        let mut settings = Settings::default();
        set(&mut settings, &[0, 220, 0, 9, 1, 0, 0, 0x27, 0x10, 0, 226, 0, 5, 0x80]);
        set(&mut settings, &[0, 244, 0, 11, 0, 245, 0, 7, 0, 2, 0x80]);
        assert_eq!(settings.keepalive, Some(Duration::from_secs(10)));
        assert!(settings.hold && settings.notify[ROSPEC_EVENT]);
    }

    #[test]
    fn the_state_value_follows_the_configuration() {
        let mut settings = Settings::default();
        let before = settings.state_value();
        set(&mut settings, &[0, 226, 0, 5, 0x80]);
        assert_ne!(settings.state_value(), before);
    }

    #[test]
    fn a_setting_for_antenna_zero_is_for_all_of_them() {
        let mut settings = Settings::default();
        set(&mut settings, &[0, 222, 0, 6, 0, 0]);
        let mut out = Out::default();
        let inputs = BTreeSet::new();
        let shown = Shown { antennas: 2, identity: &[0; 8], inputs: &inputs, requested: 3, antenna: 0 };
        settings.write(&shown, &mut out);
        assert_eq!(out.0, [0, 222, 0, 6, 0, 1, 0, 222, 0, 6, 0, 2]);
    }
}
