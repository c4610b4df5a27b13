//! llrp source.
