//! The clients of the demo: each connects, chats at every ping, and tells what becomes of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fastwebsockets::handshake;
use http::Request;
use http::header::{CONNECTION, HOST, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http_body_util::Empty;
use hyper_util::rt::TokioExecutor;
use lubdub_keepalive::Side;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::peer::{Heard, Peer};
use super::stage::{Person, Speaker, Stage};

/// A client that is connected.
pub(super) struct Guest {
    person: Person,
    peer: Peer,
    stage: Arc<Stage>,
    /// How many messages were sent.
    said: u32,
    /// The message that has no echo yet, and since when.
    waiting: Option<(String, Instant)>,
}

/// How long an echo may take before it is worth a word.
const PATIENCE: Duration = Duration::from_millis(500);

impl Guest {
    /// Connects to the proxy.
    pub(super) async fn connect(
        person: Person,
        proxy: SocketAddr,
        stage: Arc<Stage>,
    ) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(proxy).await?;
        stream.set_nodelay(true)?;
        // Before the proxy can speak of this address.
        stage.narrator.introduce(stream.local_addr()?, person);
        let request = Request::get(person.path())
            .header(HOST, proxy.to_string())
            .header(UPGRADE, "websocket")
            .header(CONNECTION, "Upgrade")
            .header(SEC_WEBSOCKET_KEY, handshake::generate_key())
            .header(SEC_WEBSOCKET_VERSION, "13")
            .body(Empty::<bytes::Bytes>::new())?;
        let (socket, _) = handshake::client(&TokioExecutor::new(), request, stream).await?;
        Ok(Self {
            person,
            peer: Peer::new(socket),
            stage,
            said: 0,
            waiting: None,
        })
    }

    /// Stays until the connection ends.
    pub(super) async fn visit(mut self) {
        self.chat().await;
        loop {
            match self.peer.hear().await {
                Heard::Ping => self.on_ping().await,
                Heard::Text(text) => self.on_echo(&text),
                Heard::Close(code) => {
                    self.tell(&format!("gets {code}"));
                    break;
                }
                Heard::Gone(words) => {
                    self.tell(&format!(
                        "is back, and finds {} connection gone: {words}",
                        self.person.their()
                    ));
                    break;
                }
            }
        }
        self.stage.leave(self.person);
    }

    async fn on_ping(&mut self) {
        let pings = self.peer.pings();
        if self.person.manner().freezes(pings, &self.stage) {
            self.stage.freeze(self.person, Side::Client, pings).await;
            return;
        }
        let Some((text, since)) = &self.waiting else {
            self.chat().await;
            return;
        };
        let waited = since.elapsed();
        if waited >= PATIENCE {
            let seconds = waited.as_secs_f64();
            self.tell(&format!(
                "has waited {seconds:.1} s for the echo of {text:?}"
            ));
        }
    }

    async fn chat(&mut self) {
        self.said += 1;
        let text = format!("hello {}", self.said);
        self.waiting = Some((text.clone(), Instant::now()));
        self.peer.say(text).await;
    }

    fn on_echo(&mut self, text: &str) {
        let Some((_, since)) = self.waiting.take_if(|(said, _)| said == text) else {
            return;
        };
        let millis = since.elapsed().as_secs_f64() * 1e3;
        self.stage.narrator.count_echo();
        if self.said == 1 {
            self.tell(&format!(
                "says {text:?}, and hears the echo after {millis:.2} ms"
            ));
        }
    }

    fn tell(&self, text: &str) {
        self.stage.narrator.say(Speaker::Guest(self.person), text);
    }
}
