//! TLS of what we connect to, and of what connects to us: the files that it needs.

use std::path::PathBuf;

use super::document::Section;
use super::validate::Scope;

/// PEM files of a certificate and its key; where we are connected to, read again when they change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsConfig {
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
}

/// How we connect over TLS: whom we trust, and what we show.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ClientTls {
    /// Only certificates of these authorities are trusted; `None`: those that the machine trusts.
    pub ca_file: Option<PathBuf>,
    /// The name in the other side's certificate; `None`: the host that we connect to.
    pub server_name: Option<String>,
    /// The certificate that we show.
    pub client: Option<TlsConfig>,
}

/// The table `tls` of something that we connect to.
pub(super) fn client_tls(section: &Section<'_>, scope: &Scope<'_>) -> Option<ClientTls> {
    let table = section.table("tls")?;
    let ca_file = pem(&table, "ca_file", scope);
    let client = certificate(&table, scope, false);
    let server_name = table.parsed("server_name", "the name in the other side's certificate", |text| {
        let name = rustls::pki_types::ServerName::try_from(text.to_owned());
        name.map(|_| text.to_owned()).map_err(|_| "not a name that a certificate could have")
    });
    table.finish();
    Some(ClientTls { ca_file, server_name, client })
}

pub(super) fn pem(table: &Section<'_>, key: &str, scope: &Scope<'_>) -> Option<PathBuf> {
    table.parsed(key, "the path of a PEM file", |text| match text.is_empty() {
        true => Err("empty"),
        false => Ok(scope.around.path(text)),
    })
}

/// A certificate and its key, of which neither is of use alone.
pub(super) fn certificate(table: &Section<'_>, scope: &Scope<'_>, needed: bool) -> Option<TlsConfig> {
    let (cert_file, key_file) = (pem(table, "cert_file", scope), pem(table, "key_file", scope));
    for (key, other) in [("cert_file", "key_file"), ("key_file", "cert_file")] {
        if !table.has(key) && (needed || table.has(other)) {
            table.problem(key, "missing", "write the path of a PEM file");
        }
    }
    Some(TlsConfig { cert_file: cert_file?, key_file: key_file? })
}
