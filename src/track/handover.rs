//! Hand-overs: said by somebody, or sensed when an asset and a badge pass a portal together.
//!
//! Together means: the same portal, the same direction, within `handover_within` of one another. Badges and
//! assets are reported in any order, so an asset's passage is judged once that time has passed twice over.
//! Then exactly one badge is a proposal that this person took it, several name all of them and are never
//! accepted by themselves, and the badge of whoever has it is no hand-over at all.
//!
//! Of an asset that nobody has, only a way out is a proposal, of a checkout. What is accepted by itself goes
//! through the same gate as a checkout by command: what is not ready stays a proposal.
//!
//! Kept: the badges that lately passed each portal, at most [`KEPT`] of them, in the portal's row; and of each
//! asset its last passage until it is judged, in the asset's.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Tracker;
use super::cause::{Cause, OWN_SOURCE};
use super::deadlines::Deadlines;
use super::import::{conflict, invalid};
use crate::domain::commands::Refused;
use crate::domain::events::{Event, EventBody, Subject};
use crate::domain::ids::{AssetId, PersonId, ReadPointId};
use crate::domain::proposals::{Candidate, Proposal, ProposalChange};
use crate::domain::register::{Checkout, Handover};
use crate::domain::sightings::Direction;
use crate::domain::state::{StateKind, StateRow};
use crate::domain::time::Timestamp;

/// Badges remembered per portal. More in a few seconds is a crowd, and of a crowd nobody can say who took it.
const KEPT: usize = 64;

/// A badge that passed a portal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BadgePassing {
    pub person: PersonId,
    pub direction: Direction,
    pub at: Timestamp,
    pub confidence: f32,
}

/// An asset's passage that is not judged yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Carried {
    pub portal: ReadPointId,
    pub direction: Direction,
    pub at: Timestamp,
    pub confidence: f32,
    pub judged_at: Timestamp,
}

#[derive(Debug, Default)]
pub(super) struct Company {
    badges: BTreeMap<ReadPointId, Vec<BadgePassing>>,
    judged: Deadlines<AssetId>,
    dirty: BTreeSet<ReadPointId>,
}

impl Company {
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.judged.first()
    }

    pub fn forget(&mut self, asset: &AssetId) {
        self.judged.set(asset.clone(), None);
    }

    pub fn restore(&mut self, portal: ReadPointId, badges: Vec<BadgePassing>) {
        self.badges.insert(portal, badges);
    }

    pub fn restore_carried(&mut self, asset: &AssetId, carried: &Carried) {
        self.judged.set(asset.clone(), Some(carried.judged_at));
    }

    /// Nobody is remembered of whose badge it was.
    pub fn forget_person(&mut self, person: &str) {
        for (portal, badges) in &mut self.badges {
            let before = badges.len();
            badges.retain(|badge| badge.person.as_str() != person);
            if badges.len() != before {
                self.dirty.insert(portal.clone());
            }
        }
    }

    /// Notes a badge; drops those too old to have company any more.
    fn note(&mut self, portal: &ReadPointId, passing: BadgePassing, within: Duration) {
        let badges = self.badges.entry(portal.clone()).or_default();
        let oldest = passing.at - within.saturating_mul(4);
        badges.retain(|badge| badge.at >= oldest);
        if badges.len() == KEPT {
            badges.remove(0);
        }
        badges.push(passing);
        self.dirty.insert(portal.clone());
    }

    pub fn take_dirty(&mut self, out: &mut Vec<StateRow>) {
        for portal in std::mem::take(&mut self.dirty) {
            out.push(match self.badges.get(&portal) {
                Some(badges) => StateRow::put(StateKind::Badges, portal.as_str(), badges),
                None => StateRow::delete(StateKind::Badges, portal.as_str()),
            });
        }
    }
}

impl Tracker {
    /// A badge passed a portal.
    pub(super) fn badge_passed(
        &mut self,
        person: PersonId,
        portal: &ReadPointId,
        direction: Direction,
        confidence: f32,
        cause: &Cause,
    ) {
        let Some(within) = self.topology.portal(portal).map(|portal| portal.handover_within) else { return };
        let passing = BadgePassing { person, direction, at: cause.observed_at, confidence };
        self.company.note(portal, passing, within);
    }

