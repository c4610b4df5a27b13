//! Parts of a configuration: what each takes, and how its faults are told.

use super::*;
use crate::domain::tag_filter::Refused;

#[test]
fn rules_of_assets_and_tags_are_read_and_their_faults_told() {
    let text = |body: &str| format!("node = \"n\"\n{body}");
    let config = parse(
        &text(
            "[alerts]\nwrong_zone_after = \"0s\"\nkit_window = \"5m\"\n\
             [alerts.zombie]\nignore = [\"30??257b*\"]\nsingle_alerts = 0\n\
             [alerts.repeat_offender]\nincidents = 9\n",
        ),
        Path::new("/"),
        &no_env,
    );
    let rules = config.unwrap().rules.alerts.assets;
    assert_eq!((rules.wrong_zone_after, rules.kit_window), (Duration::ZERO, Duration::from_secs(300)));
    assert_eq!((rules.zombie.single_alerts, rules.zombie.ignore.len()), (0, 1));
    assert_eq!(rules.repeat_offender.incidents, 9);
    let config = parse(&text("[alerts.zombie]\nignore = [\"company:0614141\"]"), Path::new("/"), &no_env);
    assert!(config.unwrap().rules.alerts.assets.zombie.ignore.len() > 10, "a pattern a scheme");
    let wrong = problems(&text("[alerts.zombie]\nignore = [\"30*\", \"30*4\"]\nstay = \"1m\"\n"));
    let told = wrong.join("\n");
    assert!(told.contains("alerts.zombie.ignore[1]") && told.contains("alerts.zombie.stay"), "{told}");
}

#[test]
fn tags_that_concern_a_reader_and_a_read_point() {
    let epc = |hex| crate::domain::epc::Epc::from_hex(hex).unwrap();
    let (giai, sgtin) = (epc("3474257bf40000000000162e"), epc("3074257bf7194e4000001a85"));
    let tags =
        "tags = { include = [\"company:0614141\"], exclude = [\"urn:epc:idpat:sgtin:0614141.*.*\"] }\n";
    let point = "[[read_point]]\nname = \"p\"\nkind = \"presence\"\nzone = \"z\"\nreference_tag = \"ee\"\n\
                 antennas = [{ reader = \"r\", antenna = 1 }]\ntags = { exclude = [\"3474*\"] }\n";
    let config =
        parse(&around(&format!("{tags}check_crc = false\n{point}")), Path::new("/"), &no_env).unwrap();
    let rules = &config.rules.reads[&SourceId::new("r")];
    assert_eq!((rules.tags.refuses(&giai), rules.check_crc), (None, false));
    assert_eq!(rules.tags.refuses(&sgtin), Some(Refused::Excluded));
    let reader = &config.readers[0];
    assert_eq!((&reader.select, &reader.references), (&rules.tags, &vec![epc("ee")]));
    assert_eq!(config.rules.read_points[0].tags.refuses(&giai), Some(Refused::Excluded));
    let config =
        parse(&around(&format!("{tags}filter_at_reader = false\n")), Path::new("/"), &no_env).unwrap();
    assert!(config.readers[0].select.is_empty() && config.rules.reads[&SourceId::new("r")].check_crc);
    let wrong = problems(&around("tags = { include = [\"company:1\"], only = [] }\n")).join("\n");
    assert!(wrong.contains("reader[0].tags.include[0]") && wrong.contains("reader[0].tags.only"), "{wrong}");
}

