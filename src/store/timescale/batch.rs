//! Events of the journal → what one transaction writes. Pure: reads no journal and talks to no server.

use std::collections::BTreeMap;
use std::time::Duration;

use super::current::Current;
use super::encode::CopyBuffer;
use super::tables::Table;
use crate::domain::ids::EventId;
use crate::domain::time::Timestamp;
use crate::journal::StoredEvent;

/// A source time may lie this far ahead of our clock (with room to spare): an event observed later than
/// that behind the newest one recorded cannot be in the database yet.
const AHEAD: Duration = Duration::from_secs(600);

/// A place in the journal: everything up to it is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mark {
    pub seq: u64,
    /// `None` before the first event, or where the event was pruned.
    pub id: Option<EventId>,
}

/// Which journal the rows come from, and which of them may already be in the database.
#[derive(Clone, PartialEq, Debug)]
pub struct Lineage {
    pub node: String,
    pub epoch: Epoch,
    /// Events observed up to about here are inserted only where their id is not there.
    pub overlap_until: Option<Timestamp>,
}

/// Identity of a journal's line of events: 16 bytes, written as 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Epoch(pub [u8; 16]);

impl Epoch {
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl std::fmt::Display for Epoch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// What one transaction writes, and where the watermark then stands.
#[derive(Debug)]
pub struct Batch {
    pub after: Mark,
    pub last: Mark,
    pub events: u64,
    /// Numbers between `after` and `last` that the journal no longer holds.
    pub missing: u64,
    pub newest_recorded_at: Option<Timestamp>,
    /// For each table, as COPY takes them.
    pub rows: BTreeMap<Table, Vec<u8>>,
    /// Rows that may be there already, with the span of their `observed_at`.
    pub doubtful: BTreeMap<Table, (Vec<u8>, Span)>,
    pub current: Current,
    /// Events of a kind that has no table.
    pub unknown: Vec<StoredEvent>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    pub from: Timestamp,
    pub to: Timestamp,
}

pub struct BatchBuilder<'a> {
    lineage: &'a Lineage,
    after: Mark,
    last: Mark,
    events: u64,
    bytes: usize,
    newest_recorded_at: Option<Timestamp>,
    rows: BTreeMap<Table, CopyBuffer>,
    doubtful: BTreeMap<Table, (CopyBuffer, Span)>,
    current: Current,
    unknown: Vec<StoredEvent>,
}

impl<'a> BatchBuilder<'a> {
    pub fn new(lineage: &'a Lineage, after: Mark) -> Self {
        Self {
            lineage,
            after,
            last: after,
            events: 0,
            bytes: 0,
            newest_recorded_at: None,
            rows: BTreeMap::new(),
            doubtful: BTreeMap::new(),
            current: Current::default(),
            unknown: Vec::new(),
        }
    }

    pub fn last_seq(&self) -> u64 {
        self.last.seq
    }

    pub fn events(&self) -> u64 {
        self.events
    }

    /// Bytes of the bodies so far: what a batch's memory grows with.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds the next event; they come in the order of their numbers.
    pub fn push(&mut self, event: StoredEvent) {
        self.last = Mark { seq: event.seq, id: Some(event.id) };
        self.events += 1;
        self.bytes += event.body.len();
        self.newest_recorded_at = self.newest_recorded_at.max(Some(event.recorded_at));
        let Some(table) = Table::of_kind(&event.kind) else {
            self.unknown.push(event);
            return;
        };
        let lineage = self.lineage;
        let rows = if lineage.overlap_until.is_some_and(|until| event.observed_at <= until + AHEAD) {
            let span = Span { from: event.observed_at, to: event.observed_at };
            let (rows, held) = self.doubtful.entry(table).or_insert_with(|| (CopyBuffer::default(), span));
            *held = Span { from: held.from.min(span.from), to: held.to.max(span.to) };
            rows
        } else {
            self.rows.entry(table).or_default()
        };
        table.encode(&lineage.node, &lineage.epoch.0, &event, rows);
        self.current.event(table, &event);
    }

    /// `None` where there was no event.
    pub fn finish(self) -> Option<Batch> {
        if self.events == 0 {
            return None;
        }
        Some(Batch {
            after: self.after,
            last: self.last,
            events: self.events,
            missing: (self.last.seq - self.after.seq).saturating_sub(self.events),
            newest_recorded_at: self.newest_recorded_at,
            rows: self.rows.into_iter().map(|(table, rows)| (table, rows.finish())).collect(),
            doubtful: self
                .doubtful
                .into_iter()
                .map(|(table, (rows, span))| (table, (rows.finish(), span)))
                .collect(),
            current: self.current,
            unknown: self.unknown,
        })
    }
}
