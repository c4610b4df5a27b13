//! Edge nodes and devices as the journal has them: a row each, so that a message rewrites those that it is about.

use super::node::Node;
use super::nodes::Nodes;
use crate::domain::state::{StateKind, StateRow};

impl Nodes {
    /// Rows that changed since the last call; `of`: the broker.
    pub fn take_dirty(&mut self, of: &str, rows: &mut Vec<StateRow>) {
        for key in std::mem::take(&mut self.dirty) {
            let row_key = format!("{of}#{key}");
            let (node_key, device) = split(&key);
            let node = self.nodes.get(node_key);
            let row = match (node, device) {
                (Some(node), None) => Some(StateRow::put(StateKind::Sparkplug, &row_key, node)),
                (Some(node), Some(name)) => {
                    let device = node.devices.get(name);
                    device.map(|device| StateRow::put(StateKind::Sparkplug, &row_key, device))
                }
                (None, _) => None,
            };
            rows.push(row.unwrap_or_else(|| StateRow::delete(StateKind::Sparkplug, row_key)));
        }
    }

    /// Takes up a row; those of nodes come before those of their devices, as they do in the order of keys.
    pub fn restore(&mut self, key: &str, value: &[u8]) -> Result<(), serde_json::Error> {
        let (node_key, device) = split(key);
        match (device, self.nodes.get_mut(node_key)) {
            (None, _) => {
                let node: Node = serde_json::from_slice(value)?;
                self.nodes.insert(key.to_owned(), node);
                self.count += 1;
            }
            (Some(name), Some(node)) => {
                node.devices.insert(name.to_owned(), serde_json::from_slice(value)?);
                self.count += 1;
            }
            // Of a node that is no more.
            (Some(_), None) => _ = self.dirty.insert(key.to_owned()),
        }
        Ok(())
    }
}

/// `GROUP/NODE/DEVICE`, the last not always there.
fn split(key: &str) -> (&str, Option<&str>) {
    let Some(at) = key.match_indices('/').nth(1).map(|(at, _)| at) else { return (key, None) };
    (&key[..at], Some(&key[at + 1..]))
}
