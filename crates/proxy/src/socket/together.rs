//! Sends that leave together, when a worker has looked at everything that is awake.
//!
//! What a pair relays is kept here until then, and is sent in one go: one send behind the other finds the kernel's code
//! and data still in the processor's caches (docs/adr/0020). A socket takes what it has left here for sent. Should the
//! kernel not take it, the rest is held until the socket asks for it, and its task is woken for that.
//!
//! Each worker has a list of its own. A thread that has none sends at once.
//!
//! The list has the sockets' numbers, for their streams are the runtime's. To send to a number is unsafe code: it is right
//! as long as no socket is closed before what it left is sent, which [`Left`] sees to.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::task::Waker;

use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use tracing::warn;

use super::ring::Ring;

/// What waits on a thread.
struct Together {
    /// The ticket of the first of them; the others have those that follow.
    first: u32,
    sends: Vec<Send>,
    /// The bytes of all of them.
    bytes: Vec<u8>,
    /// What the kernel did not take.
    rests: Vec<(u32, Rest)>,
    /// Where there is one, many are sent through it.
    ring: Option<Ring>,
    /// What the ring says of each; kept for its room.
    sent: Vec<Option<Sent>>,
}

struct Send {
    socket: RawFd,
    /// Where it ends in the bytes; it begins where the one before it ends.
    end: usize,
    waker: Waker,
}

/// How many bytes the kernel took, or why it took none.
pub(super) type Sent = Result<usize, Errno>;

/// What the kernel did not take.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rest {
    pub(crate) bytes: Vec<u8>,
    /// It will take nothing any more; otherwise it had no room.
    pub(crate) is_broken: bool,
}

/// The ticket for what a socket has left here and not asked about since, or 0.
#[derive(Debug, Default)]
pub(super) struct Left(u32);

thread_local! {
    static TOGETHER: Cell<Option<Box<Together>>> = const { Cell::new(None) };
    /// How often a socket was looked at since something waits, and once more; 0 if nothing does.
    static LOOKS: Cell<u32> = const { Cell::new(0) };
}

/// This thread has a list from now on, and [sends](send_all) what is on it before it waits for anything.
///
/// # Errors
/// If many sends in one system call are wanted, and cannot be: then they are sent one by one.
pub(crate) fn begin(io_uring: bool) -> io::Result<()> {
    let ring = io_uring.then(|| Ring::new(Together::SENDS)).transpose();
    let (ring, begun) = match ring {
        Ok(ring) => (ring, Ok(())),
        Err(error) => (None, Err(error)),
    };
    TOGETHER.set(Some(Box::new(Together::new(ring))));
    begun
}

/// Sends what waits on this thread.
pub(crate) fn send_all() {
    if LOOKS.get() == 0 {
        return;
    }
    // Nothing in here closes a socket: to wake a task only puts it in the queue.
    if let Some(mut together) = TOGETHER.take() {
        together.send_all();
        TOGETHER.set(Some(together));
    }
}

/// What waits is sent at a look, behind so many more.
#[cfg(test)]
pub(crate) fn send_behind_looks(looks: u32) {
    assert_ne!(LOOKS.get(), 0, "nothing waits");
    LOOKS.set(Together::LOOKS - looks);
}

/// A socket is looked at, whether there is something to read. Whatever a worker does for a connection begins with that:
/// so who waits does not wait for all of them, should there always be more.
#[inline]
pub(super) fn on_look() {
    match LOOKS.get() {
        0 => {}
        Together::LOOKS => send_all(),
        looks => LOOKS.set(looks + 1),
    }
}

// === impl Together ===

impl Together {
    /// So many at a time. With more of them nothing was cheaper, and the first waits for longer.
    const SENDS: usize = 16;
    /// Larger sends are not worth the copy.
    const MOST: usize = 2048;
    /// So often sockets may be looked at before what waits is sent. A pair looks two or three times in its turn.
    const LOOKS: u32 = 64;
    /// Tickets begin anew behind it. That is long after whoever has an early one has asked.
    const LAST_TICKET: u32 = u32::MAX - 2 * Self::SENDS as u32;

