//! Requests that are no upgrade: streamed both ways over pooled connections to the upstream.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use super::trailers::Withheld;
use super::upload::{Upload, upload};
use crate::admission::{Admission, SocketPermit};
use crate::front::clock::Exchange;
use crate::leg::Leg;
use crate::route::{RouteIndex, RouteTable};
use crate::settings::Route;
use crate::upstream::{self, ConnectError};

/// The clients of one worker, one for each route.
#[derive(Debug)]
pub(crate) struct PlainClients(Vec<PlainClient>);

type PlainClient = Client<Connector, Upload>;

/// Connects to the upstream of one route, whatever the URI says.
#[derive(Debug, Clone)]
struct Connector {
    route: Arc<Route>,
    admission: Arc<Admission>,
}

/// A connection in the pool.
#[derive(Debug)]
struct Pooled {
    io: TokioIo<Leg>,
    _permit: SocketPermit,
}

impl PlainClients {
    /// How long an unused connection is kept: under the idle limits of common backends (nginx
    /// 75 s, Node 5 s would be too short to be of use), so that few races for a closing one are
    /// lost; those that are lost before a byte of the request was sent are tried again.
    const POOL_IDLE: Duration = Duration::from_secs(30);

    /// Unused connections kept for a route: each is a file descriptor.
    const POOL_SIZE: usize = 32;

    pub(crate) fn new(routes: &RouteTable, admission: &Arc<Admission>) -> Self {
        let client = |route: &Arc<Route>| {
            Client::builder(TokioExecutor::new())
                .pool_idle_timeout(Self::POOL_IDLE)
                .pool_max_idle_per_host(Self::POOL_SIZE)
                .pool_timer(TokioTimer::new())
                .http1_preserve_header_case(true)
                .http1_allow_spaces_after_header_name_in_responses(true)
                .http1_allow_obsolete_multiline_headers_in_responses(true)
                .set_host(false)
                .build(Connector {
                    route: Arc::clone(route),
                    admission: Arc::clone(admission),
                })
        };
        Self(routes.iter().map(client).collect())
    }

    /// Sends a request to the route's upstream. Its URI is in origin form. The answer comes with
    /// whether the client was never told to send its body.
    pub(super) async fn send(
        &self,
        route: RouteIndex,
        mut request: http::Request<Incoming>,
        withheld: Withheld,
        exchange: Arc<Exchange>,
    ) -> Result<(http::Response<Incoming>, bool), Error> {
        // The pool's key; the request itself says what its target and its Host field say.
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(Authority::from_static("upstream"));
        parts.path_and_query = request.uri().path_and_query().cloned();
        parts
            .path_and_query
            .get_or_insert(PathAndQuery::from_static("/"));
        *request.uri_mut() = Uri::from_parts(parts).expect("scheme, authority and path make a URI");
        let (request, unwanted) = upload(request, withheld, exchange);
        let response = self.0[route.0].request(request).await?;
        Ok((response, unwanted.load(Relaxed)))
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = Pooled;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Pooled, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Self { route, admission } = self.clone();
        Box::pin(async move {
            let limit = route.terms.connect;
            let connected = upstream::connect(&route.upstream, limit, &admission).await?;
            Ok(Pooled {
                io: TokioIo::new(connected.leg),
                _permit: connected.permit,
            })
        })
    }
}

impl Connection for Pooled {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Pooled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for Pooled {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}
