//! What the configuration makes of an alert: whether it is raised at all, how severe it is, when it
//! escalates, and until when nobody is told of it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::config::{AlertPolicy, AlertRules, QuietHours};
use crate::domain::alerts::{AlertKey, Severity};
use crate::domain::ids::{ClassId, SiteId};
use crate::domain::time::Timestamp;

#[derive(Debug, Default)]
pub struct Policies {
    pub rules: AlertRules,
    /// Of every site that is known.
    pub timezones: BTreeMap<SiteId, TimeZone>,
}

/// What holds for one alert.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Policy {
    pub disabled: bool,
    pub severity: Option<Severity>,
    pub pending: Option<Duration>,
    pub escalation: Option<Escalation>,
    pub receivers: Vec<String>,
}

/// What becomes of an alert that nobody acknowledges.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Escalation {
    pub after_us: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
}

impl Policies {
    /// Of each key, the last entry that fits counts.
    pub fn of(&self, key: &AlertKey, class: Option<&ClassId>, site: Option<&SiteId>) -> Policy {
        let fits = |policy: &&AlertPolicy| {
            policy.rule.is_none_or(|rule| rule == key.rule)
                && policy.class.as_ref().is_none_or(|wanted| Some(wanted) == class)
                && policy.site.as_ref().is_none_or(|wanted| Some(wanted) == site)
        };
        let mut said = AlertPolicy::default();
        for policy in self.rules.policies.iter().filter(fits) {
            said.enabled = policy.enabled.or(said.enabled);
            said.severity = policy.severity.or(said.severity);
            said.pending = policy.pending.or(said.pending);
            said.escalate_after = policy.escalate_after.or(said.escalate_after);
            said.escalate_severity = policy.escalate_severity.or(said.escalate_severity);
            said.escalate_to = policy.escalate_to.clone().or(said.escalate_to);
            said.receivers = policy.receivers.clone().or(said.receivers);
        }
        let escalation = said.escalate_after.map(|after| Escalation {
            after_us: u64::try_from(after.as_micros()).unwrap_or(u64::MAX),
            severity: said.escalate_severity,
            to: said.escalate_to.unwrap_or_default(),
        });
        Policy {
            disabled: said.enabled == Some(false),
            severity: said.severity,
            pending: said.pending,
            escalation,
            receivers: said.receivers.unwrap_or_default(),
        }
    }

    /// Until when nobody is told of something of that severity which fires at `at`; `None`: now. Where
    /// several quiet hours fit, the last to end counts.
    pub fn quiet_until(&self, site: Option<&SiteId>, severity: Severity, at: Timestamp) -> Option<Timestamp> {
        let zone = site.and_then(|site| self.timezones.get(site)).cloned().unwrap_or(TimeZone::UTC);
        let fits = |quiet: &&QuietHours| {
            severity < quiet.below && quiet.site.as_ref().is_none_or(|wanted| Some(wanted) == site)
        };
        self.rules.quiet_hours.iter().filter(fits).filter_map(|quiet| end_of(quiet, &zone, at)).max()
    }
}

/// When the quiet hours end in which `at` lies. Where the clock is put back and shows their end twice, the
/// second time counts.
fn end_of(quiet: &QuietHours, zone: &TimeZone, at: Timestamp) -> Option<Timestamp> {
    let local = at.to_jiff().to_zoned(zone.clone());
    let (time, today) = (local.time(), local.date());
    let day = match quiet.from < quiet.to {
        true if quiet.from <= time && time < quiet.to => today,
        false if time >= quiet.from => today.tomorrow().ok()?,
        false if time < quiet.to => today,
        _ => return None,
    };
    let end = zone.to_ambiguous_zoned(day.to_datetime(quiet.to)).later().ok()?;
    let end = Timestamp::from_micros(end.timestamp().as_microsecond());
    (end > at).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::time;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn night() -> QuietHours {
        QuietHours { site: None, from: time(22, 0, 0, 0), to: time(6, 0, 0, 0), below: Severity::Critical }
    }

    #[test]
    fn a_night_lasts_over_midnight_and_over_a_change_of_the_clock() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let cases = [
            ("2026-07-01T19:59:59Z", None),
            ("2026-07-01T20:00:00Z", Some("2026-07-02T04:00:00Z")),
            ("2026-07-02T03:59:59Z", Some("2026-07-02T04:00:00Z")),
            ("2026-07-02T04:00:00Z", None),
            // The last Sunday of March is an hour shorter, that of October an hour longer.
            ("2026-03-28T21:00:00Z", Some("2026-03-29T04:00:00Z")),
            ("2026-10-24T20:00:00Z", Some("2026-10-25T05:00:00Z")),
        ];
        for (from, end) in cases {
            assert_eq!(end_of(&night(), &berlin, at(from)), end.map(at), "{from}");
        }
        // An end that the clock shows twice, and one that it never shows.
        let twice = QuietHours { to: time(2, 30, 0, 0), ..night() };
        for from in ["2026-10-24T23:00:00Z", "2026-10-25T00:15:00Z", "2026-10-25T01:15:00Z"] {
            assert_eq!(end_of(&twice, &berlin, at(from)), Some(at("2026-10-25T01:30:00Z")), "{from}");
        }
        assert_eq!(end_of(&twice, &berlin, at("2026-03-29T00:30:00Z")), Some(at("2026-03-29T01:30:00Z")));
    }

    #[test]
    fn an_afternoon_is_quiet_for_its_site_and_for_what_is_less_severe() {
        let site = SiteId::new("hq");
        let quiet = QuietHours {
            site: Some(site.clone()),
            from: time(13, 0, 0, 0),
            to: time(14, 0, 0, 0),
            below: Severity::Warning,
        };
        let rules = AlertRules { quiet_hours: vec![quiet], ..AlertRules::default() };
        let policies = Policies { rules, timezones: BTreeMap::new() };
        let (now, end) = (at("2026-07-01T13:30:00Z"), at("2026-07-01T14:00:00Z"));
        assert_eq!(policies.quiet_until(Some(&site), Severity::Info, now), Some(end));
        assert_eq!(policies.quiet_until(Some(&site), Severity::Warning, now), None);
        assert_eq!(policies.quiet_until(None, Severity::Info, now), None);
        assert_eq!(policies.quiet_until(Some(&site), Severity::Info, end), None);
    }
}
