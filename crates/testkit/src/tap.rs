//! What the middle did to a stream: the bytes that one endpoint heard against those that the other
//! one said.
//!
//! An independent reading: frames are found here by their headers alone, from recordings, not by
//! the scanner that lubdub relays with.

use lubdub_wire::Header;

use crate::frame::Seen;

/// Why `heard` is not `passed` with some frames between its frames.
#[derive(Debug, PartialEq, Eq)]
pub struct Untrue {
    /// Where in `heard` it shows.
    pub heard_at: usize,
    /// How much of `passed` had been found by then.
    pub passed_at: usize,
    /// What is wrong there.
    pub what: &'static str,
}

/// Finds the frames of `heard` that are not in `passed`, which are whole frames between its frames
/// if nothing else was done to the stream. The last frame of `passed` may be cut short.
///
/// # Errors
/// With the first place that cannot be explained in this way.
pub fn injected(heard: &[u8], passed: &[u8]) -> Result<Vec<Seen>, Untrue> {
    let (mut heard_at, mut passed_at) = (0, 0);
    let mut injected = Vec::new();
    let untrue = |heard_at, passed_at, what| Untrue {
        heard_at,
        passed_at,
        what,
    };
    while heard_at < heard.len() {
        let next = first_frame(&passed[passed_at..]);
        if !next.is_empty() && heard[heard_at..].starts_with(next) {
            heard_at += next.len();
            passed_at += next.len();
            continue;
        }
        let Some(frame) = Seen::decode(&heard[heard_at..]) else {
            return Err(untrue(
                heard_at,
                passed_at,
                "neither what was said nor a whole frame",
            ));
        };
        if !frame.header.opcode.is_control() || frame.payload.len() > 125 {
            return Err(untrue(
                heard_at,
                passed_at,
                "neither what was said nor a control frame",
            ));
        }
        heard_at += frame.raw.len();
        injected.push(frame);
    }
    if passed_at < passed.len() {
        return Err(untrue(heard_at, passed_at, "the rest is missing"));
    }
    Ok(injected)
}

/// The frame that `stream` begins with, or all of it if that is less.
fn first_frame(stream: &[u8]) -> &[u8] {
    let end = Header::decode(stream)
        .and_then(|(header, body)| usize::try_from(header.payload_len).ok()?.checked_add(body))
        .unwrap_or(usize::MAX);
    &stream[..end.min(stream.len())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Frame;

    fn stream(frames: &[Frame]) -> Vec<u8> {
        frames.iter().flat_map(|frame| frame.encode(None)).collect()
    }

    #[test]
    fn frames_between_frames_are_found() {
        let (a, b) = (Frame::text("a"), Frame::text("b"));
        let ping = Frame::ping("own");
        let heard = stream(&[ping.clone(), a.clone(), ping.clone(), ping, b.clone()]);
        let found = injected(&heard, &stream(&[a, b])).unwrap();
        assert_eq!(found.len(), 3);
        assert!(found.iter().all(|frame| frame.payload == b"own"));
    }

    #[test]
    fn a_last_frame_may_be_cut_short() {
        let said = stream(&[Frame::text("a"), Frame::text("cut short")]);
        for end in 0..said.len() {
            assert_eq!(injected(&said[..end], &said[..end]), Ok(Vec::new()));
        }
    }

    #[test]
    fn a_byte_more_or_less_or_changed_is_seen() {
        let said = stream(&[Frame::text("one"), Frame::text("two")]);
        assert!(injected(&said[..said.len() - 1], &said).is_err());
        let mut changed = said.clone();
        changed[3] ^= 1;
        assert!(injected(&changed, &said).is_err());
        // A ping inside a frame.
        let mut inside = said.clone();
        inside.splice(3..3, Frame::ping("own").encode(None));
        assert!(injected(&inside, &said).is_err());
        // Data that nobody sent.
        assert!(
            injected(
                &[said.clone(), Frame::text("x").encode(None)].concat(),
                &said
            )
            .is_err()
        );
    }
}
