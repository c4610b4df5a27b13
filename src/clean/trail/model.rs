//! What a portal's rows of antennas hear of a tag at each place, and how tags move from place to place.
//!
//! Every value says where it comes from. The tables are the same for all tags of a portal: made once with its
//! rules, read for each step, never changed.

use super::super::crossing::STEP_US;
use super::super::odds::logistic;

pub(super) const PLACES: usize = 9;
/// How strong a tag is at its best: so many levels, from this one down in steps of that, in dBm.
pub(super) const STRENGTHS: usize = 6;
pub(super) const STRONGEST_DBM: f32 = -28.0;
pub(super) const STRENGTH_STEP_DB: f32 = 8.0;
pub(super) const DOOR: usize = 4;

/// Chance of a step to each neighbour. People and trucks need one to four seconds from place to place.
pub(super) const MOVE: f32 = 0.22;
/// A tag appears from afar: rarely in the door itself.
pub(super) const APPEARS: [f32; PLACES] = [0.18, 0.14, 0.10, 0.05, 0.06, 0.05, 0.10, 0.14, 0.18];
/// Strengths in the field: -44 dBm give or take 10 at a metre and a half (30 dBm, Friis both ways, tags between
/// bare and on metal).
pub(super) const STRENGTH_PRIOR: [f32; STRENGTHS] = [0.06, 0.17, 0.26, 0.25, 0.17, 0.09];
/// How a row of antennas that looks inside hears a tag at each place, beside the best: Friis both ways, the
/// antennas' beam, and behind it what walls reflect; and how far that scatters (fading, orientation).
pub(super) const HEARS_DB: [f32; PLACES] = [-40.0, -35.0, -30.0, -23.0, -10.0, 0.0, -10.0, -22.0, -33.0];
pub(super) const SCATTERS_DB: [f32; PLACES] = [9.0, 9.0, 9.0, 8.0, 7.0, 6.0, 7.0, 8.0, 9.0];
/// What is fainter than this is hardly read, and over how many dB that goes.
pub(super) const FAINTEST_DBM: f32 = -71.0;
pub(super) const FAINT_DB: f32 = 5.0;
/// A step without a read, where a tag is well heard (log-likelihood).
pub(super) const UNHEARD: f32 = -0.4;
/// A tag that appears was not heard before: how much less likely that is where it is well heard.
pub(super) const APPEARS_HEARD: f32 = 0.92;
/// How far it is from place to place, about, in metres.
pub(super) const APART_M: f32 = 1.5;
/// Speeds that Doppler tells are believed to within this.
pub(super) const SPEED_SCATTER_MPS: f32 = 0.35;

/// Which rows of antennas a portal has: outside, inside.
pub(in crate::clean) type Rows = [bool; 2];
type Table = [[f32; PLACES]; STRENGTHS];

/// What a portal's rows hear at each place of each strength of tag: the same for all portals with such rows.
#[derive(Debug)]
pub(in crate::clean) struct Model {
    pub rows: Rows,
    /// Expected signal, by row.
    pub(super) expected: [Table; 2],
    /// Logarithms of the shares of reads that each row makes.
    pub(super) shares: [Table; 2],
    /// Weight of a step without a read.
    pub(super) unheard: Table,
    /// Where a tag is that was not heard before.
    pub(super) appears: Table,
}

impl Model {
    pub fn new(rows: Rows) -> Self {
        let table = |cell: &dyn Fn(f32, usize) -> f32| {
            let mut table = [[0.0; PLACES]; STRENGTHS];
            for (strength, row) in table.iter_mut().enumerate() {
                let best = STRONGEST_DBM - STRENGTH_STEP_DB * strength as f32;
                row.iter_mut().enumerate().for_each(|(place, to)| *to = cell(best, place));
            }
            table
        };
        let level = |best: f32, place: usize, row: usize| best + HEARS_DB[mirrored(place, row)];
        let readable = |best, place, row| logistic((level(best, place, row) - FAINTEST_DBM) / FAINT_DB);
        let heard = |best, place| {
            let heard = (0..2).filter(|row| rows[*row]).map(|row| readable(best, place, row));
            heard.fold(0.0, f32::max)
        };
        let share = |best, place, row: usize| {
            let both = [0, 1].map(|row| readable(best, place, row) + 0.1);
            (both[row] / (both[0] + both[1])).ln()
        };
        Self {
            rows,
            // What was read was strong enough to be read.
            expected: [0, 1].map(|row| table(&|best, place| level(best, place, row).max(FAINTEST_DBM))),
            shares: [0, 1].map(|row| table(&|best, place| share(best, place, row))),
            unheard: table(&|best, place| (UNHEARD * heard(best, place)).exp()),
            appears: table(&|best, place| APPEARS[place] * (1.0 - APPEARS_HEARD * heard(best, place))),
        }
    }
}

/// How the inside row hears a tag at a place; the outside row's is its mirror image.
pub(super) fn mirrored(place: usize, row: usize) -> usize {
    if row == 1 { place } else { PLACES - 1 - place }
}

/// Chance of a step outward and inward, by place. A row sees what is before it come nearer when it moves
/// towards the door, and go when it moves away; behind the row it is the other way round.
pub(super) fn drifts(nearing: [Option<(f32, f32)>; 2]) -> [[f32; PLACES]; 2] {
    let mut drifts = [[MOVE; PLACES]; 2];
    for (row, told) in nearing.into_iter().enumerate() {
        let Some((mps, deviation)) = told else { continue };
        let trust = 1.0 / (1.0 + (deviation / SPEED_SCATTER_MPS).powi(2));
        // In the door, going may be to either side.
        for place in (0..PLACES).filter(|place| *place != DOOR) {
            let before = if row == 1 { place > DOOR } else { place < DOOR };
            let inward = if before == (row == 1) { -mps } else { mps };
            let ahead = |speed: f32| (speed / APART_M * (STEP_US as f32 / 1e6)).clamp(0.02, 0.4);
            let [out, within] = [ahead(-inward), ahead(inward)];
            drifts[0][place] += trust * (out - drifts[0][place]);
            drifts[1][place] += trust * (within - drifts[1][place]);
        }
    }
    drifts
}
