//! Bodies of answers: the upstream's, streamed, or a line of lubdub's own.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::trailers::Withheld;
use crate::client::clock::Exchange;
use crate::pressure::Pressure;

/// The body of an answer to a client.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Nothing.
    Empty,
    /// lubdub's own words.
    Text(Option<Bytes>),
    /// The upstream's, as it comes.
    Relayed {
        body: Incoming,
        /// It comes no faster than the client takes it.
        pressure: Arc<Pressure>,
        /// Of its trailers.
        withheld: Withheld,
        /// Lasts until the body's end.
        _exchange: Arc<Exchange>,
    },
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Text(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Self::Relayed {
                body,
                pressure,
                withheld,
                ..
            } => {
                ready!(pressure.poll_room(cx));
                poll_filtered(body, withheld, cx)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Text(text) => text.is_none(),
            Self::Relayed { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Text(text) => {
                SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64))
            }
            Self::Relayed { body, .. } => body.size_hint(),
        }
    }
}

/// The next frame of a body, without what of its trailers goes no further.
pub(super) fn poll_filtered(
    body: &mut Incoming,
    withheld: &Withheld,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
    let Some(frame) = ready!(Pin::new(body).poll_frame(cx)) else {
        return Poll::Ready(None);
    };
    Poll::Ready(Some(frame.map(|frame| match frame.into_trailers() {
        Ok(trailers) => Frame::trailers(withheld.filter(trailers)),
        Err(other) => other,
    })))
}
