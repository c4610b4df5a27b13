//! A light or buzzer that listens to an MQTT topic: told `on`, and `off` when its time is over, each until
//! the broker has taken it.
//!
//! Connected while it is on, with `off` as the will: where this process dies, the broker switches it off.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::config::{BackoffConfig, TopicOutputConfig};
use crate::notify::publisher::Publisher;
use crate::source::backoff::Backoff;
use crate::source::mqtt::packets::Message;
use crate::source::outputs::Lamp;

/// Well within the keep-alive that the broker was told.
const PING_EVERY: Duration = Duration::from_secs(20);
/// Somebody stands at the door: a broker that is away is tried again soon.
const RETRY: BackoffConfig =
    BackoffConfig { first: Duration::from_millis(100), last: Duration::from_secs(10) };
/// A stop switches it off, if that takes no longer than this; if it does, the will does it.
const FAREWELL: Duration = Duration::from_secs(2);

/// On until each of the moments that come on `lane`; off from the start, and at its end.
pub(super) async fn run(name: String, config: TopicOutputConfig, lane: mpsc::Receiver<Instant>) {
    keep(Light::new(name, config), lane, PING_EVERY).await;
}

async fn keep(mut light: Light, mut lane: mpsc::Receiver<Instant>, ping_every: Duration) {
    loop {
        let pause = light.tell().await;
        tokio::select! {
            rung = lane.recv() => match rung {
                Some(until) => drop(light.lamp.ring(until)),
                None => break,
            },
            () = over(light.lamp.until()) => light.lamp.end(),
            () = sleep(pause.unwrap_or_default()), if pause.is_some() => {}
            // Counted from its last answer: whoever rings meanwhile says nothing to the broker.
            () = sleep_until(light.publisher.answered_at() + ping_every), if light.publisher.is_connected() => {
                light.ping().await;
            }
        }
    }
    light.lamp.end();
    if timeout(FAREWELL, light.tell()).await.is_err() {
        tracing::warn!(output = light.lamp.name(), "the broker was not reached to switch it off");
    }
}

struct Light {
    config: TopicOutputConfig,
    publisher: Publisher,
    lamp: Lamp,
    /// What the broker took last.
    told: Option<bool>,
    backoff: Backoff,
}

impl Light {
    fn new(name: String, config: TopicOutputConfig) -> Self {
        let will = Message::new(config.topic.clone(), config.off.clone(), config.retain);
        let publisher = Publisher::new(config.broker.clone(), Some(will));
        Self { config, publisher, lamp: Lamp::new(name), told: None, backoff: Backoff::new(RETRY) }
    }

    /// Brings the topic to what it should be; gives when to try again, where it could not.
    async fn tell(&mut self) -> Option<Duration> {
        let on = self.lamp.is_on();
        if self.told == Some(on) {
            return None;
        }
        let word = if on { &self.config.on } else { &self.config.off };
        match self.publisher.publish(self.config.topic.clone(), word.clone(), self.config.retain).await {
            Ok(()) => {
                self.told = Some(on);
                self.backoff.reset();
                if on {
                    self.lamp.took();
                } else {
                    self.publisher.leave().await;
                }
                None
            }
            Err(error) => {
                // What it was told may have been undone by the will.
                self.told = None;
                let again_in = self.backoff.next_delay();
                tracing::warn!(output = self.lamp.name(), on, %error, ?again_in, "failed to switch an output; it is tried again");
                Some(again_in)
            }
        }
    }

    async fn ping(&mut self) {
        if let Err(error) = self.publisher.ping().await {
            tracing::warn!(output = self.lamp.name(), %error, "lost the broker of an output that is on; it is told again");
            self.told = None;
        }
    }
}

async fn over(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;
    use crate::config::BrokerConfig;
    use crate::notify::tests::topics::read_packet;

    const PINGREQ: u8 = 12;

    /// Gives the kind of each packet that comes, and answers it.
    async fn broker(listener: TcpListener, came: mpsc::UnboundedSender<u8>) {
        while let Ok((mut stream, _)) = listener.accept().await {
            while let Some((kind, body)) = read_packet(&mut stream).await {
                let id = |at: usize| [0x40, 2, body[at], body[at + 1]];
                let answer: Option<Vec<u8>> = match kind >> 4 {
                    1 => Some(vec![0x20, 2, 0, 0]),
                    3 => Some(id(2 + usize::from(u16::from_be_bytes([body[0], body[1]]))).to_vec()),
                    PINGREQ => Some(vec![0xd0, 0]),
                    _ => None,
                };
                came.send(kind >> 4).unwrap();
                if let Some(answer) = answer {
                    stream.write_all(&answer).await.unwrap();
                }
            }
        }
    }

    #[tokio::test]
    async fn a_light_that_is_rung_all_the_time_keeps_its_connection_alive() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (came, mut packets) = mpsc::unbounded_channel();
        tokio::spawn(broker(listener, came));
        let broker = BrokerConfig::new(address.ip().to_string(), address.port(), "door".to_owned());
        let config = TopicOutputConfig {
            broker,
            topic: "door".to_owned(),
            on: "ON".to_owned(),
            off: "OFF".to_owned(),
            retain: false,
        };
        let (ring, lane) = mpsc::channel(4);
        let light = tokio::spawn(keep(Light::new("light".to_owned(), config), lane, 50 * MILLISECOND));
        let ringing = async {
            loop {
                ring.send(Instant::now() + Duration::from_secs(60)).await.unwrap();
                sleep(10 * MILLISECOND).await;
            }
        };
        let pinged = async { while packets.recv().await != Some(PINGREQ) {} };
        tokio::select! {
            never = ringing => match never {},
            pinged = timeout(Duration::from_secs(10), pinged) => pinged.expect("a ping"),
        }
        drop(ring);
        light.await.unwrap();
    }

    const MILLISECOND: Duration = Duration::from_millis(1);
}
