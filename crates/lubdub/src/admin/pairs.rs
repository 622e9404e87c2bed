//! The live pairs as JSON. Durations are in seconds; what is not known is null.

use std::time::{Duration, Instant};

use lubdub_keepalive::Side;
use lubdub_proxy::registry::{PairEntry, Registry, SideStatus};
use serde_json::{Value, json};

/// How many pairs a list has unless the query says otherwise: a page, not a flood.
const DEFAULT_LIMIT: usize = 1000;

/// Why a query is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadQuery {
    #[error("limit must be a whole number, not {0:?}")]
    Limit(String),
    #[error("unknown parameter {0:?}; there is: limit")]
    Unknown(String),
}

/// How many pairs a query asks for.
pub(super) fn limit(query: &str) -> Result<usize, BadQuery> {
    let mut limit = DEFAULT_LIMIT;
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if name != "limit" {
            return Err(BadQuery::Unknown(name.to_owned()));
        }
        limit = value
            .parse()
            .map_err(|_| BadQuery::Limit(value.to_owned()))?;
    }
    Ok(limit)
}

/// The oldest pairs, at most `limit` of them, and how many there are.
pub(super) fn list(registry: &Registry, limit: usize, now: Instant) -> Value {
    let pairs = registry.pairs();
    let shown: Vec<Value> = pairs
        .iter()
        .take(limit)
        .map(|pair| describe(pair, now))
        .collect();
    json!({ "total": pairs.len(), "pairs": shown })
}

/// One pair.
pub(super) fn describe(pair: &PairEntry, now: Instant) -> Value {
    let caller = pair.caller();
    let mut client = side(caller.client.to_string(), pair.status(Side::Client, now));
    client["peer"] = caller.peer.to_string().into();
    json!({
        "id": pair.id.0,
        "listener": &*pair.names.listener,
        "route": &*pair.names.route,
        "request_id": pair.request_id(),
        "age_seconds": seconds(now.saturating_duration_since(pair.opened)),
        "client": client,
        "upstream": side(pair.upstream.to_string(), pair.status(Side::Upstream, now)),
    })
}

fn side(address: String, status: SideStatus) -> Value {
    json!({
        "address": address,
        "last_heard_seconds": seconds(status.silent_for),
        "last_rtt_seconds": status.last_rtt.map(seconds),
        "pings_sent": status.pings_sent,
        "pongs_received": status.pongs_received,
        "bytes": status.bytes,
        "frames": status.frames,
        "held": status.is_held,
    })
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_how_many() {
        assert_eq!(limit(""), Ok(DEFAULT_LIMIT));
        assert_eq!(limit("limit=5"), Ok(5));
        assert_eq!(limit("limit=-1"), Err(BadQuery::Limit("-1".to_owned())));
        assert_eq!(limit("limit"), Err(BadQuery::Limit(String::new())));
        assert_eq!(limit("sort=age"), Err(BadQuery::Unknown("sort".to_owned())));
    }
}
