//! The books of one plain request: counted once, however it ends, and told of if it was not served.

use std::fmt::Display;
use std::sync::Arc;

use http::{Response, StatusCode};
use lubdub_metrics::{Class, Outcome};
use tokio::time::Instant;

use super::answer::Answer;
use super::asker::Asker;
use super::refusal::refusal;
use crate::client::Connection;
use crate::route::RouteState;

/// Why whoever has not gone is not served to the end.
pub(super) const CUT: &str = "lubdub ends";

/// A plain request under way.
#[derive(Debug)]
pub(crate) struct Account {
    connection: Arc<Connection>,
    route: Arc<RouteState>,
    asker: Asker,
    began: Instant,
    /// What it will have been; until then nobody has been served.
    ended: Option<Class>,
    /// The status of the answer that is on its way.
    status: Option<StatusCode>,
}

impl Account {
    pub(super) fn open(
        connection: &Arc<Connection>,
        route: &Arc<RouteState>,
        asker: Asker,
    ) -> Self {
        Self {
            connection: Arc::clone(connection),
            route: Arc::clone(route),
            asker,
            began: Instant::now(),
            ended: None,
            status: None,
        }
    }

    /// lubdub's own answer, and why.
    pub(super) fn refuse(mut self, outcome: Outcome, reason: &dyn Display) -> Response<Answer> {
        let answer = refusal(outcome);
        self.not_served(outcome, Some(answer.status()), reason);
        self.ended = Some(Class::Own);
        answer
    }

    /// The upstream's answer has begun.
    pub(super) fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    /// All of it was handed over.
    pub(super) fn whole(&mut self) {
        self.ended = self.status.map(class);
    }

    /// The upstream broke it off.
    pub(super) fn broken_off(&mut self, reason: &dyn Display) {
        self.not_served(Outcome::BadAnswer, self.status, reason);
        self.ended = Some(Class::Failed);
    }

    fn not_served(&self, outcome: Outcome, status: Option<StatusCode>, reason: &dyn Display) {
        let (connection, route) = (&self.connection, Some(&*self.route));
        let asker = &self.asker;
        asker.not_served(connection, route, outcome, status, Some(reason));
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let class = self.ended.unwrap_or_else(|| {
            // hyper drops what nobody waits for any more.
            let (outcome, reason) = match self.status {
                _ if self.connection.was_given_up() => (
                    Outcome::AnswerTimeout,
                    "nothing moved for timeouts.http_idle",
                ),
                _ if self.connection.shared.cutting.is_cancelled() => (Outcome::Draining, CUT),
                Some(_) => (Outcome::ClientGone, "it went in the middle of its answer"),
                None => (Outcome::ClientGone, "it went before its answer"),
            };
            self.not_served(outcome, self.status, &reason);
            Class::Failed
        });
        let metrics = self.route.metrics(&self.connection.entrance.listener.name);
        metrics.request(class).increment(1);
        let took = self.began.elapsed();
        metrics.route.http_request_duration.record(took);
    }
}

fn class(status: StatusCode) -> Class {
    match status.as_u16() {
        0..200 => Class::Informational,
        200..300 => Class::Success,
        300..400 => Class::Redirection,
        400..500 => Class::ClientError,
        500.. => Class::ServerError,
    }
}
