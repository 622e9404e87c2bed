//! The listeners that are open. They come and go with the generations; one whose address stays, stays open.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::listener::Acceptor;
use super::listening::{Bound, Listening};
use crate::address::Address;
use crate::entrance::Entrance;
use crate::inherited::Inherited;
use crate::proxy::StartError;
use crate::settings;
use crate::shared::Shared;
use crate::unix::Permissions;
use crate::worker::Crew;

/// The listeners that are open.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    open: Mutex<Vec<Open>>,
    /// Who accepts there.
    acceptors: TaskTracker,
    /// What was given to this process.
    inherited: Inherited,
}

/// A listener that is open.
#[derive(Debug)]
struct Open {
    /// What was asked for: the kernel may have chosen the port.
    wanted: Wanted,
    address: Address,
    entrance: Arc<ArcSwap<Entrance>>,
    /// Whoever accepts there has it.
    socket: Weak<Listening>,
    stop: CancellationToken,
}

/// What a listening socket is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    address: Address,
    v6_only: bool,
}

/// The listeners of the next generation, in the order of its settings, bound as far as they are new.
#[derive(Debug)]
pub(crate) struct Planned(Vec<Plan>);

#[derive(Debug)]
enum Plan {
    /// It is open already, at this place among those that are.
    Stays(usize, Option<Regranted>),
    Comes(Bound),
}

/// Who may connect to a Unix socket has changed. It is as it was if this is dropped before all of a generation is
/// in effect.
#[derive(Debug)]
struct Regranted {
    socket: Option<Arc<Listening>>,
    before: Permissions,
    listener: Arc<str>,
    address: Address,
}

/// Those of them that come, ready to accept.
#[derive(Debug)]
pub(crate) struct Ready(Vec<(Step, Arc<Entrance>)>);

#[derive(Debug)]
enum Step {
    Stays(usize, Option<Regranted>),
    Comes(Acceptor, Open),
}

// === impl Listeners ===

impl Listeners {
    /// None yet; some may be among the sockets that were given to this process.
    pub(crate) fn new(inherited: Inherited) -> Self {
        Self {
            inherited,
            ..Self::default()
        }
    }

    /// Closes the sockets that were given to this process and that no listener has taken.
    pub(crate) fn close_what_nobody_wants(&self) {
        for address in self.inherited.close() {
            warn!(%address, "a listening socket was given to lubdub that no listener is configured for");
        }
    }

    /// Removes the files of those sockets: nobody is to go on with them any more.
    pub(crate) fn remove_files_left(&self) {
        self.inherited.remove_files_left();
    }

    /// Binds those that are not open yet. Nobody can connect to them.
    ///
    /// # Errors
    /// If one cannot be bound; then all is as it was.
    pub(crate) fn plan(&self, wanted: &[settings::Listener]) -> Result<Planned, StartError> {
        let open = self.open();
        let plan = |listener: &settings::Listener| {
            let stays = open.iter().position(|open| open.serves(listener));
            if let Some(at) = stays {
                return open[at]
                    .regrant(listener)
                    .map(|regranted| Plan::Stays(at, regranted))
                    .map_err(|error| cannot_bind(&open, listener, error));
            }
            Bound::new(listener, &self.inherited)
                .map(Plan::Comes)
                .map_err(|error| cannot_bind(&open, listener, error))
        };
        wanted
            .iter()
            .map(plan)
            .collect::<Result<_, _>>()
            .map(Planned)
    }

    /// Looks whether they could be bound, and takes none of the sockets that were given to this process. Whoever
    /// connects meanwhile does not notice: only what listens is connected to.
    ///
    /// # Errors
    /// As those of [`plan`](Self::plan).
    pub(crate) fn try_plan(&self, wanted: &[settings::Listener]) -> Result<(), StartError> {
        let open = self.open();
        for listener in wanted {
            if open.iter().any(|open| open.serves(listener)) {
                continue;
            }
            Bound::could_be(listener, &self.inherited)
                .map_err(|error| cannot_bind(&open, listener, error))?;
        }
        Ok(())
    }

    /// Has the workers wait for connections at those that are new; nobody is accepted yet.
    ///
    /// # Errors
    /// If a worker cannot; then all is as it was.
    pub(crate) fn ready(
        planned: Planned,
        entrances: Vec<Arc<Entrance>>,
        shared: &Arc<Shared>,
        crew: &Arc<Crew>,
    ) -> Result<Ready, StartError> {
        let ready = |(n, (plan, entrance)): (usize, (Plan, Arc<Entrance>))| {
            let bound = match plan {
                Plan::Stays(at, regranted) => return Ok((Step::Stays(at, regranted), entrance)),
                Plan::Comes(bound) => bound,
            };
            bound.listen().map_err(|error| StartError::Bind {
                listener: Arc::clone(&entrance.listener.name),
                address: entrance.listener.address.clone(),
                error,
            })?;
            let open = Open {
                wanted: Wanted::of(&entrance.listener),
                address: bound.address().clone(),
                entrance: Arc::new(ArcSwap::from(Arc::clone(&entrance))),
                socket: Arc::downgrade(&bound.socket),
                stop: CancellationToken::new(),
            };
            // Beside its pairs: a thread of its own would have to wake the worker's each time.
            let (crew, worker) = (Arc::clone(crew), Arc::clone(crew.on_duty(n)));
            let of_acceptor = Arc::clone(&open.entrance);
            let acceptor = Acceptor::new(bound, of_acceptor, Arc::clone(shared), crew, worker);
            let acceptor = acceptor.map_err(StartError::Worker)?;
            Ok((Step::Comes(acceptor, open), entrance))
        };
        let all = planned.0.into_iter().zip(entrances).enumerate();
        all.map(ready).collect::<Result<_, _>>().map(Ready)
    }

