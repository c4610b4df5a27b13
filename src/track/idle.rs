//! `idle`: an asset unused for longer than its class expects (`idle_after`).
//!
//! What says that it is **used** is the class's `utilisation`: *movement* (it passes a portal or a fence, changes
//! its zone, drives), *custody* (it is checked out), or a *sensor* point that is not zero. Use is noted of every
//! asset, whether or not its class has `idle_after`, and each note is an event: utilised or idle is answered
//! from these, here and in SQL. Custody has events of its own.
//!
//! The clock begins with the asset, and anew when it comes into service; that is no use.
//!
//! While it is checked out, movement and custody leave it to its holder: it is in use as far as anybody can
//! say. Nothing is told of what is not in service, of a ghost, of what has a silent tracker (what does not
//! report does not drive), nor while a source of its home site may hold something unread. Time in which we
//! were away ourselves does not count.

use std::time::Duration;

use super::Tracker;
use super::cause::Cause;
use super::deadlines::Deadlines;
use crate::domain::alerts::{AlertKey, Rule};
use crate::domain::events::{Event, EventBody, Subject};
use crate::domain::geodesy::Position;
use crate::domain::ids::AssetId;
use crate::domain::readings::{Fix, Sample};
use crate::domain::register::{Asset, Carrier, Lifecycle, Record, Utilisation};
use crate::domain::state::{StateKind, StateRow};
use crate::domain::time::Timestamp;

/// Use that goes on is noted this often, and more often where a class is quick to call its assets idle.
const NOTE_USE: Duration = Duration::from_secs(15 * 60);
const NOTE_USE_LEAST: Duration = Duration::from_secs(60);
const NOTES_PER_IDLE: u32 = 16;
/// What may not be told yet is looked at again after this long.
const LOOK_AGAIN: Duration = Duration::from_secs(600);
/// Faster than this, or further than this from where it stood, is driving; fixes waver by less.
const DRIVES_MPS: f64 = 2.0;
const DRIVES_M: f64 = 100.0;

/// Key of the one row of [`StateKind::Away`].
pub(super) const AWAY_KEY: &str = "total";

#[derive(Debug, Default)]
pub(super) struct Idle {
    /// Never after the real moment; that is worked out when one falls due.
    due: Deadlines<AssetId>,
    /// Microseconds for which we were not running, all in all.
    pub away_us: i64,
    pub away_dirty: bool,
}

impl Idle {
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.due.first()
    }

    pub fn forget(&mut self, asset: &AssetId) {
        self.due.set(asset.clone(), None);
    }

    pub fn was_away(&mut self, from: Timestamp, to: Timestamp) {
        self.away_us = self.away_us.saturating_add(to.micros_after(from));
        self.away_dirty = true;
    }

    pub fn take_dirty(&mut self, out: &mut Vec<StateRow>) {
        if std::mem::take(&mut self.away_dirty) {
            out.push(StateRow::put(StateKind::Away, AWAY_KEY, &self.away_us));
        }
    }
}

impl Tracker {
    /// It passed a portal or a fence, or changed its zone.
    pub(super) fn moved(&mut self, asset: &AssetId, cause: &Cause, out: &mut Vec<Event>) {
        if *self.utilisation(asset) == Utilisation::Movement {
            self.used(asset, cause, out);
        }
    }

    /// A fix of its tracker: it drives, or it stands.
    pub(super) fn drove(&mut self, asset: &AssetId, fix: &Fix, cause: &Cause, out: &mut Vec<Event>) {
        if *self.utilisation(asset) != Utilisation::Movement {
            return;
        }
        let stood: Option<Position> =
            self.assets.get(asset).and_then(|row| row.memory.stood_at.as_deref().copied());
        let waver = DRIVES_M + fix.accuracy_m.unwrap_or(0.0).max(0.0);
        let far = stood.is_some_and(|stood| stood.distance_m(fix.position) > waver);
        let fast = fix.speed_mps.is_some_and(|speed| speed > DRIVES_MPS);
        if far || fast || stood.is_none() {
            self.assets.change(asset).memory.stood_at = Some(Box::new(fix.position));
        }
        if far || fast {
            self.used(asset, cause, out);
        }
    }

