//! Ends as they come, and as they are asked for.

use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::registry::testing::{identity, now};
use crate::registry::{Registration, Registry};

fn registry() -> Arc<Registry> {
    Arc::new(Registry::new(now()))
}

fn opened(registry: &Arc<Registry>, route: &str) -> Registration {
    registry.register(identity(route, "192.0.2.1:1"), now())
}

/// A pair of this route that ends for this cause.
fn end(registry: &Arc<Registry>, route: &str, cause: Cause) {
    let pair = opened(registry, route);
    let now = now();
    pair.conclude(|pair| End {
        number: 0,
        at: SystemTime::now(),
        cause,
        close: None,
        diagnosis: None,
        duration: Duration::ZERO,
        lapsed_after: None,
        hint: None,
        sides: PerSide::from_fn(|side| SideEnd {
            status: pair.status(side, now),
            rtt: None,
        }),
        pair,
    });
}

/// The numbers of ends, from 1 on for those of this process.
fn numbers(ends: &[End]) -> Vec<u64> {
    ends.iter()
        .map(|end| end.number - Ends::KEPT as u64)
        .collect()
}

#[test]
fn the_last_thousand_are_kept() {
    let registry = registry();
    let ends = registry.ends();
    assert!(ends.latest(&EndQuery::default(), 10).is_empty());
    for _ in 0..1234 {
        end(&registry, "chat", Cause::Drain);
    }
    assert_eq!(ends.kept(), Ends::KEPT);
    let newest = ends.latest(&EndQuery::default(), 3);
    assert_eq!(numbers(&newest), [1234, 1233, 1232]);
    let all = ends.latest(&EndQuery::default(), usize::MAX);
    assert_eq!(numbers(&all), (235..=1234).rev().collect::<Vec<_>>());
    assert_eq!(registry.overview().ended[Cause::Drain as usize], 1234);
}

#[test]
fn those_are_found_that_are_asked_for() {
    let registry = registry();
    for n in 0..600 {
        let route = ["chat", "live"][n % 2];
        let cause = [Cause::Drain, Cause::Drain, Cause::ClientLapsed][n % 3];
        end(&registry, route, cause);
    }
    let found = |query: EndQuery, limit| registry.ends().latest(&query, limit);
    let lapsed = found(
        EndQuery {
            cause: Some(Cause::ClientLapsed),
            ..EndQuery::default()
        },
        1000,
    );
    assert_eq!(lapsed.len(), 200);
    assert!(lapsed.iter().all(|end| end.cause == Cause::ClientLapsed));
    let live = EndQuery {
        filter: PairFilter {
            route: Some("live".into()),
            ..PairFilter::default()
        },
        ..EndQuery::default()
    };
    assert_eq!(numbers(&found(live.clone(), 2)), [600, 598]);
    let both = EndQuery {
        cause: Some(Cause::ClientLapsed),
        ..live
    };
    assert_eq!(found(both, 1000).len(), 100);
    let one = EndQuery {
        pair: Some(PairId(17)),
        ..EndQuery::default()
    };
    assert_eq!(numbers(&found(one, 1000)), [17]);
}

#[tokio::test(start_paused = true)]
async fn who_watches_hears_of_each_end_once() {
    let registry = registry();
    end(&registry, "chat", Cause::Drain);
    let mut feed = registry.ends().feed();
    assert!(
        timeout(Duration::from_secs(1), feed.next(50))
            .await
            .is_err(),
        "what was before is not news"
    );
    end(&registry, "chat", Cause::Drain);
    end(&registry, "chat", Cause::Drain);
    let news = feed.next(50).await;
    assert_eq!((numbers(&news.ends), news.left_out), (vec![2, 3], 0));
    let began = Instant::now();
    let later = async {
        sleep(Duration::from_secs(5)).await;
        end(&registry, "chat", Cause::Drain);
    };
    let (news, ()) = tokio::join!(feed.next(50), later);
    assert_eq!(numbers(&news.ends), [4]);
    assert_eq!(began.elapsed(), Duration::from_secs(5), "it is woken");
}

#[tokio::test]
async fn of_more_ends_than_are_wanted_the_newest_are_told_and_the_others_counted() {
    let registry = registry();
    let mut feed = registry.ends().feed();
    for _ in 0..60 {
        end(&registry, "chat", Cause::Drain);
    }
    let news = feed.next(50).await;
    assert_eq!(numbers(&news.ends), (11..=60).collect::<Vec<_>>());
    assert_eq!(news.left_out, 10);
    // More than are kept.
    for _ in 0..1500 {
        end(&registry, "chat", Cause::Drain);
    }
    let news = feed.next(usize::MAX).await;
    assert_eq!((news.ends.len(), news.left_out), (1000, 500));
    assert_eq!(numbers(&news.ends).last(), Some(&1560));
}

/// Each of the last thousand ends would have kept the memory of its pair's task, several KiB.
#[test]
fn an_end_that_is_kept_does_not_keep_the_task_of_its_pair() {
    struct Nobody;
    impl std::task::Wake for Nobody {
        fn wake(self: Arc<Self>) {}
    }
    let registry = registry();
    let task = Arc::new(Nobody);
    let pair = opened(&registry, "chat");
    pair.entry().set_waker(&Arc::clone(&task).into());
    let entry = registry.pair(PairId(1)).unwrap();
    assert_eq!(Arc::strong_count(&task), 2);
    drop(pair);
    assert_eq!(Arc::strong_count(&task), 1);
    drop(entry);
}
