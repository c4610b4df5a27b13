//! Tallyman: RFID gates, GPS trackers and condition sensors in; location events, condition events
//! and alerts out.
//!
//! ```text
//! readers, trackers, sensors → source → decode → clean → track → journal → { store · notify · web }
//!                               I/O      pure     pure    pure     I/O          I/O
//! ```

pub mod clean;
pub mod cli;
pub mod config;
pub mod decode;
pub mod domain;
pub mod epcis;
pub mod journal;
pub mod live;
pub mod notify;
pub mod pipeline;
pub mod source;
pub mod store;
pub mod telemetry;
pub mod track;
pub mod trust;
pub mod web;
