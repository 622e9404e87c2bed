//! Worker threads: each has a runtime and pairs of its own, so that a pair's two sockets, its
//! timer and its memory stay on one core and nothing is locked (docs/adr/0002).

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

use crate::socket::together;

/// The worker threads of a proxy; they end when this is dropped.
#[derive(Debug)]
pub(crate) struct Workers {
    crew: Arc<Crew>,
    threads: Vec<JoinHandle<()>>,
    stop: CancellationToken,
}

/// Those who share the work, as each of them knows the others.
#[derive(Debug)]
pub(crate) struct Crew {
    workers: Vec<Arc<Worker>>,
}

/// One worker thread.
#[derive(Debug)]
pub(crate) struct Worker {
    /// Its number among them, from 0.
    pub(crate) number: usize,
    runtime: Handle,
    work: Arc<Work>,
    /// Connections that were given to it and that it has not looked at yet.
    given: AtomicUsize,
    tasks: TaskTracker,
}

/// What a worker has to do.
#[derive(Debug, Default)]
struct Work {
    /// Connections and pairs.
    load: AtomicUsize,
    /// Tells the worker when that changes.
    changed: Notify,
    /// Its thread waits for something to happen. One that hangs does not.
    rests: AtomicBool,
    /// Its thread is no more.
    has_ended: AtomicBool,
}

/// The thread of a worker; nobody is given to one that has ended.
struct AtWork<'a>(&'a Work);

/// A connection or a pair, as far as a worker is concerned.
#[derive(Debug, Default)]
pub(crate) struct Load(Arc<Work>);

// === impl Workers ===

impl Workers {
    /// `tasks` are the connections and pairs of all of them. Each calls `tidy` a moment after connections or pairs
    /// have come or gone.
    pub(crate) fn start(
        count: NonZeroUsize,
        io_uring: bool,
        tidy: fn(),
        tasks: &TaskTracker,
    ) -> io::Result<Self> {
        let stop = CancellationToken::new();
        // Should a later worker fail to start, the earlier ones must not wait for ever.
        let unless_all_start = stop.clone().drop_guard();
        let mut workers = Vec::with_capacity(count.get());
        let mut threads = Vec::with_capacity(count.get());
        let is_told = Arc::new(AtomicBool::new(false));
        for number in 0..count.get() {
            let work = Arc::<Work>::default();
            let (resting, woken) = (Arc::clone(&work), Arc::clone(&work));
            let runtime = Builder::new_current_thread()
                .enable_all()
                .on_thread_park(move || {
                    together::send_all();
                    resting.rests.store(true, Relaxed);
                })
                .on_thread_unpark(move || woken.rests.store(false, Relaxed))
                .build()?;
            workers.push(Arc::new(Worker {
                number,
                runtime: runtime.handle().clone(),
                work: Arc::clone(&work),
                given: AtomicUsize::new(0),
                tasks: tasks.clone(),
            }));
            let (stop, is_told) = (stop.clone(), Arc::clone(&is_told));
            let thread = thread::Builder::new()
                .name(format!("lubdub-worker-{number}"))
                .spawn(move || {
                    let _at_work = AtWork(&work);
                    if let Err(error) = together::begin(io_uring)
                        && !is_told.swap(true, Relaxed)
                    {
                        info!(%error, "io_uring is not used");
                    }
                    runtime.block_on(stop.run_until_cancelled(work.tidy_up(tidy)));
                    // A name resolution that hangs must not keep the process from its end.
                    runtime.shutdown_background();
                })?;
            threads.push(thread);
        }
        unless_all_start.disarm();
        Ok(Self {
            crew: Arc::new(Crew { workers }),
            threads,
            stop,
        })
    }

    pub(crate) fn crew(&self) -> &Arc<Crew> {
        &self.crew
    }

