//! The WebSocket handshake as it passes through: the client's upgrade goes to the upstream, the
//! upstream's answer comes back, and after a 101 the two connections become the legs of a pair.
//!
//! lubdub is no endpoint of this handshake: `Sec-WebSocket-*` pass as they are. It only makes sure
//! that a 101 really is one before it stops looking at the connection as HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::{Request, Response, StatusCode, Version};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use lubdub_keepalive::{Entropy, PerSide};
use lubdub_metrics::{Outcome, PairMetrics};
use tokio::time::{Instant, timeout};
use tracing::{debug, warn};

use super::body::Answer;
use super::headers::strip_connection_options;
use super::refusal::{and_close, refusal};
use super::service::tell_origin;
use super::upgrade::{self, BadSwitch};
use crate::admission::PairPermit;
use crate::front::clock::{Exchange, Watched};
use crate::front::connection::Connection;
use crate::leg::Leg;
use crate::registry::Order;
use crate::route::RouteIndex;
use crate::settings::Route;
use crate::splice::{NewPair, Splice};
use crate::upstream::{self, ConnectError};
use crate::worker::Load;

/// A handshake under way: counted once, however it ends.
struct Handshake {
    metrics: Arc<PairMetrics>,
    began: Instant,
    outcome: Option<Outcome>,
}

/// Why the upstream's side of a handshake failed.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("no answer in time")]
    AnswerTimeout,
    #[error("no valid answer: {0}")]
    Nonsense(#[source] hyper::Error),
    #[error(transparent)]
    BadSwitch(#[from] BadSwitch),
}

/// The upstream's answer.
struct Answered {
    response: Response<Incoming>,
    upstream: SocketAddr,
}

/// A pair whose client has still to take its 101.
struct Engaged {
    client: OnUpgrade,
    upstream: OnUpgrade,
    addresses: PerSide<SocketAddr>,
    handshake: Handshake,
    permit: PairPermit,
    load: Load,
    route: Arc<Route>,
}

/// Takes an upgrade to the upstream and brings back its answer.
pub(super) async fn upgrade(
    connection: &Arc<Connection>,
    index: RouteIndex,
    mut request: Request<Incoming>,
    exchange: Exchange,
) -> Response<Answer> {
    let shared = connection.worker.shared();
    let route = Arc::clone(&shared.routes[index]);
    let mut handshake = Handshake {
        metrics: Arc::clone(&connection.entrance.routes[index.0]),
        began: Instant::now(),
        outcome: None,
    };
    if shared.draining.is_cancelled() {
        return handshake.refuse(Outcome::Draining);
    }
    let permit = match shared.admission.pair(index, connection.peer.ip()) {
        Ok(permit) => permit,
        Err(refused) => return handshake.refuse(refused.outcome()),
    };
    let client = hyper::upgrade::on(&mut request);
    let key = upgrade::key(request.headers());
    match ask(connection, &route, &handshake, request, &key).await {
        Ok(Answered {
            mut response,
            upstream,
        }) if response.status() == 101 => {
            let engaged = Engaged {
                client,
                upstream: hyper::upgrade::on(&mut response),
                addresses: PerSide {
                    client: connection.peer,
                    upstream,
                },
                handshake,
                permit,
                load: connection.worker.load(),
                route,
            };
            let worker = Arc::clone(&connection.worker);
            let connection = Arc::clone(connection);
            worker.spawn(engaged.join(connection));
            switch(response)
        }
        Ok(Answered { response, .. }) => {
            handshake.outcome = Some(Outcome::Refused);
            exchange.limit_idle(route.terms.http_idle);
            let (mut parts, body) = response.into_parts();
            strip_connection_options(&mut parts.headers);
            parts.version = Version::HTTP_11;
            and_close(Response::from_parts(
                parts,
                Answer::Relayed {
                    body,
                    _exchange: exchange,
                },
            ))
        }
        Err(failed) => {
            warn!(peer = %connection.peer, route = %route.name, upstream = %route.upstream.name, reason = %failed, "handshake failed");
            handshake.refuse(failed.outcome())
        }
    }
}

/// Asks the upstream.
async fn ask(
    connection: &Connection,
    route: &Route,
    handshake: &Handshake,
    mut request: Request<Incoming>,
    key: &[u8],
) -> Result<Answered, Failed> {
    let websocket = request.headers().get(UPGRADE).cloned();
    strip_connection_options(request.headers_mut());
    let headers = request.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(
        UPGRADE,
        websocket.unwrap_or(HeaderValue::from_static("websocket")),
    );
    tell_origin(connection, &mut request);

    let began = Instant::now();
    let (leg, upstream) = upstream::connect(&route.upstream, route.terms.connect).await?;
    let took = began.elapsed();
    handshake
        .metrics
        .route
        .upstream_connect_duration
        .record(took);

    let answer = async {
        let (mut sender, conn) = http1::Builder::new()
            .preserve_header_case(true)
            .handshake(TokioIo::new(leg))
            .await?;
        connection.worker.spawn(async move {
            if let Err(error) = conn.with_upgrades().await {
                debug!(%error, "connection of a handshake to the upstream ended with an error");
            }
        });
        sender
            .send_request(request.map(|_| Empty::<Bytes>::new()))
            .await
    };
    let response = timeout(route.terms.answer, answer)
        .await
        .map_err(|_| Failed::AnswerTimeout)?
        .map_err(Failed::Nonsense)?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        upgrade::check(&response, key)?;
    }
    Ok(Answered { response, upstream })
}

