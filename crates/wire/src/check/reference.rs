//! A second reading of RFC 6455 section 5.2, to compare with: naive, of a whole stream, and of no
//! use of the code that it checks.

use crate::Stop;

/// One frame of a stream, as far as it is there.
#[derive(Debug)]
pub(super) struct Frame {
    /// Where it begins.
    pub(super) start: usize,
    /// Where its payload begins.
    pub(super) body: usize,
    /// Where it ends, if the stream holds all of it.
    pub(super) end: Option<usize>,
    pub(super) fin: bool,
    pub(super) rsv: u8,
    pub(super) opcode: u8,
    pub(super) key: Option<[u8; 4]>,
    pub(super) len: u64,
}

/// The frames of a stream.
#[derive(Debug)]
pub(super) struct Stream {
    /// Those with a whole header, up to the first that is refused.
    frames: Vec<Frame>,
    /// The first one that announces more than the limit.
    pub(super) refused: Option<Frame>,
    /// Where the next frame begins, if all of `frames` are whole.
    tail: Option<usize>,
}

// === impl Frame ===

impl Frame {
    /// The frame that begins at `start`, if its header is there.
    pub(super) fn read(stream: &[u8], start: usize) -> Option<Self> {
        let byte = |at: usize| stream.get(start + at).copied();
        let (first, second) = (byte(0)?, byte(1)?);
        let extended = match second % 128 {
            127 => 8,
            126 => 2,
            _ => 0,
        };
        let mut len = if extended == 0 {
            u64::from(second % 128)
        } else {
            0
        };
        for at in 2..2 + extended {
            len = len << 8 | u64::from(byte(at)?);
        }
        let mut header_len = 2 + extended;
        let key = if second >= 128 {
            header_len += 4;
            Some([
                byte(header_len - 4)?,
                byte(header_len - 3)?,
                byte(header_len - 2)?,
                byte(header_len - 1)?,
            ])
        } else {
            None
        };
        let body = start + header_len;
        let end = body as u128 + u128::from(len);
        Some(Self {
            start,
            body,
            end: (end <= stream.len() as u128).then_some(end as usize),
            fin: first / 128 == 1,
            rsv: first / 16 % 8,
            opcode: first % 16,
            key,
            len,
        })
    }

    /// The payload of a whole frame, unmasked byte by byte.
    pub(super) fn payload(&self, stream: &[u8]) -> Vec<u8> {
        let end = self.end.expect("the frame is whole");
        let mut payload = stream[self.body..end].to_vec();
        if let Some(key) = self.key {
            for (i, byte) in payload.iter_mut().enumerate() {
                *byte ^= key[i % 4];
            }
        }
        payload
    }

    fn is_short_control(&self) -> bool {
        (8..=10).contains(&self.opcode) && self.len <= 125
    }

    fn is_short_pong(&self) -> bool {
        self.opcode == 10 && self.is_short_control()
    }
}

// === impl Stream ===

impl Stream {
    pub(super) fn read(stream: &[u8], limit: Option<u64>) -> Self {
        let mut read = Self {
            frames: Vec::new(),
            refused: None,
            tail: None,
        };
        let mut start = 0;
        while let Some(frame) = Frame::read(stream, start) {
            if limit.is_some_and(|limit| frame.len > limit) {
                read.refused = Some(frame);
                break;
            }
            let end = frame.end;
            read.frames.push(frame);
            match end {
                Some(end) => start = end,
                None => return read,
            }
        }
        read.tail = Some(start);
        read
    }

    /// The short control frames that are whole, in order.
    pub(super) fn whole_controls(&self) -> impl Iterator<Item = &Frame> {
        let whole = self.frames.iter().filter(|frame| frame.end.is_some());
        whole.filter(|frame| frame.is_short_control())
    }

    /// Whether `at` is a boundary of the kind that `stop` asks for.
    pub(super) fn is_boundary(&self, at: usize, stop: Stop) -> bool {
        if stop == Stop::Never {
            return false;
        }
        let between_frames =
            self.tail == Some(at) || self.frames.iter().any(|frame| frame.start == at);
        let last_data = (self.frames.iter()).rfind(|frame| frame.start < at && frame.opcode < 8);
        let between_messages = last_data.is_none_or(|frame| frame.fin);
        let begun = (self.frames.iter())
            .filter(|frame| frame.start < at && matches!(frame.opcode, 1 | 2))
            .count() as u64;
        between_frames
            && match stop {
                Stop::Never => false,
                Stop::AtMessageBoundary => between_messages,
                Stop::AtFrameBoundary => true,
                Stop::BehindMessages(n) => begun > n || (begun == n && between_messages),
            }
    }

    /// Whether such a boundary lies strictly between two places.
    pub(super) fn has_boundary_between(&self, from: usize, to: usize, stop: Stop) -> bool {
        if stop == Stop::Never {
            return false;
        }
        let starts = self.frames.iter().map(|frame| frame.start);
        (starts.chain(self.tail))
            .filter(|&at| from < at && at < to)
            .any(|at| self.is_boundary(at, stop))
    }

    /// How much is to come of the frame, other than a short control frame, that ends behind `at`.
    pub(super) fn left(&self, at: usize) -> u64 {
        let within = (self.frames.iter())
            .find(|frame| frame.start < at && frame.end.is_none_or(|end| at < end))
            .filter(|frame| !frame.is_short_control());
        within.map_or(0, |frame| frame.len - (at - frame.body) as u64)
    }

    /// How much of the first `given` bytes can be forwarded.
    pub(super) fn forwardable(&self, given: usize) -> usize {
        let cut_off = (self.frames.iter())
            .find(|frame| frame.start < given && frame.end.is_none_or(|end| given < end));
        match cut_off {
            Some(frame) if given < frame.body || frame.is_short_pong() => frame.start,
            Some(_) => given,
            None => self.tail.map_or(given, |tail| tail.min(given)),
        }
    }

    /// The frames of each class within the first `given` bytes: continuation, text, binary, close,
    /// ping, pong, other.
    pub(super) fn counts(&self, given: usize) -> [u64; 7] {
        let mut counts = [0; 7];
        for frame in &self.frames {
            let counted_at = if frame.is_short_pong() {
                frame.end
            } else {
                Some(frame.body)
            };
            if counted_at.is_some_and(|at| at <= given) {
                let class = match frame.opcode {
                    opcode @ 0..=2 => opcode,
                    opcode @ 8..=10 => opcode - 5,
                    _ => 6,
                };
                counts[usize::from(class)] += 1;
            }
        }
        counts
    }
}
