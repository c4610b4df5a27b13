//! Names of all metrics, by stage. Base units; counters end in `_total`; no label holds an asset or a tag.
