//! Tests that need what a unit test has not: captured bytes, real servers, whole processes.

mod captures;
mod llrp_captures;
mod mqtt_source;
mod servers;
