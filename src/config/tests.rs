use std::path::Path;

use super::validate::read;
use super::*;

mod llrp;
mod modbus;
mod parts;

fn no_env(_: &str) -> Option<String> {
    None
}

fn problems(text: &str) -> Vec<String> {
    match parse(text, Path::new("/etc/tallyman"), &no_env) {
        Ok(_) => Vec::new(),
        Err(error) => error.to_string().lines().map(str::to_owned).collect(),
    }
}

const SAMPLE: &str = include_str!("../../config/tallyman.toml");

/// The sample with every default that it shows written out.
fn uncommented(sample: &str) -> String {
    let line = |line: &str| match line.strip_prefix("# ") {
        Some(shown) => format!("{shown}\n"),
        None => format!("{line}\n"),
    };
    sample.lines().map(line).collect()
}

#[test]
fn every_sample_loads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut loaded = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            load(&path).unwrap_or_else(|error| panic!("{}:\n{error}", path.display()));
            loaded.push(path.file_name().unwrap().to_owned());
        }
    }
    loaded.sort();
    assert_eq!(loaded, ["minimal.toml", "tallyman.toml"]);
}

#[test]
fn the_defaults_that_the_sample_shows_are_the_defaults() {
    let as_is = parse(SAMPLE, Path::new(""), &no_env).unwrap();
    let written_out = uncommented(SAMPLE);
    assert_ne!(written_out, SAMPLE);
    let shown = parse(&written_out, Path::new(""), &no_env).unwrap();
    assert_eq!(format!("{as_is:#?}"), format!("{shown:#?}"));
}

/// Lines of the sample that stand under the heads of `table`.
fn block(sample: &str, table: &str) -> String {
    let mut current = "";
    let mut block = String::new();
    for line in sample.lines() {
        if let Some(head) = line.strip_prefix('[') {
            current = head.trim_start_matches('[').trim_end_matches(']');
        } else if current == table {
            block.push_str(line);
            block.push('\n');
        }
    }
    block
}

/// Keys that validation asks for and the sample does not have.
fn undocumented(sample: &str) -> Vec<String> {
    let (_, report) = read(&uncommented(sample), Path::new(""), &no_env);
    let mut missing = Vec::new();
    for (table, keys) in report.asked_keys() {
        let has_heads =
            sample.lines().any(|line| line.trim_start_matches('[').starts_with(&format!("{table}.")));
        let inline = block(sample, &table).is_empty() && !table.is_empty() && !has_heads;
        let (parent, field) = table.rsplit_once('.').unwrap_or(("", &table));
        let documented = |key: &str| {
            let words =
                |text: &str, head: &str| text.split(['#', ' ', '{', ',', '\n']).any(|word| word == head);
            if inline {
                let held = block(sample, parent);
                return words(&held, field) && words(&held, key);
            }
            let path = if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") };
            let heads = [format!("[{path}]"), format!("[[{path}]]"), format!("[{path}.")];
            let any_head = sample.lines().any(|line| heads.iter().any(|head| line.starts_with(head)));
            any_head || words(&block(sample, &table), key) || secret_form(&words, sample, key)
        };
        missing.extend(keys.iter().filter(|key| !documented(key)).map(|key| format!("{table}.{key}")));
    }
    missing
}

/// The forms of a secret are explained once, for all.
fn secret_form(words: &impl Fn(&str, &str) -> bool, sample: &str, key: &str) -> bool {
    ["_file", "_env", "_credential"].iter().any(|end| key.ends_with(end)) && words(sample, key)
}

#[test]
fn every_key_is_in_the_sample() {
    assert_eq!(undocumented(SAMPLE), [""; 0]);
    // And the check sees a key that goes missing, at the top, in a table and in an inline one.
    for (key, missing) in [
        ("grace_period = ", ".grace_period"),
        ("merge_within = ", "read_point.merge_within"),
        ("first = \"1s\", ", "modbus.backoff.first"),
        (" side = ", "read_point.antennas.side"),
        ("statement_timeout = ", "store.timescale.statement_timeout"),
    ] {
        let without = SAMPLE.replace(key, "");
        assert!(undocumented(&without).contains(&missing.to_owned()), "{missing}");
    }
}

