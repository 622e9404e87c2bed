//! A whole control frame that came.

use std::fmt;

use crate::scanner::{Residue, gathering::Gathering};
use crate::{Header, Payload};

/// A Close, PING or PONG of at most 125 bytes, byte for byte. Mostly it lies in the input, where
/// looking at it copies nothing.
#[derive(Clone)]
pub struct Received<'a> {
    header_len: u8,
    /// The header ends with a key. No more of it is kept: there may be thousands in an input.
    masked: bool,
    bytes: Bytes<'a>,
}

#[derive(Clone)]
enum Bytes<'a> {
    /// This part of the input.
    Input(&'a [u8]),
    /// This part of the input, behind what was held back of its header.
    Split(Residue, &'a [u8]),
    /// It came in pieces.
    Gathered(Box<Gathering>),
}

// === impl Received ===

impl<'a> Received<'a> {
    /// The frame is this part of the input.
    #[inline]
    pub(super) fn in_input(header_len: usize, masked: bool, bytes: &'a [u8]) -> Self {
        Self {
            header_len: header_len as u8,
            masked,
            bytes: Bytes::Input(bytes),
        }
    }

    /// The frame is this part of the input, with the last `header_rest` bytes of its header, behind
    /// `begun`.
    pub(super) fn split(
        header: &Header,
        begun: Residue,
        header_rest: usize,
        bytes: &'a [u8],
    ) -> Self {
        Self {
            header_len: (begun.len() + header_rest) as u8,
            masked: header.mask.is_some(),
            bytes: Bytes::Split(begun, bytes),
        }
    }

    pub(super) fn gathered(gathering: Box<Gathering>) -> Self {
        Self {
            header_len: gathering.header_len(),
            masked: gathering.header().mask.is_some(),
            bytes: Bytes::Gathered(gathering),
        }
    }

    /// What the frame's header says.
    #[must_use]
    pub fn header(&self) -> Header {
        let (begun, rest) = self.raw();
        let whole = Header::decode(begun).or_else(|| {
            let (rest, _) = rest.split_at(usize::from(self.header_len) - begun.len());
            let mut joined = [0; Header::MAX_LEN];
            let joined = &mut joined[..usize::from(self.header_len)];
            joined[..begun.len()].copy_from_slice(begun);
            joined[begun.len()..].copy_from_slice(rest);
            Header::decode(joined)
        });
        whole.expect("the header of a whole frame is whole").0
    }

    /// The frame verbatim, header and payload, masked if it is: what came before this input, then
    /// what lies in it, just ahead of [its rest](crate::Step::rest).
    #[inline]
    #[must_use]
    pub fn raw(&self) -> (&[u8], &[u8]) {
        match &self.bytes {
            Bytes::Input(bytes) => (&[], bytes),
            Bytes::Split(begun, bytes) => (begun, bytes),
            Bytes::Gathered(gathering) => (gathering.bytes(), &[]),
        }
    }

    /// The payload, unmasked: a copy, for who keeps it.
    #[must_use]
    pub fn payload(&self) -> Payload {
        let mut payload = Payload::EMPTY;
        payload.fill(self.as_it_came(), self.header().mask);
        payload
    }

    /// The payload, unmasked: in place if it is not masked, else in `room`, which need not be made
    /// anew for each of many frames.
    #[inline]
    #[must_use]
    pub fn payload_in<'b>(&'b self, room: &'b mut Payload) -> &'b [u8] {
        match &self.bytes {
            // Most are empty.
            Bytes::Input(bytes) if bytes.len() == usize::from(self.header_len) => &[],
            Bytes::Input(_) | Bytes::Split(..) | Bytes::Gathered(_) => self.unmasked_in(room),
        }
    }

    fn unmasked_in<'b>(&'b self, room: &'b mut Payload) -> &'b [u8] {
        if self.masked {
            room.fill(self.as_it_came(), self.header().mask);
            room
        } else {
            self.as_it_came()
        }
    }

    /// The payload as it came.
    #[inline]
    fn as_it_came(&self) -> &[u8] {
        let header_len = usize::from(self.header_len);
        match &self.bytes {
            Bytes::Input(bytes) => &bytes[header_len..],
            // What is held back of a header lacks some of it: none of the payload is there.
            Bytes::Split(begun, bytes) => &bytes[header_len - begun.len()..],
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
        f.debug_tuple("Received").field(&self.header()).finish()
    }
}
