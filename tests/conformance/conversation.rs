//! Two endpoints that talk at the same time while the middle may add pings of its own, which they
//! answer as they answer each other's; and what came of it.
//!
//! Byte equality needs the answers: the pongs to own pings are the one thing that the middle may take
//! out of a stream.

use std::collections::HashSet;
use std::time::Duration;

use lubdub_keepalive::Side;
use lubdub_testkit::frame::{Frame, Seen};
use lubdub_testkit::peer::{Ears, Heard, Mouth, Peer};
use lubdub_testkit::{PATIENCE, tap};
use lubdub_wire::Opcode;
use tokio::sync::{Barrier, mpsc};
use tokio::time::{sleep, timeout};

use crate::stage::{Beats, Stage};

/// What one endpoint says, and in which pieces.
#[derive(Debug)]
pub(crate) struct Speech {
    /// What was said before, with the handshake.
    early: Vec<u8>,
    /// Frames; of the first one perhaps only what was not said before.
    frames: Vec<Vec<u8>>,
    /// The frames that are said once both endpoints have answered an own ping. The last of them is the
    /// only one like it.
    tail: Vec<Vec<u8>>,
    /// What the pings among all these frames carry; nothing that an own ping would.
    pings: HashSet<Vec<u8>>,
    /// How many bytes go into each segment, over and over.
    segments: &'static [usize],
    /// The pause before each segment.
    pause: Duration,
}

/// What an endpoint has said in the end.
#[derive(Debug)]
struct Said {
    /// All that is for the other endpoint: its speech, and its pongs to that one's pings.
    passes: Vec<u8>,
    /// How many pongs to own pings were among it, which are for nobody but the middle.
    own_pongs: usize,
}

/// A mouth that fills its segments.
#[derive(Debug)]
struct Teller<'a> {
    mouth: &'a mut Mouth,
    speech: &'a Speech,
    /// How many segments were sent since the lengths began anew.
    sent: usize,
    /// What is in the next one so far.
    filled: Vec<u8>,
    said: Said,
}

// === impl Speech ===

impl Speech {
    /// These frames as `peer` sends them, in one segment.
    pub(crate) fn new(peer: &mut Peer, frames: &[Frame]) -> Self {
        let frames = frames.iter().map(|frame| peer.encode(frame));
        Self::of_raw(frames.collect(), peer)
    }

    /// These frames as they are, in one segment.
    pub(crate) fn of_raw(frames: Vec<Vec<u8>>, peer: &mut Peer) -> Self {
        let speech = Self {
            early: Vec::new(),
            pings: HashSet::new(),
            frames,
            tail: Vec::new(),
            segments: &[usize::MAX],
            pause: Duration::ZERO,
        };
        speech.ending_with(&[], peer)
    }

    /// With these frames in its tail, in one segment.
    pub(crate) fn ending_with(mut self, tail: &[Frame], peer: &mut Peer) -> Self {
        let last = [Frame::text("and this is the end of it")];
        let tail = tail.iter().chain(&last).map(|frame| peer.encode(frame));
        self.tail = tail.collect();
        let frames = self.frames.iter().chain(&self.tail);
        let pings = frames
            .filter_map(|raw| Seen::decode(raw))
            .filter(Seen::is_ping)
            .map(|ping| ping.payload);
        self.pings = pings.collect();
        self
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
        while self.early.len() < len {
            let first = &mut self.frames[0];
            let taken = first.len().min(len - self.early.len());
            self.early.extend(first.drain(..taken));
            if first.is_empty() {
                self.frames.remove(0);
            }
        }
        self.early.clone()
    }

    fn last(&self) -> &[u8] {
        self.tail.last().expect("a speech has an end")
    }
}

/// Both say their part at the same time, answer pings between their frames, and hear the other's:
/// those very bytes and the answers to their own pings, and between frames at most own pings, of which
/// there is none behind a Close. Where there are own pings, each has answered at least one before its
/// tail.
pub(crate) async fn converse(stage: &Stage, client: Peer, upstream: Peer, [up, down]: [Speech; 2]) {
    let beats = stage.beats();
    let (mut client_ears, mut client_mouth) = client.split();
    let (mut upstream_ears, mut upstream_mouth) = upstream.split();
    let (client_hears, client_answers) = mpsc::unbounded_channel();
    let (upstream_hears, upstream_answers) = mpsc::unbounded_channel();
    let tails = Barrier::new(2);
    let (up_said, down_said, to_client, to_upstream) = tokio::join!(
        Teller::new(&mut client_mouth, &up).tell(&down.pings, client_answers, beats, &tails),
        Teller::new(&mut upstream_mouth, &down).tell(&up.pings, upstream_answers, beats, &tails),
        hear(&mut client_ears, &down, client_hears),
        hear(&mut upstream_ears, &up, upstream_hears),
    );
    for (to, heard, said, speech) in [
        (Side::Client, to_client, down_said, &down),
        (Side::Upstream, to_upstream, up_said, &up),
    ] {
        check(to, &heard, &said, speech, beats);
    }
}

