//! What is in which vehicle: each answer at each sampled time, against what was in it then.

use std::collections::BTreeMap;

use tallyman_simulators::month::Aboard;

use super::super::machine::Sample;
use super::super::report::Vehicles;
use super::{Grader, MINUTE, at, within};

/// From the reads and fixes that show it to the answer: fixes wait for those that may come before them.
const TAKES: i64 = 2 * MINUTE;

impl Grader<'_> {
    pub(super) fn vehicles(&self) -> Vehicles {
        let mut of: BTreeMap<&str, Vec<&Aboard>> = BTreeMap::new();
        for aboard in &self.truths.aboard {
            of.entry(&aboard.asset).or_default().push(aboard);
        }
        let really = self.truths.aboard.iter().filter(|aboard| aboard.really);
        let unknown = really.clone().filter(|aboard| self.truths.known_aboard_us(aboard).is_none()).count();
        let mut graded = Vehicles {
            stays: self.truths.stays.len(),
            loaded: really.count(),
            unknown,
            ..Vehicles::default()
        };
        // What comes back on is not all there at once.
        let awake = |sample: &&Sample| !within(&self.truths.daemon_off, sample.at_us, 0, 5 * MINUTE);
        for sample in self.samples.iter().filter(awake) {
            for (asset, aboard) in &of {
                let said = sample.inside.get(*asset);
                self.judge_answer(aboard, said.map(String::as_str), sample.at_us, &mut graded);
            }
            let nowhere = sample.inside.iter().filter(|(asset, _)| !of.contains_key(asset.as_str()));
            for (asset, vehicle) in nowhere {
                graded.said += 1;
                graded.wrong.push(format!("{asset} in {vehicle} at {}", at(sample.at_us)));
            }
        }
        graded
    }

    fn judge_answer(&self, of: &[&Aboard], said: Option<&str>, at_us: i64, graded: &mut Vehicles) {
        let ends = |aboard: &Aboard| aboard.until_us.unwrap_or(i64::MAX);
        let is_in = of.iter().find(|aboard| (aboard.from_us..ends(aboard)).contains(&at_us));
        let is_known = is_in
            .and_then(|aboard| self.truths.known_aboard_us(aboard))
            .is_some_and(|known| known + TAKES <= at_us);
        let name = || format!("{} at {}", of[0].asset, at(at_us));
        graded.said += usize::from(said.is_some());
        match (is_in, said) {
            (Some(aboard), Some(vehicle)) if aboard.vehicle == vehicle => {
                graded.truth += 1;
                graded.right += 1;
            }
            // Until the reads of its way out are there, it may be thought to be where it was before.
            (_, Some(vehicle)) if of.iter().any(|aboard| self.may_be_thought(aboard, vehicle, at_us)) => {
                graded.said -= 1;
                graded.undecided += 1;
            }
            (_, Some(vehicle)) => {
                graded.truth += usize::from(is_known);
                graded.wrong.push(format!("{} in {vehicle}", name()));
            }
            (Some(aboard), None) if is_known => {
                graded.truth += 1;
                graded.missed.push(format!("{} in {}", name(), aboard.vehicle));
            }
            (Some(_), None) => graded.undecided += 1,
            (None, None) => {}
        }
    }

    /// Whether it was in that vehicle, or looked like it, and nothing shows yet that it is no more.
    fn may_be_thought(&self, aboard: &Aboard, vehicle: &str, at_us: i64) -> bool {
        let gone = self.truths.known_gone_us(aboard).map_or(i64::MAX, |gone| gone + TAKES);
        aboard.vehicle == vehicle && (aboard.from_us..gone).contains(&at_us)
    }
}
