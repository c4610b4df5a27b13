//! `tracker-silent`: a tracker that sends nothing any more, while its broker worked.
//!
//! Each source that trackers speak through has a clock of the time during which it was connected and had
//! caught up, and no planned work concerned it; a tracker's last message and its due moment are positions on it. So an
//! outage of the broker, or ours, costs nothing and is nobody's silence. After an outage trackers need to find their way back:
//! none falls due within [`GRACE`] of it, or within half its interval where that is shorter.
//!
//! Any message of its own counts, also a duplicate, and one whose position is set aside; the last will that its
//! broker publishes does not, and is told with the silence. One that was never heard is waited for
//! ([`super::unheard`]). Told apart from a ghost: what only a tracker senses is
//! on no ghost clock, so a dead battery is `tracker-silent`, and says how full it was.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Tracker;
use super::alerts::Details;
use super::asleep::{Rest, SleepRules};
use super::cause::Cause;
use super::deadlines::Deadlines;
use super::ghost::micros;
use super::unheard::{Unheard, all_sources};
use super::watch::CHECKPOINT;
use crate::domain::alerts::{AlertKey, Rule};
use crate::domain::events::Event;
use crate::domain::ids::{AssetId, DeviceId, SourceId};
use crate::domain::state::{StateKind, StateRow};
use crate::domain::time::Timestamp;

/// How long after an outage of its source a tracker may take to be heard again.
const GRACE: Duration = Duration::from_secs(900);

/// That a tracker lives is said once a minute (`clean::fixes`).
const LEAST: Duration = Duration::from_secs(120);

/// The row of a tracker in the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeardRow {
    pub source: SourceId,
    pub heard_at: Timestamp,
    /// The source's clock then.
    last_us: i64,
    /// When its broker lost it, where nothing was heard since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_at: Option<Timestamp>,
    #[serde(default)]
    pub rest: Rest,
}

impl HeardRow {
    /// Its silence counts on another clock, from there on.
    pub fn moves_to(&mut self, source: SourceId, last_us: i64) {
        (self.source, self.last_us) = (source, last_us);
    }
}

/// The row of a source's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceClock {
    /// Microseconds during which it worked.
    worked_us: i64,
    /// The same when it last began to.
    resumed_us: i64,
}

#[derive(Debug, Default)]
struct Clock {
    row: SourceClock,
    running_since: Option<Timestamp>,
    /// Never after the real moment; that is worked out when one falls due.
    due: BTreeSet<(i64, DeviceId)>,
}

#[derive(Debug, Default)]
pub(super) struct Silence {
    pub sleep: SleepRules,
    pub unheard: Unheard,
    rows: BTreeMap<DeviceId, HeardRow>,
    clocks: BTreeMap<SourceId, Clock>,
    /// Connected, and caught up.
    working: BTreeSet<SourceId>,
    /// Planned work keeps these from being heard.
    standing: BTreeSet<SourceId>,
    /// Nobody listens to any of them.
    deaf: bool,
    /// Where a tracker stands in its source's `due`.
    armed: BTreeMap<DeviceId, (SourceId, i64)>,
    wakes: Deadlines<SourceId>,
    checkpoint_at: Option<Timestamp>,
    dirty: BTreeSet<DeviceId>,
    dirty_clocks: BTreeSet<SourceId>,
}

impl Clock {
    fn position(&self, at: Timestamp) -> i64 {
        let running = self.running_since.map_or(0, |since| at.micros_after(since).max(0));
        self.row.worked_us.saturating_add(running)
    }

    fn wake(&self) -> Option<Timestamp> {
        let (due, _) = self.due.first()?;
        Some(self.running_since?.offset((due - self.row.worked_us).max(0)))
    }
}

