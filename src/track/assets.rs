//! What tracking keeps of one asset: the current answer, and the memory behind it.
//!
//! The row in the journal is [`AssetCurrent`] with one more field, `memory`; who only wants the answer
//! reads it as [`AssetCurrent`]. An asset that nothing happened to has a row and costs no memory here.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::exits::Left;
use super::handover::Carried;
use super::table::{Place, Table, nowhere};
use super::vehicles::Fixed;
use crate::domain::epc::{Epc, HeldEpc};
use crate::domain::few::Few;
use crate::domain::geodesy::Position;
use crate::domain::ids::{AssetId, AuditId, Pool, ReadPointId};
use crate::domain::json;
use crate::domain::readiness::Battery;
use crate::domain::sightings::Direction;
use crate::domain::state::{AssetCurrent, LastSensed, Location, SensedBy, StateKind, StateRow};
use crate::domain::time::Timestamp;

/// Read points and antennas that are remembered as having lately sensed an asset: overlapping fields are few.
const LATELY: usize = 8;
/// Passages remembered per asset, to fold the other tags' into them.
const PASSAGES: usize = 4;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AssetRow {
    #[serde(flatten)]
    pub current: AssetCurrent,
    #[serde(default)]
    pub memory: Memory,
    /// It is among those to be written.
    #[serde(skip)]
    dirty: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Time of the evidence that the location rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placed_at: Option<Timestamp>,
    /// Where its tags are in presence, as cleaning told us.
    #[serde(default, skip_serializing_if = "SmallVec::is_empty")]
    pub present: SmallVec<[Present; 1]>,
    /// Its last presence ended, and nothing placed it since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub departed: bool,
    /// Read points of its zone (and the shares of their antennas) that sensed it within the class's interval,
    /// newest last.
    #[serde(default, skip_serializing_if = "SmallVec::is_empty")]
    pub lately: SmallVec<[Lately; 1]>,
    /// It came back to where it was heard before, then, and nothing heard it there since: whatever hears its zone
    /// must hear for its silence to count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presumed_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "<[Passed]>::is_empty")]
    pub passages: Few<Passed>,
    /// Since the checkout, while there is one.
    #[serde(default)]
    pub whereabouts: Whereabouts,
    /// Checkouts and check-ins so far.
    #[serde(default)]
    pub custody_acts: u64,
    /// `checked_out_at` of the last checkout that ended: an import that repeats it opens nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_checkout: Option<Timestamp>,
    /// When its class's inspections began to count for it: since then it is known to have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inspections_from: Option<Timestamp>,
    /// Changes of its readiness so far; numbers their events.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub readiness_changes: u64,
    /// The audit that did not find it; set while it is a ghost for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_in: Option<Box<AuditId>>,
    /// Since when it is overdue, where that counts as an incident of whoever has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_at: Option<Timestamp>,
    /// When its last checkout ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned_at: Option<Timestamp>,
    /// How it left, while it is out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<Box<Left>>,
    /// When it was last used, as its class says what use is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_at: Option<Timestamp>,
    /// Since when it may be idle where it was not used later: its clock began, it came into service, somebody had
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_from: Option<Timestamp>,
    /// How long we had been away by the later of these.
    #[serde(default, skip_serializing_if = "is_never")]
    pub used_away_us: i64,
    /// Where its tracker was when it last drove.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stood_at: Option<Box<Position>>,
    /// Where its tracker was last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<Box<Fixed>>,
    /// What its other trackers said last of their batteries, where it has several: its answer has the lowest.
    #[serde(default, skip_serializing_if = "<[Battery]>::is_empty")]
    pub batteries: Few<Battery>,
    /// Its last passage, until it is judged who was with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried: Option<Box<Carried>>,
    /// Its place among the ghost clocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watched: Option<Watched>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

fn is_never(micros: &i64) -> bool {
    *micros == 0
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Present {
    pub read_point: ReadPointId,
    pub epc: HeldEpc,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lately {
    pub read_point: ReadPointId,
    pub at: Timestamp,
}

/// A passage as it was told, and the tags that were folded into it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed {
    pub portal: ReadPointId,
    pub direction: Direction,
    pub at: Timestamp,
    pub epcs: Vec<Epc>,
}

/// Where a checked-out asset is, as far as a sensed return is concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whereabouts {
    /// Not sensed elsewhere since the checkout: being sensed at home is no return.
    #[default]
    AtHome,
    /// Nobody knew where it was at the checkout.
    Unknown,
    /// Last heard at home, before the checkout, and not any more since.
    Silent,
    Away,
}

/// Positions on the clock of a watch group, in microseconds of hearing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// Key of the group: its read points, joined by `+`.
    pub group: Arc<str>,
    /// The group's clock when the asset was last sensed.
    pub last_us: i64,
    /// How long a silence makes a ghost.
    pub after_us: i64,
    /// The group's clock when the asset's silence becomes a ghost.
    pub due_us: i64,
    /// How long it usually takes until it is told of again; 0: not known yet.
    #[serde(default, skip_serializing_if = "is_never")]
    pub usual_us: i64,
    /// Due, and held back because the watcher is suspect.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// Where it stands in its group's queue.
    #[serde(skip)]
    pub queued_us: Option<i64>,
}

