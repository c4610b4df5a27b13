use proptest::prelude::*;

use super::*;

mod messages;
mod receivers;

/// With its check sum.
fn sentence(body: &str) -> String {
    let sum = body.bytes().fold(0, |sum, byte| sum ^ byte);
    format!("${body}*{sum:02X}\r\n")
}

fn stream(bodies: &[&str]) -> Vec<u8> {
    bodies.iter().flat_map(|body| sentence(body).into_bytes()).collect()
}

fn items_of(chunks: &[&[u8]]) -> Vec<NmeaItem> {
    let mut decoder = NmeaDecoder::new(None);
    let mut items = Vec::new();
    chunks.iter().for_each(|chunk| decoder.push(chunk, &mut items));
    decoder.finish(&mut items);
    items
}

fn items(bytes: &[u8]) -> Vec<NmeaItem> {
    items_of(&[bytes])
}

#[track_caller]
fn fixes(bodies: &[&str]) -> Vec<NmeaFix> {
    let items = items(&stream(bodies)).into_iter();
    items
        .map(|item| match item {
            NmeaItem::Fix(fix) => fix,
            other => panic!("{other:?}"),
        })
        .collect()
}

#[track_caller]
fn fix(bodies: &[&str]) -> NmeaFix {
    let mut fixes = fixes(bodies);
    assert_eq!(fixes.len(), 1, "{fixes:?}");
    fixes.remove(0)
}

#[track_caller]
fn reason(bytes: &[u8]) -> &'static str {
    match items(bytes).as_slice() {
        [NmeaItem::Fault { error, bytes, .. }] => {
            assert!(error.offset <= bytes.len());
            error.reason
        }
        other => panic!("{other:?}"),
    }
}

fn at(text: &str) -> FixTime {
    FixTime::Utc(Timestamp::parse(text).unwrap())
}

const RMC: &str = "GPRMC,120000.00,A,5230.0000,N,01324.0000,E,10.0,90.0,150626,,,A";
const GGA: &str = "GPGGA,120000.00,5230.0000,N,01324.0000,E,1,08,0.9,34.5,M,40.0,M,,";

#[test]
fn the_sentences_of_one_time_are_one_fix() {
    let found = fix(&[
        GGA,
        "GNGSA,A,3,01,02,03,,,,,,,,,,2.0,1.1,1.7",
        "GNGSA,A,2,65,66,67,,,,,,,,,,2.0,1.1,1.7",
        "GPGST,120000.00,1.0,,,,3.0,4.0,5.0",
        "GPVTG,89.0,T,,M,9.0,N,16.7,K,A",
        RMC,
        "GPGLL,5230.0000,N,01324.0000,E,120000.00,A,A",
        "GPZDA,120000.00,15,06,2026,00,00",
    ]);
    let expected = NmeaFix {
        time: at("2026-06-15T12:00:00Z"),
        position: Position { lat: 52.5, lon: 13.4 },
        doubted: false,
        details: Details {
            quality: Some(Quality::Autonomous),
            altitude_m: Some(34.5),
            speed_mps: Some(10.0 * 1852.0 / 3600.0),
            course_deg: Some(90.0),
            accuracy_m: Some(5.0),
            hdop: Some(0.9),
            satellites: Some(8),
            dimensions: Some(3),
        },
    };
    assert_eq!(found, expected);
}

#[test]
fn hemispheres_are_signs_and_any_talker_will_do() {
    let south_west = "GARMC,120000,A,2712.6404,S,00030.0000,W,,,150626,,,A";
    let found = fix(&[south_west]);
    assert_eq!(found.position, Position { lat: -(27.0 + 12.6404 / 60.0), lon: -0.5 });
    assert_eq!((found.details.speed_mps, found.details.course_deg), (None, None));
}

#[test]
fn each_time_is_a_fix_and_so_is_each_beginning_anew() {
    let later = RMC.replace("120000.00", "120001.00");
    let found = fixes(&[RMC, GGA, &later, &later]);
    let times: Vec<_> = found.iter().map(|fix| fix.time).collect();
    let expected = ["2026-06-15T12:00:00Z", "2026-06-15T12:00:01Z", "2026-06-15T12:00:01Z"].map(at);
    assert_eq!(times, expected);
    assert_eq!(found.iter().map(|fix| fix.details.altitude_m).collect::<Vec<_>>(), [Some(34.5), None, None]);
}

#[test]
fn a_fraction_is_the_same_time_however_it_is_written() {
    fix(&[&RMC.replace("120000.00", "120000.5"), &GGA.replace("120000.00", "120000.500")]);
    assert_eq!(fixes(&[RMC, &GGA.replace("120000.00", "120000.5")]).len(), 2);
}

