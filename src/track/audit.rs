//! Audits: which there are, what they expect and what was counted. This file keeps; `audit_count.rs` says
//! what a reading means to them, `audit_life.rs` opens, ends and plans them.
//!
//! **Expected** is, frozen when the audit is opened, every asset of the scope's classes that the current
//! answer puts into one of the scope's zones, and where no answer names a place (never sensed), whose home
//! zone is one of them. Not expected: what is ordered, retired or disposed of, what is checked out (it is
//! counted as out), what left through a door or is somewhere out at coordinates.
//!
//! The expected set is written once, [`AuditPart::ASSETS`] to a row, and each thing that was counted has
//! a row of its own, written once for a commit; so a count of 100,000 assets costs a small row a read.
//! When an audit ends, its items move into the parts, and only its header stays in memory.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::audits::{Audit, AuditPart, AuditPlan, AuditState, Counted, Item, Standing};
use crate::domain::erasure::Eraser;
use crate::domain::ids::{AssetId, AuditId, ClassId, ZoneId};
use crate::domain::state::{StateKind, StateRow};
use crate::domain::time::Timestamp;

use super::deadlines::Deadlines;

/// Things that nobody expected are taken down up to here: a flood of strange tags fills no journal.
const LISTED_UNEXPECTED: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Audits {
    headers: BTreeMap<AuditId, Audit>,
    counts: BTreeMap<AuditId, Count>,
    /// Open audits of each zone.
    of_zone: BTreeMap<ZoneId, BTreeSet<AuditId>>,
    /// When each expires, or its rows go.
    pub deadlines: Deadlines<AuditId>,
    pub plans: BTreeMap<ClassId, AuditPlan>,
    pub due: Deadlines<ClassId>,
    dirty: BTreeSet<AuditId>,
    dirty_items: BTreeSet<(AuditId, Counted)>,
    dirty_plans: BTreeSet<ClassId>,
    /// Rows of parts that were made or dropped since the last call.
    parts: BTreeMap<String, Option<AuditPart>>,
}

/// What is in memory of an open audit.
#[derive(Debug, Default)]
pub(super) struct Count {
    parts: Vec<Vec<AssetId>>,
    expected: BTreeSet<AssetId>,
    items: BTreeMap<Counted, Item>,
    unexpected: usize,
}

/// Headers and items as they are now; of each item, what it was about before.
#[derive(Debug)]
pub(super) struct Restated {
    headers: Vec<(AuditId, Audit)>,
    items: Vec<(AuditId, Counted, Item)>,
}

impl Count {
    pub fn expects(&self, asset: &AssetId) -> bool {
        self.expected.contains(asset)
    }

    pub fn item(&self, what: &Counted) -> Option<&Item> {
        self.items.get(what)
    }

    /// Expected, and nothing said of it yet, in order of name.
    pub fn pending(&self) -> Vec<AssetId> {
        let silent = |asset: &&AssetId| !self.items.contains_key(&Counted::Asset((*asset).clone()));
        self.expected.iter().filter(silent).cloned().collect()
    }

    /// Said to be missing, in order of name.
    pub fn missing(&self) -> Vec<AssetId> {
        let missing = self.items.values().filter(|item| item.standing == Standing::Missing);
        let asset = |item: &Item| match &item.what {
            Counted::Asset(asset) => Some(asset.clone()),
            Counted::Tag(_) => None,
        };
        missing.filter_map(asset).collect()
    }

    pub fn unexpected(&self) -> Vec<Item> {
        self.items.values().filter(|item| item.standing == Standing::Unexpected).cloned().collect()
    }
}

impl Audits {
    pub fn header(&self, audit: &AuditId) -> Option<&Audit> {
        self.headers.get(audit)
    }

    pub fn count(&self, audit: &AuditId) -> Option<&Count> {
        self.counts.get(audit)
    }

    /// Open audits of a zone, in order of name.
    pub fn open_in(&self, zone: &ZoneId) -> Vec<AuditId> {
        self.of_zone.get(zone).into_iter().flatten().cloned().collect()
    }

    pub fn open_count(&self) -> usize {
        self.counts.len()
    }

    pub fn is_open(&self, audit: &AuditId) -> bool {
        self.counts.contains_key(audit)
    }

