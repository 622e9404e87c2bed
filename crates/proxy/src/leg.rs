//! A leg: the connection between the proxy and one side, whatever it runs over, so that the
//! splice is written once.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsStream;

use crate::socket::Socket;
use crate::tls::ServerStream;

/// The connection between the proxy and one side.
#[derive(Debug)]
pub(crate) enum Leg {
    /// TCP.
    Plain(Socket),
    /// TLS over TCP, with an upstream; boxed, because a session is many times the size of a socket.
    Tls(Box<TlsStream<Socket>>),
    /// TLS over TCP, with a client.
    TlsIn(Box<ServerStream>),
}

/// How much of a TLS session's output may wait in rustls before writes are refused: it is queued
/// ahead of a ping, like bytes in the kernel (rustls would take 64 KiB).
pub(crate) const TLS_BUFFER_LIMIT: usize = 16 * 1024;

impl Leg {
    /// The socket below.
    pub(crate) fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => tls.get_ref().0,
            Self::TlsIn(tls) => tls.socket(),
        }
    }

    /// The socket below.
    pub(crate) fn socket_mut(&mut self) -> &mut Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => tls.get_mut().0,
            Self::TlsIn(tls) => tls.socket_mut(),
        }
    }

    /// Whether written bytes may wait in the leg itself until they are flushed.
    pub(crate) fn is_buffered(&self) -> bool {
        matches!(self, Self::Tls(_) | Self::TlsIn(_))
    }
}

/// Calls the same method on whichever stream the leg is.
macro_rules! on_stream {
    ($leg:expr, $stream:ident => $call:expr) => {
        match $leg.get_mut() {
            Leg::Plain(socket) => {
                let $stream = Pin::new(socket);
                $call
            }
            Leg::Tls(tls) => {
                let $stream = Pin::new(tls.as_mut());
                $call
            }
            Leg::TlsIn(tls) => {
                let $stream = Pin::new(tls.as_mut());
                $call
            }
        }
    };
}

impl AsyncRead for Leg {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on_stream!(self, stream => stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for Leg {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        on_stream!(self, stream => stream.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_stream!(self, stream => stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.is_write_vectored(),
            Self::Tls(tls) => tls.is_write_vectored(),
            Self::TlsIn(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, stream => stream.poll_shutdown(cx))
    }
}
