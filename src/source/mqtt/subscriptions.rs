//! What we have subscribed to at a broker, over restarts: a session keeps what was subscribed in it, also what the
//! configuration no longer has.
//!
//! What is about to be subscribed is noted in the journal, and what the broker let go of is taken out again. The note may
//! lag behind by a moment, and is lost with the journal; then an old subscription stays until the session ends.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::packets::ToBroker;
use crate::config::{BrokerConfig, TopicConfig};
use crate::domain::ids::SourceId;
use crate::domain::state::{StateKind, StateRow};
use crate::journal::Control;

/// Of the one UNSUBSCRIBE that a connection carries.
pub const UNSUBSCRIBE_ID: u16 = 2;

/// What the journal remembers of a broker, and the way to tell it more.
pub struct Memory {
    /// The row of an earlier run.
    pub row: Option<Vec<u8>>,
    pub notes: mpsc::Sender<Control>,
}

pub struct Subscriptions {
    broker: SourceId,
    held: Held,
    /// The journal does not know yet.
    is_new: bool,
    notes: mpsc::Sender<Control>,
}

/// What the broker may hold for our session; the row.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Held {
    /// Whose session it is, and where.
    session: String,
    filters: BTreeSet<String>,
}

impl Subscriptions {
    pub fn new(config: &BrokerConfig, memory: Memory) -> Self {
        let session = format!("{} at {}:{}", config.client_id, config.host, config.port);
        let row = memory.row.as_deref().map(serde_json::from_slice::<Held>);
        let known = match row {
            Some(Ok(known)) => Some(known).filter(|known| known.session == session),
            Some(Err(error)) => {
                warn!(source = %config.name, %error, "what was subscribed before cannot be read; it stays subscribed");
                None
            }
            None => None,
        };
        let held = known.unwrap_or(Held { session, filters: BTreeSet::new() });
        Self { broker: config.name.clone(), held, is_new: false, notes: memory.notes }
    }

    /// The broker has accepted a connection. Whether it has forgotten a session of ours, of this run or an earlier one.
    pub fn connected(&mut self, session_present: bool) -> bool {
        let is_lost = !session_present && !self.held.filters.is_empty();
        if is_lost {
            self.held.filters.clear();
            self.is_new = true;
        }
        is_lost
    }

