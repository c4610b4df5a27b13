//! What arrived, a round at a time: its frames are decoded, what their reads will ask for is looked at together, and then
//! they are cleaned and tracked one by one. So reads that come in a report each are fetched beside one another too.

use super::Core;
use crate::clean::ROUND;
use crate::decode::{DecodeError, Decoded};
use crate::source::Intake;

/// Readings of a frame for which room is kept.
const KEPT: usize = 256;

/// Rounds of one time after the other.
#[derive(Default)]
pub(super) struct Arrivals {
    round: Vec<Arrived>,
    /// Emptied, with their room.
    spare: Vec<Decoded>,
}

struct Arrived {
    intake: Intake,
    /// What its frame gave, where it is one.
    result: Result<(), DecodeError>,
    decoded: Decoded,
}

impl Core {
    /// Takes intakes in their order, as [`Core::intake`] does one by one; `before` each, whatever has to be done before it.
    pub fn intakes(
        &mut self,
        intakes: impl IntoIterator<Item = Intake>,
        mut before: impl FnMut(&mut Self, &Intake),
    ) {
        let mut intakes = intakes.into_iter();
        let mut arrivals = std::mem::take(&mut self.arrivals);
        loop {
            let mut readings = 0;
            while readings.max(arrivals.round.len()) < ROUND
                && let Some(intake) = intakes.next()
            {
                let arrived = self.decode(intake, arrivals.spare.pop().unwrap_or_default());
                readings += arrived.decoded.readings.len();
                arrivals.round.push(arrived);
            }
            if arrivals.round.is_empty() {
                break;
            }
            if readings > 1 {
                self.cleaner.look_at(arrivals.round.iter().flat_map(|arrived| &arrived.decoded.readings));
            }
            for Arrived { intake, result, mut decoded } in arrivals.round.drain(..) {
                before(self, &intake);
                self.take(intake, result, &mut decoded);
                decoded.readings.shrink_to(KEPT);
                arrivals.spare.push(decoded);
            }
        }
        self.arrivals = arrivals;
    }

    fn decode(&mut self, intake: Intake, mut decoded: Decoded) -> Arrived {
        let result = match &intake {
            Intake::Frame(frame) => self.decoders.decode(frame, self.max_payload, &mut decoded),
            _ => Ok(()),
        };
        Arrived { intake, result, decoded }
    }

    fn take(&mut self, intake: Intake, result: Result<(), DecodeError>, decoded: &mut Decoded) {
        match intake {
            Intake::Frame(frame) => {
                let first = self.first_received.get_or_insert(frame.received_at);
                *first = frame.received_at.min(*first);
                self.frame(frame, result, decoded);
            }
            Intake::Link(change) => self.link(&change),
            Intake::Dropped { source, reason, count } => self.dropped(&source, reason, count),
            Intake::Room => {}
        }
    }
}
