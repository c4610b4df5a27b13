//! Where it is: presence and passages → location events and the one current answer. What trackers say of it: [`super::tracked`].
//!
//! Newer evidence wins, an older one never moves the answer back, and a late one is recorded and moves
//! nothing. What a source held back is not marked late, and may be as old: it moves nothing either where the
//! answer was confirmed since by more than reads straggle.
//!
//! A refresh says that a tag still is there; it moves the answer (and is told, so that history explains the
//! answer) only when something else had moved it away and the tag goes on being heard for longer than reads may
//! straggle.

use smallvec::SmallVec;

use super::Tracker;
use super::assets::{AssetRow, Lately, Passed, Present};
use super::cause::Cause;
use super::vehicles::Answer;
use crate::domain::epc::Epc;
use crate::domain::events::{Event, EventBody, Subject};
use crate::domain::ids::{AssetId, ReadPointId, SiteId, ZoneId};
use crate::domain::register::Carrier;
use crate::domain::sightings::{Direction, Passage, PresenceChange, Weighed};
use crate::domain::state::{Location, SensedBy};
use crate::domain::time::Timestamp;

/// What cleaning says of a tag's presence.
pub(super) struct Heard {
    pub epc: Epc,
    pub read_point: ReadPointId,
    pub change: PresenceChange,
    pub ears: SmallVec<[ReadPointId; 1]>,
    pub beside: bool,
    pub weighed: Option<Box<Weighed>>,
}

impl Heard {
    fn ears(&self) -> &[ReadPointId] {
        if self.ears.is_empty() { std::slice::from_ref(&self.read_point) } else { &self.ears }
    }
}

impl Tracker {
    pub(super) fn presence(&mut self, mut heard: Heard, cause: &Cause, out: &mut Vec<Event>) {
        let (epc, change) = (heard.epc, heard.change);
        let carrier = self.carrier_of_tag(&epc, cause);
        let subject = carrier.as_ref().map_or(Subject::Tag(epc), |carrier| subject_of(carrier, epc));
        let asset = carrier.as_ref().and_then(Carrier::asset).cloned();
        heard.beside &= asset.as_ref().is_none_or(|asset| self.is_beside(asset, &heard));
        if change != PresenceChange::Refreshed {
            self.tell_presence(subject.clone(), &heard, cause, out);
        }
        if change != PresenceChange::Departed && !heard.beside {
            self.count_at(epc, asset.as_ref(), &heard.read_point, cause, out);
        }
        if !cause.late && (change == PresenceChange::Departed || !self.is_of_use(asset.as_ref())) {
            self.stranger_present(epc, &heard.read_point, change, cause, out);
        }
        let Some(asset) = asset.filter(|_| !cause.late) else { return };
        match change {
            PresenceChange::Arrived | PresenceChange::Moved => {
                self.heard(&asset, &heard, !heard.beside, cause, out);
            }
            PresenceChange::Refreshed => {
                let moves = !heard.beside && self.refresh_moves(&asset, &heard.read_point, cause);
                if moves {
                    self.tell_presence(subject, &heard, cause, out);
                }
                self.heard(&asset, &heard, moves, cause, out);
            }
            PresenceChange::Departed => self.departed(&asset, epc, &heard.read_point, cause, out),
        }
    }

    /// Whether what is heard beside matters to the answer that little. Where something else than being heard tells
    /// where it is, being heard anywhere is news; and what was placed by it has left with it.
    fn is_beside(&self, asset: &AssetId, heard: &Heard) -> bool {
        let Some(row) = self.assets.get(asset) else { return false };
        if heard.change == PresenceChange::Arrived {
            return self.is_heard_there(row);
        }
        let point = self.topology.presence(&heard.read_point);
        point.is_none_or(|point| row.current.location != Location::Zone(point.zone.clone()))
    }

    /// What a tag hung on; what is known of an asset is at hand then.
    fn carrier_of_tag(&self, epc: &Epc, cause: &Cause) -> Option<Carrier> {
        let carrier = self.register.carrier_of_tag(epc, cause.observed_at)?;
        if let Some(asset) = carrier.asset()
            && let Some(hint) = self.register.place_of_row(asset)
        {
            self.assets.recall(asset, hint);
        }
        Some(carrier.clone())
    }

