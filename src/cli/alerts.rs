//! `tallyman alerts`: what is wrong, worst first, and who is on it.

use std::cmp::Reverse;
use std::process::ExitCode;

use anyhow::Context;

use super::story::{self, WallClocks};
use super::{ConfigFile, control};
use crate::config::Config;
use crate::domain::alerts::{Alert, AlertState, Severity};
use crate::domain::state::StateKind;
use crate::domain::time::Timestamp;
use crate::journal::Reader;
use crate::source::clock::WallClock;

#[derive(clap::Args)]
pub struct AlertsArgs {
    #[command(flatten)]
    pub file: ConfigFile,
    /// Resolved ones too
    #[arg(long)]
    all: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub async fn run(config: &Config, args: AlertsArgs) -> anyhow::Result<ExitCode> {
    let reader = Reader::open(&config.journal.path).await?;
    let rows = reader.all_states(StateKind::Alert).await?;
    let mut alerts: Vec<Alert> = rows
        .iter()
        .map(|(_, value)| serde_json::from_slice(value))
        .collect::<Result<_, _>>()
        .context("failed to read an alert")?;
    alerts.retain(|alert| args.all || alert.state != AlertState::Resolved);
    let now = WallClock::new().now();
    alerts.sort_by_key(|alert| (!alert.notifies(now), Reverse(alert.severity), alert.fired_at));
    if args.json {
        for alert in &alerts {
            println!("{}", serde_json::to_string(alert)?);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let clocks = WallClocks::of(&config.rules);
    for alert in &alerts {
        println!("{}  {}", heading(alert), alert.key);
        println!("  {}", alert.summary);
        println!("  {}\n", standing(alert, &clocks, now));
    }
    println!("{}", summary(&alerts, now));
    if let Some(note) = unwatched(config, &reader, &clocks, None, now).await? {
        println!("{note}");
    }
    Ok(ExitCode::SUCCESS)
}

/// What a person has to know first where no daemon runs: nothing here moves any more.
pub async fn unwatched(
    config: &Config,
    reader: &Reader,
    clocks: &WallClocks,
    site: Option<&str>,
    now: Timestamp,
) -> anyhow::Result<Option<String>> {
    if control::Daemon::find(&config.journal.path).await.is_some() {
        return Ok(None);
    }
    let last = reader.meta().await?.last_heartbeat;
    let last = last.map_or("for ever".to_owned(), |last| {
        format!("since {} ({})", clocks.at(site, last), story::distance(last, now))
    });
    Ok(Some(format!("NOTE: no daemon runs on this journal. Nobody has been watching {last}.")))
}

/// Since when it stands, who is on it, and why nobody is told, where that is so.
pub fn standing(alert: &Alert, clocks: &WallClocks, now: Timestamp) -> String {
    let when = |at: Timestamp| {
        let site = alert.site.as_ref().map(|site| site.as_str());
        format!("{} ({})", clocks.at(site, at), story::distance(at, now))
    };
    let mut text = match alert.state {
        AlertState::Pending => format!("not an alert yet; began {}", when(alert.pending_since)),
        AlertState::Firing => format!("since {}", when(alert.fired_at.unwrap_or(alert.pending_since))),
        AlertState::Resolved => {
            format!("resolved {}", when(alert.resolved_at.unwrap_or(alert.pending_since)))
        }
    };
    if let Some(site) = &alert.site {
        text.push_str(&format!(", site {site}"));
    }
    match &alert.acknowledged {
        Some(by) => text.push_str(&format!("; {} is on it{}", by.by, story::noted(by.note.as_deref()))),
        None if alert.notifies(now) => text.push_str("; nobody is on it"),
        None => {}
    }
    if let Some(assigned) = &alert.assigned {
        text.push_str(&format!("; assigned to {}", assigned.to));
    }
    if let Some(previous) = alert.previous_incident {
        text.push_str(&format!("; not for the first time (before it: incident {previous})"));
    }
    if alert.state == AlertState::Resolved {
        return text;
    }
    if let Some(until) = alert.snoozed_until.filter(|until| *until > now) {
        text.push_str(&format!("; kept quiet until {}", when(until)));
    }
    if let Some(until) = alert.quiet_until.filter(|until| *until > now) {
        text.push_str(&format!("; quiet hours, so nobody is told before {}", when(until)));
    }
    if let Some(by) = &alert.inhibited_by {
        text.push_str(&format!("; explained by {by}, so nobody is told of it"));
    }
    if let Some(at) = alert.escalated_at {
        text.push_str(&format!("; escalated {}, because nobody acknowledged it", when(at)));
    }
    if let Some(since) = alert.flapping_since {
        text.push_str(&format!("; comes and goes since {}, so it stays until it is quiet", when(since)));
    }
    if alert.explains > 0 {
        text.push_str(&format!("; explains {} other alerts", alert.explains));
    }
    text
}

fn heading(alert: &Alert) -> String {
    let severity = alert.severity.as_str();
    match alert.state {
        AlertState::Firing => format!("{:8}", severity.to_uppercase()),
        AlertState::Pending => format!("pending {severity}"),
        AlertState::Resolved => format!("resolved {severity}"),
    }
}

fn summary(alerts: &[Alert], now: Timestamp) -> String {
    if alerts.is_empty() {
        return "no alerts".to_owned();
    }
    let told: Vec<&Alert> = alerts.iter().filter(|alert| alert.notifies(now)).collect();
    let of = |severity| told.iter().filter(|alert| alert.severity == severity).count();
    let counts = [Severity::Critical, Severity::Warning, Severity::Info]
        .map(|severity| (of(severity), severity.as_str()))
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{count} {name}"));
    let quiet = alerts.len() - told.len();
    let quiet = (quiet > 0).then(|| format!("{quiet} that nobody is told of"));
    let parts: Vec<String> = counts.chain(quiet).collect();
    format!(
        "{}. `tallyman explain ASSET` tells more; `tallyman acknowledge RULE/SUBJECT` says that you are on it.",
        parts.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::alerts::{Acknowledgement, AlertKey, Rule};
    use crate::domain::ids::EventId;

    fn alert() -> Alert {
        let at = Timestamp::from_secs(1_800_000_000);
        let summary = "FL-07 is not where it should be".to_owned();
        let (key, incident) = (AlertKey::new(Rule::Ghost, "FL-07"), EventId::derive(at, &[]));
        let begun = Alert::begin(key, incident, Severity::Critical, None, summary, at);
        Alert { state: AlertState::Firing, fired_at: Some(at), ..begun }
    }

    #[test]
    fn one_line_says_since_when_and_who_is_on_it() {
        let now = Timestamp::from_secs(1_800_000_780);
        let clocks = WallClocks::default();
        let mut alert = alert();
        let since = "since 2027-01-15 08:00:00 UTC (13 min ago)";
        assert_eq!(standing(&alert, &clocks, now), format!("{since}; nobody is on it"));
        let note = Some("in the yard".to_owned());
        alert.acknowledged = Some(Acknowledgement { by: "ada".to_owned(), at: now, note });
        alert.snoozed_until = Some(now + std::time::Duration::from_secs(3600));
        alert.inhibited_by = Some(AlertKey::new(Rule::ReaderDown, "crib"));
        assert_eq!(
            standing(&alert, &clocks, now),
            format!(
                "{since}; ada is on it (\"in the yard\"); kept quiet until 2027-01-15 09:13:00 UTC (in 1 h); \
                 explained by reader-down/crib, so nobody is told of it"
            )
        );
        assert!(summary(&[alert], now).starts_with("1 that nobody is told of."));
        assert_eq!(summary(&[], now), "no alerts");
    }
}
