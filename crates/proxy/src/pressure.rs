//! Whether a peer takes what HTTP sends it. The HTTP library reads a body ahead of a peer that takes
//! nothing, into buffers of its own; a body that knows better waits.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// The most that is read at a time on behalf of HTTP, in bytes. One less than a power of two, because
/// the HTTP library makes its buffers larger when one was filled.
const MOST_AT_ONCE: usize = 8 * 1024 - 1;

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

    /// Whether it takes nothing more at the moment.
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Relaxed)
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

thread_local! {
    static SCRATCH: RefCell<Box<[u8; MOST_AT_ONCE]>> = RefCell::new(Box::new([0; MOST_AT_ONCE]));
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
    // By way of a buffer of the thread's: one of hyper's own would have to be initialised as far as it
    // may be read into, and an idle connection would keep all of that.
    SCRATCH.with_borrow_mut(|scratch| {
        let mut part = ReadBuf::new(&mut scratch[..]);
        ready!(from.poll_read(cx, &mut part))?;
        buf.put_slice(part.filled());
        Poll::Ready(Ok(part.filled().len()))
    })
}
