//! The predecessor's side of a hand-over, step by step: hello, listeners, pairs, end.
//!
//! Whatever fails before the last step leaves this process as it was, with every pair that the
//! successor does not have.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_bytes::ByteBuf;
use tokio::time::timeout;

use super::departure::Who;
use super::giver::{Giver, Settled};
use super::link::Link;
use super::message::{self, End, FromPredecessor, FromSuccessor, Hello, Refused, Welcome};
use super::{HandoverError, Stage};

/// The pairs of this process, as the hand-over sees them.
pub(crate) trait Store {
    /// A pair that stands still.
    type Frozen;

    /// Freezes some of those that can go; none are left if there are none in it.
    fn freeze(&mut self, most: usize) -> impl Future<Output = Vec<Self::Frozen>>;

    /// Its state, and its sockets: the client's and the upstream's.
    fn pack<'a>(&self, pair: &'a Self::Frozen) -> (Vec<u8>, [BorrowedFd<'a>; 2]);

    /// It goes on here. `reason`: why the successor does not take it.
    fn thaw(&mut self, pair: Self::Frozen, reason: Option<&str>);

    /// It is the successor's.
    fn forget(&mut self, pair: Self::Frozen);
}

/// The predecessor's end of the connection.
#[derive(Debug)]
pub(crate) struct Predecessor<T> {
    link: Link,
    /// Who is at the other end, as far as this process can see it.
    successor: Option<Pid>,
    giver: Giver<T>,
    /// A message was written in part: nothing can follow it.
    is_broken: bool,
    /// How many pairs more the successor has room for.
    room: u64,
    /// So many pairs have gone.
    pub(crate) moved: u64,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Batch {
    /// It is settled; there may be more.
    Settled,
    /// Nothing is left that can go.
    Nothing,
}

// === impl Predecessor ===

impl<T> Predecessor<T> {
    /// As many pairs as have room in a message: two descriptors each.
    pub(crate) const PAIRS_MAX: usize = Link::DESCRIPTORS_MAX / 2;
    /// A program has to start and read its configuration first.
    const HELLO: Duration = Duration::from_secs(30);
    /// It has to start its workers.
    const LISTENING: Duration = Duration::from_secs(30);
    /// Frozen pairs wait for this: who does not answer in that time has them no longer.
    const BATCH: Duration = Duration::from_secs(5);
    /// What is written is read at once, unless the successor stands still.
    const WRITTEN: Duration = Duration::from_secs(5);

    /// Waits for the successor's hello.
    pub(crate) async fn greet(
        mut link: Link,
        who: Who,
    ) -> Result<(Self, Hello, u16), HandoverError> {
        let hello = match hear(&mut link, Stage::Hello, Self::HELLO).await? {
            FromSuccessor::Hello(hello) => hello,
            FromSuccessor::Sorry { reason } => return Err(HandoverError::Refused(reason)),
            other @ (FromSuccessor::Listening
            | FromSuccessor::Ready { .. }
            | FromSuccessor::Thanks
            | FromSuccessor::Ask(_)) => return Err(unexpected(Stage::Hello, &other)),
        };
        let successor = match who {
            Who::Own => i32::try_from(hello.pid).ok(),
            Who::Other(seen) => seen,
        };
        let this = Self {
            link,
            successor: successor.filter(|pid| *pid > 0).and_then(Pid::from_raw),
            giver: Giver::new(),
            is_broken: false,
            room: hello.room,
            moved: 0,
        };
        let Some(version) = hello.common_version() else {
            let error = HandoverError::Version {
                oldest: hello.oldest,
                newest: hello.newest,
            };
            this.say_sorry(&error).await;
            return Err(error);
        };
        Ok((this, hello, version))
    }

    /// Gives the listeners away, and waits until the successor accepts on them.
    pub(crate) async fn give_listeners(
        &mut self,
        welcome: Welcome,
        sockets: &[BorrowedFd<'_>],
    ) -> Result<(), HandoverError> {
        self.say(
            Stage::Listeners,
            &FromPredecessor::Welcome(welcome),
            sockets,
        )
        .await?;
        match hear(&mut self.link, Stage::Listeners, Self::LISTENING).await? {
            FromSuccessor::Listening => Ok(()),
            FromSuccessor::Sorry { reason } => Err(HandoverError::Refused(reason)),
            other @ (FromSuccessor::Hello(_)
            | FromSuccessor::Ready { .. }
            | FromSuccessor::Thanks
            | FromSuccessor::Ask(_)) => Err(unexpected(Stage::Listeners, &other)),
        }
    }

    /// Gives one batch away, up to its end. After an error the pairs of it are the store's again, and
    /// nothing more can be given.
    pub(crate) async fn give_batch<S: Store<Frozen = T>>(
        &mut self,
        store: &mut S,
    ) -> Result<Batch, HandoverError> {
        let room = usize::try_from(self.room).unwrap_or(usize::MAX);
        let most = Self::PAIRS_MAX.min(room);
        let pairs = match most {
            0 => Vec::new(),
            _ => store.freeze(most).await,
        };
        if pairs.is_empty() {
            return Ok(Batch::Nothing);
        }
        let sent = self.offer(store, pairs).await;
        let settled = match sent {
            Ok(()) => self.settle().await,
            // The successor has not had the whole of it, and never will.
            Err(error) => {
                self.is_broken = true;
                Err((self.giver.take_back(), error))
            }
        };
        let (settled, error) = match settled {
            Ok(settled) => (settled, None),
            Err((settled, error)) => (settled, Some(error)),
        };
        let gone = settled.gone.len() as u64;
        self.moved += gone;
        self.room = self.room.saturating_sub(gone);
        settled.gone.into_iter().for_each(|pair| store.forget(pair));
        for (pair, reason) in settled.kept {
            store.thaw(pair, reason.as_deref());
        }
        error.map_or(Ok(Batch::Settled), Err)
    }

    async fn offer<S: Store<Frozen = T>>(
        &mut self,
        store: &S,
        pairs: Vec<T>,
    ) -> Result<(), HandoverError> {
        let mut states = Vec::with_capacity(pairs.len());
        let mut sockets = Vec::with_capacity(2 * pairs.len());
        for pair in &pairs {
            let (state, [client, upstream]) = store.pack(pair);
            states.push(ByteBuf::from(state));
            sockets.extend([client, upstream]);
        }
        let body = |batch| {
            message::encode(&FromPredecessor::Batch {
                batch,
                pairs: states,
            })
        };
        let body = body(self.giver.next());
        let written = timeout(Self::WRITTEN, self.link.send(&body, &sockets)).await;
        drop(sockets);
        self.giver.offer(pairs);
        written.map_err(|_| HandoverError::Silent(Stage::Pairs))??;
        Ok(())
    }

    /// Waits for the successor's word on the batch that was offered, and gives this process's.
    async fn settle(&mut self) -> Result<Settled<T>, (Settled<T>, HandoverError)> {
        loop {
            let error = match hear(&mut self.link, Stage::Pairs, Self::BATCH).await {
                Ok(FromSuccessor::Ready { batch, refused }) => {
                    match self.on_ready(batch, refused).await {
                        Ok(Some(settled)) => return Ok(settled),
                        Ok(None) => continue,
                        Err(error) => error,
                    }
                }
                Ok(FromSuccessor::Sorry { reason }) => HandoverError::Refused(reason),
                Ok(other) => unexpected(Stage::Pairs, &other),
                Err(error) => error,
            };
            self.say_keep(&error).await;
            return Err((self.giver.take_back(), error));
        }
    }

    async fn on_ready(
        &mut self,
        batch: u64,
        refused: Vec<Refused>,
    ) -> Result<Option<Settled<T>>, HandoverError> {
        let go = self.giver.handle_ready(batch, refused);
        let go = go.map_err(|error| HandoverError::Senseless(error.to_string()))?;
        let Some(go) = go else {
            return Ok(None);
        };
        self.say(Stage::Pairs, &go, &[]).await?;
        Ok(Some(self.giver.handle_go_written()))
    }

    /// Says that the batch stays here. If that cannot be said, the successor must not live: it may
    /// hold the pairs of it, and take the end of the connection for that of this process.
    async fn say_keep(&mut self, error: &HandoverError) {
        if error.is_end() {
            return;
        }
        let Some(keep) = self.giver.keep() else {
            return;
        };
        if self.say(Stage::Pairs, &keep, &[]).await.is_ok() {
            return;
        }
        if let Some(successor) = self.successor {
            let _ = kill_process(successor, Signal::KILL);
        }
        // Whether it was killed or finds its end by itself.
        self.link.wait_for_end().await;
    }

    /// Says that all has gone that can go at once. After this the successor is the one.
    pub(crate) async fn end(&mut self, end: End) -> Result<(), HandoverError> {
        self.say(Stage::End, &FromPredecessor::End(end), &[])
            .await?;
        match hear(&mut self.link, Stage::End, Self::BATCH).await? {
            FromSuccessor::Thanks => Ok(()),
            FromSuccessor::Sorry { reason } => Err(HandoverError::Refused(reason)),
            other @ (FromSuccessor::Hello(_)
            | FromSuccessor::Listening
            | FromSuccessor::Ready { .. }
            | FromSuccessor::Ask(_)) => Err(unexpected(Stage::End, &other)),
        }
    }

    /// Tells the successor that there will be no hand-over after all, if it still listens.
    pub(crate) async fn say_sorry(&self, error: &HandoverError) {
        let sorry = FromPredecessor::Sorry {
            reason: error.to_string(),
        };
        let _ = self.say(Stage::End, &sorry, &[]).await;
    }

    /// Writes a message.
    pub(crate) async fn say(
        &self,
        stage: Stage,
        message: &FromPredecessor,
        sockets: &[BorrowedFd<'_>],
    ) -> Result<(), HandoverError> {
        if self.is_broken {
            return Err(HandoverError::Silent(stage));
        }
        let body = message::encode(message);
        let written = timeout(Self::WRITTEN, self.link.send(&body, sockets)).await;
        written.map_err(|_| HandoverError::Silent(stage))??;
        Ok(())
    }

    /// Waits for whatever the successor says next. It can be dropped and called again.
    pub(crate) async fn hear(&mut self) -> Result<FromSuccessor, HandoverError> {
        let packet = self.link.receive().await?;
        message::decode(&packet.body).map_err(|error| HandoverError::Senseless(error.to_string()))
    }
}

async fn hear(
    link: &mut Link,
    stage: Stage,
    patience: Duration,
) -> Result<FromSuccessor, HandoverError> {
    let packet = timeout(patience, link.receive()).await;
    let packet = packet.map_err(|_| HandoverError::Silent(stage))??;
    message::decode(&packet.body).map_err(|error| HandoverError::Senseless(error.to_string()))
}

fn unexpected(stage: Stage, said: &FromSuccessor) -> HandoverError {
    HandoverError::Senseless(format!("it says {said:?} instead of {stage}"))
}
