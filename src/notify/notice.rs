//! One alert transition as receivers are told of it: a CloudEvents 1.0 event in JSON.

use serde_json::{Value, json};

use super::alertmanager::{action, summary};
use crate::domain::alerts::{Alert, AlertTransition};
use crate::domain::events::EventBody;
use crate::domain::ids::{EventId, NodeId};
use crate::domain::time::Timestamp;
use crate::journal::StoredEvent;

#[derive(Clone, Debug)]
pub struct Notice {
    /// Of the event that it tells of: the same however often it is told.
    pub id: EventId,
    pub recorded_at: Timestamp,
    pub transition: AlertTransition,
    pub alert: Alert,
    /// The CloudEvent.
    pub body: String,
}

impl Notice {
    /// `None` where people need not hear of the event, or where it is none of an alert.
    pub fn of(event: &StoredEvent, node: &NodeId) -> Option<Self> {
        let Ok(EventBody::Alert { transition, alert }) = serde_json::from_str(&event.body) else {
            return None;
        };
        if !alert.is_news(transition, event.received_at) {
            return None;
        }
        let body = cloud_event(event, node, transition, &alert).to_string();
        Some(Self { id: event.id, recorded_at: event.recorded_at, transition, alert: *alert, body })
    }
}

/// CloudEvents 1.0, "JSON Event Format". The type says what happened, the subject to which alert.
fn cloud_event(event: &StoredEvent, node: &NodeId, transition: AlertTransition, alert: &Alert) -> Value {
    json!({
        "specversion": "1.0",
        "id": event.id,
        "source": format!("/tallyman/{}", encoded(node.as_str())),
        "type": format!("tallyman.alert.{}", transition.as_str()),
        "subject": alert.key.to_string(),
        "time": event.observed_at,
        "datacontenttype": "application/json",
        "data": {
            "seq": event.seq,
            "transition": transition.as_str(),
            "summary": summary(alert),
            "action": action(&alert.key),
            "alert": alert,
        },
    })
}

/// As a path of a URI has it (RFC 3986, section 2.3).
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::alerts::{AlertKey, AlertState, Rule, Severity};

    fn event(transition: AlertTransition, change: impl FnOnce(&mut Alert)) -> StoredEvent {
        let at = Timestamp::from_secs(1_800_000_000);
        let key = AlertKey::new(Rule::Ghost, "FL 07");
        let mut alert = Alert::begin(key, EventId([1; 16]), Severity::Warning, None, "gone".to_owned(), at);
        alert.state = AlertState::Firing;
        alert.told_at = Some(at);
        change(&mut alert);
        let body = EventBody::Alert { transition, alert: Box::new(alert) };
        StoredEvent {
            seq: 7,
            id: EventId([2; 16]),
            version: 1,
            kind: "alert".into(),
            site: None,
            subject: "asset:FL 07".into(),
            source: "tallyman".into(),
            observed_at: at,
            received_at: at,
            recorded_at: at,
            late: false,
            confidence: None,
            body: serde_json::to_string(&body).unwrap().into(),
        }
    }

    fn notice(transition: AlertTransition, change: impl FnOnce(&mut Alert)) -> Option<Notice> {
        Notice::of(&event(transition, change), &NodeId::new("plant 1"))
    }

    #[test]
    fn a_transition_is_a_cloud_event() {
        let notice = notice(AlertTransition::Fired, |_| {}).unwrap();
        let body: Value = serde_json::from_str(&notice.body).unwrap();
        assert_eq!(body["specversion"], "1.0");
        assert_eq!(body["id"], "02020202020202020202020202020202");
        assert_eq!(body["source"], "/tallyman/plant%201");
        assert_eq!(body["type"], "tallyman.alert.fired");
        assert_eq!(body["subject"], "ghost/FL 07");
        assert_eq!(body["time"], "2027-01-15T08:00:00Z");
        assert_eq!(body["data"]["alert"]["key"]["rule"], "ghost");
        assert!(body["data"]["action"].as_str().unwrap().contains("tallyman explain"));
    }

    #[test]
    fn people_hear_of_what_is_told_and_of_the_end_of_what_was() {
        use AlertTransition::{Acknowledged, Fired, Inhibited, Pending, Resolved, Unsnoozed};
        let kept = |alert: &mut Alert| {
            alert.inhibited_by = Some(AlertKey::new(Rule::ReaderDown, "crib"));
            alert.told_at = None;
        };
        assert!(notice(Pending, |_| {}).is_none());
        assert!(notice(Fired, kept).is_none() && notice(Acknowledged, kept).is_none());
        assert!(notice(Resolved, kept).is_none() && notice(Inhibited, kept).is_none());
        let over = |alert: &mut Alert| alert.state = AlertState::Resolved;
        assert!(notice(Resolved, over).is_some() && notice(Unsnoozed, |_| {}).is_some());
    }
}
