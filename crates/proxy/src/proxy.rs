//! The proxy as a whole: started from settings, drained at its end.

use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use lubdub_metrics::{InvalidNames, Metrics};
use tokio::time::{Duration, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::address::Address;
use crate::admission::Admission;
use crate::control::Control;
use crate::drain::Drains;
use crate::front::gates::{Gate, Gates};
use crate::front::listeners::Listeners;
use crate::frozen::Anchor;
use crate::generation::{General, Generation};
use crate::handover::{Ask, Change, Changing};
use crate::inherited::Inherited;
use crate::namesakes::Namesakes;
use crate::pseudonym::Pseudonym;
use crate::refusals::Refusals;
use crate::registry::{Order, Registry};
use crate::settings::Settings;
use crate::shared::Shared;
use crate::succession::{OwnedNames, Successor};
use crate::upstream::{Common, OwnAddresses};
use crate::worker::{Crew, Workers};

/// A running proxy. It serves until [`Proxy::drain`] has ended it.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    workers: Workers,
    listeners: Arc<Listeners>,
    /// What upstreams share.
    common: Common,
    /// Ends what goes on beside connections.
    stop: CancellationToken,
    /// Connections and pairs.
    tasks: TaskTracker,
}

/// Why a proxy did not start, or a reload changed nothing. Each text is whole, what the operating system said included; so that
/// is not a source as well, and a chain of errors says it once.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A listener's address cannot be bound.
    #[error("listener {listener:?} cannot listen on {address}: {error}")]
    Bind {
        /// The listener's name.
        listener: Arc<str>,
        /// Its configured address.
        address: Address,
        /// What the operating system said.
        error: io::Error,
    },
    /// The address overlaps with one that a reload would close.
    #[error(
        "listener {listener:?} cannot listen on {address} while listener {open:?} listens on {at}"
    )]
    Overlap {
        /// The listener's name.
        listener: Arc<str>,
        /// Its configured address.
        address: Address,
        /// The name of the one that is open.
        open: Arc<str>,
        /// Where it listens.
        at: Address,
    },
    /// A worker thread or its runtime cannot be made.
    #[error("cannot start a worker: {0}")]
    Worker(io::Error),
    /// The metrics were built for other names.
    #[error("no metrics are registered for {0:?}")]
    Unregistered(Arc<str>),
    /// There would be too many names.
    #[error(transparent)]
    Names(#[from] InvalidNames),
    /// It ends, and begins nothing new.
    #[error("lubdub is draining")]
    Draining,
    /// Another process takes over, or has.
    #[error("lubdub is being handed over to a new process; reload that one")]
    HandingOver,
}

/// How a drain went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Every pair and connection came to its own end.
    Clean,
    /// So many pairs were left after the drain timeout and were cut.
    Cut(usize),
}

impl Proxy {
    /// How long connections that were cut get to notice it.
    const AFTER_CUT: Duration = Duration::from_secs(1);

    /// How often it is looked whether budgets have room again.
    const SETTLING: Duration = Duration::from_secs(1);

    /// Binds every listener and starts the workers, on whose threads everything runs.
    ///
    /// # Errors
    /// If an address cannot be bound or a thread not be started; then nothing is left running.
    pub fn start(settings: Settings, metrics: &Arc<Metrics>) -> Result<Self, StartError> {
        Self::start_with(settings, metrics, Inherited::default())
    }

