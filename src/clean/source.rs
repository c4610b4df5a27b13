//! A source as cleaning sees it: its link, and how far its time has come.
//!
//! ```text
//! down ──up──▶ replaying ──caught up──▶ live
//!   ▲             ▲──────far behind───────┘
//!   └─────────────┴───────down────────────┘
//! ```
//! The *watermark* says: nothing observed before it is still to come. Readings move it; while the
//! source is live our clock moves it too, behind by a slack that covers what the source needs to
//! report. While it replays what it held, only the readings' own times move it; while it is down,
//! nothing does. Never decides what silence means.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::clock::{ClockRules, ReaderClock};
use super::doubt::Checks;
use super::rows::{maybe_micros, micros};
use crate::config::ReadRules;
use crate::domain::epc::Epc;
use crate::domain::ids::{Antenna, SourceId};
use crate::domain::readings::TagRead;
use crate::domain::sightings::{Seen, Sighting, Trouble};
use crate::domain::tag_filter::Refused;
use crate::domain::time::Timestamp;

/// Reports of one source may be out of order by this much, and take this long to reach us.
pub(super) const MIN_SLACK: Duration = Duration::from_millis(500);
/// A source that needs longer to report is not waited for.
const MAX_SLACK: Duration = Duration::from_secs(5);
/// A reading this fresh ends a replay; so does a link that is up and silent for this long.
const CAUGHT_UP: Duration = Duration::from_secs(2);
/// A live reading this old says that the source has a backlog after all.
const FAR_BEHIND: Duration = Duration::from_secs(10);
/// A backlog shrinks: where the least delay within this time is no less than within the time before, it
/// is the source's ordinary delay.
const REPLAY_WINDOW: Duration = Duration::from_secs(10);
/// The delay of reports is remembered for one to two of these.
const LAG_WINDOW: Duration = Duration::from_secs(15);
/// What is wrong with its clock is said as often, for nothing else says that it still is.
const CLOCK_TOLD_EVERY: Duration = Duration::from_secs(300);

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Link {
    Down,
    Replaying(Replay),
    Live,
}

/// Least delays of the current and the last window of a replay.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Replay {
    since: Timestamp,
    least: Duration,
    before: Duration,
}

/// What reads of an antenna concern.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watch {
    pub point: usize,
    /// Its place among the antennas of the read point.
    pub ear: usize,
    pub inside: bool,
}

pub(super) struct Source {
    pub id: SourceId,
    pub link: Link,
    /// What the row holds.
    pub told: Told,
    last_received: Timestamp,
    /// When it last caught up.
    live_since: Timestamp,
    /// What is thought of its reads, where that is not what is usual; from the rules.
    pub reads: Option<Arc<ReadRules>>,
    /// Read points that have an antenna of this source, and those of each antenna; from the rules.
    pub points: Vec<usize>,
    pub antennas: Vec<(Antenna, Vec<Watch>)>,
    /// How often frames of it were thrown away, by us.
    pub drops: u64,
    /// Inputs with a light barrier: of which read point, and its place among that one's.
    pub beams: Vec<(u16, usize, usize)>,
    /// How often it came up.
    pub connections: u64,
    /// Why it is away, as it was last said.
    pub why_down: String,
    /// When it was last said what is wrong with its clock.
    clock_told: Option<Timestamp>,
    pub dirty: bool,
}

/// What a source has told so far; its row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Told {
    pub clock: ReaderClock,
    #[serde(with = "micros")]
    pub watermark: Timestamp,
    #[serde(with = "maybe_micros")]
    newest: Option<Timestamp>,
    lag: Lag,
    #[serde(default)]
    pub checks: Checks,
}

/// The greatest delay between observation and receipt, of the current window and the last.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Lag {
    #[serde(with = "micros")]
    since: Timestamp,
    current_us: u64,
    before_us: u64,
}

impl Source {
    pub fn new(id: SourceId, reads: Option<Arc<ReadRules>>) -> Self {
        let lag = Lag { since: Timestamp::MIN, ..Lag::default() };
        let told = Told {
            clock: ReaderClock::default(),
            watermark: Timestamp::MIN,
            newest: None,
            lag,
            checks: Checks::default(),
        };
        Self {
            id,
            link: Link::Down,
            told,
            last_received: Timestamp::MIN,
            live_since: Timestamp::MIN,
            reads,
            points: Vec::new(),
            antennas: Vec::new(),
            drops: 0,
            beams: Vec::new(),
            connections: 0,
            why_down: String::new(),
            clock_told: None,
            dirty: false,
        }
    }

    pub fn live(&self) -> bool {
        self.link == Link::Live
    }

    /// Since when it is live, where it is.
    pub fn live_since(&self) -> Option<Timestamp> {
        self.live().then_some(self.live_since)
    }

