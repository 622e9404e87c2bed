//! What is expected of lubdub. Every expectation is about the very next thing that comes, waits for
//! at most [`PATIENCE`], and tells what came instead.

use std::panic::Location;
use std::time::Duration;

use lubdub_wire::{Close, Opcode};
use tokio::time::timeout;

use super::{Answering, Heard, Peer, Role};
use crate::frame::{Frame, Seen};
use crate::http::Head;
use crate::{PATIENCE, way};

/// What a test expects of whom, and where it says so.
struct Expected {
    who: Role,
    what: String,
    at: &'static Location<'static>,
}

impl Peer {
    // --- frames

    /// The next frame, whatever it is.
    #[track_caller]
    pub fn expect_frame(&mut self) -> impl Future<Output = Seen> {
        let expected = self.expected("a frame");
        self.expect(expected, |frame| Some(frame.clone()))
    }

    /// A frame with these very bytes.
    #[track_caller]
    pub fn expect_raw(&mut self, raw: &[u8]) -> impl Future<Output = ()> {
        let expected = self.expected(format!("{:?}, byte for byte", Seen::decode(raw)));
        self.expect(expected, move |frame| (frame.raw == raw).then_some(()))
    }

    /// A text message in one frame.
    #[track_caller]
    pub fn expect_text(&mut self, text: &str) -> impl Future<Output = Seen> {
        let expected = self.expected(format!("TEXT {text:?}"));
        self.expect(expected, move |frame| {
            let is = frame.header.opcode == Opcode::TEXT && frame.header.fin;
            (is && frame.payload == text.as_bytes()).then(|| frame.clone())
        })
    }

    /// A PING; returns what it carries.
    #[track_caller]
    pub fn expect_ping(&mut self) -> impl Future<Output = Vec<u8>> {
        let expected = self.expected("a PING");
        self.expect(expected, |frame| {
            frame.is_ping().then(|| frame.payload.clone())
        })
    }

    /// A PONG that carries this.
    #[track_caller]
    pub fn expect_pong(&mut self, payload: impl AsRef<[u8]>) -> impl Future<Output = Seen> {
        let payload = payload.as_ref().to_vec();
        let expected = self.expected(format!("PONG \"{}\"", payload.escape_ascii()));
        self.expect(expected, move |frame| {
            let is = frame.header.opcode == Opcode::PONG;
            (is && frame.payload == payload).then(|| frame.clone())
        })
    }

    /// A Close with this code.
    #[track_caller]
    pub fn expect_close(&mut self, code: u16) -> impl Future<Output = Seen> {
        let expected = self.expected(format!("CLOSE {code}"));
        self.expect(expected, move |frame| {
            let is = frame.header.opcode == Opcode::CLOSE;
            (is && Close::parse(&frame.payload).code == Some(code)).then(|| frame.clone())
        })
    }

    /// Answers this many pings and sees nothing else.
    #[track_caller]
    pub fn answer_next_pings(&mut self, count: usize) -> impl Future<Output = ()> {
        let expected = self.expected("a PING");
        async move {
            for _ in 0..count {
                match self.next().await {
                    Some(Heard::Frame(frame)) if frame.is_ping() => self.pong(frame.payload).await,
                    other => expected.not(&other),
                }
            }
        }
    }

    /// Checks that nothing at all comes for so long.
    #[track_caller]
    pub fn expect_silence(&mut self, quiet: Duration) -> impl Future<Output = ()> {
        let expected = self.expected(format!("silence for {quiet:?}"));
        async move {
            let before = self.ears.unseen().len();
            if let Ok(heard) = timeout(quiet, self.polite_next()).await {
                expected.not(&Some(heard));
            }
            let part = self.ears.unseen().len().saturating_sub(before);
            if part > 0 {
                expected.but(format!("{part} bytes of a frame came"));
            }
        }
    }

    // --- bytes and heads

    /// Exactly these bytes.
    #[track_caller]
    pub fn expect_bytes(&mut self, bytes: impl AsRef<[u8]>) -> impl Future<Output = ()> {
        let bytes = bytes.as_ref().to_vec();
        let expected = self.expected(format!("the bytes \"{}\"", bytes.escape_ascii()));
        async move {
            let came = match timeout(PATIENCE, self.ears.bytes(bytes.len())).await {
                Ok(came) => came,
                Err(_) => self.ears.unseen().to_vec(),
            };
            if came != bytes {
                expected.but(format!("\"{}\" came", came.escape_ascii()));
            }
        }
    }

