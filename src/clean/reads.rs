//! What RFID readers say: reads of tags to the read points that their antennas serve, and the readers' events.

use super::clock::{ClockFault, ReaderClock};
use super::neighbours::Neighbours;
use super::portal::Heard;
use super::portal::phase::Phase;
use super::presence::Reads;
use super::{
    CLOCK_AHEAD, Cleaned, Cleaner, EXCLUDED, NOT_INCLUDED, PHANTOM, TOO_MANY_TAGS, TOO_OLD,
    UNASSIGNED_ANTENNA, UNCONFIRMED,
};
use crate::domain::epc::Epc;
use crate::domain::ids::Antenna;
use crate::domain::readings::{DeviceTime, ReaderEvent, ReaderEventKind, TagRead};
use crate::domain::sightings::{Seen, Sighting, Trouble};
use crate::domain::tag_filter::Refused;
use crate::domain::time::Timestamp;

/// Doppler of a reflection is two wavelengths' worth; half of one, between 865 and 928 MHz.
pub(super) const HALF_WAVE_M: f32 = 0.168;

impl Cleaner {
    pub(super) fn tag(
        &mut self,
        read: &TagRead,
        index: usize,
        received: Timestamp,
        is_known: &dyn Fn(&Epc) -> bool,
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
        if self.sources[index].is_phantom(read) {
            return Some(PHANTOM);
        }
        let reads =
            if self.exists(read, index, is_known) { Some(reads) } else { self.doubts.hear(read.epc, reads) };
        let Some(reads) = reads else { return Some(UNCONFIRMED) };
        let watches = self.sources[index].watches(read.antenna).len();
        let mut set_aside = (watches == 0).then_some(UNASSIGNED_ANTENNA);
        let mut is_taken = false;
        for nth in 0..watches {
            match self.watched(index, nth, read, reads, received, out) {
                Ok(()) => is_taken = true,
                Err(reason) => set_aside = set_aside.or(Some(reason)),
            }
        }
        set_aside.filter(|_| !is_taken)
    }

    /// Whether the code needs no further read to be believed: it is known, expected, no matter to us, or heard
    /// here just now. The cheapest question comes first.
    fn exists(&self, read: &TagRead, index: usize, is_known: &dyn Fn(&Epc) -> bool) -> bool {
        let source = &self.sources[index];
        let epc = &read.epc;
        let watches = source.watches(read.antenna);
        let points = || watches.iter().map(|watch| &self.points[watch.point]);
        self.doubts.is_off()
            || watches.is_empty()
            || points().any(|point| point.windows.holds(*epc))
            || is_known(epc)
            || self.rules.references.contains(epc)
            || source.refuses(epc).is_some()
            || source.names(epc)
            || points().any(|point| point.rule.tags.names(epc))
    }

