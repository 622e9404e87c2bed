//! One connection of a client, from accept to its end or to its upgrade.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use lubdub_metrics::{ListenerMetrics, Outcome, PairMetrics};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::debug;

use super::clock::{Clock, Expired, Watched};
use crate::admission::{HandshakeSlot, SocketPermit};
use crate::http::service;
use crate::leg::{Leg, TLS_BUFFER_LIMIT};
use crate::patience::within;
use crate::settings::Listener;
use crate::socket::Socket;
use crate::worker::{Load, Worker};

/// Where connections come in: a listener, and what is counted there.
#[derive(Debug)]
pub(crate) struct Entrance {
    pub(crate) listener: Listener,
    pub(crate) metrics: Arc<ListenerMetrics>,
    /// In the order of the route table.
    pub(crate) routes: Vec<Arc<PairMetrics>>,
}

/// A connection that was just accepted.
#[derive(Debug)]
pub(crate) struct Newcomer {
    /// Non-blocking, and prepared as the listener is.
    pub(crate) tcp: TcpStream,
    pub(crate) peer: SocketAddr,
    /// `None` for one that was taken out of the accept queue of a listener that closes.
    pub(crate) slot: Option<HandshakeSlot>,
    pub(crate) permit: Option<SocketPermit>,
}

/// What the requests of one connection share.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) peer: SocketAddr,
    pub(crate) entrance: Arc<Entrance>,
    pub(crate) worker: Arc<Worker>,
    pub(crate) clock: Arc<Clock>,
    slot: Mutex<Option<HandshakeSlot>>,
    permit: Mutex<Option<SocketPermit>>,
    _load: Load,
}