    /// A sample of one of its sensors.
    pub(super) fn ran(&mut self, sample: &Sample, cause: &Cause, out: &mut Vec<Event>) {
        let carrier = self.register.carrier_of_sensor(&sample.device, cause.observed_at);
        let Some(asset) = carrier.and_then(Carrier::asset).cloned() else { return };
        let runs = sample.value.is_some_and(|value| value != 0.0) && !cause.late;
        let says = matches!(self.utilisation(&asset), Utilisation::Sensor(point) if *point == sample.point);
        if runs && says {
            self.used(&asset, cause, out);
        }
    }

    /// Who has it changed, or what it is: its clock runs, stands, or begins.
    pub(super) fn review_idle(&mut self, asset: &AssetId, cause: &Cause, out: &mut Vec<Event>) {
        if self.idle_after(asset).is_none() {
            self.idle.forget(asset);
            return self.end_for_asset(Rule::Idle, asset, cause, out);
        }
        let begins = self.in_use_until(asset).is_none();
        if begins || self.is_in_use(asset) {
            self.begin_idle_clock(asset, cause.received_at);
            self.end_for_asset(Rule::Idle, asset, cause, out);
        }
        self.arm_idle(asset);
    }

    /// Where nothing says later that it is used, it may be idle from then on.
    fn begin_idle_clock(&mut self, asset: &AssetId, at: Timestamp) {
        let noted = self.assets.get(asset).and_then(|row| row.memory.idle_from);
        if noted.is_some_and(|noted| at < noted + NOTE_USE_LEAST) {
            return;
        }
        let away_us = self.idle.away_us;
        let memory = &mut self.assets.change(asset).memory;
        memory.idle_from = Some(at);
        memory.used_away_us = away_us;
    }

    /// The register has something new to say of it: coming into service, it begins unused.
    pub(super) fn note_service(&mut self, before: Option<&Record>, asset: &Asset, cause: &Cause) {
        let same = matches!(before, Some(Record::Asset(held)) if held.lifecycle == asset.lifecycle);
        if !same && self.in_use_until(&asset.id).is_some() {
            self.begin_idle_clock(&asset.id, cause.received_at);
        }
    }

    /// Clocks of all assets that have one, after a start or a change of the rules; a sweep, where a class has
    /// `idle_after` at all.
    pub(super) fn begin_idle_clocks(&mut self, cause: &Cause, out: &mut Vec<Event>) {
        let open = self.alerts.open_of(Rule::Idle);
        let mut assets: Vec<AssetId> = open.into_iter().map(|key| AssetId::new(key.subject)).collect();
        if self.register.classes().any(|class| class.idle_after.is_some()) {
            let expects = |asset: &&Asset| {
                self.register.class(&asset.class).is_some_and(|class| class.idle_after.is_some())
            };
            assets.extend(self.register.assets().filter(expects).map(|asset| asset.id.clone()));
        }
        assets.sort_unstable();
        assets.dedup();
        for asset in assets {
            self.review_idle(&asset, cause, out);
        }
    }

    /// Lets the earliest that may be idle be looked at.
    pub(super) fn pass_idle(&mut self, until: Timestamp, now: Timestamp, out: &mut Vec<Event>) {
        let Some((at, asset)) = self.idle.due.pop(until) else { return };
        let Some(due) = self.idle_at(&asset) else { return };
        if due > at {
            return self.idle.due.set(asset, Some(due));
        }
        if self.alerts.open(&AlertKey::new(Rule::Idle, asset.as_str())).is_some() {
            return;
        }
        if self.may_be_unseen(&asset) {
            return self.idle.due.set(asset, Some(at.max(now) + LOOK_AGAIN));
        }
        let site = self.register.home_site(&asset);
        let since = self.in_use_until(&asset);
        let since = since.map_or("ever".to_owned(), |since| self.register.local(site, since));
        let summary = format!(
            "{} has not been used since {since}: lend it, move it to where it is needed, or retire it",
            self.label(&asset)
        );
        self.raise_for_asset(Rule::Idle, &asset, summary, &Cause::own(at, now), out);
    }

