//! What made an event: its clocks and its source. Every event of tracking is built here.

use crate::domain::events::{Event, EventBody, Subject};
use crate::domain::ids::{EventId, SiteId, SourceId};
use crate::domain::sightings::Sighting;
use crate::domain::time::Timestamp;

/// Source of what the daemon itself decided: deadlines, commands, its own gaps.
pub(super) const OWN_SOURCE: &str = "tallyman";

#[derive(Clone, Debug)]
pub(super) struct Cause {
    pub source: SourceId,
    pub observed_at: Timestamp,
    pub received_at: Timestamp,
    pub late: bool,
}

impl Cause {
    pub fn of(sighting: &Sighting) -> Self {
        Self {
            source: sighting.source.clone(),
            observed_at: sighting.observed_at,
            received_at: sighting.received_at,
            late: sighting.late,
        }
    }

    /// Something of our own: a deadline that passed at `observed_at`, a command.
    pub fn own(observed_at: Timestamp, received_at: Timestamp) -> Self {
        Self { source: SourceId::new(OWN_SOURCE), observed_at, received_at, late: false }
    }

    /// An event of this cause. Its id is made of the subject, the kind, the exact time and `parts`,
    /// which tell it from every other event of the same subject, kind and time.
    pub fn event(&self, site: Option<SiteId>, subject: Subject, body: EventBody, parts: &[&[u8]]) -> Event {
        let micros = self.observed_at.as_micros().to_be_bytes();
        let name = subject.to_string();
        let mut all: Vec<&[u8]> = vec![name.as_bytes(), body.kind().as_bytes(), &micros];
        all.extend_from_slice(parts);
        Event {
            id: EventId::derive(self.observed_at, &all),
            site,
            subject,
            source: self.source.clone(),
            observed_at: self.observed_at,
            received_at: self.received_at,
            late: self.late,
            confidence: None,
            body,
        }
    }
}