    /// It is live from now on.
    pub fn caught_up(&mut self, at: Timestamp) {
        self.live_since = at;
    }

    pub fn up(&self) -> bool {
        self.link != Link::Down
    }

    /// Why its reads of a tag do not concern us.
    pub fn refuses(&self, epc: &Epc) -> Option<Refused> {
        self.reads.as_ref()?.tags.refuses(epc)
    }

    /// Whether somebody wrote down that such tags are expected of it.
    pub fn names(&self, epc: &Epc) -> bool {
        self.reads.as_ref().is_some_and(|rules| rules.tags.names(epc))
    }

    /// Whether a read fails the tag's own check.
    pub fn is_phantom(&mut self, read: &TagRead) -> bool {
        if self.reads.as_ref().is_some_and(|rules| !rules.check_crc) {
            return false;
        }
        let (phantom, changed) = self.told.checks.judge(read);
        self.dirty |= changed;
        phantom
    }

    pub fn watches(&self, antenna: Antenna) -> &[Watch] {
        let found = self.antennas.binary_search_by_key(&antenna, |(number, _)| *number);
        found.map_or(&[], |at| &self.antennas[at].1)
    }

    /// How far our clock runs ahead of the watermark of a live source.
    pub fn slack(&self) -> Duration {
        let lag = Duration::from_micros(self.told.lag.current_us.max(self.told.lag.before_us));
        (lag + Duration::from_millis(100)).clamp(MIN_SLACK, MAX_SLACK)
    }

    pub fn set_up(&mut self, replaying: bool, at: Timestamp) {
        self.last_received = at;
        self.connections += 1;
        self.link = if replaying { Link::Replaying(Replay::new(at)) } else { Link::Live };
        self.pass(at);
    }

    pub fn go_down(&mut self) {
        (self.link, self.clock_told) = (Link::Down, None);
    }

    /// Our clock has come to `now`. Returns whether this ended a replay.
    pub fn pass(&mut self, now: Timestamp) -> bool {
        let idle = matches!(self.link, Link::Replaying(_)) && now >= self.last_received + CAUGHT_UP;
        if idle {
            self.link = Link::Live;
        }
        if self.live() {
            self.advance(now - self.slack());
        }
        idle
    }

    /// When our clock will next change something here: the end of a silent replay, or that its clock is to be told of
    /// again.
    pub fn next_deadline(&self, rules: &ClockRules) -> Option<Timestamp> {
        match self.link {
            Link::Replaying(_) => Some(self.last_received + CAUGHT_UP),
            Link::Live if self.troubles(rules).next().is_some() => {
                Some(self.clock_told.map_or(self.live_since, |told| told + CLOCK_TOLD_EVERY))
            }
            Link::Live | Link::Down => None,
        }
    }

    fn troubles(&self, rules: &ClockRules) -> impl Iterator<Item = Trouble> {
        self.told.clock.troubles(rules.ahead_tolerance)
    }

    /// What is wrong with its clock, where that is to be told by now.
    pub fn clock_troubles(&mut self, now: Timestamp, rules: &ClockRules) -> Vec<Trouble> {
        let lately = self.clock_told.is_some_and(|told| (told..told + CLOCK_TOLD_EVERY).contains(&now));
        if !self.live() || lately {
            return Vec::new();
        }
        let troubles: Vec<Trouble> = self.troubles(rules).collect();
        self.clock_told = (!troubles.is_empty()).then_some(now);
        troubles
    }

    /// How its link is, as it is told on.
    pub fn told_of_link(&self, reason: &str, observed_at: Timestamp, received_at: Timestamp) -> Sighting {
        let what = Seen::Link { up: self.up(), caught_up: self.live(), reason: reason.to_owned() };
        Sighting { source: self.id.clone(), observed_at, received_at, late: false, what }
    }

    /// Anything at all came.
    pub fn hear(&mut self, received: Timestamp) {
        self.last_received = self.last_received.max(received);
    }

    /// A reading of `observed` came. Returns whether the link's state changed.
    pub fn observe(&mut self, observed: Timestamp, received: Timestamp) -> bool {
        self.dirty = true;
        self.told.newest = Some(self.told.newest.unwrap_or(observed).max(observed));
        // Our own clock was set back, over a restart: time must be able to go on.
        if self.told.watermark > received + MAX_SLACK {
            self.told.watermark = received - MAX_SLACK;
            self.told.newest = Some(observed);
        }
        let lag = received.since(observed);
        let next = match self.link {
            Link::Down => Link::Down,
            Link::Live if lag > FAR_BEHIND => {
                self.told.watermark = self.told.watermark.min(observed - MIN_SLACK);
                self.told.newest = Some(observed);
                Link::Replaying(Replay::new(received))
            }
            Link::Live => Link::Live,
            Link::Replaying(replay) => replay.note(lag, received),
        };
        let changed = (next == Link::Live) != self.live();
        self.link = next;
        self.follow(lag, received);
        changed
    }

