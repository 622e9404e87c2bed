//! Whether a peer takes what HTTP sends it. The HTTP library reads a body ahead of a peer that takes
//! nothing, into buffers of its own; a body that knows better waits.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// The most that is read at a time on behalf of HTTP, in bytes. One less than a power of two, because
/// the HTTP library makes its buffers larger when one was filled.
const MOST_AT_ONCE: usize = 16 * 1024 - 1;

/// Whether a peer takes what it is sent.
#[derive(Debug, Default)]
pub(crate) struct Pressure {
    /// It did not take all of the last write.
    is_on: AtomicBool,
    waiting: Mutex<Option<Waker>>,
}

impl Pressure {
    /// A write was tried, and found room or not.
    pub(crate) fn on_write(&self, found_none: bool) {
        let was_on = self.is_on.swap(found_none, Relaxed);
        if was_on && !found_none {
            let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(waiting) = &*waiting {
                waiting.wake_by_ref();
            }
        }
    }

    /// Until the peer takes something.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_on.load(Relaxed) {
            return Poll::Ready(());
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        *waiting = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Reads no more than HTTP should keep for a peer that takes nothing; says how much.
pub(crate) fn read_some(
    from: Pin<&mut impl AsyncRead>,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<usize>> {
    if buf.remaining() <= MOST_AT_ONCE {
        let before = buf.filled().len();
        ready!(from.poll_read(cx, buf))?;
        return Poll::Ready(Ok(buf.filled().len() - before));
    }
    let mut part = ReadBuf::new(buf.initialize_unfilled_to(MOST_AT_ONCE));
    ready!(from.poll_read(cx, &mut part))?;
    let n = part.filled().len();
    buf.advance(n);
    Poll::Ready(Ok(n))
}
