//! Register blocks → samples.
