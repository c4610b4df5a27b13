//! `tallyman trackers`: every tracker that is on the register or heard, and what is wrong with it.

use std::collections::BTreeMap;
use std::process::ExitCode;

use super::ConfigFile;
use super::story;
use crate::clean::TrackerStatus;
use crate::config::Config;
use crate::domain::ids::{AssetId, DeviceId};
use crate::domain::register::Record;
use crate::domain::state::StateKind;
use crate::domain::time::Timestamp;
use crate::journal::{Reader, StateRows};
use crate::source::clock::WallClock;

/// Rows read at once.
const PAGE: usize = 1000;

#[derive(clap::Args)]
pub struct TrackersArgs {
    #[command(flatten)]
    pub file: ConfigFile,
    /// Only those on an asset that were never heard, and those that are heard and on no asset
    #[arg(long)]
    unmatched: bool,
}

#[derive(Default)]
struct Line {
    asset: Option<AssetId>,
    status: Option<TrackerStatus>,
}

pub async fn run(config: &Config, args: TrackersArgs) -> anyhow::Result<ExitCode> {
    let reader = Reader::open(&config.journal.path).await?;
    let now = WallClock::new().now();
    let known = known(&reader, now).await?;
    let is_wanted = |line: &Line| !args.unmatched || line.asset.is_none() || line.status.is_none();
    let wanted: Vec<_> = known.iter().filter(|(_, line)| is_wanted(line)).collect();
    if wanted.is_empty() {
        println!(
            "{}",
            if known.is_empty() {
                "no tracker is on the register or heard"
            } else {
                "every tracker is on an asset, and heard"
            }
        );
        return Ok(ExitCode::SUCCESS);
    }
    println!("{:<24}  {:<16}  WHAT IT SAYS", "TRACKER", "ASSET");
    for (device, line) in wanted {
        let asset = line.asset.as_ref().map_or("on none", AssetId::as_str);
        println!("{:<24}  {asset:<16}  {}", device.as_str(), told(line.status.as_ref(), now));
    }
    Ok(ExitCode::SUCCESS)
}

async fn known(reader: &Reader, now: Timestamp) -> anyhow::Result<BTreeMap<DeviceId, Line>> {
    let mut known: BTreeMap<DeviceId, Line> = BTreeMap::new();
    for rows in
        [StateRows::Register { prefix: "tracker/" }, StateRows::Of { kind: StateKind::Tracker, prefix: "" }]
    {
        let mut after: Option<String> = None;
        loop {
            let page = reader.state_rows(rows, after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.key.clone());
            for row in &page {
                if let StateRows::Of { .. } = rows {
                    let status = Some(TrackerStatus::of_row(&row.key, &row.value)?);
                    known.entry(DeviceId::new(&row.key)).or_default().status = status;
                } else if let Record::Tracker(tracker) = serde_json::from_slice(&row.value)?
                    && tracker.holds_at(now)
                {
                    known.entry(tracker.key).or_default().asset = tracker.carrier.asset().cloned();
                }
            }
        }
    }
    Ok(known)
}

/// Whether it is heard, and whether what it says counts.
pub(super) fn told(status: Option<&TrackerStatus>, now: Timestamp) -> String {
    let Some(status) = status else {
        return "never heard: does it call itself so? `tallyman trackers --unmatched` lists what is heard and on no asset, \
                `tallyman dead-letters list` what cannot be read"
            .to_owned();
    };
    let ago = |at| story::distance(at, now);
    let heard = ago(status.heard_at);
    let of = |at| if at > now { format!("a time ahead of ours ({})", ago(at)) } else { ago(at) };
    let position = status.position_at.map(of);
    match (&status.refused, position) {
        (None, Some(position)) => format!("heard {heard}; its position is of {position}"),
        (None, None) => format!("heard {heard}, and never a position"),
        (Some(reason), position) => {
            let last = position
                .map_or("none ever did".to_owned(), |position| format!("the last that did is of {position}"));
            format!("heard {heard}, and its position does not count: {}; {last}", why(reason))
        }
    }
}

fn why(reason: &str) -> &str {
    match reason {
        "no-fix" => {
            "it says that it has none, or its message has none where the mapping looks for it (no-fix)"
        }
        "null-island" => "it says 0, 0, as those do that have none (null-island)",
        "inaccurate" => "it is vaguer than max_accuracy_m (inaccurate)",
        "impossible-jump" => {
            "it is further away than it can have come; do two devices have one name? (impossible-jump)"
        }
        "clock-ahead" => "its time is ahead of ours (clock-ahead; `tallyman dead-letters list`)",
        "too-old" => {
            "its time is long past: is the unit of the time right? (too-old; `tallyman dead-letters list`)"
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tracker_is_told_in_words() {
        let now = Timestamp::from_secs(10_000);
        let status = |position: Option<i64>, refused: Option<&str>| TrackerStatus {
            heard_at: Timestamp::from_secs(9_995),
            position_at: position.map(Timestamp::from_secs),
            refused: refused.map(str::to_owned),
        };
        let told = |status: &TrackerStatus| told(Some(status), now);
        assert_eq!(told(&status(Some(9_995), None)), "heard 5 s ago; its position is of 5 s ago");
        assert_eq!(
            told(&status(Some(10_006), None)),
            "heard 5 s ago; its position is of a time ahead of ours (in 6 s)"
        );
        assert!(told(&status(None, Some("no-fix"))).ends_with("(no-fix); none ever did"));
        let stuck = told(&status(Some(2_800), Some("inaccurate")));
        assert!(
            stuck.contains("max_accuracy_m") && stuck.ends_with("the last that did is of 2 h ago"),
            "{stuck}"
        );
        assert!(super::told(None, now).starts_with("never heard"));
    }
}
