//! What the alerts about assets and tags go by, beside what their classes say.

use std::time::Duration;

use super::document::Section;
use super::node::set;
use super::tags::patterns;
use super::validate::{DAY, HOUR, MINUTE, SECOND};
use crate::domain::epc_pattern::EpcPattern;

#[derive(Clone, PartialEq, Debug)]
pub struct AssetRules {
    /// Somewhere that its class does not allow for longer than this is an alert.
    pub wrong_zone_after: Duration,
    /// The parts of a kit that leaves have this long to leave with it, before or after.
    pub kit_window: Duration,
    pub zombie: ZombieRules,
    pub repeat_offender: OffenderRules,
}

/// Tags that are on no asset in use.
#[derive(Clone, PartialEq, Debug)]
pub struct ZombieRules {
    /// Heard at read points over this long, it stays and does not only pass.
    pub heard_for: Duration,
    /// Heard nowhere for this long, it is gone.
    pub gone_after: Duration,
    /// Alerts of single tags at one read point; all further ones there share one alert.
    pub single_alerts: usize,
    /// Strangers that are followed at once.
    pub max_tags: usize,
    pub ignore: Vec<EpcPattern>,
}

/// Holders with whom things go wrong again and again.
#[derive(Clone, PartialEq, Debug)]
pub struct OffenderRules {
    /// Counted over this long, in whole days.
    pub window: Duration,
    /// So many incidents,
    pub incidents: u32,
    /// and such a share of the holder's checkouts.
    pub share: f64,
}

impl Default for AssetRules {
    fn default() -> Self {
        Self {
            wrong_zone_after: 10 * MINUTE,
            kit_window: 2 * MINUTE,
            zombie: ZombieRules {
                heard_for: 10 * MINUTE,
                gone_after: HOUR,
                single_alerts: 10,
                max_tags: 10_000,
                ignore: Vec::new(),
            },
            repeat_offender: OffenderRules { window: 90 * DAY, incidents: 3, share: 0.5 },
        }
    }
}

/// From the keys of `[alerts]`.
pub(super) fn asset_rules(section: &Section<'_>) -> AssetRules {
    let mut rules = AssetRules::default();
    set(&mut rules.wrong_zone_after, section.duration("wrong_zone_after", Duration::ZERO..=30 * DAY));
    set(&mut rules.kit_window, section.duration("kit_window", SECOND..=DAY));
    if let Some(section) = section.table("zombie") {
        zombie(&mut rules.zombie, section);
    }
    if let Some(section) = section.table("repeat_offender") {
        let offender = &mut rules.repeat_offender;
        set(&mut offender.window, section.duration("window", DAY..=400 * DAY));
        set(&mut offender.incidents, section.integer("incidents", 1..=1_000_000));
        set(&mut offender.share, section.number("share", 0.0..=1.0));
        section.finish();
    }
    rules
}

fn zombie(zombie: &mut ZombieRules, section: Section<'_>) {
    set(&mut zombie.heard_for, section.duration("heard_for", Duration::ZERO..=30 * DAY));
    set(&mut zombie.gone_after, section.duration("gone_after", SECOND..=30 * DAY));
    set(&mut zombie.single_alerts, section.integer("single_alerts", 0..=10_000));
    set(&mut zombie.max_tags, section.integer("max_tags", 1..=1_000_000));
    set(&mut zombie.ignore, patterns(&section, "ignore"));
    section.finish();
}
