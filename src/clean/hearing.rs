//! One read point: whether it hears, and the tags it hears.
//!
//! A read point *listens* while all its sources are up and caught up, and there was traffic (its reference
//! tag, where it has one) within its timeout. Only then is silence evidence that a tag has left; a time
//! without listening does not count, and afterwards a tag has its full time again. It *hears* while it listens
//! and none of its antennas is cut off; while one is, silence is evidence where the others hear, each by its own
//! measure (`antennas.rs`): the reference tag may lie before the one that is cut off. While a source replays, the read point's own replayed reads say
//! until when it listened. A portal's windows need no traffic to be judged: only their sources' time.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::antennas::Antennas;
use super::deadlines::Slot;
use super::portal::companions::Companions;
use super::portal::{Crossed, Crossing, Heard, Judged};
use super::presence::{HeardBy, Presence, Reads, Told};
use super::rows::{maybe_micros, micros};
use super::rules::{PointKind, PointRule, PortalRule, PresenceRule};
use super::source::{MIN_SLACK, Source};
use super::windows::{Window, Windows};
use crate::domain::epc::Epc;
use crate::domain::ids::{Antenna, SourceId};
use crate::domain::sightings::{Passage, PresenceChange, Seen};
use crate::domain::time::Timestamp;

/// Something seen, with the time at which it was.
pub(super) type Observed = (Timestamp, Seen);

pub(super) struct Point {
    pub rule: PointRule,
    /// Its sources' places in the list of sources.
    pub sources: Vec<usize>,
    pub listening: bool,
    /// It was last said to hear.
    pub hearing: bool,
    pub ears: Ears,
    pub windows: Windows,
    pub dirty: bool,
    due: Vec<Slot>,
    /// Its windows, as they were last counted.
    counted: usize,
}

/// While a source is down, the time of a read point stands still. What its other sources heard and nobody
/// was told of is forgotten after this long by our clock: strange codes must not fill the memory.
const STRANDED: Duration = Duration::from_secs(3600);

/// What a read point has heard; its row.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Ears {
    #[serde(with = "maybe_micros", default)]
    pub last_traffic: Option<Timestamp>,
    /// Since when silence counts; none while nothing is heard, and so after a restart.
    #[serde(skip)]
    pub heard_since: Option<Timestamp>,
    /// The latest time that `heard_since` has ever been: it does not go back, or deadlines would.
    #[serde(with = "micros")]
    not_before: Timestamp,
    /// Each of its antennas.
    #[serde(default)]
    pub antennas: Antennas,
    /// What passed here lately, where it is a portal.
    #[serde(default, skip_serializing_if = "Companions::is_empty")]
    companions: Companions,
}

/// How far the time of a read point has come, and what moves it.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Line {
    Down,
    Replaying(Timestamp),
    Live(Timestamp),
}

impl Ears {
    fn resume(&mut self, at: Timestamp) {
        self.not_before = self.not_before.max(at);
        self.heard_since = Some(self.not_before);
    }

    /// Since when the silence of a tag counts.
    fn since(&self, presence: &Presence) -> Option<Timestamp> {
        self.heard_since.max(self.antennas.hear_since(presence.heard_by()))
    }

    fn deadline(&self, window: &Window, kind: PointKind) -> Timestamp {
        match (window, kind) {
            (Window::Presence(presence), PointKind::Presence(rule)) => {
                presence.deadline(&rule, self.since(presence))
            }
            (Window::Portal(crossing), PointKind::Portal(rule)) => crossing.deadline(&rule),
            (Window::Presence(presence), PointKind::Portal(_)) => presence.last,
            (Window::Portal(crossing), PointKind::Presence(_)) => crossing.last,
        }
    }
}

impl Point {
    pub fn new(rule: PointRule, sources: Vec<usize>) -> Self {
        let mut ears = Ears::default();
        ears.antennas.fit(&rule);
        Self {
            rule,
            sources,
            listening: false,
            hearing: false,
            ears,
            windows: Windows::default(),
            dirty: false,
            due: Vec::new(),
            counted: 0,
        }
    }

    /// The number of windows of all read points, given what it was when this one was last counted.
    pub fn count(&mut self, all: usize) -> usize {
        let now = self.windows.len();
        all - std::mem::replace(&mut self.counted, now) + now
    }

