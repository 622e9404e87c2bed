//! One request in, one decision out.

use std::fmt::Display;
use std::sync::Arc;

use http::header::{HOST, UPGRADE};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use lubdub_metrics::{Class, Outcome};
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use super::answer::Answer;
use super::asker::Asker;
use super::forwarded::Origin;
use super::headers::is_chunked_twice;
use super::refusal::{and_close, refusal};
use super::spelling::strip_imitations;
use super::upgrade::{self, Asked};
use super::{handshake, plain};
use crate::client::{Connection, LINGER};
use crate::generation::{General, Generation};
use crate::request_id::X_REQUEST_ID;
use crate::route::RouteState;
use crate::settings;

/// Why a request goes nowhere.
#[derive(Debug, Clone, Copy)]
enum Nowhere {
    BadRequest(&'static str),
    NoRoute,
    Loop,
}

const BAD_HOST: &str = "its host is none";

/// Answers a request of a client. An error ends the connection.
pub(crate) async fn answer(
    connection: Arc<Connection>,
    mut request: Request<Incoming>,
) -> Result<Response<Answer>, hyper::Error> {
    connection.release_slot();
    let exchange = connection.clock.begin();
    let generation = connection.shared.generation.load_full();
    let asker = Asker::of(&request, &connection, &generation.general);
    let asked = upgrade::asked(&request);
    let client = hyper::upgrade::on(&mut request);
    let route = match locate(&connection, &generation, &mut request) {
        Ok(route) => route,
        Err(nowhere) => {
            let outcome = nowhere.outcome();
            let metrics = &connection.entrance.metrics;
            if asked == Asked::Plain {
                metrics.unrouted_request(Class::Own).increment(1);
            }
            if asked != Asked::Plain || outcome == Outcome::BadRequest {
                metrics.unrouted(outcome).increment(1);
            }
            let answer = refusal(outcome);
            let reason = nowhere.reason();
            let reason = reason.as_ref().map(|reason| reason as &dyn Display);
            asker.not_served(&connection, None, outcome, Some(answer.status()), reason);
            if asked == Asked::Plain && outcome == Outcome::NoRoute {
                return Ok(answer);
            }
            // Whoever does not know how to ask must not go on.
            finish(&connection, client);
            return Ok(and_close(answer));
        }
    };
    // hyper has room for an exchange from a connection's beginning to its end, and moves it there: what takes much is
    // boxed, and is there only as long as it is needed.
    let response = match asked {
        Asked::WebSocket => {
            let upgrading = handshake::upgrade(&connection, &route, asker, request, exchange);
            match Box::pin(upgrading).await {
                Ok(engaged) => return Ok(engaged.switch(client, &connection)),
                Err(instead) => {
                    finish(&connection, client);
                    instead?
                }
            }
        }
        Asked::WebSocketWithBody => {
            finish(&connection, client);
            let metrics = route.metrics(&connection.entrance.listener.name);
            let denied = route.access.admit(asker.caller().client_ip()).err();
            let (outcome, reason): (_, &dyn Display) = match &denied {
                Some(denied) => (denied.outcome(), denied),
                None => (Outcome::BadRequest, &"an upgrade with a body"),
            };
            metrics.handshake(outcome).increment(1);
            let answer = refusal(outcome);
            let status = Some(answer.status());
            asker.not_served(&connection, Some(&route), outcome, status, Some(reason));
            and_close(answer)
        }
        Asked::Plain => {
            if request.headers().contains_key(UPGRADE) {
                finish(&connection, client);
            }
            let relaying = plain::relay(&connection, &route, asker, request, exchange);
            Box::pin(relaying).await?
        }
    };
    let shared = &connection.shared;
    if shared.is_draining() || shared.leaving.is_cancelled() {
        return Ok(and_close(response));
    }
    Ok(response)
}

/// Finds the route, and brings the request into the form in which it goes to the upstream: its
/// target in origin form, its one Host field telling the authority.
fn locate(
    connection: &Connection,
    generation: &Generation,
    request: &mut Request<Incoming>,
) -> Result<Arc<RouteState>, Nowhere> {
    // RFC 9112 3.2.3: "The "authority-form" of request-target is only used for CONNECT requests",
    // and lubdub makes no tunnels.
    let authority_form = request.uri().scheme().is_none() && request.uri().authority().is_some();
    if request.method() == Method::CONNECT || authority_form {
        return Err(Nowhere::BadRequest("lubdub makes no tunnels"));
    }
    // RFC 9112 3.2.2: "When a proxy receives a request with an absolute-form of request-target,
    // the proxy MUST ignore the received Host header field (if any) and instead replace it with
    // the host information of the request-target."
    if let Some(authority) = request.uri().authority() {
        let host =
            HeaderValue::from_str(authority.as_str()).map_err(|_| Nowhere::BadRequest(BAD_HOST))?;
        request.headers_mut().insert(HOST, host);
    }
    if is_chunked_twice(request.headers()) {
        return Err(Nowhere::BadRequest("it is chunked twice"));
    }
    let pseudonym = &connection.shared.pseudonym;
    if generation.general.forwarded.via && pseudonym.is_in(request.headers()) {
        return Err(Nowhere::Loop);
    }
    // RFC 9112 3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1
    // request message that lacks a Host header field and to any request message that contains
    // more than one Host header field line or a Host header field with an invalid field value."
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host
            .to_str()
            .ok()
            .filter(|host| is_host(host))
            .ok_or(BAD_HOST),
        (None, _) if request.version() < Version::HTTP_11 => Ok(""),
        (None, _) => Err("it has no Host field"),
        (Some(_), Some(_)) => Err("it has more than one Host field"),
    };
    let host = host.map_err(Nowhere::BadRequest)?;
    // Empty before an authority's path, `*` with OPTIONS: neither is a path to be routed by.
    let target = request.uri().path_and_query().cloned();
    let target = target.unwrap_or(PathAndQuery::from_static("/"));
    let path = if target.path().starts_with('/') {
        target.path()
    } else {
        "/"
    };
    let route = generation.routes.find(host, path).ok_or(Nowhere::NoRoute)?;
    let route = Arc::clone(route);
    *request.uri_mut() = Uri::from(route.target(target));
    Ok(route)
}

