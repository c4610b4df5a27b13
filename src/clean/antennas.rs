//! The antennas of one read point: which of them hear, and which have fallen silent.
//!
//! Others may go on hearing while one is cut off, so each has its own word. An antenna *hears* while its read
//! point's sources are live, its reader does not call it disconnected, and it heard something within its
//! *patience*: four times the longest silence that is usual for it, at least the read point's hearing timeout,
//! at most the time within which whatever stays is heard (`lost_after`). A reference tag in its field makes the
//! usual silence short. At a portal, where nothing stays, only the reference tag says anything.
//!
//! ```text
//! (nothing known) ──heard──▶ hears ──patience over──▶ silent ──heard──▶ hears
//!                                                       └──silent_for──▶ taken to hear: nothing is there
//! ```
//! Patience begins anew whenever its sources come back. Never decides what a silence means for an asset.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::hearing::Observed;
use super::presence::HeardBy;
use super::rows::{maybe_micros, micros};
use super::rules::{PointKind, PointRule};
use crate::domain::ids::{Antenna, ReadPointId, SourceId};
use crate::domain::sightings::{AntennaSilence, Seen};
use crate::domain::time::Timestamp;

/// An antenna is silent after so many times its usual silence.
const PATIENCE: i64 = 4;
/// What is usual is learned over one to two times so many times the longest patience.
const WINDOW: u32 = 4;

/// What is known of one antenna; part of its read point's row.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Ear {
    source: SourceId,
    antenna: Antenna,
    /// By which tags remember that it heard them, whatever its place in the rule is by now. In rows that have
    /// none, it was the place.
    #[serde(default)]
    bit: Option<usize>,
    /// When it last heard anything.
    #[serde(with = "maybe_micros", default)]
    last: Option<Timestamp>,
    /// When it last heard the reference tag.
    #[serde(with = "maybe_micros", default)]
    reference: Option<Timestamp>,
    /// The longest silence since then, and in the time before: the longer is what is usual for it; 0: not known.
    #[serde(with = "micros")]
    usual_since: Timestamp,
    usual_us: i64,
    usual_before_us: i64,
    /// It was said to be silent;
    #[serde(default)]
    silent: bool,
    /// its reader said so: it is cut off, and heard nothing since then.
    #[serde(with = "maybe_micros", default)]
    cut_at: Option<Timestamp>,
    #[serde(skip)]
    hears: Hears,
    /// When its reader called it connected again, since its sources are live.
    #[serde(skip)]
    plugged_at: Option<Timestamp>,
    /// When it was last known to be connected again, whoever said so.
    #[serde(with = "maybe_micros", default, skip_serializing_if = "Option::is_none")]
    mended_at: Option<Timestamp>,
    #[serde(skip)]
    hears_since: Option<Timestamp>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Hears {
    #[default]
    No,
    Yes,
    /// It is silent, and has been for so long that nothing is taken to be there.
    Believed,
}

/// All of a read point's, in the order of its rule.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(from = "AntennasRow")]
pub(super) struct Antennas {
    ears: Vec<Ear>,
    /// How many bits were ever given away. One that was an antenna's which is no more is nobody's: tags remember it.
    bits: usize,
    /// Since when all their sources are live.
    #[serde(skip)]
    live_since: Option<Timestamp>,
    /// Nothing changes by time alone before this.
    #[serde(skip)]
    next: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum AntennasRow {
    Row {
        ears: Vec<Ear>,
        bits: usize,
    },
    /// As the first builds wrote it.
    EarsOnly(Vec<Ear>),
}

impl From<AntennasRow> for Antennas {
    fn from(row: AntennasRow) -> Self {
        let (ears, bits) = match row {
            AntennasRow::Row { ears, bits } => (ears, bits),
            AntennasRow::EarsOnly(ears) => (ears, 0),
        };
        Self { ears, bits, live_since: None, next: None }
    }
}

impl Ear {
    fn new(source: &SourceId, antenna: Antenna, bit: Option<usize>) -> Self {
        Self {
            source: source.clone(),
            antenna,
            bit,
            last: None,
            reference: None,
            usual_since: Timestamp::MIN,
            usual_us: 0,
            usual_before_us: 0,
            silent: false,
            cut_at: None,
            hears: Hears::No,
            plugged_at: None,
            mended_at: None,
            hears_since: None,
        }
    }

