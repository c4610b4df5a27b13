//! TOML text → [`Config`]: reads every part, then hands out either the whole or every problem.
//!
//! It reads the files that secrets point to and those of profiles, and nothing else.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use toml::de::DeTable;

use super::document::Section;
use super::modbus::{self, ProfileFile, TextFile};
use super::names::{Names, name_space};
use super::problems::{ConfigError, Report};
use super::secrets::Surroundings;
use super::{
    Config, ReadPointConfig, Rules, alerting, devices, doors, fences, node, places, readers, rules, web,
};
use crate::domain::ids::{NodeId, SiteId, SourceId};

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// Longer names are refused: they are part of keys, labels and topics.
const NAME_CHARS: usize = 100;

/// What every part's reader needs beside its own table.
pub(super) struct Scope<'e> {
    pub around: Surroundings<'e>,
    pub names: Names,
    /// Where each name of each name space was first given: (line).
    first_lines: RefCell<BTreeMap<(&'static str, String), usize>>,
}

/// Reads the configuration at `path`. Relative paths in it start from its folder.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let bytes = std::fs::read(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
        ConfigError::NotText { path: path.to_owned(), line }
    })?;
    parse(&text, path.parent().unwrap_or(Path::new("")), &|name| std::env::var(name).ok())
}

/// Reads a configuration's text; `base_dir` is where relative paths start.
pub fn parse(
    text: &str,
    base_dir: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, ConfigError> {
    let (config, report) = read(text, base_dir, env);
    let problems = report.into_problems();
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(ConfigError::Invalid(problems)),
    }
}

/// The configuration as far as it could be made out, and what was found on the way. Where there is no
/// configuration, there is at least one problem.
pub(super) fn read(
    text: &str,
    base_dir: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> (Option<Config>, Report) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let report = Report::new(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        report.syntax(text, error);
    }
    let top = Section::top(&report, document.get_ref());
    let texts = modbus::read_files(&top, base_dir);
    let files: Vec<ProfileFile<'_>> = texts.iter().map(TextFile::parse).collect();
    let tables: Vec<&DeTable<'_>> = files.iter().map(ProfileFile::table).collect();
    let scope = Scope {
        around: Surroundings { base_dir, env },
        names: Names::collect(document.get_ref(), &tables),
        first_lines: RefCell::default(),
    };
    let config = config(top, &files, &scope);
    for file in files {
        let (name, found) = file.into_report();
        report.adopt(name, found);
    }
    (config, report)
}

fn config<'d>(top: Section<'d>, files: &'d [ProfileFile<'d>], scope: &Scope<'_>) -> Option<Config> {
    let name = top.need("node", name(&top, "node"), "the daemon's own name, for instance \"plant-1\"");
    let journal = node::journal(top.table("journal"), scope);
    let timescale = node::timescale(top.table("store"), scope);
    let web = web::web(top.table("web"), scope);
    let metrics = node::metrics(top.table("metrics"));
    node::listeners_differ(&top, web.as_ref(), metrics);
    let notify = node::notify(top.table("notify"), scope);
    let intake = node::intake(top.table("intake"));
    let grace_period = top.duration("grace_period", SECOND..=10 * MINUTE).unwrap_or(10 * SECOND);
    let mut rules = Rules {
        sites: places::sites(&top, scope),
        zones: places::zones(&top, scope),
        read_points: places::read_points(&top, scope),
        fences: fences::fences(&top, scope),
        classes: rules::classes(&top, scope),
        limits: rules::limits(&top, scope),
        tracker: rules::tracker(top.table("tracker")),
        alerts: alerting::alerts(top.table("alerts"), scope, &node::receiver_names(notify.as_ref())),
        ..Rules::default()
    };
    let doors = doors::doors(&top, scope);
    let llrp = readers::listener(top.table("llrp"), scope);
    let mut devices = devices::Devices::new(&top, files, scope, llrp.is_some());
    rules.source_sites = std::mem::take(&mut devices.sites);
    rules.reads = std::mem::take(&mut devices.reads);
    for reader in &mut devices.readers {
        let mine = |point: &&ReadPointConfig| point.antennas.iter().any(|a| a.source == reader.name);
        reader.references = rules.read_points.iter().filter(mine).filter_map(|p| p.reference_tag).collect();
        let beams = rules.read_points.iter().flat_map(ReadPointConfig::beams);
        reader.beams = beams.filter(|beam| beam.source == reader.name).map(|beam| beam.port).collect();
    }
    for device in devices.modbus.iter().flat_map(|line| &line.units) {
        for point in &device.points {
            rules.checks.insert((device.device.clone(), point.name.clone()), device.checks(point));
            if let Some(unit) = &point.unit {
                rules.units.insert((device.device.clone(), point.name.clone()), unit.clone());
            }
        }
    }
    let brokers = devices.brokers.iter().map(|broker| &broker.name);
    rules.tracker_sources =
        brokers.chain(devices.teltonika.iter().map(|listener| &listener.name)).cloned().collect();
    let devices::Devices { readers, serial_readers, brokers, modbus, receivers, teltonika, .. } = devices;
    top.finish();
    Some(Config {
        node: NodeId::new(name?),
        journal,
        timescale: timescale?,
        web: web?,
        metrics,
        notify: notify?,
        intake,
        rules,
        doors,
        readers,
        llrp,
        serial_readers,
        brokers,
        modbus,
        receivers,
        teltonika,
        grace_period,
    })
}

