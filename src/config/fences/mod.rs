//! Fences: written here as a circle, a polygon or a corridor, or drawn elsewhere and kept in GeoJSON files.

mod files;
mod geojson;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use super::FenceConfig;
use super::document::Section;
use super::validate::{DAY, SECOND, Scope};
use crate::domain::geodesy::Position;
use crate::domain::ids::{FenceId, SiteId, ZoneId};
use crate::domain::shape::{Shape, ShapeError};

pub(super) const HYSTERESIS_M: f64 = 10.0;
const CONFIRMATIONS: u32 = 2;
/// Of so many fixes at most, confirmations are counted.
pub(super) const MOST_FIXES: u32 = 100;
const RADIUS_M: (f64, f64) = (1.0, 1_000_000.0);
const BUFFER_M: (f64, f64) = (1.0, 100_000.0);

/// What is said of a fence beside where it is. In files a feature's own properties come before the table's.
#[derive(Clone, Default)]
struct Settings {
    site: Option<SiteId>,
    zone: Option<ZoneId>,
    radius_m: Option<f64>,
    buffer_m: Option<f64>,
    hysteresis_m: Option<f64>,
    confirmations: Option<u32>,
    confirmations_of: Option<u32>,
    dwell: Option<Duration>,
}

/// A fault of one setting: its key, what is wrong, what is allowed.
type Fault = (&'static str, String, String);

pub(super) fn fences(top: &Section<'_>, scope: &Scope<'_>) -> Vec<FenceConfig> {
    top.tables("fence").into_iter().flat_map(|section| table(section, scope)).collect()
}

fn table(section: Section<'_>, scope: &Scope<'_>) -> Vec<FenceConfig> {
    let settings = Settings {
        site: scope.refer(&section, "site", "site").map(SiteId::new),
        zone: scope.refer(&section, "zone", "zone").map(ZoneId::new),
        radius_m: section.number("radius_m", RADIUS_M.0..=RADIUS_M.1),
        buffer_m: section.number("buffer_m", BUFFER_M.0..=BUFFER_M.1),
        hysteresis_m: section.number("hysteresis_m", 0.0..=100_000.0),
        confirmations: section.integer("confirmations", 1..=i64::from(MOST_FIXES)),
        confirmations_of: section.integer("confirmations_of", 1..=i64::from(MOST_FIXES)),
        dwell: section.duration("dwell", SECOND..=400 * DAY),
    };
    let center = section.table("center").and_then(position);
    let polygon = positions(&section, "polygon");
    let line = positions(&section, "line");
    let files = section.text("geojson");
    let name_property = section.text("name_property");
    let wanted = section.words("where");
    let forms = ["center", "polygon", "line", "geojson"];
    let given: Vec<&str> = forms.into_iter().filter(|form| section.has(form)).collect();
    if let [first, second, ..] = given.as_slice() {
        section.problem(
            second,
            format!("given beside {first}"),
            "a fence has one form; write a [[fence]] for each",
        );
    }
    if given.is_empty() {
        let allowed = "write center = { lat = 53.54, lon = 9.98 } and radius_m; or polygon, or line and buffer_m, \
                       or geojson = \"fences/*.geojson\"";
        section.problem("center", "missing", allowed);
    }
    let found = if let Some(pattern) = files {
        if section.has("name") {
            let allowed = "take it out, or say with name_property which property of a feature is its name";
            section.problem("name", "given beside geojson, whose features have names", allowed);
        }
        // Asked for, so that it counts as known.
        section.text("name");
        let which = files::Which { name_property: name_property.unwrap_or("name"), wanted };
        files::read(&section, scope, pattern, &which, &settings)
    } else {
        for key in ["name_property", "where"].into_iter().filter(|key| section.has(key)) {
            section.problem(key, "given without geojson", "take it out");
        }
        for (key, of) in [("radius_m", "center"), ("buffer_m", "line")] {
            if section.has(key) && given.first().is_some_and(|form| *form != of) {
                section.problem(key, format!("given without {of}"), "take it out, or widen the positions");
            }
        }
        let name = scope.own_name(&section, "fence").map(FenceId::new);
        let shape = match (given.first(), center, polygon, line) {
            (Some(&"center"), Some(center), ..) => circle(&section, center, &settings),
            (Some(&"polygon"), _, Some(ring), _) => {
                shaped(&section, "polygon", Shape::polygon(&[vec![ring]]))
            }
            (Some(&"line"), .., Some(line)) => corridor(&section, line, &settings),
            _ => None,
        };
        let fence = name.zip(shape).and_then(|(name, shape)| {
            finish(name, shape, &settings)
                .map_err(|(key, wrong, allowed)| section.problem(key, wrong, allowed))
                .ok()
        });
        fence.into_iter().collect()
    };
    section.finish();
    found
}

fn circle(section: &Section<'_>, center: Position, settings: &Settings) -> Option<Shape> {
    let radius_m = section.need("radius_m", settings.radius_m, "the radius in metres")?;
    Some(Shape::circle(center, radius_m))
}

fn corridor(section: &Section<'_>, line: Vec<Position>, settings: &Settings) -> Option<Shape> {
    let buffer_m = section.need("buffer_m", settings.buffer_m, "metres to either side of the line")?;
    shaped(section, "line", Shape::corridor(&[line], buffer_m))
}

fn shaped(section: &Section<'_>, key: &str, shape: Result<Shape, ShapeError>) -> Option<Shape> {
    shape.map_err(|error| section.problem(key, error.to_string(), allowed_of(&error))).ok()
}

/// What would be right where positions make no area.
fn allowed_of(error: &ShapeError) -> &'static str {
    match error {
        ShapeError::TooFew(_) => "a ring of at least three positions that differ",
        ShapeError::NoArea => "the positions of its edge, in the order in which one comes by them",
        ShapeError::OneMeridian(..) => {
            "edges shorter than half the Earth; polygons side by side where it goes round"
        }
        ShapeError::TooMany(_) => "fewer positions: simplify it, or divide it into several fences",
        ShapeError::NoLine => "at least two positions that differ",
        ShapeError::HalfRound(..) => "edges shorter than half the Earth",
        ShapeError::RoundPole | ShapeError::AtPole => "an area that lies round no pole",
        ShapeError::SelfCrossing { .. } => "rings whose edges meet in their ends alone",
        ShapeError::Overlap { .. } => {
            "polygons apart from each other, or holes as rings of the polygon they are in"
        }
        ShapeError::NothingLeft { .. } => {
            "the outer ring first, then holes smaller than it; none for all of it"
        }
        ShapeError::HoleOutside { .. } => "the outer ring first, then holes inside of it",
        ShapeError::HolesOverlap { .. } => "holes apart from one another, each once",
    }
}