    /// An asset passed a portal: who was with it is judged when their badges are known.
    pub(super) fn carried_through(
        &mut self,
        asset: &AssetId,
        portal: &ReadPointId,
        direction: Direction,
        confidence: f32,
        cause: &Cause,
    ) {
        let Some(within) = self.topology.portal(portal).map(|portal| portal.handover_within) else { return };
        let judged_at = cause.received_at + within.saturating_mul(2);
        let carried =
            Carried { portal: portal.clone(), direction, at: cause.observed_at, confidence, judged_at };
        self.company.restore_carried(asset, &carried);
        self.assets.change(asset).memory.carried = Some(Box::new(carried));
    }

    /// Judges the earliest passage that is due.
    pub(super) fn pass_judgement(&mut self, until: Timestamp, now: Timestamp, out: &mut Vec<Event>) {
        let Some((at, asset)) = self.company.judged.pop(until) else { return };
        let unjudged = self.assets.get(&asset).is_some_and(|row| row.memory.carried.is_some());
        let carried = unjudged.then(|| self.assets.change(&asset).memory.carried.take()).flatten();
        let Some(carried) = carried else { return };
        let Some(proposal) = self.proposal_of(&asset, *carried) else { return };
        let cause = Cause::own(at, now);
        self.assets.change(&asset).current.proposal = Some(Box::new(proposal.clone()));
        self.tell_proposal(&asset, ProposalChange::Made, proposal.clone(), &cause, out);
        let by_itself =
            self.register.class_of(&asset).is_some_and(|class| class.handover == Handover::Accept);
        let ready = proposal.from.is_some() || self.readiness_at(&asset, now).is_empty();
        if let ([only], true) = (&proposal.candidates[..], by_itself && ready) {
            self.accept(&asset, &only.person, None, OWN_SOURCE, &cause, out);
        }
    }

    fn proposal_of(&self, asset: &AssetId, carried: Carried) -> Option<Proposal> {
        let held = self.register.asset(asset).filter(|held| !held.is_retired())?;
        let from = self.checkout_of(&held.id).map(|checkout| checkout.holder.clone());
        if from.is_none() && carried.direction == Direction::In {
            return None;
        }
        let mut with = self.company_of(&carried);
        let mine = |person: &PersonId| from.as_ref().is_some_and(|holder| self.is_holder(person, holder));
        if with.is_empty() || with.iter().any(|badge| mine(&badge.person)) {
            return None;
        }
        let surest = with.iter().map(|badge| badge.confidence).fold(0.0, f32::max);
        let confidence = carried.confidence * surest / with.len() as f32;
        let candidates = with.drain(..).map(|badge| Candidate { person: badge.person, passed_at: badge.at });
        let candidates = candidates.collect();
        let Carried { portal, direction, at, .. } = carried;
        Some(Proposal { from, candidates, portal, direction, passed_at: at, confidence })
    }

    /// The badges that passed with it, each person once, nearest in time first.
    fn company_of(&self, carried: &Carried) -> Vec<BadgePassing> {
        let within = self.topology.portal(&carried.portal).map(|portal| portal.handover_within);
        let within = within.unwrap_or_default();
        let apart = |at: Timestamp| at.since(carried.at).max(carried.at.since(at));
        let badges = self.company.badges.get(&carried.portal).into_iter().flatten();
        let with = badges.filter(|b| b.direction == carried.direction && apart(b.at) <= within);
        let mut with: Vec<BadgePassing> = with.cloned().collect();
        with.sort_by(|a, b| (apart(a.at), &a.person).cmp(&(apart(b.at), &b.person)));
        let mut named = BTreeSet::new();
        with.retain(|badge| named.insert(badge.person.clone()));
        with
    }

    /// Whether somebody is who a checkout names: by number, by name, or as one of the team.
    fn is_holder(&self, person: &PersonId, holder: &str) -> bool {
        let known = self.register.person(person.as_str());
        let names = known.map(|known| [known.name.as_deref(), known.team.as_deref()]).unwrap_or_default();
        person.as_str() == holder || names.contains(&Some(holder))
    }

    /// Who takes it, where the proposal can be accepted so.
    pub(super) fn check_accept(
        &self,
        asset: &AssetId,
        to: Option<&PersonId>,
        overriding: Option<&str>,
        now: Timestamp,
    ) -> Result<PersonId, Refused> {
        let proposal = self.standing_proposal(asset)?;
        let person = match (to, &proposal.candidates[..]) {
            (None, [only]) => only.person.clone(),
            (None, several) => {
                let names: Vec<&str> = several.iter().map(|c| c.person.as_str()).collect();
                let names = names.join(" or ");
                return Err(invalid(format!("`{asset}`: say who of those who passed took it: {names}")));
            }
            (Some(to), candidates) if candidates.iter().any(|c| c.person == *to) => to.clone(),
            (Some(to), _) => {
                return Err(invalid(format!("`{asset}`: {to} did not pass {} with it", proposal.portal)));
            }
        };
        if proposal.from.is_none() {
            self.check_gate(asset, overriding, now)?;
        }
        Ok(person)
    }

