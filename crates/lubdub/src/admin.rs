//! The admin listener, for scrapers and operators.
//!
//! | path | method | answers | who may ask |
//! | --- | --- | --- | --- |
//! | `/metrics` | GET | Prometheus text | anybody |
//! | `/livez` | GET | 200 while the process runs | anybody |
//! | `/readyz` | GET | 200, or 503 while it drains | anybody |
//! | `/api/v1/pairs` | GET | the live pairs, oldest first; `?limit=N` | see [`access`] |
//! | `/api/v1/pairs/{id}` | GET | one of them, or 404 | see [`access`] |
//!
//! HEAD is answered wherever GET is. It runs on the main thread's runtime, not on the workers':
//! a scrape of many series must not delay pairs.

mod access;
mod pairs;
mod reader;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use lubdub_metrics::Metrics;
use lubdub_proxy::Inherited;
use lubdub_proxy::registry::{PairId, Registry};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tracing::debug;

use self::access::Access;
use self::reader::Reader;
use crate::config::AdminSettings;

/// The admin listener, bound.
#[derive(Debug)]
pub(crate) struct Admin {
    listener: TcpListener,
    state: Arc<State>,
}

/// What the answers are made from.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) ready: Arc<Readiness>,
    pub(crate) access: Access,
}

/// Whether new connections are welcome.
#[derive(Debug, Default)]
pub(crate) struct Readiness(AtomicBool);

type Answer = Response<Full<Bytes>>;

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
    pub(crate) fn new(
        listener: std::net::TcpListener,
        settings: &AdminSettings,
        metrics: Arc<Metrics>,
        registry: Arc<Registry>,
        ready: Arc<Readiness>,
    ) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::from_std(listener)?,
            state: Arc::new(State {
                metrics,
                registry,
                ready,
                access: Access::new(settings),
            }),
        })
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

/// Listens where `settings` say; with the socket that was given to this process, if one was.
pub(crate) fn listen(
    settings: &AdminSettings,
    given: &Inherited,
) -> io::Result<std::net::TcpListener> {
    let address = settings.address;
    if let Some(listener) = given.take("admin", address) {
        listener.set_nonblocking(true)?;
        return Ok(listener);
    }
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

async fn converse(state: Arc<State>, stream: TcpStream, peer: SocketAddr) {
    let service = service_fn(|request| {
        let answer = state.answer(peer, &request);
        async move { Ok::<_, Infallible>(answer) }
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

impl State {
    fn answer<B>(&self, peer: SocketAddr, request: &Request<B>) -> Answer {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
            answer
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        match request.uri().path() {
            "/metrics" => {
                let mut answer = text(StatusCode::OK, self.metrics.render());
                let kind = HeaderValue::from_static(lubdub_metrics::CONTENT_TYPE);
                answer.headers_mut().insert(CONTENT_TYPE, kind);
                answer
            }
            "/livez" => text(StatusCode::OK, "alive\n"),
            "/readyz" if self.ready.is_ready() => text(StatusCode::OK, "ready\n"),
            "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
            path => match self.access.check(peer, request.headers()) {
                Ok(()) => self.guarded(path, request.uri().query().unwrap_or_default()),
                Err(denied) => {
                    let mut answer = text(denied.status(), format!("{denied}\n"));
                    if denied.status() == StatusCode::UNAUTHORIZED {
                        let scheme = HeaderValue::from_static("Bearer");
                        answer.headers_mut().insert(WWW_AUTHENTICATE, scheme);
                    }
                    answer
                }
            },
        }
    }

    /// What is not for everybody.
    fn guarded(&self, path: &str, query: &str) -> Answer {
        let now = tokio::time::Instant::now().into_std();
        if path == "/api/v1/pairs" {
            return match pairs::limit(query) {
                Ok(limit) => json(&pairs::list(&self.registry, limit, now)),
                Err(error) => text(StatusCode::BAD_REQUEST, format!("{error}\n")),
            };
        }
        let pair = path
            .strip_prefix("/api/v1/pairs/")
            .and_then(|id| id.parse().ok())
            .and_then(|id| self.registry.pair(PairId(id)));
        match pair {
            Some(pair) => json(&pairs::describe(&pair, now)),
            None => text(StatusCode::NOT_FOUND, "not found\n"),
        }
    }
}

impl Readiness {
    pub(crate) fn set(&self, ready: bool) {
        self.0.store(ready, Relaxed);
    }

    fn is_ready(&self) -> bool {
        self.0.load(Relaxed)
    }
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    answer(status, "text/plain; charset=utf-8", text.into())
}

fn json(value: &serde_json::Value) -> Answer {
    answer(
        StatusCode::OK,
        "application/json",
        format!("{value}\n").into(),
    )
}

fn answer(status: StatusCode, kind: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}
