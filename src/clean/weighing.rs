//! Which of several read points has a tag that they hear at once, each for a zone of its own.
//!
//! An antenna hears into the zones beside its own. One read point *has* the tag, the others hear it *beside*; one of
//! them takes it over where that is e³ times as likely as that it stays, by two measures:
//!
//! - **signal**: the difference of the mean signals of late. Of a tag at one of two read points it lies some way to
//!   that side and scatters by about as much (orientation, what stands between, reflections), so that the ratio
//!   of likelihoods grows by e with every few decibels;
//! - **silence**: of who has it, while it listens. How unlikely it is by the tag's own pace (`habit.rs`).
//!
//! To take it back is as much again in the other direction: what lies between two zones does not flap. Who does
//! not listen says nothing by its silence; a tag that comes up elsewhere meanwhile is there. Where a reader tells no
//! signal, silence alone decides. The figures were chosen on simulated halls (`simulators/src/zones`). Asked when a tag arrives, and once a second where it is heard beside:
//! a read costs as much as before where nobody else hears the tag.

use smallvec::SmallVec;

use super::hearing::Point;
use super::neighbours::Neighbours;
use super::presence::Presence;
use super::rules::PointKind;
use super::source::MIN_SLACK;
use super::windows::Window;
use crate::domain::epc::Epc;
use crate::domain::sightings::Weighed;
use crate::domain::time::Timestamp;

/// -ln of the odds at which it is taken over.
const TAKES: f32 = 3.0;
const DB_A_NAT: f32 = 2.5;
/// What is weaker than it was elsewhere may lie worse now, and be read here for all that.
const MOST_AGAINST: f32 = 2.0;
/// However long the silence: somebody may stand in front.
const MOST_OF_SILENCE: f32 = 12.0;

#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub beside: bool,
    /// The places of the read points that had it.
    pub overtakes: SmallVec<[usize; 1]>,
    /// Against whom, and how: of several that have it, the one that keeps it or was the hardest to overcome.
    pub weighed: Option<Box<Weighed>>,
}

impl Neighbours<'_> {
    /// A presence in that zone against those that have the tag elsewhere. `is_new`: it has only just come up.
    pub fn weigh(self, epc: Epc, presence: &Presence, zone: usize, is_new: bool) -> Outcome {
        let mut outcome = Outcome::default();
        let mut least = f32::INFINITY;
        for (place, point) in self.iter() {
            let Some(odds) = point.yields(epc, presence, zone, is_new) else { continue };
            outcome.beside |= odds.0 < TAKES;
            outcome.overtakes.push(place);
            if odds.0 < least {
                least = odds.0;
                outcome.weighed = Some(Box::new(odds.1));
            }
        }
        if outcome.beside {
            outcome.overtakes.clear();
        }
        outcome
    }
}

impl Point {
    /// ln of the odds that a tag which this read point has is rather where it is heard as that presence says. `None`:
    /// it does not have it, or tells of the same zone.
    fn yields(&self, epc: Epc, other: &Presence, zone: usize, is_new: bool) -> Option<(f32, Weighed)> {
        let PointKind::Presence(rule) = &self.rule.kind else { return None };
        if rule.zone == zone {
            return None;
        }
        let Some(Window::Presence(own)) = self.windows.window(epc) else { return None };
        if !own.is_present() || own.beside {
            return None;
        }
        let signal =
            own.level.dbm().zip(other.level.dbm()).map_or(0.0, |(own, other)| (other - own) / DB_A_NAT);
        let signal = signal.max(-MOST_AGAINST);
        let silence = self.silence(own, other.last);
        let odds = match silence {
            // What others hold back is older than what is known.
            _ if own.last > other.last + MIN_SLACK => f32::NEG_INFINITY,
            None if is_new => f32::INFINITY,
            None => signal,
            Some(span) => signal + own.surprise(rule, span).min(MOST_OF_SILENCE),
        };
        let weighed = Weighed {
            against: self.rule.name.clone(),
            here_dbm: other.level.dbm(),
            there_dbm: own.level.dbm(),
            silent_s: silence.map_or(0.0, |(since, until)| until.since(since).as_secs_f32()),
        };
        Some((odds, weighed))
    }

    /// From when until when it listened and did not hear the tag; `None` where it does not listen.
    fn silence(&self, own: &Presence, until: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let since = self.ears.since(own).filter(|_| self.listening)?;
        Some((own.last.max(since), until))
    }
}
