//! The scanner against an independent reading of the RFC, [`crate::check`].

use proptest::{collection::vec, prelude::*, test_runner::RngSeed};

use crate::check::{self, Turn};
use crate::{Batch, Event, FrameCounts, FrameScanner, Header, MaskKey, Payload, Stop};

const KEY: MaskKey = MaskKey([0x37, 0xfa, 0x21, 0x3d]);

/// `Hello`, in two fragments, as in section 5.7.
const HEL: &[u8] = b"\x01\x03Hel";
const LO: &[u8] = b"\x80\x02lo";

/// Every header form, in the middle of a stream, cut at every place.
#[test]
fn every_header_form_at_every_split() {
    let forms: [&[u8]; 6] = [
        b"\x00",
        b"\x03",
        b"\x7e\x00\x03",
        b"\x7e\x00\x7e",
        b"\x7f\0\0\0\0\0\0\0\x03",
        b"\x7f\0\0\0\0\0\0\0\x7e",
    ];
    for opcode in 0..16 {
        for form in forms {
            for mask in [None, Some(KEY)] {
                let mut stream = HEL.to_vec();
                stream.push(0x80 | opcode);
                stream.extend_from_slice(form);
                stream[HEL.len() + 1] |= u8::from(mask.is_some()) << 7;
                stream.extend(mask.iter().flat_map(|key| key.0));
                let len = Header::decode(&stream[HEL.len()..])
                    .expect("a whole header")
                    .0
                    .payload_len;
                stream.extend((0..len).map(|i| i as u8));
                stream.extend_from_slice(LO);
                for len in 0..=stream.len() {
                    for stop in [
                        Stop::Never,
                        Stop::AtFrameBoundary,
                        Stop::AtMessageBoundary,
                        Stop::BehindMessages(1),
                    ] {
                        for freeze in [false, true] {
                            check::scan_agrees(&stream, None, &[Turn { len, stop, freeze }]);
                        }
                    }
                }
            }
        }
    }
}

/// A frame of any kind, most of them lawful and small.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let opcode = prop_oneof![0..3_u8, 8..11_u8, 0..16_u8];
    let rsv = prop_oneof![4 => Just(0), 1 => 0..8_u8];
    let len = prop_oneof![8 => 0..20_usize, 4 => 120..130_usize, 1 => 65_530..65_545_usize];
    let form = 0..3_u8;
    (
        any::<bool>(),
        rsv,
        opcode,
        any::<Option<[u8; 4]>>(),
        len,
        form,
    )
        .prop_map(|(fin, rsv, opcode, key, len, form)| {
            let masked = u8::from(key.is_some()) << 7;
            let mut frame = vec![u8::from(fin) << 7 | rsv << 4 | opcode];
            // The form asked for, if the length fits it.
            match (form, len) {
                (0, 0..=125) => frame.push(masked | len as u8),
                (0 | 1, 0..=0xffff) => {
                    frame.push(masked | 126);
                    frame.extend_from_slice(&(len as u16).to_be_bytes());
                }
                _ => {
                    frame.push(masked | 127);
                    frame.extend_from_slice(&(len as u64).to_be_bytes());
                }
            }
            frame.extend(key.iter().flatten());
            frame.extend((0..len).map(|i| i as u8 ^ 0x8a));
            frame
        })
}

/// Frames, and then the end of the stream: between frames, somewhere in one, or in one that
/// announces more than there is in the world.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let tail = prop_oneof![
        Just(Vec::new()),
        (frame(), any::<prop::sample::Index>()).prop_map(|(mut frame, cut)| {
            frame.truncate(cut.index(frame.len()));
            frame
        }),
        (0..16_u8, any::<u64>(), vec(any::<u8>(), 0..40)).prop_map(|(opcode, len, payload)| {
            let announced = (len | 1 << 40).to_be_bytes();
            [&[0x80 | opcode, 127], &announced[..], &payload].concat()
        }),
    ];
    (vec(frame(), 0..12), tail).prop_map(|(frames, tail)| [frames.concat(), tail].concat())
}

