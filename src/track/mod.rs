//! Sightings + register + commands → location, custody and condition events, alert transitions.
//!
//! ```text
//!  sighting ──▶ location ──▶ custody ──▶ ghost clocks ─┐
//!           ──▶ conditions, links ─────────────────────┼──▶ alerts ──▶ inhibition
//!  command  ──▶ register, custody, readiness, alerts ──┤
//!  tick     ──▶ due dates, silences, inspections ──────┘
//! ```
//!
//! One input order goes in; the same inputs give the same events, byte for byte. It never looks at a
//! clock, never does I/O, and a sighting costs the same whatever the number of assets: deadlines are
//! kept in order, and nothing is swept. Sweeps there are when the rules or a class change.
//!
//! A call changes state in memory, pushes what happened to `out`, and marks rows to write;
//! [`Tracker::take_dirty`] hands those over, each once, for the same commit as the events.

mod ahead;
mod alerts;
mod antennas;
mod asleep;
mod assets;
mod attachments;
mod audit;
mod audit_count;
mod audit_life;
mod bays;
mod boarding;
mod cause;
mod changes;
mod chunks;
mod commands;
mod conditions;
mod contents;
mod custody;
mod deadlines;
mod dense;
mod departing;
mod docking;
mod docks;
mod doors;
mod erase;
mod exits;
mod exposure;
mod follow;
mod ghost;
mod handover;
mod holds;
mod idle;
mod import;
mod inhibit;
mod kits;
mod limits;
mod links;
mod listening;
mod location;
mod maintenance;
mod offenders;
mod overdue;
mod permit;
mod raise;
mod readiness;
mod register;
mod restore;
mod silence;
mod suspicion;
mod table;
mod topology;
mod tracked;
mod tracker_health;
mod trouble;
mod turns;
mod unheard;
mod vehicles;
mod watch;
mod watched;
mod within;
mod zombie;
mod zones;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::rules as tests_rules;

pub use alerts::Incident;
pub use assets::{AssetRow, Lately, Memory, Passed, Present, Watched, Whereabouts};
pub use conditions::SensorRow;
pub use contents::Holder;
pub use docks::{Boarded, DoorRow, Parted, Stay};
pub use exits::Left;
pub use exposure::Exposed;
pub use handover::{BadgePassing, Carried};
pub use import::{Fault, Staged, faults};
pub use links::LinkRow;
pub use offenders::HolderRow;
pub use register::Register;
pub use restore::TrackRestoreError;
pub use silence::{HeardRow, SourceClock};
pub use unheard::UnheardRow;
pub use vehicles::Fixed;
pub use watch::{Suspicion, WatchRow};
pub use zombie::StrangerRow;

use cause::Cause;
use location::Heard;
use tracked::FenceVisit;

use crate::config::Rules;
use crate::domain::alerts::{AlertKey, Rule, Severity};
use crate::domain::epc::Epc;
use crate::domain::erasure::Erasure;
use crate::domain::events::{Event, EventBody, Subject};
use crate::domain::health::Health;
use crate::domain::ids::{AssetId, DeviceId, ReadPointId, SiteId};
use crate::domain::sightings::{Seen, Sighting};
use crate::domain::state::{Location, StateKind, StateRow};
use crate::domain::time::Timestamp;

/// Running ghost clocks ask to be called every [`watch::CHECKPOINT`]; where no call came for this long,
/// the process stood still, and nobody listened meanwhile.
const STALL: std::time::Duration = std::time::Duration::from_secs(180);

/// What passes the earliest deadline of its kind: up to when, at what time.
type Pass = fn(&mut Tracker, Timestamp, Timestamp, &mut Vec<Event>);

/// Everything that is known of the assets of this node.
#[derive(Debug)]
pub struct Tracker {
    topology: topology::Topology,
    register: register::Register,
    assets: assets::Assets,
    watches: watch::Watches,
    silent: antennas::Silent,
    overdue: overdue::Overdue,
    readiness: readiness::Readiness,
    maintenances: maintenance::Maintenances,
    audits: audit::Audits,
    exits: exits::Exits,
    kits: kits::Kits,
    turns: turns::Turns,
    idle: idle::Idle,
    beside: within::Beside,
    strangers: zombie::Strangers,
    silence: silence::Silence,
    offenders: offenders::Offenders,
    company: handover::Company,
    doors: docks::Doors,
    contents: contents::Contents,
    troubles: trouble::Troubles,
    links: links::Links,
    sensors: conditions::Sensors,
    alerts: alerts::Alerts,
    /// Erasures that were asked for since rows were last taken.
    erasures: Vec<Erasure>,
    /// Commands taken so far; numbers their events.
    commands: u64,
    commands_dirty: bool,
    /// Since when nobody listens.
    deaf_since: Option<Timestamp>,
    /// The latest time that a call told.
    now: Timestamp,
    /// The rules changed: what follows from it is worked out with the next tick.
    rules_changed: bool,
}

