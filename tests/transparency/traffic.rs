//! Traffic that no endpoint would send: every opcode, every reserved bit, every form of a length,
//! fragments in any order, control frames that are too long, in segments of any size.

use lubdub_testkit::frame::{Frame, LengthForm};
use lubdub_wire::Opcode;
use proptest::collection::vec;
use proptest::prelude::*;

/// What one endpoint says.
#[derive(Debug, Clone)]
pub(crate) struct Speech {
    /// Its frames.
    pub(crate) frames: Vec<Frame>,
    /// How much of the last frame is left out.
    pub(crate) cut: usize,
    /// How many bytes go into each segment, over and over.
    pub(crate) segments: Vec<usize>,
    /// After how many segments it takes a breath, so that a ping is due in the middle of it.
    pub(crate) breath: usize,
}

/// Of foreign pings, none has a payload of this length: such are lubdub's own, or look like them.
pub(crate) const OWN_LEN: usize = 16;
/// What the payloads begin with that only look like lubdub's.
pub(crate) const LOOKALIKE: [u8; 8] = *b"lookalik";

pub(crate) fn speech() -> impl Strategy<Value = Speech> {
    let cut = prop_oneof![3 => Just(0), 1 => 1_usize..20];
    let segments = vec(
        prop_oneof![1..4_usize, 1..200_usize, 1000..20_000_usize],
        1..8,
    );
    (vec(frame(), 1..60), cut, segments, 1..8_usize).prop_map(|(frames, cut, segments, breath)| {
        Speech {
            frames,
            cut,
            segments,
            breath,
        }
    })
}

fn frame() -> impl Strategy<Value = Frame> {
    let rsv = prop_oneof![4 => Just(0_u8), 1 => 0..8_u8];
    let form = prop_oneof![
        4 => Just(LengthForm::Minimal),
        1 => Just(LengthForm::Sixteen),
        1 => Just(LengthForm::SixtyFour),
    ];
    (opcode(), any::<bool>(), rsv, form, payload()).prop_map(
        |(opcode, fin, rsv, length, payload)| Frame {
            fin,
            rsv,
            opcode: Opcode::from_bits(opcode),
            length,
            payload,
        },
    )
}

/// Any of the sixteen but a Close, behind which there are no own pings.
fn opcode() -> impl Strategy<Value = u8> {
    let close = Opcode::CLOSE.bits();
    prop_oneof![2 => 0..3_u8, 2 => 9..11_u8, 1 => 0..16_u8]
        .prop_filter("a Close is the end of the pings", move |bits| {
            *bits != close
        })
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    let lookalike = any::<[u8; 8]>().prop_map(|tail| [LOOKALIKE, tail].concat());
    prop_oneof![
        1 => Just(Vec::new()),
        4 => vec(any::<u8>(), 0..126),
        2 => vec(any::<u8>(), 120..300),
        1 => (any::<u8>(), 60_000..200_000_usize).prop_map(|(byte, len)| vec![byte; len]),
        1 => lookalike,
    ]
    .prop_map(|mut payload: Vec<u8>| {
        if payload.len() == OWN_LEN && !payload.starts_with(&LOOKALIKE) {
            payload.push(0);
        }
        payload
    })
}
