//! The air in a cold room: it nears the outside while the door is open, and its set point while it is shut.

/// Temperature over time, piecewise exponential. Times are seconds since the scenario began, temperatures °C.
#[derive(Clone, PartialEq, Debug)]
pub struct ColdRoom {
    pub set_point: f64,
    pub outside: f64,
    /// Time constants in seconds, door open and shut.
    pub warms_in: f64,
    pub cools_in: f64,
    since: f64,
    temperature: f64,
    open: bool,
}

impl ColdRoom {
    /// At its set point, door shut.
    pub fn new(set_point: f64, outside: f64, warms_in: f64, cools_in: f64) -> Self {
        Self { set_point, outside, warms_in, cools_in, since: 0.0, temperature: set_point, open: false }
    }

    pub fn door_open(&self) -> bool {
        self.open
    }

    /// Temperature at `at`, with the door left as it is.
    pub fn temperature(&self, at: f64) -> f64 {
        let (target, constant) = self.course();
        target + (self.temperature - target) * (-(at - self.since).max(0.0) / constant).exp()
    }

    /// When the temperature comes to `wanted` with the door left as it is; `None` where it never does.
    pub fn reaches(&self, wanted: f64) -> Option<f64> {
        let (target, constant) = self.course();
        let ratio = (self.temperature - target) / (wanted - target);
        (ratio.is_finite() && ratio >= 1.0).then(|| self.since + constant * ratio.ln())
    }

    pub fn set_door(&mut self, open: bool, at: f64) {
        self.temperature = self.temperature(at);
        self.since = at;
        self.open = open;
    }

    fn course(&self) -> (f64, f64) {
        if self.open { (self.outside, self.warms_in) } else { (self.set_point, self.cools_in) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_door_warms_and_a_shut_one_cools() {
        let mut room = ColdRoom::new(4.0, 20.0, 4.0, 3.0);
        assert_eq!(room.temperature(100.0), 4.0);
        room.set_door(true, 10.0);
        let crossing = room.reaches(8.0).unwrap();
        assert!((crossing - (10.0 + 4.0 * (16.0f64 / 12.0).ln())).abs() < 1e-9);
        assert!((room.temperature(crossing) - 8.0).abs() < 1e-9);
        room.set_door(false, 15.0);
        let back = room.reaches(7.0).unwrap();
        assert!(back > 15.0 && (room.temperature(back) - 7.0).abs() < 1e-9);
    }

    #[test]
    fn it_never_comes_to_what_lies_the_other_way() {
        let room = ColdRoom::new(4.0, 20.0, 4.0, 3.0);
        assert_eq!(room.reaches(8.0), None);
    }
}