impl Silence {
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.wakes.first()
    }

    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.wakes.first().into_iter().chain(self.checkpoint_at).min()
    }

    pub fn is_running(&self) -> bool {
        self.clocks.values().any(|clock| clock.running_since.is_some() && !clock.due.is_empty())
    }

    pub fn source_of(&self, device: &str) -> Option<&SourceId> {
        self.rows.get(device).map(|row| &row.source)
    }

    /// Those that were last heard through none of these, which none will be heard through any more.
    pub fn orphans(&self, sources: &BTreeSet<SourceId>) -> Vec<DeviceId> {
        let is_orphan = |row: &HeardRow| !sources.contains(&row.source) && row.source != all_sources();
        self.rows.iter().filter(|(_, row)| is_orphan(row)).map(|(device, _)| device.clone()).collect()
    }

    pub fn row_mut(&mut self, device: &DeviceId) -> Option<&mut HeardRow> {
        self.rows.get_mut(device)
    }

    /// A row was changed.
    pub fn changed(&mut self, device: &DeviceId) {
        self.dirty.insert(device.clone());
    }

    /// Whether something is known of its silence, or it is waited for.
    pub fn has(&self, device: &DeviceId) -> bool {
        self.rows.contains_key(device) || self.unheard.has(device)
    }

    /// A source began or ceased to work.
    pub fn set_working(&mut self, source: &SourceId, works: bool, at: Timestamp) {
        match works {
            true => self.working.insert(source.clone()),
            false => self.working.remove(source),
        };
        self.run_or_stop(source, at);
    }

    /// Says which sources planned work keeps from being heard now.
    pub fn set_standing(&mut self, standing: BTreeSet<SourceId>, at: Timestamp) {
        let before = std::mem::replace(&mut self.standing, standing);
        let turned: Vec<SourceId> = before.symmetric_difference(&self.standing).cloned().collect();
        turned.iter().for_each(|source| self.run_or_stop(source, at));
    }

    /// Nobody listens any more, or does again.
    pub fn set_deaf(&mut self, deaf: bool, at: Timestamp) {
        self.deaf = deaf;
        let clocks: Vec<SourceId> = self.clocks.keys().filter(|of| **of != all_sources()).cloned().collect();
        clocks.iter().for_each(|source| self.run_or_stop(source, at));
    }

    fn run_or_stop(&mut self, source: &SourceId, at: Timestamp) {
        let works = self.working.contains(source) && !self.standing.contains(source);
        self.run(source, works && !self.deaf, at);
        if self.unheard.is_source(source) {
            self.review_all_sources(at);
        }
    }

    /// Whether all that trackers may speak through works.
    pub fn review_all_sources(&mut self, at: Timestamp) {
        let works =
            |source: &SourceId| self.clocks.get(source).is_some_and(|clock| clock.running_since.is_some());
        let works = self.unheard.all(works);
        self.run(&all_sources(), works, at);
    }

    fn run(&mut self, source: &SourceId, works: bool, at: Timestamp) {
        let clock = self.clocks.entry(source.clone()).or_default();
        if works == clock.running_since.is_some() {
            return;
        }
        clock.row.worked_us = clock.position(at);
        clock.running_since = works.then_some(at);
        if works {
            clock.row.resumed_us = clock.row.worked_us;
        }
        self.rewake(source);
        self.note(source, at);
    }

    /// Nobody worked until told otherwise: we were not there.
    pub fn stop(&mut self, now: Timestamp) {
        self.working.clear();
        let running: Vec<SourceId> = self.clocks.keys().cloned().collect();
        running.iter().for_each(|source| self.run(source, false, now));
        self.checkpoint_at = None;
    }

    /// Nothing was listened to between the two times: no clock counts them.
    pub fn skip(&mut self, from: Timestamp, to: Timestamp) {
        let running: Vec<SourceId> = self.clocks.keys().cloned().collect();
        for source in running {
            if self.clocks.get(&source).is_some_and(|clock| clock.running_since.is_some()) {
                self.run(&source, false, from);
                self.run(&source, true, to);
            }
        }
    }

    /// Lets running clocks be written, when it is time.
    pub fn checkpoint(&mut self, now: Timestamp) {
        if self.checkpoint_at.is_some_and(|at| at <= now) {
            let running = self.clocks.iter().filter(|(_, clock)| clock.running_since.is_some());
            self.dirty_clocks
                .extend(running.filter(|(_, clock)| !clock.due.is_empty()).map(|(s, _)| s.clone()));
            self.checkpoint_at = self.is_running().then(|| now + CHECKPOINT);
        }
    }

    pub fn restore(&mut self, device: DeviceId, row: HeardRow) {
        self.rows.insert(device, row);
    }

    pub fn restore_clock(&mut self, source: SourceId, row: SourceClock) {
        self.clocks.entry(source).or_default().row = row;
    }

    pub fn devices(&self) -> Vec<DeviceId> {
        self.rows.keys().chain(self.unheard.devices()).cloned().collect()
    }

    pub fn take_clocks(&mut self, now: Timestamp, out: &mut Vec<StateRow>) {
        for source in std::mem::take(&mut self.dirty_clocks) {
            if let Some(clock) = self.clocks.get(&source) {
                let row = SourceClock { worked_us: clock.position(now), ..clock.row };
                out.push(StateRow::put(StateKind::SourceClock, source.as_str(), &row));
            }
        }
    }

    pub fn take_dirty(&mut self, out: &mut Vec<StateRow>) {
        for device in std::mem::take(&mut self.dirty) {
            out.push(match self.rows.get(&device) {
                Some(row) => StateRow::put(StateKind::TrackerHeard, device.as_str(), row),
                None => StateRow::delete(StateKind::TrackerHeard, device.as_str()),
            });
        }
        self.unheard.take_dirty(out);
    }

    pub fn position(&self, source: &SourceId, at: Timestamp) -> i64 {
        self.clocks.get(source).map_or(0, |clock| clock.position(at))
    }

    pub fn is_armed(&self, device: &DeviceId) -> bool {
        self.armed.contains_key(device)
    }

    /// A tracker falls due at that position of its source's clock; `None`: not at all. One that is waited for is looked
    /// at before.
    fn arm(&mut self, device: &DeviceId, due: Option<(SourceId, i64)>, now: Timestamp) {
        let due = due.map(|(source, due)| match self.unheard.has(device) {
            true => (due.min(self.position(&source, now) + micros(self.unheard.between_looks())), source),
            false => (due, source),
        });
        if let Some((source, at)) = self.armed.remove(device) {
            if let Some(clock) = self.clocks.get_mut(&source) {
                clock.due.remove(&(at, device.clone()));
            }
            self.rewake(&source);
        }
        if let Some((at, source)) = due {
            self.clocks.entry(source.clone()).or_default().due.insert((at, device.clone()));
            self.armed.insert(device.clone(), (source.clone(), at));
            self.rewake(&source);
            self.note(&source, now);
        }
    }

    fn rewake(&mut self, source: &SourceId) {
        let wake = self.clocks.get(source).and_then(Clock::wake);
        self.wakes.set(source.clone(), wake);
    }

    fn note(&mut self, source: &SourceId, now: Timestamp) {
        if self.clocks.get(source).is_some_and(|clock| !clock.due.is_empty()) {
            self.dirty_clocks.insert(source.clone());
            self.checkpoint_at.get_or_insert(now + CHECKPOINT);
        }
    }

    fn pop(&mut self, until: Timestamp) -> Option<(Timestamp, DeviceId)> {
        let (at, source) = self.wakes.pop(until)?;
        let clock = self.clocks.get_mut(&source)?;
        let (_, device) = clock.due.pop_first()?;
        self.armed.remove(&device);
        self.rewake(&source);
        Some((at, device))
    }
}

