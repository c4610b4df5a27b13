//! Tests that need what a unit test has not: captured bytes, real servers, whole processes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod captures;
mod llrp_captures;
mod modbus_source;
mod mqtt_source;
mod servers;
