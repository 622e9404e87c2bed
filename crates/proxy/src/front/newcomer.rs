//! One connection of a client, from accept to its end or to its upgrade.

use std::fmt::Display;
use std::future::poll_fn;
use std::io;
use std::net::TcpStream;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use lubdub_metrics::Outcome;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::debug;

use crate::address::Peer;
use crate::budget::Permit;
use crate::client::clock::Expired;
use crate::client::{Connection, Watched};
use crate::entrance::{Entrance, Place};
use crate::generation::General;
use crate::http::service;
use crate::idle::Keeps;
use crate::leg::{Leg, TLS_BUFFER_LIMIT};
use crate::patience::within;
use crate::refusals::Refused;
use crate::settings::FrontTimeouts;
use crate::shared::Shared;
use crate::socket::{Goodbye, Presence, Socket};
use crate::worker::{Load, Worker};

/// A connection that was just accepted.
#[derive(Debug)]
pub(crate) struct Newcomer {
    /// Non-blocking, and prepared as the listener is.
    pub(crate) tcp: TcpStream,
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
    #[error("TLS handshake not done in time")]
    TlsTimeout,
    #[error("it was slow, and others needed its place")]
    MadeRoom,
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
    shared: Arc<Shared>,
    worker: Arc<Worker>,
    load: Load,
) {
    let Newcomer {
        tcp,
        peer,
        slot,
        place,
    } = newcomer;
    let connection = Connection::new(peer, entrance, shared, worker, slot, place, load);
    let connection = Arc::new(connection);
    // Its waits are those of its moment, however long it stays.
    let general = Arc::clone(&connection.shared.generation.load().general);
    match open(&connection, &general.timeouts, tcp).await {
        Ok((leg, presence)) => serve_http(connection, &general, leg, presence).await,
        Err(unserved) => {
            match &unserved {
                Unserved::FirstByte | Unserved::TlsTimeout | Unserved::MadeRoom => {
                    not_served(&connection, Outcome::RequestTimeout, &unserved);
                }
                Unserved::Tls(error) if !is_gone(error) => {
                    not_served(&connection, Outcome::BadRequest, &unserved);
                }
                // Health checks of load balancers connect and go: they asked for nothing.
                Unserved::Tls(_) | Unserved::Socket(_) => {
                    let entrance = &connection.entrance;
                    entrance.metrics.unrouted(Outcome::ClientGone).increment(1);
                    debug!(client = %connection.nearest(), listener = %entrance.listener.name, reason = %unserved, "connection not served");
                }
            }
        }
    }
}

/// Waits for the first byte, and sets up TLS if the listener speaks it.
async fn open(
    connection: &Connection,
    timeouts: &FrontTimeouts,
    tcp: TcpStream,
) -> Result<(Leg, Presence), Unserved> {
    let (socket, presence) = Socket::shared(tokio::net::TcpStream::from_std(tcp)?);
    let patience = SLOT_PATIENCE.min(timeouts.first_byte);
    if timeout(patience, socket.readable()).await.is_err() {
        connection.release_slot();
        // Who says nothing is the first to go when others need the place.
        let idle = connection.shared.idle.enter(Keeps::Nothing);
        let wait = within(timeouts.first_byte - patience, socket.readable());
        tokio::select! {
            biased;
            readable = wait => readable.map_err(|_| Unserved::FirstByte)??,
            () = idle.told_to_go() => return Err(Unserved::MadeRoom),
        }
    }
    let Some(config) = &connection.entrance.listener.tls else {
        return Ok((Leg::Plain(socket), presence));
    };
    let accept = TlsAcceptor::from(Arc::clone(config)).accept_with(socket, |session| {
        session.set_buffer_limit(Some(TLS_BUFFER_LIMIT))
    });
    let mut accept = pin!(accept);
    let patience = SLOT_PATIENCE.min(timeouts.tls);
    let accepted = match timeout(patience, accept.as_mut()).await {
        Ok(accepted) => accepted,
        Err(_) => {
            connection.release_slot();
            let idle = connection.shared.idle.enter(Keeps::Nothing);
            tokio::select! {
                biased;
                accepted = within(timeouts.tls - patience, accept) => {
                    accepted.map_err(|_| Unserved::TlsTimeout)?
                }
                () = idle.told_to_go() => return Err(Unserved::MadeRoom),
            }
        }
    };
    let tls = accepted.map_err(Unserved::Tls)?;
    Ok((Leg::Tls(Box::new(tls.into())), presence))
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
        clock.at_rest().await;
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
                if let Err(error) = ended {
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
            () = drained.as_mut(), if !told => {
                told = true;
                served.as_mut().graceful_shutdown();
            }
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
        reason: Some(reason),
        ..Refused::default()
    };
    connection
        .shared
        .refusals
        .log(outcome, &connection.caller(), refused);
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
