//! Control frames of at most 125 bytes of payload (RFC 6455 section 5.5): as they came, and as this
//! proxy makes them.
//!
//! A "control frame" that announces more is none of these; it is relayed as opaque bytes.

use std::{error, fmt, ops::Deref};

use crate::{CloseCode, Header, MaskKey, Opcode};

/// The unmasked payload of a control frame: at most 125 bytes, kept in place.
#[derive(Clone, Copy)]
pub struct Payload {
    bytes: [u8; Self::MAX_LEN],
    len: u8,
}

/// A slice was longer than [`Payload::MAX_LEN`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayloadTooLong {
    /// The length of the slice.
    pub len: usize,
}

/// A whole control frame in minimal form, byte for byte.
#[derive(Clone)]
pub struct ControlFrame {
    header: Header,
    header_len: u8,
    bytes: [u8; Self::MAX_LEN],
}

// === impl Payload ===

impl Payload {
    /// "All control frames MUST have a payload length of 125 bytes or less" (section 5.5).
    pub const MAX_LEN: usize = 125;

    /// No bytes at all.
    pub const EMPTY: Self = Self {
        bytes: [0; Self::MAX_LEN],
        len: 0,
    };

    /// Becomes what `masked` is without its mask.
    pub(crate) fn fill(&mut self, masked: &[u8], mask: Option<MaskKey>) {
        debug_assert!(masked.len() <= Self::MAX_LEN, "of a control frame");
        let bytes = &mut self.bytes[..masked.len()];
        bytes.copy_from_slice(masked);
        if let Some(key) = mask {
            key.apply(0, bytes);
        }
        self.len = masked.len() as u8;
    }

    /// The payload of a Close (section 5.5.1): the code, then as many whole characters of `reason`
    /// as there is room for.
    #[must_use]
    pub fn close(code: CloseCode, reason: &str) -> Self {
        let mut reason_len = reason.len().min(Self::MAX_LEN - 2);
        while !reason.is_char_boundary(reason_len) {
            reason_len -= 1;
        }
        let len = 2 + reason_len;
        let mut payload = Self::EMPTY;
        payload.bytes[..2].copy_from_slice(&code.get().to_be_bytes());
        payload.bytes[2..len].copy_from_slice(&reason.as_bytes()[..reason_len]);
        payload.len = len as u8;
        payload
    }
}

impl TryFrom<&[u8]> for Payload {
    type Error = PayloadTooLong;

    fn try_from(slice: &[u8]) -> Result<Self, PayloadTooLong> {
        let len = slice.len();
        let mut payload = Self::EMPTY;
        payload
            .bytes
            .get_mut(..len)
            .ok_or(PayloadTooLong { len })?
            .copy_from_slice(slice);
        payload.len = len as u8;
        Ok(payload)
    }
}

impl Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Payload {}

/// Tells the length only: endpoints' payloads are not for logs.
impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.len)
    }
}

// === impl PayloadTooLong ===

impl fmt::Display for PayloadTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a control frame carries at most {} bytes, not {}",
            Payload::MAX_LEN,
            self.len
        )
    }
}

impl error::Error for PayloadTooLong {}

// === impl ControlFrame ===

impl ControlFrame {
    /// The longest header (lengths need not be minimal) and the longest payload.
    pub const MAX_LEN: usize = Header::MAX_LEN + Payload::MAX_LEN;

    /// A PING in minimal form.
    #[must_use]
    pub fn ping(payload: &Payload, mask: Option<MaskKey>) -> Self {
        Self::build(Opcode::PING, payload, mask)
    }

    /// A PONG in minimal form.
    #[must_use]
    pub fn pong(payload: &Payload, mask: Option<MaskKey>) -> Self {
        Self::build(Opcode::PONG, payload, mask)
    }

    /// A Close in minimal form, with as much of `reason` as there is room for.
    #[must_use]
    pub fn close(code: CloseCode, reason: &str, mask: Option<MaskKey>) -> Self {
        Self::build(Opcode::CLOSE, &Payload::close(code, reason), mask)
    }

