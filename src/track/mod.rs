//! Sightings + register + commands → location, custody and condition events, alert transitions.
