use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::config::Rules;
use crate::domain::time::Timestamp;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn rules() -> Rules {
    let text = r#"
node = "n"
[[site]]
name = "hamburg"
timezone = "Europe/Berlin"
[[site]]
name = "leeds"
timezone = "Europe/London"
[[zone]]
name = "hall"
site = "hamburg"
[[class]]
name = "drill"
"#;
    config::parse(text, Path::new(""), &|_| None).unwrap().rules
}

fn import_beside(current: &Current, files: &[(&str, &[u8])]) -> Result<Import, Vec<String>> {
    let files: Vec<CsvFile<'_>> =
        files.iter().map(|(name, bytes)| CsvFile { name: (*name).to_owned(), kind: None, bytes }).collect();
    let (register, held) = (&current.register, &current.held);
    let known = Known { rules: &rules(), register, held, now: at("2026-05-01T06:00:00Z") };
    let parsed = parse_files(&files, &known, &mut |_, _| {});
    parsed.map_err(|problems| problems.iter().map(ImportProblem::to_string).collect())
}

fn import(files: &[(&str, &str)]) -> Result<Import, Vec<String>> {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    import_beside(&Current::default(), &files)
}

const GOOD: [(&str, &str); 7] = [
    ("checkouts.csv", "asset,holder,due_back,note\nFL-01,Crew 7,2026-05-02 17:00,\"ramp, left\"\n"),
    ("tags.csv", "epc,asset\n3034257BF7194E4000001A85,FL-01\n"),
    ("trackers.csv", "device;asset\r\nfleet/truck-1;FL-01\r\n"),
    ("x/sensors-2026.csv", "device,asset,zone\nt-1,,yard\nt-2,FL-01,\n"),
    (
        "assets.csv",
        "ID,Class,Home Zone,Retired,attributes.Serial No,name\nFL-01,forklift,yard,no,77,\nDR-1,drill,hall,yes,,Bohrer\n",
    ),
    ("zones.csv", "\u{feff}name,site,coverage\nyard,leeds,continuous\n"),
    ("classes.csv", "name,ghost_after,criticality\nforklift,4h,High\n"),
];

fn current_after(import: Import) -> Current {
    Current {
        register: import.records.into_iter().map(|record| (record.state_key(), record)).collect(),
        held: import.checkouts.into_iter().map(|checkout| (checkout.asset.clone(), checkout)).collect(),
    }
}

#[test]
fn files_in_any_order_make_one_import() {
    let import = import(&GOOD).unwrap();
    let keys: Vec<String> = import.records.iter().map(Record::state_key).collect();
    assert_eq!(
        keys,
        [
            "zone/yard",
            "class/forklift",
            "asset/FL-01",
            "asset/DR-1",
            "tag/3034257bf7194e4000001a85",
            "tracker/fleet/truck-1",
            "sensor/t-1",
            "sensor/t-2"
        ]
    );
    let Record::Asset(asset) = &import.records[2] else { panic!() };
    assert_eq!(asset.attributes["Serial No"], "77");
    assert_eq!(
        import.checkouts,
        [Checkout {
            asset: "FL-01".into(),
            holder: "Crew 7".to_owned(),
            checked_out_at: at("2026-05-01T06:00:00Z"),
            // By Leeds' clock: its home zone is there.
            due_back: Some(at("2026-05-02T16:00:00Z")),
            note: Some("ramp, left".to_owned()),
            waived: Vec::new(),
        }]
    );
}

