//! Earlier processes that linger, as the one that took over from them knows them.
//!
//! Each has a task of its own here, which hears how it is there, takes the pairs that come late, and
//! passes on what is asked of it. When this process is handed over itself, the connections go along:
//! they rest meanwhile.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lubdub_metrics::Metrics;
use tokio::sync::{Notify, mpsc, oneshot};
use tracing::{info, warn};

use super::message::{Ask, FromSuccessor, Heir};
use super::pairs::{Coming, Newcomers};
use super::successor::{Said, Successor};
use super::{counters, ends};
use crate::registry::{Farewell, PairId};

/// The earlier processes that linger.
#[derive(Debug, Default)]
pub(crate) struct Lingerers {
    all: Mutex<Vec<Lingerer>>,
    /// One has said its first word, or has gone.
    changed: Notify,
}

/// One of them.
#[derive(Debug)]
struct Lingerer {
    known: Arc<Known>,
    orders: mpsc::Sender<Order>,
}

/// What is known of one.
#[derive(Debug)]
pub(crate) struct Known {
    pid: u32,
    pairs: AtomicU64,
    /// Their numbers, in order, once it has told them.
    numbers: Mutex<Vec<u64>>,
    /// It has done what it does before it lingers.
    lingers: AtomicBool,
}

#[derive(Debug)]
enum Order {
    Ask(Ask),
    /// Stop between two messages, and wait.
    Rest(oneshot::Sender<Rest>),
}

/// A connection that rests.
#[derive(Debug)]
struct Rest {
    known: Arc<Known>,
    socket: OwnedFd,
    /// Going on, unless this is dropped with `true` in it.
    go_on: oneshot::Sender<GoOn>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GoOn {
    Yes,
    /// Another process has the connection.
    No,
}

/// All connections at rest, until this is dropped.
#[derive(Debug)]
pub(crate) struct Resting<'a> {
    of: &'a Lingerers,
    all: Vec<Rest>,
}

// === impl Lingerers ===

impl Lingerers {
    /// Goes on hearing what an earlier process says, on the runtime of who calls.
    pub(crate) fn add(
        self: &Arc<Self>,
        known: Known,
        successor: Successor<Coming>,
        newcomers: Newcomers,
        metrics: Arc<Metrics>,
    ) {
        let (orders, orders_of) = mpsc::channel(16);
        let known = Arc::new(known);
        self.lock().push(Lingerer {
            known: Arc::clone(&known),
            orders,
        });
        let hearing = Hearing {
            known,
            successor,
            newcomers,
            metrics,
        };
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let known = Arc::clone(&hearing.known);
            hearing.run(orders_of, &this.changed).await;
            this.lock().retain(|it| !Arc::ptr_eq(&it.known, &known));
            this.changed.notify_waiters();
        });
    }

    /// Pairs that go on in all of them.
    pub(crate) fn pairs(&self) -> u64 {
        self.lock()
            .iter()
            .map(|it| it.known.pairs.load(Relaxed))
            .sum()
    }

    /// Asks all of them. Who does not take it now is about to end.
    pub(crate) fn ask(&self, ask: &Ask) {
        for lingerer in self.lock().iter() {
            let _ = lingerer.orders.try_send(Order::Ask(ask.clone()));
        }
    }

    /// The process that a pair lingers in, as of a second ago.
    pub(crate) fn process_of(&self, pair: PairId) -> Option<u32> {
        let all = self.lock();
        let its = all.iter().find(|it| it.has(pair));
        its.map(|it| it.known.pid)
    }

    /// Asks the one that has this pair to end it, and says whether it hears that; `None` if there is none.
    pub(crate) fn close(&self, pair: PairId, farewell: &Farewell) -> Option<bool> {
        let all = self.lock();
        let its = all.iter().find(|it| it.has(pair))?;
        let ask = Ask::Close {
            pair: pair.0,
            code: farewell.code().get(),
            reason: farewell.reason().map(str::to_owned),
        };
        Some(its.orders.try_send(Order::Ask(ask)).is_ok())
    }

    /// Waits until each of them lingers, or has gone.
    pub(crate) async fn settled(&self) {
        self.until(|all| all.iter().all(|it| it.known.lingers.load(Relaxed)))
            .await;
    }

    /// Waits until none is left.
    pub(crate) async fn gone(&self) {
        self.until(<[_]>::is_empty).await;
    }

    async fn until(&self, so: impl Fn(&[Lingerer]) -> bool) {
        loop {
            let mut changed = pin!(self.changed.notified());
            // What changes from here on is heard.
            changed.as_mut().enable();
            if so(&self.lock()) {
                return;
            }
            changed.await;
        }
    }

    /// Brings all connections to rest, between two messages.
    pub(crate) async fn rest(&self) -> Resting<'_> {
        let orders: Vec<_> = self.lock().iter().map(|it| it.orders.clone()).collect();
        let mut all = Vec::new();
        for order in orders {
            let (answer, rest) = oneshot::channel();
            if order.send(Order::Rest(answer)).await.is_ok()
                && let Ok(rest) = rest.await
            {
                all.push(rest);
            }
        }
        Resting { of: self, all }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Lingerer>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lingerer {
    fn has(&self, pair: PairId) -> bool {
        self.known.numbers().binary_search(&pair.0).is_ok()
    }
}

