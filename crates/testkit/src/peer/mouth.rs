//! The writing half of a peer.

use std::time::Duration;

use lubdub_wire::MaskKey;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use super::Role;
use crate::PATIENCE;
use crate::frame::Frame;

/// Writes what it is told.
pub struct Mouth {
    role: Role,
    writing: Box<dyn AsyncWrite + Send + Unpin>,
    frames: u32,
}

impl Mouth {
    pub(super) fn new(role: Role, writing: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        Self {
            role,
            writing: Box::new(writing),
            frames: 0,
        }
    }

    /// Says these bytes.
    ///
    /// # Panics
    /// If they are not taken in time.
    pub async fn send(&mut self, bytes: &[u8]) {
        let written = timeout(PATIENCE, async {
            self.writing.write_all(bytes).await?;
            self.writing.flush().await
        });
        match written.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => panic!("{} cannot send: {error}", self.role),
            Err(_) => panic!("nobody takes what {} sends", self.role),
        }
    }

    /// Says these bytes; whether they could be said, or the connection was broken.
    pub async fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.writing.write_all(bytes).await?;
        self.writing.flush().await
    }

    /// Says that it will say no more.
    ///
    /// # Panics
    /// If that is not taken in time.
    pub async fn finish(&mut self) {
        let finished = timeout(PATIENCE, self.writing.shutdown()).await;
        finished
            .expect("an end is taken in time")
            .unwrap_or_else(|error| {
                panic!("{} cannot end its stream: {error}", self.role);
            });
    }

    /// The bytes of a frame as this peer sends it: masked if it is a client, each with another key.
    pub fn encode(&mut self, frame: &Frame) -> Vec<u8> {
        self.frames += 1;
        let key = self.frames.wrapping_mul(0x9e37_79b9).to_be_bytes();
        frame.encode(match self.role {
            Role::Client => Some(MaskKey(key)),
            Role::Upstream => None,
        })
    }

    pub(super) async fn send_until_blocked(&mut self, message: &[u8], quiet: Duration) -> usize {
        let mut sent = 0;
        loop {
            let rest = &message[sent % message.len()..];
            match timeout(quiet, self.writing.write(rest)).await {
                Ok(Ok(n)) => sent += n,
                Ok(Err(error)) => panic!("{} cannot send: {error}", self.role),
                Err(_) => return sent,
            }
        }
    }
}

impl std::fmt::Debug for Mouth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mouth({}, {} frames)", self.role, self.frames)
    }
}
