//! The listening socket of the admin interface, and the connections that it accepts.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tracing::debug;

use super::State;
use super::reader::Reader;
use crate::config::AdminSettings;

/// The admin listener, bound.
#[derive(Debug)]
pub(crate) struct Admin {
    listener: TcpListener,
    state: Arc<State>,
}

/// A client that does not send its request is let go of.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// A client that takes nothing of its answer is let go of as well.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections at a time: as many file descriptors are kept for them (see `config::machine`). One
/// more ends the oldest, so that nobody keeps a probe or a scraper waiting by saying nothing.
const CONNECTIONS: usize = 32;
/// Connections that the kernel completes ahead of us.
const BACKLOG: i32 = 128;
/// Accepting again at once after an error (no file descriptor, say) would spin.
const PAUSE: Duration = Duration::from_millis(100);

impl Admin {
    pub(crate) fn bind(settings: &AdminSettings, state: State) -> io::Result<Self> {
        Ok(Self {
            listener: listen(settings)?,
            state: Arc::new(state),
        })
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    pub(crate) async fn serve(self) {
        let mut connections = VecDeque::<AbortHandle>::with_capacity(CONNECTIONS);
        loop {
            let (stream, peer) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    debug!(%error, "admin listener cannot accept");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            connections.retain(|connection| !connection.is_finished());
            if connections.len() == CONNECTIONS
                && let Some(oldest) = connections.pop_front()
            {
                oldest.abort();
            }
            let connection = tokio::spawn(converse(Arc::clone(&self.state), stream, peer));
            connections.push_back(connection.abort_handle());
        }
    }
}

fn listen(settings: &AdminSettings) -> io::Result<TcpListener> {
    let address = settings.address;
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        socket.set_only_v6(settings.v6_only)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

async fn converse(state: Arc<State>, stream: TcpStream, peer: SocketAddr) {
    let service = service_fn(|request| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(state.answer(peer, request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(Reader::new(stream, READ_TIMEOUT)), service)
        .await;
    if let Err(error) = served {
        debug!(client = %peer, %error, "admin connection ended with an error");
    }
}