    /// The same, with listening sockets that were given to this process: a listener that finds its own
    /// among them is not bound anew. Those that no listener wants are closed.
    ///
    /// # Errors
    /// As for [`Proxy::start`].
    pub fn start_with(
        settings: Settings,
        metrics: &Arc<Metrics>,
        inherited: Inherited,
    ) -> Result<Self, StartError> {
        let admission = Admission::new(&settings.limits);
        let common = Common {
            sockets: Arc::clone(&admission.sockets),
            kept: Arc::default(),
            idle: Arc::default(),
            own: Arc::<OwnAddresses>::default(),
            workers: settings.workers.get(),
        };
        let registry = Arc::new(Registry::new(Anchor::now().origin()));
        let drains = Drains::new(Arc::clone(&registry), Arc::clone(metrics));
        let shared = Arc::new(Shared {
            // Nothing is there before the first one.
            generation: ArcSwap::from_pointee(Generation::none(General::of(&settings, 0))),
            doors: Mutex::default(),
            namesakes: Namesakes::default(),
            pseudonym: Pseudonym::random(),
            refusals: Refusals::new(settings.logging.refusals, metrics),
            admission,
            idle: Arc::clone(&common.idle),
            kept: Arc::clone(&common.kept),
            own: Arc::clone(&common.own),
            registry,
            drains: Arc::new(drains),
            gates: Gates::default(),
            changing: Changing::default(),
            lingerers: Arc::default(),
            leaving: CancellationToken::new(),
            draining: CancellationToken::new(),
            cutting: CancellationToken::new(),
            metrics: Arc::clone(metrics),
            paused: Default::default(),
        });
        let sampled = Arc::downgrade(&shared);
        metrics.before_rendering(move || {
            if let Some(shared) = sampled.upgrade() {
                shared.sample();
            }
        });
        let registry = Arc::downgrade(&shared.registry);
        metrics.ask_names_in_use(move || {
            let registry = registry.upgrade();
            registry.map(|it| it.names()).unwrap_or_default()
        });
        let tasks = TaskTracker::new();
        let workers = Workers::start(settings.workers, settings.io_uring, settings.tidy, &tasks)
            .map_err(StartError::Worker)?;
        let proxy = Self {
            shared,
            workers,
            listeners: Arc::new(Listeners::new(inherited)),
            common,
            stop: CancellationToken::new(),
            tasks,
        };
        proxy.reload(settings)?;
        proxy.listeners.close_what_nobody_wants();
        let (shared, stop) = (Arc::clone(&proxy.shared), proxy.stop.clone());
        let crew = proxy.workers.crew();
        crew.on_duty(0).runtime().spawn(async move {
            let mut ticks = interval(Self::SETTLING);
            while let Some(now) = stop.run_until_cancelled(ticks.tick()).await {
                shared.settle(now);
            }
        });
        Ok(proxy)
    }

    /// Goes on with other settings: the next generation, which is built whole or not at all. No live pair
    /// ends, unless what it belongs to is removed and says `on_removed = "drain"`. New values of the
    /// heartbeat reach live pairs at once; all else holds for new connections and pairs. Returns the number
    /// of the generation.
    ///
    /// The number of workers stays what it was at the start.
    ///
    /// # Errors
    /// If an address cannot be bound, there would be too many names, or the proxy drains. Then all is as it
    /// was.
    pub fn reload(&self, settings: Settings) -> Result<u64, StartError> {
        let _one_at_a_time = self.change()?;
        let (shared, crew) = (&self.shared, self.workers.crew());
        let next = Successor::build(settings, shared, &self.common, &self.listeners, crew)?;
        Ok(next.take_effect(shared, &self.listeners, crew))
    }

    /// Looks whether [`reload`](Self::reload) could go on with `settings`, and changes nothing.
    ///
    /// # Errors
    /// As those of a reload.
    pub fn try_reload(&self, settings: &Settings) -> Result<(), StartError> {
        let _one_at_a_time = self.change()?;
        self.listeners.try_plan(&settings.listeners)?;
        OwnedNames::of(settings).with(|names| self.shared.metrics.try_admit(names))?;
        Ok(())
    }