    fn line(&self, sources: &[Source]) -> Line {
        let mine = || self.sources.iter().map(|source| &sources[*source]);
        let Some(until) = mine().map(|source| source.told.watermark).min() else { return Line::Down };
        if mine().all(Source::live) {
            Line::Live(until)
        } else if mine().all(Source::up) {
            Line::Replaying(until)
        } else {
            Line::Down
        }
    }

    /// When our clock will next change something here.
    pub fn next_deadline(&self, sources: &[Source]) -> Option<Timestamp> {
        match self.line(sources) {
            Line::Live(_) => {}
            Line::Replaying(_) => return None,
            Line::Down => return self.windows.next_candidate().map(|at| at + STRANDED),
        }
        let lapse = self.lapse();
        let windows = self.windows.next_deadline();
        let windows = if self.is_portal() || self.listening || self.is_part() { windows } else { None };
        let next = [lapse, windows, self.ears.antennas.next()].into_iter().flatten().min()?;
        let slack = self.sources.iter().map(|source| sources[*source].slack()).max();
        Some(next + slack.unwrap_or(MIN_SLACK))
    }

    /// Some of its antennas are cut off.
    fn is_part(&self) -> bool {
        !self.ears.antennas.are_whole() && !self.ears.antennas.are_all_cut()
    }

    fn is_portal(&self) -> bool {
        matches!(self.rule.kind, PointKind::Portal(_))
    }

    /// When it ceases to listen, if nothing comes.
    fn lapse(&self) -> Option<Timestamp> {
        let last = self.ears.last_traffic.filter(|_| self.listening)?;
        Some(last + self.rule.hearing_timeout)
    }

    /// The link of one of its sources, or an antenna, changed.
    pub fn relink(&mut self, sources: &[Source], at: Timestamp, seen: &mut Vec<Observed>) {
        match self.line(sources) {
            Line::Live(until) => {
                self.advance(sources, seen);
                self.try_listen(at, until, seen);
                self.ears.antennas.begin(&self.rule, at, until, seen);
                self.dirty = true;
            }
            Line::Replaying(_) => self.stop_all(at, seen),
            Line::Down => {
                self.go_deaf();
                self.stop_all(at, seen);
            }
        }
    }

    fn stop_all(&mut self, at: Timestamp, seen: &mut Vec<Observed>) {
        self.stop_listening(at, seen);
        self.ears.antennas.stop(&self.rule, at, seen);
    }

    /// From here on silence is no evidence.
    pub fn go_deaf(&mut self) {
        self.ears.heard_since = None;
    }

    fn stop_listening(&mut self, at: Timestamp, seen: &mut Vec<Observed>) {
        self.listening = false;
        self.say(at, seen);
    }

    /// Listens from `at` on, where there was traffic lately. All its sources are live, up to `until`.
    fn try_listen(&mut self, at: Timestamp, until: Timestamp, seen: &mut Vec<Observed>) {
        let traffic = self.ears.last_traffic;
        let lately = traffic.is_some_and(|last| last + self.rule.hearing_timeout > until);
        if !self.listening && lately && !self.ears.antennas.are_all_cut() {
            self.listening = true;
            self.dirty = true;
            if self.ears.heard_since.is_none() {
                self.ears.resume(at);
            }
        }
        self.say(at, seen);
    }

    /// Says whether it hears, where that changed.
    fn say(&mut self, at: Timestamp, seen: &mut Vec<Observed>) {
        let hearing = self.listening && self.ears.antennas.are_whole();
        if std::mem::replace(&mut self.hearing, hearing) != hearing {
            seen.push((at, Seen::Hearing { read_point: self.rule.name.clone(), hearing }));
        }
    }

    /// An antenna was cut off or connected again.
    pub fn antenna(
        &mut self,
        antenna: (SourceId, Antenna),
        connected: bool,
        at: Timestamp,
        sources: &[Source],
        seen: &mut Vec<Observed>,
    ) {
        self.ears.antennas.plugged(&self.rule, &antenna, connected, at, seen);
        self.dirty = true;
        self.recount(at, sources, seen);
    }

