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
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    source: Arc<Mutex<Source>>,
    /// How many of the bytes that are kept have been sent.
    sent: usize,
    /// The upstream has not said yet whether it wants the body.
    asked: Option<Asked>,
    /// An exchange is not over while its upload goes on, be it answered already.
    exchange: Option<Arc<Exchange>>,
}

/// A request's body, as it comes from the client.
#[derive(Debug)]
struct Source {
    body: Incoming,
    /// Of its trailers.
    withheld: Withheld,
    /// It has come to its end.
    has_ended: bool,
    /// What has come so far, if it may have to be sent once more. A copy: a piece of the client's keeps
    /// the whole buffer that it came in.
    kept: Option<Vec<u8>>,
}

/// A body that can be sent once more, from its beginning.
#[derive(Debug)]
pub(super) struct Rewind(Arc<Mutex<Source>>);

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

/// Whether a body is to be kept as it comes, as far as that is little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    ForOnceMore,
    Nothing,
}

/// Makes the request's body wait for the upstream's 100, if the client does.
pub(super) fn upload(
    request: Request<Incoming>,
    withheld: Withheld,
    keep: Keep,
    exchange: Arc<Exchange>,
) -> (Request<Upload>, Unwanted) {
    let expects = expects_continue(request.headers());
    let unwanted = Arc::new(AtomicBool::new(expects));
    let mut request = request.map(|body| Upload {
        source: Arc::new(Mutex::new(Source {
            has_ended: body.is_end_stream(),
            body,
            withheld,
            kept: (keep == Keep::ForOnceMore).then(Vec::new),
        })),
        sent: 0,
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
        let this = &mut *self;
        let mut source = lock(&this.source);
        let frame = ready!(source.poll_frame(cx, &mut this.sent));
        drop(source);
        if frame.is_none() {
            this.exchange = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        let source = lock(&self.source);
        source.has_ended
            && source
                .kept
                .as_ref()
                .is_none_or(|kept| kept.len() == self.sent)
    }

    fn size_hint(&self) -> SizeHint {
        let source = lock(&self.source);
        // A body that is sent once more is as long as its head says.
        match self.sent {
            0 if source.kept.as_ref().is_some_and(|kept| !kept.is_empty()) => SizeHint::default(),
            _ => source.body.size_hint(),
        }
    }
}

impl Source {
    /// The most that is kept to be sent once more, in bytes.
    const MOST: usize = 16 * 1024;

    /// The next frame for who has had `sent` of the bytes that are kept.
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        sent: &mut usize,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let again = self.kept.as_ref().and_then(|kept| kept.get(*sent..));
        if let Some(again) = again.filter(|again| !again.is_empty()) {
            *sent += again.len();
            return Poll::Ready(Some(Ok(Frame::data(Bytes::copy_from_slice(again)))));
        }
        if self.has_ended {
            return Poll::Ready(None);
        }
        let frame = ready!(poll_filtered(&mut self.body, &self.withheld, cx));
        match &frame {
            None => self.has_ended = true,
            Some(Ok(frame)) => self.keep(frame.data_ref(), sent),
            Some(Err(_)) => self.kept = None,
        }
        Poll::Ready(frame)
    }

    /// Keeps a piece, if all of them are little; trailers are not kept.
    fn keep(&mut self, piece: Option<&Bytes>, sent: &mut usize) {
        let Some(kept) = &mut self.kept else {
            return;
        };
        match piece {
            Some(piece) if kept.len() + piece.len() <= Self::MOST => {
                let needed = kept.len() + piece.len();
                if needed > kept.capacity() {
                    // Twice as much, as a vector would take by itself, would be more than is kept at the most.
                    let room = (2 * kept.capacity()).clamp(needed, Self::MOST);
                    kept.reserve_exact(room - kept.len());
                }
                kept.extend_from_slice(piece);
                *sent += piece.len();
            }
            Some(_) | None => self.kept = None,
        }
    }
}

impl Upload {
    /// What this body can be sent from once more.
    pub(super) fn rewind(&self) -> Rewind {
        Rewind(Arc::clone(&self.source))
    }
}

impl Rewind {
    /// The body from its beginning, if all of it that has come is kept.
    pub(super) fn upload(self, exchange: Arc<Exchange>) -> Option<Upload> {
        lock(&self.0).kept.as_ref()?;
        Some(Upload {
            source: self.0,
            sent: 0,
            asked: None,
            exchange: Some(exchange),
        })
    }
}

fn lock(source: &Mutex<Source>) -> MutexGuard<'_, Source> {
    source.lock().unwrap_or_else(PoisonError::into_inner)
}
