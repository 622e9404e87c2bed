//! The last pairs that have ended, and how: for who asks why.
//!
//! An end is kept as plain numbers beside the entry that the pair had: at the end of a pair nothing is written
//! out for somebody who may never ask.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use lubdub_keepalive::{PerSide, Rtt, Side};
use lubdub_metrics::{Cause, Diagnosis};
use tokio::sync::Notify;

use super::{PairEntry, PairFilter, PairId, SideStatus};

/// How a pair has ended.
#[derive(Debug, Clone)]
pub struct End {
    /// Ends have rising numbers, as they come.
    pub number: u64,
    /// When.
    pub at: SystemTime,
    /// Who it was.
    pub pair: Arc<PairEntry>,
    /// Why.
    pub cause: Cause,
    /// The first Close that passed, if one did.
    pub close: Option<SeenClose>,
    /// After a lapse: what the kernel could tell of it.
    pub diagnosis: Option<Diagnosis>,
    /// How long the pair lived.
    pub duration: Duration,
    /// After a lapse: how long the side had given no sign of life.
    pub lapsed_after: Option<Duration>,
    /// What whoever reads of it should know first.
    pub hint: Option<&'static str>,
    /// How its sides were.
    pub sides: PerSide<SideEnd>,
}

/// How a side was when its pair ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SideEnd {
    /// What was known of it from outside.
    pub status: SideStatus,
    /// Its round trips, if there were any.
    pub rtt: Option<Rtt>,
}

/// A Close, as seen by the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenClose {
    /// Who sent it.
    pub by: CloseSender,
    /// `None` if it carried none.
    pub code: Option<u16>,
}

/// Who sent a Close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // said above
pub enum CloseSender {
    Side(Side),
    Lubdub,
}

/// Which ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndQuery {
    /// Of pairs to which this applies.
    pub filter: PairFilter,
    /// For this cause.
    pub cause: Option<Cause>,
    /// Of this pair.
    pub pair: Option<PairId>,
}

/// The last ends.
#[derive(Debug)]
pub struct Ends {
    kept: Mutex<Kept>,
    /// Those who wait for the next one.
    watchers: AtomicUsize,
    news: Notify,
}

#[derive(Debug)]
struct Kept {
    /// Oldest first, and numbered without a gap.
    ends: VecDeque<End>,
    /// The number of the last one.
    count: u64,
}

/// Hears of ends as they come.
#[derive(Debug)]
pub struct EndsFeed {
    ends: Arc<Ends>,
    /// The number of the last end that it has heard of.
    heard: u64,
}

/// What a feed has heard.
#[derive(Debug, Default)]
pub struct EndNews {
    /// Oldest first.
    pub ends: Vec<End>,
    /// So many more there were, of which it does not tell.
    pub left_out: u64,
}

// === impl Ends ===

impl Ends {
    /// So many are kept.
    pub const KEPT: usize = 1000;

    /// So many are looked at under one lock.
    const SOME: u64 = 128;

    pub(super) fn new() -> Self {
        Self {
            kept: Mutex::new(Kept {
                ends: VecDeque::new(),
                // The numbers below are for the ends of an earlier process.
                count: Self::KEPT as u64,
            }),
            watchers: AtomicUsize::new(0),
            news: Notify::new(),
        }
    }