#[test]
fn five_faults_of_three_kinds_are_five_lines() {
    let text = r#"
node = "n"
[journal]
max_bytes = "4GB"
keep_reads = "yes"
[[site]]
name = "s"
timezone = "Europe/Berlim"
[[reader]]
name = "a"
protocol = "llrp"
address = "10.0.0.4:5084"
[[reader]]
name = "b"
protocol = "llrp"
address = "10.0.0.5"
adress = "10.0.0.5:5084"
"#;
    assert_eq!(
        problems(text),
        [
            "journal.max_bytes: \"4GB\": not a size; write a size such as \"512MiB\" or \"4GiB\", from 16MiB to 1024TiB (line 4)",
            "journal.keep_reads: \"yes\": wrong type: string; write true or false (line 5)",
            "site[0].timezone: \"Europe/Berlim\": not a known time zone; write an IANA time zone, for instance \"Europe/Berlin\" (line 8)",
            "reader[1].address: \"10.0.0.5\": no port; write host:port, for instance 10.0.0.5:5084 (line 16)",
            "reader[1].adress: unknown key \"adress\"; did you mean \"address\"? allowed: address, antenna_power, antennas, backoff, check_crc, connect, connect_timeout, filter_at_reader, hold_on_disconnect, keepalive, mode, name, power_dbm, protocol, report_every, report_interval, rospec_id, session, site, start, stop, tag_population, tags, tls, transmit_power_index, version (line 17)",
        ]
    );
}

/// A configuration around `part`, in which only `part` can be at fault.
fn around(part: &str) -> String {
    format!(
        r#"node = "n"
[[site]]
name = "s"
timezone = "UTC"
[[zone]]
name = "z"
[[zone]]
name = "y"
[[reader]]
name = "r"
protocol = "llrp"
address = "h:5084"
{part}"#
    )
}

/// The silence that ends a presence: learned, unless somebody says how long it is.
#[test]
fn a_lost_time_that_is_set_is_the_one_there_is() {
    let spans = |keys: &str| {
        let point = format!(
            "[[read_point]]\nname = \"p\"\nkind = \"presence\"\nzone = \"z\"\nantennas = [{{ reader = \"r\", antenna = 1 }}]\n{keys}"
        );
        let config = parse(&around(&point), Path::new("/etc/tallyman"), &no_env);
        match &config.unwrap().rules.read_points[0].kind {
            ReadPointKind::Presence { lost_after, lost_after_min, .. } => {
                (lost_after_min.as_secs(), lost_after.as_secs())
            }
            ReadPointKind::Portal { .. } => unreachable!(),
        }
    };
    assert_eq!(spans(""), (5, 300));
    assert_eq!(spans("lost_after = \"1m\""), (60, 60));
    assert_eq!(spans("lost_after_max = \"3s\""), (3, 3));
    assert_eq!(spans("lost_after_min = \"10m\""), (600, 600));
    assert_eq!(spans("lost_after_min = \"2s\"\nlost_after_max = \"10m\""), (2, 600));
}

