//! A receiver of webhooks that answers as it is told to.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::KEY;

#[derive(Clone, Debug)]
pub enum Answer {
    Status(u16, &'static str),
    Slowly,
    Never,
    Reset,
    HalfAHead,
}

#[derive(Clone, Debug)]
pub struct Request {
    pub id: String,
    pub timestamp: String,
    pub signature: String,
    pub content_type: String,
    pub body: String,
    pub taken: bool,
}

/// A receiver that answers as it is told to, and then with `otherwise`.
#[derive(Clone)]
pub struct Receiver {
    pub address: SocketAddr,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    pub otherwise: Arc<Mutex<Answer>>,
    requests: Arc<Mutex<Vec<Request>>>,
    came: Arc<Notify>,
}

impl Receiver {
    pub async fn new(answers: &[Answer], otherwise: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::at(listener, answers, otherwise)
    }

    pub fn at(listener: TcpListener, answers: &[Answer], otherwise: Answer) -> Self {
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            answers: Arc::new(Mutex::new(answers.iter().cloned().collect())),
            otherwise: Arc::new(Mutex::new(otherwise)),
            requests: Arc::default(),
            came: Arc::default(),
        };
        let serving = receiver.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        receiver
    }

    async fn serve(self, mut stream: TcpStream) {
        let Some((head, body)) = read_request(&mut stream).await else { return };
        let header = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.unwrap_or_default().to_owned()
        };
        let next = self.answers.lock().unwrap().pop_front();
        let answer = next.unwrap_or_else(|| self.otherwise.lock().unwrap().clone());
        let taken = matches!(answer, Answer::Status(200..=299, _) | Answer::Slowly);
        self.requests.lock().unwrap().push(Request {
            id: header("webhook-id"),
            timestamp: header("webhook-timestamp"),
            signature: header("webhook-signature"),
            content_type: header("content-type"),
            body,
            taken,
        });
        self.came.notify_waiters();
        match answer {
            Answer::Status(status, headers) => {
                let head =
                    format!("HTTP/1.1 {status} -\r\n{headers}content-length: 0\r\nconnection: close\r\n\r\n");
                stream.write_all(head.as_bytes()).await.ok();
            }
            Answer::Slowly => {
                for byte in b"HTTP/1.1 204 -\r\nconnection: close\r\n\r\n" {
                    stream.write_all(&[*byte]).await.ok();
                    tokio::task::yield_now().await;
                }
            }
            Answer::HalfAHead => drop(stream.write_all(b"HTTP/1.1 20").await),
            Answer::Reset => {}
            Answer::Never => std::future::pending::<()>().await,
        }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub fn taken(&self) -> Vec<String> {
        self.requests().into_iter().filter(|request| request.taken).map(|request| request.id).collect()
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    loop {
        let mut part = [0; 4096];
        let count = stream.read(&mut part).await.ok()?;
        bytes.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
            if body.len() >= length.parse().ok()? {
                return Some((head.to_owned(), body.to_owned()));
            }
        }
        if count == 0 {
            return None;
        }
    }
}

/// HMAC-SHA256 as RFC 2104 defines it, by hand; in base64.
pub fn signed(request: &Request) -> String {
    let message = format!("{}.{}.{}", request.id, request.timestamp, request.body);
    let mut key = [0; 64];
    key[..KEY.len()].copy_from_slice(KEY);
    let inner = Sha256::new().chain_update(key.map(|b| b ^ 0x36)).chain_update(message).finalize();
    let outer = Sha256::new().chain_update(key.map(|b| b ^ 0x5c)).chain_update(inner).finalize();
    use base64::Engine;
    format!("v1,{}", base64::engine::general_purpose::STANDARD.encode(outer))
}
