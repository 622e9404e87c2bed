//! The reading half of a peer.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::Role;
use crate::frame::Seen;
use crate::http::Head;

/// Reads, and keeps a recording of all that was read.
pub struct Ears {
    role: Role,
    reading: Box<dyn AsyncRead + Send + Unpin>,
    /// All that was read since the handshake.
    heard: Vec<u8>,
    /// How much of it was looked at.
    seen: usize,
    end: Option<End>,
}

/// What comes next in a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// A whole frame.
    Frame(Seen),
    /// The stream ended in order (FIN), after so many bytes that are no whole frame.
    Fin(usize),
    /// The connection broke (RST; over TLS also a FIN without a close_notify), after so many bytes that are no whole frame.
    Reset(usize),
}

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Fin,
    Reset,
}

impl Ears {
    pub(super) fn new(role: Role, reading: impl AsyncRead + Send + Unpin + 'static) -> Self {
        Self {
            role,
            reading: Box::new(reading),
            heard: Vec::new(),
            seen: 0,
            end: None,
        }
    }

    /// Every byte that was read since the handshake.
    #[must_use]
    pub fn heard(&self) -> &[u8] {
        &self.heard
    }

    /// The next frame, or the end. Cancel-safe.
    pub async fn next(&mut self) -> Heard {
        loop {
            if let Some(frame) = Seen::decode(self.unseen()) {
                self.seen += frame.raw.len();
                return Heard::Frame(frame);
            }
            if let Some(end) = self.read().await {
                return match end {
                    End::Fin => Heard::Fin(self.unseen().len()),
                    End::Reset => Heard::Reset(self.unseen().len()),
                };
            }
        }
    }

    /// What was read and not looked at yet.
    pub(super) fn unseen(&self) -> &[u8] {
        &self.heard[self.seen..]
    }

    /// The next head, unless the stream ends. Cancel-safe.
    pub(super) async fn head(&mut self) -> Option<Head> {
        loop {
            if let Some((head, len)) = Head::parse(self.unseen()) {
                self.seen += len;
                return Some(head);
            }
            if self.read().await.is_some() {
                return None;
            }
        }
    }

    /// The next `len` bytes, or what there is before the end. Cancel-safe.
    pub(super) async fn bytes(&mut self, len: usize) -> Vec<u8> {
        while self.unseen().len() < len {
            if self.read().await.is_some() {
                break;
            }
        }
        let bytes = self.unseen()[..len.min(self.unseen().len())].to_vec();
        self.seen += bytes.len();
        bytes
    }

    /// Begins the recording anew, behind what was looked at.
    pub(super) fn forget(&mut self) {
        self.heard.drain(..self.seen);
        self.seen = 0;
    }

    /// Reads once; `Some` at the end.
    async fn read(&mut self) -> Option<End> {
        if self.end.is_none() {
            self.heard.reserve(16 * 1024);
            match self.reading.read_buf(&mut self.heard).await {
                Ok(0) => self.end = Some(End::Fin),
                Ok(_) => {}
                Err(error) if is_break(error.kind()) => self.end = Some(End::Reset),
                Err(error) => panic!("{} cannot read: {error}", self.role),
            }
        }
        self.end
    }
}

fn is_break(kind: io::ErrorKind) -> bool {
    // The latter is how rustls says that a stream was cut short.
    matches!(
        kind,
        io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof
    )
}

impl std::fmt::Debug for Ears {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Ears({}, {} bytes heard, {:?})",
            self.role,
            self.heard.len(),
            self.end
        )
    }
}
