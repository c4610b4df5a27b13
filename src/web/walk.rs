//! Walk tests: what a read point hears, read by read, as it comes, and what other antennas hear of the same tags. So
//! power and antennas can be set on site, and it can be seen whose tags a neighbour hears.
//!
//! Raw: nothing is filtered, confirmed or judged. Nothing of it is kept, see [`crate::live`].

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Api;
use super::auth::Caller;
use super::extract::Path;
use super::openapi::ReadStream;
use super::problem::Problem;
use super::routes::Operation;
use super::sse::{Client, HEARTBEAT};
use crate::config::{ReadPointConfig, ReadPointKind, Rules};
use crate::domain::ids::{Antenna, ReadPointId, SourceId};
use crate::domain::orders::Scope;
use crate::domain::state::{LinkCurrent, StateKind};
use crate::domain::time::Timestamp;
use crate::journal::JournalError;
use crate::live::Watcher;

mod sieve;

use sieve::Sieve;

/// Between two looks into the ring: at the highest rates it holds three of them.
const PACE: Duration = Duration::from_millis(100);
/// Between two looks at whether the readers are there.
const LINKS: Duration = Duration::from_secs(1);
/// Reads looked at before the others have their turn.
const AT_ONCE: usize = 4096;
/// Read points named where one is asked for that is not there.
const NAMED: usize = 50;

pub(super) fn operations() -> Vec<Operation> {
    let summary = "What a read point hears, read by read, as it comes, and what others hear of the same tags";
    vec![
        Operation::get("/read-points/{read_point}/stream", "watchReadPoint", summary, stream)
            .answers_as::<ReadStream>(StatusCode::OK, "The stream.", "text/event-stream", Value::Null),
    ]
}

/// The `data` of an event.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Told {
    /// First, and when a reader of it comes or goes.
    ReadPoint(About),
    Read(ReadTold),
    /// Reads that came faster than the client takes them.
    Missed {
        count: u64,
    },
}

/// The read point that is watched.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct About {
    pub read_point: ReadPointId,
    /// `portal` or `presence`.
    pub kind: String,
    pub antennas: Vec<Ear>,
    /// The tag that is mounted there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reference_tag: Option<String>,
    pub readers: Vec<ReaderTold>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Ear {
    pub reader: SourceId,
    pub antenna: Antenna,
    /// Of a portal: `inside` or `outside`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub side: Option<String>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ReaderTold {
    pub reader: SourceId,
    pub up: bool,
    /// Why, in words.
    pub reason: String,
}

/// One report of a tag, as its reader told it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ReadTold {
    pub received_at: Timestamp,
    pub reader: SourceId,
    pub antenna: Antenna,
    /// Hexadecimal.
    pub epc: String,
    /// Absent where the reader does not tell it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rssi_dbm: Option<f32>,
    /// Reads that the reader folded into this report.
    pub count: u16,
    /// Heard before: the reader held it while it was not connected.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub held: bool,
    /// At the read point that is watched; else elsewhere, of a tag that was heard here within the last minute.
    pub here: bool,
    /// What this antenna watches; absent where the configuration gives it to nobody.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub read_point: Option<ReadPointId>,
}

async fn stream(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let watched = api.rules.read_points.iter().find(|point| point.name.as_str() == name);
    let Some(watched) = watched.filter(|point| shows(&api.rules, &caller.scope, point)) else {
        return Err(Problem::NoReadPoint { name, known: known(&api.rules, &caller.scope) });
    };
    let watched = watched.clone();
    let sieve = Sieve::new(&api.rules, &watched.name, |source| {
        caller.scope.covers(api.rules.source_sites.get(source))
    });
    let watcher = api.live.watch();
    let (client, response) = Client::connect(api, caller)?;
    tokio::spawn(Feed { client, watched, sieve, watcher, told: None }.run());
    Ok(response)
}

/// A read point is of the sites of its readers.
fn shows(rules: &Rules, scope: &Scope, point: &ReadPointConfig) -> bool {
    scope.is_everywhere()
        || point.antennas.iter().any(|antenna| scope.covers(rules.source_sites.get(&antenna.source)))
}