#[test]
fn two_positions_of_one_time_both_stand() {
    let found = fixes(&[GGA, &RMC.replace("5230.0000", "5230.0001")]);
    assert_eq!(found.len(), 2);
    assert!(
        found.iter().all(|fix| fix.time == at("2026-06-15T12:00:00Z") && fix.details.speed_mps.is_some())
    );
}

#[test]
fn no_fix_is_no_fix_whatever_position_stands_there() {
    for body in [
        "GPGGA,120000.00,5230.0000,N,01324.0000,E,0,00,,,M,,M,,",
        "GPRMC,120000.00,V,5230.0000,N,01324.0000,E,0.0,0.0,150626,,,N",
        "GPRMC,120000.00,A,5230.0000,N,01324.0000,E,0.0,0.0,150626,,,N",
        "GPGLL,5230.0000,N,01324.0000,E,120000.00,V,N",
        "GNGNS,120000.00,5230.0000,N,01324.0000,E,NNN,,,,,,",
    ] {
        let found = items(&stream(&[body]));
        assert!(matches!(found.as_slice(), [NmeaItem::NoFix { time: Some(_) }]), "{body}: {found:?}");
    }
    let cold = items(&stream(&["GPGGA,,,,,,0,,,,,,,,", "GPRMC,,V,,,,,,,,,,N", "GPGGA,,,,,,0,,,,,,,,"]));
    assert_eq!(cold, [NmeaItem::NoFix { time: None }, NmeaItem::NoFix { time: None }]);
}

#[test]
fn a_fix_that_another_sentence_calls_void_is_doubted() {
    let void = "GPRMC,120000.00,V,5230.0000,N,01324.0000,E,3.0,4.0,150626,,,A";
    let found = fix(&[GGA, void]);
    assert!(found.doubted && found.details.speed_mps.is_none(), "{found:?}");
}

#[test]
fn a_sentence_for_each_constellation_is_one_fix() {
    let of_galileo = |body: &str| body.replacen("GP", "GA", 1);
    let later = |body: &str| body.replace("120000.00", "120001.00");
    let without = "GAGGA,120000.00,5230.0000,N,01324.0000,E,0,00,,,M,,M,,";
    let vtg = "GPVTG,89.0,T,,M,9.0,N,16.7,K,A";
    let found = fixes(&[
        &of_galileo(GGA).replace(",08,", ",02,"),
        GGA,
        vtg,
        &of_galileo(vtg),
        RMC,
        &of_galileo(RMC),
        &later(GGA),
        &later(without),
        &later(RMC),
    ]);
    let [one, two] = &found[..] else { panic!("{found:?}") };
    assert_eq!((one.time, two.time), (at("2026-06-15T12:00:00Z"), at("2026-06-15T12:00:01Z")));
    assert_eq!(one.details, fix(&[GGA, RMC]).details);
    assert_eq!(one.details, two.details);
    assert!(!one.doubted && !two.doubted, "{found:?}");
    let nowhere = items(&stream(&[without, &without.replacen("GA", "GP", 1)]));
    assert!(matches!(nowhere[..], [NmeaItem::NoFix { .. }]), "{nowhere:?}");
}

#[test]
fn an_epoch_that_does_not_end_is_ended() {
    let talkers = ('A'..='Z').flat_map(|one| ('A'..='O').map(move |two| format!("{one}{two}")));
    let bodies: Vec<_> = talkers.map(|talker| RMC.replacen("GP", &talker, 1)).collect();
    let bodies: Vec<_> = bodies.iter().map(String::as_str).filter(|body| !body.starts_with('P')).collect();
    assert_eq!((bodies.len(), fixes(&bodies).len()), (375, 6));
}

#[test]
fn each_constellation_has_its_mode_and_each_mode_its_name() {
    let gns = |modes| format!("GNGNS,120000.00,5230.0000,N,01324.0000,E,{modes},09,1.5,-114.9,32.0,,,V");
    assert_eq!(fix(&[&gns("NDN")]).details.quality, Some(Quality::Differential));
    assert_eq!(fix(&[&gns("AAN")]).details.altitude_m, Some(-114.9));
    for (digit, quality) in [("4", Quality::RtkFixed), ("5", Quality::RtkFloat), ("6", Quality::Estimated)] {
        // GGA tells the two kinds of RTK apart where an old RMC cannot.
        let found = fix(&[RMC, &GGA.replace("E,1,", &format!("E,{digit},"))]);
        assert_eq!(found.details.quality, Some(quality));
    }
}

