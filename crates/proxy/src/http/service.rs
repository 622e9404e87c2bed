//! One request in, one decision out.

use std::sync::Arc;

use http::header::{HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderValue, Method, Request, Response, Uri, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use lubdub_metrics::Outcome;
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;
use tracing::warn;

use super::body::Answer;
use super::forwarded::Origin;
use super::headers::{has_token, strip_connection_options, token_count};
use super::refusal::{and_close, refusal};
use super::upgrade::{self, Asked};
use super::{handshake, plain};
use crate::front::clock::{Exchange, LINGER};
use crate::front::connection::Connection;
use crate::route::RouteIndex;
use crate::upstream::ConnectError;

/// Answers a request of a client. An error ends the connection.
pub(crate) async fn answer(
    connection: Arc<Connection>,
    mut request: Request<Incoming>,
) -> Result<Response<Answer>, hyper::Error> {
    let exchange = connection.clock.begin();
    let asked = upgrade::asked(&request);
    let client = hyper::upgrade::on(&mut request);
    let route = match locate(&connection, &mut request) {
        Ok(route) => route,
        Err(outcome) => {
            connection.release_slot();
            if asked != Asked::Plain || outcome == Outcome::BadRequest {
                connection.entrance.metrics.unrouted(outcome).increment(1);
            }
            if asked == Asked::Plain && outcome == Outcome::NoRoute {
                return Ok(refusal(outcome));
            }
            // Whoever does not know how to ask must not go on.
            finish(&connection, client);
            return Ok(and_close(refusal(outcome)));
        }
    };
    let response = match asked {
        Asked::WebSocket => match handshake::upgrade(&connection, route, request, exchange).await {
            Ok(engaged) => return Ok(engaged.switch(client, &connection)),
            Err(refused) => {
                connection.release_slot();
                finish(&connection, client);
                refused
            }
        },
        Asked::WebSocketWithBody => {
            connection.release_slot();
            finish(&connection, client);
            let metrics = &connection.entrance.routes[route.0];
            metrics.handshake(Outcome::BadRequest).increment(1);
            and_close(refusal(Outcome::BadRequest))
        }
        Asked::Plain => {
            connection.release_slot();
            if request.headers().contains_key(UPGRADE) {
                finish(&connection, client);
            }
            relay(&connection, route, request, exchange).await
        }
    };
    if connection.worker.shared().draining.is_cancelled() {
        return Ok(and_close(response));
    }
    Ok(response)
}

/// Finds the route, and brings the request into the form in which it goes to the upstream: its
/// target in origin form, its one Host field telling the authority.
fn locate(connection: &Connection, request: &mut Request<Incoming>) -> Result<RouteIndex, Outcome> {
    // RFC 9112 3.2.3: "The "authority-form" of request-target is only used for CONNECT requests",
    // and lubdub makes no tunnels.
    let authority_form = request.uri().scheme().is_none() && request.uri().authority().is_some();
    if request.method() == Method::CONNECT || authority_form {
        return Err(Outcome::BadRequest);
    }
    // RFC 9112 3.2.2: "When a proxy receives a request with an absolute-form of request-target,
    // the proxy MUST ignore the received Host header field (if any) and instead replace it with
    // the host information of the request-target."
    if let Some(authority) = request.uri().authority() {
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| Outcome::BadRequest)?;
        request.headers_mut().insert(HOST, host);
    }
    // RFC 9112 6.1: "A sender MUST NOT apply the chunked transfer coding more than once to a
    // message body." Only one of the two would be undone here, and the next reader might undo both.
    if token_count(request.headers(), &TRANSFER_ENCODING, "chunked") > 1 {
        return Err(Outcome::BadRequest);
    }
    let shared = connection.worker.shared();
    // RFC 9112 3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1
    // request message that lacks a Host header field and to any request message that contains
    // more than one Host header field line or a Host header field with an invalid field value."
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok().filter(|host| is_host(host)),
        (None, None) if request.version() < Version::HTTP_11 => Some(""),
        _ => None,
    };
    let host = host.ok_or(Outcome::BadRequest)?;
    // Empty before an authority's path, `*` with OPTIONS: neither is a path to be routed by.
    let target = request.uri().path_and_query().cloned();
    let target = target.unwrap_or(PathAndQuery::from_static("/"));
    let path = if target.path().starts_with('/') {
        target.path()
    } else {
        "/"
    };
    let route = shared.routes.find(host, path).ok_or(Outcome::NoRoute)?;
    *request.uri_mut() = Uri::from(target);
    Ok(route)
}

