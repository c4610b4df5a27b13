//! Edge nodes through the whole machine: what aliases mean is committed with what was made of it.

use super::*;

/// Another implementation's messages of noon and the minutes after it.
const PEERS: &str = include_str!("../../../../tests/sparkplug/peers.txt");

fn configured(state: Vec<(StateKind, String, Vec<u8>)>, topic: &str) -> Core {
    let text =
        CONFIG.replacen("[[broker.topic]]", &format!("[[broker.topic]]\n{topic}\n[[broker.topic]]"), 1);
    let mut core = Core::new(&config::parse(&text, Path::new("."), &|_| None).unwrap(), state).unwrap();
    core.started(None, Timestamp::from_secs(NOON));
    let (source, at) = ("fleet".into(), Timestamp::from_secs(NOON));
    core.intake(Intake::Link(LinkChange { source, at, state: LinkState::Up { replaying: false } }));
    core
}

const ALL: &str = "filter = \"spBv1.0/#\"\nformat = \"sparkplug-b\"";

fn sent(nth: usize, line: &str) -> Intake {
    let (topic, digits) = line.split_once(' ').unwrap();
    Intake::Frame(Frame {
        source: "fleet".into(),
        received_at: Timestamp::from_secs(NOON + 1000 + nth as i64),
        payload: Payload::Mqtt {
            topic: topic.into(),
            payload: hex::decode(digits).unwrap(),
            retained: false,
            redelivered: false,
        },
        ack: Some(AckToken { generation: 1, ordinal: nth as u64, packet_id: nth as u16 + 1, bytes: 0 }),
    })
}

/// Seconds after noon, latitude and longitude of the fixes.
fn fixes(groups: &[Group]) -> Vec<(i64, f64, f64)> {
    let events = groups.iter().flat_map(|group| &group.batch.events);
    let fixes = events.filter_map(|event| match &event.body {
        EventBody::Fix(fix) => {
            let second = fix.observed_at.micros_after(Timestamp::from_secs(NOON)) / 1_000_000;
            Some((second, fix.position.lat, fix.position.lon))
        }
        _ => None,
    });
    fixes.collect()
}

const EXPECTED: [(i64, f64, f64); 7] = [
    (0, 52.5, 13.25),
    (10, 52.501, 13.251),
    (20, 52.502, 13.251),
    (12, 52.5012, 13.2512),
    (14, 52.5014, 13.2514),
    (100, 50.5, 8.25),
    (110, 50.501_953_125, 8.25),
];

#[test]
fn a_crash_between_any_two_messages_loses_nothing_and_doubles_nothing() {
    let lines: Vec<&str> = PEERS.lines().collect();
    for restart in 0..=lines.len() {
        let mut groups = Vec::new();
        let mut core = configured(Vec::new(), ALL);
        for (nth, line) in lines[..restart].iter().enumerate() {
            core.intake(sent(nth, line));
            groups.push(core.take_group());
        }
        // What is not committed is delivered again, and so is the last of what is: its acknowledgement was lost.
        for line in &lines[restart..] {
            core.intake(sent(restart, line));
        }
        let again = restart.saturating_sub(1);
        let mut core = configured(rows(&groups), ALL);
        for (nth, line) in (again..).zip(&lines[again..]) {
            core.intake(sent(nth, line));
        }
        groups.push(core.take_group());
        let letters: Vec<&str> =
            groups.iter().flat_map(|group| &group.batch.dead_letters).map(|letter| &*letter.reason).collect();
        assert_eq!((fixes(&groups), letters), (EXPECTED.to_vec(), Vec::new()), "restart at {restart}");
        let book = book(&core);
        assert!(book.balances() && book.frames as usize == lines.len() + restart - again, "{book:?}");
    }
}

#[test]
fn a_broker_that_is_configured_no_more_leaves_nothing_behind() {
    let mut core = configured(Vec::new(), ALL);
    PEERS.lines().take(2).enumerate().for_each(|(nth, line)| core.intake(sent(nth, line)));
    let mut rows = rows(&[core.take_group()]);
    let of_nodes = |rows: &[(StateKind, String, Vec<u8>)]| {
        rows.iter().filter(|(kind, ..)| *kind == StateKind::Sparkplug).count()
    };
    assert_eq!(of_nodes(&rows), 2);
    for (kind, key, _) in &mut rows {
        if *kind == StateKind::Sparkplug {
            *key = key.replace("fleet#", "gone#");
        }
    }
    let group = configured(rows, ALL).take_group();
    let deleted = |row: &&StateRow| row.kind == StateKind::Sparkplug && row.value.is_none();
    assert_eq!(group.batch.state.iter().filter(deleted).count(), 2);
}

#[test]
fn what_stands_in_braces_names_the_tracker() {
    let mut core = configured(Vec::new(), "topic = \"spBv1.0/fleet/+/{node}/#\"\nformat = \"sparkplug-b\"");
    PEERS.lines().enumerate().for_each(|(nth, line)| core.intake(sent(nth, line)));
    let group = core.take_group();
    let names: BTreeSet<String> = (group.batch.events.iter())
        .filter_map(|event| match &event.body {
            EventBody::Fix(fix) => Some(fix.device.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(names, BTreeSet::from(["truck-7".to_owned(), "truck-7/gps".to_owned()]));
}

#[test]
fn what_nobody_can_understand_is_kept_whole_and_costs_nobody_else() {
    let lines: Vec<&str> = PEERS.lines().collect();
    let mut core = configured(Vec::new(), ALL);
    core.intake(sent(0, lines[2]));
    core.intake(sent(1, "spBv1.0/fleet/NBIRTH/other 12ff"));
    for (nth, line) in (2..).zip(&lines) {
        core.intake(sent(nth, line));
    }
    let groups = [core.take_group()];
    assert_eq!(fixes(&groups), EXPECTED);
    let letters = &groups[0].batch.dead_letters;
    let kept: Vec<_> = letters.iter().map(|letter| (&*letter.reason, hex::encode(&letter.payload))).collect();
    let first = lines[2].split_once(' ').unwrap().1.to_owned();
    assert_eq!(kept, [("no-birth", first), ("truncated", "12ff".to_owned())]);
    let book = book(&core);
    assert!(book.balances() && book.dead_letters == 2, "{book:?}");
    assert_eq!(groups[0].acks.len(), lines.len() + 2);
}
