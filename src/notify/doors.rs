//! Doors act: an alert that fires at a read point switches lights and buzzers there, for a time.
//!
//! ```text
//! writer, after a commit ─▶ Bell ─▶ queue ─▶ run: which outputs, still fresh? ─▶ reader's session (GPO)
//!                                                                             └▶ topic's task (MQTT)
//! ```
//!
//! Nobody waits for a door: each step offers, and what finds no room is dropped and counted. What must not
//! fail is that an output goes off again, and that is up to who drives it: at the end of its time (told again
//! until it is taken), on every new connection where its time is over, and at a stop.

mod topic;

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::config::{DoorConfig, DoorsConfig, Drive, OutputConfig};
use crate::domain::alerts::{Alert, AlertTransition, Rule};
use crate::domain::events::{Event, EventBody};
use crate::domain::ids::{ReadPointId, SourceId};
use crate::source::clock::WallClock;
use crate::source::llrp::Switch;
use crate::source::outputs::acted;

/// What the writer rings after a commit.
pub struct Bell {
    queue: mpsc::Sender<Alert>,
    doors: Vec<DoorConfig>,
    rings_for: BTreeSet<(ReadPointId, Rule)>,
}

impl Bell {
    pub fn new(config: &DoorsConfig, queue: mpsc::Sender<Alert>) -> Self {
        let each = |door: &DoorConfig| {
            let read_point = door.read_point.clone();
            door.rules.clone().into_iter().map(move |rule| (read_point.clone(), rule))
        };
        let rings_for = config.doors.iter().flat_map(each).collect();
        Self { queue, doors: config.doors.clone(), rings_for }
    }

    /// Offers what fired at a door. What something else explains is told to nobody, and to no door.
    pub fn ring(&self, committed: &[Event]) {
        for event in committed {
            let EventBody::Alert { transition: AlertTransition::Fired, alert } = &event.body else {
                continue;
            };
            let Some(door) = alert.door.as_ref().filter(|_| alert.inhibited_by.is_none()) else { continue };
            if !self.rings_for.contains(&(door.read_point.clone(), alert.key.rule)) {
                continue;
            }
            if self.queue.try_send(Alert::clone(alert)).is_err() {
                tracing::error!(alert = %alert.key, door = %door.read_point, "too much at once: a door does not act on this alert");
                for output in self.doors.iter().filter(|of| acts(of, alert)).flat_map(|of| &of.outputs) {
                    acted(output, "dropped");
                }
            }
        }
    }
}

fn acts(door: &DoorConfig, alert: &Alert) -> bool {
    door.rules.contains(&alert.key.rule)
        && alert.door.as_ref().is_some_and(|at| at.read_point == door.read_point)
}

/// The way to one output.
enum Line {
    Gpo { port: u16, reader: mpsc::Sender<Switch> },
    Topic(mpsc::Sender<Instant>),
}

/// Switches what belongs to the doors at which something fires, until nobody rings any more. `readers`: the
/// lanes to the sessions of those that have outputs; `room`: switches that may wait for a topic.
pub async fn run(
    config: DoorsConfig,
    readers: BTreeMap<SourceId, mpsc::Sender<Switch>>,
    room: usize,
    mut fired: mpsc::Receiver<Alert>,
    clock: WallClock,
) {
    let mut topics = JoinSet::new();
    let mut lines = BTreeMap::new();
    for OutputConfig { name, drive } in config.outputs {
        let line = match drive {
            Drive::Gpo { reader, port } => {
                readers.get(&reader).map(|reader| Line::Gpo { port, reader: reader.clone() })
            }
            Drive::Topic(topic) => {
                let (sender, lane) = mpsc::channel(room);
                topics.spawn(topic::run(name.clone(), *topic, lane));
                Some(Line::Topic(sender))
            }
        };
        lines.extend(line.map(|line| (name, line)));
    }
    while let Some(alert) = fired.recv().await {
        for door in config.doors.iter().filter(|door| acts(door, &alert)) {
            act(door, &alert, &lines, &clock);
        }
    }
    drop(lines);
    while topics.join_next().await.is_some() {}
}

fn act(door: &DoorConfig, alert: &Alert, lines: &BTreeMap<String, Line>, clock: &WallClock) {
    let behind = alert.behind_its_door(clock.now()).unwrap_or_default();
    let until = Instant::now() + door.hold;
    for output in &door.outputs {
        if behind > door.fresh_for {
            tracing::info!(alert = %alert.key, door = %door.read_point, output, ?behind, "told too late for anybody to stand at the door still; it does not act");
            acted(output, "late");
            continue;
        }
        let taken = match lines.get(output) {
            Some(Line::Gpo { port, reader }) => reader.try_send(Switch { port: *port, until }).is_ok(),
            Some(Line::Topic(lane)) => lane.try_send(until).is_ok(),
            None => false,
        };
        if taken {
            tracing::info!(alert = %alert.key, door = %door.read_point, output, "the door acts");
        } else {
            tracing::error!(alert = %alert.key, door = %door.read_point, output, "an output takes no more: the door does not act on this alert");
            acted(output, "dropped");
        }
    }
}

#[cfg(test)]
mod tests;
