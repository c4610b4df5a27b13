//! Which version of the protocol a session speaks (LLRP 1.1, section 9.1.3).
//!
//! 1.1 asks for the versions in a message that 1.0.1 does not know. So a reader may answer that, answer with an
//! error, say nothing, or close the connection; all but the first mean 1.0.1.

use std::time::Duration;

use tracing::{debug, info, warn};

use super::loss::{Ended, Loss};
use super::session::Session;
use crate::decode::llrp::numbers::message;

/// As the header writes them.
pub(super) const V1_0_1: u8 = 1;
pub(super) const V1_1: u8 = 2;

/// A reader that knows the question answers at once.
const WITHIN: Duration = Duration::from_secs(3);

/// Brings the session to the newest version that both sides speak. Gives whether it is worth to ask the reader again
/// in its next session: not where it said nothing, for which somebody would wait.
///
/// # Errors
/// [`Loss::VersionsUnknown`] where the reader does not survive the question.
pub(super) async fn negotiate(session: &mut Session<'_>) -> Result<bool, Ended> {
    let reader = session.config.name.clone();
    let answer = match session.request_within(WITHIN, message::GET_SUPPORTED_VERSION, vec![], vec![]).await {
        Ok(answer) => answer,
        Err(ended) => {
            let why = fall_back(ended)?;
            debug!(%reader, "it speaks LLRP 1.0.1: {why}");
            return Ok(!matches!(why, Loss::NoResponse { .. }));
        }
    };
    let version = |name| answer.body.number(name).unwrap_or(0);
    let (current, supported) = (version("CurrentVersion"), version("SupportedVersion"));
    if supported < u64::from(V1_1) {
        return Ok(true);
    }
    if current != u64::from(V1_1) {
        let set =
            session.request_within(WITHIN, message::SET_PROTOCOL_VERSION, vec![V1_1.into()], vec![]).await;
        if let Err(ended) = set {
            let why = fall_back(ended)?;
            warn!(%reader, "LLRP 1.0.1 is spoken on: {why}");
            return Ok(true);
        }
    }
    session.set_version(V1_1);
    info!(%reader, "LLRP 1.1 is spoken");
    Ok(true)
}

/// What says that the reader does not know the question; everything else ends the session.
fn fall_back(ended: Ended) -> Result<Loss, Ended> {
    match ended {
        Ended::Lost(loss @ (Loss::Rejected { .. } | Loss::Undecodable { .. } | Loss::NoResponse { .. })) => {
            Ok(loss)
        }
        Ended::Lost(Loss::Closed | Loss::Read(_) | Loss::Write(_)) => Err(Loss::VersionsUnknown.into()),
        ended => Err(ended),
    }
}
