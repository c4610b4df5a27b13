//! The HTTP API: reads the journal; commands go in through `track`.
