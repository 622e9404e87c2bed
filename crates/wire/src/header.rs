//! The frame header (RFC 6455 section 5.2).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-------+-+-------------+-------------------------------+
//! |F|R|R|R| opcode|M| Payload len |    Extended payload length    |
//! |I|S|S|S|  (4)  |A|     (7)     |           (16/64)             |
//! |N|V|V|V|       |S|             |  (if payload len is 126/127)  |
//! ```
//!
//! Not a judge: every header decodes. What of it RFC 6455 forbids, [`Violation`](crate::Violation)
//! tells.

use crate::{MaskKey, Opcode};

/// What a frame's first two to fourteen bytes say.
///
/// The length form is not kept: an intermediary forwards the bytes, not the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Whether this is the final fragment of a message.
    pub fin: bool,
    /// The three reserved bits, RSV1 the most significant: 0 to 7.
    pub rsv: u8,
    /// What the frame is.
    pub opcode: Opcode,
    /// The masking key, if the payload is masked.
    pub mask: Option<MaskKey>,
    /// The announced length of the payload, any value.
    pub payload_len: u64,
}

/// The value of the seven length bits that announces a 16-bit length.
const LEN_16: u8 = 126;
/// The value of the seven length bits that announces a 64-bit length.
const LEN_64: u8 = 127;

// === impl Header ===

impl Header {
    /// The length of the longest header: two bytes, a 64-bit length and a masking key.
    pub const MAX_LEN: usize = 14;

    /// The header that `bytes` begin with, and its length. `None`: more bytes are needed.
    ///
    /// Never rejects: any two bytes begin a header that can be relayed.
    #[inline]
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<(Self, usize)> {
        let (&[first, second], rest) = bytes.split_first_chunk()?;
        let (payload_len, rest) = match second & 0x7f {
            LEN_16 => {
                let (len, rest) = rest.split_first_chunk()?;
                (u64::from(u16::from_be_bytes(*len)), rest)
            }
            LEN_64 => {
                let (len, rest) = rest.split_first_chunk()?;
                (u64::from_be_bytes(*len), rest)
            }
            len => (u64::from(len), rest),
        };
        let (mask, rest) = if second & 0x80 == 0 {
            (None, rest)
        } else {
            let (key, rest) = rest.split_first_chunk()?;
            (Some(MaskKey(*key)), rest)
        };
        let header = Self {
            fin: first & 0x80 != 0,
            rsv: (first >> 4) & 0b111,
            opcode: Opcode::from_bits(first),
            mask,
            payload_len,
        };
        Some((header, bytes.len() - rest.len()))
    }

    /// Writes the header with the length in its minimal form, and returns how many bytes it took.
    pub fn encode(&self, out: &mut [u8; Self::MAX_LEN]) -> usize {
        out[0] = u8::from(self.fin) << 7 | (self.rsv & 0b111) << 4 | self.opcode.bits();
        let mut end = 2;
        let len = match self.payload_len {
            len @ 0..=125 => len as u8,
            len @ 126..=0xffff => {
                out[2..4].copy_from_slice(&(len as u16).to_be_bytes());
                end = 4;
                LEN_16
            }
            len => {
                out[2..10].copy_from_slice(&len.to_be_bytes());
                end = 10;
                LEN_64
            }
        };
        out[1] = u8::from(self.mask.is_some()) << 7 | len;
        if let Some(MaskKey(key)) = self.mask {
            out[end..end + 4].copy_from_slice(&key);
            end += 4;
        }
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: MaskKey = MaskKey([0x37, 0xfa, 0x21, 0x3d]);

    fn frame(fin: bool, opcode: Opcode, mask: Option<MaskKey>, payload_len: u64) -> Header {
        Header {
            fin,
            rsv: 0,
            opcode,
            mask,
            payload_len,
        }
    }

    #[test]
    fn decodes_and_encodes_the_examples_of_section_5_7() {
        let examples: [(&[u8], Header); 8] = [
            (&[0x81, 0x05], frame(true, Opcode::TEXT, None, 5)),
            (
                &[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d],
                frame(true, Opcode::TEXT, Some(KEY), 5),
            ),
            (&[0x01, 0x03], frame(false, Opcode::TEXT, None, 3)),
            (&[0x80, 0x02], frame(true, Opcode::CONTINUATION, None, 2)),
            (&[0x89, 0x05], frame(true, Opcode::PING, None, 5)),
            (
                &[0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d],
                frame(true, Opcode::PONG, Some(KEY), 5),
            ),
            (
                &[0x82, 0x7e, 0x01, 0x00],
                frame(true, Opcode::BINARY, None, 256),
            ),
            (
                &[0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0],
                frame(true, Opcode::BINARY, None, 65536),
            ),
        ];
        for (bytes, header) in examples {
            assert_eq!(Header::decode(bytes), Some((header, bytes.len())));
            let mut out = [0; Header::MAX_LEN];
            let len = header.encode(&mut out);
            assert_eq!(&out[..len], bytes);
        }
    }

    #[test]
    fn waits_for_every_byte_of_every_form() {
        let forms: [(u8, &[u8], u64); 9] = [
            (0, &[], 0),
            (125, &[], 125),
            (126, &[0, 0], 0),
            (126, &[0, 126], 126),
            (126, &[0xff, 0xff], 0xffff),
            (127, &[0; 8], 0),
            (127, &[0, 0, 0, 0, 0, 1, 0, 0], 65536),
            (127, &[0x80, 0, 0, 0, 0, 0, 0, 0], 1 << 63),
            (127, &[0xff; 8], u64::MAX),
        ];
        for (len, extended, payload_len) in forms {
            for mask in [None, Some(KEY)] {
                let mut bytes = vec![0x82, len | u8::from(mask.is_some()) << 7];
                bytes.extend_from_slice(extended);
                bytes.extend(mask.iter().flat_map(|key| key.0));
                let whole = bytes.len();
                let header = frame(true, Opcode::BINARY, mask, payload_len);

                for cut in 0..whole {
                    assert_eq!(Header::decode(&bytes[..cut]), None, "{cut} of {bytes:02x?}");
                }
                assert_eq!(Header::decode(&bytes), Some((header, whole)));
                bytes.extend_from_slice(b"what follows is not looked at");
                assert_eq!(Header::decode(&bytes), Some((header, whole)));
            }
        }
    }

    #[test]
    fn any_two_bytes_begin_a_header() {
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                let mut bytes = [0; Header::MAX_LEN];
                bytes[..2].copy_from_slice(&[first, second]);
                let (header, _) = Header::decode(&bytes).unwrap();
                assert_eq!(
                    u8::from(header.fin) << 7 | header.rsv << 4 | header.opcode.bits(),
                    first
                );
                assert_eq!(header.mask.is_some(), second >= 0x80);
            }
        }
    }

    #[test]
    fn encodes_the_shortest_length_form() {
        for (payload_len, header_len) in [
            (0, 2),
            (125, 2),
            (126, 4),
            (0xffff, 4),
            (0x1_0000, 10),
            (u64::MAX, 10),
        ] {
            for (mask, key_len) in [(None, 0), (Some(KEY), 4)] {
                let header = Header {
                    rsv: 0b101,
                    ..frame(false, Opcode::from_bits(0xd), mask, payload_len)
                };
                let mut out = [0; Header::MAX_LEN];
                let len = header.encode(&mut out);
                assert_eq!(len, header_len + key_len);
                assert_eq!(Header::decode(&out[..len]), Some((header, len)));
            }
        }
    }
}
