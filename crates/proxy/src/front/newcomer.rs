//! One connection of a client, from accept to its end or to its upgrade.

use std::fmt::Display;
use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use lubdub_metrics::{Outcome, TlsFailure};
use lubdub_wire::NotAProxyHeader;
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::proxy_header::{self, HeaderError, Taken};
use crate::address::Peer;
use crate::budget::Permit;
use crate::client::clock::Expired;
use crate::client::{Connection, Watched};
use crate::entrance::{Entrance, Place};
use crate::generation::General;
use crate::http::service;
use crate::idle::Keeps;
use crate::leg::Leg;
use crate::patience::within;
use crate::refusals::Refused;
use crate::settings::{FrontTimeouts, ProxyProtocol};
use crate::shared::Shared;
use crate::socket::{Goodbye, Kind, Presence, Socket};
use crate::tls::{Accepting, Failure, ServerTls, Unshaken};
use crate::worker::{Load, Worker};

/// A connection that was just accepted.
#[derive(Debug)]
pub(crate) struct Newcomer {
    /// Non-blocking, and prepared as the listener is.
    pub(crate) socket: OwnedFd,
    pub(crate) kind: Kind,
    pub(crate) peer: Peer,
    /// `None` for one that was taken out of the accept queue of a listener that closes.
    pub(crate) slot: Option<Permit>,
    pub(crate) place: Place,
}

