//! Requests to receivers, over HTTP or HTTPS: one connection at a time, kept for as long as the receiver
//! keeps it. Follows no redirect: a POST that is sent elsewhere becomes a GET, and would count as told.
//!
//! HTTPS trusts what the machine trusts, or only the certificates of `ca_file`. They are read when a
//! connection is made and none was trusted before, so that a file that was put right needs no restart.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderValue};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Of an answer, this much is read, and for so long: beside its status it only explains a refusal.
const ANSWER_BYTES: usize = 64 << 10;
const ANSWER_TIME: Duration = Duration::from_secs(1);

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("not an address: {0}")]
    Address(String),
    #[error("failed to connect: {0}")]
    Connect(#[source] io::Error),
    #[error("failed to read the certificates in {path}: {source}")]
    CaFile { path: String, source: pem::Error },
    #[error("{path} holds no certificate that can be used")]
    NoCertificate { path: String },
    #[error("this machine trusts no certificate: install its CA certificates, or name a ca_file")]
    NoRoots,
    #[error("its certificate is not trusted: {0}; is ca_file the authority that issued it?")]
    NotTrusted(#[source] rustls::Error),
    #[error("failed to begin TLS: {0}")]
    Tls(#[source] io::Error),
    #[error("failed to set up TLS: {0}")]
    TlsSetup(#[source] rustls::Error),
    #[error("not a name that a certificate could have: {0}")]
    Name(#[source] InvalidDnsNameError),
    #[error("failed to ask: {}", in_words(.0))]
    Exchange(#[source] hyper::Error),
    #[error("failed to make the request: {0}")]
    Request(#[source] hyper::http::Error),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
}

/// With its cause, which hyper keeps to itself.
fn in_words(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// As far as it came.
    pub body: Bytes,
}

/// What talks to one receiver.
pub struct HttpClient {
    uri: Uri,
    ca_file: Option<PathBuf>,
    timeout: Duration,
    tls: Option<TlsConnector>,
    held: Option<SendRequest<Full<Bytes>>>,
}

impl HttpClient {
    /// `url`: with path, and with the login where there is one. `timeout`: of one request, all told.
    ///
    /// # Errors
    /// Not an address.
    pub fn new(url: &str, ca_file: Option<&Path>, timeout: Duration) -> Result<Self, HttpError> {
        let uri: Uri = url.parse().map_err(|_| HttpError::Address(crate::config::values::mask_url(url)))?;
        Ok(Self { uri, ca_file: ca_file.map(Path::to_owned), timeout, tls: None, held: None })
    }

    /// Asks with these headers and this body.
    pub async fn send(
        &mut self,
        method: hyper::Method,
        headers: &[(&'static str, String)],
        body: String,
    ) -> Result<Answer, HttpError> {
        let request = self.request(method, headers, body)?;
        let limit = self.timeout;
        timeout(limit, self.exchange(request)).await.unwrap_or(Err(HttpError::Timeout(limit)))
    }

    fn request(
        &self,
        method: hyper::Method,
        headers: &[(&'static str, String)],
        body: String,
    ) -> Result<Request<Full<Bytes>>, HttpError> {
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        let (login, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let mut request = Request::builder().method(method).uri(path).header(HOST, host);
        if !login.is_empty() {
            let login = percent_decode_str(login).collect::<Vec<u8>>();
            let login = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(login)));
            request = request.header(AUTHORIZATION, login.map_err(|error| HttpError::Request(error.into()))?);
        }
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        request.body(Full::new(Bytes::from(body))).map_err(HttpError::Request)
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, HttpError> {
        // The receiver may have closed the one that was kept; a new one tells.
        if let Some(mut held) = self.held.take()
            && held.ready().await.is_ok()
            && let Ok(answer) = self.ask(held, request.clone()).await
        {
            return Ok(answer);
        }
        let connection = self.connect().await?;
        self.ask(connection, request).await
    }

    async fn ask(
        &mut self,
        mut connection: SendRequest<Full<Bytes>>,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, HttpError> {
        let response = connection.send_request(request).await.map_err(HttpError::Exchange)?;
        let (parts, body) = response.into_parts();
        let body = timeout(ANSWER_TIME, Limited::new(body, ANSWER_BYTES).collect()).await;
        let body = match body {
            Ok(Ok(body)) => {
                self.held = Some(connection);
                body.to_bytes()
            }
            Ok(Err(_)) | Err(_) => Bytes::new(),
        };
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }

    async fn connect(&mut self) -> Result<SendRequest<Full<Bytes>>, HttpError> {
        let secure = self.uri.scheme_str() == Some("https");
        let host = self.uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = self.uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let stream = TcpStream::connect((host.as_str(), port)).await.map_err(HttpError::Connect)?;
        stream.set_nodelay(true).map_err(HttpError::Connect)?;
        if !secure {
            return handshake(stream).await;
        }
        let connector = match self.tls.take() {
            Some(connector) => connector,
            None => connector(self.ca_file.as_deref())?,
        };
        let name = ServerName::try_from(host).map_err(HttpError::Name)?;
        let stream = connector.connect(name, stream).await.map_err(tls_error)?;
        self.tls = Some(connector);
        handshake(stream).await
    }
}

async fn handshake(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<SendRequest<Full<Bytes>>, HttpError> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(HttpError::Exchange)?;
    // Ends with the sender. What goes wrong with it, the request says.
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to a receiver ended");
        }
    });
    Ok(sender)
}

fn tls_error(error: io::Error) -> HttpError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(untrusted @ rustls::Error::InvalidCertificate(_)) => HttpError::NotTrusted(untrusted.clone()),
        _ => HttpError::Tls(error),
    }
}

fn connector(ca_file: Option<&Path>) -> Result<TlsConnector, HttpError> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(file) => {
            let path = file.display().to_string();
            let failed = |source| HttpError::CaFile { path: path.clone(), source };
            let read = CertificateDer::pem_file_iter(file).map_err(failed)?;
            let (added, _) =
                roots.add_parsable_certificates(read.collect::<Result<Vec<_>, _>>().map_err(failed)?);
            if added == 0 {
                return Err(HttpError::NoCertificate { path });
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            for error in &found.errors {
                tracing::debug!(%error, "a certificate of this machine could not be read");
            }
            if roots.add_parsable_certificates(found.certs).0 == 0 {
                return Err(HttpError::NoRoots);
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = versions.map_err(HttpError::TlsSetup)?.with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