#[test]
fn light_barriers_are_one_or_one_on_each_side_of_a_portal_on_its_own_readers() {
    let point = |kind: &str, beams: &str| {
        around(&format!(
            "[[reader]]\nname = \"q\"\nprotocol = \"llrp\"\naddress = \"q:5084\"\n\
             [[reader]]\nname = \"s\"\nprotocol = \"r200\"\nport = \"/dev/ttyUSB0\"\n\
             [[read_point]]\nname = \"p\"\n{kind}\n\
             antennas = [{{ reader = \"r\", antenna = 1, side = \"inside\" }}]\nbeams = [{beams}]\n"
        ))
    };
    let portal = "kind = \"portal\"\ninside = \"z\"";
    let (outer, inner) = (
        "{ reader = \"r\", gpi = 2, side = \"outside\", broken = \"low\" }",
        "{ reader = \"r\", gpi = 3, side = \"inside\" }",
    );
    let config = parse(&point(portal, &format!("{outer}, {inner}")), Path::new("/"), &no_env).unwrap();
    let beam = |port, inside, broken_high| BeamConfig {
        source: "r".into(),
        port,
        inside: Some(inside),
        broken_high,
    };
    assert_eq!(config.rules.read_points[0].beams(), [beam(2, false, false), beam(3, true, true)]);
    let told: Vec<_> = config.readers.iter().map(|reader| reader.beams.clone()).collect();
    assert_eq!(told, [vec![2, 3], vec![]]);
    let single = parse(&point(portal, "{ reader = \"r\", gpi = 1 }"), Path::new("/"), &no_env).unwrap();
    assert_eq!(single.rules.read_points[0].beams()[0].inside, None);
    for (beams, wrong) in [
        (format!("{inner}, {outer}, {{ reader = \"r\", gpi = 4 }}"), "beams: […]: more than two"),
        (format!("{inner}, {}", inner.replace('3', "4")), "beams: […]: two that are not one on each side"),
        (format!("{inner}, {inner}"), "beams[1].gpi: 3: given twice"),
        ("{ reader = \"q\", gpi = 1 }".to_owned(), "beams: […]: on another reader than the antennas"),
        ("{ reader = \"s\", gpi = 1 }".to_owned(), "beams[0].reader: \"s\": a serial reader"),
        ("{ gpi = 1 }".to_owned(), "beams[0].reader: missing"),
        ("{ reader = \"r\" }".to_owned(), "beams[0].gpi: missing"),
        ("{ reader = \"r\", gpi = 1, level = 2 }".to_owned(), "beams[0].level: unknown key"),
    ] {
        let told = problems(&point(portal, &beams)).join("\n");
        assert!(told.contains(&format!("read_point[0].{wrong}")), "{wrong}\n{told}");
    }
    let presence = point("kind = \"presence\"\nzone = \"z\"", outer).replace(", side = \"inside\" }]", " }]");
    let told = problems(&presence).join("\n");
    assert!(told.contains("read_point[0].beams: […]: only a portal has this"), "{told}");
}

#[test]
fn serial_readers_take_what_their_kind_does_and_nothing_else() {
    let site = "[[site]]\nname = \"s\"\ntimezone = \"UTC\"\n";
    let reader = |text: &str| format!("node = \"n\"\n{site}[[reader]]\nname = \"r\"\n{text}");
    let text = reader("protocol = \"r200\"\nport = \"/dev/ttyUSB0\"");
    let config = parse(&text, Path::new("."), &|_| None).unwrap();
    let serial = &config.serial_readers[0];
    let port = SerialLine::Port {
        path: "/dev/ttyUSB0".into(),
        baud: 115_200,
        data_bits: 8,
        stop_bits: 1,
        parity: Parity::None,
        rs485: None,
    };
    assert_eq!((&serial.line, serial.silent_after), (&port, Some(Duration::from_secs(30))));
    assert!(!serial.commands.start.is_empty() && config.readers.is_empty());
    let text = reader(
        "protocol = \"line\"\naddress = \"h:4001\"\nstart = \"GO\\r\\n\"\nignore = [\"^#\"]\n\
         pattern = \"^(?P<epc>[0-9a-f]+)$\"",
    );
    let config = parse(&text, Path::new("."), &|_| None).unwrap();
    let serial = &config.serial_readers[0];
    assert_eq!(serial.line, SerialLine::Tcp("h:4001".to_owned()));
    assert_eq!((&serial.commands.start[..], serial.silent_after), (&b"GO\r\n"[..], None));
    let cases = [
        ("protocol = \"r200\"", "reader[0].port: missing"),
        (
            "protocol = \"r200\"\nport = \"/dev/a\"\naddress = \"h:1\"",
            "reader[0].port: \"/dev/a\": given, and address too",
        ),
        ("protocol = \"r200\"\nport = \"/dev/a\"\nbaud = 12", "reader[0].baud: 12"),
        (
            "protocol = \"r200\"\nport = \"/dev/a\"\nstart = \"hello\"",
            "reader[0].start: \"hello\": not hexadecimal",
        ),
        ("protocol = \"r200\"\nport = \"/dev/a\"\npattern = \"x\"", "reader[0].pattern: unknown key"),
        (
            "protocol = \"line\"\nport = \"/dev/a\"\npattern = \"x\"",
            "reader[0].pattern: \"x\": the pattern has no group",
        ),
        ("protocol = \"line\"\nport = \"/dev/a\"\nignore = [\"(\"]", "reader[0].ignore[0]"),
        ("protocol = \"morse\"\nport = \"/dev/a\"", "reader[0].protocol: \"morse\""),
    ];
    for (text, expected) in cases {
        let found = problems(&reader(text));
        assert!(found.len() == 1 && found[0].starts_with(expected), "{text}: {found:#?}");
    }
}

