//! What the reader answers to each message. No socket, no clock: time is an argument.

use jiff::Timestamp;

use super::capabilities::{self, IMPINJ, MAX_ROSPECS, TEMPERATURE};
use super::rospec::{RoSpec, SpecError, SpecState};
use super::settings::{Settings, Shown};
use super::state::{State, spec_id};
use super::wire::{self, Header, In, Out};
use super::{message, status};

/// What goes back, and whether the connection ends behind it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Reply {
    pub bytes: Vec<u8>,
    pub close: bool,
}

/// A status that is not success, with what a person needs to know.
pub(super) type Refusal = (u16, String);

impl State {
    /// Answers one message that arrived at `now`.
    pub fn handle(&mut self, header: Header, body: &[u8], now: Timestamp) -> Reply {
        let mut reply = self.reply(header, body, now);
        // What is said of versions is said as 1.1.
        let is_of_versions =
            matches!(header.kind, message::GET_SUPPORTED_VERSION | message::SET_PROTOCOL_VERSION);
        let speaks = self.capabilities.version;
        wire::set_version(&mut reply.bytes, if is_of_versions { speaks } else { self.version });
        reply
    }

    fn reply(&mut self, header: Header, body: &[u8], now: Timestamp) -> Reply {
        if self.capabilities.version > 1 {
            match header.kind {
                message::GET_SUPPORTED_VERSION if header.version == 2 => return self.versions(header),
                message::SET_PROTOCOL_VERSION if header.version == 2 => {
                    return self.set_version(header, body);
                }
                _ => {}
            }
        }
        if header.version != self.version {
            return error(header.id, status::UNSUPPORTED_VERSION, "this is not the version that is spoken");
        }
        match header.kind {
            message::KEEPALIVE_ACK | message::CLIENT_REQUEST_OP_RESPONSE => Reply::default(),
            message::ENABLE_EVENTS_AND_REPORTS => {
                self.reporting = true;
                self.flush = true;
                Reply::default()
            }
            message::GET_REPORT => {
                (self.report_asked, self.flush) = (true, true);
                Reply::default()
            }
            message::CLOSE_CONNECTION => {
                let bytes = wire::message(message::CLOSE_CONNECTION_RESPONSE, header.id, success);
                Reply { bytes, close: true }
            }
            message::CUSTOM_MESSAGE => self.custom(header, body),
            message::GET_READER_CAPABILITIES => self.get_capabilities(header.id, body),
            message::GET_READER_CONFIG => self.get_config(header.id, body),
            message::GET_ROSPECS => self.answer(header, Ok(()), |state, out| {
                state.rospecs.values().for_each(|spec| spec.write(out));
            }),
            message::GET_ACCESSSPECS => self.answer(header, Ok(()), |state, out| {
                state.accessspecs.values().for_each(|spec| {
                    out.bytes(spec);
                });
            }),
            _ => self.change(header, body, now),
        }
    }

    fn versions(&self, header: Header) -> Reply {
        let bytes = wire::message(header.kind + 10, header.id, |out| {
            out.u8(self.version).u8(self.capabilities.version);
            success(out);
        });
        Reply { bytes, close: false }
    }

    fn set_version(&mut self, header: Header, body: &[u8]) -> Reply {
        let wanted = In(body).u8().unwrap_or(0);
        let known = (1..=self.capabilities.version).contains(&wanted);
        if known {
            self.version = wanted;
        }
        let refused = || (status::UNSUPPORTED_VERSION, format!("version {wanted} is not spoken"));
        self.answer(header, known.then_some(()).ok_or_else(refused), |_, _| {})
    }

    /// Impinj's ENABLE_EXTENSIONS; no other message of any maker is known.
    fn custom(&mut self, header: Header, body: &[u8]) -> Reply {
        let mut input = In(body);
        let asked = input.u32().and_then(|maker| input.u8().map(|subtype| (maker, subtype)));
        if asked != Ok((IMPINJ, 21)) || self.capabilities.maker != IMPINJ {
            let what = "no such message of any maker is supported";
            return error(header.id, status::UNSUPPORTED_MESSAGE, what);
        }
        self.extended = true;
        let bytes = wire::message(message::CUSTOM_MESSAGE, header.id, |out| {
            out.u32(IMPINJ).u8(22);
            success(out);
        });
        Reply { bytes, close: false }
    }

