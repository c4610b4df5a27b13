//! What the simulated fleet takes as given, each with where its value comes from.
//!
//! "Assumed" says that no measurement of it was found; the value is then of the order that the named source suggests.
//! Whatever differs from scenario to scenario is in the scenario.

/// WGS 84's mean radius.
pub const EARTH_M: f64 = 6_371_008.8;

// --- Roads ------------------------------------------------------------------------------------------

/// Side of a block, and by how much crossings lie beside where a ruler would put them. Assumed; European towns have
/// blocks of 80 to 250 m.
pub const BLOCK_M: f64 = 220.0;
pub const CROSSING_BESIDE_M: f64 = 45.0;
/// A street is bent by so much in its middle: assumed.
pub const BEND_M: f64 = 18.0;
/// Every so many streets one is a main road.
pub const MAIN_EVERY: usize = 5;
/// Limits of streets and main roads, km/h (StVO §3; 70 as on town bypasses).
pub const STREET_KMH: f64 = 50.0;
pub const MAIN_KMH: f64 = 70.0;
/// Blocks from the middle out that are high buildings, as a share of the town.
pub const CANYON_SHARE: f64 = 0.18;
/// Of the main roads' pieces, so many are tunnels.
pub const TUNNELS: f64 = 0.04;

// --- Driving ----------------------------------------------------------------------------------------

/// Comfortable acceleration and braking (ITE, *Traffic Engineering Handbook*: 1.1 to 1.5 and up to 3.4 m/s²; lorries
/// less).
pub const ACCELERATES_MPS2: f64 = 1.1;
pub const BRAKES_MPS2: f64 = 1.7;
/// Through a turn: lateral 2 m/s² on a radius of 12 m.
pub const TURN_MPS: f64 = 4.9;
pub const TURN_FROM_DEG: f64 = 35.0;
/// A crossing makes one wait with this probability, for so long: cycles of 60 to 90 s, half of them red (FHWA, *Signal
/// Timing Manual*).
pub const WAITS: f64 = 0.3;
pub const WAITS_S: [f64; 2] = [4.0, 55.0];
/// In a queue at a gate: assumed. Who moves up does so at a walking pace.
pub const QUEUE_MPS: f64 = 2.5;

// --- Receivers --------------------------------------------------------------------------------------

/// Error of one axis under open sky. GPS SPS Performance Standard (2020) promises 95 % within 8 m; phones show 4.9 m
/// under open sky (van Diggelen and Enge, ION GNSS+ 2015). 2.4 m an axis gives 95 % within 5.9 m.
pub const OPEN_M: f64 = 2.4;
/// How long it stays about the same: ionosphere and orbits change over many minutes, multipath over tens of seconds
/// (a first-order Gauss–Markov process; 100 to 300 s are usual for standing receivers).
pub const OPEN_WANDERS_S: f64 = 180.0;
/// Between high buildings: tens of metres (Hsu, *GPS Solutions* 22, 2018, and the field's surveys), and quick.
pub const CANYON_M: f64 = 14.0;
pub const CANYON_WANDERS_S: f64 = 25.0;
/// Under a roof, where a receiver still hears something: assumed.
pub const INDOORS_M: f64 = 22.0;
pub const INDOORS_WANDERS_S: f64 = 60.0;
/// What differs from fix to fix.
pub const NOISE_M: f64 = 0.5;
/// What a receiver says of its own accuracy: radius of 68 %, of an error of one axis 1.5 times that, times this under
/// open sky. Between buildings it is over-stated by this much.
pub const SAYS_OPEN: [f64; 2] = [0.9, 1.8];
pub const SAYS_CANYON: [f64; 2] = [0.35, 1.1];
/// Of fixes between buildings, so many are of a reflected signal: so far off, and said to be good. Seen in the field as
/// "200 m wrong, 1.9 m" (Traccar's forum).
pub const OUTLIERS: f64 = 0.004;
pub const OUTLIER_M: [f64; 2] = [80.0, 260.0];
pub const OUTLIER_SAYS_M: f64 = 5.0;
/// Time to a first fix after the receiver was off (datasheets of u-blox M8: cold 26 s, under open sky), and how much
/// worse it is for how long.
pub const FIRST_FIX_S: [f64; 2] = [20.0, 45.0];
pub const COLD_S: f64 = 30.0;
pub const COLD_TIMES: f64 = 6.0;

/// Error of one axis of its speed, which it measures by Doppler shift. Under open sky datasheets promise 0.05 m/s (u-blox
/// M8: half of the time, at 30 m/s); between high buildings, where what it hears is reflected, several tenths are usual
/// (assumed, as under a roof).
pub const OPEN_MPS: f64 = 0.1;
pub const CANYON_MPS: f64 = 0.7;
pub const INDOORS_MPS: f64 = 0.4;

// --- Networks ---------------------------------------------------------------------------------------

/// Delay of a message: mobile networks, assumed.
pub const DELAY_S: [f64; 2] = [0.2, 3.0];
/// So long without a network, when there is none.
pub const OUTAGE_S: [f64; 2] = [120.0, 3600.0];
/// Fixes of a burst come so many a second.
pub const BURST_PER_S: f64 = 5.0;
/// Messages that are sent twice.
pub const TWICE: f64 = 0.005;
