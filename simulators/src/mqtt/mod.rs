//! A tracker's side of MQTT 3.1.1 (OASIS, October 2014): publishes with QoS 1, keeps what the broker has not
//! acknowledged, and sends it again.

pub mod owntracks;
pub mod packets;
mod publisher;
mod tracker;

pub use publisher::{Outgoing, Publisher, PublisherOptions};
pub use tracker::{Position, Tracker, TrackerOptions};