impl AssetRow {
    pub fn new(asset: AssetId) -> Self {
        let current = AssetCurrent {
            asset,
            location: Location::Unknown,
            since: None,
            last_sensed: None,
            reason: "it has not been sensed yet".into(),
            confidence: None,
            checkout: None,
            fences: Few::default(),
            ghost_since: None,
            ready: true,
            not_ready: Few::default(),
            holds: Few::default(),
            awaiting_inspection: None,
            inspected_at: None,
            proposal: None,
            battery: None,
        };
        Self { current, memory: Memory::default(), dirty: false }
    }

    /// Reads a row. The two halves are read one after the other: serde's own way with a flattened field
    /// copies every value first, which takes several times as long.
    pub(super) fn parse(row: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Remembered {
            #[serde(default)]
            memory: Memory,
        }
        let current = json::read(row)?;
        let Remembered { memory } = json::read(row)?;
        Ok(Self { current, memory, dirty: false })
    }

    /// Names that many rows have are held once.
    fn share(&mut self, pool: &mut Pool) {
        let current = &mut self.current;
        current.reason = pool.take(&current.reason);
        if let Location::Zone(zone) = &mut current.location {
            zone.share(pool);
        }
        if let Some(LastSensed { by: SensedBy::ReadPoint(read_point), .. }) = &mut current.last_sensed {
            read_point.share(pool);
        }
        self.memory.present.iter_mut().for_each(|present| present.read_point.share(pool));
        self.memory.lately.iter_mut().for_each(|lately| lately.read_point.share(pool));
        if let Some(watched) = &mut self.memory.watched {
            watched.group = pool.take(&watched.group);
        }
    }

    /// Notes that it was sensed; an older sensing changes nothing.
    pub(super) fn sense(&mut self, at: Timestamp, by: SensedBy) {
        if self.current.last_sensed.as_ref().is_none_or(|last| last.at <= at) {
            self.current.last_sensed = Some(LastSensed { at, by });
        }
    }

    /// Whether evidence of `at` may move the answer.
    pub(super) fn may_place(&self, at: Timestamp) -> bool {
        self.memory.placed_at.is_none_or(|placed| placed <= at)
    }

    pub(super) fn place(
        &mut self,
        location: Location,
        at: Timestamp,
        reason: Arc<str>,
        confidence: Option<f32>,
    ) {
        if self.current.location != location {
            self.current.location = location;
            self.current.since = Some(at);
            self.memory.lately.clear();
            self.memory.presumed_at = None;
        }
        self.current.reason = reason;
        self.current.confidence = confidence;
        self.memory.placed_at = Some(at);
        self.memory.departed = false;
    }

    pub(super) fn enter_presence(&mut self, read_point: &ReadPointId, epc: Epc) {
        if !self.memory.present.iter().any(|p| p.epc == epc && p.read_point == *read_point) {
            self.memory.present.push(Present { read_point: read_point.clone(), epc: epc.into() });
        }
    }

    pub(super) fn leave_presence(&mut self, read_point: &ReadPointId, epc: Epc) {
        self.memory.present.retain(|p| !(p.epc == epc && p.read_point == *read_point));
    }

    pub(super) fn note_lately(&mut self, read_point: &ReadPointId, at: Timestamp) {
        self.memory.presumed_at = None;
        let before = self.memory.lately.iter().find(|lately| lately.read_point == *read_point);
        let at = before.map_or(at, |lately| lately.at.max(at));
        self.memory.lately.retain(|l| l.read_point != *read_point);
        if self.memory.lately.len() == LATELY {
            self.memory.lately.remove(0);
        }
        self.memory.lately.push(Lately { read_point: read_point.clone(), at });
    }

    /// It is where it is by what was seen elsewhere, or said: what heard it there before need not hear it now.
    pub(super) fn presume(&mut self, at: Timestamp) {
        if !self.memory.lately.is_empty() || self.memory.presumed_at.is_some() {
            self.memory.lately.clear();
            self.memory.presumed_at = Some(at);
        }
    }