impl Tracker {
    /// A tracker lives.
    pub(super) fn tracker_heard(
        &mut self,
        device: &DeviceId,
        stands: Option<bool>,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        if self.watched_for(device).is_none() {
            return self.forget_tracker(device, cause, out);
        }
        let at = cause.observed_at.min(self.now);
        let row = self.silence.rows.get_mut(device);
        if let Some(row) = row
            && row.gone_at.take().is_some()
        {
            self.silence.dirty.insert(device.clone());
        }
        let row = self.silence.rows.get(device);
        if row.is_some_and(|row| row.heard_at >= at && row.source == cause.source) {
            return;
        }
        let source = cause.source.clone();
        // Where it was sent while the clock stood, and its broker kept it, this is where the clock stood.
        let last_us = self.silence.position(&source, at);
        let moved = row.is_some_and(|row| row.source != source);
        let mut rest = row.map(|row| row.rest.clone()).unwrap_or_default();
        // Where it came by another source this time, it was silent while the one before worked.
        let gap_us = row.map_or(0, |before| self.silence.position(&before.source, at) - before.last_us);
        if gap_us > 0 {
            rest.spoke(gap_us);
        }
        let row = HeardRow { source, heard_at: at, last_us, gone_at: None, rest };
        self.silence.rows.insert(device.clone(), row);
        self.silence.dirty.insert(device.clone());
        let is_first = self.silence.unheard.remove(device);
        self.end_silence(device, cause, out);
        if moved || is_first || !self.silence.armed.contains_key(device) {
            self.arm_tracker(device);
        }
        // Said each time, for one that is watched again is known anew.
        if let Some(stands) = stands {
            self.stands_told(device, stands);
        }
    }

