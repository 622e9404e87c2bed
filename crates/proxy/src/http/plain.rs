//! Requests that are no upgrade: streamed both ways, over connections that are kept for the next one.

use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use http::header::{CONNECTION, EXPECT, TE};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use lubdub_metrics::Outcome;
use tokio::task::yield_now;
use tokio::time::Instant;

use super::account::Account;
use super::answer::{Answer, Relayed};
use super::asker::Asker;
use super::headers::{has_token, settle_framing, strip_answer, strip_request};
use super::login;
use super::refusal::and_close;
use super::service::{address_to, tell_origin};
use super::trailers::Withheld;
use super::upload::{Keep, Rewind, Unwanted, upload};
use crate::caller::Caller;
use crate::client::Connection;
use crate::client::clock::Exchange;
use crate::route::RouteState;
use crate::upstream::{Body, Carrier, ConnectError, SendError, Turn, Upstream};

/// Why a plain request got no answer of the upstream's.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("as many connections to it as it may have are under way")]
    Busy,
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("no answer: {0}")]
    NoAnswer(#[source] hyper::Error),
    /// The client broke off what it sent.
    #[error("the request is incomplete: {0}")]
    Incomplete(#[source] hyper::Error),
}

/// A request that may be sent once more, as it was.
struct Again {
    head: Request<()>,
    body: Rewind,
}

/// An answer, and whether the client was never told to send its body.
struct Asked {
    response: Response<Incoming>,
    turn: Turn,
    unwanted: Unwanted,
}

/// A plain exchange. An error ends the connection.
pub(super) async fn relay(
    connection: &Arc<Connection>,
    route: &Arc<RouteState>,
    asker: Asker,
    mut request: Request<Incoming>,
    exchange: Exchange,
) -> Result<Response<Answer>, hyper::Error> {
    let caller = *asker.caller();
    connection.goes_nowhere();
    // Where its body is not read to the end, the connection has no next request, and the client must know.
    let has_body = !request.body().is_end_stream();
    let refuse = |account: Account, outcome, reason: &dyn Display| {
        let answer = account.refuse(outcome, reason);
        match has_body && !connection.has_uploaded() {
            true => and_close(answer),
            false => answer,
        }
    };
    if let Err(denied) = route.access.admit(caller.client_ip()) {
        let account = Account::open(connection, route, asker);
        return Ok(refuse(account, denied.outcome(), &denied));
    }
    let withheld = prepare(connection, route, &asker, &mut request);
    let mut account = Account::open(connection, route, asker);
    let upstream = &route.upstream;
    let http_idle = route.terms.http_idle;
    exchange.limit_idle(http_idle);
    let exchange = Arc::new(exchange);
    let Some(place) = upstream.requests.try_take() else {
        let reason = "as many requests as it may have are unanswered";
        return Ok(refuse(account, Outcome::UpstreamBusy, &reason));
    };
    let asked = tokio::select! {
        biased;
        asked = ask(connection, route, &caller, request, withheld, &exchange) => asked,
        () = connection.clock.silence(http_idle) => {
            return Ok(if connection.owes_body() {
                let reason = "nothing more came of its body";
                refuse(account, Outcome::RequestTimeout, &reason)
            } else {
                refuse(account, Outcome::AnswerTimeout, &"no answer in time")
            });
        }
    };
    drop(place);
    match asked {
        Ok(Asked { response, .. }) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            // Nobody asked for another protocol.
            Ok(refuse(
                account,
                Outcome::BadAnswer,
                &"a 101 that nobody asked for",
            ))
        }
        Ok(Asked {
            response,
            turn,
            unwanted,
        }) => {
            let (mut parts, body) = response.into_parts();
            if let Err(bad) = settle_framing(&mut parts) {
                return Ok(refuse(account, Outcome::BadAnswer, &bad));
            }
            let withheld = strip_answer(&mut parts);
            parts.version = Version::HTTP_11;
            account.answered(parts.status);
            upstream.answered(parts.status);
            if body.is_end_stream() {
                account.whole();
            }
            let relayed = Relayed {
                body,
                pressure: Arc::clone(&connection.pressure),
                withheld,
                turn: Some(turn),
                account: Some(account),
                _exchange: exchange,
            };
            let response = Response::from_parts(parts, Answer::Relayed(Box::new(relayed)));
            // With its body unread the connection has no next request, and the client must know.
            Ok(if unwanted.is_true() {
                and_close(response)
            } else {
                response
            })
        }
        // Nobody is there to be answered.
        Err(Failed::Incomplete(error)) if connection.has_ended() || is_cut_short(&error) => {
            Err(error)
        }
        // The upstream was told that the client has ended, and ended as well.
        Err(Failed::NoAnswer(error)) if connection.has_ended() && !connection.is_answered() => {
            Err(error)
        }
        Err(failed) => Ok(refuse(account, failed.outcome(), &failed)),
    }
}