    /// So many bytes, whatever they are.
    #[track_caller]
    pub fn expect_len(&mut self, len: usize) -> impl Future<Output = Vec<u8>> {
        let expected = self.expected(format!("{len} bytes"));
        async move { self.take(len, &expected).await }
    }

    /// All bytes up to the end of the stream, which comes in order.
    #[track_caller]
    pub fn expect_all(&mut self) -> impl Future<Output = Vec<u8>> {
        let expected = self.expected("the end of the stream, behind whatever");
        async move {
            loop {
                match self.next().await {
                    Some(Heard::Frame(_)) => {}
                    Some(Heard::Fin(_)) => return self.ears.heard().to_vec(),
                    other => expected.not(&other),
                }
            }
        }
    }

    /// So many bytes, which are not kept.
    #[track_caller]
    pub fn discard(&mut self, len: usize) -> impl Future<Output = ()> {
        let expected = self.expected(format!("{len} bytes"));
        async move {
            let mut left = len;
            while left > 0 {
                left -= self.take(left.min(16 * 1024), &expected).await.len();
                self.ears.forget();
            }
        }
    }

    /// The head of an HTTP message.
    #[track_caller]
    pub fn expect_head(&mut self) -> impl Future<Output = Head> {
        let expected = self.expected("the head of a message");
        async move { self.head(&expected).await }
    }

    /// An answer with this status and, if its length is announced, its body.
    #[track_caller]
    pub fn expect_answer(&mut self, status: u16) -> impl Future<Output = (Head, String)> {
        let expected = self.expected(format!("an answer with status {status}"));
        async move {
            let head = self.head(&expected).await;
            if head.status() != status {
                expected.but(format!("{:?} came", head.first_line));
            }
            let body = self
                .take(head.content_length().unwrap_or(0), &expected)
                .await;
            (head, String::from_utf8_lossy(&body).into_owned())
        }
    }

    /// A chunked body (RFC 9112 7.1) without trailers, to its end.
    #[track_caller]
    pub fn expect_chunks(&mut self) -> impl Future<Output = String> {
        let expected = self.expected("a chunked body");
        async move {
            let mut body = Vec::new();
            loop {
                let chunk = self.chunk(&expected).await;
                if chunk.is_empty() {
                    return String::from_utf8_lossy(&body).into_owned();
                }
                body.extend(chunk);
            }
        }
    }

    /// One chunk of a chunked body; empty at its end.
    #[track_caller]
    pub fn expect_chunk(&mut self) -> impl Future<Output = String> {
        let expected = self.expected("a chunk");
        async move {
            let chunk = self.chunk(&expected).await;
            String::from_utf8_lossy(&chunk).into_owned()
        }
    }

    /// The 101; behind its end all that comes is WebSocket.
    #[track_caller]
    pub fn expect_switch(&mut self) -> impl Future<Output = Head> {
        let expected = self.expected("a 101");
        async move {
            let head = self.head(&expected).await;
            if head.status() != 101 {
                expected.but(format!("{:?} came", head.first_line));
            }
            self.ears.forget();
            head
        }
    }

    // --- ends

    /// The end of the stream, in order (FIN), and no part of a frame before it.
    #[track_caller]
    pub fn expect_eof(&mut self) -> impl Future<Output = ()> {
        self.expect_eof_after(0)
    }

    /// The end of the stream in order, after so many bytes of a frame that was cut short.
    #[track_caller]
    pub fn expect_eof_after(&mut self, part: usize) -> impl Future<Output = ()> {
        let expected = self.expected(format!("the end of the stream after {part} bytes"));
        async move {
            match self.next().await {
                Some(Heard::Fin(came)) if came == part => {}
                other => expected.not(&other),
            }
        }
    }

    /// A RST, and no part of a frame before it. Unix sockets have none: there it is the end.
    #[track_caller]
    pub fn expect_reset(&mut self) -> impl Future<Output = ()> {
        let expected = self.expected("a reset");
        async move {
            match self.next().await {
                Some(Heard::Reset(0)) => {}
                // Who is cut there sees no more than the end.
                Some(Heard::Fin(0)) if way::is_unix() => {}
                other => expected.not(&other),
            }
        }
    }