    pub(super) fn arm_idle(&mut self, asset: &AssetId) {
        let open = self.alerts.open(&AlertKey::new(Rule::Idle, asset.as_str())).is_some();
        let due = self.idle_at(asset).filter(|_| !open);
        self.idle.due.set(asset.clone(), due);
    }

    fn used(&mut self, asset: &AssetId, cause: &Cause, out: &mut Vec<Event>) {
        let at = cause.observed_at.min(cause.received_at);
        let noted = self.assets.get(asset).and_then(|row| row.memory.used_at);
        let open = self.alerts.open(&AlertKey::new(Rule::Idle, asset.as_str())).is_some();
        if !open && noted.is_some_and(|noted| at < noted + self.note_use(asset)) {
            return;
        }
        if noted.is_none_or(|noted| at > noted) {
            let away_us = self.idle.away_us;
            let memory = &mut self.assets.change(asset).memory;
            memory.used_at = Some(at);
            memory.used_away_us = away_us;
            let site = self.register.home_site(asset).cloned();
            let body = EventBody::Used { by: self.utilisation(asset).clone() };
            let cause = Cause { observed_at: at, ..cause.clone() };
            out.push(cause.event(site, Subject::Asset(asset.clone()), body, &[]));
        }
        if noted.is_none() || open {
            self.end_for_asset(Rule::Idle, asset, cause, out);
            self.arm_idle(asset);
        }
    }

    /// How often use that goes on is noted of it.
    fn note_use(&self, asset: &AssetId) -> Duration {
        let idle_after = self.register.class_of(asset).and_then(|class| class.idle_after);
        idle_after.map_or(NOTE_USE, |after| (after / NOTES_PER_IDLE).clamp(NOTE_USE_LEAST, NOTE_USE))
    }

    /// When it is idle, were it not used before; `None`: it cannot be now.
    fn idle_at(&self, asset: &AssetId) -> Option<Timestamp> {
        let after = self.idle_after(asset)?;
        let memory = &self.assets.get(asset)?.memory;
        if self.is_in_use(asset) {
            return None;
        }
        let away = self.idle.away_us.saturating_sub(memory.used_away_us);
        Some((self.in_use_until(asset)? + after).offset(away))
    }

    /// When it was used last; a checkout that has ended was use up to its end.
    fn in_use_until(&self, asset: &AssetId) -> Option<Timestamp> {
        let memory = &self.assets.get(asset)?.memory;
        let by_sensor = matches!(self.utilisation(asset), Utilisation::Sensor(_));
        let returned = memory.returned_at.filter(|_| !by_sensor);
        memory.used_at.max(memory.idle_from).max(returned)
    }

    fn idle_after(&self, asset: &AssetId) -> Option<Duration> {
        let held = self.register.asset(asset).filter(|held| held.lifecycle == Lifecycle::InService)?;
        self.register.class(&held.class).filter(|_| !self.is_in_maintenance(held))?.idle_after
    }

    /// What says that it is used: by default, that it moves.
    fn utilisation(&self, asset: &AssetId) -> &Utilisation {
        self.register.class_of(asset).map_or(&Utilisation::Movement, |class| &class.utilisation)
    }

    /// Checked out, where that is as good as used.
    fn is_in_use(&self, asset: &AssetId) -> bool {
        let by_custody = !matches!(self.utilisation(asset), Utilisation::Sensor(_));
        by_custody && self.checkout_of(asset).is_some()
    }

    fn may_be_unseen(&self, asset: &AssetId) -> bool {
        let ghost = self.assets.get(asset).is_some_and(|row| row.current.ghost_since.is_some());
        ghost || self.has_silent_tracker(asset) || self.may_return_unread(self.register.home_site(asset))
    }
}
