//! What really happened in the month, as values and as JSON lines.
//!
//! Times are microseconds since 1970. *Sensed* means: by what the devices really delivered. An asset is
//! **lost** while it was last sensed on the shelf of a continuous zone, nobody has it, and it cannot be heard
//! there any more. A shelf's antenna **works** while its reader has power, its network and our attention, and its
//! cable is whole.

use std::io::{self, Write};

use serde::Serialize;

/// A vehicle that is seen at a door stood there for so long before, as far as anybody may suppose.
const ALREADY: i64 = 60_000_000;

#[derive(Clone, Debug, Default)]
pub struct Truths {
    pub lost: Vec<Lost>,
    pub out: Vec<Out>,
    pub working: Vec<Working>,
    /// Times without power, network or an antenna, of readers and brokers.
    pub outages: Vec<Entry>,
    pub dead_trackers: Vec<Entry>,
    /// Tags that nobody knows, by their code.
    pub strangers: Vec<Stranger>,
    /// Taken out through a door that heard it, without a checkout.
    pub borrowed: Vec<Entry>,
    /// Taken out through a door that worked, while it was in quarantine.
    pub taken_unready: Vec<Entry>,
    pub daemon_off: Vec<Entry>,
    /// One of two tags died; nothing is to be told of it.
    pub second_tags: Vec<Entry>,
    pub stays: Vec<Stay>,
    pub aboard: Vec<Aboard>,
}

/// A vehicle at a door.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Stay {
    pub vehicle: String,
    pub door: String,
    pub from_us: i64,
    pub until_us: i64,
    /// What was delivered that shows that it is there, or that it is gone: two fixes, or a read of its tag; and when.
    #[serde(skip)]
    pub heard: [u32; 2],
    pub known_us: Option<i64>,
    /// When the first of what was delivered was taken.
    pub seen_us: Option<i64>,
    pub gone_us: Option<i64>,
}

/// An asset in a vehicle; or (not `really`) one that went out at a door where a vehicle was still thought to stand.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Aboard {
    pub asset: String,
    pub vehicle: String,
    /// At which it went in, among the stays.
    pub stay: usize,
    pub really: bool,
    /// When it passed the door, and when the reads of that were delivered.
    pub from_us: i64,
    pub told_us: Option<i64>,
    pub until_us: Option<i64>,
    /// When reads that show it to be somewhere else were delivered.
    pub ended_us: Option<i64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Lost {
    pub asset: String,
    pub class: String,
    pub zone: String,
    /// The reader that would hear it; of a shelf with several antennas `READER#ANTENNA`.
    pub source: String,
    pub why: &'static str,
    pub since_us: i64,
    /// Sensed again, taken by somebody who said so; not set: to the end.
    pub until_us: Option<i64>,
}

/// A checkout as it could be known.
#[derive(Clone, Debug, Serialize)]
pub struct Out {
    pub asset: String,
    /// Where it belongs.
    pub site: String,
    pub at_us: i64,
    pub overdue_at_us: i64,
    /// When somebody said so, or the read that shows it was delivered.
    pub closed_us: Option<i64>,
    /// When that read was made.
    pub returned_us: Option<i64>,
    /// It came back before anything could tell that it had left: nobody can know that it is back.
    pub unknowable: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct Working {
    pub source: String,
    pub from_us: i64,
    pub to_us: i64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Stranger {
    pub epc: String,
    /// The reader that hears it; of a shelf with several antennas `READER#ANTENNA`.
    pub source: String,
    pub from_us: i64,
    pub to_us: i64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    pub subject: String,
    pub why: &'static str,
    pub from_us: i64,
    pub to_us: Option<i64>,
}

#[derive(Serialize)]
#[serde(tag = "truth", rename_all = "kebab-case")]
enum Line<'a> {
    Lost(&'a Lost),
    Out(&'a Out),
    Working(&'a Working),
    Outage(&'a Entry),
    DeadTracker(&'a Entry),
    Stranger(&'a Stranger),
    Borrowed(&'a Entry),
    TakenUnready(&'a Entry),
    DaemonOff(&'a Entry),
    SecondTag(&'a Entry),
    Stay(&'a Stay),
    Aboard(&'a Aboard),
}

impl Truths {
    /// One JSON object a line.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let lines = self
            .lost
            .iter()
            .map(Line::Lost)
            .chain(self.out.iter().map(Line::Out))
            .chain(self.working.iter().map(Line::Working))
            .chain(self.outages.iter().map(Line::Outage))
            .chain(self.dead_trackers.iter().map(Line::DeadTracker))
            .chain(self.strangers.iter().map(Line::Stranger))
            .chain(self.borrowed.iter().map(Line::Borrowed))
            .chain(self.taken_unready.iter().map(Line::TakenUnready))
            .chain(self.daemon_off.iter().map(Line::DaemonOff))
            .chain(self.second_tags.iter().map(Line::SecondTag))
            .chain(self.stays.iter().map(Line::Stay))
            .chain(self.aboard.iter().map(Line::Aboard));
        for line in lines {
            serde_json::to_writer(&mut *out, &line)?;
            out.write_all(b"\n")?;
        }
        Ok(())
    }

    /// From when on it could be known that it is in its vehicle; none where it never could.
    pub fn known_aboard_us(&self, aboard: &Aboard) -> Option<i64> {
        let stay = &self.stays[aboard.stay];
        let mut known = aboard.told_us?.max(stay.known_us?);
        // That it stood there long before its tracker lived again, nothing shows.
        if stay.seen_us? > aboard.from_us + ALREADY {
            return None;
        }
        // Another one was thought to stand there.
        let others = self.stays.iter().enumerate().filter(|(index, other)| {
            let before = *index != aboard.stay && other.until_us < aboard.from_us;
            before && other.door == stay.door && other.known_us.is_some()
        });
        for (_, other) in others {
            known = known.max(other.gone_us?);
        }
        Some(known)
    }

    /// From when on it could be known that it is not in its vehicle (any more).
    pub fn known_gone_us(&self, aboard: &Aboard) -> Option<i64> {
        let left = self.stays[aboard.stay].gone_us.filter(|_| !aboard.really);
        [left, aboard.ended_us].into_iter().flatten().min()
    }

    /// For how long `source` worked from one time to another.
    pub fn worked_us(&self, source: &str, from_us: i64, to_us: i64) -> i64 {
        self.of(source).map(|w| (w.to_us.min(to_us) - w.from_us.max(from_us)).max(0)).sum()
    }

    /// When `source` had worked for `enough_us` since then; none where it never had.
    pub fn worked_by(&self, source: &str, from_us: i64, enough_us: i64) -> Option<i64> {
        let mut left = enough_us;
        for working in self.of(source) {
            let from = working.from_us.max(from_us);
            let span = (working.to_us - from).max(0);
            if span >= left && working.to_us > from_us {
                return Some(from + left);
            }
            left -= span;
        }
        None
    }

    fn of(&self, source: &str) -> impl Iterator<Item = &Working> {
        self.working.iter().filter(move |working| working.source == source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn working_time_is_counted_over_outages() {
        let span = |from_us, to_us| Working { source: "r".to_owned(), from_us, to_us };
        let truths = Truths { working: vec![span(0, 10), span(20, 30)], ..Truths::default() };
        assert_eq!(truths.worked_us("r", 5, 25), 10);
        assert_eq!(truths.worked_by("r", 5, 5), Some(10));
        assert_eq!(truths.worked_by("r", 5, 8), Some(23));
        assert_eq!((truths.worked_by("r", 5, 16), truths.worked_by("other", 0, 1)), (None, None));
    }
}
