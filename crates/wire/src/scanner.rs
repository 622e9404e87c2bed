//! Finds the frames in one direction of a connection, so that they can be forwarded verbatim.
//!
//! Not a parser of messages, nor a validator: whatever comes is cut into frames by the length each
//! header announces (RFC 6455 section 5.2), and passed on as it came. Two things are held back:
//! a header until it is whole, because until then nobody knows what it begins, and a PONG of at
//! most 125 bytes until it is whole, because it may be the answer to a PING of the intermediary's
//! own and then goes no further.

mod batch;
mod counts;
mod gathering;
mod held;
mod received;
mod state;
mod step;

use std::cmp::Ordering;
use std::{fmt, mem};

pub use self::batch::{Batch, Pings};
pub use self::counts::FrameCounts;
use self::gathering::Gathering;
pub use self::held::{Held, Residue};
pub use self::received::Received;
pub use self::state::{InvalidState, ScannerState};
pub use self::step::{Event, Step, Stop};
use crate::{ControlFrame, Header, Opcode};

/// Scans one direction; fed with slices as they come, in any chunking.
///
/// # Use
///
/// Every input goes through [`scan`](Self::scan) until its [`rest`](Step::rest) is used up, and
/// what each [`Step`] says is carried out in this order:
///
/// 1. forward [`residue`](Step::residue), then [`forward`](Step::forward);
/// 2. look at [`event`](Step::event): a PONG is forwarded now or never;
/// 3. [`scan`](Self::scan) the [`rest`](Step::rest), unless the event was
///    [`Exhausted`](Event::Exhausted) or [`TooBig`](Event::TooBig).
///
/// When the direction ends, [`take_held`](Self::take_held) gives what is still held back.
///
/// *The forwarded stream* is all that the steps so far have given out, PONGs included (whether the
/// caller swallowed them does not matter). Bytes that the scanner holds back are not part of it.
///
/// # Cost
///
/// Payloads are skipped, not read: data frames cost the decoding of their headers, and come back
/// as one slice however many of them an input holds. A Close, PING or PONG is told of where it lies
/// in the input. The heap is touched only when one is split across inputs.
pub struct FrameScanner {
    place: Place,
    /// The longest payload that may be announced; `u64::MAX` for any.
    limit: u64,
    /// FIN of the last frame with an opcode below 8.
    message_ended: bool,
    counts: FrameCounts,
}

/// Where in the stream the scanner is.
enum Place {
    /// Between frames. The header that comes next has begun if the residue is not empty.
    Header(Residue),
    /// In a payload of which at least one byte is to come, of a data frame or of another one.
    Payload { left: u64, is_data: bool },
    /// In a short control frame, of which PINGs and Closes are forwarded as they come.
    Control(Box<Gathering>),
    /// Behind [`FrameScanner::take_held`], which cut a frame off.
    CutOff,
}

// === impl FrameScanner ===

impl FrameScanner {
    /// A scanner at the start of a stream, with no limit on the size of frames.
    #[must_use]
    pub fn new() -> Self {
        Self::with_frame_limit(None)
    }

    /// A scanner that stops at a frame that announces more than `limit` bytes of payload.
    ///
    /// The limit holds for every frame: with one below 125, control frames can be too big.
    #[must_use]
    pub fn with_frame_limit(limit: Option<u64>) -> Self {
        Self {
            place: Place::default(),
            limit: limit.unwrap_or(u64::MAX),
            message_ended: true,
            counts: FrameCounts::default(),
        }
    }

    /// From now on no frame is too big, not even the one that stopped the last scan.
    pub fn lift_frame_limit(&mut self) {
        self.limit = u64::MAX;
    }