    pub fn open(&mut self, mut audit: Audit, expected: BTreeSet<AssetId>) {
        let names: Vec<AssetId> = expected.iter().cloned().collect();
        let parts: Vec<Vec<AssetId>> = names.chunks(AuditPart::ASSETS).map(<[AssetId]>::to_vec).collect();
        audit.parts = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        audit.figures.expected = expected.len() as u64;
        for (nth, names) in (0u32..).zip(&parts) {
            let part = AuditPart { expected: names.clone(), items: Vec::new() };
            self.parts.insert(AuditPart::key(&audit.id, nth), Some(part));
        }
        let id = audit.id.clone();
        self.counts.insert(id.clone(), Count { parts, expected, ..Count::default() });
        self.dirty.insert(id.clone());
        self.headers.insert(id.clone(), audit);
        self.index(&id);
    }

    fn index(&mut self, audit: &AuditId) {
        let Some(header) = self.headers.get(audit) else { return };
        for zone in &header.zones {
            self.of_zone.entry(zone.clone()).or_default().insert(audit.clone());
        }
        self.deadlines.set(audit.clone(), Some(header.expires_at));
    }

    /// Notes what is said of a thing; `false` where the audit says so already.
    pub fn say(&mut self, audit: &AuditId, item: Item) -> bool {
        let (Some(header), Some(count)) = (self.headers.get_mut(audit), self.counts.get_mut(audit)) else {
            return false;
        };
        let before = count.items.get(&item.what).map(|item| item.standing);
        let flood = item.standing == Standing::Unexpected && count.unexpected >= LISTED_UNEXPECTED;
        if before == Some(item.standing) || flood {
            return false;
        }
        count.unexpected += usize::from(item.standing == Standing::Unexpected);
        let figures = &mut header.figures;
        for (standing, up) in [(before, false), (Some(item.standing), true)] {
            let figure = match standing {
                None => continue,
                Some(Standing::Found) => &mut figures.found,
                Some(Standing::Missing) => &mut figures.missing,
                Some(Standing::Elsewhere) => &mut figures.elsewhere,
                Some(Standing::Unexpected) => &mut figures.unexpected,
            };
            *figure = if up { *figure + 1 } else { figure.saturating_sub(1) };
        }
        self.dirty.insert(audit.clone());
        self.dirty_items.insert((audit.clone(), item.what.clone()));
        count.items.insert(item.what.clone(), item);
        true
    }

    /// Ends an audit: its items move into its parts.
    pub fn end(
        &mut self,
        audit: &AuditId,
        state: AuditState,
        by: &str,
        at: Timestamp,
        rows_until: Timestamp,
    ) {
        let (Some(header), Some(mut count)) = (self.headers.get_mut(audit), self.counts.remove(audit)) else {
            return;
        };
        for what in count.items.keys() {
            self.dirty_items.insert((audit.clone(), what.clone()));
        }
        let mut parts: Vec<AuditPart> = Vec::new();
        for names in std::mem::take(&mut count.parts) {
            let items = names.iter().filter_map(|name| count.items.remove(&Counted::Asset(name.clone())));
            let items = items.collect();
            parts.push(AuditPart { expected: names, items });
        }
        let rest: Vec<Item> = std::mem::take(&mut count.items).into_values().collect();
        parts.extend(
            rest.chunks(AuditPart::ASSETS)
                .map(|items| AuditPart { expected: Vec::new(), items: items.to_vec() }),
        );
        header.parts = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        header.state = state;
        header.ended_at = Some(at);
        header.ended_by = Some(by.to_owned());
        for (nth, part) in (0u32..).zip(parts) {
            self.parts.insert(AuditPart::key(audit, nth), Some(part));
        }
        for zone in &header.zones {
            if let Some(open) = self.of_zone.get_mut(zone) {
                open.remove(audit);
            }
        }
        self.of_zone.retain(|_, open| !open.is_empty());
        self.deadlines.set(audit.clone(), Some(rows_until));
        self.dirty.insert(audit.clone());
    }

    /// Takes every row of an audit that ended away.
    pub fn forget(&mut self, audit: &AuditId) {
        let Some(header) = self.headers.remove(audit) else { return };
        for part in 0..header.parts {
            self.parts.insert(AuditPart::key(audit, part), None);
        }
        self.deadlines.set(audit.clone(), None);
        self.dirty.insert(audit.clone());
    }

    pub fn plan(&mut self, class: &ClassId, plan: Option<AuditPlan>) {
        self.due.set(class.clone(), plan.as_ref().map(|plan| plan.next_at));
        match plan {
            Some(plan) => drop(self.plans.insert(class.clone(), plan)),
            None => drop(self.plans.remove(class)),
        }
        self.dirty_plans.insert(class.clone());
    }

