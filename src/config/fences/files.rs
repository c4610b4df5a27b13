//! Which files a pattern names, and their features as fences.

use std::path::Path;

use super::geojson::{self, Feature, Geometry};
use super::{Settings, allowed_of, finish};
use crate::config::FenceConfig;
use crate::config::document::Section;
use crate::config::matching::matching;
use crate::config::validate::Scope;
use crate::domain::ids::FenceId;
use crate::domain::shape::Shape;

/// A larger file is not read: it is most likely no map of fences.
const MOST_BYTES: u64 = 256 << 20;
/// Faults of one file that are told; the others are counted.
const TOLD: usize = 20;

/// Which features are fences, and how they are called.
pub(super) struct Which<'d> {
    pub name_property: &'d str,
    /// Properties that they have, and what these say; none: all features are fences.
    pub wanted: Vec<(&'d str, &'d str)>,
}

pub(super) fn read(
    section: &Section<'_>,
    scope: &Scope<'_>,
    pattern: &str,
    which: &Which<'_>,
    settings: &Settings,
) -> Vec<FenceConfig> {
    let allowed = "a file, or a folder's files as in \"fences/*.geojson\"";
    let paths = match matching(&scope.around.path(pattern)) {
        Ok(paths) => paths,
        Err(error) => {
            section.problem("geojson", format!("{pattern} cannot be listed: {error}"), allowed);
            return Vec::new();
        }
    };
    if paths.is_empty() {
        section.problem("geojson", "no file has such a name", allowed);
    }
    let found: Vec<_> =
        paths.iter().filter_map(|path| of_file(section, scope, path, which, settings)).collect();
    // A file that cannot be read is told of, and may have held them all.
    if !paths.is_empty() && found.len() == paths.len() && found.iter().all(|file| file.wanted == 0) {
        section.problem(
            "where",
            "no feature of these files is such a one",
            "what its properties say, as text",
        );
    }
    found.into_iter().flat_map(|file| file.fences).collect()
}

/// What a file holds: features that are wanted, and those of them that are fences without a fault.
struct Found {
    wanted: usize,
    fences: Vec<FenceConfig>,
}

fn of_file(
    section: &Section<'_>,
    scope: &Scope<'_>,
    path: &Path,
    which: &Which<'_>,
    settings: &Settings,
) -> Option<Found> {
    let file = path.display();
    let allowed = "a file of GeoJSON (RFC 7946)";
    let text = match text(path) {
        Ok(text) => text,
        Err(wrong) => {
            section.problem("geojson", format!("{file} {wrong}"), allowed);
            return None;
        }
    };
    let features = match geojson::features(&text) {
        Ok(features) => features,
        Err(wrong) => {
            section.problem("geojson", format!("{file}: {wrong}"), allowed);
            return None;
        }
    };
    if features.is_empty() {
        // Whoever exported it meant something else: taken as it is, its fences would be gone.
        section.problem(
            "geojson",
            format!("{file}: it has no features"),
            "a file with fences; or take it away",
        );
        return None;
    }
    let (mut fences, mut faults, mut wanted) = (Vec::new(), 0, 0);
    for (number, feature) in features.iter().enumerate().filter(|(_, feature)| feature.has(&which.wanted)) {
        wanted += 1;
        match fence(section, scope, feature, which.name_property, settings) {
            Ok(fence) => fences.push(fence),
            Err((wrong, allowed)) => {
                faults += 1;
                if faults <= TOLD {
                    let label = feature.label(which.name_property);
                    section.problem("geojson", format!("{file}: feature {number}{label}: {wrong}"), allowed);
                }
            }
        }
    }
    if faults > TOLD {
        section.problem(
            "geojson",
            format!("{file}: {} more features have faults", faults - TOLD),
            "see those before",
        );
    }
    Some(Found { wanted, fences })
}

fn text(path: &Path) -> Result<String, String> {
    let cannot = |error: std::io::Error| format!("cannot be read: {error}");
    let length = std::fs::metadata(path).map_err(cannot)?.len();
    if length > MOST_BYTES {
        return Err(format!("has {length} bytes, more than {MOST_BYTES}"));
    }
    std::fs::read_to_string(path).map_err(cannot)
}

fn fence(
    section: &Section<'_>,
    scope: &Scope<'_>,
    feature: &Feature,
    name_property: &str,
    settings: &Settings,
) -> Result<FenceConfig, (String, String)> {
    let name = feature.name(name_property)?;
    let settings =
        feature.settings(settings, &|kind, name| scope.names.of(kind).any(|known| known == name))?;
    let shape = shape(feature.geometry()?, &settings)?;
    let fence = finish(FenceId::new(&name), shape, &settings)
        .map_err(|(key, wrong, allowed)| (format!("{key}: {wrong}"), allowed))?;
    scope.claim(section, "fence", &name).map_err(|line| {
        (format!("a fence of this name is there already, from line {line}"), "each name only once".to_owned())
    })?;
    Ok(fence)
}

fn shape(geometry: Geometry, settings: &Settings) -> Result<Shape, (String, String)> {
    let made = match geometry {
        Geometry::Point(centre) => {
            let radius_m = settings.radius_m.ok_or_else(|| needs("radius_m", "a point"))?;
            Ok(Shape::circle(centre, radius_m))
        }
        Geometry::Lines(lines) => {
            Shape::corridor(&lines, settings.buffer_m.ok_or_else(|| needs("buffer_m", "a line"))?)
        }
        Geometry::Polygons(polygons) => Shape::polygon(&polygons),
    };
    made.map_err(|error| (error.to_string(), allowed_of(&error).to_owned()))
}

fn needs(key: &str, what: &str) -> (String, String) {
    let allowed = format!("write {key}, in metres, in the feature's properties or in the [[fence]]");
    (format!("{what} without {key}"), allowed)
}
