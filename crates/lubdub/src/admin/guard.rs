//! Who gets as far as a handler: each takes as an argument what its request has to have passed.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Path};
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{Request, StatusCode, Uri};
use lubdub_proxy::Peer;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::access::{Denied, Needs, Proof};
use super::answer::{Answer, problem, with};
use super::body::{self, BadBody};
use super::{State, change};

/// Somebody who may ask for what holds no data.
#[derive(Debug)]
pub(super) struct Visit;

/// Somebody who may know how the pairs are.
#[derive(Debug)]
pub(super) struct Look;

/// What the query says.
#[derive(Debug)]
pub(super) struct Query<T>(pub T);

/// A query that says nothing: there is nothing that it could say here. Who misspells something, or asks the wrong path,
/// has to notice.
#[derive(Debug)]
pub(super) struct NoQuery;

/// The fields of such a query.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoFields {}

/// What a path says in place of a number; nothing, if that is no text.
#[derive(Debug)]
pub(super) struct Id(pub String);

/// A change that somebody may ask for, and what it says.
#[derive(Debug)]
pub(super) struct Change {
    state: Arc<State>,
    path: String,
    client: Peer,
    proof: Proof,
    body: Result<Vec<u8>, BadBody>,
}

/// The same, of what starts a program.
#[derive(Debug)]
pub(super) struct Replacement(pub Change);

// === impl Look ===

impl FromRequestParts<Arc<State>> for Visit {
    type Rejection = Answer;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<State>) -> Result<Self, Answer> {
        let access = state.access.load();
        access.check_visit(peer(parts), parts).map_err(refusal)?;
        Ok(Self)
    }
}

impl FromRequestParts<Arc<State>> for Look {
    type Rejection = Answer;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<State>) -> Result<Self, Answer> {
        let access = state.access.load();
        access.check(peer(parts), parts).map_err(refusal)?;
        Ok(Self)
    }
}

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Answer;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Answer> {
        match query(&parts.uri) {
            Ok(query) => Ok(Self(query)),
            Err(error) => Err(problem(StatusCode::BAD_REQUEST, error)),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Answer;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Answer> {
        let Query(NoFields {}) = Query::from_request_parts(parts, state).await?;
        Ok(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Answer;

    /// Text that is no number is for the handler, which knows what there is none of; so is what is no text.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Answer> {
        let said = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(said.map(|Path(said)| said).unwrap_or_default()))
    }
}

// === impl Change ===

impl FromRequest<Arc<State>> for Change {
    type Rejection = Answer;

    async fn from_request(
        request: Request<axum::body::Body>,
        state: &Arc<State>,
    ) -> Result<Self, Answer> {
        Self::admit(request, state, Needs::LoopbackOrToken).await
    }
}

impl FromRequest<Arc<State>> for Replacement {
    type Rejection = Answer;

    async fn from_request(
        request: Request<axum::body::Body>,
        state: &Arc<State>,
    ) -> Result<Self, Answer> {
        Change::admit(request, state, Needs::TokenOrSocket)
            .await
            .map(Self)
    }
}

impl Change {
    /// The rules go from who asks to what it says, so that a stranger uses up nothing.
    async fn admit(
        request: Request<axum::body::Body>,
        state: &Arc<State>,
        needs: Needs,
    ) -> Result<Self, Answer> {
        let (parts, body) = request.into_parts();
        let (client, headers) = (peer(&parts), &parts.headers);
        let path = parts.uri.path().to_owned();
        let proof = match state.access.load().check_change(client, &parts, needs) {
            Ok(proof) => proof,
            Err(denied) => {
                let reason = denied.to_string();
                state
                    .gate
                    .tell_refused(&path, client, denied.status(), &reason);
                return Err(refusal(denied));
            }
        };
        let objection = change::check_origin(headers)
            .and_then(|()| change::check_type(headers))
            .and_then(|()| state.gate.pass());
        if let Err(objection) = objection {
            let (status, reason) = (objection.status(), objection.to_string());
            state.gate.tell_refused(&path, client, status, &reason);
            let answer = problem(status, reason);
            return Err(match status {
                StatusCode::TOO_MANY_REQUESTS => with(answer, RETRY_AFTER, "1"),
                _ => answer,
            });
        }
        Ok(Self {
            state: Arc::clone(state),
            path,
            client,
            proof,
            body: said(&parts.uri, body).await,
        })
    }

    /// Has it made, and tells who wanted it and what came of it.
    pub(super) async fn carry_out(self, make: impl AsyncFnOnce(&[u8]) -> Answer) -> Answer {
        let answer = match &self.body {
            Ok(bytes) => make(bytes).await,
            Err(error) => wrong(error),
        };
        let gate = &self.state.gate;
        gate.tell(&self.path, self.client, self.proof, answer.status());
        answer
    }
}

/// What a change says: all of it is in the body. In a query it would be lost, and the change another one.
async fn said(uri: &Uri, body: axum::body::Body) -> Result<Vec<u8>, BadBody> {
    let body = body::read(body).await?;
    let NoFields {} = query(uri).map_err(BadBody::Wrong)?;
    Ok(body)
}

/// What the query says, or what is wrong with it.
fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, String> {
    let read = axum::extract::Query::try_from_uri(uri);
    read.map(|axum::extract::Query(query)| query)
        .map_err(|error| {
            let error = std::error::Error::source(&error)
                .map_or_else(|| error.to_string(), |source| source.to_string());
            format!("the query: {error}")
        })
}

/// The other end of the connection that a request came by: the listener says who that is. Whoever it did not say
/// it of is nobody who may do anything.
fn peer(parts: &Parts) -> Peer {
    let nobody = Peer::Ip(SocketAddr::new(Ipv4Addr::BROADCAST.into(), 0));
    parts.extensions.get::<Peer>().copied().unwrap_or(nobody)
}

/// The answer to who may not ask.
pub(super) fn refusal(denied: Denied) -> Answer {
    let answer = problem(denied.status(), denied.to_string());
    match denied.status() {
        StatusCode::UNAUTHORIZED => with(answer, WWW_AUTHENTICATE, "Bearer"),
        _ => answer,
    }
}

/// The answer to a body that will not do.
pub(super) fn wrong(error: &BadBody) -> Answer {
    problem(error.status(), error.to_string())
}
