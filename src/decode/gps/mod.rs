//! Tracker payloads, one file a format.
