//! What a frame is: the low four bits of its first byte (RFC 6455 sections 5.2 and 11.8).
//!
//! All sixteen values are kept as they came. A reserved one is relayed like any other.

use std::fmt;

/// The opcode of a frame; any of the sixteen values.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Opcode(u8);

/// The label of each class of opcodes, in the order of [`Opcode::class`].
pub(crate) const CLASS_LABELS: [&str; 7] = [
    "continuation",
    "text",
    "binary",
    "close",
    "ping",
    "pong",
    "other",
];

const CLASS_OF: [u8; 16] = [0, 1, 2, 6, 6, 6, 6, 6, 3, 4, 5, 6, 6, 6, 6, 6];

// === impl Opcode ===

impl Opcode {
    /// A further fragment of the message that is open.
    pub const CONTINUATION: Self = Self(0x0);
    /// The first or only fragment of a text message.
    pub const TEXT: Self = Self(0x1);
    /// The first or only fragment of a binary message.
    pub const BINARY: Self = Self(0x2);
    /// The closing handshake.
    pub const CLOSE: Self = Self(0x8);
    /// A request for a PONG with the same payload.
    pub const PING: Self = Self(0x9);
    /// The answer to a PING, or an unsolicited sign of life.
    pub const PONG: Self = Self(0xa);

    /// The opcode in the low four bits of a frame's first byte; the high four are ignored.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 0x0f)
    }

    /// The four bits, in the low half of the byte.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether the most significant of the four bits is set (RFC 6455 section 5.5).
    #[must_use]
    pub const fn is_control(self) -> bool {
        self.0 >= 0x8
    }

    /// Whether a frame with it carries a message or a part of one: continuation, text or binary.
    #[must_use]
    pub const fn is_data(self) -> bool {
        self.0 <= 0x2
    }

    /// Whether RFC 6455 gives the value no meaning (3 to 7 and 11 to 15).
    #[must_use]
    pub const fn is_reserved(self) -> bool {
        matches!(self.0, 0x3..=0x7 | 0xb..=0xf)
    }

    /// The class of the opcode as a metric label; all reserved values are `other`.
    #[must_use]
    pub const fn as_label(&self) -> &'static str {
        CLASS_LABELS[self.class()]
    }

    /// The index of the opcode's class in [`CLASS_LABELS`].
    pub(crate) const fn class(self) -> usize {
        CLASS_OF[(self.0 & 0x0f) as usize] as usize
    }
}

impl fmt::Debug for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_reserved() {
            write!(f, "reserved {:#x}", self.0)
        } else {
            f.write_str(self.as_label())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_its_label() {
        let labels: Vec<_> = (0..16).map(|bits| Opcode(bits).as_label()).collect();
        let mut expected = ["other"; 16];
        expected[..3].copy_from_slice(&["continuation", "text", "binary"]);
        expected[8..11].copy_from_slice(&["close", "ping", "pong"]);
        assert_eq!(labels, expected);
    }

    #[test]
    fn control_and_reserved_follow_section_5_2() {
        for bits in 0..16 {
            let opcode = Opcode::from_bits(bits | 0xf0);
            assert_eq!(opcode.bits(), bits);
            assert_eq!(opcode.is_control(), bits & 0x8 != 0);
            assert_eq!(opcode.is_reserved(), opcode.as_label() == "other");
            assert_eq!(
                opcode.is_data(),
                !opcode.is_control() && !opcode.is_reserved()
            );
        }
    }
}
