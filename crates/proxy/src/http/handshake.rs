//! The WebSocket handshake as it passes through: the client's upgrade goes to the upstream, the
//! upstream's answer comes back, and after a 101 the two connections become the legs of a pair.
//!
//! lubdub is no endpoint of this handshake: `Sec-WebSocket-*` pass as they are. It only makes sure
//! that a 101 really is one before it stops looking at the connection as HTTP.

use std::fmt::Display;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::{Request, Response, StatusCode, Version};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use lubdub_keepalive::{Entropy, PerSide};
use lubdub_metrics::Outcome;
use tokio::time::Instant;
use tracing::debug;

use super::account::CUT;
use super::answer::{Answer, Relayed};
use super::asker::Asker;
use super::headers::{
    BadFraming, settle_framing, strip_answer, strip_connection_options, strip_request,
    websocket_token,
};
use super::refusal::{and_close, refusal};
use super::service::{address_to, tell_origin};
use super::upgrade::{self, BadSwitch};
use crate::access::Denied;
use crate::address::Address;
use crate::admission::PairPermit;
use crate::admission::Refusal;
use crate::budget::Permit;
use crate::client::clock::Exchange;
use crate::client::{Connection, Watched};
use crate::leg::Leg;
use crate::patience::within;
use crate::registry::{Identity, Order};
use crate::route::RouteState;
use crate::splice::{NewPair, Places, Splice};
use crate::upstream::{ConnectError, Link, Turn, http1};

/// A handshake under way: counted once, however it ends, and told of if that is not with a 101.
struct Handshake {
    connection: Arc<Connection>,
    route: Arc<RouteState>,
    asker: Asker,
    began: Instant,
    /// `None` as long as the client is waiting.
    outcome: Option<Outcome>,
    status: Option<StatusCode>,
    reason: Option<Failed>,
}

