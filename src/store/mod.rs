//! Journal → TimescaleDB, exactly once, in batches.
//!
//! A store stands behind the journal: nothing waits for it, and it never acknowledges anything to a source.

pub mod timescale;
