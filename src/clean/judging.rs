//! The tags of one read point: what a report of one tells, and what silence makes of it.
//!
//! Silence is judged as far as [`Point::advance`] says that it was heard. While an antenna is cut off, that is not
//! enough of a tag that it heard: whether each of these hears is asked for each tag.

use smallvec::SmallVec;

use super::deadlines::Slot;
use super::hearing::{Ears, Line, Observed, Point, STRANDED};
use super::neighbours::Neighbours;
use super::portal::verdict::SURE_ALONE;
use super::portal::{Crossed, Crossing, Heard, Judged, Unseen};
use super::presence::{HeardBy, Presence, Reads, Told};
use super::rules::{PointKind, PortalRule, PresenceRule};
use super::source::{MIN_SLACK, Source};
use super::windows::Window;
use crate::domain::epc::Epc;
use crate::domain::ids::ReadPointId;
use crate::domain::sightings::{Passage, PresenceChange, Seen};
use crate::domain::time::Timestamp;

impl Ears {
    /// Since when the silence of a tag counts.
    pub fn since(&self, presence: &Presence) -> Option<Timestamp> {
        let since = self.heard_since?;
        Some(self.antennas.hear_since(presence.heard_by()).map_or(since, |hears| hears.max(since)))
    }

    fn deadline(&self, window: &Window, kind: &PointKind) -> Timestamp {
        match (window, kind) {
            (Window::Presence(presence), PointKind::Presence(rule)) => {
                presence.deadline(rule, self.since(presence))
            }
            (Window::Portal(crossing), PointKind::Portal(rule)) => crossing.deadline(rule),
            (Window::Presence(presence), PointKind::Portal(_)) => presence.last,
            (Window::Portal(crossing), PointKind::Presence(_)) => crossing.last,
        }
    }
}

impl Point {
    /// One report of a tag that is no reference, of one of its antennas.
    pub fn read(
        &mut self,
        epc: Epc,
        reads: Reads,
        (ear, heard): (usize, Heard),
        others: Neighbours<'_>,
        seen: &mut Vec<Observed>,
    ) {
        match self.rule.kind.clone() {
            PointKind::Presence(rule) => self.read_presence(epc, reads, (ear, heard), &rule, others, seen),
            PointKind::Portal(rule) => {
                let (crossed, unseen) = self.read_portal(epc, reads, heard, &rule);
                self.unseen(epc, unseen, &rule, others);
                if let Some(crossed) = crossed {
                    self.tell(epc, crossed, &rule, others, seen);
                }
            }
        }
    }

    fn read_presence(
        &mut self,
        epc: Epc,
        reads: Reads,
        (ear, heard): (usize, Heard),
        rule: &PresenceRule,
        others: Neighbours<'_>,
        seen: &mut Vec<Observed>,
    ) {
        let new = || Window::Presence(Presence::new(reads.first));
        let (slot, Window::Presence(presence)) = self.windows.touch(epc, new) else { return };
        let several = !self.rule.ears.is_empty();
        let ear = if several { self.ears.antennas.heard_by(ear) } else { HeardBy::default() };
        let before = presence.last;
        let told = presence.read(reads, (ear, heard.peak_dbm), rule, self.ears.since(presence));
        let deadline = presence.deadline(rule, self.ears.since(presence));
        let is_candidate = !presence.is_present();
        let outcome = presence.is_weighed(told, before).then(|| {
            let outcome = others.weigh(epc, presence, rule.zone, told.is_some_and(Told::is_new));
            self.overtaken.extend(outcome.overtakes.iter().map(|point| (*point, epc)));
            outcome
        });
        let took = outcome.as_ref().is_some_and(|outcome| !outcome.beside && presence.beside);
        if let Some(outcome) = &outcome {
            presence.beside = outcome.beside;
        }
        let beside = presence.beside;
        let what = match told {
            Some(Told::Arrived { first, by }) => Some((first, PresenceChange::Arrived, by)),
            _ if took => Some((presence.last, PresenceChange::Moved, presence.refresh())),
            Some(Told::Refreshed { last, by }) => Some((last, PresenceChange::Refreshed, by)),
            None => None,
        };
        self.windows.arm(slot, deadline);
        if is_candidate {
            self.windows.arm_candidate(slot, deadline);
        }
        let Some((at, change, by)) = what else { return };
        let ears = self.names_of(by);
        let weighed =
            outcome.filter(|_| change != PresenceChange::Refreshed).and_then(|outcome| outcome.weighed);
        let read_point = self.rule.name.clone();
        seen.push((at, Seen::Presence { epc, read_point, change, ears, beside, weighed }));
    }

    fn names_of(&self, by: HeardBy) -> SmallVec<[ReadPointId; 1]> {
        let names = self.rule.ears.iter().enumerate();
        let heard = names.filter(|(nth, _)| by.has(self.ears.antennas.heard_by(*nth)));
        heard.map(|(_, name)| name.clone()).collect()
    }

    fn read_portal(
        &mut self,
        epc: Epc,
        reads: Reads,
        heard: Heard,
        rule: &PortalRule,
    ) -> (Option<Crossed>, Option<Unseen>) {
        let new = || Window::Portal(Box::new(Crossing::new(reads.first, rule)));
        let (slot, Window::Portal(crossing)) = self.windows.touch(epc, new) else { return (None, None) };
        let crossed = crossing.read(reads, heard, rule, &self.ears.beams);
        let unseen = crossing.take_unseen();
        let deadline = crossing.deadline(rule);
        self.windows.arm(slot, deadline);
        (crossed, unseen)
    }

