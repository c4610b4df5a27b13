//! The daemon's parts against real servers, in one binary.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod modbus_source;
mod mqtt_source;
mod servers;
