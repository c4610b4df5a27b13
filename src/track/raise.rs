//! Raising alerts: what is known of their subject (class, explanation, door) goes with them from the start.

use super::Tracker;
use super::alerts::{About, Details};
use super::cause::Cause;
use crate::domain::alerts::AlertKey;
use crate::domain::events::Event;
use crate::domain::ids::{AssetId, ClassId};

impl Tracker {
    /// The condition of an alert holds. Nobody hears of it where something explains it.
    pub(super) fn raise(&mut self, key: &AlertKey, details: Details, cause: &Cause, out: &mut Vec<Event>) {
        let by = self.inhibitor(key);
        let about = About { class: self.class_of_alert(key), by: by.clone(), door: self.door_of(key) };
        self.alerts.raise(key, details, about, cause, out);
        self.alerts.inhibit(key, by, cause, out);
    }

    /// Takes up time zones and policies as they are now.
    pub(super) fn refresh_timezones(&mut self) {
        self.alerts.policies.timezones = self.register.timezones();
    }

    /// Applies policies that may have changed to what is open.
    pub(super) fn apply_policies(&mut self, cause: &Cause, out: &mut Vec<Event>) {
        for key in self.alerts.all_open() {
            let class = self.class_of_alert(&key);
            self.alerts.apply_policy(&key, class.as_ref(), cause, out);
        }
    }

    fn class_of_alert(&self, key: &AlertKey) -> Option<ClassId> {
        let asset = key.rule.is_about_asset().then(|| AssetId::new(&key.subject))?;
        self.register.asset(&asset).map(|asset| asset.class.clone())
    }
}
