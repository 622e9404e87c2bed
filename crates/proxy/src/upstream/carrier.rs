//! A connection to an upstream that carries plain requests, one after the other.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;
use tracing::debug;

use super::link::{Link, LinkState, Turn, Uploading};
use super::{Connected, http1};
use crate::address::Address;

/// A connection that carries plain requests.
#[derive(Debug)]
pub(crate) struct Carrier {
    sender: SendRequest<Tracked>,
    pub(crate) link: Arc<LinkState>,
    pub(crate) address: Address,
    pub(super) opened: Instant,
    /// It has carried a request before, so that the upstream may be closing it at this moment.
    pub(crate) is_used: bool,
}

/// The body of a plain request.
pub(crate) type Body = UnsyncBoxBody<Bytes, hyper::Error>;

/// A body that goes no faster than the upstream takes it, and whose end is noticed.
#[derive(Debug)]
struct Tracked {
    body: Body,
    link: Arc<LinkState>,
    _uploading: Uploading,
}

/// Why a request has no answer.
#[derive(Debug)]
pub(crate) enum SendError {
    /// Nothing of it was sent.
    Unsent(Box<Request<Body>>, hyper::Error),
    /// It was, and then something went wrong.
    Failed(hyper::Error),
}

impl Carrier {
    /// Makes one of a connection. The task that drives it is nobody's: it ends with the connection.
    pub(crate) async fn new(connected: Connected, head_bytes: usize) -> hyper::Result<Self> {
        let link = Link::new(connected.leg, connected.permit);
        let state = Arc::clone(link.state());
        let (sender, driver) = http1(head_bytes).handshake(TokioIo::new(link)).await?;
        tokio::spawn(async move {
            if let Err(error) = driver.await {
                debug!(%error, "connection to the upstream ended with an error");
            }
        });
        Ok(Self {
            sender,
            link: state,
            address: connected.address,
            opened: Instant::now(),
            is_used: false,
        })
    }

    /// Whether it can carry a request now.
    pub(crate) fn is_ready(&self) -> bool {
        self.sender.is_ready() && !self.link.is_closed()
    }

    /// Whether it will carry none any more.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed() || self.link.is_closed()
    }

    /// Until it can carry the next request; whether it ever can.
    pub(crate) async fn ready(&mut self) -> bool {
        self.sender.ready().await.is_ok() && !self.link.is_closed()
    }

    /// Sends a request, whose target is in origin form, and brings the head of its answer. The turn is to
    /// be held for as long as somebody waits for the rest. `on_begin` is told over what it goes.
    pub(crate) async fn send(
        &mut self,
        request: Request<Body>,
        on_begin: impl FnOnce(&Arc<LinkState>),
    ) -> Result<(Response<Incoming>, Turn), SendError> {
        let uploading = self.link.begin();
        on_begin(&self.link);
        let turn = self.link.turn();
        let link = Arc::clone(&self.link);
        let request = request.map(|body| Tracked {
            body,
            link,
            _uploading: uploading,
        });
        let sent = self.sender.try_send_request(request).await;
        self.is_used = true;
        sent.map(|response| (response, turn))
            .map_err(|mut failed| match failed.take_message() {
                Some(unsent) => {
                    let unsent = Box::new(unsent.map(|tracked| tracked.body));
                    SendError::Unsent(unsent, failed.into_error())
                }
                None => SendError::Failed(failed.into_error()),
            })
    }
}

impl http_body::Body for Tracked {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        ready!(self.link.pressure.poll_room(cx));
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
