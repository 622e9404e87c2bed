//! Drains: farewells to all pairs or to some of them, spread evenly over a time, which can be watched
//! and called off.
//!
//! There is one at a time. A whole one, ordered by an operator, stands until it is called off: new pairs
//! are refused meanwhile. The last one belongs to the end of the process, takes the place of
//! whatever is under way, and cannot be called off.

mod pace;
mod removal;
mod selection;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lubdub_metrics::Metrics;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::info;

use self::removal::Leaving;
pub(crate) use self::removal::{Farewells, LastRemoval, Removal};
pub use self::selection::Selection;
use crate::registry::{Order, PairId, Registry};
use crate::settings;

/// The drains of a proxy.
#[derive(Debug)]
pub(crate) struct Drains {
    registry: Arc<Registry>,
    metrics: Arc<Metrics>,
    /// No new pairs.
    refusing: AtomicBool,
    /// The latest one, also when it is over.
    latest: Mutex<Option<Course>>,
    /// Those whom a reload sends away.
    leaving: Mutex<Vec<Leaving>>,
}

/// A drain, from its order to its end.
#[derive(Debug)]
struct Course {
    id: u64,
    selection: Selection,
    delay: Duration,
    spread: Duration,
    stage: Stage,
    began: Instant,
    /// The pairs that it is about, once they are known.
    pairs: Vec<PairId>,
    matched: usize,
    told: usize,
    is_last: bool,
    called_off: CancellationToken,
}

/// How far a drain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Readiness says no, and nobody has been told yet: `drain.delay`.
    Waiting,
    /// Pairs are told, or have been and are ending.
    Running,
    /// All that it was about have ended.
    Done,
    /// Called off: those who were not told yet go on.
    CalledOff,
}

/// What is known of a drain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Its number, from 1 on.
    pub id: u64,
    /// Whom it is about.
    pub selection: Selection,
    /// Over which time it says its farewells.
    pub spread: Duration,
    /// How far it is.
    pub stage: Stage,
    /// So many pairs it is about.
    pub matched: usize,
    /// So many of them it has told.
    pub told: usize,
    /// So many of them are still open, told or not.
    pub remaining: usize,
}

/// Why there is no such drain, or it goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DrainError {
    /// There is one at a time.
    #[error("drain {0} is under way; wait for its end, or call it off first (cancel)")]
    UnderWay(u64),
    /// A whole one stands until it is called off.
    #[error("all of lubdub is drained already, by drain {0}; call it off first (cancel)")]
    Whole(u64),
    /// Another process takes over.
    #[error("lubdub is being handed over to a new process; ask that one")]
    HandingOver,
    /// The process is about to end.
    #[error("lubdub was told to stop and is ending; that cannot be changed any more")]
    Ending,
    /// Nothing can be called off.
    #[error("no drain is under way")]
    Nothing,
}

// === impl Drains ===

impl Drains {
    /// How often it is looked whether those who were told have ended.
    const LOOK: Duration = Duration::from_millis(100);

    pub(crate) fn new(registry: Arc<Registry>, metrics: Arc<Metrics>) -> Self {
        Self {
            registry,
            metrics,
            refusing: AtomicBool::new(false),
            latest: Mutex::default(),
            leaving: Mutex::default(),
        }
    }

    /// Whether new pairs are refused.
    pub(crate) fn is_refusing(&self) -> bool {
        self.refusing.load(SeqCst)
    }

    /// Whether all of the proxy is drained, or about to be.
    pub(crate) fn is_whole(&self) -> bool {
        self.lock().as_ref().is_some_and(Course::stands)
    }

    /// The drain that is under way, or stands.
    pub(crate) fn stands_in_the_way(&self) -> Option<u64> {
        let latest = self.lock();
        let course = latest.as_ref().filter(|course| course.make_way().is_err());
        course.map(|course| course.id)
    }

