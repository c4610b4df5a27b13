//! Readings → sightings: presence, passages, accepted fixes, condition changes. *This is the dedupe.*
