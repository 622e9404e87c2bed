//! A short control frame on its way to being whole.

use crate::{ControlFrame, Header, Opcode, scanner::Residue};

/// The bytes so far of a Close, PING or PONG whose header is known.
///
/// PINGs and Closes are forwarded while they are gathered; of a PONG these are the only copy.
#[derive(Clone)]
pub(super) struct Gathering {
    header: Header,
    header_len: u8,
    len: u8,
    bytes: [u8; ControlFrame::MAX_LEN],
}

impl Gathering {
    /// A frame of which only what was held back of its header, `begun`, is there yet; `header_rest`
    /// bytes of the header are to come.
    pub(super) fn begin(header: Header, begun: Residue, header_rest: usize) -> Self {
        let mut bytes = [0; ControlFrame::MAX_LEN];
        bytes[..begun.len()].copy_from_slice(&begun);
        Self {
            header,
            header_len: (begun.len() + header_rest) as u8,
            len: begun.len() as u8,
            bytes,
        }
    }

    /// Copies what of `input` belongs to the frame, and returns how many bytes that was.
    pub(super) fn take(&mut self, input: &[u8]) -> usize {
        let len = usize::from(self.len);
        let taken = input.len().min(self.whole_len() - len);
        self.bytes[len..len + taken].copy_from_slice(&input[..taken]);
        self.len += taken as u8;
        taken
    }

    /// Whether nothing of the frame is to come.
    pub(super) fn is_whole(&self) -> bool {
        usize::from(self.len) == self.whole_len()
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    pub(super) fn header_len(&self) -> u8 {
        self.header_len
    }

    /// Whether the frame is kept back until it is whole.
    pub(super) fn is_held(&self) -> bool {
        self.header.opcode == Opcode::PONG
    }

    /// The bytes so far.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    fn whole_len(&self) -> usize {
        usize::from(self.header_len) + self.header.payload_len as usize
    }
}
