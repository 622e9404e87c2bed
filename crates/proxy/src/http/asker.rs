//! Who asks for what, as the log may tell it.

use std::borrow::Cow;
use std::fmt::Display;

use http::header::HOST;
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use lubdub_metrics::Outcome;

use crate::caller::Caller;
use crate::client::Connection;
use crate::generation::General;
use crate::refusals::Refused;
use crate::request_id::RequestId;
use crate::route::RouteState;
use crate::settings::RequestDetail;

/// What is remembered of a request, should it come to nothing. Nothing of it is copied.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    caller: Caller,
    /// What the request is called.
    id: Option<RequestId>,
    method: Method,
    uri: Uri,
    host: Option<HeaderValue>,
    /// How much of it may be told.
    detail: RequestDetail,
}

impl Asker {
    pub(super) fn of<B>(request: &Request<B>, connection: &Connection, general: &General) -> Self {
        let headers = request.headers();
        let id = || RequestId::of(headers, connection.is_trusted(general));
        Self {
            caller: connection.caller_with(general, headers),
            id: general.forwarded.request_id.then(id),
            method: request.method().clone(),
            uri: request.uri().clone(),
            host: request.headers().get(HOST).cloned(),
            detail: general.request_detail,
        }
    }

    /// Who is asking.
    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// What the request is called, if it is called anything.
    pub(super) fn request_id(&self) -> Option<&RequestId> {
        self.id.as_ref()
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
            request_id: self.id.as_ref().map(|id| id as &dyn Display),
            proxy_header: connection
                .proxied()
                .and_then(|proxied| proxied.told.as_deref()),
            request: self.told().map(|told| Cow::Owned(told.into())),
            status: status.map(|status| status.as_u16()),
            reason,
        };
        let refusals = &connection.shared.refusals;
        refusals.log(outcome, &self.caller, refused);
    }
}