    /// Whether this passage is another tag's view of one already told; notes it either way.
    pub(super) fn fold_passage(&mut self, passed: Passed, merge: std::time::Duration) -> bool {
        let same = self.memory.passages.iter_mut().find(|told| {
            let apart = told.at.since(passed.at).max(passed.at.since(told.at));
            told.portal == passed.portal && told.direction == passed.direction && apart <= merge
        });
        if let Some(told) = same {
            let new = passed.epcs.iter().all(|epc| !told.epcs.contains(epc));
            if new {
                told.epcs.extend(passed.epcs);
                return true;
            }
        }
        if self.memory.passages.len() == PASSAGES {
            self.memory.passages.remove(0);
        }
        self.memory.passages.push(passed);
        false
    }
}

/// The rows of all assets that something happened to.
#[derive(Debug, Default)]
pub(super) struct Assets {
    rows: Table<AssetRow>,
    /// To be written, some of them more than once.
    dirty: Vec<(AssetId, Place)>,
    /// Those whose readiness may be another since it was last worked out.
    touched: BTreeSet<AssetId>,
}

impl Assets {
    pub fn get(&self, asset: &AssetId) -> Option<&AssetRow> {
        self.rows.get(asset)
    }

    /// The row to change; it is written with the next commit.
    pub fn change(&mut self, asset: &AssetId) -> &mut AssetRow {
        self.touch(asset);
        let row = self.rows.get_or_insert_with(asset, || AssetRow::new(asset.clone()));
        let is_new = !std::mem::replace(&mut row.dirty, true);
        if is_new {
            self.dirty.push((asset.clone(), self.rows.place_of_recent()));
        }
        self.rows.get_or_insert_with(asset, || AssetRow::new(asset.clone()))
    }

    /// The row will be asked for; `hint` is where it was when it was last.
    pub fn recall(&self, asset: &AssetId, hint: &Place) {
        self.rows.recall(asset, hint);
    }

    /// The row at the hint, if it lies there still.
    pub fn at_hint(&self, hint: &Place) -> Option<&AssetRow> {
        self.rows.at_hint(hint).map(|(_, row)| row)
    }

    /// The row to change in what is not written.
    pub fn peek_mut(&mut self, asset: &AssetId) -> Option<&mut AssetRow> {
        self.rows.get_mut(asset)
    }

    /// An asset came to the register: it gets its row.
    pub fn announce(&mut self, asset: &AssetId) {
        self.dirty.push((asset.clone(), nowhere()));
        self.touch(asset);
    }

    /// Something that its readiness may rest on changed.
    pub fn touch(&mut self, asset: &AssetId) {
        if !self.touched.first().is_some_and(|first| first.is(asset)) {
            self.touched.insert(asset.clone());
        }
    }

    /// The next asset to work the readiness of out for, in order of name.
    pub fn pop_touched(&mut self) -> Option<AssetId> {
        self.touched.pop_first()
    }

    pub fn remove(&mut self, asset: &AssetId) {
        self.rows.remove(asset);
        self.dirty.push((asset.clone(), nowhere()));
    }

    pub fn restore(&mut self, mut row: AssetRow, pool: &mut Pool) {
        row.share(pool);
        if row != AssetRow::new(row.current.asset.clone()) {
            self.rows.insert(row.current.asset.clone(), row);
        }
    }

    /// The name of an asset as its row has it.
    pub fn name(&self, asset: &str) -> Option<&AssetId> {
        self.rows.held(asset)
    }

    /// Rows are in: gives back what was kept for more.
    pub fn restored(&mut self) {
        self.rows.shrink_to_fit();
    }

    /// How many rows there are, and the row at a place among them, whatever that place is.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn at_mut(&mut self, place: usize) -> Option<(&AssetId, &mut AssetRow)> {
        self.rows.at_mut(place)
    }

    /// Every asset that has a row, in order of name.
    pub fn ids(&self) -> Vec<AssetId> {
        self.ids_where(|_, _| true)
    }

    /// Assets whose row is such, in order of name.
    pub fn ids_where(&self, is_such: impl Fn(&AssetId, &AssetRow) -> bool) -> Vec<AssetId> {
        let such = self.rows.iter().filter(|(asset, row)| is_such(asset, row));
        let mut ids: Vec<AssetId> = such.map(|(asset, _)| asset.clone()).collect();
        ids.sort_unstable();
        ids
    }

    pub fn take_dirty(&mut self, registered: impl Fn(&AssetId) -> bool, out: &mut Vec<StateRow>) {
        self.dirty.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        self.dirty.dedup_by(|(one, _), (other, _)| one == other);
        for (asset, place) in self.dirty.drain(..) {
            self.rows.recall(&asset, &place);
            out.push(match self.rows.get_mut(&asset) {
                Some(row) => {
                    row.dirty = false;
                    StateRow::put(StateKind::Asset, asset.as_str(), row)
                }
                None if registered(&asset) => {
                    StateRow::put(StateKind::Asset, asset.as_str(), &AssetRow::new(asset.clone()))
                }
                None => StateRow::delete(StateKind::Asset, asset.as_str()),
            });
        }
    }
}