    /// How many tasks are alive on the runtimes of all workers, whoever spawned them.
    pub(crate) fn tasks(&self) -> usize {
        let workers = self.crew.workers.iter();
        workers
            .map(|worker| worker.runtime.metrics().num_alive_tasks())
            .sum()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.cancel();
        for thread in self.threads.drain(..) {
            // A worker that panicked has said so; there is nothing to add.
            let _ = thread.join();
        }
    }
}

// === impl Crew ===

impl Crew {
    /// The worker for the `n`th of several duties.
    pub(crate) fn on_duty(&self, n: usize) -> &Arc<Worker> {
        &self.workers[n % self.workers.len()]
    }

    /// Waits until each of them has done something that it was given just now.
    pub(crate) async fn answer(&self) {
        let asked: Vec<_> = self
            .workers
            .iter()
            .map(|worker| worker.runtime.spawn(async {}))
            .collect();
        for answer in asked {
            // One whose runtime has ended does not hang.
            let _ = answer.await;
        }
    }

    pub(crate) fn least_loaded(&self) -> &Arc<Worker> {
        self.workers
            .iter()
            .min_by_key(|worker| {
                let work = &worker.work;
                (work.has_ended.load(Relaxed), work.load.load(Relaxed))
            })
            .expect("there is at least one worker")
    }
}

// === impl Worker ===

impl Worker {
    const FEW: usize = 8;

    /// The runtime of its thread.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Whether `other`, which has the fewest, should accept in its place. A few more do not matter where sessions
    /// are short: they end as fast as they come, and each move wakes the other one.
    pub(crate) fn should_give_way_to(&self, other: &Self) -> bool {
        let least = other.work.load.load(Relaxed);
        self.work.load.load(Relaxed) > least + 4 + least / 16
    }

    /// Whether the next connection should be that of `other`, which has the fewest. Each counts where there are few:
    /// it may be a busy one.
    pub(crate) fn should_leave_one_to(&self, other: &Self) -> bool {
        let here = self.work.load.load(Relaxed);
        here <= Self::FEW && here > other.work.load.load(Relaxed)
    }

    /// A connection is given to it.
    pub(crate) fn on_given(&self) {
        self.given.fetch_add(1, Relaxed);
    }

    /// It has begun with one.
    pub(crate) fn on_begun(&self) {
        self.given.fetch_sub(1, Relaxed);
    }

    /// Whether it has begun with all that it was given. One that hangs has not.
    pub(crate) fn has_begun_with_all(&self) -> bool {
        self.given.load(Relaxed) == 0
    }

    /// Whether it waits for something to happen: it does not hang in a task.
    pub(crate) fn rests(&self) -> bool {
        self.work.rests.load(Relaxed)
    }

    /// How many connections and pairs it has.
    #[cfg(test)]
    pub(crate) fn has(&self) -> usize {
        self.work.load.load(Relaxed)
    }

    /// Counts a connection or a pair as this worker's until it is dropped.
    pub(crate) fn load(&self) -> Load {
        self.work.load.fetch_add(1, Relaxed);
        self.work.changed.notify_one();
        Load(Arc::clone(&self.work))
    }

    /// Runs a connection or a pair; the proxy's end waits for it.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(self.tasks.track_future(task));
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.load.fetch_sub(1, Relaxed);
        self.0.changed.notify_one();
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.rests.store(false, Relaxed);
        self.0.has_ended.store(true, Relaxed);
    }
}

// === impl Work ===

impl Work {
    /// So long after a change the worker tidies up, and it does so no more often.
    const TIDYING: Duration = Duration::from_secs(1);

