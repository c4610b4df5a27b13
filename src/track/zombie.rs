//! Zombies: tags that are heard and are on no asset in use.
//!
//! **Who**: a tag that hangs on nothing, or on an asset that is retired or disposed of; not one that
//! `ignore` names, nor a badge.
//!
//! **When**: a stranger that passes is nobody's business, be it a pallet of a thousand. One that *stays* is
//! told: heard at read points where assets stay, over `heard_for`, with gaps of at most `gone_after`, and
//! heard now. A tag of an asset that is out of use is told of at a portal too, at once: it should not move.
//! While its source replays what it held, nothing is told; what still stays is heard again.
//!
//! **How many**: at each read point `single_alerts` tags have alerts of their own (subject: the EPC); all
//! further ones there share one (subject: `at READ POINT`) that says how many they are. Beyond `max_tags`
//! strangers, new ones are not followed.
//!
//! **Over**: registered, ignored, or heard nowhere for `gone_after`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Tracker;
use super::alerts::Details;
use super::cause::Cause;
use super::deadlines::Deadlines;
use crate::domain::alerts::{AlertKey, Rule, Severity};
use crate::domain::epc::Epc;
use crate::domain::events::Event;
use crate::domain::ids::{AssetId, ReadPointId};
use crate::domain::register::{Asset, Carrier};
use crate::domain::sightings::PresenceChange;
use crate::domain::state::{StateKind, StateRow};
use crate::domain::time::Timestamp;

/// Read points at which one tag is remembered to be; overlapping fields are few.
const PLACES: usize = 4;

/// The row of a stranger in the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StrangerRow {
    pub first_at: Timestamp,
    pub last_at: Timestamp,
    /// Where it is in presence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    present: Vec<ReadPointId>,
    /// Where somebody was told of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    told_at: Option<ReadPointId>,
    /// It was one of many there, and has no alert of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    in_crowd: bool,
}

#[derive(Debug, Default)]
pub(super) struct Strangers {
    rows: BTreeMap<Epc, StrangerRow>,
    /// When one that is present nowhere is forgotten.
    gone: Deadlines<Epc>,
    /// Told of by themselves at a read point, and told of together.
    single: BTreeMap<ReadPointId, usize>,
    crowds: BTreeMap<ReadPointId, BTreeSet<Epc>>,
    dirty: BTreeSet<Epc>,
}

impl Strangers {
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.gone.first()
    }

    pub fn follows(&self, epc: &Epc) -> bool {
        self.rows.contains_key(epc)
    }

    /// Where an open alert's tag was heard.
    pub fn read_point_of(&self, subject: &str) -> Option<ReadPointId> {
        match subject.strip_prefix(CROWD) {
            Some(read_point) => Some(ReadPointId::new(read_point)),
            None => self.rows.get(&Epc::from_hex(subject)?)?.told_at.clone(),
        }
    }

    /// Where the tag of an alert about it alone was heard, and when last.
    pub fn told_of_at(&self, subject: &str) -> Option<(ReadPointId, Timestamp)> {
        let row = self.rows.get(&Epc::from_hex(subject)?)?;
        Some((row.told_at.clone()?, row.last_at))
    }

    /// As if they had never been heard.
    pub fn forget_tags(&mut self, epcs: &[Epc]) {
        for epc in epcs {
            let Some(row) = self.rows.remove(epc) else { continue };
            self.gone.set(*epc, None);
            self.dirty.insert(*epc);
            if let Some(read_point) = &row.told_at {
                if let Some(crowd) = self.crowds.get_mut(read_point).filter(|_| row.in_crowd) {
                    crowd.remove(epc);
                } else if let Some(single) = self.single.get_mut(read_point).filter(|_| !row.in_crowd) {
                    *single = single.saturating_sub(1);
                }
            }
        }
    }

    pub fn take_dirty(&mut self, out: &mut Vec<StateRow>) {
        let dirty = std::mem::take(&mut self.dirty);
        // By the text of the key, as the journal orders rows.
        let mut dirty: Vec<(String, Epc)> = dirty.into_iter().map(|epc| (epc.to_string(), epc)).collect();
        dirty.sort_unstable();
        out.extend(dirty.into_iter().map(|(text, epc)| match self.rows.get(&epc) {
            Some(row) => StateRow::put(StateKind::Stranger, text, row),
            None => StateRow::delete(StateKind::Stranger, text),
        }));
    }

    fn count(&mut self, epc: Epc, read_point: &ReadPointId, in_crowd: bool) {
        match in_crowd {
            true => drop(self.crowds.entry(read_point.clone()).or_default().insert(epc)),
            false => *self.single.entry(read_point.clone()).or_default() += 1,
        }
    }
}

