//! The command line, one file a subcommand.
pub mod dead_letters;
