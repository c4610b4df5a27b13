//! TLS to a real broker that asks for our certificate. `openssl` makes the certificates.

use tallyman::config::{ClientTls, MqttVersion};

use super::{Daemon, TOPIC, both_versions, config};
use crate::readers::Issued;
use crate::servers::{Mosquitto, find};

both_versions! {
    a_broker_and_we_show_certificates
}

async fn a_broker_and_we_show_certificates(version: MqttVersion) {
    let test = "mqtt: TLS";
    let Some(openssl) = find("TALLYMAN_TEST_OPENSSL", "openssl", test) else { return };
    let [theirs, ours] = [(); 2].map(|()| Issued::new(&openssl));
    let lines = format!(
        "allow_anonymous true\ncafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate true",
        ours.ca().display(),
        theirs.files.cert_file.display(),
        theirs.files.key_file.display()
    );
    let Some(broker) = Mosquitto::start(test, &lines) else { return };
    let secure = |tls: ClientTls| {
        let mut config = config(broker.port, version);
        config.tls = Some(tls);
        Daemon::start(config, 100)
    };
    let trusting = ClientTls { ca_file: Some(theirs.ca()), ..ClientTls::default() };

    let mut daemon = secure(ClientTls { ca_file: Some(ours.ca()), ..ClientTls::default() });
    let why = daemon.down().await;
    assert!(why.contains("not trusted"), "{why}");
    daemon.stop().await;

    let mut daemon = secure(trusting.clone());
    let why = daemon.down().await;
    assert!(
        why.contains("CertificateRequired") && !why.contains("protocol"),
        "it wants our certificate: {why}"
    );
    daemon.stop().await;

    // Without TLS, where there is.
    let mut daemon = Daemon::start(config(broker.port, version), 100);
    let why = daemon.down().await;
    assert!(why.contains("see `tls`"), "{why}");
    daemon.stop().await;

    let mut daemon = secure(ClientTls { client: Some(ours.files.clone()), ..trusting });
    daemon.up().await;
    let [ca, cert, key] = [theirs.ca(), ours.files.cert_file.clone(), ours.files.key_file.clone()]
        .map(|path| path.display().to_string());
    broker.publish_lines(TOPIC, &["-q", "1", "--cafile", &ca, "--cert", &cert, "--key", &key], "secret\n");
    assert_eq!(daemon.take(1).await, ["secret"]);
    daemon.leave(&broker).await;
}
