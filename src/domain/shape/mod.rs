//! Areas on the map: a circle, a polygon with holes, a line with a width; how far a position is from their edge.
//!
//! An edge is a straight line in degrees, as GeoJSON has it (RFC 7946, 3.1.1), and goes the short way round the
//! Earth, so an area may lie across the antimeridian. Metres are measured on a plane that touches the Earth
//! where the position is: exact enough near the edge, which is where it matters. An area round a pole is
//! refused. Never reads a file: what files hold is `config/fences`.

mod crossing;
mod depth;
mod edges;
mod joined;
mod overlap;
mod plane;
#[cfg(test)]
mod tests;
mod tree;

use super::geodesy::{Position, short_way};
pub use crossing::Crossing;
use edges::{Edge, Edges};
use plane::{Flat, METRES_PER_DEGREE, Rect};
use tree::Placed;

/// More than this in one area is refused: nobody drew it by hand, and each fix near its edge looks at some of them.
pub const MOST_POSITIONS: usize = 20_000;
/// Nearer to a pole than this nothing is said in degrees of longitude.
const POLAR_DEG: f64 = 89.0;

#[derive(Clone, Debug)]
pub struct Shape {
    form: Form,
    bounds: Rect,
    depth_m: f64,
}

#[derive(Clone, Debug)]
enum Form {
    Circle { centre: Position, radius_m: f64 },
    Polygon(Edges),
    Corridor { line: Edges, buffer_m: f64 },
}

/// Why positions make no area.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum ShapeError {
    #[error("{0} positions, and a ring needs three that differ")]
    TooFew(usize),
    #[error("{0} positions, more than {MOST_POSITIONS}")]
    TooMany(usize),
    #[error("a line needs two positions that differ")]
    NoLine,
    #[error("a ring that holds no area: it lies on one line, or winds as much one way as the other")]
    NoArea,
    #[error("an edge from longitude {0} to {1}, which are one meridian")]
    OneMeridian(f64, f64),
    #[error("an edge goes half round the Earth, from longitude {0} to {1}")]
    HalfRound(f64, f64),
    #[error("a ring that goes round a pole")]
    RoundPole,
    #[error("a position within a degree of a pole")]
    AtPole,
    #[error("edges cross near latitude {lat:.6}, longitude {lon:.6}")]
    SelfCrossing { lat: f64, lon: f64 },
    #[error("two polygons overlap at latitude {lat:.6}, longitude {lon:.6}")]
    Overlap { lat: f64, lon: f64 },
    #[error("two holes overlap, or one is there twice, at latitude {lat:.6}, longitude {lon:.6}")]
    HolesOverlap { lat: f64, lon: f64 },
    #[error("holes leave nothing of their polygon, at latitude {lat:.6}, longitude {lon:.6}")]
    NothingLeft { lat: f64, lon: f64 },
    #[error("a hole lies outside of its polygon, at latitude {lat:.6}, longitude {lon:.6}")]
    HoleOutside { lat: f64, lon: f64 },
}

impl ShapeError {
    fn crossing(at: Flat) -> Self {
        Self::SelfCrossing { lat: at.y, lon: short_way(at.x) }
    }
}

/// A polygon: its outer ring, then its holes. Closed or not.
pub type Rings = Vec<Vec<Position>>;

impl Shape {
    pub fn circle(centre: Position, radius_m: f64) -> Self {
        let half_lat = radius_m / METRES_PER_DEGREE * 1.01;
        let furthest = centre.lat.abs() + half_lat;
        let half_lon = if furthest >= POLAR_DEG { 180.0 } else { half_lat / furthest.to_radians().cos() };
        let half_lon = half_lon.min(180.0);
        let bounds = Rect {
            south: centre.lat - half_lat,
            north: centre.lat + half_lat,
            west: centre.lon - half_lon,
            east: centre.lon + half_lon,
        };
        Self { form: Form::Circle { centre, radius_m }, bounds, depth_m: radius_m }
    }

    /// One polygon or several that do not overlap. Where they are drawn along one another, to 11 cm, the
    /// seam between them is no edge.
    pub fn polygon(polygons: &[Rings]) -> Result<Self, ShapeError> {
        let rings = || polygons.iter().flatten();
        within_limits(rings().map(Vec::len).sum(), rings().flatten())?;
        let reference = rings().flatten().next().map_or(0.0, |first| first.lon);
        let mut each = Vec::with_capacity(polygons.len());
        let (mut area, mut length) = (0.0, 0.0);
        for polygon in polygons {
            let mut rings = Vec::with_capacity(polygon.len());
            for ring in polygon {
                let edges = edges::ring(ring, reference)?;
                let (holds, around) = edges::size_m(&edges);
                area += if rings.is_empty() { holds } else { -holds };
                length += around;
                rings.push(edges);
            }
            each.push(rings);
        }
        let drawn: Vec<Vec<Edge>> = each.iter().map(|rings| rings.concat()).collect();
        let joined = (drawn.len() > 1).then(|| joined::joined(&drawn));
        // What is narrower than a seam may cross itself where it is bent: then all are as they are drawn.
        let edges = match joined.and_then(|joined| outline(&joined, &each).ok()) {
            Some(edges) => edges,
            None => outline(&drawn, &each)?,
        };
        let bounds = edges.bounds();
        // What holds so much within so long an edge is at least so deep somewhere, however thin it is elsewhere.
        let (depth_m, _) = depth::find(&edges, area / length);
        Ok(Self { form: Form::Polygon(edges), bounds, depth_m })
    }

