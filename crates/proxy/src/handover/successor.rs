//! The successor's side of a hand-over, step by step: hello, listeners, pairs, end; and what an
//! earlier process says that lingers.

use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::time::timeout;

use super::link::{Link, LinkError, Packet};
use super::message::{self, End, FromPredecessor, FromSuccessor, Hello, Lingering, Welcome};
use super::taker::Taker;
use super::{HandoverError, Stage};

/// The pairs that come, as the hand-over sees them.
pub(crate) trait Arrivals {
    /// A pair that stands still.
    type Frozen;

    /// Reads its state. Nothing goes on before [`Arrivals::start`].
    fn unpack(&mut self, state: &[u8], sockets: [OwnedFd; 2]) -> Result<Self::Frozen, String>;

    /// It is this process's.
    fn start(&mut self, pair: Self::Frozen);
}

/// The successor's end of the connection.
#[derive(Debug)]
pub(crate) struct Successor<T> {
    link: Link,
    taker: Taker<T>,
    /// So many pairs have come, and so many were refused.
    pub(crate) taken: u64,
    pub(crate) refused: u64,
}

/// What the predecessor said.
#[derive(Debug)]
pub(crate) enum Said {
    /// What becomes of pairs; it is done.
    OfPairs,
    /// All has come that could at once.
    End(End),
    /// How it is with one that lingers.
    Lingering(Lingering),
    /// There is no hand-over, or no more of it. The predecessor lives.
    Sorry(String),
    /// The predecessor is dead. What was held is this process's: so many pairs.
    Gone { saved: u64 },
}

// === impl Successor ===

impl<T> Successor<T> {
    /// The predecessor may be busy with what it serves.
    const WELCOME: Duration = Duration::from_secs(30);

    /// Says hello, and waits for what there is to take over.
    pub(crate) async fn greet(
        mut link: Link,
        hello: Hello,
    ) -> Result<(Self, Welcome, Vec<OwnedFd>), HandoverError> {
        link.send(&message::encode(&FromSuccessor::Hello(hello)), &[])
            .await?;
        let packet = timeout(Self::WELCOME, link.receive()).await;
        let packet = packet.map_err(|_| HandoverError::Silent(Stage::Listeners))??;
        let welcome = match decode(&packet.body)? {
            FromPredecessor::Welcome(welcome) => welcome,
            FromPredecessor::Sorry { reason } => return Err(HandoverError::Refused(reason)),
            other @ (FromPredecessor::Batch { .. }
            | FromPredecessor::Go { .. }
            | FromPredecessor::Keep { .. }
            | FromPredecessor::End(_)
            | FromPredecessor::Lingering(_)) => {
                return Err(unexpected(Stage::Listeners, &other));
            }
        };
        let admin = usize::from(welcome.admin.is_some());
        let named = welcome.listeners.len() + admin + welcome.lingering.len();
        if packet.descriptors.len() < packet.sent {
            return Err(HandoverError::Descriptors);
        }
        if packet.sent != named {
            let told = format!("{named} sockets are named, and {} came", packet.sent);
            return Err(HandoverError::Senseless(told));
        }
        Ok((Self::new(link), welcome, packet.descriptors))
    }

    /// The end of a connection on which hello has been said by somebody else.
    pub(crate) fn new(link: Link) -> Self {
        Self {
            link,
            taker: Taker::new(),
            taken: 0,
            refused: 0,
        }
    }

    /// Says something.
    pub(crate) async fn say(&self, message: &FromSuccessor) -> Result<(), HandoverError> {
        Ok(self.link.send(&message::encode(message), &[]).await?)
    }

    /// Waits for whatever comes next. It can be dropped and called again; what it returns has to go to
    /// [`Successor::handle`].
    pub(crate) async fn hear(&mut self) -> Result<Packet, LinkError> {
        self.link.receive().await
    }

