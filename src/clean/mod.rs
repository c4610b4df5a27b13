//! Readings → sightings: what really happened, said once. This is the dedupe.
//!
//! ```text
//! reading ─▶ source (its clock, its time) ─┬─ tag    ─▶ read points ─▶ presence · portal
//!                                          ├─ fix    ─▶ tracker     ─▶ filters · fences
//!                                          └─ sample ─▶ sensor point ─▶ quality · limits
//! ```
//! Pure: time is an argument, and `next_deadline` says when the next `tick` is due. Nothing is put out
//! in an order that depends on a hash or on how often it was ticked; what a reading costs does not
//! depend on how many tags, trackers or fences there are. Everything needed to go on after a crash is in
//! the rows of `take_dirty`. Never does I/O, and never decides what a sighting means for an asset.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::BuildHasherDefault;
use std::time::Duration;

use siphasher::sip::SipHasher13;

use crate::config::{IntakeConfig, Rules};
use crate::domain::epc::Epc;
use crate::domain::frames::{LinkChange, LinkState};
use crate::domain::ids::{DeviceId, PointId, SourceId};
use crate::domain::readings::Reading;
use crate::domain::register::ClassLimit;
use crate::domain::sightings::Sighting;
use crate::domain::time::Timestamp;

use clock::ClockRules;
use condition::SensorPoint;
use doubt::Doubts;
use hearing::{Observed, Point};
pub use neighbours::NEXT_DOOR_DB;
use neighbours::Neighbours;
use rules::Compiled;
use source::Source;
use staleness::Staleness;
use trackers::Trackers;

mod ahead;
mod antennas;
mod clock;
mod condition;
mod credence;
mod crossing;
mod deadlines;
mod doubt;
mod fence_index;
mod fixes;
mod geofence;
mod habit;
mod hearing;
mod judging;
mod late;
mod level;
mod mark;
mod motion;
mod neighbours;
mod odds;
mod one_row;
mod packed;
mod place;
mod portal;
mod presence;
mod reads;
mod redelivery;
mod rows;
mod rules;
mod samples;
mod source;
mod staleness;
mod state;
mod status;
mod stops;
#[cfg(test)]
mod tests;
mod trackers;
mod trail;
mod trend;
mod weighing;
mod windows;

pub use ahead::ROUND;
pub use rows::CleanRestoreError;
pub use status::TrackerStatus;
pub use trackers::Remembered;

/// Reasons for which a reading is set aside, as the books and the metrics have them.
pub const DUPLICATE: &str = "duplicate";
pub const NO_FIX: &str = "no-fix";
pub const NULL_ISLAND: &str = "null-island";
pub const INACCURATE: &str = "inaccurate";
pub const IMPOSSIBLE_JUMP: &str = "impossible-jump";
pub const CLOCK_AHEAD: &str = "clock-ahead";
pub const TOO_OLD: &str = "too-old";
pub const UNASSIGNED_ANTENNA: &str = "unassigned-antenna";
pub const TOO_MANY_TAGS: &str = "too-many-tags";
pub const TOO_MANY_TRACKERS: &str = "too-many-trackers";
/// A read that fails the tag's own CRC.
pub const PHANTOM: &str = "phantom";
/// A read of a code that nobody knows, and that was not read often enough to exist.
pub const UNCONFIRMED: &str = "unconfirmed";
/// Tags that do not concern us, at a reader or a read point.
pub const EXCLUDED: &str = "excluded";
pub const NOT_INCLUDED: &str = "not-included";

/// What cleaning put out. Calls append; whoever takes it empties it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Cleaned {
    pub sightings: Vec<Sighting>,
    /// Readings used, and those set aside by reason: together, every reading that was given, once.
    pub used: u64,
    pub filtered: Vec<(&'static str, u64)>,
}

impl Cleaned {
    fn filter(&mut self, reason: &'static str) {
        match self.filtered.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => self.filtered.push((reason, 1)),
        }
    }
}

type Lookup<K, V> = HashMap<K, V, BuildHasherDefault<SipHasher13>>;

