//! What a pair's heartbeat needs of chance, taken once at its start.

use crate::payload::Nonce;
use crate::side::PerSide;

/// The randomness that a pair's heartbeat needs. Nonces must be unpredictable to the endpoints:
/// take the bytes from the operating system.
#[derive(Clone, Copy)]
pub struct Entropy {
    pub(crate) nonces: PerSide<Nonce>,
    pub(crate) seed: u64,
}

impl Entropy {
    /// How many random bytes a pair needs.
    pub const LEN: usize = 24;

    /// Takes random bytes of the operating system.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        let eight = |at: usize| std::array::from_fn(|n| bytes[at + n]);
        Self {
            nonces: PerSide {
                client: Nonce::new(eight(0)),
                upstream: Nonce::new(eight(8)),
            },
            seed: u64::from_ne_bytes(eight(16)),
        }
    }
}

impl std::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entropy(..)")
    }
}
