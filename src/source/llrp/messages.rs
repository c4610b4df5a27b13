//! What we say to a reader, and what of its answers decides it. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use super::capabilities::Capabilities;
use super::vendors;
use crate::config::{GpiTrigger, Power, ReaderConfig, Report, RoSpecConfig, Start, Stop};
use crate::decode::llrp::build::parameter;
use crate::decode::llrp::numbers::parameter as number;
use crate::decode::llrp::{Body, Parameter, Value};
use crate::domain::ids::Antenna;

/// The air protocol EPCglobal Class 1 Generation 2 (LLRP 1.0.1, section 9.1.4).
const C1G2: u8 = 1;
/// What readers take for a session and a population where only the other is configured.
const DEFAULT_SESSION: u8 = 1;
const DEFAULT_POPULATION: u16 = 32;
/// Where reports wait for more tags, a round ends after this long, so that the last tags are reported.
const ROUND: Duration = Duration::from_secs(1);

/// ROSpec states (LLRP 1.0.1, section 10.2.1).
pub(super) const ROSPEC_INACTIVE: u64 = 1;
pub(super) const ROSPEC_ACTIVE: u64 = 2;

/// Parameters of SET_READER_CONFIG: the events we use, keepalives, the inputs that anything hangs on, and whether to
/// hold.
pub(super) fn settings(config: &ReaderConfig, capabilities: &Capabilities, extended: bool) -> Vec<Parameter> {
    let events = [
        (GPI, !config.beams.is_empty()),
        (BUFFER_FILL, capabilities.warns_of_filling_buffer),
        (READER_EXCEPTION, true),
        (ANTENNA, true),
    ];
    let states = events
        .into_iter()
        .filter(|(_, wanted)| *wanted)
        .map(|(event, on)| parameter(number::EVENT_NOTIFICATION_STATE, [event.into(), on.into()], vec![]))
        .collect();
    let keepalive_ms = u32::try_from(config.keepalive.as_millis()).unwrap_or(u32::MAX);
    let mut settings = vec![
        parameter(number::READER_EVENT_NOTIFICATION_SPEC, [], states),
        parameter(number::KEEPALIVE_SPEC, [PERIODIC_KEEPALIVE.into(), keepalive_ms.into()], vec![]),
    ];
    // An input tells nothing, and triggers nothing, until it is switched on; its state is not for us to set.
    settings.extend(inputs(config).into_iter().map(|port| {
        parameter(number::GPI_PORT_CURRENT_STATE, [port.into(), true.into(), UNKNOWN_STATE.into()], vec![])
    }));
    if capabilities.holds_events_and_reports {
        settings.push(parameter(
            number::EVENTS_AND_REPORTS,
            [config.rospec.hold_on_disconnect.into()],
            vec![],
        ));
    }
    if extended {
        settings.extend(vendors::settings(capabilities));
    }
    settings
}

/// Inputs that light barriers are on, and those that start or stop reading.
fn inputs(config: &ReaderConfig) -> BTreeSet<u16> {
    let RoSpecConfig { start, stop, .. } = &config.rospec;
    config.beams.iter().copied().chain(start.input()).chain(stop.input()).collect()
}

// KeepaliveTriggerType (LLRP 1.0.1, section 12.2.4).
const PERIODIC_KEEPALIVE: u8 = 1;
// State of GPIPortCurrentState (LLRP 1.0.1, section 12.2.5).
const UNKNOWN_STATE: u8 = 2;
// Event types of EventNotificationState (LLRP 1.0.1, section 13.2.5.1).
const GPI: u16 = 1;
const BUFFER_FILL: u16 = 3;
const READER_EXCEPTION: u16 = 4;
const ANTENNA: u16 = 8;

/// Our ROSpec, disabled, as ADD_ROSPEC wants it. Where it reads all the time and a report is not sent for each
/// tag, it does so in rounds. Of the tags, those that `filters` let through.
pub(super) fn rospec(
    config: &RoSpecConfig,
    filters: &[Parameter],
    capabilities: &Capabilities,
    extended: bool,
) -> Parameter {
    let bounds = vec![start(config.start), stop(config)];
    let parts = vec![
        parameter(number::RO_BOUNDARY_SPEC, [], bounds),
        antenna_inventory(config, filters, capabilities),
        report_spec(config.report, capabilities, extended),
    ];
    parameter(number::ROSPEC, [config.id.into(), 0u8.into(), 0u8.into()], parts)
}

// ROSpecStartTriggerType and ROSpecStopTriggerType (LLRP 1.0.1, section 10.2.1).
const IMMEDIATE: u8 = 1;
const PERIODIC: u8 = 2;
const ON_INPUT: u8 = 3;
const NEVER: u8 = 0;
const AFTER: u8 = 1;
const AFTER_INPUT: u8 = 2;

