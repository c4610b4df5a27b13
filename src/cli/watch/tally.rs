//! What a walk test has heard so far: by antenna, by tag, and by those who hear the same tags elsewhere. Pure: time is an
//! argument.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clean::NEXT_DOOR_DB;
use crate::domain::ids::{Antenna, SourceId};
use crate::domain::time::Timestamp;
use crate::web::walk::ReadTold;

/// Tags that are told apart; reads of more count at their antennas alone.
const MOST_TAGS: usize = 10_000;
/// A tag that fell silent here longer ago is no longer in front of the antennas.
const JUST_NOW: Duration = Duration::from_secs(5);
/// A rate is that of the last full seconds, so many of them.
const RATE_SECONDS: i64 = 4;
/// The second that is under way, and those of a rate.
const SLOTS: usize = RATE_SECONDS as usize + 1;

pub type Ear = (SourceId, Antenna);

#[derive(Default)]
pub struct Tally {
    antennas: BTreeMap<Ear, Heard>,
    tags: BTreeMap<String, Tag>,
    /// Here, without those that were held.
    pub reads: u64,
    /// Of before: a reader held them while it was away. They say nothing of how things are now, and are not counted.
    pub held: u64,
    pub missed: u64,
    began: Option<Timestamp>,
}

/// How often, and how loud.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Levels {
    pub reads: u64,
    told: u32,
    sum_dbm: f64,
    pub weakest_dbm: Option<f32>,
    pub strongest_dbm: Option<f32>,
}

/// An antenna of the read point.
#[derive(Default)]
pub struct Heard {
    pub levels: Levels,
    seconds: [Second; SLOTS],
}

#[derive(Clone, Copy, Default)]
struct Second {
    at: i64,
    reads: u64,
    strongest_dbm: Option<f32>,
}

#[derive(Default)]
pub struct Tag {
    pub here: Levels,
    /// The antenna that heard it loudest.
    pub best: Option<Ear>,
    antennas: Vec<Ear>,
    /// By read point, or by antenna where it has none.
    pub elsewhere: BTreeMap<String, Levels>,
    pub last: Option<Timestamp>,
}

/// Whose a tag is, by how loud it was at its best.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Whose {
    /// Clearly louder here.
    Ours,
    /// Too close to tell.
    Unclear,
    /// Clearly louder elsewhere: a cross-read.
    Theirs,
}

impl Tally {
    pub fn read(&mut self, read: &ReadTold) {
        if read.held {
            self.held += 1;
            return;
        }
        let ear = (read.reader.clone(), read.antenna);
        self.began.get_or_insert(read.received_at);
        if read.here {
            self.reads += u64::from(read.count);
            self.antennas.entry(ear.clone()).or_default().add(read);
        }
        if !self.tags.contains_key(&read.epc) && self.tags.len() >= MOST_TAGS {
            return;
        }
        let tag = self.tags.entry(read.epc.clone()).or_default();
        if read.here { tag.hear(ear, read) } else { tag.hear_elsewhere(&ear, read) }
    }

    pub fn antenna(&self, ear: &Ear) -> Option<&Heard> {
        self.antennas.get(ear)
    }

    pub fn tags_of(&self, ear: &Ear) -> usize {
        self.tags.values().filter(|tag| tag.antennas.contains(ear)).count()
    }

    /// What is louder elsewhere first, then what is heard just now, the loudest first: so the tag in somebody's
    /// hand stays in its place.
    pub fn tags(&self, now: Timestamp) -> Vec<(&str, &Tag)> {
        let mut tags: Vec<_> = self.tags.iter().map(|(epc, tag)| (epc.as_str(), tag)).collect();
        tags.sort_by(|(_, a), (_, b)| {
            let rank = |tag: &Tag| (tag.whose(), tag.is_heard(now));
            let loud = |tag: &Tag| tag.here.strongest_dbm.unwrap_or(f32::MIN);
            rank(b).cmp(&rank(a)).then(loud(b).total_cmp(&loud(a)))
        });
        tags
    }

    /// Heard here so far.
    pub fn tags_here(&self) -> usize {
        self.tags.values().filter(|tag| tag.last.is_some()).count()
    }