    pub(super) fn standing_proposal(&self, asset: &AssetId) -> Result<&Proposal, Refused> {
        self.known(asset)?;
        let standing = self.asset(asset).and_then(|current| current.proposal.as_deref());
        standing.ok_or_else(|| conflict(format!("no hand-over of `{asset}` is proposed")))
    }

    pub(super) fn accept(
        &mut self,
        asset: &AssetId,
        person: &PersonId,
        note: Option<String>,
        by: &str,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let Some(proposal) = self.end_proposal(asset, ProposalChange::Accepted, cause, out) else { return };
        let holder = person.to_string();
        let how = format!("sensed passing {} with {person}, accepted by {by}", proposal.portal);
        match self.checkout_of(asset).cloned() {
            Some(held) => {
                let checked_out_at = proposal.passed_at.max(held.checked_out_at);
                let checkout = Checkout { holder, checked_out_at, note, ..held };
                self.hand_over(checkout, &how, cause, out);
            }
            None => {
                let (asset, note) = (asset.clone(), note.or(Some(how)));
                let checked_out_at = proposal.passed_at;
                let waived = self.readiness(&asset);
                let checkout = Checkout { asset, holder, checked_out_at, due_back: None, note, waived };
                self.check_out(checkout, cause, out);
            }
        }
    }

    pub(super) fn check_hand_over(
        &self,
        asset: &AssetId,
        from: Option<&str>,
        to: &str,
        due_back: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), Refused> {
        self.known(asset)?;
        let Some(held) = self.checkout_of(asset) else {
            return Err(conflict(format!("`{asset}` is not checked out: check it out to {to}")));
        };
        let holder = &held.holder;
        if from.is_some_and(|from| from != holder) {
            return Err(conflict(format!("`{asset}` is with {holder}")));
        }
        if to.trim().is_empty() {
            return Err(invalid(format!("`{asset}`: it is not said who takes it")));
        }
        if to == holder {
            return Err(conflict(format!("{to} has `{asset}` already")));
        }
        match due_back {
            Some(due) if due <= now => Err(invalid(format!("`{asset}`: due back {due}, which is past"))),
            _ => Ok(()),
        }
    }

    /// Puts `checkout` in the place of the one that stands.
    pub(super) fn hand_over(&mut self, checkout: Checkout, how: &str, cause: &Cause, out: &mut Vec<Event>) {
        let asset = checkout.asset.clone();
        self.end_proposal(&asset, ProposalChange::Lapsed, cause, out);
        let row = self.assets.change(&asset);
        let Some(before) = row.current.checkout.replace(Box::new(checkout.clone())) else { return };
        row.memory.closed_checkout = Some(before.checked_out_at);
        row.memory.late_at = None;
        row.memory.custody_acts += 1;
        let act = row.memory.custody_acts.to_be_bytes();
        let site = self.register.home_site(&asset).cloned();
        let (holder, at) = (checkout.holder.clone(), checkout.checked_out_at);
        let body = EventBody::HandedOver { checkout, from: before.holder, how: how.to_owned() };
        out.push(cause.event(site, Subject::Asset(asset.clone()), body, &[&act]));
        self.note_checkout(&holder, at, cause, out);
        self.schedule_overdue(&asset, cause, out);
    }

    /// Takes a standing proposal back, and says what became of it.
    pub(super) fn end_proposal(
        &mut self,
        asset: &AssetId,
        change: ProposalChange,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) -> Option<Proposal> {
        self.asset(asset)?.proposal.as_ref()?;
        let proposal = *self.assets.change(asset).current.proposal.take()?;
        self.tell_proposal(asset, change, proposal.clone(), cause, out);
        Some(proposal)
    }

    fn tell_proposal(
        &self,
        asset: &AssetId,
        change: ProposalChange,
        proposal: Proposal,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let site = self.register.home_site(asset).cloned();
        let passed = proposal.passed_at.as_micros().to_be_bytes();
        let confidence = proposal.confidence;
        let body = EventBody::Proposal { change, proposal };
        let cause = Cause { late: false, ..cause.clone() };
        let mut event = cause.event(site, Subject::Asset(asset.clone()), body, &[&[change as u8], &passed]);
        event.confidence = Some(confidence);
        out.push(event);
    }
}