impl Tracker {
    pub fn new(rules: &Rules) -> Self {
        let mut tracker = Self {
            topology: topology::Topology::new(rules),
            register: register::Register::new(rules),
            assets: assets::Assets::default(),
            watches: watch::Watches::default(),
            silent: antennas::Silent::default(),
            overdue: overdue::Overdue::default(),
            readiness: readiness::Readiness::default(),
            maintenances: maintenance::Maintenances::default(),
            audits: audit::Audits::default(),
            exits: exits::Exits::default(),
            kits: kits::Kits::default(),
            turns: turns::Turns::default(),
            idle: idle::Idle::default(),
            beside: within::Beside::default(),
            strangers: zombie::Strangers::default(),
            silence: silence::Silence::default(),
            offenders: offenders::Offenders::default(),
            company: handover::Company::default(),
            doors: docks::Doors::default(),
            contents: contents::Contents::default(),
            troubles: trouble::Troubles::default(),
            links: links::Links::default(),
            sensors: conditions::Sensors::default(),
            alerts: alerts::Alerts::default(),
            erasures: Vec::new(),
            commands: 0,
            commands_dirty: false,
            deaf_since: None,
            now: Timestamp::MIN,
            rules_changed: false,
        };
        tracker.alerts.policies.rules = rules.alerts.clone();
        tracker.silence.sleep = (&rules.tracker).into();
        tracker.silence.unheard.after = rules.tracker.unheard_after;
        tracker.refresh_timezones();
        tracker
    }

    /// To be called once, after [`Tracker::restore`]. Tells of our own downtime, and takes every link
    /// and every read point for down until told otherwise: time away is nobody's silence.
    pub fn started(&mut self, down_since: Option<Timestamp>, now: Timestamp, out: &mut Vec<Event>) {
        self.now = self.now.max(now);
        let cause = Cause::own(now, now);
        self.refresh_timezones();
        self.review_all_alarms();
        if let Some(from) = down_since.filter(|from| *from < now) {
            self.gap(from, "tallyman was not running", &cause, out);
            self.idle.was_away(from, now);
        }
        self.watches.silence(now);
        self.silence.stop(now);
        self.alerts.restart_pending(now);
        self.resume_troubles(now);
        self.disconnect_all(&cause, out);
        self.plan_turns(down_since.unwrap_or(now).min(now));
        self.replan_maintenance(&cause, out);
        self.replan_audits(now);
        self.reconcile(&cause, out);
    }

    /// Takes changed rules. What follows (clocks of a zone no longer covered, alerts of a limit that is
    /// gone) is told with the next [`Tracker::tick`], which is then due at once.
    pub fn set_rules(&mut self, rules: &Rules) {
        self.topology = topology::Topology::new(rules);
        self.register.set_rules(rules);
        self.alerts.policies.rules = rules.alerts.clone();
        self.silence.sleep = (&rules.tracker).into();
        self.silence.unheard.after = rules.tracker.unheard_after;
        self.refresh_timezones();
        self.rules_changed = true;
    }

    pub fn sighting(&mut self, sighting: Sighting, out: &mut Vec<Event>) {
        self.advance(sighting.received_at, out);
        let cause = Cause::of(&sighting);
        match sighting.what {
            Seen::Presence { epc, read_point, change, ears, beside, weighed } => {
                let heard = Heard { epc, read_point, change, ears, beside, weighed };
                self.presence(heard, &cause, out);
            }
            Seen::Passage(passage) => self.passage(passage, &cause, out),
            Seen::Fix { fix, inside, stands } => self.fix(&fix, inside.as_deref(), stands, &cause, out),
            Seen::Stayed { device, fence, from, until } => {
                self.stayed(&device, &fence, (from, until), &cause, out);
            }
            Seen::Fence { device, fence, change, fix, inferred } => {
                self.fence(device, FenceVisit { fence, change, fix, inferred }, &cause, out);
            }
            Seen::Sample(sample) => self.sample(sample, &cause, out),
            Seen::Condition(change) => self.condition(change, &cause, out),
            Seen::Quality { device, point, quality } => self.quality(device, point, quality, &cause, out),
            Seen::Hearing { read_point, hearing } => {
                // Told with the moment from which it holds, which for a silence lies back.
                let at = if hearing { self.now } else { cause.observed_at.min(self.now) };
                self.watches.set_hearing(&read_point, hearing, at);
            }
            Seen::Antenna { source, antenna, ear, silence } => {
                self.antenna(source, antenna, ear, silence, &cause, out);
            }
            Seen::Trouble(trouble) => self.trouble(&trouble, &cause, out),
            Seen::Heard { device, stands } => self.tracker_heard(&device, stands, &cause, out),
            Seen::Vitals { device, vitals } => self.vitals_told(&device, vitals, &cause, out),
            Seen::Motion { device, motion } => self.motion(device, motion, &cause, out),
            Seen::Clock { device, ahead_us } => self.clock_told(&device, ahead_us, &cause, out),
            Seen::Gone { device } => self.tracker_gone(&device, &cause),
            Seen::Link { up, caught_up, reason } => self.link(up, caught_up, reason, &cause, out),
        }
        self.settle(&cause, out);
    }