// === impl Known ===

impl Known {
    fn numbers(&self) -> MutexGuard<'_, Vec<u64>> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The process that this one takes over from: it says next that it lingers.
    pub(crate) fn predecessor(pid: u32) -> Self {
        Self {
            pid,
            pairs: AtomicU64::new(0),
            numbers: Mutex::default(),
            lingers: AtomicBool::new(false),
        }
    }
}

impl From<&Heir> for Known {
    /// One that has lingered for a while.
    fn from(heir: &Heir) -> Self {
        Self {
            pid: heir.pid,
            pairs: AtomicU64::new(heir.pairs),
            numbers: Mutex::new(heir.numbers.clone()),
            lingers: AtomicBool::new(true),
        }
    }
}

// === impl Resting ===

impl Resting<'_> {
    pub(crate) fn sockets(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.all
            .iter()
            .map(|rest| std::os::fd::AsFd::as_fd(&rest.socket))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Heir> {
        self.all.iter().map(|rest| Heir {
            pid: rest.known.pid,
            pairs: rest.known.pairs.load(Relaxed),
            numbers: rest.known.numbers().clone(),
        })
    }

    /// They are another process's now.
    pub(crate) fn forget(self) {
        for rest in self.all {
            let _ = rest.go_on.send(GoOn::No);
        }
        self.of.lock().clear();
        self.of.changed.notify_waiters();
    }
}

/// What hears one of them.
struct Hearing {
    known: Arc<Known>,
    successor: Successor<Coming>,
    newcomers: Newcomers,
    metrics: Arc<Metrics>,
}

// === impl Hearing ===

impl Hearing {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>, changed: &Notify) {
        let mut resting = None;
        loop {
            if self.successor.is_at_rest()
                && let Some(answer) = resting.take()
                && self.rest(answer).await == GoOn::No
            {
                return;
            }
            let heard = tokio::select! {
                heard = self.successor.hear() => heard,
                Some(order) = orders.recv() => {
                    match order {
                        Order::Ask(ask) => {
                            // If it cannot be said, the end of the connection is heard next.
                            let _ = self.successor.say(&FromSuccessor::Ask(ask)).await;
                        }
                        Order::Rest(answer) => resting = Some(answer),
                    }
                    continue;
                }
            };
            let before = self.successor.taken;
            let said = self.successor.handle(heard, &mut self.newcomers).await;
            self.newcomers.count(self.successor.taken - before);
            match said {
                Ok(Said::OfPairs | Said::End(_)) => {}
                Ok(Said::Lingering(lingering)) => {
                    self.known.pairs.store(lingering.pairs, Relaxed);
                    if let Some(numbers) = lingering.numbers {
                        *self.known.numbers() = numbers;
                    }
                    counters::add(&self.metrics, lingering.counters);
                    counters::add_successes(&self.metrics, &lingering.successes);
                    let ends = self.newcomers.ends();
                    ends::thawed(lingering.ends)
                        .into_iter()
                        .for_each(|end| ends.add(end));
                    if !self.known.lingers.swap(true, Relaxed) {
                        changed.notify_waiters();
                    }
                }
                Ok(Said::Gone { saved }) => {
                    let pairs = self.known.pairs.load(Relaxed);
                    info!(
                        predecessor = self.known.pid,
                        pairs, saved, "an earlier process that lingered has ended"
                    );
                    return;
                }
                Ok(Said::Sorry(reason)) => return self.lost(&reason),
                Err(error) => return self.lost(&error.to_string()),
            }
        }
    }

    fn lost(&self, reason: &str) {
        warn!(
            predecessor = self.known.pid,
            reason, "the connection to an earlier process is lost; its pairs go on there"
        );
    }

    /// Waits until it is known who hears it from here on.
    async fn rest(&self, answer: oneshot::Sender<Rest>) -> GoOn {
        let Ok(socket) = self.successor.link().socket().try_clone_to_owned() else {
            return GoOn::Yes;
        };
        let (go_on, decided) = oneshot::channel();
        let rest = Rest {
            known: Arc::clone(&self.known),
            socket,
            go_on,
        };
        if answer.send(rest).is_err() {
            return GoOn::Yes;
        }
        decided.await.unwrap_or(GoOn::Yes)
    }
}
