//! What is answered, message by message.

use super::*;
use crate::clock::{DeviceClock, micros};
use crate::llrp::capabilities::Capabilities;
use crate::llrp::rospec::tests::SPEC;

fn reader() -> State {
    let capabilities = Capabilities::plain(4);
    State::new(DeviceClock::exact(micros(0)), capabilities, [0; 8], 100)
}

fn ask(state: &mut State, kind: u16, body: &[u8]) -> Vec<u8> {
    let header = Header { version: 1, kind, length: 10 + body.len(), id: 7 };
    state.handle(header, body, micros(0)).bytes
}

/// Type of the answer, and its status code.
fn outcome(bytes: &[u8]) -> (u16, u16) {
    let (header, body) = wire::split(bytes).unwrap().unwrap();
    (header.kind, In(In(body).parameters().unwrap()[0].body).u16().unwrap())
}

#[test]
fn an_rospec_goes_through_its_states() {
    let mut state = reader();
    let id = [0, 0, 0, 5];
    assert_eq!(outcome(&ask(&mut state, message::ADD_ROSPEC, &SPEC)), (30, 0));
    assert_eq!(outcome(&ask(&mut state, message::ADD_ROSPEC, &SPEC)), (30, 101), "there already");
    assert_eq!(outcome(&ask(&mut state, message::START_ROSPEC, &id)), (32, 101), "disabled");
    assert_eq!(outcome(&ask(&mut state, message::STOP_ROSPEC, &id)), (33, 101), "disabled");
    assert_eq!(outcome(&ask(&mut state, message::ENABLE_ROSPEC, &id)), (34, 0));
    assert_eq!(state.state_of(5), Some(SpecState::Active), "its start trigger is immediate");
    assert_eq!(outcome(&ask(&mut state, message::STOP_ROSPEC, &id)), (33, 0));
    assert_eq!(outcome(&ask(&mut state, message::START_ROSPEC, &id)), (32, 0));
    assert_eq!(outcome(&ask(&mut state, message::DELETE_ROSPEC, &[0; 4])), (31, 0), "all of them");
    assert_eq!(outcome(&ask(&mut state, message::DELETE_ROSPEC, &id)), (31, 101), "gone");
}

#[test]
fn rospecs_are_shown_as_they_were_added_with_their_state() {
    let mut state = reader();
    ask(&mut state, message::ADD_ROSPEC, &SPEC);
    ask(&mut state, message::ENABLE_ROSPEC, &[0; 4]);
    let bytes = ask(&mut state, message::GET_ROSPECS, &[]);
    let mut want = SPEC.to_vec();
    want[9] = SpecState::Active as u8;
    assert_eq!(bytes[18..], want);
}

#[test]
fn another_version_and_an_unknown_type_are_errors() {
    let mut state = reader();
    let header = Header { version: 2, kind: 46, length: 10, id: 7 };
    assert_eq!(outcome(&state.handle(header, &[], micros(0)).bytes), (100, 110));
    assert_eq!(outcome(&ask(&mut state, 46, &[])), (100, 109));
    assert_eq!(outcome(&ask(&mut state, 1023, &[0; 5])), (100, 109));
}

#[test]
fn short_and_malformed_bodies_are_parameter_errors() {
    let mut state = reader();
    assert_eq!(outcome(&ask(&mut state, message::ADD_ROSPEC, &SPEC[..40])), (30, 100));
    assert_eq!(outcome(&ask(&mut state, message::START_ROSPEC, &[0])), (32, 100));
    assert_eq!(outcome(&ask(&mut state, message::SET_READER_CONFIG, &[])), (13, 100));
    assert_eq!(outcome(&ask(&mut state, message::GET_READER_CAPABILITIES, &[9])), (11, 101));
}

#[test]
fn closing_is_answered_and_closes() {
    let header = Header { version: 1, kind: message::CLOSE_CONNECTION, length: 10, id: 3 };
    let reply = reader().handle(header, &[], micros(0));
    assert!(reply.close);
    assert_eq!(reply.bytes, [4, 4, 0, 0, 0, 18, 0, 0, 0, 3, 1, 31, 0, 8, 0, 0, 0, 0]);
}
