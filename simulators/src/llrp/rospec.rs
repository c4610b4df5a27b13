//! ROSpecs (section 11): what the reader needs of one, and the bytes as they were added.

use std::time::Duration;

use super::capabilities::{IMPINJ, ZEBRA};
use super::report::Selector;
use super::wire::{In, Out, WireError};

/// Where the current state stands in an ROSpec parameter: type, length, id, priority, then it.
const STATE_AT: usize = 9;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SpecState {
    Disabled = 0,
    Inactive = 1,
    Active = 2,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct RoSpec {
    pub id: u32,
    pub state: SpecState,
    /// The start trigger is "immediate": it runs whenever it is enabled.
    pub immediate: bool,
    /// It ends after this long; `None`: when it is stopped.
    pub runs_for: Option<Duration>,
    /// Its antenna inventory ends after this long.
    pub inventory_for: Option<Duration>,
    /// Its antenna inventory ends after this many reads.
    pub inventory_reads: Option<u16>,
    /// Empty: every antenna.
    pub antennas: Vec<u16>,
    pub inventory: u16,
    /// Its own, or else the reader's.
    pub report: Option<ReportRule>,
    bytes: Vec<u8>,
}

/// ROReportSpec (section 14.2.1): when a report goes, and what is in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ReportRule {
    /// Triggers 1 and 2 of the standard: at the end of an AISpec, or only of the ROSpec.
    pub at_end_of_rospec: bool,
    /// After this many reads; 0: only at the end.
    pub every: u16,
    pub selector: Selector,
}

/// The ROSpec cannot be taken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum SpecError {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("the id of an ROSpec is not 0")]
    Id,
    #[error("an ROSpec is added disabled")]
    State,
}

impl RoSpec {
    /// From the body of ADD_ROSPEC: one ROSpec parameter.
    pub fn parse(body: &[u8]) -> Result<Self, SpecError> {
        let parameters = In(body).parameters()?;
        let whole = parameters.iter().find(|p| p.kind == 177).ok_or(SpecError::Missing("ROSpec"))?;
        let mut input = In(whole.body);
        let (id, _priority, state) = (input.u32()?, input.u8()?, input.u8()?);
        if id == 0 {
            return Err(SpecError::Id);
        }
        if state != SpecState::Disabled as u8 {
            return Err(SpecError::State);
        }
        let mut spec = Self {
            id,
            state: SpecState::Disabled,
            immediate: false,
            runs_for: None,
            inventory_for: None,
            inventory_reads: None,
            antennas: Vec::new(),
            inventory: 1,
            report: None,
            bytes: whole.whole.to_vec(),
        };
        spec.parse_parts(input)?;
        Ok(spec)
    }

    fn parse_parts(&mut self, input: In<'_>) -> Result<(), SpecError> {
        let (mut bounded, mut inventoried) = (false, false);
        for part in input.parameters()? {
            match part.kind {
                178 => {
                    bounded = true;
                    self.parse_bounds(In(part.body))?;
                }
                183 => {
                    inventoried = true;
                    self.parse_inventory(In(part.body))?;
                }
                237 => self.report = Some(ReportRule::parse(part.body)?),
                _ => {}
            }
        }
        match (bounded, inventoried) {
            (false, _) => Err(SpecError::Missing("ROBoundarySpec")),
            (_, false) => Err(SpecError::Missing("AISpec")),
            (true, true) => Ok(()),
        }
    }

    fn parse_bounds(&mut self, input: In<'_>) -> Result<(), SpecError> {
        for trigger in input.parameters()? {
            let mut body = In(trigger.body);
            match trigger.kind {
                179 => self.immediate = body.u8()? == 1,
                182 if body.u8()? == 1 => self.runs_for = duration(body.u32()?),
                _ => {}
            }
        }
        Ok(())
    }

    fn parse_inventory(&mut self, mut input: In<'_>) -> Result<(), SpecError> {
        for _ in 0..input.u16()? {
            self.antennas.push(input.u16()?);
        }
        self.antennas.retain(|antenna| *antenna != 0);
        for part in input.parameters()? {
            match part.kind {
                184 => self.parse_inventory_stop(In(part.body))?,
                186 => self.inventory = In(part.body).u16()?,
                _ => {}
            }
        }
        Ok(())
    }

    /// AISpecStopTrigger (section 11.2.2.1): 1 is a duration, 3 a number of tags (or attempts, or a time
    /// without tags, of which this reader only knows the number).
    fn parse_inventory_stop(&mut self, mut input: In<'_>) -> Result<(), SpecError> {
        let (kind, duration_ms) = (input.u8()?, input.u32()?);
        if kind == 1 {
            self.inventory_for = duration(duration_ms);
        }
        for part in input.parameters()?.iter().filter(|part| kind == 3 && part.kind == 185) {
            let mut body = In(part.body);
            let (trigger, _reserved, tags) = (body.u8()?, body.u8()?, body.u16()?);
            self.inventory_reads = (trigger == 0 && tags > 0).then_some(tags);
        }
        Ok(())
    }