impl Nowhere {
    fn outcome(self) -> Outcome {
        match self {
            Self::BadRequest(_) => Outcome::BadRequest,
            Self::NoRoute => Outcome::NoRoute,
            Self::Loop => Outcome::Loop,
        }
    }

    fn reason(self) -> Option<&'static str> {
        match self {
            Self::BadRequest(reason) => Some(reason),
            Self::NoRoute | Self::Loop => None,
        }
    }
}

/// Whether this is what a Host field may hold: `uri-host [ ":" port ]`, or nothing (RFC 9110
/// 7.2). User information has no business there, and would be passed on.
fn is_host(host: &str) -> bool {
    host.is_empty() || (!host.contains('@') && host.parse::<Authority>().is_ok())
}

/// hyper leaves a connection on which an upgrade was asked for to whoever may want it, even after
/// an answer other than 101. It is ended here, so that the answer gets there (see
/// [`Watched`](crate::client::Watched)).
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

/// The Host field that the upstream gets.
pub(super) fn address_to(upstream: &settings::Upstream, headers: &mut HeaderMap) {
    if let Some(host) = &upstream.host_field {
        headers.insert(HOST, host.clone());
    } else if !headers.contains_key(HOST)
        // HTTP/1.0 may do without; what goes up is HTTP/1.1, which may not.
        && let Ok(host) = HeaderValue::from_str(&upstream.authority())
    {
        headers.insert(HOST, host);
    }
}

/// What goes to the upstream beside what the client said.
pub(super) fn tell_origin(
    connection: &Connection,
    general: &General,
    asker: &Asker,
    request: &mut Request<Incoming>,
) {
    let host = request.headers().get(HOST).cloned();
    let origin = Origin {
        nearest: connection.nearest(),
        is_trusted: connection.is_trusted(general),
        client: asker.caller().client,
        tls: connection.has_tls(),
        host: host
            .as_ref()
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default(),
    };
    general.forwarded.apply(request.headers_mut(), origin);
    general.subjects.apply(request.headers_mut(), connection);
    if let Some(id) = asker.request_id() {
        strip_imitations(&[X_REQUEST_ID], request.headers_mut());
        request.headers_mut().insert(X_REQUEST_ID, id.value());
    }
    if general.forwarded.via {
        let received = request.version();
        let pseudonym = &connection.shared.pseudonym;
        pseudonym.add_to(request.headers_mut(), received);
    }
}