/// The 101 as the client gets it.
fn switch(response: Response<Incoming>) -> Response<Answer> {
    let (mut parts, _) = response.into_parts();
    let websocket = parts.headers.get(UPGRADE).cloned();
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
    /// Waits until the client has its 101, and lets the pair begin.
    async fn join(mut self, connection: Arc<Connection>) {
        let both = async { tokio::try_join!(self.client, self.upstream) };
        let joined = timeout(self.route.terms.answer, both).await;
        let (client, upstream) = match joined {
            Ok(Ok(both)) => both,
            Ok(Err(error)) => {
                debug!(peer = %self.addresses.client, %error, "client went before its 101");
                return;
            }
            Err(_) => return,
        };
        let (Some(client), Some(upstream)) = (client_leg(client), take::<Leg>(upstream)) else {
            unreachable!("both legs are of the types that they were made of");
        };
        connection.release_slot();
        self.handshake.outcome = Some(Outcome::Upgraded);
        let took = self.handshake.began.elapsed();
        let metrics = Arc::clone(&self.handshake.metrics);
        metrics.route.handshake_duration.record(took);
        let shared = connection.worker.shared();
        let registration = shared.registry.register(
            Arc::clone(&connection.entrance.listener.name),
            Arc::clone(&self.route.name),
            self.addresses.client,
            self.addresses.upstream,
            Instant::now().into_std(),
        );
        debug!(pair = registration.entry().id.0, peer = %self.addresses.client, route = %self.route.name, "pair opened");
        // Whoever came while the drain was being ordered hears of it here.
        if shared.draining.is_cancelled() {
            registration.entry().order(Order::Drain);
        }
        let mut random = [0; Entropy::LEN + 4];
        getrandom::fill(&mut random).expect("the operating system has randomness");
        let [entropy @ .., a, b, c, d] = random;
        let splice = Splice::new(NewPair {
            legs: PerSide {
                client: client.0,
                upstream: upstream.0,
            },
            early: PerSide {
                client: client.1,
                upstream: upstream.1,
            },
            terms: Arc::clone(&self.route.terms),
            metrics,
            registration,
            drain_spread: shared.drain.spread,
            handshake: took,
            entropy: Entropy::from_bytes(entropy),
            chance: f64::from(u32::from_ne_bytes([a, b, c, d])) / (f64::from(u32::MAX) + 1.0),
            permit: self.permit,
            load: self.load,
        });
        // A task of its own, so that nothing of the handshake stays with the pair.
        connection.worker.spawn(splice);
    }
}

/// The client's leg and the bytes that came behind its request.
fn client_leg(upgraded: Upgraded) -> Option<(Leg, Bytes)> {
    let (watched, early) = take::<Watched>(upgraded)?;
    Some((watched.into_leg(), early))
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
    fn refuse(mut self, outcome: Outcome) -> Response<Answer> {
        self.outcome = Some(outcome);
        and_close(refusal(outcome))
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        // hyper drops the exchange of a client that has gone.
        let outcome = self.outcome.unwrap_or(Outcome::ClientGone);
        self.metrics.handshake(outcome).increment(1);
    }
}

impl Failed {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Connect(ConnectError::TimedOut(_)) => Outcome::ConnectTimeout,
            Self::Connect(_) => Outcome::ConnectFailed,
            Self::AnswerTimeout => Outcome::AnswerTimeout,
            Self::Nonsense(_) | Self::BadSwitch(_) => Outcome::BadAnswer,
        }
    }
}
