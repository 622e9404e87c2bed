//! The runtime's stream of a socket of either kind: who has it, and how it is read and written.

use std::io::{self, IoSlice};
use std::net::TcpStream as StdStream;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use tokio::io::{AsyncRead as _, AsyncWrite as _, Interest, ReadBuf};
use tokio::net::TcpStream;

use super::Presence;

/// Who has the socket.
#[derive(Debug)]
pub(super) enum Stream {
    /// Nobody else.
    Own(TcpStream),
    /// A [`Presence`] has it as well. (`None` only while that is being changed.)
    Shared(Option<Arc<TcpStream>>),
}

// === impl Stream ===

impl Stream {
    /// That of a connected socket, which is non-blocking.
    pub(super) fn of(fd: OwnedFd) -> io::Result<Self> {
        TcpStream::from_std(StdStream::from(fd)).map(Self::Own)
    }

    /// For a [`Presence`] as well.
    pub(super) fn shared(self) -> (Self, Presence) {
        let tcp = match self {
            Self::Own(tcp) => Arc::new(tcp),
            Self::Shared(tcp) => tcp.expect("it is missing only for a moment"),
        };
        let presence = Presence::new(Arc::clone(&tcp));
        (Self::Shared(Some(tcp)), presence)
    }

    /// For nobody else any more, if the [`Presence`] has gone. Returns whether it is.
    pub(super) fn unshare(&mut self) -> bool {
        if let Self::Shared(shared) = self
            && let Some(tcp) = shared.take()
        {
            *self = Arc::try_unwrap(tcp).map_or_else(|tcp| Self::Shared(Some(tcp)), Self::Own);
        }
        matches!(self, Self::Own(_))
    }

    /// The descriptor alone, out of the runtime's event queue, if nobody else has it.
    pub(super) fn into_fd(self) -> io::Result<OwnedFd> {
        match self {
            Self::Own(tcp) => Ok(tcp.into_std()?.into()),
            Self::Shared(_) => Err(io::ErrorKind::ResourceBusy.into()),
        }
    }

    pub(super) fn get(&self) -> &TcpStream {
        match self {
            Self::Own(tcp) => tcp,
            Self::Shared(tcp) => tcp.as_ref().expect("it is missing only for a moment"),
        }
    }

    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Self::Own(tcp) = self {
            return Pin::new(tcp).poll_read(cx, buf);
        }
        let tcp = self.get();
        loop {
            ready!(tcp.poll_read_ready(cx))?;
            match tcp.try_read(buf.initialize_unfilled()) {
                Ok(n) => {
                    buf.advance(n);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Self::Own(tcp) = self {
            return match bufs {
                [buf] => Pin::new(tcp).poll_write(cx, buf),
                bufs => Pin::new(tcp).poll_write_vectored(cx, bufs),
            };
        }
        let tcp = self.get();
        loop {
            ready!(tcp.poll_write_ready(cx))?;
            let written = match bufs {
                [buf] => tcp.try_write(buf),
                bufs => tcp.try_write_vectored(bufs),
            };
            match written {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    /// Writes what the end follows.
    pub(super) fn poll_write_last(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
        let mut nothing = SendAncillaryBuffer::default();
        let tcp = self.get();
        loop {
            ready!(tcp.poll_write_ready(cx))?;
            let written = tcp.try_io(Interest::WRITABLE, || {
                Ok(sendmsg(tcp, bufs, &mut nothing, flags)?)
            });
            match written {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }
}