/// Each part has exactly one problem, and it says so.
#[test]
fn one_fault_each() {
    let portal = "[[read_point]]\nname = \"p\"\nkind = \"portal\"\n";
    let presence = "[[read_point]]\nname = \"p\"\nkind = \"presence\"\nzone = \"z\"\n";
    let antenna = "antennas = [{ reader = \"r\", antenna = 1 }]\n";
    let sided = "antennas = [{ reader = \"r\", antenna = 1, side = \"inside\" }]\n";
    let broker = "[[broker]]\nname = \"b\"\naddress = \"h:1883\"\nclient_id = \"c\"\n";
    let topic = "[[broker.topic]]\nfilter = \"a/#\"\nformat = \"owntracks\"\n";
    let point = "[[modbus.point]]\nname = \"t\"\ntable = \"input\"\naddress = 1\ntype = \"u16\"\n";
    let modbus = format!("[[modbus]]\nname = \"m\"\naddress = \"h:502\"\nbase = 1\n{point}");
    let cases = [
        (
            format!("{presence}{antenna}settle = \"1s\""),
            "read_point[0].settle: \"1s\": only a portal has this",
        ),
        (
            format!("{presence}{antenna}lost_after = \"1m\"\nlost_after_max = \"2m\""),
            "read_point[0].lost_after_max: \"2m\": lost_after is set, which is the same for every tag",
        ),
        (
            format!("{presence}{antenna}lost_after_min = \"2m\"\nlost_after_max = \"1m\""),
            "read_point[0].lost_after_min: \"2m\": longer than lost_after_max",
        ),
        (format!("{presence}{sided}"), "read_point[0].antennas[0].side: \"inside\": only a portal has sides"),
        (format!("{portal}inside = \"z\"\n{antenna}"), "read_point[0].antennas[0].side: missing"),
        (format!("{portal}{sided}"), "read_point[0].inside: missing, and outside too"),
        (
            format!("{portal}inside = \"z\"\noutside = \"z\"\n{sided}"),
            "read_point[0].outside: \"z\": the same zone",
        ),
        (
            format!("{portal}inside = \"zz\"\n{sided}"),
            "read_point[0].inside: \"zz\": no zone has this name; did you mean",
        ),
        (presence.to_owned(), "read_point[0].antennas: missing"),
        (
            format!(
                "{presence}antennas = [{{ reader = \"r\", antenna = 1 }}, {{ reader = \"r\", antenna = 1 }}]"
            ),
            "read_point[0].antennas[1].antenna: 1: given twice",
        ),
        (
            format!("{presence}{antenna}reference_tag = \"xyz\""),
            "read_point[0].reference_tag: \"xyz\": not an EPC",
        ),
        (
            "[[reader]]\nname = \"r\"\nprotocol = \"llrp\"\naddress = \"g:5084\"".to_owned(),
            "reader[1].name: \"r\": given twice, first in line 9",
        ),
        (
            "[[reader]]\nname = \"q\"\nprotocol = \"llrp\"\naddress = \"h:5084\"".to_owned(),
            "reader[1].address: \"h:5084\": given twice",
        ),
        (
            "[[reader]]\nname = \"q\"\nprotocol = \"llrp\"\naddress = \"g:1\"\nantennas = [1, 0]".to_owned(),
            "reader[1].antennas[1]: 0: not understood",
        ),
        (format!("{broker}{topic}protocol = 5"), "broker[0].topic[0].protocol: unknown key"),
        (broker.to_owned(), "broker[0].topic: missing"),
        (
            format!("{broker}{}", topic.replace("a/#", "a/#/b")),
            "broker[0].topic[0].filter: \"a/#/b\": # stands only as the last level",
        ),
        (format!("{broker}password = \"hunter2\"\n{topic}"), "broker[0].username: missing"),
        (format!("{}{topic}", broker.replace("\"b\"", "\"r\"")), "broker[0].name: \"r\": given twice"),
        (modbus.replace("base = 1\n", ""), "modbus[0].base: missing"),
        (modbus.replace("address = 1\n", "address = 0\n"), "modbus[0].point[0].address: 0: out of range"),
        (
            modbus.replace("address = 1\ntype = \"u16\"", "address = 65536\ntype = \"f32\""),
            "modbus[0].point[0].address: 65536: the value would end past",
        ),
        (format!("{modbus}{point}"), "modbus[0].point[1].name: \"t\": given twice"),
        (format!("{modbus}scale = nan"), "modbus[0].point[0].scale: nan: out of range"),
        (
            modbus.replace("base = 1\n", "base = 1\nprofile = \"cold\"\n"),
            "modbus[0].profile: \"cold\": no profile has this name; add a [[profile]]",
        ),
        (
            format!("{modbus}[[limit]]\ndevice = \"m\"\npoint = \"u\"\nname = \"hi\"\nhigh = 1"),
            "limit[0].point: \"u\": no point has this name",
        ),
        (
            format!("{modbus}[[limit]]\ndevice = \"m\"\npoint = \"t\"\nname = \"hi\"\nhigh = 1\nlow = 0"),
            "limit[0].low: 0: given beside high",
        ),
        (
            format!("{modbus}[[limit]]\ndevice = \"m\"\npoint = \"t\"\nname = \"hi\""),
            "limit[0].high: missing; write high, low",
        ),
        (
            "[[fence]]\nname = \"f\"\nradius_m = 5\nhysteresis_m = 10\ncenter = { lat = 1, lon = 2 }".to_owned(),
            "fence[0].hysteresis_m: 10: 10 m is not less than 5.0 m",
        ),
        (
            "[[fence]]\nname = \"f\"\nradius_m = 50\ncenter = { lat = 91, lon = 2 }".to_owned(),
            "fence[0].center.lat: 91: out of range",
        ),
        (
            "[web]\nlisten = \"0.0.0.0:80\"".to_owned(),
            "web.listen: \"0.0.0.0:80\": open to the network without any [[web.token]]",
        ),
        (
            "[web]\nlisten = \"0.0.0.0:80\"\n[[web.token]]\nname = \"t\"\nsha256 = \"8c0e6a0f4f1c5c0b7f9d1f8a6be2f3f0c55f7c84e9a8a5a1d3c2b7e6f4091d2a\"\nrole = \"admin\"\n".to_owned(),
            "web.listen: \"0.0.0.0:80\": 0.0.0.0:80 is open to the network, and tokens would cross it readable",
        ),
        (
            "[[web.token]]\nname = \"t\"\nsha256 = \"8c0e6a0f4f1c5c0b7f9d1f8a6be2f3f0c55f7c84e9a8a5a1d3c2b7e6f4091d2a\"\nrole = \"admin\"\nsites = [\"atlantis\"]".to_owned(),
            "web.token[0].sites[0]: \"atlantis\": not understood",
        ),
        (
            "[[web.token]]\nname = \"t\"\nsha256 = \"8c0e6a0f4f1c5c0b7f9d1f8a6be2f3f0c55f7c84e9a8a5a1d3c2b7e6f4091d2a\"\nrole = \"admin\"\nsites = []".to_owned(),
            "web.token[0].sites: […]: empty",
        ),
        (
            "[[web.token]]\nname = \"t\"\nsha256 = \"8c0e6a0f4f1c5c0b7f9d1f8a6be2f3f0c55f7c84e9a8a5a1d3c2b7e6f4091d2a\"\nrole = \"admin\"\nexpires = \"tomorrow\"".to_owned(),
            "web.token[0].expires: \"tomorrow\": not a time with an offset",
        ),
        (
            "[web]\ntls = { cert_file = \"c.pem\" }".to_owned(),
            "web.tls.key_file: missing",
        ),
        (
            "[web]\nlisten = \"127.0.0.1:1\"\n[metrics]\nlisten = \"127.0.0.1:1\"".to_owned(),
            "metrics: {…}: listens where web.listen does",
        ),
        ("[journal]\nmax_bytes = \"64MiB\"".to_owned(), "journal.reserve: more than half of max_bytes"),
        (
            "[store.timescale]\nurl = \"mysql://h\"".to_owned(),
            "store.timescale.url: (hidden): not a Postgres address",
        ),
        ("[store.timescale]".to_owned(), "store.timescale.url: missing"),
        (
            "[notify.alertmanager]\nurls = [\"ftp://a:1\"]".to_owned(),
            "notify.alertmanager.urls[0]: \"ftp://a:1\": not understood",
        ),
        ("colour = 1".to_owned(), "reader[0].colour: unknown key \"colour\"; allowed: address"),
        (
            "[[class]]\nname = \"c\"\nghost_after = 5".to_owned(),
            "class[0].ghost_after: 5: wrong type: integer",
        ),
        ("[[class]]\nname = \"a/b\"".to_owned(), "class[0].name: \"a/b\": not a name"),
    ];
    for (part, expected) in cases {
        let found = problems(&around(&part));
        assert_eq!(found.len(), 1, "{part}\n{found:#?}");
        assert!(found[0].starts_with(expected), "{}\nexpected {expected}", found[0]);
    }
}

