//! The messages of one run: every message is the same binary frame but for its sequence number, so
//! that sending one is a patch of eight bytes and checking its echo is a comparison.
//!
//! The mask key is fixed: fresh keys protect browsers' neighbours (RFC 6455 section 10.3), and
//! there are none here.

use lubdub_wire::{Header, MaskKey, Opcode};

/// The key of every masked frame that the load generator sends.
pub(crate) const MASK: MaskKey = MaskKey([0x37, 0xfa, 0x21, 0x3d]);
/// How many bytes of the payload carry the sequence number, where it is that long.
const NUMBER_LEN: usize = 8;

/// The message of a run, to be sent any number of times.
#[derive(Debug)]
pub(crate) struct Message {
    /// The masked frame, header and all, as last stamped.
    frame: Vec<u8>,
    header_len: usize,
    /// The payload without mask; its number is never written here.
    payload: Vec<u8>,
}

// === impl Message ===

impl Message {
    /// A message of `len` bytes of payload.
    pub(crate) fn new(len: usize) -> Self {
        // A period of 251, a prime: a shifted or a lost chunk does not look like the right one.
        let payload: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
        let mut frame = vec![0; Header::MAX_LEN];
        let header = Header {
            fin: true,
            rsv: 0,
            opcode: Opcode::BINARY,
            mask: Some(MASK),
            payload_len: len as u64,
        };
        let mut encoded = [0; Header::MAX_LEN];
        let header_len = header.encode(&mut encoded);
        frame.splice(.., encoded[..header_len].iter().copied());
        frame.extend_from_slice(&payload);
        MASK.apply(0, &mut frame[header_len..]);
        Self {
            frame,
            header_len,
            payload,
        }
    }

    /// The length of the payload.
    pub(crate) fn len(&self) -> u64 {
        self.payload.len() as u64
    }

    /// The masked frame of message `number`.
    pub(crate) fn frame(&mut self, number: u64) -> &[u8] {
        let mut bytes = number.to_le_bytes();
        MASK.apply(0, &mut bytes);
        let len = self.numbered();
        self.frame[self.header_len..][..len].copy_from_slice(&bytes[..len]);
        &self.frame
    }

    /// Whether `bytes` are the payload of message `number` from `offset` on.
    pub(crate) fn is_echo(&self, number: u64, offset: u64, bytes: &[u8]) -> bool {
        let offset = offset as usize;
        let Some(expected) = self.payload.get(offset..offset + bytes.len()) else {
            return false;
        };
        let in_number = self.numbered().saturating_sub(offset).min(bytes.len());
        let number = number.to_le_bytes();
        let number_part = number.get(offset..offset + in_number).unwrap_or(&[]);
        bytes[..in_number] == *number_part && bytes[in_number..] == expected[in_number..]
    }

    /// How many bytes carry the number.
    fn numbered(&self) -> usize {
        self.payload.len().min(NUMBER_LEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The payload of a masked frame.
    fn unmasked(frame: &[u8]) -> Vec<u8> {
        let (header, len) = Header::decode(frame).unwrap();
        let mut payload = frame[len..].to_vec();
        assert_eq!(header.payload_len, payload.len() as u64);
        header.mask.unwrap().apply(0, &mut payload);
        payload
    }

    #[test]
    fn what_is_sent_is_what_its_echo_is_compared_with() {
        for len in [0, 1, 7, 8, 9, 125, 126, 70_000] {
            let mut message = Message::new(len);
            for number in [0, 1, 255, u64::MAX] {
                let payload = unmasked(message.frame(number));
                for cut in (0..=len).take(20) {
                    assert!(message.is_echo(number, 0, &payload[..cut]), "{len} {cut}");
                    assert!(message.is_echo(number, cut as u64, &payload[cut..]));
                }
            }
        }
    }

    #[test]
    fn another_number_another_place_and_a_flipped_bit_are_told_apart() {
        let mut message = Message::new(125);
        let mut payload = unmasked(message.frame(7));
        assert!(!message.is_echo(8, 0, &payload));
        assert!(!message.is_echo(7, 1, &payload[..100]));
        assert!(!message.is_echo(7, 1, &payload));
        payload[124] ^= 1;
        assert!(!message.is_echo(7, 0, &payload));
        assert!(message.is_echo(7, 0, &payload[..124]));
    }
}
