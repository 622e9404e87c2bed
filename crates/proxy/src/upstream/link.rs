//! A connection to an upstream as HTTP uses it, and what those who wait for its answer know of it.
//!
//! Three things happen below the HTTP library that it does not do: a client's FIN is passed on behind
//! the request that it followed, the bytes of an answer are noticed (a request whose answer has not
//! begun may be asked once more), and it is seen whether the upstream takes what it is sent (a body is
//! not read ahead of that). And an upstream that closes while it is still sent a body may have answered before.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Permit;
use crate::client::clock::Clock;
use crate::leg::Leg;
use crate::pressure::{Pressure, read_some};

/// The connection, below the HTTP library.
#[derive(Debug)]
pub(crate) struct Link {
    leg: Leg,
    state: Arc<LinkState>,
    permit: Permit,
    hearing: Hearing,
}

/// Whether the upstream takes what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hearing {
    Yes,
    /// It has closed the connection, as this kind of error says. What it has said before lies in the socket, and is
    /// read first. Nothing is written until there is an answer, and what is written behind that goes nowhere.
    NoMore(io::ErrorKind),
    /// And all that it has said has been read.
    NorSpeaks,
}

/// What is known of a connection by those who sent a request over it.
#[derive(Debug, Default)]
pub(crate) struct LinkState {
    /// A byte of the request was written.
    asked: AtomicBool,
    /// The request's body has been handed over, all of it.
    uploaded: AtomicBool,
    /// All of it, and what was before it, has been written.
    flushed: AtomicBool,
    /// A byte of an answer came.
    answered: AtomicBool,
    /// How many requests it has carried, with the one under way.
    turn: AtomicU32,
    /// Nobody waits for anything of it any more, though not all has been written.
    abandoned: AtomicBool,
    /// The upstream has closed it, which may not have been read yet.
    is_closed: AtomicBool,
    end: AtomicU8,
    /// That of the client whose request is under way: the upstream's bytes are seen there before they are an answer.
    clock: Mutex<Weak<Clock>>,
    /// Who is to be woken when the client's end is to be passed on.
    driver: Mutex<Option<Waker>>,
    /// Whether the upstream takes what it is sent.
    pub(super) pressure: Pressure,
}

/// A request's body on its way; dropped when all of it has been handed over.
#[derive(Debug)]
pub(crate) struct Uploading(Arc<LinkState>);

/// A request's turn on a link. If it is dropped before all of the request was written, the link is of no
/// use any more: what is left would wait in it for an upstream that takes nothing, and hold its
/// descriptor for as long.
#[derive(Debug)]
pub(crate) struct Turn {
    link: Arc<LinkState>,
    number: u32,
    is_waited_for: bool,
}

/// No end of the client's is to be passed on.
const OPEN: u8 = 0;
/// It is, behind the request.
const ENDING: u8 = 1;
/// It was.
const ENDED: u8 = 2;

// === impl Link ===

impl Link {
    pub(crate) fn new(leg: Leg, permit: Permit) -> Self {
        Self {
            leg,
            state: Arc::default(),
            permit,
            hearing: Hearing::Yes,
        }
    }

    pub(crate) fn state(&self) -> &Arc<LinkState> {
        &self.state
    }

    /// The leg of a pair, and its place.
    pub(crate) fn into_parts(self) -> (Leg, Permit) {
        (self.leg, self.permit)
    }

    /// Passes the client's end on if all that was before it has been written.
    fn pass_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.state.is_end_due() {
            return Poll::Ready(Ok(()));
        }
        if self.hearing == Hearing::Yes {
            let passed = ready!(Pin::new(&mut self.leg).poll_shutdown(cx));
            self.or_hears_no_more(passed)?;
        }
        self.state.end.store(ENDED, Relaxed);
        Poll::Ready(Ok(()))
    }

    /// What came of writing, unless that is that the upstream has closed the connection.
    fn or_hears_no_more(&mut self, written: io::Result<()>) -> io::Result<()> {
        match written {
            Err(error) if has_closed(&error) => {
                self.hearing = Hearing::NoMore(error.kind());
                self.state.is_closed.store(true, Relaxed);
                // Whoever waits for room waits in vain.
                self.state.pressure.on_write(false);
                Ok(())
            }
            written => written,
        }
    }

    /// Ends the connection at once if nobody waits for it.
    fn check(&self) -> io::Result<()> {
        if !self.state.abandoned.load(Relaxed) {
            return Ok(());
        }
        self.leg.socket().reset_on_close();
        Err(io::ErrorKind::BrokenPipe.into())
    }

    /// Writes bytes, `all` of them in number.
    fn write(
        &mut self,
        all: usize,
        write: impl FnOnce(Pin<&mut Leg>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        if self.hearing == Hearing::Yes {
            let written = write(Pin::new(&mut self.leg));
            self.state.pressure.on_write(written.is_pending());
            if written.is_ready() {
                self.state.asked.store(true, Relaxed);
            }
            match ready!(written) {
                Ok(n) => return Poll::Ready(Ok(n)),
                Err(error) => self.or_hears_no_more(Err(error))?,
            }
        }
        match self.hearing {
            Hearing::NoMore(_) if self.state.is_answered() => Poll::Ready(Ok(all)),
            // Its end is read next, and wakes us.
            Hearing::Yes | Hearing::NoMore(_) => Poll::Pending,
            Hearing::NorSpeaks => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }
}

// === impl LinkState ===

impl LinkState {
    /// A request is about to be sent; its body is on its way until the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Uploading {
        self.turn.fetch_add(1, Relaxed);
        self.asked.store(false, Relaxed);
        self.uploaded.store(false, Relaxed);
        self.flushed.store(false, Relaxed);
        self.answered.store(false, Relaxed);
        Uploading(Arc::clone(self))
    }

    /// The turn of the request that began last.
    pub(crate) fn turn(self: &Arc<Self>) -> Turn {
        Turn {
            link: Arc::clone(self),
            number: self.turn.load(Relaxed),
            is_waited_for: true,
        }
    }

    /// What the upstream says is for the client that has this clock.
    pub(crate) fn is_for(&self, clock: &Arc<Clock>) {
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(clock);
    }

    fn on_read(&self) {
        self.answered.store(true, Relaxed);
        let clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(clock) = clock.upgrade() {
            clock.on_progress();
        }
    }

    /// Whether all of the request's body has been handed over.
    pub(crate) fn is_uploaded(&self) -> bool {
        self.uploaded.load(Relaxed)
    }

    /// Whether there is to be more of the request, and the upstream takes what it is sent.
    pub(crate) fn wants_body(&self) -> bool {
        !self.is_uploaded() && !self.pressure.is_on()
    }

    /// Whether the upstream has closed it.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Relaxed)
    }

    /// Whether a byte of an answer came since the request began.
    pub(crate) fn is_answered(&self) -> bool {
        self.answered.load(Relaxed)
    }

    /// The client said its end: it is passed on behind the request.
    pub(crate) fn end(&self) {
        let _ = self.end.compare_exchange(OPEN, ENDING, Relaxed, Relaxed);
        self.wake();
    }

    fn wake(&self) {
        let driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(driver) = &*driver {
            driver.wake_by_ref();
        }
    }

    /// Whether the client's end was passed on, or will be: no further request can follow.
    pub(crate) fn is_ending(&self) -> bool {
        self.end.load(Relaxed) != OPEN
    }

    fn is_end_due(&self) -> bool {
        self.end.load(Relaxed) == ENDING && self.uploaded.load(Relaxed) && self.asked.load(Relaxed)
    }
}

