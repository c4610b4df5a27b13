//! Fences in tables and in files, and what is said of those that are none.

use std::path::Path;

use crate::config::{Config, parse};
use crate::domain::geodesy::Position;

fn read(text: &str, folder: &Path) -> Result<Config, String> {
    let text = format!(
        "node = \"n\"\n[[site]]\nname = \"hq\"\ntimezone = \"UTC\"\n[[zone]]\nname = \"yard\"\n{text}"
    );
    parse(&text, folder, &|_| None).map_err(|error| error.to_string())
}

/// One file of features, and the table that names it.
fn files(features: &str, table: &str) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let whole = format!("{{\"type\":\"FeatureCollection\",\"features\":[{features}]}}");
    std::fs::write(folder.path().join("a.geojson"), whole).unwrap();
    read(&format!("[[fence]]\ngeojson = \"*.geojson\"\n{table}"), folder.path())
}

fn feature(properties: &str, kind: &str, coordinates: &str) -> String {
    format!(
        "{{\"type\":\"Feature\",\"properties\":{{{properties}}},\
         \"geometry\":{{\"type\":\"{kind}\",\"coordinates\":{coordinates}}}}}"
    )
}

const SQUARE: &str = "[[[10,53],[10.1,53],[10.1,53.1],[10,53.1],[10,53]],[[10.04,53.04],[10.06,53.04],[10.06,53.06],[10.04,53.04]]]";

fn lies_in(config: &Config, name: &str, lat: f64, lon: f64) -> bool {
    let fence = config.rules.fences.iter().find(|fence| fence.name.as_str() == name).unwrap();
    fence.shape.distance_m(Position { lat, lon }, 1000.0) < 0.0
}

#[test]
fn a_fence_is_a_circle_a_polygon_or_a_corridor() {
    let config = read(
        "[[fence]]\nname = \"c\"\ncenter = { lat = 53.5, lon = 10 }\nradius_m = 8\n\
         [[fence]]\nname = \"p\"\nzone = \"yard\"\ndwell = \"10m\"\nconfirmations = 2\nconfirmations_of = 3\n\
         polygon = [{ lat = 53, lon = 10 }, { lat = 53, lon = 10.1 }, { lat = 53.1, lon = 10 }]\n\
         [[fence]]\nname = \"l\"\nbuffer_m = 30\nline = [{ lat = 53, lon = 10 }, { lat = 53, lon = 11 }]",
        Path::new(""),
    )
    .unwrap();
    assert_eq!(config.rules.fences[0].hysteresis_m, 4.0, "half of a small fence");
    assert_eq!(config.rules.fences[1].confirmations_of, 3);
    assert_eq!(config.rules.fences[1].dwell, Some(std::time::Duration::from_secs(600)));
    assert!(lies_in(&config, "p", 53.02, 10.02) && !lies_in(&config, "p", 53.08, 10.08));
    assert!(lies_in(&config, "l", 53.0002, 10.5) && !lies_in(&config, "l", 53.0004, 10.5));
}

/// As programs write that work out a circle.
#[test]
fn a_ring_may_end_where_it_began_but_for_the_last_digits() {
    let ring = "[[[10,53],[10.1,53],[10.1,53.1],[10.0000000000001,53.0000000000001]]]";
    let config = files(&feature("\"name\":\"d\"", "Polygon", ring), "").unwrap();
    assert!(lies_in(&config, "d", 53.02, 10.05));
}

#[test]
fn of_a_map_with_more_on_it_only_what_is_wanted_is_a_fence() {
    let features = [
        feature("\"name\":\"yard 1\",\"kind\":\"yard\",\"live\":true,\"floor\":0", "Polygon", SQUARE),
        feature("\"name\":\"yard 2\",\"kind\":\"yard\",\"live\":false,\"floor\":0", "Polygon", SQUARE),
        feature("\"kind\":\"tree\"", "Point", "[10,51]"),
        "{\"type\":\"Feature\",\"properties\":null,\"geometry\":null}".to_owned(),
    ]
    .join(",");
    let of = |wanted: &str| {
        let config = files(&features, &format!("where = {wanted}"))?;
        Ok(config.rules.fences.iter().map(|fence| fence.name.to_string()).collect::<Vec<_>>())
    };
    let both: Result<_, String> = Ok(vec!["yard 1".to_owned(), "yard 2".to_owned()]);
    assert_eq!(of("{ kind = \"yard\" }"), both);
    assert_eq!(of("{ kind = \"yard\", floor = \"0\", live = \"true\" }"), Ok(vec!["yard 1".to_owned()]));
    let told = of("{ kind = \"Yard\" }").unwrap_err();
    assert!(told.contains("fence[0].where: {…}: no feature of these files is such a one"), "{told}");
    // What is wanted has to be right.
    let told = of("{ kind = \"tree\" }").unwrap_err();
    assert!(told.contains("feature 2: no property \"name\""), "{told}");
    let told = of("\"yard\"").unwrap_err();
    assert!(told.contains("fence[0].where"), "{told}");
    let circle =
        "[[fence]]\nname = \"c\"\ncenter = { lat = 53.5, lon = 10 }\nradius_m = 8\nwhere = { a = \"b\" }";
    let told = read(circle, Path::new("")).unwrap_err();
    assert!(told.contains("fence[0].where: {…}: given without geojson"), "{told}");
}

