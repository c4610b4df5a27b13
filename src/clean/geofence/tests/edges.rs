//! Fixes near an edge, on the way through.

use super::*;

/// Past a yard of 400 m at 10 m/s, a fix a minute, by metres from its middle.
fn passed(places: &[f64], accuracy: f64) -> Vec<(FenceChange, i64, bool)> {
    let circle = Shape::circle(Position { lat: 50.0, lon: 8.0 }, 200.0);
    let fixes: Vec<_> = (0..).zip(places).map(|(nth, metres)| (nth * 60, *metres, accuracy)).collect();
    changes_of(&FenceConfig::new("yard", circle), &fixes)
}

#[test]
fn a_fix_near_the_edge_on_its_way_through_hides_no_visit() {
    let told = |places: &[f64]| passed(places, 5.0).iter().map(|(change, ..)| *change).collect::<Vec<_>>();
    for edge in [185.0, 192.0, 195.0, 200.0, 205.0, 208.0, 212.0] {
        assert_eq!(told(&[-1000.0, -400.0, edge, 800.0, 1400.0]), [Entered, Exited], "out at {edge}");
        assert_eq!(told(&[-1400.0, -800.0, -edge, 400.0, 1000.0]), [Entered, Exited], "in at {edge}");
        // No second time, and not before fixes behind it say so.
        assert_eq!(told(&[-1000.0, -400.0, edge, 800.0, 1400.0, 2000.0, 2600.0]).len(), 2, "{edge}");
    }
    assert_eq!(told(&[-1000.0, -400.0, 195.0, 800.0]), []);
    let wide = [175.0, 200.0, 225.0].map(|edge| passed(&[-1000.0, -400.0, edge, 800.0, 1400.0], 30.0).len());
    assert_eq!(wide, [2; 3], "as vague as the fix may be");
    let at = passed(&[-1000.0, -400.0, 205.0, 800.0, 1400.0], 5.0);
    assert_eq!(at, [(Entered, 80, true), (Exited, 119, true)]);
    // Both ends are near it.
    assert_eq!(told(&[-605.0, -205.0, 203.0, 603.0, 1003.0]), [Entered, Exited]);
    // It came to the edge alone, or stayed in there.
    for edge in [185.0, 195.0, 205.0] {
        assert_eq!(told(&[1600.0, 1000.0, 400.0, edge, 400.0, 1000.0, 1600.0]), [], "{edge}");
    }
    assert_eq!(told(&[-1000.0, -400.0, 195.0, 0.0, 10.0, 20.0]), [Entered]);
    assert_eq!(told(&[-1000.0, -400.0, 188.0, 188.0, 188.0, 188.0]), [Entered], "just inside");
}

/// What came to the edge and is elsewhere an hour later was not seen to leave.
#[test]
fn a_way_to_the_edge_is_no_visit_where_nothing_shows_that_it_went_on() {
    let circle = Shape::circle(Position { lat: 50.0, lon: 8.0 }, 200.0);
    let fixes = [(0, -1000.0), (60, -400.0), (120, 205.0), (4000, 800.0), (4060, 1400.0)];
    let fixes = fixes.map(|(second, metres)| (second, metres, 5.0));
    assert_eq!(changes_of(&FenceConfig::new("yard", circle), &fixes), []);
}