    fn new(ring: Option<Ring>) -> Self {
        Self {
            first: 1,
            sends: Vec::with_capacity(Self::SENDS),
            bytes: Vec::new(),
            rests: Vec::new(),
            ring,
            sent: Vec::with_capacity(Self::SENDS),
        }
    }

    fn waits(&self, ticket: u32) -> bool {
        (ticket.wrapping_sub(self.first) as usize) < self.sends.len()
    }

    /// Takes `first` and `second` in; their ticket.
    fn push(&mut self, socket: RawFd, waker: &Waker, first: &[u8], second: &[u8]) -> u32 {
        if self.sends.len() == Self::SENDS {
            self.send_all();
        }
        if LOOKS.get() == 0 {
            LOOKS.set(1);
        }
        self.bytes.extend_from_slice(first);
        self.bytes.extend_from_slice(second);
        let ticket = self.first + self.sends.len() as u32;
        self.sends.push(Send {
            socket,
            end: self.bytes.len(),
            waker: waker.clone(),
        });
        ticket
    }

    fn send_all(&mut self) {
        LOOKS.set(0);
        self.sent.clear();
        if let Some(ring) = &mut self.ring
            && self.sends.len() >= Ring::LEAST
        {
            let sends = pieces(&self.sends, &self.bytes);
            let all = ring.send(
                sends.map(|(send, bytes)| (send.socket, bytes)),
                &mut self.sent,
            );
            if let Err(error) = all {
                warn!(%error, "io_uring is not used any more");
                self.ring = None;
            }
        }
        let sent = self.sent.iter().copied().chain(std::iter::repeat(None));
        let sends = pieces(&self.sends, &self.bytes);
        for (ticket, ((to, bytes), sent)) in (self.first..).zip(sends.zip(sent)) {
            let sent = sent.unwrap_or_else(|| {
                // SAFETY: it is open. What it left is sent before it is closed: see the `Drop` of `Left`.
                let socket = unsafe { BorrowedFd::borrow_raw(to.socket) };
                send(socket, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
            });
            if sent != Ok(bytes.len()) {
                let is_broken = !matches!(sent, Ok(_) | Err(Errno::AGAIN | Errno::INTR));
                let bytes = bytes[sent.unwrap_or(0)..].to_vec();
                self.rests.push((ticket, Rest { bytes, is_broken }));
                to.waker.wake_by_ref();
            }
        }
        self.first += self.sends.len() as u32;
        if self.first > Self::LAST_TICKET {
            self.first = 1;
        }
        self.sends.clear();
        self.bytes.clear();
    }

    fn take_rest(&mut self, ticket: u32) -> Option<Rest> {
        let at = self.rests.iter().position(|(of, _)| *of == ticket)?;
        Some(self.rests.swap_remove(at).1)
    }
}

/// Each send and its bytes.
fn pieces<'a>(sends: &'a [Send], bytes: &'a [u8]) -> impl Iterator<Item = (&'a Send, &'a [u8])> {
    let mut from = 0;
    sends.iter().map(move |send| {
        let from = std::mem::replace(&mut from, send.end);
        (send, &bytes[from..send.end])
    })
}

// === impl Left ===

impl Left {
    const NOTHING: u32 = 0;

    #[inline]
    pub(super) fn is_something(&self) -> bool {
        self.0 != Self::NOTHING
    }

    /// Leaves `first` and `second` to be sent with what others send. Says whether that can be: if not, they are to be
    /// sent at once, [behind](Self::settle) what was left before.
    pub(super) fn leave(
        &mut self,
        socket: RawFd,
        waker: &Waker,
        first: &[u8],
        second: &[u8],
    ) -> bool {
        if self.is_something() || first.len() + second.len() > Together::MOST {
            return false;
        }
        let Some(mut together) = TOGETHER.take() else {
            return false;
        };
        self.0 = together.push(socket, waker, first, second);
        TOGETHER.set(Some(together));
        true
    }

