//! Two endpoints that talk at the same time while the middle may add pings of its own, and what came
//! of it.

use std::time::Duration;

use lubdub_keepalive::Side;
use lubdub_testkit::frame::Frame;
use lubdub_testkit::peer::{Ears, Heard, Mouth, Peer};
use lubdub_testkit::{PATIENCE, tap};
use tokio::time::{sleep, timeout};

/// What one endpoint says, and in which pieces.
#[derive(Debug)]
pub(crate) struct Speech {
    bytes: Vec<u8>,
    /// How many of them were said before, with the handshake.
    early: usize,
    /// The last frame in it, and the only one like it.
    last: Vec<u8>,
    /// How many bytes go into each segment, over and over.
    segments: &'static [usize],
    /// The pause before each segment.
    pause: Duration,
}

// === impl Speech ===

impl Speech {
    /// These frames as `peer` sends them, in one segment.
    pub(crate) fn new(peer: &mut Peer, frames: &[Frame]) -> Self {
        let bytes = frames.iter().flat_map(|frame| peer.encode(frame));
        Self::of_bytes(bytes.collect(), peer)
    }

    /// These bytes, which are whole frames, in one segment.
    pub(crate) fn of_bytes(mut bytes: Vec<u8>, peer: &mut Peer) -> Self {
        let last = peer.encode(&Frame::text("and this is the end of it"));
        bytes.extend_from_slice(&last);
        Self {
            bytes,
            early: 0,
            last,
            segments: &[usize::MAX],
            pause: Duration::ZERO,
        }
    }

    /// In segments of these lengths, over and over, with a pause before each.
    pub(crate) fn in_segments(self, segments: &'static [usize], pause: Duration) -> Self {
        Self {
            segments,
            pause,
            ..self
        }
    }

    /// The first bytes, which the caller says.
    pub(crate) fn take_early(&mut self, len: usize) -> Vec<u8> {
        self.early = len;
        self.bytes[..len].to_vec()
    }
}

/// Both say their part at the same time, and each hears the other's: those very bytes, and between
/// frames at most pings. Returns how many pings.
pub(crate) async fn converse(client: Peer, upstream: Peer, up: Speech, down: Speech) -> usize {
    let (mut client_ears, mut client_mouth) = client.split();
    let (mut upstream_ears, mut upstream_mouth) = upstream.split();
    let ((), (), to_client, to_upstream) = tokio::join!(
        say(&mut client_mouth, &up),
        say(&mut upstream_mouth, &down),
        hear(&mut client_ears, &down.last),
        hear(&mut upstream_ears, &up.last),
    );
    pings(&to_client, &down, Side::Client) + pings(&to_upstream, &up, Side::Upstream)
}

/// How many pings were added to what was said to this side.
fn pings(heard: &[u8], said: &Speech, to: Side) -> usize {
    let injected = tap::injected(heard, &said.bytes)
        .unwrap_or_else(|untrue| panic!("to the {to}: {untrue:?}"));
    for frame in &injected {
        frame.assert_well_made(to == Side::Upstream);
        assert!(frame.is_ping(), "{frame:?} was added");
    }
    injected.len()
}

async fn say(mouth: &mut Mouth, speech: &Speech) {
    let mut rest = &speech.bytes[speech.early..];
    for segment in speech.segments.iter().cycle() {
        if rest.is_empty() {
            return;
        }
        sleep(speech.pause).await;
        let (front, back) = rest.split_at(rest.len().min(*segment));
        mouth.send(front).await;
        rest = back;
    }
}

/// All frames up to the one that is the last.
async fn hear(ears: &mut Ears, last: &[u8]) -> Vec<u8> {
    let mut heard = Vec::new();
    loop {
        match timeout(PATIENCE, ears.next()).await {
            Ok(Heard::Frame(frame)) => {
                heard.extend_from_slice(&frame.raw);
                if frame.raw == last {
                    return heard;
                }
            }
            Ok(end @ (Heard::Fin(_) | Heard::Reset(_))) => panic!("{end:?} in the middle of it"),
            Err(_) => panic!("nothing more came after {} bytes", heard.len()),
        }
    }
}
