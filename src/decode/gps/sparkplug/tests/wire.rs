//! Any bytes: no panic, and an offset within them.

use proptest::prelude::*;

use super::*;

const KINDS: [&str; 7] = ["NBIRTH", "DBIRTH", "NDATA", "DDATA", "NDEATH", "DDEATH", "NCMD"];

/// Of few names, aliases and times, so that they meet.
fn any_metric() -> impl Strategy<Value = Vec<u8>> {
    let name =
        prop::option::of(prop::sample::select(vec!["lat", "lon", "speed", "utc", "fix", "bdSeq", "x"]));
    let value = prop_oneof![
        (-100.0..100.0).prop_map(double),
        any::<f64>().prop_map(double),
        any::<u64>().prop_map(|value| number(11, value)),
        (0_u64..3).prop_map(|value| number(10, value)),
        any::<bool>().prop_map(|on| number(14, u64::from(on))),
        Just(number(7, 1)),
        Just(Vec::new()),
        Just(bytes(18, &[])),
    ];
    let datatype = prop::option::of(0_u64..36);
    (name, prop::option::of(0_u64..5), 0..50_i64, datatype, any::<bool>(), value).prop_map(
        |(name, alias, second, datatype, is_past, value)| {
            let fields = [
                name.map(|name| bytes(1, name.as_bytes())).unwrap_or_default(),
                alias.map(|alias| number(2, alias)).unwrap_or_default(),
                datatype.map(|datatype| number(4, datatype)).unwrap_or_default(),
                number(5, u64::from(is_past)),
                value,
            ];
            metric(second, &fields)
        },
    )
}

fn any_message() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let metrics = prop::collection::vec(any_metric(), 0..8);
    (prop::sample::select(KINDS.to_vec()), 0_u64..6, 0..50_i64, metrics, prop::option::of(0_usize..60))
        .prop_map(|(kind, seq, second, metrics, cut)| {
            let mut message = payload(seq, second, &metrics);
            message.truncate(cut.unwrap_or(usize::MAX).max(1));
            (kind, message)
        })
}

/// As the journal has them, taken up by another run.
fn restarted(broker: &mut Broker, rows: &mut std::collections::BTreeMap<String, Vec<u8>>) {
    let mut written = Vec::new();
    broker.nodes.take_dirty("b", &mut written);
    for StateRow { key, value, .. } in written {
        match value {
            Some(value) => rows.insert(key, value),
            None => rows.remove(&key),
        };
    }
    let before = std::mem::replace(&mut broker.nodes, Nodes::new(&IntakeConfig::default()));
    for (key, value) in rows.iter() {
        broker.nodes.restore(key.strip_prefix("b#").unwrap(), value).unwrap();
    }
    assert_eq!(broker.nodes.count(), before.count());
}

proptest! {
    #[test]
    fn any_bytes_are_a_message_or_an_error_inside_of_them(message in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err(error) = Payload::parse(&message) {
            prop_assert!(error.offset <= message.len(), "{error}");
        }
        for kind in KINDS {
            if let Err(error) = Broker::born().send(kind, &message) {
                prop_assert!(error.offset <= message.len(), "{error}");
            }
        }
    }

    #[test]
    fn a_message_cut_anywhere_is_refused_or_a_shorter_one(cut in 0_usize..200) {
        let whole = payload(2, 10, &[told(1, 10, 50.1), named("x", 2, 10, 8.1), bd_seq(3)]);
        let cut = cut % whole.len();
        match Payload::parse(&whole[..cut]) {
            Ok(payload) => prop_assert!(payload.metrics.len() <= 3),
            Err(error) => prop_assert!(error.offset <= cut && ["empty", "truncated"].contains(&error.reason)),
        }
    }

    /// Whatever comes: nothing panics, each message gives something or says why not, and a restart after any message
    /// changes nothing of what follows.
    #[test]
    fn a_restart_after_any_message_is_invisible(messages in prop::collection::vec(any_message(), 0..30), at in 0_usize..30) {
        let (mut steady, mut broken) = (Broker::born(), Broker::born());
        let mut rows = std::collections::BTreeMap::new();
        for (nth, (kind, message)) in messages.iter().enumerate() {
            if nth == at {
                restarted(&mut broken, &mut rows);
            }
            let said = steady.says(kind, message);
            prop_assert!(!said.is_empty());
            prop_assert_eq!(said, broken.says(kind, message));
        }
        restarted(&mut broken, &mut rows);
    }
}