    /// Everything within `buffer_m` of one line or several.
    pub fn corridor(lines: &[Vec<Position>], buffer_m: f64) -> Result<Self, ShapeError> {
        within_limits(lines.iter().map(Vec::len).sum(), lines.iter().flatten())?;
        let reference = lines.iter().flatten().next().map_or(0.0, |first| first.lon);
        let mut all = Vec::new();
        for line in lines {
            all.extend(edges::line(line, reference)?);
        }
        let line = Edges::new(all);
        if line.is_empty() {
            return Err(ShapeError::NoLine);
        }
        let bounds = line.bounds().grown(buffer_m);
        Ok(Self { form: Form::Corridor { line, buffer_m }, bounds, depth_m: buffer_m })
    }

    /// Metres to the edge, negative inside. Where that is more than `reach_m`, only the sign and that it is
    /// more can be relied upon.
    pub fn distance_m(&self, at: Position, reach_m: f64) -> f64 {
        match &self.form {
            Form::Circle { centre, radius_m } => at.distance_m(*centre) - radius_m,
            Form::Polygon(edges) => {
                let at = self.flat(at);
                let distance = edges.distance_m(at, reach_m);
                if edges.encloses(at) { -distance } else { distance }
            }
            Form::Corridor { line, buffer_m } => {
                line.distance_m(self.flat(at), buffer_m + reach_m) - buffer_m
            }
        }
    }

    /// How far inside of the edge one can be; for a polygon up to 2 % less, and rather less than that where thousands of
    /// narrow strips are about as deep as one another.
    pub fn depth_m(&self) -> f64 {
        self.depth_m
    }

    /// In words, for people.
    pub fn told(&self) -> String {
        match &self.form {
            Form::Circle { centre, radius_m } => {
                format!("{radius_m} m around {}, {}", centre.lat, centre.lon)
            }
            Form::Polygon(edges) => {
                let at = self.bounds.centre();
                format!("a polygon of {} edges around {:.5}, {:.5}", edges.len(), at.y, short_way(at.x))
            }
            Form::Corridor { line, buffer_m } => {
                let at = self.bounds.centre();
                let lon = short_way(at.x);
                format!("{buffer_m} m along a line of {} legs around {:.5}, {lon:.5}", line.len(), at.y)
            }
        }
    }

    /// Whether any of it may lie in a part of the map, given in degrees; errs towards yes.
    pub fn touches(&self, south: f64, west: f64, size: f64) -> bool {
        [-360.0, 0.0, 360.0].into_iter().any(|turn| {
            let west = west + turn;
            let part = Rect { south, north: south + size, west, east: west + size };
            self.bounds.overlaps(&part)
                && match &self.form {
                    Form::Circle { .. } => true,
                    Form::Polygon(edges) => edges.cross(&part) || edges.encloses(part.centre()),
                    Form::Corridor { line, buffer_m } => line.cross(&part.grown(*buffer_m)),
                }
        })
    }

    /// South, north, west and east in degrees; east is beyond 180 for what lies across the antimeridian.
    pub fn bounds(&self) -> [f64; 4] {
        [self.bounds.south, self.bounds.north, self.bounds.west, self.bounds.east]
    }

    /// The position in the frame of the area's edges, whose longitudes go on beyond 180.
    fn flat(&self, at: Position) -> Flat {
        let middle = self.bounds.centre().x;
        Flat { x: middle + short_way(at.lon - middle), y: at.lat }
    }
}

/// The edge around all of the polygons. What is told of their holes is told of them as they are drawn.
fn outline(polygons: &[Vec<Edge>], drawn: &[Vec<Vec<Edge>>]) -> Result<Edges, ShapeError> {
    let edges = Edges::new(edges::without_seams(polygons.concat()));
    if let Some(at) = edges.self_crossing() {
        return Err(ShapeError::crossing(at));
    }
    drawn.iter().try_for_each(|rings| overlap::check_holes(rings))?;
    overlap::check_apart(polygons)?;
    if edges.is_empty() { Err(ShapeError::TooFew(0)) } else { Ok(edges) }
}

fn within_limits<'a>(count: usize, mut all: impl Iterator<Item = &'a Position>) -> Result<(), ShapeError> {
    if count > MOST_POSITIONS {
        return Err(ShapeError::TooMany(count));
    }
    if all.any(|at| at.lat.abs() > POLAR_DEG) { Err(ShapeError::AtPole) } else { Ok(()) }
}
