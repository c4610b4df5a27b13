//! What we say to a reader, and what of its answers decides it. Pure.

use std::time::Duration;

use crate::config::RoSpecConfig;
use crate::decode::llrp::build::parameter;
use crate::decode::llrp::numbers::parameter as number;
use crate::decode::llrp::{Body, Parameter, Value};

/// The air protocol EPCglobal Class 1 Generation 2 (LLRP 1.0.1, section 9.1.4).
const C1G2: u8 = 1;
/// What readers take for a session and a population where only the other is configured.
const DEFAULT_SESSION: u8 = 1;
const DEFAULT_POPULATION: u16 = 32;
/// Where reports wait for more tags, a round ends after this long, so that the last tags are reported.
const ROUND: Duration = Duration::from_secs(1);

/// ROSpec states (LLRP 1.0.1, section 10.2.1).
pub(super) const ROSPEC_ACTIVE: u64 = 2;

/// What the reader says it can do, as far as we ask.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Capabilities {
    pub holds_events_and_reports: bool,
    pub warns_of_filling_buffer: bool,
    pub max_rospecs: u64,
    /// C1G2Filters that one inventory may have.
    pub max_filters: u64,
    /// Hop table (0 without hopping) and channel to name when the transmit power is set.
    pub hop_table: u16,
    pub channel: u16,
}

impl Capabilities {
    /// From the body of a GET_READER_CAPABILITIES_RESPONSE; what it does not tell is not there.
    pub fn of(response: &Body) -> Self {
        let llrp = response.first(142);
        let can = |name| llrp.and_then(|body| body.number(name)) == Some(1);
        let frequencies =
            response.first(143).and_then(|body| body.first(144)).and_then(|body| body.first(146));
        let hops = frequencies.and_then(|body| body.number("Hopping")) == Some(1);
        let table = frequencies.and_then(|body| body.first(147)).and_then(|body| body.number("HopTableID"));
        let table = table.and_then(|id| u16::try_from(id).ok()).unwrap_or(1);
        Self {
            holds_events_and_reports: can("SupportsEventAndReportHolding"),
            warns_of_filling_buffer: can("CanReportBufferFillWarning"),
            max_rospecs: llrp.and_then(|body| body.number("MaxNumROSpecs")).unwrap_or(u64::MAX),
            max_filters: response
                .first(327)
                .and_then(|body| body.number("MaxNumSelectFiltersPerQuery"))
                .unwrap_or(0),
            hop_table: if hops { table } else { 0 },
            channel: if hops { 0 } else { 1 },
        }
    }
}

/// Parameters of SET_READER_CONFIG: the events we want, keepalives, and whether to hold.
pub(super) fn settings(keepalive: Duration, hold: bool, capabilities: &Capabilities) -> Vec<Parameter> {
    let mut events = vec![(READER_EXCEPTION, true), (ANTENNA, true)];
    if capabilities.warns_of_filling_buffer {
        events.insert(0, (BUFFER_FILL, true));
    }
    let states = events
        .into_iter()
        .map(|(event, on)| parameter(number::EVENT_NOTIFICATION_STATE, [event.into(), on.into()], vec![]))
        .collect();
    let keepalive_ms = u32::try_from(keepalive.as_millis()).unwrap_or(u32::MAX);
    let periodic = u8::from(keepalive_ms > 0);
    let mut settings = vec![
        parameter(number::READER_EVENT_NOTIFICATION_SPEC, [], states),
        parameter(number::KEEPALIVE_SPEC, [periodic.into(), keepalive_ms.into()], vec![]),
    ];
    if capabilities.holds_events_and_reports {
        settings.push(parameter(number::EVENTS_AND_REPORTS, [hold.into()], vec![]));
    }
    settings
}

// Event types of EventNotificationState (LLRP 1.0.1, section 13.2.5.1).
const BUFFER_FILL: u16 = 3;
const READER_EXCEPTION: u16 = 4;
const ANTENNA: u16 = 8;

