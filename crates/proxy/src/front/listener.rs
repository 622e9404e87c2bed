//! One listening socket. It is accepted at by the worker with the fewest pairs, and moves when that is another one.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use lubdub_metrics::Pause;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::gates::Gate;
use super::listening::{Bound, Listening};
use super::newcomer::{self, Newcomer};
use crate::entrance::{Entrance, Place};
use crate::shared::Shared;
use crate::socket::Kind;
use crate::starvation::{STARVED, is_starvation};
use crate::worker::{Crew, Worker};

/// Accepts connections for one listener.
#[derive(Debug)]
pub(crate) struct Acceptor {
    /// Whose thread it runs on, and who serves whom it accepts.
    worker: Arc<Worker>,
    crew: Arc<Crew>,
    // Not the runtime's own listener: that would register each connection with the acceptor's
    // event queue, only to take it out again for the worker's.
    socket: AsyncFd<Arc<Listening>>,
    /// What waits in its accept queue is not lost when it is closed here.
    is_lent: bool,
    /// The listener as it is now: a reload may change it.
    entrance: Arc<ArcSwap<Entrance>>,
    shared: Arc<Shared>,
    /// When there was last no descriptor for a connection.
    starved: Option<Instant>,
    /// The worker that is to accept next, if it begins with what it was given.
    next: Option<usize>,
}

impl Acceptor {
    /// So long after the last one, a further failure for want of descriptors is news.
    const CALM: Duration = Duration::from_secs(10);
    /// So many connections at a time are told that lubdub is going though there is no place for them.
    const BEYOND: usize = 16;
    /// How long a connection that has to go may take until the next one has to go as well.
    const MAKING_ROOM: Duration = Duration::from_millis(100);

    /// Has this worker wait for connections.
    pub(crate) fn new(
        bound: Bound,
        entrance: Arc<ArcSwap<Entrance>>,
        shared: Arc<Shared>,
        crew: Arc<Crew>,
        worker: Arc<Worker>,
    ) -> io::Result<Self> {
        let is_lent = bound.is_lent;
        let name = &entrance.load().listener.name;
        let gates = &shared.gates;
        gates.open(name, bound.address, is_lent, &bound.socket);
        Ok(Self {
            socket: wait_at(&worker, bound.socket)?,
            worker,
            crew,
            is_lent,
            entrance,
            shared,
            starved: None,
            next: None,
        })
    }

    fn kind(&self) -> Kind {
        self.socket.get_ref().kind()
    }

    fn name(&self) -> Arc<str> {
        Arc::clone(&self.entrance.load().listener.name)
    }

    /// Accepts until `stop`, then what waits in the accept queue: closing the socket over it would
    /// reset connections that the clients believe to have. Where somebody else listens as well, these are
    /// left to the next who accepts. `tracker` knows when that is over.
    pub(crate) fn start(self, stop: CancellationToken, tracker: TaskTracker) {
        let runtime = self.worker.runtime().clone();
        let run = self.run(stop, tracker.clone());
        runtime.spawn(tracker.track_future(run));
    }

    /// That at this worker: where it moves to another one, it is started there.
    async fn run(mut self, stop: CancellationToken, tracker: TaskTracker) {
        let mut gate = self.shared.gates.gate();
        while let Some(accepted) = stop.run_until_cancelled(self.accept_at(&mut gate)).await {
            let Some(accepted) = accepted else {
                // The socket is another process's, and who waits there as well.
                return;
            };
            match accepted {
                Ok(newcomer) => {
                    let least = Arc::clone(self.crew.least_loaded());
                    // Where nobody runs, nobody would accept.
                    let gives_way =
                        self.worker.should_give_way_to(&least) && least.has_begun_with_all();
                    let rests = least.rests();
                    if gives_way || self.worker.should_leave_one_to(&least) {
                        self.serve(newcomer, &least);
                    } else {
                        self.serve(newcomer, &self.worker);
                    }
                    if gives_way {
                        // It rests, or it was given one before and has begun with it.
                        let was_next = self.next.replace(least.number) == Some(least.number);
                        if (rests || was_next) && self.move_to(least) {
                            return self.start(stop, tracker);
                        }
                    }
                }
                Err(error) if is_starvation(&error) => {
                    let last = self.starved.replace(Instant::now());
                    if last.is_none_or(|last| last.elapsed() > Self::CALM) {
                        warn!(listener = %self.name(), %error, "cannot accept; live pairs go on, new connections wait");
                    }
                    self.shared.make_room();
                    let pause = tokio::time::sleep(STARVED);
                    self.shared.paused(Pause::Files, pause).await;
                }
                Err(error) => {
                    debug!(listener = %self.name(), %error, "a connection went before it was accepted");
                }
            }
        }
        if self.is_lent {
            return;
        }
        // Nobody comes any more. Whoever wants the path can have it as soon as this one closes.
        if let Some(file) = self.socket.get_ref().file() {
            file.remove();
        }
        let rest = self.shared.cutting.run_until_cancelled(self.empty());
        rest.await;
    }

