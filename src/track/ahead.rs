//! What several sightings will ask for, asked for at once.
//!
//! Of a large register hardly anything is in the processor's caches, and a sighting goes from one cold place to the
//! next: from the tag to its asset's record to its row. One by one, each waits for its own. Looked at beforehand,
//! a round at a time, they are fetched beside one another. Nothing is decided here, and nothing is changed.

use std::hint::black_box;

use smallvec::SmallVec;

use super::Tracker;
use super::assets::AssetRow;
use crate::domain::events::Event;
use crate::domain::register::Asset;
use crate::domain::sightings::{Seen, Sighting};

/// As many are looked at beforehand: what they ask for, a kilobyte or two each, is still in the cache at their turn.
pub(super) const ROUND: usize = 32;

impl Tracker {
    /// Takes sightings in their order, as [`Tracker::sighting`] does one by one.
    pub fn sightings(&mut self, sightings: &mut Vec<Sighting>, out: &mut Vec<Event>) {
        let mut rest = sightings.drain(..);
        while !rest.as_slice().is_empty() {
            let round = rest.as_slice().len().min(ROUND);
            if round > 1 {
                self.look_at(&rest.as_slice()[..round]);
            }
            rest.by_ref().take(round).for_each(|sighting| self.sighting(sighting, out));
        }
    }

    /// Looks at what these will ask for.
    fn look_at(&self, sightings: &[Sighting]) {
        let epcs = sightings.iter().filter_map(|sighting| match &sighting.what {
            Seen::Presence { epc, .. } => Some(epc),
            Seen::Passage(passage) => Some(&passage.epc),
            _ => None,
        });
        let records = self.register.places_of_carriers(epcs);
        let rows: SmallVec<[_; ROUND]> = records
            .into_iter()
            .filter_map(|record| {
                let (asset, row) = self.register.at_hint(record)?;
                look_over_record(asset);
                Some(row)
            })
            .collect();
        rows.into_iter().filter_map(|row| self.assets.at_hint(row)).for_each(look_over_row);
    }
}

/// A record is longer than what is fetched at a time, so it is looked at in several places.
fn look_over_record(asset: &Asset) {
    let Asset { id: _, class, name, home_zone, lifecycle, part_of, details, attributes } = asset;
    black_box((class.as_str().len(), *lifecycle, attributes.len()));
    black_box((name.is_some(), home_zone.is_some(), part_of.is_some(), details.is_some()));
}

fn look_over_row(row: &AssetRow) {
    let AssetRow { current, memory, .. } = row;
    // The text of its name is the key by which rows are sorted.
    black_box(current.asset.as_str().as_bytes().first().copied());
    black_box((current.since, current.last_sensed.as_ref().map(|last| last.at), current.ghost_since));
    black_box((current.reason.len(), current.checkout.is_some(), current.ready, current.not_ready.len()));
    black_box((current.awaiting_inspection, current.inspected_at, current.battery.is_some()));
    black_box((memory.placed_at, memory.present.len(), memory.lately.len(), memory.presumed_at));
    black_box((memory.whereabouts, memory.custody_acts, memory.closed_checkout, memory.inspections_from));
    black_box((memory.readiness_changes, memory.returned_at, memory.used_at, memory.idle_from));
    black_box((memory.left.is_some(), memory.fixed.is_some(), memory.carried.is_some()));
    black_box(memory.watched.as_ref().map(|watched| (watched.due_us, watched.queued_us)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::sightings::PresenceChange::{Arrived, Departed, Refreshed};
    use crate::domain::state::StateRow;
    use crate::track::tests::world::*;

    /// More than two rounds of the known and the unknown, some of them twice.
    fn report() -> Vec<Sighting> {
        let presence = |nth: u16| Seen::Presence {
            epc: epc(1 + nth * 7 % 90),
            read_point: "CRIB".into(),
            change: [Arrived, Refreshed, Departed][usize::from(nth / 40)],
            ears: Default::default(),
            beside: false,
            weighed: None,
        };
        let seen = |what| Sighting {
            source: "r1".into(),
            observed_at: t(10),
            received_at: t(10),
            late: false,
            what,
        };
        (0..100).map(presence).map(seen).collect()
    }

    #[test]
    fn what_is_told_of_a_report_is_what_is_told_of_each() {
        let [one_by_one, together] = [false, true].map(|together| {
            let mut world = World::stocked(60, "tool");
            let mut report = report();
            match together {
                true => world.tracker.sightings(&mut report, &mut world.events),
                false => report.drain(..).for_each(|one| world.tracker.sighting(one, &mut world.events)),
            }
            assert!(report.is_empty());
            let mut rows: Vec<StateRow> = Vec::new();
            world.tracker.take_dirty(&mut rows);
            (world.events, rows)
        });
        assert!(one_by_one.0.len() >= 60);
        assert_eq!(one_by_one, together);
    }
}
