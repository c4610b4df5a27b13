//! The stage as a whole: what goes in, what comes out, and that a crash in between changes nothing.

mod portal;