/// The stage, for the whole node.
pub struct Cleaner {
    clock_rules: ClockRules,
    redelivery_horizon: Duration,
    /// Windows of all read points together: at most.
    max_tags: usize,
    /// Windows there are: kept by [`Point::count`].
    tags: usize,
    rules: Compiled,
    doubts: Doubts,
    sources: Vec<Source>,
    /// Where a source is in `sources`; the order in which they are ticked.
    by_name: BTreeMap<SourceId, usize>,
    /// By name, as the rules have them.
    points: Vec<Point>,
    trackers: Trackers,
    sensors: Lookup<(DeviceId, PointId), SensorPoint>,
    dirty_sensors: Vec<(DeviceId, PointId)>,
    staleness: Staleness,
    /// Of the class of what each sensor hangs on; see [`Cleaner::follow_class`].
    class_limits: BTreeMap<DeviceId, Vec<ClassLimit>>,
    /// Sensors that were restored, whose class is not known again yet.
    unreviewed: BTreeSet<DeviceId>,
    /// Points with an excursion over a limit that is no more.
    withdrawn: BTreeSet<(DeviceId, PointId)>,
    /// Rows of subjects that the rules no longer have.
    orphans: Vec<crate::domain::state::StateRow>,
    seen: Vec<Observed>,
}

impl Cleaner {
    pub fn new(rules: &Rules, intake: &IntakeConfig) -> Self {
        let mut cleaner = Self {
            clock_rules: ClockRules::from(intake),
            redelivery_horizon: intake.redelivery_horizon,
            max_tags: intake.max_tags,
            tags: 0,
            rules: Compiled::new(rules),
            doubts: Doubts::new(intake),
            sources: Vec::new(),
            by_name: BTreeMap::new(),
            points: Vec::new(),
            trackers: Trackers::new(intake),
            sensors: Lookup::default(),
            dirty_sensors: Vec::new(),
            staleness: Staleness::default(),
            class_limits: BTreeMap::new(),
            unreviewed: BTreeSet::new(),
            withdrawn: BTreeSet::new(),
            orphans: Vec::new(),
            seen: Vec::new(),
        };
        cleaner.build_points();
        cleaner
    }

    /// The rules changed: what still exists keeps its state. What no longer exists is forgotten without
    /// a sighting.
    pub fn set_rules(&mut self, rules: &Rules) {
        self.rules = Compiled::new(rules);
        self.build_points();
        for (device, tracker) in &mut self.trackers.held {
            let clean = !tracker.dirty;
            tracker.retain_fences(&self.rules.fences);
            if clean && tracker.dirty {
                self.trackers.dirty.push(device.clone());
            }
        }
        self.renew_limits(|_| true);
    }

    /// One reading. `received_at` must not go back within a source. Every tag is taken for known.
    pub fn reading(
        &mut self,
        reading: Reading,
        source: &SourceId,
        received_at: Timestamp,
        out: &mut Cleaned,
    ) {
        self.reading_where(reading, source, received_at, |_| true, out);
    }

    /// The same, where `is_known` says whether a tag is heard of elsewhere: one that is not has to be read more
    /// than once before it exists. Asked for a tag that comes up at a read point, not for every read.
    pub fn reading_where(
        &mut self,
        reading: Reading,
        source: &SourceId,
        received_at: Timestamp,
        is_known: impl Fn(&Epc) -> bool,
        out: &mut Cleaned,
    ) {
        let source = self.source(source);
        self.sources[source].hear(received_at);
        self.pass_trackers(received_at, out);
        let filtered = match reading {
            Reading::Tag(read) => self.tag(&read, source, received_at, &is_known, out),
            Reading::Fix(fix) => self.fix(fix, source, received_at, out),
            Reading::Sample(sample) => self.sample(sample, source, received_at, out),
            Reading::Reader(event) => self.reader_event(&event, source, received_at, out),
            Reading::Note(note) => self.note(&note, source, received_at, out),
        };
        match filtered {
            Some(reason) => out.filter(reason),
            None => out.used += 1,
        }
    }

    /// A source's connection came up or went down.
    pub fn link(&mut self, change: &LinkChange, out: &mut Cleaned) {
        let index = self.source(&change.source);
        let source = &mut self.sources[index];
        if source.up() && change.state == (LinkState::Up { replaying: true }) {
            // More of what it held is on its way.
            return source.hear(change.at);
        }
        let before = (source.up(), source.live());
        let reason = match &change.state {
            LinkState::Up { replaying } => {
                source.set_up(*replaying, change.at);
                source.why_down.clear();
                if *replaying { "connected, catching up" } else { "connected" }
            }
            LinkState::Down { reason } => {
                source.go_down();
                reason.as_str()
            }
        };
        if (source.up(), source.live()) != before {
            self.relink(index, reason, change.at, change.at, out);
        } else if !source.up() && source.why_down != *reason {
            // It is away as before, and for another reason: whoever looks for the fault must know the last one.
            out.sightings.push(source.told_of_link(reason, change.at, change.at));
        }
        let source = &mut self.sources[index];
        if let LinkState::Down { reason } = &change.state {
            source.why_down.clone_from(reason);
        }
    }

