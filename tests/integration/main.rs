//! Everything that is tested from outside the crate, in one binary.

mod captures;
mod llrp_captures;
