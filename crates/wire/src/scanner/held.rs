//! The bytes that a scanner holds back.

use std::{fmt, ops::Deref};

use crate::{Header, scanner::gathering::Gathering};

/// The beginning of a header whose end has not come yet.
#[derive(Clone, Copy)]
pub struct Residue {
    bytes: [u8; Header::MAX_LEN],
    len: u8,
}

/// What was held back when a direction ended: the beginning of a header or of a PONG.
pub struct Held(Kind);

enum Kind {
    Header(Residue),
    Pong(Box<Gathering>),
}

// === impl Residue ===

impl Residue {
    /// Nothing held back.
    pub const EMPTY: Self = Self {
        bytes: [0; Header::MAX_LEN],
        len: 0,
    };

    /// The header that the residue and then `input` make, and how many bytes of it are `input`'s.
    #[inline]
    pub(super) fn decode_with(&self, input: &[u8]) -> Option<(Header, usize)> {
        if self.is_empty() {
            return Header::decode(input);
        }
        let room = Header::MAX_LEN - self.len();
        let joined = self.followed_by(&input[..input.len().min(room)]);
        let (header, header_len) = Header::decode(&joined)?;
        Some((header, header_len - self.len()))
    }

    /// The residue with more of the same header.
    pub(super) fn followed_by(mut self, more: &[u8]) -> Self {
        let len = self.len();
        self.bytes[len..len + more.len()].copy_from_slice(more);
        self.len += more.len() as u8;
        self
    }

    /// Splits into what precedes the frame that begins at `at` of an input, and what begins it: a
    /// residue is the beginning of the first frame, and lies ahead of every other.
    pub(super) fn split_at(self, at: usize) -> (Self, Self) {
        if at == 0 {
            (Self::EMPTY, self)
        } else {
            (self, Self::EMPTY)
        }
    }
}

impl Default for Residue {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Deref for Residue {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl PartialEq for Residue {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Residue {}

impl fmt::Debug for Residue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x?}", &**self)
    }
}

// === impl Held ===

impl Held {
    pub(super) fn header(residue: Residue) -> Self {
        Self(Kind::Header(residue))
    }

    pub(super) fn pong(gathering: Box<Gathering>) -> Self {
        Self(Kind::Pong(gathering))
    }
}

impl Deref for Held {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Kind::Header(residue) => residue,
            Kind::Pong(gathering) => gathering.bytes(),
        }
    }
}

/// Tells the length only: endpoints' payloads are not for logs.
impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Held({} bytes)", self.len())
    }
}
