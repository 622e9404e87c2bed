//! What an own ping carries, so that its pong is recognised with certainty.

use serde::{Deserialize, Serialize};

/// What tells a side's own pings from everybody else's. Unpredictable to the endpoints, so not for
/// logs.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Nonce([u8; 8]);

/// The application data of an own ping: a random nonce of its pair and side, then the ping's
/// sequence number. The other endpoint never sees it, so it cannot make one that matches.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PingPayload([u8; Self::LEN]);

// === impl Nonce ===

impl Nonce {
    pub(crate) fn new(random: [u8; 8]) -> Self {
        Self(random)
    }
}

impl std::fmt::Debug for Nonce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Nonce(..)")
    }
}

// === impl PingPayload ===

impl PingPayload {
    /// Bytes on the wire; well under the 125 of RFC 6455 5.5.
    pub const LEN: usize = 16;

    pub(crate) fn new(nonce: Nonce, sequence: u64) -> Self {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&nonce.0);
        bytes[8..].copy_from_slice(&sequence.to_be_bytes());
        Self(bytes)
    }

    /// The sequence number in `payload`, if it has the shape of a ping of this nonce.
    pub(crate) fn sequence(nonce: Nonce, payload: &[u8]) -> Option<u64> {
        let (front, sequence) = payload.split_at_checked(8)?;
        let sequence = <[u8; 8]>::try_from(sequence).ok()?;
        (front == nonce.0).then(|| u64::from_be_bytes(sequence))
    }

    /// The bytes to send.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl std::fmt::Debug for PingPayload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sequence = self.0[8..]
            .iter()
            .fold(0, |n, &byte| n << 8 | u64::from(byte));
        write!(f, "PingPayload(#{sequence})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEVEN: Nonce = Nonce([7; 8]);

    #[test]
    fn only_its_own_nonce_is_recognised() {
        let payload = PingPayload::new(SEVEN, 258);
        assert_eq!(PingPayload::sequence(SEVEN, payload.as_bytes()), Some(258));
        assert_eq!(
            PingPayload::sequence(Nonce([8; 8]), payload.as_bytes()),
            None
        );
        assert_eq!(format!("{payload:?}"), "PingPayload(#258)");
    }

    #[test]
    fn other_lengths_are_not_recognised() {
        let payload = PingPayload::new(SEVEN, 258);
        let mut longer = payload.as_bytes().to_vec();
        longer.push(0);
        for bytes in [&longer[..], &payload.as_bytes()[..15], &[7; 8], &[]] {
            assert_eq!(PingPayload::sequence(SEVEN, bytes), None, "{bytes:?}");
        }
    }
}
