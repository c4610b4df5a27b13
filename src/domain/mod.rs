//! The words of the trade as types: ids, time, readings, sightings, events, alerts, commands.
//!
//! Everything here is plain data. Nothing in this module does I/O or looks at a clock.

pub mod alerts;
pub mod audits;
pub mod books;
pub mod calendar;
pub mod commands;
pub mod epc;
pub mod epc_pattern;
pub mod erasure;
pub mod events;
pub mod few;
pub mod frames;
pub mod geodesy;
pub mod health;
pub mod ids;
pub mod integrity;
pub mod json;
pub mod motion;
pub mod orders;
pub mod proposals;
pub mod readiness;
pub mod readings;
pub mod register;
mod schema;
pub mod shape;
pub mod sightings;
pub mod state;
pub mod tag_filter;
pub mod time;
