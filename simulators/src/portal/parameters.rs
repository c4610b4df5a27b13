//! What the simulated portal takes as given, each with where its value comes from.
//!
//! "Assumed" says that no source was found that measured it for dock doors; the value is then of the
//! order that the named source suggests. Whatever differs from scenario to scenario is in the scenario.

/// Speed of light (CODATA).
pub const LIGHT_MPS: f64 = 299_792_458.0;

// --- The air interface ---------------------------------------------------------------------------

/// ETSI EN 302 208, lower band: four high-power channels, 600 kHz apart, a reader stays on one for at most 4 s.
pub const ETSI_MHZ: [f64; 4] = [865.7, 866.3, 866.9, 867.5];
pub const ETSI_STAY_S: f64 = 4.0;
/// FCC 47 CFR 15.247(a)(1): fifty channels of 500 kHz in 902–928 MHz, at most 0.4 s on each in 20 s.
pub const FCC_FIRST_MHZ: f64 = 902.75;
pub const FCC_STEP_MHZ: f64 = 0.5;
pub const FCC_CHANNELS: usize = 50;
pub const FCC_STAY_S: f64 = 0.4;

/// Time of an empty slot, a collided one and a singulated tag, and what a round costs beside. EPCglobal
/// Gen2 v2.0.1, 6.3.1.6 gives T1 to T4 and the commands' bits; with Tari 6.25 µs, FM0 or Miller-2 and
/// BLF 320 kHz they come to about these. Loaded optimally they give 600 to 700 reads/s, the lower end of
/// the 700 to 1,500 reads/s that fixed readers are quoted with.
pub const EMPTY_SLOT_S: f64 = 0.000_15;
pub const COLLIDED_SLOT_S: f64 = 0.000_5;
pub const READ_SLOT_S: f64 = 0.001_0;
pub const ROUND_S: f64 = 0.003;
/// Gen2 Annex D: the step by which Q follows empty and collided slots lies between 0.1 and 0.5.
pub const Q_STEP: f64 = 0.35;
pub const Q_MAX: f64 = 10.0;
pub const Q_FIRST: f64 = 3.0;
/// Gen2 table 6.20: the inventoried flag of session 1 lasts for 500 ms to 5 s, powered or not. Those of
/// sessions 0, 2 and 3 last while the tag is powered; 2 and 3 for more than 2 s beyond.
pub const S1_LASTS_S: [f64; 2] = [0.5, 5.0];
pub const S2_LASTS_S: [f64; 2] = [2.0, 20.0];
/// The stronger of two tags in one slot is read if it stands this far above the other. Assumed; capture
/// above about 10 dB is what anti-collision models for Gen2 use.
pub const CAPTURE_DB: f64 = 10.0;
/// Singulations that fail for no reason of signal: assumed.
pub const FAILS: f64 = 0.04;
/// A reader stays on one antenna for this long. Assumed; set by the installer, commonly 50 to 500 ms.
pub const ANTENNA_S: f64 = 0.06;

// --- Reader and antennas ---------------------------------------------------------------------------

/// Panel antennas for portals are sold with 8 to 9 dBic, a beam of 65° to 70° and 18 to 20 dB
/// front-to-back ratio (Laird S9028, MTI MT-242 and others).
pub const ANTENNA_GAIN_DBI: f64 = 8.5;
pub const BEAM_DEG: f64 = 68.0;
pub const FRONT_TO_BACK_DB: f64 = 19.0;
/// A circular antenna and a linear tag: 3 dB each way, whatever the tag's angle (Balanis, *Antenna Theory*,
/// 2.12.2); the ellipse of a real one adds up to its axial ratio.
pub const POLARISATION_DB: f64 = 3.0;
pub const AXIAL_RATIO_DB: f64 = 1.5;
/// Impinj Speedway R420, datasheet: -84 dBm. Success falls over about 2 dB around it (assumed).
pub const READER_DBM: f64 = -84.0;
pub const READER_SOFT_DB: f64 = 1.0;

// --- Tags ------------------------------------------------------------------------------------------

/// Read sensitivities that datasheets give: Monza 4 -17.4 dBm, Monza R6 -20 dBm, UCODE 7 -21 dBm,
/// UCODE 8 -22.9 dBm. A mixture of what is in use.
pub const TAG_DBM: [f64; 2] = [-21.0, -17.5];
/// What the incident power and the backscattered one differ by beyond the antennas' gains: a few dB for the
/// modulation (Nikitin and Rao, *Theory and measurement of backscattering from RFID tags*, IEEE Antennas
/// and Propagation Magazine 48(6), 2006).
pub const BACKSCATTER_DB: f64 = 6.0;
/// A half-wave dipole's gain (Balanis, 4.6), and how deep its null is in practice (assumed).
pub const DIPOLE_DBI: f64 = 2.15;
pub const NULL_DB: f64 = 20.0;