#[test]
fn every_problem_has_its_place_and_all_are_told_at_once() {
    let found = import(&[
        ("assets.csv", "id,class,home_zone,retired\nA-1,dril,hal,\n,drill,,maybe\nA-2,drill\nA-1,drill,,\n"),
        ("tags.csv", "epc,asset\n3.03E+23,A-1\nabc,A-9\nabcd,A-9\n"),
        ("zones.csv", "name,site\nhall,hamburg\nshed,paris\n"),
        ("classes.csv", "name,ghost_after\nc,4 hours\n"),
        ("sensors.csv", "device,asset,zone\ns,,\n"),
    ])
    .unwrap_err();
    assert_eq!(
        found,
        [
            "assets.csv:2: column 2 (class): \"dril\": there is no such class; did you mean \"drill\"?",
            "assets.csv:2: column 3 (home_zone): \"hal\": there is no such zone; did you mean \"hall\"?",
            "assets.csv:3: column 1 (id): empty; it must be filled in",
            "assets.csv:3: column 4 (retired): \"maybe\": unknown value; write true, yes, 1, false, no, 0",
            "assets.csv:4: 2 cells, and the header has 4; as many cells as the header; a cell with a separator in it stands in quotes",
            "assets.csv:5: column 1 (id): \"A-1\": there twice, first at assets.csv:2; each only once",
            "tags.csv:2: column 1 (epc): \"3.03E+23\": a spreadsheet made a number of it; write the EPC as hex digits, an even number, at most 124, or by name (urn:epc:tag:…)",
            "tags.csv:3: column 1 (epc): \"abc\": not an EPC; write the EPC as hex digits, an even number, at most 124, or by name (urn:epc:tag:…)",
            "tags.csv:4: column 2 (asset): \"A-9\": there is no such asset; import it beside this, or write the id of one that is there",
            "zones.csv:2: column 1 (name): \"hall\": the configuration file declares this zone; change it there",
            "zones.csv:3: column 2 (site): \"paris\": there is no such site; there are: hamburg, leeds",
            "classes.csv:2: column 2 (ghost_after): \"4 hours\": not a duration; write a duration such as \"250ms\", \"5s\", \"10m\", \"36h\" or \"400d\"",
            "sensors.csv:2: column 1 (device): \"s\": not attached to one asset or zone; fill in asset or zone, and only one",
        ]
    );
}

#[test]
fn one_fault_each() {
    let asset = ("assets.csv", "id,class,home_zone\nA,drill,hall\n");
    let cases: [(&str, &str, &str); 17] = [
        (
            "checkouts.csv",
            "asset,holder,due_back\nA,me,2026-10-25 02:30",
            "checkouts.csv:2: column 3 (due_back): \"2026-10-25 02:30\": happens twice in Europe/Berlin",
        ),
        (
            "checkouts.csv",
            "asset,holder,due_back\nA,me,2027-03-28 02:30",
            "checkouts.csv:2: column 3 (due_back): \"2027-03-28 02:30\": does not exist in Europe/Berlin",
        ),
        (
            "checkouts.csv",
            "asset,holder,due_back\nA,me,01.05.2026",
            "checkouts.csv:2: column 3 (due_back): \"01.05.2026\": not a time",
        ),
        (
            "checkouts.csv",
            "asset,holder,due_back\nA,me,2026-04-01 10:00",
            "checkouts.csv:2: column 3 (due_back): \"2026-04-01T08:00:00Z\": not after",
        ),
        (
            "checkouts.csv",
            "asset,holder,checked_out_at\nA,me,2027-01-01 10:00",
            "checkouts.csv:2: column 3 (checked_out_at): \"2027-01-01T09:00:00Z\": in the future",
        ),
        (
            "checkouts.csv",
            "asset,holder\nA,me\nA,you",
            "checkouts.csv:3: column 1 (asset): \"A\": there twice, first in line 2",
        ),
        (
            "checkouts.csv",
            "asset,holder\nB,me",
            "checkouts.csv:2: column 1 (asset): \"B\": there is no such asset",
        ),
        (
            "tags.csv",
            "epc,asset,colour\n",
            "tags.csv:1: column 3 (colour): an unknown column; tags have: epc, asset, person, from, to, filter, company_prefix",
        ),
        ("tags.csv", "PK\u{3}\u{4}…", "tags.csv:1: a workbook or an archive; save it as CSV in UTF-8"),
        (
            "trackers.csv",
            "device,asset\n3.56307E+14,A",
            "trackers.csv:2: column 1 (device): \"3.56307E+14\": what a spreadsheet makes of a number",
        ),
        (
            "trackers.csv",
            "device,asset\n'356307042441013,A",
            "trackers.csv:2: column 1 (device): \"'356307042441013\": what a spreadsheet",
        ),
        ("tags.csv", "epc,epc,asset\n", "tags.csv:1: column 2 (epc): a column that is there twice"),
        ("trackers.csv", "device\n", "trackers.csv:1: no column \"asset\""),
        ("tags.csv", "", "tags.csv:1: no header"),
        ("list.csv", "device,asset\n", "list.csv:1: neither its name nor its header says what it holds"),
        (
            "tags.csv",
            "epc,asset\nab,\"A\ncd,A\n",
            "tags.csv:2: column 2 (asset): a quote that is never closed",
        ),
        (
            "zones.csv",
            "name,site\na\u{fffd},leeds\n",
            "zones.csv:2: column 1 (name): \"a\u{fffd}\": not UTF-8",
        ),
    ];
    for (name, text, expected) in cases {
        let found = import(&[asset, (name, text)]).unwrap_err();
        assert_eq!(found.len(), 1, "{text}: {found:#?}");
        assert!(found[0].starts_with(expected), "{}\nexpected {expected}", found[0]);
    }
}

