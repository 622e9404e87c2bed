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
            let came = ready!(read_some(Pin::new(&mut this.leg), cx, buf))?;
            if came == 0 {
                return Poll::Ready(Ok(()));
            }
            let bytes = &mut buf.filled_mut()[before..];
            this.clock.on_read(bytes);
            let ignored = if this.begun { 0 } else { empty_lines(bytes) };
            bytes.copy_within(ignored.., 0);
            buf.set_filled(before + came - ignored);
            if ignored < came {
                this.begun = true;
                return Poll::Ready(Ok(()));
            }
            // No bytes would say that there was an end.
        }
    }
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
        self.clock.on_write();
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
        self.clock.on_write();
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
            ready!(Pin::new(&mut self.leg).poll_shutdown(cx))?;
            self.lingering = Some(Box::pin(sleep(LINGER)));
        }
        self.poll_linger(cx)
    }
}