    /// Messages whose answer is a status and no more.
    fn change(&mut self, header: Header, body: &[u8], now: Timestamp) -> Reply {
        let done = match header.kind {
            message::SET_READER_CONFIG => self.set_config(body),
            message::ADD_ROSPEC => self.add_rospec(body),
            message::DELETE_ROSPEC => self.each_rospec(body, |state, id| {
                state.deactivate(id, SpecState::Disabled, now);
                state.rospecs.remove(&id);
                Ok(())
            }),
            message::START_ROSPEC => self.one_rospec(body, |state, id| state.start(id, now)),
            message::STOP_ROSPEC => self.one_rospec(body, |state, id| state.stop(id, now)),
            message::ENABLE_ROSPEC => self.each_rospec(body, |state, id| state.enable(id, now)),
            message::DISABLE_ROSPEC => self.each_rospec(body, |state, id| {
                state.deactivate(id, SpecState::Disabled, now);
                Ok(())
            }),
            message::ADD_ACCESSSPEC => self.add_accessspec(body),
            message::DELETE_ACCESSSPEC => self.delete_accessspec(body),
            message::ENABLE_ACCESSSPEC => self.set_accessspec(body, true),
            message::DISABLE_ACCESSSPEC => self.set_accessspec(body, false),
            kind => {
                let what = format!("message type {kind} is not supported");
                return error(header.id, status::UNSUPPORTED_MESSAGE, &what);
            }
        };
        self.answer(header, done, |_, _| {})
    }

    /// The response to `header`'s message: type + 10, the status, and on success what `rest` writes.
    fn answer(&self, header: Header, done: Result<(), Refusal>, rest: impl FnOnce(&Self, &mut Out)) -> Reply {
        let bytes = wire::message(header.kind + 10, header.id, |out| match &done {
            Ok(()) => {
                success(out);
                rest(self, out);
            }
            Err((code, why)) => refusal(*code, why, out),
        });
        Reply { bytes, close: false }
    }

    fn get_capabilities(&self, id: u32, body: &[u8]) -> Reply {
        let header = Header { version: 1, kind: message::GET_READER_CAPABILITIES, length: 0, id };
        let requested = In(body).u8().map_err(|error| (status::PARAMETER_ERROR, error.to_string()));
        let checked = requested.and_then(|requested| match capabilities::known(requested) {
            true => Ok(requested),
            false => Err((status::FIELD_ERROR, format!("requested data {requested} is not 0 to 4"))),
        });
        let requested = checked.clone().unwrap_or_default();
        self.answer(header, checked.map(|_| ()), |state, out| {
            capabilities::write(&state.capabilities, requested, out);
        })
    }

    fn get_config(&self, id: u32, body: &[u8]) -> Reply {
        let header = Header { version: 1, kind: message::GET_READER_CONFIG, length: 0, id };
        let checked = self.read_config_request(body);
        // ImpinjRequestedData, behind the seven bytes of fields.
        let wants_temperature = body.get(7..).is_some_and(|rest| {
            let asked = In(rest).parameters().unwrap_or_default();
            asked.iter().any(|custom| custom.kind == 1023 && custom.body.ends_with(&2004u32.to_be_bytes()))
        });
        let (antenna, requested) = checked.clone().unwrap_or_default();
        self.answer(header, checked.map(|_| ()), |state, out| {
            let antennas = state.capabilities.antennas;
            let (identity, inputs) = (&state.identity, &state.inputs);
            state.settings.write(&Shown { antennas, identity, inputs, requested, antenna }, out);
            if wants_temperature && state.extended {
                out.tlv(1023, |out| {
                    out.u32(IMPINJ).u32(37).u16(TEMPERATURE as u16);
                });
            }
        })
    }

    fn read_config_request(&self, body: &[u8]) -> Result<(u16, u8), Refusal> {
        let mut input = In(body);
        let fields = input.u16().and_then(|antenna| input.u8().map(|requested| (antenna, requested)));
        let (antenna, requested) = fields.map_err(|error| (status::PARAMETER_ERROR, error.to_string()))?;
        if antenna > self.capabilities.antennas {
            return Err((status::FIELD_ERROR, format!("no antenna {antenna}")));
        }
        match Settings::known(requested) {
            true => Ok((antenna, requested)),
            false => Err((status::FIELD_ERROR, format!("requested data {requested} is not 0 to 11"))),
        }
    }

