//! Tracker payloads, one file a format.

pub mod owntracks;