    /// Accepts at those that are new, and closes those that are wanted no more once their accept queue is
    /// empty.
    pub(crate) fn take_effect(&self, ready: Ready, shared: &Shared) {
        let mut open = self.open();
        let mut before: Vec<_> = std::mem::take(&mut *open).into_iter().map(Some).collect();
        for (step, entrance) in ready.0 {
            match step {
                Step::Stays(at, regranted) => {
                    let stays = before[at].take().expect("each address is wanted once");
                    if let Some(regranted) = regranted {
                        regranted.keep();
                    }
                    stays.entrance.store(entrance);
                    open.push(stays);
                }
                Step::Comes(acceptor, comes) => {
                    shared.own.add(comes.address.clone());
                    acceptor.start(comes.stop.clone(), self.acceptors.clone());
                    open.push(comes);
                }
            }
        }
        for goes in before.into_iter().flatten() {
            goes.stop.cancel();
            shared.own.remove(&goes.address);
        }
    }

    /// Closes all of them.
    pub(crate) fn close(&self) {
        self.open().iter().for_each(|open| open.stop.cancel());
        self.acceptors.close();
    }

    /// Waits until all accept queues are empty, after [`close`](Self::close).
    pub(crate) async fn closed(&self) {
        self.acceptors.wait().await;
    }

    /// Each listener's name and the address that it got.
    pub(crate) fn addresses(&self) -> Vec<(Arc<str>, Address)> {
        let open = self.open();
        let named = |open: &Open| {
            (
                Arc::clone(&open.entrance.load().listener.name),
                open.address.clone(),
            )
        };
        open.iter().map(named).collect()
    }

    /// Each listener as it is now, and the address that it got.
    pub(crate) fn entrances(&self) -> Vec<(Arc<Entrance>, Address)> {
        let open = self.open();
        let both = |open: &Open| (open.entrance.load_full(), open.address.clone());
        open.iter().map(both).collect()
    }

    /// The listener of this name as it is now.
    pub(crate) fn entrance(&self, name: &str) -> Option<Arc<Entrance>> {
        let open = self.open();
        let entrances = open.iter().map(|open| open.entrance.load_full());
        entrances.into_iter().find(|it| &*it.listener.name == name)
    }

    fn open(&self) -> MutexGuard<'_, Vec<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a listener cannot have its address: perhaps because one that is open still has it.
fn cannot_bind(open: &[Open], listener: &settings::Listener, error: io::Error) -> StartError {
    let is_ours = |open: &&Open| match (&open.address, &listener.address) {
        (Address::Ip(one), Address::Ip(other)) => one.port() == other.port(),
        (Address::Unix(one), Address::Unix(other)) => one == other,
        (Address::Ip(_), Address::Unix(_)) | (Address::Unix(_), Address::Ip(_)) => false,
    };
    match open.iter().find(is_ours) {
        Some(ours) if error.kind() == io::ErrorKind::AddrInUse => StartError::Overlap {
            listener: Arc::clone(&listener.name),
            address: listener.address.clone(),
            open: Arc::clone(&ours.entrance.load().listener.name),
            at: ours.address.clone(),
        },
        _ => StartError::Bind {
            listener: Arc::clone(&listener.name),
            address: listener.address.clone(),
            error,
        },
    }
}

// === impl Open ===

impl Open {
    /// Whether it is what `listener` asks for. Where the kernel chooses the port, only by the same name.
    fn serves(&self, listener: &settings::Listener) -> bool {
        let is_named_so = || self.entrance.load().listener.name == listener.name;
        self.wanted == Wanted::of(listener)
            && (!listener.address.is_kernels_choice() || is_named_so())
    }

    /// Changes who may connect, where that is another than before.
    fn regrant(&self, next: &settings::Listener) -> io::Result<Option<Regranted>> {
        let before = self.entrance.load().listener.permissions;
        if before == next.permissions {
            return Ok(None);
        }
        let Some(socket) = self.socket.upgrade() else {
            return Ok(None);
        };
        let regranted = Regranted {
            socket: Some(socket),
            before,
            listener: Arc::clone(&next.name),
            address: next.address.clone(),
        };
        regranted.set(next.permissions)?;
        Ok(Some(regranted))
    }
}

// === impl Regranted ===

impl Regranted {
    fn set(&self, permissions: Permissions) -> io::Result<()> {
        let file = self.socket.as_ref().and_then(|socket| socket.file());
        file.map_or(Ok(()), |file| file.set_permissions(permissions))
    }

    /// It stays so.
    fn keep(mut self) {
        self.socket = None;
    }
}

impl Drop for Regranted {
    fn drop(&mut self) {
        if let Err(error) = self.set(self.before) {
            let Self {
                listener, address, ..
            } = &*self;
            warn!(%listener, %address, %error, "who may connect could not be changed back");
        }
    }
}

// === impl Wanted ===

impl Wanted {
    fn of(listener: &settings::Listener) -> Self {
        Self {
            address: listener.address.clone(),
            v6_only: listener.v6_only,
        }
    }
}
