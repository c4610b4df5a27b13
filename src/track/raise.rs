//! Raising alerts: what is known of their subject (class, explanation, door) goes with them from the start.

use super::Tracker;
use super::alerts::{About, Details};
use super::cause::Cause;
use crate::domain::alerts::{AlertKey, Rule, Severity};
use crate::domain::events::Event;
use crate::domain::ids::{AssetId, ClassId};
use crate::domain::register::Criticality;

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

    /// Raises an alert about an asset, with the severity of its criticality.
    pub(super) fn raise_for_asset(
        &mut self,
        rule: Rule,
        asset: &AssetId,
        summary: String,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        self.raise_for_asset_after(rule, asset, summary, std::time::Duration::ZERO, cause, out);
    }

    /// The same, to fire when it has lasted for `pending`.
    pub(super) fn raise_for_asset_after(
        &mut self,
        rule: Rule,
        asset: &AssetId,
        summary: String,
        pending: std::time::Duration,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        // A ghost is looked for where it was, an overdue return is asked for where it belongs.
        let site = match rule {
            Rule::Ghost | Rule::WrongZone => self.site_of_asset(asset),
            _ => self.register.home_site(asset).cloned().or_else(|| self.site_of_asset(asset)),
        };
        let severity = self.severity_for(asset);
        let details = Details { site, severity, summary, pending, episode: 0 };
        self.raise(&AlertKey::new(rule, asset.as_str()), details, cause, out);
    }

    /// How severe it is what befalls an asset.
    pub(super) fn severity_for(&self, asset: &AssetId) -> Severity {
        match self.register.class_of(asset).map(|class| class.criticality).unwrap_or_default() {
            Criticality::Low => Severity::Info,
            Criticality::Normal => Severity::Warning,
            Criticality::High => Severity::Critical,
        }
    }
}
