//! `tallyman doors`: which vehicle stands at which door, since when, and who stood there before.

use std::process::ExitCode;

use super::ConfigFile;
use super::story;
use crate::config::Config;
use crate::domain::time::Timestamp;
use crate::journal::Reader;
use crate::source::clock::WallClock;
use crate::web::doors::{AtDoor, Door, doors};

#[derive(clap::Args)]
pub struct DoorsArgs {
    #[command(flatten)]
    pub file: ConfigFile,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(config: &Config, args: DoorsArgs) -> anyhow::Result<ExitCode> {
    let reader = Reader::open(&config.journal.path).await?;
    let doors = doors(&reader, &config.rules).await?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&doors)?);
    } else if doors.is_empty() {
        println!(
            "no door has a bay (`bay` of a portal), and nobody said that a vehicle stands at one (`tallyman dock`)"
        );
    } else {
        println!("{:<20}  WHO STANDS THERE", "DOOR");
        let now = WallClock::new().now();
        for door in &doors {
            println!("{:<20}  {}", door.door.as_str(), told(door, now));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Who stands there, or who was the last.
fn told(door: &Door, now: Timestamp) -> String {
    let standing: Vec<String> = door.standing.iter().map(|at| stands(at, now)).collect();
    match (&standing[..], door.lately.first()) {
        ([], None) => "nobody".to_owned(),
        ([], Some(last)) => {
            let left = last.until.unwrap_or(last.since);
            format!("nobody; {} left {}", last.vehicle, story::distance(left, now))
        }
        (standing, _) => standing.join(", "),
    }
}

/// `TR-07, for 12 min`.
fn stands(at: &AtDoor, now: Timestamp) -> String {
    let said = if at.said { ", as somebody said" } else { "" };
    format!("{} (for {}{said})", at.vehicle, story::span(now.since(at.since)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_door_is_told_in_words() {
        let at = |vehicle: &str, since, until: Option<i64>, said| AtDoor {
            vehicle: vehicle.into(),
            since: Timestamp::from_secs(since),
            until: until.map(Timestamp::from_secs),
            said,
        };
        let told = |standing, lately| {
            let door = Door { door: "D".into(), bay: None, standing, lately };
            super::told(&door, Timestamp::from_secs(1_000))
        };
        assert_eq!(told(vec![], vec![]), "nobody");
        let before = || vec![at("V1", 100, Some(400), false), at("V2", 50, Some(80), false)];
        assert_eq!(told(vec![], before()), "nobody; V1 left 10 min ago");
        assert_eq!(
            told(vec![at("V3", 940, None, false), at("V4", 995, None, true)], before()),
            "V3 (for 1 min), V4 (for 5 s, as somebody said)"
        );
    }
}
