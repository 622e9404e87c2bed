//! Who asks for what, as the log may tell it.

use std::borrow::Cow;
use std::fmt::Display;

use http::header::HOST;
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use lubdub_metrics::Outcome;

use crate::caller::Caller;
use crate::client::Connection;
use crate::refusals::Refused;
use crate::route::RouteState;
use crate::settings::RequestDetail;

/// What is remembered of a request, should it come to nothing. Nothing of it is copied.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    caller: Caller,
    method: Method,
    uri: Uri,
    host: Option<HeaderValue>,
    /// How much of it may be told.
    detail: RequestDetail,
}

impl Asker {
    pub(super) fn of<B>(request: &Request<B>, caller: Caller, detail: RequestDetail) -> Self {
        Self {
            caller,
            method: request.method().clone(),
            uri: request.uri().clone(),
            host: request.headers().get(HOST).cloned(),
            detail,
        }
    }

    /// Who is asking.
    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Host and path, as far as they may be told.
    pub(super) fn told(&self) -> Option<Box<str>> {
        let host = self.host.as_ref().and_then(|host| host.to_str().ok());
        let of_target = || self.uri.authority().map(|authority| authority.as_str());
        let host = host.or_else(of_target).unwrap_or_default();
        self.detail.tell(host, self.uri.path())
    }

    /// Logs that it was not served.
    pub(super) fn not_served(
        &self,
        connection: &Connection,
        route: Option<&RouteState>,
        outcome: Outcome,
        status: Option<StatusCode>,
        reason: Option<&dyn Display>,
    ) {
        let refused = || Refused {
            listener: &connection.entrance.listener.name,
            route: route.map(|route| &*route.name),
            upstream: route.map(|route| &*route.upstream.settings.name),
            method: Some(&self.method),
            request: self.told().map(|told| Cow::Owned(told.into())),
            status: status.map(|status| status.as_u16()),
            reason,
        };
        let refusals = &connection.shared.refusals;
        refusals.log(outcome, &self.caller, refused);
    }
}