    /// The number of the generation that is in effect: 1 at the start, and one more with each reload.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.shared.generation.load().number
    }

    /// Connections to upstreams must not lead to `address`, where this process listens as well.
    pub fn never_connect_to(&self, address: Address) {
        self.shared.own.add(address);
    }

    /// Each listener's name and the address that it got.
    #[must_use]
    pub fn addresses(&self) -> Vec<(Arc<str>, Address)> {
        self.listeners.addresses()
    }

    /// The live pairs.
    #[must_use]
    pub fn registry(&self) -> &Arc<Registry> {
        &self.shared.registry
    }

    /// What an operator may do to it, or ask of it, while it runs.
    #[must_use]
    pub fn control(&self) -> Control {
        Control::new(
            Arc::clone(&self.shared),
            Arc::clone(self.workers.crew()),
            Arc::clone(&self.listeners),
        )
    }

    /// How many tasks are alive on its workers: those that accept, serve connections, shake hands
    /// and splice, and those that libraries have spawned beside them.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.workers.tasks()
    }

    /// Waits until nobody else changes anything. A hand-over that begins waits for the end of this change.
    fn change(&self) -> Result<Change<'_>, StartError> {
        let change = self.shared.changing.change();
        if self.shared.draining.is_cancelled() {
            return Err(StartError::Draining);
        }
        if change.is_handing_over() || self.shared.leaving.is_cancelled() {
            return Err(StartError::HandingOver);
        }
        Ok(change)
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn listeners(&self) -> &Arc<Listeners> {
        &self.listeners
    }

    /// Who has the pairs.
    pub(crate) fn crew(&self) -> &Arc<Crew> {
        self.workers.crew()
    }

    /// Leaves the listeners to another process, and waits until all that is left here has come to its own
    /// end: pairs, and answers under way.
    pub async fn stand_down(&self) {
        self.shared.gates.set_gate(Gate::GivenUp);
        self.shared.leaving.cancel();
        self.everyone_gone().await;
    }

    /// Waits until no connection and no pair is left. Nobody may come in any more.
    pub(crate) async fn everyone_gone(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Cuts whatever is left: the process ends.
    pub fn cut(&self) {
        self.shared.cutting.cancel();
        self.shared.registry.order_all(Order::Cut);
    }

    /// Ends the proxy: keeps accepting for `drain.delay`, then closes the listeners, says farewell
    /// to every pair over `drain.spread`, and cuts what is left after `drain.timeout`.
    ///
    /// Readiness should say no from the call on ([`Metrics::set_draining`] does).
    pub async fn drain(&self) -> Drained {
        let terms = self.shared.generation.load().general.drain;
        self.shared.drains.begin_last(terms);
        // Earlier processes that linger end with it.
        self.shared.lingerers.ask(&Ask::End);
        info!(pairs = self.shared.registry.len(), "draining");
        sleep(terms.delay).await;
        {
            // A reload in the middle would open listeners that nobody closes.
            let _no_reload = self.shared.changing.change();
            // Whoever is still let in meets a proxy that drains, and is told so.
            self.shared.draining.cancel();
            self.listeners.close();
        }
        self.stop.cancel();
        self.tasks.close();
        let everyone = async {
            // Who has to be told ends later than those who tell.
            let farewells = async {
                self.shared.drains.say_last_farewells().await;
                pending::<()>().await;
            };
            let ends = async {
                self.listeners.closed().await;
                self.tasks.wait().await;
                // What started this process may kill what is left of them at its end.
                self.shared.lingerers.gone().await;
            };
            tokio::select! {
                () = ends => {}
                () = farewells => {}
            }
        };
        if timeout(terms.timeout, everyone).await.is_ok() {
            info!("drained");
            return Drained::Clean;
        }
        let left = self.shared.registry.len();
        warn!(
            pairs = left,
            "the drain timeout is over; the pairs that are left are cut"
        );
        self.cut();
        // What is not a pair (a plain exchange, a handshake) ends with its worker.
        let ends = async { tokio::join!(self.tasks.wait(), self.shared.lingerers.gone()) };
        let _ = timeout(Self::AFTER_CUT, ends).await;
        if left == 0 {
            Drained::Clean
        } else {
            Drained::Cut(left)
        }
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! A proxy for unit tests.

    use lubdub_metrics::{BuildInfo, Names};

    use super::*;

    /// Serves on [these](crate::settings::testing::settings), the first listener of which is named `first`.
    pub(crate) fn start(settings: Settings) -> Proxy {
        let build = BuildInfo {
            version: "0",
            revision: "test",
        };
        let names = Names {
            listeners: &["first"],
            routes: &["main"],
            upstreams: &["upstream"],
        };
        let metrics = Arc::new(Metrics::new(build, names).expect("names that are in order"));
        Proxy::start(settings, &metrics).expect("settings that are in order")
    }
}