    pub fn restore_header(&mut self, audit: Audit, rows_until: Timestamp) {
        let id = audit.id.clone();
        let open = audit.state == AuditState::Open;
        self.headers.insert(id.clone(), audit);
        match open {
            true => {
                self.counts.entry(id.clone()).or_default();
                self.index(&id);
            }
            false => self.deadlines.set(id, Some(rows_until)),
        }
    }

    /// Parts and items come in any order: those of audits that ended are let go by [`Self::restored`].
    pub fn restore_part(&mut self, key: &str, part: AuditPart) {
        let Some((audit, nth)) = key.rsplit_once('#') else { return };
        let Ok(nth) = nth.parse::<usize>() else { return };
        let count = self.counts.entry(AuditId::new(audit)).or_default();
        if count.parts.len() <= nth {
            count.parts.resize(nth + 1, Vec::new());
        }
        count.expected.extend(part.expected.iter().cloned());
        count.parts[nth] = part.expected;
    }

    pub fn restore_item(&mut self, key: &str, item: Item) {
        let Some((audit, _)) = key.split_once('/') else { return };
        let count = self.counts.entry(AuditId::new(audit)).or_default();
        count.unexpected += usize::from(item.standing == Standing::Unexpected);
        count.items.insert(item.what.clone(), item);
    }

    pub fn restore_plan(&mut self, plan: AuditPlan) {
        self.due.set(plan.class.clone(), Some(plan.next_at));
        self.plans.insert(plan.class.clone(), plan);
    }

    /// All rows are in: only open audits keep their lists.
    pub fn restored(&mut self) {
        let headers = &self.headers;
        let open = |audit: &AuditId| headers.get(audit).is_some_and(|held| held.state == AuditState::Open);
        self.counts.retain(|audit, _| open(audit));
    }

    /// Who opened, ended and counted, without the one who is erased. Lists of audits that ended are not
    /// here: the journal rewrites them.
    pub fn without(&self, eraser: &Eraser) -> Result<Restated, serde_json::Error> {
        let headers = self.headers.iter();
        let headers = headers.filter_map(|(id, header)| {
            eraser.value(header).transpose().map(|erased| Ok((id.clone(), erased?)))
        });
        let items =
            self.counts.iter().flat_map(|(audit, count)| count.items.iter().map(move |it| (audit, it)));
        let items = items.filter_map(|(audit, (what, item))| {
            eraser.value(item).transpose().map(|erased| Ok((audit.clone(), what.clone(), erased?)))
        });
        Ok(Restated { headers: headers.collect::<Result<_, _>>()?, items: items.collect::<Result<_, _>>()? })
    }

    pub fn restate(&mut self, restated: Restated) {
        for (id, header) in restated.headers {
            self.dirty.insert(id.clone());
            self.headers.insert(id, header);
        }
        for (audit, what, item) in restated.items {
            let Some(count) = self.counts.get_mut(&audit) else { continue };
            count.items.remove(&what);
            self.dirty_items.insert((audit.clone(), what));
            self.dirty_items.insert((audit, item.what.clone()));
            count.items.insert(item.what.clone(), item);
        }
    }

    pub fn take_dirty(&mut self, out: &mut Vec<StateRow>) {
        for audit in std::mem::take(&mut self.dirty) {
            out.push(match self.headers.get(&audit) {
                Some(header) => StateRow::put(StateKind::Audit, audit.as_str(), header),
                None => StateRow::delete(StateKind::Audit, audit.as_str()),
            });
        }
        for (key, part) in std::mem::take(&mut self.parts) {
            out.push(match part {
                Some(part) => StateRow::put(StateKind::AuditPart, key, &part),
                None => StateRow::delete(StateKind::AuditPart, key),
            });
        }
        let mut items: Vec<StateRow> = Vec::new();
        for (audit, what) in std::mem::take(&mut self.dirty_items) {
            let key = format!("{audit}/{what}");
            items.push(match self.counts.get(&audit).and_then(|count| count.items.get(&what)) {
                Some(item) => StateRow::put(StateKind::AuditItem, key, item),
                None => StateRow::delete(StateKind::AuditItem, key),
            });
        }
        items.sort_by(|a, b| a.key.cmp(&b.key));
        out.append(&mut items);
        for class in std::mem::take(&mut self.dirty_plans) {
            out.push(match self.plans.get(&class) {
                Some(plan) => StateRow::put(StateKind::AuditPlan, class.as_str(), plan),
                None => StateRow::delete(StateKind::AuditPlan, class.as_str()),
            });
        }
    }
}
