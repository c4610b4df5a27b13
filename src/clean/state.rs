//! What survives: the rows that continue everything after a crash, and what a change of the rules keeps.
//!
//! One row a subject, written when the subject was touched since the last call, in order of kind and
//! key. After a restart every source is down and nothing hears until told.

use std::collections::BTreeMap;

use super::Cleaner;
use super::condition::SensorPoint;
use super::fixes::{Tracker, TrackerRow};
use super::hearing::{Ears, Point};
use super::packed;
use super::portal::beams::Beams;
use super::redelivery::Chunk;
use super::rows::{CleanRestoreError, parse};
use super::source::{Told, Watch};
use super::windows::Window;
use crate::domain::epc::Epc;
use crate::domain::ids::{DeviceId, ReadPointId, SourceId};
use crate::domain::state::{StateKind, StateRow};

/// A tracker's row and its chunks arrive in any order.
#[derive(Default)]
struct TrackerParts {
    row: Option<TrackerRow<'static>>,
    chunks: Vec<(u64, Chunk)>,
}

impl Cleaner {
    /// Takes up the state of an earlier run. Rows of what the rules no longer have are deleted.
    pub fn restore(
        &mut self,
        rows: impl Iterator<Item = (StateKind, String, Vec<u8>)>,
    ) -> Result<(), CleanRestoreError> {
        let mut trackers: BTreeMap<DeviceId, TrackerParts> = BTreeMap::new();
        for (kind, key, value) in rows {
            match kind {
                StateKind::Clock => self.restore_source(&key, &value)?,
                StateKind::ReadPoint => self.restore_point(key, &value)?,
                StateKind::TagWindow => self.restore_window(key, &value)?,
                StateKind::SensorPoint => self.restore_sensor(&key, &value)?,
                StateKind::Tracker => {
                    let row = packed::read(kind, &key, &value)?;
                    trackers.entry(DeviceId::from(key)).or_default().row = Some(row);
                }
                StateKind::TrackerSeen => {
                    let (device, number) = chunk_key(&key)?;
                    let chunk = parse(kind, &key, &value)?;
                    trackers.entry(device).or_default().chunks.push((number, chunk));
                }
                StateKind::Asset
                | StateKind::Watch
                | StateKind::Alert
                | StateKind::Register
                | StateKind::Link
                | StateKind::Sensor
                | StateKind::Stranger
                | StateKind::TrackerHeard
                | StateKind::TrackerUnheard
                | StateKind::SourceClock
                | StateKind::Holder
                | StateKind::Away
                | StateKind::Commands
                | StateKind::Audit
                | StateKind::AuditPart
                | StateKind::AuditItem
                | StateKind::AuditPlan
                | StateKind::Badges
                | StateKind::Door
                | StateKind::Sparkplug
                | StateKind::Answer
                | StateKind::Book
                | StateKind::Followed
                | StateKind::Subscription
                | StateKind::Receiver
                | StateKind::Erasure => {}
            }
        }
        for (device, parts) in trackers {
            self.restore_tracker(device, parts);
        }
        self.trackers.restored();
        self.points.iter_mut().for_each(|point| point.windows.restored());
        self.count_tags();
        Ok(())
    }

    fn restore_source(&mut self, key: &str, value: &[u8]) -> Result<(), CleanRestoreError> {
        let told: Told = parse(StateKind::Clock, key, value)?;
        let source = self.source(&SourceId::from(key));
        self.sources[source].told = told;
        Ok(())
    }

    fn restore_point(&mut self, key: String, value: &[u8]) -> Result<(), CleanRestoreError> {
        let ears: Ears = parse(StateKind::ReadPoint, &key, value)?;
        match self.rules.point_named(&key) {
            Some(point) => {
                let point = &mut self.points[point];
                point.ears = ears;
                point.ears.antennas.fit(&point.rule);
                point.ears.beams.lost();
            }
            None => self.orphans.push(StateRow::delete(StateKind::ReadPoint, key)),
        }
        Ok(())
    }

