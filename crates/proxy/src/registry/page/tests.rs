//! Pages of pairs of which everything is known.

use std::collections::BTreeSet;

use ipnet::IpNet;
use tokio::task::yield_now;

use super::*;
use crate::access::Networks;
use crate::registry::Registration;
use crate::registry::testing::{identity, now};

const SECOND: Duration = Duration::from_secs(1);

/// A registry, and the moment at which it is looked at.
struct Stage {
    registry: Arc<Registry>,
    now: Instant,
    pairs: Vec<Registration>,
}

impl Stage {
    fn empty() -> Self {
        let origin = now();
        Self {
            registry: Arc::new(Registry::new(origin)),
            now: origin + 1000 * SECOND,
            pairs: Vec::new(),
        }
    }

    /// One more pair of which the client was heard so many seconds ago, and the upstream; and from which so many
    /// bytes came.
    fn pair(&mut self, route: &str, client: &str, heard: [u64; 2], bytes: u64) {
        let opened = self.now - 500 * SECOND;
        let pair = self.registry.register(identity(route, client), opened);
        for (side, ago) in Side::BOTH.into_iter().zip(heard) {
            let heard = self.now - opened - ago as u32 * SECOND;
            pair.entry().publish_traffic(side, heard, bytes, 1);
        }
        self.pairs.push(pair);
    }

    async fn page(&self, query: &PageQuery) -> Page {
        self.registry.page(query, self.now).await
    }

    async fn ids(&self, query: &PageQuery) -> Vec<u64> {
        let page = self.page(query).await;
        page.pairs.iter().map(|pair| pair.id.0).collect()
    }
}

fn sorted(sort: Sort) -> PageQuery {
    PageQuery {
        sort,
        ..PageQuery::default()
    }
}

/// Six of them, each with something of its own.
fn six() -> Stage {
    let mut stage = Stage::empty();
    stage.pair("chat", "192.0.2.1:1", [5, 1], 10); // 1
    stage.pair("live", "192.0.2.2:1", [1, 9], 60); // 2
    stage.pair("chat", "198.51.100.1:1", [7, 7], 30); // 3
    stage.pair("live", "[2001:db8::1]:1", [0, 0], 30); // 4
    stage.pair("chat", "198.51.100.2:1", [2, 30], 5); // 5
    stage.pair("chat", "[::ffff:192.0.2.7]:1", [0, 1], 0); // 6
    stage
}

#[tokio::test]
async fn pairs_come_in_the_order_that_is_wanted() {
    let stage = six();
    for (sort, expected) in [
        (Sort::Oldest, [1, 2, 3, 4, 5, 6]),
        (Sort::Newest, [6, 5, 4, 3, 2, 1]),
        (Sort::Silence, [5, 2, 3, 1, 6, 4]),
        (Sort::Bytes, [2, 3, 4, 1, 5, 6]),
    ] {
        assert_eq!(stage.ids(&sorted(sort)).await, expected, "{sort:?}");
    }
    let client = PageQuery {
        silent: Some(Side::Client),
        ..sorted(Sort::Silence)
    };
    assert_eq!(stage.ids(&client).await, [1], "the others' upstreams are");
}

#[tokio::test]
async fn those_without_a_round_trip_come_last() {
    let stage = six();
    for (pair, side, micros) in [
        (1, Side::Client, 20),
        (4, Side::Upstream, 900),
        (4, Side::Client, 1),
    ] {
        let entry = stage.pairs[pair].entry();
        entry.set_last_rtt(side, Duration::from_micros(micros));
    }
    assert_eq!(stage.ids(&sorted(Sort::Rtt)).await, [5, 2, 1, 3, 4, 6]);
}

