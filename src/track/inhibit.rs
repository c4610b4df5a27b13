//! Which alert explains which: a site that is down explains its sources, a source that is down explains what
//! hangs on it, a suspect watcher explains the ghosts of its read points, a limit explains those within it,
//! planned work what it makes fall silent. What is explained is kept, and nobody is told of it; what explains says how many it explains.

use super::Tracker;
use super::alerts::Details;
use super::cause::Cause;
use super::ghost::suspicion_key;
use crate::domain::alerts::{AlertKey, Rule, Severity};
use crate::domain::events::Event;
use crate::domain::ids::{AssetId, ReadPointId, SiteId, SourceId};

impl Tracker {
    /// Works out what follows from what was done: the readiness of what was touched, then which alerts are
    /// explained by what began or ceased to fire.
    pub(super) fn settle(&mut self, cause: &Cause, out: &mut Vec<Event>) {
        self.settle_readiness(cause, out);
        let mut any = false;
        loop {
            let turned = self.alerts.take_turned();
            if turned.is_empty() {
                break;
            }
            any = true;
            for key in turned {
                self.settle_one(&key, cause, out);
            }
        }
        self.alerts.tell_explained(any, cause, out);
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
                self.judge_site(&source, cause, out);
                let mut keys = self.hanging_on(&source);
                keys.push(turned.clone());
                keys
            }
            Rule::SiteDown => self.hanging_on_site(&SiteId::new(&turned.subject)),
            Rule::WatcherSuspect => self.ghosts_of(&turned.subject),
            Rule::Condition => self.limits_within(turned),
            _ => Vec::new(),
        };
        for key in explained {
            self.inhibit(&key, cause, out);
        }
    }

    /// A source of a site went down for good, or came back: is the whole site out of reach?
    fn judge_site(&mut self, source: &SourceId, cause: &Cause, out: &mut Vec<Event>) {
        let Some(site) = self.topology.site_of_source(source).cloned() else { return };
        let sources = self.topology.sources_of_site(&site);
        let is_down = |source: &SourceId| self.alerts.is_firing(&reader_down_key(source));
        let down = sources.len() >= 2 && sources.iter().all(is_down);
        let details = down.then(|| Details {
            site: Some(site.clone()),
            severity: Severity::Critical,
            summary: format!(
                "none of the {} sources of {site} answers: check its power and the network to it first",
                sources.len()
            ),
            pending: std::time::Duration::ZERO,
            episode: 0,
        });
        let key = AlertKey::new(Rule::SiteDown, site.as_str());
        match details {
            Some(details) => self.raise(&key, details, cause, out),
            None => self.alerts.condition(&key, None, cause, out),
        }
    }

    fn hanging_on_site(&self, site: &SiteId) -> Vec<AlertKey> {
        let sources = self.topology.sources_of_site(site);
        let hanging = sources.iter().flat_map(|source| self.hanging_on(source));
        sources.iter().map(reader_down_key).chain(hanging).collect()
    }

    /// Ghosts and suspicions of every group with a read point of `source`, and its sensors.
    fn hanging_on(&self, source: &SourceId) -> Vec<AlertKey> {
        let mut groups: Vec<std::sync::Arc<str>> = self
            .topology
            .heard_through(source)
            .iter()
            .flat_map(|read_point| self.watches.groups_of(read_point))
            .collect();
        groups.sort_unstable();
        groups.dedup();
        let suspicions = groups.iter().map(|group| AlertKey::new(Rule::WatcherSuspect, &**group));
        let sensors = self.sensors.bad_of(source);
        // Few are open of these, and each knows what it hangs on.
        let others = [Rule::WrongZone, Rule::Zombie, Rule::TrackerSilent].into_iter();
        let others = others.flat_map(|rule| self.alerts.open_of(rule));
        let ghosts = groups.iter().flat_map(|group| self.ghosts_of(group));
        let antennas = self.alerts.open_of(Rule::ReaderDown).into_iter();
        let others = others.chain(antennas.filter(|key| self.topology.antenna_of(key).is_some()));
        suspicions.chain(ghosts).chain(sensors).chain(others).collect()
    }

    fn ghosts_of(&self, group: &str) -> Vec<AlertKey> {
        let ghosts = self.watches.group(group).into_iter().flat_map(|group| group.ghosts());
        ghosts.map(|asset| AlertKey::new(Rule::Ghost, asset.as_str())).collect()
    }

    /// What explains an alert, of what fires now.
    pub(super) fn inhibitor(&self, key: &AlertKey) -> Option<AlertKey> {
        if let Some(work) = self.work_behind(key) {
            return Some(work);
        }
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
            Rule::ReaderDown => match self.topology.antenna_of(key) {
                Some((source, _)) => self.firing_down(&source),
                None => self.site_down(&SourceId::new(&key.subject)),
            },
            // What these last heard may be over, and nobody would hear of it.
            Rule::WrongZone => self.reader_down(&[self.sensed_at(&key.subject)?.clone()]),
            Rule::Zombie => self.reader_down(&[self.strangers.read_point_of(&key.subject)?]),
            Rule::TrackerSilent => self.firing_down(self.silence.source_of(&key.subject)?),
            Rule::Condition => self.limit_beyond(key),
            _ => None,
        }
    }

    fn reader_down(&self, read_points: &[ReadPointId]) -> Option<AlertKey> {
        let mut sources = read_points.iter().flat_map(|read_point| self.topology.sources_of(read_point));
        sources.find_map(|source| self.firing_down(source))
    }

    fn firing_down(&self, source: &SourceId) -> Option<AlertKey> {
        let key = reader_down_key(source);
        self.site_down(source).or_else(|| self.alerts.is_firing(&key).then_some(key))
    }

    /// The alert of the source's whole site, where it fires.
    fn site_down(&self, source: &SourceId) -> Option<AlertKey> {
        let key = AlertKey::new(Rule::SiteDown, self.topology.site_of_source(source)?.as_str());
        self.alerts.is_firing(&key).then_some(key)
    }
}

fn reader_down_key(source: &SourceId) -> AlertKey {
    AlertKey::new(Rule::ReaderDown, source.as_str())
}
