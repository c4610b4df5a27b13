//! What a fix says of a fence by itself: that it is inside, outside, or just so; or nothing.

use super::Way;
use crate::clean::motion::Stand;
use crate::config::{FenceConfig, TrackerRules};
use crate::domain::readings::Fix;

/// The middle of many fixes has to be on a side by so many times what it is sure to: errors that last are in all of them, and
/// it is asked again and again for as long as it stands.
const STEADY_TIMES: f64 = 3.0;

/// Just inside or outside is what is there by more than its own accuracy, and than this share of the hysteresis.
const JUST: f64 = 0.25;

pub(super) fn accuracy_m(fix: &Fix) -> f64 {
    fix.accuracy_m.unwrap_or(0.0).max(0.0)
}

/// How far inside a fix must be to say so.
pub(super) fn margin_m(fence: &FenceConfig, fix: &Fix, rules: &TrackerRules) -> f64 {
    let accuracy = accuracy_m(fix).max(rules.least_accuracy_m);
    fence.hysteresis_m.max(accuracy.min(fence.shape.depth_m() / 2.0))
}

/// The same for the middle of many fixes, which wanders less: half the hysteresis is enough.
pub(super) fn side_of_steady(fence: &FenceConfig, stand: &Stand) -> Option<bool> {
    let margin = (fence.hysteresis_m / 2.0).max(stand.sure_m * STEADY_TIMES);
    let distance = fence.shape.distance_m(stand.middle, margin);
    (distance.abs() > margin).then_some(distance < 0.0)
}

pub(super) fn side_of(fence: &FenceConfig, way: &Way<'_>) -> Option<bool> {
    side(fence, way.fix, way.rules)
}

/// Whether a fix is inside; `None` where it is too near the edge, or too uncertain, to say.
pub(in crate::clean) fn side(fence: &FenceConfig, fix: &Fix, rules: &TrackerRules) -> Option<bool> {
    let accuracy = accuracy_m(fix);
    let outside = fence.hysteresis_m.max(accuracy).max(rules.least_accuracy_m);
    let inside = margin_m(fence, fix, rules);
    let distance = fence.shape.distance_m(fix.position, outside.max(inside));
    if distance > outside {
        return Some(false);
    }
    // A fix that is surer than the fence is wide can be inside of a small one.
    (accuracy <= fence.shape.depth_m() && distance < -inside).then_some(true)
}

/// On which side a fix that says nothing is by more than its own word on itself all the same.
pub(in crate::clean) fn just_side(fence: &FenceConfig, fix: &Fix) -> Option<bool> {
    let margin = fix.accuracy_m?.max(fence.hysteresis_m * JUST);
    let distance = fence.shape.distance_m(fix.position, margin);
    (distance.abs() > margin).then_some(distance < 0.0)
}

pub(super) fn is_within(fence: &FenceConfig, fix: &Fix) -> bool {
    fence.shape.distance_m(fix.position, 0.0) < 0.0
}
