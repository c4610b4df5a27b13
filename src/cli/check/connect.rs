//! Tries everything that a configuration names, all at once, each within a timeout.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use super::probes;
use crate::config::Config;
use crate::config::values::mask_url;

/// What was found of one device, broker, database or Alertmanager.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// For instance `reader dock-1 (10.0.0.5:5084)`.
    pub what: String,
    /// What it said, or why it is of no use as it is.
    pub found: Result<String, String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What takes several lines stands below what it is of.
        let (mark, said) = match &self.found {
            Ok(found) => ("ok  ", found),
            Err(wrong) => ("FAIL", wrong),
        };
        write!(f, "{mark}  {}: {}", self.what, said.replace('\n', "\n      "))
    }
}

type Probe = Pin<Box<dyn Future<Output = Result<String, String>> + Send>>;

/// In the order of the configuration.
pub async fn try_all(config: &Config, timeout: Duration) -> Vec<Finding> {
    let running: Vec<_> = probes(config, timeout)
        .into_iter()
        .map(|(what, probe)| (what, tokio::spawn(tokio::time::timeout(timeout, probe))))
        .collect();
    let mut findings = Vec::with_capacity(running.len());
    for (what, task) in running {
        let found = match task.await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) => Err("no answer in time".to_owned()),
            Err(error) => Err(format!("the check itself failed: {error}")),
        };
        findings.push(Finding { what, found });
    }
    findings
}

fn probes(config: &Config, timeout: Duration) -> Vec<(String, Probe)> {
    let mut probes: Vec<(String, Probe)> = Vec::new();
    for reader in &config.readers {
        let what = format!("reader {} ({})", reader.name, reader.reach);
        probes.push((what, Box::pin(probes::llrp(reader.clone(), timeout))));
    }
    for reader in &config.serial_readers {
        let what = format!("reader {} ({} on {})", reader.name, reader.protocol.name(), reader.line);
        probes.push((what, Box::pin(probes::serial(reader.clone(), timeout))));
    }
    for broker in &config.brokers {
        let what = format!("broker {} ({}:{})", broker.name, broker.host, broker.port);
        probes.push((what, Box::pin(probes::mqtt(broker.clone()))));
    }
    for receiver in &config.receivers {
        let what = format!("nmea {} ({})", receiver.name, receiver.line);
        probes.push((what, Box::pin(probes::nmea(receiver.clone(), timeout))));
    }
    for device in &config.modbus {
        let what = format!("modbus {} ({})", device.name, device.place());
        probes.push((what, Box::pin(probes::modbus(device.clone(), timeout))));
    }
    if let Some(store) = &config.timescale {
        let what = format!("database {}", mask_url(store.url.reveal()));
        probes.push((what, Box::pin(probes::timescale(store.url.clone()))));
    }
    if let Some(alertmanager) = &config.notify.alertmanager {
        for url in &alertmanager.urls {
            let what = format!("alertmanager {}", mask_url(url));
            let ca_file = alertmanager.ca_file.clone();
            probes.push((what, Box::pin(probes::alertmanager(url.clone(), ca_file, timeout))));
        }
    }
    probes
}
