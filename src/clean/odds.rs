//! Probabilities as log-odds, in which what several things say adds up, and back.

/// The probability with these log-odds.
pub(super) fn logistic(log_odds: f32) -> f32 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// The log-odds of a probability, no further than `most` either way.
pub(super) fn log_odds(probability: f32, most: f32) -> f32 {
    (probability / (1.0 - probability).max(1e-6)).max(1e-6).ln().clamp(-most, most)
}

/// The probability that signs have together, each by its weight: what a logistic regression found.
pub(super) fn weigh<const N: usize>(signs: &[f32; N], weights: &[f32; N]) -> f32 {
    logistic(signs.iter().zip(weights).map(|(sign, weight)| sign * weight).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_add_up_by_their_weights() {
        assert_eq!(weigh(&[1.0, 2.0], &[3.0, -1.5]), 0.5);
        assert!(weigh(&[1.0, 2.0], &[3.0, 1.0]) > 0.99);
    }

    #[test]
    fn there_and_back_is_the_same_and_what_is_certain_is_bounded() {
        for probability in [0.01, 0.3, 0.5, 0.9] {
            assert!((logistic(log_odds(probability, 9.0)) - probability).abs() < 1e-5, "{probability}");
        }
        assert_eq!([0.0, 1.0].map(|certain| log_odds(certain, 5.0)), [-5.0, 5.0]);
    }
}