    fn set_config(&mut self, body: &[u8]) -> Result<(), Refusal> {
        let refused = |error: wire::WireError| (status::PARAMETER_ERROR, error.to_string());
        let mut input = In(body);
        let reset = input.u8().map_err(refused)? & 0x80 != 0;
        let mut settings = if reset { Settings::default() } else { self.settings.clone() };
        for parameter in input.parameters().map_err(refused)? {
            settings.set(&parameter, self.capabilities.antennas).map_err(refused)?;
        }
        self.settings = settings;
        Ok(())
    }

    fn add_rospec(&mut self, body: &[u8]) -> Result<(), Refusal> {
        let spec = RoSpec::parse(body).map_err(|error| {
            let code = match &error {
                SpecError::Wire(_) => status::PARAMETER_ERROR,
                SpecError::Missing(_) => status::MISSING_PARAMETER,
                SpecError::Id | SpecError::State => status::FIELD_ERROR,
            };
            (code, error.to_string())
        })?;
        if self.rospecs.contains_key(&spec.id) {
            return Err((status::FIELD_ERROR, format!("ROSpec {} is there already", spec.id)));
        }
        if let Some(antenna) = spec.antennas.iter().find(|a| **a > self.capabilities.antennas) {
            return Err((status::FIELD_ERROR, format!("no antenna {antenna}")));
        }
        if self.rospecs.len() >= MAX_ROSPECS as usize {
            return Err((status::OVERFLOW_PARAMETER, format!("{MAX_ROSPECS} ROSpecs are there already")));
        }
        self.rospecs.insert(spec.id, spec);
        Ok(())
    }

    /// Id 0 stands for all of them.
    fn each_rospec(
        &mut self,
        body: &[u8],
        mut change: impl FnMut(&mut Self, u32) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        if spec_id(body) == Ok(0) {
            let ids: Vec<u32> = self.rospecs.keys().copied().collect();
            return ids.into_iter().try_for_each(|id| change(self, id));
        }
        self.one_rospec(body, change)
    }

    fn one_rospec(
        &mut self,
        body: &[u8],
        change: impl FnOnce(&mut Self, u32) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let id = spec_id(body).map_err(|error| (status::PARAMETER_ERROR, error.to_string()))?;
        if !self.rospecs.contains_key(&id) {
            return Err((status::FIELD_ERROR, format!("no ROSpec {id}")));
        }
        change(self, id)
    }

    fn state_of(&self, id: u32) -> Option<SpecState> {
        self.rospecs.get(&id).map(|spec| spec.state)
    }

    fn start(&mut self, id: u32, now: Timestamp) -> Result<(), Refusal> {
        match self.state_of(id) {
            Some(SpecState::Inactive) if self.activate(id, now) => Ok(()),
            Some(SpecState::Inactive) => Err((status::FIELD_ERROR, "another ROSpec is active".into())),
            Some(SpecState::Active) => Err((status::FIELD_ERROR, format!("ROSpec {id} is active already"))),
            _ => Err((status::FIELD_ERROR, format!("ROSpec {id} is disabled"))),
        }
    }

    fn stop(&mut self, id: u32, now: Timestamp) -> Result<(), Refusal> {
        match self.state_of(id) {
            Some(SpecState::Active) => {
                self.deactivate(id, SpecState::Inactive, now);
                Ok(())
            }
            _ => Err((status::FIELD_ERROR, format!("ROSpec {id} is not active"))),
        }
    }

    fn enable(&mut self, id: u32, now: Timestamp) -> Result<(), Refusal> {
        let Some(spec) = self.rospecs.get_mut(&id) else { return Ok(()) };
        if spec.state == SpecState::Disabled {
            spec.state = SpecState::Inactive;
            if spec.immediate {
                self.activate(id, now);
            }
        }
        Ok(())
    }
}

fn success(out: &mut Out) {
    refusal(status::SUCCESS, "", out);
}

/// LLRPStatus (section 14.1.2).
fn refusal(code: u16, why: &str, out: &mut Out) {
    out.tlv(287, |out| {
        out.u16(code).text(why);
        if code == status::FIELD_ERROR {
            out.tlv(288, |out| {
                out.u16(0).u16(status::INVALID);
            });
        }
    });
}

/// ERROR_MESSAGE (section 14.1).
pub(super) fn error(id: u32, code: u16, why: &str) -> Reply {
    let bytes = wire::message(message::ERROR_MESSAGE, id, |out| refusal(code, why, out));
    Reply { bytes, close: false }
}

#[cfg(test)]
mod tests;
