//! Which of several read points has a tag that they hear at once, each for a zone of its own.
//!
//! An antenna hears into the zones beside its own. One read point *has* the tag, the others hear it *beside*. The best
//! of those takes it over
//!
//! - where it hears it better by more than [`MARGIN_DB`] ([`Level`](super::level::Level) has what is compared), or
//! - where the one that has it listens and has been **silent** for [`GONE`] times as long as is usual between two of its
//!   reads: then what it heard before says nothing of where the tag is now.
//!
//! To take it back is as much again in the other direction: what lies between two zones does not flap. That it is the best
//! of them spares a tag that is carried across a hall the zones which it passes. Who does not listen says nothing by its
//! silence; a tag that comes up elsewhere meanwhile is there. Where a reader tells no signal, silence alone decides.
//! The figures were chosen on simulated halls (`simulators/src/zones`); more of one and less of another makes little
//! difference there. Asked when a tag arrives, and once a second where it is heard beside: a read costs as much as
//! before where nobody else hears the tag.

use smallvec::SmallVec;

use super::hearing::Point;
use super::neighbours::Neighbours;
use super::presence::Presence;
use super::rules::{PointKind, PresenceRule};
use super::source::MIN_SLACK;
use super::windows::Window;
use crate::domain::epc::Epc;
use crate::domain::sightings::Weighed;
use crate::domain::time::Timestamp;

/// Fading leaves about this between what is heard at two places a hand's breadth apart.
const MARGIN_DB: f32 = 6.5;
/// So many usual times between two reads make a silence; more where whoever hears the tag beside has long done so, for
/// then nothing has changed there, and reads fail together while somebody stands in front.
const GONE: f32 = 4.0;
const GONE_WHILE_STEADY: f32 = 10.0;

#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub beside: bool,
    /// The places of the read points that had it.
    pub overtakes: SmallVec<[usize; 1]>,
    /// Against whom, and how: of several that have it, the one that keeps it or was the hardest to overcome.
    pub weighed: Option<Box<Weighed>>,
}

/// What is to be said of one that has it.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Claim {
    /// It hears it so much weaker, in dB.
    Weaker(f32),
    /// It has been silent for too long.
    Silent,
    /// It does not listen, and the tag has come up elsewhere.
    Deaf,
    /// It has heard it since.
    Newer,
}

impl Claim {
    /// How hard it is to overcome: the less, the harder.
    fn ease(self) -> f32 {
        match self {
            Self::Newer => f32::NEG_INFINITY,
            Self::Weaker(db) => db,
            Self::Silent | Self::Deaf => f32::INFINITY,
        }
    }
}

/// Beyond how many paces a silence counts, where somebody else hears the tag like that.
fn gone(other: &Presence) -> f32 {
    if other.is_steady() { GONE_WHILE_STEADY } else { GONE }
}

impl Neighbours<'_> {
    /// A presence in that zone against those that have the tag elsewhere. `is_new`: it has only just come up.
    pub fn weigh(self, epc: Epc, presence: &Presence, zone: usize, is_new: bool) -> Outcome {
        let mut outcome = Outcome::default();
        let (mut hardest, mut outdone, mut deaf) = (f32::INFINITY, false, false);
        for (place, point) in self.iter() {
            let Some((own, rule)) = point.elsewhere(epc, zone) else { continue };
            if own.beside {
                outdone |= point.outdoes(own, rule, presence);
                continue;
            }
            let claim = point.claim(own, rule, presence, is_new);
            deaf |= claim == Claim::Deaf;
            outcome.beside |= claim.ease() < MARGIN_DB;
            outcome.overtakes.push(place);
            if outcome.weighed.is_none() || claim.ease() < hardest {
                hardest = claim.ease();
                outcome.weighed = Some(Box::new(point.weighed(own, presence)));
            }
        }
        // Another that hears it beside is to take it.
        outcome.beside |= outdone && !deaf && !outcome.overtakes.is_empty();
        if outcome.beside {
            outcome.overtakes.clear();
        }
        outcome
    }
}

impl Point {
    /// A tag that is present here, if this tells of another zone than that.
    fn elsewhere(&self, epc: Epc, zone: usize) -> Option<(&Presence, &PresenceRule)> {
        let PointKind::Presence(rule) = &self.rule.kind else { return None };
        let Some(Window::Presence(own)) = self.windows.window(epc).filter(|_| rule.zone != zone) else {
            return None;
        };
        own.is_present().then_some((own, rule))
    }

    fn claim(&self, own: &Presence, rule: &PresenceRule, other: &Presence, is_new: bool) -> Claim {
        let silence = self.silence(own, other.last);
        match silence {
            // What others hold back is older than what is known.
            _ if own.last > other.last + MIN_SLACK => Claim::Newer,
            None if is_new => Claim::Deaf,
            Some(silence) if own.paces(rule, silence) > gone(other) => Claim::Silent,
            _ => Claim::Weaker(
                own.strength_dbm().zip(other.strength_dbm()).map_or(0.0, |(own, other)| other - own),
            ),
        }
    }

    /// Whether one that has it beside as well, and goes on hearing it, hears it better.
    fn outdoes(&self, own: &Presence, rule: &PresenceRule, other: &Presence) -> bool {
        let better = own.strength_dbm().zip(other.strength_dbm()).is_some_and(|(own, other)| own > other);
        better && self.silence(own, other.last).is_some_and(|silence| own.paces(rule, silence) <= gone(other))
    }

    fn weighed(&self, own: &Presence, other: &Presence) -> Weighed {
        let silent = self.silence(own, other.last);
        Weighed {
            against: self.rule.name.clone(),
            here_dbm: other.strength_dbm(),
            there_dbm: own.strength_dbm(),
            silent_s: silent.map_or(0.0, |(since, until)| until.since(since).as_secs_f32()),
        }
    }

    /// From when until when it listened and did not hear the tag; `None` where it does not listen.
    fn silence(&self, own: &Presence, until: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let since = self.ears.since(own).filter(|_| self.listening)?;
        Some((own.last.max(since), until))
    }
}
