//! The body of a plain request on its way to the upstream, and the client that waits to be told
//! to send it.
//!
//! RFC 9110 10.1.1: a proxy that gets `Expect: 100-continue` forwards it, and the upstream's own
//! 100 is what the client is told. hyper tells a client to continue as soon as somebody asks for
//! the body, so nobody does until the upstream has said so: a client whose upload is refused then
//! keeps it to itself.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::EXPECT;
use http::{HeaderMap, Request, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};

use super::answer::poll_filtered;
use super::trailers::Withheld;
use crate::client::clock::Exchange;

/// A request's body, as it goes to the upstream.
#[derive(Debug)]
pub(super) struct Upload {
    body: Incoming,
    /// Of its trailers.
    withheld: Withheld,
    /// The upstream has not said yet whether it wants the body.
    asked: Option<Asked>,
    /// An exchange is not over while its upload goes on, be it answered already.
    exchange: Option<Arc<Exchange>>,
}

/// An upstream that was asked whether it wants the body.
#[derive(Debug)]
struct Asked {
    /// Not to be sent for as long as this is true.
    unwanted: Arc<AtomicBool>,
    /// `None` once it has been answered in another way.
    said: Option<oneshot::Receiver<()>>,
    /// "A client that sends a 100-continue expectation is not required to wait for any specific
    /// length of time": many upstreams never answer one, and wait for the body themselves.
    patience: Pin<Box<Sleep>>,
}

/// As long as common clients wait (curl: 1 s).
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether a body still waits to be asked for: then a final answer leaves it unread, and the
/// connection with it.
pub(super) struct Unwanted(Arc<AtomicBool>);

/// Makes the request's body wait for the upstream's 100, if the client does.
pub(super) fn upload(
    request: Request<Incoming>,
    withheld: Withheld,
    exchange: Arc<Exchange>,
) -> (Request<Upload>, Unwanted) {
    let expects = expects_continue(request.headers());
    let unwanted = Arc::new(AtomicBool::new(expects));
    let mut request = request.map(|body| Upload {
        body,
        withheld,
        asked: None,
        exchange: Some(exchange),
    });
    if expects {
        let (say, said) = oneshot::channel();
        let say = Mutex::new(Some(say));
        hyper::ext::on_informational(&mut request, move |answer| {
            if answer.status() == StatusCode::CONTINUE {
                let say = say.lock().unwrap_or_else(PoisonError::into_inner).take();
                // The body may be gone already, and with it the wish to know.
                let _ = say.map(|say| say.send(()));
            }
        });
        request.body_mut().asked = Some(Asked {
            unwanted: Arc::clone(&unwanted),
            said: Some(said),
            patience: Box::pin(sleep(PATIENCE)),
        });
    }
    (request, Unwanted(unwanted))
}

impl Unwanted {
    pub(super) fn is_true(&self) -> bool {
        self.0.load(Relaxed)
    }
}

fn expects_continue(headers: &HeaderMap) -> bool {
    headers
        .get(EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

impl Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(asked) = &mut self.asked {
            let said = asked.said.as_mut().map(|said| Pin::new(said).poll(cx));
            if let Some(Poll::Ready(Err(_))) = said {
                asked.said = None;
            }
            if !matches!(said, Some(Poll::Ready(Ok(())))) {
                ready!(asked.patience.as_mut().poll(cx));
            }
            asked.unwanted.store(false, Relaxed);
            self.asked = None;
        }
        let Self { body, withheld, .. } = &mut *self;
        let frame = ready!(poll_filtered(body, withheld, cx));
        if frame.is_none() {
            self.exchange = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