/// Whether the stream that a body came over ended in its middle.
fn is_cut_short(error: &hyper::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        let io = error.downcast_ref::<io::Error>();
        if io.is_some_and(|io| io.kind() == io::ErrorKind::UnexpectedEof) {
            return true;
        }
        source = error.source();
    }
    false
}

/// Brings the head of a request into the form in which it goes to the upstream. Says what of its
/// trailers does not.
fn prepare(
    connection: &Connection,
    route: &RouteState,
    asker: &Asker,
    request: &mut Request<Incoming>,
) -> Withheld {
    let trailers = has_token(request.headers(), &TE, "trailers");
    let forwarded = &route.general.forwarded;
    let withheld = strip_request(request.headers_mut(), forwarded)
        .with_ours(forwarded)
        .with_subjects(&route.general.subjects);
    if trailers {
        // This much lubdub can promise for itself: trailers pass. RFC 9110 10.1.4: "A sender of TE MUST also send a
        // "TE" connection option within the Connection header field".
        let headers = request.headers_mut();
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("TE"));
    }
    if request.version() < Version::HTTP_11 {
        // RFC 9110 10.1.1: "A server that receives a 100-continue expectation in an HTTP/1.0 request MUST ignore that
        // expectation." Upwards it would be one of HTTP/1.1.
        request.headers_mut().remove(EXPECT);
    }
    tell_origin(connection, &route.general, asker, request);
    address_to(&route.upstream.settings, request.headers_mut());
    // What the client speaks with lubdub is not what lubdub speaks with the upstream.
    *request.version_mut() = Version::HTTP_11;
    withheld
}

/// Asks the upstream, and once more if the connection that was kept turns out to be of no use.
async fn ask(
    connection: &Arc<Connection>,
    route: &RouteState,
    caller: &Caller,
    request: Request<Incoming>,
    withheld: Withheld,
    exchange: &Arc<Exchange>,
) -> Result<Asked, Failed> {
    let upstream = &route.upstream;
    let mut logs_in = login::is_asked_for(request.headers());
    let header = connection.header_for(upstream, caller);
    let header = header.as_deref();
    let mut carrier = match own(connection, upstream, caller).await {
        Some(own) => {
            logs_in = true;
            own
        }
        None => match kept(connection, upstream).await {
            Some(kept) => kept,
            None => connect(connection, route, header).await?,
        },
    };
    // Whoever waits to be asked for a body is not made to wait twice.
    let may_repeat = is_idempotent(request.method()) && !request.headers().contains_key(EXPECT);
    let head = (carrier.is_used && may_repeat).then(|| head_of(&request));
    let keeping = match head {
        Some(_) => Keep::ForOnceMore,
        None => Keep::Nothing,
    };
    let (request, unwanted) = upload(request, withheld, keeping, Arc::clone(exchange));
    let body = request.body().rewind();
    let again = head.map(|head| Again { head, body });
    let request = request.map(|upload| upload.boxed_unsync());
    let goes_over = |link: &_| connection.goes_over(link);
    let mut is_new = !carrier.is_used;
    let sent = match carrier.send(request, goes_over).await {
        Err(SendError::Unsent(request, _)) => {
            is_new = true;
            carrier = connect(connection, route, header).await?;
            carrier.send(*request, goes_over).await
        }
        Err(SendError::Failed(error)) if !error.is_user() && !carrier.link.is_answered() => {
            match again.and_then(|again| again.request(exchange)) {
                Some(request) => {
                    is_new = true;
                    carrier = connect(connection, route, header).await?;
                    carrier.send(request, goes_over).await
                }
                None => Err(SendError::Failed(error)),
            }
        }
        sent => sent,
    };
    let (response, turn) = sent.map_err(|error| match error {
        SendError::Failed(error) if error.is_user() => Failed::Incomplete(error),
        SendError::Failed(error) | SendError::Unsent(_, error) => {
            match upstream.judged(&carrier.address, &error) {
                Some(judgement) if is_new => Failed::Connect(judgement),
                _ => Failed::NoAnswer(error),
            }
        }
    })?;
    if logs_in || login::is_offered(response.headers()) {
        connection.keep_own(upstream, caller, carrier);
    } else {
        keep(connection, upstream, carrier);
    }
    Ok(Asked {
        response,
        turn,
        unwanted,
    })
}

