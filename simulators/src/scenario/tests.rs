use super::*;

#[test]
fn the_demo_is_a_small_company() {
    let demo = Scenario::demo();
    assert_eq!((demo.sites.len(), demo.doors.len(), demo.cribs.len()), (2, 3, 1));
    let assets: usize = demo.assets.iter().map(|group| group.count).sum();
    assert!((480..=520).contains(&assets), "{assets} assets");
}

#[test]
fn an_unknown_key_is_named_with_those_that_are_known() {
    let error = Scenario::parse(&DEMO.replace("chapter_s", "chapter_seconds")).unwrap_err().to_string();
    assert!(error.contains("chapter_seconds") && error.contains("`chapter_s`"), "{error}");
}

#[test]
fn every_wrong_value_is_told_at_once() {
    let text = DEMO.replacen("reader = \"north-dock-1\"", "reader = \"nowhere\"", 1);
    let text = text.replacen("timezone = \"Europe/Berlin\"", "timezone = \"Europe/Bärlin\"", 1);
    let error = Scenario::parse(&text).unwrap_err().to_string();
    let lines: Vec<_> = error.lines().collect();
    assert_eq!(lines.len(), 2, "{error}");
    assert!(lines[0].contains("sites[0].timezone") && lines[0].contains("Europe/Bärlin"), "{error}");
    assert!(lines[1].contains("doors[0].reader") && lines[1].contains("north-dock-1"), "{error}");
}

#[test]
fn a_fault_that_a_device_cannot_have_is_refused() {
    let fault = "\n[[faults]]\ndevice = \"truck-1\"\nkind = \"wrong-transaction\"\nat = 0.1\nfor_s = 1\n";
    let error = Scenario::parse(&format!("{DEMO}{fault}")).unwrap_err().to_string();
    assert!(error.contains(".kind") && error.contains("disconnect"), "{error}");
}

#[test]
fn a_truck_comes_to_a_door_that_it_can_be_at() {
    let told = |from: &str, to: &str| Scenario::parse(&DEMO.replacen(from, to, 1)).unwrap_err().to_string();
    assert!(told("door = \"north-door-1\"", "door = \"north-door-2\"").contains("trucks[0].route[1].door"));
    assert!(told("vehicle = true", "vehicle = false").contains("vehicle = true"));
    assert!(told("bay = \"north-bay\"", "bay = \"south-bay\"").contains("a place inside a fence"));
    assert!(told("door = \"north-door-1\", loads", "loads").contains("0 where there is no door"));
}
