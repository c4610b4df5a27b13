//! The Low Level Reader Protocol on the wire (EPCglobal LLRP 1.0.1 and 1.1), both directions.
//!
//! ```text
//! bytes ── framing ──▶ one message ──┬── tree ──▶ every field by its name (settings, answers, `decode llrp`)
//!                                    └── report ─▶ tag reads and reader events, without the tree
//! ```
//!
//! `definitions` says what the standard says, as tables; `read`, `write` and `json` follow them.
//! Nothing here touches a socket or a clock, and no input makes it panic: every length is checked
//! before it is believed, and nesting is limited.

pub mod build;
mod cursor;
pub mod definitions;
pub mod framing;
mod json;
pub mod numbers;
mod read;
mod report;
mod tree;
mod walk;
mod write;

pub use report::ReportDecoder;
pub use tree::{Body, Message, Parameter, Prefix, Value};
pub use write::EncodeError;
