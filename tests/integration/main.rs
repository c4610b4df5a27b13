//! Everything that is tested from outside the crate, in one binary.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod captures;
mod llrp_captures;
mod llrp_properties;
