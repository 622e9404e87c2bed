//! A hand-over out of this process, and what is left of it afterwards.

use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use lubdub_metrics::{Handover, Way};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tracing::{info, warn};

use super::counters::{self, Counted};
use super::ends;
use super::lingerers::Resting;
use super::link::Link;
use super::message::{
    Ask, End, FromPredecessor, FromSuccessor, Heir, Lingering, Listening, Welcome,
};
use super::pairs::{Pairs, Standing};
use super::predecessor::{Batch, Predecessor};
use super::{HandoverError, Stage};
use crate::address::Address;
use crate::drain::Selection;
use crate::front::gates::Gate;
use crate::proxy::Proxy;
use crate::registry::{EndsFeed, Farewell, PairId};
use crate::unix::FileId;

/// What a successor is offered besides pairs.
#[derive(Debug)]
pub struct Offer {
    /// The connection to it.
    pub stream: UnixStream,
    /// Who it is.
    pub successor: Who,
    /// The version of this program.
    pub program: String,
    /// The listening socket for operators.
    pub admin: Option<OfferedAdmin>,
}

/// The listening socket for operators.
#[derive(Debug)]
pub struct OfferedAdmin {
    /// Where it is.
    pub address: Address,
    /// The file by which it is reached, if it is this process's to give.
    pub file: Option<FileId>,
    /// The socket.
    pub socket: OwnedFd,
}

/// Who a successor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// A process that was started by this one: what it says of itself is true.
    Own,
    /// Another one: its process id, if it can be seen from here.
    Other(Option<i32>),
}

/// A hand-over that is done: this process lingers for what could not be moved.
#[derive(Debug)]
pub struct Departed {
    predecessor: Predecessor<Standing>,
    pairs: Pairs,
    counted: Counted,
    ends: EndsFeed,
    /// So many pairs there were when the successor was told their numbers.
    told: Option<u64>,
    /// The successor ends.
    is_told_to_end: bool,
    /// The process that goes on.
    pub successor: u32,
    /// So many pairs have moved.
    pub moved: u64,
    /// So many stay for now.
    pub kept: u64,
}

impl Proxy {
    /// Hands all over that can go: the listeners, then the pairs. When it is done, this process accepts
    /// nobody any more, and what is left should [linger](Departed::linger).
    ///
    /// # Errors
    /// Why this process goes on as before, with every pair that the successor does not have.
    pub async fn hand_over(&self, offer: Offer) -> Result<Departed, HandoverError> {
        let began = Instant::now();
        let shared = self.shared();
        let _only_one = shared.changing.begin(|| {
            let drain = shared.drains.stands_in_the_way();
            drain.map_or(Ok(()), |drain| Err(HandoverError::Draining(drain)))
        })?;
        let link = Link::new(offer.stream)?;
        let (mut predecessor, hello, version) = Predecessor::greet(link, offer.successor).await?;
        info!(successor = hello.pid, version = %hello.program, pairs = shared.registry.len(), "hand-over begins");
        let pairs = shared.registry.len() as u64;
        if hello.room < pairs {
            warn!(
                successor = hello.pid,
                room = hello.room,
                pairs,
                "the file limit of the new process carries fewer pairs than there are; the others stay here"
            );
        }
        let lingerers = shared.lingerers.rest().await;
        let given = self
            .give_sockets(
                &mut predecessor,
                version,
                offer.program,
                offer.admin,
                &lingerers,
            )
            .await;
        if let Err(error) = given {
            predecessor.say_sorry(&error).await;
            return Err(error);
        }
        // It accepts now. Whoever is in the middle of coming in here is served here.
        shared.gates.set_gate(Gate::Shut);
        let mut pairs = Pairs::of(self);
        let mut counted = Counted::default();
        let ends = shared.registry.ends().feed();
        let gave = give_all(&mut predecessor, &mut pairs, &mut counted, &ends, self).await;
        let handovers = shared.metrics.handovers();
        let moved = predecessor.moved;
        if let Err(error) = gave {
            predecessor.say_sorry(&error).await;
            shared.gates.set_gate(Gate::Open);
            // Who has died has them no more.
            let outcome = match error.is_end() {
                true => Handover::Lost,
                false => Handover::Moved,
            };
            handovers.pairs(Way::Out, outcome).increment(moved);
            let reason = Box::new(error);
            return Err(HandoverError::BrokenOff { moved, reason });
        }
        handovers.pairs(Way::Out, Handover::Moved).increment(moved);
        shared.gates.set_files_ours(false);
        shared.gates.set_gate(Gate::GivenUp);
        shared.leaving.cancel();
        lingerers.forget();
        let kept = shared.registry.len() as u64;
        handovers.pairs(Way::Out, Handover::Kept).increment(kept);
        let lasted_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        info!(
            successor = hello.pid,
            moved, kept, lasted_ms, "hand-over ends"
        );
        Ok(Departed {
            predecessor,
            pairs,
            counted,
            ends,
            told: None,
            is_told_to_end: false,
            successor: hello.pid,
            moved,
            kept,
        })
    }