#[test]
fn what_does_not_parse_is_told_with_the_rest_and_its_line_once() {
    let text =
        "node = \"n\"\nnode = \"m\"\n[web]\nlisten = 127.0.0.1:80\n[tracker]\nmax_speed_mps = \"fast\"\n";
    let found = problems(text);
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found[0].starts_with("node: duplicate key") && found[0].ends_with("(line 2)"), "{}", found[0]);
    assert!(found[1].starts_with("listen: ") && found[1].ends_with("(line 4)"), "{}", found[1]);
    assert!(found[2].starts_with("tracker.max_speed_mps: \"fast\": wrong type"), "{}", found[2]);
}

#[test]
fn no_problem_shows_a_secret() {
    for part in [
        "password = \"hunter2\"\npassword_env = \"X\"",
        "password = \"hunter2\" hunter2",
        "password = [\"hunter2\"]",
        "pasword = \"hunter2\"",
        "password_env = \"hunter2\"",
        "password_file = \"postgres://a:hunter2@h/x\"",
        "address = \"mqtt://u:hunter2@h:1883\"",
        "address = \"u:hunter2@h:1883\"",
        "adress = \"u:hun@hunter2@h:1883\"",
        "topic = \"mqtt://u:hunter2@h:1883\"",
    ] {
        let text = around(&format!(
            "[[broker]]\nname = \"b\"\n{part}\n[[web.token]]\nsha256 = \"hunter2\"\n[store.timescale]\nurl = \"hunter2\"\n"
        ));
        let found = problems(&text).join("\n");
        assert!(found.contains("broker[0]") || found.contains("password: "), "{found}");
        assert!(found.contains("web.token[0].sha256: (hidden)"), "{found}");
        assert!(!found.contains("hunter2"), "{part}: {found}");
    }
    let login = problems(&around("[[broker]]\nname = \"b\"\naddress = \"u:hunter2@h:1883\"\n")).join("\n");
    assert!(
        login.contains("\"u:***@h:1883\": a login before the host") && login.contains("`password_file`"),
        "{login}"
    );
    let config = parse(&around("[store.timescale]\nurl = \"postgres://u:hunter2@h/x\"\n[notify.alertmanager]\nurls = [\"http://u:hunter2@h:1\"]"), Path::new(""), &no_env).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn secrets_come_from_files_the_environment_and_credentials() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mqtt"), "from file\n").unwrap();
    let credentials = folder.path().to_str().unwrap().to_owned();
    let env = |name: &str| match name {
        "MQTT_PASSWORD" => Some("from env".to_owned()),
        "CREDENTIALS_DIRECTORY" => Some(credentials.clone()),
        _ => None,
    };
    for (form, secret) in [
        ("password = \"inline\"", "inline"),
        ("password_file = \"mqtt\"", "from file"),
        ("password_env = \"MQTT_PASSWORD\"", "from env"),
        ("password_credential = \"mqtt\"", "from file"),
    ] {
        let text = around(&format!(
            "[[broker]]\nname = \"b\"\naddress = \"h:1\"\nclient_id = \"c\"\nusername = \"u\"\n{form}\n[[broker.topic]]\nfilter = \"a\"\nformat = \"owntracks\""
        ));
        let config = parse(&text, folder.path(), &env).unwrap();
        assert_eq!(config.brokers[0].password.as_ref().unwrap().reveal(), secret);
    }
    for (form, wrong) in [
        ("password_file = \"none\"", "cannot be read"),
        ("password_env = \"NONE\"", "this environment variable is not set"),
        ("password_credential = \"../mqtt\"", "not the name of a credential"),
    ] {
        let text = around(&format!(
            "[[broker]]\nname = \"b\"\naddress = \"h:1\"\nclient_id = \"c\"\n{form}\n[[broker.topic]]\nfilter = \"a\"\nformat = \"owntracks\""
        ));
        let found = parse(&text, folder.path(), &env).unwrap_err().to_string();
        assert!(found.contains(wrong) && found.lines().count() == 1, "{found}");
    }
}