    /// Whose tag is on it, is no stranger.
    fn is_of_use(&self, asset: Option<&AssetId>) -> bool {
        asset.and_then(|asset| self.register.asset(asset)).is_some_and(|held| !held.is_retired())
    }

    pub(super) fn passage(&mut self, passage: Passage, cause: &Cause, out: &mut Vec<Event>) {
        let Passage { epc, portal, direction, confidence, evidence } = passage;
        let carrier = self.carrier_of_tag(&epc, cause);
        let sides = self.topology.portal(&portal);
        let (from, to) = sides.map(|sides| sides.crossing(direction)).unwrap_or_default();
        let merge = sides.map(|sides| sides.merge).unwrap_or_default();
        let asset = carrier.as_ref().and_then(Carrier::asset).cloned();
        if let Some(asset) = &asset {
            let at = cause.observed_at;
            let passed = Passed { portal: portal.clone(), direction, at, epcs: vec![epc] };
            if self.assets.change(asset).fold_passage(passed, merge) {
                return;
            }
        }
        let site = self.site_at(&portal, to.as_ref().or(from.as_ref()), cause);
        let subject = carrier.as_ref().map_or(Subject::Tag(epc), |carrier| subject_of(carrier, epc));
        let parts: [&[u8]; 3] = [epc.bytes(), portal.as_str().as_bytes(), &[direction as u8]];
        let body =
            EventBody::Passage { direction, epc, portal: portal.clone(), from, to: to.clone(), evidence };
        let mut event = cause.event(site, subject, body, &parts);
        event.confidence = Some(confidence);
        out.push(event);
        if let Some(zone) = &to {
            let how = format!("passed in through {portal}");
            self.count_in(epc, asset.as_ref(), zone, &how, None, cause, out);
        }
        if cause.late {
            return;
        }
        self.stranger_passed(epc, &portal, cause, out);
        if let Some(Carrier::Person(person)) = carrier {
            self.badge_passed(person, &portal, direction, confidence, cause);
        }
        if let Some(asset) = asset {
            self.carried_through(&asset, &portal, direction, confidence, cause);
            self.passed(&asset, &portal, direction, to, confidence, cause, out);
        }
    }

    fn tell_presence(&self, subject: Subject, heard: &Heard, cause: &Cause, out: &mut Vec<Event>) {
        let Heard { epc, read_point, change, beside, weighed, .. } = heard;
        let zone = self.topology.presence(read_point).map(|point| point.zone.clone());
        let site = self.site_at(read_point, zone.as_ref(), cause);
        let parts: [&[u8]; 3] = [epc.bytes(), read_point.as_str().as_bytes(), &[*change as u8]];
        let body = EventBody::Presence {
            change: *change,
            epc: *epc,
            read_point: read_point.clone(),
            zone: zone.filter(|_| !beside),
            beside: *beside,
            weighed: weighed.clone(),
        };
        out.push(cause.event(site, subject, body, &parts));
    }

