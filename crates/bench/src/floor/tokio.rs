//! The relay on tokio: a task for each pair, one buffer for all.

use std::cell::RefCell;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use super::SCRATCH;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into_boxed_slice());
}

/// What comes from one leg on its way to the other.
#[derive(Debug, Default)]
struct Way {
    /// What the other leg has not taken yet.
    backlog: Vec<u8>,
    has_ended: bool,
    is_shut: bool,
}

pub(super) fn run(listener: StdListener, backend: SocketAddr) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?
        .block_on(serve(listener, backend))?;
    Ok(())
}

async fn serve(listener: StdListener, backend: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (client, _) = listener.accept().await?;
        tokio::spawn(async move {
            // How a pair ends is not looked at.
            let _ = relay(client, backend).await;
        });
    }
}

async fn relay(mut client: TcpStream, backend: SocketAddr) -> io::Result<()> {
    let mut upstream = TcpStream::connect(backend).await?;
    client.set_nodelay(true)?;
    upstream.set_nodelay(true)?;
    let (mut up, mut down) = (Way::default(), Way::default());
    std::future::poll_fn(|cx| {
        let up = up.poll(&mut client, &mut upstream, cx)?;
        let down = down.poll(&mut upstream, &mut client, cx)?;
        if up.is_ready() && down.is_ready() {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    })
    .await
}

// === impl Way ===

impl Way {
    /// Moves what can be moved; ready once the end has passed.
    fn poll(
        &mut self,
        from: &mut TcpStream,
        to: &mut TcpStream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            while !self.backlog.is_empty() {
                let taken = ready!(Pin::new(&mut *to).poll_write(cx, &self.backlog))?;
                self.backlog.drain(..taken);
            }
            if self.has_ended {
                if !self.is_shut {
                    ready!(Pin::new(to).poll_shutdown(cx))?;
                    self.is_shut = true;
                }
                return Poll::Ready(Ok(()));
            }
            ready!(BUFFER.with_borrow_mut(|buffer| self.poll_once(from, to, cx, buffer)))?;
        }
    }

    /// One read, and one write of what it brought.
    fn poll_once(
        &mut self,
        from: &mut TcpStream,
        to: &mut TcpStream,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<()>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(from).poll_read(cx, &mut buffer))?;
        let bytes = buffer.filled();
        if bytes.is_empty() {
            self.has_ended = true;
            return Poll::Ready(Ok(()));
        }
        let taken = match Pin::new(to).poll_write(cx, bytes)? {
            Poll::Ready(taken) => taken,
            Poll::Pending => 0,
        };
        self.backlog.extend_from_slice(&bytes[taken..]);
        Poll::Ready(Ok(()))
    }
}