    /// A reading came that another device observed, and this source passed on: how old it is says
    /// nothing of the source, but that a fresh one ends a replay. Returns whether it did.
    pub fn forward(&mut self, observed: Timestamp, received: Timestamp) -> bool {
        if let Link::Replaying(replay) = self.link {
            self.link = replay.note(received.since(observed), received);
            return self.live();
        }
        false
    }

    fn follow(&mut self, lag: Duration, received: Timestamp) {
        let newest = self.told.newest.unwrap_or(Timestamp::MIN);
        if self.live() {
            self.told.lag.note(lag, received);
            let slack = self.slack();
            self.advance(newest.max(received) - slack);
        } else {
            self.advance(newest - MIN_SLACK);
        }
    }

    fn advance(&mut self, to: Timestamp) {
        if to > self.told.watermark {
            self.told.watermark = to;
            self.dirty = true;
        }
    }
}

impl Replay {
    fn new(since: Timestamp) -> Self {
        Self { since, least: Duration::MAX, before: Duration::MAX }
    }

    fn note(self, lag: Duration, received: Timestamp) -> Link {
        let least = self.least.min(lag);
        if lag <= CAUGHT_UP {
            return Link::Live;
        }
        if received.since(self.since) < REPLAY_WINDOW {
            return Link::Replaying(Self { least, ..self });
        }
        let shrinks = least + Duration::from_secs(1) < self.before;
        if !shrinks {
            return Link::Live;
        }
        Link::Replaying(Self { since: received, least: lag, before: least })
    }
}

impl Lag {
    fn note(&mut self, lag: Duration, received: Timestamp) {
        if received.since(self.since) > LAG_WINDOW {
            let ended = std::mem::take(&mut self.current_us);
            let stale = received.since(self.since) > LAG_WINDOW * 2;
            self.before_us = if stale { 0 } else { ended };
            self.since = received;
        }
        let lag_us = u64::try_from(lag.as_micros()).unwrap_or(u64::MAX);
        self.current_us = self.current_us.max(lag_us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(1_000_000_000_000 + millis * 1000)
    }

    fn source(replaying: bool) -> Source {
        let mut source = Source::new("dock".into(), None);
        source.set_up(replaying, at(0));
        source
    }

    #[test]
    fn our_clock_moves_a_live_source_and_no_other() {
        let mut live = source(false);
        assert_eq!(live.told.watermark, at(-500));
        live.pass(at(10_000));
        assert_eq!(live.told.watermark, at(9_500));
        live.link = Link::Down;
        live.pass(at(20_000));
        assert_eq!(live.told.watermark, at(9_500));
    }

    #[test]
    fn a_replay_is_moved_by_its_readings_alone() {
        let mut replaying = source(true);
        assert!(!replaying.observe(at(-3_600_000), at(100)));
        replaying.pass(at(200));
        assert_eq!(replaying.told.watermark, at(-3_600_500));
    }

    #[test]
    fn a_replay_ends_when_readings_are_fresh_or_the_link_is_silent() {
        let mut fresh = source(true);
        assert!(fresh.observe(at(-1_000), at(900)));
        let mut silent = source(true);
        assert!(!silent.pass(at(1_999)));
        assert!(silent.pass(at(2_000)));
    }

    #[test]
    fn a_constant_delay_is_no_backlog() {
        let mut source = source(true);
        let mut changes = 0;
        for second in 0..60 {
            changes += u32::from(source.observe(at(second * 1000 - 5_000), at(second * 1000)));
        }
        assert_eq!((changes, source.live()), (1, true));
    }

    #[test]
    fn a_live_source_that_falls_far_behind_replays() {
        let mut source = source(false);
        source.pass(at(60_000));
        assert!(source.observe(at(20_000), at(60_100)));
        assert_eq!(source.told.watermark, at(19_500));
        assert!(source.observe(at(60_000), at(60_200)));
    }

    #[test]
    fn slack_follows_the_delay_of_reports() {
        let mut source = source(false);
        source.observe(at(0), at(2_000));
        assert_eq!(source.slack(), Duration::from_millis(2_100));
        source.observe(at(40_000), at(40_000));
        assert_eq!(source.slack(), MIN_SLACK);
    }

    #[test]
    fn a_watermark_of_a_later_past_does_not_stop_time() {
        let mut source = source(false);
        source.told.watermark = at(3_600_000);
        source.observe(at(0), at(100));
        assert_eq!(source.told.watermark, at(-400));
    }
}