    /// A broker says so by the tracker's last will. Phones come and go, so it raises nothing by itself.
    pub(super) fn tracker_gone(&mut self, device: &DeviceId, cause: &Cause) {
        if let Some(row) = self.silence.rows.get_mut(device) {
            row.gone_at = Some(cause.observed_at);
            self.silence.dirty.insert(device.clone());
        }
    }

    /// The register changed, or the rules: what trackers hang on, and what is expected of them. Of what is
    /// not named here only those with an alert are looked at; the others are when they fall due.
    pub(super) fn review_trackers(&mut self, devices: &[DeviceId], cause: &Cause, out: &mut Vec<Event>) {
        let open = [Rule::TrackerSilent, Rule::TrackerBattery, Rule::TrackerClock]
            .map(|rule| self.alerts.open_of(rule));
        let open = open.iter().flatten().map(|key| DeviceId::new(&key.subject));
        let devices: BTreeSet<DeviceId> = devices.iter().cloned().chain(open).collect();
        for device in devices {
            self.review_battery(&device, cause, out);
            self.review_clock(&device, cause, out);
            let is_heard = self.silence.rows.contains_key(&device);
            let is_known = is_heard || self.silence.unheard.has(&device) && self.is_awaited(&device);
            match is_known && self.watched_for(&device).is_some() {
                true => self.arm_tracker(&device),
                false => self.forget_tracker(&device, cause, out),
            }
        }
    }

    /// Lets the earliest tracker that may be silent be looked at.
    pub(super) fn pass_tracker(&mut self, until: Timestamp, now: Timestamp, out: &mut Vec<Event>) {
        let Some((at, device)) = self.silence.pop(until) else { return };
        let cause = Cause::own(at, now);
        let due = self.silent_at(&device).filter(|_| self.watched_for(&device).is_some());
        let Some((source, due)) = due else {
            return self.forget_tracker(&device, &cause, out);
        };
        if due > self.silence.position(&source, at) {
            return self.silence.arm(&device, Some((source, due)), at);
        }
        self.raise_silent(&device, &cause, out);
    }

    pub(super) fn has_silent_tracker(&self, asset: &AssetId) -> bool {
        let silent = self.alerts.open_of(Rule::TrackerSilent);
        silent
            .iter()
            .any(|key| self.register.asset_of_tracker(&DeviceId::new(&key.subject), self.now) == Some(asset))
    }

    pub(super) fn arm_tracker(&mut self, device: &DeviceId) {
        let open = self.alerts.open(&AlertKey::new(Rule::TrackerSilent, device.as_str())).is_some();
        let due = self.silent_at(device).filter(|_| !open);
        self.silence.arm(device, due, self.now);
    }

