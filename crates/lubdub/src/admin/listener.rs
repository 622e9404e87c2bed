//! The listening socket of the admin interface, and the connections that it accepts.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv6Addr, TcpListener as StdTcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use lubdub_proxy::{Given, Inherited, Peer};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
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
    /// Answers at `listener`, which listens already.
    pub(crate) fn new(listener: StdTcpListener, state: State) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::from_std(listener)?,
            state: Arc::new(state),
        })
    }

    /// Answers until `closing` is dropped; then what is being answered comes to its end.
    pub(crate) async fn serve(self, mut closing: watch::Receiver<()>) {
        let mut connections = VecDeque::<AbortHandle>::with_capacity(CONNECTIONS);
        let mut all = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = closing.changed() => break,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    debug!(%error, "admin listener cannot accept");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            while all.try_join_next().is_some() {}
            connections.retain(|connection| !connection.is_finished());
            if connections.len() == CONNECTIONS
                && let Some(oldest) = connections.pop_front()
            {
                oldest.abort();
            }
            let connection = converse(
                Arc::clone(&self.state),
                stream,
                peer.into(),
                closing.clone(),
            );
            connections.push_back(all.spawn(connection));
        }
        drop(self.listener);
        while all.join_next().await.is_some() {}
    }
}

/// Listens where `settings` say; with the socket that was given to this process, if one was.
pub(crate) fn listen(settings: &AdminSettings, given: &Inherited) -> io::Result<StdTcpListener> {
    if let Some(Given { socket, .. }) = given.take("admin", &settings.address)? {
        socket.set_nonblocking(true)?;
        return Ok(socket);
    }
    let address = (settings.address.ip()).ok_or(io::ErrorKind::Unsupported)?;
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
    Ok(socket.into())
}

async fn converse(
    state: Arc<State>,
    stream: TcpStream,
    peer: Peer,
    mut closing: watch::Receiver<()>,
) {
    let service = service_fn(|request| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(state.answer(peer, request).await) }
    });
    let mut served = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(Reader::new(stream, READ_TIMEOUT)), service)
    );
    let served = tokio::select! {
        served = served.as_mut() => served,
        _ = closing.changed() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = served {
        debug!(client = %peer, %error, "admin connection ended with an error");
    }
}
