//! Names of all metrics, by stage. Base units; counters end in `_total`; no label holds an asset or a tag.

// LLRP sources.
/// 1 while a session is set up.
pub const LLRP_CONNECTED: &str = "tallyman_llrp_connected";
/// Connections that failed or were lost, by reason.
pub const LLRP_LOSSES: &str = "tallyman_llrp_losses_total";
/// Stretches of bytes that were no message, by reason; each is a dead letter.
pub const LLRP_UNFRAMED: &str = "tallyman_llrp_unframed_total";
