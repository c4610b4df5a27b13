//! OwnTracks `location` payloads (booklet, "JSON"): as its apps send them, zero values left out.

use serde::Serialize;

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Location<'a> {
    #[serde(rename = "_type")]
    kind: &'static str,
    pub tid: &'a str,
    pub lat: f64,
    pub lon: f64,
    /// When the position was taken, seconds since 1970.
    pub tst: i64,
    /// Metres.
    #[serde(skip_serializing_if = "is_zero")]
    pub acc: u32,
    #[serde(skip_serializing_if = "is_zero")]
    pub alt: u32,
    /// Degrees.
    #[serde(skip_serializing_if = "is_zero")]
    pub cog: u32,
    /// km/h.
    #[serde(skip_serializing_if = "is_zero")]
    pub vel: u32,
    /// Percent.
    pub batt: u8,
    pub conn: &'static str,
    pub t: &'static str,
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}

impl<'a> Location<'a> {
    /// A position by ping over a mobile network, battery full, everything else zero.
    pub fn new(tid: &'a str, lat: f64, lon: f64, tst: i64) -> Self {
        Self {
            kind: "location",
            tid,
            lat,
            lon,
            tst,
            acc: 0,
            alt: 0,
            cog: 0,
            vel: 0,
            batt: 100,
            conn: "m",
            t: "p",
        }
    }

    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

pub fn topic(user: &str, device: &str) -> String {
    format!("owntracks/{user}/{device}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_values_are_left_out() {
        let mut location = Location::new("t1", 52.5, 13.25, 1_700_000_000);
        location.vel = 48;
        assert_eq!(
            String::from_utf8(location.to_json()).unwrap(),
            r#"{"_type":"location","tid":"t1","lat":52.5,"lon":13.25,"tst":1700000000,"vel":48,"batt":100,"conn":"m","t":"p"}"#
        );
    }
}