    /// As it was added, with its state as it is.
    pub fn write(&self, out: &mut Out) {
        let at = out.0.len() + STATE_AT;
        out.bytes(&self.bytes);
        out.0[at] = self.state as u8;
    }

    pub fn hears(&self, antenna: u16) -> bool {
        self.antennas.is_empty() || self.antennas.contains(&antenna)
    }

    /// How long one run of it lasts: its own bound, or its inventory's.
    pub fn round(&self) -> Option<Duration> {
        match (self.runs_for, self.inventory_for) {
            (Some(spec), Some(inventory)) => Some(spec.min(inventory)),
            (one, other) => one.or(other),
        }
    }
}

fn duration(ms: u32) -> Option<Duration> {
    (ms > 0).then(|| Duration::from_millis(ms.into()))
}

impl ReportRule {
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut input = In(body);
        let (trigger, every) = (input.u8()?, input.u16()?);
        let mut rule = Self { at_end_of_rospec: trigger != 1, every, selector: Selector::DEFAULT };
        if trigger == 0 {
            rule.every = 0;
        }
        for part in input.parameters()?.iter().filter(|part| part.kind == 238) {
            rule.selector = Selector(In(part.body).u16()? & 0xffc0);
        }
        for part in input.parameters()?.iter().filter(|part| part.kind == 1023) {
            rule.selector.0 |= extensions(In(part.body))?;
        }
        Ok(rule)
    }

    pub fn write(self, out: &mut Out) {
        out.tlv(237, |out| {
            out.u8(if self.at_end_of_rospec { 2 } else { 1 }).u16(self.every);
            out.tlv(238, |out| {
                out.u16(self.selector.0);
                out.tlv(348, |out| {
                    out.u8(0);
                });
            });
        });
    }
}

/// What a maker's content selector asks for: Impinj's has a parameter of its own for each, Zebra's a bit.
fn extensions(mut input: In<'_>) -> Result<u16, WireError> {
    match (input.u32()?, input.u32()?) {
        (IMPINJ, 50) => {}
        (ZEBRA, 708) => return Ok(if input.u32()? & 1 << 28 != 0 { Selector::ZEBRA_PHASE } else { 0 }),
        _ => return Ok(0),
    }
    let mut wanted = 0;
    for part in input.parameters()?.iter().filter(|part| part.kind == 1023) {
        let mut body = In(part.body);
        let (_maker, subtype, on) = (body.u32()?, body.u32()?, body.u16()? == 1);
        wanted |= match subtype {
            _ if !on => 0,
            52 => Selector::IMPINJ_PHASE,
            53 => Selector::IMPINJ_RSSI,
            67 => Selector::IMPINJ_DOPPLER,
            _ => 0,
        };
    }
    Ok(wanted)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// ROSpec 5: immediate, no stop; antennas 1 and 2, no stop; every 10 reads, antenna and RSSI.
    #[rustfmt::skip]
    pub const SPEC: [u8; 60] = [
        0, 177, 0, 60, 0, 0, 0, 5, 0, 0,
        0, 178, 0, 18, 0, 179, 0, 5, 1, 0, 182, 0, 9, 0, 0, 0, 0, 0,
        0, 183, 0, 17 + 2, 0, 2, 0, 1, 0, 2, 0, 184, 0, 9, 0, 0, 0, 0, 0,
        0, 237, 0, 13, 1, 0, 10, 0, 238, 0, 6, 0x14, 0x00,
    ];

    #[test]
    fn an_rospec_is_read_and_given_back_with_its_state() {
        let mut spec = RoSpec::parse(&SPEC).unwrap();
        assert_eq!((spec.id, spec.immediate, spec.round()), (5, true, None));
        assert!(spec.hears(2) && !spec.hears(3));
        let rule = spec.report.unwrap();
        assert_eq!((rule.at_end_of_rospec, rule.every), (false, 10));
        assert_eq!(rule.selector, Selector(Selector::ANTENNA_ID | Selector::PEAK_RSSI));
        spec.state = SpecState::Active;
        let mut out = Out::default();
        spec.write(&mut out);
        let mut want = SPEC.to_vec();
        want[9] = 2;
        assert_eq!(out.0, want);
    }

    #[test]
    fn a_spec_without_bounds_or_inventory_is_refused() {
        assert_eq!(
            RoSpec::parse(&[0, 177, 0, 10, 0, 0, 0, 5, 0, 0]),
            Err(SpecError::Missing("ROBoundarySpec"))
        );
        assert_eq!(RoSpec::parse(&[]), Err(SpecError::Missing("ROSpec")));
        assert_eq!(RoSpec::parse(&[0, 177, 0, 10, 0, 0, 0, 0, 0, 0]), Err(SpecError::Id));
        assert!(matches!(RoSpec::parse(&SPEC[..59]), Err(SpecError::Wire(_))));
    }
}