    /// Takes up one window, as [`Self::restore`] does and before it: there may be a million of them, too many
    /// to gather first. Nothing hears after a restart, so its deadline rests on the rules alone.
    pub fn restore_window(&mut self, key: String, value: &[u8]) -> Result<(), CleanRestoreError> {
        let wrong_key = || CleanRestoreError::Key { kind: StateKind::TagWindow, key: key.clone() };
        let (name, code) = key.rsplit_once('/').ok_or_else(wrong_key)?;
        let epc = epc_of(code).ok_or_else(wrong_key)?;
        let window: Window = parse(StateKind::TagWindow, &key, value)?;
        let point = self.rules.point_named(name).map(|point| &mut self.points[point]);
        match point.filter(|point| point.takes(&window)) {
            Some(point) => {
                let deadline = point.first_deadline(&window);
                point.windows.restore(epc, window, deadline);
            }
            None => self.orphans.push(StateRow::delete(StateKind::TagWindow, key)),
        }
        Ok(())
    }

    fn restore_sensor(&mut self, key: &str, value: &[u8]) -> Result<(), CleanRestoreError> {
        let mut sensor: SensorPoint = parse(StateKind::SensorPoint, key, value)?;
        let key = (sensor.device.clone(), sensor.point.clone());
        // Its class may have further limits, which are known again with its first sample.
        sensor.restored(self.rules.limits(&key.0, &key.1));
        sensor.checks = self.rules.checks(&key.0, &key.1);
        self.unreviewed.insert(key.0.clone());
        self.staleness.restored(key.clone(), sensor.stale);
        self.sensors.insert(key, sensor);
        Ok(())
    }

    fn restore_tracker(&mut self, device: DeviceId, parts: TrackerParts) {
        let Some(row) = parts.row else {
            let keys = parts.chunks.iter().map(|(number, _)| seen_key(&device, *number));
            self.orphans.extend(keys.map(|key| StateRow::delete(StateKind::TrackerSeen, key)));
            return;
        };
        let mut chunks = parts.chunks;
        chunks.sort_by_key(|(number, _)| *number);
        let mut tracker = Tracker::restore(row, chunks);
        tracker.retain_fences(&self.rules.fences);
        self.trackers.restore(device, tracker, &self.rules.tracker);
    }

    /// Rows of subjects touched since the last call, once each, by kind and key.
    pub fn take_dirty(&mut self, out: &mut Vec<StateRow>) {
        let mut rows = std::mem::take(&mut self.orphans);
        self.take_sources(&mut rows);
        for point in &mut self.points {
            take_point(point, &mut rows);
        }
        self.take_trackers(&mut rows);
        for key in std::mem::take(&mut self.dirty_sensors) {
            if let Some(sensor) = self.sensors.get_mut(&key) {
                sensor.dirty = false;
                rows.push(StateRow::put(StateKind::SensorPoint, format!("{}/{}", key.0, key.1), sensor));
            }
        }
        // A subject that went and came back within the call: the row that is put wins, being later.
        rows.sort_by(|a, b| (a.kind, &a.key, a.value.is_some()).cmp(&(b.kind, &b.key, b.value.is_some())));
        rows.reverse();
        rows.dedup_by(|a, b| (a.kind, &a.key) == (b.kind, &b.key));
        rows.reverse();
        out.append(&mut rows);
    }

    fn take_sources(&mut self, rows: &mut Vec<StateRow>) {
        for source in self.sources.iter_mut().filter(|source| source.dirty) {
            source.dirty = false;
            rows.push(StateRow::put(StateKind::Clock, source.id.as_str(), &source.told));
        }
    }

    fn take_trackers(&mut self, rows: &mut Vec<StateRow>) {
        for device in std::mem::take(&mut self.trackers.dirty) {
            let Some(tracker) = self.trackers.held.get_mut(&device) else { continue };
            tracker.dirty = false;
            tracker.seen.take_dirty(|number, chunk| {
                let key = seen_key(&device, number);
                rows.push(match chunk {
                    Some(chunk) => StateRow::put(StateKind::TrackerSeen, key, chunk),
                    None => StateRow::delete(StateKind::TrackerSeen, key),
                });
            });
            let may_grow = tracker.seen.open.may_grow();
            rows.push(packed::row(StateKind::Tracker, device.as_str(), &tracker.row(), may_grow));
        }
    }

