//! Which version of the protocol a session speaks (LLRP 1.1, section 9.1.3).
//!
//! 1.1 asks for the versions in a message that 1.0.1 does not know. So a reader may answer that, answer with an
//! error, say nothing, or close the connection; all but the first mean 1.0.1.

use std::time::Duration;

use tracing::{debug, info, warn};

use super::conversation::Conversation;
use super::loss::{Ended, Loss};
use crate::decode::llrp::numbers::message;
use crate::decode::llrp::{Message, Parameter, Value};
use crate::domain::ids::SourceId;

/// As the header writes them.
pub(super) const V1_0_1: u8 = 1;
pub(super) const V1_1: u8 = 2;

/// A reader that knows the question answers at once.
const WITHIN: Duration = Duration::from_secs(3);

/// Whoever talks to a reader, and deals with what comes in between.
pub(super) trait Asks {
    fn talk(&mut self) -> &mut Conversation;

    async fn ask_within(
        &mut self,
        within: Duration,
        kind: u16,
        values: Vec<Value>,
        parameters: Vec<Parameter>,
    ) -> Result<Message, Ended>;
}

/// Brings the conversation to the newest version that both sides speak. Gives whether it is worth to ask the reader
/// again in its next session: not where it said nothing, for which somebody would wait.
///
/// # Errors
/// [`Loss::VersionsUnknown`] where the reader does not survive the question.
pub(super) async fn negotiate(asker: &mut impl Asks, reader: &SourceId) -> Result<bool, Ended> {
    let answer = match asker.ask_within(WITHIN, message::GET_SUPPORTED_VERSION, vec![], vec![]).await {
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
        let set = asker.ask_within(WITHIN, message::SET_PROTOCOL_VERSION, vec![V1_1.into()], vec![]).await;
        if let Err(ended) = set {
            let why = fall_back(ended)?;
            warn!(%reader, "LLRP 1.0.1 is spoken on: {why}");
            return Ok(true);
        }
    }
    asker.talk().set_version(V1_1);
    info!(%reader, "LLRP 1.1 is spoken");
    Ok(true)
}

/// What says that the reader does not know the question; everything else ends the session.
fn fall_back(ended: Ended) -> Result<Loss, Ended> {
    match ended {
        Ended::Lost(loss) if loss.is_refusal() => Ok(loss),
        Ended::Lost(Loss::Closed | Loss::Read(_) | Loss::Write(_)) => Err(Loss::VersionsUnknown.into()),
        ended => Err(ended),
    }
}
