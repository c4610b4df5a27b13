//! AccessSpecs (section 12): kept and shown. The tags of this reader have no memory, so no access is ever made; but
//! where one leaves to the client what is done with a tag, the client is asked.

use super::capabilities::MAX_ACCESSSPECS;
use super::dispatch::Refusal;
use super::state::{State, spec_id};
use super::status;
use super::wire::{In, WireError};

/// Where an AccessSpec parameter says whether it is enabled: type, length, id, antenna, protocol, then it.
const STATE_AT: usize = 11;
const ENABLED: u8 = 0x80;
/// Its parameters, behind the ROSpec's id.
const PARTS_AT: usize = 16;

impl State {
    pub fn add_accessspec(&mut self, body: &[u8]) -> Result<(), Refusal> {
        let parameters = In(body).parameters().map_err(malformed)?;
        let missing = || (status::MISSING_PARAMETER, "AccessSpec is missing".to_owned());
        let spec = parameters.iter().find(|p| p.kind == 207).ok_or_else(missing)?;
        let id = spec_id(spec.body).map_err(malformed)?;
        if spec.whole.len() <= STATE_AT || id == 0 || self.accessspecs.contains_key(&id) {
            return Err((status::FIELD_ERROR, format!("AccessSpec {id} cannot be added")));
        }
        if self.accessspecs.len() >= MAX_ACCESSSPECS as usize {
            return Err((
                status::OVERFLOW_PARAMETER,
                format!("{MAX_ACCESSSPECS} AccessSpecs are there already"),
            ));
        }
        self.accessspecs.insert(id, spec.whole.to_vec());
        Ok(())
    }

    /// Id 0 stands for all of them.
    pub fn delete_accessspec(&mut self, body: &[u8]) -> Result<(), Refusal> {
        let id = spec_id(body).map_err(malformed)?;
        if id == 0 {
            self.accessspecs.clear();
            return Ok(());
        }
        let gone = self.accessspecs.remove(&id);
        gone.map(|_| ()).ok_or_else(|| (status::FIELD_ERROR, format!("no AccessSpec {id}")))
    }

    pub fn set_accessspec(&mut self, body: &[u8], enabled: bool) -> Result<(), Refusal> {
        let id = spec_id(body).map_err(malformed)?;
        if id != 0 && !self.accessspecs.contains_key(&id) {
            return Err((status::FIELD_ERROR, format!("no AccessSpec {id}")));
        }
        for (_, spec) in self.accessspecs.iter_mut().filter(|(known, _)| id == 0 || **known == id) {
            spec[STATE_AT] = spec[STATE_AT] & !ENABLED | if enabled { ENABLED } else { 0 };
        }
        Ok(())
    }

    /// An enabled AccessSpec leaves to the client what is done with each tag (ClientRequestOpSpec).
    pub fn asks_client(&self) -> bool {
        self.accessspecs.values().any(|spec| spec[STATE_AT] & ENABLED != 0 && holds_client_request(spec))
    }
}

fn holds_client_request(spec: &[u8]) -> bool {
    let parts = |bytes| In(bytes).parameters().unwrap_or_default();
    let commands = parts(spec.get(PARTS_AT..).unwrap_or_default());
    commands
        .iter()
        .filter(|part| part.kind == 209)
        .any(|command| parts(command.body).iter().any(|op| op.kind == 210))
}

fn malformed(error: WireError) -> Refusal {
    (status::PARAMETER_ERROR, error.to_string())
}
