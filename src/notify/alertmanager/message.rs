//! One alert in Alertmanager's words. Labels are its identity there, so they hold what does not change
//! while it stands; everything else is an annotation.

use serde_json::{Value, json};

use crate::domain::alerts::{Alert, AlertKey, Rule};
use crate::domain::ids::NodeId;
use crate::domain::time::Timestamp;

/// What is said of an alert that fired, but for when it ends.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Message {
    labels: Value,
    annotations: Value,
    pub starts_at: Timestamp,
}

impl Message {
    /// `None` where it never fired. A start that lies ahead of `now`, as a device's clock may have it, is
    /// brought back to it: Alertmanager would hold an end before the start against the whole alert.
    pub fn of(alert: &Alert, node: &NodeId, now: Timestamp) -> Option<Self> {
        let starts_at = alert.fired_at?.min(now);
        let mut labels = json!({
            "alertname": alert_name(alert.key.rule),
            "rule": alert.key.rule.as_str(),
            "subject": alert.key.subject,
            "severity": alert.severity.as_str(),
            "node": node.as_str(),
        });
        if let Some(site) = &alert.site {
            labels["site"] = site.as_str().into();
        }
        let mut annotations = json!({
            "summary": summary(alert),
            "action": action(&alert.key),
            "incident": alert.incident.to_string(),
        });
        if let Some(acknowledged) = &alert.acknowledged {
            annotations["acknowledged_by"] = acknowledged.by.clone().into();
            annotations["acknowledged_at"] = acknowledged.at.to_string().into();
            if let Some(note) = &acknowledged.note {
                annotations["acknowledged_note"] = note.clone().into();
            }
        }
        if let Some(assigned) = &alert.assigned {
            annotations["assigned_to"] = assigned.to.clone().into();
        }
        if let Some(previous) = alert.previous_incident {
            annotations["previous_incident"] = previous.to_string().into();
        }
        if let Some(door) = &alert.door {
            annotations["door"] = door.read_point.as_str().into();
        }
        if alert.explains > 0 {
            annotations["explains"] = alert.explains.to_string().into();
        }
        if let Some(at) = alert.escalated_at {
            annotations["escalated_at"] = at.to_string().into();
        }
        if let Some(since) = alert.flapping_since {
            annotations["flapping_since"] = since.to_string().into();
        }
        Some(Self { labels, annotations, starts_at })
    }

    /// Always fires, from `since` on: its end is what tells of a dead daemon.
    pub fn watchdog(node: &NodeId, since: Timestamp) -> Self {
        Self {
            labels: json!({ "alertname": "TallymanWatchdog", "severity": "none", "node": node.as_str() }),
            annotations: json!({
                "summary": "tallyman is alive; when this alert ends, nobody is watching the assets",
                "action": "when it is gone: `systemctl status tallyman`, `journalctl -u tallyman`",
            }),
            // Without one Alertmanager takes the end for the start, which then lies ahead and moves.
            starts_at: since,
        }
    }

    /// The labels as text: the same text is the same alert.
    pub fn identity(&self) -> String {
        self.labels.to_string()
    }

    /// As Alertmanager's API takes it.
    pub fn until(&self, ends_at: Timestamp, link: Option<&str>) -> Value {
        let mut alert = json!({
            "labels": self.labels,
            "annotations": self.annotations,
            "startsAt": self.starts_at,
            "endsAt": ends_at,
        });
        if let Some(link) = link {
            alert["generatorURL"] = link.into();
        }
        alert
    }
}