    /// Has `worker` wait for connections, not the one that does now. It stays where the kernel has no room for that.
    fn move_to(&mut self, worker: Arc<Worker>) -> bool {
        let socket = Arc::clone(self.socket.get_ref());
        match wait_at(&worker, socket) {
            Ok(socket) => {
                self.socket = socket;
                self.worker = worker;
                self.next = None;
                true
            }
            Err(error) => {
                debug!(listener = %self.name(), %error, "another worker cannot accept");
                false
            }
        }
    }

    /// Takes those out of the accept queue that are in it, to be told that lubdub is going: no more than it
    /// held, for others may be coming as fast as these are taken, and only a few at a time beyond the places
    /// that there are: each is a descriptor, and those who are being served need some.
    async fn empty(&self) {
        for _ in 0..Bound::BACKLOG {
            if !self.is_somebody_there() {
                return;
            }
            let place = loop {
                if let Some(place) = self.entrance.load_full().try_place_beyond(Self::BEYOND) {
                    break place;
                }
                self.shared.idle.close_oldest();
                tokio::time::sleep(STARVED).await;
            };
            match self.socket.get_ref().accept() {
                Ok((socket, peer)) => {
                    let newcomer = Newcomer {
                        socket,
                        kind: self.kind(),
                        peer,
                        slot: None,
                        place,
                    };
                    self.serve(newcomer, self.crew.least_loaded());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if is_starvation(&error) => tokio::time::sleep(STARVED).await,
                Err(_) => {}
            }
        }
    }

    /// Waits for a connection while the gate is open; `None` when it was given up.
    async fn accept_at(&self, gate: &mut watch::Receiver<Gate>) -> Option<io::Result<Newcomer>> {
        loop {
            let is_open = match *gate.borrow_and_update() {
                Gate::Open => true,
                Gate::Shut => false,
                Gate::GivenUp => return None,
            };
            tokio::select! {
                biased;
                changed = gate.changed() => changed.ok()?,
                accepted = self.accept(), if is_open => return Some(accepted),
            }
        }
    }

    /// Waits for a connection, and for the room to serve it: until there is some, it stays in the
    /// accept queue.
    async fn accept(&self) -> io::Result<Newcomer> {
        let shared = &self.shared;
        loop {
            // Not before somebody is there: an idle listener must not hold another's last place.
            let mut ready = self.socket.readable().await?;
            let place = match self.entrance.load_full().try_place() {
                Some(place) => place,
                // The runtime remembers the last one that came: nobody has to go for that one.
                None if !self.is_somebody_there() => {
                    ready.clear_ready();
                    continue;
                }
                None => self.place().await,
            };
            let handshakes = &shared.admission.handshakes;
            let slot = match handshakes.try_take_quietly() {
                Some(slot) => slot,
                None => shared.paused(Pause::Handshakes, handshakes.take()).await,
            };
            match ready.try_io(|socket| socket.get_ref().accept()) {
                Ok(Ok((socket, peer))) => {
                    return Ok(Newcomer {
                        socket,
                        kind: self.kind(),
                        peer,
                        slot: Some(slot),
                        place,
                    });
                }
                Ok(Err(error)) => return Err(error),
                // Somebody was, and has gone.
                Err(_would_block) => {}
            }
        }
    }

    /// Whether the accept queue has somebody in it.
    fn is_somebody_there(&self) -> bool {
        let mut listener = [PollFd::new(self.socket.get_ref(), PollFlags::IN)];
        // Who cannot be asked is looked at by accepting.
        poll(&mut listener, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// Waits for a place for one more connection. Those on which nothing is under way have to go for
    /// it, the oldest first.
    async fn place(&self) -> Place {
        let (entrance, shared) = (self.entrance.load_full(), &self.shared);
        let find = async {
            let mut place = pin!(entrance.place());
            let mut is_told = false;
            loop {
                // Nothing is amiss as long as somebody can go.
                if !shared.idle.close_oldest() {
                    if is_told {
                        entrance.connections.still_missed();
                    } else {
                        entrance.connections.on_missed();
                    }
                    is_told = true;
                }
                if let Ok(place) = timeout(Self::MAKING_ROOM, place.as_mut()).await {
                    return place;
                }
            }
        };
        shared.paused(Pause::Connections, find).await
    }

    fn serve(&self, newcomer: Newcomer, worker: &Arc<Worker>) {
        worker.on_given();
        worker.spawn(newcomer::serve(
            newcomer,
            self.entrance.load_full(),
            Arc::clone(&self.shared),
            Arc::clone(worker),
            // Counted here, not when the worker gets to it: a burst must not all go to one.
            worker.load(),
        ));
    }
}

/// Has a worker wait for connections.
fn wait_at(worker: &Worker, socket: Arc<Listening>) -> io::Result<AsyncFd<Arc<Listening>>> {
    let _within = worker.runtime().enter();
    #[expect(
        deprecated,
        reason = "its soundness depends on what is wrapped: a listening socket keeps its descriptor"
    )]
    AsyncFd::with_interest(socket, Interest::READABLE)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{Ipv4Addr, SocketAddr, TcpStream};
    use std::num::NonZeroUsize;
    use std::sync::mpsc;
    use std::thread;

    use super::*;
    use crate::Proxy;
    use crate::address::Address;
    use crate::proxy::testing;
    use crate::settings::{Settings, testing::settings};

    fn start() -> (Proxy, SocketAddr) {
        let anywhere: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
        let proxy = testing::start(Settings {
            workers: NonZeroUsize::MIN.saturating_add(1),
            ..settings(&[("first", anywhere)])
        });
        let (_, Address::Ip(address)) = proxy.listeners().addresses().remove(0) else {
            panic!("it listens for TCP");
        };
        (proxy, address)
    }

    #[test]
    fn the_acceptor_moves_at_once_to_a_worker_that_rests() {
        let (proxy, address) = start();
        let [first, second] = [0, 1].map(|n| proxy.crew().on_duty(n));
        let have = |at_first: usize, at_second: usize| {
            let limit = Instant::now() + Duration::from_secs(10);
            let both_rest = || {
                let mut both = [first, second].into_iter();
                both.all(|worker| worker.rests() && worker.has_begun_with_all())
            };
            while (first.has(), second.has()) != (at_first, at_second) || !both_rest() {
                assert!(Instant::now() < limit, "{}, {}", first.has(), second.has());
                thread::yield_now();
            }
        };
        // They say nothing, and stay.
        let mut all = Vec::new();
        let mut comes = || all.push(TcpStream::connect(address).unwrap());
        for each in 0..8 {
            comes();
            have(each + 1, each);
            comes();
            have(each + 1, each + 1);
        }
        for more in 9..=13 {
            comes();
            have(more, 8);
        }
        // With this one it moves: the next is no business of the worker that has more.
        comes();
        have(13, 9);
        comes();
        have(13, 10);
    }

    /// The acceptor would have moved to it, for it never gets rid of what it has.
    #[test]
    fn a_worker_that_hangs_does_not_accept_in_place_of_one_that_runs() {
        let (proxy, address) = start();
        let (go_on, wait) = mpsc::channel::<()>();
        let (hangs, is_hanging) = mpsc::channel::<()>();
        proxy.crew().on_duty(1).runtime().spawn(async move {
            hangs.send(()).unwrap();
            let _ = wait.recv();
        });
        is_hanging.recv().unwrap();
        // They say nothing, and stay.
        let _all: Vec<_> = (0..40)
            .map(|_| TcpStream::connect(address).unwrap())
            .collect();
        let mut last = TcpStream::connect(address).unwrap();
        last.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
        last.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let mut answer = [0; 12];
        last.read_exact(&mut answer).expect("an answer");
        assert!(answer.starts_with(b"HTTP/1.1 4"), "{answer:?}");
        go_on.send(()).unwrap();
    }
}
