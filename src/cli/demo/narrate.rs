//! What a person sees of the demo: who takes part, what happens, how it went.

use std::time::Duration;

use tallyman_simulators::Plant;
use tallyman_simulators::world::plant::ReadPointKind;
use tokio_util::sync::CancellationToken;

use super::grade::{self, Fact, Grade};
use crate::domain::alerts::AlertTransition;
use crate::domain::events::EventBody;
use crate::domain::sightings::{Direction, Episode, FenceChange};
use crate::domain::time::Timestamp;
use crate::journal::{JournalError, Reader, StoredEvent};
use crate::source::clock::WallClock;

/// How often the journal is looked at for news.
const LOOK: Duration = Duration::from_millis(250);
/// Events read at once.
const PAGE: usize = 1000;

pub fn company(plant: &Plant) {
    let two_tags = plant.assets.iter().filter(|asset| asset.epcs.len() > 1).count();
    let doors =
        plant.read_points.iter().filter(|point| matches!(point.kind, ReadPointKind::Portal { .. })).count();
    println!(
        "  {} sites, {doors} dock doors, {} other read points, {} trucks, {} cold rooms; {} assets, {two_tags} of them with two tags",
        plant.sites.len(),
        plant.read_points.len() - doors,
        plant.trackers.len(),
        plant.modbus.len(),
        plant.assets.len(),
    );
}

/// Tells what the journal takes in, until `stop`.
pub async fn follow(reader: Reader, clock: WallClock, stop: CancellationToken) {
    let began = clock.now();
    let mut seen = reader.meta().await.map_or(0, |meta| meta.last_seq);
    while !stop.is_cancelled() {
        match reader.events_after(seen, PAGE).await {
            Ok(events) => {
                for event in &events {
                    tell(event, began);
                }
                seen = events.last().map_or(seen, |event| event.seq);
            }
            Err(error) => tracing::warn!(%error, "the demo could not look into the journal"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn tell(event: &StoredEvent, began: Timestamp) {
    let Ok(body) = serde_json::from_str::<EventBody>(&event.body) else { return };
    if let Some(line) = line(event, &body) {
        println!("  {:5.1} s  {line}", event.recorded_at.since(began).as_secs_f64());
    }
}

fn line(event: &StoredEvent, body: &EventBody) -> Option<String> {
    let who = event.subject.split_once(':').map_or(event.subject.as_str(), |(_, name)| name);
    Some(match body {
        EventBody::Passage { direction, portal, to, .. } => {
            let way = if *direction == Direction::In { "in" } else { "out" };
            let to = to.as_ref().map(|zone| format!(", now in {zone}")).unwrap_or_default();
            let sure = event.confidence.map(|c| format!(" ({:.0} %)", c * 100.0)).unwrap_or_default();
            format!("{who} passes {way} through {portal}{to}{sure}")
        }
        EventBody::Geofence { change, fence, .. } => {
            let way = if *change == FenceChange::Entered { "enters" } else { "leaves" };
            format!("{who} {way} {fence}")
        }
        EventBody::Condition { device, point, limit, episode, .. } => match episode {
            Episode::Began { value, threshold, .. } => {
                format!("{device} {point} {value:.1} is over its limit {limit} of {threshold:.1}")
            }
            Episode::Ended { peak, .. } => format!("{device} {point} is back; the peak was {peak:.1}"),
        },
        EventBody::Alert { transition, alert } => match transition {
            AlertTransition::Fired => format!("ALERT {}: {}", alert.key, alert.summary),
            AlertTransition::Resolved => format!("resolved {}", alert.key),
            _ => return None,
        },
        EventBody::CheckedIn { how, .. } => format!("{who} is back: {how}"),
        EventBody::Link { up, reason } => {
            if *up {
                format!("{} is connected", event.source)
            } else {
                format!("{} is down: {reason}", event.source)
            }
        }
        _ => return None,
    })
}

/// Everything graded that the journal holds.
pub async fn recorded(reader: &Reader) -> Result<Vec<Fact>, JournalError> {
    let mut facts = Vec::new();
    let mut seen = 0;
    loop {
        let events = reader.events_after(seen, PAGE).await?;
        let Some(last) = events.last() else { return Ok(facts) };
        seen = last.seq;
        facts.extend(events.iter().filter_map(|event| {
            let body = serde_json::from_str(&event.body).ok()?;
            grade::fact_of_event(&event.subject, event.observed_at, &body)
        }));
    }
}

pub fn table(grade: &Grade) {
    println!("\n  {:12}{:>8}{:>10}{:>8}{:>10}", "", "truth", "recorded", "missed", "spurious");
    let columns = [&grade.truth, &grade.recorded, &grade.missed, &grade.spurious].map(grade::rows);
    for (row, (name, truth)) in columns[0].iter().enumerate() {
        let [_, recorded, missed, spurious] = columns.map(|column| column[row].1);
        println!("  {name:12}{truth:>8}{recorded:>10}{missed:>8}{spurious:>10}");
    }
}