    /// Another number of its antennas may be connected.
    fn recount(&mut self, at: Timestamp, sources: &[Source], seen: &mut Vec<Observed>) {
        match self.line(sources) {
            _ if self.ears.antennas.are_all_cut() => {
                self.go_deaf();
                self.stop_listening(at, seen);
            }
            Line::Live(until) => self.try_listen(at, until, seen),
            Line::Replaying(_) | Line::Down => self.say(at, seen),
        }
    }

    /// Traffic that says that it hears. `at` is when it was observed.
    pub fn traffic(&mut self, at: Timestamp, sources: &[Source], seen: &mut Vec<Observed>) {
        self.dirty = true;
        let line = self.line(sources);
        let gap = self.ears.last_traffic.is_none_or(|last| at.since(last) > self.rule.hearing_timeout);
        if line != Line::Down && !self.ears.antennas.are_all_cut() && (gap || self.ears.heard_since.is_none())
        {
            self.ears.resume(at);
        }
        self.ears.last_traffic = Some(self.ears.last_traffic.unwrap_or(at).max(at));
        if let Line::Live(until) = line {
            self.try_listen(at, until, seen);
        }
    }

    /// One of its antennas heard something.
    pub fn heard(
        &mut self,
        ear: usize,
        heard: (Timestamp, bool),
        sources: &[Source],
        seen: &mut Vec<Observed>,
    ) {
        let until = match self.line(sources) {
            Line::Live(until) => Some(until),
            Line::Replaying(_) | Line::Down => None,
        };
        self.dirty = true;
        let was_whole = self.ears.antennas.are_whole();
        self.ears.antennas.heard(&self.rule, ear, heard, until, seen);
        if !was_whole {
            self.recount(heard.0, sources, seen);
        }
    }

    /// One report of a tag that is no reference, of one of its antennas.
    pub fn read(&mut self, epc: Epc, reads: Reads, ear: usize, heard: Heard, seen: &mut Vec<Observed>) {
        match self.rule.kind.clone() {
            PointKind::Presence(rule) => self.read_presence(epc, reads, ear, &rule, seen),
            PointKind::Portal(rule) => self.read_portal(epc, reads, heard, &rule, seen),
        }
    }

    fn read_presence(
        &mut self,
        epc: Epc,
        reads: Reads,
        ear: usize,
        rule: &PresenceRule,
        seen: &mut Vec<Observed>,
    ) {
        let new = || Window::Presence(Presence::new(reads.first));
        let (slot, Window::Presence(presence)) = self.windows.touch(epc, new) else { return };
        let ear = if self.rule.ears.is_empty() { HeardBy::default() } else { HeardBy::ear(ear) };
        let told = presence.read(reads, ear, rule);
        let deadline = presence.deadline(rule, self.ears.since(presence));
        let is_candidate = !presence.is_present();
        self.windows.arm(slot, deadline);
        if is_candidate {
            self.windows.arm_candidate(slot, deadline);
        }
        let (at, change, by) = match told {
            Some(Told::Arrived { first, by }) => (first, PresenceChange::Arrived, by),
            Some(Told::Refreshed { last, by }) => (last, PresenceChange::Refreshed, by),
            None => return,
        };
        let names = self.rule.ears.iter().enumerate();
        let ears = names.filter(|(nth, _)| by.has(*nth)).map(|(_, name)| name.clone()).collect();
        seen.push((at, Seen::Presence { epc, read_point: self.rule.name.clone(), change, ears }));
    }

    fn read_portal(
        &mut self,
        epc: Epc,
        reads: Reads,
        heard: Heard,
        rule: &PortalRule,
        seen: &mut Vec<Observed>,
    ) {
        let new = || Window::Portal(Box::new(Crossing::new(reads.first, rule)));
        let (slot, Window::Portal(crossing)) = self.windows.touch(epc, new) else { return };
        let crossed = crossing.read(reads, heard, rule);
        let deadline = crossing.deadline(rule);
        self.windows.arm(slot, deadline);
        self.tell(epc, crossed, seen);
    }

