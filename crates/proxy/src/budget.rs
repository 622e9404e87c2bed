//! A budget: so many places, how many of them are taken, and who may wait for one.
//!
//! Every bound of the proxy on connections, handshakes, pairs and requests is one of these. It can be
//! made larger or smaller while places are taken, it says what is used and what there is, and its
//! exhaustion is told twice: one WARN when it begins, one INFO with its length when it is over.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lubdub_metrics::{BudgetMetrics, Gauge};
use tokio::sync::Semaphore;
use tokio::time::{Duration, Instant};
use tracing::{info, warn};

/// So many places.
#[derive(Debug)]
pub struct Budget {
    subject: Subject,
    free: Semaphore,
    total: AtomicUsize,
    taken: AtomicUsize,
    /// Places that were taken when the budget was made smaller, and that are not to come back.
    owed: AtomicUsize,
    exhaustion: Mutex<Option<Exhaustion>>,
}

/// What a budget is of, for the log.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The key that sets it.
    pub key: &'static str,
    /// Whose it is, where there are several: the name of a route or an upstream.
    pub name: Option<Arc<str>>,
    /// What becomes of those for whom there is no place.
    pub effect: &'static str,
}

/// What is used of a budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetUse {
    /// What it is a budget of: a fixed word.
    pub name: &'static str,
    /// Whose it is, where there are several: the name of a route or an upstream.
    pub of: Option<Arc<str>>,
    /// The key that sets it.
    pub key: &'static str,
    /// In use now. It can be more than there is: a reload may have made the budget smaller.
    pub used: usize,
    /// All that there is.
    pub max: usize,
    /// What becomes of those for whom there is no place.
    pub at_the_end: &'static str,
}

/// One place; given back when dropped. (Half the size of the semaphore's own: a pair holds several.)
#[derive(Debug)]
pub struct Permit(Arc<Budget>);

/// A time in which there was no place for somebody.
#[derive(Debug, Clone, Copy)]
struct Exhaustion {
    began: Instant,
    /// When somebody last found no place.
    last: Instant,
    /// How many did.
    missed: u64,
}

impl Budget {
    /// So long after somebody last found no place, the exhaustion is over: a budget that is used up
    /// again and again within this time is one story, not many.
    const CALM: Duration = Duration::from_secs(10);

