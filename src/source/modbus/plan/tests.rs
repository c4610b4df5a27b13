use proptest::prelude::*;

use super::*;
use crate::config::RegisterType;

fn point(table: ModbusTable, address: u16, kind: RegisterType) -> PointConfig {
    PointConfig::new("p", table, address, kind)
}

fn holding(addresses: &[u16]) -> Vec<PointConfig> {
    addresses.iter().map(|address| point(ModbusTable::Holding, *address, RegisterType::U16)).collect()
}

fn planned_with(points: &[PointConfig], reach: ModbusReach, illegal: &Illegal) -> Vec<(u16, u16)> {
    plan_requests(points, &reach.into(), illegal)
        .iter()
        .map(|request| (request.address, request.count))
        .collect()
}

fn planned(addresses: &[u16]) -> Vec<(u16, u16)> {
    planned_with(&holding(addresses), ModbusReach::default(), &Illegal::default())
}

#[test]
fn what_is_learned_of_one_table_binds_no_other() {
    let coils = (0..40).map(|at| PointConfig::new("c", ModbusTable::Coil, at, RegisterType::Bit(0)));
    let points: Vec<PointConfig> = coils.chain(holding(&[0, 1, 2, 3, 4])).collect();
    let mut reach = Reach::from(ModbusReach::default());
    reach.at_most(ModbusTable::Coil, 16);
    let plan = plan_requests(&points, &reach, &Illegal::default());
    let counts: Vec<_> = plan.iter().map(|request| (request.table, request.count)).collect();
    assert_eq!(counts.iter().filter(|(table, _)| *table == ModbusTable::Coil).count(), 3);
    assert!(counts.contains(&(ModbusTable::Holding, 5)), "{counts:?}");
}

#[test]
fn neighbours_share_a_request_over_small_gaps() {
    assert_eq!(planned(&[3, 1, 2]), [(1, 3)]);
    assert_eq!(planned(&[0, 9]), [(0, 10)], "a gap of 8");
    assert_eq!(planned(&[0, 10]), [(0, 1), (10, 1)], "a gap of 9");
    assert_eq!(planned(&[5, 5]), [(5, 1)]);
    assert_eq!(planned(&[65_535]), [(65_535, 1)]);
    assert_eq!(planned(&[]), []);
}

#[test]
fn a_request_ends_at_125_registers_or_where_the_device_ends_it() {
    let addresses: Vec<u16> = (0..126).collect();
    let reach = ModbusReach { max_registers: 10, max_gap: 8 };
    assert_eq!(planned(&addresses).len(), 2);
    let points = holding(&addresses[..20]);
    assert_eq!(planned_with(&points, reach, &Illegal::default()), [(0, 10), (10, 10)]);
}

/// A greedy plan fills the first request, with the gap: 0 to 7, and 8.
#[test]
fn among_as_many_requests_the_fewest_registers() {
    let reach = ModbusReach { max_registers: 8, max_gap: 8 };
    assert_eq!(planned_with(&holding(&[0, 1, 7, 8]), reach, &Illegal::default()), [(0, 2), (7, 2)]);
}

#[test]
fn a_value_is_never_cut_in_two_and_tables_are_apart() {
    let points = [
        point(ModbusTable::Input, 0, RegisterType::U16),
        point(ModbusTable::Holding, 124, RegisterType::U32),
        point(ModbusTable::Holding, 116, RegisterType::U16),
        point(ModbusTable::Holding, 108, RegisterType::U16),
        point(ModbusTable::Holding, 0, RegisterType::U32),
        point(ModbusTable::Coil, 7, RegisterType::Bit(0)),
        point(ModbusTable::Coil, 130, RegisterType::Bit(0)),
    ];
    let expected = [
        (ModbusTable::Holding, 0, 2),
        (ModbusTable::Holding, 108, 18),
        (ModbusTable::Input, 0, 1),
        (ModbusTable::Coil, 7, 124),
    ]
    .map(|(table, address, count)| PlannedRequest { table, address, count });
    assert_eq!(plan_requests(&points, &ModbusReach::default().into(), &Illegal::default()), expected);
}