// --- Propagation -----------------------------------------------------------------------------------

/// ITU-R P.2040: relative permittivity of concrete near 1 GHz, for the reflection from the floor.
pub const FLOOR_PERMITTIVITY: f64 = 5.3;
/// A wall beside a door: sandwich panels with metal skins, or concrete with steel. ITU-R P.2040 gives 10
/// to 20 dB for concrete of usual thickness at 1 GHz.
pub const WALL_DB: f64 = 18.0;
/// Number of plane waves of the diffuse field; eight and more approach Rayleigh fading (Jakes, *Microwave
/// Mobile Communications*, 1974, 1.7). Its correlation falls to nothing within half a wavelength.
pub const WAVES: usize = 14;
/// Of these, so many come from what moves (people, a fan, another forklift), this fast. Assumed.
pub const MOVING_WAVES: usize = 2;
pub const MOVING_MPS: f64 = 0.4;
/// Detours that reflections in a hall make: the coherence bandwidth of a few MHz that follows makes channels
/// of one band fade a little differently. Assumed, of the order of the hall.
pub const DETOUR_M: [f64; 2] = [2.0, 30.0];
/// The diffuse field spreads from a place about as far behind as the nearest walls. Assumed.
pub const DIFFUSE_FROM_M: f64 = 3.0;
/// Metal between antenna and tag: what is diffracted around a forklift or a rack of its size is 15 to 25 dB
/// less (knife edge, ITU-R P.526). The diffuse field is shadowed less (assumed).
pub const FORKLIFT_DB: f64 = 20.0;
pub const PERSON_DB: f64 = 6.0;
pub const DIFFUSE_SHADOW: f64 = 0.3;
pub const MOST_SHADOW_DB: f64 = 32.0;
/// A trailer's side: metal, not flat.
pub const TRUCK_REFLECTS: f64 = 0.8;

// --- What the reader reports -----------------------------------------------------------------------

/// Phase: 4096 steps a turn, Doppler: 1/16 Hz (Impinj Octane LLRP). Whether a read is turned by half is not
/// known to such readers. Noise of the phase at a good signal, and of Doppler over one packet: assumed, of
/// the order seen in practice (0.1 rad; some Hz).
pub const PHASE_STEPS: f64 = 4096.0;
pub const PHASE_NOISE_RAD: f64 = 0.1;
pub const DOPPLER_STEPS_PER_HZ: f64 = 16.0;
pub const DOPPLER_NOISE_HZ: f64 = 4.0;
/// Scatter of the reported signal from read to read: assumed.
pub const RSSI_NOISE_DB: f64 = 0.7;

// --- Doors, loads, vehicles ------------------------------------------------------------------------

/// Dock doors are 2.4 to 3 m wide; two beside one another stand 3.6 m or more apart (common design guides).
pub const DOOR_HALF_WIDTH_M: f64 = 1.4;
pub const POLE_Y_M: f64 = 1.6;
/// EUR pallet, ISO 6780: 0.8 × 1.2 m, taken from its long side; loaded to 1.45 m. What a person carries or
/// pushes: assumed.
pub const PALLET_M: [f64; 3] = [0.8, 1.2, 1.3];
pub const PALLET_FROM_M: f64 = 0.15;
pub const CARRIED_M: [f64; 3] = [0.5, 0.5, 0.5];
pub const CARRIED_FROM_M: f64 = 0.8;
pub const PERSON_M: [f64; 3] = [0.4, 0.5, 1.75];
/// A counterbalanced forklift of 2 t: 2.2 m without forks, 1.1 m wide, 2.1 m high (makers' sheets).
pub const FORKLIFT_M: [f64; 3] = [2.2, 1.1, 2.1];
/// Accelerations of forklifts and of people who push: assumed.
pub const ACCELERATION_MPS2: f64 = 0.9;
/// A light barrier's height, and how often it is asked: assumed.
pub const BEAM_HEIGHT_M: f64 = 0.6;
/// Beyond this, on the other side, something has passed; before, it has not.
pub const PASSED_M: f64 = 1.5;