/// The connection over which this client has logged in, if it still goes on.
async fn own(
    connection: &Connection,
    upstream: &Arc<Upstream>,
    caller: &Caller,
) -> Option<Carrier> {
    let mut own = connection.take_own(upstream, caller)?;
    (!own.link.is_ending() && own.ready().await).then_some(own)
}

/// A connection that was kept. The one that this client's last answer came over is about to come back
/// if it is not there yet: what it waits for are tasks of this thread.
async fn kept(connection: &Connection, upstream: &Upstream) -> Option<Carrier> {
    const TURNS: usize = 4;
    for _ in 0..TURNS {
        let kept = upstream.kept(connection.worker.number);
        if kept.is_some() || !connection.returning.load(Relaxed) {
            return kept;
        }
        yield_now().await;
    }
    upstream.kept(connection.worker.number)
}

/// A new connection to the upstream, for plain requests.
async fn connect(
    connection: &Connection,
    route: &RouteState,
    header: Option<&[u8]>,
) -> Result<Carrier, Failed> {
    let upstream = &route.upstream;
    let _place = upstream.waiting.try_take().ok_or(Failed::Busy)?;
    let began = Instant::now();
    let connected = upstream.connect(route.terms.connect, header).await?;
    let metrics = route.metrics(&connection.entrance.listener.name);
    let connects = &metrics.route.upstream_connect_duration;
    connects.record(began.elapsed());
    let carrier = Carrier::new(connected, route.general.head_bytes).await;
    carrier.map_err(Failed::NoAnswer)
}

/// Keeps a connection whose answer has begun, as soon as that is over.
fn keep(connection: &Connection, upstream: &Arc<Upstream>, mut carrier: Carrier) {
    let (upstream, worker) = (Arc::clone(upstream), connection.worker.number);
    if carrier.is_ready() {
        upstream.keep(worker, carrier);
    } else if upstream.keeps_connections() {
        let returning = Arc::clone(&connection.returning);
        returning.store(true, Relaxed);
        tokio::spawn(async move {
            if carrier.ready().await {
                upstream.keep(worker, carrier);
            }
            returning.store(false, Relaxed);
        });
    }
}

/// RFC 9110 9.2.2: "A proxy MUST NOT automatically retry non-idempotent requests."
fn is_idempotent(method: &Method) -> bool {
    let idempotent = [
        Method::GET,
        Method::HEAD,
        Method::OPTIONS,
        Method::TRACE,
        Method::PUT,
        Method::DELETE,
    ];
    idempotent.contains(method)
}

fn head_of(request: &Request<Incoming>) -> Request<()> {
    let mut head = Request::new(());
    *head.method_mut() = request.method().clone();
    *head.uri_mut() = request.uri().clone();
    *head.version_mut() = request.version();
    *head.headers_mut() = request.headers().clone();
    *head.extensions_mut() = request.extensions().clone();
    head
}

impl Again {
    /// The request, unless more of its body has come than is kept.
    fn request(self, exchange: &Arc<Exchange>) -> Option<Request<Body>> {
        let body = self.body.upload(Arc::clone(exchange))?.boxed_unsync();
        Some(self.head.map(|()| body))
    }
}

impl Failed {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Busy => Outcome::UpstreamBusy,
            Self::Connect(error) => error.outcome(),
            Self::NoAnswer(_) => Outcome::BadAnswer,
            Self::Incomplete(_) => Outcome::BadRequest,
        }
    }
}