    /// Scans `input` up to its end or the first thing that the caller has to know.
    pub fn scan<'a>(&mut self, input: &'a [u8], stop: Stop) -> Step<'a> {
        self.scan_with(input, stop, &mut Batch::default())
    }

    /// As [`scan`](Self::scan), but does not stop for what the batch takes. That was forwarded before what the step's
    /// event tells.
    pub fn scan_with<'a>(
        &mut self,
        input: &'a [u8],
        stop: Stop,
        batch: &mut Batch<'a>,
    ) -> Step<'a> {
        if let Place::Header(residue) = &self.place
            && residue.is_empty()
        {
            return self.scan_frames(Residue::EMPTY, input, 0, stop, batch);
        }
        if self.stands_at(stop) {
            return Step::boundary(Residue::EMPTY, input, 0);
        }
        match mem::take(&mut self.place) {
            Place::Header(residue) => self.scan_frames(residue, input, 0, stop, batch),
            Place::Payload { left, is_data } => match end_within(input, 0, left) {
                Some(end) => self.scan_frames(Residue::EMPTY, input, end, stop, batch),
                None => {
                    let left = left - input.len() as u64;
                    self.place = Place::Payload { left, is_data };
                    Step::exhausted(Residue::EMPTY, input)
                }
            },
            Place::Control(gathering) => self.gather(gathering, Residue::EMPTY, input, 0),
            Place::CutOff => {
                self.place = Place::CutOff;
                Step::exhausted(Residue::EMPTY, input)
            }
        }
    }

    /// Whether the forwarded stream ends between two frames.
    ///
    /// Held bytes do not count: a partial header or a partial PONG leaves the stream where it was.
    #[must_use]
    pub fn at_frame_boundary(&self) -> bool {
        match &self.place {
            Place::Header(_) => true,
            Place::Control(gathering) => gathering.is_held(),
            Place::Payload { .. } | Place::CutOff => false,
        }
    }

    /// Whether the forwarded stream ends between two messages: at a frame boundary, and the last
    /// frame with an opcode below 8 had FIN.
    #[must_use]
    pub fn at_message_boundary(&self) -> bool {
        self.message_ended && self.at_frame_boundary()
    }

    /// Whether the forwarded stream ends within the payload of a data frame: a long one is data for
    /// as long as it comes in. A control frame in pieces is none.
    #[must_use]
    pub fn in_data_frame(&self) -> bool {
        matches!(self.place, Place::Payload { is_data: true, .. })
    }

    /// How many bytes are to come of the frame that the forwarded stream ends within, as far as its
    /// header told.
    #[must_use]
    pub fn left_in_frame(&self) -> u64 {
        match &self.place {
            Place::Payload { left, .. } => *left,
            Place::Header(_) | Place::Control(_) | Place::CutOff => 0,
        }
    }

    /// The bytes held back, to be forwarded when the direction has ended.
    ///
    /// If there are any, the forwarded stream is from then on inside a frame, for good.
    #[must_use = "bytes that are not forwarded are lost"]
    pub fn take_held(&mut self) -> Held {
        let held = match mem::take(&mut self.place) {
            Place::Header(residue) => Held::header(residue),
            Place::Control(gathering) if gathering.is_held() => Held::pong(gathering),
            place @ (Place::Control(_) | Place::Payload { .. } | Place::CutOff) => {
                self.place = place;
                return Held::header(Residue::EMPTY);
            }
        };
        if !held.is_empty() {
            self.place = Place::CutOff;
        }
        held
    }

    /// How many frames there were since the counts were last taken: counted with their header, PONGs
    /// of at most 125 bytes when they are whole.
    #[must_use]
    pub fn frames(&self) -> &FrameCounts {
        &self.counts
    }

    /// Those same counts, which start anew.
    pub fn take_frames(&mut self) -> FrameCounts {
        mem::take(&mut self.counts)
    }

    /// Scans from `input[at..]`, where a frame begins; all before it is to be forwarded.
    ///
    /// `residue` is the beginning of that frame if `at` is 0, and empty if it is not: a residue
    /// lacks at least one byte of a header. So once `at` has moved, the residue is forwarded.
    fn scan_frames<'a>(
        &mut self,
        residue: Residue,
        input: &'a [u8],
        mut at: usize,
        stop: Stop,
        batch: &mut Batch<'a>,
    ) -> Step<'a> {
        loop {
            if self.stands_at(stop) {
                return Step::boundary(residue, input, at);
            }
            let decoded = if at == 0 {
                residue.decode_with(input)
            } else {
                Header::decode(&input[at..])
            };
            let Some((header, body)) = decoded.map(|(header, len)| (header, at + len)) else {
                return self.hold_header(residue, input, at);
            };
            if header.payload_len > self.limit {
                return self.refuse(header, residue, input, at);
            }
            if ControlFrame::fits(&header) {
                if let Some(end) = end_within(input, body, header.payload_len) {
                    // One that has begun before this input is told by itself.
                    let is_taken = (at > 0 || residue.is_empty())
                        && match header.opcode {
                            Opcode::PING => {
                                let masked = header.mask.is_some();
                                batch.takes_ping(&input[at..end], body - at, masked)
                            }
                            Opcode::PONG => batch.takes_pong(header.payload_len),
                            _ => false,
                        };
                    if is_taken {
                        self.counts.add(header.opcode);
                        at = end;
                        continue;
                    }
                    return self.pass_control(header, residue, input, (at, body, end));
                }
                return self.begin_control(header, residue, input, at, body);
            }
            self.counts.add(header.opcode);
            if !header.opcode.is_control() {
                self.message_ended = header.fin;
            }
            match end_within(input, body, header.payload_len) {
                Some(end) => at = end,
                None => return self.pass_payload(&header, residue, input, body),
            }
        }
    }

    /// The input ends inside the header that begins at `at`.
    fn hold_header<'a>(&mut self, residue: Residue, input: &'a [u8], at: usize) -> Step<'a> {
        let (passed, begun) = residue.split_at(at);
        let (forward, header) = input.split_at(at);
        self.place = Place::Header(begun.followed_by(header));
        Step::exhausted(passed, forward)
    }

    /// The frame that begins at `at` announces too much.
    fn refuse<'a>(
        &mut self,
        header: Header,
        residue: Residue,
        input: &'a [u8],
        at: usize,
    ) -> Step<'a> {
        let (passed, begun) = residue.split_at(at);
        let (forward, rest) = input.split_at(at);
        self.place = Place::Header(begun);
        Step {
            residue: passed,
            forward,
            rest,
            event: Event::TooBig(header),
        }
    }

    /// The input ends before the payload that begins at `body` does.
    fn pass_payload<'a>(
        &mut self,
        header: &Header,
        residue: Residue,
        input: &'a [u8],
        body: usize,
    ) -> Step<'a> {
        self.place = Place::Payload {
            left: header.payload_len - (input.len() - body) as u64,
            is_data: header.opcode.is_data(),
        };
        Step::exhausted(residue, input)
    }

    /// All that is to come of a short control frame lies in the input: it begins at `at`, its payload
    /// at `body`, and both end at `end`.
    #[inline]
    fn pass_control<'a>(
        &mut self,
        header: Header,
        residue: Residue,
        input: &'a [u8],
        (at, body, end): (usize, usize, usize),
    ) -> Step<'a> {
        self.counts.add(header.opcode);
        let forwarded = if header.opcode == Opcode::PONG {
            at
        } else {
            end
        };
        let bytes = &input[at..end];
        let step = |residue, frame| Step {
            residue,
            forward: &input[..forwarded],
            rest: &input[end..],
            event: Event::of(header.opcode, frame),
        };
        if residue.is_empty() {
            // Thousands of such frames may be in an input: moving nothing about, byte by byte, would
            // be most of what each of them costs.
            let frame = Received::in_input(body - at, header.mask.is_some(), bytes);
            return step(Residue::EMPTY, frame);
        }
        let (passed, begun) = residue.split_at(at);
        let frame = Received::split(&header, begun, body - at, bytes);
        match header.opcode {
            Opcode::PONG => step(passed, frame),
            _ => step(residue, frame),
        }
    }

    /// A short control frame begins at `at`, and its payload at `body`; not all of it is there.
    fn begin_control<'a>(
        &mut self,
        header: Header,
        residue: Residue,
        input: &'a [u8],
        at: usize,
        body: usize,
    ) -> Step<'a> {
        let (passed, begun) = residue.split_at(at);
        let gathering = Box::new(Gathering::begin(header, begun, body - at));
        if gathering.is_held() {
            return self.gather(gathering, passed, input, at);
        }
        self.counts.add(header.opcode);
        self.gather(gathering, residue, input, at)
    }

    /// Goes on with a short control frame at `input[at..]`, after `residue` and what is before it.
    fn gather<'a>(
        &mut self,
        mut gathering: Box<Gathering>,
        residue: Residue,
        input: &'a [u8],
        at: usize,
    ) -> Step<'a> {
        let end = at + gathering.take(&input[at..]);
        let forward = if gathering.is_held() { at } else { end };
        let event = if gathering.is_whole() {
            if gathering.is_held() {
                self.counts.add(Opcode::PONG);
            }
            Event::of(gathering.header().opcode, Received::gathered(gathering))
        } else {
            self.place = Place::Control(gathering);
            Event::Exhausted
        };
        Step {
            residue,
            forward: &input[..forward],
            rest: &input[end..],
            event,
        }
    }

    #[inline]
    fn stands_at(&self, stop: Stop) -> bool {
        match stop {
            Stop::Never => false,
            Stop::AtMessageBoundary => self.at_message_boundary(),
            Stop::AtFrameBoundary => self.at_frame_boundary(),
            Stop::BehindMessages(n) => self.stands_behind(n),
        }
    }

    /// Apart, so that it costs those nothing who do not count messages.
    #[cold]
    fn stands_behind(&self, messages: u64) -> bool {
        match self.counts.messages().cmp(&messages) {
            Ordering::Less => false,
            Ordering::Equal => self.at_message_boundary(),
            Ordering::Greater => self.at_frame_boundary(),
        }
    }
}

impl Default for FrameScanner {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for FrameScanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match &self.place {
            Place::Header(_) => "header",
            Place::Payload { .. } => "payload",
            Place::Control(_) => "control",
            Place::CutOff => "cut off",
        };
        f.debug_struct("FrameScanner")
            .field("place", &format_args!("{place}"))
            .field("at_frame_boundary", &self.at_frame_boundary())
            .field("at_message_boundary", &self.at_message_boundary())
            .finish_non_exhaustive()
    }
}

// === impl Place ===

impl Default for Place {
    fn default() -> Self {
        Self::Header(Residue::EMPTY)
    }
}

/// Where the `len` bytes that begin at `at` end, if that is within the input.
#[inline]
fn end_within(input: &[u8], at: usize, len: u64) -> Option<usize> {
    let available = input.len() - at;
    // Compared as u64: a length may be beyond the address space.
    (len <= available as u64).then(|| at + len as usize)
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
