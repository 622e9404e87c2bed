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
        ready!(read_some(Pin::new(&mut self.leg), cx, buf))?;
        let bytes = &buf.filled()[before..];
        if !bytes.is_empty() {
            self.clock.on_read(bytes);
        }
        Poll::Ready(Ok(()))
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