    /// What the kernel did not take of what was left. If that still waits it is sent now, with everybody's.
    pub(super) fn settle(&mut self) -> Option<Rest> {
        if !self.is_something() {
            return None;
        }
        let mut together = TOGETHER.take()?;
        if together.waits(self.0) {
            together.send_all();
        }
        let rest = together.take_rest(self.0);
        TOGETHER.set(Some(together));
        self.0 = Self::NOTHING;
        rest
    }
}

impl Drop for Left {
    /// The number of a socket that is closed is another's at once.
    fn drop(&mut self) {
        self.settle();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::fd::AsRawFd as _;
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Relaxed);
        }
    }

    struct Peer {
        near: UnixStream,
        far: UnixStream,
        left: Left,
        woken: Arc<Woken>,
    }

    impl Peer {
        fn new() -> Self {
            let (near, far) = UnixStream::pair().unwrap();
            far.set_nonblocking(true).unwrap();
            Self {
                near,
                far,
                left: Left::default(),
                woken: Arc::default(),
            }
        }

        fn leave(&mut self, bytes: &[u8]) -> bool {
            let waker = Arc::clone(&self.woken).into();
            let (first, second) = bytes.split_at(bytes.len() / 2);
            self.left
                .leave(self.near.as_raw_fd(), &waker, first, second)
        }

        fn woken(&self) -> bool {
            self.woken.0.swap(false, Relaxed)
        }

        /// So many bytes that there is no room for more.
        fn fill(&mut self) -> usize {
            self.near.set_nonblocking(true).unwrap();
            let mut full = 0;
            while let Ok(n) = self.near.write(&[0; 1000]) {
                full += n;
            }
            full
        }

        fn has(&mut self) -> Vec<u8> {
            let mut has = Vec::new();
            let _ = self.far.read_to_end(&mut has);
            has
        }
    }

    #[test]
    fn a_thread_that_has_not_begun_sends_at_once() {
        assert!(!Peer::new().leave(b"hello"));
    }

    /// Plays a test with sends one by one, and with those of a ring where the kernel has one.
    fn either_way(test: impl Fn()) {
        begin(false).unwrap();
        test();
        if begin(true).is_ok() {
            test();
        }
    }

    #[test]
    fn what_was_left_is_sent_when_all_is() {
        either_way(|| {
            let [mut a, mut b] = [Peer::new(), Peer::new()];
            assert!(a.leave(b"one") && b.leave(b"two"));
            assert!(!a.leave(b"more"), "it goes behind what waits");
            assert_eq!((a.has(), b.has()), (vec![], vec![]));
            send_all();
            assert_eq!((a.has(), b.has()), (b"one".to_vec(), b"two".to_vec()));
            assert!(!a.leave(b"more"), "it has to ask first");
            assert_eq!((a.left.settle(), b.left.settle()), (None, None));
            assert!(!a.woken());
            assert!(a.leave(b"three"));
            assert_eq!(a.left.settle(), None);
            assert_eq!(a.has(), b"three");
        });
    }

    /// Who asks about what was sent does not send what others have left.
    #[test]
    fn to_ask_sends_nothing_of_others() {
        either_way(|| {
            let [mut a, mut b] = [Peer::new(), Peer::new()];
            assert!(a.leave(b"one"));
            send_all();
            assert!(b.leave(b"two"));
            assert_eq!(a.left.settle(), None);
            assert_eq!(b.has(), b"");
            send_all();
            assert_eq!(b.has(), b"two");
        });
    }

    /// Those beside it, and behind it, are not held up.
    #[test]
    fn what_is_not_taken_comes_back() {
        either_way(|| {
            let mut peers: Vec<_> = (0..=Ring::LEAST).map(|_| Peer::new()).collect();
            let full = peers[1].fill();
            let gone = UnixStream::pair().unwrap().0;
            drop(std::mem::replace(&mut peers[2].far, gone));
            for peer in &mut peers {
                assert!(peer.leave(b"hello"));
            }
            send_all();
            for (number, peer) in peers.iter_mut().enumerate() {
                let is_taken = !matches!(number, 1 | 2);
                assert_eq!(peer.woken(), !is_taken, "{number}");
                let rest = Rest {
                    bytes: b"hello".to_vec(),
                    is_broken: number == 2,
                };
                let rest = (!is_taken).then_some(rest);
                assert_eq!(peer.left.settle(), rest, "{number}");
                assert_eq!(peer.left.settle(), None, "it was told once");
                if is_taken {
                    assert_eq!(peer.has(), b"hello");
                }
            }
            assert_eq!(peers[1].has().len(), full);
        });
    }

    #[test]
    fn tickets_begin_anew() {
        either_way(|| {
            let mut together = TOGETHER.take().unwrap();
            together.first = Together::LAST_TICKET;
            TOGETHER.set(Some(together));
            for _ in 0..3 {
                let mut peers: Vec<_> = (0..Together::SENDS).map(|_| Peer::new()).collect();
                assert!(peers.iter_mut().all(|peer| peer.leave(b"hello")));
                send_all();
                assert!(peers.iter_mut().all(|peer| peer.left.is_something()));
                assert!(peers.iter_mut().all(|peer| peer.left.settle().is_none()));
                assert!(peers.iter_mut().all(|peer| peer.has() == b"hello"));
            }
        });
    }

    /// It has room for fewer than it is given.
    #[test]
    fn a_ring_that_does_not_work_is_left_and_everything_is_sent_once() {
        let Ok(ring) = Ring::new(1) else { return };
        TOGETHER.set(Some(Box::new(Together::new(Some(ring)))));
        let mut peers: Vec<_> = (0..2 * Ring::LEAST).map(|_| Peer::new()).collect();
        for _ in 0..2 {
            assert!(peers.iter_mut().all(|peer| peer.leave(b"hello")));
            send_all();
            for peer in &mut peers {
                assert_eq!((peer.left.settle(), peer.has()), (None, b"hello".to_vec()));
            }
        }
        assert!(TOGETHER.take().unwrap().ring.is_none());
    }

    #[test]
    fn neither_many_nor_much_nor_long() {
        either_way(|| {
            let mut peers: Vec<_> = (0..=Together::SENDS).map(|_| Peer::new()).collect();
            let most = vec![7; Together::MOST];
            assert!(!peers[0].leave(&vec![7; Together::MOST + 1]));
            for peer in &mut peers {
                assert!(peer.leave(&most));
            }
            assert_eq!(peers[0].has(), most, "there was no place for the last");
            let last = peers.last_mut().unwrap();
            for _ in 0..Together::LOOKS {
                assert_eq!(last.has(), b"");
                on_look();
            }
            assert_eq!(last.has(), most);
        });
    }

    /// The number of a socket that is closed is another's at once.
    #[test]
    fn a_socket_that_is_closed_has_sent_what_it_left() {
        either_way(|| {
            let mut peer = Peer::new();
            assert!(peer.leave(b"farewell"));
            let Peer {
                near,
                left,
                mut far,
                ..
            } = peer;
            drop(left);
            drop(near);
            let mut has = Vec::new();
            far.read_to_end(&mut has).unwrap();
            assert_eq!(has, b"farewell");
            // What had no room goes with it.
            let mut peer = Peer::new();
            peer.fill();
            assert!(peer.leave(b"too much"));
            drop(peer);
            let together = TOGETHER.take().unwrap();
            assert!(together.rests.is_empty());
            TOGETHER.set(Some(together));
        });
    }
}
