//! A socket, TCP or Unix, that can ask the kernel itself, counts what the kernel took, and has the first bytes and the
//! last leave in one packet with what TCP has to say.
//!
//! The runtime's `TcpStream` reads and writes any stream socket: what is asked of TCP alone is asked in here, and of
//! TCP only. So a pair over Unix sockets takes no more room, and no more instructions, than one over TCP.
//!
//! The runtime remembers which sockets are readable; after a stall of the process that memory is
//! older than the bytes that arrived meanwhile. Before a side is declared dead its socket is
//! therefore read directly ([`Socket::ask_kernel`]), below TLS as well.

mod arrival;
mod presence;
mod queue;
mod ring;
mod stream;
pub(crate) mod together;

use std::io::{self, IoSlice, Read};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionread;
use rustix::net::sockopt::set_tcp_quickack;
use rustix::net::{RecvFlags, recv};
use socket2::{Domain, SockRef};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};

pub(crate) use self::arrival::Arrival;
pub(crate) use self::presence::{Goodbye, Presence};
pub(crate) use self::queue::Packets;
use self::stream::Stream;
use self::together::Left;
pub(crate) use self::together::Rest;

/// A connected socket.
#[derive(Debug)]
pub(crate) struct Socket {
    /// Before the stream, which may be closed only when what was left is sent.
    left: Left,
    stream: Stream,
    /// Bytes that the kernel took from us.
    taken: u64,
    ask_kernel: bool,
    next_write: Write,
    /// Another process has had it, and may still have a descriptor of it.
    was_passed: bool,
    kind: Kind,
}

/// What is special about what is written next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    Usual,
    /// It goes along with what acknowledges the peer's SYN.
    First,
    /// The end follows it.
    Last,
}

/// What a socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Tcp,
    Unix,
}

impl Socket {
    /// Unsent bytes above which the kernel says that the socket is not writable: little is then
    /// queued ahead of a ping, while what is in flight is not limited.
    const NOTSENT_LOWAT: u32 = 16 * 1024;

    /// Prepares a socket for frames: small writes leave at once, and little is queued. What a
    /// listener accepts is as it is itself.
    pub(crate) fn prepare(socket: SockRef<'_>) -> io::Result<()> {
        socket.set_tcp_nodelay(true)?;
        socket.set_tcp_notsent_lowat(Self::NOTSENT_LOWAT)
    }

