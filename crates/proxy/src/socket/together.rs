//! Sends that leave together, when a worker has looked at everything that is awake.
//!
//! What a pair relays is kept here until then, and is sent in one go: one send behind the other finds the kernel's code
//! and data still in the processor's caches (docs/adr/0020). A socket takes what it has left here for sent. Should the
//! kernel have no room for it, the rest is held until the socket asks for it, and its task is woken for that.
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
    /// What the kernel had no room for.
    rests: Vec<Rest>,
    /// Where there is one, many are sent through it.
    ring: Option<Ring>,
    /// What the ring says of each; kept for its room.
    sent: Vec<Option<usize>>,
}

struct Send {
    socket: RawFd,
    /// Where it ends in the bytes; it begins where the one before it ends.
    end: usize,
    waker: Waker,
}

struct Rest {
    ticket: u32,
    bytes: Vec<u8>,
}

/// The ticket for what a socket has left here and not asked about since; [`NOTHING`](Self::NOTHING) if there is none.
#[derive(Debug, Default)]
pub(super) struct Left(u32);

thread_local! {
    static TOGETHER: Cell<Option<Box<Together>>> = const { Cell::new(None) };
    /// How often sockets were read since something waits, and once more; 0 if nothing does.
    static READS: Cell<u32> = const { Cell::new(0) };
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
    if READS.get() == 0 {
        return;
    }
    // A socket that is closed meanwhile finds nothing here, and nothing of its own waits any more.
    if let Some(mut together) = TOGETHER.take() {
        together.send_all();
        TOGETHER.set(Some(together));
    }
}

/// A socket is read. Whatever does anything at a worker reads: who waits does not wait for all of them, should there
/// always be more.
#[inline]
pub(super) fn on_read() {
    match READS.get() {
        0 => {}
        Together::READS => send_all(),
        reads => READS.set(reads + 1),
    }
}

// === impl Together ===

impl Together {
    /// So many sockets at a time.
    const SENDS: usize = 64;
    /// Larger sends are not worth the copy.
    const MOST: usize = 2048;
    /// So many sockets may be read before what waits is sent.
    const READS: u32 = 128;
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

    /// Whether what has this ticket still waits, and behind how many.
    fn place(&self, ticket: u32) -> Option<usize> {
        let place = ticket.wrapping_sub(self.first) as usize;
        (place < self.sends.len()).then_some(place)
    }

    /// Takes `first` and `second` in; their ticket.
    fn push(&mut self, socket: RawFd, waker: &Waker, first: &[u8], second: &[u8]) -> u32 {
        if self.sends.len() == Self::SENDS {
            self.send_all();
        }
        if READS.get() == 0 {
            READS.set(1);
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

    /// Adds to the last that was taken in.
    fn append(&mut self, first: &[u8], second: &[u8]) {
        self.bytes.extend_from_slice(first);
        self.bytes.extend_from_slice(second);
        if let Some(last) = self.sends.last_mut() {
            last.end = self.bytes.len();
        }
    }

    fn send_all(&mut self) {
        READS.set(0);
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
                // Whatever the error is, the next write of the socket meets it again.
                send(socket, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT).unwrap_or(0)
            });
            if sent < bytes.len() {
                let bytes = bytes[sent..].to_vec();
                self.rests.push(Rest { ticket, bytes });
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

    fn take_rest(&mut self, ticket: u32) -> Option<Vec<u8>> {
        let at = self.rests.iter().position(|rest| rest.ticket == ticket)?;
        Some(self.rests.swap_remove(at).bytes)
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
        if first.len() + second.len() > Together::MOST {
            return false;
        }
        let Some(mut together) = TOGETHER.take() else {
            return false;
        };
        let can_be = if self.is_something() {
            // More of the same turn. Behind anything else it would go past others, or past its own rest.
            let is_last =
                together.place(self.0).map(|place| place + 1) == Some(together.sends.len());
            if is_last {
                together.append(first, second);
            }
            is_last
        } else {
            self.0 = together.push(socket, waker, first, second);
            true
        };
        TOGETHER.set(Some(together));
        can_be
    }

    /// For which bytes the kernel had no room, once they were to be sent. They are the socket's again.
    pub(super) fn rest(&mut self) -> Option<Vec<u8>> {
        if !self.is_something() {
            return None;
        }
        let mut together = TOGETHER.take()?;
        let mut rest = None;
        if together.place(self.0).is_none() {
            rest = together.take_rest(self.0);
            self.0 = Self::NOTHING;
        }
        TOGETHER.set(Some(together));
        rest
    }

    /// Sends now what waits, everybody's; for which bytes of this socket the kernel had no room.
    pub(super) fn settle(&mut self) -> Option<Vec<u8>> {
        if !self.is_something() {
            return None;
        }
        send_all();
        self.rest()
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
            // Of the same turn.
            assert!(b.leave(b" three"));
            // Of another: it would have to be put between.
            assert!(!a.leave(b"four"));
            assert_eq!((a.has(), b.has()), (vec![], vec![]));
            assert_eq!(a.left.rest(), None);
            send_all();
            assert_eq!((a.has(), b.has()), (b"one".to_vec(), b"two three".to_vec()));
            assert_eq!((a.left.rest(), b.left.rest()), (None, None));
            assert!(!a.woken());
            assert!(a.leave(b"five"));
            assert_eq!(a.left.settle(), None);
            assert_eq!(a.has(), b"five");
        });
    }

    /// Those beside it, and behind it, are not held up.
    #[test]
    fn what_has_no_room_comes_back() {
        either_way(|| {
            let mut peers: Vec<_> = (0..=Ring::LEAST).map(|_| Peer::new()).collect();
            let full = peers[1].fill();
            drop(std::mem::replace(
                &mut peers[2].far,
                UnixStream::pair().unwrap().0,
            ));
            for peer in &mut peers {
                assert!(peer.leave(b"hello"));
            }
            send_all();
            for (number, peer) in peers.iter_mut().enumerate() {
                let has_room = !matches!(number, 1 | 2);
                assert_eq!(peer.woken(), !has_room, "{number}");
                let rest = peer.left.rest();
                match has_room {
                    true => assert_eq!((rest, peer.has()), (None, b"hello".to_vec())),
                    false => assert_eq!(rest.as_deref(), Some(&b"hello"[..])),
                }
                assert_eq!(peer.left.rest(), None, "it was told once");
            }
            assert_eq!(peers[1].has().len(), full);
        });
    }

    /// What came first was sent in the middle of a turn, and had no room: what comes next went past it.
    #[test]
    fn nothing_goes_past_a_rest() {
        either_way(|| {
            let mut peer = Peer::new();
            let full = peer.fill();
            assert!(peer.leave(b"first"));
            send_all();
            assert_eq!(peer.has().len(), full);
            assert!(!peer.leave(b"second"));
            assert_eq!(peer.left.rest().as_deref(), Some(&b"first"[..]));
            assert!(peer.leave(b"third"));
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
                assert!(peers.iter_mut().all(|peer| peer.left.rest().is_none()));
                assert!(peers.iter_mut().all(|peer| peer.left.is_something()));
                send_all();
                assert!(peers.iter_mut().all(|peer| peer.left.rest().is_none()));
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
                assert_eq!((peer.left.rest(), peer.has()), (None, b"hello".to_vec()));
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
            for _ in 0..Together::READS {
                assert_eq!(last.has(), b"");
                on_read();
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