/// Whether this is what a Host field may hold: `uri-host [ ":" port ]`, or nothing (RFC 9110
/// 7.2). User information has no business there, and would be passed on.
fn is_host(host: &str) -> bool {
    host.is_empty() || (!host.contains('@') && host.parse::<Authority>().is_ok())
}

/// hyper leaves a connection on which an upgrade was asked for to whoever may want it, even after
/// an answer other than 101. It is ended here, so that the answer gets there (see
/// [`Watched`](crate::front::clock::Watched)).
fn finish(connection: &Arc<Connection>, client: OnUpgrade) {
    // It keeps its place within the limits until it is closed.
    let kept = Arc::clone(connection);
    connection.worker.spawn(async move {
        if let Ok(mut upgraded) = client.await.map(TokioIo::new) {
            // Whoever has gone needs no end, and whoever takes none gets none.
            let _ = timeout(2 * LINGER, upgraded.shutdown()).await;
        }
        drop(kept);
    });
}

/// What goes to the upstream beside what the client said.
pub(super) fn tell_origin(connection: &Connection, request: &mut Request<Incoming>) {
    let host = request.headers().get(HOST).cloned();
    let origin = Origin {
        peer: connection.peer,
        tls: connection.entrance.listener.tls.is_some(),
        host: host
            .as_ref()
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default(),
    };
    let forwarded = &connection.worker.shared().forwarded;
    forwarded.apply(request.headers_mut(), origin);
}

/// A plain exchange.
async fn relay(
    connection: &Connection,
    route: RouteIndex,
    mut request: Request<Incoming>,
    exchange: Exchange,
) -> Response<Answer> {
    let shared = connection.worker.shared();
    exchange.limit_idle(shared.routes[route].terms.http_idle);
    let exchange = Arc::new(exchange);
    let trailers = has_token(request.headers(), &TE, "trailers");
    strip_connection_options(request.headers_mut());
    if trailers {
        // This much lubdub can promise for itself: trailers pass.
        request
            .headers_mut()
            .insert(TE, HeaderValue::from_static("trailers"));
    }
    tell_origin(connection, &mut request);
    if !request.headers().contains_key(HOST) {
        // HTTP/1.0 may do without; what goes up is HTTP/1.1, which may not.
        let authority = shared.routes[route].upstream.authority();
        if let Ok(host) = HeaderValue::from_str(&authority) {
            request.headers_mut().insert(HOST, host);
        }
    }
    // What the client speaks with lubdub is not what lubdub speaks with the upstream.
    *request.version_mut() = Version::HTTP_11;
    let plain_clients: &plain::PlainClients = &connection.worker.plain;
    let silence = connection
        .clock
        .silence(shared.routes[route].terms.http_idle);
    let sent = tokio::select! {
        biased;
        sent = plain_clients.send(route, request, Arc::clone(&exchange)) => sent,
        () = silence => {
            warn!(client = %connection.peer, route = %shared.routes[route].name, "plain request not answered in time");
            return refusal(Outcome::AnswerTimeout);
        }
    };
    match sent {
        Ok((response, unwanted)) => {
            let (mut parts, body) = response.into_parts();
            if parts.status == 101 {
                // Nobody asked for another protocol.
                return refusal(Outcome::BadAnswer);
            }
            strip_connection_options(&mut parts.headers);
            parts.version = Version::HTTP_11;
            let relayed = Answer::Relayed {
                body,
                _exchange: exchange,
                _upstream: None,
            };
            let response = Response::from_parts(parts, relayed);
            // With its body unread the connection has no next request, and the client must know.
            if unwanted {
                and_close(response)
            } else {
                response
            }
        }
        Err(error) => {
            let upstream = &shared.routes[route].upstream;
            let reason = root(&error);
            warn!(client = %connection.peer, upstream = %upstream.name, %reason, "plain request failed");
            refusal(match find::<ConnectError>(&error) {
                Some(ConnectError::TimedOut(_)) => Outcome::ConnectTimeout,
                Some(ConnectError::NoRoom) => Outcome::AtCapacity,
                Some(_) => Outcome::ConnectFailed,
                None => Outcome::BadAnswer,
            })
        }
    }
}

/// The error of this type among the causes of another.
fn find<'a, E: std::error::Error + 'static>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The innermost cause: the wrappers around it say only "client error".
fn root<'a>(error: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root
}