fn finish(name: FenceId, shape: Shape, settings: &Settings) -> Result<FenceConfig, Fault> {
    let depth_m = shape.depth_m();
    let hysteresis_m = settings.hysteresis_m.unwrap_or(HYSTERESIS_M.min(depth_m / 2.0));
    if hysteresis_m >= depth_m {
        let wrong = format!(
            "{hysteresis_m} m is not less than {depth_m:.1} m, and no place in it is further from its edge"
        );
        return Err(("hysteresis_m", wrong, "less: it is entered this far inside of the edge".to_owned()));
    }
    let confirmations = settings.confirmations.unwrap_or(CONFIRMATIONS);
    let confirmations_of = settings.confirmations_of.unwrap_or(confirmations);
    if confirmations_of < confirmations {
        let wrong = format!("{confirmations_of} is less than confirmations, {confirmations}");
        return Err(("confirmations_of", wrong, "as many fixes or more".to_owned()));
    }
    Ok(FenceConfig {
        name,
        site: settings.site.clone(),
        zone: settings.zone.clone(),
        shape: Arc::new(shape),
        hysteresis_m,
        confirmations,
        confirmations_of,
        dwell: settings.dwell,
    })
}

fn positions(section: &Section<'_>, key: &str) -> Option<Vec<Position>> {
    let all: Option<Vec<Position>> = section.tables(key).into_iter().map(position).collect();
    all.filter(|_| section.has(key))
}

fn position(at: Section<'_>) -> Option<Position> {
    let lat = at.need("lat", at.number("lat", -90.0..=90.0), "degrees north, -90 to 90");
    let lon = at.need("lon", at.number("lon", -180.0..=180.0), "degrees east, -180 to 180");
    at.finish();
    Position::new(lat?, lon?)
}
