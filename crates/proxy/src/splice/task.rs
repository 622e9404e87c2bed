//! The future of a pair: its splice, until that has ended or given itself up.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{Splice, clock, scratch};
use crate::frozen::Anchor;

/// What a worker runs of a pair.
pub(crate) struct PairTask(Option<Splice>);

impl Splice {
    /// Begins to relay.
    pub(crate) fn run(self) -> PairTask {
        PairTask(Some(self))
    }
}

impl Future for PairTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(splice) = &mut self.0 else {
            return Poll::Ready(());
        };
        // Before the first look for orders, so that none is missed.
        if splice.may_be_new() && !std::mem::replace(&mut splice.seldom.polled, true) {
            splice.registration.entry().set_waker(cx.waker());
        }
        if let Some(freezer) = splice.registration.take_freezer() {
            match splice.give_up(&Anchor::now()) {
                Ok(given_up) => {
                    if let Some(splice) = self.0.take() {
                        splice.freeze_into(&freezer, given_up);
                    }
                    return Poll::Ready(());
                }
                Err(kept) => splice.keep(&freezer, kept),
            }
        }
        scratch::with_scratch(|scratch| splice.wake(cx, clock(), scratch))
    }
}