#[test]
fn speeds_without_rmc_are_those_of_vtg_old_and_new() {
    let knots = 10.0 * 1852.0 / 3600.0;
    assert_eq!(fix(&[GGA, "GPVTG,054.7,T,034.4,M,10.0,N,18.5,K"]).details.speed_mps, Some(knots));
    assert_eq!(fix(&[GGA, "GPVTG,054.7,034.4,10.0,18.5"]).details.speed_mps, Some(knots));
    assert_eq!(fix(&[GGA, "GPVTG,054.7,T,034.4,M,,N,36.0,K"]).details.speed_mps, Some(10.0));
    assert_eq!(fix(&[GGA, "GPVTG,054.7,T,034.4,M,10.0,N,18.5,K,N"]).details.speed_mps, None);
}

#[test]
fn two_digits_of_a_year_are_of_1980_to_2079() {
    for (year, expected) in [("80", 1980), ("99", 1999), ("00", 2000), ("79", 2079)] {
        let found = fix(&[&RMC.replace("150626", &format!("1506{year}"))]);
        assert_eq!(found.time, at(&format!("{expected}-06-15T12:00:00Z")));
    }
    // ZDA has all four.
    let zda = "GPZDA,120000.00,15,06,2080,,";
    assert_eq!(fix(&[&RMC.replace("150626", "150680"), zda]).time, at("2080-06-15T12:00:00Z"));
}

#[test]
fn a_time_without_a_date_takes_the_last_one_over_midnight_too() {
    let gga = |time| GGA.replace("120000.00", time);
    let found = fixes(&[
        &gga("235958.00"),
        &RMC.replace("120000.00", "235959.00"),
        &gga("000000.00"),
        &gga("235959.50"),
        &gga("000001.00"),
        &gga("120000.00"),
        &gga("235959.00"),
        &gga("000000.00"),
    ]);
    let times: Vec<_> = found.iter().map(|fix| fix.time).collect();
    assert_eq!(times[0], FixTime::OfDay(86_398_000_000));
    let dated = [
        "2026-06-15T23:59:59Z",
        "2026-06-16T00:00:00Z",
        "2026-06-15T23:59:59.5Z",
        "2026-06-16T00:00:01Z",
        "2026-06-16T12:00:00Z",
        "2026-06-16T23:59:59Z",
        "2026-06-17T00:00:00Z",
    ];
    assert_eq!(times[1..], dated.map(at));
    // A leap second is the first of the next day for us.
    assert_eq!(fix(&[&RMC.replace("120000.00", "235960.00")]).time, at("2026-06-16T00:00:00Z"));
}

#[test]
fn a_week_that_rolled_over_moves_on_and_no_further_than_needed() {
    let time_of = |not_before: &str, date| {
        let mut decoder = NmeaDecoder::new(Timestamp::parse(not_before));
        let mut items = Vec::new();
        decoder.push(&stream(&[&RMC.replace("150626", date)]), &mut items);
        decoder.finish(&mut items);
        match items.as_slice() {
            [NmeaItem::Fix(fix)] => fix.time,
            other => panic!("{other:?}"),
        }
    };
    // 1024 weeks are 7168 days.
    assert_eq!(time_of("2026-01-01T00:00:00Z", "301006"), at("2026-06-15T12:00:00Z"));
    assert_eq!(time_of("2026-06-15T12:00:00Z", "150626"), at("2026-06-15T12:00:00Z"));
    assert_eq!(time_of("2026-06-15T12:00:01Z", "150626"), at("2046-01-29T12:00:00Z"));
    assert_eq!(time_of("2026-01-01T00:00:00Z", "160387"), at("2026-06-15T12:00:00Z"));
}

#[test]
fn what_was_cut_off_or_damaged_is_set_aside_with_its_reason() {
    let whole = sentence(RMC);
    for length in 1..whole.len() - 2 {
        assert_eq!(reason(&whole.as_bytes()[..length]), "truncated", "{length}");
    }
    assert_eq!(reason(whole.replace("5230", "5231").as_bytes()), "checksum");
    assert_eq!(reason(b"$GPRMC*zz\r\n"), "checksum");
    assert_eq!(reason(b"$GPRMC*123\r\n"), "checksum");
    assert_eq!(reason(b"hello\n"), "garbage");
    assert_eq!(reason(&stream(&["GPTXT,\u{e9}"])), "text");
    assert_eq!(reason(&[b'x'; LONGEST_LINE]), "garbage");
    let wrong = |from, to| reason(&stream(&[&RMC.replace(from, to)]));
    assert_eq!(wrong("120000.00", "250000.00"), "time");
    assert_eq!(wrong("120000.00", "12000x.00"), "time");
    assert_eq!(wrong("120000.00", ""), "time");
    assert_eq!(wrong("150626", "310226"), "date");
    assert_eq!(wrong("00,A,", "00,X,"), "status");
    for (from, to) in
        [("5230", "9100"), ("5230.0", "5260.1"), ("5230.0000", ""), ("N", "X"), ("01324", "18100")]
    {
        assert_eq!(wrong(from, to), "position", "{to}");
    }
    for odd in ["nan", "inf", "1e3", "-1"] {
        assert_eq!(fix(&[&RMC.replace("10.0", odd)]).details.speed_mps, None, "{odd}");
    }
}

