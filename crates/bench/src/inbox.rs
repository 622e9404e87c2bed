//! What a client of the bench hears: echoes, which are checked byte by byte as they come; PINGs,
//! which are answered; a Close. Anything else ends the run: the backend sends nothing else, so
//! what does come was broken on the way.

use std::fmt;

use lubdub_wire::{ControlFrame, Header, Opcode, Payload};

use crate::message::{MASK, Message};

/// How many bytes must be free ahead of the bytes that are read.
pub(crate) const HEADROOM: usize = ControlFrame::MAX_LEN;

/// The state of one connection's inbox between two reads.
#[derive(Debug)]
pub(crate) struct Inbox {
    /// The beginning of a header or of a control frame whose rest has not come.
    residue: [u8; HEADROOM],
    residue_len: usize,
    /// How much of the echo that is coming has come.
    passed: Option<u64>,
    /// How many echoes have come whole, which is the number of the next.
    echoes: u64,
    pings: u64,
    closed: bool,
}

/// What came is not what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadEcho {
    /// A frame that nobody sent.
    Frame(Header),
    /// The payload of this echo differs from the message's.
    Payload {
        /// The echo's number.
        number: u64,
    },
    /// A frame behind a Close.
    AfterClose,
}

// === impl Inbox ===

impl Inbox {
    /// An inbox to which nothing has come.
    pub(crate) fn new() -> Self {
        Self {
            residue: [0; HEADROOM],
            residue_len: 0,
            passed: None,
            echoes: 0,
            pings: 0,
            closed: false,
        }
    }

    /// How many echoes have come whole.
    pub(crate) fn echoes(&self) -> u64 {
        self.echoes
    }

    /// How many PINGs have come.
    pub(crate) fn pings(&self) -> u64 {
        self.pings
    }

    /// Whether a Close has come.
    pub(crate) fn closed(&self) -> bool {
        self.closed
    }

    /// Takes in `buffer[HEADROOM..end]`; answers to PINGs are added to `answers`.
    pub(crate) fn take(
        &mut self,
        buffer: &mut [u8],
        end: usize,
        message: &Message,
        answers: &mut Vec<u8>,
    ) -> Result<(), BadEcho> {
        let start = HEADROOM - self.residue_len;
        buffer[start..HEADROOM].copy_from_slice(&self.residue[..self.residue_len]);
        self.residue_len = 0;

        let mut rest = &buffer[start..end];
        while !rest.is_empty() {
            if let Some(passed) = self.passed {
                let left = message.len() - passed;
                let len = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
                let (part, behind) = rest.split_at(len);
                if !message.is_echo(self.echoes, passed, part) {
                    return Err(BadEcho::Payload {
                        number: self.echoes,
                    });
                }
                rest = behind;
                self.on_passed(passed + len as u64, message);
                continue;
            }
            if self.closed {
                return Err(BadEcho::AfterClose);
            }
            let Some((header, header_len)) = Header::decode(rest) else {
                self.keep(rest);
                break;
            };
            if header.opcode == Opcode::BINARY {
                if !header.fin || header.mask.is_some() || header.payload_len != message.len() {
                    return Err(BadEcho::Frame(header));
                }
                rest = &rest[header_len..];
                self.on_passed(0, message);
                continue;
            }
            if header.mask.is_some() || header.payload_len > Payload::MAX_LEN as u64 {
                return Err(BadEcho::Frame(header));
            }
            let frame_len = header_len + header.payload_len as usize;
            let Some((frame, behind)) = rest.split_at_checked(frame_len) else {
                self.keep(rest);
                break;
            };
            rest = behind;
            match header.opcode {
                Opcode::PING => {
                    self.pings += 1;
                    // RFC 6455 section 5.5.3: with the same payload.
                    let payload = Payload::try_from(&frame[header_len..])
                        .expect("the frame's length was checked above");
                    answers.extend_from_slice(ControlFrame::pong(&payload, Some(MASK)).raw());
                }
                Opcode::CLOSE => self.closed = true,
                _ => return Err(BadEcho::Frame(header)),
            }
        }
        Ok(())
    }

    /// The echo that is coming has come as far as `passed`.
    fn on_passed(&mut self, passed: u64, message: &Message) {
        if passed == message.len() {
            self.echoes += 1;
            self.passed = None;
        } else {
            self.passed = Some(passed);
        }
    }

