//! `rust_tungstenite URL LACKING`: the client cases with tokio-tungstenite, a line of JSON for each.
//!
//! tokio-tungstenite knows no permessage-deflate, so that the case `compressed` is not among them.
//! `make interop` builds this, and `suite.py` runs it.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the suite reads the outcomes there")]

mod cases;

use anyhow::{Context, bail};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame};
use tokio_tungstenite::tungstenite::{ClientRequestBuilder, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A connection, and all that came from it and was not asked for yet.
struct Peer {
    sink: SplitSink<Socket, Message>,
    events: UnboundedReceiver<Event>,
    /// The payloads of all pongs before what was taken last.
    pongs: Vec<String>,
    /// The subprotocol that was agreed on.
    protocol: Option<String>,
}

/// What the library shows of a connection, in the order in which it came.
enum Event {
    Message(Message),
    Pong(String),
    /// The stream is over: the other side's Close, or what became of it instead.
    End(anyhow::Result<(u16, String)>),
}

impl Peer {
    async fn open(request: ClientRequestBuilder) -> anyhow::Result<Self> {
        let limits = WebSocketConfig::default()
            .max_message_size(None)
            .max_frame_size(None);
        let (socket, answer) = connect_async_with_config(request, Some(limits), true).await?;
        let protocol = answer
            .headers()
            .get("sec-websocket-protocol")
            .map(|chosen| chosen.to_str().map(str::to_owned))
            .transpose()?;
        let (sink, stream) = socket.split();
        let (sender, events) = mpsc::unbounded_channel();
        // It goes on reading whatever the case does: that is what answers pings.
        tokio::spawn(read(stream, sender));
        Ok(Self {
            sink,
            events,
            pongs: Vec::new(),
            protocol,
        })
    }

    async fn send(&mut self, message: impl Into<Message>) -> anyhow::Result<()> {
        Ok(self.sink.send(message.into()).await?)
    }

    /// Sends one text, a frame for each part.
    async fn fragments(&mut self, parts: &[&'static str]) -> anyhow::Result<()> {
        for (at, &part) in parts.iter().enumerate() {
            let kind = if at == 0 { Data::Text } else { Data::Continue };
            let frame = Frame::message(part, OpCode::Data(kind), at + 1 == parts.len());
            self.sink.send(Message::Frame(frame)).await?;
        }
        Ok(())
    }

    async fn pong(&mut self, payload: &'static str) -> anyhow::Result<()> {
        self.send(Message::Pong(payload.into())).await
    }

    /// Sends a ping and waits for the next pong, whatever it carries.
    async fn ping(&mut self, payload: &str) -> anyhow::Result<()> {
        self.send(Message::Ping(payload.to_owned().into())).await?;
        match self.event().await? {
            Event::Pong(payload) => {
                self.pongs.push(payload);
                Ok(())
            }
            Event::Message(message) => bail!("instead of a pong came {message:.40}"),
            Event::End(end) => bail!("instead of a pong came the end, {:?}", end?),
        }
    }

    async fn close(&mut self, code: u16, reason: &'static str) -> anyhow::Result<()> {
        let frame = CloseFrame {
            code: CloseCode::from(code),
            reason: reason.into(),
        };
        self.send(Message::Close(Some(frame))).await
    }

    /// The next message.
    async fn next(&mut self) -> anyhow::Result<Message> {
        loop {
            match self.event().await? {
                Event::Message(message) => return Ok(message),
                Event::Pong(payload) => self.pongs.push(payload),
                Event::End(end) => bail!("instead of a message came the end, {:?}", end?),
            }
        }
    }

    /// The code and reason of the other side's Close, once its stream is over. Then this end closes the
    /// socket: the upstream waits for that (RFC 6455 7.1.1).
    async fn end(mut self) -> anyhow::Result<(u16, String)> {
        loop {
            match self.event().await? {
                Event::Message(message) => bail!("instead of a Close came {message:.40}"),
                Event::Pong(_) => {}
                Event::End(end) => return end,
            }
        }
    }

    async fn event(&mut self) -> anyhow::Result<Event> {
        self.events.recv().await.context("it has ended already")
    }
}

/// Hands on what comes, to the end of the stream.
async fn read(mut stream: SplitStream<Socket>, events: UnboundedSender<Event>) {
    let mut close = None;
    let end = loop {
        let event = match stream.next().await {
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => Event::Message(message),
            Some(Ok(Message::Pong(payload))) => {
                Event::Pong(String::from_utf8_lossy(&payload).into_owned())
            }
            Some(Ok(Message::Close(frame))) => {
                close = frame.map(|frame| (frame.code.into(), frame.reason.to_string()));
                continue;
            }
            // Answered by the library.
            Some(Ok(Message::Ping(_) | Message::Frame(_))) => continue,
            Some(Err(error)) => break Err(error.into()),
            None => break close.context("the stream ended without a code"),
        };
        if events.send(event).is_err() {
            return;
        }
    };
    // Nobody waits for the end of a case that has failed.
    let _ = events.send(Event::End(end));
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(base), Some(lacking)) = (arguments.next(), arguments.next()) else {
        bail!("usage: rust_tungstenite URL LACKING");
    };
    cases::run(&base, &lacking, |case, problem| {
        println!(
            "{}",
            serde_json::json!({ "case": case, "problem": problem })
        );
    })
    .await;
    Ok(())
}