/// Checks what was heard at this side against what was said to it.
fn check(to: Side, heard: &[u8], said: &Said, speech: &Speech, beats: Beats) {
    let injected = tap::injected(heard, &said.passes)
        .unwrap_or_else(|untrue| panic!("to the {to}: {untrue:?}"));
    for frame in &injected {
        assert!(frame.is_ping(), "to the {to}: {frame:?} was added");
        assert!(
            !speech.pings.contains(&frame.payload),
            "to the {to}: {frame:?} came twice"
        );
        frame.assert_well_made(to == Side::Upstream);
    }
    match beats {
        Beats::Expected => {
            assert!(!injected.is_empty(), "no own ping to the {to}");
            assert!(said.own_pongs > 0, "no own pong to be taken back");
        }
        Beats::Absent => assert!(injected.is_empty(), "this proxy pings too: {injected:?}"),
    }
}

/// All frames up to the one that is the last; the payloads of pings are told to the mouth.
async fn hear(ears: &mut Ears, speech: &Speech, pings: mpsc::UnboundedSender<Vec<u8>>) -> Vec<u8> {
    let mut heard = Vec::new();
    let mut closed = false;
    loop {
        match timeout(PATIENCE, ears.next()).await {
            Ok(Heard::Frame(frame)) => {
                heard.extend_from_slice(&frame.raw);
                if frame.raw == speech.last() {
                    return heard;
                }
                closed |= frame.header.opcode == Opcode::CLOSE;
                if frame.is_ping() {
                    assert!(!closed, "{frame:?} came behind a Close");
                    // Whoever has begun with the tail answers nothing more.
                    let _ = pings.send(frame.payload);
                }
            }
            Ok(end @ (Heard::Fin(_) | Heard::Reset(_))) => panic!("{end:?} in the middle of it"),
            Err(_) => panic!("nothing more came after {} bytes", heard.len()),
        }
    }
}

// === impl Teller ===

impl<'a> Teller<'a> {
    fn new(mouth: &'a mut Mouth, speech: &'a Speech) -> Self {
        Self {
            mouth,
            speech,
            sent: 0,
            filled: Vec::new(),
            said: Said {
                passes: speech.early.clone(),
                own_pongs: 0,
            },
        }
    }

    /// Says the speech, and between its frames the answers to pings; `foreign` are those that are
    /// not the middle's.
    async fn tell(
        mut self,
        foreign: &HashSet<Vec<u8>>,
        mut pings: mpsc::UnboundedReceiver<Vec<u8>>,
        beats: Beats,
        tails: &Barrier,
    ) -> Said {
        for frame in &self.speech.frames {
            self.say(frame).await;
            // One at a time: byte by byte, a pong takes longer than it is until the next ping.
            if let Ok(payload) = pings.try_recv() {
                self.answer(payload, foreign).await;
            }
        }
        self.send_all().await;
        while beats == Beats::Expected && self.said.own_pongs == 0 {
            let ping = timeout(PATIENCE, pings.recv()).await;
            let payload = ping.ok().flatten().expect("an own ping comes");
            self.answer(payload, foreign).await;
            self.send_all().await;
        }
        tails.wait().await;
        for frame in &self.speech.tail {
            self.say(frame).await;
        }
        self.send_all().await;
        self.said
    }

    async fn say(&mut self, frame: &[u8]) {
        self.said.passes.extend_from_slice(frame);
        self.fill(frame).await;
    }

    async fn answer(&mut self, payload: Vec<u8>, foreign: &HashSet<Vec<u8>>) {
        let is_foreign = foreign.contains(&payload);
        let pong = self.mouth.encode(&Frame::pong(payload));
        if is_foreign {
            self.say(&pong).await;
        } else {
            self.said.own_pongs += 1;
            self.fill(&pong).await;
        }
    }

    /// Sends every segment that is full.
    async fn fill(&mut self, bytes: &[u8]) {
        self.filled.extend_from_slice(bytes);
        while self.filled.len() >= self.length() {
            self.send(self.length()).await;
        }
    }

    /// Sends a segment that may not be full, and begins anew with the lengths.
    async fn send_all(&mut self) {
        if !self.filled.is_empty() {
            self.send(self.filled.len()).await;
        }
        self.sent = 0;
    }

    async fn send(&mut self, len: usize) {
        sleep(self.speech.pause).await;
        let segment: Vec<u8> = self.filled.drain(..len).collect();
        self.mouth.send(&segment).await;
        self.sent += 1;
    }

    /// How long the next segment is.
    fn length(&self) -> usize {
        let lengths = self.speech.segments;
        lengths[self.sent % lengths.len()]
    }
}