    fn is(&self, source: &SourceId, antenna: Antenna) -> bool {
        self.source == *source && self.antenna == antenna
    }

    fn heard_by(&self) -> HeardBy {
        HeardBy::ear(self.bit.unwrap_or_default())
    }

    fn patience(&self, rule: &PointRule) -> Duration {
        let most = most_patience(rule);
        match u64::try_from(self.usual_us().saturating_mul(PATIENCE)) {
            Ok(0) | Err(_) => most,
            Ok(usual) => Duration::from_micros(usual).clamp(rule.hearing_timeout, most),
        }
    }

    fn usual_us(&self) -> i64 {
        self.usual_us.max(self.usual_before_us)
    }

    fn learn(&mut self, at: Timestamp, gap_us: i64, rule: &PointRule) {
        if at.since(self.usual_since) > most_patience(rule).saturating_mul(WINDOW) {
            self.usual_before_us = std::mem::take(&mut self.usual_us);
            self.usual_since = at;
        }
        // One that was too long to be usual may still become so, but not at once.
        let believable = if self.silent { gap_us.min(self.usual_us().saturating_mul(2)) } else { gap_us };
        self.usual_us = self.usual_us.max(believable);
    }

    fn how(&self) -> AntennaSilence {
        match (self.reference, self.last) {
            (Some(reference), Some(last)) if last.micros_after(reference) <= self.usual_us() => {
                AntennaSilence::Reference
            }
            _ => AntennaSilence::Traffic,
        }
    }

    /// Lets time pass, and gives when it next changes something; `None`: never, as before it ever heard anything.
    fn pass(
        &mut self,
        voice: &Voice<'_>,
        live_since: Timestamp,
        until: Timestamp,
        seen: &mut Vec<Observed>,
    ) -> Option<Timestamp> {
        let last = self.last?;
        if self.hears == Hears::Believed || (self.silent && self.cut_at.is_some()) {
            return None;
        }
        let begins = last.max(live_since).max(self.plugged_at.unwrap_or(last));
        let lapse = begins + self.patience(voice.rule);
        if !self.silent {
            if lapse > until {
                return Some(lapse);
            }
            self.silent = true;
            if std::mem::take(&mut self.hears) != Hears::No {
                voice.hearing(false, last, seen);
            }
            voice.silence(Some(self.how()), last, seen);
        }
        let believed = begins + voice.rule.silent_for.max(self.patience(voice.rule));
        if believed > until {
            return Some(believed);
        }
        self.hears = Hears::Believed;
        self.hears_since = Some(believed);
        voice.hearing(true, believed, seen);
        None
    }
}

fn most_patience(rule: &PointRule) -> Duration {
    match rule.kind {
        PointKind::Presence(presence) => rule.hearing_timeout.max(presence.lost_after),
        PointKind::Portal(_) => rule.hearing_timeout,
    }
}

/// What one of them has to say.
struct Voice<'a> {
    rule: &'a PointRule,
    nth: usize,
}

impl Voice<'_> {
    fn name(&self) -> &ReadPointId {
        self.rule.ears.get(self.nth).unwrap_or(&self.rule.name)
    }

    /// The only antenna of a read point is the read point, which speaks for itself.
    fn hearing(&self, hearing: bool, at: Timestamp, seen: &mut Vec<Observed>) {
        if !self.rule.ears.is_empty() && matches!(self.rule.kind, PointKind::Presence(_)) {
            seen.push((at, Seen::Hearing { read_point: self.name().clone(), hearing }));
        }
    }

    fn silence(&self, silence: Option<AntennaSilence>, at: Timestamp, seen: &mut Vec<Observed>) {
        let (source, antenna, _) = &self.rule.antennas[self.nth];
        let (source, ear) = (source.clone(), self.name().clone());
        seen.push((at, Seen::Antenna { source, antenna: *antenna, ear, silence }));
    }
}

