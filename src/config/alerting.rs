//! What is done with an alert: policies by rule, class and site, flapping, quiet hours.

use std::time::Duration;

use jiff::civil::Time;

use super::asset_rules::{AssetRules, asset_rules};
use super::document::Section;
use super::node::set;
use super::validate::{DAY, HOUR, MINUTE, SECOND, Scope};
use crate::domain::alerts::{Rule, Severity};
use crate::domain::ids::{ClassId, SiteId};

/// The words for a severity.
pub(super) const SEVERITIES: [(&str, Severity); 3] =
    [("info", Severity::Info), ("warning", Severity::Warning), ("critical", Severity::Critical)];

#[derive(Clone, Debug)]
pub struct AlertRules {
    /// A source that is down for longer than this is an alert.
    pub reader_down_after: Duration,
    /// This many assets silent at one read point at once point at the watcher.
    pub watcher_suspect_assets: usize,
    /// Share of the assets lately sensed at a read point, silent at once, that points at it.
    pub watcher_suspect_share: f64,
    /// For so long, of hearing, a suspect watcher holds its ghosts back.
    pub watcher_suspect_for: Duration,
    /// An antenna that hears nothing at all is taken for cut off; after so long, its reader being connected
    /// all the while, there is taken to be nothing to hear.
    pub antenna_silent_for: Duration,
    /// A sensor without a good sample for longer than this is an alert.
    pub sensor_bad_after: Duration,
    /// An alert that fires more often than this within the window is flapping,
    pub flap_count: usize,
    pub flap_window: Duration,
    /// and then stays firing until its condition has stayed away for this long.
    pub flap_quiet: Duration,
    pub assets: AssetRules,
    /// In the order of the file: of each key, the last that fits counts.
    pub policies: Vec<AlertPolicy>,
    pub quiet_hours: Vec<QuietHours>,
}

impl Default for AlertRules {
    fn default() -> Self {
        Self {
            reader_down_after: Duration::from_secs(30),
            watcher_suspect_assets: 5,
            watcher_suspect_share: 0.5,
            watcher_suspect_for: 4 * HOUR,
            antenna_silent_for: DAY,
            sensor_bad_after: Duration::from_secs(60),
            flap_count: 5,
            flap_window: HOUR,
            flap_quiet: 15 * MINUTE,
            assets: AssetRules::default(),
            policies: Vec::new(),
            quiet_hours: Vec::new(),
        }
    }
}

/// What holds for the alerts of a rule, of a class, of a site. What is `None` fits every one, or leaves
/// things as they are.
#[derive(Clone, Debug, Default)]
pub struct AlertPolicy {
    pub rule: Option<Rule>,
    pub class: Option<ClassId>,
    pub site: Option<SiteId>,
    pub enabled: Option<bool>,
    pub severity: Option<Severity>,
    /// How long the condition must hold before it fires.
    pub pending: Option<Duration>,
    /// Firing and told, and not acknowledged for this long, it escalates:
    pub escalate_after: Option<Duration>,
    /// to at least this severity,
    pub escalate_severity: Option<Severity>,
    /// and to these receivers beside those below.
    pub escalate_to: Option<Vec<String>>,
    /// Who is told; `None`: every receiver whose own filters fit.
    pub receivers: Option<Vec<String>>,
}

/// Hours of the day, by the site's clock, in which nobody is told of what is less severe.
#[derive(Clone, PartialEq, Debug)]
pub struct QuietHours {
    /// `None`: every site.
    pub site: Option<SiteId>,
    pub from: Time,
    /// Before `from`: on the next day.
    pub to: Time,
    pub below: Severity,
}

/// `receivers`: the names of `[notify]`.
pub(super) fn alerts(section: Option<Section<'_>>, scope: &Scope<'_>, receivers: &[String]) -> AlertRules {
    let mut rules = AlertRules::default();
    let Some(section) = section else { return rules };
    set(&mut rules.reader_down_after, section.duration("reader_down_after", SECOND..=DAY));
    set(&mut rules.watcher_suspect_assets, section.integer("watcher_suspect_assets", 1..=1_000_000));
    set(&mut rules.watcher_suspect_share, section.number("watcher_suspect_share", 0.01..=1.0));
    set(&mut rules.watcher_suspect_for, section.duration("watcher_suspect_for", MINUTE..=400 * DAY));
    set(&mut rules.antenna_silent_for, section.duration("antenna_silent_for", MINUTE..=400 * DAY));
    set(&mut rules.sensor_bad_after, section.duration("sensor_bad_after", SECOND..=DAY));
    set(&mut rules.flap_count, section.integer("flap_count", 1..=100));
    set(&mut rules.flap_window, section.duration("flap_window", SECOND..=30 * DAY));
    rules.assets = asset_rules(&section);
    set(&mut rules.flap_quiet, section.duration("flap_quiet", SECOND..=30 * DAY));
    rules.policies = section.tables("rule").into_iter().map(|s| policy(s, scope, receivers)).collect();
    rules.quiet_hours =
        section.tables("quiet_hours").into_iter().filter_map(|s| quiet_hours(s, scope)).collect();
    section.finish();
    rules
}

fn policy(section: Section<'_>, scope: &Scope<'_>, receivers: &[String]) -> AlertPolicy {
    let known = Rule::ALL.map(|rule| (rule.as_str(), rule));
    let named = |key: &str| {
        let allowed = "the names of receivers under [notify]";
        section.list(key, allowed, |value| {
            let name = value.as_str()?;
            receivers.iter().any(|known| known == name).then(|| name.to_owned())
        })
    };
    let policy = AlertPolicy {
        rule: section.choice("rule", &known),
        class: section.text("class").map(ClassId::new),
        site: scope.refer(&section, "site", "site").map(SiteId::new),
        enabled: section.flag("enabled"),
        severity: section.choice("severity", &SEVERITIES),
        pending: section.duration("pending", Duration::ZERO..=30 * DAY),
        escalate_after: section.duration("escalate_after", SECOND..=30 * DAY),
        escalate_severity: section.choice("escalate_severity", &SEVERITIES),
        escalate_to: named("escalate_to"),
        receivers: named("receivers"),
    };
    if section.has("escalate_to") && !section.has("receivers") {
        let wrong = "without receivers, all of them are told from the start";
        section.problem("escalate_to", wrong, "write receivers too, or take it out");
    }
    section.finish();
    policy
}

fn quiet_hours(section: Section<'_>, scope: &Scope<'_>) -> Option<QuietHours> {
    let site = scope.refer(&section, "site", "site").map(SiteId::new);
    let allowed = "a time of day, for instance \"22:00\"";
    let time = |key: &str| {
        let time = section
            .parsed(key, allowed, |text| Time::strptime("%H:%M", text).map_err(|_| "not a time of day"));
        section.need(key, time, allowed)
    };
    let (from, to) = (time("from"), time("to"));
    if from.is_some() && from == to {
        section.problem("to", "the same as from", "an end that is not the beginning");
    }
    let below = section.choice("below", &SEVERITIES).unwrap_or(Severity::Critical);
    section.finish();
    Some(QuietHours { site, from: from?, to: to?, below })
}