fn known(rules: &Rules, scope: &Scope) -> String {
    let mut names: Vec<&str> = rules
        .read_points
        .iter()
        .filter(|point| shows(rules, scope, point))
        .map(|p| p.name.as_str())
        .collect();
    names.sort_unstable();
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    match (names.is_empty(), more) {
        (true, _) => "there is none at all".to_owned(),
        (false, 0) => format!("there are: {}", names.join(", ")),
        (false, more) => format!("there are: {} and {more} more", names.join(", ")),
    }
}

/// One client's stream.
struct Feed {
    client: Client,
    watched: ReadPointConfig,
    sieve: Sieve,
    watcher: Watcher,
    /// What it was told of the read point last.
    told: Option<About>,
}

impl Feed {
    /// Runs until the client has gone, its token has ended, or we stop.
    async fn run(mut self) {
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut look_at = Instant::now();
        let mut alive = Instant::now();
        loop {
            let now = Instant::now();
            let mut text = String::new();
            if now >= look_at {
                look_at = now + LINKS;
                match self.links().await {
                    Ok(about) => self.about(about, &mut text),
                    Err(error) => tracing::warn!(%error, "a walk test goes on without its readers' state"),
                }
            }
            let more = self.reads(&mut text);
            if text.is_empty() && now.duration_since(alive) >= HEARTBEAT {
                text.push_str(": alive\n\n");
            }
            if !text.is_empty() {
                alive = now;
                if !self.client.send(text).await {
                    return;
                }
            }
            if more {
                continue;
            }
            tokio::select! {
                _ = pace.tick() => {}
                () = self.client.ended() => return,
            }
        }
    }

    /// Whether there is more at once.
    fn reads(&mut self, text: &mut String) -> bool {
        let mut reads = Vec::new();
        match self.watcher.take(AT_ONCE, &mut reads) {
            0 => {}
            count => tell(&Told::Missed { count }, text),
        }
        for read in &reads {
            if let Some(told) = self.sieve.pass(read) {
                tell(&Told::Read(told), text);
            }
        }
        reads.len() == AT_ONCE
    }

    fn about(&mut self, about: About, text: &mut String) {
        if self.told.as_ref() == Some(&about) {
            return;
        }
        tell(&Told::ReadPoint(about.clone()), text);
        self.told = Some(about);
    }

    async fn links(&self) -> Result<About, JournalError> {
        let point = &self.watched;
        let is_portal = matches!(point.kind, ReadPointKind::Portal { .. });
        let sources: BTreeSet<&SourceId> = point.antennas.iter().map(|antenna| &antenna.source).collect();
        let mut readers = Vec::new();
        for source in sources {
            let row = self.client.api.reader.state(StateKind::Link, source.as_str()).await?;
            let link: Option<LinkCurrent> = row.and_then(|row| serde_json::from_slice(&row).ok());
            let never = || (false, "never connected".to_owned());
            let (up, reason) = link.map_or_else(never, |link| (link.up, link.reason));
            readers.push(ReaderTold { reader: source.clone(), up, reason });
        }
        let ear = |antenna: &crate::config::AntennaConfig| Ear {
            reader: antenna.source.clone(),
            antenna: antenna.antenna,
            side: is_portal.then(|| if antenna.inside { "inside" } else { "outside" }.to_owned()),
        };
        Ok(About {
            read_point: point.name.clone(),
            kind: if is_portal { "portal" } else { "presence" }.to_owned(),
            antennas: point.antennas.iter().map(ear).collect(),
            reference_tag: point.reference_tag.map(|epc| hex::encode(epc.bytes())),
            readers,
        })
    }
}

/// JSON on one line holds no newline.
fn tell(told: &Told, text: &mut String) {
    match serde_json::to_string(told) {
        Ok(data) => {
            text.push_str("data: ");
            text.push_str(&data);
            text.push_str("\n\n");
        }
        Err(error) => tracing::error!(%error, "a read could not be told"),
    }
}
