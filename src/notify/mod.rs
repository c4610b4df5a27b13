//! Committed alerts → the people on call. Never blocks the pipeline: Alertmanager is told from a board that
//! holds the latest of each alert; every other receiver walks the journal's transitions at its own pace, so
//! that a slow one sees nothing lost and no queue grows in memory.

use std::collections::BTreeMap;

use tokio::task::JoinSet;

use crate::config::NotifyConfig;
use crate::journal::JournalError;

pub mod alertmanager;
mod board;
mod courier;
pub mod doors;
pub mod http;
mod log;
mod mqtt;
mod notice;
mod publisher;
mod receivers;
mod webhook;

#[cfg(test)]
mod tests;

pub use board::Board;
pub use courier::{Place, Surroundings};
pub use receivers::{Receiver, Receivers};

use crate::domain::state::StateKind;
use courier::Courier;

/// Tells webhooks, MQTT topics and the log, each in a task of its own, until shutdown. `places`: how far
/// each was told.
pub async fn run(config: NotifyConfig, places: BTreeMap<String, Place>, around: Surroundings) {
    let mut couriers = JoinSet::new();
    let place = |name: &str| places.get(name).cloned();
    for webhook in config.webhooks {
        let receiver = webhook.receiver.clone();
        let (place, clock) = (place(&receiver.name), around.clock.clone());
        let carrier = webhook::Webhook::new(webhook, clock);
        couriers.spawn(Courier::new(receiver, carrier, place, around.clone()).run());
    }
    for topic in config.mqtt {
        let receiver = topic.receiver.clone();
        let place = place(&receiver.name);
        couriers.spawn(Courier::new(receiver, mqtt::Topic::new(topic), place, around.clone()).run());
    }
    if let Some(receiver) = config.log {
        let place = place(&receiver.name);
        couriers.spawn(Courier::new(receiver, log::Log, place, around.clone()).run());
    }
    around.shutdown.cancelled().await;
    while couriers.join_next().await.is_some() {}
}

/// How far each receiver was told, as the journal has it.
pub async fn places(reader: &crate::journal::Reader) -> Result<BTreeMap<String, Place>, JournalError> {
    let rows = reader.all_states(StateKind::Receiver).await?;
    let read = |(name, value): (String, Vec<u8>)| Some((name, serde_json::from_slice(&value).ok()?));
    Ok(rows.into_iter().filter_map(read).collect())
}
