//! A client's leg as HTTP reads and writes it: its bytes are seen by the connection's clock, and its
//! end does not destroy the last answer.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::clock::Clock;
use crate::leg::Leg;
use crate::pressure::{Pressure, read_some};

/// A leg whose bytes are seen by a clock, and whose end does not destroy the last answer.
#[derive(Debug)]
pub(crate) struct Watched {
    leg: Leg,
    clock: Arc<Clock>,
    /// Whether the client takes what it is sent.
    pressure: Arc<Pressure>,
    /// More than empty lines has come.
    begun: bool,
    /// What came last was a CR, which may be the first half of an empty line.
    half_a_line: bool,
    /// Our end is said; what still comes is thrown away until then.
    lingering: Option<Pin<Box<Sleep>>>,
}

/// How long a client may go on sending after the end of its connection was said.
pub(crate) const LINGER: Duration = Duration::from_secs(2);

// === impl Watched ===

impl Watched {
    pub(crate) fn new(leg: Leg, clock: Arc<Clock>, pressure: Arc<Pressure>) -> Self {
        Self {
            leg,
            clock,
            pressure,
            begun: false,
            half_a_line: false,
            lingering: None,
        }
    }

    pub(crate) fn into_leg(self) -> Leg {
        self.leg
    }

    /// RFC 9112 9.6: "If a server performs an immediate close of a TCP connection, there is a
    /// significant risk that the client will not be able to read the last HTTP response", because
    /// data from the client that is still on its way is answered with a reset, which erases what
    /// the client has not read yet. So what comes is read until the client's own end.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut thrown_away = [0; 1024];
        loop {
            let mut buf = ReadBuf::new(&mut thrown_away);
            match Pin::new(&mut self.leg).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => break,
            }
        }
        match &mut self.lingering {
            // The clock first: under a flood the reads above use up the runtime's budget, and
            // the sleep would say "pending" for ever.
            Some(until) if until.deadline() <= Instant::now() => Poll::Ready(Ok(())),
            Some(until) => until.as_mut().poll(cx).map(Ok),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        loop {
            let this = &mut *self;
            if this.half_a_line {
                buf.put_slice(b"\r");
            }
            let came = read_some(Pin::new(&mut this.leg), cx, buf);
            if !matches!(came, Poll::Ready(Ok(1..))) {
                // Half a line is nothing that anybody has to hear of.
                buf.set_filled(before);
                return came.map_ok(drop);
            }
            let bytes = &mut buf.filled_mut()[before..];
            this.clock.on_read(bytes);
            let ignored = if this.begun { 0 } else { empty_lines(bytes) };
            let rest = bytes.len() - ignored;
            this.half_a_line = !this.begun && bytes[ignored..] == *b"\r";
            if this.half_a_line || rest == 0 {
                // No bytes would say that there was an end.
                buf.set_filled(before);
                continue;
            }
            if !this.begun && speaks_tls(&bytes[ignored..]) && matches!(this.leg, Leg::Plain(_)) {
                // There is no answer that it would understand, and hyper says nothing of an error that comes
                // before a request.
                this.clock.on_tls();
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            bytes.copy_within(ignored.., 0);
            buf.set_filled(before + rest);
            this.begun = true;
            return Poll::Ready(Ok(()));
        }
    }
}

/// Whether this is the header of a record with a handshake message (RFC 8446 5.1), as no method begins.
fn speaks_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [0x16, 3, ..] | [0x16])
}

/// How many of these bytes are empty lines. RFC 9112 2.2: "a server that is expecting to receive and
/// parse a request-line SHOULD ignore at least one empty line (CRLF) received prior to the
/// request-line." hyper does, but it keeps them until the request is there; those before the first
/// one never reach it. (Before a later one nobody out here knows where the last request ended.)
pub(super) fn empty_lines(bytes: &[u8]) -> usize {
    let mut len = 0;
    loop {
        len += match bytes[len..] {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            _ => return len,
        };
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.leg).poll_write(cx, buf);
        self.pressure.on_write(written.is_pending());
        let written = ready!(written)?;
        self.clock.on_progress();
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.leg).poll_write_vectored(cx, bufs);
        self.pressure.on_write(written.is_pending());
        let written = ready!(written)?;
        self.clock.on_progress();
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.leg.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.leg).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            self.clock.on_ending();
            ready!(Pin::new(&mut self.leg).poll_shutdown(cx))?;
            self.lingering = Some(Box::pin(sleep(LINGER)));
        }
        self.poll_linger(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::socket::testing::connection;

    /// What HTTP reads of `pieces`, each of which arrives by itself.
    async fn read(pieces: &[&str]) -> String {
        let (near, mut far) = connection().await;
        let leg = Leg::Plain(near);
        let mut watched = Watched::new(leg, Arc::new(Clock::new()), Arc::default());
        let mut all = Vec::new();
        for piece in pieces {
            far.write_all(piece.as_bytes()).await.unwrap();
            let mut buf = [0; 64];
            let read = tokio::time::timeout(Duration::from_millis(20), watched.read(&mut buf));
            if let Ok(n) = read.await {
                all.extend_from_slice(&buf[..n.unwrap()]);
            }
        }
        drop(far);
        watched.read_to_end(&mut all).await.unwrap();
        String::from_utf8(all).unwrap()
    }

    /// A line that came in two pieces was taken for the beginning of a request, and all lines behind
    /// it were kept.
    #[tokio::test]
    async fn empty_lines_before_the_first_request_are_ignored_however_they_come() {
        for (pieces, expected) in [
            (
                &["\r\n", "\r", "\n\r", "\nGET / ", "\r\n"][..],
                "GET / \r\n",
            ),
            (&["\n", "\r\n\nGET", "\r\n\r\n"], "GET\r\n\r\n"),
            // That is no empty line, and for HTTP to refuse.
            (&["\r", "GET"], "\rGET"),
            (&["\r", "\r\nGET"], "\r\r\nGET"),
            (&["\r\n\r"], ""),
        ] {
            assert_eq!(read(pieces).await, expected, "{pieces:?}");
        }
    }
}