#[test]
fn a_refused_range_is_never_asked_for_with_others() {
    let mut illegal = Illegal::default();
    illegal.insert(ModbusTable::Holding, 3, 5);
    let reach = ModbusReach::default();
    assert_eq!(planned_with(&holding(&[0, 2, 5, 7]), reach, &illegal), [(0, 3), (5, 3)]);
    // A point that is refused itself stands alone.
    assert_eq!(planned_with(&holding(&[2, 3, 5]), reach, &illegal), [(2, 1), (3, 1), (5, 1)]);
    illegal.remove(ModbusTable::Holding, 3, 4);
    assert_eq!(planned_with(&holding(&[2, 3, 5]), reach, &illegal), [(2, 2), (5, 1)]);
}

#[test]
fn refused_ranges_grow_together() {
    let mut illegal = Illegal::default();
    for (first, end) in [(10, 12), (20, 30), (12, 20), (40, 41)] {
        illegal.insert(ModbusTable::Input, first, end);
    }
    let told: Vec<_> = illegal.iter().collect();
    assert_eq!(told, [(ModbusTable::Input, 10, 29), (ModbusTable::Input, 40, 40)]);
    assert_eq!(illegal.len(), 21);
    assert!(illegal.touches(ModbusTable::Input, 0, 11) && !illegal.touches(ModbusTable::Input, 30, 40));
    illegal.remove(ModbusTable::Input, 15, 41);
    assert_eq!(illegal.iter().collect::<Vec<_>>(), [(ModbusTable::Input, 10, 14)]);
}

fn any_kind() -> impl Strategy<Value = RegisterType> {
    proptest::sample::select(vec![
        RegisterType::U16,
        RegisterType::F32,
        RegisterType::F64,
        RegisterType::Text(5),
    ])
}

/// Points on few addresses, so that they crowd and overlap.
fn any_map(points: usize, addresses: u16) -> impl Strategy<Value = Vec<PointConfig>> {
    let point = (0..addresses, any_kind(), prop::bool::weighted(0.9)).prop_map(|(address, kind, holding)| {
        point(if holding { ModbusTable::Holding } else { ModbusTable::Input }, address, kind)
    });
    proptest::collection::vec(point, 0..points)
}

fn any_illegal(addresses: u32) -> impl Strategy<Value = Illegal> {
    proptest::collection::vec((0..addresses, 1u32..4), 0..4).prop_map(|ranges| {
        let mut illegal = Illegal::default();
        for (first, length) in ranges {
            illegal.insert(ModbusTable::Holding, first, first + length);
        }
        illegal
    })
}

/// Whether one request for all of these is allowed, by the rules as they are told to people.
fn allowed(points: &[&PointConfig], reach: ModbusReach, illegal: &Illegal) -> bool {
    let request = request_for(points);
    let wanted = |register: u32| {
        points.iter().any(|point| (u32::from(point.address)..point.end()).contains(&register))
    };
    let mut gap = 0;
    for register in u32::from(request.address)..request.end() {
        gap = if wanted(register) { 0 } else { gap + 1 };
        if gap > reach.max_gap || illegal.touches(request.table, register, register + 1) {
            return false;
        }
    }
    request.count <= reach.max_registers
}

fn request_for(points: &[&PointConfig]) -> PlannedRequest {
    let address = points.iter().map(|point| point.address).min().unwrap();
    let end = points.iter().map(|point| point.end()).max().unwrap();
    PlannedRequest { table: points[0].table, address, count: (end - u32::from(address)) as u16 }
}

