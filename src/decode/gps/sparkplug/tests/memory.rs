//! What is known of edge nodes, in rows.

use super::*;

fn rows(broker: &mut Broker) -> Vec<StateRow> {
    let mut rows = Vec::new();
    broker.nodes.take_dirty("b", &mut rows);
    rows
}

#[test]
fn a_message_s_rows_are_its_node_s_and_its_device_s() {
    let mut broker = Broker::born();
    let keys =
        |rows: &[StateRow]| rows.iter().map(|row| (row.key.clone(), row.value.is_some())).collect::<Vec<_>>();
    let (node, device) = ("b#fleet/truck".to_owned(), "b#fleet/truck/gps".to_owned());
    assert_eq!(keys(&rows(&mut broker)), [(node.clone(), true), (device.clone(), true)]);
    assert_eq!(rows(&mut broker), []);
    broker.says("DDATA", &payload(2, 10, &[told(1, 10, 50.1)]));
    assert_eq!(keys(&rows(&mut broker)), [(node.clone(), true), (device.clone(), true)]);
    broker.says("NBIRTH", &payload(0, 20, &[bd_seq(8)]));
    assert_eq!(keys(&rows(&mut broker)), [(node, true), (device, false)]);
}

/// What a fleet of usual trackers costs: an edge node with a device of 40 metrics.
#[test]
fn a_device_s_row_is_small() {
    let mut broker = Broker::new();
    broker.send("NBIRTH", &payload(0, 0, &[bd_seq(7)])).unwrap();
    let mut birth =
        vec![named("lat", 1, 0, 50.123_456_7), named("lon", 2, 0, 8.123_456_7), named("speed", 3, 0, 36.0)];
    birth.extend((10..47).map(|alias| named(&format!("Engine/Value {alias}"), alias, 0, 1.0)));
    broker.send("DBIRTH", &payload(1, 0, &birth)).unwrap();
    let bytes: Vec<usize> = rows(&mut broker).iter().map(|row| row.value.as_ref().unwrap().len()).collect();
    assert!(bytes[0] < 300 && bytes[1] < 500, "{bytes:?}");
}

/// The same in memory, of a fleet; beside what cleaning remembers of every tracker.
#[test]
fn an_edge_node_with_a_device_is_small() {
    const FLEET: usize = 1000;
    let mut broker = Broker::new();
    let mut birth = vec![named("lat", 1, 0, 50.1), named("lon", 2, 0, 8.1), named("speed", 3, 0, 36.0)];
    birth.extend([named("bat", 4, 0, 90.0), named("utc", 5, 0, 0.0)]);
    birth.extend((10..45).map(|alias| named(&format!("Engine/Value {alias}"), alias, 0, 1.0)));
    let (node, device) = (payload(0, 0, &[bd_seq(7)]), payload(1, 0, &birth));
    let held = allocation_counter::measure(|| {
        for nth in 0..FLEET {
            broker.send_to(&format!("spBv1.0/fleet/NBIRTH/truck-{nth}"), &node, false).unwrap();
            broker.send_to(&format!("spBv1.0/fleet/DBIRTH/truck-{nth}/gps"), &device, false).unwrap();
        }
        rows(&mut broker);
    });
    let each = held.bytes_current / FLEET as i64;
    assert!((700..=1408).contains(&each), "{each} bytes");
}

#[test]
fn a_mapping_that_changed_counts_from_the_next_birth_on() {
    let mut broker = Broker::born();
    broker.mapping = parse_metrics("latitude = \"lat\"\nlongitude = \"lon\"\nbattery = \"rpm\"").unwrap();
    let out = broker
        .send("DDATA", &payload(2, 10, &[told(1, 10, 50.1), told(3, 10, 72.0), told(9, 10, 80.0)]))
        .unwrap();
    assert_eq!((fix_of(&out).speed_mps, fix_of(&out).battery_percent), (Some(10.0), None));
    let birth = [
        named("lat", 1, 20, 50.2),
        named("lon", 2, 20, 8.0),
        named("speed", 3, 20, 36.0),
        named("rpm", 9, 20, 79.0),
    ];
    let out = broker.send("DBIRTH", &payload(3, 20, &birth)).unwrap();
    assert_eq!((fix_of(&out).speed_mps, fix_of(&out).battery_percent), (None, Some(79.0)));
}

#[test]
fn a_row_of_a_node_that_is_no_more_goes() {
    let mut broker = Broker::born();
    let row = rows(&mut broker).pop().unwrap();
    let mut other = Broker::new();
    other.nodes.restore("fleet/truck/gps", &row.value.unwrap()).unwrap();
    assert_eq!(
        rows(&mut other),
        [StateRow::delete(crate::domain::state::StateKind::Sparkplug, "b#fleet/truck/gps")]
    );
}
