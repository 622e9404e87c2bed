//! Who gets in: the bounds on pairs and on handshakes in flight.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use lubdub_metrics::Outcome;
use tokio::sync::Semaphore;

use crate::route::{RouteIndex, RouteTable};
use crate::settings::Limits;

/// The bounds of one proxy and what is taken of them.
#[derive(Debug)]
pub(crate) struct Admission {
    pairs: Arc<Semaphore>,
    routes: Vec<Option<Arc<Semaphore>>>,
    sources: Option<Arc<Sources>>,
    handshakes: Arc<Semaphore>,
    clients: Arc<Semaphore>,
    upstreams: Arc<Semaphore>,
}

/// Why a pair is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The process has as many pairs as it may.
    Process,
    /// The route has.
    Route,
    /// The source has.
    Source,
}

/// A pair's place; given back when dropped.
#[derive(Debug)]
pub(crate) struct PairPermit {
    _process: Permit,
    _route: Option<Permit>,
    _source: Option<Box<SourcePermit>>,
}

/// A handshake's place; given back when dropped.
#[derive(Debug)]
pub(crate) struct HandshakeSlot {
    _permit: Permit,
}

/// A socket's place within what the file limit carries; given back when dropped.
#[derive(Debug)]
pub(crate) struct SocketPermit {
    _permit: Permit,
}

/// One place of a semaphore, in half of the room that the semaphore's own permit for any number of
/// them takes: a pair holds several.
#[derive(Debug)]
struct Permit(Arc<Semaphore>);

/// Pairs by source.
#[derive(Debug)]
struct Sources {
    most: usize,
    taken: Mutex<BTreeMap<IpAddr, usize>>,
}

#[derive(Debug)]
struct SourcePermit {
    sources: Arc<Sources>,
    source: IpAddr,
}

// === impl Admission ===

impl Admission {
    pub(crate) fn new(limits: &Limits, routes: &RouteTable) -> Self {
        let semaphore =
            |permits: usize| Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)));
        Self {
            pairs: semaphore(limits.pairs),
            routes: routes
                .iter()
                .map(|route| route.pairs.map(semaphore))
                .collect(),
            sources: limits.pairs_per_source.map(|most| {
                Arc::new(Sources {
                    most,
                    taken: Mutex::default(),
                })
            }),
            handshakes: semaphore(limits.handshakes.get()),
            clients: semaphore(limits.connections.get()),
            upstreams: semaphore(limits.connections.get()),
        }
    }

    /// A place for one more pair.
    pub(crate) fn pair(&self, route: RouteIndex, source: IpAddr) -> Result<PairPermit, Refusal> {
        let take = |of: &Arc<Semaphore>, refusal| Permit::try_of(of).ok_or(refusal);
        let of_route = self.routes[route.0].as_ref();
        Ok(PairPermit {
            _source: self
                .sources
                .as_ref()
                .map(|all| all.take(source).map(Box::new))
                .transpose()?,
            _route: of_route.map(|all| take(all, Refusal::Route)).transpose()?,
            _process: take(&self.pairs, Refusal::Process)?,
        })
    }

    /// Waits for a place for one more handshake.
    pub(crate) async fn handshake(&self) -> HandshakeSlot {
        HandshakeSlot {
            _permit: Permit::of(&self.handshakes).await,
        }
    }

    /// Waits for a place for one more connection of a client.
    pub(crate) async fn client(&self) -> SocketPermit {
        SocketPermit {
            _permit: Permit::of(&self.clients).await,
        }
    }

    /// A place for one more connection to an upstream, if there is one.
    pub(crate) fn upstream(&self) -> Option<SocketPermit> {
        Some(SocketPermit {
            _permit: Permit::try_of(&self.upstreams)?,
        })
    }
}

// === impl Permit ===

impl Permit {
    async fn of(semaphore: &Arc<Semaphore>) -> Self {
        let permit = semaphore.acquire().await;
        permit.expect("no semaphore is ever closed").forget();
        Self(Arc::clone(semaphore))
    }

    fn try_of(semaphore: &Arc<Semaphore>) -> Option<Self> {
        semaphore.try_acquire().ok()?.forget();
        Some(Self(Arc::clone(semaphore)))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

// === impl Refusal ===

impl Refusal {
    pub(crate) fn outcome(self) -> Outcome {
        match self {
            Self::Process => Outcome::AtCapacity,
            Self::Route | Self::Source => Outcome::Limited,
        }
    }
}

// === impl Sources ===

impl Sources {
    fn take(self: &Arc<Self>, source: IpAddr) -> Result<SourcePermit, Refusal> {
        let source = network(source);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(source).or_default();
        if *count >= self.most {
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

/// What counts as one source: an IPv4 address, or the /64 that one IPv6 host can choose from.
fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::settings::testing;

    fn admission(pairs: usize, per_source: Option<usize>, per_route: Option<usize>) -> Admission {
        let mut route = testing::route("chat");
        route.pairs = per_route;
        let limits = Limits {
            pairs,
            pairs_per_source: per_source,
            handshakes: NonZeroUsize::MIN,
            connections: NonZeroUsize::MIN,
            head_bytes: 65_536,
        };
        Admission::new(&limits, &RouteTable::new(vec![Arc::new(route)]))
    }

    const CHAT: RouteIndex = RouteIndex(0);

    #[test]
    fn places_are_given_back() {
        let admission = admission(2, Some(1), None);
        let one = admission.pair(CHAT, [10, 0, 0, 1].into()).expect("room");
        let again = admission.pair(CHAT, [10, 0, 0, 1].into());
        assert_eq!(again.unwrap_err(), Refusal::Source);
        let two = admission.pair(CHAT, [10, 0, 0, 2].into()).expect("room");
        let three = admission.pair(CHAT, [10, 0, 0, 3].into());
        assert_eq!(three.unwrap_err(), Refusal::Process);
        drop(one);
        let one = admission
            .pair(CHAT, [10, 0, 0, 1].into())
            .expect("room again");
        drop((one, two));
        let sources = admission.sources.as_ref().expect("a limit per source");
        assert!(
            sources.taken.lock().unwrap().is_empty(),
            "nothing is remembered of who left"
        );
    }

    #[test]
    fn a_route_has_its_own_limit() {
        let admission = admission(9, None, Some(1));
        let _one = admission.pair(CHAT, [10, 0, 0, 1].into()).expect("room");
        let two = admission.pair(CHAT, [10, 0, 0, 2].into());
        assert_eq!(two.unwrap_err(), Refusal::Route);
    }

    #[test]
    fn an_ipv6_host_cannot_choose_among_its_addresses() {
        let a: IpAddr = "2001:db8:1:2:3::4".parse().unwrap();
        let b: IpAddr = "2001:db8:1:2:ffff::1".parse().unwrap();
        let c: IpAddr = "2001:db8:1:3::1".parse().unwrap();
        assert_eq!(network(a), network(b));
        assert_ne!(network(a), network(c));
        assert_eq!(
            network("::ffff:10.0.0.1".parse().unwrap()),
            IpAddr::from([10, 0, 0, 1])
        );
    }
}
