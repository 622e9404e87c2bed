//! One listening socket: it hands each connection to the worker that has the fewest.

use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::unix::AsyncFd;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::connection::{self, Entrance};
use crate::admission::HandshakeSlot;
use crate::worker::Workers;

/// A bound socket that accepts connections for one listener.
#[derive(Debug)]
pub(crate) struct Acceptor {
    // Not the runtime's own listener: that would register each connection with the acceptor's
    // event queue, only to take it out again for the worker's.
    socket: AsyncFd<TcpListener>,
    entrance: Arc<Entrance>,
}

impl Acceptor {
    /// Connections that the kernel completes ahead of us: what waits for a handshake slot, waits
    /// there. The kernel caps it at `net.core.somaxconn`.
    const BACKLOG: i32 = 4096;
    /// How long to let go of a listener for which the process has no file descriptor.
    const PAUSE: Duration = Duration::from_millis(100);

    pub(crate) fn bind(entrance: Entrance) -> io::Result<Self> {
        let address = entrance.listener.address;
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM.nonblocking(),
            Some(Protocol::TCP),
        )?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(Self::BACKLOG)?;
        #[expect(
            deprecated,
            reason = "its soundness depends on what is wrapped: a listener of the standard library keeps its descriptor"
        )]
        let socket = AsyncFd::new(socket.into())?;
        Ok(Self {
            socket,
            entrance: Arc::new(entrance),
        })
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.entrance.listener.name
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.get_ref().local_addr()
    }

    /// Accepts until `stop`, then what waits in the accept queue: closing the socket over it would
    /// reset connections that the clients believe to have.
    pub(crate) async fn run(self, workers: Arc<Workers>, stop: CancellationToken) {
        let mut starved = false;
        loop {
            let slot = tokio::select! {
                slot = workers.shared().admission.handshake() => slot,
                () = stop.cancelled() => break,
            };
            let accepted = tokio::select! {
                accepted = poll_fn(|cx| self.poll_accept(cx)) => accepted,
                () = stop.cancelled() => break,
            };
            match accepted {
                Ok((tcp, peer)) => {
                    starved = false;
                    self.hand_over(tcp, peer, slot, &workers);
                }
                Err(error) if is_about_one_connection(&error) => {
                    debug!(listener = %self.name(), %error, "a connection went before it was accepted");
                }
                Err(error) => {
                    if !std::mem::replace(&mut starved, true) {
                        warn!(listener = %self.name(), %error, "cannot accept; live pairs go on, new connections wait");
                    }
                    tokio::time::sleep(Self::PAUSE).await;
                }
            }
        }
        loop {
            match self.socket.get_ref().accept() {
                Ok((tcp, peer)) => {
                    let slot = workers.shared().admission.handshake().await;
                    self.hand_over(tcp, peer, slot, &workers);
                }
                Err(error) if is_about_one_connection(&error) => {}
                Err(_) => return,
            }
        }
    }

    fn hand_over(&self, tcp: TcpStream, peer: SocketAddr, slot: HandshakeSlot, workers: &Workers) {
        let worker = workers.least_loaded();
        worker.spawn(connection::serve(
            tcp,
            peer,
            slot,
            Arc::clone(&self.entrance),
            Arc::clone(worker),
            // Counted here, not when the worker gets to it: a burst must not all go to one.
            worker.load(),
        ));
    }

    fn poll_accept(
        &self,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        loop {
            let mut ready = std::task::ready!(self.socket.poll_read_ready(cx))?;
            if let Ok(accepted) = ready.try_io(|socket| socket.get_ref().accept()) {
                return Poll::Ready(accepted);
            }
        }
    }
}

/// Errors that accept(2) passes on from the connection itself; the next one may be well.
fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
