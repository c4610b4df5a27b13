//! Webhooks as Standard Webhooks has them: signed, with an id that is the same however often it is sent.
//!
//! 2xx: taken. 410: the receiver is told nothing any more. 400, 413, 415 and 422: it will never take this
//! message, which is given up. Anything else, a redirect among it, is tried again.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use hyper::header::RETRY_AFTER;
use hyper::{Method, StatusCode};
use sha2::Sha256;

use super::courier::{Carrier, Undelivered};
use super::http::{Answer, HttpClient, HttpError};
use super::notice::Notice;
use crate::config::WebhookConfig;
use crate::source::clock::WallClock;

pub struct Webhook {
    config: WebhookConfig,
    /// Made at the first message.
    client: Option<HttpClient>,
    clock: WallClock,
}

impl Webhook {
    pub fn new(config: WebhookConfig, clock: WallClock) -> Self {
        Self { config, client: None, clock }
    }
}

impl Carrier for Webhook {
    fn kind(&self) -> &'static str {
        "webhook"
    }

    fn address(&self) -> String {
        self.config.url.clone()
    }

    async fn carry(&mut self, notice: &Notice) -> Result<(), Undelivered> {
        let now = self.clock.now();
        let (id, timestamp) = (notice.id.to_string(), (now.as_micros() / 1_000_000).to_string());
        let signature = signature(&self.config.key, &id, &timestamp, &notice.body);
        let headers = [
            ("content-type", "application/cloudevents+json".to_owned()),
            ("webhook-id", id),
            ("webhook-timestamp", timestamp),
            ("webhook-signature", signature),
        ];
        // Without the address: it may hold a password.
        let later = |error: HttpError| Undelivered::Later { reason: error.to_string(), not_before: None };
        let client = match &mut self.client {
            Some(client) => client,
            none => {
                let WebhookConfig { url, ca_file, timeout, .. } = &self.config;
                none.insert(HttpClient::new(url, ca_file.as_deref(), *timeout).map_err(later)?)
            }
        };
        let answer = client.send(Method::POST, &headers, notice.body.clone()).await.map_err(later)?;
        judge(&answer, now.to_jiff())
    }
}

fn judge(answer: &Answer, now: jiff::Timestamp) -> Result<(), Undelivered> {
    let status = answer.status;
    let reason = format!("it answered {status}");
    match status {
        status if status.is_success() => Ok(()),
        StatusCode::GONE => Err(Undelivered::Gone),
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNSUPPORTED_MEDIA_TYPE
        | StatusCode::UNPROCESSABLE_ENTITY => Err(Undelivered::Refused { reason }),
        _ => {
            let asked = answer.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            Err(Undelivered::Later { reason, not_before: asked.and_then(|asked| retry_after(asked, now)) })
        }
    }
}

/// Seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(text: &str, now: jiff::Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp();
    Some(Duration::from_secs(u64::try_from(at.as_second() - now.as_second()).unwrap_or(0)))
}

/// `v1,` and the base64 of HMAC-SHA256 over id, time and body (Standard Webhooks, "Signature scheme").
fn signature(key: &[u8], id: &str, timestamp: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in [id, ".", timestamp, ".", body] {
        mac.update(part.as_bytes());
    }
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn a_signature_is_as_others_make_it() {
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let (id, timestamp) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330");
        let signed = signature(&key, id, timestamp, r#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_receiver_says_when_to_come_again_in_seconds_or_as_a_date() {
        let now: jiff::Timestamp = "2026-05-01T06:00:00Z".parse().unwrap();
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("Fri, 01 May 2026 06:00:30 GMT", now), Some(Duration::from_secs(30)));
        assert_eq!(retry_after("Fri, 01 May 2026 05:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
    }
}