    /// A tag is heard where assets stay. `places`: that moves the answer, if nothing newer did.
    fn heard(&mut self, asset: &AssetId, heard: &Heard, places: bool, cause: &Cause, out: &mut Vec<Event>) {
        let at = cause.observed_at;
        let read_point = &heard.read_point;
        let point = self.topology.presence(read_point).cloned();
        let may_place = places && self.may_place(asset, at);
        let row = self.assets.change(asset);
        row.enter_presence(read_point, heard.epc);
        row.sense(at, SensedBy::ReadPoint(read_point.clone()));
        if let Some(point) = point.as_ref().filter(|_| places) {
            self.comes_to_bay(asset, &point.zone, at);
        }
        if let Some(point) = point {
            let row = self.assets.change(asset);
            let zone = Location::Zone(point.zone.clone());
            let was_known = row.current.location != Location::Unknown;
            let elsewhere = row.current.location != zone;
            let carried = matches!(row.current.location, Location::In(_));
            if may_place && !(carried && self.is_there_in_its_vehicle(asset, &point.zone)) {
                let reason = match &heard.weighed {
                    Some(weighed) if !heard.beside => reason_of(read_point, weighed).into(),
                    _ => point.heard_at.clone(),
                };
                self.place(
                    asset,
                    Answer { location: zone.clone(), at, reason, confidence: None },
                    cause,
                    out,
                );
                if elsewhere {
                    self.relocated(asset, was_known, cause, out);
                }
            }
            let row = self.assets.change(asset);
            if row.current.location == zone {
                row.memory.departed = false;
                heard.ears().iter().for_each(|ear| row.note_lately(ear, at));
                self.note_leaving(asset);
                self.heard_in(asset, &point.zone, point.stays(), &point.sensed_at, cause, out);
            }
        }
        self.sensed(asset, heard.ears(), cause, out);
    }

    fn refresh_moves(&self, asset: &AssetId, read_point: &ReadPointId, cause: &Cause) -> bool {
        let Some(point) = self.topology.presence(read_point) else { return false };
        let Some(row) = self.assets.get(asset) else { return true };
        if row.current.location == Location::Zone(point.zone.clone()) {
            return false;
        }
        let lasting = row.memory.placed_at.is_none_or(|at| cause.observed_at > at + point.lost_after);
        lasting && !self.is_heard_there(row) && !self.is_there_in_its_vehicle(asset, &point.zone)
    }

    /// Whether evidence of `at` may move the answer: nothing newer placed it, and nothing confirms the answer
    /// that is newer by more than reads may straggle.
    pub(super) fn may_place(&self, asset: &AssetId, at: Timestamp) -> bool {
        let Some(row) = self.assets.get(asset) else { return true };
        let confirmed = |lately: &Lately| {
            let point = self.topology.presence(self.topology.whole(&lately.read_point));
            point.is_some_and(|point| lately.at > at + point.lost_after)
        };
        row.may_place(at) && !row.memory.lately.iter().any(confirmed)
    }

    /// Whether a tag of it is in presence in the zone that the answer names, at a read point that hears.
    pub(super) fn is_heard_there(&self, row: &AssetRow) -> bool {
        let Location::Zone(zone) = &row.current.location else { return false };
        row.memory.present.iter().any(|present| {
            let point = self.topology.presence(&present.read_point);
            point.is_some_and(|point| point.zone == *zone) && self.watches.hears(&present.read_point)
        })
    }

    pub(super) fn departed(
        &mut self,
        asset: &AssetId,
        epc: Epc,
        read_point: &ReadPointId,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let zone = self.topology.presence(read_point).map(|point| Location::Zone(point.zone.clone()));
        if let Some(Location::Zone(zone)) = &zone {
            let how = self.topology.presence(read_point).map(|point| point.heard_at.to_string());
            self.leaves_bay(asset, zone, how, cause, out);
        }
        let is_elsewhere = |present: &Present| {
            let point = self.topology.presence(&present.read_point);
            point.map(|point| Location::Zone(point.zone.clone())) != zone
        };
        let row = self.assets.change(asset);
        row.leave_presence(read_point, epc);
        let placed_here = Some(&row.current.location) == zone.as_ref();
        // Another zone may hear it still.
        let gone = row.memory.present.iter().all(is_elsewhere);
        if gone && placed_here && row.may_place(cause.observed_at) {
            row.memory.departed = true;
            let last = row.current.last_sensed.as_ref().map_or(cause.observed_at, |last| last.at);
            let site = self.register.home_site(asset);
            let since = self.register.local(site, last);
            self.assets.change(asset).current.reason =
                format!("last heard at {read_point}, not heard since {since}").into();
            self.left_bay(asset, cause, out);
        }
        self.note_leaving(asset);
    }

