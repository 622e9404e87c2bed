//! The live pairs.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::extract::State;
use http::StatusCode;
use lubdub_keepalive::Side;
use lubdub_proxy::registry::{self, PageQuery, PairEntry, PairId, SideStatus};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::answer::{self, Answer};
use super::filter::{self, BadQuery, Wanted};
use super::guard::{Id, Look, NoQuery, Query};
use crate::api::{
    self, Beat, BeatState, Pair, PairTrace, Pairs, Problem, Sort, Span, Trace, moment,
};
use crate::config::parse_duration;

/// Which pairs, and in which order.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// Of this route.
    route: Option<String>,
    /// To this upstream.
    upstream: Option<String>,
    /// That came in at this listener.
    listener: Option<String>,
    /// Of clients with this address, or in this network, such as `10.0.0.0/8`.
    #[param(example = "10.0.0.0/8")]
    client: Option<String>,
    /// Of which this side is silent longer than the other.
    silent: Option<Silent>,
    /// Of which a side is silent for so long, such as `30s`; the side that `silent` says, if it does.
    #[param(value_type = Option<Span>)]
    silent_for: Option<String>,
    /// In this order; `oldest` if not said.
    sort: Option<Sort>,
    /// At most so many; 1,000 if not said, and never more.
    #[param(value_type = Option<usize>, example = 20)]
    limit: Option<String>,
    /// Behind those of the page whose `next` this is.
    after: Option<String>,
}

/// A side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Silent {
    Client,
    Upstream,
}

/// Live pairs
#[utoipa::path(get, path = "/api/v1/pairs", operation_id = "pairs", tag = "pairs", params(Asked), responses(
    (status = 200, body = Pairs),
))]
pub(super) async fn list(
    State(state): State<Arc<super::State>>,
    _: Look,
    Query(asked): Query<Asked>,
) -> Answer {
    let query = match asked.query(&state) {
        Ok(query) => query,
        Err(error) => return error.answer(),
    };
    let now = now();
    let page = state.proxy.registry().page(&query, now).await;
    let next = page.next.map(|at| state.run.write(query.sort, at));
    answer::json(&Pairs {
        total: page.total,
        matched: page.matched,
        next,
        pairs: page.pairs.iter().map(|pair| describe(pair, now)).collect(),
    })
}

/// A live pair, and how its latest pings were answered
#[utoipa::path(get, path = "/api/v1/pairs/{id}", operation_id = "pair", tag = "pairs",
    params(("id" = usize, Path, description = "The number of the pair")),
    responses(
        (status = 200, body = PairTrace),
        (status = 404, body = Problem, content_type = Problem::TYPE, description = "No such pair lives"),
    )
)]
pub(super) async fn show(
    State(state): State<Arc<super::State>>,
    _: Look,
    _: NoQuery,
    Id(id): Id,
) -> Answer {
    let found = find(&id);
    let pair = found.and_then(|id| state.proxy.registry().pair(id));
    let Some(pair) = pair else {
        return match found.and_then(|id| state.proxy.lingers_in(id)) {
            Some(process) => answer::problem(
                StatusCode::NOT_FOUND,
                format!(
                    "pair {id} goes on in process {process}, which lingers after an upgrade, and is not shown; it can be closed"
                ),
            ),
            None => none_such(&id),
        };
    };
    answer::json(&PairTrace {
        pair: describe(&pair, now()),
        trace: Trace {
            client: beats(&pair, Side::Client),
            upstream: beats(&pair, Side::Upstream),
        },
    })
}

/// The number of a pair.
pub(super) fn find(id: &str) -> Option<PairId> {
    id.parse().ok().map(PairId)
}

pub(super) fn none_such(id: &str) -> Answer {
    let detail = format!(
        "there is no live pair {id:?}; if it has ended, /api/v1/ends (`lubdub ends`) may know why"
    );
    answer::problem(StatusCode::NOT_FOUND, detail)
}

/// The clock that pairs go by.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn describe(pair: &PairEntry, now: Instant) -> Pair {
    let age = now.saturating_duration_since(pair.opened);
    Pair {
        id: pair.id.0,
        listener: pair.names.listener.to_string(),
        route: pair.names.route.to_string(),
        request: pair.request.as_deref().map(str::to_owned),
        request_id: pair.request_id(),
        opened: moment(SystemTime::now() - age),
        age_seconds: age.as_secs_f64(),
        client: client(pair, pair.status(Side::Client, now)),
        upstream: upstream(pair, pair.status(Side::Upstream, now)),
    }
}

/// The client of a pair that is, or was, like this.
pub(super) fn client(pair: &PairEntry, status: SideStatus) -> api::Client {
    let caller = pair.caller();
    api::Client {
        address: caller.client.to_string(),
        peer: caller.peer.to_string(),
        side: side(status),
    }
}

/// The same for the upstream.
pub(super) fn upstream(pair: &PairEntry, status: SideStatus) -> api::Upstream {
    api::Upstream {
        name: pair.names.upstream.to_string(),
        address: pair.upstream().to_string(),
        side: side(status),
    }
}

fn side(status: SideStatus) -> api::Side {
    api::Side {
        last_heard_seconds: status.silent_for.as_secs_f64(),
        last_rtt_seconds: status.last_rtt.map(|rtt| rtt.as_secs_f64()),
        pings_sent: status.pings_sent,
        pongs_received: status.pongs_received,
        bytes: status.bytes,
        frames: status.frames,
        held: status.is_held,
    }
}

fn beats(pair: &PairEntry, side: Side) -> Vec<Beat> {
    let beat = |beat: registry::Beat| {
        let (state, rtt) = match beat {
            registry::Beat::Answered(rtt) => (BeatState::Answered, rtt),
            registry::Beat::Missed => (BeatState::Missed, None),
            registry::Beat::Waiting => (BeatState::Waiting, None),
            registry::Beat::Covered => (BeatState::Covered, None),
        };
        Beat {
            state,
            rtt_seconds: rtt.map(|rtt| rtt.as_secs_f64()),
        }
    };
    pair.trace(side).into_iter().map(beat).collect()
}

// === impl Asked ===

impl Asked {
    fn query(self, state: &super::State) -> Result<PageQuery, BadQuery> {
        let sort = self.sort.map(registry::Sort::from).unwrap_or_default();
        let silent_for = |text: String| -> Result<Duration, BadQuery> {
            parse_duration(&text).map_err(|error| BadQuery::new("silent_for", error))
        };
        let after = |text: String| state.run.read(&text, sort);
        let wanted = Wanted {
            route: self.route,
            upstream: self.upstream,
            listener: self.listener,
            client: self.client,
        };
        Ok(PageQuery {
            filter: wanted.filter(&state.proxy)?,
            silent: self.silent.map(Side::from),
            silent_for: self.silent_for.map(silent_for).transpose()?,
            sort,
            limit: filter::limit(self.limit.as_deref())?,
            after: self.after.map(after).transpose()?,
        })
    }
}

impl From<Silent> for Side {
    fn from(silent: Silent) -> Self {
        match silent {
            Silent::Client => Self::Client,
            Silent::Upstream => Self::Upstream,
        }
    }
}

impl From<Sort> for registry::Sort {
    fn from(sort: Sort) -> Self {
        match sort {
            Sort::Oldest => Self::Oldest,
            Sort::Newest => Self::Newest,
            Sort::Silence => Self::Silence,
            Sort::Rtt => Self::Rtt,
            Sort::Bytes => Self::Bytes,
        }
    }
}
