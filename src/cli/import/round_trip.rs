//! What was written comes back as it was, in either format.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::domain::alerts::Severity;
use crate::domain::calendar::{Calendar, WorkingHours};
use crate::domain::epc::Epc;
use crate::domain::register::*;
use crate::domain::time::Timestamp;

fn text() -> impl Strategy<Value = String> {
    "[a-zA-Zé\",;'{}]([a-zA-Z0-9 é\",;'{}:]{0,10}[a-zA-Z0-9é\",;'{}])?"
}

fn duration() -> impl Strategy<Value = Option<Duration>> {
    prop::option::of((1..4_000_000u64).prop_map(|millis| Duration::from_millis(millis * 250)))
}

fn time() -> impl Strategy<Value = Timestamp> {
    (0..2_000_000_000_000_000i64).prop_map(Timestamp::from_micros)
}

fn limit(high: f64) -> ClassLimit {
    ClassLimit {
        point: "temperature".into(),
        name: "hot".into(),
        high: Some(high),
        low: None,
        rise_per_min: None,
        fall_per_min: None,
        over: None,
        deadband: 0.5,
        on_delay: Some(std::time::Duration::from_secs(90)),
        off_delay: None,
        severity: Severity::Critical,
    }
}

fn class() -> impl Strategy<Value = AssetClass> {
    let durations = [duration(), duration(), duration(), duration()];
    (durations, any::<[bool; 2]>(), 0..3u8, text(), prop::option::of(0..=100u8)).prop_map(
        |([ghost_after, overdue_grace, idle_after, audit_every], flags, kind, point, battery)| AssetClass {
            ghost_after,
            overdue_grace,
            idle_after,
            audit_every,
            needs_checkout: flags[0],
            vehicle: flags[1],
            inspect_on_return: flags[1],
            returns: if flags[0] { Returns::ByHand } else { Returns::Sensed },
            handover: if flags[1] { Handover::Accept } else { Handover::Propose },
            criticality: [Criticality::Low, Criticality::Normal, Criticality::High][usize::from(kind)],
            low_battery_percent: battery.map(f64::from),
            utilisation: match kind {
                0 => Utilisation::Movement,
                1 => Utilisation::Custody,
                _ => Utilisation::Sensor(point.as_str().into()),
            },
            allowed_zones: if flags[0] { vec!["hall".into(), "yard".into()] } else { Vec::new() },
            limits: battery.map_or_else(Vec::new, |high| vec![limit(f64::from(high))]),
            ..AssetClass::new("tool".into())
        },
    )
}

fn details() -> impl Strategy<Value = Details> {
    let maybe = || prop::option::of(text());
    (maybe(), maybe(), maybe(), any::<bool>()).prop_map(|(number, owner, cost_centre, dated)| Details {
        number,
        owner,
        cost_centre,
        acquired_on: dated.then(|| jiff::civil::date(2024, 2, 29)),
        warranty_until: dated.then(|| jiff::civil::date(2027, 1, 1)),
        retired_on: None,
        limits: if dated { vec![limit(8.5)] } else { Vec::new() },
    })
}

fn asset() -> impl Strategy<Value = Asset> {
    let attributes = prop::collection::btree_map("[a-z]{1,5}", text(), 0..3);
    (text(), prop::option::of(text()), details(), attributes, 0..6usize, any::<bool>()).prop_map(
        |(id, name, details, attributes, stage, at_home)| Asset {
            name,
            home_zone: at_home.then(|| "yard".into()),
            lifecycle: Lifecycle::ALL[stage],
            details: details.boxed(),
            attributes,
            ..Asset::new(id.into(), "tool".into())
        },
    )
}

fn register() -> impl Strategy<Value = Vec<Record>> {
    let assets = prop::collection::btree_map(text(), asset(), 1..6);
    let span = prop::option::of((time(), 1..1_000_000i64));
    (class(), assets, span, time(), text(), any::<bool>()).prop_map(
        |(class, assets, span, from, word, holiday)| {
            let mut records = vec![
                Record::Site(Site {
                    name: "plant".into(),
                    timezone: jiff::tz::TimeZone::get("Europe/Berlin").unwrap(),
                    calendar: Calendar {
                        working_hours: WorkingHours::parse("mon-fri 07:00-17:00").ok().filter(|_| holiday),
                        holidays: holiday.then(|| jiff::civil::date(2026, 12, 25)).into_iter().collect(),
                    },
                }),
                Record::Zone(Zone {
                    name: "hall".into(),
                    site: "plant".into(),
                    coverage: Coverage::Continuous,
                }),
                Record::Zone(Zone { name: "yard".into(), site: "plant".into(), coverage: Coverage::None }),
                Record::Class(Box::new(class)),
                Record::Person(Person {
                    id: "ann".into(),
                    name: Some(word.clone()),
                    team: None,
                    site: Some("plant".into()),
                }),
            ];
            let mut named = BTreeSet::new();
            let assets: Vec<Asset> =
                assets.into_values().filter(|asset| named.insert(asset.id.clone())).collect();
            for (nth, asset) in (1u8..).zip(&assets) {
                records.push(Record::Asset(asset.clone()));
                if asset.is_retired() {
                    continue;
                }
                let (from, to) = match span {
                    Some((from, long)) => (Some(from), Some(from.offset(long))),
                    None => (None, None),
                };
                let key = Epc::new(16, &[1, nth]).unwrap();
                records.push(Record::Tag(Attachment {
                    from,
                    to,
                    ..Attachment::on_asset(key, asset.id.clone())
                }));
            }
            let badge = Attachment::new(Epc::new(8, &[9]).unwrap(), Carrier::Person("ann".into()));
            records.push(Record::Tag(badge));
            records.push(Record::Sensor(Attachment::new("s 1".into(), Carrier::Zone("yard".into()))));
            records.push(Record::Maintenance(Maintenance {
                name: word.clone(),
                of: Maintained::ReadPoint(word.as_str().into()),
                from,
                to: from.offset(1),
                reason: Some(word),
            }));
            records
        },
    )
}