impl Antennas {
    /// As the rule has them, of what is known from before.
    pub fn fit(&mut self, rule: &PointRule) {
        let mut known = std::mem::take(&mut self.ears);
        for (place, ear) in known.iter_mut().enumerate() {
            self.bits = self.bits.max(*ear.bit.get_or_insert(place) + 1);
        }
        known.retain(|ear| rule.antennas.iter().any(|(source, antenna, _)| ear.is(source, *antenna)));
        for (source, antenna, _) in &rule.antennas {
            if !known.iter().any(|ear| ear.is(source, *antenna)) {
                known.push(Ear::new(source, *antenna, Some(self.new_bit(&known))));
            }
        }
        let place =
            |ear: &Ear| rule.antennas.iter().position(|(source, antenna, _)| ear.is(source, *antenna));
        known.sort_by_key(place);
        self.ears = known;
        self.next = self.live_since;
    }

    /// One that no tag remembers; when all were given away, the first that no antenna has.
    fn new_bit(&mut self, known: &[Ear]) -> usize {
        if self.bits >= HeardBy::EARS {
            let is_free = |bit: &usize| known.iter().all(|ear| ear.bit != Some(*bit));
            return (0..HeardBy::EARS).find(is_free).unwrap_or(HeardBy::EARS);
        }
        self.bits += 1;
        self.bits - 1
    }

    pub fn next(&self) -> Option<Timestamp> {
        self.next
    }

    /// None of them is cut off.
    pub fn are_whole(&self) -> bool {
        self.ears.iter().all(|ear| ear.cut_at.is_none())
    }

    pub fn is_cut(&self, of: &(SourceId, Antenna)) -> bool {
        self.ears.iter().any(|ear| ear.is(&of.0, of.1) && ear.cut_at.is_some())
    }

    pub fn are_all_cut(&self) -> bool {
        !self.ears.is_empty() && self.ears.iter().all(|ear| ear.cut_at.is_some())
    }

    /// Whether each of these hears, at `until`.
    pub fn all_hear(&self, rule: &PointRule, which: HeardBy, until: Timestamp) -> bool {
        self.among(which).all(|ear| match ear.hears {
            Hears::No => false,
            Hears::Yes => ear.last.is_some_and(|last| until < last + ear.patience(rule)),
            Hears::Believed => true,
        })
    }

    /// When the last of these was connected again, or, while one of all is cut off, began to hear.
    pub fn hear_since(&self, which: HeardBy) -> Option<Timestamp> {
        let whole = self.are_whole();
        let of = |ear: &Ear| ear.mended_at.max(ear.hears_since.filter(|_| !whole));
        self.among(which).filter_map(of).max()
    }

    /// As tags remember the antenna at that place of the rule.
    pub fn heard_by(&self, nth: usize) -> HeardBy {
        self.ears.get(nth).map(Ear::heard_by).unwrap_or_default()
    }

    /// These; where nobody said which, or none of those is there any more, all of them.
    fn among(&self, which: HeardBy) -> impl Iterator<Item = &Ear> {
        let are_known = self.ears.iter().any(|ear| which.has(ear.heard_by()));
        self.ears.iter().filter(move |ear| !are_known || which.has(ear.heard_by()))
    }

    /// Its sources are live, up to `until`.
    pub fn begin(&mut self, rule: &PointRule, at: Timestamp, until: Timestamp, seen: &mut Vec<Observed>) {
        if self.live_since.is_some() {
            return;
        }
        self.live_since = Some(until);
        for (nth, ear) in self.ears.iter_mut().enumerate() {
            let lately = ear.last.is_some_and(|last| last + ear.patience(rule) > until);
            if lately && ear.cut_at.is_none() {
                ear.hears = Hears::Yes;
                ear.hears_since = Some(until);
                Voice { rule, nth }.hearing(true, at, seen);
                if std::mem::take(&mut ear.silent) {
                    Voice { rule, nth }.silence(None, at, seen);
                }
            }
            // Whoever was told may have been restarted since.
            if ear.silent {
                let how = if ear.cut_at.is_some() { AntennaSilence::Disconnected } else { ear.how() };
                Voice { rule, nth }.silence(Some(how), ear.last.unwrap_or(at), seen);
            }
        }
        self.next = Some(until);
    }