    /// Whether the register has this tag, or it was heard before and is followed as a stranger.
    pub fn knows_tag(&self, epc: &Epc) -> bool {
        self.register.tags.has(epc) || self.strangers.follows(epc)
    }

    /// Whether the register has this tracker.
    pub fn knows_tracker(&self, device: &DeviceId) -> bool {
        self.register.knows_tracker(device)
    }

    /// A part of the daemon has trouble of its own, or is over it.
    pub fn health(&mut self, health: Health, now: Timestamp, out: &mut Vec<Event>) {
        self.advance(now, out);
        let cause = Cause::own(now, now);
        let Health { rule, subject, site, problem } = health;
        // A row that a job wrote and that does not fit can wait until the morning.
        let critical = rule == Rule::Journal && subject != "register-rows";
        let severity = if critical { Severity::Critical } else { Severity::Warning };
        let pending = std::time::Duration::ZERO;
        let details = problem.map(|summary| alerts::Details { site, severity, summary, pending, episode: 0 });
        self.alerts.condition(&AlertKey::new(rule, subject), details, &cause, out);
        self.settle(&cause, out);
    }

    /// Lets deadlines up to `now` pass, in order of time; at the same time attachments that begin or end before planned work
    /// before due silences before due dates before inspections, audits, hand-overs and the alerts' own. After `most` it stops, so
    /// that others get their turn; the rest is due then as before. Gives how many passed.
    pub fn tick(&mut self, now: Timestamp, most: usize, out: &mut Vec<Event>) -> usize {
        self.advance(now, out);
        let cause = Cause::own(now, now);
        if std::mem::take(&mut self.rules_changed) {
            self.replan_maintenance(&cause, out);
            self.replan_audits(now);
            self.reconcile(&cause, out);
        }
        self.watches.checkpoint(now);
        self.silence.checkpoint(now);
        let mut passed = 0;
        while passed < most
            && let Some((at, pass)) = self.first_deadline().filter(|(at, _)| *at <= now)
        {
            pass(self, at, now, out);
            passed += 1;
            self.settle(&Cause::own(at, now), out);
        }
        passed
    }