    /// Connects. lubdub speaks first to whom it connects to, and at once: what acknowledges the other's SYN goes
    /// along with that.
    pub(crate) async fn connect(address: SocketAddr) -> io::Result<Self> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        Self::prepare(SockRef::from(&socket))?;
        // Where that cannot be, it costs a packet.
        let _ = set_tcp_quickack(&socket, false);
        Ok(Self {
            next_write: Write::First,
            ..Self::of(Stream::Own(socket.connect(address).await?), Kind::Tcp)
        })
    }

    /// A connected socket that is to be prepared.
    #[cfg(test)]
    pub(crate) fn new(tcp: TcpStream) -> io::Result<Self> {
        Self::prepare(SockRef::from(&tcp))?;
        Ok(Self::of(Stream::Own(tcp), Kind::Tcp))
    }

    /// A connected Unix socket, non-blocking.
    pub(crate) fn unix(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self::of(Stream::of(fd)?, Kind::Unix))
    }

    /// A connected socket that is prepared.
    fn of(stream: Stream, kind: Kind) -> Self {
        Self {
            left: Left::default(),
            stream,
            taken: 0,
            ask_kernel: false,
            next_write: Write::Usual,
            was_passed: false,
            kind,
        }
    }

    /// A connected socket that another process has prepared, and for which its kernel, which is ours,
    /// has taken so many bytes.
    pub(crate) fn resume(fd: OwnedFd, taken: u64) -> io::Result<Self> {
        let socket = SockRef::from(&fd);
        socket.set_nonblocking(true)?;
        let kind = match socket.domain()? {
            Domain::UNIX => Kind::Unix,
            _ => Kind::Tcp,
        };
        Ok(Self {
            taken,
            was_passed: true,
            ..Self::of(Stream::of(fd)?, kind)
        })
    }

    /// The descriptor alone: out of the runtime's event queue, and not closed. To be
    /// [unshared](Self::unshare) before.
    pub(crate) fn into_fd(self) -> io::Result<OwnedFd> {
        self.stream.into_fd()
    }

    /// Bytes that the kernel has taken so far.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Bytes that the peer's kernel has not acknowledged; `None` if ours does not say.
    pub(crate) fn unacknowledged(&self) -> Option<u64> {
        match self.kind {
            Kind::Tcp => queue::unacknowledged(self.tcp()).ok(),
            // The peer's kernel is ours.
            Kind::Unix => Some(0),
        }
    }

    /// What has arrived at the peer's kernel; `None` if ours does not say.
    pub(crate) fn arrival(&self) -> Option<Arrival> {
        let held = self.unacknowledged()?;
        Some(Arrival {
            acknowledged: self.taken.saturating_sub(held),
            packets: self.packets(),
        })
    }

    /// What shows, compared with an earlier look, whether what waits in the kernel moves on. What has arrived at a
    /// peer's kernel does; on a Unix socket it is what the peer has read, of which the kernel tells in memory, and so
    /// with more than the bytes.
    pub(crate) fn progress(&self) -> Option<Arrival> {
        /// There may be more memory than bytes were ever taken.
        const ABOVE_ALL_MEMORY: u64 = 1 << 32;
        match self.kind {
            Kind::Tcp => self.arrival(),
            Kind::Unix => Some(Arrival {
                acknowledged: (self.taken + ABOVE_ALL_MEMORY)
                    .saturating_sub(queue::unacknowledged(self.tcp()).ok()?),
                packets: Packets::default(),
            }),
        }
    }

    /// Packets that have arrived at either end, 0 if the kernel does not say.
    pub(crate) fn packets(&self) -> Packets {
        match self.kind {
            Kind::Tcp => queue::packets(self.tcp()).unwrap_or_default(),
            Kind::Unix => Packets::default(),
        }
    }

    /// Sends `first` and `second` with what other sockets of this worker send, before it waits for anything; they are
    /// taken for sent. Says whether that can be.
    pub(crate) fn send_together(&mut self, waker: &Waker, first: &[u8], second: &[u8]) -> bool {
        let socket = self.tcp().as_raw_fd();
        let is_left =
            self.next_write == Write::Usual && self.left.leave(socket, waker, first, second);
        if is_left {
            #[cfg(test)]
            writes::count();
            self.taken += (first.len() + second.len()) as u64;
        }
        is_left
    }

    /// Whether something was [sent together](Self::send_together) of which nobody has asked what became of it.
    #[inline]
    pub(crate) fn has_left(&self) -> bool {
        self.left.is_something()
    }

    /// What the kernel did not take of that: it is to be sent before anything else. What still waits for others is sent
    /// now.
    pub(crate) fn settle(&mut self) -> Option<Rest> {
        let rest = self.left.settle()?;
        self.taken -= rest.bytes.len() as u64;
        Some(rest)
    }

    /// Whether the next reads ask the kernel, whatever the runtime believes.
    pub(crate) fn ask_kernel(&mut self, ask: bool) {
        self.ask_kernel = ask;
    }

    /// Whether the peer's end lies behind all that was read. Costs no system call as long as nothing has come.
    pub(crate) fn is_at_end(&self, cx: &mut Context<'_>) -> bool {
        let tcp = self.tcp();
        if tcp.poll_read_ready(cx).is_pending() {
            return false;
        }
        // Not by a look at what lies ready: that would take a reset away from who reads next.
        let mut near = [PollFd::new(tcp, PollFlags::RDHUP)];
        let asked = poll(&mut near, Some(&Timespec::default()));
        asked.is_ok_and(|said| said == 1)
            && near[0].revents() == PollFlags::RDHUP
            && ioctl_fionread(tcp).is_ok_and(|unread| unread == 0)
    }

    /// Whether closing it says our end: nobody else has it.
    pub(crate) fn ends_when_closed(&self) -> bool {
        matches!(self.stream, Stream::Own(_)) && !self.was_passed
    }

    /// Whether our end follows what is written next. The kernel may then keep that back until the end is said, so
    /// that both leave in one packet; 200 ms later it leaves anyway.
    pub(crate) fn end_is_next(&mut self, is_next: bool) {
        self.next_write = match is_next {
            true => Write::Last,
            false => Write::Usual,
        };
    }

    /// Makes closing this socket a reset (RST) that discards what is still queued. A Unix socket has none: its peer
    /// gets what is queued, and then the end.
    pub(crate) fn reset_on_close(&self) {
        if self.kind == Kind::Unix {
            return;
        }
        // It fails only on a socket that is no longer connected, where there is nothing to reset.
        let _ = SockRef::from(self.tcp()).set_linger(Some(Duration::ZERO));
    }

    /// How many bytes lie ready to be read, as far as they fit.
    #[cfg(test)]
    pub(crate) fn unread(&self, fit: usize) -> usize {
        let mut bytes = vec![std::mem::MaybeUninit::uninit(); fit];
        SockRef::from(self.tcp())
            .peek(&mut bytes)
            .unwrap_or_default()
    }

    /// Writes zeros past everything else, until there is no room for more.
    #[cfg(test)]
    pub(crate) fn fill(&self) {
        let flags = rustix::net::SendFlags::DONTWAIT;
        while rustix::net::send(self.tcp(), &[0; 4096], flags).is_ok() {}
    }

    /// How many packets went to the peer.
    #[cfg(test)]
    pub(crate) fn packets_sent(&self) -> u32 {
        queue::packets_sent(self.tcp()).expect("the kernel says")
    }

    /// Until the peer's end has arrived.
    #[cfg(test)]
    pub(crate) fn wait_for_end(&self) {
        poll(&mut [PollFd::new(self.tcp(), PollFlags::RDHUP)], None).expect("it is a socket");
    }

    /// Until there is something to read: bytes, an end, or an error.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.tcp().readable().await
    }

    /// Looks at what lies ready, and takes nothing of it, as soon as that is more than `known` bytes. As
    /// many as before say that no more will come.
    pub(crate) async fn peek_beyond(&self, known: usize, buf: &mut [u8]) -> io::Result<usize> {
        let tcp = self.tcp();
        loop {
            let ready = tcp.ready(Interest::READABLE).await?;
            let peeked = tcp.try_io(Interest::READABLE, || {
                let (_, n) = recv(tcp, &mut *buf, RecvFlags::PEEK)?;
                if n > known || n == 0 || ready.is_read_closed() {
                    return Ok(n);
                }
                // So the runtime forgets that there is something, and waits for more.
                Err(io::ErrorKind::WouldBlock.into())
            });
            match peeked {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                peeked => return peeked,
            }
        }
    }

    /// The address at which the peer has reached this machine, if it has one.
    pub(crate) fn local_address(&self) -> Option<SocketAddr> {
        let address = SockRef::from(self.tcp()).local_addr();
        address.ok()?.as_socket()
    }

    /// A socket that a listener of this kind has accepted, non-blocking and prepared. Lets somebody wait for the
    /// peer's end while others read and write.
    pub(crate) fn accepted(fd: OwnedFd, kind: Kind) -> io::Result<(Self, Presence)> {
        let (stream, presence) = Stream::of(fd)?.shared();
        Ok((Self::of(stream, kind), presence))
    }

    /// From now on for its reader and writer alone, if the [`Presence`] has gone: what is not shared is
    /// smaller, and cheaper to read. Returns whether it is.
    pub(crate) fn unshare(&mut self) -> bool {
        self.stream.unshare()
    }

    fn tcp(&self) -> &TcpStream {
        self.stream.get()
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        together::on_look();
        if self.ask_kernel {
            let read = (&*SockRef::from(self.tcp())).read(buf.initialize_unfilled());
            match read {
                Ok(n) => {
                    buf.advance(n);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        self.stream.poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = match self.next_write {
            Write::Usual | Write::First => self.stream.poll_write(cx, bufs),
            Write::Last => self.stream.poll_write_last(cx, bufs),
        };
        let n = ready!(written)?;
        if self.next_write == Write::First {
            self.next_write = Write::Usual;
            // A peer whose window is shut until its SYN is acknowledged, as that of a SYN proxy is, has got neither.
            let _ = set_tcp_quickack(self.tcp(), true);
        }
        #[cfg(test)]
        writes::count();
        self.taken += n as u64;
        Poll::Ready(Ok(n))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A socket keeps nothing back.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = SockRef::from(self.tcp()).shutdown(Shutdown::Write);
        // Somebody who has gone entirely needs no end.
        Poll::Ready(match shut {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            shut => shut,
        })
    }
}

/// How often sockets were written to by this thread: in no socket, whose size is of interest.
#[cfg(test)]
pub(crate) mod writes {
    use std::cell::Cell;

    thread_local! {
        static WRITES: Cell<u32> = const { Cell::new(0) };
    }

    pub(super) fn count() {
        WRITES.set(WRITES.get() + 1);
    }

    /// How many there were since this was asked last.
    pub(crate) fn take() -> u32 {
        WRITES.take()
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! Connections for unit tests.

    use tokio::net::{TcpListener, TcpStream};

    use super::Socket;

    /// A connection over loopback: lubdub's end of it, and the other one.
    pub(crate) async fn connection() -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let near = TcpStream::connect(listener.local_addr().expect("it is bound"));
        let (near, far) = tokio::join!(near, listener.accept());
        let near = Socket::new(near.expect("it listens")).expect("a socket");
        (near, far.expect("somebody connects").0)
    }
}