/// Why a connection ended before it could be served.
#[derive(Debug, thiserror::Error)]
enum Unserved {
    #[error("no first byte in time")]
    FirstByte,
    #[error("TLS handshake not done in time")]
    TlsTimeout,
    #[error("TLS handshake failed: {0}")]
    Tls(#[source] io::Error),
    #[error(transparent)]
    Socket(#[from] io::Error),
}

/// How long a handshake may wait for its client and keep its slot: silent connections must not
/// keep those out that have something to say.
const SLOT_PATIENCE: Duration = Duration::from_secs(1);

/// Serves a connection until it ends or is upgraded.
pub(crate) async fn serve(
    newcomer: Newcomer,
    entrance: Arc<Entrance>,
    worker: Arc<Worker>,
    load: Load,
) {
    let peer = newcomer.peer;
    let connection = Arc::new(Connection {
        peer,
        _load: load,
        entrance,
        worker,
        clock: Arc::new(Clock::new()),
        slot: Mutex::new(newcomer.slot),
        permit: Mutex::new(newcomer.permit),
    });
    match connection.open(newcomer.tcp).await {
        Ok(leg) => connection.serve_http(leg).await,
        Err(unserved) => {
            debug!(client = %peer, listener = %connection.entrance.listener.name, reason = %unserved, "connection not served");
            let outcome = match unserved {
                Unserved::FirstByte | Unserved::TlsTimeout => Outcome::RequestTimeout,
                // Health checks of load balancers connect and go.
                Unserved::Tls(error) if is_gone(&error) => Outcome::ClientGone,
                Unserved::Tls(_) => Outcome::BadRequest,
                Unserved::Socket(_) => Outcome::ClientGone,
            };
            connection.entrance.metrics.unrouted(outcome).increment(1);
        }
    }
}

impl Connection {
    /// The handshake is over, or the connection turned out to be about something else.
    pub(crate) fn release_slot(&self) {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Makes sure that a handshake has its slot: a client that was slow, or asked for something
    /// else first, has given it back.
    pub(crate) async fn take_slot(&self) {
        let has_slot = self
            .slot
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some();
        if !has_slot {
            let slot = self.worker.shared().admission.handshake().await;
            *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(slot);
        }
    }

    /// The client's socket goes on as a leg of a pair, and takes its place with it.
    pub(crate) fn take_permit(&self) -> Option<SocketPermit> {
        self.permit
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Waits for the first byte, and sets up TLS if the listener speaks it.
    async fn open(&self, tcp: TcpStream) -> Result<Leg, Unserved> {
        let timeouts = self.worker.shared().timeouts;
        let socket = Socket::prepared(tokio::net::TcpStream::from_std(tcp)?);
        let patience = SLOT_PATIENCE.min(timeouts.first_byte);
        if timeout(patience, socket.readable()).await.is_err() {
            self.release_slot();
            within(timeouts.first_byte - patience, socket.readable())
                .await
                .map_err(|_| Unserved::FirstByte)??;
        }
        let Some(config) = &self.entrance.listener.tls else {
            return Ok(Leg::Plain(socket));
        };
        let accept = TlsAcceptor::from(Arc::clone(config)).accept_with(socket, |session| {
            session.set_buffer_limit(Some(TLS_BUFFER_LIMIT))
        });
        let mut accept = pin!(accept);
        let patience = SLOT_PATIENCE.min(timeouts.tls);
        let accepted = match timeout(patience, accept.as_mut()).await {
            Ok(accepted) => accepted,
            Err(_) => {
                self.release_slot();
                within(timeouts.tls - patience, accept)
                    .await
                    .map_err(|_| Unserved::TlsTimeout)?
            }
        };
        Ok(Leg::Tls(Box::new(accepted.map_err(Unserved::Tls)?.into())))
    }

    async fn serve_http(self: Arc<Self>, leg: Leg) {
        let shared = Arc::clone(self.worker.shared());
        self.clock.start();
        let io = TokioIo::new(Watched::new(leg, Arc::clone(&self.clock)));
        let connection = Arc::clone(&self);
        let service = service_fn(move |request| service::answer(Arc::clone(&connection), request));
        let head_bytes = shared.limits.head_bytes;
        let mut served = pin!(
            http1::Builder::new()
                .preserve_header_case(true)
                .auto_date_header(false)
                .header_read_timeout(None)
                .max_header_size(head_bytes)
                .max_buf_size(head_bytes.max(MIN_BUFFER))
                .serve_connection(io, service)
                .with_upgrades()
        );
        let mut expired = pin!(self.clock.watch(&shared.timeouts));
        let mut patience = pin!(sleep(SLOT_PATIENCE));
        let mut has_slot = true;
        let mut told = false;
        // A connection that has not said anything yet still gets its one answer.
        let mut drained = pin!(async {
            shared.draining.cancelled().await;
            self.clock.at_rest().await;
        });
        loop {
            tokio::select! {
                // What the client has sent goes before what time says.
                biased;
                ended = served.as_mut() => {
                    if let Err(error) = ended {
                        self.on_error(&error);
                    }
                    return;
                }
                // Not an end at once: what was answered may still be on its way.
                () = drained.as_mut(), if !told => {
                    told = true;
                    served.as_mut().graceful_shutdown();
                }
                expired = expired.as_mut() => {
                    debug!(client = %self.peer, listener = %self.entrance.listener.name, ?expired, "connection timed out");
                    if expired != Expired::Idle {
                        self.entrance.metrics.unrouted(Outcome::RequestTimeout).increment(1);
                    }
                    return;
                }
                () = patience.as_mut(), if has_slot => {
                    has_slot = false;
                    if self.clock.is_idle() {
                        self.release_slot();
                    }
                }
            }
        }
    }

    fn on_error(&self, error: &hyper::Error) {
        debug!(client = %self.peer, listener = %self.entrance.listener.name, %error, "connection ended with an error");
        // hyper has answered with the status that fits (400, 414, 431).
        if error.is_parse() {
            self.entrance
                .metrics
                .unrouted(Outcome::BadRequest)
                .increment(1);
        }
    }
}

/// The client ended the connection, rather than say something wrong.
fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

/// hyper refuses smaller buffers.
const MIN_BUFFER: usize = 8192;