    /// The end, in order or not, behind nothing but pings; how many these were.
    #[track_caller]
    pub fn pings_before_the_end(&mut self) -> impl Future<Output = usize> {
        let expected = self.expected("nothing but pings before the end");
        async move {
            let mut pings = 0;
            loop {
                match self.next().await {
                    Some(Heard::Fin(_) | Heard::Reset(_)) => return pings,
                    Some(Heard::Frame(frame)) if frame.is_ping() => pings += 1,
                    other => expected.not(&other),
                }
            }
        }
    }

    /// A RST, whatever came before it. Unix sockets have none: there it is the end.
    #[track_caller]
    pub fn expect_reset_behind_frames(&mut self) -> impl Future<Output = ()> {
        let expected = self.expected("a reset, behind any frames");
        async move {
            loop {
                match self.next().await {
                    Some(Heard::Reset(_)) => return,
                    Some(Heard::Fin(_)) if way::is_unix() => return,
                    Some(Heard::Frame(_)) => {}
                    other => expected.not(&other),
                }
            }
        }
    }

    /// The end of the connection, in order or not.
    #[track_caller]
    pub fn expect_end(&mut self) -> impl Future<Output = ()> {
        let expected = self.expected("the end of the connection");
        async move {
            match self.next().await {
                Some(Heard::Fin(_) | Heard::Reset(_)) => {}
                other => expected.not(&other),
            }
        }
    }

    // --- private steps

    #[track_caller]
    fn expected(&self, what: impl Into<String>) -> Expected {
        Expected {
            who: self.role,
            what: what.into(),
            at: Location::caller(),
        }
    }

    async fn expect<T>(&mut self, expected: Expected, take: impl FnOnce(&Seen) -> Option<T>) -> T {
        let heard = self.next().await;
        let taken = match &heard {
            Some(Heard::Frame(frame)) => take(frame),
            _ => None,
        };
        taken.unwrap_or_else(|| expected.not(&heard))
    }

    async fn head(&mut self, expected: &Expected) -> Head {
        match timeout(PATIENCE, self.ears.head()).await {
            Ok(Some(head)) => head,
            Ok(None) | Err(_) => expected.but(format!(
                "there is only \"{}\"",
                self.ears.unseen().escape_ascii()
            )),
        }
    }

    async fn chunk(&mut self, expected: &Expected) -> Vec<u8> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.extend(self.take(1, expected).await);
        }
        let digits = String::from_utf8_lossy(&line);
        let Ok(len) = usize::from_str_radix(digits.trim_end(), 16) else {
            expected.but(format!("{digits:?} came for its length"));
        };
        let mut chunk = self.take(len + 2, expected).await;
        chunk.truncate(len);
        chunk
    }

    async fn take(&mut self, len: usize, expected: &Expected) -> Vec<u8> {
        match timeout(PATIENCE, self.ears.bytes(len)).await {
            Ok(bytes) if bytes.len() == len => bytes,
            Ok(bytes) => expected.but(format!("the end came after {} bytes", bytes.len())),
            Err(_) => expected.but(format!("only {} bytes came", self.ears.unseen().len())),
        }
    }

    /// What comes next, unless nothing does.
    async fn next(&mut self) -> Option<Heard> {
        timeout(PATIENCE, self.polite_next()).await.ok()
    }

    async fn polite_next(&mut self) -> Heard {
        loop {
            let heard = self.ears.next().await;
            match (&heard, self.answering) {
                (Heard::Frame(frame), Answering::Pings) if frame.is_ping() => {
                    let pong = self.mouth.encode(&Frame::pong(frame.payload.clone()));
                    // Whoever pings may be gone by now; what comes next will tell.
                    let _ = self.mouth.try_send(&pong).await;
                }
                _ => return heard,
            }
        }
    }
}

// === impl Expected ===

impl Expected {
    /// Something else came, or nothing at all.
    fn not(&self, heard: &Option<Heard>) -> ! {
        self.but(match heard {
            Some(Heard::Frame(frame)) => format!("{frame:?} came"),
            Some(Heard::Fin(0)) => "the stream ended".to_owned(),
            Some(Heard::Fin(part)) => format!("the stream ended after {part} bytes of a frame"),
            Some(Heard::Reset(part)) => format!("a reset came after {part} bytes of a frame"),
            None => format!("nothing came in {PATIENCE:?}"),
        })
    }

    fn but(&self, came: impl AsRef<str>) -> ! {
        let Self { who, what, at } = self;
        panic!("{who} expected {what} ({at}), but {}", came.as_ref())
    }
}
