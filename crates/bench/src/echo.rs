//! The echo: turns the bytes of a client into the bytes of the answer, in place and as they come.
//! Not an endpoint in full: nothing is validated, and a message is never held until it is whole.
//!
//! Data frames go back as they are but for the mask (RFC 6455 section 5.1), PINGs as PONGs
//! (section 5.5.2), a Close as a Close (section 5.5.1); PONGs go nowhere.

use std::ops::Range;

use lubdub_wire::{Header, MaskKey, Opcode};

/// How many bytes must be free ahead of the bytes that are turned around.
pub(crate) const HEADROOM: usize = Header::MAX_LEN;

/// The state of one connection's echo between two reads.
#[derive(Debug, Default)]
pub(crate) struct Echo {
    /// The beginning of a header whose rest has not come.
    residue: [u8; Header::MAX_LEN],
    residue_len: usize,
    frame: Option<Frame>,
    closing: Closing,
    seen: Seen,
}

/// What came since the last look.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Frames with data.
    pub data: u64,
    /// PINGs, all of which are answered.
    pub pings: u64,
}

/// Whether the client is still speaking.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closing {
    /// It is.
    #[default]
    No,
    /// Its Close has begun; what follows it is thrown away (RFC 6455 section 5.5.1).
    Begun,
    /// Its Close was turned around.
    Done,
}

/// The frame whose payload is passing.
#[derive(Debug)]
struct Frame {
    mask: MaskKey,
    passed: u64,
    len: u64,
    fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Returned,
    Dropped,
}

// === impl Echo ===

impl Echo {
    /// Turns what stands in `buffer[HEADROOM..end]` around; the answer is at the returned place.
    pub(crate) fn turn(&mut self, buffer: &mut [u8], end: usize) -> Range<usize> {
        let mut at = HEADROOM - self.residue_len;
        buffer[at..HEADROOM].copy_from_slice(&self.residue[..self.residue_len]);
        self.residue_len = 0;

        // What is written never overtakes what is read: an answer's header has no mask key, and a
        // first header starts with at least its own length behind `at`.
        let mut written = at;
        let mut start = None;
        while at < end && self.closing != Closing::Done {
            if self.frame.is_none() {
                let Some((header, len)) = Header::decode(&buffer[at..end]) else {
                    self.residue_len = end - at;
                    self.residue[..self.residue_len].copy_from_slice(&buffer[at..end]);
                    break;
                };
                at += len;
                let fate = self.begin(&header);
                if fate == Fate::Returned {
                    let mut answer = [0; Header::MAX_LEN];
                    let answer_len = answer_header(header).encode(&mut answer);
                    if start.is_none() {
                        // Right before its payload, which then can stay where it is.
                        written = at - answer_len;
                        start = Some(written);
                    }
                    buffer[written..written + answer_len].copy_from_slice(&answer[..answer_len]);
                    written += answer_len;
                }
            }
            if let Some(frame) = &mut self.frame {
                let left = frame.len - frame.passed;
                let len = usize::try_from(left).map_or(end - at, |left| left.min(end - at));
                if frame.fate == Fate::Returned {
                    if start.is_none() {
                        start = Some(at);
                        written = at;
                    }
                    frame.mask.apply(frame.passed, &mut buffer[at..at + len]);
                    if written != at {
                        buffer.copy_within(at..at + len, written);
                    }
                    written += len;
                }
                at += len;
                frame.passed += len as u64;
                if frame.passed == frame.len {
                    self.frame = None;
                    if self.closing == Closing::Begun {
                        self.closing = Closing::Done;
                    }
                }
            }
        }
        start.unwrap_or(written)..written
    }

    /// Whether the client is still speaking.
    pub(crate) fn closing(&self) -> Closing {
        self.closing
    }

    /// What came since the last call.
    pub(crate) fn take_seen(&mut self) -> Seen {
        std::mem::take(&mut self.seen)
    }