    /// Who else hears what is heard here: how many tags, how many reads, and the tag that is loudest there
    /// against here.
    pub fn neighbours(&self) -> BTreeMap<&str, Neighbour<'_>> {
        let mut all: BTreeMap<&str, Neighbour<'_>> = BTreeMap::new();
        for (epc, tag) in &self.tags {
            for (place, there) in &tag.elsewhere {
                let neighbour = all.entry(place).or_default();
                neighbour.tags += 1;
                neighbour.reads += there.reads;
                neighbour.theirs += usize::from(whose(&tag.here, there) == Whose::Theirs);
                if let Some(louder) = louder_by(&tag.here, there)
                    && neighbour.closest.is_none_or(|(by, _)| by < louder)
                {
                    neighbour.closest = Some((louder, epc));
                }
            }
        }
        all
    }

    pub fn count(&self, wanted: Whose) -> usize {
        self.tags.values().filter(|tag| tag.whose() == wanted).count()
    }

    /// Reads a second here.
    pub fn rate(&self, now: Timestamp) -> f64 {
        self.antennas.values().fold(0.0, |rate, heard| rate + self.rate_of(heard, now))
    }

    pub fn rate_of(&self, heard: &Heard, now: Timestamp) -> f64 {
        let this = second(now);
        let began = self.began.map_or(this, second);
        let full = (this - began).clamp(1, RATE_SECONDS);
        let within = this - full..this;
        let reads: u64 = heard.seconds.iter().filter(|it| within.contains(&it.at)).map(|it| it.reads).sum();
        reads as f64 / full as f64
    }
}

#[derive(Default)]
pub struct Neighbour<'t> {
    pub tags: usize,
    pub reads: u64,
    /// Of its tags, those that are louder there.
    pub theirs: usize,
    /// By how many dB louder there (negative: weaker), and which tag.
    pub closest: Option<(f32, &'t str)>,
}

impl Tag {
    fn hear(&mut self, ear: Ear, read: &ReadTold) {
        let louder = match (self.here.strongest_dbm, read.rssi_dbm) {
            (Some(best), Some(now)) => now > best,
            (None, Some(_)) => true,
            (_, None) => self.best.is_none(),
        };
        if !self.antennas.contains(&ear) {
            self.antennas.push(ear.clone());
        }
        if louder {
            self.best = Some(ear);
        }
        self.here.add(read);
        self.last = Some(read.received_at);
    }

    fn hear_elsewhere(&mut self, ear: &Ear, read: &ReadTold) {
        let place = match &read.read_point {
            Some(point) => point.to_string(),
            None => format!("{} antenna {}, of no read point", ear.0, ear.1),
        };
        self.elsewhere.entry(place).or_default().add(read);
    }

    /// Within the last seconds, here.
    pub fn is_heard(&self, now: Timestamp) -> bool {
        self.last.is_some_and(|last| now.since(last) < JUST_NOW)
    }

    /// Against all others.
    pub fn whose(&self) -> Whose {
        self.elsewhere.values().map(|there| whose(&self.here, there)).max().unwrap_or(Whose::Ours)
    }
}

/// By how many dB it was louder there at its best; negative: weaker. `None` where one of them tells no signal.
pub fn louder_by(here: &Levels, there: &Levels) -> Option<f32> {
    Some(there.strongest_dbm? - here.strongest_dbm?)
}

/// By signal; by the number of reads, twice as many, where one of them tells none.
pub fn whose(here: &Levels, there: &Levels) -> Whose {
    match louder_by(here, there) {
        Some(louder) if louder > NEXT_DOOR_DB => Whose::Theirs,
        Some(louder) if louder >= -NEXT_DOOR_DB => Whose::Unclear,
        Some(_) => Whose::Ours,
        None if there.reads > 2 * here.reads => Whose::Theirs,
        None if 2 * there.reads >= here.reads => Whose::Unclear,
        None => Whose::Ours,
    }
}

impl Levels {
    fn add(&mut self, read: &ReadTold) {
        self.reads += u64::from(read.count);
        let Some(dbm) = read.rssi_dbm else { return };
        self.told += 1;
        self.sum_dbm += f64::from(dbm);
        self.weakest_dbm = Some(self.weakest_dbm.map_or(dbm, |weakest| weakest.min(dbm)));
        self.strongest_dbm = Some(self.strongest_dbm.map_or(dbm, |strongest| strongest.max(dbm)));
    }

    pub fn mean_dbm(&self) -> Option<f64> {
        (self.told > 0).then(|| self.sum_dbm / f64::from(self.told))
    }
}

impl Heard {
    fn add(&mut self, read: &ReadTold) {
        self.levels.add(read);
        let at = second(read.received_at);
        let slot = &mut self.seconds[at.rem_euclid(SLOTS as i64) as usize];
        if slot.at != at {
            *slot = Second { at, ..Second::default() };
        }
        slot.reads += u64::from(read.count);
        if let Some(dbm) = read.rssi_dbm {
            slot.strongest_dbm = Some(slot.strongest_dbm.map_or(dbm, |strongest| strongest.max(dbm)));
        }
    }

    /// The strongest of this second and the one before.
    pub fn now_dbm(&self, now: Timestamp) -> Option<f32> {
        let this = second(now);
        let lately = self.seconds.iter().filter(|it| (this - 1..=this).contains(&it.at));
        lately.filter_map(|it| it.strongest_dbm).reduce(f32::max)
    }
}

fn second(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(1_000_000)
}

#[cfg(test)]
pub mod tests;
