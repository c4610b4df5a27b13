//! Troubles of readers that are up: `reader-trouble` (subject `READER/WHAT`).
//!
//! A reader says that something is wrong and never that it is right again, and a new connection mends nothing. So a
//! trouble stands while it is repeated, and is over when it has not been told for [`CALM`].

use std::time::Duration;

use super::Tracker;
use super::alerts::Details;
use super::cause::Cause;
use super::deadlines::Deadlines;
use crate::domain::alerts::{AlertKey, Rule, Severity};
use crate::domain::events::Event;
use crate::domain::ids::SourceId;
use crate::domain::sightings::Trouble;
use crate::domain::time::Timestamp;

/// Not told for this long, it is over. An assumption: no protocol says how often a reader repeats what is wrong.
/// One that reads has a round every few seconds at most, and what is wrong with a round would be told with each.
const CALM: Duration = Duration::from_secs(10 * 60);

/// When each trouble that stands would be over.
#[derive(Debug, Default)]
pub(super) struct Troubles(Deadlines<AlertKey>);

impl Troubles {
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.0.first()
    }
}

fn key(source: &SourceId, what: &str) -> AlertKey {
    AlertKey::new(Rule::ReaderTrouble, format!("{source}/{what}"))
}

impl Tracker {
    pub(super) fn trouble(&mut self, trouble: &Trouble, cause: &Cause, out: &mut Vec<Event>) {
        let source = &cause.source;
        let key = key(source, trouble.what());
        let details = Details {
            site: self.topology.site_of_source(source).cloned(),
            severity: Severity::Warning,
            summary: format!("{source}{} {trouble}{}", by_whom(trouble), advice(trouble)),
            pending: Duration::ZERO,
            episode: 0,
        };
        self.raise(&key, details, cause, out);
        self.troubles.0.set(key, Some(self.now + CALM));
    }

    /// The earliest trouble that has not been told again is over.
    pub(super) fn pass_trouble(&mut self, until: Timestamp, now: Timestamp, out: &mut Vec<Event>) {
        let Some((at, key)) = self.troubles.0.pop(until) else { return };
        self.alerts.condition(&key, None, &Cause::own(at, now), out);
    }

    /// After a start: what stood before is over unless it is told again.
    pub(super) fn resume_troubles(&mut self, now: Timestamp) {
        for key in self.alerts.open_of(Rule::ReaderTrouble) {
            self.troubles.0.set(key, Some(now + CALM));
        }
    }
}

/// Of its clock it says nothing itself.
fn by_whom(trouble: &Trouble) -> &'static str {
    match trouble {
        Trouble::ClockOff { .. } | Trouble::ClockDrift { .. } => ":",
        _ => " says:",
    }
}

/// What to do about it, after what the reader says.
fn advice(trouble: &Trouble) -> &'static str {
    match trouble {
        Trouble::BufferFilling { .. } => {
            "; it reads more than is taken from it: look at the network and at the daemon's queues"
        }
        Trouble::BufferOverflow => "; look at the network, and at how long it was away",
        Trouble::Exception { .. } => "",
        Trouble::Contended => {
            ", and it serves one client: is there a second daemon, or a tool that somebody uses?"
        }
        Trouble::ClockOff { .. } => {
            "; that is taken off what it says, but not off what it holds while its clock is put right: see which of the \
             two is right, and let both have their time from a server (NTP)"
        }
        Trouble::ClockDrift { .. } => {
            ", more than a clock does that is sound; that is followed while it is connected: let it have its time from a \
             server (NTP), or replace it"
        }
    }
}
