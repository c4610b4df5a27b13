//! The database going away and coming back: for real where the server is ours to stop, else on the wire.

use std::path::PathBuf;
use std::process::Command;
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

use crate::timescale::proxy::{Proxy, Wire};
use crate::timescale::rig::{Database, through};

pub enum Server {
    /// A proxy that everything goes through; others may use the same server.
    Wire(Proxy),
    /// `deploy/dev/services`, which started the server in a folder of ours.
    Service(PathBuf),
}

impl Server {
    /// And the address under which the daemon reaches `db`. Where `TALLYMAN_OUTAGE_SERVICES` names the
    /// script that started the server, the server is stopped; else only the connections are.
    pub async fn of(db: &Database) -> (Self, String) {
        match std::env::var_os("TALLYMAN_OUTAGE_SERVICES") {
            Some(script) => (Self::Service(script.into()), db.url.clone()),
            None => {
                let (proxy, url) = wire(db).await;
                (Self::Wire(proxy), url)
            }
        }
    }

    pub fn how(&self) -> &'static str {
        match self {
            Self::Wire(_) => "connections cut",
            Self::Service(_) => "pg_ctl stop -m immediate",
        }
    }

    pub async fn away(&self) {
        match self {
            Self::Wire(proxy) => proxy.set(Wire::Cut),
            Self::Service(script) => service(script.clone(), "stop").await,
        }
    }

    /// Returns when connections are taken.
    pub async fn back(&self) {
        match self {
            Self::Wire(proxy) => proxy.set(Wire::Up),
            Self::Service(script) => service(script.clone(), "start").await,
        }
    }
}

/// A proxy to `db`, and `db`'s address through it.
pub async fn wire(db: &Database) -> (Proxy, String) {
    let options = PgConnectOptions::from_str(&db.url).unwrap();
    let proxy = Proxy::start(format!("{}:{}", options.get_host(), options.get_port())).await;
    let (_, url) = through(&db.url, proxy.address);
    (proxy, url)
}

async fn service(script: PathBuf, command: &'static str) {
    let run = move || {
        let mut service = Command::new(script);
        service.args([command, "timescale"]).env("TALLYMAN_DEV_STOP_MODE", "immediate");
        service.status().unwrap()
    };
    assert!(tokio::task::spawn_blocking(run).await.unwrap().success(), "services {command} timescale");
}