#[test]
fn topics_name_the_device_and_have_what_their_format_needs() {
    let topics = |text: &str| {
        format!(
            "node = \"n\"\n[[site]]\nname = \"s\"\ntimezone = \"UTC\"\n[[broker]]\nname = \"b\"\n\
             address = \"h:1883\"\nclient_id = \"c\"\n[[broker.topic]]\n{text}"
        )
    };
    let paths = "latitude = \"a\"\nlongitude = \"b\"\ntime = \"t\"\ntime_format = \"unix\"\n";
    let mapped = |text: &str| {
        format!("topic = \"f/{{device}}\"\nformat = \"json\"\n[broker.topic.mapping]\n{paths}{text}")
    };
    for text in [
        "filter = \"owntracks/+/+\"\nformat = \"owntracks\"",
        "topic = \"{device}\"\nformat = \"nmea\"\nnot_before = \"2020-01-01T00:00:00Z\"",
        "filter = \"f/#\"\nformat = \"json\"\nmapping = { preset = \"thingsboard\" }",
        "topic = \"f/{device}\"\nformat = \"json\"\nmapping = { preset = \"geojson\", time = \"properties.t\" }",
        &mapped("speed = [\"v\", \"/a.b/v\"]\nspeed_unit = \"knots\""),
        "filter = \"spBv1.0/#\"\nformat = \"sparkplug-b\"",
        "filter = \"spBv1.0/fleet/#\"\nformat = \"sparkplug-b\"",
        "topic = \"spBv1.0/{group}/+/{node}/#\"\nformat = \"sparkplug-b\"\nmapping = { speed_unit = \"mph\", battery_unit = \"fraction\" }",
        "filter = \"spBv1.0/fleet/+/+/#\"\nformat = \"sparkplug-b\"\nmapping = { latitude = [\"a.b\", \"a/b\"] }",
    ] {
        let found = parse(&topics(text), Path::new("."), &no_env);
        assert!(found.is_ok(), "{text}: {}", found.unwrap_err());
    }
    let cases = [
        ("format = \"owntracks\"".to_owned(), "broker[0].topic[0].topic: missing"),
        (
            "filter = \"a\"\ntopic = \"{d}\"\nformat = \"owntracks\"".into(),
            "broker[0].topic[0].filter: \"a\": given, and topic too",
        ),
        (
            "filter = \"a/{d}\"\nformat = \"owntracks\"".into(),
            "broker[0].topic[0].filter: \"a/{d}\": a filter has no device",
        ),
        (
            "topic = \"a/+\"\nformat = \"owntracks\"".into(),
            "broker[0].topic[0].topic: \"a/+\": no level in braces",
        ),
        (
            "topic = \"a-{d}\"\nformat = \"owntracks\"".into(),
            "broker[0].topic[0].topic: \"a-{d}\": a word in braces",
        ),
        (
            "filter = \"a/+\"\nformat = \"nmea\"".into(),
            "broker[0].topic[0].filter: \"a/+\": nothing says whose",
        ),
        (
            "topic = \"{d}\"\nformat = \"nmea\"\nmapping = {}".into(),
            "broker[0].topic[0].mapping: unknown key",
        ),
        (
            "filter = \"a/+\"\nformat = \"teltonika\"".into(),
            "broker[0].topic[0].filter: \"a/+\": nothing says whose",
        ),
        ("topic = \"{d}\"\nformat = \"json\"".into(), "broker[0].topic[0].mapping: missing"),
        (
            "topic = \"{d}\"\nformat = \"json\"\nmapping = \"traccar\"".into(),
            "broker[0].topic[0].mapping: \"traccar\": wrong type: string; write where things stand in the message: \
             { preset = \"traccar\" }",
        ),
        (
            "filter = \"spBv1.0/+/DDATA/+/+\"\nformat = \"sparkplug-b\"".into(),
            "broker[0].topic[0].filter: \"spBv1.0/+/DDATA/+/+\": it does not take every",
        ),
        (
            "topic = \"spBv1.0/{g}/{kind}/{n}/#\"\nformat = \"sparkplug-b\"".into(),
            "broker[0].topic[0].topic: \"spBv1.0/{g}/{kind}/{n}/#\": it does not take every",
        ),
        (
            "topic = \"spBv1.0/g/+/n/{device}\"\nformat = \"sparkplug-b\"".into(),
            "broker[0].topic[0].topic: \"spBv1.0/g/+/n/{device}\": it does not take every",
        ),
        (
            "filter = \"fleet/#\"\nformat = \"sparkplug-b\"".into(),
            "broker[0].topic[0].filter: \"fleet/#\": it does not take every",
        ),
        (
            "filter = \"spBv1.0/#\"\nformat = \"sparkplug-b\"\nmapping = { speed = \"v\" }".into(),
            "broker[0].topic[0].mapping.speed_unit: missing",
        ),
        (
            "filter = \"spBv1.0/#\"\nformat = \"sparkplug-b\"\nmapping = { altitude = [] }".into(),
            "broker[0].topic[0].mapping.altitude: […]: empty",
        ),
        (
            "filter = \"spBv1.0/#\"\nformat = \"sparkplug-b\"\nmapping = { preset = \"x\" }".into(),
            "broker[0].topic[0].mapping.preset: unknown key",
        ),
        (
            "topic = \"{d}\"\nformat = \"json\"\nmapping = { preset = \"x\" }".into(),
            "broker[0].topic[0].mapping.preset: \"x\": unknown",
        ),
        (
            format!("filter = \"f\"\nformat = \"json\"\n[broker.topic.mapping]\n{paths}"),
            "broker[0].topic[0].mapping: {…}: nothing says whose",
        ),
        (mapped("speed = \"v\""), "broker[0].topic[0].mapping.speed_unit: missing"),
        (mapped("odometer = \"o\""), "broker[0].topic[0].mapping.odometer_unit: missing"),
        (
            "filter = \"spBv1.0/#\"\nformat = \"sparkplug-b\"\nmapping = { odometer = \"o\" }".into(),
            "broker[0].topic[0].mapping.odometer_unit: missing",
        ),
        (
            mapped("speed = \"v\"\nspeed_unit = \"kn\""),
            "broker[0].topic[0].mapping.speed_unit: \"kn\": unknown value",
        ),
        (mapped("course = \"a..b\""), "broker[0].topic[0].mapping.course: \"a..b\": an empty key"),
        (mapped("course = []"), "broker[0].topic[0].mapping.course: […]: empty"),
        (mapped("course = [7]"), "broker[0].topic[0].mapping.course[0]: 7: not understood"),
        (
            mapped("fixes = \"{device}.{device}\""),
            "broker[0].topic[0].mapping.fixes: \"{device}.{device}\": {device} stands",
        ),
        (mapped("hdop = \"h\""), "broker[0].topic[0].mapping.hdop: unknown key"),
        (mapped("kind = \"k\""), "broker[0].topic[0].mapping.kinds: missing"),
        (mapped("kinds = [\"k\"]"), "broker[0].topic[0].mapping.kind: missing"),
        (mapped("time_zone = \"UTC\""), "broker[0].topic[0].mapping.time_zone: \"UTC\": only text needs one"),
        (
            mapped("").replace("\"unix\"", "\"none\""),
            "broker[0].topic[0].mapping.time_format: \"none\": none, and a time is told",
        ),
        (
            mapped("").replace("time_format = \"unix\"\n", ""),
            "broker[0].topic[0].mapping.time_format: missing",
        ),
    ];
    for (text, expected) in cases {
        let found = problems(&topics(&text));
        assert!(
            found.len() == 1 && found[0].starts_with(expected),
            "{text}: {found:#?}\nexpected {expected}"
        );
    }
}

