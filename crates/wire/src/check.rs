//! The properties of this crate, as functions that panic when one does not hold.
//!
//! One body, three callers: property tests, the fuzz targets (through the feature `check`), and an
//! ordinary test that replays the committed corpora. Bytes in, so that all three mean the same by
//! an input; no part of the product.

mod callers;
mod reference;

use crate::{
    Context, Event, FrameScanner, Header, MaskKey, Message, Payload, Received, Sender, Step, Stop,
    Violation,
};

pub use self::callers::{forwarded, proxy_v1, proxy_v2};
use self::reference::{Frame, Stream};

/// How much of a stream one call of the scanner gets, and where it is to stop.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    /// The length of the input; the last turn gets what there is.
    pub len: usize,
    /// What is asked for.
    pub stop: Stop,
    /// Whether another scanner goes on behind every step of it, from what this one has given up.
    pub freeze: bool,
}

/// Decoding a header agrees with the reference, at every length; encoding is its inverse.
pub fn header(data: &[u8]) {
    let decoded = Header::decode(data);
    let expected = Frame::read(data, 0);
    assert_eq!(decoded.is_some(), expected.is_some());
    let (Some((header, header_len)), Some(expected)) = (decoded, expected) else {
        assert!(data.len() < Header::MAX_LEN, "14 bytes are always enough");
        return;
    };

    assert_eq!(header_len, expected.body);
    assert_eq!(header.fin, expected.fin);
    assert_eq!(header.rsv, expected.rsv);
    assert_eq!(header.opcode.bits(), expected.opcode);
    assert_eq!(header.mask.map(|MaskKey(key)| key), expected.key);
    assert_eq!(header.payload_len, expected.len);
    for cut in 0..header_len {
        assert_eq!(
            Header::decode(&data[..cut]),
            None,
            "{cut} bytes are no header"
        );
    }

    let mut encoded = [0; Header::MAX_LEN];
    let minimal = header.encode(&mut encoded);
    assert_eq!(Header::decode(&encoded[..minimal]), Some((header, minimal)));
    assert!(minimal <= header_len, "encoding takes the shortest form");
    if minimal == header_len {
        assert_eq!(encoded[..minimal], data[..minimal], "nothing is lost");
    }
    for sender in [Sender::Client, Sender::Server] {
        for message in [Message::Between, Message::Open] {
            let context = Context {
                sender,
                message,
                extension_bits: 0b111,
            };
            if Violation::find(&header, header_len, context).is_none() {
                assert_eq!(minimal, header_len, "what is lawful is minimal");
            }
        }
    }
}

/// Scanning a stream in pieces, with arbitrary stops, agrees with reading it as a whole.
///
/// The first bytes of `data` are the plan: the frame limit, the number of turns, a byte for each.
pub fn scanner_splits(data: &[u8]) {
    let Some((&[limit, turns], data)) = data.split_first_chunk() else {
        return;
    };
    let (turns, stream) = data.split_at(usize::from(turns).min(data.len()));
    let turns: Vec<Turn> = turns.iter().map(|&byte| Turn::from_byte(byte)).collect();
    let limit = (limit & 0x80 != 0).then(|| (1 << (limit & 0x3f)) - 1);
    scan_agrees(stream, limit, &turns);
}

/// The property of [`scanner_splits`]. Without turns left, the scanner gets the rest at once.
pub fn scan_agrees(stream: &[u8], limit: Option<u64>, turns: &[Turn]) {
    let mut check = ScanCheck {
        scanner: FrameScanner::with_frame_limit(limit),
        limit,
        stream,
        expected: Stream::read(stream, limit),
        given: 0,
        forwarded: 0,
        events: 0,
    };
    let mut ended = false;
    for turn in turns {
        if !ended {
            ended = check.turn(*turn);
        }
    }
    if !ended {
        check.turn(Turn {
            len: usize::MAX,
            stop: Stop::Never,
            freeze: false,
        });
    }
    check.finish();
}

/// A scanner between what it was given and what it should have made of it.
struct ScanCheck<'a> {
    scanner: FrameScanner,
    limit: Option<u64>,
    stream: &'a [u8],
    expected: Stream,
    /// How much of the stream the scanner has looked at.
    given: usize,
    /// How much of the stream came out again.
    forwarded: usize,
    /// How many of the expected events happened.
    events: usize,
}