    /// A budget of `total` places.
    #[must_use]
    pub fn new(total: usize, subject: Subject) -> Arc<Self> {
        let total = total.min(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            subject,
            free: Semaphore::new(total),
            total: AtomicUsize::new(total),
            taken: AtomicUsize::new(0),
            owed: AtomicUsize::new(0),
            exhaustion: Mutex::new(None),
        })
    }

    /// How many places there are.
    pub(crate) fn total(&self) -> usize {
        self.total.load(Relaxed)
    }

    /// How many of them are taken.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Relaxed)
    }

    /// Whether there is an end of it that can be reached.
    pub(crate) fn is_bounded(&self) -> bool {
        self.total() < Semaphore::MAX_PERMITS
    }

    /// What is used of it; `name` is the word for what it is a budget of.
    #[must_use]
    pub fn usage(&self, name: &'static str) -> BudgetUse {
        BudgetUse {
            name,
            of: self.subject.name.clone(),
            key: self.subject.key,
            used: self.taken(),
            max: self.total(),
            at_the_end: self.subject.effect,
        }
    }

    /// Writes both down.
    pub fn sample(&self, metrics: &BudgetMetrics) {
        metrics.used.set(as_f64(self.taken()));
        metrics.total.set(as_f64(self.total()));
    }

    /// Writes down how many places there are; infinitely many where there is no end.
    pub(crate) fn sample_total(&self, total: &Gauge) {
        total.set(match self.is_bounded() {
            true => as_f64(self.total()),
            false => f64::INFINITY,
        });
    }

    /// A place, if there is one now.
    #[must_use]
    pub fn try_take(self: &Arc<Self>) -> Option<Permit> {
        let permit = self.try_take_quietly();
        if permit.is_none() {
            self.on_missed();
        }
        permit
    }

    /// A place, if there is one now; nobody is told if there is none.
    pub(crate) fn try_take_quietly(self: &Arc<Self>) -> Option<Permit> {
        self.try_occupy().then(|| Permit(Arc::clone(self)))
    }

    /// Whether there is a place now; it may be gone the next moment.
    pub(crate) fn has_room(&self) -> bool {
        self.free.available_permits() > 0
    }

    /// A place, also where there is none, for who was let in elsewhere. The next that come back make up
    /// for it.
    pub(crate) fn take_beyond(self: &Arc<Self>) -> Permit {
        let any = usize::MAX / 4;
        while !self.try_occupy_beyond(any) {}
        Permit(Arc::clone(self))
    }

    /// Waits for a place; those who wait are served in their order.
    pub(crate) async fn take(self: &Arc<Self>) -> Permit {
        if !self.try_occupy() {
            self.on_missed();
            self.occupy().await;
            self.still_missed();
        }
        Permit(Arc::clone(self))
    }

    /// Waits for a place that is about to come back; nobody is told.
    pub(crate) async fn take_quietly(self: &Arc<Self>) -> Permit {
        self.occupy().await;
        Permit(Arc::clone(self))
    }

    // --- for those who hold a place without a permit, and give it back themselves

    /// Takes a place if there is one now; nobody is told if there is none.
    pub(crate) fn try_occupy(&self) -> bool {
        let Ok(permit) = self.free.try_acquire() else {
            return false;
        };
        permit.forget();
        self.taken.fetch_add(1, Relaxed);
        true
    }

    /// Waits for a place; nobody is told.
    pub(crate) async fn occupy(&self) {
        let permit = self.free.acquire().await;
        permit.expect("no semaphore is ever closed").forget();
        self.taken.fetch_add(1, Relaxed);
    }

    /// Takes a place though there may be none, for who cannot be sent away any more, if no more than
    /// `extra` are taken like this. The next that come back make up for it.
    pub(crate) fn try_occupy_beyond(&self, extra: usize) -> bool {
        if self.try_occupy() {
            return true;
        }
        let is_within = self.taken() < self.total() + extra;
        if is_within {
            self.owed.fetch_add(1, Relaxed);
            self.taken.fetch_add(1, Relaxed);
        }
        is_within
    }

    /// Gives a place back.
    pub(crate) fn give_back(&self) {
        self.taken.fetch_sub(1, Relaxed);
        if self.pay(1) == 0 {
            self.free.add_permits(1);
        }
    }

    /// So many places do not come back, as far as so many are owed. Returns how many were.
    fn pay(&self, places: usize) -> usize {
        // In one step: others give theirs back at the same time.
        let less = |owed: usize| Some(owed.saturating_sub(places));
        let owed = self.owed.fetch_update(Relaxed, Relaxed, less);
        owed.map_or(0, |owed| owed.min(places))
    }

    // --- over time

    /// Makes it a budget of `total` places. Nobody loses a place: those above `total` are not given
    /// out again when they come back.
    pub(crate) fn resize(&self, total: usize) {
        let total = total.min(Semaphore::MAX_PERMITS);
        let before = self.total.swap(total, Relaxed);
        if total < before {
            let less = before - total;
            let gone = self.free.forget_permits(less);
            self.owed.fetch_add(less - gone, Relaxed);
        } else {
            let more = total - before;
            let kept = self.pay(more);
            self.free.add_permits(more - kept);
        }
    }

    /// Looks whether an exhaustion is over by `now`, and says so. To be called now and then.
    pub fn settle(&self, now: Instant) {
        let mut exhaustion = self.exhaustion();
        let Some(ended) = *exhaustion else {
            return;
        };
        if !self.has_room() || now.saturating_duration_since(ended.last) < Self::CALM {
            return;
        }
        *exhaustion = None;
        drop(exhaustion);
        let lasted = ended.last.saturating_duration_since(ended.began);
        info!(
            budget = self.subject.key,
            name = self.subject.name.as_deref(),
            places = self.total(),
            missed = ended.missed,
            lasted_ms = u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX),
            "budget has room again"
        );
    }

    /// Somebody found no place.
    pub(crate) fn on_missed(&self) {
        let now = Instant::now();
        let mut exhaustion = self.exhaustion();
        if let Some(goes_on) = &mut *exhaustion {
            goes_on.last = now;
            goes_on.missed += 1;
            return;
        }
        *exhaustion = Some(Exhaustion {
            began: now,
            last: now,
            missed: 1,
        });
        drop(exhaustion);
        warn!(
            budget = self.subject.key,
            name = self.subject.name.as_deref(),
            places = self.total(),
            effect = self.subject.effect,
            "budget used up"
        );
    }

    /// Whoever found no place has been waiting for one until now.
    pub(crate) fn still_missed(&self) {
        if let Some(goes_on) = &mut *self.exhaustion() {
            goes_on.last = Instant::now();
        }
    }

    fn exhaustion(&self) -> MutexGuard<'_, Option<Exhaustion>> {
        self.exhaustion
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

