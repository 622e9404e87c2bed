//! Who gets in: the bounds on pairs, on handshakes in flight and a second, and on connections.

mod handshake_rate;
mod source;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use lubdub_metrics::{Outcome, ProxyMetrics};
use tokio::time::Instant;

use self::handshake_rate::HandshakeRate;
use self::source::Source;
use crate::budget::{Budget, BudgetUse, Permit, Subject};
use crate::route::RouteState;
use crate::settings::Limits;

/// The bounds of one proxy and what is taken of them.
#[derive(Debug)]
pub(crate) struct Admission {
    pairs: Arc<Budget>,
    sources: Arc<Sources>,
    /// Upgrades a second from one source; `None` for no limit.
    handshake_rate: ArcSwapOption<HandshakeRate>,
    /// Connections before the end of their first head.
    pub(crate) handshakes: Arc<Budget>,
    /// Connections of clients, whatever they are about.
    pub(crate) connections: Arc<Budget>,
    /// Connections to upstreams, as many: a pair is one of each.
    pub(crate) sockets: Arc<Budget>,
}

/// Why a pair is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The process has as many pairs as it may.
    #[error("limits.pairs is used up")]
    Process,
    /// The route has.
    #[error("limits.pairs of its route is used up")]
    Route,
    /// The source has.
    #[error("its source has as many pairs as limits.pairs_per_source allows")]
    Source,
    /// The source asks too often.
    #[error("its source asks more often than limits.handshake_rate allows")]
    Rate,
}

/// The place of an upgrade on its way to the upstream: within the bounds of its route and its source,
/// which harm nobody else. It takes none of the process's: an upstream that does not answer must not
/// keep the pairs of others out.
#[derive(Debug)]
pub(crate) struct UpgradePermit {
    route: Permit,
    source: Option<Box<SourcePermit>>,
}

/// A pair's place; given back when dropped.
#[derive(Debug)]
pub(crate) struct PairPermit {
    _process: Permit,
    _route: Permit,
    _source: Option<Box<SourcePermit>>,
}

/// Pairs by source.
#[derive(Debug)]
struct Sources {
    /// `usize::MAX` for no limit; then nothing is counted.
    most: AtomicUsize,
    taken: Mutex<BTreeMap<Source, usize>>,
}

#[derive(Debug)]
struct SourcePermit {
    sources: Arc<Sources>,
    source: Source,
}

// === impl Admission ===

impl Admission {
    pub(crate) fn new(limits: &Limits) -> Self {
        let budget = |places, key, effect| {
            let subject = Subject {
                key,
                name: None,
                effect,
            };
            Budget::new(places, subject)
        };
        let connections = limits.connections.get();
        Self {
            pairs: budget(limits.pairs, "limits.pairs", "further upgrades are refused"),
            sources: Arc::new(Sources {
                most: AtomicUsize::new(limits.pairs_per_source.unwrap_or(usize::MAX)),
                taken: Mutex::default(),
            }),
            handshake_rate: ArcSwapOption::new(limits.handshake_rate.map(HandshakeRate::new)),
            handshakes: budget(
                limits.handshakes.get(),
                "limits.handshakes",
                "further connections wait in the accept queue",
            ),
            connections: budget(
                connections,
                "limits.connections",
                "further connections wait in the accept queue",
            ),
            sockets: budget(
                connections,
                "connections to upstreams",
                "further requests are refused",
            ),
        }
    }

    /// What is used of those of the whole process.
    pub(crate) fn usage(&self) -> [BudgetUse; 4] {
        [
            self.pairs.usage("pairs"),
            self.connections.usage("connections"),
            self.handshakes.usage("handshakes"),
            BudgetUse {
                // There are as many of them as clients' connections.
                key: self.connections.usage("connections").key,
                ..self.sockets.usage("upstream_connections")
            },
        ]
    }

    /// The bounds are these from now on. Nobody who is in has to go.
    pub(crate) fn resize(&self, limits: &Limits) {
        let connections = limits.connections.get();
        self.pairs.resize(limits.pairs);
        self.handshakes.resize(limits.handshakes.get());
        self.connections.resize(connections);
        self.sockets.resize(connections);
        let most = limits.pairs_per_source.unwrap_or(usize::MAX);
        self.sources.most.store(most, Relaxed);
        let rate = self.handshake_rate.load();
        // What is known of sources is known by the rate that they were counted by.
        if rate.as_ref().map(|rate| rate.rate()) != limits.handshake_rate {
            let rate = limits.handshake_rate.map(HandshakeRate::new);
            self.handshake_rate.store(rate);
        }
    }

    /// One more upgrade of this source, whatever becomes of it. Who has no address is no source, and asks
    /// as often as it likes.
    pub(crate) fn ask(&self, source: Option<IpAddr>) -> Result<(), Refusal> {
        let rate = self.handshake_rate.load();
        match (&*rate, source) {
            (Some(rate), Some(source)) if !rate.admits(source.into()) => Err(Refusal::Rate),
            _ => Ok(()),
        }
    }

    /// A place for one more upgrade on its way, if there is room for its pair as well.
    pub(crate) fn upgrade(
        &self,
        route: &RouteState,
        source: Option<IpAddr>,
    ) -> Result<UpgradePermit, Refusal> {
        if !self.pairs.has_room() {
            self.pairs.on_missed();
            return Err(Refusal::Process);
        }
        Ok(UpgradePermit {
            source: self.sources.take(source)?.map(Box::new),
            route: route.pairs.try_take().ok_or(Refusal::Route)?,
        })
    }