    async fn give_sockets(
        &self,
        predecessor: &mut Predecessor<Standing>,
        version: u16,
        program: String,
        admin: Option<OfferedAdmin>,
        lingerers: &Resting<'_>,
    ) -> Result<(), HandoverError> {
        let shared = self.shared();
        let listeners = shared.gates.give()?;
        let mut sockets: Vec<_> = listeners.iter().map(|it| it.socket.as_fd()).collect();
        sockets.extend(admin.iter().map(|admin| admin.socket.as_fd()));
        sockets.extend(lingerers.sockets());
        if sockets.len() > Link::DESCRIPTORS_MAX {
            return Err(HandoverError::TooMany(sockets.len()));
        }
        let welcome = Welcome {
            version,
            program,
            pid: std::process::id(),
            listeners: (listeners.iter())
                .map(|it| Listening {
                    name: it.name.to_string(),
                    address: it.address.clone(),
                    is_lent: it.is_lent,
                    file: it.file,
                })
                .collect(),
            admin: admin.as_ref().map(|admin| admin.address.clone()),
            admin_file: admin.as_ref().and_then(|admin| admin.file),
            lingering: lingerers.iter().collect::<Vec<Heir>>(),
            // Those who are in the middle of a handshake here may still get one.
            last_pair: shared.registry.last() + shared.admission.connections.total() as u64,
        };
        predecessor.give_listeners(welcome, &sockets).await
    }
}

async fn give_all(
    predecessor: &mut Predecessor<Standing>,
    pairs: &mut Pairs,
    counted: &mut Counted,
    ends: &EndsFeed,
    proxy: &Proxy,
) -> Result<(), HandoverError> {
    while predecessor.give_batch(pairs).await? == Batch::Settled {}
    let shared = proxy.shared();
    let end = End {
        moved: predecessor.moved,
        kept: shared.registry.len() as u64,
        counters: counted.added(&shared.metrics),
        successes: counters::successes(&shared.metrics),
        ends: ends::frozen(&ends.heard_before()),
    };
    predecessor.end(end).await
}

// === impl Departed ===

impl Departed {
    /// How often it is looked whether a handshake has ended whose pair can go as well.
    const LOOK: Duration = Duration::from_millis(100);
    /// How often the successor is told how it is here.
    const TELL: Duration = Duration::from_secs(1);

