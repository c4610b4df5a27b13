//! Assets that stay: standing near doors, in cribs, out with somebody, stolen.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::doors::SPEEDS_MPS;
use super::{DUE_SOON_S, HOLDERS, MUCH_LATER_S, Planner, pick};
use crate::world::happening::{Device, Happening, passage_takes_s};
use crate::world::plant::Checkout;
use crate::world::presence::LONGEST_SILENCE_S;

/// By then whatever lies in a crib was read twice.
const SENSED_S: f64 = 2.0 * LONGEST_SILENCE_S;

impl Planner<'_> {
    pub(super) fn standing(&mut self) {
        let mut rng = self.rng("standing");
        for index in 0..self.scenario.doors.len() {
            let door = self.door(index);
            for _ in 0..self.scenario.doors[index].standing {
                let here = self.at_home(&self.scenario.doors[index].inside, 0.0);
                if let Some(asset) = pick(&here, &mut rng) {
                    self.whereabouts[asset] = None;
                    self.standing.push((door, asset));
                }
            }
        }
    }

    /// Makes the checkouts; gives back when which asset returns through which door.
    pub(super) fn checkouts(&mut self) -> Vec<(f64, usize, usize)> {
        let mut rng = self.rng("checkouts");
        let mut through_doors = Vec::new();
        let chapter = self.timing().chapter_s.min(self.ends_s);
        for group in &self.scenario.checkouts {
            for share in &group.overdue {
                let Some(asset) = self.check_out(&group.zone, &mut rng) else { continue };
                self.overdue(asset, share * chapter, &mut rng);
            }
            for share in &group.returned {
                let Some(asset) = self.check_out(&group.zone, &mut rng) else { continue };
                let at_s = share * chapter;
                match self.scenario.cribs.iter().position(|crib| crib.zone == group.zone) {
                    Some(crib) => self.return_to_crib(crib, asset, at_s, &mut rng),
                    None => {
                        through_doors.extend(self.return_through_door(asset, &group.zone, at_s, &mut rng))
                    }
                }
            }
            for _ in 0..group.out {
                if let Some(asset) = self.check_out(&group.zone, &mut rng) {
                    self.due(asset, self.ends_s + MUCH_LATER_S, false, &mut rng);
                }
            }
        }
        through_doors
    }

    fn check_out(&mut self, zone: &str, rng: &mut ChaCha8Rng) -> Option<usize> {
        let asset = pick(&self.at_home(zone, 0.0), rng)?;
        self.whereabouts[asset] = None;
        Some(asset)
    }

    fn due(&mut self, asset: usize, due_s: f64, returns: bool, rng: &mut ChaCha8Rng) {
        let holder = HOLDERS[rng.random_range(0..HOLDERS.len())].to_owned();
        let asset = self.plant.assets[asset].id.clone();
        self.plant.checkouts.push(Checkout { asset, holder, due_s, returns });
    }

    fn overdue(&mut self, asset: usize, due_s: f64, rng: &mut ChaCha8Rng) {
        let class = self.class_of(asset);
        let settled_s = due_s + class.1.unwrap_or(0.0) + self.timing().overdue_settle_s;
        if settled_s > self.ends_s {
            return self.due(asset, self.ends_s + MUCH_LATER_S, false, rng);
        }
        self.due(asset, due_s, false, rng);
        self.push((due_s - DUE_SOON_S).max(0.0), settled_s, Happening::Overdue { asset, due_s });
    }

    fn return_to_crib(&mut self, crib: usize, asset: usize, at_s: f64, rng: &mut ChaCha8Rng) {
        let reader = Device::Reader(self.reader(&self.scenario.cribs[crib].reader));
        let Some(settled_s) = self.noticed(reader, at_s, at_s + self.timing().passage_settle_s + 3.0) else {
            return self.due(asset, self.ends_s + MUCH_LATER_S, false, rng);
        };
        self.due(asset, settled_s + 3.0, true, rng);
        let begins_s = (settled_s + 3.0 - DUE_SOON_S).clamp(0.0, at_s);
        self.push(begins_s, settled_s, Happening::Return { crib, asset, at_s });
    }

    /// When, through which door, which asset.
    fn return_through_door(
        &mut self,
        asset: usize,
        zone: &str,
        at_s: f64,
        rng: &mut ChaCha8Rng,
    ) -> Option<(f64, usize, usize)> {
        let doors: Vec<usize> =
            (0..self.scenario.doors.len()).filter(|door| self.scenario.doors[*door].inside == zone).collect();
        let slowest_s = passage_takes_s(1, SPEEDS_MPS.start) + self.timing().passage_settle_s;
        let open = |door: &usize| {
            let reader = Device::Reader(self.door(*door).reader);
            self.noticed(reader, at_s, at_s + slowest_s).map(|settled_s| (*door, settled_s))
        };
        let Some((door, settled_s)) = doors.iter().find_map(open) else {
            self.due(asset, self.ends_s + MUCH_LATER_S, false, rng);
            return None;
        };
        self.due(asset, settled_s + DUE_SOON_S, true, rng);
        Some((at_s, door, asset))
    }

    fn class_of(&self, asset: usize) -> (Option<f64>, Option<f64>) {
        let name = &self.plant.assets[asset].class;
        let class = self.plant.classes.iter().find(|class| class.name == *name);
        class.map_or((None, None), |class| (class.ghost_after_s, class.overdue_grace_s))
    }

    pub(super) fn thefts(&mut self) {
        let mut rng = self.rng("thefts");
        for theft in &self.scenario.thefts {
            let Some(crib) = self.scenario.cribs.iter().find(|crib| crib.name == theft.crib) else {
                continue;
            };
            let reader = Device::Reader(self.reader(&crib.reader));
            let times: Vec<f64> = theft.at.iter().flat_map(|share| self.in_every_chapter(*share)).collect();
            for at_s in times {
                // What nobody sensed yet cannot be missed.
                let at_s = at_s.max(SENSED_S);
                let here = self.at_home(&crib.zone, at_s);
                let Some(asset) = pick(&here, &mut rng) else { continue };
                let Some(ghost_after_s) = self.class_of(asset).0 else { continue };
                let settled_s = at_s + ghost_after_s + self.timing().ghost_settle_s;
                if let Some(settled_s) = self.noticed(reader, at_s, settled_s) {
                    self.whereabouts[asset] = None;
                    self.push(at_s, settled_s, Happening::Theft { asset });
                }
            }
        }
    }

    /// Tags in cribs from the beginning: the crib, the asset.
    pub fn in_cribs(&self) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        for (crib, place) in self.scenario.cribs.iter().enumerate() {
            let stolen = self.events.iter().filter_map(|event| match event.happening {
                Happening::Theft { asset } => Some(asset),
                _ => None,
            });
            let at_home = |asset: &usize| self.plant.assets[*asset].home_zone.as_ref() == Some(&place.zone);
            let mut here: Vec<usize> = self.at_home(&place.zone, f64::MAX);
            here.extend(stolen.filter(at_home));
            here.sort_unstable();
            found.extend(here.into_iter().map(|asset| (crib, asset)));
        }
        found
    }
}
