//! Pairs that have ended.

use std::sync::Arc;

use axum::extract::State;
use lubdub_keepalive::Side;
use lubdub_metrics::{Cause, Value};
use lubdub_proxy::registry::{self, EndQuery, PairId};
use lubdub_proxy::{Control, Names};
use serde::Deserialize;
use utoipa::IntoParams;

use super::answer::{self, Answer};
use super::filter::{self, BadQuery, Wanted};
use super::guard::{Look, Query};
use super::pairs;
use crate::api::{CauseWord, Close, End, Ends, moment};

/// Which ends.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// Of pairs of this route.
    route: Option<String>,
    /// To this upstream.
    upstream: Option<String>,
    /// That came in at this listener.
    listener: Option<String>,
    /// Of clients with this address, or in this network, such as `10.0.0.0/8`.
    #[param(example = "10.0.0.0/8")]
    client: Option<String>,
    /// For this cause, such as `client_lapsed`.
    #[param(value_type = Option<CauseWord>)]
    cause: Option<String>,
    /// Of the pair with this number.
    #[param(value_type = Option<usize>)]
    pair: Option<String>,
    /// At most so many; all that are kept if not said, and never more.
    #[param(value_type = Option<usize>, example = 20)]
    limit: Option<String>,
}

/// The last 1,000 ends, the newest first
#[utoipa::path(get, path = "/api/v1/ends", operation_id = "ends", tag = "pairs", params(Asked), responses(
    (status = 200, body = Ends),
))]
pub(super) async fn list(
    State(state): State<Arc<super::State>>,
    _: Look,
    Query(asked): Query<Asked>,
) -> Answer {
    let asked =
        filter::limit(asked.limit.as_deref()).and_then(|limit| Ok((asked.query(&state)?, limit)));
    let (query, limit) = match asked {
        Ok(asked) => asked,
        Err(error) => return error.answer(),
    };
    let ends = state.proxy.registry().ends();
    answer::json(&Ends {
        kept: ends.kept(),
        ends: ends.latest(&query, limit).iter().map(describe).collect(),
    })
}

/// How a pair has ended.
pub(super) fn describe(end: &registry::End) -> End {
    let pair = &end.pair;
    let side = |side: Side| end.sides[side].status;
    End {
        pair: pair.id.0,
        at: moment(end.at),
        listener: pair.names.listener.to_string(),
        route: pair.names.route.to_string(),
        request: pair.request.as_deref().map(str::to_owned),
        request_id: pair.request_id(),
        cause: end.cause.as_str().to_owned(),
        cause_text: meaning(end.cause).to_owned(),
        diagnosis: end.diagnosis.map(|diagnosis| diagnosis.as_str().to_owned()),
        close: end.close.map(|close| Close {
            code: close.code,
            by: close.by.as_str().to_owned(),
        }),
        duration_seconds: end.duration.as_secs_f64(),
        lapsed_after_seconds: end.lapsed_after.map(|silence| silence.as_secs_f64()),
        hint: end.hint.map(str::to_owned),
        client: pairs::client(pair, side(Side::Client)),
        upstream: pairs::upstream(pair, side(Side::Upstream)),
    }
}

fn meaning(cause: Cause) -> &'static str {
    let Value { meaning, .. } = Cause::VALUES[cause as usize];
    meaning
}

/// The names that there are, and those that ended pairs had: a route may be gone when somebody asks why.
fn names(proxy: &Control) -> Names {
    let mut names = proxy.names();
    for end in proxy
        .registry()
        .ends()
        .latest(&EndQuery::default(), filter::MOST)
    {
        let of = &end.pair.names;
        names.listeners.insert(Arc::clone(&of.listener));
        names.routes.insert(Arc::clone(&of.route));
        names.upstreams.insert(Arc::clone(&of.upstream));
    }
    names
}

fn pair(text: &str) -> Result<PairId, BadQuery> {
    let wrong = || BadQuery::new("pair", format_args!("must be a whole number, not {text:?}"));
    pairs::find(text).ok_or_else(wrong)
}

fn cause(text: &str) -> Result<Cause, BadQuery> {
    let found = Cause::ALL.into_iter().find(|cause| cause.as_str() == text);
    found.ok_or_else(|| {
        let causes = Cause::ALL.map(Cause::as_str).join(", ");
        BadQuery::new(
            "cause",
            format_args!("there is no {text:?}; there is: {causes}"),
        )
    })
}

// === impl Asked ===

impl Asked {
    fn query(self, state: &super::State) -> Result<EndQuery, BadQuery> {
        let wanted = Wanted {
            route: self.route,
            upstream: self.upstream,
            listener: self.listener,
            client: self.client,
        };
        let filter = match wanted.is_named() {
            true => wanted.among(&names(&state.proxy))?,
            false => wanted.filter(&state.proxy)?,
        };
        Ok(EndQuery {
            filter,
            cause: self.cause.as_deref().map(cause).transpose()?,
            pair: self.pair.as_deref().map(pair).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_one_that_there_is() {
        assert_eq!(cause("client_lapsed"), Ok(Cause::ClientLapsed));
        let error = cause("lapsed").unwrap_err().to_string();
        assert!(error.starts_with("cause: ") && error.contains("upstream_lapsed"));
        assert_eq!(pair("17"), Ok(PairId(17)));
        assert!(pair("x").unwrap_err().to_string().contains("not \"x\""));
    }
}