/// A name: letters, digits and `-_.: `, so that it can be part of a key, a label or a path.
pub(super) fn name<'d>(section: &Section<'d>, key: &str) -> Option<&'d str> {
    let allowed = "a name of letters, digits, spaces and -_.: that starts and ends with a letter or digit";
    section.parsed(key, allowed, |text| is_name(text).map(|()| text))
}

/// Whether it may be a name; what is wrong with it.
pub(super) fn is_name(text: &str) -> Result<(), &'static str> {
    let inner = |c: char| c.is_alphanumeric() || "-_.: ".contains(c);
    let ends = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    if text.is_empty() {
        Err("empty")
    } else if text.chars().count() > NAME_CHARS {
        Err("too long: at most 100 characters")
    } else if !text.chars().all(inner) || !ends(text.chars().next()) || !ends(text.chars().last()) {
        Err("not a name")
    } else {
        Ok(())
    }
}

impl Scope<'_> {
    /// The `name` of a table, needed and its own within its kind.
    pub fn own_name<'d>(&self, section: &Section<'d>, kind: &'static str) -> Option<&'d str> {
        let name = section.need("name", name(section, "name"), "a name of its own")?;
        self.is_first(section, "name", name_space(kind), name).then_some(name)
    }

    /// Whether `name` is given for the first time; a problem with `key` where it is not.
    pub fn is_first(&self, section: &Section<'_>, key: &str, space: &'static str, name: &str) -> bool {
        let claimed = self.claim(section, space, name);
        if let Err(line) = claimed {
            section.problem(key, format!("given twice, first in line {line}"), "each only once");
        }
        claimed.is_ok()
    }

    /// Takes a name for the table; the line that has it already, where one does.
    pub fn claim(&self, section: &Section<'_>, space: &'static str, name: &str) -> Result<(), usize> {
        let mut first_lines = self.first_lines.borrow_mut();
        match first_lines.get(&(space, name.to_owned())) {
            Some(line) => Err(*line),
            None => {
                first_lines.insert((space, name.to_owned()), section.line());
                Ok(())
            }
        }
    }

    pub fn refer<'d>(&self, section: &Section<'d>, key: &str, kind: &str) -> Option<&'d str> {
        section.reference(key, kind, self.names.of(kind))
    }

    /// An array of names, each of which must be one of `kind`.
    pub fn refer_all<'d, T>(
        &self,
        section: &Section<'d>,
        key: &str,
        kind: &str,
        new: impl Fn(&'d str) -> T,
    ) -> Vec<T> {
        let names = section.list(key, &format!("names of a [[{kind}]]"), |value| {
            value.as_str().filter(|name| self.names.of(kind).any(|known| known == *name))
        });
        names.into_iter().flatten().map(new).collect()
    }

    /// The table's `site`; where there is only one site, it may be left out.
    pub fn site(&self, section: &Section<'_>) -> Option<SiteId> {
        let given = self.refer(section, "site", "site");
        if section.has("site") {
            return given.map(SiteId::new);
        }
        let sole = self.names.sole_site().map(SiteId::new);
        if sole.is_none() {
            section.problem(
                "site",
                "missing",
                "write the name of a [[site]]; only a sole site may be left out",
            );
        }
        sole
    }
}

/// Where a source stands, as the alerts want it.
pub(super) type SourceSites = BTreeMap<SourceId, SiteId>;
