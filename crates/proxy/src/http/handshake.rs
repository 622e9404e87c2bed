//! The WebSocket handshake as it passes through: the client's upgrade goes to the upstream, the
//! upstream's answer comes back, and after a 101 the two connections become the legs of a pair.
//!
//! lubdub is no endpoint of this handshake: `Sec-WebSocket-*` pass as they are. It only makes sure
//! that a 101 really is one before it stops looking at the connection as HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderValue, UPGRADE};
use http::{Request, Response, StatusCode, Version};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use lubdub_keepalive::{Entropy, PerSide};
use lubdub_metrics::{Outcome, PairMetrics};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::body::Answer;
use super::headers::{strip_connection_options, websocket_token};
use super::refusal::{and_close, refusal};
use super::service::tell_origin;
use super::upgrade::{self, BadSwitch};
use crate::admission::SocketPermit;
use crate::front::clock::{Exchange, Watched};
use crate::front::connection::Connection;
use crate::leg::Leg;
use crate::patience::within;
use crate::registry::Order;
use crate::route::RouteIndex;
use crate::settings::Route;
use crate::splice::{NewPair, Places, Splice};
use crate::upstream::{self, ConnectError};

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
    permit: SocketPermit,
}

/// A pair whose client has still to take its 101.
pub(super) struct Engaged {
    response: Response<()>,
    leg: OnUpgrade,
    upstream: SocketAddr,
    handshake: Handshake,
    places: Places,
    route: Arc<Route>,
    /// What the log may tell of the request.
    told: Option<Box<str>>,
}

/// Takes an upgrade to the upstream and brings back its answer: a 101 as a pair to be, anything
/// else as it is.
pub(super) async fn upgrade(
    connection: &Arc<Connection>,
    index: RouteIndex,
    request: Request<Incoming>,
    exchange: Exchange,
) -> Result<Engaged, Response<Answer>> {
    let shared = connection.worker.shared();
    let route = Arc::clone(&shared.routes[index]);
    let mut handshake = Handshake {
        metrics: Arc::clone(&connection.entrance.routes[index.0]),
        began: Instant::now(),
        outcome: None,
    };
    if shared.draining.is_cancelled() {
        return Err(handshake.refuse(Outcome::Draining));
    }
    // As long as an answer may take, another handshake's end may be waited for.
    if within(route.terms.answer, connection.take_slot())
        .await
        .is_err()
    {
        return Err(handshake.refuse(Outcome::AtCapacity));
    }
    let pair = match shared.admission.pair(index, connection.peer.ip()) {
        Ok(permit) => permit,
        Err(refused) => return Err(handshake.refuse(refused.outcome())),
    };
    let key = upgrade::key(request.headers());
    let host = request.headers().get(HOST);
    let host = host.map_or("", |host| host.to_str().unwrap_or_default());
    let told = shared.request_detail.tell(host, request.uri().path());
    match ask(connection, &route, &handshake, request, &key).await {
        Ok(mut answered) if answered.response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            Ok(Engaged {
                leg: hyper::upgrade::on(&mut answered.response),
                response: answered.response.map(|_| ()),
                upstream: answered.upstream,
                handshake,
                places: Places {
                    _pair: pair,
                    _client: connection.take_permit(),
                    _upstream: answered.permit,
                    _load: connection.worker.load(),
                },
                route,
                told,
            })
        }
        Ok(Answered {
            response, permit, ..
        }) => {
            handshake.outcome = Some(Outcome::Refused);
            exchange.limit_idle(route.terms.http_idle);
            let (mut parts, body) = response.into_parts();
            strip_connection_options(&mut parts.headers);
            parts.version = Version::HTTP_11;
            let relayed = Answer::Relayed {
                body,
                _exchange: Arc::new(exchange),
                _upstream: Some(permit),
            };
            Err(and_close(Response::from_parts(parts, relayed)))
        }
        Err(failed) => {
            warn!(client = %connection.peer, route = %route.name, upstream = %route.upstream.name, reason = %failed, "handshake failed");
            Err(handshake.refuse(failed.outcome()))
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
    let websocket = websocket_token(request.headers());
    strip_connection_options(request.headers_mut());
    let headers = request.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(
        UPGRADE,
        websocket.unwrap_or(HeaderValue::from_static("websocket")),
    );
    tell_origin(connection, &mut request);

    let began = Instant::now();
    let admission = &connection.worker.shared().admission;
    let connected = upstream::connect(&route.upstream, route.terms.connect, admission).await?;
    let took = began.elapsed();
    handshake
        .metrics
        .route
        .upstream_connect_duration
        .record(took);

    let answer = async {
        let (mut sender, conn) = http1::Builder::new()
            .preserve_header_case(true)
            .handshake(TokioIo::new(connected.leg))
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
    let response = within(route.terms.answer, answer)
        .await
        .map_err(|_| Failed::AnswerTimeout)?
        .map_err(Failed::Nonsense)?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        upgrade::check(&response, key)?;
    }
    Ok(Answered {
        response,
        upstream: connected.address,
        permit: connected.permit,
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
        let both = async { tokio::try_join!(client, self.leg) };
        let (client, upstream) = match within(self.route.terms.answer, both).await {
            Ok(Ok(both)) => both,
            Ok(Err(error)) => {
                debug!(client = %connection.peer, %error, "client went before its 101");
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
            connection.peer,
            self.upstream,
            self.told,
            Instant::now().into_std(),
        );
        debug!(pair = registration.entry().id.0, client = %connection.peer, route = %self.route.name, "pair opened");
        // Whoever came while the drain was being ordered hears of it here.
        if shared.cutting.is_cancelled() {
            registration.entry().order(Order::Cut);
        } else if shared.draining.is_cancelled() {
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
            places: self.places,
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
            Self::Connect(ConnectError::NoRoom) => Outcome::AtCapacity,
            Self::Connect(_) => Outcome::ConnectFailed,
            Self::AnswerTimeout => Outcome::AnswerTimeout,
            Self::Nonsense(_) | Self::BadSwitch(_) => Outcome::BadAnswer,
        }
    }
}