#[test]
fn a_sole_site_need_not_be_named_and_one_of_two_must() {
    let one = "node = \"n\"\n[[site]]\nname = \"s\"\ntimezone = \"UTC\"\n[[zone]]\nname = \"z\"\n";
    assert_eq!(parse(one, Path::new(""), &no_env).unwrap().rules.zones[0].site.as_str(), "s");
    let two = format!("{one}[[site]]\nname = \"t\"\ntimezone = \"UTC\"\n");
    assert_eq!(
        problems(&two),
        ["zone[0].site: missing; write the name of a [[site]]; only a sole site may be left out (line 5)"]
    );
}

#[test]
fn a_part_with_a_fault_does_not_make_its_name_dangle() {
    let text = around("[[broker]]\n[[read_point]]\nname=\"p\"\nkind=\"presence\"\nzone=\"z\"\nantennas=[{reader=\"r\", antenna=1}]")
        .replace("address = \"h:5084\"", "address = \"h\"");
    let found = problems(&text);
    assert!(
        found.iter().all(|line| line.starts_with("reader[0].address") || line.starts_with("broker[0]")),
        "{found:#?}"
    );
}

#[test]
fn files_that_are_no_text_or_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.toml");
    assert!(matches!(load(&path), Err(ConfigError::Read { .. })));
    std::fs::write(&path, b"node = \"n\"\nx = \"\xff\"\n").unwrap();
    assert!(matches!(load(&path), Err(ConfigError::NotText { line: 2, .. })));
}

proptest::proptest! {
    #[test]
    fn nothing_panics(bytes: Vec<u8>) {
        parse(&String::from_utf8_lossy(&bytes), Path::new(""), &no_env).ok();
    }

    /// A value of any kind in the place of any other: one problem or more, or none, never a panic.
    #[test]
    fn no_value_anywhere_panics(
        line in 0..SAMPLE.lines().count(),
        value in proptest::sample::select(vec![
            "1", "-1", "1e308", "nan", "\"\"", "\"x\"", "[]", "[[]]", "{}", "[{}]", "true", "1979-05-27",
            "99999999999999999999", "\"999999999999d\"", "\"://@\"", "",
        ]),
    ) {
        let full = uncommented(SAMPLE);
        let mut lines: Vec<String> = full.lines().map(str::to_owned).collect();
        if let Some((key, _)) = lines[line].clone().split_once('=') {
            lines[line] = format!("{key}= {value}");
        }
        parse(&lines.join("\n"), Path::new(""), &no_env).ok();
    }
}
