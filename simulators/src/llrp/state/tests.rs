use super::*;
use crate::llrp::rospec::tests::SPEC;

fn state(capacity: usize) -> State {
    let capabilities = Capabilities::plain(2);
    let mut state = State::new(DeviceClock::exact(micros(0)), capabilities, [0; 8], capacity);
    let spec = RoSpec::parse(&SPEC).unwrap();
    state.rospecs.insert(spec.id, spec);
    state.reporting = true;
    state
}

fn read(at_us: i64) -> TagObservation {
    TagObservation { antenna: 1, epc: vec![1; 12], rssi_dbm: -50, at: micros(at_us), count: 1 }
}

#[test]
fn nothing_is_heard_without_an_active_rospec() {
    let mut state = state(10);
    assert_eq!(state.take(read(1), Radio::default()), Taken::NotListening);
    assert!(state.activate(5, micros(0)));
    assert_eq!(state.take(read(1), Radio::default()), Taken::Held);
    state.deactivate(5, SpecState::Disabled, micros(2));
    assert_eq!(state.take(read(3), Radio::default()), Taken::NotListening);
}

#[test]
fn a_report_waits_for_its_number_of_reads_and_the_rest_for_the_end() {
    let mut state = state(100);
    state.activate(5, micros(0));
    for at in 0..12 {
        state.take(read(at), Radio::default());
    }
    assert_eq!(state.next_report().unwrap().len(), 10);
    assert_eq!(state.next_report(), None);
    state.deactivate(5, SpecState::Inactive, micros(20));
    assert_eq!(state.next_report().unwrap().len(), 2);
}

#[test]
fn an_inventory_of_so_many_tags_ends_with_a_report_and_starts_again() {
    let mut state = state(100);
    let spec = state.rospecs.get_mut(&5).unwrap();
    (spec.inventory_reads, spec.report) = (Some(2), None);
    state.settings.report.every = 0;
    state.activate(5, micros(0));
    let mut reports = Vec::new();
    for at in 0..5 {
        state.take(read(at), Radio::default());
        reports.extend(state.next_report().map(|reads| reads.len()));
    }
    assert_eq!(reports, [2, 2]);
}

#[test]
fn two_reads_of_one_instant_become_two_instants() {
    let mut state = state(10);
    state.activate(5, micros(0));
    state.take(read(7), Radio::default());
    state.take(read(7), Radio::default());
    let at: Vec<_> = state.drain_held().iter().map(|read| read.observation.at.as_microsecond()).collect();
    assert_eq!(at, [7, 8]);
}

#[test]
fn a_full_buffer_drops_counts_and_says_so_once() {
    let mut state = state(2);
    state.activate(5, micros(0));
    let taken: Vec<_> = (0..4).map(|at| state.take(read(at), Radio::default())).collect();
    assert_eq!(taken, [Taken::Held, Taken::Held, Taken::Dropped, Taken::Dropped]);
    assert_eq!(state.counts, ReadCount { taken: 4, sent: 0, dropped: 2 });
    let event = state.next_event().unwrap();
    assert_eq!(event.0[4 + 12..], [0, 251, 0, 4]);
    assert_eq!(state.next_event(), None);
}

#[test]
fn what_was_held_is_kept_in_order_for_a_client_that_has_to_ask() {
    let mut state = state(100);
    state.settings.hold = true;
    state.activate(5, micros(0));
    state.disconnected();
    for at in 0..10 {
        state.take(read(at), Radio::default());
    }
    state.connected();
    assert_eq!(state.next_report(), None);
    state.reporting = true;
    let reads = state.next_report().unwrap();
    assert!(reads.is_sorted_by_key(|read| read.observation.at) && reads.len() == 10);
}

#[test]
fn a_power_cut_forgets_everything_but_the_counts() {
    let mut state = state(100);
    state.activate(5, micros(0));
    state.take(read(1), Radio::default());
    assert_eq!(state.reboot(micros(2)).len(), 1);
    assert_eq!(state.counts, ReadCount { taken: 1, sent: 0, dropped: 1 });
    assert_eq!(state.take(read(3), Radio::default()), Taken::NotListening);
}
