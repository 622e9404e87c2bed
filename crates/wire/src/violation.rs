//! What RFC 6455 forbids in a frame header, by name and clause.
//!
//! The scanner does not ask: an intermediary that refused what both endpoints accept would break
//! them. This is for those who want strictness, a test peer or a probe.

use std::fmt;

use crate::{Header, Opcode};

/// A rule of RFC 6455 that a frame header breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// A reserved bit is set that no negotiated extension gave a meaning.
    ReservedBits,
    /// The opcode is reserved.
    ReservedOpcode,
    /// A control frame without FIN.
    FragmentedControl,
    /// A control frame that announces more than 125 bytes.
    ControlTooLong,
    /// The length would have fitted a shorter form.
    LengthNotMinimal,
    /// A 64-bit length with its most significant bit set.
    LengthTopBit,
    /// A client's frame without a mask.
    Unmasked,
    /// A server's frame with a mask.
    Masked,
    /// A continuation while no message is open.
    ContinuationWithoutStart,
    /// A new message while another one is open.
    MessageInsideMessage,
}

/// What a header alone does not tell about its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// Who sent the frame.
    pub sender: Sender,
    /// Where in its direction's messages the frame stands.
    pub message: Message,
    /// The RSV bits (as in [`Header::rsv`]) that a negotiated extension gave a meaning.
    pub extension_bits: u8,
}

/// The role of the endpoint that sent a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// It must mask.
    Client,
    /// It must not mask.
    Server,
}

/// Whether a fragmented message has begun and not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// The next data frame begins a message.
    Between,
    /// The next data frame continues one.
    Open,
}

// === impl Violation ===

impl Violation {
    /// The first rule that a header of `header_len` encoded bytes breaks, in the order of the
    /// header's fields.
    #[must_use]
    pub fn find(header: &Header, header_len: usize, context: Context) -> Option<Self> {
        let opcode = header.opcode;
        if header.rsv & !context.extension_bits != 0 {
            return Some(Self::ReservedBits);
        }
        if opcode.is_reserved() {
            return Some(Self::ReservedOpcode);
        }
        if opcode.is_control() {
            if !header.fin {
                return Some(Self::FragmentedControl);
            }
            if header.payload_len > 125 {
                return Some(Self::ControlTooLong);
            }
        } else {
            match (context.message, opcode == Opcode::CONTINUATION) {
                (Message::Between, true) => return Some(Self::ContinuationWithoutStart),
                (Message::Open, false) => return Some(Self::MessageInsideMessage),
                (Message::Between, false) | (Message::Open, true) => {}
            }
        }
        match (context.sender, header.mask) {
            (Sender::Client, None) => return Some(Self::Unmasked),
            (Sender::Server, Some(_)) => return Some(Self::Masked),
            (Sender::Client, Some(_)) | (Sender::Server, None) => {}
        }
        if header.payload_len > u64::MAX / 2 {
            return Some(Self::LengthTopBit);
        }
        let minimal = header.encode(&mut [0; Header::MAX_LEN]);
        (header_len > minimal).then_some(Self::LengthNotMinimal)
    }

    /// The section of RFC 6455 that holds the rule.
    #[must_use]
    pub const fn section(self) -> &'static str {
        match self {
            Self::ReservedBits
            | Self::ReservedOpcode
            | Self::LengthNotMinimal
            | Self::LengthTopBit => "5.2",
            Self::FragmentedControl | Self::ControlTooLong => "5.5",
            Self::Unmasked | Self::Masked => "5.1",
            Self::ContinuationWithoutStart | Self::MessageInsideMessage => "5.4",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = match self {
            Self::ReservedBits => "a reserved bit is set without an extension",
            Self::ReservedOpcode => "the opcode is reserved",
            Self::FragmentedControl => "a control frame is fragmented",
            Self::ControlTooLong => "a control frame has more than 125 bytes of payload",
            Self::LengthNotMinimal => "the payload length is not in its shortest form",
            Self::LengthTopBit => "the top bit of the 64-bit payload length is set",
            Self::Unmasked => "a client's frame is not masked",
            Self::Masked => "a server's frame is masked",
            Self::ContinuationWithoutStart => "a continuation without a message to continue",
            Self::MessageInsideMessage => "a message begins inside a fragmented one",
        };
        write!(f, "{rule} (RFC 6455 section {})", self.section())
    }
}

impl std::error::Error for Violation {}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: Context = Context {
        sender: Sender::Server,
        message: Message::Between,
        extension_bits: 0,
    };
    const CLIENT: Context = Context {
        sender: Sender::Client,
        ..SERVER
    };
    const SERVER_OPEN: Context = Context {
        message: Message::Open,
        ..SERVER
    };
    const SERVER_DEFLATE: Context = Context {
        extension_bits: 0b100,
        ..SERVER
    };

    fn find(bytes: &[u8], context: Context) -> Option<Violation> {
        let (header, header_len) = Header::decode(bytes).expect("a whole header");
        Violation::find(&header, header_len, context)
    }

    #[test]
    fn names_each_rule() {
        use Violation as V;
        let table: [(&[u8], Context, V); 14] = [
            (&[0xc1, 0x00], SERVER, V::ReservedBits),
            (&[0xe1, 0x00], SERVER_DEFLATE, V::ReservedBits),
            (&[0x83, 0x00], SERVER, V::ReservedOpcode),
            (&[0x8b, 0x00], SERVER, V::ReservedOpcode),
            (&[0x09, 0x00], SERVER, V::FragmentedControl),
            (&[0x88, 126, 0, 126], SERVER, V::ControlTooLong),
            (&[0x82, 126, 0, 125], SERVER, V::LengthNotMinimal),
            (
                &[0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
                SERVER,
                V::LengthNotMinimal,
            ),
            (
                &[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0],
                SERVER,
                V::LengthTopBit,
            ),
            (&[0x81, 0x00], CLIENT, V::Unmasked),
            (&[0x81, 0x80, 0, 0, 0, 0], SERVER, V::Masked),
            (&[0x80, 0x00], SERVER, V::ContinuationWithoutStart),
            (&[0x81, 0x00], SERVER_OPEN, V::MessageInsideMessage),
            (&[0x02, 0x00], SERVER_OPEN, V::MessageInsideMessage),
        ];
        for (bytes, context, violation) in table {
            assert_eq!(find(bytes, context), Some(violation), "{bytes:02x?}");
        }
    }

    #[test]
    fn finds_nothing_in_lawful_headers() {
        let table: [(&[u8], Context); 8] = [
            (&[0x81, 0x7d], SERVER),
            (&[0x01, 0x85, 1, 2, 3, 4], CLIENT),
            (&[0xc1, 0x05], SERVER_DEFLATE),
            (&[0x80, 0x05], SERVER_OPEN),
            (&[0x89, 0x7d], SERVER_OPEN),
            (&[0x82, 126, 0, 126], SERVER),
            (&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0], SERVER),
            (&[0x82, 127, 0x7f, 0xff, 0, 0, 0, 0, 0, 0], SERVER),
        ];
        for (bytes, context) in table {
            assert_eq!(find(bytes, context), None, "{bytes:02x?}");
        }
    }

    #[test]
    fn says_where_the_rule_is() {
        assert_eq!(
            Violation::Masked.to_string(),
            "a server's frame is masked (RFC 6455 section 5.1)"
        );
    }
}