/// What the caller does after a step.
enum Next {
    Input,
    Scan,
    ScanOn,
    Nothing,
}

// === impl Turn ===

impl Turn {
    /// Two bits say where to stop, and six how long the input is: 0 to 47, then by the hundred. Of those
    /// that are of no length, or where it is not to stop, some are frozen.
    fn from_byte(byte: u8) -> Self {
        let len = usize::from(byte & 0x3f);
        Self {
            len: if len < 48 { len } else { (len - 47) * 100 },
            stop: match byte >> 6 {
                0 => Stop::AtMessageBoundary,
                1 => Stop::AtFrameBoundary,
                _ => Stop::Never,
            },
            freeze: len == 0 || byte >> 6 == 3,
        }
    }
}

// === impl ScanCheck ===

impl ScanCheck<'_> {
    /// Gives the scanner one input; true if a frame was too big.
    fn turn(&mut self, turn: Turn) -> bool {
        let end = self.stream.len().min(self.given.saturating_add(turn.len));
        let stream = self.stream;
        let mut stop = turn.stop;
        loop {
            let standing = self.expected.is_boundary(self.forwarded, stop);
            let before = self.forwarded;
            let step = self.scanner.scan(&stream[self.given..end], stop);
            if standing {
                assert_eq!(step.event, Event::Boundary, "it stood there already");
                assert_eq!(step.residue.len() + step.forward.len(), 0);
                assert_eq!(step.rest.len(), end - self.given);
            }
            let next = self.take(step, end, stop);
            assert!(
                !self
                    .expected
                    .has_boundary_between(before, self.forwarded, stop),
                "it went past a boundary where it was to stop"
            );
            self.check_state();
            if turn.freeze {
                self.freeze();
                self.check_state();
            }
            match next {
                Next::Input => return false,
                Next::Scan => stop = turn.stop,
                Next::ScanOn => stop = Stop::Never,
                Next::Nothing => return true,
            }
        }
    }

    /// Takes what a step gives, and checks that it is the stream's.
    fn take(&mut self, step: Step<'_>, end: usize, stop: Stop) -> Next {
        self.given = end - step.rest.len();
        self.forward(&step.residue);
        self.forward(step.forward);
        match step.event {
            Event::Exhausted => {
                assert_eq!(self.given, end, "exhausted with input left");
                Next::Input
            }
            Event::Boundary => {
                assert_ne!(stop, Stop::Never, "nobody asked to stop");
                assert!(self.expected.is_boundary(self.forwarded, stop));
                // Asked the same again it would say the same; from its next stop on it is asked
                // for boundaries again.
                Next::ScanOn
            }
            Event::Ping(ping) => self.on_control(0x9, &ping),
            Event::Close(close) => self.on_control(0x8, &close),
            Event::Pong(pong) => {
                let start = self.next_control().start;
                assert_eq!(self.forwarded, start, "a PONG in its place");
                assert_eq!(pong.header().opcode.bits(), 0xa);
                let (begun, rest) = pong.raw();
                self.forward(begun);
                self.forward(rest);
                self.on_control(0xa, &pong)
            }
            Event::TooBig(header) => {
                let refused = self.expected.refused.as_ref().expect("a frame is too big");
                assert_eq!(self.forwarded, refused.start, "nothing of it was forwarded");
                assert_eq!(header.payload_len, refused.len);
                let again = self
                    .scanner
                    .scan(&self.stream[self.given..end], Stop::Never);
                assert_eq!(again.event, Event::TooBig(header), "it says so again");
                assert!(again.forward.is_empty() && again.residue.is_empty());
                Next::Nothing
            }
        }
    }

    /// Another scanner goes on.
    fn freeze(&mut self) {
        let state = self.scanner.freeze();
        self.scanner = FrameScanner::thaw(&state, self.limit).expect("a scanner gave it up");
        assert_eq!(self.scanner.freeze(), state, "nothing is lost");
    }

    fn forward(&mut self, bytes: &[u8]) {
        let end = self.forwarded + bytes.len();
        assert_eq!(bytes, &self.stream[self.forwarded..end], "verbatim");
        self.forwarded = end;
    }

    /// A short control frame was forwarded whole.
    fn on_control(&mut self, opcode: u8, told: &Received<'_>) -> Next {
        let frame = self.next_control();
        assert_eq!(opcode, frame.opcode);
        assert_eq!(Some(self.forwarded), frame.end);
        let (payload, mut room) = (frame.payload(self.stream), Payload::EMPTY);
        assert_eq!(*told.payload(), *payload);
        assert_eq!(*told.payload_in(&mut room), *payload);
        let (begun, rest) = told.raw();
        let raw = [begun, rest].concat();
        assert!(self.stream[..self.forwarded].ends_with(&raw), "verbatim");
        if !rest.is_empty() {
            let in_input = &self.stream[self.given - rest.len()..self.given];
            assert_eq!(rest.as_ptr_range(), in_input.as_ptr_range(), "in place");
        }
        self.events += 1;
        Next::Scan
    }

    fn next_control(&self) -> &Frame {
        let mut controls = self.expected.whole_controls();
        controls.nth(self.events).expect("a control frame is there")
    }

    fn check_state(&self) {
        let (scanner, expected) = (&self.scanner, &self.expected);
        assert_eq!(
            scanner.at_frame_boundary(),
            expected.is_boundary(self.forwarded, Stop::AtFrameBoundary)
        );
        assert_eq!(
            scanner.at_message_boundary(),
            expected.is_boundary(self.forwarded, Stop::AtMessageBoundary)
        );
        assert_eq!(
            self.forwarded,
            expected.forwardable(self.given),
            "no more is held back than has to be"
        );
        assert_eq!(scanner.frames().to_array(), expected.counts(self.given));
        assert_eq!(scanner.left_in_frame(), expected.left(self.forwarded));
    }

    /// The direction has ended.
    fn finish(mut self) {
        let seen = self.expected.whole_controls().count();
        assert_eq!(self.events, seen, "each control frame once");
        let was_at_boundary = self.scanner.at_frame_boundary();
        let held = self.scanner.take_held();
        self.forward(&held);
        assert_eq!(self.forwarded, self.given, "nothing is lost");
        assert_eq!(
            self.scanner.at_frame_boundary(),
            was_at_boundary && held.is_empty()
        );
        assert!(self.scanner.take_held().is_empty(), "it was taken");
        if self.expected.refused.is_none() {
            assert_eq!(self.given, self.stream.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Runs a property over the corpus of its fuzz target.
    fn replay(target: &str, property: fn(&[u8])) {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../fuzz/corpus")
            .join(target);
        let mut inputs = 0;
        for entry in fs::read_dir(&corpus).expect("the corpus is committed") {
            let path = entry.unwrap().path();
            let data = fs::read(&path).unwrap();
            // The name is what a failing property needs; a passing one prints nothing.
            println!("{}", path.display());
            property(&data);
            inputs += 1;
        }
        assert!(inputs > 0, "{} is empty", corpus.display());
    }

    #[test]
    fn replays_the_header_corpus() {
        replay("header", super::header);
    }

    proptest! {
        #[test]
        fn any_bytes_say_who_is_behind_or_nothing(data in vec(any::<u8>(), 0..300)) {
            super::proxy_v1(&data);
            super::proxy_v2(&data);
            super::forwarded(&data);
        }

        #[test]
        fn so_does_what_looks_like_it(
            line in "(TCP4|TCP6|UNKNOWN)?[ 0-9a-f.:]{0,60}\r?\n?",
            list in "([0-9a-f.:\\[\\]]{1,12}|[,;\"\\\\]|for=|host=){0,30}",
        ) {
            super::proxy_v1(line.as_bytes());
            super::forwarded(list.as_bytes());
        }
    }

    #[test]
    fn replays_the_corpora_of_who_is_behind() {
        replay("proxy_v1", super::proxy_v1);
        replay("proxy_v2", super::proxy_v2);
        replay("forwarded", super::forwarded);
    }

    #[test]
    fn replays_the_scanner_corpus() {
        replay("scanner_splits", super::scanner_splits);
    }
}