#[test]
fn a_file_without_features_is_refused() {
    let told = files("", "").unwrap_err();
    assert!(told.contains("a.geojson: it has no features"), "{told}");
    assert!(!told.contains("where"), "{told}");
}

#[test]
fn features_of_files_are_fences_by_their_names() {
    let features = [
        feature("\"name\":\"depot\",\"site\":\"hq\",\"confirmations\":5", "Polygon", SQUARE),
        feature("\"name\":\"road\",\"buffer_m\":50", "LineString", "[[10,52],[11,52]]"),
        feature("\"name\":7", "Point", "[10,51,12.5]"),
        feature("\"name\":\"isles\"", "MultiPolygon", &format!("[{SQUARE}]")),
    ]
    .join(",");
    let config = files(&features, "zone = \"yard\"\nradius_m = 40\nconfirmations = 3").unwrap();
    let fences = &config.rules.fences;
    let told: Vec<_> = fences.iter().map(|fence| (fence.name.as_str(), fence.confirmations)).collect();
    assert_eq!(told, [("depot", 5), ("road", 3), ("7", 3), ("isles", 3)]);
    assert!(fences.iter().all(|fence| fence.zone.is_some()) && fences[0].site.is_some());
    assert!(lies_in(&config, "depot", 53.01, 10.05) && !lies_in(&config, "depot", 53.045, 10.055), "a hole");
    assert!(lies_in(&config, "road", 52.0004, 10.5) && lies_in(&config, "7", 51.0003, 10.0));
    let config = files(&feature("\"label\":\"d\"", "Polygon", SQUARE), "name_property = \"label\"").unwrap();
    assert_eq!(config.rules.fences[0].name.as_str(), "d");
}

#[test]
fn what_is_no_fence_is_told_with_file_feature_and_what_is_allowed() {
    let check = |properties: &str, kind: &str, coordinates: &str, expect: &str| {
        let found = files(&feature(properties, kind, coordinates), "").unwrap_err();
        let place = found.contains("a.geojson: feature 0") && found.contains("fence[0].geojson: ");
        assert!(place && found.contains(expect), "{found}");
    };
    let named = "\"name\":\"d\"";
    check("", "Polygon", SQUARE, "no property \"name\"");
    check("\"name\":\"d/\"", "Polygon", SQUARE, "its name, \"d/\", is not a name");
    check(
        named,
        "Polygon",
        "[[[10,53],[10.1,53],[10.1,53.1],[10,53.1]]]",
        "(\"d\"): a ring that is not closed",
    );
    check(
        named,
        "Polygon",
        "[[[10,53],[10.1,53.1],[10.1,53],[10,53.12],[10,53]]]",
        "edges cross near latitude 53.05",
    );
    check(
        named,
        "Polygon",
        "[[[10,53],[10.1,53.1],[10.1,53],[10,53.1],[10,53]]]",
        "edges cross near latitude 53.05",
    );
    let square = &SQUARE[1..SQUARE.len() - 1];
    let ring = &square[..square.find("]]").unwrap() + 2];
    check(named, "Polygon", &format!("[{ring},{ring}]"), "holes leave nothing of their polygon");
    check(
        named,
        "Polygon",
        "[[[-180,0],[180,0],[180,10],[-180,10],[-180,0]]]",
        "from longitude -180 to 180, which are one meridian; edges shorter than half the Earth",
    );
    check(named, "Polygon", "[[[53,110],[54,110],[54,111],[53,110]]]", "latitude 110 is nowhere on Earth");
    let metres = "latitude 5820000 is nowhere on Earth: these look like metres of a projection; [longitude, latitude] \
                  in degrees (RFC 7946, 3.1.1); export it as WGS 84 (EPSG:4326)";
    check(
        named,
        "Polygon",
        "[[[390000,5820000],[390100,5820000],[390000,5820100],[390000,5820000]]]",
        metres,
    );
    check(named, "Polygon", "[[10,53],[11,53]]", "is no position");
    check(named, "Polygon", "[]", "no array of the right depth");
    check(named, "Point", "[10,53]", "a point without radius_m");
    check(named, "LineString", "[[10,53],[11,53]]", "a line without buffer_m");
    check(named, "GeometryCollection", "[]", "a geometry of type \"GeometryCollection\"; Polygon or");
    check("\"name\":\"d\",\"site\":\"mars\"", "Polygon", SQUARE, "no site has this name");
    check("\"name\":\"d\",\"dwell\":5", "Polygon", SQUARE, "dwell is 5; a duration");
    check("\"name\":\"d\",\"hysteresis_m\":9000", "Polygon", SQUARE, "hysteresis_m: 9000 m is not less than");
    check("\"name\":\"d\",\"confirmations\":1.5", "Polygon", SQUARE, "a whole number");
    check("\"name\":\"d\",\"confirmations_of\":1", "Polygon", SQUARE, "1 is less than confirmations, 2");
    let twice = [feature(named, "Polygon", SQUARE), feature(named, "Polygon", SQUARE)].join(",");
    let found = files(&twice, "").unwrap_err();
    assert!(
        found.contains("feature 1 (\"d\"): a fence of this name is there already, from line 7"),
        "{found}"
    );
    let many = vec![feature("", "Polygon", SQUARE); 30].join(",");
    let found = files(&many, "").unwrap_err();
    assert!(found.lines().count() == 21 && found.contains("10 more features have faults"), "{found}");
}

