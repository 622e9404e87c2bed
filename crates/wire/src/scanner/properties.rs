//! The scanner against an independent reading of the RFC, [`crate::check`].

use proptest::{collection::vec, prelude::*, test_runner::RngSeed};

use crate::check::{self, Turn};
use crate::{Header, MaskKey, Stop};

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
}