    #[expect(clippy::too_many_arguments, reason = "one passage, taken apart by its caller")]
    fn passed(
        &mut self,
        asset: &AssetId,
        portal: &ReadPointId,
        direction: Direction,
        to: Option<ZoneId>,
        confidence: f32,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let at = cause.observed_at;
        let in_its_vehicle = self.passes_in_its_vehicle(asset, portal, direction, at);
        let may_place = self.may_place(asset, at) && !in_its_vehicle;
        self.assets.change(asset).sense(at, SensedBy::ReadPoint(portal.clone()));
        if may_place {
            let way = if direction == Direction::In { "in" } else { "out" };
            let (vehicle, reason) = match direction {
                Direction::In => (None, format!("passed {portal} in")),
                Direction::Out => self.taken_by(asset, portal, at),
            };
            let without = || to.clone().map_or(Location::OutThrough(portal.clone()), Location::Zone);
            let location = vehicle.map_or_else(without, Location::In);
            let answer = Answer { location, at, reason: reason.into(), confidence: Some(confidence) };
            self.place(asset, answer, cause, out);
            if direction == Direction::Out {
                self.note_boarding(asset, portal, without(), at);
            }
            self.lies_somewhere(asset, at);
            self.note_leaving(asset);
            if let Some(zone) = &to {
                self.passed_into(asset, zone, &format!("sensed passing {portal} {way}"), cause, out);
            }
            self.crossed(asset, portal, direction, to.as_ref(), cause, out);
            self.relocated(asset, true, cause, out);
        }
        if self.is_vehicle(asset) {
            self.rejoin(asset, portal, direction, cause, out);
        }
        self.sensed(asset, &[], cause, out);
    }

    /// It is in its zone by what was seen elsewhere, or said: where in it, nobody heard yet.
    pub(super) fn lies_somewhere(&mut self, asset: &AssetId, at: Timestamp) {
        if let Some(Location::Zone(_)) = self.assets.get(asset).map(|row| &row.current.location) {
            self.assets.change(asset).presume(at);
        }
    }

    /// It is somewhere else than it was. `moved`: it was somewhere; found for the first time, it need not have moved.
    pub(super) fn relocated(&mut self, asset: &AssetId, moved: bool, cause: &Cause, out: &mut Vec<Event>) {
        if moved {
            self.moved(asset, cause, out);
        }
        self.review(asset, cause, out);
        self.part_moved(asset, cause, out);
    }

    /// Alerts that rest on where it is, who has it and what it is.
    pub(super) fn review(&mut self, asset: &AssetId, cause: &Cause, out: &mut Vec<Event>) {
        self.review_exit(asset, cause, out);
        self.review_zone(asset, cause, out);
    }

    /// Site of an event at a read point: its zone's, else its source's.
    fn site_at(&self, read_point: &ReadPointId, zone: Option<&ZoneId>, cause: &Cause) -> Option<SiteId> {
        let of_zone = zone.and_then(|zone| self.register.site_of_zone(zone));
        let of_source = || {
            let mut sources = self.topology.sources_of(read_point);
            self.topology
                .site_of_source(&cause.source)
                .or_else(|| sources.find_map(|source| self.topology.site_of_source(source)))
        };
        of_zone.or_else(of_source).cloned()
    }
}

/// Why it is here rather than there, both hearing it.
fn reason_of(read_point: &ReadPointId, weighed: &Weighed) -> String {
    let Weighed { against, here_dbm, there_dbm, silent_s } = weighed;
    let signals = here_dbm.zip(*there_dbm).map(|(here, there)| format!("{here:.0} against {there:.0} dBm"));
    let silence = (*silent_s >= 1.0).then(|| format!("{silent_s:.0} s not heard there"));
    let why: Vec<String> = signals.into_iter().chain(silence).collect();
    let why = if why.is_empty() { String::new() } else { format!(" ({})", why.join(", ")) };
    format!("heard better at {read_point} than at {against}{why}")
}

fn subject_of(carrier: &Carrier, epc: Epc) -> Subject {
    match carrier {
        Carrier::Asset(asset) => Subject::Asset(asset.clone()),
        Carrier::Person(person) => Subject::Person(person.clone()),
        Carrier::Zone(_) => Subject::Tag(epc),
    }
}
