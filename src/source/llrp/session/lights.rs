//! The reader's outputs, as long as the session lasts.

use tracing::{debug, warn};

use super::Session;
use crate::decode::llrp::framing::Header;
use crate::decode::llrp::numbers::{message, parameter as number};
use crate::decode::llrp::{Message, build};
use crate::source::llrp::answers::status_of;
use crate::source::llrp::loss::Ended;
use crate::source::llrp::outputs::{Answered, Turn};

impl Session<'_> {
    /// Brings every output to what it should be.
    pub async fn show_outputs(&mut self) -> Result<(), Ended> {
        for turn in self.outputs.begin() {
            self.turn(turn).await?;
        }
        self.shows_outputs = true;
        Ok(())
    }

    /// Switches an output. Whether the reader did it is told by its answer, for which nothing waits.
    pub(super) async fn turn(&mut self, turn: Turn) -> Result<(), Ended> {
        let write = build::parameter(number::GPO_WRITE_DATA, [turn.port.into(), turn.on.into()], vec![]);
        let id = self.send(message::SET_READER_CONFIG, vec![false.into()], vec![write]).await?;
        self.outputs.told(id, turn);
        Ok(())
    }

    /// What the reader says of an output. One that it cannot switch is no reason to end the session.
    pub(super) fn note_turn(&mut self, answer: &[u8]) -> bool {
        let Some(header) = Header::read(answer) else { return false };
        let status = Message::decode(answer).map(|answer| status_of(&answer.body));
        let taken = header.message_type != message::ERROR_MESSAGE && matches!(status, Ok((0, _)));
        let Some(Answered { turn, output, repeated }) = self.outputs.answered(header.id, taken) else {
            return false;
        };
        let (reader, port, on) = (&self.config.name, turn.port, turn.on);
        match (taken, repeated) {
            (true, _) => {}
            (false, false) => {
                warn!(%reader, output, port, on, ?status, "the reader did not switch an output; it is told again");
            }
            (false, true) => {
                debug!(%reader, output, port, on, ?status, "the reader still does not switch an output");
            }
        }
        true
    }

    /// Waits for something, and switches outputs while it lasts.
    pub async fn meanwhile(&mut self, waiting: impl Future<Output = Result<(), Ended>>) -> Result<(), Ended> {
        let mut waiting = std::pin::pin!(waiting);
        let mut switched = Ok(());
        loop {
            tokio::select! {
                biased;
                done = &mut waiting => return done.and(switched),
                turn = self.outputs.next(), if self.shows_outputs && switched.is_ok() => {
                    // Also where the connection is lost meanwhile, what is waited for comes first.
                    switched = self.turn(turn).await;
                }
            }
        }
    }
}
