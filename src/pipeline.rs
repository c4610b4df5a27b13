//! The one place where stages are created and joined.