/// Our ROSpec, disabled, as ADD_ROSPEC wants it: it starts when it is enabled and goes on for ever. Where
/// a report is not sent for each tag, it does so in rounds. Of the tags, those that `filters` let through.
pub(super) fn rospec(
    config: &RoSpecConfig,
    filters: Vec<Parameter>,
    capabilities: &Capabilities,
) -> Parameter {
    let in_rounds = config.report_every_n != 1;
    let round_ms = if in_rounds { ROUND.as_millis() as u32 } else { 0 };
    let bounds = vec![
        parameter(number::ROSPEC_START_TRIGGER, [IMMEDIATE.into()], vec![]),
        parameter(number::ROSPEC_STOP_TRIGGER, [u8::from(in_rounds).into(), round_ms.into()], vec![]),
    ];
    let parts = vec![
        parameter(number::RO_BOUNDARY_SPEC, [], bounds),
        antenna_inventory(config, filters, capabilities),
        report_spec(config.report_every_n),
    ];
    parameter(number::ROSPEC, [config.id.into(), 0u8.into(), 0u8.into()], parts)
}

/// ROSpecStartTriggerType.
const IMMEDIATE: u8 = 1;

fn antenna_inventory(
    config: &RoSpecConfig,
    filters: Vec<Parameter>,
    capabilities: &Capabilities,
) -> Parameter {
    // Antenna 0 stands for all of them.
    let antennas: &[u16] = if config.antennas.is_empty() { &[0] } else { &config.antennas };
    let never = parameter(number::AISPEC_STOP_TRIGGER, [0u8.into(), 0u32.into()], vec![]);
    let settings = antenna_settings(config, filters, capabilities);
    let inventory = parameter(number::INVENTORY_PARAMETER_SPEC, [1u16.into(), C1G2.into()], settings);
    parameter(number::AISPEC, [antennas.into()], vec![never, inventory])
}

/// One AntennaConfiguration for all antennas, or none where everything stays as the reader is set.
fn antenna_settings(
    config: &RoSpecConfig,
    mut command: Vec<Parameter>,
    capabilities: &Capabilities,
) -> Vec<Parameter> {
    let mut settings = Vec::new();
    if let Some(power) = config.transmit_power_index {
        let values = [capabilities.hop_table, capabilities.channel, power].map(Value::from);
        settings.push(parameter(number::RF_TRANSMITTER, values, vec![]));
    }
    if config.session.is_some() || config.tag_population.is_some() {
        let session = config.session.unwrap_or(DEFAULT_SESSION);
        let population = config.tag_population.unwrap_or(DEFAULT_POPULATION);
        let values = [session.into(), population.into(), 0u32.into()];
        command.push(parameter(number::C1G2_SINGULATION_CONTROL, values, vec![]));
    }
    if !command.is_empty() {
        settings.push(parameter(number::C1G2_INVENTORY_COMMAND, [false.into()], command));
    }
    if settings.is_empty() {
        return settings;
    }
    vec![parameter(number::ANTENNA_CONFIGURATION, [0u16.into()], settings)]
}

/// After N tag reports or at the end of the ROSpec (trigger 2), with all content there is.
fn report_spec(every: u16) -> Parameter {
    let memory = parameter(number::C1G2_EPC_MEMORY_SELECTOR, [true, true, false].map(Value::from), vec![]);
    let content = parameter(number::TAG_REPORT_CONTENT_SELECTOR, [true; 10].map(Value::from), vec![memory]);
    parameter(number::RO_REPORT_SPEC, [2u8.into(), every.into()], vec![content])
}

/// Whether the ROSpec that the reader holds is the one we would add, whatever state it is in.
pub(super) fn is_same_rospec(held: &Body, ours: &Body) -> bool {
    without_state(held) == without_state(ours)
}

fn without_state(rospec: &Body) -> Body {
    let mut rospec = rospec.clone();
    if let Body::Known { definition, values, .. } = &mut rospec
        && let Some(at) = definition.fields.iter().position(|field| field.name == "CurrentState")
        && let Some(state) = values.get_mut(at)
    {
        *state = Value::Unsigned(0);
    }
    rospec
}