#[tokio::test]
async fn only_those_come_that_are_asked_for() {
    let stage = six();
    let matching = async |query: PageQuery| {
        let page = stage.page(&query).await;
        assert_eq!((page.total, page.matched), (6, page.pairs.len()));
        page.pairs.iter().map(|pair| pair.id.0).collect::<Vec<_>>()
    };
    let by = |filter: PairFilter| PageQuery {
        filter,
        ..PageQuery::default()
    };
    let route = |route: &str| PairFilter {
        route: Some(route.into()),
        ..PairFilter::default()
    };
    let network = |network: &str| PairFilter {
        client: Some(Networks::from_iter([network.parse::<IpNet>().unwrap()])),
        ..PairFilter::default()
    };
    assert_eq!(matching(by(route("live"))).await, [2, 4]);
    assert_eq!(matching(by(route("none"))).await, []);
    assert_eq!(matching(by(network("192.0.2.0/24"))).await, [1, 2, 6]);
    assert_eq!(matching(by(network("198.51.100.2/32"))).await, [5]);
    assert_eq!(matching(by(network("2001:db8::/32"))).await, [4]);
    let both = PairFilter {
        listener: Some("public".into()),
        upstream: Some("main".into()),
        ..network("192.0.2.0/24")
    };
    assert_eq!(matching(by(both)).await, [1, 2, 6]);
    let other = PairFilter {
        listener: Some("private".into()),
        ..PairFilter::default()
    };
    assert_eq!(matching(by(other)).await, []);

    let silent = |silent: Option<Side>, silent_for: Option<u64>| PageQuery {
        silent,
        silent_for: silent_for.map(Duration::from_secs),
        ..PageQuery::default()
    };
    assert_eq!(matching(silent(Some(Side::Client), None)).await, [1]);
    assert_eq!(
        matching(silent(Some(Side::Upstream), None)).await,
        [2, 5, 6]
    );
    assert_eq!(matching(silent(None, Some(7))).await, [2, 3, 5]);
    assert_eq!(matching(silent(Some(Side::Upstream), Some(10))).await, [5]);
}

/// Whatever the order, equals included.
#[tokio::test]
async fn every_pair_is_on_one_page() {
    let mut stage = Stage::empty();
    for n in 0..1000 {
        stage.pair("chat", "192.0.2.1:1", [n % 7, n % 5], n % 3);
    }
    for sort in [
        Sort::Oldest,
        Sort::Newest,
        Sort::Silence,
        Sort::Rtt,
        Sort::Bytes,
    ] {
        let mut query = PageQuery {
            limit: 300,
            ..sorted(sort)
        };
        let mut seen = BTreeSet::new();
        let mut sizes = Vec::new();
        loop {
            let page = stage.page(&query).await;
            assert_eq!((page.total, page.matched), (1000, 1000));
            sizes.push(page.pairs.len());
            for pair in &page.pairs {
                assert!(seen.insert(pair.id), "{:?} twice", pair.id);
            }
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        assert_eq!(sizes, [300, 300, 300, 100], "{sort:?}");
    }
}

#[tokio::test]
async fn behind_the_last_pair_there_is_no_page() {
    let stage = six();
    for (limit, has_next) in [(5, true), (6, false), (7, false), (0, false)] {
        let query = PageQuery {
            limit,
            ..PageQuery::default()
        };
        let page = stage.page(&query).await;
        assert_eq!(page.next.is_some(), has_next, "{limit}");
        assert_eq!(page.pairs.len(), limit.min(6));
    }
    let beyond = Position {
        key: u64::MAX,
        pair: PairId(u64::MAX),
    };
    let query = PageQuery {
        after: Some(beyond),
        ..PageQuery::default()
    };
    let page = stage.page(&query).await;
    assert_eq!((page.pairs.len(), page.matched), (0, 6));
}

/// Thousands of pairs were copied under the lock, and all else on the thread waited for that.
#[tokio::test]
async fn others_on_the_thread_have_their_turn_while_pages_are_made() {
    let mut stage = Stage::empty();
    for _ in 0..5000 {
        stage.pair("chat", "192.0.2.1:1", [0, 0], 0);
    }
    let mut turns = 0;
    let query = PageQuery::default();
    tokio::select! {
        biased;
        page = stage.page(&query) => assert_eq!(page.pairs.len(), 1000),
        () = async { loop { turns += 1; yield_now().await; } } => {}
    }
    assert!(turns >= 5000 / Registry::SOME, "{turns} turns");
}