#[test]
fn receivers_and_trackers_that_need_no_broker() {
    let around = |text: &str| format!("node = \"n\"\n[[site]]\nname = \"s\"\ntimezone = \"UTC\"\n{text}");
    let text = around(
        "[[nmea]]\nname = \"gps\"\nport = \"/dev/ttyACM0\"\n[[nmea]]\nname = \"b\"\naddress = \"h:10110\"\n\
         device = \"jane/boat\"\n[[teltonika]]\nname = \"t\"\nlisten = \"0.0.0.0:5027\"\n\
         devices = [\"356307042441013\"]\n",
    );
    let config = parse(&text, Path::new("."), &no_env).unwrap();
    let [port, tcp] = &config.receivers[..] else { panic!("{:?}", config.receivers) };
    assert!(matches!(&port.line, SerialLine::Port { baud: 9600, .. }), "{:?}", port.line);
    assert_eq!((port.device.as_str(), tcp.device.as_str()), ("gps", "jane/boat"));
    assert_eq!(tcp.line, SerialLine::Tcp("h:10110".to_owned()));
    assert_eq!(config.teltonika[0].devices.as_ref().map(Vec::len), Some(1));
    assert_eq!(config.rules.source_sites.len(), 3, "each stands at a site");
    let cases = [
        ("[[nmea]]\nname = \"a\"", "nmea[0].port: missing"),
        (
            "[[nmea]]\nname = \"a\"\nport = \"/dev/a\"\nadress = \"h:1\"",
            "nmea[0].adress: unknown key \"adress\"; did you mean \"address\"? allowed: address, backoff, baud",
        ),
        ("[[nmea]]\nname = \"a\"\nport = \"/dev/a\"\ndevice = \"\"", "nmea[0].device: \"\": not a name"),
        (
            "[[nmea]]\nname = \"a\"\nport = \"/dev/a\"\nsilent_after = \"0s\"",
            "nmea[0].silent_after: \"0s\": out of range",
        ),
        (
            "[[nmea]]\nname = \"a\"\nport = \"/dev/a\"\n[[reader]]\nname = \"b\"\nprotocol = \"line\"\nport = \"/dev/a\"",
            "nmea[0].port: \"/dev/a\": given twice",
        ),
        ("[[teltonika]]\nname = \"a\"", "teltonika[0].listen: missing"),
        (
            "[[teltonika]]\nname = \"a\"\nlisten = \"h:5027\"",
            "teltonika[0].listen: \"h:5027\": not an IP address",
        ),
        (
            "[[teltonika]]\nname = \"a\"\nlisten = \"[::]:5027\"\ndevices = [\"12\"]",
            "teltonika[0].devices[0]: \"12\": not understood",
        ),
        (
            "[[teltonika]]\nname = \"a\"\nlisten = \"0.0.0.0:1\"\n[[teltonika]]\nname = \"b\"\nlisten = \"0.0.0.0:1\"",
            "teltonika[1].listen: \"0.0.0.0:1\": given twice",
        ),
        (
            "[[teltonika]]\nname = \"a\"\nlisten = \"0.0.0.0:1\"\n[[nmea]]\nname = \"a\"\nport = \"/dev/a\"",
            "teltonika[0].name: \"a\": given twice",
        ),
    ];
    for (text, expected) in cases {
        let found = problems(&around(text));
        assert!(
            found.len() == 1 && found[0].starts_with(expected),
            "{text}: {found:#?}\nexpected {expected}"
        );
    }
}

