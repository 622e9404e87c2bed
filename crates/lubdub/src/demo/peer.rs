//! One end of a WebSocket connection, as an ordinary program has it: it answers pings, and knows
//! nothing of a proxy.
//!
//! It speaks only when it has heard something, because reading cannot be broken off:
//! [`WebSocket::read_frame`] loses its place in a frame when it is cancelled. The proxy's pings
//! come often enough to pace a chat.

use std::fmt;

use fastwebsockets::{Frame, OpCode, Payload, WebSocket, WebSocketError};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;

/// What fastwebsockets makes of an upgraded connection.
pub(super) type Socket = WebSocket<TokioIo<Upgraded>>;

/// One end of a connection.
pub(super) struct Peer {
    socket: Socket,
    pings: u32,
}

/// What a peer hears.
pub(super) enum Heard {
    /// A ping, which has been answered.
    Ping,
    /// A text message.
    Text(String),
    /// A Close, which has been answered.
    Close(Code),
    /// Nothing any more: the connection broke, in these words.
    Gone(String),
}

/// The code of a Close, if it had one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Code(Option<u16>);

// === impl Peer ===

impl Peer {
    pub(super) fn new(mut socket: Socket) -> Self {
        // Answered here instead, so that pings can be counted.
        socket.set_auto_pong(false);
        Self { socket, pings: 0 }
    }

    /// How many pings it has answered.
    pub(super) fn pings(&self) -> u32 {
        self.pings
    }

    /// Waits for the next thing to be heard.
    pub(super) async fn hear(&mut self) -> Heard {
        self.next()
            .await
            .unwrap_or_else(|error| Heard::Gone(words(&error)))
    }

    /// Says something. If nobody can hear it, the next [`Peer::hear`] tells.
    pub(super) async fn say(&mut self, text: String) {
        let frame = Frame::text(Payload::Owned(text.into_bytes()));
        let _ = self.socket.write_frame(frame).await;
    }

    async fn next(&mut self) -> Result<Heard, WebSocketError> {
        loop {
            let frame = self.socket.read_frame().await?;
            match frame.opcode {
                OpCode::Ping => {
                    self.socket.write_frame(Frame::pong(frame.payload)).await?;
                    self.pings += 1;
                    return Ok(Heard::Ping);
                }
                OpCode::Text => {
                    return Ok(Heard::Text(
                        String::from_utf8_lossy(&frame.payload).into_owned(),
                    ));
                }
                OpCode::Close => {
                    let code = frame.payload.first_chunk().copied().map(u16::from_be_bytes);
                    return Ok(Heard::Close(Code(code)));
                }
                OpCode::Continuation | OpCode::Binary | OpCode::Pong => {}
            }
        }
    }
}

/// The error without what only a programmer would look up.
fn words(error: &WebSocketError) -> String {
    if let WebSocketError::IoError(error) = error {
        error.kind().to_string()
    } else {
        error.to_string().to_lowercase()
    }
}

// === impl Code ===

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(code) = self.0 else {
            return f.write_str("Close without a code");
        };
        write!(f, "Close {code}")?;
        // RFC 6455 7.4.1 and its registry.
        f.write_str(match code {
            1000 => " (done)",
            1001 => " (the other end went away)",
            1011 => " (the server's side failed)",
            1012 => " (the service restarts)",
            _ => "",
        })
    }
}