    /// Where nothing changes nobody is woken.
    async fn tidy_up(&self, tidy: fn()) -> Infallible {
        loop {
            self.changed.notified().await;
            sleep(Self::TIDYING).await;
            tidy();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use tokio::time::{Instant, timeout};

    use super::*;

    #[tokio::test]
    async fn workers_with_few_share_them_and_those_with_many_nearly_do() {
        let two = NonZeroUsize::MIN.saturating_add(1);
        let workers = Workers::start(two, true, || (), &TaskTracker::new()).unwrap();
        let [here, there] = [0, 1].map(|n| workers.crew().on_duty(n));
        let loads = |worker: &Worker, count| -> Vec<_> {
            std::iter::repeat_with(|| worker.load())
                .take(count)
                .collect()
        };
        for (at_here, at_there, leaves_one, gives_way) in [
            (0, 0, false, false),
            (1, 0, true, false),
            (1, 1, false, false),
            (5, 0, true, true),
            (8, 7, true, false),
            (9, 7, false, false),
            (11, 7, false, false),
            (12, 7, false, true),
            (170, 160, false, false),
            (174, 160, false, false),
            (175, 160, false, true),
            (7, 12, false, false),
        ] {
            let _counted = (loads(here, at_here), loads(there, at_there));
            let found = (
                here.should_leave_one_to(there),
                here.should_give_way_to(there),
            );
            assert_eq!(found, (leaves_one, gives_way), "{at_here}, {at_there}");
        }
    }

    /// Sends what happens, from the thread where it does.
    static TIDIED: Mutex<Option<mpsc::Sender<Option<String>>>> = Mutex::new(None);

    #[test]
    fn it_tidies_on_its_own_thread_a_second_after_a_change_and_not_where_nothing_changes() {
        let (tell, told) = mpsc::channel();
        *TIDIED.lock().unwrap() = Some(tell);
        let tidy = || {
            let name = thread::current().name().map(str::to_owned);
            let tell = TIDIED.lock().unwrap();
            tell.as_ref().unwrap().send(name).unwrap();
        };
        let workers = Workers::start(NonZeroUsize::MIN, true, tidy, &TaskTracker::new()).unwrap();
        let worker = workers.crew().on_duty(0);
        let mut loads = Vec::new();
        for _ in 0..2 {
            let began = Instant::now();
            // They come, and then they go.
            match loads.is_empty() {
                true => loads = [0; 100].map(|_| worker.load()).into(),
                false => loads.clear(),
            }
            let name = told.recv_timeout(Duration::from_secs(10)).unwrap();
            assert_eq!(name.as_deref(), Some("lubdub-worker-0"));
            assert!(began.elapsed() >= Work::TIDYING, "{:?}", began.elapsed());
            // Once more for what has changed behind the first of them.
            let _ = told.recv_timeout(2 * Work::TIDYING);
        }
        assert!(
            told.recv_timeout(2 * Work::TIDYING).is_err(),
            "nothing has changed"
        );
    }

    #[tokio::test]
    async fn who_has_ended_gets_nobody() {
        let two = NonZeroUsize::MIN.saturating_add(1);
        let workers = Workers::start(two, true, || (), &TaskTracker::new()).unwrap();
        let [first, second] = [0, 1].map(|n| workers.crew().on_duty(n));
        let _busy = second.load();
        assert_eq!(workers.crew().least_loaded().number, 0);
        drop(AtWork(&first.work));
        assert_eq!(workers.crew().least_loaded().number, 1);
        assert!(!first.rests());
    }

    #[tokio::test]
    async fn a_worker_that_hangs_does_not_answer_and_does_not_rest() {
        let two = NonZeroUsize::MIN.saturating_add(1);
        let workers = Workers::start(two, true, || (), &TaskTracker::new()).unwrap();
        workers.crew().answer().await;
        let (go_on, wait) = mpsc::channel::<()>();
        let (hangs, is_hanging) = mpsc::channel::<()>();
        workers.crew().on_duty(1).runtime().spawn(async move {
            hangs.send(()).unwrap();
            let _ = wait.recv();
        });
        is_hanging.recv().unwrap();
        let answer = timeout(Duration::from_millis(50), workers.crew().answer()).await;
        assert!(answer.is_err());
        assert!(!workers.crew().on_duty(1).rests());
        go_on.send(()).unwrap();
        workers.crew().answer().await;
        let rests = async {
            while !workers.crew().on_duty(1).rests() {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(10), rests).await.unwrap();
    }
}