fn start(start: Start) -> Parameter {
    let (kind, how) = match start {
        Start::Immediate => (IMMEDIATE, None),
        Start::Periodic { period, offset } => {
            let values = [millis(offset), millis(period)].map(Value::from);
            (PERIODIC, Some(parameter(number::PERIODIC_TRIGGER_VALUE, values, vec![])))
        }
        Start::Gpi(trigger) => (ON_INPUT, Some(input(trigger, Duration::ZERO))),
    };
    parameter(number::ROSPEC_START_TRIGGER, [kind.into()], how.into_iter().collect())
}

fn stop(config: &RoSpecConfig) -> Parameter {
    let (kind, after, how) = match (config.stop, config.report) {
        (Stop::After(after), _) => (AFTER, after, None),
        (Stop::Gpi { trigger, timeout }, _) => (AFTER_INPUT, Duration::ZERO, Some(input(trigger, timeout))),
        (Stop::Never, Report::Interval(interval)) => (AFTER, interval, None),
        // Only a start that comes again by itself goes without a stop.
        (Stop::Never, Report::Reads(every)) if every != 1 => (AFTER, ROUND, None),
        (Stop::Never, Report::Reads(_)) => (NEVER, Duration::ZERO, None),
    };
    let values = [kind.into(), millis(after).into()];
    parameter(number::ROSPEC_STOP_TRIGGER, values, how.into_iter().collect())
}

fn input(trigger: GpiTrigger, timeout: Duration) -> Parameter {
    let values = [trigger.port.into(), trigger.high.into(), millis(timeout).into()];
    parameter(number::GPI_TRIGGER_VALUE, values, vec![])
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

fn antenna_inventory(config: &RoSpecConfig, filters: &[Parameter], capabilities: &Capabilities) -> Parameter {
    // Antenna 0 stands for all of them.
    let antennas: &[u16] = if config.antennas.is_empty() { &[0] } else { &config.antennas };
    let never = parameter(number::AISPEC_STOP_TRIGGER, [0u8.into(), 0u32.into()], vec![]);
    let mut settings = Vec::new();
    // Of an antenna that is named, all is said again: which of two settings holds for it is not agreed on.
    if config.antenna_power.len() < antennas.len() || antennas == [0] {
        settings.extend(antenna_settings(0, config.power, config, filters, capabilities));
    }
    for (antenna, dbm) in &config.antenna_power {
        let power = Some(Power::Dbm(*dbm));
        settings.extend(antenna_settings(*antenna, power, config, filters, capabilities));
    }
    let inventory = parameter(number::INVENTORY_PARAMETER_SPEC, [1u16.into(), C1G2.into()], settings);
    parameter(number::AISPEC, [antennas.into()], vec![never, inventory])
}

/// The AntennaConfiguration of an antenna, 0 for all; none where everything stays as the reader is set.
fn antenna_settings(
    antenna: Antenna,
    power: Option<Power>,
    config: &RoSpecConfig,
    filters: &[Parameter],
    capabilities: &Capabilities,
) -> Option<Parameter> {
    let mut settings = Vec::new();
    let index = match power {
        Some(Power::Index(index)) => Some(index),
        Some(Power::Dbm(dbm)) => capabilities.power_index(dbm).map(|(index, _)| index),
        None => None,
    };
    if let Some(index) = index {
        let values = [capabilities.hop_table, capabilities.channel, index].map(Value::from);
        settings.push(parameter(number::RF_TRANSMITTER, values, vec![]));
    }
    let mut command = filters.to_vec();
    if let Some(mode) = config.mode {
        // Tari 0: as the mode has it.
        command.push(parameter(number::C1G2_RF_CONTROL, [mode.into(), 0u16.into()], vec![]));
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
    (!settings.is_empty()).then(|| parameter(number::ANTENNA_CONFIGURATION, [antenna.into()], settings))
}

/// After N tag reports or at the end of the ROSpec (trigger 2), with all content there is.
fn report_spec(report: Report, capabilities: &Capabilities, extended: bool) -> Parameter {
    let every = match report {
        Report::Reads(every) => every,
        Report::Interval(_) => 0,
    };
    let memory = parameter(number::C1G2_EPC_MEMORY_SELECTOR, [true, true, false].map(Value::from), vec![]);
    let content = parameter(number::TAG_REPORT_CONTENT_SELECTOR, [true; 10].map(Value::from), vec![memory]);
    let mut parts = vec![content];
    if extended {
        parts.extend(vendors::report_content(capabilities));
    }
    parameter(number::RO_REPORT_SPEC, [2u8.into(), every.into()], parts)
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