/// Subject of the alert that many strangers share, before the name of the read point. Its blank keeps it
/// from being taken for an EPC.
const CROWD: &str = "at ";

fn single_key(epc: &Epc) -> AlertKey {
    AlertKey::new(Rule::Zombie, epc.to_string())
}

fn crowd_key(read_point: &ReadPointId) -> AlertKey {
    AlertKey::new(Rule::Zombie, format!("{CROWD}{read_point}"))
}

impl Tracker {
    /// A tag came into presence, goes on being heard, or left; it may be anybody's.
    pub(super) fn stranger_present(
        &mut self,
        epc: Epc,
        read_point: &ReadPointId,
        change: PresenceChange,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        if change == PresenceChange::Departed {
            return self.stranger_left(epc, read_point);
        }
        if !self.is_stranger(&epc, cause.observed_at) || !self.has_room_for(&epc) {
            return;
        }
        let at = cause.observed_at;
        let row = self.stranger(epc, at);
        row.last_at = row.last_at.max(at);
        if !row.present.contains(read_point) && row.present.len() < PLACES {
            row.present.push(read_point.clone());
        }
        let stayed = row.last_at.since(row.first_at) >= self.topology.alerts.assets.zombie.heard_for;
        self.strangers.gone.set(epc, None);
        if stayed && self.has_caught_up(&cause.source) {
            self.tell_stranger(epc, read_point, cause, out);
        }
    }

    /// A tag passed a portal: of strangers only those that were once ours are told of.
    pub(super) fn stranger_passed(
        &mut self,
        epc: Epc,
        portal: &ReadPointId,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let at = cause.observed_at;
        let once_ours = self.out_of_use(&epc, at).is_some() && self.is_stranger(&epc, at);
        if !once_ours || !self.has_caught_up(&cause.source) || !self.has_room_for(&epc) {
            return;
        }
        let row = self.stranger(epc, at);
        row.last_at = row.last_at.max(at);
        let gone = row.present.is_empty().then_some(row.last_at);
        let gone = gone.map(|last| last + self.topology.alerts.assets.zombie.gone_after);
        self.strangers.gone.set(epc, gone);
        self.tell_stranger(epc, portal, cause, out);
    }

    /// Lets the earliest stranger be gone.
    pub(super) fn pass_stranger(&mut self, until: Timestamp, now: Timestamp, out: &mut Vec<Event>) {
        if let Some((at, epc)) = self.strangers.gone.pop(until) {
            self.forget_stranger(epc, &Cause::own(at, now), out);
        }
    }

    /// The register or the rules changed: who is no stranger any more is forgotten.
    pub(super) fn review_strangers(&mut self, cause: &Cause, out: &mut Vec<Event>) {
        let known: Vec<Epc> =
            self.strangers.rows.keys().copied().filter(|epc| !self.is_stranger(epc, self.now)).collect();
        for epc in known {
            self.forget_stranger(epc, cause, out);
        }
    }

    pub(super) fn restore_stranger(&mut self, epc: Epc, row: StrangerRow) {
        if let Some(read_point) = &row.told_at {
            self.strangers.count(epc, read_point, row.in_crowd);
        }
        let gone =
            row.present.is_empty().then(|| row.last_at + self.topology.alerts.assets.zombie.gone_after);
        self.strangers.gone.set(epc, gone);
        self.strangers.rows.insert(epc, row);
    }

    fn stranger_left(&mut self, epc: Epc, read_point: &ReadPointId) {
        let Some(row) = self.strangers.rows.get_mut(&epc) else { return };
        row.present.retain(|place| place != read_point);
        self.strangers.dirty.insert(epc);
        if row.present.is_empty() {
            let gone = row.last_at + self.topology.alerts.assets.zombie.gone_after;
            self.strangers.gone.set(epc, Some(gone));
        }
    }

