//! Which path answers what, by which method, and to whom.

use bytes::Bytes;
use http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Method, Request, StatusCode};
use hyper::body::Body;
use lubdub_proxy::Peer;
use lubdub_proxy::registry::PairId;

use super::access::{Denied, Needs};
use super::answer::{Answer, answer, json, text, with};
use super::body::BadBody;
use super::{State, body, change, drain, pairs, reload, upgrade};

/// What the path of a single pair begins with; its number follows.
const PAIR: &str = "/api/v1/pairs/";

/// What there is to be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resource {
    Metrics,
    Live,
    Ready,
    Pairs,
    Pair,
    Drain,
    Reload,
    Upgrade,
}

/// What is asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// GET or HEAD.
    Read,
    /// POST.
    Change,
}

// === impl Resource ===

impl Resource {
    fn find(path: &str) -> Option<Self> {
        Some(match path {
            "/metrics" => Self::Metrics,
            "/livez" => Self::Live,
            "/readyz" => Self::Ready,
            "/api/v1/pairs" => Self::Pairs,
            "/api/v1/drain" => Self::Drain,
            "/api/v1/reload" => Self::Reload,
            "/api/v1/upgrade" => Self::Upgrade,
            path if path.starts_with(PAIR) => Self::Pair,
            _ => return None,
        })
    }

    /// What can be asked of it, for `Allow`.
    fn methods(self) -> &'static str {
        match self {
            Self::Metrics | Self::Live | Self::Ready | Self::Pairs | Self::Pair => "GET, HEAD",
            Self::Drain => "GET, HEAD, POST",
            Self::Reload | Self::Upgrade => "POST",
        }
    }

    fn asked(self, method: &Method) -> Option<Asked> {
        match *method {
            Method::GET | Method::HEAD if self.methods().contains("GET") => Some(Asked::Read),
            Method::POST if self.methods().contains("POST") => Some(Asked::Change),
            _ => None,
        }
    }

    /// What a change of it takes.
    fn needs(self) -> Needs {
        match self {
            // A program is started.
            Self::Upgrade => Needs::TokenOrSocket,
            Self::Metrics
            | Self::Live
            | Self::Ready
            | Self::Pairs
            | Self::Pair
            | Self::Drain
            | Self::Reload => Needs::LoopbackOrToken,
        }
    }
}

// === impl State ===

impl State {
    pub(super) async fn answer<B>(&self, peer: Peer, request: Request<B>) -> Answer
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let Some(resource) = Resource::find(request.uri().path()) else {
            // Who may not ask does not learn what there is.
            return match self.access.load().check(peer, request.headers()) {
                Ok(_) => text(StatusCode::NOT_FOUND, "not found\n"),
                Err(denied) => refusal(denied),
            };
        };
        match resource.asked(request.method()) {
            Some(Asked::Read) => match resource {
                Resource::Metrics => self.metrics(),
                Resource::Live => text(StatusCode::OK, "alive\n"),
                Resource::Ready if self.is_ready() => text(StatusCode::OK, "ready\n"),
                Resource::Ready => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
                Resource::Pairs
                | Resource::Pair
                | Resource::Drain
                | Resource::Reload
                | Resource::Upgrade => match self.access.load().check(peer, request.headers()) {
                    Ok(_) => self.guarded(resource, &request),
                    Err(denied) => refusal(denied),
                },
            },
            Some(Asked::Change) => self.change(resource, peer, request).await,
            None => {
                let answer = text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
                with(answer, ALLOW, resource.methods())
            }
        }
    }

    fn metrics(&self) -> Answer {
        let page = self.metrics.render().into();
        answer(StatusCode::OK, lubdub_metrics::CONTENT_TYPE, page)
    }

    /// What is not for everybody.
    fn guarded<B>(&self, resource: Resource, request: &Request<B>) -> Answer {
        let registry = self.proxy.registry();
        let now = tokio::time::Instant::now().into_std();
        match resource {
            Resource::Pairs => match pairs::limit(request.uri().query().unwrap_or_default()) {
                Ok(limit) => json(&pairs::list(registry, limit, now)),
                Err(error) => text(StatusCode::BAD_REQUEST, format!("{error}\n")),
            },
            Resource::Pair => {
                let id = request.uri().path().strip_prefix(PAIR);
                let pair = id
                    .and_then(|id| id.parse().ok())
                    .and_then(|id| registry.pair(PairId(id)));
                match pair {
                    Some(pair) => json(&pairs::describe(&pair, now)),
                    None => text(StatusCode::NOT_FOUND, "not found\n"),
                }
            }
            Resource::Drain => json(&drain::describe(&self.proxy)),
            Resource::Metrics
            | Resource::Live
            | Resource::Ready
            | Resource::Reload
            | Resource::Upgrade => {
                unreachable!("these are for everybody, or only changed")
            }
        }
    }

    /// What changes something. The rules go from who asks to what it says, so that a stranger uses up
    /// nothing.
    async fn change<B>(&self, resource: Resource, peer: Peer, request: Request<B>) -> Answer
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let path = request.uri().path().to_owned();
        let headers = request.headers();
        let refused = |status: StatusCode, reason: &str| {
            self.gate.tell_refused(&path, peer, status, reason);
            text(status, format!("{reason}\n"))
        };
        let proof = match self
            .access
            .load()
            .check_change(peer, headers, resource.needs())
        {
            Ok(proof) => proof,
            Err(denied) => {
                let reason = denied.to_string();
                self.gate
                    .tell_refused(&path, peer, denied.status(), &reason);
                return refusal(denied);
            }
        };
        let objection = change::check_origin(headers)
            .and_then(|()| change::check_type(headers))
            .and_then(|()| self.gate.pass());
        if let Err(objection) = objection {
            let answer = refused(objection.status(), &objection.to_string());
            return match objection.status() {
                StatusCode::TOO_MANY_REQUESTS => with(answer, RETRY_AFTER, "1"),
                _ => answer,
            };
        }
        let answer = match body::read(request.into_body()).await {
            Ok(bytes) => self.changed(resource, &bytes).await,
            Err(error) => wrong(&error),
        };
        self.gate.tell(&path, peer, proof, answer.status());
        answer
    }

    /// Changes what was asked.
    async fn changed(&self, resource: Resource, body: &[u8]) -> Answer {
        match resource {
            Resource::Reload => match &self.reloader {
                Some(reloader) => reload::order(reloader, body).await,
                None => text(
                    StatusCode::CONFLICT,
                    "there is no configuration to reload\n",
                ),
            },
            Resource::Drain => drain::order(&self.proxy, body),
            Resource::Upgrade => match &self.upgrader {
                Some(upgrader) => upgrade::order(upgrader, body).await,
                None => text(StatusCode::CONFLICT, "there is no program to start again\n"),
            },
            Resource::Metrics
            | Resource::Live
            | Resource::Ready
            | Resource::Pairs
            | Resource::Pair => unreachable!("nothing of it can be changed"),
        }
    }
}

/// The answer to who may not ask.
fn refusal(denied: Denied) -> Answer {
    let answer = text(denied.status(), format!("{denied}\n"));
    match denied.status() {
        StatusCode::UNAUTHORIZED => with(answer, WWW_AUTHENTICATE, "Bearer"),
        _ => answer,
    }
}

/// The answer to a body that will not do.
pub(super) fn wrong(error: &BadBody) -> Answer {
    text(error.status(), format!("{error}\n"))
}
