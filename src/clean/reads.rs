//! What RFID readers say: reads of tags to the read points that their antennas serve, and the readers' events.

use super::clock::{ClockFault, ReaderClock};
use super::portal::Heard;
use super::presence::Reads;
use super::{CLOCK_AHEAD, Cleaned, Cleaner, TOO_MANY_TAGS, TOO_OLD, UNASSIGNED_ANTENNA};
use crate::domain::readings::{DeviceTime, ReaderEvent, ReaderEventKind, TagRead};
use crate::domain::time::Timestamp;

impl Cleaner {
    pub(super) fn tag(
        &mut self,
        read: &TagRead,
        index: usize,
        received: Timestamp,
        out: &mut Cleaned,
    ) -> Option<&'static str> {
        let source = &mut self.sources[index];
        let last = if read.last_seen == DeviceTime::None { read.first_seen } else { read.last_seen };
        let live = source.live();
        let observed = match source.told.clock.observe(last, received, live, &self.clock_rules) {
            Ok(observed) => observed,
            Err(fault) => {
                source.dirty = true;
                return Some(reason_of(fault));
            }
        };
        if source.observe(observed, received) {
            let reason = if source.live() { "caught up" } else { "far behind" };
            self.relink(index, reason, received, received, out);
        }
        let first = observed - ReaderClock::span(read.first_seen, last);
        let reads = Reads { first, last: observed, count: u32::from(read.seen_count.max(1)) };
        let watches = self.sources[index].watches(read.antenna).len();
        let mut taken = 0;
        for nth in 0..watches {
            taken += usize::from(self.watched(index, nth, read, reads, received, out));
        }
        match (watches, taken) {
            (0, _) => Some(UNASSIGNED_ANTENNA),
            (_, 0) => Some(TOO_MANY_TAGS),
            _ => None,
        }
    }

    /// A read at one of the read points that its antenna serves. `false` where it is of a new tag, and there
    /// are too many already.
    fn watched(
        &mut self,
        index: usize,
        nth: usize,
        read: &TagRead,
        reads: Reads,
        received: Timestamp,
        out: &mut Cleaned,
    ) -> bool {
        let source = &self.sources[index];
        let watch = source.watches(read.antenna)[nth];
        let point = &mut self.points[watch.point];
        point.advance(&self.sources, &mut self.seen);
        if point.rule.reference.is_none_or(|reference| reference == read.epc) {
            point.traffic((&source.id, read.antenna), reads.last, &self.sources, &mut self.seen);
        }
        self.tags = point.count(self.tags);
        let has_room = self.tags < self.max_tags || point.windows.holds(read.epc);
        let is_reference = self.rules.references.contains(&read.epc);
        if has_room && !is_reference {
            let heard = Heard { antenna: read.antenna, inside: watch.inside, peak_dbm: read.peak_rssi_dbm };
            point.read(read.epc, reads, heard, &mut self.seen);
        }
        self.put_out(watch.point, received, out);
        has_room || is_reference
    }

    pub(super) fn reader_event(
        &mut self,
        event: &ReaderEvent,
        index: usize,
        received: Timestamp,
        out: &mut Cleaned,
    ) -> Option<&'static str> {
        let source = &mut self.sources[index];
        match event.kind {
            ReaderEventKind::Connected => {
                source.told.clock.connected(event.time, received);
                source.dirty = true;
            }
            ReaderEventKind::Antenna { antenna, connected } => {
                let id = source.id.clone();
                let watched: Vec<usize> = source.watches(antenna).iter().map(|watch| watch.point).collect();
                for point in watched {
                    let which = (id.clone(), antenna);
                    self.points[point].antenna(which, connected, received, &self.sources, &mut self.seen);
                    self.put_out(point, received, out);
                }
            }
            ReaderEventKind::BufferLevel { .. }
            | ReaderEventKind::BufferOverflow
            | ReaderEventKind::Exception { .. }
            | ReaderEventKind::Gpi { .. }
            | ReaderEventKind::Other { .. } => {}
        }
        None
    }
}

fn reason_of(fault: ClockFault) -> &'static str {
    match fault {
        ClockFault::Ahead => CLOCK_AHEAD,
        ClockFault::TooOld => TOO_OLD,
    }
}
