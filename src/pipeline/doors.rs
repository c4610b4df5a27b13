//! The wires between the writer, the doors, and the readers whose outputs they switch.

use std::collections::BTreeMap;

use tokio::sync::mpsc;

use super::stages::Stages;
use crate::config::{Config, Drive};
use crate::domain::ids::SourceId;
use crate::notify::doors::{self, Bell};
use crate::source::clock::WallClock;
use crate::source::llrp::{Outputs, Switch};

/// Alerts that fired at a door. Far more than people pass one at once; what finds no room switches nothing,
/// and is counted.
const DOOR_QUEUE: usize = 256;
/// Switches on their way to one reader's session, or to one topic, which take them at once or are away.
const SWITCH_QUEUE: usize = 16;

/// The outputs of every reader, for its session; and what the writer rings, where any door acts.
pub(super) fn spawn(
    config: &Config,
    clock: &WallClock,
    stages: &mut Stages,
) -> (BTreeMap<SourceId, Outputs>, Option<Bell>) {
    let mut named: BTreeMap<SourceId, BTreeMap<u16, String>> = BTreeMap::new();
    for output in &config.doors.outputs {
        if let Drive::Gpo { reader, port } = &output.drive {
            named.entry(reader.clone()).or_default().insert(*port, output.name.clone());
        }
    }
    let mut lanes: BTreeMap<SourceId, mpsc::Sender<Switch>> = BTreeMap::new();
    let mut outputs = BTreeMap::new();
    for reader in &config.readers {
        let (sender, lane) = mpsc::channel(SWITCH_QUEUE);
        outputs
            .insert(reader.name.clone(), Outputs::new(named.remove(&reader.name).unwrap_or_default(), lane));
        lanes.insert(reader.name.clone(), sender);
    }
    if config.doors.outputs.is_empty() {
        return (outputs, None);
    }
    let (rung, fired) = mpsc::channel(DOOR_QUEUE);
    let bell = Bell::new(&config.doors, rung);
    stages.spawn("doors", doors::run(config.doors.clone(), lanes, SWITCH_QUEUE, fired, clock.clone()));
    (outputs, Some(bell))
}