    /// When [`Tracker::tick`] has something to do.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let reconcile = self.rules_changed.then_some(self.now);
        let deadlines = [
            reconcile,
            self.turns.next_deadline(),
            self.maintenances.next_deadline(),
            self.watches.next_deadline(),
            self.overdue.next_deadline(),
            self.readiness.next_deadline(),
            self.audits.deadlines.first(),
            self.audits.due.first(),
            self.kits.due.first(),
            self.silence.next_deadline(),
            self.strangers.next_deadline(),
            self.idle.next_deadline(),
            self.offenders.next_deadline(),
            self.company.next_deadline(),
            self.troubles.next_deadline(),
            self.alerts.next_deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Rows of what changed since the last call, each once, ordered by kind and key.
    pub fn take_dirty(&mut self, out: &mut Vec<StateRow>) {
        let register = &self.register;
        self.assets.take_dirty(|asset| register.asset(asset).is_some(), out);
        self.watches.take_dirty(self.now, out);
        self.alerts.take_dirty(out);
        self.register.take_dirty(out);
        self.links.take_dirty(out);
        self.sensors.take_dirty(out);
        self.strangers.take_dirty(out);
        self.silence.take_dirty(out);
        self.silence.take_clocks(self.now, out);
        self.offenders.take_dirty(out);
        self.idle.take_dirty(out);
        if std::mem::take(&mut self.commands_dirty) {
            out.push(StateRow::put(StateKind::Commands, restore::COMMANDS_KEY, &self.commands));
        }
        self.audits.take_dirty(out);
        self.company.take_dirty(out);
        self.doors.take_dirty(out);
        self.take_erasures(out);
    }

    fn first_deadline(&self) -> Option<(Timestamp, Pass)> {
        let deadlines: [(Option<Timestamp>, Pass); 15] = [
            (self.turns.next_deadline(), Self::pass_turn),
            (self.maintenances.next_deadline(), Self::pass_maintenance),
            (self.watches.next_wake(), Self::pass_silence),
            (self.overdue.next_deadline(), Self::pass_due_date),
            (self.readiness.next_deadline(), Self::pass_inspection_date),
            (self.audits.deadlines.first(), Self::pass_audit),
            (self.audits.due.first(), Self::pass_audit_plan),
            (self.kits.due.first(), Self::pass_kit),
            (self.silence.next_wake(), Self::pass_tracker),
            (self.strangers.next_deadline(), Self::pass_stranger),
            (self.idle.next_deadline(), Self::pass_idle),
            (self.offenders.next_deadline(), Self::pass_day),
            (self.company.next_deadline(), Self::pass_judgement),
            (self.troubles.next_deadline(), Self::pass_trouble),
            (self.alerts.next_deadline(), |tracker, at, now, out| tracker.alerts.pass_deadline(at, now, out)),
        ];
        // `min_by_key` takes the first of equals.
        deadlines.into_iter().filter_map(|(at, pass)| Some((at?, pass))).min_by_key(|(at, _)| *at)
    }

    /// Takes note of the time. Where clocks ran and no call came for longer than one must, nobody was
    /// listening: the time does not count, and is recorded as a gap.
    fn advance(&mut self, now: Timestamp, out: &mut Vec<Event>) {
        let last = self.now;
        if now <= last {
            return;
        }
        self.now = now;
        if last != Timestamp::MIN && now.since(last) > STALL {
            self.nobody_listened(last, now, out);
        }
    }

    /// Works out what follows from rules that may not be those under which the state came about.
    fn reconcile(&mut self, cause: &Cause, out: &mut Vec<Event>) {
        self.forget_fences();
        self.review_all_alarms();
        for asset in self.assets.ids_where(|asset, row| self.is_due_for_reconsidering(asset, row)) {
            self.reconsider(&asset, cause, out);
            self.schedule_overdue(&asset, cause, out);
        }
        for rule in [Rule::UnauthorisedExit, Rule::NotReadyExit, Rule::WrongZone] {
            for key in self.alerts.open_of(rule) {
                self.review(&AssetId::new(&key.subject), cause, out);
            }
        }
        self.review_doors(cause, out);
        self.begin_idle_clocks(cause, out);
        let devices = self.silence.devices();
        self.review_trackers(&devices, cause, out);
        self.await_trackers(cause.received_at);
        self.review_strangers(cause, out);
        self.end_orphaned_suspicions(cause, out);
        self.end_orphaned_antennas(cause, out);
        self.end_orphaned_links(cause, out);
        self.end_orphaned_conditions(cause, out);
        self.review_readiness();
        self.apply_policies(cause, out);
        self.settle(cause, out);
    }

    /// Whether other rules may mean something else for an asset. Most of a large register are as they
    /// were, and are passed over without a trace.
    fn is_due_for_reconsidering(&self, asset: &AssetId, row: &AssetRow) -> bool {
        let overdue = || AlertKey::new(Rule::OverdueReturn, asset.as_str());
        row.current.checkout.is_some()
            || !self.is_on_its_clock(asset, row)
            || self.alerts.any() && self.alerts.open(&overdue()).is_some()
    }

    fn gap(&self, from: Timestamp, reason: &str, cause: &Cause, out: &mut Vec<Event>) {
        let (to, reason) = (cause.received_at, reason.to_owned());
        let began = from.as_micros().to_be_bytes();
        let body = EventBody::Gap { from, to, reason };
        out.push(cause.event(None, Subject::Node, body, &[&began]));
    }

    /// An asset as people know it.
    fn label(&self, asset: &AssetId) -> String {
        match self.register.asset(asset).and_then(|held| held.name.as_ref()) {
            Some(name) => format!("{asset} ({name})"),
            None => asset.to_string(),
        }
    }

    /// The site where an asset is, else where it belongs.
    fn site_of_asset(&self, asset: &AssetId) -> Option<SiteId> {
        let zone = match &self.assets.get(asset).map(|row| &row.current.location) {
            Some(Location::Zone(zone)) => self.register.site_of_zone(zone),
            _ => None,
        };
        zone.or_else(|| self.register.home_site(asset)).cloned()
    }

    fn site_of_read_point(&self, read_point: &ReadPointId) -> Option<SiteId> {
        let read_point = self.topology.whole(read_point);
        let zone = self.topology.presence(read_point).map(|point| &point.zone);
        let mut sources = self.topology.sources_of(read_point);
        zone.and_then(|zone| self.register.site_of_zone(zone))
            .or_else(|| sources.find_map(|source| self.topology.site_of_source(source)))
            .cloned()
    }
}
