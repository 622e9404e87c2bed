//! The listening socket of the admin interface, and the connections that it accepts.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::Request;
use http::header::X_CONTENT_TYPE_OPTIONS;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use lubdub_proxy::unix::SocketFile;
use lubdub_proxy::{Address, Inherited, ListenerSocket, Peer};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet, yield_now};
use tokio::time::{Instant, timeout};
use tracing::debug;

use super::State;
use super::answer::with;
use super::events::Line;
use super::feed::Feed;
use super::history::History;
use super::reader::Reader;
use super::routing;
use crate::config::AdminSettings;

/// The socket of the admin listener.
#[derive(Debug)]
pub(crate) struct AdminSocket {
    /// Where it is.
    pub(crate) address: Address,
    /// The file of a Unix socket, unless it is left to whoever lent the socket.
    pub(crate) file: Option<SocketFile>,
    socket: OwnedFd,
}

/// The admin listener, bound.
#[derive(Debug)]
pub(crate) struct Admin {
    listener: Listener,
    state: Arc<State>,
}

#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// The connections that there are.
#[derive(Debug, Default)]
struct Connections {
    /// The oldest first.
    known: VecDeque<Known>,
    running: JoinSet<()>,
}

#[derive(Debug)]
struct Known {
    connection: AbortHandle,
    line: Line,
    since: Instant,
}

/// What is accepted there.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A client that does not send its request is let go of.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// A longer head is refused, in bytes.
const HEAD: usize = 64 * 1024;
/// A client that takes nothing of its answer is let go of as well.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections at a time, beside those of watchers: as many file descriptors are kept for them (see
/// `config::machine`). One more ends the oldest, so that nobody keeps a probe or a scraper waiting by saying
/// nothing.
const CONNECTIONS: usize = 32;
/// Before that, each has so long to be answered, so that a crowd that comes at once does not end a probe in its
/// middle. Meanwhile the kernel keeps who comes.
const TURN: Duration = Duration::from_millis(100);
/// From one look for a place to the next: a connection that becomes a watcher's leaves one, and tells nobody.
const LOOK: Duration = Duration::from_millis(10);
/// Connections that the kernel completes ahead of us.
const BACKLOG: i32 = 128;
/// What the kernel takes ahead of who reads, in bytes: a watcher that does not read is noticed sooner.
const AHEAD: u32 = 16 * 1024;
/// Accepting again at once after an error (no file descriptor, say) would spin.
const PAUSE: Duration = Duration::from_millis(100);

impl Admin {
    /// Answers at `socket`, which listens already.
    pub(crate) fn new(socket: &AdminSocket, state: State) -> io::Result<Self> {
        let listening = socket.try_clone()?;
        let listener = match &socket.address {
            Address::Ip(_) => Listener::Tcp(TcpListener::from_std(listening.into())?),
            Address::Unix(_) => Listener::Unix(UnixListener::from_std(listening.into())?),
        };
        Ok(Self {
            listener,
            state: Arc::new(state),
        })
    }

    /// Answers until `closing` is dropped; then what is being answered comes to its end.
    pub(crate) async fn serve(self, mut closing: watch::Receiver<()>) {
        let mut connections = Connections::default();
        let router = routing::router(Arc::clone(&self.state));
        let background = Arc::clone(&self.state);
        let mut background = pin!(async move {
            tokio::join!(Feed::speak(&background), History::grow(&background));
        });
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = background.as_mut() => break,
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
            tokio::select! {
                () = connections.make_room() => {}
                () = background.as_mut() => break,
                _ = closing.changed() => break,
            }
            let line = Line::new(closing.clone());
            let connection = converse(router.clone(), stream, peer, line.clone(), closing.clone());
            connections.begin(connection, line);
        }
        drop(self.listener);
        connections.end().await;
    }
}

/// Listens where `settings` say; with the socket that was given to this process, if one was.
pub(crate) fn listen(settings: &AdminSettings, given: &Inherited) -> io::Result<AdminSocket> {
    let AdminSettings {
        address,
        v6_only,
        permissions,
        ..
    } = settings;
    let socket = ListenerSocket::new("admin", address, *v6_only, *permissions, given)?;
    SockRef::from(&socket.socket).listen(BACKLOG)?;
    let ListenerSocket {
        socket,
        address,
        file,
        ..
    } = socket;
    Ok(AdminSocket {
        address,
        file,
        socket,
    })
}

// === impl AdminSocket ===

impl AdminSocket {
    /// Another descriptor of the same socket.
    pub(crate) fn try_clone(&self) -> io::Result<OwnedFd> {
        self.socket.try_clone()
    }

    /// The file is this process's, which removes it at its end, or another one's.
    pub(crate) fn set_file_ours(&self, is_ours: bool) {
        if let Some(file) = &self.file {
            file.set_ours(is_ours);
        }
    }
}

// === impl Connections ===

impl Connections {
    fn begin(&mut self, connection: impl Future<Output = ()> + Send + 'static, line: Line) {
        self.known.push_back(Known {
            connection: self.running.spawn(connection),
            line,
            since: Instant::now(),
        });
    }

    /// Until there is a place for one more.
    async fn make_room(&mut self) {
        loop {
            while self.running.try_join_next().is_some() {}
            self.known.retain(|known| !known.connection.is_finished());
            let mut others = self.known.iter().filter(|known| !known.line.is_watched());
            let Some(oldest) = others.next() else { return };
            if 1 + others.count() < CONNECTIONS {
                return;
            }
            if oldest.since.elapsed() >= TURN {
                oldest.connection.abort();
                // It has its descriptor until it is dropped.
                yield_now().await;
            } else {
                let _ = timeout(LOOK, self.running.join_next()).await;
            }
        }
    }

    /// Until all have come to their ends.
    async fn end(mut self) {
        while self.running.join_next().await.is_some() {}
    }
}

// === impl Listener ===

impl Listener {
    async fn accept(&self) -> io::Result<(Box<dyn Stream>, Peer)> {
        Ok(match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Without it all goes on as well, if later.
                let _ = SockRef::from(&stream).set_tcp_notsent_lowat(AHEAD);
                let _ = stream.set_nodelay(true);
                (Box::new(stream), peer.into())
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                (Box::new(stream), Peer::Unix)
            }
        })
    }
}

async fn converse(
    router: Router,
    stream: Box<dyn Stream>,
    peer: Peer,
    line: Line,
    mut closing: watch::Receiver<()>,
) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(line.clone());
        let answer = router.call(request);
        // Browsers are not to guess what an answer is.
        async { Ok::<_, Infallible>(with(answer.await?, X_CONTENT_TYPE_OPTIONS, "nosniff")) }
    });
    let mut served = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(HEAD)
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
