//! `tallyman explain ASSET`: everything behind what is said of it, at three in the morning.

use std::process::ExitCode;

use anyhow::bail;

use super::ConfigFile;
use crate::config::Config;
use crate::domain::alerts::AlertState;
use crate::domain::register::{Coverage, Record};
use crate::domain::state::{AssetCurrent, Location, SensedBy};
use crate::journal::Reader;
use crate::web::explain::{Explanation, explain};

#[derive(clap::Args)]
pub struct ExplainArgs {
    #[command(flatten)]
    pub file: ConfigFile,
    /// The asset's number on the register
    asset: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(config: &Config, args: ExplainArgs) -> anyhow::Result<ExitCode> {
    let reader = Reader::open(&config.journal.path).await?;
    let Some(explanation) = explain(&reader, &config.rules, &args.asset).await? else {
        bail!("there is no asset `{}` on the register", args.asset);
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&explanation)?);
    } else {
        tell(&explanation);
    }
    Ok(ExitCode::SUCCESS)
}

fn tell(explanation: &Explanation) {
    let asset = &explanation.asset;
    let name = asset.name.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
    println!("{}{name}, {}", asset.id, asset.class);
    match &explanation.current {
        Some(current) => tell_current(current),
        None => println!("  never sensed, and never checked out"),
    }
    println!("  ghost: {}", ghost(explanation));
    for alert in &explanation.alerts {
        let state = if alert.state == AlertState::Resolved { "was resolved" } else { "is open" };
        println!("  alert {} {state}: {}", alert.key, alert.summary);
    }
    if !explanation.recent.is_empty() {
        println!("  lately:");
    }
    for event in &explanation.recent {
        println!("    {}  {:12} {}", event.observed_at, event.kind, event.body);
    }
}

fn tell_current(current: &AssetCurrent) {
    let place = match &current.location {
        Location::Unknown => "unknown".to_owned(),
        Location::Zone(zone) => format!("in zone {zone}"),
        Location::OutThrough(portal) => format!("out through {portal}"),
        Location::At(position) => format!("at {:.6}, {:.6}", position.lat, position.lon),
    };
    let since = current.since.map(|since| format!(" since {since}")).unwrap_or_default();
    println!("  where: {place}{since}");
    println!("  why: {}", current.reason);
    if let Some(sensed) = &current.last_sensed {
        let by = match &sensed.by {
            SensedBy::ReadPoint(read_point) => format!("read point {read_point}"),
            SensedBy::Tracker(device) => format!("tracker {device}"),
        };
        println!("  last sensed: {} by {by}", sensed.at);
    }
    match &current.checkout {
        Some(checkout) => {
            let due = checkout.due_back.map(|due| format!(", due back {due}")).unwrap_or_default();
            println!("  who has it: {} since {}{due}", checkout.holder, checkout.checked_out_at);
        }
        None => println!("  who has it: nobody; not checked out"),
    }
}

/// Why it is, or is not, a ghost.
fn ghost(explanation: &Explanation) -> String {
    let Some(current) = &explanation.current else {
        return "no; a ghost clock starts when an asset is first sensed".to_owned();
    };
    if let Some(since) = current.ghost_since {
        return format!(
            "yes, since {since}: it should be here, and was not heard while what would hear it worked"
        );
    }
    if explanation.asset.retired {
        return "no; it is retired and expected nowhere".to_owned();
    }
    if current.checkout.is_some() {
        return "no; it is checked out, which explains an absence".to_owned();
    }
    let Some(Record::Class(class)) = &explanation.class else {
        return "no; its class is not on the register".to_owned();
    };
    let Some(limit) = class.ghost_after else {
        return format!("no; class {} sets no `ghost_after`", class.name);
    };
    match &explanation.zone {
        Some(Record::Zone(zone)) if zone.coverage == Coverage::Continuous => {
            format!("no; its clock runs while {} hears, up to {limit:?} without a sighting", zone.name)
        }
        Some(Record::Zone(zone)) => {
            format!("no; zone {} is not covered continuously, so silence there says nothing", zone.name)
        }
        _ => "no; it is in no zone, so silence says nothing".to_owned(),
    }
}