    /// These are about to be subscribed to. Gives what is to be sent first: the others are let go of.
    pub fn begin(&mut self, topics: &[TopicConfig]) -> Option<ToBroker<'_>> {
        let wanted: BTreeSet<&str> = topics.iter().map(|topic| topic.pattern.filter()).collect();
        for filter in &wanted {
            self.is_new |= self.held.filters.insert((*filter).to_owned());
        }
        self.note();
        let unwanted = self.held.filters.iter().map(String::as_str);
        let unwanted: Vec<&str> = unwanted.filter(|filter| !wanted.contains(filter)).collect();
        if unwanted.is_empty() {
            return None;
        }
        info!(source = %self.broker, ?unwanted, "unsubscribes from what the configuration no longer has");
        Some(ToBroker::Unsubscribe { packet_id: UNSUBSCRIBE_ID, filters: unwanted })
    }

    /// The broker answers, of each filter in order; none of them: it let go of all.
    pub fn let_go(&mut self, topics: &[TopicConfig], packet_id: u16, results: &[Result<(), String>]) {
        if packet_id != UNSUBSCRIBE_ID {
            return;
        }
        let is_wanted = |filter: &String| topics.iter().any(|topic| topic.pattern.filter() == filter);
        let unwanted: Vec<String> =
            self.held.filters.iter().filter(|filter| !is_wanted(filter)).cloned().collect();
        for (place, filter) in unwanted.iter().enumerate() {
            match results.get(place) {
                Some(Err(why)) => {
                    warn!(source = %self.broker, filter, why, "the broker does not let go of a subscription; it is asked again");
                }
                Some(Ok(())) | None => self.is_new |= self.held.filters.remove(filter),
            }
        }
        self.note();
    }

    /// Tells the journal what is new, where it has room; to be called now and then, for where it had none.
    pub fn note(&mut self) {
        if self.is_new {
            let row = StateRow::put(StateKind::Subscription, self.broker.as_str(), &self.held);
            self.is_new = self.notes.try_send(Control::Note(row)).is_err();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::gps::Format;
    use crate::decode::gps::topic::TopicPattern;

    fn topics(filters: &[&str]) -> Vec<TopicConfig> {
        let topic = |filter: &&str| TopicConfig {
            pattern: TopicPattern::parse(filter).unwrap(),
            format: Format::OwnTracks,
            qos: 1,
        };
        filters.iter().map(topic).collect()
    }

    fn config(client_id: &str) -> BrokerConfig {
        BrokerConfig { name: "b".into(), ..BrokerConfig::new("h".to_owned(), 1883, client_id.to_owned()) }
    }

    fn unwanted(subscriptions: &mut Subscriptions, filters: &[&str]) -> Vec<String> {
        match subscriptions.begin(&topics(filters)) {
            Some(ToBroker::Unsubscribe { filters, .. }) => filters.into_iter().map(str::to_owned).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn noted(notes: &mut mpsc::Receiver<Control>) -> Vec<u8> {
        match notes.try_recv() {
            Ok(Control::Note(row)) => row.value.unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_not_wanted_is_let_go_of_once_and_what_is_refused_again() {
        let (sender, mut notes) = mpsc::channel(1);
        let memory = |row| Memory { row, notes: sender.clone() };
        let mut first = Subscriptions::new(&config("t"), memory(None));
        assert!(!first.connected(false), "there was none");
        assert!(first.begin(&topics(&["a/#", "b/#", "c/#"])).is_none());
        let row = noted(&mut notes);
        let mut second = Subscriptions::new(&config("t"), memory(Some(row.clone())));
        assert!(!second.connected(true));
        assert_eq!(unwanted(&mut second, &["b/#"]), ["a/#", "c/#"]);
        assert!(notes.try_recv().is_err(), "nothing is new");
        second.let_go(&topics(&["b/#"]), UNSUBSCRIBE_ID, &[Ok(()), Err("no".to_owned())]);
        let mut third = Subscriptions::new(&config("t"), memory(Some(noted(&mut notes))));
        third.connected(true);
        assert_eq!(unwanted(&mut third, &["b/#"]), ["c/#"]);
        third.let_go(&topics(&["b/#"]), UNSUBSCRIBE_ID, &[]);
        assert!(third.begin(&topics(&["b/#"])).is_none(), "3.1.1 says nothing of single ones");
        // Another session knows nothing of these, nor does one that was lost.
        let mut other = Subscriptions::new(&config("other"), memory(Some(row.clone())));
        assert!(!other.connected(true));
        assert!(other.begin(&topics(&["b/#"])).is_none());
        let mut lost = Subscriptions::new(&config("t"), memory(Some(row)));
        assert!(lost.connected(false), "while we were down");
        assert!(!lost.connected(false), "which is told once");
        assert!(lost.begin(&topics(&["b/#"])).is_none());
        assert!(lost.connected(false), "since it was subscribed to again");
    }

    #[test]
    fn a_note_that_finds_no_room_is_made_later() {
        let (sender, mut notes) = mpsc::channel(1);
        let full = StateRow::put(StateKind::Subscription, "x", &0);
        sender.try_send(Control::Note(full)).unwrap();
        let mut subscriptions = Subscriptions::new(&config("t"), Memory { row: None, notes: sender });
        subscriptions.begin(&topics(&["a/#"]));
        noted(&mut notes);
        assert!(notes.try_recv().is_err());
        subscriptions.note();
        assert!(String::from_utf8(noted(&mut notes)).unwrap().contains("a/#"));
    }
}