#[test]
fn the_next_sentence_is_found_where_one_was_cut_off() {
    let whole = sentence(RMC);
    let bytes =
        [&b"\x00\xffnoise"[..], &whole.as_bytes()[..30], whole.as_bytes(), b"\\s:r1*22\\", whole.as_bytes()];
    let found = items(&bytes.concat());
    let [
        NmeaItem::Fault { offset: 0, error: garbage, .. },
        NmeaItem::Fault { offset: 7, error: cut, .. },
        rest @ ..,
    ] = found.as_slice()
    else {
        panic!("{found:?}")
    };
    assert_eq!((garbage.reason, cut.reason), ("garbage", "truncated"));
    assert!(matches!(rest, [NmeaItem::Fix(_), NmeaItem::Fix(_)]), "{rest:?}");
}

#[test]
fn other_sentences_are_passed_over_and_remarks_too() {
    let ais = "!AIVDM,1,1,,A,13aEOK?P00PD2wVMdLDRhgvL289?,0*26\r\n";
    let other = stream(&["GPGSV,1,1,00", "PUBX,00,1", "PRMC,1,A", "GPTXT,01,01,02,hello!"]);
    let tagged = [b"\\g:1-2-3,s:r003669945*5E\\", ais.as_bytes()].concat();
    assert_eq!(items(&[ais.as_bytes(), &tagged, b"# remark $GPRMC\n", &other].concat()), []);
}

#[test]
fn a_line_that_never_ends_is_not_held() {
    let mut decoder = NmeaDecoder::new(None);
    let mut items = Vec::new();
    for _ in 0..100 {
        decoder.push(&[b'x'; 1000], &mut items);
        assert!(decoder.held.len() < LONGEST_LINE);
    }
    assert!(
        items.iter().all(|item| matches!(item, NmeaItem::Fault { bytes, .. } if bytes.len() <= LONGEST_LINE))
    );
}

fn any_piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => proptest::sample::select(vec![RMC, GGA, "GPVTG,1.0,T,,M,2.0,N,3.7,K,A", "GPGGA,,,,,,0,,,,,,,,"])
            .prop_map(|body| sentence(body).into_bytes()),
        1 => "[A-Z]{5}(,[0-9.NSEWA-]{0,9}){0,14}".prop_map(|body| sentence(&body).into_bytes()),
        1 => "G[PN](RMC|GGA|GNS|GLL|VTG|GSA|GST|ZDA)(,[0-9.NSEWAVT-]{0,9}){0,16}"
            .prop_map(|body| sentence(&body).into_bytes()),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
        1 => Just(b"$GPRMC,1200".to_vec()),
        1 => Just(vec![b'x'; 1500]),
    ]
}

proptest! {
    #[test]
    fn any_cutting_gives_the_same_and_nothing_panics(
        pieces in proptest::collection::vec(any_piece(), 0..12),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let bytes = pieces.concat();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let chunks: Vec<_> = cuts.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect();
        let found = items(&bytes);
        prop_assert_eq!(&items_of(&chunks), &found);
        for item in &found {
            match item {
                NmeaItem::Fault { offset, bytes: kept, error } => {
                    let at = usize::try_from(*offset).unwrap();
                    prop_assert_eq!(&bytes[at..at + kept.len()], kept.as_slice());
                    prop_assert!(error.offset <= kept.len());
                }
                NmeaItem::Fix(fix) => {
                    prop_assert!(Position::new(fix.position.lat, fix.position.lon).is_some());
                }
                NmeaItem::NoFix { .. } => {}
            }
        }
    }

    #[test]
    fn a_byte_that_changed_on_the_way_never_becomes_another_fix(at in 1..70usize, flip in 1..=255u8) {
        let mut bytes = sentence(RMC).into_bytes();
        let at = at.min(bytes.len() - 3);
        bytes[at] ^= flip;
        let as_sent = fix(&[RMC]);
        for item in items(&bytes) {
            prop_assert!(!matches!(&item, NmeaItem::Fix(fix) if *fix != as_sent), "{item:?}");
        }
    }
}