fn turn() -> impl Strategy<Value = Turn> {
    let len = prop_oneof![8 => 0..20_usize, 4 => 100..200_usize, 1 => 1000..70_000_usize];
    let stop = prop_oneof![
        Just(Stop::Never),
        Just(Stop::AtMessageBoundary),
        Just(Stop::AtFrameBoundary),
        (0..8_u64).prop_map(Stop::BehindMessages),
    ];
    (len, stop, any::<bool>()).prop_map(|(len, stop, freeze)| Turn { len, stop, freeze })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 512,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(6455),
        ..ProptestConfig::default()
    })]

    #[test]
    fn splits_and_stops_change_nothing(
        stream in stream(),
        limit in prop_oneof![4 => Just(None), 1 => (0..200_u64).prop_map(Some)],
        turns in vec(turn(), 0..120),
    ) {
        check::scan_agrees(&stream, limit, &turns);
    }

    #[test]
    fn bytes_that_are_no_frames_are_scanned_too(data in vec(any::<u8>(), 0..300)) {
        check::scanner_splits(&data);
        check::header(&data);
    }

    #[test]
    fn a_batch_hides_nothing_and_changes_no_byte(
        frames in vec(small_frame(), 0..40),
        pieces in vec(0..60_usize, 0..8),
    ) {
        let stream = frames.concat();
        let each = Made::of(&stream, &pieces, Batch::default);
        for batch in [Batch::of_pings, || Batch::of_pings().and_pongs_but(16)] {
            prop_assert_eq!(&Made::of(&stream, &pieces, batch), &each);
        }
        prop_assert_eq!(Made::of(&stream, &[], Batch::of_pings).forwarded.len(), stream.len());
    }
}

/// What a caller makes of a stream: what it forwards, and of PINGs what a heartbeat keeps.
#[derive(Debug, Default, PartialEq)]
struct Made {
    forwarded: Vec<u8>,
    counts: FrameCounts,
    pings: u32,
    pongs: u32,
    /// The payload of the last PING, and how many in a row had it.
    last: Option<(Vec<u8>, u32)>,
}

impl Made {
    fn ping(&mut self, payload: &[u8], count: u32, same: u32) {
        self.pings += count;
        let before = match &self.last {
            Some((last, n)) if last == payload && same == count => *n,
            _ => 0,
        };
        self.last = Some((payload.to_vec(), before + same));
    }

    /// Of a stream that comes in pieces.
    fn of(stream: &[u8], pieces: &[usize], batch: impl Fn() -> Batch<'static>) -> Self {
        let (mut scanner, mut made) = (FrameScanner::new(), Self::default());
        let mut rest: &[u8] = stream;
        for piece in pieces.iter().copied().chain([usize::MAX]) {
            let (mut input, later) = rest.split_at(piece.min(rest.len()));
            rest = later;
            // Lives as long as this input.
            let mut batch: Batch<'_> = batch();
            loop {
                let step = scanner.scan_with(input, Stop::Never, &mut batch);
                made.forwarded.extend_from_slice(&step.residue);
                made.forwarded.extend_from_slice(step.forward);
                input = step.rest;
                made.pongs += batch.take_pongs();
                let mut room = Payload::EMPTY;
                if let Some(pings) = batch.take_pings() {
                    let payload = pings.last.payload_in(&mut room);
                    made.ping(payload, pings.count, pings.same);
                }
                match &step.event {
                    Event::Ping(ping) => made.ping(ping.payload_in(&mut room), 1, 1),
                    Event::Pong(pong) => {
                        made.pongs += 1;
                        let (begun, lies) = pong.raw();
                        made.forwarded.extend_from_slice(begun);
                        made.forwarded.extend_from_slice(lies);
                    }
                    Event::Close(_) => {}
                    Event::Exhausted | Event::Boundary | Event::TooBig(_) => break,
                }
            }
        }
        made.counts = *scanner.frames();
        made
    }
}

/// Mostly PINGs and PONGs with few payloads, some of which are equal though they are masked otherwise.
fn small_frame() -> impl Strategy<Value = Vec<u8>> {
    let opcode = prop_oneof![4 => Just(9_u8), 4 => Just(10_u8), 1 => Just(1_u8), 1 => Just(8_u8)];
    let payload = prop_oneof![3 => Just(0_u8), 2 => 1..3_u8, 1 => Just(16_u8)];
    (opcode, payload, any::<Option<u8>>()).prop_map(|(opcode, len, key)| {
        let masked = u8::from(key.is_some()) << 7;
        let mut frame = vec![0x80 | opcode, masked | len];
        frame.extend(key.iter().flat_map(|key| [*key; 4]));
        frame.extend((0..len).map(|_| b'x' ^ key.unwrap_or_default()));
        frame
    })
}

/// They are told as soon as they are whole, also where the batch takes what lies in one input.
#[test]
fn pongs_of_that_length_are_told_and_others_only_counted() {
    let stream = [&b"\x8a\x00"[..], b"\x8a\x10", &[0; 16], b"\x8a\x01a"].concat();
    let mut batch = Batch::of_pings().and_pongs_but(16);
    let mut scanner = FrameScanner::new();
    let step = scanner.scan_with(&stream, Stop::Never, &mut batch);
    assert!(matches!(&step.event, Event::Pong(pong) if pong.payload().len() == 16));
    assert_eq!((step.forward, batch.take_pongs()), (&stream[..2], 1));
    let step = scanner.scan_with(step.rest, Stop::Never, &mut batch);
    assert_eq!((step.event, batch.take_pongs()), (Event::Exhausted, 1));
}
