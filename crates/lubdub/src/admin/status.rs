//! How lubdub is, as a whole.

use std::process;
use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::State;
use lubdub_proxy::{BudgetUse, ListenerView, RouteView, UpstreamView};

use super::answer::{self, Answer};
use super::guard::{Look, NoQuery};
use super::{drain, figures, files};
use crate::api::{
    Budget, Certificate, LastReload, Listener, ReloadOutcome, RoundTrips, Route, Status, Totals,
    UpstreamStatus, moment,
};
use crate::reload::{Latest, Reloader};
use crate::version;

/// How lubdub is, as a whole
#[utoipa::path(get, path = "/api/v1/status", operation_id = "status", tag = "state",
    responses((status = 200, body = Status)))]
pub(super) async fn show(State(state): State<Arc<super::State>>, _: Look, _: NoQuery) -> Answer {
    answer::json(&of(&state))
}

/// How it is now.
pub(super) fn of(state: &super::State) -> Status {
    let proxy = &state.proxy;
    let overview = proxy.registry().overview();
    let round_trips = figures::round_trips(&overview);
    let reloader = state.reloader.as_deref();
    Status {
        version: version::VERSION.to_owned(),
        revision: version::REVISION.to_owned(),
        pid: process::id(),
        generation: proxy.generation_number(),
        now: moment(SystemTime::now()),
        started: moment(state.started_at),
        uptime_seconds: state.started.elapsed().as_secs_f64(),
        ready: state.is_ready(),
        draining: proxy.is_drained(),
        lingering_pairs: proxy.lingering_pairs(),
        drain: proxy.latest_drain().as_ref().map(drain::tell),
        last_reload: reloader
            .and_then(Reloader::latest)
            .map(|latest| last_reload(&latest)),
        budgets: budgets(state),
        listeners: proxy.listeners().into_iter().map(Listener::from).collect(),
        routes: proxy.routes().into_iter().map(Route::from).collect(),
        upstreams: proxy
            .upstreams()
            .into_iter()
            .map(UpstreamStatus::from)
            .collect(),
        certificates: reloader.map(certificates).unwrap_or_default(),
        totals: Totals {
            pairs: overview.pairs,
            opened: overview.opened,
            ended: figures::ended(&overview, |_| true),
            lapses: figures::lapses(&overview),
        },
        rtt: RoundTrips {
            bounds_seconds: figures::bounds(),
            client: round_trips.client,
            upstream: round_trips.upstream,
        },
    }
}

fn last_reload(latest: &Latest) -> LastReload {
    let (outcome, changes, mistakes) = match &latest.outcome {
        Ok(changes) => (ReloadOutcome::Applied, *changes, Vec::new()),
        Err(mistakes) => (ReloadOutcome::Refused, 0, mistakes.clone()),
    };
    LastReload {
        outcome,
        at: moment(latest.at),
        generation: latest.generation,
        changes,
        mistakes,
    }
}

fn certificates(reloader: &Reloader) -> Vec<Certificate> {
    let standing = reloader.standing();
    let certificates = standing.certificates.iter();
    let certificate = certificates.map(|settings| Certificate {
        listener: settings.listener.to_string(),
        name: settings.name.to_string(),
        expires: settings
            .certificates
            .get(settings.place)
            .not_after()
            .timestamp() as f64,
    });
    certificate.collect()
}

/// Everything that can run out.
fn budgets(state: &super::State) -> Vec<Budget> {
    let mut budgets: Vec<_> = state
        .proxy
        .budgets()
        .into_iter()
        .map(Budget::from)
        .collect();
    if let Some(files) = files::count() {
        budgets.push(Budget {
            name: "files".to_owned(),
            of: None,
            key: None,
            used: files.open,
            max: files.max,
            at_the_end: "nobody is accepted until a descriptor is free".to_owned(),
        });
    }
    budgets.push(Budget {
        // No key sets it.
        key: None,
        ..state.feed.usage().into()
    });
    budgets
}

impl From<BudgetUse> for Budget {
    fn from(budget: BudgetUse) -> Self {
        Self {
            name: budget.name.to_owned(),
            key: Some(key(&budget)),
            of: budget.of.as_deref().map(str::to_owned),
            used: budget.used as u64,
            max: budget.max as u64,
            at_the_end: budget.at_the_end.to_owned(),
        }
    }
}

/// The key that sets it, with the name of its table where it has one.
fn key(budget: &BudgetUse) -> String {
    match (&budget.of, budget.key.split_once('.')) {
        (Some(of), Some((table, rest))) => format!("{table}.{of}.{rest}"),
        _ => budget.key.to_owned(),
    }
}

impl From<ListenerView> for Listener {
    fn from(listener: ListenerView) -> Self {
        Self {
            name: listener.name.to_string(),
            address: listener.address.to_string(),
            tls: listener.is_tls,
            connections: listener.connections as u64,
        }
    }
}

impl From<RouteView> for Route {
    fn from(route: RouteView) -> Self {
        Self {
            name: route.name.to_string(),
            upstream: route.upstream.to_string(),
            pairs: route.pairs as u64,
        }
    }
}

impl From<UpstreamView> for UpstreamStatus {
    fn from(upstream: UpstreamView) -> Self {
        let connects = upstream.connects.into_iter();
        Self {
            name: upstream.name.to_string(),
            url: upstream.url,
            pairs: upstream.pairs as u64,
            waiting: upstream.waiting as u64,
            waiting_max: upstream.waiting_max as u64,
            requests: upstream.requests as u64,
            requests_max: upstream.requests_max as u64,
            connects: connects
                .map(|(outcome, count)| (outcome.as_str().to_owned(), count))
                .collect(),
            last_success: upstream.last_success.map(moment),
        }
    }
}