    fn stranger(&mut self, epc: Epc, at: Timestamp) -> &mut StrangerRow {
        self.strangers.dirty.insert(epc);
        self.strangers.rows.entry(epc).or_insert_with(|| StrangerRow {
            first_at: at,
            last_at: at,
            present: Vec::new(),
            told_at: None,
            in_crowd: false,
        })
    }

    fn has_room_for(&self, epc: &Epc) -> bool {
        let rows = &self.strangers.rows;
        rows.len() < self.topology.alerts.assets.zombie.max_tags || rows.contains_key(epc)
    }

    /// The asset out of use that a tag hangs on.
    fn out_of_use(&self, epc: &Epc, at: Timestamp) -> Option<&Asset> {
        let asset = self.register.asset(self.register.asset_of_tag(epc, at)?)?;
        asset.is_retired().then_some(asset)
    }

    /// On no asset in use and no badge, at that time and now.
    pub(super) fn is_stranger(&self, epc: &Epc, at: Timestamp) -> bool {
        let ours = |at| match self.register.tags.at(epc, at) {
            None => false,
            Some(Carrier::Asset(_)) => self.out_of_use(epc, at).is_none(),
            Some(Carrier::Person(_) | Carrier::Zone(_)) => true,
        };
        let ignore = &self.topology.alerts.assets.zombie.ignore;
        !ours(at) && !ours(self.now) && !ignore.iter().any(|pattern| pattern.matches(epc))
    }

    fn tell_stranger(&mut self, epc: Epc, read_point: &ReadPointId, cause: &Cause, out: &mut Vec<Event>) {
        let row = self.stranger(epc, cause.observed_at);
        if row.told_at.is_some() {
            return;
        }
        let (first_at, alone) = (row.first_at, self.strangers.single.get(read_point).copied().unwrap_or(0));
        let in_crowd = alone >= self.topology.alerts.assets.zombie.single_alerts;
        let row = self.stranger(epc, cause.observed_at);
        row.told_at = Some(read_point.clone());
        row.in_crowd = in_crowd;
        self.strangers.count(epc, read_point, in_crowd);
        if in_crowd {
            return self.tell_crowd(read_point, cause, out);
        }
        let once: Option<AssetId> = self.out_of_use(&epc, self.now).map(|asset| asset.id.clone());
        let site = self.site_of_read_point(read_point);
        let since = self.register.local(site.as_ref(), first_at);
        let summary = match once {
            Some(asset) => format!(
                "tag {epc} of {}, which is out of use, is heard at {read_point}: see whether the asset is \
                 back, and put the register right",
                self.label(&asset)
            ),
            None => format!(
                "tag {epc} is on no asset and has been heard at {read_point} since {since}: register what it \
                 is on, or let the configuration ignore it"
            ),
        };
        self.raise_zombie(&single_key(&epc), site, summary, cause, out);
    }

    fn tell_crowd(&mut self, read_point: &ReadPointId, cause: &Cause, out: &mut Vec<Event>) {
        let key = crowd_key(read_point);
        let count = self.strangers.crowds.get(read_point).map_or(0, BTreeSet::len);
        if count == 0 {
            return self.alerts.condition(&key, None, cause, out);
        }
        let summary = format!(
            "{count} more tags that are on no asset stay at {read_point}: register what they are on, or let \
             the configuration ignore them"
        );
        let site = self.site_of_read_point(read_point);
        self.raise_zombie(&key, site, summary, cause, out);
    }

    fn raise_zombie(
        &mut self,
        key: &AlertKey,
        site: Option<crate::domain::ids::SiteId>,
        summary: String,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let pending = std::time::Duration::ZERO;
        let details = Details { site, severity: Severity::Warning, summary, pending, episode: 0 };
        self.raise(key, details, cause, out);
    }

    fn forget_stranger(&mut self, epc: Epc, cause: &Cause, out: &mut Vec<Event>) {
        let Some(row) = self.strangers.rows.remove(&epc) else { return };
        self.strangers.dirty.insert(epc);
        self.strangers.gone.set(epc, None);
        let Some(read_point) = row.told_at else { return };
        if !row.in_crowd {
            if let Some(count) = self.strangers.single.get_mut(&read_point) {
                *count = count.saturating_sub(1);
            }
            return self.alerts.condition(&single_key(&epc), None, cause, out);
        }
        if let Some(crowd) = self.strangers.crowds.get_mut(&read_point) {
            crowd.remove(&epc);
        }
        self.tell_crowd(&read_point, cause, out);
    }
}
