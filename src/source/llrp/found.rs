//! What a reader told of itself, for somebody who stands before it: a line for each thing. Pure.

use super::capabilities::{Capabilities, Mode};
use super::vendors;
use crate::config::{Power, RoSpecConfig};
use crate::decode::llrp::Body;
use crate::decode::llrp::numbers::parameter as number;

/// Leads of its clock below this are the network's.
const CLOCK_MS: i64 = 1000;

/// What was found out; `None`: it did not tell.
pub(super) struct Found<'f> {
    pub version: &'static str,
    pub identity: Option<String>,
    pub capabilities: &'f Capabilities,
    pub settings: Option<&'f Body>,
    /// By how much its clock is ahead of ours, in milliseconds.
    pub clock_ahead_ms: Option<i64>,
}

impl Found<'_> {
    /// With what of it the configuration asks for.
    pub fn lines(&self, config: &RoSpecConfig) -> Vec<String> {
        let capabilities = self.capabilities;
        let identity = self.identity.as_deref().unwrap_or("none");
        let mut lines = vec![
            format!("{}, LLRP {}, identity {identity}", capabilities.make(), self.version),
            self.antennas(config),
        ];
        lines.extend(self.power(config));
        if !capabilities.modes.is_empty() {
            lines.push(format!("modes: {}", list(capabilities.modes.iter().map(Mode::to_string))));
        }
        lines.extend(self.ports());
        lines.push(self.clock());
        lines.push(match capabilities.holds_events_and_reports {
            true => "while nobody is connected: it holds reports".to_owned(),
            false => "while nobody is connected: it does NOT hold reports".to_owned(),
        });
        if let Some(celsius) = self.settings.and_then(vendors::temperature) {
            lines.push(format!("temperature: {celsius} °C"));
        }
        lines
    }

    fn antennas(&self, config: &RoSpecConfig) -> String {
        let told: Vec<(u64, bool)> = self.settings.map(antennas).unwrap_or_default();
        let of = |wanted| list(told.iter().filter(|(_, is)| *is == wanted).map(|(port, _)| port.to_string()));
        let is_used = |port: u64| config.antennas.iter().any(|used| u64::from(*used) == port);
        let missed = told.iter().filter(|(port, connected)| !connected && is_used(*port));
        let missed = list(missed.map(|(port, _)| port.to_string()));
        let connected = match (of(true), of(false)) {
            (yes, no) if yes.is_empty() && no.is_empty() => "it does not tell which are connected".to_owned(),
            (yes, no) if no.is_empty() => format!("{yes} connected"),
            (yes, no) if yes.is_empty() => format!("NONE is connected of {no}, or it does not find out"),
            (yes, no) => format!("{yes} connected; NOT connected: {no}"),
        };
        let asked = match missed.is_empty() {
            true => String::new(),
            false => format!("; configured all the same: {missed}"),
        };
        format!("{} antennas: {connected}{asked}", self.capabilities.antennas)
    }

    fn power(&self, config: &RoSpecConfig) -> Option<String> {
        let capabilities = self.capabilities;
        let (least, most) = capabilities.power_range()?;
        let mut line = format!("power: {least:.2} to {most:.2} dBm in {} steps", capabilities.powers.len());
        let single = match config.power {
            Some(Power::Dbm(dbm)) => Some(("all".to_owned(), dbm)),
            Some(Power::Index(_)) | None => None,
        };
        let named = config.antenna_power.iter().map(|(port, dbm)| (format!("antenna {port}"), *dbm));
        for (whose, dbm) in single.into_iter().chain(named) {
            if let Some((_, has)) = capabilities.power_index(dbm) {
                line.push_str(&format!("; {whose}: {dbm} dBm asked, {has:.2} set"));
            }
        }
        Some(line)
    }

    fn ports(&self) -> Option<String> {
        let (inputs, outputs) = self.capabilities.inputs.zip(self.capabilities.outputs)?;
        let states = self.settings.map(input_states).unwrap_or_default();
        let states =
            if states.is_empty() { String::new() } else { format!(" ({})", list(states.into_iter())) };
        Some(format!("{inputs} inputs{states}, {outputs} outputs"))
    }

    fn clock(&self) -> String {
        match self.clock_ahead_ms {
            _ if !self.capabilities.has_utc_clock => {
                "clock: none, it tells the time since it was switched on".to_owned()
            }
            None => "clock: it did not tell what time it has".to_owned(),
            Some(ahead) if ahead.abs() < CLOCK_MS => "clock: right to the second".to_owned(),
            Some(ahead) => {
                let side = if ahead > 0 { "ahead of" } else { "behind" };
                format!("clock: {:.1} s {side} ours", ahead.abs() as f64 / 1000.0)
            }
        }
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

/// Ports of antennas, and whether something is connected to them.
fn antennas(settings: &Body) -> Vec<(u64, bool)> {
    let antenna = |body: &Body| Some((body.number("AntennaID")?, body.number("AntennaConnected")? == 1));
    settings.all(number::ANTENNA_PROPERTIES).filter_map(antenna).collect()
}

/// How inputs stand; whether they are switched on is the daemon's business.
fn input_states(settings: &Body) -> Vec<String> {
    let input = |body: &Body| {
        let state = match body.number("State")? {
            0 => "low",
            1 => "high",
            _ => "unknown",
        };
        Some(format!("{} {state}", body.number("GPIPortNum")?))
    };
    settings.all(number::GPI_PORT_CURRENT_STATE).filter_map(input).collect()
}
