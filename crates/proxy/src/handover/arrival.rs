//! A hand-over into this process.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use lubdub_metrics::{Handover, Way};
use tokio::time::Instant;
use tracing::{info, warn};

use super::lingerers::Known;
use super::link::Link;
use super::message::{self, FromPredecessor, FromSuccessor, Heir, Hello, OLDEST, VERSION, Welcome};
use super::pairs::{Coming, Newcomers};
use super::successor::{Said, Successor};
use super::{HandoverError, counters, ends};
use crate::inherited::{Inherited, NotListening};
use crate::proxy::Proxy;

/// A hand-over that has begun: the sockets are here, and this process is about to start.
#[derive(Debug)]
pub struct Arrival {
    successor: Successor<Coming>,
    welcome: Welcome,
    lingering: Vec<(Heir, OwnedFd)>,
    began: Instant,
}

/// What came first.
#[derive(Debug, Default)]
pub struct Sockets {
    /// The listeners'.
    pub listeners: Inherited,
    /// The one for operators.
    pub admin: Inherited,
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrived {
    /// All has come that could.
    Whole,
    /// The predecessor lives and goes on: this process has some pairs, and should end with the last.
    BrokenOff,
    /// The predecessor has died. What it had not handed over is lost.
    Orphaned,
}

// === impl Arrival ===

impl Arrival {
    /// Says hello to the predecessor. The configuration has to be read by now, and be right.
    ///
    /// # Errors
    /// Why there is no hand-over.
    pub async fn begin(
        stream: UnixStream,
        program: &str,
    ) -> Result<(Self, Sockets), HandoverError> {
        let began = Instant::now();
        let hello = Hello {
            oldest: OLDEST,
            newest: VERSION,
            program: program.to_owned(),
            pid: std::process::id(),
            room: room(),
        };
        let link = Link::new(stream)?;
        let (successor, welcome, descriptors) = Successor::greet(link, hello).await?;
        info!(predecessor = welcome.pid, version = %welcome.program, listeners = welcome.listeners.len(), "taking over");
        let mut descriptors = descriptors.into_iter();
        let mut next = || descriptors.next().expect("as many came as are named");
        let sockets = Sockets::default();
        for listening in &welcome.listeners {
            let (name, socket) = (Some(&*listening.name), next());
            let added = match listening.is_lent {
                true => sockets.listeners.lend(name, socket),
                false => sockets
                    .listeners
                    .add_with_file(name, socket, listening.file),
            };
            added.map_err(|error| no_listener(&listening.name, &error))?;
        }
        if welcome.admin.is_some() {
            let added = sockets
                .admin
                .add_with_file(Some("admin"), next(), welcome.admin_file);
            added.map_err(|error| no_listener("admin", &error))?;
        }
        let lingering = welcome.lingering.iter().cloned();
        let lingering = lingering.map(|heir| (heir, next())).collect();
        let this = Self {
            successor,
            welcome,
            lingering,
            began,
        };
        Ok((this, sockets))
    }

    /// Tells the predecessor that there will be no hand-over.
    pub async fn refuse(self, reason: String) {
        let _ = self.successor.say(&FromSuccessor::Sorry { reason }).await;
    }

    /// Takes the pairs. `proxy` accepts connections already.
    pub async fn take(mut self, proxy: &Proxy) -> Arrived {
        let shared = proxy.shared();
        shared.registry.number_from(self.welcome.last_pair);
        // If the predecessor does not hear it, it has said why, or is dead: that is heard next.
        let _ = self.successor.say(&FromSuccessor::Listening).await;
        let mut newcomers = Newcomers::of(proxy);
        let arrived = loop {
            let heard = self.successor.hear().await;
            match self.successor.handle(heard, &mut newcomers).await {
                Ok(Said::OfPairs | Said::Lingering(_)) => {}
                Ok(Said::End(end)) => {
                    counters::add(&shared.metrics, end.counters);
                    counters::add_successes(&shared.metrics, &end.successes);
                    let ends = ends::thawed(end.ends);
                    shared.registry.ends().add_earlier(ends);
                    match self.successor.say(&FromSuccessor::Thanks).await {
                        Ok(()) => break Arrived::Whole,
                        Err(_) => break Arrived::Orphaned,
                    }
                }
                Ok(Said::Gone { saved }) => {
                    warn!(
                        predecessor = self.welcome.pid,
                        saved, "the predecessor has died in the middle of the hand-over"
                    );
                    break Arrived::Orphaned;
                }
                Ok(Said::Sorry(reason)) => break self.broken_off(&reason),
                Err(error) => break self.broken_off(&error.to_string()),
            }
        };
        newcomers.count(self.successor.taken);
        let handovers = shared.metrics.handovers();
        let refused = self.successor.refused;
        handovers.pairs(Way::In, Handover::Kept).increment(refused);
        if arrived != Arrived::BrokenOff {
            shared.gates.set_files_ours(true);
            proxy.listeners().remove_files_left();
            let lasted_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
            info!(
                predecessor = self.welcome.pid,
                pairs = self.successor.taken,
                refused,
                lasted_ms,
                "taken over"
            );
        }
        for (heir, socket) in self.lingering {
            match Link::new(socket.into()) {
                Ok(link) => {
                    let (successor, newcomers) = (Successor::new(link), Newcomers::of(proxy));
                    let metrics = Arc::clone(&shared.metrics);
                    (shared.lingerers).add(Known::from(&heir), successor, newcomers, metrics);
                }
                Err(error) => {
                    warn!(predecessor = heir.pid, reason = %error, "the connection to an earlier process is lost; its pairs go on there");
                }
            }
        }
        if arrived == Arrived::Whole {
            let known = Known::predecessor(self.welcome.pid);
            let metrics = Arc::clone(&shared.metrics);
            (shared.lingerers).add(known, self.successor, newcomers, metrics);
        }
        arrived
    }

    fn broken_off(&self, reason: &str) -> Arrived {
        warn!(
            predecessor = self.welcome.pid,
            reason,
            "the hand-over broke off: the predecessor goes on, and this process ends with the pairs that it has"
        );
        Arrived::BrokenOff
    }
}

/// Tells the predecessor that there will be no hand-over, before anything else was said.
///
/// # Errors
/// If it does not hear it.
pub fn refuse(stream: &UnixStream, reason: String) -> Result<(), HandoverError> {
    let body = message::encode(&FromSuccessor::Sorry { reason });
    Ok(Link::send_blocking(stream, &body)?)
}

/// Tells a process that asks to take over that it will not.
///
/// # Errors
/// If it does not hear it.
pub fn refuse_successor(stream: &UnixStream, reason: String) -> Result<(), HandoverError> {
    let body = message::encode(&FromPredecessor::Sorry { reason });
    Ok(Link::send_blocking(stream, &body)?)
}

/// How many pairs more than are there already the limit of open files carries, with some files left.
fn room() -> u64 {
    /// For all that is no pair, watchers of the admin listener among it.
    const RESERVE: u64 = 192;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let files = limit.current.unwrap_or(u64::MAX);
    files.saturating_sub(RESERVE) / 2
}

fn no_listener(name: &str, error: &NotListening) -> HandoverError {
    HandoverError::Senseless(format!("the socket of listener {name:?}: {error}"))
}
