//! The scanner by example; against an independent reading of the RFC in `properties`.

use super::*;
use crate::{CloseCode, MaskKey, Payload};

const KEY: MaskKey = MaskKey([0x37, 0xfa, 0x21, 0x3d]);

/// `Hello`, in two fragments, as in section 5.7.
const HEL: &[u8] = b"\x01\x03Hel";
const LO: &[u8] = b"\x80\x02lo";
const HELLO: &[u8] = b"\x81\x05Hello";

fn payload(bytes: &[u8]) -> Payload {
    Payload::try_from(bytes).unwrap()
}

fn header(bytes: &[u8]) -> Header {
    Header::decode(bytes).expect("a whole header").0
}

/// What is told of a frame that came whole.
fn received(raw: &[u8]) -> Received<'_> {
    let (header, len) = Header::decode(raw).expect("a whole header");
    Received::in_input(len, header.mask.is_some(), raw)
}

/// All that a step says, in one comparable piece.
fn said<'a>(step: &'a Step<'_>) -> (&'a [u8], &'a [u8], &'a [u8], &'a Event<'a>) {
    (&step.residue, step.forward, step.rest, &step.event)
}

impl FrameScanner {
    #[track_caller]
    fn expect_exhausted(&mut self, input: &[u8]) {
        let step = self.scan(input, Stop::Never);
        assert_eq!(said(&step), (&[][..], input, &[][..], &Event::Exhausted));
    }

    fn is_heapless(&self) -> bool {
        !matches!(self.place, Place::Control(_))
    }
}

