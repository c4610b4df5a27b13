//! Which metric of an edge node or device is what of a position, and in which unit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::decode::gps::json::{BatteryUnit, CoordinateUnit, DistanceUnit, SpeedUnit, TimeFormat};

/// What a metric may tell of a position.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    Latitude,
    Longitude,
    Time,
    Valid,
    Accuracy,
    Altitude,
    Speed,
    Course,
    Battery,
    Ignition,
    Odometer,
}

impl Part {
    pub const ALL: [Self; 11] = [
        Self::Latitude,
        Self::Longitude,
        Self::Time,
        Self::Valid,
        Self::Accuracy,
        Self::Altitude,
        Self::Speed,
        Self::Course,
        Self::Battery,
        Self::Ignition,
        Self::Odometer,
    ];

    /// As the configuration calls it.
    pub fn key(self) -> &'static str {
        match self {
            Self::Latitude => "latitude",
            Self::Longitude => "longitude",
            Self::Time => "time",
            Self::Valid => "valid",
            Self::Accuracy => "accuracy",
            Self::Altitude => "altitude",
            Self::Speed => "speed",
            Self::Course => "course",
            Self::Battery => "battery",
            Self::Ignition => "ignition",
            Self::Odometer => "odometer",
        }
    }

    /// How metrics are called where nobody says: these words, alone or in one of a few folders. There are none where
    /// one word stands for several things: a battery's volts and its percent, a time in seconds and in milliseconds, an
    /// odometer in metres and in kilometres.
    fn usual(self) -> &'static [&'static str] {
        match self {
            Self::Latitude => &["Latitude", "latitude", "Lat", "lat"],
            Self::Longitude => &["Longitude", "longitude", "Lon", "lon", "Lng", "lng"],
            Self::Time | Self::Valid | Self::Battery | Self::Ignition | Self::Odometer => &[],
            Self::Speed => &["Speed", "speed"],
            Self::Accuracy => &["Accuracy", "accuracy"],
            Self::Altitude => &["Altitude", "altitude"],
            Self::Course => &["Course", "course", "Heading", "heading"],
        }
    }

    pub fn usual_names(self) -> Vec<String> {
        let folders = ["", "Position/", "position/", "Location/", "location/", "GPS/", "gps/"];
        let words = self.usual().iter();
        words.flat_map(|word| folders.map(|folder| format!("{folder}{word}"))).collect()
    }
}

/// In which units metrics come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Units {
    pub coordinate: CoordinateUnit,
    pub speed: SpeedUnit,
    pub battery: BatteryUnit,
    pub odometer: DistanceUnit,
    /// Of times that are numbers.
    pub time: TimeFormat,
}

impl Default for Units {
    fn default() -> Self {
        Self {
            coordinate: CoordinateUnit::default(),
            speed: SpeedUnit::MetresPerSecond,
            battery: BatteryUnit::default(),
            odometer: DistanceUnit::Metres,
            time: TimeFormat::Milliseconds,
        }
    }
}

/// Metrics by name: what they tell, and how far in front of others that tell the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MetricMapping {
    parts: BTreeMap<String, (Part, usize)>,
    pub units: Units,
}

impl MetricMapping {
    /// `names`: for each part, metrics of which the first that there is counts. Of a name that stands twice the first
    /// place counts.
    pub fn new(names: impl IntoIterator<Item = (Part, Vec<String>)>, units: Units) -> Self {
        let mut parts = BTreeMap::new();
        for (part, names) in names {
            for (rank, name) in names.into_iter().enumerate() {
                parts.entry(name).or_insert((part, rank));
            }
        }
        Self { parts, units }
    }

    /// What a metric of this name tells; the lower the number, the sooner it is taken.
    pub fn part(&self, metric: &str) -> Option<(Part, usize)> {
        self.parts.get(metric).copied()
    }
}

/// By the usual names; not of a speed, of which nobody said the unit.
impl Default for MetricMapping {
    fn default() -> Self {
        let parts = Part::ALL.into_iter().filter(|part| *part != Part::Speed);
        let names = parts.map(|part| (part, part.usual_names()));
        Self::new(names, Units::default())
    }
}