fn alert_name(rule: Rule) -> &'static str {
    match rule {
        Rule::Ghost => "TallymanGhost",
        Rule::OverdueReturn => "TallymanOverdueReturn",
        Rule::Condition => "TallymanCondition",
        Rule::SensorBad => "TallymanSensorBad",
        Rule::ReaderDown => "TallymanReaderDown",
        Rule::ReaderTrouble => "TallymanReaderTrouble",
        Rule::SiteDown => "TallymanSiteDown",
        Rule::WatcherSuspect => "TallymanWatcherSuspect",
        Rule::Journal => "TallymanJournal",
        Rule::Zombie => "TallymanZombie",
        Rule::UnauthorisedExit => "TallymanUnauthorisedExit",
        Rule::NotReadyExit => "TallymanNotReadyExit",
        Rule::WrongZone => "TallymanWrongZone",
        Rule::KitIncomplete => "TallymanKitIncomplete",
        Rule::TrackerSilent => "TallymanTrackerSilent",
        Rule::TrackerBattery => "TallymanTrackerBattery",
        Rule::TrackerClock => "TallymanTrackerClock",
        Rule::RepeatOffender => "TallymanRepeatOffender",
        Rule::Idle => "TallymanIdle",
        Rule::OverdueInspection => "TallymanOverdueInspection",
        Rule::Maintenance => "TallymanMaintenance",
    }
}

/// The alert's own words, with how many others it stands for.
pub(in crate::notify) fn summary(alert: &Alert) -> String {
    match alert.explains {
        0 => alert.summary.clone(),
        1 => format!("{} (explains 1 other alert, which is not told)", alert.summary),
        more => format!("{} (explains {more} other alerts, which are not told)", alert.summary),
    }
}

/// What to type next, for who was woken by it.
pub(in crate::notify) fn action(key: &AlertKey) -> String {
    let subject = word(&key.subject);
    let look = match key.rule {
        Rule::Ghost => {
            format!("`tallyman explain {subject}` tells when and where it was last heard, and who had it")
        }
        Rule::OverdueReturn => format!(
            "`tallyman explain {subject}` tells who has it and where it was last heard; `tallyman check-in {subject}` takes it back"
        ),
        Rule::Condition => "look at the place first, at the sensor second".to_owned(),
        Rule::SensorBad | Rule::ReaderDown | Rule::SiteDown => {
            "`tallyman check --connect` tries every device and says what it finds".to_owned()
        }
        Rule::ReaderTrouble => "look at the reader itself, and at what else connects to it".to_owned(),
        Rule::WatcherSuspect => "hold a known tag to its antenna: is it read?".to_owned(),
        Rule::UnauthorisedExit | Rule::NotReadyExit | Rule::WrongZone | Rule::KitIncomplete => {
            format!(
                "go and look at the door; `tallyman explain {subject}` tells where it went and who has it"
            )
        }
        Rule::Zombie => {
            "find what carries the tag: put it on the register, or take the tag off it".to_owned()
        }
        Rule::TrackerSilent => {
            "look at its battery and antenna; the asset itself may be where it was".to_owned()
        }
        Rule::TrackerClock => "set the tracker's clock, or update its firmware".to_owned(),
        Rule::TrackerBattery => {
            "charge the tracker, or change its battery, before it falls silent".to_owned()
        }
        Rule::RepeatOffender => format!("talk to {}: what did not come back, and why?", key.subject),
        Rule::Idle => {
            format!("`tallyman explain {subject}` tells where it stands: does anybody still need it?")
        }
        Rule::OverdueInspection => "take it out of use until it is inspected".to_owned(),
        Rule::Maintenance => "`tallyman maintenance list`".to_owned(),
        Rule::Journal => "`df` and `journalctl -u tallyman` on the machine itself".to_owned(),
    };
    format!("{look}; `tallyman acknowledge {}` tells the others that you are on it", word(&key.to_string()))
}

/// As a shell takes it for one word.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:+@".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_space_is_one_word_of_the_command() {
        let key = AlertKey::new(Rule::Ghost, "FL 07");
        assert!(action(&key).contains("`tallyman explain 'FL 07'`"), "{}", action(&key));
        assert!(action(&key).contains("`tallyman acknowledge 'ghost/FL 07'`"), "{}", action(&key));
        assert_eq!(word("it's"), r"'it'\''s'");
    }
}
