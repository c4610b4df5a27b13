//! Metric names and events in one place, the exporter, health.

pub mod names;