    /// Where on its source's clock a tracker is silent.
    fn silent_at(&self, device: &DeviceId) -> Option<(SourceId, i64)> {
        let Some(row) = self.silence.rows.get(device) else {
            return Some((all_sources(), self.silence.unheard.due_us(device)?));
        };
        let after = self.silent_after(device)?;
        let resumed_us = self.silence.clocks.get(&row.source).map_or(0, |clock| clock.row.resumed_us);
        let back = resumed_us.saturating_add(micros(GRACE.min(after / 2)));
        Some((row.source.clone(), row.last_us.saturating_add(micros(after)).max(back)))
    }

    fn silent_after(&self, device: &DeviceId) -> Option<Duration> {
        let configured = self.watched_for(device)?;
        let after = self.silence.rows.get(device)?.rest.silent_after(configured, &self.silence.sleep);
        after.map(|after| after.max(LEAST))
    }

    /// Of a tracker whose silence matters, what its class says of it. One in a workshop is switched off, or without
    /// its vehicle's power.
    fn watched_for(&self, device: &DeviceId) -> Option<Option<Duration>> {
        let asset = self.register.asset(self.register.asset_of_tracker(device, self.now)?)?;
        let watched = asset.is_expected() && !self.is_in_maintenance(asset);
        let after = self.register.class(&asset.class).filter(|_| watched)?.tracker_silent_after;
        (after.is_some() || self.silence.sleep.learns).then_some(after)
    }

    fn forget_tracker(&mut self, device: &DeviceId, cause: &Cause, out: &mut Vec<Event>) {
        let was_heard = self.silence.rows.remove(device).is_some();
        if was_heard {
            self.silence.dirty.insert(device.clone());
            self.silence.arm(device, None, self.now);
        }
        if was_heard || self.silence.unheard.has(device) {
            self.end_silence(device, cause, out);
        }
        self.await_anew(device);
    }

    /// Ends its alert: it is on no asset in use any more, or was heard.
    fn end_silence(&mut self, device: &DeviceId, cause: &Cause, out: &mut Vec<Event>) {
        self.alerts.condition(&AlertKey::new(Rule::TrackerSilent, device.as_str()), None, cause, out);
    }

    fn raise_silent(&mut self, device: &DeviceId, cause: &Cause, out: &mut Vec<Event>) {
        let Some(asset) = self.register.asset_of_tracker(device, self.now).cloned() else { return };
        let Some(row) = self.silence.rows.get(device) else {
            return self.raise_unheard(device, &asset, cause, out);
        };
        let site = self.register.home_site(&asset);
        let since = self.register.local(site, row.heard_at);
        let battery = self.battery_of(&asset, device);
        let battery =
            battery.map_or(String::new(), |percent| format!(", its battery then at {} %", percent.round()));
        let gone = row.gone_at.map(|at| self.register.local(site, at));
        let gone = gone.map_or(String::new(), |at| format!(", its connection lost at {at}"));
        let source = match row.source == all_sources() {
            true => "all that trackers speak through",
            false => row.source.as_str(),
        };
        let asleep = if row.rest.is_asleep() { " (asleep, for longer than it sleeps)" } else { "" };
        let summary = format!(
            "tracker {device} of {} has sent nothing since {since}{asleep}{battery}{gone}, while {source} worked: charge it \
             or look at it; where the asset is, nobody knows until then",
            self.label(&asset),
        );
        self.raise_silence(device, &asset, summary, cause, out);
    }

    pub(super) fn raise_silence(
        &mut self,
        device: &DeviceId,
        asset: &AssetId,
        summary: String,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let site = self.register.home_site(asset).cloned();
        let severity = self.severity_for(asset);
        let details = Details { site, severity, summary, pending: Duration::ZERO, episode: 0 };
        self.raise(&AlertKey::new(Rule::TrackerSilent, device.as_str()), details, cause, out);
    }
}
