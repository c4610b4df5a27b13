//! Requests to receivers, over HTTP or HTTPS: one connection at a time, kept for as long as the receiver
//! keeps it. Follows no redirect: a POST that is sent elsewhere becomes a GET, and would count as told.
//!
//! HTTPS trusts what the machine trusts, or only the certificates of `ca_file`. They are read when a
//! connection is made and none was trusted before, so that a file that was put right needs no restart.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderValue};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::source::addresses;
use crate::trust::{self, TrustError};

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
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error("its certificate is not trusted: {0}; is ca_file the authority that issued it?")]
    NotTrusted(#[source] rustls::Error),
    #[error("failed to begin TLS: {0}")]
    Tls(#[source] io::Error),
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
    answer_bytes: usize,
}

impl HttpClient {
    /// `url`: with path, and with the login where there is one. `timeout`: of one request, all told.
    ///
    /// # Errors
    /// Not an address.
    pub fn new(url: &str, ca_file: Option<&Path>, timeout: Duration) -> Result<Self, HttpError> {
        let uri: Uri = url.parse().map_err(|_| HttpError::Address(crate::config::values::mask_url(url)))?;
        Ok(Self {
            uri,
            ca_file: ca_file.map(Path::to_owned),
            timeout,
            tls: None,
            held: None,
            answer_bytes: ANSWER_BYTES,
        })
    }

    /// Where the answer is what is asked for: so much of it is read.
    pub fn reading(mut self, answer_bytes: usize) -> Self {
        self.answer_bytes = answer_bytes;
        self
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
        let mut taken = Vec::new();
        let whole = timeout(ANSWER_TIME, take(body, self.answer_bytes, &mut taken)).await.unwrap_or(false);
        if whole {
            self.held = Some(connection);
        }
        Ok(Answer { status: parts.status, headers: parts.headers, body: taken.into() })
    }

    async fn connect(&mut self) -> Result<SendRequest<Full<Bytes>>, HttpError> {
        let secure = self.uri.scheme_str() == Some("https");
        let host = self.uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = self.uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let stream = addresses::connect((host.as_str(), port)).await.map_err(HttpError::Connect)?;
        stream.set_nodelay(true).map_err(HttpError::Connect)?;
        if !secure {
            return handshake(stream).await;
        }
        let connector = match self.tls.take() {
            Some(connector) => connector,
            None => trust::connector(self.ca_file.as_deref(), None)?,
        };
        let name = ServerName::try_from(host).map_err(HttpError::Name)?;
        let stream = connector.connect(name, stream).await.map_err(tls_error)?;
        self.tls = Some(connector);
        handshake(stream).await
    }
}

/// Takes up to `most` bytes; gives whether that was all.
async fn take(mut body: Incoming, most: usize, taken: &mut Vec<u8>) -> bool {
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return false };
        let Some(data) = frame.data_ref() else { continue };
        let room = most - taken.len();
        taken.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            return false;
        }
    }
    true
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
    match trust::untrusted(&error) {
        Some(untrusted) => HttpError::NotTrusted(untrusted.clone()),
        None => HttpError::Tls(error),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn of_a_long_answer_the_beginning_is_there() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 2 * ANSWER_BYTES);
                stream.write_all(head.as_bytes()).await.unwrap();
                // Whoever has read enough hangs up.
                stream.write_all(&vec![b'x'; 2 * ANSWER_BYTES]).await.ok();
            }
        });
        for (most, expected) in [(None, ANSWER_BYTES), (Some(1 << 20), 2 * ANSWER_BYTES)] {
            let mut client = HttpClient::new(&url, None, PATIENCE).unwrap();
            if let Some(most) = most {
                client = client.reading(most);
            }
            let answer = client.send(hyper::Method::GET, &[], String::new()).await.unwrap();
            assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, expected));
        }
    }
}
