//! What the control frames of a simulated world carry: little, so that it can be copied.

use lubdub_keepalive::PingPayload;

/// Application data of a ping or a pong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Payload {
    len: u8,
    bytes: [u8; Self::MAX],
}

impl Payload {
    pub(crate) const EMPTY: Self = Self {
        len: 0,
        bytes: [0; Self::MAX],
    };
    /// As long as lubdub's own.
    const MAX: usize = PingPayload::LEN;

    pub(crate) fn new(data: &[u8]) -> Self {
        let mut bytes = [0; Self::MAX];
        bytes[..data.len()].copy_from_slice(data);
        Self {
            len: data.len() as u8,
            bytes,
        }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Of the same length, and another in every byte.
    pub(crate) fn spoilt(mut self) -> Self {
        for byte in &mut self.bytes[..usize::from(self.len)] {
            *byte = !*byte;
        }
        self
    }
}

impl From<&PingPayload> for Payload {
    fn from(payload: &PingPayload) -> Self {
        Self::new(payload.as_bytes())
    }
}