#[test]
fn bytes_that_are_no_utf_8_are_found_in_their_cells() {
    let found = import_beside(
        &Current::default(),
        &[
            ("zones.csv", b"name,site\nh\xe4lle,leeds\nok,leeds\nb\xf6,leeds\n"),
            ("tags.csv", b"\xff\xfee\0p\0c\0"),
        ],
    )
    .unwrap_err();
    let places: Vec<&str> = found.iter().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(places, ["zones.csv:2", "zones.csv:4", "tags.csv:1"], "{found:#?}");
}

#[test]
fn a_second_import_of_the_same_changes_nothing() {
    let first = import(&GOOD).unwrap();
    let current = current_after(first.clone());
    let files: Vec<(&str, &[u8])> = GOOD.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    let second = import_beside(&current, &files).unwrap();
    let told = diff(&second, &current.register, &current.held);
    assert_eq!(told, Diff { unchanged: first.records.len() + 1, ..Diff::default() });
}

#[test]
fn the_diff_says_what_would_change() {
    let current = current_after(import(&GOOD).unwrap());
    let assets = "id,class,home_zone,attributes.Serial No\nFL-01,drill,yard,78\nFL-02,forklift,,\n";
    let import = import_beside(&current, &[("assets.csv", assets.as_bytes())]).unwrap();
    let told = diff(&import, &current.register, &current.held).to_string();
    assert_eq!(
        told,
        "~ asset FL-01 attributes.Serial No: 77 → 78, class: forklift → drill\n\
         + asset FL-02 class: forklift\n\
         1 to create, 1 to update, 0 unchanged\n"
    );
}

#[test]
fn what_is_attached_or_checked_out_is_not_taken_away() {
    let current = current_after(import(&GOOD).unwrap());
    let more = "id,class\nNEW,drill\n";
    let found = import_beside(
        &current,
        &[
            ("assets.csv", more.as_bytes()),
            ("tags.csv", b"epc,asset\n3034257bf7194e4000001a85,NEW\nab,DR-1\n"),
            ("checkouts.csv", b"asset,holder,checked_out_at\nFL-01,Crew 8,2026-05-01T06:00:00Z\nDR-1,me,\n"),
        ],
    )
    .unwrap_err();
    let starts = [
        "tags.csv:2: column 1 (epc): \"3034257bf7194e4000001a85\": attached to asset `FL-01`",
        "tags.csv:3: column 2 (asset): \"DR-1\": retired",
        "checkouts.csv:2: column 1 (asset): \"FL-01\": checked out to Crew 7",
        "checkouts.csv:3: column 1 (asset): \"DR-1\": retired",
    ];
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    for (line, start) in found.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}\nexpected {start}");
    }
}

#[test]
fn a_header_alone_can_say_what_a_file_holds() {
    let import =
        import(&[("list.csv", "holder,asset\nme,A\n"), ("more.csv", "class,id\ndrill,A\n")]).unwrap();
    assert_eq!((import.records.len(), import.checkouts.len()), (1, 1));
}

#[test]
fn progress_of_long_files_is_told() {
    let rows: String = (0..parse::PROGRESS_ROWS + 1).map(|n| format!("c{n}\n")).collect();
    let text = format!("name\n{rows}");
    let files = [CsvFile { name: "classes.csv".to_owned(), kind: None, bytes: text.as_bytes() }];
    let current = Current::default();
    let known = Known {
        rules: &rules(),
        register: &current.register,
        held: &current.held,
        now: at("2026-05-01T06:00:00Z"),
    };
    let mut told = Vec::new();
    let import = parse_files(&files, &known, &mut |file, rows| told.push((file.to_owned(), rows))).unwrap();
    assert_eq!(import.records.len(), parse::PROGRESS_ROWS + 1);
    assert_eq!(told, [("classes.csv".to_owned(), parse::PROGRESS_ROWS)]);
}