impl Turn {
    /// Whether no other request has begun on the link since.
    pub(crate) fn is_current(&self) -> bool {
        self.link.turn.load(Relaxed) == self.number
    }

    /// Nobody waits any more, and nothing is amiss.
    pub(crate) fn forgotten(mut self) {
        self.is_waited_for = false;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let link = &self.link;
        if self.is_waited_for && self.is_current() && !link.flushed.load(Relaxed) {
            link.abandoned.store(true, Relaxed);
            link.wake();
        }
    }
}

impl Drop for Uploading {
    fn drop(&mut self) {
        self.0.uploaded.store(true, Relaxed);
    }
}

/// Whether this is what whoever writes hears of a connection that the other end has closed.
fn has_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionReset)
}

// === I/O ===

impl AsyncRead for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        *self
            .state
            .driver
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        let this = &mut *self;
        this.check()?;
        let read = ready!(read_some(Pin::new(&mut this.leg), cx, buf));
        if let Ok(1..) = read {
            this.state.on_read();
        } else if let Hearing::NoMore(kind) = this.hearing {
            this.hearing = Hearing::NorSpeaks;
            // The kernel tells of a reset once, and whoever wrote has heard it: what reads like a FIN is none.
            if kind == io::ErrorKind::ConnectionReset {
                read?;
                return Poll::Ready(Err(kind.into()));
            }
        }
        Poll::Ready(read.map(|_| ()))
    }
}

impl AsyncWrite for Link {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(buf.len(), |leg| leg.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all = bufs.iter().map(|buf| buf.len()).sum();
        self.write(all, |leg| leg.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.leg.is_write_vectored()
    }

    /// Called by the HTTP library whenever it has written all that it has.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        if self.hearing == Hearing::Yes {
            // Over TLS it is only now that anything is written.
            let flushed = ready!(Pin::new(&mut self.leg).poll_flush(cx));
            self.or_hears_no_more(flushed)?;
        }
        if self.state.uploaded.load(Relaxed) && self.state.asked.load(Relaxed) {
            self.state.flushed.store(true, Relaxed);
        }
        self.pass_end(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.leg).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::budget::testing::budget;
    use crate::socket::testing::connection;

    /// A small server that refuses an upload answers, closes, and leaves the rest unread, so that its kernel resets the
    /// connection (RFC 9112 9.6).
    #[tokio::test]
    async fn an_answer_is_read_though_its_upstream_has_closed_under_an_upload() {
        let (near, mut far) = connection().await;
        let permit = budget(1).try_take().unwrap();
        let mut link = Link::new(Leg::Plain(near), permit);

        link.write_all(b"POST / HTTP/1.1\r\n").await.unwrap();
        far.readable().await.unwrap();
        far.write_all(b"HTTP/1.1 413 Too Large\r\n\r\n")
            .await
            .unwrap();
        drop(far);
        // The first of them finds the connection whole. Others wait for the answer to be read.
        for _ in 0..3 {
            let patience = std::time::Duration::from_millis(20);
            let _ = tokio::time::timeout(patience, link.write_all(b"body")).await;
            link.flush().await.unwrap();
        }
        assert!(link.state.is_closed());
        let mut answer = [0; 26];
        link.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 413 Too Large\r\n\r\n");
        link.write_all(b"body").await.unwrap();
        let end = link.read(&mut answer).await;
        // A reset is no end of an answer.
        assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        let error = link.write_all(b"body").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
