//! What a value or its rate must not exceed, and for how long it may.

use std::time::Duration;

use crate::domain::alerts::Severity;
use crate::domain::ids::{DeviceId, LimitId, PointId};
use crate::domain::register::ClassLimit;
use crate::domain::sightings::Measure;

/// An excursion that names no other off-delay ends after so long: what ISA-18.2 recommends of temperatures and levels.
/// Without one, a noisy value that hovers at the deadband's edge makes many episodes of one.
pub const OFF_DELAY: Duration = Duration::from_secs(60);

/// The window of a limit of a rate that names none.
pub const RATE_OVER: Duration = Duration::from_secs(300);

/// A limit of one point of a device.
#[derive(Clone, Debug)]
pub struct LimitConfig {
    pub device: DeviceId,
    pub point: PointId,
    pub name: LimitId,
    pub kind: LimitKind,
    pub threshold: f64,
    /// The value must come back this far before the excursion ends; the point's unit.
    pub deadband: f64,
    pub on_delay: Duration,
    pub off_delay: Duration,
    pub severity: Severity,
}

impl LimitConfig {
    /// A class's limit, for a sensor on one of its assets; `None` where it bounds nothing.
    pub fn of_class(limit: &ClassLimit, device: &DeviceId) -> Option<Self> {
        let over = limit.over.unwrap_or(RATE_OVER);
        let bounds = [
            (LimitKind::High, limit.high),
            (LimitKind::Low, limit.low),
            (LimitKind::Rise { over }, limit.rise_per_min),
            (LimitKind::Fall { over }, limit.fall_per_min),
        ];
        let (kind, threshold) = bounds.into_iter().find_map(|(kind, threshold)| Some((kind, threshold?)))?;
        Some(Self {
            device: device.clone(),
            point: limit.point.clone(),
            name: limit.name.clone(),
            kind,
            threshold,
            deadband: limit.deadband,
            on_delay: limit.on_delay.unwrap_or_default(),
            off_delay: limit.off_delay.unwrap_or(OFF_DELAY),
            severity: limit.severity,
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LimitKind {
    High,
    Low,
    /// Change a minute, over such a window.
    Rise {
        over: Duration,
    },
    Fall {
        over: Duration,
    },
}

impl LimitKind {
    pub fn measure(self) -> Measure {
        match self {
            Self::High | Self::Low => Measure::Value,
            Self::Rise { .. } => Measure::Rise,
            Self::Fall { .. } => Measure::Fall,
        }
    }

    /// The window over which a rate is taken; of a value, none.
    pub fn over(self) -> Option<Duration> {
        match self {
            Self::High | Self::Low => None,
            Self::Rise { over } | Self::Fall { over } => Some(over),
        }
    }

    /// Whether one threshold is further out than another of the same kind.
    pub fn is_beyond(self, threshold: f64, other: f64) -> bool {
        match self {
            Self::Low => threshold < other,
            Self::High | Self::Rise { .. } | Self::Fall { .. } => threshold > other,
        }
    }
}
