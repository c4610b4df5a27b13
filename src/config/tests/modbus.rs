//! Modbus devices, their profiles and the limits of their points: what is taken, and how faults are told.

use super::*;

/// A configuration with one device of these points.
fn with_points(points: &str) -> String {
    format!(
        "node = \"n\"\n[[site]]\nname = \"s\"\ntimezone = \"UTC\"\n[[modbus]]\nname = \"m\"\naddress = \"h:502\"\n\
         base = 0\n{points}"
    )
}

#[test]
fn modbus_addresses_count_from_their_own_base() {
    let config = parse(SAMPLE, Path::new(""), &no_env).unwrap();
    let points: Vec<_> =
        config.modbus[0].units[0].points.iter().map(|p| (p.name.as_str(), p.address)).collect();
    assert_eq!((points[0], points.last()), (("temperature", 0), Some(&("door", 0))));
}

#[test]
fn points_of_every_kind_are_read() {
    let point = |name: &str, rest: &str| format!("[[modbus.point]]\nname = \"{name}\"\n{rest}\n");
    let text = with_points(&[
        point("a", "table = \"holding\"\naddress = 0\ntype = \"q16.16\"\nnone = [0x80000000, -1]"),
        point("b", "table = \"coil\"\naddress = 0"),
        point("c", "table = \"discrete\"\naddress = 9\ntype = \"bit\""),
        point("d", "table = \"input\"\naddress = 4\ntype = \"bit\"\nbit = 15\nwords = { 0 = \"shut\", 1 = \"open\" }"),
        point("e", "table = \"input\"\naddress = 4\ntype = \"u8-high\"\nnone = 255"),
        point("f", "table = \"input\"\naddress = 5\ntype = \"string\"\nregisters = 6\norder = \"badc\""),
        point("g", "table = \"input\"\naddress = 11\ntype = \"f64\"\norder = \"cdab\"\nrange = [-1, 1.5]\nnone = nan"),
    ].concat());
    let config = parse(&text, Path::new("/"), &no_env).unwrap();
    let points = &config.modbus[0].units[0].points;
    let kinds: Vec<_> = points.iter().map(|point| point.kind).collect();
    let fixed = RegisterType::Fixed(Fixed { words: 2, signed: true, fraction: 16 });
    let (byte, text, bit) = (RegisterType::U8(Half::High), RegisterType::Text(6), RegisterType::Bit(0));
    assert_eq!(kinds, [fixed, bit, bit, RegisterType::Bit(15), byte, text, RegisterType::F64]);
    assert_eq!(points[0].none, [0x8000_0000, 0xffff_ffff]);
    assert_eq!((points[3].words.len(), points[6].range), (2, Some((-1.0, 1.5))));
    assert!(f64::from_bits(points[6].none[0]).is_nan());
}