/// Why a handshake failed, where more can be said than its outcome.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("as many upgrades as it may have are under way")]
    Busy,
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("no answer in time")]
    AnswerTimeout,
    /// The upstream was told so, and ended as well.
    #[error("the client has gone")]
    ClientGone(#[source] Option<hyper::Error>),
    #[error("no valid answer: {0}")]
    Nonsense(#[source] hyper::Error),
    #[error(transparent)]
    BadSwitch(#[from] BadSwitch),
    #[error(transparent)]
    BadFraming(#[from] BadFraming),
    /// The upstream was not asked.
    #[error(transparent)]
    Denied(Denied),
    #[error(transparent)]
    NoPlace(#[from] Refusal),
    #[error("all of lubdub is drained")]
    Draining,
    #[error("{CUT}")]
    Cut,
}

/// The upstream's answer.
struct Answered {
    response: Response<Incoming>,
    turn: Turn,
    upstream: Address,
}

/// A pair whose client has still to take its 101.
pub(super) struct Engaged {
    response: Response<()>,
    leg: OnUpgrade,
    upstream: Address,
    handshake: Handshake,
    pair: PairPermit,
}

/// What there is in the place of a pair: an answer, or, where nobody is there to be answered, the connection's end.
pub(super) type Instead = Result<Response<Answer>, hyper::Error>;

/// Takes an upgrade to the upstream and brings back its answer: a 101 as a pair to be, anything
/// else as it is.
pub(super) async fn upgrade(
    connection: &Arc<Connection>,
    route: &Arc<RouteState>,
    asker: Asker,
    request: Request<Incoming>,
    exchange: Exchange,
) -> Result<Engaged, Instead> {
    let shared = &connection.shared;
    let mut handshake = Handshake {
        connection: Arc::clone(connection),
        route: Arc::clone(route),
        asker,
        began: Instant::now(),
        outcome: None,
        status: None,
        reason: None,
    };
    let client_ip = handshake.asker.caller().client_ip();
    // What costs nothing and keeps nothing goes first.
    if let Err(denied) = route.access.admit(client_ip) {
        return Err(Ok(handshake.fail(Failed::Denied(denied))));
    }
    if shared.is_draining() {
        return Err(Ok(handshake.fail(Failed::Draining)));
    }
    if let Err(refused) = shared.admission.ask(client_ip) {
        return Err(Ok(handshake.fail(refused.into())));
    }
    if let Err(denied) = route.access.admit_page(request.headers()) {
        return Err(Ok(handshake.fail(Failed::Denied(denied))));
    }
    let admitted = shared.admission.upgrade(route, client_ip);
    let admitted = match admitted {
        Ok(permit) => permit,
        Err(refused) => return Err(Ok(handshake.fail(refused.into()))),
    };
    let key = upgrade::key(request.headers());
    match ask(connection, route, &handshake.asker, request, &key).await {
        Ok(mut answered) if answered.response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            let pair = shared.admission.pair(admitted);
            let pair = match pair {
                Ok(pair) => pair,
                // The last place went to another one meanwhile.
                Err(refused) => return Err(Ok(handshake.fail(refused.into()))),
            };
            Ok(Engaged {
                leg: hyper::upgrade::on(&mut answered.response),
                response: answered.response.map(|_| ()),
                upstream: answered.upstream,
                handshake,
                pair,
            })
        }
        Ok(Answered { response, turn, .. }) => {
            handshake.outcome = Some(Outcome::Refused);
            handshake.status = Some(response.status());
            exchange.limit_idle(route.terms.http_idle);
            let (mut parts, body) = response.into_parts();
            let withheld = strip_answer(&mut parts);
            parts.version = Version::HTTP_11;
            let relayed = Relayed {
                body,
                pressure: Arc::clone(&connection.pressure),
                withheld,
                turn: Some(turn),
                account: None,
                _exchange: Arc::new(exchange),
            };
            Err(Ok(and_close(Response::from_parts(
                parts,
                Answer::Relayed(Box::new(relayed)),
            ))))
        }
        Err(Failed::ClientGone(Some(error))) => {
            handshake.outcome = Some(Outcome::ClientGone);
            handshake.reason = Some(Failed::ClientGone(None));
            Err(Err(error))
        }
        Err(failed) => Err(Ok(handshake.fail(failed))),
    }
}

/// Asks the upstream.
async fn ask(
    connection: &Connection,
    route: &RouteState,
    asker: &Asker,
    mut request: Request<Incoming>,
    key: &[u8],
) -> Result<Answered, Failed> {
    let websocket = websocket_token(request.headers());
    strip_request(request.headers_mut(), &route.general.forwarded);
    let headers = request.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(
        UPGRADE,
        websocket.unwrap_or(HeaderValue::from_static("websocket")),
    );
    tell_origin(connection, &route.general, asker, &mut request);
    address_to(&route.upstream.settings, request.headers_mut());

    // Held until there is an answer, of whatever kind.
    let _place = route.upstream.waiting.try_take().ok_or(Failed::Busy)?;
    let began = Instant::now();
    let header = connection.header_for(&route.upstream, asker.caller());
    let connecting = (route.upstream).connect(route.terms.connect, header.as_deref());
    let connected = connecting.await?;
    let took = began.elapsed();
    let metrics = route.metrics(&connection.entrance.listener.name);
    metrics.route.upstream_connect_duration.record(took);

    let upstream = connected.address;
    let link = Link::new(connected.leg, connected.permit);
    // An upgrade has no body.
    drop(link.state().begin());
    connection.goes_over(link.state());
    let turn = link.state().turn();
    let answer = pin!(async {
        let head_bytes = route.general.head_bytes;
        let (mut sender, driver) = http1(head_bytes).handshake(TokioIo::new(link)).await?;
        connection.worker.spawn(async move {
            if let Err(error) = driver.with_upgrades().await {
                debug!(%error, "connection of a handshake to the upstream ended with an error");
            }
        });
        sender
            .send_request(request.map(|_| Empty::<Bytes>::new()))
            .await
    });
    let mut response = within(route.terms.answer, answer)
        .await
        .map_err(|_| Failed::AnswerTimeout)?
        .map_err(|error| match route.upstream.judged(&upstream, &error) {
            Some(judgement) => Failed::Connect(judgement),
            None if connection.has_ended() && !connection.is_answered() => {
                Failed::ClientGone(Some(error))
            }
            None => Failed::Nonsense(error),
        })?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        upgrade::check(&response, key)?;
    } else {
        let (mut parts, body) = response.into_parts();
        settle_framing(&mut parts)?;
        response = Response::from_parts(parts, body);
    }
    route.upstream.answered(response.status());
    Ok(Answered {
        response,
        turn,
        upstream,
    })
}

/// The 101 as the client gets it.
fn switch(response: Response<()>) -> Response<Answer> {
    let (mut parts, ()) = response.into_parts();
    let websocket = websocket_token(&parts.headers);
    strip_connection_options(&mut parts.headers);
    parts
        .headers
        .insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Some(websocket) = websocket {
        parts.headers.insert(UPGRADE, websocket);
    }
    parts.version = Version::HTTP_11;
    Response::from_parts(parts, Answer::Empty)
}

impl Engaged {
    /// The 101 for the client. When it has it, the pair begins.
    pub(super) fn switch(
        mut self,
        client: OnUpgrade,
        connection: &Arc<Connection>,
    ) -> Response<Answer> {
        let response = switch(std::mem::take(&mut self.response));
        connection
            .worker
            .spawn(self.join(client, Arc::clone(connection)));
        response
    }

    async fn join(mut self, client: OnUpgrade, connection: Arc<Connection>) {
        let both = pin!(async { tokio::try_join!(client, self.leg) });
        let (client, upstream) = match within(self.handshake.route.terms.answer, both).await {
            Ok(Ok(both)) => both,
            Ok(Err(error)) => {
                debug!(client = %self.handshake.asker.caller().client, %error, "client went before its 101");
                return;
            }
            Err(_) => return,
        };
        let (Some(client), Some(upstream)) = (client_leg(client), upstream_leg(upstream)) else {
            unreachable!("both legs are of the types that they were made of");
        };
        let (upstream, permit, early) = upstream;
        let handshake = &mut self.handshake;
        handshake.outcome = Some(Outcome::Upgraded);
        let took = handshake.began.elapsed();
        let route = Arc::clone(&handshake.route);
        let metrics = Arc::clone(route.metrics(&connection.entrance.listener.name));
        metrics.route.handshake_duration.record(took);
        let shared = &connection.shared;
        let identity = Identity {
            names: Arc::clone(route.names(&connection.entrance.listener.name)),
            caller: *handshake.asker.caller(),
            upstream: self.upstream,
            request: handshake.asker.told(),
            request_id: handshake.asker.request_id().cloned(),
            proxy_header: connection.told(),
        };
        let opened = Instant::now().into_std();
        let registration = shared.registry.register(identity, opened);
        debug!(pair = registration.entry().id.0, client = %handshake.asker.caller().client, route = %route.name, "pair opened");
        // Whoever came while a drain was being ordered hears of it here.
        if shared.cutting.is_cancelled() {
            registration.entry().order(Order::Cut);
        } else if shared.is_draining() || route.has_sent_pairs_away() {
            registration.entry().order(Order::Drain);
        }
        let mut random = [0; Entropy::LEN + 4];
        getrandom::fill(&mut random).expect("the operating system has randomness");
        let [entropy @ .., a, b, c, d] = random;
        let splice = Splice::new(NewPair {
            legs: PerSide {
                client: client.0,
                upstream,
            },
            early: PerSide {
                client: client.1,
                upstream: early,
            },
            // Looked at behind the registration, so that no reload is missed.
            terms: route.live_terms.renewed(&route.terms),
            live_terms: Arc::clone(&route.live_terms),
            metrics,
            registration,
            handshake: took,
            entropy: Entropy::from_bytes(entropy),
            chance: f64::from(u32::from_ne_bytes([a, b, c, d])) / (f64::from(u32::MAX) + 1.0),
            places: Places {
                _pair: self.pair,
                _client: connection.take_place(),
                _upstream: permit,
                _load: connection.worker.load(),
            },
        });
        // A task of its own, so that nothing of the handshake stays with the pair.
        connection.worker.spawn(splice.run());
    }
}

/// The client's leg and the bytes that came behind its request.
fn client_leg(upgraded: Upgraded) -> Option<(Leg, Bytes)> {
    let (watched, early) = take::<Watched>(upgraded)?;
    let mut leg = watched.into_leg();
    // Nobody waits for the client's end any more but who reads it.
    leg.socket_mut().unshare();
    Some((leg, early))
}

/// The upstream's leg, its place, and the bytes that came behind its answer.
fn upstream_leg(upgraded: Upgraded) -> Option<(Leg, Permit, Bytes)> {
    let (link, early) = take::<Link>(upgraded)?;
    let (leg, permit) = link.into_parts();
    Some((leg, permit, early))
}

/// What the connection was made of, and the bytes that came behind the handshake.
fn take<S>(upgraded: Upgraded) -> Option<(S, Bytes)>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let parts = upgraded.downcast::<TokioIo<S>>().ok()?;
    // A copy, because what it is a part of is the whole read buffer of the connection.
    let early = Bytes::copy_from_slice(&parts.read_buf);
    Some((parts.io.into_inner(), early))
}

impl Handshake {
    /// lubdub's own answer, and why.
    fn fail(mut self, failed: Failed) -> Response<Answer> {
        let outcome = failed.outcome();
        let answer = refusal(outcome);
        self.reason = Some(failed);
        self.outcome = Some(outcome);
        self.status = Some(answer.status());
        and_close(answer)
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        // hyper drops the exchange of a client that has gone.
        let outcome = self.outcome.unwrap_or_else(|| {
            if self.connection.shared.cutting.is_cancelled() {
                self.reason = Some(Failed::Cut);
                Outcome::Draining
            } else {
                Outcome::ClientGone
            }
        });
        let metrics = self.route.metrics(&self.connection.entrance.listener.name);
        metrics.handshake(outcome).increment(1);
        if outcome != Outcome::Upgraded {
            let reason = self.reason.as_ref().map(|reason| reason as &dyn Display);
            let (connection, route) = (&self.connection, Some(&*self.route));
            self.asker
                .not_served(connection, route, outcome, self.status, reason);
        }
    }
}

impl Failed {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Busy => Outcome::UpstreamBusy,
            Self::Connect(error) => error.outcome(),
            Self::ClientGone(_) => Outcome::ClientGone,
            Self::AnswerTimeout => Outcome::AnswerTimeout,
            Self::Nonsense(_) | Self::BadSwitch(_) | Self::BadFraming(_) => Outcome::BadAnswer,
            Self::Denied(denied) => denied.outcome(),
            Self::NoPlace(refusal) => refusal.outcome(),
            Self::Draining | Self::Cut => Outcome::Draining,
        }
    }
}
