//! What receivers and loggers do that the standard does not know.

use super::*;

/// Receivers that round to the next minute, that have no date yet, that double the first character, that end with the
/// NUL of their text; and editions of the standard of before its second.
#[test]
fn what_receivers_do_is_read() {
    assert_eq!(fix(&[&RMC.replace("5230.0000", "5260.0000")]).position.lat, 53.0);
    let searching = items(&stream(&["GPRMC,,V,,,,,,,000000,,,N"]));
    assert_eq!(searching, [NmeaItem::NoFix { time: None }]);
    let doubled = [b"$", sentence(RMC).as_bytes()].concat();
    assert!(matches!(&items(&doubled)[..], [NmeaItem::Fix(found)] if *found == fix(&[RMC])));
    assert!(speaks(&doubled));
    let ended = sentence(RMC).trim_end().to_owned() + "\0\r\n";
    assert!(matches!(&items(ended.as_bytes())[..], [NmeaItem::Fix(_)]));
    let old = fix(&[RMC, "GPGLL,5230.0000,N,01324.0000,E,120000.00"]);
    assert!(!old.doubted, "a position without a word on its status");
    let doubted = fix(&[RMC, "GPGLL,5230.0000,N,01324.0000,E,120000.00,"]);
    assert!(doubted.doubted, "an empty word is none");
}

/// A GSA in front of the other sentences is of the moment that begins with it.
#[test]
fn the_dilution_of_a_position_s_own_sentence_counts() {
    let gsa = "GPGSA,A,3,01,02,03,04,,,,,,,,,9.8,2.2,1.5";
    assert_eq!(fix(&[gsa, GGA]).details.hdop, Some(0.9));
    assert_eq!(fix(&[GGA, gsa]).details.hdop, Some(0.9));
    assert_eq!(fix(&[RMC, gsa]).details.hdop, Some(2.2));
}

#[test]
fn a_course_is_one_of_less_than_360_degrees() {
    for (told, expected) in
        [("360.0", Some(0.0)), ("-5.0", Some(355.0)), ("359.9", Some(359.9)), ("400.0", None)]
    {
        assert_eq!(fix(&[&RMC.replace("90.0", told)]).details.course_deg, expected, "{told}");
        let vtg = format!("GPVTG,{told},T,,M,10.0,N,18.5,K,A");
        assert_eq!(fix(&[GGA, &vtg]).details.course_deg, expected, "{told}");
    }
}

#[test]
fn zeros_in_front_of_degrees_may_be_left_out() {
    for (lat, lon, expected) in
        [("5.1234", "7.5", (0.08539, 0.125)), (".1234", "100.5", (0.1234 / 60.0, 1.0 + 0.5 / 60.0))]
    {
        let found = fix(&[&RMC.replace("5230.0000", lat).replace("01324.0000", lon)]).position;
        assert!((found.lat - expected.0).abs() < 1e-9 && (found.lon - expected.1).abs() < 1e-9, "{found:?}");
    }
}

#[test]
fn what_a_maker_calls_its_positions_costs_none() {
    let quality = |gga: &str| fix(&[gga]).details.quality;
    assert_eq!(quality(&GGA.replace("E,1,", "E,02,")), Some(Quality::Differential));
    assert_eq!(quality(&GGA.replace("E,1,", "E,10,")), None);
    assert_eq!(reason(&stream(&[&GGA.replace("E,1,", "E,x,")])), "status");
    let gns = |modes| format!("GNGNS,120000.00,5230.0000,N,01324.0000,E,{modes},08,0.9,34.5,40.0,,");
    assert_eq!(quality(&gns("C")), None);
    assert_eq!(quality(&gns("UA")), Some(Quality::Autonomous));
    assert_eq!(reason(&stream(&[&gns("1A")])), "status");
}

#[test]
fn what_a_logger_writes_behind_the_check_sum_costs_nothing() {
    let whole = sentence(RMC);
    let whole = whole.trim_end();
    for line in [format!("NMEA,{whole},1593434234"), format!("{whole}\""), format!("{whole} * 5")] {
        let found = items(line.as_bytes());
        let found: Vec<_> = found.iter().filter(|item| matches!(item, NmeaItem::Fix(_))).collect();
        assert!(matches!(found[..], [NmeaItem::Fix(found), ..] if *found == fix(&[RMC])), "{line}");
    }
    assert_eq!(reason(format!("{whole}0").as_bytes()), "checksum");
}

/// Bytes of another protocol between, or of a memory that was never written.
#[test]
fn a_sentence_behind_what_is_too_long_for_a_line_is_read() {
    let whole = sentence(RMC);
    for length in LONGEST_LINE - 70..LONGEST_LINE + 5 {
        let found = items(&[&vec![0; length][..], whole.as_bytes()].concat());
        assert!(found.contains(&NmeaItem::Fix(fix(&[RMC]))), "behind {length} bytes");
    }
    let endless = whole.trim_end().repeat(40);
    let found = items(endless.as_bytes());
    assert_eq!(found.iter().filter(|item| matches!(item, NmeaItem::Fix(_))).count(), 40);
}

/// A clock that was not set yet says 1980, beside times that are right.
#[test]
fn the_date_of_a_void_sentence_is_of_nothing_else() {
    let void = "GPRMC,120001.00,V,,,,,,,060180,,,N";
    let gga = GGA.replace("120000.00", "120002.00");
    let no_fix = |time| NmeaItem::NoFix { time: Some(time) };
    let found = items(&stream(&[void, &gga]));
    assert_eq!(found[0], no_fix(at("1980-01-06T12:00:01Z")));
    assert!(
        matches!(&found[1], NmeaItem::Fix(fix) if fix.time == FixTime::OfDay(43_202_000_000)),
        "{found:?}"
    );
    let found = items(&stream(&[RMC, void, &gga]));
    assert_eq!(found[1], no_fix(at("2026-06-15T12:00:01Z")));
    assert!(matches!(&found[2], NmeaItem::Fix(fix) if fix.time == at("2026-06-15T12:00:02Z")), "{found:?}");
    // In one epoch.
    let found = items(&stream(&[&void.replace("120001", "120002"), &gga]));
    assert!(
        matches!(&found[..], [NmeaItem::Fix(fix)] if fix.time == FixTime::OfDay(43_202_000_000)),
        "{found:?}"
    );
}

#[test]
fn a_date_of_zeros_is_none_and_the_position_stands() {
    let undated = RMC.replace("150626", "000000");
    let found = fix(&[&undated, "GPZDA,120000.00,00,00,0000,00,00"]);
    assert_eq!((found.time, found.position), (FixTime::OfDay(43_200_000_000), fix(&[RMC]).position));
    assert_eq!(found.details, fix(&[RMC]).details);
    assert_eq!(fixes(&[RMC, &undated])[1].time, at("2026-06-15T12:00:00Z"));
    assert_eq!(reason(&stream(&["GPZDA,120000.00,31,02,2026,00,00"])), "date");
}