#[test]
fn a_file_in_another_reference_system_is_refused_and_one_that_names_this_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let of = |crs: &str| {
        let depot = feature("\"name\":\"depot\"", "Polygon", SQUARE);
        let whole = format!("{{\"type\":\"FeatureCollection\",\"crs\":{crs},\"features\":[{depot}]}}");
        std::fs::write(folder.path().join("a.geojson"), whole).unwrap();
        read("[[fence]]\ngeojson = \"a.geojson\"", folder.path()).map(|config| config.rules.fences.len())
    };
    let named = |name: &str| of(&format!("{{\"type\":\"name\",\"properties\":{{\"name\":\"{name}\"}}}}"));
    for name in [
        "urn:ogc:def:crs:OGC:1.3:CRS84",
        "urn:ogc:def:crs:OGC::CRS84",
        "OGC:CRS84",
        "urn:ogc:def:crs:EPSG::4326",
        "URN:OGC:DEF:CRS:EPSG:9.9:4258",
        "EPSG:4326",
        "epsg:4258",
        "http://www.opengis.net/def/crs/OGC/1.3/CRS84",
    ] {
        assert_eq!(named(name), Ok(1), "{name}");
    }
    assert_eq!(of("null"), Ok(1));
    for name in ["urn:ogc:def:crs:EPSG::25832", "EPSG:3857", "EPSG:43260", "urn:ogc:def:crs:EPSG::4326:1", ""]
    {
        let told = named(name).unwrap_err();
        let expect = format!("a.geojson: its crs is {name:?}: export it as WGS 84 (EPSG:4326)");
        assert!(told.contains(&expect), "{told}");
    }
    let told = of("{\"type\":\"link\",\"properties\":{}}").unwrap_err();
    assert!(told.contains("its crs is {\"") && told.contains("export it as"), "{told}");
}

#[test]
fn a_geometry_in_another_reference_system_is_no_fence() {
    let of = |name: &str| {
        let crs = format!("\"crs\":{{\"type\":\"name\",\"properties\":{{\"name\":\"{name}\"}}}}");
        let depot = feature("\"name\":\"depot\"", "Polygon", SQUARE);
        files(&depot.replace("\"type\":\"Polygon\"", &format!("\"type\":\"Polygon\",{crs}")), "")
    };
    assert!(of("EPSG:4326").is_ok());
    let told = of("EPSG:25832").unwrap_err();
    assert!(
        told.contains("the crs of its geometry is \"EPSG:25832\"; export it as WGS 84 (EPSG:4326)"),
        "{told}"
    );
}

#[test]
fn files_that_cannot_be_read_and_forms_that_do_not_go_together_are_told() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bad.geojson"), "{").unwrap();
    std::fs::write(folder.path().join("other.geojson"), "{\"type\":\"Topology\"}").unwrap();
    for (table, expect) in [
        ("geojson = \"none.geojson\"", "none.geojson cannot be read"),
        ("geojson = \"x*.geojson\"", "no file has such a name"),
        ("geojson = \"bad.geojson\"", "bad.geojson: not JSON"),
        ("geojson = \"other.geojson\"", "its type is \"Topology\", not FeatureCollection"),
        ("geojson = \"bad.geojson\"\nname = \"x\"", "name: \"x\": given beside geojson"),
        ("name = \"x\"", "center: missing; write center"),
        (
            "name = \"x\"\nradius_m = 5\ncenter = { lat = 1, lon = 1 }\nline = []",
            "line: […]: given beside center",
        ),
        ("name = \"x\"\nline = [{ lat = 1, lon = 1 }]\nbuffer_m = 5", "a line needs two positions"),
        ("name = \"x\"\nline = [{ lat = 1, lon = 1 }, { lat = 1, lon = 2 }]", "buffer_m: missing"),
        ("name = \"x\"\npolygon = [{ lat = 1, lon = 1 }]", "polygon: […]: 1 positions"),
        (
            "name = \"x\"\nbuffer_m = 5\ncenter = { lat = 1, lon = 1 }\nradius_m = 5",
            "buffer_m: 5: given without line",
        ),
        ("name = \"x\"\nradius_m = 5\npolygon = [{ lat = 1, lon = 1 }]", "radius_m: 5: given without center"),
        ("name = \"x\"\nname_property = \"y\"\npolygon = [{ lat = 1, lon = 1 }]", "given without geojson"),
    ] {
        let found = read(&format!("[[fence]]\n{table}"), folder.path()).unwrap_err();
        assert!(found.contains(expect), "{found}");
    }
}
