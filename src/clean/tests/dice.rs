//! Numbers that look random and are the same each time.

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): a seed is a scenario.
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// From 0 to 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn within(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.unit()
    }

    pub fn normal(&mut self, deviation: f64) -> f64 {
        let (u, v) = (self.unit().max(1e-12), self.unit());
        deviation * (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }
}

/// An error of position, of so many metres an axis, that is forgotten over so many seconds (a first-order Gauss–Markov process).
pub struct Wander {
    metres: f64,
    forgets_s: f64,
    error: [f64; 2],
}

impl Wander {
    pub fn by(metres: f64, forgets_s: f64) -> Self {
        Self { metres, forgets_s, error: [0.0; 2] }
    }

    pub fn next(&mut self, random: &mut Dice, seconds: f64) -> [f64; 2] {
        let keeps = (-seconds / self.forgets_s).exp();
        let news = self.metres * (1.0 - keeps * keeps).sqrt();
        self.error = self.error.map(|error| error * keeps + news * random.normal(1.0));
        self.error
    }
}
