//! How a walk test looks on a terminal: who hears what, how loud, and who else does.

use std::collections::BTreeMap;
use std::time::Duration;

use super::grid::{Align, Grid, Line, Style};
use super::tally::{Levels, Tag, Tally, Whose, louder_by, whose};
use crate::cli::story;
use crate::domain::time::Timestamp;
use crate::web::walk::About;

/// What is shown.
pub struct View<'v> {
    pub about: &'v About,
    pub tally: &'v Tally,
    /// Assets that tags hang on, where that is known.
    pub assets: &'v BTreeMap<String, Option<String>>,
    pub now: Timestamp,
    pub length: Duration,
    /// Tags that there is room for, and columns.
    pub tags: usize,
    pub width: usize,
}

/// A bar begins and ends at these levels: what a tag at the far end of a hall gives, and one at the antenna.
const BAR_FROM_DBM: f32 = -80.0;
const BAR_TO_DBM: f32 = -30.0;
const BAR: usize = 10;
/// With fewer columns, codes are told by their end, of so many digits.
const NARROW: usize = 110;
/// With fewer, what can be done without is left out: bars, means, and where a tag is loudest.
const CRAMPED: usize = 80;
const SHORT_CODE: usize = 8;

impl View<'_> {
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = vec![(Style::Heading, self.title())];
        for reader in self.about.readers.iter().filter(|reader| !reader.up) {
            lines.push((Style::Bad, format!("  reader {} is DOWN: {}", reader.reader, reader.reason)));
        }
        lines.push((Style::Plain, String::new()));
        self.antennas(&mut lines);
        lines.push((Style::Plain, String::new()));
        self.tags(&mut lines);
        self.neighbours(&mut lines);
        self.remarks(&mut lines);
        lines
    }

    fn title(&self) -> String {
        let (about, tally) = (self.about, self.tally);
        format!(
            "{} ({})   {}   {}, {}   {}",
            about.read_point,
            about.kind,
            story::span(self.length),
            counted(tally.reads, "read"),
            rate(tally.rate(self.now)),
            counted(tally.tags_here() as u64, "tag"),
        )
    }

    fn antennas(&self, lines: &mut Vec<Line>) {
        let sides = self.about.antennas.iter().any(|ear| ear.side.is_some());
        let (narrow, cramped) = (self.width < NARROW, self.is_cramped());
        let mut grid = Grid::new(&[
            ("  ANTENNA", Align::Left),
            (if sides { "SIDE" } else { "" }, Align::Left),
            ("READS", Align::Right),
            ("/S", Align::Right),
            ("TAGS", Align::Right),
            ("NOW", Align::Left),
            (self.strongest(), Align::Right),
            (if cramped { "" } else { "MEAN" }, Align::Right),
            (if narrow { "" } else { "WEAKEST" }, Align::Right),
        ]);
        for ear in &self.about.antennas {
            let mut cells =
                vec![format!("  {} {}", ear.reader, ear.antenna), ear.side.clone().unwrap_or_default()];
            let key = (ear.reader.clone(), ear.antenna);
            let Some(heard) = self.tally.antenna(&key) else {
                let nothing = if cramped { "-" } else { "nothing heard yet" };
                cells.extend(["0", "", "", nothing, "", "", ""].map(str::to_owned));
                grid.row(Style::Doubt, cells);
                continue;
            };
            let levels = &heard.levels;
            let now = heard.now_dbm(self.now);
            let mean = dbm(levels.mean_dbm().map(|mean| mean as f32));
            cells.extend([
                levels.reads.to_string(),
                format!("{:.0}", self.tally.rate_of(heard, self.now)),
                self.tally.tags_of(&key).to_string(),
                if cramped { format!("{:>3}", dbm(now)) } else { format!("{:>3} {}", dbm(now), bar(now)) },
                dbm(levels.strongest_dbm),
                if cramped { String::new() } else { mean },
                if narrow { String::new() } else { dbm(levels.weakest_dbm) },
            ]);
            grid.row(Style::Plain, cells);
        }
        grid.write(lines);
    }

    fn tags(&self, lines: &mut Vec<Line>) {
        let tags = self.tally.tags(self.now);
        if tags.is_empty() {
            return;
        }
        let mut grid = Grid::new(&[
            ("  TAG", Align::Left),
            ("READS", Align::Right),
            (self.strongest(), Align::Right),
            (if self.is_cramped() { "" } else { "AT" }, Align::Left),
            ("ELSEWHERE", Align::Left),
        ]);
        for (epc, tag) in tags.iter().take(self.tags) {
            self.tag(epc, tag, &mut grid);
        }
        grid.write(lines);
        if tags.len() > self.tags {
            let more = tags.len() - self.tags;
            lines.push((Style::Faint, format!("  and {more} more")));
        }
        lines.push((Style::Plain, String::new()));
    }

    fn tag(&self, epc: &str, tag: &Tag, grid: &mut Grid) {
        let (mark, style) = match tag.whose() {
            Whose::Ours if !tag.is_heard(self.now) => (' ', Style::Faint),
            Whose::Ours => (' ', Style::Plain),
            Whose::Unclear => ('?', Style::Doubt),
            Whose::Theirs => ('!', Style::Bad),
        };
        let mut elsewhere: Vec<_> = tag.elsewhere.iter().collect();
        elsewhere.sort_by_key(|(_, there)| std::cmp::Reverse(whose(&tag.here, there)));
        let elsewhere: Vec<String> =
            elsewhere.into_iter().map(|(place, there)| compared(place, &tag.here, there)).collect();
        let at = tag.best.as_ref().filter(|_| !self.is_cramped());
        let at = at.map(|(reader, antenna)| format!("{reader} {antenna}"));
        let cells = [
            format!("{mark} {}", self.called(epc)),
            tag.here.reads.to_string(),
            dbm(tag.here.strongest_dbm),
            at.unwrap_or_default(),
            elsewhere.join("; "),
        ];
        grid.row(style, cells.to_vec());
    }

    fn is_cramped(&self) -> bool {
        self.width < CRAMPED
    }

    fn strongest(&self) -> &'static str {
        if self.is_cramped() { "PEAK" } else { "STRONGEST" }
    }

    /// A code, or its end where there is little room, and what it hangs on.
    fn called(&self, epc: &str) -> String {
        let name = self.name(epc).map(|name| format!(" {name}")).unwrap_or_default();
        match epc.len().checked_sub(SHORT_CODE) {
            Some(from) if self.width < NARROW && from > 1 => format!("…{}{name}", &epc[from..]),
            _ => format!("{epc}{name}"),
        }
    }

    fn name(&self, epc: &str) -> Option<String> {
        if self.about.reference_tag.as_deref() == Some(epc) {
            return Some("reference tag".to_owned());
        }
        self.assets.get(epc).cloned().flatten()
    }

    fn neighbours(&self, lines: &mut Vec<Line>) {
        let neighbours = self.tally.neighbours();
        if neighbours.is_empty() {
            return;
        }
        let mut grid = Grid::new(&[
            ("  WHO ELSE HEARS THEM", Align::Left),
            ("READS", Align::Right),
            ("TAGS", Align::Right),
            ("LOUDER THERE", Align::Right),
            ("CLOSEST", Align::Left),
        ]);
        for (place, neighbour) in neighbours {
            let closest = neighbour
                .closest
                .map(|(louder, epc)| format!("{}, {}", difference(louder), self.called(epc)));
            let cells = [
                format!("  {place}"),
                neighbour.reads.to_string(),
                neighbour.tags.to_string(),
                neighbour.theirs.to_string(),
                closest.unwrap_or_default(),
            ];
            grid.row(if neighbour.theirs > 0 { Style::Bad } else { Style::Plain }, cells.to_vec());
        }
        grid.write(lines);
        lines.push((Style::Plain, String::new()));
    }

    fn remarks(&self, lines: &mut Vec<Line>) {
        let tally = self.tally;
        let (theirs, unclear) = (tally.count(Whose::Theirs), tally.count(Whose::Unclear));
        if theirs > 0 {
            let said = format!(
                "! {}: heard here, and clearly louder elsewhere. Less power here, or an antenna turned away",
                counted(theirs as u64, "cross-read tag")
            );
            lines.push((Style::Bad, said));
        }
        if unclear > 0 {
            let said = format!(
                "? {}: about as loud elsewhere. Whose it is hangs on how it is held",
                counted(unclear as u64, "unclear tag")
            );
            lines.push((Style::Doubt, said));
        }
        if tally.held > 0 {
            let said =
                format!("  {} of before, which a reader had held, not counted", counted(tally.held, "read"));
            lines.push((Style::Faint, said));
        }
        if tally.missed > 0 {
            let said =
                format!("  {} came too fast to be told, of any read point", counted(tally.missed, "read"));
            lines.push((Style::Doubt, said));
        }
    }
}

/// How another read point hears a tag, against here.
fn compared(place: &str, here: &Levels, there: &Levels) -> String {
    let reads = counted(there.reads, "read");
    match louder_by(here, there) {
        Some(louder) => format!("{place} {}: {}, {reads}", dbm(there.strongest_dbm), difference(louder)),
        None => format!("{place}: {reads}"),
    }
}

fn difference(louder: f32) -> String {
    let by = louder.abs();
    match louder {
        _ if by < 0.5 => "as loud".to_owned(),
        louder if louder > 0.0 => format!("{by:.0} dB LOUDER"),
        _ => format!("{by:.0} dB weaker"),
    }
}

fn dbm(level: Option<f32>) -> String {
    level.map_or("-".to_owned(), |level| format!("{level:.0}"))
}

fn bar(level: Option<f32>) -> String {
    let share = level.map_or(0.0, |level| (level - BAR_FROM_DBM) / (BAR_TO_DBM - BAR_FROM_DBM));
    let full = (share.clamp(0.0, 1.0) * BAR as f32).round() as usize;
    "█".repeat(full) + &"·".repeat(BAR - full)
}

fn rate(reads: f64) -> String {
    format!("{reads:.0} a second")
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests;
