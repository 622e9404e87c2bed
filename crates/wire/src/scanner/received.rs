//! A whole control frame that came.

use std::fmt;

use crate::scanner::{Residue, gathering::Gathering};
use crate::{Header, Payload};

/// A Close, PING or PONG of at most 125 bytes, byte for byte. Mostly it lies in the input, where
/// looking at it copies nothing.
#[derive(Clone)]
pub struct Received<'a> {
    header: Header,
    header_len: u8,
    bytes: Bytes<'a>,
}

#[derive(Clone)]
enum Bytes<'a> {
    /// This part of the input, behind what was held back of its header.
    Input(Residue, &'a [u8]),
    /// It came in pieces.
    Gathered(Box<Gathering>),
}

// === impl Received ===

impl<'a> Received<'a> {
    /// Behind `begun`, which is held back of its header, the frame is this part of the input.
    #[inline]
    pub(super) fn in_input(
        header: Header,
        header_len: usize,
        begun: Residue,
        bytes: &'a [u8],
    ) -> Self {
        Self {
            header,
            header_len: header_len as u8,
            bytes: Bytes::Input(begun, bytes),
        }
    }

    pub(super) fn gathered(gathering: Box<Gathering>) -> Self {
        Self {
            header: *gathering.header(),
            header_len: gathering.header_len(),
            bytes: Bytes::Gathered(gathering),
        }
    }

    /// What the frame's header says.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The frame verbatim, in two parts: header, then the payload, masked if it is.
    #[inline]
    #[must_use]
    pub fn raw(&self) -> (&[u8], &[u8]) {
        match &self.bytes {
            Bytes::Input(begun, bytes) => (begun, bytes),
            Bytes::Gathered(gathering) => (gathering.bytes(), &[]),
        }
    }

    /// Its length if all of it lies in the input, where the rest of the input begins behind it.
    #[inline]
    #[must_use]
    pub fn len_in_input(&self) -> Option<usize> {
        match &self.bytes {
            Bytes::Input(begun, bytes) => begun.is_empty().then_some(bytes.len()),
            Bytes::Gathered(_) => None,
        }
    }

    /// The payload, unmasked: a copy, for who keeps it.
    #[must_use]
    pub fn payload(&self) -> Payload {
        let mut payload = Payload::EMPTY;
        payload.fill(self.masked(), self.header.mask);
        payload
    }

    /// The payload, unmasked: in place if it is not masked, else in `room`, which need not be made
    /// anew for each of many frames.
    #[inline]
    #[must_use]
    pub fn payload_in<'b>(&'b self, room: &'b mut Payload) -> &'b [u8] {
        let masked = self.masked();
        if masked.is_empty() || self.header.mask.is_none() {
            return masked;
        }
        room.fill(masked, self.header.mask);
        room
    }

    /// The payload as it came.
    #[inline]
    fn masked(&self) -> &[u8] {
        let header_len = usize::from(self.header_len);
        match &self.bytes {
            // What is held back of a header lacks some of it: none of the payload is there.
            Bytes::Input(begun, bytes) => &bytes[header_len - begun.len()..],
            Bytes::Gathered(gathering) => &gathering.bytes()[header_len..],
        }
    }
}

impl PartialEq for Received<'_> {
    fn eq(&self, other: &Self) -> bool {
        let [a, b] = [self, other].map(|frame| {
            let (begun, rest) = frame.raw();
            begun.iter().chain(rest)
        });
        a.eq(b)
    }
}

impl Eq for Received<'_> {}

/// Tells the header only: endpoints' payloads are not for logs.
impl fmt::Debug for Received<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Received").field(&self.header).finish()
    }
}