    /// Has the successor end as well, as it was told meanwhile to this process.
    pub fn stop_successor(&self) {
        let pid = i32::try_from(self.successor).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            info!(
                successor = self.successor,
                "the successor is told to stop as well"
            );
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    /// Keeps what could not be moved until its end, or for so long, and hands over what can be moved by then:
    /// pairs whose handshake was under way. The successor is told, and may ask for a drain. It ends when nothing is
    /// left; `time_is_up` hears that something is, and that the time is over or the successor ends.
    pub async fn linger(
        mut self,
        proxy: &Proxy,
        limit: Option<Duration>,
        time_is_up: oneshot::Sender<()>,
    ) {
        let shared = proxy.shared();
        info!(
            pairs = shared.registry.len(),
            successor = self.successor,
            "lubdub lingers"
        );
        let mut look = interval(Self::LOOK);
        let mut tell = interval(Self::TELL);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tell.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let time_up = async {
            match limit {
                Some(limit) => sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(time_up);
        let mut time_is_up = Some(time_is_up);
        let mut say_time_is_up = || {
            if let Some(time_is_up) = time_is_up.take() {
                // Who waits for it may have gone on for another reason.
                let _ = time_is_up.send(());
            }
        };
        let mut is_alone = false;
        let mut is_in_time = true;
        loop {
            tokio::select! {
                () = proxy.everyone_gone() => {
                    if !is_alone {
                        self.tell(proxy).await;
                    }
                    return;
                }
                () = &mut time_up, if is_in_time => {
                    is_in_time = false;
                    say_time_is_up();
                }
                heard = self.predecessor.hear(), if !is_alone => {
                    is_alone = !self.on_heard(heard, proxy);
                    if self.is_told_to_end {
                        say_time_is_up();
                    }
                }
                _ = look.tick(), if !is_alone => {
                    is_alone = !self.give_late(proxy).await;
                }
                _ = tell.tick(), if !is_alone => {
                    is_alone = !self.tell(proxy).await;
                }
            }
        }
    }

    /// Hands pairs over whose handshake has ended meanwhile. Says whether there is still a successor.
    async fn give_late(&mut self, proxy: &Proxy) -> bool {
        let before = self.predecessor.moved;
        let gave = loop {
            match self.predecessor.give_batch(&mut self.pairs).await {
                Ok(Batch::Settled) => {}
                Ok(Batch::Nothing) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        let moved = self.predecessor.moved - before;
        let handovers = proxy.shared().metrics.handovers();
        handovers.pairs(Way::Out, Handover::Moved).increment(moved);
        self.has_successor(gave)
    }

    /// Tells the successor how it is here. Says whether there is still one.
    async fn tell(&mut self, proxy: &Proxy) -> bool {
        let shared = proxy.shared();
        let ends = self.ends.take_all();
        let ends = ends.map_or_else(Vec::new, |news| ends::frozen(&news.ends));
        let pairs = shared.registry.len() as u64;
        // Where nobody has come or gone it knows them.
        let has_changed = self.told != Some(pairs) || !ends.is_empty();
        self.told = Some(pairs);
        let lingering = Lingering {
            pairs,
            counters: self.counted.added(&shared.metrics),
            successes: counters::successes(&shared.metrics),
            ends,
            numbers: has_changed.then(|| {
                let all = shared.registry.walk().flatten();
                all.map(|pair| pair.id.0).collect()
            }),
        };
        let message = FromPredecessor::Lingering(lingering);
        let said = self.predecessor.say(Stage::End, &message, &[]).await;
        self.has_successor(said)
    }

    fn on_asked(&mut self, ask: Ask, proxy: &Proxy) {
        let shared = proxy.shared();
        match ask {
            Ask::Drain {
                route,
                upstream,
                listener,
                older_than_ms,
                spread_ms,
            } => {
                let selection = Selection {
                    route: route.map(Arc::from),
                    upstream: upstream.map(Arc::from),
                    listener: listener.map(Arc::from),
                    older_than: older_than_ms.map(Duration::from_millis),
                };
                let mut terms = shared.generation.load().general.drain;
                terms.spread = Duration::from_millis(spread_ms);
                if let Err(error) = shared.drains.start(selection, terms) {
                    warn!(reason = %error, "the successor asks for a drain that cannot be");
                }
            }
            // There may be none, if it came late.
            Ask::CallOffDrain => drop(shared.drains.call_off()),
            // It may have ended meanwhile.
            Ask::Close { pair, code, reason } => {
                if let Ok(farewell) = Farewell::try_new(Some(code), reason.as_deref()) {
                    let _ = shared.registry.close(PairId(pair), farewell);
                }
            }
            Ask::End => self.is_told_to_end = true,
        }
    }

    fn on_heard(&mut self, heard: Result<FromSuccessor, HandoverError>, proxy: &Proxy) -> bool {
        match heard {
            Ok(FromSuccessor::Ask(ask)) => {
                self.on_asked(ask, proxy);
                true
            }
            Ok(_) => true,
            Err(error) => self.has_successor(Err(error)),
        }
    }

    fn has_successor(&self, said: Result<(), HandoverError>) -> bool {
        if let Err(error) = &said {
            warn!(successor = self.successor, reason = %error, "the successor of this process is lost; its own pairs go on");
        }
        said.is_ok()
    }
}
