//! The frames that lubdub adds to a stream: own pings, own Closes, and repaired pongs.
//!
//! RFC 6455 5.1: a client "MUST mask all frames that it sends to the server" and a server "MUST
//! NOT mask any frames that it sends to the client". Toward the upstream lubdub is the client, so
//! its frames are masked there, each with a fresh key from a cryptographic generator (5.3).

use std::ops::Deref;

use fastwebsockets::{Frame, OpCode, Payload};
use lubdub_keepalive::{PingPayload, Side};
use lubdub_wire::CloseCode;

/// A frame of lubdub's own, as it goes out. It lives on the stack: heartbeats cost no allocation.
pub(super) struct Injected {
    bytes: [u8; Self::HEAD + Self::PAYLOAD],
    len: usize,
}

impl Injected {
    /// The most room that a header takes (what is written of it for a control frame is less).
    const HEAD: usize = 16;
    /// RFC 6455 5.5: control frames carry at most this.
    const PAYLOAD: usize = 125;
}

impl Deref for Injected {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// An own ping to `to`.
pub(super) fn ping(to: Side, payload: PingPayload) -> Injected {
    encode(to, OpCode::Ping, payload.as_bytes())
}

/// An own Close to `to`. Of a reason that is too long its beginning is told.
pub(super) fn close(to: Side, code: CloseCode, reason: &str) -> Injected {
    let code = code.get().to_be_bytes();
    let most = Injected::PAYLOAD - code.len();
    // Not in the middle of a character: it has to be UTF-8 (RFC 6455 5.5.1).
    let ends = reason.char_indices().map(|(at, c)| at + c.len_utf8());
    let reason = &reason[..ends.take_while(|end| *end <= most).last().unwrap_or(0)];
    encode(to, OpCode::Close, &[&code, reason.as_bytes()].concat())
}

/// The pong that the other endpoint may have left out (RFC 6455 5.5.3).
pub(super) fn repaired_pong(to: Side, payload: &[u8]) -> Injected {
    encode(to, OpCode::Pong, payload)
}

fn encode(to: Side, opcode: OpCode, payload: &[u8]) -> Injected {
    let mut copy = [0; Injected::PAYLOAD];
    let copy = &mut copy[..payload.len()];
    copy.copy_from_slice(payload);
    let mut frame = Frame::new(true, opcode, None, Payload::BorrowedMut(copy));
    match to {
        Side::Client => {}
        Side::Upstream => frame.mask(),
    }
    let mut bytes = [0; Injected::HEAD + Injected::PAYLOAD];
    let head = frame.fmt_head(&mut bytes);
    let len = head + frame.payload.len();
    bytes[head..len].copy_from_slice(&frame.payload);
    Injected { bytes, len }
}

#[cfg(test)]
mod tests {
    use lubdub_wire::{Event, FrameScanner, Header, Stop};

    use super::*;

    fn header(frame: &[u8]) -> Header {
        Header::decode(frame).expect("a whole header").0
    }

    #[test]
    fn frames_are_masked_toward_the_upstream_only() {
        for (to, masked) in [(Side::Client, false), (Side::Upstream, true)] {
            for frame in [
                close(to, CloseCode::GOING_AWAY, "client lapsed"),
                repaired_pong(to, b"hello"),
            ] {
                let header = header(&frame);
                assert_eq!(header.mask.is_some(), masked);
                assert!(header.fin);
                assert_eq!(header.rsv, 0);
            }
        }
    }

    #[test]
    fn mask_keys_are_fresh() {
        let keys: std::collections::BTreeSet<_> = (0..100)
            .map(|_| {
                header(&close(Side::Upstream, CloseCode::NORMAL, ""))
                    .mask
                    .map(|key| key.0)
            })
            .collect();
        assert!(keys.len() > 98, "{} keys for 100 frames", keys.len());
    }

    #[test]
    fn a_masked_frame_says_what_it_should() {
        let longest = "ä".repeat(61) + "b";
        for (reason, told) in [
            ("", ""),
            ("restarting", "restarting"),
            (&longest, &longest),
            (&(longest.clone() + "c"), &longest),
            (&"ä".repeat(99), &"ä".repeat(61)),
        ] {
            let frame = close(Side::Upstream, CloseCode::GOING_AWAY, reason);
            let step = FrameScanner::new().scan(&frame, Stop::Never);
            let Event::Close(close) = step.event else {
                panic!("not a Close: {:?}", step.event);
            };
            let expected = [&1001_u16.to_be_bytes(), told.as_bytes()].concat();
            assert_eq!(&close.payload()[..], expected);
        }

        let frame = repaired_pong(Side::Upstream, &[7; 125]);
        let step = FrameScanner::new().scan(&frame, Stop::Never);
        let Event::Pong(pong) = step.event else {
            panic!("not a PONG: {:?}", step.event);
        };
        assert_eq!(&pong.payload()[..], [7; 125]);
    }
}