/// Counts of places are far below what a float tells apart.
#[expect(clippy::cast_precision_loss, reason = "said above")]
fn as_f64(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// A budget whose subject does not matter.
    pub(crate) fn budget(total: usize) -> Arc<Budget> {
        let subject = Subject {
            key: "limits.test",
            name: None,
            effect: "nothing comes of it",
        };
        Budget::new(total, subject)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Barrier;
    use std::task::Poll;
    use std::thread;

    use super::testing::budget;
    use super::*;

    fn counts(budget: &Budget) -> (usize, usize) {
        (budget.taken(), budget.total())
    }

    #[tokio::test(start_paused = true)]
    async fn places_are_counted_and_come_back() {
        let budget = budget(2);
        let one = budget.take().await;
        let two = budget.try_take().expect("a second place");
        assert_eq!(counts(&budget), (2, 2));
        assert!(budget.try_take().is_none());
        let mut third = pin!(budget.take());
        assert!(poll_once(third.as_mut()).await.is_pending());
        drop(one);
        let three = third.await;
        assert_eq!(counts(&budget), (2, 2));
        drop((two, three));
        assert_eq!(counts(&budget), (0, 2));
    }

    #[test]
    fn a_smaller_budget_takes_no_place_away_from_who_has_one() {
        let budget = budget(3);
        let mut held: Vec<_> = (0..3).map(|_| budget.try_take().expect("room")).collect();
        budget.resize(1);
        assert_eq!(counts(&budget), (3, 1));
        held.pop();
        held.pop();
        assert_eq!(counts(&budget), (1, 1));
        assert!(budget.try_take().is_none(), "the last place is taken");
        held.pop();
        assert!(budget.try_take().is_some());
        budget.resize(4);
        let all: Vec<_> = (0..5).map_while(|_| budget.try_take()).collect();
        assert_eq!(all.len(), 4);
    }

    #[test]
    fn a_budget_that_was_smaller_for_a_while_has_as_many_places_as_before() {
        let budget = budget(3);
        let held: Vec<_> = (0..3).map(|_| budget.try_take().expect("room")).collect();
        budget.resize(0);
        budget.resize(3);
        assert!(budget.try_take().is_none());
        drop(held);
        let all: Vec<_> = (0..5).map_while(|_| budget.try_take()).collect();
        assert_eq!(all.len(), 3);
    }

    /// A place that came back in the middle of a reload made what is owed less than nothing: none came back
    /// from then on, and the budget was used up for good.
    #[test]
    fn places_that_come_back_while_it_is_resized_are_not_lost() {
        for _ in 0..2_000 {
            let budget = budget(64);
            let held: Vec<_> = (0..64).map(|_| budget.try_take().expect("room")).collect();
            budget.resize(1);
            let start = Barrier::new(2);
            thread::scope(|scope| {
                scope.spawn(|| {
                    start.wait();
                    drop(held);
                });
                start.wait();
                (2..=64).for_each(|total| budget.resize(total));
            });
            assert_eq!(counts(&budget), (0, 64));
            let all: Vec<_> = (0..65).map_while(|_| budget.try_take()).collect();
            assert_eq!(all.len(), 64);
        }
    }

    #[test]
    fn who_is_taken_beyond_the_bound_is_made_up_for() {
        let budget = budget(1);
        assert!((0..3).all(|_| budget.try_occupy_beyond(2)));
        assert_eq!(counts(&budget), (3, 1));
        assert!(!budget.try_occupy_beyond(2), "no more than so many");
        budget.give_back();
        budget.give_back();
        assert!(budget.try_take().is_none(), "the last place is taken");
        budget.give_back();
        assert_eq!(counts(&budget), (0, 1));
        assert!(budget.try_take().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn an_exhaustion_is_over_when_nobody_was_turned_away_for_a_while() {
        let budget = budget(1);
        let held = budget.try_take();
        assert!(budget.try_take().is_none());
        tokio::time::advance(Budget::CALM / 2).await;
        assert!(budget.try_take().is_none());
        drop(held);
        let is_open = || budget.exhaustion().is_some();
        budget.settle(Instant::now());
        assert!(is_open(), "somebody was turned away just now");
        tokio::time::advance(Budget::CALM).await;
        let held = budget.try_take();
        budget.settle(Instant::now());
        assert!(is_open(), "there is no place even now");
        drop(held);
        budget.settle(Instant::now());
        assert!(!is_open());
    }

    /// However long somebody had waited for a place, the length in the log was 0: only the beginning of
    /// the wait counted.
    #[tokio::test(start_paused = true)]
    async fn an_exhaustion_lasts_as_long_as_somebody_waits() {
        let budget = budget(1);
        let held = budget.try_take();
        let waits = Duration::from_secs(5);
        let waiting = tokio::spawn({
            let budget = Arc::clone(&budget);
            async move { budget.take().await }
        });
        tokio::time::sleep(waits).await;
        drop(held);
        drop(waiting.await.expect("it gets the place"));
        let lasted = budget.exhaustion().map(|it| it.last - it.began);
        assert_eq!(lasted, Some(waits));
    }

    async fn poll_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
    }
}