/// Why a connection ended before it could be served.
#[derive(Debug, thiserror::Error)]
enum Unserved {
    #[error("no first byte in time")]
    FirstByte,
    #[error("no whole PROXY header in time")]
    HeaderTimeout,
    #[error("a PROXY header is required, and this peer is not trusted to send one")]
    Stranger,
    #[error(transparent)]
    Header(HeaderError),
    #[error("TLS handshake not done in time")]
    TlsTimeout,
    #[error("it was slow, and others needed its place")]
    MadeRoom,
    #[error("TLS handshake failed: {0}")]
    Tls(Failure),
    #[error("it went in the middle of the TLS handshake: {0}")]
    Gone(#[source] io::Error),
    #[error(transparent)]
    Socket(#[from] io::Error),
}

impl Unserved {
    fn of_header(error: HeaderError) -> Self {
        match error {
            HeaderError::Socket(error) => Self::Socket(error),
            error @ (HeaderError::Malformed(_) | HeaderError::Half) => Self::Header(error),
        }
    }
}

/// How long a handshake may wait for its client and keep its slot: silent connections must not
/// keep those out that have something to say.
const SLOT_PATIENCE: Duration = Duration::from_secs(1);

/// Serves a connection until it ends or is upgraded.
pub(crate) async fn serve(
    newcomer: Newcomer,
    entrance: Arc<Entrance>,
    shared: Arc<Shared>,
    worker: Arc<Worker>,
    load: Load,
) {
    worker.on_begun();
    let Newcomer {
        socket,
        kind,
        peer,
        slot,
        place,
    } = newcomer;
    let connection = Connection::new(peer, entrance, shared, worker, slot, place, load);
    let connection = Arc::new(connection);
    // Its waits are those of its moment, however long it stays.
    let general = Arc::clone(&connection.shared.generation.load().general);
    match open(&connection, &general, socket, kind).await {
        Ok((leg, presence)) => serve_http(connection, &general, leg, presence).await,
        Err(unserved) => turn_away(&connection, &unserved),
    }
}

/// Counts and logs who was not served because of `unserved`.
fn turn_away(connection: &Connection, unserved: &Unserved) {
    let entrance = &connection.entrance;
    let tls_failure = |reason| entrance.metrics.tls_failure(reason).increment(1);
    match unserved {
        Unserved::FirstByte | Unserved::HeaderTimeout | Unserved::MadeRoom => {
            not_served(connection, Outcome::RequestTimeout, unserved);
        }
        Unserved::Stranger | Unserved::Header(_) => {
            not_served(connection, Outcome::BadRequest, unserved);
        }
        Unserved::TlsTimeout => {
            tls_failure(TlsFailure::Timeout);
            not_served(connection, Outcome::RequestTimeout, unserved);
        }
        // Told when it happened.
        Unserved::Tls(_) => {}
        // Health checks of load balancers connect and go: they asked for nothing.
        Unserved::Gone(_) | Unserved::Socket(_) => {
            if matches!(unserved, Unserved::Gone(_)) {
                tls_failure(TlsFailure::Gone);
            }
            entrance.metrics.unrouted(Outcome::ClientGone).increment(1);
            debug!(client = %connection.nearest(), listener = %entrance.listener.name, reason = %unserved, "connection not served");
        }
    }
}

/// Waits for the first byte, takes the PROXY header where the listener has them, and sets up TLS if it
/// speaks that.
async fn open(
    connection: &Connection,
    general: &General,
    socket: OwnedFd,
    kind: Kind,
) -> Result<(Leg, Presence), Unserved> {
    let timeouts = &general.timeouts;
    let (mut socket, presence) = Socket::accepted(socket, kind)?;
    if let Some(address) = socket.local_address() {
        connection.set_reached(address);
    }
    let listener = &connection.entrance.listener;
    let is_behind_a_header = match listener.proxy_protocol {
        ProxyProtocol::Off => false,
        _ if connection.is_peer_trusted(general) => {
            take_header(connection, timeouts, &mut socket).await?
        }
        ProxyProtocol::Optional => false,
        ProxyProtocol::Required => return Err(Unserved::Stranger),
    };
    let Some(tls) = &listener.tls else {
        if !is_behind_a_header {
            first_byte(connection, timeouts, &socket).await?;
        }
        return Ok((Leg::Plain(socket), presence));
    };
    // A balancer may send its header long before its client says anything.
    first_byte(connection, timeouts, &socket).await?;
    let leg = shake_hands(connection, timeouts, tls, socket).await?;
    Ok((leg, presence))
}

/// Sets up TLS. Who cannot is told so, where there is a way, before this returns.
async fn shake_hands(
    connection: &Connection,
    timeouts: &FrontTimeouts,
    tls: &Arc<ServerTls>,
    socket: Socket,
) -> Result<Leg, Unserved> {
    let mut accepting = Accepting::new(tls, socket)?;
    let shaken = patiently(connection, timeouts.tls, pin!(accepting.shake())).await?;
    let shaken = shaken.ok_or(Unserved::TlsTimeout)?;
    match shaken {
        Ok(subject) => {
            if let Some(subject) = subject {
                let _ = connection.subject.set(subject);
            }
            Ok(Leg::TlsIn(accepting.into_stream()))
        }
        Err(Unshaken::Gone(error)) if accepting.has_heard() => Err(Unserved::Gone(error)),
        Err(Unshaken::Gone(error)) => Err(Unserved::Socket(error)),
        Err(Unshaken::Failed(failure)) => {
            connection.release_slot();
            let entrance = &connection.entrance;
            entrance.metrics.tls_failure(failure.reason).increment(1);
            let listener = &entrance.listener.name;
            let refusals = &connection.shared.refusals;
            refusals.log_tls(&failure, &connection.caller(), listener);
            let idle = connection.shared.idle.enter(Keeps::Nothing);
            tokio::select! {
                () = accepting.take_leave() => {}
                () = idle.told_to_go() => {}
            }
            Err(Unserved::Tls(failure))
        }
    }
}

async fn first_byte(
    connection: &Connection,
    timeouts: &FrontTimeouts,
    socket: &Socket,
) -> Result<(), Unserved> {
    let readable = patiently(connection, timeouts.first_byte, pin!(socket.readable())).await?;
    Ok(readable.ok_or(Unserved::FirstByte)??)
}

/// Takes the PROXY header of somebody who may send one. Says whether there is one.
async fn take_header(
    connection: &Connection,
    timeouts: &FrontTimeouts,
    socket: &mut Socket,
) -> Result<bool, Unserved> {
    first_byte(connection, timeouts, socket).await?;
    let taken = patiently(
        connection,
        timeouts.proxy_header,
        pin!(proxy_header::take(socket)),
    )
    .await?;
    let taken = taken.ok_or(Unserved::HeaderTimeout)?;
    match taken.map_err(Unserved::of_header)? {
        Taken::Header(proxied) => {
            connection.set_proxied(proxied);
            Ok(true)
        }
        // Health checks connect and go.
        Taken::Nothing => Err(Unserved::Socket(io::ErrorKind::UnexpectedEof.into())),
        Taken::Other => match connection.entrance.listener.proxy_protocol {
            ProxyProtocol::Required => Err(Unserved::Header(NotAProxyHeader::Other.into())),
            ProxyProtocol::Off | ProxyProtocol::Optional => Ok(false),
        },
    }
}

/// Waits for the client, for `limit` at the most; `None` if it has not come to it by then. Whoever takes
/// long does so without a slot, and is the first to go when others need the place.
async fn patiently<F: Future>(
    connection: &Connection,
    limit: Duration,
    mut wait: Pin<&mut F>,
) -> Result<Option<F::Output>, Unserved> {
    let patience = SLOT_PATIENCE.min(limit);
    if let Ok(done) = timeout(patience, wait.as_mut()).await {
        return Ok(Some(done));
    }
    connection.release_slot();
    let idle = connection.shared.idle.enter(Keeps::Nothing);
    tokio::select! {
        biased;
        done = within(limit - patience, wait) => Ok(done.ok()),
        () = idle.told_to_go() => Err(Unserved::MadeRoom),
    }
}

/// How the drain of a connection goes.
enum Drained {
    /// Nothing is under way.
    AtRest,
    /// The drain is over, and something is.
    Cut,
}

async fn serve_http(connection: Arc<Connection>, general: &General, leg: Leg, presence: Presence) {
    let shared = &connection.shared;
    let clock = &connection.clock;
    clock.start();
    let watched = Watched::new(leg, Arc::clone(clock), Arc::clone(&connection.pressure));
    let of_service = Arc::clone(&connection);
    let service = service_fn(move |request| service::answer(Arc::clone(&of_service), request));
    let head_bytes = general.head_bytes;
    let mut served = pin!(
        http1::Builder::new()
            .preserve_header_case(true)
            .auto_date_header(false)
            .header_read_timeout(None)
            // A client that has said its end may still be waiting for its answer.
            .half_close(true)
            .max_header_size(head_bytes)
            .max_buf_size(head_bytes.max(MIN_BUFFER))
            .serve_connection(TokioIo::new(watched), service)
            .with_upgrades()
    );
    let mut expired = pin!(clock.watch(&general.timeouts));
    let mut patience = pin!(sleep(SLOT_PATIENCE));
    let mut may_have_slot = true;
    let mut told = false;
    // A connection that has not said anything yet still gets its one answer.
    let mut drained = pin!(async {
        tokio::select! {
            () = shared.draining.cancelled() => {}
            () = shared.leaving.cancelled() => {}
        }
        tokio::select! {
            () = clock.at_rest() => Drained::AtRest,
            () = shared.cutting.cancelled() => Drained::Cut,
        }
    });
    let mut gone = pin!(async {
        if presence.goodbye().await == Goodbye::Fin {
            connection.on_end();
            presence.reset().await;
        }
    });
    let mut told_to_go = pin!(async {
        // Over TLS a connection can be open and say nothing, as browsers have them in store.
        if timeout(SLOT_PATIENCE, clock.heard()).await.is_err() {
            let idle = shared.idle.enter(Keeps::Nothing);
            tokio::select! {
                biased;
                () = clock.heard() => {}
                () = idle.told_to_go() => return,
            }
        }
        loop {
            clock.at_rest().await;
            // What was answered may still be on its way out.
            poll_fn(|cx| connection.pressure.poll_room(cx)).await;
            let idle = shared.idle.enter(connection.keeps());
            tokio::select! {
                biased;
                () = clock.at_work() => {}
                () = idle.told_to_go() => return,
            }
        }
    });
    loop {
        tokio::select! {
            // What the client has sent goes before what time says.
            biased;
            ended = served.as_mut() => {
                if clock.speaks_tls() {
                    not_served(&connection, Outcome::BadRequest, &"it speaks TLS to a plain port");
                } else if let Err(error) = ended {
                    on_error(&connection, &error);
                }
                return;
            }
            // Nobody is there to be answered, and the upstream need not go on.
            () = gone.as_mut() => {
                debug!(client = %connection.nearest(), "connection reset");
                return;
            }
            // Not an end at once: what was answered may still be on its way.
            drained = drained.as_mut(), if !told => match drained {
                Drained::AtRest => {
                    told = true;
                    served.as_mut().graceful_shutdown();
                }
                // What is under way ends with lubdub.
                Drained::Cut => return,
            },
            () = told_to_go.as_mut() => {
                debug!(client = %connection.nearest(), "idle connection closed to make room");
                return;
            }
            expired = expired.as_mut() => {
                match expired {
                    // Empty lines behind a request are nothing that anybody asked for.
                    Expired::Head if !clock.owes() => {
                        debug!(client = %connection.nearest(), listener = %connection.entrance.listener.name, "idle connection closed");
                    }
                    Expired::Idle => {
                        connection.give_up();
                        debug!(client = %connection.nearest(), listener = %connection.entrance.listener.name, "idle connection closed");
                    }
                    Expired::FirstByte => {
                        not_served(&connection, Outcome::RequestTimeout, &Unserved::FirstByte);
                    }
                    Expired::Head => {
                        not_served(&connection, Outcome::RequestTimeout, &"no whole request in time");
                    }
                }
                return;
            }
            () = patience.as_mut(), if may_have_slot => {
                may_have_slot = false;
                connection.release_slot();
            }
        }
    }
}

fn on_error(connection: &Connection, error: &hyper::Error) {
    // hyper has answered with the status that fits (400, 414, 431).
    if error.is_parse() {
        not_served(connection, Outcome::BadRequest, error);
    } else {
        debug!(client = %connection.nearest(), listener = %connection.entrance.listener.name, %error, "connection ended with an error");
    }
}

/// Counts and logs who never had a request.
fn not_served(connection: &Connection, outcome: Outcome, reason: &dyn Display) {
    connection.entrance.metrics.unrouted(outcome).increment(1);
    let refused = || Refused {
        listener: &connection.entrance.listener.name,
        proxy_header: connection
            .proxied()
            .and_then(|proxied| proxied.told.as_deref()),
        reason: Some(reason),
        ..Refused::default()
    };
    connection
        .shared
        .refusals
        .log(outcome, &connection.caller(), refused);
}

/// hyper refuses smaller buffers.
const MIN_BUFFER: usize = 8192;