    /// How strongly a portal heard a tag at about that time, at its best.
    pub fn strongest_near(&self, epc: Epc, at: Timestamp) -> Option<f32> {
        match self.windows.window(epc)? {
            Window::Portal(crossing) => crossing.strongest_near(at),
            Window::Presence(_) => None,
        }
    }

    fn tell(&mut self, epc: Epc, crossed: Option<Crossed>, seen: &mut Vec<Observed>) {
        let Some(crossed) = crossed else { return };
        if crossed.by_itself {
            self.ears.companions.note(crossed.at, crossed.since, crossed.direction, crossed.later);
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

    /// Judges what has fallen due by its sources' time.
    pub fn advance(&mut self, sources: &[Source], seen: &mut Vec<Observed>) {
        let line = self.line(sources);
        let lapse = self.lapse();
        let until = match (self.rule.kind.clone(), line) {
            (_, Line::Down) => None,
            (PointKind::Portal(_), Line::Replaying(until) | Line::Live(until)) => Some(until),
            (PointKind::Presence(_), Line::Replaying(_)) => {
                self.ears.heard_since.and(self.ears.last_traffic).map(|last| last - MIN_SLACK)
            }
            // Whoever falls silent just as the listening ends may not have been heard.
            (PointKind::Presence(_), Line::Live(until)) => match lapse {
                _ if self.is_part() => Some(until),
                lapse => lapse.map(|lapse| until.min(lapse - Duration::from_micros(1))),
            },
        };
        if let Some(until) = until {
            self.judge(until, seen);
        }
        // Nobody was told of a candidate: it goes in its time, whether or not anything hears.
        if let Line::Replaying(until) | Line::Live(until) = line {
            self.forget_candidates(until);
        }
        if let Line::Live(until) = line {
            self.dirty |= self.ears.antennas.pass(&self.rule, until, seen);
        }
        match (line, lapse) {
            (Line::Live(until), Some(lapse)) if until >= lapse => self.stop_listening(lapse, seen),
            // The rules gave it a source that is not live.
            (Line::Down | Line::Replaying(_), Some(lapse)) => self.stop_listening(lapse, seen),
            _ => {}
        }
    }

    /// Our clock has come to `now`.
    pub fn forget_stranded(&mut self, sources: &[Source], now: Timestamp) {
        if self.line(sources) == Line::Down {
            self.forget_candidates(now - STRANDED);
        }
    }

    fn forget_candidates(&mut self, until: Timestamp) {
        let PointKind::Presence(rule) = self.rule.kind.clone() else { return };
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

    fn judge(&mut self, until: Timestamp, seen: &mut Vec<Observed>) {
        let mut due = std::mem::take(&mut self.due);
        while let Some(at) = self.windows.due(until, &mut due) {
            for slot in due.drain(..) {
                self.judge_one(slot, (at, until), seen);
            }
        }
        self.due = due;
    }

    fn judge_one(&mut self, slot: Slot, (at, until): (Timestamp, Timestamp), seen: &mut Vec<Observed>) {
        let Some(deadline) = self.deadline_of(slot, until) else { return };
        // It has moved on; put back even where it is due all the same, for the order is by deadline.
        if deadline > at {
            return self.windows.arm(slot, deadline);
        }
        let Some(held) = self.windows.held(slot) else { return };
        let epc = held.epc.epc();
        match (&mut held.window, self.rule.kind.clone()) {
            (Window::Portal(crossing), PointKind::Portal(rule)) => {
                match crossing.silent(&rule, &self.ears.companions) {
                    Judged::Forgotten => self.windows.remove(slot),
                    Judged::Rests(crossed) => {
                        let deadline = crossing.deadline(&rule);
                        self.windows.changed(slot);
                        self.windows.arm(slot, deadline);
                        self.tell(epc, crossed, seen);
                    }
                }
            }
            (Window::Presence(presence), _) => {
                let left = presence.is_present().then_some(presence.last);
                self.windows.remove(slot);
                let read_point = self.rule.name.clone();
                let change = PresenceChange::Departed;
                let ears = SmallVec::new();
                seen.extend(left.map(|at| (at, Seen::Presence { epc, read_point, change, ears })));
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
        Some(match (&held.window, self.rule.kind.clone()) {
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
        self.ears.deadline(window, self.rule.kind.clone())
    }
}
