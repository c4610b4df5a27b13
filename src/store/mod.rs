//! Journal → TimescaleDB, exactly once, in batches.