    /// Makes the read points as the rules have them, of those that were there.
    pub(super) fn build_points(&mut self) {
        for source in &mut self.sources {
            source.points.clear();
            source.antennas.clear();
            source.beams.clear();
            source.reads = self.rules.reads(&source.id);
        }
        let old = std::mem::take(&mut self.points);
        let mut old: BTreeMap<ReadPointId, Point> =
            old.into_iter().map(|point| (point.rule.name.clone(), point)).collect();
        for index in 0..self.rules.points.len() {
            let mut point = self.new_point(index);
            if let Some(old) = old.remove(&point.rule.name) {
                self.carry_over(old, &mut point);
            }
            self.points.push(point);
        }
        self.tags = 0;
        self.count_tags();
        for (name, point) in old {
            self.orphans.push(StateRow::delete(StateKind::ReadPoint, name.as_str()));
            let (held, removed) = point.windows.into_parts();
            let codes = held.into_iter().map(|held| held.epc.epc()).chain(removed);
            self.orphans.extend(codes.map(|epc| StateRow::delete(StateKind::TagWindow, key_of(&name, &epc))));
        }
    }

    /// Forgets tags wherever they are, and tells nobody.
    pub fn forget_tags(&mut self, epcs: &[Epc]) {
        for point in &mut self.points {
            epcs.iter().for_each(|epc| point.windows.forget(*epc));
        }
        self.count_tags();
    }

    fn count_tags(&mut self) {
        self.tags = self.points.iter_mut().fold(self.tags, |tags, point| point.count(tags));
    }

    fn new_point(&mut self, index: usize) -> Point {
        let rule = self.rules.points[index].clone();
        let mut sources = Vec::new();
        for (ear, (id, antenna, inside)) in rule.antennas.iter().enumerate() {
            let at = self.source(id);
            let source = &mut self.sources[at];
            let watch = Watch { point: index, ear, inside: *inside };
            match source.antennas.binary_search_by_key(antenna, |(number, _)| *number) {
                Ok(place) => source.antennas[place].1.push(watch),
                Err(place) => source.antennas.insert(place, (*antenna, vec![watch])),
            }
            if !sources.contains(&at) {
                sources.push(at);
                source.points.push(index);
            }
        }
        for (nth, beam) in rule.beams.iter().enumerate() {
            let at = self.source(&beam.source);
            self.sources[at].beams.push((beam.port, index, nth));
        }
        Point::new(rule, sources)
    }

    fn carry_over(&mut self, old: Point, point: &mut Point) {
        point.listening = old.listening;
        point.hearing = old.hearing;
        point.ears = old.ears;
        point.dirty = old.dirty;
        if point.rule.beams != old.rule.beams {
            point.ears.beams = Beams::default();
        }
        point.ears.antennas.fit(&point.rule);
        let (held, removed) = old.windows.into_parts();
        removed.into_iter().for_each(|epc| point.windows.forget_row(epc));
        for held in held {
            if point.takes(&held.window) {
                let deadline = point.first_deadline(&held.window);
                point.windows.adopt(held, deadline);
            } else if held.saved {
                point.windows.forget_row(held.epc.epc());
            }
        }
    }
}

fn take_point(point: &mut Point, rows: &mut Vec<StateRow>) {
    let name = point.rule.name.clone();
    if std::mem::take(&mut point.dirty) {
        rows.push(StateRow::put(StateKind::ReadPoint, name.as_str(), &point.ears));
    }
    point.windows.take_dirty(|epc, window| {
        let key = key_of(&name, &epc);
        rows.push(match window {
            Some(window) => StateRow::put(StateKind::TagWindow, key, window),
            None => StateRow::delete(StateKind::TagWindow, key),
        });
    });
}

/// `read point/epc`; a code that is not whole bytes says its bits.
fn key_of(point: &ReadPointId, epc: &Epc) -> String {
    if epc.bits().is_multiple_of(8) {
        format!("{point}/{epc}")
    } else {
        format!("{point}/{epc}:{}", epc.bits())
    }
}

fn epc_of(code: &str) -> Option<Epc> {
    match code.split_once(':') {
        None => Epc::from_hex(code),
        Some((code, bits)) => Epc::new(bits.parse().ok()?, &hex::decode(code).ok()?),
    }
}

pub(super) fn seen_key(device: &DeviceId, number: u64) -> String {
    format!("{device}#{number}")
}

fn chunk_key(key: &str) -> Result<(DeviceId, u64), CleanRestoreError> {
    let wrong = || CleanRestoreError::Key { kind: StateKind::TrackerSeen, key: key.to_owned() };
    let (device, number) = key.rsplit_once('#').ok_or_else(wrong)?;
    Ok((DeviceId::from(device), number.parse().map_err(|_| wrong())?))
}