    fn keep(&mut self, residue: &[u8]) {
        self.residue_len = residue.len();
        self.residue[..residue.len()].copy_from_slice(residue);
    }
}

// === impl BadEcho ===

impl fmt::Display for BadEcho {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(header) => write!(f, "a frame came that nobody sent: {header:?}"),
            Self::Payload { number } => write!(f, "echo {number} differs from what was sent"),
            Self::AfterClose => f.write_str("a frame came behind a Close"),
        }
    }
}

impl std::error::Error for BadEcho {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The frames of a server, one after the other.
    fn server(frames: &[(Opcode, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (opcode, payload) in frames {
            let header = Header {
                fin: true,
                rsv: 0,
                opcode: *opcode,
                mask: None,
                payload_len: payload.len() as u64,
            };
            let mut encoded = [0; Header::MAX_LEN];
            let len = header.encode(&mut encoded);
            bytes.extend_from_slice(&encoded[..len]);
            bytes.extend_from_slice(payload);
        }
        bytes
    }

    /// The payload of echo `number`.
    fn echo(message: &mut Message, number: u64) -> Vec<u8> {
        let frame = message.frame(number);
        let (header, len) = Header::decode(frame).unwrap();
        let mut payload = frame[len..].to_vec();
        header.mask.unwrap().apply(0, &mut payload);
        payload
    }

    fn take_in_chunks(
        inbox: &mut Inbox,
        bytes: &[u8],
        size: usize,
        message: &Message,
    ) -> Result<Vec<u8>, BadEcho> {
        let mut answers = Vec::new();
        let mut buffer = vec![0xee; HEADROOM + size];
        for chunk in bytes.chunks(size) {
            buffer[HEADROOM..][..chunk.len()].copy_from_slice(chunk);
            inbox.take(&mut buffer, HEADROOM + chunk.len(), message, &mut answers)?;
        }
        Ok(answers)
    }

    #[test]
    fn echoes_are_checked_and_pings_answered_however_they_are_cut() {
        for len in [0, 5, 125, 300] {
            let mut message = Message::new(len);
            let bytes = server(&[
                (Opcode::BINARY, &echo(&mut message, 0)),
                (Opcode::PING, b"beat"),
                (Opcode::BINARY, &echo(&mut message, 1)),
                (Opcode::PING, &[5; 125]),
                (Opcode::BINARY, &echo(&mut message, 2)),
                (Opcode::CLOSE, &[0x03, 0xe8]),
            ]);
            let pongs: Vec<u8> = [&b"beat"[..], &[5; 125]]
                .into_iter()
                .flat_map(|payload| {
                    let payload = Payload::try_from(payload).unwrap();
                    ControlFrame::pong(&payload, Some(MASK)).raw().to_vec()
                })
                .collect();
            for size in 1..=bytes.len() {
                let mut inbox = Inbox::new();
                let answers = take_in_chunks(&mut inbox, &bytes, size, &message).unwrap();
                assert_eq!((inbox.echoes(), inbox.pings()), (3, 2));
                assert!(inbox.closed());
                assert_eq!(answers, pongs, "in chunks of {size}");
            }
        }
    }

    #[test]
    fn what_nobody_sent_is_refused() {
        let mut message = Message::new(20);
        let good = echo(&mut message, 0);
        let mut flipped = good.clone();
        flipped[19] ^= 0x80;
        let refused = |frames: &[(Opcode, &[u8])]| {
            take_in_chunks(&mut Inbox::new(), &server(frames), 7, &message).unwrap_err()
        };
        assert_eq!(
            refused(&[(Opcode::BINARY, &flipped)]),
            BadEcho::Payload { number: 0 }
        );
        assert_eq!(
            refused(&[(Opcode::BINARY, &good), (Opcode::BINARY, &good)]),
            BadEcho::Payload { number: 1 },
            "the same echo twice"
        );
        assert!(matches!(
            refused(&[(Opcode::BINARY, &good[1..])]),
            BadEcho::Frame(_)
        ));
        assert!(matches!(refused(&[(Opcode::PONG, b"")]), BadEcho::Frame(_)));
        assert_eq!(
            refused(&[(Opcode::CLOSE, b""), (Opcode::BINARY, &good)]),
            BadEcho::AfterClose
        );
    }
}
