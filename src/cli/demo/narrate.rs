//! What a person sees of the demo: who takes part, what happens, how it went.

use std::collections::BTreeSet;
use std::time::Duration;

use tallyman_simulators::world::plant::ReadPointKind;
use tallyman_simulators::{Plant, Running};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::cargo::Roads;
use super::grade::{self, Fact, Grade};
use super::plant::LIGHT;
use crate::cli::story::{self, Told, WallClocks};
use crate::domain::alerts::AlertTransition;
use crate::domain::events::EventBody;
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
pub async fn follow(reader: Reader, clock: WallClock, clocks: WallClocks, stop: CancellationToken) {
    let began = clock.now();
    let mut seen = reader.meta().await.map_or(0, |meta| meta.last_seq);
    let mut roads = Roads::default();
    while !stop.is_cancelled() {
        match reader.events_after(seen, PAGE).await {
            Ok(events) => {
                for event in &events {
                    let Ok(body) = serde_json::from_str::<EventBody>(&event.body) else { continue };
                    roads.note(event, &body);
                    tell(event, &body, began, &clocks);
                }
                seen = events.last().map_or(seen, |event| event.seq);
            }
            Err(error) => tracing::warn!(%error, "the demo could not look into the journal"),
        }
        let now = clock.now();
        match roads.news(&reader, now).await {
            Ok(news) => {
                let at = now.since(began).as_secs_f64();
                news.iter().for_each(|sentence| println!("  {at:5.1} s  {sentence}"));
            }
            Err(error) => tracing::warn!(%error, "the demo could not ask what is on the road"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Tells what somebody at a door sees of its light, as long as what this gives is held.
pub fn lights(running: &Running, clock: &WallClock) -> JoinSet<()> {
    let began = clock.now();
    let mut watching = JoinSet::new();
    let mut outputs = running.outputs();
    for point in &running.plant().read_points {
        let (ReadPointKind::Portal { .. }, Some(lit)) = (&point.kind, outputs.remove(&point.reader)) else {
            continue;
        };
        watching.spawn(watch_light(point.name.clone(), lit, clock.clone(), began));
    }
    watching
}

async fn watch_light(
    door: String,
    mut lit: watch::Receiver<BTreeSet<u16>>,
    clock: WallClock,
    began: Timestamp,
) {
    let mut was_on = false;
    while lit.changed().await.is_ok() {
        let on = lit.borrow_and_update().contains(&LIGHT);
        if on != was_on {
            let at = clock.now().since(began).as_secs_f64();
            println!("  {at:5.1} s  the light at {door} goes {}", if on { "on" } else { "off" });
        }
        was_on = on;
    }
}

fn tell(event: &StoredEvent, body: &EventBody, began: Timestamp, clocks: &WallClocks) {
    if is_news(body) {
        let told = Told {
            subject: &event.subject,
            source: &event.source,
            site: event.site.as_deref(),
            late: event.late,
            confidence: event.confidence,
            body,
        };
        let at = event.recorded_at.since(began).as_secs_f64();
        println!("  {at:5.1} s  {}", story::sentence(&told, clocks));
    }
}

/// What a visitor wants to hear of; every fix and every sighting would drown it.
fn is_news(body: &EventBody) -> bool {
    match body {
        EventBody::Passage { .. }
        | EventBody::Geofence { .. }
        | EventBody::Condition { .. }
        | EventBody::CheckedIn { .. }
        | EventBody::Docked { .. }
        | EventBody::Loaded { .. }
        | EventBody::Link { .. } => true,
        EventBody::Alert { transition, .. } => {
            matches!(transition, AlertTransition::Fired | AlertTransition::Resolved)
        }
        _ => false,
    }
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