#[tokio::test]
async fn nothing_is_sent_when_dry_or_when_there_is_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let config = write("c.toml", "node = \"n\"\n[[class]]\nname = \"drill\"\n");
    let good = write("assets.csv", "id,class\nA,drill\n");
    let bad = write("tags.csv", "epc,asset\nab,B\n");
    for (files, dry_run, sends) in
        [(vec![good.clone()], false, 1), (vec![good.clone()], true, 0), (vec![good, bad], false, 0)]
    {
        let args = ImportArgs { config: config.clone(), kind: None, dry_run, files };
        let mut sent = Vec::new();
        run(
            args,
            async |_| Ok(Current::default()),
            async |_, command| {
                sent.push(command);
                Ok(Outcome { created: 1, ..Outcome::default() })
            },
        )
        .await
        .unwrap();
        assert_eq!(sent.len(), sends, "{sent:?}");
    }
}

/// Assets as a spreadsheet would write them, and as the register holds them.
fn assets() -> impl Strategy<Value = Vec<(String, Option<String>, bool)>> {
    let name = prop::option::of("[a-zA-Zäß\"',; ]{1,12}");
    prop::collection::vec(("[A-Z]{1,3}-[0-9]{1,6}", name, any::<bool>()), 0..20)
}

#[test]
fn a_tag_may_be_named() {
    let tags = "epc,asset,filter,company_prefix
urn:epc:tag:giai-96:3.0614141.5678,FL-01,,
urn:epc:id:giai:0614141.5679,FL-01,3,
https://id.gs1.org/8004/06141415680,FL-01,3,0614141
";
    let mut files = GOOD.to_vec();
    files[1].1 = tags;
    let keys: Vec<String> = import(&files).unwrap().records.iter().map(Record::state_key).collect();
    for tag in ["3474257bf40000000000162e", "3474257bf40000000000162f", "3474257bf400000000001630"] {
        assert!(keys.contains(&format!("tag/{tag}")), "{tag}: {keys:?}");
    }
    // What a name leaves open is never guessed: the code would be another one than the tag's.
    files[1].1 = "epc,asset,filter\nurn:epc:id:giai:0614141.5679,FL-01,\nhttps://id.gs1.org/8004/06141415680,FL-01,3\nurn:epc:tag:giai-96:3.0614141.05678,FL-01,\n";
    let found = import(&files).unwrap_err();
    let ends = ["fill in the column filter, or", "fill in the column company_prefix", "has leading zeros"];
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found.iter().zip(ends).all(|(found, end)| found.contains(end)), "{found:#?}");
}

proptest! {
    #[test]
    fn no_bytes_panic(files in prop::collection::vec(any::<Vec<u8>>(), 0..3), kind in 0..10_usize) {
        let files: Vec<(String, Vec<u8>)> =
            files.into_iter().map(|bytes| (format!("{}.csv", Kind::ALL[kind].name()), bytes)).collect();
        let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
        import_beside(&Current::default(), &files).ok();
    }

    #[test]
    fn no_rows_panic(kind in 0..10_usize, rows in "[aA1,\"\n:T-]{0,80}") {
        let kind = Kind::ALL[kind];
        let (needed, more) = kind.columns();
        let header: Vec<&str> = needed.iter().chain(more).copied().collect();
        import(&[(&format!("{}.csv", kind.name()), &format!("{}\n{rows}", header.join(",")))]).ok();
    }

    #[test]
    fn what_an_independent_writer_writes_comes_back(assets in assets()) {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["id", "class", "name", "retired"]).unwrap();
        let mut expected = BTreeMap::new();
        for (id, name, retired) in &assets {
            if expected.contains_key(id) {
                continue;
            }
            let name = name.as_deref().map(str::trim).filter(|name| !name.is_empty());
            writer.write_record([id.as_str(), "drill", name.unwrap_or(""), &retired.to_string()]).unwrap();
            expected.insert(id.clone(), (name.map(str::to_owned), *retired));
        }
        let bytes = writer.into_inner().unwrap();
        let import = import_beside(&Current::default(), &[("assets.csv", &bytes)]).unwrap();
        let found: BTreeMap<_, _> = import
            .records
            .into_iter()
            .map(|record| match record {
                Record::Asset(asset) => (asset.id.to_string(), (asset.name.clone(), asset.is_retired())),
                other => panic!("{other:?}"),
            })
            .collect();
        prop_assert_eq!(found, expected);
    }
}