    /// What the frame's header says.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The frame verbatim: header, then the payload, masked if it is.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.bytes[..self.len()]
    }

    /// The payload, unmasked.
    #[must_use]
    pub fn payload(&self) -> Payload {
        let mut payload = Payload::EMPTY;
        payload.fill(
            &self.raw()[usize::from(self.header_len)..],
            self.header.mask,
        );
        payload
    }

    /// Whether a header is one of a Close, PING or PONG that fits this type.
    #[inline]
    pub(crate) fn fits(header: &Header) -> bool {
        header.payload_len <= Payload::MAX_LEN as u64
            && matches!(header.opcode, Opcode::CLOSE | Opcode::PING | Opcode::PONG)
    }

    fn build(opcode: Opcode, payload: &Payload, mask: Option<MaskKey>) -> Self {
        let header = Header {
            fin: true,
            rsv: 0,
            opcode,
            mask,
            payload_len: u64::from(payload.len),
        };
        let mut encoded = [0; Header::MAX_LEN];
        let header_len = header.encode(&mut encoded);
        let mut bytes = [0; Self::MAX_LEN];
        bytes[..header_len].copy_from_slice(&encoded[..header_len]);
        let body = &mut bytes[header_len..header_len + payload.len()];
        body.copy_from_slice(payload);
        if let Some(key) = mask {
            key.apply(0, body);
        }
        Self {
            header,
            header_len: header_len as u8,
            bytes,
        }
    }

    fn len(&self) -> usize {
        usize::from(self.header_len) + self.header.payload_len as usize
    }
}

impl PartialEq for ControlFrame {
    fn eq(&self, other: &Self) -> bool {
        self.raw() == other.raw()
    }
}

impl Eq for ControlFrame {}

/// Tells the header only: endpoints' payloads are not for logs.
impl fmt::Debug for ControlFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ControlFrame").field(&self.header).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: MaskKey = MaskKey([0x37, 0xfa, 0x21, 0x3d]);

    fn payload(bytes: &[u8]) -> Payload {
        Payload::try_from(bytes).unwrap()
    }

    #[test]
    fn builds_the_examples_of_section_5_7() {
        let ping = ControlFrame::ping(&payload(b"Hello"), None);
        assert_eq!(ping.raw(), [0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);

        let pong = ControlFrame::pong(&payload(b"Hello"), Some(KEY));
        assert_eq!(
            pong.raw(),
            [
                0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58
            ]
        );
        assert_eq!(&*pong.payload(), b"Hello");
        assert_eq!(pong.header().mask, Some(KEY));
    }

    #[test]
    fn a_close_carries_its_code_and_reason() {
        let close = ControlFrame::close(CloseCode::GOING_AWAY, "bye", None);
        assert_eq!(close.raw(), b"\x88\x05\x03\xe9bye");
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        // 122 bytes, then a character of two: the 123rd byte has no room for its second half.
        let reason = format!("{}é and more", "a".repeat(122));
        let close = Payload::close(CloseCode::NORMAL, &reason);
        assert_eq!(close.len(), 124);
        assert_eq!(close[2..], reason.as_bytes()[..122]);

        let reason = "b".repeat(500);
        let close = ControlFrame::close(CloseCode::NORMAL, &reason, Some(KEY));
        assert_eq!(close.raw().len(), 2 + 4 + 125);
        assert_eq!(close.payload()[2..], reason.as_bytes()[..123]);
    }

    #[test]
    fn every_length_up_to_125_survives_masking() {
        let bytes: Vec<u8> = (0..125).collect();
        for len in 0..=125 {
            for mask in [None, Some(KEY)] {
                let frame = ControlFrame::pong(&payload(&bytes[..len]), mask);
                assert_eq!(*frame.payload(), bytes[..len]);
                let (header, header_len) = Header::decode(frame.raw()).unwrap();
                assert_eq!(header, *frame.header());
                assert_eq!(frame.raw().len(), header_len + len);
            }
        }
    }

    #[test]
    fn a_longer_payload_is_refused() {
        let error = Payload::try_from([0; 126].as_slice()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a control frame carries at most 125 bytes, not 126"
        );
    }

    #[test]
    fn debug_does_not_show_what_is_inside() {
        let payload = payload(b"secret");
        assert_eq!(format!("{payload:?}"), "Payload(6 bytes)");
        let frame = format!("{:?}", ControlFrame::ping(&payload, None));
        assert!(frame.contains("payload_len: 6"), "{frame}");
        assert!(!frame.contains("115"), "no byte of it: {frame}");
    }
}