    /// Light barriers that see nothing of what surely passes, here and not next door, do not work.
    fn unseen(&mut self, epc: Epc, unseen: Option<Unseen>, rule: &PortalRule, others: Neighbours<'_>) {
        let Some((at, dbm)) = unseen else { return };
        if !others.heard_better(epc, at, dbm) {
            self.ears.beams.passed(at, rule.beams);
            self.dirty = true;
        }
    }

    /// How strongly a portal heard a tag at about that time, at its best.
    pub fn strongest_near(&self, epc: Epc, at: Timestamp) -> Option<f32> {
        match self.windows.window(epc)? {
            Window::Portal(crossing) => crossing.strongest_near(at),
            Window::Presence(_) => None,
        }
    }

    /// Of what another portal heard better nothing is told, and nothing follows it here.
    fn tell(
        &mut self,
        epc: Epc,
        crossed: Crossed,
        rule: &PortalRule,
        others: Neighbours<'_>,
        seen: &mut Vec<Observed>,
    ) {
        if others.heard_better(epc, crossed.at, crossed.evidence.strongest()) {
            return;
        }
        if crossed.by_itself {
            self.ears.companions.note(crossed.at, crossed.since, crossed.direction, crossed.later);
            if crossed.alone >= SURE_ALONE && rule.beams != [false; 2] {
                self.ears.beams.passed(crossed.at, rule.beams);
            }
            self.dirty = true;
        }
        seen.push(self.passage(epc, crossed));
    }

    fn passage(&self, epc: Epc, crossed: Crossed) -> Observed {
        let passage = Passage {
            epc,
            portal: self.rule.name.clone(),
            direction: crossed.direction,
            confidence: crossed.confidence,
            evidence: crossed.evidence,
        };
        (crossed.at, Seen::Passage(passage))
    }

    /// Our clock has come to `now`.
    pub fn forget_stranded(&mut self, sources: &[Source], now: Timestamp) {
        if self.line(sources) == Line::Down {
            self.forget_candidates(now - STRANDED);
        }
    }

    pub(super) fn forget_candidates(&mut self, until: Timestamp) {
        let PointKind::Presence(rule) = self.rule.kind else { return };
        let mut due = std::mem::take(&mut self.due);
        while self.windows.due_candidates(until, &mut due) {
            for slot in due.drain(..) {
                match self.windows.candidate_deadline(slot, &rule) {
                    Some(deadline) if deadline > until => self.windows.arm_candidate(slot, deadline),
                    Some(_) => self.windows.remove(slot),
                    None => {}
                }
            }
        }
        self.due = due;
    }

    pub(super) fn judge(&mut self, until: Timestamp, others: Neighbours<'_>, seen: &mut Vec<Observed>) {
        let mut due = std::mem::take(&mut self.due);
        while let Some(at) = self.windows.due(until, &mut due) {
            for slot in due.drain(..) {
                self.judge_one(slot, (at, until), others, seen);
            }
        }
        self.due = due;
    }

    fn judge_one(
        &mut self,
        slot: Slot,
        (at, until): (Timestamp, Timestamp),
        others: Neighbours<'_>,
        seen: &mut Vec<Observed>,
    ) {
        let Some(deadline) = self.deadline_of(slot, until) else { return };
        // It has moved on; put back even where it is due all the same, for the order is by deadline.
        if deadline > at {
            return self.windows.arm(slot, deadline);
        }
        let Some(held) = self.windows.held(slot) else { return };
        let epc = held.epc.epc();
        match (&mut held.window, self.rule.kind.clone()) {
            (Window::Portal(crossing), PointKind::Portal(rule)) => {
                let judged = crossing.silent(&rule, &self.ears.companions, &self.ears.beams);
                let unseen = crossing.take_unseen();
                let deadline = crossing.deadline(&rule);
                self.unseen(epc, unseen, &rule, others);
                match judged {
                    Judged::Forgotten => self.windows.remove(slot),
                    Judged::Rests(crossed) => {
                        self.windows.changed(slot);
                        self.windows.arm(slot, deadline);
                        if let Some(crossed) = crossed {
                            self.tell(epc, crossed, &rule, others, seen);
                        }
                    }
                }
            }
            (Window::Presence(presence), _) => {
                let (left, beside) = (presence.is_present().then_some(presence.last), presence.beside);
                self.windows.remove(slot);
                let read_point = self.rule.name.clone();
                let (change, ears, weighed) = (PresenceChange::Departed, SmallVec::new(), None);
                let departed = Seen::Presence { epc, read_point, change, ears, beside, weighed };
                seen.extend(left.map(|at| (at, departed)));
            }
            (Window::Portal(_), PointKind::Presence(_)) => self.windows.remove(slot),
        }
    }

    /// Of what an antenna heard that does not hear now, nothing is known at `until`; it is looked at again later.
    fn deadline_of(&mut self, slot: Slot, until: Timestamp) -> Option<Timestamp> {
        let is_part = self.is_part();
        let held = self.windows.held(slot)?;
        let deaf = |presence: &Presence| {
            let ears = &self.ears.antennas;
            is_part && presence.is_present() && !ears.all_hear(&self.rule, presence.heard_by(), until)
        };
        Some(match (&held.window, &self.rule.kind) {
            (Window::Presence(presence), PointKind::Presence(rule)) if deaf(presence) => {
                until + rule.lost_after.max(MIN_SLACK)
            }
            (window, kind) => self.ears.deadline(window, kind),
        })
    }

    /// Whether a window is of this read point's kind.
    pub fn takes(&self, window: &Window) -> bool {
        matches!(window, Window::Portal(_)) == self.is_portal()
    }

    pub fn first_deadline(&self, window: &Window) -> Timestamp {
        self.ears.deadline(window, &self.rule.kind)
    }
}