    /// How many are kept now.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.lock().ends.len()
    }

    /// Those that a query is about, at most so many, newest first.
    #[must_use]
    pub fn latest(&self, query: &EndQuery, limit: usize) -> Vec<End> {
        let mut found = Vec::new();
        let mut before = u64::MAX;
        while found.len() < limit {
            let kept = self.lock();
            before = before.min(kept.count + 1);
            let Some(begin) = kept.begin().filter(|begin| *begin < before) else {
                break;
            };
            let some = before.saturating_sub(Self::SOME).max(begin);
            let wanted = kept.range(some, before).rev();
            let wanted = wanted.filter(|end| query.takes(end)).cloned();
            found.extend(wanted.take(limit - found.len()));
            before = some;
        }
        found
    }

    /// Forgets all of them: for who measures whether anything else is left of pairs.
    pub fn forget(&self) {
        let forgotten = std::mem::take(&mut self.lock().ends);
        drop(forgotten);
    }

    /// Hears of every end from now on.
    #[must_use]
    pub fn feed(self: &Arc<Self>) -> EndsFeed {
        self.watchers.fetch_add(1, SeqCst);
        EndsFeed {
            heard: self.lock().count,
            ends: Arc::clone(self),
        }
    }

    /// Those of an earlier process, oldest first, which came before all that are here: as many of the last of them
    /// as there is room for. They are no news.
    pub(crate) fn add_earlier(&self, ends: Vec<End>) {
        let mut kept = self.lock();
        for mut end in ends.into_iter().rev() {
            let number = kept.begin().unwrap_or(kept.count + 1) - 1;
            if kept.ends.len() == Self::KEPT || number == 0 {
                break;
            }
            end.number = number;
            kept.ends.push_front(end);
        }
    }

    /// One more; it gets its number here.
    pub(crate) fn add(&self, mut end: End) {
        let forgotten = {
            let mut kept = self.lock();
            kept.count += 1;
            end.number = kept.count;
            let is_full = kept.ends.len() == Self::KEPT;
            let forgotten = is_full.then(|| kept.ends.pop_front());
            kept.ends.push_back(end);
            forgotten
        };
        // What it frees takes longer than all else here.
        drop(forgotten);
        if self.watchers.load(SeqCst) > 0 {
            self.news.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Nothing that is done under the lock can leave it half changed.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl End ===

impl End {
    /// What whoever reads of an end should know first: a side that lapsed and does not answer pings at all may have
    /// been well. `pongs` is how many each side has answered.
    pub(crate) fn hint(cause: Cause, pongs: PerSide<u64>) -> Option<&'static str> {
        if cause == Cause::ClientLapsed && pongs.client == 0 {
            Some(
                "the client never answered a ping: if it is well, see keepalive.client.enforce = learned",
            )
        } else if cause == Cause::UpstreamLapsed && pongs.upstream == 0 {
            Some(
                "the upstream never answered a ping: if it is well, see keepalive.upstream.enforce = learned",
            )
        } else {
            None
        }
    }
}

// === impl Kept ===

impl Kept {
    /// The number of the oldest that is kept.
    fn begin(&self) -> Option<u64> {
        Some(self.ends.front()?.number)
    }

    /// Those with numbers from `from` on, before `to`, which are kept.
    fn range(&self, from: u64, to: u64) -> impl DoubleEndedIterator<Item = &End> {
        let begin = self.begin().unwrap_or(from);
        let at = |number: u64| usize::try_from(number - begin).expect("so many are kept");
        self.ends.range(at(from)..at(to))
    }
}

// === impl EndsFeed ===

impl EndsFeed {
    /// Waits for an end. At most `most` are told; of more the newest are. Nothing is lost if it is not waited to
    /// its end.
    pub async fn next(&mut self, most: usize) -> EndNews {
        let ends = Arc::clone(&self.ends);
        loop {
            let news = ends.news.notified();
            // From here on nothing is missed.
            let mut news = std::pin::pin!(news);
            news.as_mut().enable();
            if let Some(news) = self.take(most) {
                return news;
            }
            news.await;
        }
    }

    /// All that is kept of what came before it began to hear, oldest first.
    pub(crate) fn heard_before(&self) -> Vec<End> {
        let kept = self.ends.lock();
        let heard = kept.ends.iter().filter(|end| end.number <= self.heard);
        heard.cloned().collect()
    }

    /// The same as [`next`](Self::next), of any number, if there is something now.
    pub(crate) fn take_all(&mut self) -> Option<EndNews> {
        self.take(usize::MAX)
    }

    /// What came since it was asked last, if anything did.
    fn take(&mut self, most: usize) -> Option<EndNews> {
        let kept = self.ends.lock();
        let count = kept.count;
        let new = count - self.heard;
        if new == 0 {
            return None;
        }
        self.heard = count;
        let told = new.min(most as u64).min(kept.ends.len() as u64);
        Some(EndNews {
            ends: kept.range(count + 1 - told, count + 1).cloned().collect(),
            left_out: new - told,
        })
    }
}

impl Drop for EndsFeed {
    fn drop(&mut self) {
        self.ends.watchers.fetch_sub(1, SeqCst);
    }
}

// === impl EndQuery ===

impl EndQuery {
    fn takes(&self, end: &End) -> bool {
        self.cause.is_none_or(|cause| cause == end.cause)
            && self.pair.is_none_or(|pair| pair == end.pair.id)
            && self.filter.takes(&end.pair)
    }
}

// === impl CloseSender ===

impl CloseSender {
    /// As it is written everywhere.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Side(side) => side.as_str(),
            Self::Lubdub => "lubdub",
        }
    }
}

impl fmt::Display for CloseSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests;
