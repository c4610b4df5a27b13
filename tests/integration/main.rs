//! The daemon's parts against real servers, in one binary.

mod mqtt_source;
mod servers;
