//! One read point: whether it hears, and how far its time has come. Its tags are in `judging.rs`.
//!
//! A read point *listens* while all its sources are up and caught up, and there was traffic (its reference
//! tag, where it has one) within its timeout. Only then is silence evidence that a tag has left; a time
//! without listening does not count, and afterwards a tag has its full time again. It *hears* while it listens
//! and none of its antennas is cut off; while one is, silence is evidence where the others hear, each by its own
//! measure (`antennas.rs`): the reference tag may lie before the one that is cut off. While a source replays, the
//! read point's own replayed reads say until when it listened. A portal's windows need no traffic to be judged:
//! only their sources' time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::antennas::Antennas;
use super::deadlines::Slot;
use super::neighbours::Neighbours;
use super::portal::beams::Beams;
use super::portal::companions::Companions;
use super::rows::{maybe_micros, micros};
use super::rules::{PointKind, PointRule};
use super::source::{MIN_SLACK, Source};
use super::windows::Windows;
use crate::domain::epc::Epc;
use crate::domain::ids::{Antenna, SourceId};
use crate::domain::sightings::Seen;
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
    pub due: Vec<Slot>,
    /// Tags that it has now, and the places of the read points that had them.
    pub overtaken: Vec<(usize, Epc)>,
    /// Its windows, as they were last counted.
    counted: usize,
}

/// While a source is down, the time of a read point stands still. What its other sources heard and nobody
/// was told of is forgotten after this long by our clock: strange codes must not fill the memory.
pub(super) const STRANDED: Duration = Duration::from_secs(3600);

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
    pub companions: Companions,
    /// What its light barriers told lately, where it has some.
    #[serde(default, skip_serializing_if = "Beams::is_empty")]
    pub beams: Beams,
}

/// How far the time of a read point has come, and what moves it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Line {
    Down,
    Replaying(Timestamp),
    Live(Timestamp),
}

impl Ears {
    fn resume(&mut self, at: Timestamp) {
        self.not_before = self.not_before.max(at);
        self.heard_since = Some(self.not_before);
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
            overtaken: Vec::new(),
            counted: 0,
        }
    }

    /// The number of windows of all read points, given what it was when this one was last counted.
    pub fn count(&mut self, all: usize) -> usize {
        let now = self.windows.len();
        all - std::mem::replace(&mut self.counted, now) + now
    }

    pub fn line(&self, sources: &[Source]) -> Line {
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
    pub fn is_part(&self) -> bool {
        !self.ears.antennas.are_whole() && !self.ears.antennas.are_all_cut()
    }

    pub fn is_portal(&self) -> bool {
        matches!(self.rule.kind, PointKind::Portal(_))
    }

    /// When it ceases to listen, if nothing comes.
    fn lapse(&self) -> Option<Timestamp> {
        let last = self.ears.last_traffic.filter(|_| self.listening)?;
        Some(last + self.rule.hearing_timeout)
    }

    /// The link of one of its sources, or an antenna, changed.
    pub fn relink(
        &mut self,
        sources: &[Source],
        at: Timestamp,
        others: Neighbours<'_>,
        seen: &mut Vec<Observed>,
    ) {
        for beam in &self.rule.beams {
            if !self
                .sources
                .iter()
                .any(|source| sources[*source].id == beam.source && sources[*source].live())
            {
                self.ears.beams.lost();
            }
        }
        match self.line(sources) {
            Line::Live(until) => {
                self.advance(sources, others, seen);
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
        self.ears.antennas.go_deaf();
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
        others: Neighbours<'_>,
        seen: &mut Vec<Observed>,
    ) {
        self.advance(sources, others, seen);
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

    /// A light barrier of its own was broken, or is free again. `live`: its reader says it as it happens.
    pub fn beam(&mut self, nth: usize, at: Timestamp, high: bool, live: bool) {
        let Some(beam) = self.rule.beams.get(nth) else { return };
        self.ears.beams.note(at, beam.inside, high == beam.broken_high, live);
        self.dirty = true;
    }

    /// How one of its light barriers stands, as its reader answered.
    pub fn beam_stands(&mut self, nth: usize, at: Timestamp, high: bool) {
        let Some(beam) = self.rule.beams.get(nth) else { return };
        self.ears.beams.stands(at, beam.inside, high == beam.broken_high);
        self.dirty = true;
    }

    /// Judges what has fallen due by its sources' time.
    pub fn advance(&mut self, sources: &[Source], others: Neighbours<'_>, seen: &mut Vec<Observed>) {
        let line = self.line(sources);
        let lapse = self.lapse();
        let until = match (&self.rule.kind, line) {
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
            self.judge(until, others, seen);
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
}
