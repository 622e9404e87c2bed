//! Frames as endpoints write and read them (RFC 6455 5.2). Nothing stops one from being unlawful.

use std::fmt;

use lubdub_wire::{Close, Header, MaskKey, Opcode};

/// A frame to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Whether it is the last of its message.
    pub fin: bool,
    /// The three reserved bits: 0 to 7.
    pub rsv: u8,
    /// What it is.
    pub opcode: Opcode,
    /// How its length is written.
    pub length: LengthForm,
    /// What it carries, not masked.
    pub payload: Vec<u8>,
}

/// How a length is written. "The minimal number of bytes MUST be used" (5.2); not by these peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LengthForm {
    /// As short as possible.
    #[default]
    Minimal,
    /// In 16 bits, if it fits.
    Sixteen,
    /// In 64 bits.
    SixtyFour,
}

/// A frame that came.
#[derive(Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its header.
    pub header: Header,
    /// What it carries, unmasked.
    pub payload: Vec<u8>,
    /// The whole frame, as it was on the wire.
    pub raw: Vec<u8>,
}

// === impl Frame ===

impl Frame {
    fn new(opcode: Opcode, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            fin: true,
            rsv: 0,
            opcode,
            length: LengthForm::Minimal,
            payload: payload.into(),
        }
    }

    /// A text message.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::new(Opcode::TEXT, text)
    }

    /// A binary message.
    #[must_use]
    pub fn binary(payload: impl Into<Vec<u8>>) -> Self {
        Self::new(Opcode::BINARY, payload)
    }

    /// The last fragment of a message.
    #[must_use]
    pub fn continuation(text: &str) -> Self {
        Self::new(Opcode::CONTINUATION, text)
    }

    /// A PING.
    #[must_use]
    pub fn ping(payload: impl Into<Vec<u8>>) -> Self {
        Self::new(Opcode::PING, payload)
    }

    /// A PONG.
    #[must_use]
    pub fn pong(payload: impl Into<Vec<u8>>) -> Self {
        Self::new(Opcode::PONG, payload)
    }

    /// A Close.
    #[must_use]
    pub fn close(code: u16, reason: &str) -> Self {
        Self::new(
            Opcode::CLOSE,
            [&code.to_be_bytes(), reason.as_bytes()].concat(),
        )
    }

    /// The same, but not the last of its message.
    #[must_use]
    pub fn open(self) -> Self {
        Self { fin: false, ..self }
    }

    /// Its bytes on the wire.
    #[must_use]
    pub fn encode(&self, mask: Option<MaskKey>) -> Vec<u8> {
        let len = self.payload.len();
        let masked = u8::from(mask.is_some()) << 7;
        let mut bytes = vec![u8::from(self.fin) << 7 | self.rsv << 4 | self.opcode.bits()];
        match (self.length, u16::try_from(len)) {
            (LengthForm::Minimal, Ok(short @ 0..=125)) => {
                bytes.push(masked | short.to_be_bytes()[1])
            }
            (LengthForm::Minimal | LengthForm::Sixteen, Ok(short)) => {
                bytes.push(masked | 126);
                bytes.extend(short.to_be_bytes());
            }
            _ => {
                bytes.push(masked | 127);
                bytes.extend((len as u64).to_be_bytes());
            }
        }
        bytes.extend(mask.iter().flat_map(|key| key.0));
        let body = bytes.len();
        bytes.extend(&self.payload);
        if let Some(key) = mask {
            key.apply(0, &mut bytes[body..]);
        }
        bytes
    }
}

// === impl Seen ===

impl Seen {
    /// The frame that `bytes` begin with, once it is whole.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (header, body) = Header::decode(bytes)?;
        let end = body.checked_add(usize::try_from(header.payload_len).ok()?)?;
        let mut payload = bytes.get(body..end)?.to_vec();
        if let Some(key) = header.mask {
            key.apply(0, &mut payload);
        }
        Some(Self {
            header,
            payload,
            raw: bytes[..end].to_vec(),
        })
    }

    /// Whether it is a PING of at most 125 bytes, which an endpoint answers.
    #[must_use]
    pub fn is_ping(&self) -> bool {
        self.header.opcode == Opcode::PING && self.payload.len() <= 125
    }

    /// The code and the reason of a Close.
    #[must_use]
    pub fn close(&self) -> (Option<u16>, String) {
        let close = Close::parse(&self.payload);
        (close.code, close.reason_lossy().into_owned())
    }

    /// Checks the form of a frame that lubdub made: whole, RSV 0, at most 125 bytes, and masked
    /// exactly if it goes to the upstream.
    ///
    /// # Panics
    /// If it has not.
    pub fn assert_well_made(&self, to_upstream: bool) {
        assert!(self.header.fin, "a fragment was injected: {self:?}");
        assert_eq!(self.header.rsv, 0, "{self:?}");
        assert!(self.payload.len() <= 125, "{self:?}");
        assert_eq!(
            self.header.mask.is_some(),
            to_upstream,
            "masked or not: {self:?}"
        );
    }
}

/// As a person would tell of it: `TEXT "hello"`, `CLOSE 1001 ""`.
impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.header.opcode.as_label().to_uppercase())?;
        if self.header.opcode == Opcode::CLOSE {
            let close = Close::parse(&self.payload);
            write!(f, " {:?} {:?}", close.code, close.reason_lossy())?;
        } else if self.payload.len() <= 125 {
            write!(f, " \"{}\"", self.payload.escape_ascii())?;
        } else {
            write!(f, " of {} bytes", self.payload.len())?;
        }
        if !self.header.fin {
            f.write_str(" (more to follow)")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: MaskKey = MaskKey([1, 2, 3, 4]);

    #[test]
    fn what_is_encoded_is_seen() {
        let forms = [
            LengthForm::Minimal,
            LengthForm::Sixteen,
            LengthForm::SixtyFour,
        ];
        for (length, mask) in forms
            .into_iter()
            .flat_map(|form| [(form, None), (form, Some(KEY))])
        {
            for len in [0, 1, 125, 126, 65_535, 65_536] {
                let frame = Frame {
                    length,
                    rsv: 5,
                    ..Frame::binary(vec![7; len]).open()
                };
                let bytes = frame.encode(mask);
                assert_eq!(Seen::decode(&bytes[..bytes.len() - 1]), None);
                let seen = Seen::decode(&bytes).unwrap();
                assert_eq!(
                    (seen.header.mask, seen.header.rsv, seen.header.fin),
                    (mask, 5, false)
                );
                assert_eq!(seen.payload, frame.payload);
                assert_eq!(seen.raw, bytes);
            }
        }
    }

    #[test]
    fn the_minimal_form_is_that_of_the_codec() {
        for len in [0, 125, 126, 65_535, 65_536] {
            let bytes = Frame::binary(vec![7; len]).encode(Some(KEY));
            let (header, header_len) = Header::decode(&bytes).unwrap();
            let mut encoded = [0; Header::MAX_LEN];
            assert_eq!(header.encode(&mut encoded), header_len);
            assert_eq!(bytes[..header_len], encoded[..header_len]);
        }
    }
}