/// The cheapest of all ways to share the points out, in any combination: no order is taken for granted.
fn exact(points: &[&PointConfig], reach: ModbusReach, illegal: &Illegal) -> Cost {
    let all = (1usize << points.len()) - 1;
    let mut best: Vec<Option<Cost>> = vec![None; all + 1];
    best[0] = Some((0, 0));
    let group = |set: usize| -> Vec<&PointConfig> {
        points
            .iter()
            .enumerate()
            .filter(|(place, _)| set >> place & 1 == 1)
            .map(|(_, point)| *point)
            .collect()
    };
    let cost: Vec<Option<u32>> = (0..=all)
        .map(|set| {
            let points = group(set);
            let registers = |point: &PointConfig| (point.address, point.kind.registers());
            let alone = points.windows(2).all(|two| registers(two[0]) == registers(two[1]));
            let fits = !points.is_empty() && (alone || allowed(&points, reach, illegal));
            fits.then(|| request_for(&points).count.into())
        })
        .collect();
    for set in 1..=all {
        let lowest = set & set.wrapping_neg();
        let mut part = set;
        while part > 0 {
            if part & lowest != 0
                && let (Some(registers), Some((requests, before))) = (cost[part], best[set ^ part])
            {
                let whole = (requests + 1, before + registers);
                best[set] = Some(best[set].map_or(whole, |known| known.min(whole)));
            }
            part = (part - 1) & set;
        }
    }
    best[all].unwrap()
}

/// The rule of Telegraf's `max_insert`: from the left, as long as the gap is small enough and it fits.
fn greedy(points: &[PointConfig], reach: ModbusReach) -> usize {
    let mut sorted: Vec<_> = points.iter().collect();
    sorted.sort_by_key(|point| (point.table, point.address, point.end()));
    let mut requests = 0;
    let mut open: Option<(ModbusTable, u32, u32)> = None;
    for point in sorted {
        let start = u32::from(point.address);
        open = match open {
            Some((table, first, end))
                if table == point.table
                    && start <= end + u32::from(reach.max_gap)
                    && end.max(point.end()) - first <= u32::from(reach.max_registers) =>
            {
                Some((table, first, end.max(point.end())))
            }
            _ => {
                requests += 1;
                Some((point.table, start, point.end()))
            }
        };
    }
    requests
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_refused_is_what_was_learned_and_not_taken_back(
        steps in proptest::collection::vec((any::<bool>(), 0u32..40, 0u32..9), 0..20),
    ) {
        let (mut illegal, mut known) = (Illegal::default(), std::collections::BTreeSet::new());
        for (refused, first, count) in steps {
            let end = first + count;
            if refused {
                illegal.insert(ModbusTable::Holding, first, end);
                known.extend(first..end);
            } else {
                illegal.remove(ModbusTable::Holding, first, end);
                known.retain(|register| !(first..end).contains(register));
            }
            let told: Vec<u32> = illegal.iter().flat_map(|(_, first, last)| first..=last).collect();
            prop_assert_eq!(told, known.iter().copied().collect::<Vec<_>>());
            for register in 0..50 {
                let is_refused = illegal.touches(ModbusTable::Holding, register, register + 1);
                prop_assert_eq!(is_refused, known.contains(&register));
            }
        }
    }

    #[test]
    fn as_few_requests_as_there_can_be_and_then_as_few_registers(
        points in any_map(8, 24), max_registers in 5u16..14, max_gap in 0u16..6, illegal in any_illegal(26),
    ) {
        let reach = ModbusReach { max_registers, max_gap };
        let plan = plan_requests(&points, &reach.into(), &illegal);
        let ours = (plan.len() as u32, plan.iter().map(|request| u32::from(request.count)).sum());
        let mut least = (0, 0);
        for table in [ModbusTable::Holding, ModbusTable::Input] {
            let here: Vec<_> = points.iter().filter(|point| point.table == table).collect();
            let (requests, registers) = exact(&here, reach, &illegal);
            least = (least.0 + requests, least.1 + registers);
        }
        prop_assert_eq!(ours, least, "{:?}", plan);
    }

    #[test]
    fn every_point_is_asked_for_and_never_more_often_than_by_the_greedy_rule(
        points in any_map(120, 600), max_registers in 5u16..=125, max_gap in 0u16..60,
    ) {
        let reach = ModbusReach { max_registers, max_gap };
        let plan = plan_requests(&points, &reach.into(), &Illegal::default());
        for point in &points {
            prop_assert!(plan.iter().any(|request| request.covers(point)));
        }
        for request in &plan {
            prop_assert!((1..=max_registers).contains(&request.count));
        }
        prop_assert!(plan.len() <= greedy(&points, reach), "{} {}", plan.len(), greedy(&points, reach));
        let keys: Vec<_> = plan.iter().map(|request| (request.table, request.address)).collect();
        prop_assert!(keys.is_sorted());
    }
}