    /// A place for the pair that it has become.
    pub(crate) fn pair(&self, upgrade: UpgradePermit) -> Result<PairPermit, Refusal> {
        Ok(PairPermit {
            _process: self.pairs.try_take().ok_or(Refusal::Process)?,
            _route: upgrade.route,
            _source: upgrade.source,
        })
    }

    /// A place for a pair that another process let in: it counts, and is never refused.
    pub(crate) fn adopt(&self, route: &RouteState, source: Option<IpAddr>) -> PairPermit {
        PairPermit {
            _process: self.pairs.take_beyond(),
            _route: route.pairs.take_beyond(),
            _source: self.sources.take_beyond(source).map(Box::new),
        }
    }

    /// Writes down what is used.
    pub(crate) fn sample(&self, metrics: &ProxyMetrics) {
        self.handshakes.sample(&metrics.handshakes);
        self.connections.sample_total(&metrics.connections_max);
        self.sockets.sample(&metrics.upstream_connections);
        self.pairs.sample_total(&metrics.pairs_max);
    }

    /// Looks whether exhaustions are over.
    pub(crate) fn settle(&self, now: Instant) {
        let all = [
            &self.pairs,
            &self.handshakes,
            &self.connections,
            &self.sockets,
        ];
        all.iter().for_each(|budget| budget.settle(now));
    }
}

// === impl Refusal ===

impl Refusal {
    pub(crate) fn outcome(self) -> Outcome {
        match self {
            Self::Process => Outcome::AtCapacity,
            Self::Route | Self::Source => Outcome::Limited,
            Self::Rate => Outcome::RateLimited,
        }
    }
}

// === impl Sources ===

impl Sources {
    /// A place, if there is one; `None` where there is no limit. Who has no address is nobody's source.
    fn take(self: &Arc<Self>, source: Option<IpAddr>) -> Result<Option<SourcePermit>, Refusal> {
        match (source, self.most.load(Relaxed)) {
            (None, _) | (_, usize::MAX) => Ok(None),
            (Some(source), most) => self.take_of(source.into(), most).map(Some),
        }
    }

    /// A place, also where there is none; `None` where there is no limit.
    fn take_beyond(self: &Arc<Self>, source: Option<IpAddr>) -> Option<SourcePermit> {
        match (source, self.most.load(Relaxed)) {
            (None, _) | (_, usize::MAX) => None,
            (Some(source), _) => self.take_of(source.into(), usize::MAX).ok(),
        }
    }

    fn take_of(self: &Arc<Self>, source: Source, most: usize) -> Result<SourcePermit, Refusal> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(source).or_default();
        if *count >= most {
            return Err(Refusal::Source);
        }
        *count += 1;
        Ok(SourcePermit {
            sources: Arc::clone(self),
            source,
        })
    }
}

impl Drop for SourcePermit {
    fn drop(&mut self) {
        let mut taken = self
            .sources
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::route;
    use crate::settings::testing;

    /// Bounds of the process, and a route with one of its own.
    fn admission(
        pairs: usize,
        per_source: Option<usize>,
        per_route: Option<usize>,
    ) -> (Admission, RouteState) {
        let mut route = testing::route("chat");
        route.pairs = per_route;
        let limits = Limits {
            pairs,
            pairs_per_source: per_source,
            handshake_rate: None,
            handshakes: NonZeroUsize::MIN,
            connections: NonZeroUsize::MIN,
            head_bytes: 65_536,
        };
        (Admission::new(&limits), route::testing::state(&route))
    }

    #[test]
    fn places_are_given_back() {
        let (admission, chat) = admission(2, Some(1), None);
        let upgrade = |n: u8| admission.upgrade(&chat, Some([10, 0, 0, n].into()));
        let pair = |n: u8| admission.pair(upgrade(n)?);
        let one = pair(1).expect("room");
        assert_eq!(upgrade(1).unwrap_err(), Refusal::Source);
        let two = pair(2).expect("room");
        assert_eq!(upgrade(3).unwrap_err(), Refusal::Process);
        drop(one);
        let one = pair(1).expect("room again");
        drop((one, two));
        assert!(
            admission.sources.taken.lock().unwrap().is_empty(),
            "nothing is remembered of who left"
        );
    }

    /// All who come through a local proxy would be one.
    #[test]
    fn who_has_no_address_is_not_counted_by_source() {
        let (admission, chat) = admission(9, Some(1), None);
        let pair = || admission.pair(admission.upgrade(&chat, None)?);
        let _several = [
            pair().unwrap(),
            pair().unwrap(),
            admission.adopt(&chat, None),
        ];
    }

    #[test]
    fn a_route_has_its_own_limit() {
        let (admission, chat) = admission(9, None, Some(1));
        let upgrade = |n: u8| admission.upgrade(&chat, Some([10, 0, 0, n].into()));
        let _one = upgrade(1).expect("room");
        assert_eq!(upgrade(2).unwrap_err(), Refusal::Route);
    }

    /// Upgrades to an upstream that did not answer took the places of all pairs.
    #[test]
    fn upgrades_on_their_way_take_no_pair_of_others() {
        let (admission, chat) = admission(1, None, None);
        let upgrade = |n: u8| admission.upgrade(&chat, Some([10, 0, 0, n].into()));
        let waiting: Vec<_> = (0..9).map(|n| upgrade(n).expect("room")).collect();
        let pair = admission.pair(upgrade(10).unwrap()).expect("room");
        assert_eq!(upgrade(11).unwrap_err(), Refusal::Process);
        for late in waiting {
            assert_eq!(admission.pair(late).unwrap_err(), Refusal::Process);
        }
        drop(pair);
    }
}
