//! Limits of sensor points as tracking sees them: their own, or those of what the sensor hangs on, or of its class; and which
//! of several of one kind is further out.

use super::Tracker;
use super::topology::Bound;
use crate::config::LimitConfig;
use crate::domain::alerts::{AlertKey, Rule, Severity};
use crate::domain::ids::{DeviceId, LimitId, PointId};
use crate::domain::register::{Carrier, ClassLimit};

impl Tracker {
    /// The limits that what a sensor hangs on asks of it: the asset's own, or else those of its class.
    pub fn class_limits(&self, device: &DeviceId) -> &[ClassLimit] {
        let Some(asset) = self.register.carrier_of_sensor(device, self.now).and_then(Carrier::asset) else {
            return &[];
        };
        let details = self.register.asset(asset).and_then(|asset| asset.details.as_ref());
        match details.filter(|details| !details.limits.is_empty()) {
            Some(details) => &details.limits,
            None => self.register.class_of(asset).map_or(&[], |class| &class.limits),
        }
    }

    pub(super) fn limit_severity(
        &self,
        device: &DeviceId,
        point: &PointId,
        limit: &LimitId,
    ) -> Option<Severity> {
        let of_class = || {
            let mut limits = self.class_limits(device).iter();
            limits.find(|l| l.point == *point && l.name == *limit).map(|limit| limit.severity)
        };
        self.topology.limit(device, point, limit).map(|bound| bound.severity).or_else(of_class)
    }

    /// The limits of a point: its own, or else those of the class of what its sensor hangs on.
    fn bounds_of(&self, device: &DeviceId, point: &PointId) -> Vec<(LimitId, Bound)> {
        let own: Vec<_> =
            self.topology.limits_of(device, point).map(|(name, bound)| (name.clone(), bound)).collect();
        if !own.is_empty() {
            return own;
        }
        let of_class = self.class_limits(device).iter().filter(|limit| limit.point == *point);
        let of_class = of_class.filter_map(|limit| LimitConfig::of_class(limit, device));
        of_class.map(|limit| (limit.name.clone(), Bound::of(&limit))).collect()
    }

    /// The `condition` alerts of the other limits of a point that are of the same kind, each with whether it is further
    /// out than this one. `None`: the alert is of no limit that is known.
    fn others_of_its_kind(&self, alert: &AlertKey) -> Option<Vec<(AlertKey, bool)>> {
        let (point, limit) = alert.subject.rsplit_once('/')?;
        let current = &self.sensors.rows.get(point)?.current;
        let bounds = self.bounds_of(&current.device, &current.point);
        let (_, own) = bounds.iter().find(|(name, _)| name.as_str() == limit)?;
        let others = bounds.iter().filter(|(_, bound)| bound.is_beyond(own) || own.is_beyond(bound));
        let key = |name: &LimitId| AlertKey::new(Rule::Condition, format!("{point}/{name}"));
        Some(others.map(|(name, bound)| (key(name), bound.is_beyond(own))).collect())
    }

    /// The limits that one explains: who is over the further one is over these too.
    pub(super) fn limits_within(&self, alert: &AlertKey) -> Vec<AlertKey> {
        let others = self.others_of_its_kind(alert).unwrap_or_default().into_iter();
        others.filter(|(_, is_beyond)| !is_beyond).map(|(key, _)| key).collect()
    }

    /// A limit further out that is exceeded.
    pub(super) fn limit_beyond(&self, alert: &AlertKey) -> Option<AlertKey> {
        let mut others = self.others_of_its_kind(alert)?.into_iter();
        others.find(|(key, is_beyond)| *is_beyond && self.alerts.is_firing(key)).map(|(key, _)| key)
    }
}
