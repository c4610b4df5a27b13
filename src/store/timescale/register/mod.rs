//! The register in the database: a mirror of the journal's, or the register itself.

pub mod mirror;
pub mod rows;