    /// Does what was said about pairs, and tells what else was. Not to be dropped halfway.
    ///
    /// # Errors
    /// If it makes no sense. The predecessor lives, and takes its pairs back when this is dropped.
    pub(crate) async fn handle<A: Arrivals<Frozen = T>>(
        &mut self,
        heard: Result<Packet, LinkError>,
        arrivals: &mut A,
    ) -> Result<Said, HandoverError> {
        let packet = match heard {
            Ok(packet) => packet,
            Err(LinkError::Gone) => {
                let saved = self.taker.handle_gone();
                return Ok(Said::Gone {
                    saved: self.start(saved, arrivals),
                });
            }
            Err(error) => return Err(error.into()),
        };
        match decode(&packet.body)? {
            FromPredecessor::Batch { batch, pairs } => {
                let pairs = unpack(packet.descriptors, packet.sent, pairs, arrivals)?;
                let answer = self.taker.handle_batch(batch, pairs).map_err(senseless)?;
                if let FromSuccessor::Ready { refused, .. } = &answer {
                    self.refused += refused.len() as u64;
                }
                // If the predecessor is dead, it may have said what becomes of the batch before.
                match self.say(&answer).await {
                    Ok(()) => {}
                    Err(error) if error.is_end() => {}
                    Err(error) => return Err(error),
                }
                Ok(Said::OfPairs)
            }
            FromPredecessor::Go { batch } => {
                let pairs = self.taker.handle_go(batch).map_err(senseless)?;
                self.start(pairs, arrivals);
                Ok(Said::OfPairs)
            }
            FromPredecessor::Keep { batch } => {
                self.taker.handle_keep(batch).map_err(senseless)?;
                Ok(Said::OfPairs)
            }
            FromPredecessor::End(end) => Ok(Said::End(end)),
            FromPredecessor::Lingering(lingering) => Ok(Said::Lingering(lingering)),
            FromPredecessor::Sorry { reason } => Ok(Said::Sorry(reason)),
            other @ FromPredecessor::Welcome(_) => Err(unexpected(Stage::Pairs, &other)),
        }
    }

    /// Whether the connection can go to another process: between messages, with nothing held.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.taker.is_empty() && self.link.is_between()
    }

    /// The connection itself.
    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    fn start<A: Arrivals<Frozen = T>>(&mut self, pairs: Vec<T>, arrivals: &mut A) -> u64 {
        let count = pairs.len() as u64;
        pairs.into_iter().for_each(|pair| arrivals.start(pair));
        self.taken += count;
        count
    }
}

/// The pairs of a batch, each with its sockets or with why it cannot be taken.
fn unpack<A: Arrivals>(
    descriptors: Vec<OwnedFd>,
    sent: usize,
    pairs: Vec<serde_bytes::ByteBuf>,
    arrivals: &mut A,
) -> Result<Vec<Result<A::Frozen, String>>, HandoverError> {
    if sent != 2 * pairs.len() {
        let told = format!("{} pairs come with {sent} sockets", pairs.len());
        return Err(HandoverError::Senseless(told));
    }
    if descriptors.len() < sent {
        let reason = HandoverError::Descriptors.to_string();
        return Ok(pairs.iter().map(|_| Err(reason.clone())).collect());
    }
    let mut descriptors = descriptors.into_iter();
    let mut next = || descriptors.next().expect("there are two for each pair");
    let pairs = pairs.into_iter();
    Ok(pairs
        .map(|state| arrivals.unpack(&state, [next(), next()]))
        .collect())
}

fn decode(body: &[u8]) -> Result<FromPredecessor, HandoverError> {
    message::decode(body).map_err(|error| HandoverError::Senseless(error.to_string()))
}

fn senseless(error: super::taker::Senseless) -> HandoverError {
    HandoverError::Senseless(error.to_string())
}

fn unexpected(stage: Stage, said: &FromPredecessor) -> HandoverError {
    HandoverError::Senseless(format!("it says {} instead of {stage}", said.name()))
}
