//! Which alert explains which: a source that is down explains what hangs on it, a suspect watcher
//! explains the ghosts of its read points. What is explained is kept, and nobody is told of it.

use super::Tracker;
use super::cause::Cause;
use super::ghost::suspicion_key;
use crate::domain::alerts::{AlertKey, Rule};
use crate::domain::events::Event;
use crate::domain::ids::{AssetId, ReadPointId, SourceId};

impl Tracker {
    /// Works out what follows from what was done: the readiness of what was touched, then which alerts are
    /// explained by what began or ceased to fire.
    pub(super) fn settle(&mut self, cause: &Cause, out: &mut Vec<Event>) {
        self.settle_readiness(cause, out);
        loop {
            let turned = self.alerts.take_turned();
            if turned.is_empty() {
                return;
            }
            for key in turned {
                self.settle_one(&key, cause, out);
            }
        }
    }

    /// Sets or lifts the inhibition of one alert by what fires now.
    pub(super) fn inhibit(&mut self, key: &AlertKey, cause: &Cause, out: &mut Vec<Event>) {
        if self.alerts.open(key).is_some() {
            let by = self.inhibitor(key);
            self.alerts.inhibit(key, by, cause, out);
        }
    }

    fn settle_one(&mut self, turned: &AlertKey, cause: &Cause, out: &mut Vec<Event>) {
        let explained = match turned.rule {
            Rule::ReaderDown => {
                let source = SourceId::new(&turned.subject);
                self.release_overdue(cause, out);
                let mut keys = self.hanging_on(&source);
                keys.extend(self.sensors.bad_of(&source));
                keys
            }
            Rule::WatcherSuspect => self.ghosts_of(&turned.subject),
            _ => Vec::new(),
        };
        for key in explained {
            self.inhibit(&key, cause, out);
        }
    }

    /// Ghosts and suspicions of every group with a read point of `source`.
    fn hanging_on(&self, source: &SourceId) -> Vec<AlertKey> {
        let mut groups: Vec<String> = self
            .topology
            .read_points_of(source)
            .flat_map(|read_point| self.watches.groups_of(read_point))
            .collect();
        groups.sort_unstable();
        groups.dedup();
        let suspicions = groups.iter().map(|group| AlertKey::new(Rule::WatcherSuspect, group.as_str()));
        suspicions.chain(groups.iter().flat_map(|group| self.ghosts_of(group))).collect()
    }

    fn ghosts_of(&self, group: &str) -> Vec<AlertKey> {
        let ghosts = self.watches.group(group).into_iter().flat_map(|group| group.ghosts());
        ghosts.map(|asset| AlertKey::new(Rule::Ghost, asset.as_str())).collect()
    }

    fn inhibitor(&self, key: &AlertKey) -> Option<AlertKey> {
        match key.rule {
            Rule::Ghost => {
                let watched = self.assets.get(&AssetId::new(&key.subject))?.memory.watched.as_ref()?;
                let read_points = self.watches.group(&watched.group)?.read_points();
                let suspicion = suspicion_key(read_points);
                self.reader_down(read_points)
                    .or_else(|| self.alerts.is_firing(&suspicion).then_some(suspicion))
            }
            Rule::WatcherSuspect => self.reader_down(self.watches.group(&key.subject)?.read_points()),
            Rule::SensorBad => self.firing_down(self.sensors.source_of(&key.subject)?),
            _ => None,
        }
    }

    fn reader_down(&self, read_points: &[ReadPointId]) -> Option<AlertKey> {
        let mut sources = read_points.iter().flat_map(|read_point| self.topology.sources_of(read_point));
        sources.find_map(|source| self.firing_down(source))
    }

    fn firing_down(&self, source: &SourceId) -> Option<AlertKey> {
        let key = AlertKey::new(Rule::ReaderDown, source.as_str());
        self.alerts.is_firing(&key).then_some(key)
    }
}