#[test]
fn a_scanner_is_small() {
    // Two per idle pair.
    assert!(size_of::<FrameScanner>() <= 56);
    assert!(size_of::<Step<'_>>() <= 128);
}

#[test]
fn many_data_frames_come_back_as_one_slice() {
    let mut input = Vec::new();
    while input.len() < 16 * 1024 {
        input.extend_from_slice(HELLO);
        input.extend_from_slice(HEL);
        input.extend_from_slice(LO);
    }
    let messages = (input.len() / (HELLO.len() + HEL.len() + LO.len())) as u64;

    let mut scanner = FrameScanner::new();
    scanner.expect_exhausted(&input);
    assert!(scanner.at_message_boundary());
    assert_eq!(
        scanner.frames().to_array(),
        [messages, 2 * messages, 0, 0, 0, 0, 0]
    );
}

#[test]
fn an_announced_length_is_counted_down_and_never_allocated() {
    let mut scanner = FrameScanner::new();
    scanner.expect_exhausted(b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff");
    for _ in 0..3 {
        scanner.expect_exhausted(&[0x89; 4096]);
        assert!(!scanner.at_frame_boundary());
        assert!(matches!(scanner.place, Place::Payload { left, .. } if left > u64::MAX / 2));
    }
    assert_eq!(scanner.frames().total(), 1);
}

/// PINGs and Closes are forwarded as they come, and looked like a long frame of data meanwhile.
#[test]
fn a_control_frame_in_pieces_is_no_data() {
    for opcode in 0..16 {
        for length in [&[2][..], &[126, 0, 200]] {
            let mut scanner = FrameScanner::new();
            let piece = [&[0x80 | opcode], length, b"a"].concat();
            let _ = scanner.scan(&piece, Stop::Never);
            assert_eq!(scanner.in_data_frame(), opcode <= 2, "{opcode:#x}");
        }
    }
}

#[test]
fn an_empty_frame_ends_with_its_header() {
    let mut scanner = FrameScanner::new();
    let step = scanner.scan(b"\x01\x00\x80\x00\x81\x00", Stop::Never);
    assert_eq!(step.event, Event::Exhausted);
    assert!(scanner.at_message_boundary());

    let step = scanner.scan(b"\x01\x00", Stop::Never);
    assert_eq!(step.forward.len(), 2);
    assert!(scanner.at_frame_boundary() && !scanner.at_message_boundary());
}

#[test]
fn a_header_is_held_until_it_is_whole() {
    let frame = b"\x82\xfe\x00\x03\x37\xfa\x21\x3dabc";
    for cut in 1..8 {
        let mut scanner = FrameScanner::new();
        let (first, second) = frame.split_at(cut);
        let step = scanner.scan(first, Stop::Never);
        assert_eq!(said(&step), (&[][..], &[][..], &[][..], &Event::Exhausted));
        assert!(scanner.at_message_boundary(), "held bytes do not count");

        let step = scanner.scan(second, Stop::Never);
        assert_eq!(said(&step), (first, second, &[][..], &Event::Exhausted));
        assert!(scanner.at_message_boundary());
    }
}

#[test]
fn a_ping_passes_and_is_told() {
    let ping = ControlFrame::ping(&payload(b"Hello"), Some(KEY));
    let input = [HELLO, ping.raw(), HEL].concat();
    let (before, after) = (HELLO.len() + ping.raw().len(), HEL);

    let mut scanner = FrameScanner::new();
    let step = scanner.scan(&input, Stop::Never);
    let told = Event::Ping(received(ping.raw()));
    assert_eq!(said(&step), (&[][..], &input[..before], after, &told));
    assert!(scanner.is_heapless());
    assert_eq!(scanner.frames().of(Opcode::PING), 1);
}

#[test]
fn a_close_is_told_and_does_not_end_the_scan() {
    let close = ControlFrame::close(CloseCode::GOING_AWAY, "bye", None);
    let input = [close.raw(), HELLO].concat();
    let mut scanner = FrameScanner::new();
    let step = scanner.scan(&input, Stop::Never);
    let Event::Close(told) = &step.event else {
        panic!("{:?}", step.event);
    };
    assert_eq!(told.payload(), payload(b"\x03\xe9bye"));
    assert_eq!(step.forward, close.raw());
    scanner.expect_exhausted(step.rest);
}

#[test]
fn a_pong_is_kept_out_of_what_is_forwarded() {
    let pong = ControlFrame::pong(&payload(b"Hello"), Some(KEY));
    let input = [HELLO, pong.raw(), HEL].concat();
    let mut scanner = FrameScanner::new();
    let step = scanner.scan(&input, Stop::Never);
    let told = Event::Pong(received(pong.raw()));
    assert_eq!(said(&step), (&[][..], HELLO, HEL, &told));
    assert!(scanner.at_message_boundary());
    assert!(scanner.is_heapless());
}

#[test]
fn control_frames_come_whole_whatever_the_split() {
    let frames = [
        ControlFrame::ping(&payload(&[7; 125]), Some(KEY)),
        ControlFrame::pong(&payload(&[7; 125]), Some(KEY)),
        ControlFrame::pong(&Payload::EMPTY, None),
        ControlFrame::close(CloseCode::NORMAL, "", Some(KEY)),
    ];
    for frame in frames {
        for cut in 1..frame.raw().len() {
            let (first, second) = frame.raw().split_at(cut);
            let mut scanner = FrameScanner::new();
            let held = scanner.scan(first, Stop::Never);
            assert_eq!(held.event, Event::Exhausted);
            let step = scanner.scan(second, Stop::Never);
            let forwarded = [held.forward, &step.residue, step.forward].concat();
            match step.event {
                Event::Pong(pong) => {
                    assert_eq!(pong, received(frame.raw()));
                    assert_eq!(pong.header(), *frame.header());
                    assert_eq!(pong.payload(), frame.payload());
                    assert_eq!(forwarded, b"");
                }
                Event::Ping(told) | Event::Close(told) => {
                    assert_eq!(told.payload(), frame.payload());
                    assert_eq!(forwarded, frame.raw());
                }
                event @ (Event::Exhausted | Event::Boundary | Event::TooBig(_)) => {
                    panic!("{event:?} after {cut} bytes")
                }
            }
            assert!(scanner.is_heapless() && scanner.at_message_boundary());
        }
    }
}

#[test]
fn a_pong_of_the_longest_form_is_kept_verbatim() {
    let mut raw = b"\x3a\xff\0\0\0\0\0\0\0\x7d\x37\xfa\x21\x3d".to_vec();
    raw.resize(ControlFrame::MAX_LEN, b'x');
    let mut scanner = FrameScanner::new();
    for byte in &raw[..raw.len() - 1] {
        let step = scanner.scan(std::slice::from_ref(byte), Stop::Never);
        assert_eq!(said(&step), (&[][..], &[][..], &[][..], &Event::Exhausted));
        assert!(scanner.at_message_boundary());
    }
    let step = scanner.scan(b"x", Stop::Never);
    let Event::Pong(pong) = step.event else {
        panic!("{:?}", step.event);
    };
    assert_eq!(pong.raw(), (&*raw, &[][..]));
    assert_eq!(pong.header().rsv, 0b011);
    assert_eq!(pong.payload().len(), 125);
}

#[test]
fn oversized_control_frames_are_opaque() {
    for opcode in [Opcode::CLOSE, Opcode::PING, Opcode::PONG] {
        let mut input = vec![0x80 | opcode.bits(), 126, 0, 126];
        input.resize(4 + 126, 0x8a);
        for cut in 4..input.len() {
            let mut scanner = FrameScanner::new();
            scanner.expect_exhausted(&input[..cut]);
            scanner.expect_exhausted(&input[cut..]);
            assert!(scanner.at_message_boundary());
            assert_eq!(scanner.frames().of(opcode), 1);
        }
    }
}

#[test]
fn a_scan_that_stands_at_the_boundary_stops_at_once() {
    let pong = ControlFrame::pong(&Payload::EMPTY, Some(KEY));
    // Nothing, the beginning of a header, and that of a PONG: held bytes do not count.
    for held in [
        b"".as_slice(),
        &HELLO[..1],
        &pong.raw()[..1],
        &pong.raw()[..6],
    ] {
        let mut scanner = FrameScanner::new();
        scanner.expect_exhausted(HELLO);
        let _ = scanner.scan(held, Stop::Never);
        for stop in [Stop::AtFrameBoundary, Stop::AtMessageBoundary] {
            for input in [b"".as_slice(), HELLO] {
                let step = scanner.scan(input, stop);
                let expected = (&[][..], &[][..], input, &Event::Boundary);
                assert_eq!(said(&step), expected, "{stop:?}, holding {held:02x?}");
            }
        }
    }
}

#[test]
fn a_scan_stops_between_fragments_only_if_that_is_asked_for() {
    let input = [HEL, LO, HELLO].concat();
    for (stop, forward, event) in [
        (Stop::AtFrameBoundary, HEL.len(), Event::Boundary),
        (
            Stop::AtMessageBoundary,
            HEL.len() + LO.len(),
            Event::Boundary,
        ),
        (Stop::Never, input.len(), Event::Exhausted),
    ] {
        let mut scanner = FrameScanner::new();
        // The scan that looks for a boundary begins inside the first frame.
        scanner.expect_exhausted(&input[..3]);
        let step = scanner.scan(&input[3..], stop);
        let (forward, rest) = input[3..].split_at(forward - 3);
        assert_eq!(said(&step), (&[][..], forward, rest, &event), "{stop:?}");
    }
}

#[test]
fn a_scan_stops_behind_so_many_messages() {
    let ping = ControlFrame::ping(&Payload::EMPTY, None);
    let input = [HEL, ping.raw(), LO, HELLO, HELLO].concat();
    let passed = |n| {
        let mut scanner = FrameScanner::new();
        let mut rest = &input[..];
        loop {
            let step = scanner.scan(rest, Stop::BehindMessages(n));
            rest = step.rest;
            if !matches!(step.event, Event::Ping(_)) {
                return (input.len() - rest.len(), step.event == Event::Boundary);
            }
        }
    };
    let first = HEL.len() + ping.raw().len() + LO.len();
    assert_eq!(passed(0), (0, true));
    assert_eq!(passed(1), (first, true), "with all its fragments");
    assert_eq!(passed(2), (first + HELLO.len(), true));
    assert_eq!(passed(3), (input.len(), true));
    assert_eq!(passed(4), (input.len(), false));
}

/// Whoever never ends a message, and begins others within it, must not get around a count.
#[test]
fn a_message_within_another_is_stopped_behind_as_well() {
    let input = [HEL, HEL, HEL, LO].concat();
    let mut scanner = FrameScanner::new();
    let step = scanner.scan(&input, Stop::BehindMessages(1));
    assert_eq!(step.event, Event::Boundary);
    assert_eq!(step.forward.len(), 2 * HEL.len());
}

#[test]
fn a_boundary_at_the_end_of_the_input_is_told() {
    let mut scanner = FrameScanner::new();
    scanner.expect_exhausted(&HELLO[..3]);
    let step = scanner.scan(&HELLO[3..], Stop::AtMessageBoundary);
    let expected = (&[][..], &HELLO[3..], &[][..], &Event::Boundary);
    assert_eq!(said(&step), expected);
}

#[test]
fn control_frames_do_not_end_a_message() {
    let pong = ControlFrame::pong(&Payload::EMPTY, None);
    let input = [HEL, pong.raw(), b"\x8b\x00", LO].concat();
    let mut scanner = FrameScanner::new();
    let step = scanner.scan(&input, Stop::Never);
    assert_eq!(step.event, Event::Pong(received(pong.raw())));
    assert!(scanner.at_frame_boundary() && !scanner.at_message_boundary());
    let step = scanner.scan(step.rest, Stop::AtMessageBoundary);
    assert_eq!(step.event, Event::Boundary);
    assert_eq!(step.forward, [b"\x8b\x00", LO].concat());
}

#[test]
fn a_frame_over_the_limit_stops_the_scan_ahead_of_it() {
    let big = b"\x82\x06......";
    let input = [HELLO, big].concat();
    let mut scanner = FrameScanner::with_frame_limit(Some(5));
    let step = scanner.scan(&input, Stop::Never);
    let too_big = Event::TooBig(header(big));
    assert_eq!(said(&step), (&[][..], HELLO, &big[..], &too_big));
    assert_eq!(scanner.frames().total(), 1);
    assert!(scanner.at_message_boundary());

    let again = scanner.scan(step.rest, Stop::Never);
    assert_eq!(said(&again), (&[][..], &[][..], &big[..], &too_big));
    scanner.lift_frame_limit();
    scanner.expect_exhausted(again.rest);
    assert!(scanner.at_message_boundary());
}

#[test]
fn no_byte_of_a_frame_over_the_limit_is_forwarded_when_its_header_is_split() {
    let mut scanner = FrameScanner::with_frame_limit(Some(5));
    let step = scanner.scan(b"\x81\x00\x82\xfe\x00", Stop::Never);
    assert_eq!(step.forward, b"\x81\x00");
    let step = scanner.scan(b"\x06\x37\xfa\x21\x3d......", Stop::Never);
    assert!(step.residue.is_empty() && step.forward.is_empty());
    assert_eq!(
        step.event,
        Event::TooBig(header(b"\x82\xfe\x00\x06\x37\xfa\x21\x3d"))
    );
}

#[test]
fn what_is_held_at_the_end_can_be_taken() {
    let pong = ControlFrame::pong(&payload(b"Hello"), Some(KEY));
    let beginnings: [&[u8]; 3] = [
        b"\x81",
        b"\x82\xff\0\0\0\0\0\0\0\0\x01\x02\x03",
        &pong.raw()[..8],
    ];
    for beginning in beginnings {
        let mut scanner = FrameScanner::new();
        let step = scanner.scan(beginning, Stop::Never);
        assert!(step.forward.is_empty());
        assert!(scanner.at_message_boundary());
        assert_eq!(*scanner.take_held(), *beginning);
        assert!(!scanner.at_frame_boundary(), "a frame was cut off");
        assert!(scanner.take_held().is_empty());
        scanner.expect_exhausted(HELLO);
        assert!(!scanner.at_frame_boundary(), "for good");
    }
}

#[test]
fn taking_nothing_changes_nothing() {
    let ping = ControlFrame::ping(&payload(b"Hello"), None);
    let mut scanner = FrameScanner::new();
    assert!(scanner.take_held().is_empty());
    assert!(scanner.at_message_boundary());

    scanner.expect_exhausted(&HELLO[..4]);
    assert!(scanner.take_held().is_empty());
    scanner.expect_exhausted(&HELLO[4..]);
    assert!(scanner.at_message_boundary());

    scanner.expect_exhausted(&ping.raw()[..4]);
    assert!(
        scanner.take_held().is_empty(),
        "a PING is forwarded as it comes"
    );
    let step = scanner.scan(&ping.raw()[4..], Stop::Never);
    let Event::Ping(told) = &step.event else {
        panic!("{:?}", step.event);
    };
    assert_eq!(told.payload(), payload(b"Hello"));
}

#[test]
fn debug_shows_no_payload() {
    let mut scanner = FrameScanner::new();
    let step = scanner.scan(HELLO, Stop::Never);
    assert_eq!(
        format!("{step:?}"),
        "Step { residue: 0, forward: 7, rest: 0, event: Exhausted }"
    );
    assert_eq!(
        format!("{scanner:?}"),
        "FrameScanner { place: header, at_frame_boundary: true, at_message_boundary: true, .. }"
    );
}