#[test]
fn what_only_mqtt_5_has_is_refused_of_3_1_1() {
    let broker = |more: &str, filter: &str| {
        format!(
            "node = \"n\"\n[[site]]\nname = \"s\"\ntimezone = \"UTC\"\n[[broker]]\nname = \"b\"\nsite = \"s\"\n\
             address = \"h:1883\"\nclient_id = \"c\"\n{more}\n\
             [[broker.topic]]\nfilter = \"{filter}\"\nformat = \"owntracks\"\n"
        )
    };
    let text = broker("protocol = \"mqtt-5\"\nsession_expiry = \"2h\"\ntls = {}", "$share/g/a/#");
    let five = parse(&text, Path::new("/"), &no_env).unwrap().brokers.remove(0);
    assert_eq!((five.version, five.session_expiry.as_secs()), (MqttVersion::V5, 7200));
    assert!(five.tls.is_some());
    for (more, filter, expected) in [
        ("session_expiry = \"2h\"", "a/#", "broker[0].session_expiry: "),
        ("", "$share/g/a/#", "broker[0].topic[0].filter: "),
        ("tls = { cert_file = \"c\" }", "a/#", "broker[0].tls.key_file: missing"),
        ("[[broker.topic]]\ntopic = \"a/{device}\"\nformat = \"nmea\"", "a/+", "broker[0].topic[1].filter: "),
    ] {
        let told = problems(&broker(more, filter));
        assert!(told.len() == 1 && told[0].starts_with(expected), "{told:?}");
    }
}