    /// A source that is here still tells what it held while it was away.
    pub fn is_catching_up(&self, source: &SourceId) -> bool {
        let source = self.by_name.get(source).map(|index| &self.sources[*index]);
        source.is_some_and(|source| source.up() && !source.live())
    }

    /// How far the sources' clocks run ahead of ours, in microseconds, where that is known.
    pub fn clock_leads(&self) -> impl Iterator<Item = (&SourceId, i64)> {
        self.sources.iter().filter_map(|source| Some((&source.id, source.told.clock.utc_lead_us()?)))
    }

    /// What the clocks of sources gain on ours each second, in seconds; `NaN` where that is not known yet.
    pub fn clock_drifts(&self) -> impl Iterator<Item = (&SourceId, f64)> {
        let told = self.sources.iter().filter(|source| source.told.clock.is_told());
        told.map(|source| (&source.id, source.told.clock.drift().unwrap_or(f64::NAN)))
    }

    /// Our clock has come to `now`: deadlines up to then are met. `now` must not be later than the
    /// receipt of a reading that is still to be given.
    pub fn tick(&mut self, now: Timestamp, out: &mut Cleaned) {
        self.pass_trackers(now, out);
        let order: Vec<usize> = self.by_name.values().copied().collect();
        for index in order {
            if self.sources[index].pass(now) {
                self.relink(index, "caught up", now, now, out);
            }
            for trouble in self.sources[index].clock_troubles(now, &self.clock_rules) {
                self.trouble(index, trouble, now, out);
            }
        }
        for index in 0..self.points.len() {
            let (point, others) = Neighbours::of(&mut self.points, index);
            point.advance(&self.sources, others, &mut self.seen);
            point.forget_stranded(&self.sources, now);
            self.put_out(index, now, out);
        }
        self.pass_staleness(now, out);
        self.pass_withdrawn(now, out);
    }

    /// When `tick` next has something to do, by our clock.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let sources = self.sources.iter().filter_map(|source| source.next_deadline(&self.clock_rules));
        let points = self.points.iter().filter_map(|point| point.next_deadline(&self.sources));
        let at_once = (!self.withdrawn.is_empty()).then_some(Timestamp::MIN);
        let others = self.trackers.next_deadline().into_iter().chain(self.staleness.next()).chain(at_once);
        sources.chain(points).chain(others).min()
    }

    /// A source's link changed: said, and told to its read points.
    fn relink(&mut self, index: usize, reason: &str, at: Timestamp, received: Timestamp, out: &mut Cleaned) {
        let source = &mut self.sources[index];
        if source.live() {
            source.caught_up(at);
            self.trackers.resume(&source.id, at, &self.rules.tracker);
        }
        let (is_live, points) = (source.live(), source.points.clone());
        let link = source.told_of_link(reason, at, received);
        // What was held back is told before it is said that nothing is held back any more.
        for index in points.iter().filter(|_| is_live) {
            let (point, others) = Neighbours::of(&mut self.points, *index);
            point.advance(&self.sources, others, &mut self.seen);
            self.put_out(*index, received, out);
        }
        out.sightings.push(link);
        for index in points {
            let (point, others) = Neighbours::of(&mut self.points, index);
            point.relink(&self.sources, at, others, &mut self.seen);
            self.put_out(index, received, out);
        }
    }

    /// What a read point has seen becomes sightings.
    fn put_out(&mut self, point: usize, received: Timestamp, out: &mut Cleaned) {
        self.tags = self.points[point].count(self.tags);
        if self.seen.is_empty() {
            return;
        }
        let source = self.points[point].sources.first().map(|source| &self.sources[*source].id);
        let Some(source) = source else { return self.seen.clear() };
        out.sightings.extend(self.seen.drain(..).map(|(observed_at, what)| Sighting {
            source: source.clone(),
            observed_at,
            received_at: received,
            late: false,
            what,
        }));
    }

    fn source(&mut self, id: &SourceId) -> usize {
        if let Some(index) = self.by_name.get(id) {
            return *index;
        }
        self.sources.push(Source::new(id.clone(), self.rules.reads(id)));
        self.by_name.insert(id.clone(), self.sources.len() - 1);
        self.sources.len() - 1
    }
}
