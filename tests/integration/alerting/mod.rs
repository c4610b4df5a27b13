//! What the people on call see: the running daemon and a real Alertmanager.

pub mod https;
mod receiver;

use std::sync::Arc;
use std::time::Duration;

use tallyman_simulators::faults::Fault;

use self::receiver::{Alertmanager, Shown};
use crate::daemon::Daemon;
use crate::plant::{self, Plant, now, tell};
use crate::relay::Relay;

const HOLD: Duration = Duration::from_secs(3600);

fn notify(urls: &[String]) -> String {
    format!(
        "[notify.alertmanager]\nurls = {urls:?}\nresend = \"1s\"\nhold = \"1h\"\nresolved_for = \"1s\"\n\
         generator_url = \"http://tallyman.example.com/\"\n"
    )
}

/// A plant at work, and a daemon that tells these receivers of it, with every asset sensed.
async fn at_work(urls: &[String]) -> (Arc<Plant>, Daemon) {
    let plant = Plant::start().await;
    let mut daemon = plant::daemon(&plant.addresses(), &notify(urls));
    daemon.start();
    daemon.ready().await;
    plant.crib.listening().await;
    let plant = plant.begin();
    sensed(&mut daemon).await;
    (plant, daemon)
}

async fn sensed(daemon: &mut Daemon) {
    daemon
        .until("every asset is sensed", async |daemon| {
            plant::ASSETS.iter().all(|asset| tell(daemon, "explain", &[asset]).contains("in zone crib"))
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fires_stands_at_alertmanager_until_it_ends() {
    let test = "what fires stands at Alertmanager until it ends";
    let Some(alertmanager) = Alertmanager::prepare(test, "/on-call") else { return };
    let alertmanager = alertmanager.started().ready().await;
    let before = now();
    let (plant, _daemon) = at_work(&[alertmanager.url() + "/"]).await;

    plant.take_away(0);
    let ghost = alertmanager.fires("TallymanGhost", "FL-01").await;
    assert_eq!(ghost.label("rule"), "ghost");
    assert_eq!(ghost.label("severity"), "critical");
    assert_eq!(ghost.label("site"), "hamburg");
    assert_eq!(ghost.label("node"), "plant-1");
    assert!(
        ghost.annotation("summary").starts_with("FL-01 (Forklift 0) is not where it should be"),
        "{ghost:?}"
    );
    assert!(ghost.annotation("action").contains("`tallyman explain FL-01`"), "{ghost:?}");
    assert_eq!(ghost.0["generatorURL"], "http://tallyman.example.com/");
    assert!(ghost.starts_at() > before && ghost.starts_at() <= now(), "{ghost:?}");
    assert!(ghost.ends_at() > now() + HOLD - Duration::from_secs(60), "{ghost:?}");
    let again = alertmanager.until("TallymanGhost", "FL-01", |now| now.ends_at() > ghost.ends_at()).await;
    assert_eq!(again.starts_at(), ghost.starts_at(), "told again, it is the same alert");

    let watchdog = alertmanager.fires("TallymanWatchdog", "").await;
    assert!(watchdog.starts_at() > before && watchdog.starts_at() <= now(), "{watchdog:?}");
    assert!(watchdog.ends_at() <= now() + Duration::from_secs(3), "{watchdog:?}");
    let later = alertmanager.until("TallymanWatchdog", "", |now| now.ends_at() > watchdog.ends_at()).await;
    assert_eq!(later.starts_at(), watchdog.starts_at());

    plant.bring_back(0);
    alertmanager.ends("TallymanGhost", "FL-01").await;

    plant.set_door(true);
    let warm = alertmanager.fires("TallymanCondition", "cold-1/temperature/hi").await;
    assert!(warm.annotation("summary").starts_with("cold-room: temperature of cold-1 is above"), "{warm:?}");
    plant.set_door(false);
    alertmanager.ends("TallymanCondition", "cold-1/temperature/hi").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_killed_resolves_no_ghost_and_ends_its_watchdog() {
    let test = "a daemon that is killed resolves no ghost and ends its watchdog";
    let Some(alertmanager) = Alertmanager::prepare(test, "/") else { return };
    let alertmanager = alertmanager.started().ready().await;
    let (plant, mut daemon) = at_work(&[alertmanager.url()]).await;
    plant.take_away(0);
    let ghost = alertmanager.fires("TallymanGhost", "FL-01").await;

    daemon.kill();
    alertmanager.ends("TallymanWatchdog", "").await;
    let still = alertmanager.alert("TallymanGhost", "FL-01").await.expect("nobody has found it");
    assert!(still.ends_at() > now() + HOLD - Duration::from_secs(60), "{still:?}");

    // What ended while nobody was there to tell of it is told by the next run.
    plant.bring_back(0);
    daemon.start();
    alertmanager.fires("TallymanWatchdog", "").await;
    alertmanager.ends("TallymanGhost", "FL-01").await;
    plant.take_away(0);
    let next = alertmanager.fires("TallymanGhost", "FL-01").await;
    assert!(next.starts_at() > ghost.starts_at(), "a new incident has a start of its own: {next:?}");
    assert_ne!(next.annotation("incident"), ghost.annotation("incident"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_acknowledged_and_snoozed_from_the_command_line() {
    let test = "an alert is acknowledged and snoozed from the command line";
    let Some(alertmanager) = Alertmanager::prepare(test, "/") else { return };
    let alertmanager = alertmanager.started().ready().await;
    let (plant, daemon) = at_work(&[alertmanager.url()]).await;
    plant.take_away(1);
    let ghost = alertmanager.fires("TallymanGhost", "FL-02").await;
    assert_eq!(ghost.annotation("acknowledged_by"), "");

    tell(&daemon, "acknowledge", &["ghost/FL-02", "--note", "looking in the yard"]);
    let known = alertmanager
        .until("TallymanGhost", "FL-02", |alert| !alert.annotation("acknowledged_by").is_empty())
        .await;
    assert_eq!(known.annotation("acknowledged_note"), "looking in the yard");
    assert!(known.ends_at() > now() + HOLD - Duration::from_secs(60), "acknowledged, it still stands");
    assert!(tell(&daemon, "alerts", &[]).contains("looking in the yard"));
    tell(&daemon, "assign", &["ghost/FL-02", "--to", "yard crew"]);
    alertmanager
        .until("TallymanGhost", "FL-02", |alert| alert.annotation("assigned_to") == "yard crew")
        .await;
    assert!(tell(&daemon, "alerts", &[]).contains("assigned to yard crew"));

    let until = now() + Duration::from_secs(8);
    tell(&daemon, "snooze", &["ghost/FL-02", "--until", &until.to_string()]);
    alertmanager.ends("TallymanGhost", "FL-02").await;
    assert!(now() < until, "it took the snooze's whole time to be told");
    let back = alertmanager.fires("TallymanGhost", "FL-02").await;
    assert!(now() >= until, "back before its time");
    assert_eq!(back.starts_at(), ghost.starts_at(), "it is the same incident");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_source_that_is_down_explains_is_told_to_nobody() {
    let test = "what a source that is down explains is told to nobody";
    let Some(alertmanager) = Alertmanager::prepare(test, "/") else { return };
    let alertmanager = alertmanager.started().ready().await;
    let (plant, mut daemon) = at_work(&[alertmanager.url()]).await;

    // Never told: the sensor falls silent after its source is known to be down.
    plant.cold.faults().begin(Fault::Disconnect);
    alertmanager.fires("TallymanReaderDown", "cold-1").await;
    daemon
        .until("the sensor's alert is kept", async |daemon| {
            let alerts = tell(daemon, "alerts", &[]);
            alerts.contains("sensor-bad/cold-1/temperature")
                && alerts.contains("explained by reader-down/cold-1")
        })
        .await;
    // Told, and then explained: it ends, and stands again when its explanation is gone.
    plant.take_away(2);
    let ghost = alertmanager.fires("TallymanGhost", "FL-03").await;
    assert!(alertmanager.alert("TallymanSensorBad", "cold-1/temperature").await.is_none());
    plant.crib.faults().begin(Fault::Disconnect);
    // The last source of its site: the site explains both of them, and what hangs on them.
    let explains = |site: &Shown| site.annotation("explains").parse().is_ok_and(|count: u32| count >= 4);
    let site = alertmanager.until("TallymanSiteDown", "hamburg", explains).await;
    assert!(site.annotation("summary").contains("other alerts, which are not told)"), "{site:?}");
    alertmanager.ends("TallymanGhost", "FL-03").await;
    alertmanager.ends("TallymanReaderDown", "cold-1").await;
    plant.crib.faults().end(Fault::Disconnect);
    alertmanager.ends("TallymanSiteDown", "hamburg").await;
    alertmanager.fires("TallymanReaderDown", "cold-1").await;
    let back = alertmanager.fires("TallymanGhost", "FL-03").await;
    assert_eq!(back.starts_at(), ghost.starts_at());
    assert!(alertmanager.alert("TallymanSensorBad", "cold-1/temperature").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_is_away_delays_no_other_and_learns_how_things_stand() {
    let test = "an instance that is away delays no other and learns how things stand";
    let Some(there) = Alertmanager::prepare(test, "/") else { return };
    let Some(away) = Alertmanager::prepare(test, "/") else { return };
    let there = there.started().ready().await;
    let mut cable = Relay::to(away.address()).await;
    let (plant, mut daemon) = at_work(&[format!("http://{}", cable.address), there.url()]).await;

    plant.take_away(0);
    there.fires("TallymanGhost", "FL-01").await;
    assert!(daemon.log().contains("failed to tell Alertmanager"), "{}", daemon.log());
    let away = away.started().ready().await;
    let ghost = away.fires("TallymanGhost", "FL-01").await;

    // Away for longer than resolved ones are told of.
    cable.cut().await;
    plant.bring_back(0);
    there.ends("TallymanGhost", "FL-01").await;
    let resolved_at = now();
    there.until("TallymanWatchdog", "", |dog| dog.ends_at() > resolved_at + Duration::from_secs(6)).await;
    let stale = away.alert("TallymanGhost", "FL-01").await.expect("it was not told");
    assert_eq!(stale.starts_at(), ghost.starts_at());
    cable.mend().await;
    away.ends("TallymanGhost", "FL-01").await;
    assert!(daemon.stop().await.success());
}
