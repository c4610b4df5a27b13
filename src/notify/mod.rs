//! Committed alerts → the people on call. Never blocks the pipeline: it reads a board that holds the
//! latest of each alert, so that a slow receiver sees the newest state and no queue grows.

pub mod alertmanager;
mod board;

pub use board::Board;
