//! Silent antennas: `reader-down` of one antenna (subject `READER/ANTENNA`) of a reader that is up.
//!
//! An up reader with a cut cable looks healthy from everywhere else. What its reader calls disconnected, and
//! what no longer hears its reference tag, is told after `reader_down_after`. An antenna that merely hears
//! nothing may have nothing to hear: it is told only where assets hang on it, and when the first of them
//! would have become a ghost, had the antenna heard.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Tracker;
use super::alerts::Details;
use super::cause::Cause;
use crate::domain::alerts::{AlertKey, Rule, Severity};
use crate::domain::events::Event;
use crate::domain::ids::{Antenna, ReadPointId, SourceId};
use crate::domain::sightings::AntennaSilence;
use crate::domain::time::Timestamp;

/// Antennas that hear nothing, by what they hear for. Cleaning says it again whenever their reader is back.
#[derive(Debug, Default)]
pub(super) struct Silent(BTreeMap<ReadPointId, Silence>);

#[derive(Clone, Debug)]
struct Silence {
    source: SourceId,
    antenna: Antenna,
    how: AntennaSilence,
    since: Timestamp,
}

impl Silence {
    fn key(&self) -> AlertKey {
        AlertKey::new(Rule::ReaderDown, format!("{}/{}", self.source, self.antenna))
    }
}

impl Tracker {
    /// An antenna fell silent, or hears again.
    pub(super) fn antenna(
        &mut self,
        source: SourceId,
        antenna: Antenna,
        ear: ReadPointId,
        how: Option<AntennaSilence>,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let since = cause.observed_at;
        let silence = |how| Silence { source: source.clone(), antenna, how, since };
        match how {
            Some(how) => {
                self.silent.0.insert(ear.clone(), silence(how));
                self.review_antenna(&ear, cause, out);
            }
            None => {
                self.silent.0.remove(&ear);
                let key = silence(AntennaSilence::Traffic).key();
                self.alerts.condition(&key, None, cause, out);
            }
        }
    }

    /// Who hangs on the antennas of a group may be others now.
    pub(super) fn review_antennas(&mut self, group: &str, cause: &Cause, out: &mut Vec<Event>) {
        if self.silent.0.is_empty() {
            return;
        }
        for ear in group.split('+').map(ReadPointId::new) {
            if self.silent.0.get(&ear).is_some_and(|silence| silence.how == AntennaSilence::Traffic) {
                self.review_antenna(&ear, cause, out);
            }
        }
    }

    /// Silences of antennas that the rules no longer have.
    pub(super) fn end_orphaned_antennas(&mut self, cause: &Cause, out: &mut Vec<Event>) {
        let sources = self.topology.sources();
        for key in self.alerts.open_of(Rule::ReaderDown) {
            let antenna =
                key.subject.rsplit_once('/').filter(|(_, number)| number.parse::<Antenna>().is_ok());
            let is_source = sources.contains(&SourceId::new(&key.subject));
            if antenna.is_some() && !is_source && self.topology.antenna_of(&key).is_none() {
                self.alerts.condition(&key, None, cause, out);
            }
        }
    }

    fn review_antenna(&mut self, ear: &ReadPointId, cause: &Cause, out: &mut Vec<Event>) {
        let Some(silence) = self.silent.0.get(ear).cloned() else { return };
        let pending = match silence.how {
            AntennaSilence::Disconnected | AntennaSilence::Reference => Some(Duration::ZERO),
            AntennaSilence::Traffic => self.first_silence(ear),
        };
        let key = silence.key();
        match pending {
            None => self.alerts.condition(&key, None, cause, out),
            Some(_) if self.alerts.open(&key).is_some() => {}
            Some(pending) => {
                let pending = pending.max(self.topology.alerts.reader_down_after);
                let details = self.silence_details(ear, &silence, pending);
                self.raise(&key, details, cause, out);
            }
        }
    }

    fn silence_details(&self, ear: &ReadPointId, silence: &Silence, pending: Duration) -> Details {
        let Silence { source, antenna, how, since } = silence;
        let site = self.site_of_read_point(ear);
        let since = self.register.local(site.as_ref(), *since);
        let point = self.topology.whole(ear);
        let what = match how {
            AntennaSilence::Disconnected => "is not connected, says its reader".to_owned(),
            AntennaSilence::Reference => format!("has not heard its reference tag since {since}"),
            AntennaSilence::Traffic => format!("has heard nothing since {since}"),
        };
        let summary = format!(
            "antenna {antenna} of {source} at {point} {what}, while {source} is up: check its cable and plug; \
             what only it heard is not missed until it hears again"
        );
        Details { site, severity: Severity::Warning, summary, pending, episode: 0 }
    }

    /// In how much hearing the first asset that hangs on this would be a ghost.
    fn first_silence(&self, ear: &ReadPointId) -> Option<Duration> {
        let groups = self.watches.groups_of(ear);
        let left = groups.iter().flat_map(|key| {
            let position = self.watches.position(key, self.now);
            let watched = self.watches.group(key).into_iter().flat_map(|group| group.watched());
            watched.filter_map(move |asset| {
                let due_us = self.assets.get(asset)?.memory.watched.as_ref()?.due_us;
                Some(due_us.saturating_sub(position).max(0))
            })
        });
        left.min().map(|micros| Duration::from_micros(micros.unsigned_abs()))
    }
}
