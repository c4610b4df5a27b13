//! Tests that need what a unit test has not: captured bytes, real servers, whole processes. A test whose
//! server is not there says so by name and passes, unless `TALLYMAN_REQUIRE_SERVERS=1`: then it fails.
//! `deploy/dev/test` sets everything up.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod alerting;
mod api;
mod audits;
mod bad_input;
mod captures;
mod cli;
mod coalescing;
mod daemon;
mod door;
mod fleet;
mod formats;
mod hostile;
mod journal_faults;
mod kill;
mod llrp_captures;
mod llrp_properties;
#[cfg(feature = "demo")]
mod mbpoll;
mod memory;
mod metrics;
mod modbus_hostile;
mod modbus_line;
mod modbus_mixed;
mod modbus_profiles;
mod modbus_serial;
mod modbus_source;
mod modbus_tls;
mod month;
mod mqtt_source;
mod nmea_captures;
mod nmea_source;
mod outage;
#[path = "../baselines/mod.rs"]
mod peers;
mod people;
mod plant;
mod portal;
mod processes;
mod purity;
mod pymodbus;
mod readers;
mod readme;
mod relay;
mod serial_source;
mod servers;
mod source;
mod sparkplug;
mod stopping;
mod teltonika_source;
mod timescale;
mod tshark;
mod walk;
mod zones;
