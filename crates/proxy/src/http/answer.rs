//! Bodies of answers: the upstream's, streamed, or a line of lubdub's own.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::account::Account;
use super::trailers::Withheld;
use crate::client::clock::Exchange;
use crate::pressure::Pressure;
use crate::upstream::Turn;

/// The body of an answer to a client.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Nothing.
    Empty,
    /// lubdub's own words.
    Text(Option<Bytes>),
    /// The upstream's, as it comes; boxed, for it is many times the size of the others.
    Relayed(Box<Relayed>),
}

/// An answer of the upstream's on its way to the client.
#[derive(Debug)]
pub(crate) struct Relayed {
    pub(super) body: Incoming,
    /// It comes no faster than the client takes it.
    pub(super) pressure: Arc<Pressure>,
    /// Of its trailers.
    pub(super) withheld: Withheld,
    /// Held until the answer is whole.
    pub(super) turn: Option<Turn>,
    /// Where it ends in the books, if it is that of a plain request.
    pub(super) account: Option<Account>,
    /// Lasts until the body's end.
    pub(super) _exchange: Arc<Exchange>,
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
            Self::Relayed(relayed) => relayed.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Text(text) => text.is_none(),
            Self::Relayed(relayed) => relayed.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Text(text) => {
                SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64))
            }
            Self::Relayed(relayed) => relayed.body.size_hint(),
        }
    }
}

impl Relayed {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        ready!(self.pressure.poll_room(cx));
        let frame = ready!(poll_filtered(&mut self.body, &self.withheld, cx));
        match &frame {
            Some(Err(error)) => {
                if let Some(account) = &mut self.account {
                    account.broken_off(error);
                }
            }
            None => self.on_whole(),
            // Nothing follows trailers, and whoever writes them asks for no more.
            Some(Ok(frame)) if frame.is_trailers() || self.body.is_end_stream() => self.on_whole(),
            Some(Ok(_)) => {}
        }
        Poll::Ready(frame)
    }

    fn on_whole(&mut self) {
        if let Some(account) = &mut self.account {
            account.whole();
        }
        // An upload may go on behind its answer, as long as the client is there.
        if let Some(turn) = self.turn.take() {
            turn.forgotten();
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