    /// Begins a drain, on the runtime of who calls.
    pub(crate) fn start(
        self: &Arc<Self>,
        selection: Selection,
        terms: settings::Drain,
    ) -> Result<Progress, DrainError> {
        let mut latest = self.lock();
        if let Some(course) = &*latest {
            course.make_way()?;
        }
        let course = Course::new(latest.as_ref(), selection, terms);
        if course.is_whole() {
            self.metrics.set_draining(true);
        }
        let (id, called_off) = (course.id, course.called_off.clone());
        let course = latest.insert(course);
        if !course.is_whole() {
            self.enlist(course);
        }
        let progress = self.progress_of(course);
        drop(latest);
        info!(
            drain = id,
            route = progress.selection.route.as_deref(),
            upstream = progress.selection.upstream.as_deref(),
            listener = progress.selection.listener.as_deref(),
            older_than_ms = progress.selection.older_than.map(millis),
            pairs = progress.matched,
            spread_ms = millis(progress.spread),
            "drain begins"
        );
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let _ = called_off.run_until_cancelled(this.run(id)).await;
        });
        Ok(progress)
    }

    /// Calls off the drain that is under way, or the whole one that stands.
    pub(crate) fn call_off(&self) -> Result<Progress, DrainError> {
        let mut latest = self.lock();
        let course = latest.as_mut().ok_or(DrainError::Nothing)?;
        if course.is_last {
            return Err(DrainError::Ending);
        }
        if course.make_way().is_ok() {
            return Err(DrainError::Nothing);
        }
        self.end(course, Stage::CalledOff);
        if course.is_whole() {
            self.refusing.store(false, SeqCst);
            self.metrics.set_draining(false);
        }
        Ok(self.progress_of(course))
    }

    /// Makes way for the last drain, which follows.
    pub(crate) fn begin_last(&self, terms: settings::Drain) {
        let mut latest = self.lock();
        if let Some(course) = &mut *latest
            && course.is_under_way()
        {
            self.end(course, Stage::CalledOff);
        }
        let mut course = Course::new(latest.as_ref(), Selection::default(), terms);
        course.is_last = true;
        *latest = Some(course);
        self.metrics.set_draining(true);
    }

    /// Says all farewells of the last drain. New pairs have to be refused already.
    pub(crate) async fn say_last_farewells(&self) {
        let id = {
            let mut latest = self.lock();
            let course = latest.as_mut().expect("the last drain has begun");
            self.enlist(course);
            course.id
        };
        self.tell(id).await;
    }

    /// What is known of the latest drain.
    pub(crate) fn progress(&self) -> Option<Progress> {
        self.lock().as_ref().map(|course| self.progress_of(course))
    }

    /// How many pairs are still open that a drain or a reload sends away.
    pub(crate) fn remaining(&self) -> usize {
        let mut pairs = BTreeSet::new();
        if let Some(course) = self.lock().as_ref().filter(|course| course.is_under_way()) {
            if course.is_whole() {
                return self.registry.len();
            }
            pairs.extend(&course.pairs);
        }
        pairs.extend(self.leaving().iter().flat_map(|some| &some.pairs));
        // Who is told by both is one.
        let pairs: Vec<_> = pairs.into_iter().collect();
        self.registry.count(&pairs)
    }

    /// Finds the pairs of what a reload has removed. [`Drains::say_farewells`] is to follow, if there are any.
    pub(crate) fn send_away(&self, removal: Removal, spread: Duration) -> Option<Farewells> {
        let pairs = self.registry.walk().flatten();
        let pairs = pairs.filter(|pair| removal.takes(pair));
        let pairs: Vec<_> = pairs.map(|pair| pair.id).collect();
        if pairs.is_empty() {
            return None;
        }
        info!(
            routes = removal.routes().as_deref(),
            upstreams = removal.upstreams().as_deref(),
            pairs = pairs.len(),
            spread_ms = millis(spread),
            "pairs of what was removed are told farewell"
        );
        let mut leaving = self.leaving();
        let id = leaving.last().map_or(0, |some| some.id) + 1;
        let some = Leaving {
            id,
            pairs: pairs.clone(),
        };
        leaving.push(some);
        Some(Farewells {
            id,
            removal,
            pairs,
            spread,
        })
    }

    /// Says farewell to them, and waits for their end.
    pub(crate) async fn say_farewells(&self, farewells: Farewells) {
        let Farewells {
            id,
            removal,
            pairs,
            spread,
        } = farewells;
        let began = Instant::now();
        let mut told = 0_usize;
        for (at, pair) in pace::schedule(pairs.clone(), spread) {
            // Who has ended meanwhile is not waited for.
            if self.registry.pair(pair).is_none() {
                continue;
            }
            sleep_until(began + at).await;
            if let Some(pair) = self.registry.pair(pair) {
                pair.order(Order::Drain);
                told += 1;
            }
        }
        while self.registry.count(&pairs) > 0 {
            sleep(Self::LOOK).await;
        }
        self.leaving().retain(|some| some.id != id);
        info!(
            routes = removal.routes().as_deref(),
            upstreams = removal.upstreams().as_deref(),
            pairs = pairs.len(),
            told,
            lasted_ms = millis(began.elapsed()),
            "pairs of what was removed have ended"
        );
    }

    /// How many pairs of the latest drain are still open, if it is under way.
    fn remaining_of_latest(&self) -> usize {
        let latest = self.lock();
        let course = latest.as_ref().filter(|course| course.is_under_way());
        course.map_or(0, |course| self.progress_of(course).remaining)
    }

    /// A drain up to its end.
    async fn run(&self, id: u64) {
        if let Some(delay) = self.delay(id) {
            sleep(delay).await;
            let mut latest = self.lock();
            // It may have been called off just now.
            let is_due = |course: &&mut Course| course.id == id && course.stage == Stage::Waiting;
            let Some(course) = latest.as_mut().filter(is_due) else {
                return;
            };
            // First, so that who comes in from now on is told, and the others are found.
            self.refusing.store(true, SeqCst);
            self.enlist(course);
        }
        self.tell(id).await;
        while self.remaining_of_latest() > 0 {
            sleep(Self::LOOK).await;
        }
        let mut latest = self.lock();
        if let Some(course) = latest.as_mut().filter(|course| course.is_running(id)) {
            self.end(course, Stage::Done);
        }
    }

    /// How long it waits before anybody is told, if it does.
    fn delay(&self, id: u64) -> Option<Duration> {
        let latest = self.lock();
        let waits = |course: &&Course| course.id == id && course.stage == Stage::Waiting;
        latest.as_ref().filter(waits).map(|course| course.delay)
    }

    /// Finds the pairs that a drain is about.
    fn enlist(&self, course: &mut Course) {
        course.pairs = self.matching(&course.selection);
        course.matched = course.pairs.len();
        course.stage = Stage::Running;
    }

    fn matching(&self, selection: &Selection) -> Vec<PairId> {
        let now = Instant::now().into_std();
        let pairs = self.registry.walk().flatten();
        pairs
            .filter(|pair| selection.takes(pair, now))
            .map(|pair| pair.id)
            .collect()
    }

    /// Tells the pairs of a drain, each at its moment.
    async fn tell(&self, id: u64) {
        let (pairs, spread) = match &*self.lock() {
            Some(course) if course.id == id => (course.pairs.clone(), course.spread),
            _ => return,
        };
        let began = Instant::now();
        for (at, pair) in pace::schedule(pairs, spread) {
            // Who has ended meanwhile is not waited for.
            if self.registry.pair(pair).is_none() {
                continue;
            }
            let at = began + at;
            if at > Instant::now() {
                sleep_until(at).await;
            }
            let mut latest = self.lock();
            let Some(course) = latest.as_mut().filter(|course| course.is_running(id)) else {
                return;
            };
            if let Some(pair) = self.registry.pair(pair) {
                pair.order(Order::Drain);
                course.told += 1;
            }
        }
    }

    fn end(&self, course: &mut Course, stage: Stage) {
        if course.stage == Stage::Waiting {
            // Whom it would have been about.
            self.enlist(course);
        }
        course.stage = stage;
        course.called_off.cancel();
        let lasted = course.began.elapsed();
        let (pairs, told) = (course.matched, course.told);
        let lasted_ms = millis(lasted);
        let drain = course.id;
        if stage == Stage::CalledOff {
            info!(drain, pairs, told, lasted_ms, "drain called off");
        } else {
            course.pairs = Vec::new();
            info!(drain, pairs, told, lasted_ms, "drain ends");
        }
    }

    fn progress_of(&self, course: &Course) -> Progress {
        let is_known = course.stage != Stage::Waiting;
        let matched = match is_known {
            true => course.matched,
            // As things are.
            false => self.registry.len(),
        };
        Progress {
            id: course.id,
            selection: course.selection.clone(),
            spread: course.spread,
            stage: course.stage,
            matched,
            told: course.told,
            // Those who came late to a whole one were told at once.
            remaining: match course.is_whole() {
                true => self.registry.len(),
                false => self.registry.count(&course.pairs),
            },
        }
    }

    fn leaving(&self) -> MutexGuard<'_, Vec<Leaving>> {
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Course>> {
        // Nothing that is done under the lock leaves it half changed.
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Course ===

impl Course {
    fn new(before: Option<&Self>, selection: Selection, terms: settings::Drain) -> Self {
        Self {
            id: before.map_or(0, |course| course.id) + 1,
            selection,
            delay: terms.delay,
            spread: terms.spread,
            stage: Stage::Waiting,
            began: Instant::now(),
            pairs: Vec::new(),
            matched: 0,
            told: 0,
            is_last: false,
            called_off: CancellationToken::new(),
        }
    }

    fn is_whole(&self) -> bool {
        self.selection.is_whole()
    }

    /// Whether it keeps new pairs out, or will.
    fn stands(&self) -> bool {
        self.is_whole() && self.stage != Stage::CalledOff
    }

    fn is_under_way(&self) -> bool {
        matches!(self.stage, Stage::Waiting | Stage::Running)
    }

    fn is_running(&self, id: u64) -> bool {
        self.id == id && self.stage == Stage::Running
    }

    /// Whether another one may begin.
    fn make_way(&self) -> Result<(), DrainError> {
        if self.is_last {
            Err(DrainError::Ending)
        } else if self.stands() {
            Err(DrainError::Whole(self.id))
        } else if self.stage == Stage::Running {
            Err(DrainError::UnderWay(self.id))
        } else {
            Ok(())
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
