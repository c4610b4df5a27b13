//! Sparkplug B (Eclipse Sparkplug 3.0) → fixes: Protocol Buffers on topics that say what they are and of whom.
//!
//! ```text
//! topic ─▶ address ─┐                      ┌─▶ BIRTH: names, aliases, values ─┐
//! payload ─▶ metrics ┴▶ node ─▶ its order ─┼─▶ DATA: what changed, by alias ──┼─▶ update ─▶ Fix
//!                                          └─▶ DEATH                          └─▶ rows of state
//! ```
//! It is the one format whose messages do not stand for themselves, so its decoder has a memory, which goes to the
//! journal with what it made ([`Nodes`]). NCMD, DCMD and STATE are for others and are left aside. Plausibility (null
//! island, jumps, stale times) is not judged here.

mod address;
mod aliases;
mod column;
mod device;
mod heard;
mod mapping;
mod node;
mod nodes;
mod payload;
mod rebirth;
mod rows;
mod wire;

pub use address::{Address, MessageKind};
pub use mapping::{MetricMapping, Part, Units};
pub use nodes::Nodes;
pub use payload::{MOST_METRICS, Meaning, Metric, Payload, Value};

use super::message::Message;
use crate::decode::{DecodeError, Decoded};
use crate::domain::ids::DeviceId;

/// One message. `named`: what the topic's levels in braces say of whom it is; without them the group and the edge node
/// do. A device has its own id behind that.
///
/// # Errors
/// Reasons: `topic`, `device`, and those of [`Nodes::decode`].
pub fn decode(
    nodes: &mut Nodes,
    mapping: &MetricMapping,
    message: Message<'_>,
    named: Option<&DeviceId>,
    out: &mut Decoded,
) -> Result<(), DecodeError> {
    let address = Address::parse(message.topic)?;
    let mut name = match named {
        Some(named) => named.to_string(),
        None if address.kind == MessageKind::State => address.node.to_owned(),
        None => format!("{}/{}", address.group, address.node),
    };
    if let Some(device) = address.device {
        name = format!("{name}/{device}");
    }
    let device = super::device(&name)?;
    nodes.decode(address, &device, mapping, message, out)
}

#[cfg(test)]
mod tests;