#[test]
fn every_contradiction_of_a_map_is_told_at_once() {
    let point =
        |name: &str, rest: &str| format!("[[modbus.point]]\nname = \"{name}\"\ntable = \"input\"\n{rest}\n");
    let text = with_points(
        &[
            point("a", "address = 0\ntype = \"f32\"\nwords = { 0 = \"x\" }\nfoo = 1"),
            point("b", "address = 1\ntype = \"u32\""),
            point("c", "address = 10\ntype = \"string\"\nscale = 2\norder = \"cdab\""),
            point("d", "address = 20\ntype = \"u16\"\nbit = 3\nregisters = 2\nnone = 70000"),
            point("e", "address = 30\ntype = \"bit\""),
            point("f", "address = 40\ntype = \"i16\"\nscale = 0.1\nrange = [4000, 5000]"),
            point("g", "address = 50\ntype = \"u16\"\nrange = [5, 1]\nwords = { on = \"x\" }"),
            point("h", "address = 65534\ntype = \"u64\""),
            "[[modbus.point]]\nname = \"i\"\ntable = \"coil\"\naddress = 1\ntype = \"u16\"\n".to_owned(),
            point("j", "address = 60\ntype = \"f32\"\ndeadband = 1\ncompress_within = 1"),
            point("k", "address = 70\ntype = \"u16\"\nwords = { 0 = \"off\" }\ncompress_within = 0.5"),
            point("l", "address = 71\ntype = \"u16\"\ncompress_within = 0\nheartbeat = \"2d\""),
        ]
        .concat(),
    );
    let found = problems(&text);
    let expected = [
        "modbus[0].point[0].foo: unknown key",
        "modbus[0].point[0].words: {…}: only whole numbers have words",
        "modbus[0].point[1].address: 1: a reads the same registers",
        "modbus[0].point[2].registers: missing",
        "modbus[0].point[3].bit: 3: there is only one",
        "modbus[0].point[3].none: 70000: no register of this type holds it",
        "modbus[0].point[3].registers: 2: the type has its own length",
        "modbus[0].point[4].bit: missing",
        "modbus[0].point[5].range: […]: no value of this type",
        "modbus[0].point[6].range: […]: nothing is between these",
        "modbus[0].point[6].words: {…}: \"on\" is no whole number",
        "modbus[0].point[7].address: 65534: the value would end past",
        "modbus[0].point[8].type: \"u16\": this table holds single bits",
        "modbus[0].point[9].compress_within: 1: there is a `deadband` too",
        "modbus[0].point[10].compress_within: 0.5: there is nothing between its values",
        "modbus[0].point[11].compress_within: 0: nothing could be left out",
        "modbus[0].point[11].heartbeat: \"2d\"",
    ];
    for expected in expected {
        assert!(found.iter().any(|line| line.starts_with(expected)), "{expected}: {found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn limits_bound_a_value_or_a_rate() {
    let text = |limit: &str| {
        format!(
            "node = \"n\"\n[[site]]\nname = \"s\"\ntimezone = \"UTC\"\n[[class]]\nname = \"c\"\n[[class.limit]]\n\
             point = \"t\"\nname = \"l\"\n{limit}\n[[modbus]]\nname = \"m\"\naddress = \"h:502\"\nbase = 0\n\
             [[modbus.point]]\nname = \"t\"\ntable = \"input\"\naddress = 0\ntype = \"u16\"\n[[limit]]\n\
             device = \"m\"\npoint = \"t\"\nname = \"l\"\n{limit}\n"
        )
    };
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    for (limit, kind, threshold) in [
        ("low = -2", LimitKind::Low, -2.0),
        ("rise_per_min = 2.5", LimitKind::Rise { over: minutes(5) }, 2.5),
        ("fall_per_min = 3\nover = \"10m\"", LimitKind::Fall { over: minutes(10) }, 3.0),
    ] {
        let rules = parse(&text(limit), Path::new(""), &no_env).unwrap().rules;
        let own = &rules.limits[0];
        let of_class = LimitConfig::of_class(&rules.classes[0].limits[0], &"m".into()).unwrap();
        assert_eq!((own.kind, own.threshold), (kind, threshold), "{limit}");
        assert_eq!((of_class.kind, of_class.threshold), (kind, threshold), "{limit}");
    }
    for (limit, wrong) in [
        ("", "high: missing"),
        ("high = 1\nrise_per_min = 1", "rise_per_min: 1: given beside high"),
        ("high = 1\nover = \"5m\"", "over: \"5m\": only rates have a window"),
        ("fall_per_min = -1", "fall_per_min: -1"),
    ] {
        let found = problems(&text(limit));
        for place in ["class[0].limit[0].", "limit[0]."] {
            let expected = format!("{place}{wrong}");
            assert!(found.iter().any(|line| line.starts_with(&expected)), "{expected}: {found:#?}");
        }
    }
}

#[test]
fn profiles_come_from_files_too_and_their_faults_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let profile = |name: &str, rest: &str| {
        format!(
            "[[profile]]\nname = \"{name}\"\nbase = 1\nmax_registers = 10\n[[profile.point]]\nname = \"t\"\n\
             table = \"input\"\naddress = 1\ntype = \"u16\"\n{rest}"
        )
    };
    write("a.toml", &profile("first", ""));
    write("b.toml", &profile("second", ""));
    write("b.txt", "no profile");
    let text = |device: &str| {
        format!(
            "node = \"n\"\nprofiles = [\"*.toml\"]\n[[site]]\nname = \"s\"\ntimezone = \"UTC\"\n[[modbus]]\nname = \"m\"\n\
             address = \"h:502\"\n{device}\n[[limit]]\ndevice = \"m\"\npoint = \"t\"\nname = \"hi\"\nhigh = 1\n"
        )
    };
    let parsed = |device: &str| parse(&text(device), folder.path(), &no_env);
    let config = parsed("profile = \"second\"\nmax_gap = 2").unwrap();
    assert_eq!(config.modbus[0].units[0].reach, ModbusReach { max_registers: 10, max_gap: 2 });
    assert_eq!(config.modbus[0].units[0].points[0].address, 0);
    write("b.toml", &profile("first", "scale = 0\nbits = 3\n"));
    let told = parsed("profile = \"first\"").unwrap_err().to_string();
    for expected in
        ["b.toml: profile[0].name", "b.toml: profile[0].point[0].scale", "b.toml: profile[0].point[0].bits"]
    {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    write("b.toml", "[[profile]\n");
    assert!(parsed("profile = \"first\"").unwrap_err().to_string().contains("b.toml: "));
    let missing = problems("node = \"n\"\nprofiles = [\"nowhere/*.toml\", \"none.toml\"]\n");
    assert_eq!(missing.len(), 2, "{missing:?}");
}

#[test]
fn a_point_that_no_request_reaches_is_told_once_where_it_is_wrong() {
    let text = |limit: &str, device: &str| {
        format!(
            "node = \"n\"\n[[site]]\nname = \"s\"\ntimezone = \"UTC\"\n[[profile]]\nname = \"p\"\nbase = 0\n{limit}\
             [[profile.point]]\nname = \"t\"\ntable = \"input\"\naddress = 0\ntype = \"f64\"\n\
             [[modbus]]\nname = \"m\"\naddress = \"h:502\"\nprofile = \"p\"\n{device}"
        )
    };
    assert!(parse(&text("max_registers = 4\n", ""), Path::new(""), &no_env).is_ok());
    let told = "t has 4 registers; room for the longest point (line";
    let [wrong] = &problems(&text("max_registers = 3\n", ""))[..] else { panic!() };
    assert!(wrong.starts_with(&format!("profile[0].max_registers: 3: {told}")), "{wrong}");
    let [wrong] = &problems(&text("", "max_registers = 2\n"))[..] else { panic!() };
    assert!(wrong.starts_with(&format!("modbus[0].max_registers: 2: {told}")), "{wrong}");
}

#[test]
fn lines_have_devices_and_the_transport_that_they_say() {
    let around = |text: &str| format!("node = \"n\"\n[[site]]\nname = \"s\"\ntimezone = \"UTC\"\n{text}");
    let point = |table: &str| {
        format!(
            "base = 0\n[[modbus.{table}point]]\nname = \"t\"\ntable = \"input\"\naddress = 0\ntype = \"u16\"\n"
        )
    };
    let device = |rest: &str| format!("[[modbus.device]]\n{rest}\n{}", point("device."));
    let limit = "[[limit]]\ndevice = \"a\"\npoint = \"t\"\nname = \"hi\"\nhigh = 1\n";
    let text = around(&format!(
        "[[modbus]]\nname = \"m\"\nport = \"/dev/ttyS0\"\nparity = \"even\"\npoll = \"3s\"\n{}{}{limit}",
        device("name = \"a\"\nunit = 3\npoll = \"1m\""),
        device("name = \"b\"\nunit = 4")
    ));
    let config = parse(&text, Path::new("/"), &no_env).unwrap();
    let line = &config.modbus[0];
    let switched = text.replace("\nport =", "\nrs485 = { after = \"2ms\", inverted = true }\nport =");
    let switched = parse(&switched, Path::new("/"), &no_env).unwrap().modbus.remove(0).transport;
    let ModbusTransport::Rtu(SerialLine::Port { rs485: Some(rs485), .. }) = switched else {
        panic!("not switched")
    };
    let after = Duration::from_millis(2);
    assert_eq!(rs485, Rs485 { before: Duration::ZERO, after, inverted: true });
    let expected = SerialLine::Port {
        path: "/dev/ttyS0".into(),
        baud: 19_200,
        data_bits: 8,
        stop_bits: 1,
        parity: Parity::Even,
        rs485: None,
    };
    assert_eq!((&line.transport, line.pause), (&ModbusTransport::Rtu(expected), Duration::from_millis(10)));
    let units: Vec<_> =
        line.units.iter().map(|unit| (unit.device.as_str(), unit.unit, unit.poll.as_secs())).collect();
    assert_eq!(units, [("a", 3, 60), ("b", 4, 3)]);
    let text = around(&format!(
        "[[modbus]]\nname = \"m\"\naddress = \"h:802\"\n{}[modbus.tls]\nserver_name = \"x\"\n",
        point("")
    ));
    let config = parse(&text, Path::new("/"), &no_env).unwrap();
    let ModbusTransport::Tcp { tls: Some(tls), .. } = &config.modbus[0].transport else { panic!("no TLS") };
    assert_eq!(tls.server_name.as_deref(), Some("x"));
    let head = "[[modbus]]\nname = \"m\"\n";
    for (text, expected) in [
        (
            format!("{head}address = \"h:1\"\nunit = 2\n{}", device("name = \"a\"")),
            "modbus[0].unit: 2: given beside",
        ),
        (
            format!("{head}address = \"h:1\"\n{}{}", device("name = \"a\""), device("name = \"b\"")),
            "modbus[0].device[1].unit: another device",
        ),
        (
            format!("{head}address = \"h:1\"\n{}{head}", device("name = \"a\""))
                .replacen("\"m\"", "\"k\"", 1)
                + "address = \"h:2\"\n"
                + &device("name = \"a\""),
            "modbus[1].device[0].name: \"a\": given twice",
        ),
        (
            format!("{head}address = \"h:1\"\ntransport = \"rtu\"\nport = \"/dev/a\"\n{}", point("")),
            "modbus[0].address: \"h:1\": given, and a serial line",
        ),
        (
            format!("{head}port = \"/dev/a\"\ntransport = \"tcp\"\naddress = \"h:1\"\n{}", point("")),
            "modbus[0].port: \"/dev/a\": given, and this",
        ),
        (
            format!("{head}address = \"h:1\"\nrs485 = {{}}\n{}", point("")),
            "modbus[0].rs485: {…}: there is no port",
        ),
        (
            format!("{head}port = \"/dev/a\"\nrs485 = {{ before = \"1s\", rts = true }}\n{}", point("")),
            "modbus[0].rs485.before: \"1s\"",
        ),
        (
            format!("{head}address = \"h:1\"\ntransport = \"rtu-over-tcp\"\ntls = {{}}\n{}", point("")),
            "modbus[0].tls: {…}: serial bytes",
        ),
    ] {
        let found = problems(&around(&text));
        assert!(found.iter().any(|line| line.starts_with(expected)), "{expected}: {found:#?}");
    }
}

#[test]
fn the_profiles_that_come_with_it_are_sound_and_say_where_they_are_from() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut devices = String::new();
    for entry in std::fs::read_dir(folder.join("profiles")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("\nsource = \"") && text.contains("https://"), "{name}");
        devices += &format!("[[modbus]]\nname = \"{name}\"\naddress = \"h:502\"\nprofile = \"{name}\"\n");
    }
    let text = format!(
        "node = \"n\"\nprofiles = [\"profiles/*.toml\"]\n[[site]]\nname = \"s\"\ntimezone = \"UTC\"\n{devices}"
    );
    let config = parse(&text, &folder, &no_env).unwrap();
    assert!(
        config.modbus.len() >= 4 && config.modbus.iter().all(|device| !device.units[0].points.is_empty())
    );
}