    /// A read at one of the read points that its antenna serves. Set aside where it does not concern us there,
    /// or is of a new tag, and there are too many already.
    fn watched(
        &mut self,
        index: usize,
        nth: usize,
        read: &TagRead,
        reads: Reads,
        received: Timestamp,
        out: &mut Cleaned,
    ) -> Result<(), &'static str> {
        let source = &self.sources[index];
        let refused = source.refuses(&read.epc);
        let watch = source.watches(read.antenna)[nth];
        let (point, others) = Neighbours::of(&mut self.points, watch.point);
        point.advance(&self.sources, others, &mut self.seen);
        let is_own_reference = point.rule.reference == Some(read.epc);
        point.heard(watch.ear, (reads.last, is_own_reference), &self.sources, &mut self.seen);
        if is_own_reference || point.rule.reference.is_none() {
            point.traffic(reads.last, &self.sources, &mut self.seen);
        }
        self.tags = point.count(self.tags);
        let is_reference = self.rules.references.contains(&read.epc);
        let refused = refused.or_else(|| point.rule.tags.refuses(&read.epc)).filter(|_| !is_reference);
        let has_room = refused.is_some() || self.tags < self.max_tags || point.windows.holds(read.epc);
        if has_room && !is_reference && refused.is_none() {
            let nearing_mps = read.doppler_hz.map(|hz| hz * HALF_WAVE_M);
            let (antenna, inside, peak_dbm) = (read.antenna, watch.inside, read.peak_rssi_dbm);
            let phase = read.phase_deg.zip(read.channel).map(|(deg, channel)| Phase { deg, channel });
            let heard = Heard { antenna, inside, peak_dbm, nearing_mps, phase };
            point.read(read.epc, reads, (watch.ear, heard), others, &mut self.seen);
            self.overtake(watch.point);
        }
        self.put_out(watch.point, received, out);
        match refused {
            Some(Refused::Excluded) => Err(EXCLUDED),
            Some(Refused::NotIncluded) => Err(NOT_INCLUDED),
            None if has_room || is_reference => Ok(()),
            None => Err(TOO_MANY_TAGS),
        }
    }

    /// Who had a tag that another has now, has it beside.
    fn overtake(&mut self, by: usize) {
        let mut overtaken = std::mem::take(&mut self.points[by].overtaken);
        for (point, epc) in overtaken.drain(..) {
            if let Some(presence) = self.points[point].windows.presence(epc) {
                presence.beside = true;
            }
        }
        self.points[by].overtaken = overtaken;
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
                self.antenna((antenna, connected), |_| true, index, received, out);
            }
            // What is as it was known to be changes nothing, and says nothing of what it hears.
            ReaderEventKind::AntennaState { antenna, connected } => {
                self.antenna((antenna, connected), |is_cut| is_cut == connected, index, received, out);
            }
            ReaderEventKind::BufferLevel { .. }
            | ReaderEventKind::BufferOverflow
            | ReaderEventKind::Exception { .. }
            | ReaderEventKind::Contended => {
                if let Some(trouble) = Trouble::of(&event.kind) {
                    self.trouble(index, trouble, received, out);
                }
            }
            ReaderEventKind::Gpi { port, high } => {
                return self.input(event.time, (port, high), index, received);
            }
            ReaderEventKind::GpiState { port, high } => {
                for (_, point, nth) in self.sources[index].beams.iter().filter(|(on, ..)| *on == port) {
                    self.points[*point].beam_stands(*nth, received, high);
                }
            }
            ReaderEventKind::Other { .. } => {}
        }
        None
    }

    /// An antenna is connected or cut off; told to the read points of which `concerns` says so, given whether it is
    /// known there to be cut off.
    fn antenna(
        &mut self,
        (antenna, connected): (Antenna, bool),
        concerns: impl Fn(bool) -> bool,
        index: usize,
        received: Timestamp,
        out: &mut Cleaned,
    ) {
        let source = &self.sources[index];
        let which = (source.id.clone(), antenna);
        let watched: Vec<usize> = source.watches(antenna).iter().map(|watch| watch.point).collect();
        for point in watched {
            let (of, others) = Neighbours::of(&mut self.points, point);
            if concerns(of.ears.antennas.is_cut(&which)) {
                of.antenna(which.clone(), connected, received, &self.sources, others, &mut self.seen);
                self.put_out(point, received, out);
            }
        }
    }

    /// An input changed; where a light barrier is on it, its read point is told.
    fn input(
        &mut self,
        time: DeviceTime,
        (port, high): (u16, bool),
        index: usize,
        received: Timestamp,
    ) -> Option<&'static str> {
        let source = &self.sources[index];
        let at = match source.told.clock.place(time, received, &self.clock_rules) {
            Ok(at) => at,
            Err(fault) => return Some(reason_of(fault)),
        };
        let live = source.live();
        for (_, point, nth) in source.beams.iter().filter(|(on, ..)| *on == port) {
            self.points[*point].beam(*nth, at, high, live);
        }
        None
    }

    /// Told when it is heard of: a reader that held it back has the trouble still, as far as anybody knows.
    pub(super) fn trouble(&mut self, index: usize, trouble: Trouble, received: Timestamp, out: &mut Cleaned) {
        out.sightings.push(Sighting {
            source: self.sources[index].id.clone(),
            observed_at: received,
            received_at: received,
            late: false,
            what: Seen::Trouble(trouble),
        });
    }
}

fn reason_of(fault: ClockFault) -> &'static str {
    match fault {
        ClockFault::Ahead => CLOCK_AHEAD,
        ClockFault::TooOld => TOO_OLD,
    }
}