    /// Takes note of a frame, and says what becomes of it.
    fn begin(&mut self, header: &Header) -> Fate {
        let fate = match header.opcode {
            Opcode::PONG => Fate::Dropped,
            Opcode::PING => {
                self.seen.pings += 1;
                Fate::Returned
            }
            Opcode::CLOSE => {
                self.closing = Closing::Begun;
                Fate::Returned
            }
            _ => {
                self.seen.data += 1;
                Fate::Returned
            }
        };
        self.frame = Some(Frame {
            mask: header.mask.unwrap_or(MaskKey([0; 4])),
            passed: 0,
            len: header.payload_len,
            fate,
        });
        fate
    }
}

/// The header of the answer to a frame.
fn answer_header(asked: Header) -> Header {
    Header {
        opcode: match asked.opcode {
            Opcode::PING => Opcode::PONG,
            same => same,
        },
        mask: None,
        ..asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: MaskKey = MaskKey([1, 2, 3, 4]);

    fn frame(opcode: Opcode, mask: Option<MaskKey>, payload: &[u8]) -> Vec<u8> {
        let header = Header {
            fin: true,
            rsv: 0,
            opcode,
            mask,
            payload_len: payload.len() as u64,
        };
        let mut encoded = [0; Header::MAX_LEN];
        let len = header.encode(&mut encoded);
        let mut bytes = encoded[..len].to_vec();
        bytes.extend_from_slice(payload);
        if let Some(key) = mask {
            key.apply(0, &mut bytes[len..]);
        }
        bytes
    }

    /// The answer to `bytes` when they come in chunks of `size`.
    fn answer(bytes: &[u8], size: usize) -> (Vec<u8>, Echo) {
        let mut echo = Echo::default();
        let mut out = Vec::new();
        let mut buffer = vec![0xee; HEADROOM + size];
        for chunk in bytes.chunks(size) {
            buffer[HEADROOM..][..chunk.len()].copy_from_slice(chunk);
            let range = echo.turn(&mut buffer, HEADROOM + chunk.len());
            out.extend_from_slice(&buffer[range]);
        }
        (out, echo)
    }

    #[test]
    fn every_kind_of_frame_is_answered_however_it_is_cut() {
        let long = vec![7; 300];
        let longer = vec![9; 66_000];
        let mut asked = Vec::new();
        let mut expected = Vec::new();
        for (opcode, payload, back) in [
            (Opcode::TEXT, &b"hello"[..], Some(Opcode::TEXT)),
            (Opcode::PONG, b"nobody asked", None),
            (Opcode::PING, b"are you there", Some(Opcode::PONG)),
            (Opcode::BINARY, b"", Some(Opcode::BINARY)),
            (Opcode::BINARY, &long, Some(Opcode::BINARY)),
            (Opcode::PING, b"", Some(Opcode::PONG)),
            (Opcode::BINARY, &longer, Some(Opcode::BINARY)),
            (Opcode::CLOSE, &[0x03, 0xe8], Some(Opcode::CLOSE)),
        ] {
            asked.extend(frame(opcode, Some(KEY), payload));
            if let Some(opcode) = back {
                expected.extend(frame(opcode, None, payload));
            }
        }
        for size in (1..64).chain([128, 1000, 4096, asked.len()]) {
            let (out, mut echo) = answer(&asked, size);
            assert!(out == expected, "in chunks of {size}");
            assert_eq!(echo.closing(), Closing::Done);
            assert_eq!(echo.take_seen(), Seen { data: 4, pings: 2 });
            assert_eq!(echo.take_seen(), Seen::default());
        }
    }

    #[test]
    fn nothing_behind_a_close_is_answered() {
        let mut asked = frame(Opcode::CLOSE, Some(KEY), b"");
        let expected = frame(Opcode::CLOSE, None, b"");
        asked.extend(frame(Opcode::TEXT, Some(KEY), b"late"));
        for size in 1..=asked.len() {
            assert_eq!(answer(&asked, size).0, expected, "in chunks of {size}");
        }
    }
}