    /// Its sources are not live any more.
    pub fn stop(&mut self, rule: &PointRule, at: Timestamp, seen: &mut Vec<Observed>) {
        self.live_since = None;
        self.next = None;
        for (nth, ear) in self.ears.iter_mut().enumerate() {
            ear.plugged_at = None;
            if std::mem::take(&mut ear.hears) != Hears::No {
                Voice { rule, nth }.hearing(false, at, seen);
            }
        }
    }

    /// None of them hears, as after a restart.
    pub fn go_deaf(&mut self) {
        self.ears.iter_mut().for_each(|ear| ear.hears_since = None);
    }

    /// One of them heard something, at `at`. `until`: their sources' time, where they are live.
    pub fn heard(
        &mut self,
        rule: &PointRule,
        nth: usize,
        (at, is_reference): (Timestamp, bool),
        until: Option<Timestamp>,
        seen: &mut Vec<Observed>,
    ) {
        let Some(ear) = self.ears.get_mut(nth) else { return };
        // What it heard before may be told after it; what it hears later says that it is connected.
        if ear.cut_at.is_some_and(|cut_at| cut_at < at) {
            ear.cut_at = None;
            ear.mended_at = Some(at);
            if std::mem::take(&mut ear.silent) {
                Voice { rule, nth }.silence(None, at, seen);
            }
        }
        if is_reference {
            ear.reference = ear.reference.max(Some(at));
        } else if ear.reference.is_none() && matches!(rule.kind, PointKind::Portal(_)) {
            return;
        }
        if let Some(last) = ear.last
            && self.live_since.is_some_and(|since| since <= last)
        {
            ear.learn(at, at.micros_after(last), rule);
        }
        ear.last = ear.last.max(Some(at));
        if ear.cut_at.is_some() {
            return;
        }
        let Some(lapse) = ear.last.map(|last| last + ear.patience(rule)) else { return };
        if until.is_none_or(|until| lapse <= until) {
            return;
        }
        self.next = Some(self.next.map_or(lapse, |next| next.min(lapse)));
        if std::mem::replace(&mut ear.hears, Hears::Yes) == Hears::No {
            ear.hears_since = Some(at);
            Voice { rule, nth }.hearing(true, at, seen);
        }
        if std::mem::take(&mut ear.silent) {
            Voice { rule, nth }.silence(None, at, seen);
        }
    }

    /// The reader says that one of them is cut off, or connected again.
    pub fn plugged(
        &mut self,
        rule: &PointRule,
        of: &(SourceId, Antenna),
        connected: bool,
        at: Timestamp,
        seen: &mut Vec<Observed>,
    ) {
        let Some(nth) = self.ears.iter().position(|ear| ear.is(&of.0, of.1)) else {
            return;
        };
        let ear = &mut self.ears[nth];
        let was_cut = std::mem::replace(&mut ear.cut_at, (!connected).then_some(at)).is_some();
        if connected && was_cut {
            ear.mended_at = Some(at);
        }
        ear.plugged_at = (connected && self.live_since.is_some()).then_some(at);
        if !connected && std::mem::take(&mut ear.hears) != Hears::No {
            Voice { rule, nth }.hearing(false, at, seen);
        }
        // Whether it hears, the next thing that it hears will say.
        if std::mem::replace(&mut ear.silent, !connected) == connected {
            let silence = (!connected).then_some(AntennaSilence::Disconnected);
            Voice { rule, nth }.silence(silence, at, seen);
        }
        self.next = self.live_since;
    }

    /// Their sources' time has come to `until`, live all the while.
    /// Gives whether anything may have changed.
    pub fn pass(&mut self, rule: &PointRule, until: Timestamp, seen: &mut Vec<Observed>) -> bool {
        if self.next.is_none_or(|next| next > until) {
            return false;
        }
        let Some(live_since) = self.live_since else { return false };
        let mut next: Option<Timestamp> = None;
        for (nth, ear) in self.ears.iter_mut().enumerate() {
            let at = ear.pass(&Voice { rule, nth }, live_since, until, seen);
            next = [next, at].into_iter().flatten().min();
        }
        self.next = next;
        true
    }
}
