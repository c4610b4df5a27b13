//! A scenario that is computed and graded: a TOML file of its own shape, read, checked whole, never changed.

use serde::de::DeserializeOwned;

#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("the scenario is not what is expected: {0}")]
    Shape(#[from] toml::de::Error),
    #[error("{}", .0.join("; "))]
    Values(Vec<String>),
}

/// A number drawn evenly from here to there.
pub type Range = [f64; 2];

pub trait ScenarioFile: Sized + DeserializeOwned {
    /// Those that come with the simulators, as text.
    const FILES: &'static [&'static str];

    fn name(&self) -> &str;

    /// What cannot be, each with where it stands.
    fn problems(&self) -> Vec<String>;

    /// # Errors
    /// Not TOML of this shape, or values that cannot be.
    fn parse(text: &str) -> Result<Self, FileError> {
        let scenario: Self = toml::from_str(text)?;
        let problems = scenario.problems();
        if problems.is_empty() { Ok(scenario) } else { Err(FileError::Values(problems)) }
    }

    /// Those that come with the simulators.
    ///
    /// # Errors
    /// As for one.
    fn all() -> Result<Vec<Self>, FileError> {
        Self::FILES.iter().map(|text| Self::parse(text)).collect()
    }
}
