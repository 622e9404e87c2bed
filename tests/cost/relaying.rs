//! A pair that has come to rest relays without taking anything from the heap, whatever the messages
//! look like, as long as their receivers take them.

#![forbid(unsafe_code)]

mod allocations;
mod stage;

use lubdub_keepalive::{PerSide, Side};
use lubdub_testkit::frame::Frame;
use lubdub_testkit::proxy::ProxyBox;
use lubdub_wire::MaskKey;

use crate::allocations::during;
use crate::stage::Stage;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// How often everything is said, both ways, while it is counted.
const ROUNDS: usize = 10_000;
/// How often before that.
const WARM_UP: usize = 100;

/// What a side says, again and again.
struct Script {
    bytes: Vec<u8>,
    /// Said a piece at a time; nothing more is said before all that comes out of it was heard.
    pieces: Vec<Piece>,
}

/// Where a piece ends, in bytes of the script.
#[derive(Clone, Copy)]
struct Piece {
    said: usize,
    /// Up to where the other side hears it. What ends within a header or within a PONG is held back
    /// until that is whole.
    heard: usize,
}

#[tokio::test]
async fn relaying_takes_nothing_from_the_heap() {
    let mut stage = Stage::open(ProxyBox::new()).await;
    for (name, script) in [
        ("messages of 125 bytes", message(125)),
        ("messages of 16 KiB", message(16 * 1024)),
        ("PONGs between fragments, cut everywhere", fragments()),
    ] {
        let mut heard = vec![0; script.client.bytes.len()];
        converse(&mut stage, &script, &mut heard, WARM_UP);
        let taken = during(|| converse(&mut stage, &script, &mut heard, ROUNDS));
        assert!(taken.is_empty(), "{name}: {taken:#?}");
    }
    stage.close().await;
}

/// Both sides say their scripts at the same time.
fn converse(stage: &mut Stage, script: &PerSide<Script>, heard: &mut [u8], rounds: usize) {
    let pieces = script.client.pieces.len();
    assert_eq!(pieces, script.upstream.pieces.len(), "they say as much");
    for _ in 0..rounds {
        let mut before = PerSide::from_fn(|_| Piece { said: 0, heard: 0 });
        for piece in 0..pieces {
            for side in Side::BOTH {
                let Script { bytes, pieces } = &script[side];
                stage.say(side, &bytes[before[side].said..pieces[piece].said]);
            }
            for side in Side::BOTH {
                let Script { bytes, pieces } = &script[side];
                let expected = &bytes[before[side].heard..pieces[piece].heard];
                let heard = &mut heard[..expected.len()];
                stage.hear(side.other(), heard);
                assert!(
                    heard == expected,
                    "what the {side} said is relayed as it was"
                );
                before[side] = pieces[piece];
            }
        }
    }
}

/// A message of `len` bytes in one piece.
fn message(len: usize) -> PerSide<Script> {
    PerSide::from_fn(|side| {
        let bytes = Frame::binary(vec![b'm'; len]).encode(mask(side));
        let whole = Piece {
            said: bytes.len(),
            heard: bytes.len(),
        };
        Script {
            bytes,
            pieces: vec![whole],
        }
    })
}

/// A message in two fragments with an unsolicited PONG between them, in pieces that end within the
/// PONG's header, within the header of the second fragment, and within its payload.
fn fragments() -> PerSide<Script> {
    PerSide::from_fn(|side| {
        let first = Frame::text(&"first".repeat(12)).open().encode(mask(side));
        let pong = Frame::pong("nobody asked").encode(mask(side));
        let second = Frame::continuation(&"second".repeat(50)).encode(mask(side));
        let (pong_from, pong_to) = (first.len(), first.len() + pong.len());
        let bytes = [first, pong, second].concat();
        let pieces = vec![
            Piece {
                said: pong_from + 1,
                heard: pong_from,
            },
            Piece {
                said: pong_to + 3,
                heard: pong_to,
            },
            Piece {
                said: pong_to + 100,
                heard: pong_to + 100,
            },
            Piece {
                said: bytes.len(),
                heard: bytes.len(),
            },
        ];
        Script { bytes, pieces }
    })
}

/// "A client MUST mask all frames that it sends to the server" (RFC 6455 5.1).
fn mask(side: Side) -> Option<MaskKey> {
    match side {
        Side::Client => Some(MaskKey([0x37, 0xfa, 0x21, 0x3d])),
        Side::Upstream => None,
    }
}