fn read(files: &[(String, Vec<u8>)]) -> Result<BTreeMap<String, Record>, Vec<ImportProblem>> {
    let rules = crate::config::parse("node = \"n\"\n", std::path::Path::new(""), &|_| None).unwrap().rules;
    let (register, held) = (BTreeMap::new(), BTreeMap::new());
    let known = Known { rules: &rules, register: &register, held: &held, now: Timestamp::from_secs(0) };
    let files: Vec<CsvFile<'_>> =
        files.iter().map(|(name, bytes)| CsvFile { name: name.clone(), kind: None, bytes }).collect();
    let import = parse_files(&files, &known, &mut |_, _| {})?;
    Ok(import.records.into_iter().map(|record| (record.state_key(), record)).collect())
}

fn csv_files(records: &[Record]) -> Vec<(String, Vec<u8>)> {
    let attributes: BTreeSet<String> = records
        .iter()
        .filter_map(|record| match record {
            Record::Asset(asset) => Some(asset.attributes.keys().cloned()),
            _ => None,
        })
        .flatten()
        .collect();
    let mut files: BTreeMap<Kind, csv::Writer<Vec<u8>>> = BTreeMap::new();
    for record in records {
        let kind = kind_of(record);
        let columns = header(kind, &attributes);
        let file = files.entry(kind).or_insert_with(|| {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(&columns).unwrap();
            writer
        });
        file.write_record(row(record, &columns).unwrap()).unwrap();
    }
    let name = |kind: Kind| format!("{}.csv", kind.name());
    files.into_iter().map(|(kind, file)| (name(kind), file.into_inner().unwrap())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_register_comes_back_from_csv_and_from_json(records in register()) {
        let expected: BTreeMap<String, Record> =
            records.iter().map(|record| (record.state_key(), record.clone())).collect();
        prop_assert_eq!(read(&csv_files(&records)), Ok(expected.clone()));
        let lines: String =
            records.iter().map(|record| serde_json::to_string(record).unwrap() + "\n").collect();
        prop_assert_eq!(read(&[("register.json".to_owned(), lines.into_bytes())]), Ok(expected.clone()));
        let array = serde_json::to_vec_pretty(&records).unwrap();
        prop_assert_eq!(read(&[("register.json".to_owned(), array)]), Ok(expected));
    }
}

#[test]
fn what_csv_cannot_say_is_refused() {
    let asset = Asset { name: Some(" ladder".to_owned()), ..Asset::new("L-1".into(), "tool".into()) };
    let record = Record::Asset(asset);
    let refused = row(&record, &header(Kind::Assets, &BTreeSet::new())).unwrap_err();
    assert!(refused.starts_with("asset L-1 cannot be told in CSV"), "{refused}");
}

#[test]
fn faults_in_json_have_their_line_and_field() {
    let file = |text: &str| read(&[("x.json".to_owned(), text.as_bytes().to_vec())]);
    let told = |text: &str| -> Vec<String> {
        file(text).unwrap_err().iter().map(ImportProblem::to_string).collect()
    };
    let asset = r#"{"table":"asset","id":"A","class":"tool"}"#;
    assert_eq!(told(&format!("\n{asset}\n")).len(), 1);
    assert!(
        told(&format!("\n{asset}\n"))[0].starts_with("x.json:2: class: \"tool\": there is no such class")
    );
    assert!(told(&format!("[\n{asset},\n\n{asset}]")).iter().any(|fault| fault.starts_with("x.json:4: id:")));
    assert!(told("{\"table\":\"asset\",\"id\":\"A\",\"klass\":1}")[0].starts_with("x.json:1: "));
    assert!(told("{\"table\":\"asset\"\n")[0].starts_with("x.json:1: not JSON"));
    assert!(told("[{}\n")[0].starts_with("x.json:"));
    assert!(told("\"text\"")[0].starts_with("x.json:1: "));
}
